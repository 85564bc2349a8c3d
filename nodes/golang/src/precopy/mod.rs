//! What is copied of a process while it runs, so that it need not be read while it stands still: the stacks of parked
//! goroutines.
//!
//! The records of all goroutines are read before the stacks are, and again and again after it, the last time when the
//! process stands still: a stack is used only if every one of these reads shows the same park of the same goroutine
//! (`parked.rs`). Everything else, the records themselves too, is of the freeze.
//!
//! What does change in a parked stack are the slots that it receives into (`receiving.rs`). They are looked up before the
//! stack is copied: one that has been written by then was not a slot any more, and all others are never believed.
//!
//! `allgs` only grows, and its elements never change (`allgadd`, runtime/proc.go); the whole list is compared all the
//! same, for it was read while it may have been moved.
//!
//! Whatever there is no room or no time for is read while the process stands still, as far as the budget goes.
//
// @go source runtime.allgadd

mod known;
#[cfg(test)]
mod model;
pub(crate) mod outline;
pub(crate) mod parked;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use rustc_hash::FxHashSet;

use crate::bytes::u64_at;
use crate::gather::stack_range;
use crate::gatherer::{Gatherer, Round, in_rounds, joined, sorted, spare};
use crate::layout::Layouts;
use crate::memory::{Memory, Range};
use crate::probing::{Probing, Standing};
use crate::receiving::{Slots, is_receiving, slots_of_many};
use crate::records::{GRecord, MRecord};
use crate::runtime::Runtime;
use crate::start::{lowest_saved, start};
use crate::unwind::StackBytes;
use crate::waits::{self, Settled, Waiting};

use known::Known;
use outline::Outline;
use parked::{Parked, Rules};

/// Of all stacks.
const STACKS_BYTES_MAX: usize = 1 << 30;
/// Of all records: those of the goroutines behind that in the list are not looked at.
const RECORDS_BYTES_MAX: usize = 1 << 30;
/// Of what is read of `sudog`s and channels, and thrown away.
const SLOTS_BYTES_MAX: usize = 512 << 20;
/// Of the stacks of goroutines that are not parked, and thrown away: they only say what it is good to have looked up.
const OTHERS_BYTES_MAX: usize = 64 << 20;
/// Of records of what goroutines wait for.
const WAITS_BYTES_MAX: usize = 512 << 20;
/// Of room that is made before the freeze.
const SPARE_BYTES_MAX: usize = 256 << 20;
/// Records of threads that are looked for.
const THREADS_MAX: usize = 1024;
/// How often the records are read at least, after the stacks and before the freeze.
const CHECKS_MIN: u32 = 2;

/// A goroutine whose record is known.
#[derive(Clone, Copy, Default)]
struct Place {
    /// Round and range in `stacks`; `None`: its stack is not, or no longer, to be used.
    stack: Option<(u32, u32)>,
    /// Whether probes are about one of its frames, if that was looked at.
    probed: Option<bool>,
}

/// The copy.
pub struct Precopy<'a> {
    parked: Parked<'a>,
    /// Addresses where the runtime's records of its threads probably are. Whether they are right changes nothing but the
    /// number of rounds.
    pub(crate) threads: Vec<u64>,
    /// The beginning of `allgs`.
    goroutines: Vec<u64>,
    records: Known,
    /// By the records' numbers.
    places: Vec<Place>,
    stacks: Vec<Round>,
    /// Of goroutines that are receiving.
    slots: Slots,
    /// What has to be read in the freeze to tell what these goroutines wait for, and room for it.
    waits: Vec<Round>,
    /// What others wait for.
    settled: Settled,
    /// Labels and bubbles of goroutines whose stacks are here. They set them themselves, so that those that have not run
    /// since have the same.
    labels: HashSet<(u64, u64)>,
    /// Room for what is read in the freeze.
    spare: Vec<Vec<u8>>,
    /// How often the records were read since the stacks were.
    checks: u32,
    /// The records are of the freeze.
    verified: bool,
}

