//! What is read of a process that stands still, so that it can be told what its goroutines wait for (`find.rs`).
//!
//! What can only be found on a stack is looked for on a few first: where it is there it is on all others that were parked by
//! the same function, and one read for each will do.

use std::collections::{HashMap, HashSet};

use crate::bytes::u64_at;
use crate::gatherer::Gatherer;
use crate::memory::Range;
use crate::probing::Standing;
use crate::records::GRecord;
use crate::runtime::Runtime;
use crate::waits::kind::{MUTEX_SEMAPHORE, Queue, READER_SEMAPHORE, WAIT_GROUP_SEMAPHORE, WRITER_SEMAPHORE};
use crate::waits::records::{ChannelRecord, MINOR_WITH_PAIRS, RWMUTEX_BYTES, Sudog, WAIT_GROUP_BYTES};
use crate::waits::words::{Offsets, Window};

/// Cases of a select that are looked up: a round for each.
const CASES_MAX: usize = 128;
/// Goroutines of one kind of which all words are looked at to begin with.
const SAMPLE: usize = 8;
/// And of those that have nothing where the sample had it.
const UNLIKE_MAX: usize = 2048;
/// From the beginning of a `sync.Cond` to its list: behind `noCopy`, which is empty, and the interface `L` (sync/cond.go, Go
/// 1.21 to 1.27).
pub(super) const CONDITION_LIST: u64 = 16;

/// A goroutine that is parked.
pub(crate) struct Waiting<'a> {
    pub(crate) g: GRecord,
    /// Its stack, from the stack pointer on.
    pub(crate) stack: &'a [u8],
}

impl<'a> From<Standing<'a>> for Waiting<'a> {
    fn from(standing: Standing<'a>) -> Self {
        Waiting { g: standing.g, stack: standing.bytes.bytes }
    }
}

impl<'a> Waiting<'a> {
    pub(super) fn window(&self) -> Window<'a> {
        Window::new(self.stack, self.g.stack_lo, self.g.stack_hi)
    }
}

/// Reads it.
pub(crate) fn read(runtime: &Runtime<'_>, gatherer: &mut Gatherer<'_>, waiting: &[Waiting<'_>]) {
    Reading { runtime, gatherer, waiting }.all();
}

struct Reading<'a, 'g, 'm> {
    runtime: &'a Runtime<'a>,
    gatherer: &'g mut Gatherer<'m>,
    waiting: &'a [Waiting<'a>],
}

impl<'a> Reading<'a, '_, '_> {
    fn of(&self, queue: Queue) -> Vec<&'a Waiting<'a>> {
        let reason = |w: &&Waiting<'_>| self.runtime.wait_reason(&w.g);
        self.waiting.iter().filter(|w| Queue::of(reason(w)) == queue).collect()
    }

    fn sudogs(&mut self, addresses: &[u64]) -> HashMap<u64, Sudog> {
        let (layouts, minor) = (&self.runtime.build.layouts, self.runtime.build.minor);
        let parse = |at, bytes: &[u8]| Some((at, Sudog::parse(bytes, layouts, minor)?));
        self.gatherer.structures(addresses, layouts.sudog.size, parse).into_iter().collect()
    }

    fn all(mut self) {
        self.channels();
        self.semaphores();
        self.conditions();
        self.files();
        self.timers();
    }

    fn channels(&mut self) {
        let layouts = &self.runtime.build.layouts;
        let mut channels = HashSet::new();
        let waiting = self.of(Queue::Channels);
        let mut next: Vec<u64> = waiting.iter().map(|w| w.g.waiting).filter(|&at| at != 0).collect();
        for _ in 0..CASES_MAX {
            if next.is_empty() {
                break;
            }
            let sudogs = self.sudogs(&next);
            channels.extend(sudogs.values().map(|sudog| sudog.channel));
            next = sudogs.values().map(|sudog| sudog.link).filter(|&at| at != 0).collect();
        }
        channels.remove(&0);
        let channels: Vec<u64> = channels.into_iter().collect();
        let parse = |_, bytes: &[u8]| ChannelRecord::parse(bytes, layouts);
        let found = self.gatherer.structures(&channels, layouts.channel.size, parse);
        let when = |record: &ChannelRecord| (record.timer != 0).then_some(record.timer);
        let timers: Vec<u64> = found.iter().filter_map(when).collect();
        self.when(&timers);
    }

    fn when(&mut self, timers: &[u64]) {
        let size = self.runtime.build.layouts.timer.when + 8;
        self.gatherer.structures(timers, size, |_, _| Some(()));
    }

    fn semaphores(&mut self) {
        let waiting = self.of(Queue::Semaphore);
        let found: Vec<(&Waiting<'_>, u64, Sudog)> = if self.runtime.build.minor >= MINOR_WITH_PAIRS {
            let addresses: Vec<u64> = waiting.iter().map(|w| w.g.waiting).collect();
            let sudogs = self.sudogs(&addresses);
            let of = |&w: &&'a Waiting<'a>| Some((w, w.g.waiting, *sudogs.get(&w.g.waiting)?));
            waiting.iter().filter_map(of).collect()
        } else {
            let is = |w: &Waiting<'_>, sudog: &Sudog| sudog.g == w.g.address && sudog.elem != 0;
            self.on_stacks(&waiting, Self::sudogs, is)
        };
        let mut ranges = HashSet::new();
        for (waiting, _, Sudog { elem, .. }) in found {
            let mut range = |before: u64, length| {
                ranges.extend(elem.checked_sub(before).map(|address| Range { address, length }));
            };
            match self.runtime.wait_reason(&waiting.g) {
                "sync.Mutex.Lock" => {
                    range(MUTEX_SEMAPHORE, 8);
                    // If it is that of a `sync.RWMutex`.
                    range(MUTEX_SEMAPHORE, RWMUTEX_BYTES);
                }
                "sync.RWMutex.RLock" => range(READER_SEMAPHORE, RWMUTEX_BYTES),
                "sync.RWMutex.Lock" => range(WRITER_SEMAPHORE, RWMUTEX_BYTES),
                _ => range(WAIT_GROUP_SEMAPHORE, WAIT_GROUP_BYTES),
            }
        }
        let mut ranges: Vec<Range> = ranges.into_iter().collect();
        ranges.sort_unstable();
        self.gatherer.rounds(ranges);
    }

