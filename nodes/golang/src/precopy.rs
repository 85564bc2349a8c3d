//! What is copied of a process while it runs, so that it need not be read while it stands still: the stacks of parked
//! goroutines.
//!
//! The records of all goroutines are read before the stacks are, and again and again after it, the last time when the
//! process stands still: a stack is used only if every one of these reads shows the same park of the same goroutine
//! (`parked.rs`). Everything else, the records themselves too, is of the freeze.
//!
//! `allgs` only grows, and its elements never change (`allgadd`, runtime/proc.go); the whole list is compared all the
//! same, for it was read while it may have been moved.
//
// @go source runtime.allgadd

use std::collections::HashMap;

use crate::bytes::u64_at;
use crate::gather::{GOROUTINES_MAX, stack_range};
use crate::gatherer::{Gatherer, Round, in_rounds, neighbours, sorted};
use crate::memory::{Memory, Range};
use crate::parked::Parked;
use crate::probing::{Probing, Standing};
use crate::records::{GRecord, MRecord};
use crate::runtime::Runtime;
use crate::start::{lowest_stack_pointer, start};
use crate::unwind::StackBytes;

/// Of all stacks. What is above is read while the process stands still, as far as the budget goes.
const STACKS_BYTES_MAX: usize = 512 << 20;
/// Records of threads that are looked for.
const THREADS_MAX: usize = 1024;

/// A goroutine's record, and the copy of its stack.
struct Place {
    address: u64,
    /// Round and range in `stacks`; `None`: its stack is not, or no longer, to be used.
    stack: Option<(u32, u32)>,
    /// Probes are about one of its frames.
    probed: bool,
}

/// A round of records, and which places each of its ranges is of.
struct Records {
    round: Round,
    places: Vec<std::ops::Range<usize>>,
}

/// The copy.
pub struct Precopy<'a> {
    runtime: &'a Runtime<'a>,
    parked: Parked<'a>,
    /// Addresses where the runtime's records of its threads probably are. Whether they are right changes nothing but the
    /// number of rounds.
    pub(crate) threads: Vec<u64>,
    /// `allgs`.
    goroutines: Vec<u64>,
    /// By address.
    places: Vec<Place>,
    records: Vec<Records>,
    stacks: Vec<Round>,
    /// The records are of the freeze.
    verified: bool,
}

impl<'a> Precopy<'a> {
    /// Copies from a process that runs. For probes it is looked up already what is where the goroutines stand. `None`: its
    /// list of goroutines cannot be read.
    pub fn take(
        runtime: &'a Runtime<'a>,
        memory: &dyn Memory,
        probing: Option<&mut Probing<'_>>,
    ) -> Option<Self> {
        let variables = &runtime.build.variables;
        // In this order: the array of a later time has at least as many elements.
        let count = memory.read_u64(runtime.address(variables.allglen)).ok()?.min(GOROUTINES_MAX) as usize;
        let array = memory.read_u64(runtime.address(variables.allgptr)).ok()?;
        let pointers = memory.read_bytes(array, 8 * count).ok()?;
        let goroutines: Vec<u64> = pointers.chunks_exact(8).map_while(|word| u64_at(word, 0)).collect();

        let size = runtime.build.layouts.g.size;
        let addresses = sorted(&goroutines);
        let mut next = 0;
        let records = in_rounds(neighbours(&addresses, size)).map(|ranges| {
            let places = ranges.iter().map(|range| {
                let last = range.address + (range.length - size) as u64;
                let first = next + addresses[next..].partition_point(|&address| address < range.address);
                next = first + addresses[first..].partition_point(|&address| address <= last);
                first..next
            });
            let places = places.collect();
            Records { round: Round::new(ranges), places }
        });
        let records = records.collect();
        let place = |address| Place { address, stack: None, probed: false };
        let mut copy = Precopy {
            runtime,
            parked: Parked::new(runtime),
            threads: threads(runtime, memory),
            goroutines,
            places: addresses.into_iter().map(place).collect(),
            records,
            stacks: Vec::new(),
            verified: false,
        };
        copy.read_records(memory, &|| true);
        let others = copy.copy_stacks(memory, probing.is_some());
        copy.check(memory);
        if let Some(probing) = probing {
            copy.warm(memory, probing, others);
        }
        Some(copy)
    }

