//! What a closure holds: the variables that its function has captured.

use super::DebugInfo;
use crate::gap::Gap;
use crate::types::{Shape, TypeRef};
use crate::value::Captured;

/// Captured variables of one closure.
const CAPTURED_MAX: usize = 1 << 10;

impl DebugInfo {
    /// Those of the closure whose code holds `pc`, an address of the file, in the order in which they lie in it. Go 1.23 and
    /// later tell (DW_AT_go_closure_offset).
    pub fn captured(&self, pc: u64) -> Result<Vec<Captured>, Gap> {
        let open = self.sections.open()?;
        let Some(function) = self.function_at(&open, pc)? else { return Ok(Vec::new()) };
        let mut captured = Vec::new();
        for declared in function.variables.iter().filter(|declared| declared.scope == 0) {
            let Some(offset) = declared.closure_offset else { continue };
            if captured.len() == CAPTURED_MAX {
                break;
            }
            let mut of = TypeRef::Debug(self.resolve(&open, declared.of)?.offset);
            let by_reference = declared.name.starts_with('&');
            if by_reference {
                match self.type_of(of)?.shape {
                    Shape::Pointer(to) => of = to,
                    _ => return Err(Gap::DamagedDebugInfo(format!("{} is no pointer", declared.name))),
                }
            }
            let name = declared.name.trim_start_matches('&').to_owned();
            captured.push(Captured { name, of, offset, by_reference });
        }
        captured.sort_by_key(|variable| variable.offset);
        Ok(captured)
    }
}
