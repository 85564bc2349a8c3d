//! What Stillframe needs of a build's DWARF: the layout of the runtime's structures and the addresses of its variables.
//!
//! Go puts all types and the runtime's variables into the compilation unit named `runtime`, names are inline strings,
//! and locations are `DW_OP_addr` (cmd/internal/dwarf, cmd/link/internal/ld/dwarf.go). Nothing else of
//! the debug information is looked at.

use std::collections::HashMap;

use gimli::constants::{
    DW_AT_byte_size, DW_AT_count, DW_AT_data_member_location, DW_AT_location, DW_AT_name, DW_AT_type,
    DW_AT_upper_bound, DW_TAG_member, DW_TAG_structure_type, DW_TAG_subrange_type, DW_TAG_variable,
};
use gimli::{
    Attribute, AttributeValue, DebugInfoOffset, DebuggingInformationEntry, Dwarf, EndianSlice, EntriesRaw,
    LittleEndian, Operation, Unit, UnitRef, UnitSectionOffset,
};
use thiserror::Error;

use crate::executable::{Executable, ExecutableError};
use crate::layout::{Layouts, Structure, Structures};
use crate::variables::NAMES;

type Slice<'a> = EndianSlice<'a, LittleEndian>;

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DebugInfoError {
    #[error(transparent)]
    Executable(#[from] ExecutableError),
    #[error("damaged debug information: {0}")]
    Damaged(String),
}

impl From<gimli::Error> for DebugInfoError {
    fn from(error: gimli::Error) -> Self {
        DebugInfoError::Damaged(error.to_string())
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RuntimeInfo {
    /// The unnamed type of `runtime.debug` goes by the name of that variable.
    pub(crate) structures: Structures,
    /// Addresses, of the file.
    pub(crate) variables: HashMap<String, u64>,
    /// Elements of `runtime.waitReasonStrings`.
    pub(crate) wait_reasons: Option<u64>,
}

impl RuntimeInfo {
    /// Nothing where there is no debug information (`-ldflags=-w` or `-s`, `strip`).
    pub(crate) fn read(executable: &Executable) -> Result<Self, DebugInfoError> {
        let sections = gimli::DwarfSections::load(|id| -> Result<_, DebugInfoError> {
            Ok(executable.debug_section(id.name())?)
        })?;
        let dwarf = sections.borrow(|bytes| EndianSlice::new(bytes, LittleEndian));
        let mut found = RuntimeInfo::default();
        let mut types = HashMap::new();
        let mut headers = dwarf.units();
        while let Some(header) = headers.next()? {
            let unit = dwarf.unit(header)?;
            if unit.name.is_some_and(|name| name.slice() == b"runtime") {
                found.scan(UnitRef::new(&dwarf, &unit), &mut types)?;
            }
        }
        if let Some(&at) = types.get("runtime.debug") {
            let structure = structure_at(&dwarf, at)?;
            found.structures.insert("runtime.debug".to_owned(), structure);
        }
        if let Some(&at) = types.get("runtime.waitReasonStrings") {
            found.wait_reasons = array_length(&dwarf, at)?;
        }
        Ok(found)
    }

    /// Goes through the children of a unit's root; `types` gets the types of the variables.
    fn scan(
        &mut self,
        unit: UnitRef<'_, Slice<'_>>,
        types: &mut HashMap<&'static str, DebugInfoOffset>,
    ) -> Result<(), DebugInfoError> {
        let mut entries = unit.header.entries_raw(&unit.abbreviations, None)?;
        let mut entry = DebuggingInformationEntry::default();
        while !entries.is_empty() {
            let top_level = entries.next_depth() == 1;
            let Some(abbreviation) = entries.read_abbreviation()? else { continue };
            let tag = abbreviation.tag();
            if !top_level || (tag != DW_TAG_structure_type && tag != DW_TAG_variable) {
                entries.skip_attributes(abbreviation.attributes())?;
                continue;
            }
            entries.read_attributes(abbreviation.attributes(), &mut entry.attrs)?;
            let Some(name) = name(&entry.attrs) else { continue };
            if tag == DW_TAG_structure_type {
                if let Some(wanted) = Layouts::TYPES.iter().find(|t| t.as_bytes() == name) {
                    let structure = structure(&entry.attrs, abbreviation.has_children(), &mut entries)?;
                    self.structures.insert((*wanted).to_owned(), structure);
                }
            } else if let Some(wanted) = NAMES.iter().find(|v| v.as_bytes() == name) {
                if let Some(address) = address(unit, &entry.attrs)? {
                    self.variables.insert((*wanted).to_owned(), address);
                }
                if let Some(at) = type_offset(&unit, &entry.attrs) {
                    types.insert(wanted, at);
                }
            }
        }
        Ok(())
    }
}

fn value<'a>(attributes: &[Attribute<Slice<'a>>], name: gimli::DwAt) -> Option<AttributeValue<Slice<'a>>> {
    attributes.iter().find(|a| a.name() == name).map(Attribute::value)
}

