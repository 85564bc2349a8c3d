//! What is read of a process while it is frozen: rounds of reads, each made of what the round before brought.
//!
//! Order is by value to the user: states of goroutines, stacks of running ones, all other stacks, labels. When the pause
//! budget is spent, which `still` tells after each round, that round is thrown away and the rest is missing.
//! Nothing is decoded here beyond what the next round needs.

use std::collections::HashMap;

use crate::bytes::u64_at;
use crate::labels;
use crate::memory::{Image, Memory, Range, Segment};
use crate::probing::{Probing, Standing};
use crate::records::{GRecord, MRecord, Status};
use crate::runtime::Runtime;
use crate::start::{Running, lowest_stack_pointer, stack_pointer, start};
use crate::thread::Thread;
use crate::unwind::StackBytes;

/// Goroutines, dead ones included, of one process.
pub const GOROUTINES_MAX: u64 = 16 << 20;
/// Threads that the runtime keeps records of.
pub(crate) const THREADS_MAX: usize = 100_000;
/// Records of threads that are looked for before the freeze.
const EXPECTED_MAX: usize = 1024;
/// Of one goroutine's stack. Go's own limit is 1 GB.
pub const STACK_BYTES_MAX: u64 = 64 << 20;
/// Of everything that is read of one process.
const TOTAL_BYTES_MAX: usize = 4 << 30;
/// Of one round; what is in flight when the budget ends is lost.
const ROUND_BYTES_MAX: usize = 8 << 20;
/// `process_vm_readv` takes this many ranges at once (UIO_MAXIOV, readv(2)).
const ROUND_RANGES_MAX: usize = 1024;
/// Reading this many bytes that nobody asked for is cheaper than another range.
const RANGE_GAP_BYTES: u64 = 256;

/// What was read, not yet sorted.
pub struct Gathered {
    rounds: Vec<Round>,
    /// Addresses of all `runtime.g`.
    pub(crate) goroutines: Vec<u64>,
    pub(crate) threads: Vec<u64>,
    /// The budget ended before everything was read.
    pub(crate) cut: bool,
}

struct Round {
    ranges: Vec<Range>,
    whole: Vec<bool>,
    bytes: Vec<u8>,
}

impl Round {
    /// The ranges that could be read.
    fn read(&self) -> impl Iterator<Item = (Range, &[u8])> {
        let mut at = 0;
        self.ranges.iter().zip(&self.whole).filter_map(move |(range, whole)| {
            let start = at;
            at += range.length;
            whole.then(|| (*range, &self.bytes[start..at]))
        })
    }
}

/// Rounds are given up one by one, so that not everything is there twice.
fn image(rounds: Vec<Round>) -> Image {
    let segment = |(range, bytes): (Range, &[u8])| Segment { address: range.address, bytes: bytes.to_vec() };
    Image::from_segments(rounds.into_iter().flat_map(|round| round.read().map(segment).collect::<Vec<_>>()))
}

/// Reads in rounds, and keeps what came.
pub(crate) struct Gatherer<'a> {
    memory: &'a dyn Memory,
    still: &'a dyn Fn() -> bool,
    rounds: Vec<Round>,
    total: usize,
    cut: bool,
}

impl<'a> Gatherer<'a> {
    pub(crate) fn new(memory: &'a dyn Memory, still: &'a dyn Fn() -> bool) -> Self {
        Gatherer { memory, still, rounds: Vec::new(), total: 0, cut: false }
    }

    /// One call of the memory's. `None` when the budget is spent.
    fn round(&mut self, ranges: Vec<Range>) -> Option<&Round> {
        let length = ranges.iter().map(|r| r.length).sum::<usize>();
        if self.cut || self.total.saturating_add(length) > TOTAL_BYTES_MAX {
            self.cut = true;
            return None;
        }
        let mut round = Round { whole: vec![false; ranges.len()], bytes: vec![0; length], ranges };
        self.memory.read_many(&round.ranges, &mut round.bytes, &mut round.whole);
        if !(self.still)() {
            self.cut = true;
            return None;
        }
        self.total += length;
        self.rounds.push(round);
        self.rounds.last()
    }

    /// In as many rounds as it takes; the indices of those rounds.
    pub(crate) fn rounds(&mut self, ranges: Vec<Range>) -> std::ops::Range<usize> {
        let first = self.rounds.len();
        let mut ranges = ranges.into_iter().peekable();
        while ranges.peek().is_some() {
            let mut length = 0;
            let mut some = Vec::new();
            while let Some(range) = ranges.next_if(|r| {
                some.len() < ROUND_RANGES_MAX && (some.is_empty() || length + r.length <= ROUND_BYTES_MAX)
            }) {
                length += range.length;
                some.push(range);
            }
            if self.round(some).is_none() {
                break;
            }
        }
        first..self.rounds.len()
    }

    fn one(&mut self, address: u64, length: usize) -> Option<&[u8]> {
        let round = self.round(vec![Range { address, length }])?;
        round.whole[0].then_some(&round.bytes)
    }

