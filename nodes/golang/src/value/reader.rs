//! Decodes values by the kind of their type.

use std::sync::Arc;

use crate::gap::Gap;
use crate::memory::Memory;
use crate::place::Place;
use crate::types::{Shape, Type, TypeRef, Types};
use crate::value::buffer::{BUFFER_BYTES_MAX, Buffer, View};
use crate::value::facts::{Code, Facts};
use crate::value::limits::{Limits, Used};
use crate::value::{Redact, Value};

/// Pointers, interfaces and whatever else lies within another, on the way to one value: the bound of recursion.
const NESTING_MAX: usize = 64;
/// Addresses of the first page are nobody's (Linux: vm.mmap_min_addr).
const ADDRESS_MIN: u64 = 4096;

/// Decodes values of one process.
///
/// What was read is counted against its limits; [`Reader::next_frame`] and [`Reader::next_goroutine`] begin anew.
pub struct Reader<'a> {
    pub types: &'a dyn Types,
    pub memory: &'a dyn Memory,
    pub facts: &'a Facts,
    pub code: &'a dyn Code,
    pub redact: &'a dyn Redact,
    pub limits: Limits,
    pub(super) used: Used,
}

/// Where the decoder stands.
pub(super) struct Walk {
    /// Structs, lists and maps that may still be opened, one within another.
    depth: u32,
    /// What is being decoded: pointers that were followed, by address and type.
    path: Vec<(u64, TypeRef)>,
    nesting: usize,
}

impl<'a> Reader<'a> {
    pub fn new(
        types: &'a dyn Types,
        memory: &'a dyn Memory,
        facts: &'a Facts,
        code: &'a dyn Code,
        redact: &'a dyn Redact,
        limits: Limits,
    ) -> Self {
        Reader { types, memory, facts, code, redact, limits, used: Used::default() }
    }

    /// Limits of a frame begin anew.
    pub fn next_frame(&self) {
        self.used.next_frame();
    }

    /// Limits of a goroutine begin anew.
    pub fn next_goroutine(&self) {
        self.used.next_goroutine();
    }

    /// The value at `place`, to the depth of the limits.
    pub fn decode(&self, place: &Place, of: TypeRef) -> Value {
        self.decode_to_depth(place, of, self.limits.depth)
    }

    /// The value at `place`; `depth` is as in [`Limits`].
    pub fn decode_to_depth(&self, place: &Place, of: TypeRef, depth: u32) -> Value {
        let mut walk = Walk { depth, path: Vec::new(), nesting: 0 };
        self.at(place, of, &mut walk)
    }

    /// The value at a place.
    pub(super) fn at(&self, place: &Place, of: TypeRef, walk: &mut Walk) -> Value {
        self.try_at(place, of, walk).unwrap_or_else(Value::Missing)
    }

    fn try_at(&self, place: &Place, of: TypeRef, walk: &mut Walk) -> Result<Value, Gap> {
        let ty = self.types.get(of)?;
        if ty.size <= BUFFER_BYTES_MAX {
            let buffer = self.read(place, ty.size)?;
            return Ok(self.value(buffer.view(), of, walk));
        }
        // Too large to be read as a whole.
        self.begin(&ty, walk)?;
        walk.nesting += 1;
        let chosen = self.chosen(|| place.clone(), of, &ty, walk);
        let by_shape = |walk: &mut Walk| match &ty.shape {
            Shape::Struct(fields) => walk.open(|walk| {
                let mut parts = Vec::new();
                for field in fields.iter().filter(|field| field.name != "_") {
                    if self.used.is_spent(&self.limits) {
                        return Ok(Value::cut(Value::Record(parts), Gap::Size));
                    }
                    let value = self.at(&self.field(place, field, &ty), field.of, walk);
                    parts.push((field.name.clone(), value));
                }
                Ok(Value::Record(parts))
            }),
            Shape::Array { element, length } => match place {
                Place::At(address) => self.elements(*address, *element, *length, walk),
                Place::Parts(_) => Err(Gap::Implausible(format!("{} bytes in parts", ty.size))),
            },
            _ => Err(Gap::DamagedDebugInfo(format!("{} of {} bytes", ty.name, ty.size))),
        };
        let value = chosen.unwrap_or_else(|| by_shape(walk));
        walk.nesting -= 1;
        value
    }

