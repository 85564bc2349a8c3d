//! What became of each order: its events so far, for everyone who asks, also late.
//!
//! Bounded: an order keeps its last events, and of orders that have ended only the last ones are remembered.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stillframe_actors::order::{Order, Outcome, Progress};
use stillframe_wire::message::OrderId;
use tokio::sync::watch;

use crate::api::Event;

/// Events of one order that are kept.
const EVENTS_MAX: usize = 4_096;
/// Orders that have ended and are remembered.
const ENDED_MAX: usize = 32;

/// Shared by the API and by who listens to the coordinator's actor.
#[derive(Clone, Default)]
pub struct Orders(Arc<Mutex<Book>>);

#[derive(Default)]
struct Book {
    entries: BTreeMap<OrderId, Entry>,
    ended: VecDeque<OrderId>,
    outcomes: Outcomes,
}

struct Entry {
    order: Order,
    log: Arc<Log>,
}

/// How orders ended, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    pub complete: u64,
    pub partial: u64,
    pub failed: u64,
}

/// What a request for an order is.
pub enum Asked {
    New,
    /// It was ordered before.
    Known(Arc<Log>),
    /// Another order has this id.
    Conflict,
}

impl Orders {
    /// Takes note of an order, unless it is known.
    pub fn ask(&self, order: &Order) -> Asked {
        let mut book = self.book();
        match book.entries.get(&order.id) {
            Some(known) if is_same(&known.order, order) => Asked::Known(Arc::clone(&known.log)),
            Some(_) => Asked::Conflict,
            None => {
                book.entries.insert(order.id, Entry { order: order.clone(), log: Arc::default() });
                Asked::New
            }
        }
    }

    pub fn log(&self, order: OrderId) -> Option<Arc<Log>> {
        self.book().entries.get(&order).map(|entry| Arc::clone(&entry.log))
    }

    /// The orders that wait or run.
    pub fn open(&self) -> Vec<OrderId> {
        let book = self.book();
        book.entries.iter().filter(|(_, entry)| !entry.log.has_ended()).map(|(id, _)| *id).collect()
    }

    pub fn record(&self, id: OrderId, progress: Progress) {
        let mut book = self.book();
        if let Progress::Ended(outcome) = &progress {
            match outcome {
                Outcome::Committed { complete: true, .. } => book.outcomes.complete += 1,
                Outcome::Committed { complete: false, .. } => book.outcomes.partial += 1,
                Outcome::Failed { .. } => book.outcomes.failed += 1,
            }
            book.ended.push_back(id);
            if book.ended.len() > ENDED_MAX
                && let Some(oldest) = book.ended.pop_front()
            {
                book.entries.remove(&oldest);
            }
        }
        if let Some(entry) = book.entries.get(&id) {
            entry.log.add(progress.into());
        }
    }

    /// Its file was deleted: what it was is of no use.
    pub fn forget(&self, id: OrderId) {
        let mut book = self.book();
        if book.entries.get(&id).is_some_and(|entry| entry.log.has_ended()) {
            book.entries.remove(&id);
            book.ended.retain(|ended| *ended != id);
        }
    }

