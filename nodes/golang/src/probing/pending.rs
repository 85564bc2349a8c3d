//! The slots that a parked goroutine receives into: whoever sends writes there, before the goroutine runs again. What is
//! there until then is no value of the variable.
//!
//! `g.waiting` lists the `sudog`s of a channel operation, in lock order, by `waitlink` (runtime/chan.go, select.go).
//! Cases of a select that would send are among them; their slots are refused, too.
//
// @go source runtime.chanrecv
// @go source runtime.selectgo
// @go source runtime.recv
// @go source runtime.sendDirect
// @go size runtime.sudog.waitlink = 8
// @go size runtime.sudog.elem = 8 (..1.25), 16 (1.26..)
// @go size runtime.sudog.c = 8 (..1.25), 16 (1.26..)
// @go size runtime.hchan.elemsize = 2

use crate::memory::{Memory, Range, Unreadable};
use crate::records::GRecord;
use crate::runtime::Runtime;

/// A select has at most this many cases (cmd/compile, `walkSelectCases`; runtime/select.go, `selectgo`).
const CASES_MAX: usize = 1 << 16;

/// Go 1.26 made `elem` and `c` pairs of which the second word is always there (`maybeTraceablePtr`, runtime2.go).
//
// @go offset runtime.maybeTraceablePtr.vu = none (..1.25), 8 (1.26..)
const MINOR_WITH_PAIRS: u32 = 26;

/// Empty for a goroutine that receives from no channel.
pub(crate) fn receive_slots(
    runtime: &Runtime<'_>,
    g: &GRecord,
    memory: &dyn Memory,
) -> Result<Vec<Range>, Unreadable> {
    let reason = runtime.wait_reasons.get(usize::from(g.wait_reason)).map_or("", String::as_str);
    if g.waiting == 0 || !(reason.starts_with("chan receive") || reason.starts_with("select")) {
        return Ok(Vec::new());
    }
    let layouts = &runtime.build.layouts;
    let second = if runtime.build.minor >= MINOR_WITH_PAIRS { 8 } else { 0 };
    let mut slots = Vec::new();
    let (mut next, mut seen) = (g.waiting, 0);
    while next != 0 && seen < CASES_MAX {
        seen += 1;
        let word = |at: usize| memory.read_u64(next.wrapping_add(at as u64));
        let slot = word(layouts.sudog.elem + second)?;
        let channel = word(layouts.sudog.c + second)?;
        if slot != 0 {
            let mut size = [0; 2];
            memory.read(channel.wrapping_add(layouts.channel.elemsize as u64), &mut size)?;
            slots.push(Range { address: slot, length: usize::from(u16::from_le_bytes(size)) });
        }
        next = word(layouts.sudog.waitlink)?;
    }
    Ok(slots)
}