    /// Reads the records again: from then on stacks of goroutines that ran meanwhile are not used.
    pub fn check(&mut self, memory: &dyn Memory) {
        self.read_records(memory, &|| true);
    }

    /// Reads the records of a process that stands still. `goroutines`: `allgs`. How many of them, from the first on, are
    /// known; 0: this is the copy of other ones.
    pub(crate) fn verify(&mut self, goroutines: &[u64], gatherer: &mut Gatherer<'_>) -> usize {
        if gatherer.cut || !goroutines.starts_with(&self.goroutines) {
            return 0;
        }
        self.verified = true;
        gatherer.cut |= !self.read_records(gatherer.memory, gatherer.still);
        self.goroutines.len()
    }

    /// Whether there was time for all of them.
    fn read_records(&mut self, memory: &dyn Memory, still: &dyn Fn() -> bool) -> bool {
        let size = self.runtime.build.layouts.g.size;
        let (places, parked) = (&mut self.places, &self.parked);
        let mut in_time = true;
        for Records { round: Round { ranges, whole, bytes }, places: of } in &mut self.records {
            let mut at = 0;
            if in_time {
                memory.read_each(ranges, &mut |i, now| {
                    let before = &mut bytes[at..at + ranges[i].length];
                    at += ranges[i].length;
                    let places = &mut places[of[i].clone()];
                    whole[i] = now.is_some();
                    match now {
                        None => places.iter_mut().for_each(|place| place.stack = None),
                        Some(now) if before != now => {
                            for place in places.iter_mut().filter(|place| place.stack.is_some()) {
                                let skip = (place.address - ranges[i].address) as usize;
                                let of_place = skip..skip + size;
                                if !parked.is_same(&before[of_place.clone()], &now[of_place]) {
                                    place.stack = None;
                                }
                            }
                            before.copy_from_slice(now);
                        }
                        Some(_) => {}
                    }
                });
                in_time = still();
            }
            if !in_time {
                whole.fill(false);
                of.iter().flat_map(|of| of.clone()).for_each(|place| places[place].stack = None);
            }
        }
        in_time
    }

    /// Places with their records, as far as these could be read.
    fn read(&self) -> impl Iterator<Item = (usize, &Place, &[u8])> {
        let size = self.runtime.build.layouts.g.size;
        self.records.iter().flat_map(move |Records { round, places }| {
            let mut at = 0;
            let ranges = round.ranges.iter().zip(&round.whole).zip(places);
            ranges.flat_map(move |((range, whole), places)| {
                let bytes = &round.bytes[at..at + range.length];
                at += range.length;
                let places = if *whole { places.clone() } else { 0..0 };
                places.map(move |number| {
                    let place = &self.places[number];
                    let skip = (place.address - range.address) as usize;
                    (number, place, &bytes[skip..skip + size])
                })
            })
        })
    }

    /// Copies the stacks of the goroutines that are parked; where all others' are, if wanted.
    fn copy_stacks(&mut self, memory: &dyn Memory, others_too: bool) -> Vec<(GRecord, Range)> {
        let layouts = &self.runtime.build.layouts;
        let (mut parked, mut others) = (Vec::new(), Vec::new());
        for (number, place, bytes) in self.read() {
            let is_parked = self.parked.is_parked(bytes);
            if !is_parked && !others_too {
                continue;
            }
            let g = GRecord::parse(place.address, bytes, layouts);
            let Some(g) = g.filter(|g| g.status.is_alive() && g.sched_g == place.address) else { continue };
            let Some(sp) = lowest_stack_pointer(self.runtime, &g, None) else { continue };
            let range = stack_range(sp, g.stack_hi);
            if is_parked {
                parked.push((number, range));
            } else {
                others.push((g, range));
            }
        }
        parked.sort_unstable_by_key(|(_, range)| *range);
        let mut total = 0;
        let fits = |(_, range): &&(usize, Range)| {
            total += range.length;
            total <= STACKS_BYTES_MAX
        };
        let fitting = parked.iter().take_while(fits).count();
        parked.truncate(fitting);
        let always = || true;
        let mut gatherer = Gatherer::new(memory, &always);
        gatherer.rounds(parked.iter().map(|(_, range)| *range).collect());
        self.stacks = gatherer.rounds;
        let mut places = parked.into_iter().map(|(number, _)| number);
        for (number, round) in self.stacks.iter().enumerate() {
            for ((range, whole), place) in round.whole.iter().enumerate().zip(&mut places) {
                self.places[place].stack = whole.then_some((number as u32, range as u32));
            }
        }
        others
    }

