//! One seed, many seeds, and the smallest plan that still fails; of either tier.

use std::collections::BTreeMap;
use std::fmt::Debug;

use stillframe_actors::order::Outcome;

use crate::log::{LAST_LINES, Log};
use crate::oracle::{Oracle, Oracles, Violation};

/// A plan that can be run, in the tier that it is of.
pub trait Runs: Clone + Debug {
    /// What `--tier` calls it.
    const TIER: &'static str;
    /// How many seeds are run between two signs of life.
    const PROGRESS_EVERY: u64;
    /// A defect to put into the world; its default is none.
    type Planted: Copy + Default + Debug;

    fn of_seed(seed: u64) -> Self;
    fn seed(&self) -> u64;
    /// The report, and the log's last lines, as many as are to be kept.
    fn run(&self, planted: Self::Planted, keep: usize) -> (Report, Vec<String>);
    /// Faults and orders: what can be left out.
    fn parts(&self) -> usize;
    fn without(&self, part: usize) -> Self;
}

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
pub fn run<P: Runs>(plan: &P, planted: P::Planted) -> Report {
    plan.run(planted, LAST_LINES).0
}

/// Runs a plan once and gives all of its log.
pub fn run_with_log<P: Runs>(plan: &P, planted: P::Planted) -> (Report, Vec<String>) {
    plan.run(planted, usize::MAX)
}

/// Runs a plan twice: that both have the same log comes before everything else.
pub fn run_twice<P: Runs>(plan: &P, planted: P::Planted) -> Report {
    let (mut one, other) = (run(plan, planted), run(plan, planted));
    if (one.digest, one.log_lines) != (other.digest, other.log_lines) {
        let what = "the same seed gave two logs".to_owned();
        one.violation = Some(Violation { oracle: Oracle::Determinism, what });
    }
    one
}

impl Report {
    pub fn of(
        oracles: &Oracles,
        log: &Log,
        events: u64,
        virtual_ns: u64,
        faults: &BTreeMap<&'static str, u64>,
    ) -> Report {
        let mut outcomes = BTreeMap::new();
        for outcome in oracles.answers().values() {
            *outcomes.entry(kind(outcome)).or_default() += 1;
        }
        let violation = oracles.first_violation().cloned();
        let last_lines = match &violation {
            Some(_) => {
                let lines = log.kept().skip(log.kept().count().saturating_sub(LAST_LINES));
                lines.map(str::to_owned).collect()
            }
            None => Vec::new(),
        };
        Report {
            violation,
            events,
            virtual_ns,
            digest: log.digest(),
            log_lines: log.lines(),
            outcomes,
            faults: faults.clone(),
            last_lines,
        }
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
pub fn shrink<P: Runs>(plan: &P, planted: P::Planted, oracle: Oracle) -> P {
    let fails = |plan: &P| {
        let report =
            if oracle == Oracle::Determinism { run_twice(plan, planted) } else { run(plan, planted) };
        report.violation.is_some_and(|violation| violation.oracle == oracle)
    };
    let mut smallest = plan.clone();
    loop {
        let before = smallest.parts();
        for part in (0..before).rev() {
            let smaller = smallest.without(part);
            if fails(&smaller) {
                smallest = smaller;
            }
        }
        if smallest.parts() == before {
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