    fn conditions(&mut self) {
        let waiting = self.of(Queue::Notified);
        if self.runtime.build.minor >= MINOR_WITH_PAIRS {
            let addresses: Vec<u64> = waiting.iter().map(|w| w.g.waiting).collect();
            self.sudogs(&addresses);
            return;
        }
        let found = self.on_stacks(&waiting, Self::sudogs, |w, sudog| sudog.g == w.g.address);
        let listed: HashSet<u64> = found.iter().map(|(w, ..)| w.g.address).collect();
        let Some(notify_list) = &self.runtime.build.layouts.notify_list else { return };
        let head = notify_list.head;
        // The first one of a list is the `sudog` of one of these goroutines, too.
        let sudogs = |reading: &mut Self, conditions: &[u64]| {
            let lists: Vec<u64> = conditions.iter().map(|at| at.wrapping_add(CONDITION_LIST)).collect();
            let parse = |at: u64, bytes: &[u8]| Some((at.wrapping_sub(CONDITION_LIST), u64_at(bytes, head)?));
            let heads: HashMap<u64, u64> =
                reading.gatherer.structures(&lists, head + 8, parse).into_iter().collect();
            let first: Vec<u64> = heads.values().copied().filter(|&at| at != 0).collect();
            let first = reading.sudogs(&first);
            heads.into_iter().filter_map(|(at, head)| Some((at, *first.get(&head)?))).collect()
        };
        self.on_stacks(&waiting, sudogs, |_, first| listed.contains(&first.g));
    }

    fn files(&mut self) {
        let waiting = self.of(Queue::Poller);
        let word = |reading: &mut Self, at: &[u64]| -> HashMap<u64, u64> {
            let parse = |at, bytes: &[u8]| Some((at, u64_at(bytes, 0)?));
            reading.gatherer.structures(at, 8, parse).into_iter().collect()
        };
        let poll = &self.runtime.build.layouts.poll_desc;
        let found = self.on_stacks(&waiting, word, |w, g| *g == w.g.address);
        // The word is that of a reader or that of a writer.
        let descriptors =
            found.iter().flat_map(|(_, word, _)| [poll.rg, poll.wg].map(|at| word.wrapping_sub(at as u64)));
        let descriptors: Vec<u64> = descriptors.collect();
        self.gatherer.structures(&descriptors, poll.this + 8, |_, _| Some(()));
    }

    /// Words on the stacks of goroutines, and what they point to. `look`: what is at some addresses; `is`: whether that is of
    /// a goroutine.
    fn on_stacks<T: Copy>(
        &mut self,
        waiting: &[&'a Waiting<'a>],
        look: impl Fn(&mut Self, &[u64]) -> HashMap<u64, T>,
        is: impl Fn(&Waiting<'_>, &T) -> bool,
    ) -> Vec<(&'a Waiting<'a>, u64, T)> {
        let mut offsets = Offsets::default();
        let mut found = Vec::new();
        let mut rest = waiting.to_vec();
        let everywhere = |w: &Waiting<'_>, _: &[usize]| w.window().all().collect::<Vec<_>>();
        let likely = |w: &Waiting<'_>, offsets: &[usize]| {
            offsets.iter().filter_map(|&offset| Some((offset, w.window().at(offset)?))).collect()
        };
        type Words<'f> = &'f dyn Fn(&Waiting<'_>, &[usize]) -> Vec<(usize, u64)>;
        let passes: [(usize, Words<'_>); 3] =
            [(SAMPLE, &everywhere), (usize::MAX, &likely), (UNLIKE_MAX, &everywhere)];
        for (most, words) in passes {
            let known = offsets.likely();
            let some: Vec<_> = rest.drain(..most.min(rest.len())).map(|w| (w, words(w, &known))).collect();
            let addresses: Vec<u64> =
                some.iter().flat_map(|(_, words)| words).map(|(_, word)| *word).collect();
            if addresses.is_empty() {
                rest.extend(some.into_iter().map(|(w, _)| w));
                continue;
            }
            let there = look(self, &addresses);
            for (w, words) in some {
                let mut any = false;
                for (offset, word) in words {
                    if let Some(of) = there.get(&word).filter(|of| is(w, of)) {
                        offsets.found(offset);
                        found.push((w, word, *of));
                        any = true;
                    }
                }
                if !any && most != SAMPLE {
                    rest.push(w);
                }
            }
        }
        found
    }

    fn timers(&mut self) {
        let timers: Vec<u64> =
            self.of(Queue::Sleep).iter().map(|w| w.g.timer).filter(|&at| at != 0).collect();
        self.when(&timers);
    }
}
