//! What all hosts share: oracles, log, clocks, and what is known of each process.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Arguments;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stillframe_actors::clock::Clock;
use stillframe_actors::coordinator::actor::Overview;
use stillframe_actors::node::actor::Status;
use tokio::sync::{Notify, mpsc, watch};

pub use super::Planted;
use super::clients::Clients;
use super::plan::{Fault, Plan};
use crate::log::Log;
use crate::machines::disk::Disk;
use crate::oracle::{Observation, Oracle, Oracles, Run};
use crate::random::Random;

/// The coordinator's host; nodes' hosts are named by [`node_host`].
pub const COORDINATOR: &str = "coordinator";
/// The name and the host of the node that nobody may believe.
pub const STRANGER: &str = "stranger";
/// 2027-01-15.
pub const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// Two nodes may claim one name; their hosts differ.
pub fn node_host(host: usize) -> String {
    format!("node-{host}")
}

/// A handle: all clones are of the same world.
#[derive(Clone)]
pub struct World {
    plan: Arc<Plan>,
    planted: Planted,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("World").field(&self.plan.seed).finish()
    }
}

pub struct State {
    pub oracles: Oracles,
    pub log: Log,
    pub random: Random,
    pub disk: Disk,
    pub clients: Clients,
    /// By host: nodes that are up, whether their actor is there yet or not.
    pub nodes: BTreeMap<usize, Option<watch::Receiver<Status>>>,
    /// Results that nodes keep, by host.
    pub spools: BTreeMap<usize, usize>,
    /// Freezes that a crash has ended. In which order a runtime drops its tasks the seed does not say.
    pub resumed_by_crash: BTreeSet<u64>,
    /// Of the coordinator that is up.
    pub overview: Option<watch::Receiver<Overview>>,
    pub runs: Runs,
    /// Of hosts in their order, then of the coordinator's.
    pub clock_jumps: Vec<i64>,
    /// Until when so many of a hundred datagrams are lost, and so many come twice.
    pub loss: (u64, u64, u64),
    pub disk_slow: (u64, Duration),
    /// By host: what happens so long after it next begins to send a result.
    pub armed: BTreeMap<usize, (u64, Fault)>,
    /// And what that has set off, with its time.
    pub triggered: Vec<(u64, Fault)>,
    /// By host: tells a node to close its connection.
    pub node_closes: Vec<Arc<Notify>>,
    /// Tells the coordinator to close a host's.
    pub coordinator_closes: Option<mpsc::UnboundedSender<usize>>,
    /// Where the network is; the hosts are ahead of it by less than a step while they run.
    pub step_ns: u64,
    /// Hosts run; otherwise they have no clock that could be asked.
    pub is_in_step: bool,
    numbers: u64,
}

/// Runs of orders on the coordinator that is up.
#[derive(Default)]
pub struct Runs {
    /// The last one of each order that has not ended.
    pub running: BTreeMap<u128, Run>,
    /// Those whose stores still have something to do, by order.
    pub stores: BTreeSet<(u128, Run)>,
    /// They ended without a file.
    pub failed: BTreeSet<Run>,
}