    pub fn outcomes(&self) -> Outcomes {
        self.book().outcomes
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_same(known: &Order, asked: &Order) -> bool {
    *known == Order { requested_by: known.requested_by.clone(), ..asked.clone() }
}

/// The events of one order.
#[derive(Default)]
pub struct Log {
    events: Mutex<Events>,
    /// How many there were; for who waits.
    count: watch::Sender<u64>,
}

#[derive(Default)]
struct Events {
    kept: VecDeque<Event>,
    forgotten: u64,
}

impl Log {
    fn add(&self, event: Event) {
        {
            let mut events = self.events();
            events.kept.push_back(event);
            if events.kept.len() > EVENTS_MAX {
                events.kept.pop_front();
                events.forgotten += 1;
            }
        }
        self.count.send_modify(|count| *count += 1);
    }

    pub fn has_ended(&self) -> bool {
        self.events().kept.back().is_some_and(Event::is_last)
    }

    /// The events from number `from` on, waiting for the next one if there is none yet, and the number of the one after
    /// them. `None`: there will be no more.
    pub async fn after(&self, from: u64) -> Option<(Vec<Event>, u64)> {
        let mut count = self.count.subscribe();
        loop {
            count.borrow_and_update();
            {
                let events = self.events();
                let until = events.forgotten + events.kept.len() as u64;
                if from < until {
                    let omitted = events.forgotten.saturating_sub(from);
                    let first = (from.saturating_sub(events.forgotten)) as usize;
                    let gap = (omitted > 0).then_some(Event::Omitted { events: omitted });
                    let some = gap.into_iter().chain(events.kept.iter().skip(first).cloned());
                    return Some((some.collect(), until));
                }
                if events.kept.back().is_some_and(Event::is_last) {
                    return None;
                }
            }
            // The sender is part of this log.
            count.changed().await.ok()?;
        }
    }

    fn events(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use stillframe_actors::order::Stop;
    use stillframe_wire::message::{FailureClass, Selector};

    use super::*;

    fn order(id: u128) -> Order {
        Order {
            id: OrderId(id),
            selector: Selector::default(),
            stop: Stop::default(),
            probes: Arc::default(),
            within: Duration::from_secs(9),
            label: None,
            requested_by: None,
        }
    }

    fn failed() -> Progress {
        Progress::Ended(Outcome::Failed { class: FailureClass::Lost, reason: "gone".into() })
    }

    #[tokio::test]
    async fn late_and_early_listeners_get_the_same_events() {
        let orders = Orders::default();
        assert!(matches!(orders.ask(&order(1)), Asked::New));
        let log = orders.log(OrderId(1)).unwrap();
        let early = tokio::spawn({
            let log = Arc::clone(&log);
            async move {
                let (mut all, mut from) = (Vec::new(), 0);
                while let Some((some, next)) = log.after(from).await {
                    all.extend(some);
                    from = next;
                }
                all
            }
        });
        tokio::task::yield_now().await;
        orders.record(OrderId(1), Progress::Prepare { nodes: 2 });
        orders.record(OrderId(1), failed());
        let (late, next) = log.after(0).await.unwrap();
        assert_eq!(early.await.unwrap(), late);
        assert_eq!((late.len(), next), (2, 2));
        assert!(late[1].is_last() && log.has_ended());
        assert!(log.after(2).await.is_none());
        assert_eq!(orders.outcomes(), Outcomes { failed: 1, ..Outcomes::default() });
    }

    #[tokio::test]
    async fn the_same_id_is_the_same_order_and_another_order_a_conflict() {
        let orders = Orders::default();
        assert!(matches!(orders.ask(&order(1)), Asked::New));
        let again = Order { requested_by: Some("b".into()), ..order(1) };
        assert!(matches!(orders.ask(&again), Asked::Known(_)));
        let other = Order { label: Some("x".into()), ..order(1) };
        assert!(matches!(orders.ask(&other), Asked::Conflict));
        let probing = Order { probes: "[[probe]]".into(), ..order(1) };
        assert!(matches!(orders.ask(&probing), Asked::Conflict));
        // While it runs it cannot be forgotten.
        orders.forget(OrderId(1));
        assert_eq!(orders.open(), [OrderId(1)]);
        orders.record(OrderId(1), failed());
        assert_eq!(orders.open(), []);
        orders.forget(OrderId(1));
        assert!(matches!(orders.ask(&other), Asked::New));
    }

    #[tokio::test]
    async fn memory_is_bounded_and_says_what_is_missing() {
        let orders = Orders::default();
        orders.ask(&order(0));
        for nodes in 0..EVENTS_MAX + 10 {
            orders.record(OrderId(0), Progress::Prepare { nodes });
        }
        let (events, next) = orders.log(OrderId(0)).unwrap().after(4).await.unwrap();
        assert_eq!(events[0], Event::Omitted { events: 6 });
        assert_eq!(events[1], Event::Prepare { nodes: 10 });
        assert_eq!((events.len(), next), (EVENTS_MAX + 1, EVENTS_MAX as u64 + 10));
        for id in 1..=ENDED_MAX as u128 + 1 {
            orders.ask(&order(id));
            orders.record(OrderId(id), failed());
        }
        assert!(orders.log(OrderId(0)).is_some(), "it runs");
        assert!(orders.log(OrderId(1)).is_none());
        assert!(orders.log(OrderId(2)).is_some());
    }
}
