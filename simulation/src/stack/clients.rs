//! Who orders: asks, asks twice, cancels, and asks again when the coordinator was restarted.

use std::collections::BTreeMap;

use stillframe_actors::coordinator::actor::Handle;
use stillframe_actors::coordinator::state::Event;
use stillframe_actors::order::{Order, Outcome, Stop};
use stillframe_wire::message::{OrderId, Selector};

use super::plan::Plan;
use super::store::bytes;
use super::target::marker;
use super::world::{Planted, State, World};
use crate::oracle::Observation;
use crate::{MILLISECOND, SECOND, probes};

/// What clients do, and what they still wait for.
pub struct Clients {
    /// The plan's, in the order of their times.
    acts: Vec<(u64, Act)>,
    /// How many of them are done.
    done: usize,
    waiting: BTreeMap<u128, Order>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Ask(usize),
    Cancel(usize),
}

impl Clients {
    pub fn new(plan: &Plan) -> Clients {
        let asks = plan.asks.iter().enumerate();
        let mut acts: Vec<(u64, Act)> = asks
            .flat_map(|(i, ask)| {
                let cancel = ask.cancel_at_ns.map(|at_ns| (at_ns, Act::Cancel(i)));
                [(ask.at_ns, Act::Ask(i))].into_iter().chain(cancel)
            })
            .collect();
        acts.sort();
        Clients { acts, done: 0, waiting: BTreeMap::new() }
    }

    pub fn all_asked(&self) -> bool {
        self.done == self.acts.len()
    }
}

/// On the coordinator's host, for as long as it is up. What would have been asked while it was down is asked a while later.
pub async fn run(world: World, coordinator: Handle) {
    let cut_off: Vec<u128> = world.lock().clients.waiting.keys().copied().collect();
    for order in cut_off {
        if world.planted() == Planted::ForgetsClients {
            break;
        }
        // Before nodes are registered again, or after.
        let again_ns = world.now_ns() + world.lock().random.spread(10 * MILLISECOND, 8 * SECOND);
        let (world, coordinator) = (world.clone(), coordinator.clone());
        tokio::spawn(async move {
            world.sleep_until(again_ns).await;
            ask(&world, &coordinator, order);
        });
    }
    let is_again = world.now_ns() > SECOND;
    if is_again {
        let pause_ns = world.lock().random.below(5 * SECOND);
        world.sleep_until(world.now_ns() + pause_ns).await;
    }
    loop {
        let next = {
            let clients = &world.lock().clients;
            clients.acts.get(clients.done).copied()
        };
        let Some((at_ns, act)) = next else { return };
        // One who asks again what was cancelled has heard of that before.
        world.sleep_until(at_ns.max(world.now_ns() + MILLISECOND)).await;
        world.lock().clients.done += 1;
        match act {
            Act::Ask(i) => {
                let order = order(world.plan(), i);
                let id = order.id.0;
                let mut state = world.lock();
                state.observe(Observation::Asked { order: id });
                state.clients.waiting.insert(id, order);
                drop(state);
                ask(&world, &coordinator, id);
            }
            Act::Cancel(i) => {
                let order = OrderId(world.plan().asks[i].order);
                world.line(format_args!("{order:?} is cancelled"));
                let reason = "cancelled by its client".to_owned();
                coordinator.mailbox.tell(Event::Cancel { order, reason });
            }
        }
    }
}

fn order(plan: &Plan, i: usize) -> Order {
    let ask = &plan.asks[i];
    let mut programs = ask.programs.clone();
    programs.push(marker(ask.order));
    Order {
        id: OrderId(ask.order),
        selector: Selector { hosts: ask.hosts.clone(), programs, pids: Vec::new() },
        stop: Stop { max: ask.max_pause, ..Stop::default() },
        probes: probes::of_order(ask.order),
        within: ask.within,
        label: None,
        requested_by: None,
    }
}

fn ask(world: &World, coordinator: &Handle, id: u128) {
    let mut state = world.lock();
    let Some(order) = state.clients.waiting.get(&id).cloned() else { return };
    // An order that is under way, or whose file is being deleted, is nobody's file yet.
    let overview = coordinator.overview.borrow();
    let is_known = overview.running == Some(order.id)
        || overview.waiting.contains(&order.id)
        || state.runs.stores.range((id, 0)..=(id, u64::MAX)).next().is_some();
    let file = state.disk.named(id).filter(|_| !is_known);
    if let Some(file) = file {
        let (complete, goroutines) = (file.is_complete, file.goroutines());
        let outcome = Outcome::Committed { complete, goroutines, bytes: bytes(goroutines) };
        return answer(&mut state, id, &outcome);
    }
    coordinator.mailbox.tell(Event::Order(order));
}

/// The outcome of an order goes to whoever waits for it.
pub fn answer(state: &mut State, order: u128, outcome: &Outcome) {
    if state.clients.waiting.remove(&order).is_some() {
        state.observe(Observation::Answered { order, outcome });
    }
}
