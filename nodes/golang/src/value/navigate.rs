//! Walks from a place to a part of what is there: what selectors, indexes and the other operators of an expression do.
//!
//! Nothing is decoded on the way. A place that is missing stays missing, whatever part of it is asked for; one that must not
//! leave the host is missing from the step that would show it.

use crate::gap::Gap;
use crate::place::{Part, PartSource, Place};
use crate::types::{Field, Shape, Type, TypeRef};
use crate::value::Reader;
use crate::value::reader::{SliceHeader, check_address, is_byte, sign_extend, string_header};

impl Reader<'_> {
    /// The pointer at a place; 0 is nil.
    pub fn pointer(&self, place: &Place) -> Result<u64, Gap> {
        let address = self.read(place, 8)?.view().word(0)?;
        if address != 0 {
            check_address(address)?;
        }
        Ok(address)
    }

    pub fn byte(&self, address: u64) -> Result<u8, Gap> {
        Ok(self.read(&Place::At(address), 1)?.view().uint(0, 1)? as u8)
    }

    /// What the pointer at a place points to; nil is a gap.
    pub fn target(&self, place: &Place) -> Result<Place, Gap> {
        match self.pointer(place)? {
            0 => Err(Gap::NilPointer),
            address => Ok(Place::At(address)),
        }
    }

    /// A field of the struct of type `of` at `place`.
    pub fn field(&self, place: &Place, field: &Field, of: &Type) -> Place {
        let size = match self.types.get(field.of) {
            Ok(ty) => ty.size,
            Err(gap) => return missing(0, gap),
        };
        if self.redact.hides_type(&of.name) || self.redact.hides_field(&of.name, &field.name) {
            return missing(size, Gap::Redacted);
        }
        match field.offset.checked_add(size) {
            Some(end) if end <= of.size => part_of(place, field.offset, size),
            _ => missing(size, Gap::Implausible(format!("{}.{} lies outside of it", of.name, field.name))),
        }
    }

    /// An element of an array, a slice or (a byte of) a string.
    pub fn element(&self, place: &Place, of: TypeRef, index: i64) -> Result<(Place, TypeRef), Gap> {
        let ty = self.open_type(of)?;
        let (length, element) = match &ty.shape {
            Shape::Array { element, length } => (*length, *element),
            Shape::Slice(element) => (self.slice_header(place)?.length, *element),
            Shape::String => (self.string_place(place)?.1, self.byte_type()?),
            _ => return Err(Gap::Expression(format!("{} cannot be indexed", ty.name))),
        };
        let at =
            u64::try_from(index).ok().filter(|&at| at < length).ok_or(Gap::OutOfRange { index, length })?;
        let size = self.types.get(element)?.size;
        let offset = at.checked_mul(size).ok_or(Gap::OutOfRange { index, length })?;
        let from = match &ty.shape {
            Shape::Array { .. } => return Ok((part_of(place, offset, size), element)),
            Shape::Slice(_) => {
                let header = self.slice_header(place)?;
                header.check(size)?;
                header.data
            }
            _ => self.string_place(place)?.0,
        };
        Ok((Place::At(from.wrapping_add(offset)), element))
    }

    /// `x[from:to]` of a string, a slice, or an array, which becomes a slice.
    pub fn slice(
        &self,
        place: &Place,
        of: TypeRef,
        from: Option<i64>,
        to: Option<i64>,
    ) -> Result<(Place, TypeRef), Gap> {
        let ty = self.open_type(of)?;
        // `most`: what the end may be (the capacity, Go specification, "Simple slice expressions").
        let (data, length, most, size, result) = match &ty.shape {
            Shape::String => {
                let (data, length) = self.string_place(place)?;
                (data, length, length, 1, of)
            }
            Shape::Slice(element) => {
                let header = self.slice_header(place)?;
                let size = self.types.get(*element)?.size;
                header.check(size)?;
                (header.data, header.length, header.capacity, size, of)
            }
            Shape::Array { element, length } => {
                let Place::At(address) = place else {
                    return Err(Gap::OptimizedOutInPart);
                };
                let element = self.types.get(*element)?;
                let name = format!("[]{}", element.name);
                let slice = self.types.by_name(&name)?.ok_or(Gap::UnknownType(name))?;
                (*address, *length, *length, element.size, slice)
            }
            _ => return Err(Gap::Expression(format!("{} cannot be sliced", ty.name))),
        };
        let bound = |bound: Option<i64>, default: u64| match bound {
            None => Ok(default),
            Some(index) => u64::try_from(index).map_err(|_| Gap::OutOfRange { index, length: most }),
        };
        let (from, to) = (bound(from, 0)?, bound(to, length)?);
        let out =
            |index: u64| Gap::OutOfRange { index: i64::try_from(index).unwrap_or(i64::MAX), length: most };
        if to > most {
            return Err(out(to));
        }
        if from > to {
            return Err(out(from));
        }
        let start = from.checked_mul(size).and_then(|offset| data.checked_add(offset)).ok_or(out(from))?;
        let mut header = Vec::with_capacity(24);
        header.extend_from_slice(&start.to_le_bytes());
        header.extend_from_slice(&(to - from).to_le_bytes());
        if !matches!(ty.shape, Shape::String) {
            header.extend_from_slice(&(most - from).to_le_bytes());
        }
        let part = Part { offset: 0, length: header.len() as u64, source: PartSource::Bytes(header) };
        Ok((Place::Parts(vec![part]), result))
    }

    /// `len(x)`.
    pub fn length(&self, place: &Place, of: TypeRef) -> Result<u64, Gap> {
        let ty = self.open_type(of)?;
        match &ty.shape {
            Shape::Array { length, .. } => Ok(*length),
            Shape::String => Ok(self.string_place(place)?.1),
            Shape::Slice(_) => Ok(self.slice_header(place)?.length),
            Shape::Map { .. } => self.map_length(self.pointer(place)?),
            Shape::Channel(element) => self.channel_length(self.pointer(place)?, *element),
            _ => Err(Gap::Expression(format!("{} has no length", ty.name))),
        }
    }

    /// `cap(x)`.
    pub fn capacity(&self, place: &Place, of: TypeRef) -> Result<u64, Gap> {
        let ty = self.open_type(of)?;
        match &ty.shape {
            Shape::Array { length, .. } => Ok(*length),
            Shape::Slice(_) => Ok(self.slice_header(place)?.capacity),
            Shape::Channel(element) => self.channel_capacity(self.pointer(place)?, *element),
            _ => Err(Gap::Expression(format!("{} has no capacity", ty.name))),
        }
    }

    /// A signed or unsigned number, or a bool as 0 or 1; also one of package `sync/atomic`.
    pub fn integer(&self, place: &Place, of: TypeRef) -> Result<i128, Gap> {
        let ty = self.open_type(of)?;
        match &ty.shape {
            Shape::Int => {
                Ok(i128::from(sign_extend(self.read(place, ty.size)?.view().uint(0, ty.size)?, ty.size)))
            }
            Shape::Uint | Shape::Bool => Ok(i128::from(self.read(place, ty.size)?.view().uint(0, ty.size)?)),
            _ => Err(Gap::OtherType(ty.name.clone())),
        }
    }

    pub(super) fn open_type(&self, of: TypeRef) -> Result<std::sync::Arc<Type>, Gap> {
        let ty = self.types.get(of)?;
        if self.redact.hides_type(&ty.name) { Err(Gap::Redacted) } else { Ok(ty) }
    }

    fn slice_header(&self, place: &Place) -> Result<SliceHeader, Gap> {
        SliceHeader::read(self.read(place, 24)?.view())
    }

    fn string_place(&self, place: &Place) -> Result<(u64, u64), Gap> {
        string_header(self.read(place, 16)?.view())
    }

    fn byte_type(&self) -> Result<TypeRef, Gap> {
        let unknown = || Gap::UnknownType("uint8".into());
        let of = self.types.by_name("uint8")?.ok_or_else(unknown)?;
        if is_byte(&*self.types.get(of)?) { Ok(of) } else { Err(unknown()) }
    }
}