    /// Bytes of a value; counted.
    pub(super) fn read(&self, place: &Place, length: u64) -> Result<Buffer, Gap> {
        if length > BUFFER_BYTES_MAX {
            return Err(Gap::Implausible(format!("a value of {length} bytes")));
        }
        let length = length as usize;
        self.used.bytes(length, &self.limits)?;
        if let Place::At(address) = place {
            check_address(*address)?;
        }
        Buffer::read(self.memory, place, length)
    }

    fn begin(&self, ty: &Type, walk: &Walk) -> Result<(), Gap> {
        self.used.value(&self.limits)?;
        if walk.nesting >= NESTING_MAX {
            return Err(Gap::Depth);
        }
        if self.redact.hides_type(&ty.name) {
            return Err(Gap::Redacted);
        }
        Ok(())
    }

    /// The value whose bytes `view` begins with.
    pub(super) fn value(&self, view: View<'_>, of: TypeRef, walk: &mut Walk) -> Value {
        self.try_value(view, of, walk).unwrap_or_else(Value::Missing)
    }

    fn try_value(&self, view: View<'_>, of: TypeRef, walk: &mut Walk) -> Result<Value, Gap> {
        let ty = self.types.get(of)?;
        self.begin(&ty, walk)?;
        let view = view.part(0, ty.size)?;
        walk.nesting += 1;
        let value = match self.chosen(|| view.place(), of, &ty, walk).or_else(|| self.named(view, &ty, walk))
        {
            // A release may have fields that this one does not know: they are shown as they are.
            Some(Err(Gap::UnknownType(_))) | None => self.by_shape(view, &ty, walk),
            Some(value) => value,
        };
        walk.nesting -= 1;
        value
    }

    fn by_shape(&self, view: View<'_>, ty: &Arc<Type>, walk: &mut Walk) -> Result<Value, Gap> {
        match &ty.shape {
            Shape::Bool => match view.uint(0, 1)? {
                0 => Ok(Value::Bool(false)),
                1 => Ok(Value::Bool(true)),
                other => Err(Gap::Implausible(format!("a bool of {other}"))),
            },
            Shape::Int => Ok(Value::Int(sign_extend(view.uint(0, ty.size)?, ty.size))),
            Shape::Uint => Ok(Value::Uint(view.uint(0, ty.size)?)),
            Shape::Float if ty.size == 4 => Ok(Value::Float32(f32::from_bits(view.uint(0, 4)? as u32))),
            Shape::Float => float(view, 0, ty.size).map(Value::Float),
            Shape::Complex => {
                let half = ty.size / 2;
                Ok(Value::Complex(float(view, 0, half)?, float(view, half, half)?))
            }
            Shape::String => self.string(view),
            Shape::UnsafePointer => Ok(match view.word(0)? {
                0 => Value::Nil,
                address => Value::Address(address),
            }),
            // The shape that all pointers have in common: what it points to is none of the shape's.
            Shape::Pointer(_) if ty.name.starts_with("go.shape.") => Ok(match view.word(0)? {
                0 => Value::Nil,
                address => Value::cut(Value::Address(address), Gap::UnknownType(ty.name.clone())),
            }),
            Shape::Pointer(target) => self.follow(view.word(0)?, *target, walk),
            Shape::Slice(element) => self.slice_value(view, *element, walk),
            Shape::Array { element, length } => self.array(view, *element, *length, walk),
            Shape::Struct(fields) => {
                // A hidden or missing place says so once.
                match view.bytes() {
                    Err(gap @ (Gap::Redacted | Gap::OptimizedOut)) if fields.len() > 1 => return Err(gap),
                    _ => {}
                }
                walk.open(|walk| self.record(view, ty, walk))
            }
            Shape::Interface { has_methods } => self.interface(view, *has_methods, walk),
            Shape::Map { key, element } => self.map_value(view.word(0)?, &ty.name, *key, *element, walk),
            Shape::Channel(element) => self.channel(view.word(0)?, *element, walk),
            Shape::Function => self.function(view.word(0)?, walk),
        }
    }

    pub(super) fn record(&self, view: View<'_>, ty: &Type, walk: &mut Walk) -> Result<Value, Gap> {
        let Shape::Struct(fields) = &ty.shape else {
            return Err(Gap::UnknownType(ty.name.clone()));
        };
        let mut parts = Vec::with_capacity(fields.len().min(64));
        for field in fields.iter().filter(|field| field.name != "_") {
            if self.used.is_spent(&self.limits) {
                return Ok(Value::cut(Value::Record(parts), Gap::Size));
            }
            let value = if self.redact.hides_field(&ty.name, &field.name) {
                Value::Missing(Gap::Redacted)
            } else {
                match view.part(field.offset, view.length().saturating_sub(field.offset)) {
                    Ok(view) => self.value(view, field.of, walk),
                    Err(gap) => Value::Missing(gap),
                }
            };
            parts.push((field.name.clone(), value));
        }
        Ok(Value::Record(parts))
    }

