//! What must hold whatever happens.
//!
//! The oracles are told what happens by [`Oracles::observe`], and look at the whole after every event
//! ([`Oracles::check`]) and at the end ([`Oracles::check_end`]). They know nothing of how the cluster is run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use stillframe_actors::order::Outcome;
use stillframe_actors::snapshot::state::FINISH_WITHIN;
use stillframe_wire::limits::{ORDERS_PER_NODE_MAX, ORDERS_WAITING_MAX, SENDERS_MAX};

use crate::{SECOND, links};

/// After an order's deadline, and after that for finishing its file: an event loop's turn, and no more.
const GRACE_NS: u64 = SECOND;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oracle {
    /// 1: a file is whole or absent, and holds exactly what was sent.
    Files,
    /// 2: every order ends in time, with a reason for everything that is missing.
    Orders,
    /// 3: no target is frozen for longer than its budget.
    Freezes,
    /// 4: queues never exceed their limits, nothing is kept without need, no machine spins.
    Bounds,
    /// 5: every live node is registered again, once.
    Registrations,
    /// 6: who cannot prove that it belongs to the cluster is no part of it.
    Trust,
    /// 7: the same seed gives the same log.
    Determinism,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub oracle: Oracle,
    pub what: String,
}

/// One run of an order; an order that is asked for again may run again.
pub type Run = u64;
/// One result of one target, of all that a whole run of the simulation has.
pub type CaptureNumber = u64;
/// A node's name and the target's place in the node's answer.
pub type TargetKey = (String, u32);

/// What a snapshot file holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct File {
    /// The last thing that is written; without it the file is a half one.
    pub is_whole: bool,
    /// Nothing is missing, by its own account.
    pub is_complete: bool,
    pub hosts: BTreeSet<String>,
    pub rows: BTreeMap<TargetKey, Vec<(CaptureNumber, u64)>>,
    /// Captured values, likewise.
    pub values: BTreeMap<TargetKey, Vec<(CaptureNumber, u64)>>,
    /// Which target calls which, by their places in the file.
    pub links: BTreeSet<(i64, i64)>,
    pub lost_targets: Vec<(TargetKey, String)>,
    pub lost_nodes: Vec<(String, String)>,
}

impl File {
    /// Takes back all that is there of a target.
    pub fn remove(&mut self, key: &TargetKey) {
        self.rows.remove(key);
        self.values.remove(key);
    }

    pub fn goroutines(&self) -> u64 {
        self.rows.values().map(|rows| rows.len() as u64).sum()
    }
}

#[derive(Debug)]
pub enum Observation<'a> {
    Asked {
        order: u128,
    },
    Answered {
        order: u128,
        outcome: &'a Outcome,
    },
    Began {
        run: Run,
        order: u128,
        within: Duration,
        members: BTreeSet<String>,
    },
    /// A node's answer was taken: so many targets, refused ones among them.
    Ready {
        run: Run,
        node: String,
        targets: usize,
    },
    /// Nothing more is to come, and the file is to be finished.
    Collected {
        run: Run,
    },
    Ended {
        run: Run,
        outcome: &'a Outcome,
    },
    /// A result is whole on its node. `values`: as many as the order's own probes give of it.
    Captured {
        capture: CaptureNumber,
        order: u128,
        key: TargetKey,
        rows: u64,
        values: u64,
        frozen_at_ns: u64,
    },
    /// The writer says that it has all of a target.
    Written {
        run: Run,
        key: TargetKey,
    },
    /// A file has got its name.
    Named {
        run: Run,
        file: &'a File,
    },
    /// A file that was ordered to be deleted may have stayed, because its host went down.
    MayHaveStayed {
        order: u128,
    },
    Frozen {
        freeze: u64,
        budget_ns: u64,
    },
    Resumed {
        freeze: u64,
    },
    Admitted {
        session: u64,
        name: &'a str,
    },
    Closed {
        session: u64,
    },
    Waiting {
        orders: usize,
    },
    Loading {
        streams: usize,
    },
    NodeOrders {
        orders: usize,
    },
}

