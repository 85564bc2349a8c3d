//! Clients: they order snapshots, ask twice, cancel, and ask again when the coordinator was restarted.

use std::time::Duration;

use stillframe_actors::coordinator::state::Event;
use stillframe_actors::order::{Order, Outcome, Stop};
use stillframe_wire::message::{OrderId, Selector};

use super::world::{Address, Mail, Occurrence, World};
use crate::oracle::Observation;
use crate::{MILLISECOND, SECOND, probes};

/// Everybody who waits for one order.
pub struct Client {
    order: Order,
    waits: bool,
}

impl World<'_> {
    pub(super) fn ask(&mut self, i: usize) {
        let ask = &self.plan.asks[i];
        let order = Order {
            id: OrderId(ask.order),
            selector: Selector { hosts: ask.hosts.clone(), programs: ask.programs.clone(), pids: Vec::new() },
            stop: Stop { max: ask.max_pause, ..Stop::default() },
            probes: probes::of_order(ask.order),
            within: ask.within.max(Duration::from_millis(1)),
            label: None,
            requested_by: None,
        };
        self.observe(Observation::Asked { order: ask.order });
        self.clients.insert(ask.order, Client { order, waits: true });
        self.ask_again(ask.order);
    }

    pub(super) fn ask_again(&mut self, order: u128) {
        let Some(client) = self.clients.get(&order).filter(|client| client.waits) else { return };
        let asked = client.order.clone();
        let Some(process) = &self.coordinator else {
            return self.after(SECOND, Occurrence::AskAgain { order });
        };
        // An order that is under way, or whose file is being deleted, is nobody's file yet.
        let is_known = process.machine.waiting().any(|waiting| waiting == asked.id)
            || process.runs.values().any(|run| run.order == asked.id);
        let file = self.disk.named(order).filter(|_| !is_known);
        if let Some(file) = file {
            let goroutines = file.goroutines();
            let outcome =
                Outcome::Committed { complete: file.is_complete, goroutines, bytes: goroutines * 100 };
            return self.answer_client(order, &outcome);
        }
        self.mail(Address::Coordinator, Mail::Coordinator(Event::Order(asked)));
    }

    pub(super) fn cancel(&mut self, i: usize) {
        let order = OrderId(self.plan.asks[i].order);
        if self.coordinator.is_some() {
            let event = Event::Cancel { order, reason: "cancelled by its client".to_owned() };
            self.mail(Address::Coordinator, Mail::Coordinator(event));
        }
    }

    pub(super) fn answer_client(&mut self, order: u128, outcome: &Outcome) {
        if let Some(client) = self.clients.get_mut(&order)
            && std::mem::replace(&mut client.waits, false)
        {
            self.observe(Observation::Answered { order, outcome });
        }
    }

    pub(super) fn clients_are_cut_off(&mut self) {
        let waiting: Vec<u128> =
            self.clients.iter().filter(|(_, client)| client.waits).map(|(order, _)| *order).collect();
        for order in waiting {
            let pause = self.random.between(10 * MILLISECOND, 3 * SECOND);
            self.after(pause, Occurrence::AskAgain { order });
        }
    }
}