impl World {
    pub fn new(plan: &Plan, planted: Planted, keep: usize) -> World {
        let state = State {
            oracles: Oracles::default(),
            log: Log::new(keep),
            random: Random::new(plan.seed, 4),
            disk: Disk::default(),
            clients: Clients::new(plan),
            nodes: BTreeMap::new(),
            spools: BTreeMap::new(),
            resumed_by_crash: BTreeSet::new(),
            overview: None,
            runs: Runs::default(),
            clock_jumps: vec![0; plan.hosts.len() + 1],
            loss: (0, 0, 0),
            disk_slow: (0, Duration::ZERO),
            armed: BTreeMap::new(),
            triggered: Vec::new(),
            node_closes: plan.hosts.iter().map(|_| Arc::default()).collect(),
            coordinator_closes: None,
            step_ns: 0,
            is_in_step: false,
            numbers: 0,
        };
        World { plan: Arc::new(plan.clone()), planted, state: Arc::new(Mutex::new(state)) }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn planted(&self) -> Planted {
        self.planted
    }

    /// Not to be called by what it gives access to.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True time.
    pub fn now_ns(&self) -> u64 {
        self.lock().now_ns()
    }

    pub fn line(&self, text: Arguments) {
        let mut state = self.lock();
        let now_ns = state.now_ns();
        state.log.line(now_ns, text);
    }

    pub fn observe(&self, observation: Observation) {
        self.lock().observe(observation);
    }

    pub fn violate(&self, oracle: Oracle, what: String) {
        self.lock().oracles.violate(oracle, what);
    }

    /// A number that was never used.
    pub fn number(&self) -> u64 {
        let mut state = self.lock();
        state.numbers += 1;
        state.numbers
    }

    /// For something that draws as often as it likes, without a change to what others draw.
    pub fn stream_of_randomness(&self) -> Random {
        let stream = self.lock().random.draw();
        Random::new(self.plan.seed, stream)
    }

    /// How many of a hundred datagrams are lost, and how many come twice.
    pub fn loss(&self) -> (u64, u64) {
        let state = self.lock();
        let (until_ns, lost_percent, twice_percent) = state.loss;
        if state.now_ns() < until_ns { (lost_percent, twice_percent) } else { (0, 0) }
    }

    /// The clocks of a host; `None`: the coordinator's.
    pub fn clock(&self, host: Option<usize>) -> Clock {
        let world = self.clone();
        Clock::new(move || world.unix_ns(host))
    }

    /// What a host's wall clock shows.
    pub fn unix_ns(&self, host: Option<usize>) -> i64 {
        let clock = host.map_or(&self.plan.coordinator_clock, |host| &self.plan.hosts[host].clock);
        let state = self.lock();
        let now_ns = state.now_ns();
        let drift_ns = (now_ns / 1_000_000) as i64 * clock.drift_ppm;
        let jumps_ns = state.clock_jumps[host.unwrap_or(self.plan.hosts.len())];
        EPOCH.as_nanos() as i64 + now_ns as i64 + drift_ns + clock.ahead_ns + jumps_ns
    }

    /// In a host: waits until the true time is this.
    pub async fn sleep_until(&self, at_ns: u64) {
        tokio::time::sleep(Duration::from_nanos(at_ns.saturating_sub(self.now_ns()))).await;
    }
}

impl State {
    pub fn now_ns(&self) -> u64 {
        let in_host = if self.is_in_step { turmoil::sim_elapsed() } else { None };
        in_host.map_or(self.step_ns, |elapsed| elapsed.as_nanos() as u64)
    }

    pub fn observe(&mut self, observation: Observation) {
        let now_ns = self.now_ns();
        match &observation {
            Observation::Named { run, file } => {
                self.log
                    .line(now_ns, format_args!("run {run} has a file of {} goroutines", file.goroutines()));
            }
            other => self.log.line(now_ns, format_args!("{other:?}")),
        }
        self.oracles.observe(now_ns, observation);
    }

    /// An operation of the coordinator's disk takes so long.
    pub fn operation(&self, plan: &Plan) -> Duration {
        let (until_ns, operation) = self.disk_slow;
        if self.now_ns() < until_ns { operation } else { plan.operation }
    }

    /// One end of a host's connection closes it, if it is there.
    pub fn kill(&mut self, host: usize, by_coordinator: bool) {
        match &self.coordinator_closes {
            // It is down, or will be.
            Some(closes) if by_coordinator => drop(closes.send(host)),
            _ => self.node_closes[host].notify_waiters(),
        }
    }

    /// A result is about to be sent.
    pub fn sends(&mut self, host: usize, plan: &Plan) {
        let now_ns = self.now_ns();
        if let Some((after_ns, fault)) = self.armed.remove(&host)
            && now_ns < plan.faults_end_ns
        {
            self.triggered.push((now_ns + after_ns, fault));
        }
    }
}
