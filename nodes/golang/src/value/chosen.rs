//! Structs of which a probe set has chosen the parts that are taken.

use crate::gap::Gap;
use crate::place::Place;
use crate::types::{Shape, Type, TypeRef};
use crate::value::reader::Walk;
use crate::value::{Reader, Value};

impl Reader<'_> {
    /// `None`: nothing was chosen of the type.
    pub(super) fn chosen(
        &self,
        place: impl FnOnce() -> Place,
        of: TypeRef,
        ty: &Type,
        walk: &mut Walk,
    ) -> Option<Result<Value, Gap>> {
        let Shape::Struct(_) = ty.shape else { return None };
        let chosen = self.redact.chosen(&ty.name)?;
        let place = place();
        Some(walk.open(|walk| {
            let mut parts = Vec::new();
            for (part, name) in chosen.names().into_iter().enumerate() {
                if self.used.is_spent(&self.limits) {
                    return Ok(Value::cut(Value::Record(parts), Gap::Size));
                }
                let found = chosen.find(part, self, place.clone(), of);
                let value = found.map(|(place, of)| self.at(&place, of, walk));
                parts.push((name.to_owned(), value.unwrap_or_else(Value::Missing)));
            }
            Ok(Value::Record(parts))
        }))
    }
}
