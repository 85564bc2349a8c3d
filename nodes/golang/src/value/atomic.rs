//! Types of `sync/atomic`, and those that the runtime uses: the value in them.
//!
//! `atomic.Int64` is a number, `atomic.Bool` a bool, `atomic.Pointer[T]` what it points to, `atomic.Value` what it holds.

use crate::gap::Gap;
use crate::types::{Shape, Type};
use crate::value::buffer::View;
use crate::value::reader::Walk;
use crate::value::{Reader, Value};

impl Reader<'_> {
    /// `None` where the type is another one of that package (`noCopy`, `align64`).
    pub(super) fn atomic(&self, view: View<'_>, ty: &Type, walk: &mut Walk) -> Option<Result<Value, Gap>> {
        // The value is the last field, `v` or (in the runtime's own) `value`.
        let Shape::Struct(fields) = &ty.shape else { return None };
        let last = fields.last().filter(|field| matches!(field.name.as_str(), "v" | "value"))?;
        let held = match view.part(last.offset, view.length().saturating_sub(last.offset)) {
            Ok(held) => held,
            Err(gap) => return Some(Err(gap)),
        };
        if ty.name.ends_with("atomic.Bool") {
            // A uint32 or a uint8.
            return Some(self.number(view, ty, &last.name).and_then(|number| match number {
                0 => Ok(Value::Bool(false)),
                1 => Ok(Value::Bool(true)),
                other => Err(Gap::Implausible(format!("an atomic.Bool of {other}"))),
            }));
        }
        let target = self.atomic_target(ty).ok();
        Some(match target {
            Some(target) => held.word(0).and_then(|address| self.follow(address, target, walk)),
            None => Ok(self.value(held, last.of, walk)),
        })
    }
}
