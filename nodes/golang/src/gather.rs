//! What is read of a process while it is frozen: rounds of reads, each made of what the round before brought.
//!
//! Order is by value to the user: states of goroutines, stacks of running ones, all other stacks, labels. When the pause
//! budget is spent, which `still` tells after each round, that round is thrown away and the rest is missing.
//! Nothing is decoded here beyond what the next round needs.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use rustc_hash::FxHashSet;

use crate::bytes::u64_at;
use crate::gatherer::{Gatherer, Round, image};
use crate::labels;
use crate::memory::{Image, Memory, Range};
use crate::precopy::Precopy;
use crate::probing::{Probing, Standing};
use crate::records::{GRecord, MRecord, Status};
use crate::runtime::Runtime;
use crate::start::{Running, lowest_stack_pointer, stack_pointer, start};
use crate::thread::Thread;
use crate::unwind::StackBytes;
use crate::waits::{self, WINDOW_BYTES, Waiting};

/// Goroutines, dead ones included, of one process.
pub const GOROUTINES_MAX: u64 = 16 << 20;
/// Threads that the runtime keeps records of.
pub(crate) const THREADS_MAX: usize = 100_000;
/// Of one goroutine's stack. Go's own limit is 1 GB.
pub const STACK_BYTES_MAX: u64 = 64 << 20;

/// What was read, not yet sorted.
pub struct Gathered<'a> {
    rounds: Vec<Round>,
    /// What was copied before the freeze. Sorting it takes time, and is done when the process runs again.
    precopy: Option<Precopy<'a>>,
    /// Addresses of all `runtime.g`.
    pub(crate) goroutines: Vec<u64>,
    pub(crate) threads: Vec<u64>,
    /// The budget ended before everything was read.
    pub(crate) cut: bool,
}

/// Reads a frozen process. `threads` are its threads; `precopy` is what was copied of it while it ran; `still` says
/// whether it is still frozen.
pub fn gather<'a>(
    runtime: &Runtime<'_>,
    memory: &dyn Memory,
    threads: &[Thread],
    mut precopy: Option<Precopy<'a>>,
    probing: Option<&mut Probing<'_>>,
    still: &dyn Fn() -> bool,
) -> Gathered<'a> {
    let spare = precopy.as_mut().map(Precopy::take_room).unwrap_or_default();
    let mut gatherer = Gatherer::new(memory, still).with_spare(spare);
    let mut found = (Vec::new(), Vec::new());
    // A missing first round leaves everything empty, which `decode` reports.
    let _ = gather_into(runtime, &mut gatherer, threads, precopy.as_mut(), probing, &mut found);
    let (rounds, cut) = (gatherer.rounds, gatherer.cut);
    Gathered { rounds, precopy, goroutines: found.0, threads: found.1, cut }
}