impl<'a> Precopy<'a> {
    /// Copies from a process that runs, for as long as `go_on` says yes. `None`: its list of goroutines cannot be read.
    pub fn take(runtime: &'a Runtime<'a>, memory: &dyn Memory, go_on: &dyn Fn() -> bool) -> Option<Self> {
        Precopy::of(Parked::new(Outline::of(runtime), Rules::ALL), memory, go_on)
    }

    fn of(parked: Parked<'a>, memory: &dyn Memory, go_on: &dyn Fn() -> bool) -> Option<Self> {
        let outline = &parked.outline;
        let size = outline.layouts.g.size;
        // In this order: the array of a later time has at least as many elements.
        let count = memory.read_u64(outline.allglen).ok()?.min((RECORDS_BYTES_MAX / size.max(1)) as u64);
        let array = memory.read_u64(outline.allgptr).ok()?;
        let pointers = memory.read_bytes(array, 8 * count as usize).ok()?;
        let goroutines: Vec<u64> = pointers.chunks_exact(8).map_while(|word| u64_at(word, 0)).collect();
        let threads = threads(outline, memory, go_on);
        let records = Known::new(sorted(&goroutines), size);
        let places = vec![Place::default(); records.len()];
        let (stacks, slots) = (Vec::new(), Slots::new());
        let mut copy = Precopy {
            parked,
            threads,
            goroutines,
            records,
            places,
            stacks,
            slots,
            waits: Vec::new(),
            settled: Settled::default(),
            labels: HashSet::new(),
            spare: Vec::new(),
            checks: 0,
            verified: false,
        };
        copy.records.read(memory, go_on, &mut |_, _, _| ());
        copy.copy_stacks(memory, go_on);
        copy.look_at_labels();
        Some(copy)
    }

    /// Reads the records again: stacks of goroutines that ran meanwhile are not used, and none whose record there is no time
    /// for. It is to be done at least twice: what ran 256 times between two reads may look as if it had not, but it
    /// hardly does so again and again.
    pub fn check(&mut self, memory: &dyn Memory, go_on: &dyn Fn() -> bool) {
        self.checks += 1;
        self.read_records(memory, go_on);
    }

    /// Goroutines whose stacks would be used, as far as it is known now.
    pub fn unchanged(&self) -> impl Iterator<Item = u64> {
        let goid = self.parked.outline.layouts.g.goid;
        let all = self.records.iter().filter(|(number, _, _)| self.places[*number].stack.is_some());
        all.filter_map(move |(_, _, record)| u64_at(record, goid))
    }

    /// Reads the records of a process that stands still. `goroutines`: `allgs`. How many of them, from the first on, are
    /// known; 0: this is the copy of other ones, or it was not checked.
    pub(crate) fn verify(&mut self, goroutines: &[u64], gatherer: &mut Gatherer<'_>) -> usize {
        if gatherer.cut || self.checks < CHECKS_MIN || !goroutines.starts_with(&self.goroutines) {
            return 0;
        }
        self.verified = true;
        gatherer.cut |= !self.read_records(gatherer.memory, gatherer.still);
        self.goroutines.len()
    }

    /// Whether there was time for all of them.
    fn read_records(&mut self, memory: &dyn Memory, go_on: &dyn Fn() -> bool) -> bool {
        let (places, parked, labels) = (&mut self.places, &self.parked, &mut self.labels);
        let layouts = parked.outline.layouts;
        self.records.read(memory, go_on, &mut |number, before, now| {
            let place = &mut places[number];
            if place.stack.is_none() {
                return;
            }
            let Some(now) = now.filter(|now| parked.is_same(before, now)) else {
                place.stack = None;
                return;
            };
            let these = labels_of(layouts, now);
            if these != labels_of(layouts, before) {
                labels.extend(these);
            }
        })
    }