/// How the world is at the end, when it must have become quiet.
#[derive(Debug, Default)]
pub struct End {
    /// Nodes that are alive and whose name is their own.
    pub live: BTreeSet<String>,
    /// Results and orders that nodes still hold, by node.
    pub held: BTreeMap<String, usize>,
    pub files: BTreeMap<u128, File>,
    /// Files that have no final name.
    pub half_files: usize,
}

#[derive(Debug)]
struct RunState {
    order: u128,
    began_ns: u64,
    until_ns: u64,
    ended: bool,
    members: BTreeSet<String>,
    targets: BTreeMap<String, usize>,
    written: BTreeSet<TargetKey>,
}

#[derive(Debug)]
struct Captured {
    order: u128,
    key: TargetKey,
    rows: u64,
    values: u64,
    frozen_at_ns: u64,
}

#[derive(Debug, Default)]
pub struct Oracles {
    now_ns: u64,
    violations: Vec<Violation>,
    unanswered: BTreeSet<u128>,
    answers: BTreeMap<u128, Outcome>,
    may_have_stayed: BTreeSet<u128>,
    runs: BTreeMap<Run, RunState>,
    running: BTreeSet<(u64, Run)>,
    captures: BTreeMap<CaptureNumber, Captured>,
    frozen: BTreeMap<u64, u64>,
    frozen_until: BTreeSet<(u64, u64)>,
    sessions: BTreeMap<u64, String>,
    registered: BTreeMap<String, BTreeSet<u64>>,
    twice: BTreeSet<String>,
}

impl Oracles {
    pub fn violate(&mut self, oracle: Oracle, what: impl Into<String>) {
        self.violations.push(Violation { oracle, what: what.into() });
    }

    pub fn first_violation(&self) -> Option<&Violation> {
        self.violations.first()
    }

    pub fn answers(&self) -> &BTreeMap<u128, Outcome> {
        &self.answers
    }

    /// All that was asked for has been answered.
    pub fn all_answered(&self) -> bool {
        self.unanswered.is_empty()
    }

    pub fn observe(&mut self, now_ns: u64, observation: Observation) {
        self.now_ns = now_ns;
        match observation {
            Observation::Asked { order } => {
                self.unanswered.insert(order);
                self.answers.remove(&order);
            }
            Observation::Answered { order, outcome } => {
                self.unanswered.remove(&order);
                self.answers.insert(order, outcome.clone());
            }
            Observation::Began { run, order, within, members } => {
                let until_ns = now_ns + within.as_nanos() as u64 + GRACE_NS;
                self.running.insert((until_ns, run));
                let (targets, written) = (BTreeMap::new(), BTreeSet::new());
                let state =
                    RunState { order, began_ns: now_ns, until_ns, ended: false, members, targets, written };
                self.runs.insert(run, state);
            }
            Observation::Ready { run, node, targets } => {
                let known = self.runs.get_mut(&run).and_then(|run| run.targets.insert(node.clone(), targets));
                if known.is_some() {
                    self.violate(Oracle::Orders, format!("{node} answered twice"));
                }
            }
            Observation::Collected { run } => {
                let Some(state) = self.runs.get_mut(&run) else { return };
                self.running.remove(&(state.until_ns, run));
                state.until_ns = now_ns + FINISH_WITHIN.as_nanos() as u64 + GRACE_NS;
                self.running.insert((state.until_ns, run));
            }
            Observation::Ended { run, outcome } => self.ended(run, outcome),
            Observation::Captured { capture, order, key, rows, values, frozen_at_ns } => {
                self.captures.insert(capture, Captured { order, key, rows, values, frozen_at_ns });
            }
            Observation::Written { run, key } => {
                self.runs.get_mut(&run).map(|run| run.written.insert(key));
            }
            Observation::Named { run, file } => self.named(run, file),
            Observation::MayHaveStayed { order } => {
                self.may_have_stayed.insert(order);
            }
            Observation::Frozen { freeze, budget_ns } => {
                self.frozen.insert(freeze, now_ns + budget_ns);
                self.frozen_until.insert((now_ns + budget_ns, freeze));
            }
            Observation::Resumed { freeze } => {
                if let Some(until) = self.frozen.remove(&freeze) {
                    self.frozen_until.remove(&(until, freeze));
                }
            }
            Observation::Admitted { session, name } => {
                self.sessions.insert(session, name.to_owned());
                let sessions = self.registered.entry(name.to_owned()).or_default();
                sessions.insert(session);
                if sessions.len() > 1 {
                    self.twice.insert(name.to_owned());
                }
            }
            Observation::Closed { session } => {
                let Some(name) = self.sessions.remove(&session) else { return };
                let sessions = self.registered.entry(name.clone()).or_default();
                sessions.remove(&session);
                if sessions.len() < 2 {
                    self.twice.remove(&name);
                }
            }
            Observation::Waiting { orders } => self.bound("orders wait", orders, ORDERS_WAITING_MAX),
            Observation::Loading { streams } => {
                self.bound("streams are handed to the writer", streams, SENDERS_MAX)
            }
            Observation::NodeOrders { orders } => {
                self.bound("orders are held by a node", orders, ORDERS_PER_NODE_MAX)
            }
        }
    }

