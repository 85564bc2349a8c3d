//! Which goroutines are parked, so that their stacks do not change, and whether one ran between two reads of its record.
//!
//! A goroutine that leaves `_Grunning` by `casgstatus` bumps `g.trackingSeq`, an 8-bit counter (runtime/proc.go), so two
//! equal records with an equal counter are of one and the same park, unless it parked a multiple of 256 times in between
//! at the very same place, with the very same `sudog` and without paying for an allocation. What switches without the
//! counter is never taken for parked: coroutines (`coroswitch_m`, runtime/coro.go), preempted goroutines
//! (`casGToPreemptScan`), and those that wait on a thread (`casGToWaitingForSuspendG`): `g.m` tells, for the status is
//! published before the counter is bumped and before `dropg`.
//!
//! What does change in a parked stack is where it receives into (`sudog.elem`): its sender writes there first.
//
// @go source runtime.casgstatus
// @go source runtime.coroswitch_m
// @go source runtime.casGToPreemptScan
// @go source runtime.casGFromPreempted
// @go source runtime.park_m
// @go source runtime.dropg
// @go size runtime.g.{param,gcAssistBytes} = 8
// @go size runtime.g.{trackingSeq,parkingOnChan} = 1

use std::cell::Cell;

use crate::bytes::{u8_at, u32_at, u64_at};
use crate::records::STATUS_SCAN;
use crate::runtime::Runtime;

/// Those of `gopark`; all others are of goroutines that wait on a thread, of preempted ones, of coroutines, or unknown.
const REASONS: [&str; 32] = [
    "IO wait",
    "chan receive",
    "chan send",
    "chan receive (nil chan)",
    "chan send (nil chan)",
    "chan receive (durable)",
    "chan send (durable)",
    "select",
    "select (no cases)",
    "select (durable)",
    "sleep",
    "semacquire",
    "sync.Cond.Wait",
    "sync.Mutex.Lock",
    "sync.RWMutex.RLock",
    "sync.RWMutex.Lock",
    "sync.WaitGroup.Wait",
    "sync.WaitGroup.Wait (durable)",
    "synctest.Run",
    "synctest.Wait",
    "GC assist wait",
    "GC sweep wait",
    "GC scavenge wait",
    "GC worker (idle)",
    "GC weak to strong wait",
    "wait for GC cycle",
    "force gc (idle)",
    "finalizer wait",
    "cleanup wait",
    "GOMAXPROCS updater (idle)",
    "trace reader (blocked)",
    "panicwait",
];

/// `_Gwaiting` (runtime/runtime2.go).
const WAITING: u32 = 4;

/// What tells, in a `runtime.g` of one build.
pub(crate) struct Parked<'a> {
    runtime: &'a Runtime<'a>,
    /// By the number of the reason.
    allowed: Vec<bool>,
    /// Offset and length of what is compared, besides the status.
    fields: [(usize, usize); 13],
    /// Where `gopark` calls `mcall`, once it was seen.
    gopark: Cell<Option<u64>>,
}

impl<'a> Parked<'a> {
    pub(crate) fn new(runtime: &'a Runtime<'a>) -> Self {
        let layouts = &runtime.build.layouts;
        let (g, sched, stack) = (&layouts.g, layouts.g.sched, layouts.g.stack);
        Parked {
            runtime,
            allowed: runtime.wait_reasons.iter().map(|r| REASONS.contains(&r.as_str())).collect(),
            fields: [
                (g.m, 8),
                (g.goid, 8),
                (stack + layouts.stack.lo, 8),
                (stack + layouts.stack.hi, 8),
                (sched + layouts.gobuf.sp, 8),
                (sched + layouts.gobuf.pc, 8),
                (sched + layouts.gobuf.bp, 8),
                (g.waiting, 8),
                (g.waitreason, 1),
                (g.param, 8),
                (g.parking_on_chan, 1),
                (g.gc_assist_bytes, 8),
                (g.tracking_seq, 1),
            ],
            gopark: Cell::new(None),
        }
    }

    /// Whether a goroutine is parked by `gopark`, on no thread. `g` is the whole record.
    pub(crate) fn is_parked(&self, g: &[u8]) -> bool {
        let layouts = &self.runtime.build.layouts;
        let status = u32_at(g, layouts.g.atomicstatus).map(|status| status & !STATUS_SCAN);
        let allowed = u8_at(g, layouts.g.waitreason).and_then(|r| self.allowed.get(usize::from(r)));
        status == Some(WAITING)
            && u64_at(g, layouts.g.m) == Some(0)
            && allowed == Some(&true)
            && u64_at(g, layouts.g.sched + layouts.gobuf.pc).is_some_and(|pc| self.is_gopark(pc))
    }

    fn is_gopark(&self, pc: u64) -> bool {
        if self.gopark.get() == Some(pc) {
            return true;
        }
        let functions = &self.runtime.functions;
        let function = self.runtime.offset(pc).and_then(|pc| functions.find(pc));
        let is_it = function.is_some_and(|function| functions.name(&function) == "runtime.gopark");
        if is_it {
            self.gopark.set(Some(pc));
        }
        is_it
    }

    /// Whether two reads of a record show the same park of the same goroutine, if it was parked at the first.
    pub(crate) fn is_same(&self, before: &[u8], now: &[u8]) -> bool {
        let at = self.runtime.build.layouts.g.atomicstatus;
        let status = |g| u32_at(g, at).map(|status| status & !STATUS_SCAN);
        status(before) == status(now)
            && self.fields.iter().all(|&(at, length)| {
                let field = at..at + length;
                before.get(field.clone()) == now.get(field)
            })
    }
}