/// A place that holds nothing.
pub(super) fn missing(length: u64, gap: Gap) -> Place {
    Place::Parts(vec![Part { offset: 0, length, source: PartSource::Missing(gap) }])
}

/// `length` bytes at `offset` of a value.
pub(super) fn part_of(place: &Place, offset: u64, length: u64) -> Place {
    let parts = match place {
        Place::At(address) => return Place::At(address.wrapping_add(offset)),
        Place::Parts(parts) => parts,
    };
    // All of it is missing for one reason: so is each part, those of no bytes too.
    if let [Part { source: PartSource::Missing(gap), .. }] = &parts[..] {
        return missing(length, gap.clone());
    }
    let end = offset.saturating_add(length);
    let mut found = Vec::new();
    for part in parts {
        let (start, stop) = (part.offset.max(offset), part.offset.saturating_add(part.length).min(end));
        if start >= stop {
            continue;
        }
        let skip = start - part.offset;
        let source = match &part.source {
            PartSource::At(address) => PartSource::At(address.wrapping_add(skip)),
            PartSource::Bytes(bytes) => {
                let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len());
                let take = usize::try_from(stop - start).unwrap_or(usize::MAX).min(bytes.len() - skip);
                PartSource::Bytes(bytes[skip..skip + take].to_vec())
            }
            PartSource::Missing(gap) => PartSource::Missing(gap.clone()),
        };
        found.push(Part { offset: start - offset, length: stop - start, source });
    }
    match &found[..] {
        [Part { offset: 0, length: all, source: PartSource::At(address) }] if *all == length => {
            Place::At(*address)
        }
        _ => Place::Parts(found),
    }
}
