//! Since when goroutines are blocked: their records, looked at again and again.
//!
//! A record that was the same in several looks is *likely* of one park. That it is not: it ran 256 times, or twice or more
//! as often, between each two of them, and was parked again at the very same place each time (`precopy/parked.rs`). So the
//! time before which it parked is told after three looks, which are not to be made in equal intervals. The time after
//! which it parked is sure: it was seen in another park, or in none.
//!
//! The parts of a record are read in their order: the thread, then the status, then the counter. One that has no thread
//! and is parked has counted that park.
//
// @go source runtime.casgstatus
// @go source runtime.park_m
// @go source runtime.gcResetMarkState

use super::{Bounds, Look, Looker, Park, Version};
use crate::bytes::u64_at;
use crate::gatherer::neighbours;
use crate::memory::{Memory, Range};

/// Goroutines of one process that are looked at: 48 bytes are kept of each.
pub const WATCHED_MAX: usize = 256 << 10;
/// Looks that must have seen a park before it is taken for one and the same.
const LOOKS_MIN: u16 = 3;

/// That are read at once: they stay in a processor's cache, and whoever reads holds no more memory for it.
const READ_BYTES: usize = 256 << 10;

/// One record.
#[derive(Clone, Copy, Debug)]
struct Entry {
    address: u64,
    /// Of the park that it was last seen in.
    print: u64,
    wait_since: u64,
    /// The end of the look that saw that park first.
    before: i64,
    /// The park began after this.
    after: i64,
    version: Version,
    /// Looks that have seen it.
    looks: u16,
    seen: Seen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Parked,
    Elsewhere,
    Unknown,
}

/// As long ago as nothing is.
const NEVER: i64 = i64::MIN;

/// What is known of one process.
#[derive(Debug, Default)]
pub struct Parks {
    /// By address.
    entries: Vec<Entry>,
    /// Elements of `allgs` that are in it.
    known: u64,
    /// When the last look began; `None`: there was none.
    last: Option<i64>,
    /// It was at all of them.
    whole: bool,
}

impl Parks {
    /// Looks at all records of a process that runs. Whether its list of goroutines could be read.
    pub fn look(&mut self, looker: &Looker<'_>, memory: &dyn Memory, clock: &dyn Fn() -> i64) -> bool {
        let began = clock();
        let Some(whole) = self.meet(looker, memory) else { return false };
        let size = looker.record_size();
        let addresses: Vec<u64> = self.entries.iter().map(|entry| entry.address).collect();
        let ranges = neighbours(&addresses, size);
        let last = self.last.replace(began);
        let (mut next, mut looks) = (0, Vec::new());
        for ranges in ranges.chunk_by(some_at_once()) {
            let first = next;
            looks.clear();
            memory.read_each(ranges, &mut |number, bytes| {
                let range = ranges[number];
                let end = range.address + (range.length - size) as u64;
                while let Some(&address) = addresses.get(next).filter(|&&address| address <= end) {
                    next += 1;
                    // Where no record can be, it belongs to no range.
                    let skip = address.checked_sub(range.address).map(|skip| skip as usize);
                    let g = bytes.zip(skip).map(|(bytes, skip)| &bytes[skip..skip + size]);
                    looks.push(g.map_or(Look::Unknown, |g| looker.look(address, g)));
                }
            });
            self.see(first, looks.iter().copied(), last, clock());
        }
        // Those behind the last range.
        let left = self.entries.len() - next;
        self.see(next, std::iter::repeat_n(Look::Unknown, left), last, began);
        self.whole = whole;
        true
    }

    /// New ones of the list. It only grows, and its elements do not change (`allgadd`). Whether there is room for all.
    fn meet(&mut self, looker: &Looker<'_>, memory: &dyn Memory) -> Option<bool> {
        let (count, array) = looker.list(memory)?;
        let wanted = count.min(WATCHED_MAX as u64);
        if let Some(more) = wanted.checked_sub(self.known).filter(|more| *more > 0) {
            let from = array.wrapping_add(8 * self.known);
            let pointers = memory.read_bytes(from, 8 * more as usize).ok()?;
            self.insert(pointers.chunks_exact(8).filter_map(|word| u64_at(word, 0)));
            self.known = wanted;
        }
        Some(wanted == count)
    }