fn number(attributes: &[Attribute<Slice<'_>>], name: gimli::DwAt) -> Option<u64> {
    attributes.iter().find(|a| a.name() == name).and_then(Attribute::udata_value)
}

fn name<'a>(attributes: &[Attribute<Slice<'a>>]) -> Option<&'a [u8]> {
    match value(attributes, DW_AT_name)? {
        AttributeValue::String(name) => Some(name.slice()),
        _ => None,
    }
}

/// A variable's fixed address.
fn address(
    unit: UnitRef<'_, Slice<'_>>,
    attributes: &[Attribute<Slice<'_>>],
) -> Result<Option<u64>, DebugInfoError> {
    let location = attributes.iter().find(|a| a.name() == DW_AT_location);
    let Some(expression) = location.and_then(Attribute::exprloc_value) else { return Ok(None) };
    let mut operations = expression.operations(unit.encoding());
    let address = match operations.next()? {
        Some(Operation::Address { address }) => Some(address),
        Some(Operation::AddressIndex { index }) => Some(unit.address(index)?),
        _ => None,
    };
    // Anything behind it would change the meaning.
    Ok(if operations.next()?.is_none() { address } else { None })
}

fn type_offset(unit: &Unit<Slice<'_>>, attributes: &[Attribute<Slice<'_>>]) -> Option<DebugInfoOffset> {
    match value(attributes, DW_AT_type)? {
        AttributeValue::DebugInfoRef(at) => Some(at),
        AttributeValue::UnitRef(at) => Some(DebugInfoOffset(at.to_unit_section_offset(unit).0)),
        _ => None,
    }
}

/// A structure's members; the entry itself has just been read.
fn structure(
    attributes: &[Attribute<Slice<'_>>],
    has_children: bool,
    entries: &mut EntriesRaw<'_, Slice<'_>>,
) -> Result<Structure, DebugInfoError> {
    let mut structure =
        Structure { size: number(attributes, DW_AT_byte_size).unwrap_or(0), fields: HashMap::new() };
    if !has_children {
        return Ok(structure);
    }
    let depth = entries.next_depth();
    let mut member = Vec::new();
    while !entries.is_empty() && entries.next_depth() >= depth {
        let direct = entries.next_depth() == depth;
        let Some(abbreviation) = entries.read_abbreviation()? else { continue };
        entries.read_attributes(abbreviation.attributes(), &mut member)?;
        if direct
            && abbreviation.tag() == DW_TAG_member
            && let (Some(name), Some(offset)) = (name(&member), number(&member, DW_AT_data_member_location))
        {
            structure.fields.insert(String::from_utf8_lossy(name).into_owned(), offset);
        }
    }
    Ok(structure)
}

/// Reads on from the entry at `at`, in whichever unit that is.
fn with_entry<T>(
    dwarf: &Dwarf<Slice<'_>>,
    at: DebugInfoOffset,
    read: impl FnOnce(&[Attribute<Slice<'_>>], bool, &mut EntriesRaw<'_, Slice<'_>>) -> Result<T, DebugInfoError>,
) -> Result<T, DebugInfoError> {
    let outside = || DebugInfoError::Damaged(format!("no entry at offset {:#x}", at.0));
    let mut headers = dwarf.units();
    while let Some(header) = headers.next()? {
        let Some(offset) = UnitSectionOffset(at.0).to_unit_offset(&header) else { continue };
        let abbreviations = dwarf.abbreviations(&header)?;
        let mut entries = header.entries_raw(&abbreviations, Some(offset))?;
        let abbreviation = entries.read_abbreviation()?.ok_or_else(outside)?;
        let mut attributes = Vec::new();
        entries.read_attributes(abbreviation.attributes(), &mut attributes)?;
        return read(&attributes, abbreviation.has_children(), &mut entries);
    }
    Err(outside())
}

fn structure_at(dwarf: &Dwarf<Slice<'_>>, at: DebugInfoOffset) -> Result<Structure, DebugInfoError> {
    with_entry(dwarf, at, structure)
}

/// The length of the array type at `at`.
fn array_length(dwarf: &Dwarf<Slice<'_>>, at: DebugInfoOffset) -> Result<Option<u64>, DebugInfoError> {
    with_entry(dwarf, at, |_, has_children, entries| {
        if !has_children {
            return Ok(None);
        }
        let Some(abbreviation) = entries.read_abbreviation()? else { return Ok(None) };
        if abbreviation.tag() != DW_TAG_subrange_type {
            return Ok(None);
        }
        let mut attributes = Vec::new();
        entries.read_attributes(abbreviation.attributes(), &mut attributes)?;
        let last = || number(&attributes, DW_AT_upper_bound).and_then(|last| last.checked_add(1));
        Ok(number(&attributes, DW_AT_count).or_else(last))
    })
}