    /// Copies the stacks of the goroutines that are parked, the small ones first.
    fn copy_stacks(&mut self, memory: &dyn Memory, go_on: &dyn Fn() -> bool) {
        let outline = &self.parked.outline;
        let (mut parked, mut receiving) = (Vec::new(), Vec::new());
        for (number, address, bytes) in self.records.iter() {
            let is_parked = || self.parked.is_parked(bytes);
            let Some(g) = GRecord::parse(address, bytes, outline.layouts) else { continue };
            if !g.status.is_alive() || g.sched_g != address || !is_parked() {
                continue;
            }
            let Some(sp) = lowest_saved(outline.architecture, &g) else { continue };
            let reason = outline.wait_reasons.get(usize::from(g.wait_reason)).map_or("", String::as_str);
            let receives = is_receiving(reason, g.waiting);
            receiving.extend(receives.then_some((number, g.waiting)));
            parked.push((number, stack_range(sp, g.stack_hi), receives));
        }
        let mut gatherer = Gatherer::new(memory, go_on).at_most(SLOTS_BYTES_MAX);
        self.slots = slots_of_many(outline.layouts, outline.minor, &receiving, &mut gatherer);
        parked.retain(|(number, _, receives)| !receives || self.slots.contains_key(number));
        self.slots.retain(|_, slots| !slots.is_empty());

        let mut wanted: Vec<(usize, Range)> =
            parked.into_iter().map(|(number, range, _)| (number, range)).collect();
        keep_small(&mut wanted, STACKS_BYTES_MAX);
        wanted.sort_unstable_by_key(|(_, range)| *range);
        let mut gatherer = Gatherer::new(memory, go_on).at_most(STACKS_BYTES_MAX);
        gatherer.rounds(wanted.iter().map(|(_, range)| *range).collect());
        self.stacks = gatherer.rounds;
        let mut numbers = wanted.into_iter().map(|(number, _)| number);
        for (round, read) in self.stacks.iter().enumerate() {
            for ((range, whole), number) in read.whole.iter().enumerate().zip(&mut numbers) {
                self.places[number].stack = whole.then_some((round as u32, range as u32));
            }
        }
    }

    /// Looks up where the records are of what goroutines wait for.
    pub fn look_up_waits(&mut self, runtime: &Runtime<'_>, memory: &dyn Memory, go_on: &dyn Fn() -> bool) {
        let waiting: Vec<Waiting<'_>> = self.standing(runtime, |_| true).map(|(_, s)| s.into()).collect();
        let mut gatherer = Gatherer::new(memory, go_on).at_most(WAITS_BYTES_MAX);
        let settled = Settled::read(runtime, &mut gatherer, waiting.iter());
        let waiting: Vec<Waiting<'_>> = waiting.into_iter().filter(|w| !settled.has(w.g.address)).collect();
        let mut gatherer = Gatherer::new(memory, go_on).at_most(WAITS_BYTES_MAX);
        waits::read(runtime, &mut gatherer, &waiting);
        let mut ranges: Vec<Range> = gatherer.rounds.into_iter().flat_map(|round| round.ranges).collect();
        ranges.sort_unstable();
        drop(waiting);
        self.waits = in_rounds(joined(ranges)).map(Round::new).collect();
        self.settled = settled;
        for Round { ranges, whole, bytes } in &mut self.waits {
            // Only so that the pages are there to which it is read in the freeze.
            memory.read_many(ranges, bytes, whole);
            if !go_on() {
                break;
            }
        }
    }

    /// Makes room for the stacks of goroutines that are not parked.
    pub fn make_room(&mut self) {
        let outline = &self.parked.outline;
        let length = |(number, address, bytes): (usize, u64, &[u8])| {
            let g = GRecord::parse(address, bytes, outline.layouts)
                .filter(|g| self.places[number].stack.is_none() && g.status.is_alive())?;
            let sp = lowest_saved(outline.architecture, &g).filter(|_| g.sched_g == address)?;
            Some(stack_range(sp, g.stack_hi).length)
        };
        let bytes = self.records.iter().filter_map(length).fold(0, usize::saturating_add);
        self.spare = spare(bytes.saturating_add(bytes / 8).min(SPARE_BYTES_MAX));
    }