    pub(super) fn insert(&mut self, addresses: impl Iterator<Item = u64>) {
        let last = self.last;
        self.entries.extend(addresses.map(|address| Entry {
            address,
            print: 0,
            wait_since: 0,
            before: NEVER,
            after: NEVER,
            version: Version { goid: 0, tracking_seq: 0 },
            looks: 0,
            // Its record was not in the list when the last look began.
            seen: if last.is_some() { Seen::Elsewhere } else { Seen::Unknown },
        }));
        self.entries.sort_by_key(|entry| entry.address);
        self.entries.dedup_by_key(|entry| entry.address);
    }

    /// What a look that was made between these times has seen of each record, by address.
    #[cfg(test)]
    pub(super) fn add(&mut self, looks: impl Iterator<Item = Look>, began: i64, ended: i64) {
        let last = self.last.replace(began);
        self.see(0, looks, last, ended);
    }

    /// What the records from the `first` one on looked like, at `ended` at the latest. `last`: when the look before began.
    fn see(&mut self, first: usize, looks: impl Iterator<Item = Look>, last: Option<i64>, ended: i64) {
        for (entry, look) in self.entries[first..].iter_mut().zip(looks) {
            let Look::Parked(park) = look else {
                entry.looks = 0;
                match look {
                    Look::Elsewhere => entry.seen = Seen::Elsewhere,
                    // Whatever it is in now began when the last one did, or later.
                    _ => (entry.after, entry.seen) = (entry.after(None, last), Seen::Unknown),
                }
                continue;
            };
            entry.after = entry.after(Some(&park), last);
            if entry.is_in(&park) {
                entry.looks = entry.looks.saturating_add(1);
            } else {
                (entry.before, entry.looks) = (ended, 1);
            }
            (entry.print, entry.wait_since, entry.version) = (park.print, park.wait_since, park.version);
            entry.seen = Seen::Parked;
        }
    }

    /// When a goroutine parked that is in this park now.
    pub fn bounds(&self, park: &Park) -> Bounds {
        let some = |time: i64| (time != NEVER).then_some(time);
        let Ok(at) = self.entries.binary_search_by_key(&park.address, |entry| entry.address) else {
            // Its record was not in the list when the last look began, if that had all of them.
            return Bounds { after: self.last.filter(|_| self.whole), before: None };
        };
        let entry = &self.entries[at];
        let is_sure = entry.is_in(park) && entry.looks >= LOOKS_MIN;
        Bounds {
            after: some(entry.after(Some(park), self.last)),
            before: some(entry.before).filter(|_| is_sure),
        }
    }

    /// Goroutines, dead ones included, that are looked at.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Whether another range still is for the same read.
fn some_at_once() -> impl FnMut(&Range, &Range) -> bool {
    let mut bytes = 0;
    move |before, _| {
        bytes += before.length;
        let more = bytes < READ_BYTES;
        bytes = if more { bytes } else { 0 };
        more
    }
}

impl Entry {
    fn is_in(&self, park: &Park) -> bool {
        let before = Park {
            address: self.address,
            version: self.version,
            print: self.print,
            wait_since: self.wait_since,
        };
        self.seen == Seen::Parked && before.is_same_as(park)
    }

    /// The park that it is in at a later time began after this. `last`: when the look began that saw what this says.
    fn after(&self, park: Option<&Park>, last: Option<i64>) -> i64 {
        let has_run = match self.seen {
            Seen::Elsewhere => true,
            Seen::Parked => park.is_some_and(|park| park.version != self.version),
            Seen::Unknown => false,
        };
        // It is the park that was known, or a later one.
        if has_run { last.unwrap_or(NEVER).max(self.after) } else { self.after }
    }
}