    fn bound(&mut self, what: &str, count: usize, limit: usize) {
        if count > limit {
            self.violate(Oracle::Bounds, format!("{count} {what}, more than {limit}"));
        }
    }

    fn ended(&mut self, run: Run, outcome: &Outcome) {
        let Some(state) = self.runs.get_mut(&run) else { return };
        self.running.remove(&(state.until_ns, run));
        if std::mem::replace(&mut state.ended, true) {
            self.violate(Oracle::Orders, format!("run {run} ended twice"));
        }
        if let Outcome::Failed { reason, .. } = outcome
            && reason.is_empty()
        {
            self.violate(Oracle::Orders, format!("run {run} failed without a reason"));
        }
    }

    /// The coordinator is gone: its runs never end, and its sessions are no more.
    pub fn coordinator_crashed(&mut self) {
        self.running.clear();
        self.sessions.clear();
        self.registered.clear();
        self.twice.clear();
    }

    /// After every event.
    pub fn check(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
        if let Some((until, freeze)) = self.frozen_until.first()
            && *until < now_ns
        {
            let what = format!("freeze {freeze} lasts {} ns longer than its budget", now_ns - until);
            self.violate(Oracle::Freezes, what);
        }
        if let Some((until, run)) = self.running.first()
            && *until < now_ns
        {
            self.violate(Oracle::Orders, format!("run {run} has not ended in time"));
        }
        if let Some(name) = self.twice.first() {
            self.violate(Oracle::Registrations, format!("{name} is registered twice"));
        }
    }