fn gather_into(
    runtime: &Runtime<'_>,
    gatherer: &mut Gatherer<'_>,
    threads: &[Thread],
    mut precopy: Option<&mut Precopy<'_>>,
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
    let expected = precopy.as_deref().map_or(&[][..], |precopy| &precopy.threads);
    let early = gatherer.structures(expected, layouts.m.size, parse_m);
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
    let known = precopy.as_mut().map_or(0, |precopy| precopy.verify(&found.0, gatherer));
    let mut gs = gatherer.structures(&found.0[known..], layouts.g.size, parse_g);
    let waits = precopy.as_mut().map(|precopy| precopy.take_waits()).unwrap_or_default();
    // From here on what is known is looked at only where it may have changed.
    let precopy = precopy.as_deref();
    gs.extend(precopy.iter().flat_map(|precopy| precopy.records(false)).filter_map(|(at, g)| parse_g(at, g)));
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

    for round in waits {
        if gatherer.again(round).is_none() {
            break;
        }
    }
    let needs_stack = |g: &&GRecord| waits::needs_stack(runtime.wait_reason(g), runtime.build.minor);
    let wanted: HashSet<Range> = alive().filter(needs_stack).filter_map(stack_of).collect();
    let window = |range: Range, bytes: &[u8]| (range, bytes[..bytes.len().min(WINDOW_BYTES)].to_vec());
    let windows = gatherer.read(of_others.clone()).filter(|(range, _)| wanted.contains(range));
    let windows: HashMap<Range, Vec<u8>> = windows.map(|(range, bytes)| window(range, bytes)).collect();
    let waiting = |g: &GRecord| {
        let range = stack_of(g).filter(|_| g.sched_g == g.address)?;
        if !needs_stack(&g) {
            return Some(Waiting { g: g.clone(), stack: &[] });
        }
        let skip = usize::try_from(g.sched_sp.checked_sub(range.address)?).ok()?;
        Some(Waiting { g: g.clone(), stack: windows.get(&range)?.get(skip..)? })
    };
    let waiting: Vec<Waiting<'_>> =
        alive().filter(|g| g.status == Status::Waiting).filter_map(waiting).collect();
    waits::read(runtime, gatherer, &waiting);

    let (mut labels, mut bubbles) = (HashSet::new(), HashSet::new());
    alive().for_each(|g| {
        labels.insert(g.labels);
        bubbles.insert(g.bubble);
    });
    for these in precopy.iter().flat_map(|precopy| precopy.labels()) {
        labels.insert(these.0);
        bubbles.insert(these.1);
    }
    labels::gather(gatherer, runtime.build.minor, labels.into_iter());
    let bubbles: Vec<u64> = bubbles.into_iter().filter(|&b| b != 0).collect();
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
            let registers = running.and_then(|r| r.registers);
            Some(Standing { g: g.clone(), start, registers, bytes, slots: None })
        };
        let parked = precopy.into_iter().flat_map(|precopy| precopy.probed(runtime));
        let standing: Vec<Standing<'_>> = alive().filter_map(standing).chain(parked).collect();
        let whole = probing.read(&standing, gatherer.memory, gatherer.still);
        gatherer.cut |= !whole;
    }
    Some(())
}

pub(crate) fn stack_range(sp: u64, hi: u64) -> Range {
    Range { address: sp, length: (hi - sp).min(STACK_BYTES_MAX) as usize }
}

impl Gathered<'_> {
    /// Not even the list of goroutines was read.
    pub fn is_empty(&self) -> bool {
        self.goroutines.is_empty()
    }

    /// The budget was spent before everything was read.
    pub fn was_cut(&self) -> bool {
        self.cut
    }

    /// Stacks that were copied before the freeze and proved unchanged in it.
    pub fn reused(&self) -> usize {
        self.precopy.iter().flat_map(|precopy| precopy.reused()).count()
    }

    /// The records of their goroutines.
    pub(crate) fn reused_records(&self) -> FxHashSet<u64> {
        self.precopy.iter().flat_map(|precopy| precopy.reused()).map(|(address, _)| address).collect()
    }

    /// Of these stacks: what their goroutines receive into, by the address of the record. What these slots held when they
    /// were copied may be out of date.
    pub(crate) fn receiving(&self) -> HashMap<u64, Rc<[Range]>> {
        let all = self.precopy.iter().flat_map(|precopy| precopy.reused());
        all.filter_map(|(address, slots)| Some((address, Rc::clone(slots?)))).collect()
    }

    /// What is known of what goroutines wait for whose stacks were copied before; once.
    pub(crate) fn take_settled(&mut self) -> waits::Settled {
        self.precopy.as_mut().map(Precopy::take_settled).unwrap_or_default()
    }

    /// The copy of the process's memory. What was copied before the freeze is in it, and not here any more.
    pub(crate) fn image(&mut self) -> Image {
        let mut rounds = std::mem::take(&mut self.rounds);
        rounds.extend(self.precopy.take().into_iter().flat_map(Precopy::into_rounds));
        image(rounds)
    }
}
