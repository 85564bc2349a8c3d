//! When goroutines were started, by their ids: which of them there were at which time.
//!
//! The history has a bound. What is left out of it makes bounds wider, and never wrong; so of two readings that are about
//! as long ago, one goes.
//!
//! An id is no goroutine's age where it was not given by a `go` statement: those of threads of C have one before they
//! call into Go (`oneNewExtraM`). And up to Go 1.23 a new goroutine's record shows, for some instructions, the id of the
//! one that had the record before (`newproc1`). The caller knows which goroutines these are.

use super::Bounds;
use super::goids::{self, BATCH, Pass};
use crate::memory::Memory;
use crate::runtime::Runtime;

/// Readings that are kept.
const READINGS_MAX: usize = 1024;
/// Of all readings: ranges of ids.
const RANGES_MAX: usize = 16 << 10;

/// Which ids there were goroutines of, and which not.
#[derive(Clone, Debug)]
struct Reading {
    /// It was read between these times.
    began: i64,
    ended: i64,
    /// Of no id above this.
    taken: u64,
    /// Of none of these, in order.
    left: Vec<std::ops::Range<u64>>,
    /// Of all others up to this one.
    sure: u64,
    /// And of these above it.
    used: Vec<std::ops::Range<u64>>,
}

impl Reading {
    fn is_unborn(&self, goid: u64) -> bool {
        goid > self.taken || is_in(&self.left, goid)
    }

    fn is_born(&self, goid: u64) -> bool {
        !self.is_unborn(goid) && (goid <= self.sure || is_in(&self.used, goid))
    }

    fn says_the_same(&self, other: &Reading) -> bool {
        (self.taken, self.sure) == (other.taken, other.sure)
            && self.left == other.left
            && self.used == other.used
    }

    fn ranges(&self) -> usize {
        self.left.len() + self.used.len()
    }
}

fn is_in(ranges: &[std::ops::Range<u64>], goid: u64) -> bool {
    let at = ranges.partition_point(|range| range.end <= goid);
    ranges.get(at).is_some_and(|range| range.contains(&goid))
}

/// A processor that may be taking ids: while it does, it turns to no other goroutine, and what it had ends where it ended.
type Suspect = (usize, u32, u64);

/// What is known of one process.
#[derive(Debug, Default)]
pub struct Births {
    readings: Vec<Reading>,
    suspects: Vec<Suspect>,
}

impl Births {
    /// Whether a runtime says which ids are given out; if not, why not.
    pub fn check(runtime: &Runtime<'_>) -> Result<(), &'static str> {
        let variables = &runtime.build.variables;
        match (variables.sched, variables.allp, &runtime.build.layouts.goids) {
            (Some(_), Some(_), Some(_)) => Ok(()),
            (_, _, None) => Err("the layout of its scheduler is not known"),
            _ => Err(
                "where its scheduler is, only a symbol table or debug information says, and it has neither",
            ),
        }
    }

    /// Looks at a process that runs. Whether what was read makes sense.
    pub fn look(&mut self, runtime: &Runtime<'_>, memory: &dyn Memory, clock: &dyn Fn() -> i64) -> bool {
        let began = clock();
        let Some(first) = goids::read(runtime, memory) else { return false };
        let Some(second) = goids::read(runtime, memory) else { return false };
        self.add(&first, &second, began, clock())
    }

    /// Two passes that were made between these times. What the first one says counts; the second one shows where a processor
    /// was read while it changed.
    pub(super) fn add(&mut self, first: &Pass, second: &Pass, began: i64, ended: i64) -> bool {
        let mut both = first.processors.iter().zip(&second.processors);
        let torn = both.any(|(before, now)| !now.follows(before));
        let before = self.readings.last();
        let backwards = before.is_some_and(|before| before.taken > first.taken || before.ended > began);
        if torn || backwards || first.taken > second.taken || began > ended {
            return false;
        }
        let mut left: Vec<_> =
            first.processors.iter().map(|p| p.left()).filter(|left| !left.is_empty()).collect();
        left.sort_unstable_by_key(|left| left.start);
        if left.windows(2).any(|two| two[0].end > two[1].start)
            || left.iter().any(|l| l.end - l.start > BATCH)
        {
            return false;
        }
        let taking = first.processors.iter().enumerate().filter(|(_, p)| p.may_be_taking());
        let suspects: Vec<Suspect> = taking.map(|(number, p)| (number, p.tick, p.end)).collect();
        let sure = match before {
            _ if suspects.is_empty() => first.taken,
            None => 0,
            // It would have been taking them at the last reading, too.
            Some(before) if suspects.iter().all(|one| !self.suspects.contains(one)) => before.taken,
            Some(before) => before.sure,
        };
        let mut used: Vec<_> = left.iter().map(|left| left.end.saturating_sub(BATCH)..left.start).collect();
        used.retain(|used| !used.is_empty() && used.end > sure);
        self.suspects = suspects;
        self.keep(Reading { began, ended, taken: first.taken, left, sure, used });
        true
    }

    fn keep(&mut self, reading: Reading) {
        let readings = &mut self.readings;
        if let [.., one, two] = &readings[..]
            && one.says_the_same(two)
            && two.says_the_same(&reading)
        {
            readings.pop();
        }
        let now = reading.ended;
        readings.push(reading);
        let mut ranges: usize = readings.iter().map(Reading::ranges).sum();
        while readings.len() > 3 && (readings.len() > READINGS_MAX || ranges > RANGES_MAX) {
            // The first one says what was there before, and the last one what there is.
            let without = |at: &usize| {
                let (gap, age) =
                    (readings[at + 1].ended - readings[at - 1].began, now - readings[at + 1].began);
                gap as f64 / (age as f64).max(1.0)
            };
            let last = readings.len() - 1;
            let Some(least) = (1..last).min_by(|one, other| without(one).total_cmp(&without(other))) else {
                break;
            };
            ranges -= readings.remove(least).ranges();
        }
    }

    /// When the goroutine with this id was started.
    pub fn bounds(&self, goid: u64) -> Bounds {
        let readings = &self.readings;
        let unborn = readings.partition_point(|reading| reading.is_unborn(goid));
        let after = unborn.checked_sub(1).map(|last| readings[last].began);
        let born = readings.partition_point(|reading| !reading.is_born(goid));
        let before = readings.get(born).filter(|first| first.is_born(goid)).map(|first| first.ended);
        Bounds { after, before }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.readings.len()
    }
}
