//! Whether the layouts and addresses that a build is believed to have are those of a process: the runtime's records refer
//! to each other, and that is looked at before anything is taken from them.
//!
//! The process runs meanwhile: a record may be in the midst of a change, most are not.

use thiserror::Error;

use crate::gather::THREADS_MAX;
use crate::memory::{Memory, Unreadable};
use crate::records::{GRecord, MRecord, Status};
use crate::runtime::Runtime;

/// Records of goroutines that are looked at.
const SAMPLE: usize = 16;
/// Go's own limit is 1 GB (runtime/proc.go, `maxstacksize`).
const STACK_BYTES_MAX: u64 = 1 << 30;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(crate) enum Invalid {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("{0}")]
    Contradiction(&'static str),
}

use Invalid::Contradiction;

/// The list of goroutines, and the fields of `runtime.g`.
pub(crate) fn check_goroutines(runtime: &Runtime<'_>, memory: &dyn Memory) -> Result<(), Invalid> {
    let variables = &runtime.build.variables;
    let count = memory.read_u64(runtime.address(variables.allglen))?;
    let array = memory.read_u64(runtime.address(variables.allgptr))?;
    // It has only just begun.
    if count == 0 {
        return Ok(());
    }
    let layouts = &runtime.build.layouts;
    let count = count.min(SAMPLE as u64);
    let (mut sound, mut alive) = (0, 0);
    for i in 0..count {
        let address = memory.read_u64(array.wrapping_add(8 * i))?;
        let bytes = memory.read_bytes(address, layouts.g.size)?;
        let Some(g) = GRecord::parse(address, &bytes, layouts) else {
            return Err(Contradiction("a goroutine's record is too short"));
        };
        if g.status.is_alive() {
            alive += 1;
            sound += usize::from(is_sound(runtime, &g));
        }
    }
    // The very first goroutine's record is in the list before it is filled in.
    let none_yet = alive == 0 && count == 1;
    if none_yet || sound * 2 > alive {
        Ok(())
    } else {
        Err(Contradiction("its goroutines' records contradict themselves"))
    }
}

fn is_sound(runtime: &Runtime<'_>, g: &GRecord) -> bool {
    // A plugin that cannot be read may have started it.
    let in_text = |pc: u64| {
        let found = runtime.offset(pc).is_some_and(|pc| runtime.functions.find(pc).is_some());
        found || runtime.missing.iter().any(|missing| missing.what == "plugin")
    };
    let stack = g.stack_lo < g.stack_hi && g.stack_hi - g.stack_lo <= STACK_BYTES_MAX;
    !matches!(g.status, Status::Unknown(_))
        && g.sched_g == g.address
        && stack
        && g.goid != 0
        // The goroutine of a C thread that calls into Go was not started by a function.
        && (g.start_pc == 0 || in_text(g.start_pc))
        && (g.go_pc == 0 || in_text(g.go_pc))
}

/// The list of threads, and the fields of `runtime.m`.
pub(crate) fn check_threads(runtime: &Runtime<'_>, memory: &dyn Memory) -> Result<(), Invalid> {
    let layouts = &runtime.build.layouts;
    let mut next = memory.read_u64(runtime.address(runtime.build.variables.allm))?;
    let (mut all, mut sound) = (0, 0);
    while next != 0 {
        all += 1;
        if all > THREADS_MAX {
            return Err(Contradiction("the list of its threads has no end"));
        }
        let bytes = memory.read_bytes(next, layouts.m.size)?;
        let Some(m) = MRecord::parse(next, &bytes, layouts) else {
            return Err(Contradiction("a thread's record is too short"));
        };
        let g0 = memory.read_bytes(m.g0, layouts.g.size).ok();
        let g0 = g0.and_then(|bytes| GRecord::parse(m.g0, &bytes, layouts));
        sound += usize::from(g0.is_some_and(|g0| g0.m == m.address) && m.procid <= u64::from(u32::MAX));
        next = m.next;
    }
    if all == 0 || sound * 2 > all {
        Ok(())
    } else {
        Err(Contradiction("its threads' records contradict themselves"))
    }
}