    fn named(&mut self, run: Run, file: &File) {
        let mut found: Vec<(Oracle, String)> = Vec::new();
        let mut wrong = |oracle, what: String| found.push((oracle, what));
        let Some(state) = self.runs.get(&run) else { return };
        if !file.is_whole {
            wrong(Oracle::Files, "a half file has got its name".to_owned());
        }
        for (key, rows) in &file.rows {
            let number = rows.first().map(|(capture, _)| *capture);
            let Some(captured) = number.and_then(|number| self.captures.get(&number)) else {
                wrong(Oracle::Files, format!("{key:?} has no rows of a result that was sent"));
                continue;
            };
            let sent = (0..captured.rows).map(|row| (number.unwrap_or_default(), row));
            if !rows.iter().copied().eq(sent) {
                wrong(Oracle::Files, format!("{key:?} has {} rows that are not those sent", rows.len()));
            }
            let values = file.values.get(key).map_or(&[][..], Vec::as_slice);
            let sent = (0..captured.values).map(|value| (number.unwrap_or_default(), value));
            if !values.iter().copied().eq(sent) {
                let what =
                    format!("{key:?} has {} values, and not the {} asked for", values.len(), captured.values);
                wrong(Oracle::Files, what);
            }
            if captured.order != state.order || captured.key != *key {
                wrong(Oracle::Files, format!("{key:?} has rows of {:?}", captured.key));
            }
            if captured.frozen_at_ns < state.began_ns {
                wrong(Oracle::Files, format!("{key:?} was frozen before the order began"));
            }
            if file.lost_targets.iter().any(|(lost, _)| lost == key) {
                wrong(Oracle::Files, format!("{key:?} is there, and is said to be missing"));
            }
        }
        if file.links != links::expected(file.rows.len()) {
            wrong(Oracle::Files, format!("{} targets are linked as {:?}", file.rows.len(), file.links));
        }
        for key in file.values.keys().filter(|key| !file.rows.contains_key(*key)) {
            wrong(Oracle::Files, format!("{key:?} has values of no result"));
        }
        for key in state.written.iter().filter(|key| !file.rows.contains_key(*key)) {
            wrong(Oracle::Files, format!("{key:?} was written, and is not there"));
        }
        let lost: BTreeSet<&TargetKey> = file.lost_targets.iter().map(|(key, _)| key).collect();
        let lost_nodes: BTreeSet<&String> = file.lost_nodes.iter().map(|(node, _)| node).collect();
        if lost.len() < file.lost_targets.len() || lost_nodes.len() < file.lost_nodes.len() {
            wrong(Oracle::Files, "something is said to be missing twice".to_owned());
        }
        let reasons = file.lost_targets.iter().map(|(_, reason)| reason);
        if reasons.chain(file.lost_nodes.iter().map(|(_, reason)| reason)).any(String::is_empty) {
            wrong(Oracle::Orders, "something is missing without a reason".to_owned());
        }
        for node in &state.members {
            let in_file = file.rows.keys().chain(lost.iter().copied()).filter(|(of, _)| of == node).count();
            match state.targets.get(node) {
                Some(targets) if *targets == in_file && file.hosts.contains(node) => {}
                Some(targets) => {
                    let what = format!("{node} has {targets} targets, of which the file knows {in_file}");
                    wrong(Oracle::Orders, what);
                }
                None if lost_nodes.contains(node) => {}
                None => wrong(Oracle::Orders, format!("{node} is missing without a reason")),
            }
        }
        let missing = !(lost.is_empty() && lost_nodes.is_empty());
        if file.is_complete == missing {
            wrong(Oracle::Files, format!("the file says complete = {}, which is not so", file.is_complete));
        }
        self.violations.extend(found.into_iter().map(|(oracle, what)| Violation { oracle, what }));
    }

    /// The world had time to become quiet.
    pub fn check_end(&mut self, end: &End) {
        for order in std::mem::take(&mut self.unanswered) {
            self.violate(Oracle::Orders, format!("order {order} was never answered"));
        }
        for name in &end.live {
            let sessions = self.registered.get(name).map_or(0, BTreeSet::len);
            if sessions != 1 {
                self.violate(Oracle::Registrations, format!("{name} has {sessions} registrations"));
            }
        }
        for (name, count) in &end.held {
            self.violate(Oracle::Bounds, format!("{name} still holds {count} orders that nobody waits for"));
        }
        if end.half_files > 0 {
            self.violate(Oracle::Files, format!("{} half files are left", end.half_files));
        }
        for (order, outcome) in std::mem::take(&mut self.answers) {
            match (&outcome, end.files.get(&order)) {
                (Outcome::Committed { goroutines, complete, .. }, Some(file)) => {
                    if *goroutines != file.goroutines() || *complete != file.is_complete || !file.is_whole {
                        let what = format!("the file of order {order} is not the one that was promised");
                        self.violate(Oracle::Files, what);
                    }
                }
                (Outcome::Committed { .. }, None) => {
                    self.violate(
                        Oracle::Files,
                        format!("the file of order {order} was promised and is not there"),
                    );
                }
                (Outcome::Failed { .. }, Some(_)) if !self.may_have_stayed.contains(&order) => {
                    self.violate(Oracle::Files, format!("order {order} failed, and there is a file"));
                }
                (Outcome::Failed { .. }, _) => {}
            }
            self.answers.insert(order, outcome);
        }
        for (order, file) in end.files.iter().filter(|(_, file)| !file.is_whole) {
            self.violate(
                Oracle::Files,
                format!("order {order} has a half file of {} rows", file.goroutines()),
            );
        }
    }
}
