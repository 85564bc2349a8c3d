//! One run: the hosts and the network, a millisecond at a time, until nothing is left to be seen.

use std::cell::Cell;
use std::sync::Once;
use std::time::{Duration, UNIX_EPOCH};

use stillframe_actors::node::actor::Status;
use turmoil::Sim;

use super::faults::Faults;
use super::plan::Plan;
use super::world::{COORDINATOR, EPOCH, Planted, STRANGER, State, World, node_host};
use super::{coordinator, node};
use crate::oracle::{End, Oracle};
use crate::random::Random;
use crate::run::Report;
use crate::{MILLISECOND, SECOND};

/// After the faults' end: the orders, which queue behind each other, and reconnecting.
const QUIET_WITHIN_NS: u64 = 400 * SECOND;
/// From the end of the last order to the last node that is registered again and has forgotten it.
const SETTLED_WITHIN_NS: u64 = 60 * SECOND;
/// For what comes late.
const QUIET_FOR_NS: u64 = 2 * SECOND;
const LOOK_EVERY_NS: u64 = 100 * MILLISECOND;
/// Datagrams that a socket has not read yet; a real one's buffer takes about as many.
const DATAGRAMS_WAITING: usize = 1 << 12;

/// Runs a plan on a thread of its own, so that nothing of an earlier run is left in the thread's state.
pub fn run(plan: &Plan, planted: Planted, keep: usize) -> (Report, Vec<String>) {
    let plan = plan.clone();
    let running = std::thread::spawn(move || run_here(&plan, planted, keep));
    match running.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

thread_local! {
    /// Of this thread's run. A task that panics takes nobody with it, and would not be noticed.
    static PANICS: Cell<u64> = const { Cell::new(0) };
}

/// Counts panics from now on, and prints them as before.
fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            print(panic);
        }));
    });
}

fn run_here(plan: &Plan, planted: Planted, keep: usize) -> (Report, Vec<String>) {
    count_panics();
    crate::entropy::pin(Random::new(plan.seed, 5));
    let world = World::new(plan, planted, keep);
    let mut sim = hosts(&world);
    let mut faults = Faults::new(plan);
    let (mut steps, mut quiet_since) = (0, None);
    loop {
        let now_ns = world.lock().step_ns;
        faults.carry_out(&world, &mut sim, now_ns);
        world.lock().is_in_step = true;
        let stepped = sim.step();
        let mut state = world.lock();
        state.is_in_step = false;
        steps += 1;
        state.step_ns = steps * MILLISECOND;
        let now_ns = state.step_ns;
        if let Err(error) = stepped {
            state.oracles.violate(Oracle::Bounds, format!("a host has ended: {error}"));
        }
        if PANICS.get() > 0 {
            state.oracles.violate(Oracle::Bounds, "a task has panicked");
        }
        state.oracles.check(now_ns);
        if state.oracles.first_violation().is_some() {
            break;
        }
        let is_over = now_ns > plan.faults_end_ns && faults.are_over();
        if is_over && now_ns.is_multiple_of(LOOK_EVERY_NS) && has_settled(&state, plan, &mut quiet_since) {
            check_end(&mut state, plan);
            break;
        }
    }
    let state = world.lock();
    let (log, now_ns) = (&state.log, state.step_ns);
    let report = Report::of(&state.oracles, log, log.lines(), now_ns, &faults.by_kind);
    let lines = log.kept().map(str::to_owned).collect();
    drop(state);
    drop(sim);
    (report, lines)
}

fn hosts(world: &World) -> Sim<'static> {
    let plan = world.plan();
    let mut sim = turmoil::Builder::new()
        .rng_seed(plan.seed)
        .epoch(UNIX_EPOCH + EPOCH)
        .simulation_duration(Duration::MAX)
        .tick_duration(Duration::from_nanos(MILLISECOND))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(plan.delay)
        .udp_capacity(DATAGRAMS_WAITING)
        .enable_random_order()
        .build();
    let shared = world.clone();
    sim.host(COORDINATOR, move || coordinator::run(shared.clone()));
    for host in 0..plan.hosts.len() {
        let shared = world.clone();
        world.lock().nodes.insert(host, None);
        sim.host(node_host(host), move || node::run(shared.clone(), host));
    }
    if plan.has_stranger {
        let shared = world.clone();
        sim.host(STRANGER, move || node::run_stranger(shared.clone()));
    }
    sim
}

/// Nothing is left to be seen: all is quiet and every node is where it belongs, or had time enough for that.
fn has_settled(state: &State, plan: &Plan, quiet_since: &mut Option<u64>) -> bool {
    let now_ns = state.step_ns;
    let all_ended = state.clients.all_asked() && state.oracles.all_answered() && state.runs.stores.is_empty();
    if !all_ended {
        *quiet_since = None;
        return now_ns > plan.faults_end_ns + QUIET_WITHIN_NS;
    }
    let quiet_ns = now_ns - *quiet_since.get_or_insert(now_ns);
    let agree = || state.nodes.keys().all(|host| is_known(state, plan, *host));
    let hold_nothing = || state.spools.values().all(|count| *count == 0);
    quiet_ns > SETTLED_WITHIN_NS || (quiet_ns > QUIET_FOR_NS && agree() && hold_nothing())
}

/// The node and the coordinator say the same of its registration.
fn is_known(state: &State, plan: &Plan, host: usize) -> bool {
    let of_node = state.nodes.get(&host).and_then(|status| match *status.as_ref()?.borrow() {
        Status::Registered(generation) => Some(generation),
        _ => None,
    });
    let of_coordinator = state
        .overview
        .as_ref()
        .and_then(|overview| overview.borrow().nodes.get(&plan.hosts[host].name).map(|node| node.generation));
    of_node.is_some() && of_node == of_coordinator
}

fn check_end(state: &mut State, plan: &Plan) {
    let mut end = End { files: state.disk.named_files(), ..End::default() };
    end.half_files = state.disk.temporary_files();
    for host in state.nodes.keys().copied() {
        let name = &plan.hosts[host].name;
        end.live.insert(name.clone());
        if let Some(count) = state.spools.get(&host).filter(|count| **count > 0) {
            end.held.insert(name.clone(), *count);
        }
    }
    state.oracles.check_end(&end);
    let lost = state.nodes.keys().copied().find(|host| !is_known(state, plan, *host));
    if let Some(host) = lost {
        let what = format!("node {host} and the coordinator do not agree on its registration");
        state.oracles.violate(Oracle::Registrations, what);
    }
}
