//! Structs of which a probe set has chosen the fields that are taken.

use crate::gap::Gap;
use crate::place::Place;
use crate::types::{Shape, Type, TypeRef};
use crate::value::buffer::View;
use crate::value::reader::Walk;
use crate::value::{Reader, Value};

/// Pointers and interfaces in front of one field.
const INDIRECTIONS_MAX: usize = 8;

impl Reader<'_> {
    /// `None`: nothing was chosen of the type.
    pub(super) fn chosen(&self, view: View<'_>, ty: &Type, walk: &mut Walk) -> Option<Result<Value, Gap>> {
        let Shape::Struct(_) = ty.shape else { return None };
        let paths = self.redact.only(&ty.name)?;
        Some(walk.open(|walk| {
            let mut parts = Vec::with_capacity(paths.len());
            for path in paths.iter() {
                if self.used.is_spent(&self.limits) {
                    return Ok(Value::cut(Value::Record(parts), Gap::Size));
                }
                let found = self.along(&view.place(), ty, path);
                let value = found.map(|(place, of)| self.at(&place, of, walk));
                parts.push((path.join("."), value.unwrap_or_else(Value::Missing)));
            }
            Ok(Value::Record(parts))
        }))
    }

    /// From field to field.
    fn along(&self, place: &Place, ty: &Type, path: &[String]) -> Result<(Place, TypeRef), Gap> {
        let (first, rest) =
            path.split_first().ok_or_else(|| Gap::Expression("a path of no fields".to_owned()))?;
        let (mut place, mut of) = self.own_field(place, ty, first)?;
        for name in rest {
            (place, of) = self.struct_at(place, of)?;
            (place, of) = self.own_field(&place, &*self.types.get(of)?, name)?;
        }
        Ok((place, of))
    }

    fn own_field(&self, place: &Place, ty: &Type, name: &str) -> Result<(Place, TypeRef), Gap> {
        let unknown = || Gap::Expression(format!("{} has no field {name}", ty.name));
        let Shape::Struct(fields) = &ty.shape else { return Err(unknown()) };
        let field = fields.iter().find(|field| field.name == name).ok_or_else(unknown)?;
        Ok((self.field(place, field, ty), field.of))
    }

    /// Through pointers and interfaces.
    fn struct_at(&self, mut place: Place, mut of: TypeRef) -> Result<(Place, TypeRef), Gap> {
        for _ in 0..INDIRECTIONS_MAX {
            match self.types.get(of)?.shape {
                Shape::Pointer(to) => (place, of) = (self.target(&place)?, to),
                Shape::Interface { .. } => (of, place) = self.dynamic(&place, of)?,
                _ => return Ok((place, of)),
            }
        }
        Err(Gap::Depth)
    }
}
