//! Arguments that are never in registers but to be passed, where debug information has them nowhere.
//!
//! Such a value has no other place than its slot among the arguments: what is assigned to it is stored there before
//! anybody else may look at memory. But the compiler removes all stores to one that nobody reads (`elimDeadAutosGeneric`,
//! cmd/compile/internal/ssa/deadstore.go), and then Go's own traceback prints what the slot happens to hold: an unused
//! argument since Go 1.26. So the slot counts where the garbage collector's maps have it live, and where all of it was
//! stored on every way.
//!
//! The slots of smaller arguments are not used: they hold what was stored last, which need not be the argument's value any
//! more, even where the compiler's tables for tracebacks call them live (cmd/compile/internal/liveness/arg.go: "an actual
//! value has been stored into it at or before this point").

use super::frames::Question;
use super::function::Declared;
use super::layout::{is_in_memory, leaves};
use crate::gap::Gap;
use crate::stack_slots::StackSlots;
use crate::variable::{Location, Role};

impl Question<'_, '_> {
    /// Where an argument is that is too large for registers: where the function table says that arguments are. `otherwise`:
    /// why it is missing where that is not so.
    pub(super) fn argument_slot(
        &self,
        declared: &Declared,
        of: u64,
        otherwise: Gap,
    ) -> Result<Location, Gap> {
        let missing = Ok(Location::Missing(otherwise));
        let size = self.debug.read_type(self.open, of)?.size;
        let is_argument = declared.role == Role::Argument && declared.scope == 0;
        // With this experiment the compiler has larger registers.
        if !is_argument || self.unit.has_simd || !is_in_memory(self.debug, self.open, of)? {
            return missing;
        }
        let of_function = || self.function.variables.iter().filter(|v| v.scope == 0);
        let was_moved = of_function().any(|v| v.name.strip_prefix('&') == Some(&declared.name));
        let arguments = of_function().filter(|v| v.role == Role::Argument && v.name != ".dict");
        let names: Vec<&str> = arguments.map(|v| v.name.as_str()).collect();
        let slots = &self.evidence.arguments;
        // As many as the source has, or else one has no name.
        let index =
            names.iter().position(|name| *name == declared.name).filter(|_| names.len() == slots.len());
        let (Some(index), false) = (index, was_moved) else { return missing };
        let (Some(leaves), words) = (leaves(self.debug, self.open, of)?, &slots[index]) else {
            return missing;
        };
        let (Some(first), Some(&(at, _))) = (leaves.first(), words.first()) else { return missing };
        let Some(start) = u64::from(at).checked_sub(first.offset) else { return missing };
        let is_of_type = leaves.len() == words.len()
            && leaves.iter().zip(words).all(|(leaf, &(at, length))| {
                u64::from(at) == start + leaf.offset && u64::from(length) == leaf.length
            });
        let Some(slot) =
            i64::try_from(start).ok().and_then(|start| start.checked_add(self.arguments_start()))
        else {
            return missing;
        };
        if !is_of_type {
            return missing;
        }
        let is_live = self.evidence.live_pointers.iter().any(|&at| at >= start && at - start < size);
        let is_stored = |code: &StackSlots| {
            leaves.iter().all(|leaf| {
                let at = slot.saturating_add_unsigned(leaf.offset);
                code.is_stored(self.pc, at, leaf.length)
            })
        };
        let is_held = is_live || self.evidence.slots.as_ref().is_some_and(is_stored);
        if is_held { Ok(Location::Frame(slot)) } else { missing }
    }

    /// From the canonical frame address (`argp` in runtime/traceback.go): behind the return address where calls leave it
    /// in a register.
    fn arguments_start(&self) -> i64 {
        if self.evidence.uses_link_register { 8 } else { 0 }
    }
}