    /// What some rounds brought, whole ranges only.
    pub(crate) fn read(&self, rounds: std::ops::Range<usize>) -> impl Iterator<Item = (Range, &[u8])> {
        self.rounds[rounds].iter().flat_map(Round::read)
    }

    /// What some rounds brought of a range that they were asked for.
    fn bytes(&self, rounds: std::ops::Range<usize>, wanted: Range) -> Option<&[u8]> {
        self.read(rounds).find(|(range, _)| *range == wanted).map(|(_, bytes)| bytes)
    }

    #[cfg(test)]
    pub(crate) fn into_image(self) -> Image {
        image(self.rounds)
    }

    /// Reads structures of `size` bytes, neighbours in one range, and hands out those that could be read.
    pub(crate) fn structures<T>(
        &mut self,
        addresses: &[u64],
        size: usize,
        parse: impl Fn(u64, &[u8]) -> Option<T>,
    ) -> Vec<T> {
        let mut sorted = addresses.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        let mut ranges: Vec<Range> = Vec::new();
        for &address in &sorted {
            let Some(end) = address.checked_add(size as u64) else { continue };
            match ranges.last_mut() {
                Some(last)
                    if address.saturating_sub(last.address + last.length as u64) <= RANGE_GAP_BYTES
                        && end - last.address <= ROUND_BYTES_MAX as u64 / 8 =>
                {
                    last.length = last.length.max((end - last.address) as usize);
                }
                _ => ranges.push(Range { address, length: size }),
            }
        }
        let rounds = self.rounds(ranges);
        let mut found = Vec::with_capacity(sorted.len());
        // Ranges come in the order of the addresses that they were made of.
        let mut next = 0;
        for round in &self.rounds[rounds] {
            let mut at = 0;
            for (range, whole) in round.ranges.iter().zip(&round.whole) {
                let bytes = &round.bytes[at..at + range.length];
                at += range.length;
                let last = range.address + (range.length - size) as u64;
                next += sorted[next..].partition_point(|&address| address < range.address);
                while let Some(&address) = sorted.get(next).filter(|&&address| address <= last) {
                    next += 1;
                    let skip = (address - range.address) as usize;
                    found.extend(whole.then(|| parse(address, &bytes[skip..skip + size])).flatten());
                }
            }
        }
        found
    }
}

/// Where the records of the runtime's threads are: a list with links, a read for each. A process that runs may change it
/// meanwhile: good for [`Expected`] only.
pub fn thread_records(runtime: &Runtime<'_>, memory: &dyn Memory) -> Expected {
    let layouts = &runtime.build.layouts;
    let mut found = Vec::new();
    let mut next = memory.read_u64(runtime.address(runtime.build.variables.allm)).unwrap_or(0);
    while next != 0 && found.len() < EXPECTED_MAX && !found.contains(&next) {
        found.push(next);
        let bytes = memory.read_bytes(next, layouts.m.size).ok();
        next = bytes.and_then(|bytes| MRecord::parse(next, &bytes, layouts)).map_or(0, |record| record.next);
    }
    Expected(found)
}

/// Addresses that are probably needed: what is read of them in one round need not be read in many. Whether they are right
/// changes nothing but the number of rounds.
#[derive(Clone, Debug, Default)]
pub struct Expected(Vec<u64>);

/// Reads a frozen process. `threads` are its threads; `still` says whether it is still frozen.
pub fn gather(
    runtime: &Runtime<'_>,
    memory: &dyn Memory,
    threads: &[Thread],
    expected: &Expected,
    probing: Option<&mut Probing<'_>>,
    still: &dyn Fn() -> bool,
) -> Gathered {
    let mut gatherer = Gatherer::new(memory, still);
    let mut found = (Vec::new(), Vec::new());
    // A missing first round leaves everything empty, which `decode` reports.
    let _ = gather_into(runtime, &mut gatherer, threads, expected, probing, &mut found);
    Gathered { rounds: gatherer.rounds, goroutines: found.0, threads: found.1, cut: gatherer.cut }
}

