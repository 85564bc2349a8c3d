//! The event loop, the mailboxes and the clocks.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::hash::BuildHasher;

use stillframe_actors::machine::Machine;
use stillframe_actors::time::{Moment, Now};
use stillframe_actors::{capture, coordinator, linker, node, session, snapshot, writer};
use stillframe_wire::message::{OrderId, ReadyTarget, ToCoordinator, ToNode};

use super::clients::Client;
use super::coordinator::CoordinatorProcess;
use super::disk::Disk;
use super::network::{Connection, Stream, Wire};
use super::node::{NodeHost, NodeProcess};
use crate::SECOND;
use crate::log::Log;
use crate::oracle::{End, Observation, Oracle, Oracles};
use crate::plan::{Clock, Plan};
use crate::random::Random;

/// After the faults' end: the longest order, the finishing of its file, and reconnecting. Orders queue behind each other.
const QUIET_WITHIN: u64 = 6 * 3_600 * SECOND;
/// From the end of the last order to the last node that is registered again and has forgotten it.
const SETTLED_WITHIN: u64 = 60 * SECOND;
/// More events than any run needs.
const EVENTS_MAX: u64 = 30_000_000;
/// 2027-01-15.
const EPOCH_UNIX_NS: i64 = 1_800_000_000 * SECOND as i64;

/// A defect put into the world on purpose, to see that an oracle finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Planted {
    #[default]
    Nothing,
    /// The writer keeps the rows of a stream that broke.
    KeepsAborted,
    /// The writer gives the file its name before it is on the disk.
    RenamesFirst,
    /// The writer does not note what is missing.
    LosesReasons,
    /// Nobody tells snapshots the time.
    ForgetsDeadlines,
    /// The freezer relies on the node to resume.
    Overstays,
    /// The coordinator takes every connection for a node of its own.
    AdmitsTwice,
    /// Nodes give up after their first attempt to connect.
    NeverReturns,
    /// Nodes do not hear that an order is over.
    KeepsOrders,
    /// Nodes are told to send whatever they have captured, and all of it goes to the writer.
    Unlimited,
    /// Nodes do not pass the order's probes on to their captures.
    ForgetsProbes,
    /// Something depends on the order of a hash map.
    Unordered,
}

/// Who has a mailbox. Numbers are never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    Node(usize),
    Capture(usize, u64),
    Coordinator,
    Session(u64),
    Snapshot(u64),
    Linker(u64),
    Writer(u64),
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Address::Node(host) => write!(f, "node {host}"),
            Address::Capture(host, number) => write!(f, "capture {host}/{number}"),
            Address::Coordinator => write!(f, "coordinator"),
            Address::Session(number) => write!(f, "session {number}"),
            Address::Snapshot(run) => write!(f, "snapshot {run}"),
            Address::Linker(run) => write!(f, "linker {run}"),
            Address::Writer(run) => write!(f, "writer {run}"),
        }
    }
}

pub enum Mail {
    Node(node::state::Event),
    Capture(capture::state::Event),
    Coordinator(coordinator::state::Event),
    Session(session::state::Event),
    Snapshot(snapshot::Event),
    Linker(linker::state::Event),
    Writer(writer::state::Event),
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Mail::Node(event) => event.fmt(f),
            Mail::Capture(event) => event.fmt(f),
            Mail::Coordinator(event) => event.fmt(f),
            Mail::Session(event) => event.fmt(f),
            Mail::Snapshot(event) => event.fmt(f),
            Mail::Linker(event) => event.fmt(f),
            Mail::Writer(event) => event.fmt(f),
        }
    }
}

/// What happens at a time. Whatever belongs to a process that is no more when its time comes does not happen.
#[derive(Debug)]
pub enum Occurrence {
    Wake(Address),
    Connect {
        host: usize,
        incarnation: u64,
        attempt: u64,
    },
    Connected {
        connection: u64,
    },
    ToNode {
        connection: u64,
        message: ToNode,
    },
    ToCoordinator {
        connection: u64,
        message: ToCoordinator,
    },
    /// The other end has closed it, or it is given up.
    ConnectionLost {
        connection: u64,
        end: Wire,
    },
    StreamOpened {
        stream: u64,
    },
    StreamClosed {
        stream: u64,
    },
    Found {
        host: usize,
        incarnation: u64,
        order: OrderId,
        targets: Vec<ReadyTarget>,
    },
    Freeze {
        host: usize,
        capture: u64,
    },
    Resume {
        host: usize,
        freeze: u64,
    },
    Decoded {
        host: usize,
        capture: u64,
    },
    ThreadStep {
        run: u64,
        step: u64,
    },
    ThreadSays {
        run: u64,
        event: writer::state::Event,
    },
    Fault(usize),
    Restart(Option<usize>),
    Exists {
        host: usize,
        exists: bool,
    },
    Ask(usize),
    Cancel(usize),
    /// A client whose order was cut off asks again.
    AskAgain {
        order: u128,
    },
}

