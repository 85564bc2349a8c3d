//! Where a frame's variables are at run time: from what debug information says to a place in memory.

use crate::deferred::Deferred;
use crate::gap::Gap;
use crate::place::{Part, PartSource, Place};
use crate::thread::Registers;
use crate::types::TypeRef;
use crate::value::Reader;
use crate::variable::{FrameVariables, Location, Variable};

/// Pieces of one value; a value in registers and slots has as many as it has leaves.
const PIECES_MAX: usize = 1 << 12;
/// What one place leads through to another.
const INDIRECTIONS_MAX: usize = 4;
/// The variable that holds the dictionary of a generic function (cmd/compile/internal/typecheck, LocalDictName).
const DICTIONARY: &str = ".dict";

/// One frame of a goroutine.
#[derive(Clone, Copy)]
pub struct FrameView<'a> {
    /// At the program counter of the frame.
    pub variables: &'a FrameVariables,
    /// The stack pointer of the caller (the canonical frame address).
    pub frame_end: u64,
    /// What addresses of the file are moved by in the process.
    pub bias: u64,
    /// Only where they are real.
    pub registers: Option<&'a Registers>,
    /// Where its deferred calls stand.
    pub deferred: Option<Deferred>,
    /// When the process stood still, for `since`.
    pub now_unix_ns: i64,
}

impl FrameView<'_> {
    pub(super) fn variable(&self, name: &str) -> Result<&Variable, Gap> {
        self.variables.variables.iter().find(|variable| variable.name == name).ok_or(Gap::NotDeclared)
    }

    /// Where a variable is, and its type: that of a type parameter by the function's dictionary, if that can be had.
    pub(super) fn place(&self, variable: &Variable, reader: &Reader<'_>) -> Result<(Place, TypeRef), Gap> {
        let ty = reader.types.get(variable.of)?;
        let place = match self.at(&variable.location, ty.size, reader, 0) {
            Ok(place) => place,
            Err(gap) => self.captured(&variable.name, &ty.name, reader)?.ok_or(gap)?,
        };
        let of = match variable.dictionary_index {
            // Without its dictionary it is shown as the shape that all instances share, by whose name one sees that.
            Some(index) => self.instance(index, ty.size, reader).unwrap_or(variable.of),
            None => variable.of,
        };
        Ok((place, of))
    }

    /// The variable as a deferred call of the frame has captured it: a reference to it, or a copy, which the compiler makes only
    /// of variables that are never assigned to again (cmd/compile/internal/typecheck, `CaptureVars`; ir.Name.Byval).
    fn captured(&self, name: &str, type_name: &str, reader: &Reader<'_>) -> Result<Option<Place>, Gap> {
        let Some(deferred) = self.deferred else { return Ok(None) };
        let due = reader.byte(deferred.bits(self.frame_end))?;
        for bit in (0..Deferred::COUNT_MAX).filter(|bit| due & (1 << bit) != 0) {
            let closure = reader.pointer(&Place::At(deferred.slot(self.frame_end, bit)))?;
            if closure == 0 {
                continue;
            }
            let pc = reader.pointer(&Place::At(closure))?;
            // Of this function and no function that it was inlined into: `runHandler.func1`.
            let is_own = reader.code.function(pc).is_some_and(|code| self.is_around(&code));
            if !is_own {
                continue;
            }
            for captured in reader.code.captured(pc).into_iter().filter(|captured| captured.name == name) {
                if reader.types.get(captured.of)?.name != type_name {
                    continue;
                }
                let place = Place::At(closure.wrapping_add(captured.offset));
                return Ok(Some(if captured.by_reference { reader.target(&place)? } else { place }));
            }
        }
        Ok(None)
    }

    /// Whether a closure is written in the frame's function.
    fn is_around(&self, closure: &str) -> bool {
        let rest = closure.strip_prefix(self.variables.function.as_str());
        rest.is_some_and(|rest| {
            let number = rest.strip_prefix(".func").or_else(|| rest.strip_prefix(".deferwrap"));
            number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
        })
    }

    /// The type that stands in the function's dictionary.
    fn instance(&self, index: u64, size: u64, reader: &Reader<'_>) -> Result<TypeRef, Gap> {
        let dictionary = self.variable(DICTIONARY)?;
        let place = self.at(&dictionary.location, 8, reader, 0)?;
        let entries = reader.pointer(&place)?;
        let entry = index
            .checked_mul(8)
            .and_then(|offset| entries.checked_add(offset))
            .ok_or(Gap::Unreadable(entries))?;
        let descriptor = reader.pointer(&Place::At(entry))?;
        let of = reader.types.by_descriptor(descriptor)?;
        // A dictionary that is none would name just any type.
        let is_of_shape = reader.types.get(of)?.size == size;
        if is_of_shape { Ok(of) } else { Err(Gap::Implausible("a dictionary of other types".to_owned())) }
    }

    fn at(&self, location: &Location, size: u64, reader: &Reader<'_>, depth: usize) -> Result<Place, Gap> {
        if depth == INDIRECTIONS_MAX {
            return Err(Gap::DamagedDebugInfo("a variable behind too many pointers".to_owned()));
        }
        match location {
            Location::Frame(offset) => Ok(Place::At(self.frame_end.wrapping_add_signed(*offset))),
            Location::Address(address) => Ok(Place::At(address.wrapping_add(self.bias))),
            Location::Through(pointer) => reader.target(&self.at(pointer, 8, reader, depth + 1)?),
            Location::Register(number) => {
                let bytes = self.register(*number, size)?;
                Ok(Place::Parts(vec![Part { offset: 0, length: size, source: PartSource::Bytes(bytes) }]))
            }
            Location::Missing(gap) => Err(gap.clone()),
            Location::Pieces(pieces) => {
                if pieces.len() > PIECES_MAX {
                    return Err(Gap::DamagedDebugInfo("a variable of too many pieces".to_owned()));
                }
                let mut parts = Vec::with_capacity(pieces.len());
                let mut offset = 0u64;
                for piece in pieces {
                    let source = match &piece.location {
                        Location::Register(number) => match self.register(*number, piece.length) {
                            Ok(bytes) => PartSource::Bytes(bytes),
                            Err(gap) => PartSource::Missing(gap),
                        },
                        other => match self.at(other, piece.length, reader, depth + 1) {
                            Ok(Place::At(address)) => PartSource::At(address),
                            Ok(Place::Parts(_)) => {
                                return Err(Gap::DamagedDebugInfo("pieces within pieces".to_owned()));
                            }
                            Err(gap) => PartSource::Missing(gap),
                        },
                    };
                    parts.push(Part { offset, length: piece.length, source });
                    offset =
                        offset.checked_add(piece.length).filter(|&end| end <= size).ok_or_else(|| {
                            Gap::DamagedDebugInfo("the pieces of a variable are larger than it".to_owned())
                        })?;
                }
                if offset != size {
                    return Err(Gap::OptimizedOutInPart);
                }
                Ok(Place::Parts(parts))
            }
        }
    }

    /// The low bytes of a general register.
    fn register(&self, number: u16, length: u64) -> Result<Vec<u8>, Gap> {
        let registers = self.registers.ok_or(Gap::InRegister)?;
        let value = registers.general.get(usize::from(number)).ok_or(Gap::InRegister)?;
        let length =
            usize::try_from(length).ok().filter(|&length| length <= 8).ok_or(Gap::OptimizedOutInPart)?;
        Ok(value.to_le_bytes()[..length].to_vec())
    }
}
