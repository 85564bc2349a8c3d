//! The targets of one order on this host: none is stopped before all are ready, and none is let go before all that are stand
//! still, for what they say of each other is to be of one instant. Nobody waits for long, and nobody stands still for one that
//! is still getting ready: a target that stands still is somebody's production.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use stillframe_wire::message::OrderId;

/// Who is waited for, of all orders under way.
#[derive(Clone, Default)]
pub(crate) struct Together {
    orders: Arc<Mutex<HashMap<OrderId, Weak<Gate>>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    GettingReady,
    Ready,
    /// It stands still, or never will.
    Settled,
}

struct Gate {
    all: usize,
    /// Of those that have joined.
    stages: Mutex<Vec<Stage>>,
    changed: Condvar,
}

/// One of them. Dropped before it stands still it is waited for no more.
pub(crate) struct Place {
    gate: Arc<Gate>,
    number: usize,
}

impl Together {
    /// `all`: how many targets the order has.
    pub(crate) fn join(&self, order: OrderId, all: usize) -> Place {
        let mut orders = lock(&self.orders);
        orders.retain(|_, gate| gate.strong_count() > 0);
        let known = orders.get(&order).and_then(Weak::upgrade).filter(|gate| gate.all == all);
        let gate = known.unwrap_or_else(|| {
            let gate = Arc::new(Gate { all, stages: Mutex::default(), changed: Condvar::new() });
            orders.insert(order, Arc::downgrade(&gate));
            gate
        });
        let mut stages = lock(&gate.stages);
        let number = stages.len();
        stages.push(Stage::GettingReady);
        drop(stages);
        Place { gate, number }
    }
}

impl Place {
    fn reach(&self, stage: Stage) {
        lock(&self.gate.stages)[self.number] = stage;
        self.gate.changed.notify_all();
    }

    /// It could be stopped now. Returns when the others could be, too, or when `within` is over, which is to be at the same
    /// time for all of them: whether they could. It runs meanwhile.
    pub(crate) fn ready(&self, within: Duration) -> bool {
        self.reach(Stage::Ready);
        let all = self.gate.all;
        self.until(within, |stages| stages.len() >= all && !stages.contains(&Stage::GettingReady))
    }

    /// It stands still.
    pub(crate) fn stands(&self) {
        self.reach(Stage::Settled);
    }

    /// Until all that are ready stand still, or until `within` is over. Whether they do.
    pub(crate) fn wait(&self, within: Duration) -> bool {
        self.until(within, |stages| !stages.contains(&Stage::Ready))
    }

    fn until(&self, within: Duration, is_so: impl Fn(&[Stage]) -> bool) -> bool {
        let began = Instant::now();
        let mut stages = lock(&self.gate.stages);
        while !is_so(&stages) {
            let left = within.saturating_sub(began.elapsed());
            if left.is_zero() {
                return false;
            }
            let waited = self.gate.changed.wait_timeout(stages, left);
            stages = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.reach(Stage::Settled);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(1);

    #[test]
    fn all_are_ready_before_one_stands_and_all_stand_before_one_goes() {
        let together = Together::default();
        let [first, second] = [(), ()].map(|()| together.join(OrderId(1), 2));
        assert!(!first.ready(SHORT));
        let other = std::thread::spawn(move || {
            let ready = second.ready(LONG);
            second.stands();
            (ready, second.wait(LONG))
        });
        assert!(first.ready(LONG));
        first.stands();
        assert!(first.wait(LONG));
        assert_eq!(other.join().unwrap(), (true, true));
    }

    #[test]
    fn nobody_stands_still_for_one_that_is_not_ready() {
        let together = Together::default();
        let [first, second, _third] = [(), (), ()].map(|()| together.join(OrderId(1), 3));
        assert!(!first.ready(SHORT) && !second.ready(SHORT));
        first.stands();
        assert!(!first.wait(SHORT), "the second one is ready");
        second.stands();
        assert!(first.wait(SHORT));
    }

    #[test]
    fn who_has_failed_is_not_waited_for() {
        let together = Together::default();
        let [first, second, third] = [(), (), ()].map(|()| together.join(OrderId(1), 3));
        drop(second);
        assert!(!first.ready(SHORT));
        assert!(third.ready(SHORT));
        first.stands();
        assert!(!first.wait(SHORT));
        drop(third);
        assert!(first.wait(SHORT));
    }

    #[test]
    fn orders_do_not_wait_for_each_other() {
        let together = Together::default();
        let (first, other) = (together.join(OrderId(1), 1), together.join(OrderId(2), 2));
        assert!(first.ready(SHORT) && !other.ready(SHORT));
        assert!(!first.wait(SHORT), "it has not said that it stands itself");
        first.stands();
        assert!(first.wait(SHORT));
        drop(first);
        // Asked again, it begins again.
        let again = together.join(OrderId(1), 1);
        assert!(again.ready(SHORT));
        assert_eq!(lock(&together.orders).len(), 2);
    }
}
