//! Types of `sync/atomic`, and those that the runtime uses: the value in them.
//!
//! `atomic.Int64` is a number, `atomic.Bool` a bool, `atomic.Pointer[T]` what it points to, `atomic.Value` what it holds.

use crate::gap::Gap;
use crate::place::Place;
use crate::types::{Shape, Type, TypeRef, Types};
use crate::value::buffer::View;
use crate::value::navigate::part_of;
use crate::value::reader::Walk;
use crate::value::{Reader, Value};

/// Where an atomic type has its value, and the value's type: that of `atomic.Pointer[T]` is `*T`. `None`: the type is none of
/// these.
pub fn atomic_value(types: &dyn Types, ty: &Type) -> Result<Option<(u64, TypeRef)>, Gap> {
    let is_atomic = ["sync/atomic.", "internal/runtime/atomic."].iter().any(|path| ty.name.starts_with(path));
    let Shape::Struct(fields) = &ty.shape else { return Ok(None) };
    let Some(last) = fields.last().filter(|field| is_atomic && matches!(field.name.as_str(), "v" | "value"))
    else {
        return Ok(None);
    };
    // `_ [0]*T` keeps pointers of other types out (sync/atomic/type.go).
    for field in fields {
        if let Shape::Array { element, length: 0 } = types.get(field.of)?.shape
            && matches!(types.get(element)?.shape, Shape::Pointer(_))
        {
            return Ok(Some((last.offset, element)));
        }
    }
    Ok(Some((last.offset, last.of)))
}

impl Reader<'_> {
    /// What the atomic variable at a place holds, and its type.
    pub fn load(&self, place: &Place, of: TypeRef) -> Result<(Place, TypeRef), Gap> {
        let ty = self.open_type(of)?;
        let (offset, of) = atomic_value(self.types, &ty)?
            .ok_or_else(|| Gap::Expression(format!("{} is not atomic", ty.name)))?;
        let size = self.types.get(of)?.size;
        if offset.checked_add(size).is_none_or(|end| end > ty.size) {
            return Err(Gap::Implausible(format!("the value of {} lies outside of it", ty.name)));
        }
        Ok((part_of(place, offset, size), of))
    }

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