    /// Looks up what is where goroutines stand, and notes whose frames probes are about.
    fn warm(&mut self, memory: &dyn Memory, probing: &mut Probing<'_>, others: Vec<(GRecord, Range)>) {
        let mut probed = Vec::new();
        for (number, standing) in self.standing(|_| true) {
            if probing.warm(standing) {
                probed.push(number);
            }
        }
        for number in probed {
            self.places[number].probed = true;
        }
        let always = || true;
        let mut gatherer = Gatherer::new(memory, &always);
        let rounds = gatherer.rounds(others.iter().map(|(_, range)| *range).collect());
        let stacks: HashMap<Range, &[u8]> = gatherer.read(rounds).collect();
        for (g, range) in others {
            let (Some(bytes), Ok(start)) = (stacks.get(&range), start(self.runtime, &g, None)) else {
                continue;
            };
            let bytes = StackBytes { address: range.address, bytes };
            probing.warm(Standing { g, start, registers: None, bytes });
        }
    }

    /// Goroutines whose stacks are here.
    fn standing(&self, wanted: impl Fn(&Place) -> bool) -> impl Iterator<Item = (usize, Standing<'_>)> {
        let layouts = &self.runtime.build.layouts;
        let starts: Vec<Vec<usize>> = self.stacks.iter().map(starts).collect();
        self.read().filter_map(move |(number, place, bytes)| {
            let (round, range) = place.stack.filter(|_| wanted(place))?;
            let g = GRecord::parse(place.address, bytes, layouts)?;
            let start = start(self.runtime, &g, None).ok()?;
            let from = starts[round as usize][range as usize];
            let round = &self.stacks[round as usize];
            let range = round.ranges[range as usize];
            let bytes = StackBytes { address: range.address, bytes: &round.bytes[from..from + range.length] };
            Some((number, Standing { g, start, registers: None, bytes }))
        })
    }

    /// Goroutines whose frames probes are about, and whose stacks are unchanged.
    pub(crate) fn probed(&self) -> impl Iterator<Item = Standing<'_>> {
        let standing = self.verified.then(|| self.standing(|place| place.probed));
        standing.into_iter().flatten().map(|(_, standing)| standing)
    }

    /// Records of goroutines whose stacks are not here, by address.
    pub(crate) fn changed(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let all = self.verified.then(|| self.read()).into_iter().flatten();
        all.filter(|(_, place, _)| place.stack.is_none()).map(|(_, place, bytes)| (place.address, bytes))
    }

    /// Records of goroutines whose stacks are here, by address.
    pub(crate) fn unchanged(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let all = self.verified.then(|| self.read()).into_iter().flatten();
        all.filter(|(_, place, _)| place.stack.is_some()).map(|(_, place, bytes)| (place.address, bytes))
    }

    /// Goroutines whose stacks are used, once the process stood still.
    pub(crate) fn reused(&self) -> impl Iterator<Item = u64> {
        let places = if self.verified { &self.places[..] } else { &[] };
        places.iter().filter(|place| place.stack.is_some()).map(|place| place.address)
    }

    /// The records as they are in the freeze, and the stacks that had not changed by then.
    pub(crate) fn into_rounds(mut self) -> impl Iterator<Item = Round> {
        self.stacks.iter_mut().for_each(|round| round.whole.fill(false));
        for (round, range) in self.places.iter().filter_map(|place| place.stack) {
            self.stacks[round as usize].whole[range as usize] = true;
        }
        let rounds = self.records.into_iter().map(|records| records.round).chain(self.stacks);
        self.verified.then_some(rounds).into_iter().flatten()
    }
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
fn threads(runtime: &Runtime<'_>, memory: &dyn Memory) -> Vec<u64> {
    let layouts = &runtime.build.layouts;
    let mut found = Vec::new();
    let mut next = memory.read_u64(runtime.address(runtime.build.variables.allm)).unwrap_or(0);
    while next != 0 && found.len() < THREADS_MAX && !found.contains(&next) {
        found.push(next);
        let bytes = memory.read_bytes(next, layouts.m.size).ok();
        next = bytes.and_then(|bytes| MRecord::parse(next, &bytes, layouts)).map_or(0, |record| record.next);
    }
    found
}
