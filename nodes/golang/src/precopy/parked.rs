//! Which goroutines are parked, so that their stacks do not change, and whether one ran between two reads of its record.
//!
//! A goroutine that leaves `_Grunning` by `casgstatus` bumps `g.trackingSeq`, an 8-bit counter (runtime/proc.go), so two
//! records with an equal counter are of one and the same park, unless it left a multiple of 256 times in between and parked
//! at the very same place, with the very same `sudog` and without paying for an allocation. What switches without the
//! counter is never taken for parked: coroutines (`coroswitch_m`, runtime/coro.go), preempted goroutines
//! (`casGToPreemptScan`, `casGFromPreempted`), and those that wait on a thread (`casGToWaiting` and its kin): `g.m` tells, for
//! the status is published before the counter is bumped, and that before `dropg`. The collector may move the stack of a
//! parked goroutine, each time to one half as large, so that it does not come back to where it was.
//!
//! Some rules say the same twice: what the runtime does without the counter does not stand in `gopark`, and has a wait reason
//! of its own. Each is looked at all the same; `model` shows what each of them is for.
//!
//! Against the counter's wrap there is `g.waitsince`: the collector sets it where it is 0, once in each of its cycles, and
//! whoever runs clears it (`execute`). So who has waited since before the last collection is proved not to have run. A sleeper
//! has the time at which it wakes, which is another one each time it sleeps.
//
// @go source runtime.casgstatus
// @go source runtime.casGToWaiting
// @go source runtime.coroswitch_m (1.22..)
// @go source runtime.casGToPreemptScan
// @go source runtime.casGFromPreempted
// @go source runtime.execute
// @go source runtime.timeSleep
// @go source runtime.gopark
// @go source runtime.park_m
// @go source runtime.dropg
// @go source runtime.gdestroy (1.22..)
// @go source runtime.goexit0
// @go source runtime.newproc1
// @go source runtime.copystack
// @go source runtime.shrinkstack
// @go size runtime.g.{param,gcAssistBytes} = 8
// @go size runtime.g.{trackingSeq,parkingOnChan} = 1
// @go size runtime.g.sleepWhen = none (..1.22), 8 (1.23..)

use std::cell::Cell;

use super::outline::Outline;
use crate::bytes::{u8_at, u32_at, u64_at};
use crate::records::STATUS_SCAN;

/// Those of `gopark`; all others are of goroutines that wait on a thread, of preempted ones, of coroutines, or unknown.
const REASONS: [&str; 35] = [
    "IO wait",
    "chan receive",
    "chan send",
    "chan receive (nil chan)",
    "chan send (nil chan)",
    "chan receive (durable)",
    "chan send (durable)",
    "chan receive (synctest)",
    "chan send (synctest)",
    "select",
    "select (no cases)",
    "select (durable)",
    "select (synctest)",
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
//
// @go const runtime._Gwaiting = 4
const WAITING: u32 = 4;

/// Which of the rules hold. All of them, but for tests that ask what one of them is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// It is waiting.
    pub(crate) status: bool,
    /// It has no thread.
    pub(crate) thread: bool,
    /// It waits for one of [`REASONS`].
    pub(crate) reason: bool,
    /// It stands in `gopark`.
    pub(crate) gopark: bool,
    /// It is the same goroutine.
    pub(crate) goid: bool,
    /// Its stack is where it was, and its saved registers are what they were.
    pub(crate) place: bool,
    /// It has not left `_Grunning` since.
    pub(crate) counter: bool,
    /// It waits for the same.
    pub(crate) wait: bool,
}

impl Rules {
    pub(crate) const ALL: Rules = Rules {
        status: true,
        thread: true,
        reason: true,
        gopark: true,
        goid: true,
        place: true,
        counter: true,
        wait: true,
    };
}

/// What tells, in a `runtime.g` of one build.
pub(crate) struct Parked<'a> {
    pub(crate) outline: Outline<'a>,
    rules: Rules,
    /// By the number of the reason.
    allowed: Vec<bool>,
    /// Offset and length of what is compared, besides the status.
    fields: Vec<(usize, usize)>,
    /// Where `gopark` calls `mcall`, once it was seen.
    gopark: Cell<Option<u64>>,
}

impl<'a> Parked<'a> {
    pub(crate) fn new(outline: Outline<'a>, rules: Rules) -> Self {
        let layouts = outline.layouts;
        let (g, sched, stack) = (&layouts.g, layouts.g.sched, layouts.g.stack);
        let place = [
            (stack + layouts.stack.lo, 8),
            (stack + layouts.stack.hi, 8),
            (sched + layouts.gobuf.sp, 8),
            (sched + layouts.gobuf.pc, 8),
            (sched + layouts.gobuf.bp, 8),
        ];
        let wait =
            [(g.waitreason, 1), (g.waiting, 8), (g.param, 8), (g.parking_on_chan, 1), (g.gc_assist_bytes, 8)];
        let mut fields = Vec::new();
        for (holds, some) in [
            (rules.thread, &[(g.m, 8)][..]),
            (rules.goid, &[(g.goid, 8)]),
            (rules.place, &place),
            (rules.counter, &[(g.tracking_seq, 1)]),
            (rules.wait, &wait),
        ] {
            fields.extend(some.iter().filter(|_| holds));
        }
        fields.extend(g.sleep_when.filter(|_| rules.wait).map(|at| (at, 8)));
        let allowed = outline.wait_reasons.iter().map(|r| REASONS.contains(&r.as_str())).collect();
        Parked { outline, rules, allowed, fields, gopark: Cell::new(None) }
    }