    /// What [`Precopy::look_up_waits`] found, to be read again; once.
    pub(crate) fn take_waits(&mut self) -> Vec<Round> {
        if self.verified { std::mem::take(&mut self.waits) } else { Vec::new() }
    }

    /// What is known of what goroutines wait for whose stacks are unchanged; once.
    pub(crate) fn take_settled(&mut self) -> Settled {
        let mut settled = std::mem::take(&mut self.settled);
        let unchanged: FxHashSet<u64> = self.reused().map(|(address, _)| address).collect();
        settled.keep(|g| unchanged.contains(&g));
        settled
    }

    /// What [`Precopy::make_room`] made; once.
    pub(crate) fn take_room(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.spare)
    }

    fn look_at_labels(&mut self) {
        let layouts = self.parked.outline.layouts;
        // Mostly the same for all of them: a set is slow.
        let mut last = None;
        for (number, _, g) in self.records.iter() {
            let these = labels_of(layouts, g).filter(|_| self.places[number].stack.is_some());
            if these.is_some() && these != last {
                self.labels.extend(these);
                last = these;
            }
        }
    }

    /// Labels and bubbles of goroutines whose stacks are unchanged, and of others.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (u64, u64)> {
        self.verified.then(|| self.labels.iter().copied()).into_iter().flatten()
    }

    /// Looks up what is where goroutines stand, and notes whose frames probes are about. Does as much as there is time for.
    pub fn warm(
        &mut self,
        runtime: &Runtime<'_>,
        memory: &dyn Memory,
        probing: &mut Probing<'_>,
        go_on: &dyn Fn() -> bool,
    ) {
        let mut warmed = Vec::new();
        for (number, standing) in self.standing(runtime, |_| true) {
            warmed.push((number, probing.warm(standing)));
            if !go_on() {
                break;
            }
        }
        warmed.into_iter().for_each(|(number, probed)| self.places[number].probed = Some(probed));
        let layouts = &runtime.build.layouts;
        let other = |(number, address, bytes): (usize, u64, &[u8])| {
            let g = GRecord::parse(address, bytes, layouts)
                .filter(|g| self.places[number].stack.is_none() && g.status.is_alive())?;
            let sp = lowest_saved(runtime.architecture(), &g).filter(|_| g.sched_g == address)?;
            let range = stack_range(sp, g.stack_hi);
            Some((g, range))
        };
        let mut others: Vec<(GRecord, Range)> = self.records.iter().filter_map(other).collect();
        others.sort_unstable_by_key(|(_, range)| range.length);
        let mut gatherer = Gatherer::new(memory, go_on).at_most(OTHERS_BYTES_MAX);
        let rounds = gatherer.rounds(others.iter().map(|(_, range)| *range).collect());
        let stacks: HashMap<Range, &[u8]> = gatherer.read(rounds).collect();
        for (g, range) in others {
            let (Some(bytes), Ok(start)) = (stacks.get(&range), start(runtime, &g, None)) else { continue };
            if !go_on() {
                break;
            }
            let bytes = StackBytes { address: range.address, bytes };
            probing.warm(Standing { g, start, registers: None, bytes, slots: None });
        }
    }

    /// Goroutines whose stacks are here.
    fn standing(
        &self,
        runtime: &Runtime<'_>,
        wanted: impl Fn(&Place) -> bool,
    ) -> impl Iterator<Item = (usize, Standing<'_>)> {
        let starts: Vec<Vec<usize>> = self.stacks.iter().map(starts).collect();
        self.records.iter().filter_map(move |(number, address, bytes)| {
            let place = &self.places[number];
            let (round, range) = place.stack.filter(|_| wanted(place))?;
            let g = GRecord::parse(address, bytes, &runtime.build.layouts)?;
            let start = start(runtime, &g, None).ok()?;
            let from = starts[round as usize][range as usize];
            let round = &self.stacks[round as usize];
            let range = round.ranges[range as usize];
            let bytes = StackBytes { address: range.address, bytes: &round.bytes[from..from + range.length] };
            let slots = Some(self.slots.get(&number).cloned().unwrap_or_default());
            Some((number, Standing { g, start, registers: None, bytes, slots }))
        })
    }

    /// Goroutines whose stacks are unchanged, but for those whose frames no probe is about.
    pub(crate) fn probed(&self, runtime: &Runtime<'_>) -> impl Iterator<Item = Standing<'_>> {
        let wanted = |place: &Place| self.verified && place.probed != Some(false);
        self.standing(runtime, wanted).map(|(_, standing)| standing)
    }

    /// Records of goroutines, by address: of those whose stacks are here and unchanged, or of all others.
    pub(crate) fn records(&self, unchanged: bool) -> impl Iterator<Item = (u64, &[u8])> {
        let all = self.verified.then(|| self.records.iter()).into_iter().flatten();
        let wanted = move |number: usize| self.places[number].stack.is_some() == unchanged;
        all.filter(move |(number, _, _)| wanted(*number)).map(|(_, address, bytes)| (address, bytes))
    }

    /// Goroutines whose stacks are used, once the process stood still, by the address of their record; with the slots in
    /// these stacks that they receive into.
    pub(crate) fn reused(&self) -> impl Iterator<Item = (u64, Option<&Rc<[Range]>>)> {
        let all = self.verified.then(|| self.records.iter()).into_iter().flatten();
        all.filter(|(number, _, _)| self.places[*number].stack.is_some())
            .map(|(number, address, _)| (address, self.slots.get(&number)))
    }

    /// The records as they are in the freeze, and the stacks that had not changed by then.
    pub(crate) fn into_rounds(mut self) -> impl Iterator<Item = Round> {
        self.stacks.iter_mut().for_each(|round| round.whole.fill(false));
        for (round, range) in self.places.iter().filter_map(|place| place.stack) {
            self.stacks[round as usize].whole[range as usize] = true;
        }
        let rounds = self.records.into_rounds().chain(self.stacks);
        self.verified.then_some(rounds).into_iter().flatten()
    }
}

