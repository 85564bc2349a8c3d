//! Which ids of goroutines are given out: what the scheduler and its processors say, read while they run.
//!
//! A processor takes ids from `sched.goidgen`, 16 at once, and gives each new goroutine the next one of them
//! (`newproc1`). Of an id above `goidgen`, and of one that a processor has left, there was no goroutine when that was
//! read. Of all others there was one, but for ids that a processor is just taking: `goidgen` says that they are gone, and
//! the processor does not yet say that it has them. It is running then, and has none left.
//!
//! `allp` up to its capacity: processors that GOMAXPROCS has taken away keep what they have left (`procresize`).
//
// @go source runtime.newproc1
// @go source runtime.procresize
// @go source runtime.oneNewExtraM
// @go const runtime._GoidCacheBatch = 16
// @go const runtime._Prunning = 1
// @go size runtime.schedt.goidgen = 8
// @go size runtime.p.{goidcache,goidcacheend} = 8
// @go size runtime.p.{status,schedtick} = 4

use crate::bytes::{u32_at, u64_at};
use crate::memory::{Memory, Range};
use crate::runtime::Runtime;

/// `_GoidCacheBatch`.
pub(super) const BATCH: u64 = 16;
/// `_Prunning`.
const RUNNING: u32 = 1;
/// GOMAXPROCS has no limit of its own; this is a few times the processors of the largest machines.
const PROCESSORS_MAX: u64 = 16 << 10;

/// What one processor says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Processor {
    pub(super) running: bool,
    /// Counts each time that it turns to another goroutine (`execute`).
    pub(super) tick: u32,
    /// The ids that it has left; not in order: it has none.
    pub(super) next: u64,
    pub(super) end: u64,
}

/// All of them, read one after the other: first the scheduler.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pass {
    /// The last id that was given to a processor, or to a thread of C (`oneNewExtraM`).
    pub(super) taken: u64,
    /// By their numbers.
    pub(super) processors: Vec<Processor>,
}

/// `None`: it cannot be read, or is nothing that a scheduler says.
pub(super) fn read(runtime: &Runtime<'_>, memory: &dyn Memory) -> Option<Pass> {
    let variables = &runtime.build.variables;
    let (p, sched) = runtime.build.layouts.goids.as_ref()?;
    let goidgen = runtime.address(variables.sched?).checked_add(sched.goidgen as u64)?;
    // In this order: who was given an id has been in `allp` before.
    let taken = memory.read_u64(goidgen).ok()?;
    let allp = memory.read_bytes(runtime.address(variables.allp?), 24).ok()?;
    let (array, capacity) = (u64_at(&allp, 0)?, u64_at(&allp, 16)?);
    if capacity > PROCESSORS_MAX {
        return None;
    }
    let pointers = memory.read_bytes(array, 8 * capacity as usize).ok()?;
    let pointers = pointers.chunks_exact(8).filter_map(|word| u64_at(word, 0));
    let length = [p.status + 4, p.schedtick + 4, p.goidcache + 8, p.goidcacheend + 8].into_iter().max()?;
    let ranges: Vec<Range> =
        pointers.filter(|&pointer| pointer != 0).map(|address| Range { address, length }).collect();
    let mut processors = Vec::with_capacity(ranges.len());
    memory.read_each(&ranges, &mut |_, bytes| {
        processors.push(bytes.and_then(|bytes| {
            Some(Processor {
                running: u32_at(bytes, p.status)? == RUNNING,
                tick: u32_at(bytes, p.schedtick)?,
                next: u64_at(bytes, p.goidcache)?,
                end: u64_at(bytes, p.goidcacheend)?,
            })
        }));
    });
    Some(Pass { taken, processors: processors.into_iter().collect::<Option<_>>()? })
}

impl Processor {
    /// The ids that it has left.
    pub(super) fn left(&self) -> std::ops::Range<u64> {
        self.next..self.end
    }

    /// It may have taken ids that it does not show: it is running, so that it is not known to be elsewhere.
    pub(super) fn may_be_taking(&self) -> bool {
        self.next >= self.end && self.running
    }

    /// Whether this can have been read of a processor that said `before` earlier. What is read while it takes new ids may be
    /// half of one time and half of another: that it has fewer of them left than it had then.
    pub(super) fn follows(&self, before: &Processor) -> bool {
        before.end != self.end || before.next <= self.next
    }
}
