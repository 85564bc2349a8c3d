//! Arguments that are too large for registers, where debug information has them nowhere.
//!
//! Such a value has no other place than its slot among the arguments, and while the garbage collector's maps have it live,
//! what is read later has been stored there. (Where it is not read the compiler may not store it, and Go's own traceback
//! prints what the slot happens to hold: an unused argument since Go 1.26.)
//!
//! The slots of smaller arguments are not used: they hold what was stored last, which need not be the argument's value any
//! more, even where the compiler's tables for tracebacks call them live (cmd/compile/internal/liveness/arg.go: "an actual
//! value has been stored into it at or before this point").

use super::frames::Question;
use super::function::Declared;
use super::layout::leaves;
use crate::gap::Gap;
use crate::variable::{Location, Role};

/// Larger values are never in registers but to be passed (`CanSSA`, cmd/compile/internal/ssa/value.go; `TypeOK` in
/// cmd/compile/internal/ssagen/ssa.go of Go 1.21).
pub(super) const REGISTER_BYTES_MAX: u64 = 32;

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
        if !is_argument || size <= REGISTER_BYTES_MAX || self.unit.has_simd {
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
        let is_live = self.evidence.live_pointers.iter().any(|&at| at >= start && at - start < size);
        if !is_of_type || !is_live {
            return missing;
        }
        Ok(Location::Frame(start as i64 + self.arguments_start()))
    }

    /// From the canonical frame address (`argp` in runtime/traceback.go): behind the return address where calls leave it
    /// in a register.
    fn arguments_start(&self) -> i64 {
        if self.evidence.uses_link_register { 8 } else { 0 }
    }
}
