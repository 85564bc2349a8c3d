//! Where a variable is at one program counter: location lists and expressions (DWARF 5, sections 2.5 and 2.6), as far as Go
//! uses them (cmd/compile/internal/ssa/debug.go, cmd/compile/internal/dwarfgen/dwarf.go).

use std::ops::Range;

use gimli::{Expression, LocationListsOffset, Operation};

use super::sections::{Open, Slice, damaged};
use super::unit::Unit;
use crate::gap::Gap;
use crate::variable::Location;

/// Of one variable; the longest of Go's own functions has some hundred.
const ENTRIES_MAX: usize = 1 << 16;
/// A value has at most as many parts as it has words in registers.
const PARTS_MAX: usize = 256;

/// What an expression says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spot {
    /// The whole, or what the compiler takes for the whole.
    One(Location),
    /// Parts and their lengths, without the padding between them. `None`: that one is nowhere.
    Parts(Vec<(u64, Option<Location>)>),
}

/// An entry of a location list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) range: Range<u64>,
    /// `None`: nowhere.
    pub(super) spot: Option<Spot>,
}

/// The whole list: what stands elsewhere in it says what its entries mean.
pub(super) fn list(open: &Open<'_>, unit: &Unit, at: usize) -> Result<Vec<Listed>, Gap> {
    let lists = open.locations(unit.encoding.version)?;
    let addresses = if unit.encoding.version >= 5 { open.addresses()? } else { Default::default() };
    let mut entries = lists
        .locations(LocationListsOffset(at), unit.encoding, unit.low_pc, &addresses, unit.address_base())
        .map_err(damaged)?;
    let mut found = Vec::new();
    while let Some(raw) = entries.next_raw().map_err(damaged)? {
        open.spend(1)?;
        let Some(entry) = entries.convert_raw(raw).map_err(damaged)? else { continue };
        if found.len() >= ENTRIES_MAX {
            return Err(Gap::DamagedDebugInfo("a location list is too long".to_owned()));
        }
        // Entries for no instruction at all also tell what the variable is made of.
        let range = entry.range.begin..entry.range.end;
        found.push(Listed { range, spot: spot(unit, entry.data)? });
    }
    Ok(found)
}

pub(super) fn of_bytes(unit: &Unit, bytes: &[u8]) -> Result<Option<Spot>, Gap> {
    spot(unit, Expression(gimli::EndianSlice::new(bytes, gimli::LittleEndian)))
}

fn spot(unit: &Unit, expression: Expression<Slice<'_>>) -> Result<Option<Spot>, Gap> {
    let mut operations = expression.operations(unit.encoding);
    let mut parts = Vec::new();
    let mut current = None;
    while let Some(operation) = operations.next().map_err(damaged)? {
        current = match operation {
            Operation::Piece { size_in_bits, bit_offset: None } if size_in_bits % 8 == 0 => {
                if parts.len() >= PARTS_MAX {
                    return Err(Gap::DamagedDebugInfo("a value of too many parts".to_owned()));
                }
                parts.push((size_in_bits / 8, current));
                None
            }
            Operation::Deref { size: 8, space: false, .. } => {
                Some(Location::Through(Box::new(current.ok_or_else(unknown)?)))
            }
            operation => {
                // Anything else stands alone, or before a piece.
                if current.is_some() {
                    return Err(unknown());
                }
                Some(simple(&operation)?)
            }
        };
    }
    Ok(match (parts.is_empty(), current) {
        (true, None) => None,
        (true, Some(whole)) => Some(Spot::One(whole)),
        (false, None) => Some(Spot::Parts(parts)),
        (false, Some(_)) => return Err(unknown()),
    })
}

/// The frame base of Go's functions is the canonical frame address.
fn simple(operation: &Operation<Slice<'_>>) -> Result<Location, Gap> {
    match operation {
        Operation::FrameOffset { offset } => Ok(Location::Frame(*offset)),
        Operation::CallFrameCFA => Ok(Location::Frame(0)),
        Operation::Register { register } => Ok(Location::Register(register.0)),
        Operation::Address { address } => Ok(Location::Address(*address)),
        _ => Err(unknown()),
    }
}

fn unknown() -> Gap {
    Gap::DamagedDebugInfo("a location that Go does not write".to_owned())
}