    /// What a pointer points to.
    pub(super) fn follow(&self, address: u64, target: TypeRef, walk: &mut Walk) -> Result<Value, Gap> {
        if address == 0 {
            return Ok(Value::Nil);
        }
        check_address(address)?;
        if walk.path.contains(&(address, target)) {
            return Err(Gap::Cycle);
        }
        if let Err(gap) = self.used.pointer(&self.limits) {
            return Ok(Value::cut(Value::Address(address), gap));
        }
        walk.path.push((address, target));
        let value = self.at(&Place::At(address), target, walk);
        walk.path.pop();
        Ok(match value {
            Value::Missing(gap @ (Gap::Depth | Gap::Size)) => Value::cut(Value::Address(address), gap),
            value => value,
        })
    }

    /// A string whose header `view` begins with.
    fn string(&self, view: View<'_>) -> Result<Value, Gap> {
        let (data, length) = string_header(view)?;
        self.text_or_bytes(data, length, is_text)
    }

    /// Bytes at an address, as a text where they are one.
    pub(super) fn text_or_bytes(
        &self,
        data: u64,
        length: u64,
        is_text: fn(&str) -> bool,
    ) -> Result<Value, Gap> {
        if length == 0 {
            return Ok(Value::Text(String::new()));
        }
        let shown = length.min(self.limits.string_bytes).min(BUFFER_BYTES_MAX);
        let buffer = self.read(&Place::At(data), shown)?;
        let bytes = buffer.view().bytes()?;
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => Some(text),
            // Cut within a character.
            Err(error) if shown < length && error.error_len().is_none() => {
                std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        };
        let (value, shown) = match text.filter(|text| is_text(text)) {
            Some(text) => (Value::Text(text.to_owned()), text.len() as u64),
            None => (Value::Bytes(bytes.to_vec()), shown),
        };
        Ok(if shown < length { Value::cut(value, Gap::Bytes { shown, length }) } else { value })
    }

    fn slice_value(&self, view: View<'_>, element: TypeRef, walk: &mut Walk) -> Result<Value, Gap> {
        let header = SliceHeader::read(view)?;
        if header.data == 0 {
            return Ok(Value::Nil);
        }
        let ty = self.types.get(element)?;
        header.check(ty.size)?;
        if is_byte(&ty) {
            return self.text_or_bytes(header.data, header.length, is_plain_text);
        }
        self.elements(header.data, element, header.length, walk)
    }

    /// Elements that lie one behind the other in memory.
    pub(super) fn elements(
        &self,
        data: u64,
        element: TypeRef,
        length: u64,
        walk: &mut Walk,
    ) -> Result<Value, Gap> {
        if length == 0 {
            return Ok(Value::List(Vec::new()));
        }
        let ty = self.types.get(element)?;
        let shown = length.min(self.limits.elements);
        walk.open(|walk| {
            let total = ty.size.saturating_mul(shown);
            let values = if total <= BUFFER_BYTES_MAX {
                let buffer = self.read(&Place::At(data), total)?;
                let each = |i: u64| buffer.view().part(i * ty.size, ty.size);
                self.list(shown, walk, |i, walk| Ok(self.value(each(i)?, element, walk)))
            } else {
                let each = |i: u64| ty.size.checked_mul(i).and_then(|offset| data.checked_add(offset));
                self.list(shown, walk, |i, walk| {
                    let address = each(i).ok_or(Gap::Implausible("elements behind all memory".into()))?;
                    Ok(self.at(&Place::At(address), element, walk))
                })
            };
            Ok(cut_list(values, length))
        })
    }

    fn array(&self, view: View<'_>, element: TypeRef, length: u64, walk: &mut Walk) -> Result<Value, Gap> {
        let ty = self.types.get(element)?;
        if is_byte(&ty) {
            let shown = length.min(self.limits.string_bytes);
            let bytes = Value::Bytes(view.part(0, shown)?.bytes()?.to_vec());
            return Ok(if shown < length { Value::cut(bytes, Gap::Bytes { shown, length }) } else { bytes });
        }
        if length == 0 {
            return Ok(Value::List(Vec::new()));
        }
        let shown = length.min(self.limits.elements);
        walk.open(|walk| {
            let values = self.list(shown, walk, |i, walk| {
                let offset = ty.size.checked_mul(i).ok_or(Gap::Implausible("a huge array".into()))?;
                Ok(self.value(view.part(offset, ty.size)?, element, walk))
            });
            Ok(cut_list(values, length))
        })
    }

