//! Types, out of the entries that the Go linker writes for them (`defgotype` and the rest of cmd/link/internal/ld/dwarf.go).
//!
//! What a type is, its own kind says (DW_AT_go_kind, `internal/abi.Kind`), not its tag: a map is a typedef of a pointer to
//! a struct of the runtime. A named type has two entries, the type and a plain typedef to it of the same name, which
//! is looked through: two references to one type are equal.

use gimli::constants::{self, DW_AT_byte_size, DW_AT_count, DW_AT_data_member_location, DW_AT_upper_bound};

use super::entry::{
    Attributes, Entry, GO_DICT_INDEX, GO_ELEM, GO_EMBEDDED_FIELD, GO_KEY, GO_KIND, Walk, no_entry,
};
use super::sections::Open;
use super::unit::Units;
use crate::gap::Gap;
use crate::types::{Field, Shape, Type, TypeRef};

/// Typedefs of typedefs; Go needs 2.
const ALIASES_MAX: usize = 16;
/// `reflect.StructOf` allows fewer; generated code has a few thousand.
const FIELDS_MAX: usize = 1 << 16;

/// `internal/abi.Kind`.
//
// @go const internal/abi.Bool = 1
// @go const internal/abi.Int = 2
// @go const internal/abi.Int64 = 6
// @go const internal/abi.Uint = 7
// @go const internal/abi.Uintptr = 12
// @go const internal/abi.Float32 = 13
// @go const internal/abi.Float64 = 14
// @go const internal/abi.Complex64 = 15
// @go const internal/abi.Complex128 = 16
// @go const internal/abi.Array = 17
// @go const internal/abi.Chan = 18
// @go const internal/abi.Func = 19
// @go const internal/abi.Interface = 20
// @go const internal/abi.Map = 21
// @go const internal/abi.Pointer = 22
// @go const internal/abi.Slice = 23
// @go const internal/abi.String = 24
// @go const internal/abi.Struct = 25
// @go const internal/abi.UnsafePointer = 26
// @go const internal/abi.KindMask = 31 (..1.25), none (1.26..)
mod kind {
    pub(super) const BOOL: u64 = 1;
    pub(super) const INT: u64 = 2;
    pub(super) const INT64: u64 = 6;
    pub(super) const UINT: u64 = 7;
    pub(super) const UINTPTR: u64 = 12;
    pub(super) const FLOAT32: u64 = 13;
    pub(super) const FLOAT64: u64 = 14;
    pub(super) const COMPLEX64: u64 = 15;
    pub(super) const COMPLEX128: u64 = 16;
    pub(super) const ARRAY: u64 = 17;
    pub(super) const CHANNEL: u64 = 18;
    pub(super) const FUNCTION: u64 = 19;
    pub(super) const INTERFACE: u64 = 20;
    pub(super) const MAP: u64 = 21;
    pub(super) const POINTER: u64 = 22;
    pub(super) const SLICE: u64 = 23;
    pub(super) const STRING: u64 = 24;
    pub(super) const STRUCT: u64 = 25;
    pub(super) const UNSAFE_POINTER: u64 = 26;
    /// The bits above are flags.
    pub(super) const MASK: u64 = 0x1f;
}

pub(super) fn go_kind(attributes: &Attributes<'_>) -> Option<u64> {
    attributes.number(GO_KIND).map(|k| k & kind::MASK).filter(|&k| k != 0)
}

/// A type without its aliases.
pub(super) struct Resolved {
    pub(super) offset: u64,
    /// Of a type parameter of a generic function (the typedef `.paramN`): its place in the function's dictionary.
    pub(super) dictionary_index: Option<u64>,
}

/// Follows plain typedefs.
pub(super) fn resolve(open: &Open<'_>, units: &Units, offset: u64) -> Result<Resolved, Gap> {
    let mut resolved = Resolved { offset, dictionary_index: None };
    for _ in 0..ALIASES_MAX {
        let entry = units.entry(open, resolved.offset)?.0.entry()?;
        if entry.tag != constants::DW_TAG_typedef || go_kind(&entry.attributes).is_some() {
            return Ok(resolved);
        }
        resolved.dictionary_index = resolved.dictionary_index.or(entry.attributes.number(GO_DICT_INDEX));
        resolved.offset = entry.attributes.type_reference().ok_or_else(|| no_entry(resolved.offset))?;
    }
    Err(Gap::DamagedDebugInfo(format!("endless typedefs at {offset:#x}")))
}

/// The type whose entry is at `offset`.
pub(super) fn read(open: &Open<'_>, units: &Units, offset: u64) -> Result<Type, Gap> {
    let (at, _) = units.entry(open, offset)?;
    let mut walk = at.walk()?;
    let entry = walk.next()?.ok_or_else(|| no_entry(offset))?.read(&mut walk)?;
    let name = entry.attributes.name().ok_or_else(|| unreadable(offset, "a type without a name"))?;
    let reader = Reader { open, units, offset };
    let (size, shape) = reader.shape(&entry, &name, &mut walk)?;
    Ok(Type { name, size, shape })
}

fn unreadable(offset: u64, what: &str) -> Gap {
    Gap::DamagedDebugInfo(format!("{what} at {offset:#x}"))
}

struct Reader<'r, 'o> {
    open: &'r Open<'o>,
    units: &'r Units,
    offset: u64,
}

