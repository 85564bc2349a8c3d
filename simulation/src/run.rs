//! One seed, many seeds, and the smallest plan that still fails.

use std::collections::BTreeMap;

use stillframe_actors::order::Outcome;

use crate::log::LAST_LINES;
use crate::machines::{Planted, World};
use crate::oracle::{Oracle, Violation};
use crate::plan::Plan;

/// What became of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub violation: Option<Violation>,
    pub events: u64,
    pub virtual_ns: u64,
    /// Of the log: two runs of one plan have the same.
    pub digest: u64,
    pub log_lines: u64,
    pub outcomes: BTreeMap<&'static str, u64>,
    pub faults: BTreeMap<&'static str, u64>,
    /// The log's last lines, if something is wrong.
    pub last_lines: Vec<String>,
}

/// Runs a plan once.
pub fn run(plan: &Plan, planted: Planted) -> Report {
    let mut world = World::new(plan, planted, LAST_LINES);
    world.run();
    report(&world)
}

/// Runs a plan once and gives all of its log.
pub fn run_with_log(plan: &Plan, planted: Planted) -> (Report, Vec<String>) {
    let mut world = World::new(plan, planted, usize::MAX);
    world.run();
    let log = world.log.kept().map(str::to_owned).collect();
    (report(&world), log)
}

/// Runs a plan twice: that both have the same log comes before everything else.
pub fn run_twice(plan: &Plan, planted: Planted) -> Report {
    let (mut one, other) = (run(plan, planted), run(plan, planted));
    if (one.digest, one.log_lines) != (other.digest, other.log_lines) {
        let what = "the same seed gave two logs".to_owned();
        one.violation = Some(Violation { oracle: Oracle::Determinism, what });
    }
    one
}

fn report(world: &World) -> Report {
    let mut outcomes = BTreeMap::new();
    for outcome in world.oracles.answers().values() {
        *outcomes.entry(kind(outcome)).or_default() += 1;
    }
    let violation = world.oracles.first_violation().cloned();
    let last_lines = match &violation {
        Some(_) => {
            let lines = world.log.kept().skip(world.log.kept().count().saturating_sub(LAST_LINES));
            lines.map(str::to_owned).collect()
        }
        None => Vec::new(),
    };
    Report {
        violation,
        events: world.events,
        virtual_ns: world.now_ns(),
        digest: world.log.digest(),
        log_lines: world.log.lines(),
        outcomes,
        faults: world.faults_by_kind.clone(),
        last_lines,
    }
}

fn kind(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Committed { complete: true, .. } => "complete",
        Outcome::Committed { complete: false, .. } => "partial",
        Outcome::Failed { .. } => "failed",
    }
}

/// Drops faults and orders one by one for as long as the same oracle fails.
pub fn shrink(plan: &Plan, planted: Planted, oracle: Oracle) -> Plan {
    let fails = |plan: &Plan| {
        let report =
            if oracle == Oracle::Determinism { run_twice(plan, planted) } else { run(plan, planted) };
        report.violation.is_some_and(|violation| violation.oracle == oracle)
    };
    let mut smallest = plan.clone();
    loop {
        let before = (smallest.faults.len(), smallest.asks.len());
        for i in (0..smallest.faults.len()).rev() {
            let mut smaller = smallest.clone();
            smaller.faults.remove(i);
            if fails(&smaller) {
                smallest = smaller;
            }
        }
        for i in (0..smallest.asks.len()).rev() {
            let mut smaller = smallest.clone();
            smaller.asks.remove(i);
            if fails(&smaller) {
                smallest = smaller;
            }
        }
        if (smallest.faults.len(), smallest.asks.len()) == before {
            return smallest;
        }
    }
}

/// Of many runs.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub seeds: u64,
    pub events: u64,
    pub virtual_ns: u64,
    pub outcomes: BTreeMap<&'static str, u64>,
    pub faults: BTreeMap<&'static str, u64>,
}

impl Summary {
    pub fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.events += report.events;
        self.virtual_ns += report.virtual_ns;
        for (kind, count) in &report.outcomes {
            *self.outcomes.entry(kind).or_default() += count;
        }
        for (kind, count) in &report.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}