fn gather_into(
    runtime: &Runtime<'_>,
    gatherer: &mut Gatherer<'_>,
    threads: &[Thread],
    expected: &Expected,
    probing: Option<&mut Probing<'_>>,
    found: &mut (Vec<u64>, Vec<u64>),
) -> Option<()> {
    let layouts = &runtime.build.layouts;
    let variables = &runtime.build.variables;
    let word = |of_file: u64| Range { address: runtime.address(of_file), length: 8 };
    let mut statics = vec![word(variables.allglen), word(variables.allgptr), word(variables.allm)];
    let flags = [variables.finalizer_status, variables.traceback_labels];
    statics.extend(flags.into_iter().flatten().map(|at| Range { length: 4, ..word(at) }));
    let first = &gatherer.round(statics)?.bytes;
    let (count, array, mut m) = (u64_at(first, 0)?, u64_at(first, 8)?, u64_at(first, 16)?);
    if runtime.threads_unknown.is_some() {
        m = 0;
    }
    let count = count.min(GOROUTINES_MAX) as usize;
    let pointers = gatherer.one(array, 8 * count)?;
    found.0 = pointers.chunks_exact(8).map_while(|word| u64_at(word, 0)).collect();

    let parse_m = |address, bytes: &[u8]| MRecord::parse(address, bytes, layouts);
    let early = gatherer.structures(&expected.0, layouts.m.size, parse_m);
    let mut early: HashMap<u64, MRecord> = early.into_iter().map(|m| (m.address, m)).collect();
    let mut ms = HashMap::new();
    while m != 0 && ms.len() < THREADS_MAX && !ms.contains_key(&m) {
        let read = || gatherer.one(m, layouts.m.size).and_then(|bytes| parse_m(m, bytes));
        let Some(record) = early.remove(&m).or_else(read) else { break };
        m = record.next;
        ms.insert(record.address, record);
    }
    found.1 = ms.keys().copied().collect();
    found.1.sort_unstable();

    let parse_g = |address, bytes: &[u8]| GRecord::parse(address, bytes, layouts);
    let gs = gatherer.structures(&found.0, layouts.g.size, parse_g);
    let signal_gs: Vec<u64> = ms.values().map(|m| m.gsignal).filter(|&g| g != 0).collect();
    let signal_gs = gatherer.structures(&signal_gs, layouts.g.size, parse_g);

    let registers = |m: &MRecord| {
        let thread = threads.iter().find(|t| u64::from(t.ns_tid) == m.procid)?;
        thread.registers.as_ref()
    };
    let signal_stack = |m: &MRecord| {
        let sp = stack_pointer(runtime, registers(m)?);
        let g = signal_gs.iter().find(|g| g.address == m.gsignal && g.holds(sp))?;
        Some((m.address, stack_range(sp, g.stack_hi)))
    };
    let signal_stacks: HashMap<u64, Range> = ms.values().filter_map(signal_stack).collect();
    let rounds = gatherer.rounds(signal_stacks.values().copied().collect());
    let signal_stacks: HashMap<u64, Vec<u8>> = signal_stacks
        .into_iter()
        .filter_map(|(m, range)| Some((m, gatherer.bytes(rounds.clone(), range)?.to_vec())))
        .collect();

    let alive = || gs.iter().filter(|g| g.status.is_alive());
    let running = |g: &GRecord| {
        let m = ms.get(&g.m).filter(|m| m.current_g == g.address)?;
        let registers = registers(m);
        let bytes = signal_stacks.get(&m.address);
        let signal_stack =
            registers.zip(bytes).map(|(r, bytes)| StackBytes { address: stack_pointer(runtime, r), bytes });
        Some(Running { m, registers, signal_stack })
    };
    let stack_of = |g: &GRecord| {
        let sp = lowest_stack_pointer(runtime, g, running(g).as_ref())?;
        Some(stack_range(sp, g.stack_hi))
    };
    let on_thread = |g: &&GRecord| matches!(g.status, Status::Running | Status::Syscall);
    let of_running = gatherer.rounds(alive().filter(on_thread).filter_map(stack_of).collect());
    let mut stacks: Vec<Range> = alive().filter(|g| !on_thread(g)).filter_map(stack_of).collect();
    stacks.sort_unstable();
    let of_others = gatherer.rounds(stacks);

    labels::gather(gatherer, runtime.build.minor, alive().map(|g| g.labels));
    let bubbles: Vec<u64> = alive().map(|g| g.bubble).filter(|&b| b != 0).collect();
    if let Some(at) = layouts.bubble_id.or(layouts.sync_group_root) {
        let ids = gatherer.structures(&bubbles, at + 8, |_, bytes| u64_at(bytes, at));
        if layouts.bubble_id.is_none() {
            // Go 1.24: the id is that of the group's root goroutine, which is in `allgs`.
            gatherer.structures(&ids, layouts.g.size, |_, _| Some(()));
        }
    }
    if let Some(probing) = probing {
        let stacks: HashMap<Range, &[u8]> =
            gatherer.read(of_running).chain(gatherer.read(of_others)).collect();
        let standing = |g: &GRecord| {
            // What is saved of a goroutine on an unknown thread is of an earlier time.
            let known = g.status != Status::Running || g.m == 0 || ms.contains_key(&g.m);
            let range = stack_of(g).filter(|_| known && g.sched_g == g.address)?;
            let bytes = StackBytes { address: range.address, bytes: stacks.get(&range)? };
            let running = running(g);
            let start = start(runtime, g, running.as_ref()).ok()?;
            Some(Standing { g: g.clone(), start, registers: running.and_then(|r| r.registers), bytes })
        };
        let standing: Vec<Standing<'_>> = alive().filter_map(standing).collect();
        let whole = probing.read(&standing, gatherer.memory, gatherer.still);
        gatherer.cut |= !whole;
    }
    Some(())
}

fn stack_range(sp: u64, hi: u64) -> Range {
    Range { address: sp, length: (hi - sp).min(STACK_BYTES_MAX) as usize }
}

impl Gathered {
    /// Not even the list of goroutines was read.
    pub fn is_empty(&self) -> bool {
        self.goroutines.is_empty()
    }

    /// The budget was spent before everything was read.
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    /// The copy of the process's memory.
    pub(crate) fn image(&mut self) -> Image {
        image(std::mem::take(&mut self.rounds))
    }
}
