//! What interfaces hold: the dynamic type by its descriptor, the value where the data word says.

use crate::gap::Gap;
use crate::memory::Memory;
use crate::place::Place;
use crate::types::{Shape, Type, TypeRef};
use crate::value::buffer::View;
use crate::value::descriptor::Head;
use crate::value::reader::{Walk, check_address};
use crate::value::{Reader, Value};

impl Reader<'_> {
    /// What the interface at a place holds: the dynamic type, and where the value is.
    pub fn dynamic(&self, place: &Place, of: TypeRef) -> Result<(TypeRef, Place), Gap> {
        let ty = self.types.get(of)?;
        let Shape::Interface { has_methods } = ty.shape else {
            return Err(Gap::Expression(format!("{} is no interface", ty.name)));
        };
        if self.redact.hides_type(&ty.name) {
            return Err(Gap::Redacted);
        }
        let buffer = self.read(place, 16)?;
        self.held(buffer.view(), has_methods)?.ok_or(Gap::NilInterface)
    }

    /// What the interface whose words `view` begins with holds; `None` is nil.
    //
    // @go offset internal/abi.ITab.Type = none (..1.22), 8 (1.23..)
    // @go offset internal/abi.ITab.Hash = none (..1.22), 16 (1.23..)
    // @go offset runtime.itab._type = 8 (..1.22), none (1.23..)
    // @go offset runtime.itab.hash = 16 (..1.22), none (1.23..)
    // @go offset runtime.iface.tab = 0
    // @go offset runtime.iface.data = 8
    // @go offset runtime.eface._type = 0
    // @go offset runtime.eface.data = 8
    pub(super) fn held(&self, view: View<'_>, has_methods: bool) -> Result<Option<(TypeRef, Place)>, Gap> {
        let (first, data) = (view.word(0)?, view.word(8)?);
        if first == 0 {
            return match data {
                0 => Ok(None),
                _ => Err(Gap::Implausible(format!("a nil interface that holds {data:#x}"))),
            };
        }
        let (descriptor, hash) = match has_methods {
            false => (first, None),
            true => {
                let table = self.read(&Place::At(first), 24)?;
                (table.view().word(8)?, Some(table.view().uint(16, 4)? as u32))
            }
        };
        let head = Head::read(self.memory_of_types(), descriptor, self.facts.minor)?;
        // Tables that are made while the program runs have none (runtime/iface.go, getitab, Go 1.21 to 1.27).
        if hash.is_some_and(|hash| hash != 0 && hash != head.hash) {
            return Err(Gap::Implausible("an interface's table names another type".into()));
        }
        let held = self.types.by_descriptor(descriptor)?;
        let ty = self.types.get(held)?;
        if ty.size != head.size || !head.is_of(&ty.shape) {
            return Err(Gap::Implausible(format!("the type at {descriptor:#x} is not {}", ty.name)));
        }
        let place = if head.is_direct {
            view.part(8, 8)?.place()
        } else {
            check_address(data)?;
            Place::At(data)
        };
        Ok(Some((held, place)))
    }

    pub(super) fn memory_of_types(&self) -> &dyn Memory {
        self.memory
    }

    pub(super) fn interface(&self, view: View<'_>, has_methods: bool, walk: &mut Walk) -> Result<Value, Gap> {
        let Some((held, place)) = self.held(view, has_methods)? else { return Ok(Value::Nil) };
        let ty = self.types.get(held)?;
        let value = self.boxed(&place, held, &ty, walk);
        Ok(Value::Dynamic { of: ty.name.clone(), value: Box::new(value) })
    }

    /// The value that an interface holds. It may hold a pointer to itself.
    fn boxed(&self, place: &Place, held: TypeRef, ty: &Type, walk: &mut Walk) -> Value {
        match place {
            Place::At(address) if !matches!(ty.shape, Shape::Pointer(_)) => {
                self.follow(*address, held, walk).unwrap_or_else(Value::Missing)
            }
            _ => self.at(place, held, walk),
        }
    }
}
