//! Maps, however the release builds them: their entries, their length, and one entry by its key.

use std::cmp::Ordering;

use crate::gap::Gap;
use crate::place::Place;
use crate::types::{Shape, Type, TypeRef};
use crate::value::facts::Maps;
use crate::value::navigate::missing;
use crate::value::reader::{Walk, check_address, sign_extend, string_header};
use crate::value::{Reader, Value};

/// Keys and elements that are larger are kept by pointer.
//
// @go const internal/abi.MapMaxKeyBytes = 128 (..1.23), none (1.24..1.25), 128 (1.26..)
// @go const internal/abi.MapMaxElemBytes = 128 (..1.23), none (1.24..1.25), 128 (1.26..)
// @go const internal/abi.SwissMapMaxKeyBytes = none (..1.23), 128 (1.24..1.25), none (1.26..)
// @go const internal/abi.SwissMapMaxElemBytes = none (..1.23), 128 (1.24..1.25), none (1.26..)
// @go const internal/abi.OldMapMaxKeyBytes = none (..1.23), 128 (1.24..1.25), none (1.26..)
const DIRECT_BYTES_MAX: u64 = 128;

/// A key that stands in an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Key {
    Text(String),
    Bool(bool),
    Integer(i128),
    Float(f64),
}

/// A key's or element's slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotType {
    /// Of what lies in the slot.
    pub(super) size: u64,
    pub(super) alignment: u64,
    /// That is a pointer.
    pub(super) is_indirect: bool,
}

/// Where a key lies, and its element.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) key: u64,
    pub(super) element: u64,
}

/// What was found in a map's tables.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) found: Vec<Slot>,
    /// Why there are not all.
    pub(super) gap: Option<Gap>,
    /// Ended because there were as many as wanted, or bytes enough.
    pub(super) is_cut: bool,
}

/// How much of a map is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) slots: u64,
    /// Of its tables.
    pub(super) bytes: u64,
}

impl Slots {
    /// Entries that lie in memory which is not there count as found: to read all of the tables because one is missing would
    /// be worse than one more pass.
    pub(super) fn is_enough(&self, missing: u64, wanted: Wanted) -> bool {
        self.found.len() as u64 + missing >= wanted.slots
    }
}

