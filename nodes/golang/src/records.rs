//! The runtime's records of goroutines (`runtime.g`) and threads (`runtime.m`), as bytes turned into values.

use crate::bytes::{u8_at, u32_at, u64_at};
use crate::layout::Layouts;

/// Values of `g.atomicstatus` (runtime/runtime2.go).
//
// @go const runtime._Gidle = 0
// @go const runtime._Grunnable = 1
// @go const runtime._Grunning = 2
// @go const runtime._Gsyscall = 3
// @go const runtime._Gwaiting = 4
// @go const runtime._Gdead = 6
// @go const runtime._Gcopystack = 8
// @go const runtime._Gpreempted = 9
// @go const runtime._Gleaked = none (..1.25), 10 (1.26..)
// @go const runtime._Gdeadextra = none (..1.25), 11 (1.26..)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Idle,
    Runnable,
    Running,
    Syscall,
    Waiting,
    Dead,
    CopyStack,
    Preempted,
    Leaked,
    DeadExtra,
    Unknown(u32),
}

/// The collector scans the goroutine's stack.
//
// @go const runtime._Gscan = 0x1000
pub(crate) const STATUS_SCAN: u32 = 0x1000;

impl Status {
    pub(crate) fn of(value: u32) -> Self {
        match value & !STATUS_SCAN {
            0 => Status::Idle,
            1 => Status::Runnable,
            2 => Status::Running,
            3 => Status::Syscall,
            4 => Status::Waiting,
            6 => Status::Dead,
            8 => Status::CopyStack,
            9 => Status::Preempted,
            10 => Status::Leaked,
            11 => Status::DeadExtra,
            other => Status::Unknown(other),
        }
    }

    /// As Go's traceback prints it (runtime/traceback.go).
    //
    // @go source runtime.gStatusStrings
    pub fn name(self) -> &'static str {
        match self {
            Status::Idle => "idle",
            Status::Runnable => "runnable",
            Status::Running => "running",
            Status::Syscall => "syscall",
            Status::Waiting => "waiting",
            Status::Dead => "dead",
            Status::CopyStack => "copystack",
            Status::Preempted => "preempted",
            Status::Leaked => "leaked",
            Status::DeadExtra => "waiting for cgo callback",
            Status::Unknown(_) => "???",
        }
    }

    /// There is a goroutine: it has started and not ended. A dead one's record keeps the remains of the last.
    pub fn is_alive(self) -> bool {
        !matches!(self, Status::Idle | Status::Dead | Status::DeadExtra)
    }
}

/// One `runtime.g`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GRecord {
    pub(crate) address: u64,
    pub(crate) status: Status,
    pub(crate) scanned: bool,
    pub(crate) goid: u64,
    pub(crate) stack_lo: u64,
    pub(crate) stack_hi: u64,
    pub(crate) m: u64,
    pub(crate) sched_sp: u64,
    pub(crate) sched_pc: u64,
    pub(crate) sched_lr: u64,
    pub(crate) sched_bp: u64,
    /// `sched.g`: points back to the record itself.
    pub(crate) sched_g: u64,
    pub(crate) syscall_sp: u64,
    pub(crate) syscall_pc: u64,
    pub(crate) stack_top_sp: u64,
    pub(crate) wait_since: i64,
    pub(crate) wait_reason: u8,
    pub(crate) locked_m: u64,
    pub(crate) parent_goid: u64,
    pub(crate) go_pc: u64,
    pub(crate) start_pc: u64,
    pub(crate) labels: u64,
    /// `bubble`, or `syncGroup` in Go 1.24.
    pub(crate) bubble: u64,
    pub(crate) running_cleanups: bool,
    /// First of the `sudog`s that it waits with.
    pub(crate) waiting: u64,
    /// Of its sleep.
    pub(crate) timer: u64,
    /// When its sleep ends (CLOCK_MONOTONIC), from Go 1.23 on.
    pub(crate) sleep_when: i64,
    /// Inside `runtime/secret.Do`.
    pub(crate) secret: bool,
}