fn labels_of(layouts: &Layouts, g: &[u8]) -> Option<(u64, u64)> {
    let bubble = layouts.g.bubble.or(layouts.g.sync_group).map_or(Some(0), |at| u64_at(g, at));
    Some((u64_at(g, layouts.g.labels)?, bubble?))
}

/// Keeps the small ones, as many as have room.
fn keep_small(stacks: &mut Vec<(usize, Range)>, bytes_max: usize) {
    stacks.sort_unstable_by_key(|(_, range)| range.length);
    let mut total = 0usize;
    let fits = |(_, range): &&(usize, Range)| {
        total = total.saturating_add(range.length);
        total <= bytes_max
    };
    let fitting = stacks.iter().take_while(fits).count();
    stacks.truncate(fitting);
}

/// Where each range of a round begins.
fn starts(round: &Round) -> Vec<usize> {
    let mut at = 0;
    let start = |range: &Range| {
        at += range.length;
        at - range.length
    };
    round.ranges.iter().map(start).collect()
}

/// Where the records of the runtime's threads are: a list with links, a read for each.
fn threads(outline: &Outline<'_>, memory: &dyn Memory, go_on: &dyn Fn() -> bool) -> Vec<u64> {
    let mut found = Vec::new();
    let mut next = memory.read_u64(outline.allm).unwrap_or(0);
    while next != 0 && found.len() < THREADS_MAX && !found.contains(&next) && go_on() {
        found.push(next);
        let bytes = memory.read_bytes(next, outline.layouts.m.size).ok();
        next = bytes.and_then(|bytes| MRecord::parse(next, &bytes, outline.layouts)).map_or(0, |m| m.next);
    }
    found
}