    /// As many as the limits allow of `count` values.
    pub(super) fn list(
        &self,
        count: u64,
        walk: &mut Walk,
        mut each: impl FnMut(u64, &mut Walk) -> Result<Value, Gap>,
    ) -> Vec<Value> {
        let mut values = Vec::new();
        for i in 0..count {
            if self.used.is_spent(&self.limits) {
                break;
            }
            values.push(each(i, walk).unwrap_or_else(Value::Missing));
        }
        values
    }
}

/// A list that may be shorter than it should be.
pub(super) fn cut_list(values: Vec<Value>, length: u64) -> Value {
    let shown = values.len() as u64;
    let list = Value::List(values);
    if shown < length { Value::cut(list, Gap::Elements { shown, length }) } else { list }
}

impl Walk {
    /// Opens a struct, list or map.
    pub(super) fn open<T>(&mut self, inside: impl FnOnce(&mut Walk) -> Result<T, Gap>) -> Result<T, Gap> {
        self.depth = self.depth.checked_sub(1).ok_or(Gap::Depth)?;
        let found = inside(self);
        self.depth += 1;
        found
    }
}

/// Pointer and length of a string (runtime/string.go, `stringStruct`), checked.
pub(super) fn string_header(view: View<'_>) -> Result<(u64, u64), Gap> {
    let (data, length) = (view.word(0)?, view.word(8)?);
    let end = data.checked_add(length).filter(|_| length <= i64::MAX as u64);
    if end.is_none() || (data < ADDRESS_MIN && length > 0) {
        return Err(Gap::Implausible(format!("a string of {length} bytes at {data:#x}")));
    }
    Ok((data, length))
}

/// `slice` of runtime/slice.go.
//
// @go offset runtime.slice.array = 0
// @go offset runtime.slice.len = 8
// @go offset runtime.slice.cap = 16
// @go offset runtime.stringStruct.str = 0
// @go offset runtime.stringStruct.len = 8
#[derive(Clone, Copy)]
pub(super) struct SliceHeader {
    pub(super) data: u64,
    pub(super) length: u64,
    pub(super) capacity: u64,
}

impl SliceHeader {
    pub(super) fn read(view: View<'_>) -> Result<Self, Gap> {
        let header = SliceHeader { data: view.word(0)?, length: view.word(8)?, capacity: view.word(16)? };
        let SliceHeader { data, length, capacity } = header;
        if length > capacity
            || capacity > i64::MAX as u64
            || (data < ADDRESS_MIN && (data, capacity) != (0, 0))
        {
            return Err(Gap::Implausible(format!(
                "a slice of length {length}, capacity {capacity} at {data:#x}"
            )));
        }
        Ok(header)
    }

    /// Its elements, of `size` bytes, lie in an address space.
    pub(super) fn check(self, size: u64) -> Result<(), Gap> {
        let end = self.capacity.checked_mul(size).and_then(|bytes| self.data.checked_add(bytes));
        match end {
            Some(_) => Ok(()),
            None => Err(Gap::Implausible(format!("a slice of {} elements of {size} bytes", self.capacity))),
        }
    }
}

pub(super) fn check_address(address: u64) -> Result<(), Gap> {
    if address < ADDRESS_MIN {
        return Err(Gap::Implausible(format!("a pointer to {address:#x}")));
    }
    Ok(())
}

pub(super) fn is_byte(ty: &Type) -> bool {
    ty.shape == Shape::Uint && ty.size == 1
}

fn is_text(_: &str) -> bool {
    true
}

/// Whether bytes that are UTF-8 are meant as a text.
pub(super) fn is_plain_text(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'))
}

pub(super) fn sign_extend(value: u64, bytes: u64) -> i64 {
    let unused = 64u32.saturating_sub(8 * bytes.min(8) as u32);
    if unused == 64 { 0 } else { (value << unused) as i64 >> unused }
}

fn float(view: View<'_>, offset: u64, size: u64) -> Result<f64, Gap> {
    let bits = view.uint(offset, size)?;
    match size {
        4 => Ok(f64::from(f32::from_bits(bits as u32))),
        8 => Ok(f64::from_bits(bits)),
        _ => Err(Gap::DamagedDebugInfo(format!("a floating-point number of {size} bytes"))),
    }
}