    /// Offset and length of what is compared, besides the status and `waitsince`.
    pub(crate) fn fields(&self) -> &[(usize, usize)] {
        &self.fields
    }

    /// Whether a goroutine is parked by `gopark`, on no thread. `g` is the whole record.
    pub(crate) fn is_parked(&self, g: &[u8]) -> bool {
        let (layouts, rules) = (self.outline.layouts, &self.rules);
        let pc = u64_at(g, layouts.g.sched + layouts.gobuf.pc);
        let reason = u8_at(g, layouts.g.waitreason).and_then(|r| self.allowed.get(usize::from(r)));
        (!rules.status || self.status(g) == Some(WAITING))
            && (!rules.thread || u64_at(g, layouts.g.m) == Some(0))
            && (!rules.reason || reason == Some(&true))
            && (!rules.gopark || pc.is_some_and(|pc| self.is_gopark(pc)))
    }

    fn status(&self, g: &[u8]) -> Option<u32> {
        u32_at(g, self.outline.layouts.g.atomicstatus).map(|status| status & !STATUS_SCAN)
    }

    fn is_gopark(&self, pc: u64) -> bool {
        if self.gopark.get() == Some(pc) {
            return true;
        }
        let is_it = (self.outline.is_gopark)(pc);
        if is_it {
            self.gopark.set(Some(pc));
        }
        is_it
    }

    /// Whether two reads of a record show the same park of the same goroutine, if it was parked at the first.
    pub(crate) fn is_same(&self, before: &[u8], now: &[u8]) -> bool {
        let status = self.status(now);
        let since = |g| u64_at(g, self.outline.layouts.g.waitsince);
        let (since_before, since_now) = (since(before), since(now));
        (!self.rules.status || status.is_some() && self.status(before) == status)
            && (!self.rules.wait || since_before == Some(0) || since_before == since_now)
            && self.fields.iter().all(|&(at, length)| {
                let field = at..at + length;
                let now = now.get(field.clone());
                now.is_some() && before.get(field) == now
            })
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::world::World;
    use super::*;

    fn of(world: &World, reasons: &[String], check: impl Fn(&Parked<'_>, &[u8])) {
        let parked = Parked::new(world.outline(reasons), Rules::ALL);
        let g = world.goroutines[0].address as usize;
        check(&parked, &world.bytes[g..g + world.layouts.g.size]);
    }

    /// One bit of a field is another one.
    fn changed(g: &[u8], at: usize) -> Vec<u8> {
        let mut changed = g.to_vec();
        changed[at] ^= 1;
        changed
    }

    #[test]
    fn each_field_counts() {
        let world = World::new(27, 1, 0x400, true);
        of(&world, &World::reasons(), |parked, g| {
            let (layouts, sched) = (&world.layouts, world.layouts.g.sched);
            let of_g = &layouts.g;
            assert!(parked.is_parked(g) && parked.is_same(g, g));
            for at in [
                of_g.atomicstatus,
                of_g.m,
                of_g.goid,
                of_g.stack + layouts.stack.lo,
                of_g.stack + layouts.stack.hi,
                sched + layouts.gobuf.sp,
                sched + layouts.gobuf.pc,
                sched + layouts.gobuf.bp,
                of_g.waiting,
                of_g.waitreason,
                of_g.param,
                of_g.parking_on_chan,
                of_g.gc_assist_bytes,
                of_g.tracking_seq,
            ] {
                assert!(!parked.is_same(g, &changed(g, at)), "at {at}");
            }
            // The collector has met it; then it ran.
            let met = changed(g, of_g.waitsince);
            assert!(parked.is_same(g, &met) && parked.is_same(&met, &met) && !parked.is_same(&met, g));
            assert!(!parked.is_same(g, &changed(g, of_g.sleep_when.unwrap())));
            assert!(parked.is_same(g, &changed(g, of_g.labels)));
            for at in [of_g.atomicstatus, of_g.m, sched + layouts.gobuf.pc] {
                assert!(!parked.is_parked(&changed(g, at)), "at {at}");
            }
            // _Gscan is the second byte's 0x10: the collector looks at the stack, it does not run it.
            let mut scanned = g.to_vec();
            scanned[of_g.atomicstatus + 1] |= 0x10;
            assert!(parked.is_parked(&scanned) && parked.is_same(g, &scanned));
        });
    }

    #[test]
    fn what_is_not_in_the_record_is_not_the_same() {
        let world = World::new(27, 1, 0x400, false);
        of(&world, &World::reasons(), |parked, g| {
            let cut = &g[..world.layouts.g.tracking_seq];
            assert!(!parked.is_same(cut, cut));
            assert!(!parked.is_same(&[], &[]) && !parked.is_parked(&[]));
        });
    }

    #[test]
    fn a_reason_that_is_unknown_is_not_believed() {
        let world = World::new(27, 1, 0x400, false);
        of(&world, &["".into()], |parked, g| assert!(!parked.is_parked(g)));
        of(&world, &["".into(), "another".into()], |parked, g| assert!(!parked.is_parked(g)));
        of(&world, &["".into(), "sleep".into()], |parked, g| assert!(parked.is_parked(g)));
    }
}