impl GRecord {
    /// `bytes` is the whole structure.
    //
    // @go size runtime.g.{m,syscallsp,syscallpc,stktopsp,goid,waitsince,lockedm,parentGoid,gopc,startpc,labels} = 8
    // @go size runtime.g.{waitreason} = 1
    // @go size runtime.g.atomicstatus = 4
    // @go size runtime.g.syncGroup = none (..1.23), 8 (1.24), none (1.25..)
    // @go size runtime.g.bubble = none (..1.24), 8 (1.25..)
    // @go size runtime.g.runningCleanups = none (..1.24), 1 (1.25..)
    // @go size runtime.g.waiting = 8
    // @go size runtime.g.timer = 8
    // @go size runtime.g.sleepWhen = none (..1.22), 8 (1.23..)
    // @go size runtime.g.secret = none (..1.25), 4 (1.26..)
    // @go size runtime.gobuf.{sp,pc,g,lr,bp} = 8
    // @go size runtime.stack.{lo,hi} = 8
    pub(crate) fn parse(address: u64, bytes: &[u8], layouts: &Layouts) -> Option<Self> {
        let (g, sched, stack) = (&layouts.g, layouts.g.sched, layouts.g.stack);
        let status = u32_at(bytes, g.atomicstatus)?;
        let bubble = g.bubble.or(g.sync_group);
        Some(GRecord {
            address,
            status: Status::of(status),
            scanned: status & STATUS_SCAN != 0,
            goid: u64_at(bytes, g.goid)?,
            stack_lo: u64_at(bytes, stack + layouts.stack.lo)?,
            stack_hi: u64_at(bytes, stack + layouts.stack.hi)?,
            m: u64_at(bytes, g.m)?,
            sched_sp: u64_at(bytes, sched + layouts.gobuf.sp)?,
            sched_pc: u64_at(bytes, sched + layouts.gobuf.pc)?,
            sched_lr: u64_at(bytes, sched + layouts.gobuf.lr)?,
            sched_bp: u64_at(bytes, sched + layouts.gobuf.bp)?,
            sched_g: u64_at(bytes, sched + layouts.gobuf.g)?,
            syscall_sp: u64_at(bytes, g.syscallsp)?,
            syscall_pc: u64_at(bytes, g.syscallpc)?,
            stack_top_sp: u64_at(bytes, g.stktopsp)?,
            wait_since: u64_at(bytes, g.waitsince)? as i64,
            wait_reason: u8_at(bytes, g.waitreason)?,
            locked_m: u64_at(bytes, g.lockedm)?,
            parent_goid: u64_at(bytes, g.parent_goid)?,
            go_pc: u64_at(bytes, g.gopc)?,
            start_pc: u64_at(bytes, g.startpc)?,
            labels: u64_at(bytes, g.labels)?,
            bubble: bubble.map_or(Some(0), |at| u64_at(bytes, at))?,
            running_cleanups: g.running_cleanups.map_or(Some(0), |at| u8_at(bytes, at))? != 0,
            waiting: u64_at(bytes, g.waiting)?,
            timer: u64_at(bytes, g.timer)?,
            sleep_when: g.sleep_when.map_or(Some(0), |at| u64_at(bytes, at))?.cast_signed(),
            secret: g.secret.map_or(Some(0), |at| u32_at(bytes, at))? != 0,
        })
    }

    /// Its id was given to it when it was started. Those of threads of C have one from the beginning of their thread
    /// (`oneNewExtraM`, runtime/proc.go). Up to Go 1.23 a new one is runnable for some instructions before its record has its
    /// id (`newproc1`).
    pub(crate) fn has_id_of_its_own(&self, minor: u32) -> bool {
        let may_be_new = minor <= 23 && self.status == Status::Runnable && self.sched_pc == self.start_pc;
        self.start_pc != 0 && !may_be_new
    }

    /// `sp` lies on this goroutine's stack; its upper end is no address of it but a possible stack pointer.
    pub(crate) fn holds(&self, sp: u64) -> bool {
        self.stack_lo < sp && sp <= self.stack_hi
    }
}

/// One `runtime.m`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MRecord {
    pub(crate) address: u64,
    /// In the target's innermost PID namespace; 0 for a moment at a thread's start and end.
    pub(crate) procid: u64,
    pub(crate) g0: u64,
    pub(crate) gsignal: u64,
    pub(crate) current_g: u64,
    pub(crate) vdso_sp: u64,
    pub(crate) vdso_pc: u64,
    pub(crate) next: u64,
}

// @go size runtime.m.{g0,procid,gsignal,curg,alllink,vdsoSP,vdsoPC} = 8
impl MRecord {
    pub(crate) fn parse(address: u64, bytes: &[u8], layouts: &Layouts) -> Option<Self> {
        let m = &layouts.m;
        Some(MRecord {
            address,
            procid: u64_at(bytes, m.procid)?,
            g0: u64_at(bytes, m.g0)?,
            gsignal: u64_at(bytes, m.gsignal)?,
            current_g: u64_at(bytes, m.curg)?,
            vdso_sp: u64_at(bytes, m.vdso_sp)?,
            vdso_pc: u64_at(bytes, m.vdso_pc)?,
            next: u64_at(bytes, m.alllink)?,
        })
    }
}
