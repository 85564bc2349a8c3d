//! Where a function keeps the calls that it has deferred, where the compiler has laid them out in its frame ("open-coded
//! defers"): a byte with a bit for each that is due, and a slot with a closure for each.
//!
//! The closure is written before its bit is set, and the bit is cleared before the call is made (cmd/compile/internal/ssagen,
//! `openDeferRecord` and `openDeferExit`).
//
// @go const internal/abi.FUNCDATA_OpenCodedDeferInfo = 4

use crate::bytes::varint;
use crate::function_table::{Function, ModuleFunctions};

const FUNCDATA_OPEN_CODED_DEFERS: u8 = 4;
/// One bit each (cmd/compile/internal/ssagen, `maxOpenDefers`).
const DEFERS_MAX: u32 = 8;
/// Before Go 1.22 each slot has an offset of its own.
const MINOR_WITH_ONE_OFFSET: u32 = 22;
/// Nothing in a frame is farther from its end.
const OFFSET_MAX: u32 = 1 << 30;

/// In one function's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deferred {
    /// From the caller's stack pointer.
    bits: i64,
    slots: i64,
}

impl Deferred {
    pub const COUNT_MAX: u8 = DEFERS_MAX as u8;

    /// The address of the byte.
    pub fn bits(self, frame_end: u64) -> u64 {
        frame_end.wrapping_add_signed(self.bits)
    }

    /// The address of the slot of one bit.
    pub fn slot(self, frame_end: u64, bit: u8) -> u64 {
        frame_end.wrapping_add_signed(self.slots + 8 * i64::from(bit))
    }
}

impl ModuleFunctions<'_> {
    /// `None`: it has none, or keeps them in the goroutine's list.
    //
    // @go source runtime.(*_panic).initOpenCodedDefers (1.22..)
    pub(crate) fn deferred(&self, function: &Function) -> Option<Deferred> {
        if self.minor < MINOR_WITH_ONE_OFFSET {
            // What closures have captured is not known of these versions.
            return None;
        }
        let data = self.funcdata(function, FUNCDATA_OPEN_CODED_DEFERS)?;
        let (bits, next) = varint(data, 0)?;
        let (slots, _) = varint(data, next)?;
        if bits > OFFSET_MAX || slots > OFFSET_MAX {
            return None;
        }
        // Offsets count down from where the frame's variables end, as those of stack objects do.
        let variables_end = if self.uses_link_register() { -8 } else { -16 };
        Some(Deferred { bits: variables_end - i64::from(bits), slots: variables_end - i64::from(slots) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_lie_one_behind_the_other() {
        let deferred = Deferred { bits: -17, slots: -64 };
        assert_eq!(deferred.bits(0x1000), 0xfef);
        assert_eq!((deferred.slot(0x1000, 0), deferred.slot(0x1000, 3)), (0xfc0, 0xfd8));
    }
}
