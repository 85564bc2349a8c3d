//! Since when: what whoever looks at a process again and again, and never stops it, can say of its goroutines' ages.
//!
//! The runtime hardly knows. `g.waitsince` is the beginning of the collection that met the goroutine blocked, and nothing
//! is noted of a goroutine's start. But ids are given out in order (`births`, `goids`), and a record that stays the same
//! is of one park (`parks`, by the rules of `precopy/parked.rs`). Both give bounds: not before this time, not after that.
//!
//! Times come from a clock that the caller gives, and are its: CLOCK_MONOTONIC, so that they can be compared with that of
//! a freeze.
//!
//! Not here: when a process is looked at, and what that may cost.

mod births;
mod goids;
mod parks;
#[cfg(test)]
mod tests;

use std::hash::Hasher;

use rustc_hash::FxHasher;

use crate::bytes::{u8_at, u32_at, u64_at};
use crate::memory::Memory;
use crate::precopy::outline::Outline;
use crate::precopy::parked::{Parked, Rules};
use crate::records::{STATUS_SCAN, Status};
use crate::runtime::Runtime;

pub use births::Births;
pub use parks::Parks;

/// When something began, in nanoseconds: not before `after`, not after `before`. `None`: that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    pub after: Option<i64>,
    pub before: Option<i64>,
}

impl Bounds {
    pub fn is_unknown(&self) -> bool {
        *self == Bounds::default()
    }
}

/// A goroutine's park, as its record tells: two that are equal are most likely the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Park {
    /// Where the record is.
    pub address: u64,
    pub(crate) version: Version,
    /// Of all fields that the rules compare.
    pub(crate) print: u64,
    pub(crate) wait_since: u64,
}

/// What changes when a goroutine runs, and at no other time: its id, for a record is used again, and the counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// The lower half.
    pub(crate) goid: u32,
    pub(crate) tracking_seq: u8,
}

/// What one look at a record has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Parked(Park),
    /// It is in no park: it runs, will run, is in a system call, or there is no goroutine.
    Elsewhere,
    /// Neither is sure.
    Unknown,
}

/// How records are looked at.
pub struct Looker<'a> {
    parked: Parked<'a>,
}

impl<'a> Looker<'a> {
    pub fn new(runtime: &'a Runtime<'a>) -> Self {
        Looker::of(Outline::of(runtime))
    }

    pub(crate) fn of(outline: Outline<'a>) -> Self {
        Looker { parked: Parked::new(outline, Rules::ALL) }
    }

    /// The list of goroutines: its length, and where it is.
    pub(crate) fn list(&self, memory: &dyn Memory) -> Option<(u64, u64)> {
        let outline = &self.parked.outline;
        // In this order: the array of a later time has at least as many elements.
        let count = memory.read_u64(outline.allglen).ok()?;
        Some((count, memory.read_u64(outline.allgptr).ok()?))
    }

    pub(crate) fn record_size(&self) -> usize {
        self.parked.outline.layouts.g.size
    }

    /// `g` is the whole record.
    pub(crate) fn look(&self, address: u64, g: &[u8]) -> Look {
        if let Some(park) = self.park(address, g) {
            return Look::Parked(park);
        }
        let status = u32_at(g, self.parked.outline.layouts.g.atomicstatus);
        match status.map(|status| Status::of(status & !STATUS_SCAN)) {
            Some(
                Status::Idle
                | Status::Runnable
                | Status::Running
                | Status::Syscall
                | Status::Dead
                | Status::DeadExtra,
            ) => Look::Elsewhere,
            _ => Look::Unknown,
        }
    }

    /// `None`: it is in no park that can be told from another one.
    pub(crate) fn park(&self, address: u64, g: &[u8]) -> Option<Park> {
        if !self.parked.is_parked(g) {
            return None;
        }
        let of_g = &self.parked.outline.layouts.g;
        let mut hasher = FxHasher::default();
        for &(at, length) in self.parked.fields() {
            let word = match length {
                1 => u64::from(u8_at(g, at)?),
                _ => u64_at(g, at)?,
            };
            hasher.write_u64(word);
        }
        Some(Park {
            address,
            version: Version {
                goid: u64_at(g, of_g.goid)? as u32,
                tracking_seq: u8_at(g, of_g.tracking_seq)?,
            },
            print: hasher.finish(),
            wait_since: u64_at(g, of_g.waitsince)?,
        })
    }
}

impl Park {
    /// As [`Parked::is_same`]: the collector may have met it meanwhile.
    pub(crate) fn is_same_as(&self, later: &Park) -> bool {
        self.address == later.address
            && self.version == later.version
            && self.print == later.print
            && (self.wait_since == 0 || self.wait_since == later.wait_since)
    }
}