impl Reader<'_> {
    /// A map's entry: where its element is, and of which type.
    pub fn lookup(&self, place: &Place, of: TypeRef, key: &Key) -> Result<(Place, TypeRef), Gap> {
        let ty = self.types.get(of)?;
        let Shape::Map { key: key_type, element } = ty.shape else {
            return Err(Gap::Expression(format!("{} is no map", ty.name)));
        };
        if self.redact.hides_type(&ty.name) {
            return Err(Gap::Redacted);
        }
        if matches!(key, Key::Text(text) if self.redact.hides_field(&ty.name, text)) {
            return Ok((missing(self.types.get(element)?.size, Gap::Redacted), element));
        }
        let address = match self.pointer(place)? {
            0 => return Err(Gap::NoSuchKey),
            address => address,
        };
        let wanted = Wanted { slots: u64::MAX, bytes: self.limits.lookup_bytes };
        let (key_slot, element_slot) = (self.slot_type(key_type)?, self.slot_type(element)?);
        let slots = self.slots(address, key_slot, element_slot, wanted)?;
        let mut gap = slots.gap;
        for slot in &slots.found {
            let matched = self.direct(slot.key, key_slot).and_then(|at| self.is_key(at, key_type, key));
            match matched {
                Ok(true) => return Ok((Place::At(self.direct(slot.element, element_slot)?), element)),
                Ok(false) => {}
                Err(error) => gap = gap.or(Some(error)),
            }
        }
        // It may be where nothing could be read.
        Err(match gap {
            Some(gap) => gap,
            None if slots.is_cut => {
                let length = self.map_length(address)?;
                Gap::Elements { shown: slots.found.len() as u64, length }
            }
            None => Gap::NoSuchKey,
        })
    }

    fn is_key(&self, at: u64, of: TypeRef, wanted: &Key) -> Result<bool, Gap> {
        let ty = self.types.get(of)?;
        let bytes = |length: u64| {
            let length = usize::try_from(length).map_err(|_| Gap::Implausible("a huge key".into()))?;
            self.memory.read_bytes(at, length).map_err(|_| Gap::Unreadable(at))
        };
        let number = |size: u64| {
            let mut word = [0; 8];
            word[..size.min(8) as usize].copy_from_slice(&bytes(size.min(8))?);
            Ok::<_, Gap>(u64::from_le_bytes(word))
        };
        let not_this = || Err(Gap::Expression(format!("{} cannot be compared with this key", ty.name)));
        Ok(match (&ty.shape, wanted) {
            (Shape::String, Key::Text(text)) => {
                let buffer = self.read_uncounted(at, 16)?;
                let (data, length) = string_header(buffer.view())?;
                length == text.len() as u64
                    && (length == 0
                        || self.memory.read_bytes(data, text.len()).map_err(|_| Gap::Unreadable(data))?
                            == text.as_bytes())
            }
            (Shape::Int, Key::Integer(wanted)) => {
                i128::from(sign_extend(number(ty.size)?, ty.size)) == *wanted
            }
            (Shape::Uint, Key::Integer(wanted)) => i128::from(number(ty.size)?) == *wanted,
            (Shape::Bool, Key::Bool(wanted)) => number(1)? == u64::from(*wanted),
            (Shape::Float, Key::Float(wanted)) => match ty.size {
                4 => f32::from_bits(number(4)? as u32) == *wanted as f32,
                _ => f64::from_bits(number(8)?) == *wanted,
            },
            (Shape::Float, Key::Integer(wanted)) => match ty.size {
                4 => f32::from_bits(number(4)? as u32) == *wanted as f32,
                _ => f64::from_bits(number(8)?) == *wanted as f64,
            },
            (Shape::Interface { has_methods }, _) => {
                let buffer = self.read_uncounted(at, 16)?;
                let Some((held, place)) = self.held(buffer.view(), *has_methods)? else { return Ok(false) };
                let Place::At(at) = place else { return Ok(false) };
                let shape = &self.types.get(held)?.shape;
                let comparable = matches!(
                    (shape, wanted),
                    (Shape::String, Key::Text(_))
                        | (Shape::Int | Shape::Uint, Key::Integer(_))
                        | (Shape::Bool, Key::Bool(_))
                        | (Shape::Float, Key::Float(_))
                );
                return if comparable { self.is_key(at, held, wanted) } else { Ok(false) };
            }
            _ => return not_this(),
        })
    }

    pub(super) fn map_length(&self, address: u64) -> Result<u64, Gap> {
        if address == 0 {
            return Ok(0);
        }
        check_address(address)?;
        // Both kinds of map begin with it; see the notes of `classic_map.rs` and `swiss_map.rs`.
        let length = self.memory.read_u64(address).map_err(|_| Gap::Unreadable(address))?;
        if length > i64::MAX as u64 {
            return Err(Gap::Implausible(format!("a map of {length} entries")));
        }
        Ok(length)
    }

    pub(super) fn map_value(
        &self,
        address: u64,
        name: &str,
        key: TypeRef,
        element: TypeRef,
        walk: &mut Walk,
    ) -> Result<Value, Gap> {
        if address == 0 {
            return Ok(Value::Nil);
        }
        let length = self.map_length(address)?;
        if length == 0 {
            return Ok(Value::Map(Vec::new()));
        }
        walk.open(|walk| {
            let wanted = Wanted { slots: self.limits.elements, bytes: self.limits.goroutine_bytes };
            let (key_slot, element_slot) = (self.slot_type(key)?, self.slot_type(element)?);
            let slots = self.slots(address, key_slot, element_slot, wanted)?;
            let found = slots.found.len() as u64;
            let mut entries = Vec::new();
            for slot in slots.found.iter().take(usize::try_from(wanted.slots).unwrap_or(usize::MAX)) {
                if self.used.is_spent(&self.limits) {
                    break;
                }
                let part = |at: u64, slot: SlotType, of: TypeRef, walk: &mut Walk| match self.direct(at, slot)
                {
                    Ok(at) => self.at(&Place::At(at), of, walk),
                    Err(gap) => Value::Missing(gap),
                };
                let key = part(slot.key, key_slot, key, walk);
                let hidden = matches!(&key, Value::Text(text) if self.redact.hides_field(name, text));
                let value = match hidden {
                    true => Value::Missing(Gap::Redacted),
                    false => part(slot.element, element_slot, element, walk),
                };
                entries.push((key, value));
            }
            let shown = entries.len() as u64;
            entries.sort_by(|(a, _), (b, _)| order(a, b));
            let map = Value::Map(entries);
            Ok(match slots.gap {
                Some(gap) => Value::cut(map, gap),
                None if shown < length && (slots.is_cut || shown < found) => {
                    Value::cut(map, Gap::Elements { shown, length })
                }
                None if found != length && !slots.is_cut => {
                    let gap = format!("a map of {length} entries that holds {found}");
                    Value::cut(map, Gap::Implausible(gap))
                }
                None => map,
            })
        })
    }

    /// The slots of a map that is not nil.
    pub(super) fn slots(
        &self,
        address: u64,
        key: SlotType,
        element: SlotType,
        wanted: Wanted,
    ) -> Result<Slots, Gap> {
        check_address(address)?;
        match self.facts.maps {
            Maps::Classic => self.classic_slots(address, key, element, wanted),
            Maps::Swiss => self.swiss_slots(address, key, element, false, wanted),
            Maps::SwissSplit => self.swiss_slots(address, key, element, true, wanted),
        }
    }

    /// What is in a slot, if that is not a pointer to it.
    fn direct(&self, at: u64, slot: SlotType) -> Result<u64, Gap> {
        if !slot.is_indirect {
            return Ok(at);
        }
        let address = self.memory.read_u64(at).map_err(|_| Gap::Unreadable(at))?;
        check_address(address)?;
        Ok(address)
    }

    fn slot_type(&self, of: TypeRef) -> Result<SlotType, Gap> {
        let ty = self.types.get(of)?;
        if ty.size > DIRECT_BYTES_MAX {
            return Ok(SlotType { size: 8, alignment: 8, is_indirect: true });
        }
        Ok(SlotType { size: ty.size, alignment: self.alignment(&ty, 0)?, is_indirect: false })
    }

    /// The compiler's rule (cmd/compile/internal/types/size.go, `CalcSize`), for 64-bit architectures.
    fn alignment(&self, ty: &Type, depth: u32) -> Result<u64, Gap> {
        /// A slot's type has at most 128 bytes; but types of no bytes may be nested for ever.
        const DEPTH_MAX: u32 = 40;
        if depth > DEPTH_MAX {
            return Err(Gap::DamagedDebugInfo(format!("{} is too deep", ty.name)));
        }
        let alignment = match &ty.shape {
            Shape::Complex => ty.size / 2,
            Shape::Bool | Shape::Int | Shape::Uint | Shape::Float => ty.size,
            Shape::Array { element, .. } => self.alignment(&*self.types.get(*element)?, depth + 1)?,
            Shape::Struct(fields) => {
                let mut most = 1;
                for field in fields {
                    // 8 is the largest there is.
                    if most < 8 {
                        most = most.max(self.alignment(&*self.types.get(field.of)?, depth + 1)?);
                    }
                }
                most
            }
            Shape::String
            | Shape::UnsafePointer
            | Shape::Pointer(_)
            | Shape::Slice(_)
            | Shape::Interface { .. }
            | Shape::Map { .. }
            | Shape::Channel(_)
            | Shape::Function => 8,
        };
        if alignment > 8 || !alignment.is_power_of_two() {
            return Err(Gap::DamagedDebugInfo(format!("{} of {} bytes", ty.name, ty.size)));
        }
        Ok(alignment)
    }
}