impl Reader<'_, '_> {
    fn shape(&self, entry: &Entry<'_>, name: &str, walk: &mut Walk<'_, '_>) -> Result<(u64, Shape), Gap> {
        let attributes = &entry.attributes;
        let size = || {
            attributes.number(DW_AT_byte_size).ok_or_else(|| unreadable(self.offset, "a type without a size"))
        };
        let kind = go_kind(attributes).unwrap_or_else(|| match entry.tag {
            // `unsafe.Pointer` has neither kind nor element.
            constants::DW_TAG_pointer_type if attributes.type_reference().is_none() => kind::UNSAFE_POINTER,
            constants::DW_TAG_pointer_type => kind::POINTER,
            constants::DW_TAG_structure_type => kind::STRUCT,
            constants::DW_TAG_array_type => kind::ARRAY,
            constants::DW_TAG_subroutine_type => kind::FUNCTION,
            _ => 0,
        });
        let fits = match kind {
            kind::BOOL..=kind::COMPLEX128 => entry.tag == constants::DW_TAG_base_type,
            kind::ARRAY => entry.tag == constants::DW_TAG_array_type,
            kind::STRUCT | kind::STRING | kind::SLICE => entry.tag == constants::DW_TAG_structure_type,
            kind::CHANNEL | kind::MAP | kind::INTERFACE => entry.tag == constants::DW_TAG_typedef,
            kind::POINTER | kind::UNSAFE_POINTER => entry.tag == constants::DW_TAG_pointer_type,
            _ => true,
        };
        if !fits {
            return Err(unreadable(self.offset, "a type of two kinds"));
        }
        Ok(match kind {
            kind::BOOL => (size()?, Shape::Bool),
            kind::INT..=kind::INT64 => (size()?, Shape::Int),
            kind::UINT..=kind::UINTPTR => (size()?, Shape::Uint),
            kind::FLOAT32..=kind::FLOAT64 => (size()?, Shape::Float),
            kind::COMPLEX64..=kind::COMPLEX128 => (size()?, Shape::Complex),
            kind::STRING => (size()?, Shape::String),
            kind::UNSAFE_POINTER => (8, Shape::UnsafePointer),
            kind::FUNCTION => (8, Shape::Function),
            kind::POINTER => (8, Shape::Pointer(self.reference(attributes.type_reference())?)),
            kind::SLICE => (size()?, Shape::Slice(self.reference(attributes.reference(GO_ELEM))?)),
            kind::CHANNEL => (8, Shape::Channel(self.reference(attributes.reference(GO_ELEM))?)),
            kind::MAP => {
                let key = self.reference(attributes.reference(GO_KEY))?;
                (8, Shape::Map { key, element: self.reference(attributes.reference(GO_ELEM))? })
            }
            kind::ARRAY => {
                let element = self.reference(attributes.type_reference())?;
                (size()?, Shape::Array { element, length: self.array_length(entry, walk)? })
            }
            kind::STRUCT => (size()?, Shape::Struct(self.fields(entry, walk)?)),
            kind::INTERFACE => (16, Shape::Interface { has_methods: self.has_methods(attributes)? }),
            _ => return Err(Gap::UnknownType(name.to_owned())),
        })
    }

    fn reference(&self, offset: Option<u64>) -> Result<TypeRef, Gap> {
        let offset = offset.ok_or_else(|| unreadable(self.offset, "a type without its element"))?;
        Ok(TypeRef::Debug(resolve(self.open, self.units, offset)?.offset))
    }

    fn array_length(&self, entry: &Entry<'_>, walk: &mut Walk<'_, '_>) -> Result<u64, Gap> {
        let none = || unreadable(self.offset, "an array without a length");
        if !entry.has_children {
            return Err(none());
        }
        let child = walk.next()?.ok_or_else(none)?;
        if child.tag != constants::DW_TAG_subrange_type || child.depth != 1 {
            return Err(none());
        }
        let child = child.read(walk)?;
        let last = || child.attributes.number(DW_AT_upper_bound).and_then(|last| last.checked_add(1));
        child.attributes.number(DW_AT_count).or_else(last).ok_or_else(none)
    }

    fn fields(&self, entry: &Entry<'_>, walk: &mut Walk<'_, '_>) -> Result<Vec<Field>, Gap> {
        let mut fields = Vec::new();
        while entry.has_children && walk.depth() > 0 {
            let Some(head) = walk.next()? else { break };
            // The end of the list of members has been passed.
            if head.depth < 1 {
                break;
            }
            if head.depth > 1 || head.tag != constants::DW_TAG_member {
                head.skip(walk)?;
                continue;
            }
            if fields.len() >= FIELDS_MAX {
                return Err(unreadable(self.offset, "a struct with too many fields"));
            }
            let member = head.read(walk)?.attributes;
            let none = || unreadable(self.offset, "a field without name or offset");
            fields.push(Field {
                name: member.name().ok_or_else(none)?,
                of: self.reference(member.type_reference())?,
                offset: member.number(DW_AT_data_member_location).ok_or_else(none)?,
                is_embedded: member.flag(GO_EMBEDDED_FIELD) || member.number(GO_EMBEDDED_FIELD) == Some(1),
            });
        }
        Ok(fields)
    }

    /// An interface is a typedef of `runtime.iface` or of `runtime.eface`.
    fn has_methods(&self, attributes: &Attributes<'_>) -> Result<bool, Gap> {
        let of =
            attributes.type_reference().ok_or_else(|| unreadable(self.offset, "an interface of nothing"))?;
        let of = resolve(self.open, self.units, of)?.offset;
        let of = self.units.entry(self.open, of)?.0.entry()?;
        match of.attributes.name_bytes() {
            Some(b"runtime.iface") => Ok(true),
            Some(b"runtime.eface") => Ok(false),
            _ => Err(unreadable(self.offset, "an interface of an unknown form")),
        }
    }
}