pub struct World<'a> {
    pub plan: &'a Plan,
    pub planted: Planted,
    pub oracles: Oracles,
    pub log: Log,
    pub events: u64,
    pub faults_by_kind: BTreeMap<&'static str, u64>,
    pub(super) random: Random,
    pub(super) now_ns: u64,
    queue: BTreeMap<(u64, u64), Occurrence>,
    queued: u64,
    mailboxes: BTreeMap<Address, VecDeque<Mail>>,
    wakes: BTreeMap<Address, u64>,
    numbers: u64,
    /// Of hosts in their order, then of the coordinator's.
    pub(super) clock_jumps: Vec<i64>,
    pub(super) hosts: Vec<NodeHost>,
    pub(super) coordinator: Option<CoordinatorProcess>,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) streams: BTreeMap<u64, Stream>,
    pub(super) disk: Disk,
    pub(super) clients: BTreeMap<u128, Client>,
}

impl<'a> World<'a> {
    /// `keep`: how many of the log's last lines are kept.
    pub fn new(plan: &'a Plan, planted: Planted, keep: usize) -> World<'a> {
        let mut world = World {
            plan,
            planted,
            oracles: Oracles::default(),
            log: Log::new(keep),
            events: 0,
            faults_by_kind: BTreeMap::new(),
            random: Random::new(plan.seed, 2),
            now_ns: 0,
            queue: BTreeMap::new(),
            queued: 0,
            mailboxes: BTreeMap::new(),
            wakes: BTreeMap::new(),
            numbers: 0,
            clock_jumps: vec![0; plan.hosts.len() + 1],
            hosts: plan.hosts.iter().map(|_| NodeHost::default()).collect(),
            coordinator: None,
            connections: BTreeMap::new(),
            streams: BTreeMap::new(),
            disk: Disk::default(),
            clients: BTreeMap::new(),
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        self.at(0, Occurrence::Restart(None));
        for (host, plan) in self.plan.hosts.iter().enumerate() {
            match plan.exists {
                None => {
                    let begin = self.random.below(2 * SECOND);
                    self.at(begin, Occurrence::Restart(Some(host)));
                }
                Some((from, until)) => {
                    self.at(from, Occurrence::Exists { host, exists: true });
                    self.at(until, Occurrence::Exists { host, exists: false });
                }
            }
        }
        for (i, ask) in self.plan.asks.iter().enumerate() {
            self.at(ask.at_ns, Occurrence::Ask(i));
            if let Some(at) = ask.cancel_at_ns {
                self.at(at, Occurrence::Cancel(i));
            }
        }
        for (i, fault) in self.plan.faults.iter().enumerate() {
            self.at(fault.at_ns, Occurrence::Fault(i));
        }
    }

    /// Virtual time that has passed.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// To the end, or to the first violation.
    pub fn run(&mut self) {
        let (mut look_again_ns, mut quiet_since) = (0, None);
        while self.oracles.first_violation().is_none() {
            let Some(((at, _), occurrence)) = self.queue.pop_first() else { break };
            self.now_ns = at;
            self.events += 1;
            self.occur(occurrence);
            self.empty_mailboxes();
            self.remove_ended_runs();
            self.oracles.check(at);
            if at > self.plan.faults_end_ns && self.has_settled(&mut look_again_ns, &mut quiet_since) {
                let end = self.end();
                self.oracles.check_end(&end);
                break;
            }
            if self.events > EVENTS_MAX {
                self.oracles.violate(Oracle::Bounds, "the world does not become quiet");
            }
        }
    }

    /// Nothing is left to be seen: all is quiet and every node is where it belongs, or had time enough for that.
    fn has_settled(&self, look_again_ns: &mut u64, quiet_since: &mut Option<u64>) -> bool {
        let now_ns = self.now_ns;
        if now_ns < *look_again_ns {
            return false;
        }
        *look_again_ns = now_ns + SECOND;
        let all_ended = self.coordinator.as_ref().is_some_and(|process| process.runs.is_empty());
        if !(all_ended && self.oracles.all_answered()) {
            *quiet_since = None;
            return now_ns > self.plan.faults_end_ns + QUIET_WITHIN;
        }
        let quiet_ns = now_ns - *quiet_since.get_or_insert(now_ns);
        // A node may believe for a while that it is registered with a coordinator that was restarted since.
        let is_known =
            |name: &str| self.coordinator.as_ref().is_some_and(|c| c.machine.nodes().contains_key(name));
        let is_settled = |process: &NodeProcess| process.machine.is_registered() && process.orders() == 0;
        let mut hosts = self.hosts.iter().zip(&self.plan.hosts);
        let mut all_settled = || {
            hosts.all(|(host, plan)| {
                host.process.as_ref().is_none_or(|p| is_settled(p) && is_known(&plan.name))
            })
        };
        quiet_ns > SETTLED_WITHIN || (quiet_ns > 3 * SECOND && all_settled())
    }

    fn end(&self) -> End {
        let mut end = End { files: self.disk.named_files(), ..End::default() };
        end.half_files = self.disk.temporary_files();
        for (host, plan) in self.hosts.iter().zip(&self.plan.hosts) {
            if let Some(process) = &host.process {
                end.live.insert(plan.name.clone());
                if process.orders() > 0 {
                    end.held.insert(plan.name.clone(), process.orders());
                }
            }
        }
        end
    }

    /// A number that was never used.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn at(&mut self, at_ns: u64, occurrence: Occurrence) {
        self.queued += 1;
        self.queue.insert((at_ns.max(self.now_ns), self.queued), occurrence);
    }

    pub(super) fn after(&mut self, ns: u64, occurrence: Occurrence) {
        self.at(self.now_ns.saturating_add(ns), occurrence);
    }

    pub(super) fn mail(&mut self, to: Address, mail: Mail) {
        self.mailboxes.entry(to).or_default().push_back(mail);
    }

    pub(super) fn observe(&mut self, observation: Observation) {
        self.oracles.observe(self.now_ns, observation);
    }

    /// What was sent to a process that is no more is lost.
    pub(super) fn forget_mail(&mut self, is_gone: impl Fn(Address) -> bool) {
        self.mailboxes.retain(|address, _| !is_gone(*address));
        self.wakes.retain(|address, _| !is_gone(*address));
    }

    /// `None`: the coordinator's host.
    pub(super) fn now(&self, host: Option<usize>) -> Now {
        let (clock, jumps): (&Clock, i64) = match host {
            Some(host) => (&self.plan.hosts[host].clock, self.clock_jumps[host]),
            None => (&self.plan.coordinator_clock, self.clock_jumps[self.plan.hosts.len()]),
        };
        let drift = (self.now_ns / 1_000_000) as i64 * clock.drift_ppm;
        let unix_ns = EPOCH_UNIX_NS + self.now_ns as i64 + drift + clock.ahead_ns + jumps;
        Now { moment: Moment(self.now_ns), unix_ns }
    }

    fn empty_mailboxes(&mut self) {
        while !self.mailboxes.is_empty() {
            let count = self.mailboxes.len();
            let mut chosen = if count == 1 { 0 } else { self.random.below(count as u64) as usize };
            if self.planted == Planted::Unordered {
                chosen = std::hash::RandomState::new().hash_one(chosen) as usize % count;
            }
            let Some(to) = self.mailboxes.keys().nth(chosen).copied() else { return };
            let mailbox = self.mailboxes.entry(to).or_default();
            let mail = mailbox.pop_front();
            if mailbox.is_empty() {
                self.mailboxes.remove(&to);
            }
            if let Some(mail) = mail {
                self.log.line(self.now_ns, format_args!("{to:?} < {mail:?}"));
                self.deliver(to, mail);
                self.set_wake(to);
            }
        }
    }

    pub(super) fn has_mail(&self, address: Address) -> bool {
        self.mailboxes.contains_key(&address)
    }

    fn deliver(&mut self, to: Address, mail: Mail) {
        match (to, mail) {
            (Address::Node(host), Mail::Node(event)) => self.node_event(host, event),
            (Address::Capture(host, number), Mail::Capture(event)) => self.capture_event(host, number, event),
            (Address::Coordinator, Mail::Coordinator(event)) => self.coordinator_event(event),
            (Address::Session(session), Mail::Session(event)) => self.session_event(session, event),
            (Address::Snapshot(run), Mail::Snapshot(event)) => self.snapshot_event(run, event),
            (Address::Linker(run), Mail::Linker(event)) => self.linker_event(run, event),
            (Address::Writer(run), Mail::Writer(event)) => self.writer_event(run, event),
            (to, mail) => unreachable!("{to:?} gets no {mail:?}"),
        }
    }

    fn wake_at(&self, address: Address) -> Option<u64> {
        let moment = match address {
            Address::Node(host) => self.hosts[host].process.as_ref()?.machine.wake_at(),
            Address::Capture(host, number) => {
                self.hosts[host].process.as_ref()?.captures.get(&number)?.machine.wake_at()
            }
            Address::Session(session) => self.coordinator.as_ref()?.sessions.get(&session)?.machine.wake_at(),
            Address::Snapshot(run) => self.coordinator.as_ref()?.runs.get(&run)?.snapshot.wake_at(),
            Address::Coordinator => self.coordinator.as_ref()?.machine.wake_at(),
            Address::Linker(run) => self.coordinator.as_ref()?.runs.get(&run)?.linker.wake_at(),
            Address::Writer(run) => self.coordinator.as_ref()?.runs.get(&run)?.writer.wake_at(),
        };
        moment.map(|moment| moment.0)
    }

    pub(super) fn set_wake(&mut self, address: Address) {
        let Some(at) = self.wake_at(address) else { return };
        if self.wakes.get(&address).is_none_or(|known| at < *known) {
            self.wakes.insert(address, at);
            self.at(at, Occurrence::Wake(address));
        }
    }

    fn wake(&mut self, address: Address) {
        // An earlier wake took its place.
        if self.wakes.get(&address).is_none_or(|at| *at > self.now_ns) {
            return;
        }
        self.wakes.remove(&address);
        let forgets = self.planted == Planted::ForgetsDeadlines && matches!(address, Address::Snapshot(_));
        if forgets || self.wake_at(address).is_none_or(|at| at > self.now_ns) {
            if !forgets {
                self.set_wake(address);
            }
            return;
        }
        self.log.line(self.now_ns, format_args!("{address:?} wakes"));
        match address {
            Address::Node(host) => self.node_tick(host),
            Address::Capture(host, number) => self.capture_tick(host, number),
            Address::Session(session) => self.session_tick(session),
            Address::Snapshot(run) => self.snapshot_tick(run),
            Address::Coordinator | Address::Linker(_) | Address::Writer(_) => {}
        }
        if self.wake_at(address).is_some_and(|at| at <= self.now_ns) {
            self.oracles.violate(Oracle::Bounds, format!("{address:?} wants to be woken for ever"));
        }
        self.set_wake(address);
    }

    fn occur(&mut self, occurrence: Occurrence) {
        if !matches!(occurrence, Occurrence::Wake(_)) {
            self.log.line(self.now_ns, format_args!("{occurrence:?}"));
        }
        match occurrence {
            Occurrence::Wake(address) => self.wake(address),
            Occurrence::Connect { host, incarnation, attempt } => self.connect(host, incarnation, attempt),
            Occurrence::Connected { connection } => self.connected(connection),
            Occurrence::ToNode { connection, message } => self.arrive_at_node(connection, message),
            Occurrence::ToCoordinator { connection, message } => {
                self.arrive_at_coordinator(connection, message);
            }
            Occurrence::ConnectionLost { connection, end } => self.connection_lost(connection, end),
            Occurrence::StreamOpened { stream } => self.stream_opened(stream),
            Occurrence::StreamClosed { stream } => self.stream_closed(stream),
            Occurrence::Found { host, incarnation, order, targets } => {
                self.found(host, incarnation, order, targets);
            }
            Occurrence::Freeze { host, capture } => self.freeze(host, capture),
            Occurrence::Resume { host, freeze } => self.resume(host, freeze),
            Occurrence::Decoded { host, capture } => self.decoded(host, capture),
            Occurrence::ThreadStep { run, step } => self.thread_step(run, step),
            Occurrence::ThreadSays { run, event } => self.thread_says(run, event),
            Occurrence::Fault(i) => self.fault(i),
            Occurrence::Restart(Some(host)) => self.start_node(host),
            Occurrence::Restart(None) => self.start_coordinator(),
            Occurrence::Exists { host, exists: true } => self.start_node(host),
            Occurrence::Exists { host, exists: false } => self.crash_node(host),
            Occurrence::Ask(i) => self.ask(i),
            Occurrence::Cancel(i) => self.cancel(i),
            Occurrence::AskAgain { order } => self.ask_again(order),
        }
    }
}