/// The order in which entries are shown.
pub(super) fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Uint(a), Value::Uint(b)) => a.cmp(b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => a.total_cmp(b),
        (Value::Address(a), Value::Address(b)) => a.cmp(b),
        (Value::List(a), Value::List(b)) => {
            let differs = a.iter().zip(b).map(|(a, b)| order(a, b)).find(|o| o.is_ne());
            differs.unwrap_or(a.len().cmp(&b.len()))
        }
        (Value::Record(a), Value::Record(b)) => {
            let differs = a.iter().zip(b).map(|((_, a), (_, b))| order(a, b)).find(|o| o.is_ne());
            differs.unwrap_or(a.len().cmp(&b.len()))
        }
        (Value::Dynamic { of: a, value: x }, Value::Dynamic { of: b, value: y }) => {
            a.cmp(b).then_with(|| order(x, y))
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Nil => 0,
        Value::Bool(_) => 1,
        Value::Int(_) => 2,
        Value::Uint(_) => 3,
        Value::Float(_) | Value::Float32(_) => 4,
        Value::Complex(..) => 5,
        Value::Text(_) => 6,
        Value::Bytes(_) => 7,
        Value::Address(_) => 8,
        Value::List(_) => 9,
        Value::Record(_) => 10,
        Value::Map(_) => 11,
        Value::Function { .. } => 12,
        Value::Dynamic { .. } => 13,
        Value::Cut { .. } => 14,
        Value::Missing(_) => 15,
    }
}
