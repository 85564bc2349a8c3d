//! What the code of functions does with their stack slots, kept: a function has many call sites, and its code is read once
//! for all of them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use rustc_hash::FxHashMap;

use crate::stack_slots::StackSlots;

/// Instructions of all functions that are kept: some 20 MB. Who needs more starts again.
const INSTRUCTIONS_MAX: usize = 1 << 18;

/// Of the functions of one module. Copies are one.
#[derive(Clone, Default)]
pub(crate) struct KeptSlots(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    /// By where the function begins, as an address of the file.
    functions: FxHashMap<u64, StackSlots>,
    instructions: usize,
}

impl KeptSlots {
    /// Of the function that begins at `start`; `read` reads its code.
    pub(crate) fn of(&self, start: u64, read: impl FnOnce() -> StackSlots) -> StackSlots {
        if let Some(slots) = self.kept(|kept| kept.functions.get(&start).cloned()) {
            return slots;
        }
        let slots = read();
        self.kept(|kept| {
            if kept.instructions.saturating_add(slots.len()) > INSTRUCTIONS_MAX {
                *kept = Kept::default();
            }
            if kept.functions.insert(start, slots.clone()).is_none() {
                // One that is not understood takes room, too.
                kept.instructions += slots.len().max(1);
            }
        });
        slots
    }

    fn kept<T>(&self, of: impl FnOnce(&mut Kept) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for KeptSlots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptSlots").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code_lines::CodeLines;

    #[test]
    fn code_is_read_once_until_there_is_too_much() {
        let kept = KeptSlots::default();
        let nops = |count: usize| {
            StackSlots::amd64(&vec![0x90; count], 0x1000, |_| Some(0), |_| true, CodeLines::default())
        };
        let small = kept.of(0x1000, || nops(3));
        assert_eq!(kept.clone().of(0x1000, || unreachable!("it is kept")), small);
        let whole = kept.of(0x2000, || nops(INSTRUCTIONS_MAX));
        assert_eq!(whole.len(), INSTRUCTIONS_MAX);
        let mut is_read = false;
        kept.of(0x1000, || {
            is_read = true;
            nops(3)
        });
        assert!(is_read, "it was forgotten");
    }
}
