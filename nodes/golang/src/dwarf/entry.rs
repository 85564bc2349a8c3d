//! Entries of `.debug_info`: attributes by name, and where in the tree to start.

use std::sync::Arc;

use gimli::constants::{DW_AT_abstract_origin, DW_AT_name, DW_AT_type};
use gimli::{
    Abbreviations, Attribute, AttributeValue, DebugInfoOffset, DwAt, DwTag, EntriesRaw, UnitHeader,
    UnitOffset,
};

use super::sections::{Slice, damaged};
use crate::gap::Gap;

/// Go's own attributes (cmd/internal/dwarf/dwarf_defs.go).
pub(super) const GO_KIND: DwAt = DwAt(0x2900);
pub(super) const GO_KEY: DwAt = DwAt(0x2901);
pub(super) const GO_ELEM: DwAt = DwAt(0x2902);
pub(super) const GO_EMBEDDED_FIELD: DwAt = DwAt(0x2903);
pub(super) const GO_RUNTIME_TYPE: DwAt = DwAt(0x2904);
pub(super) const GO_DICT_INDEX: DwAt = DwAt(0x2906);
pub(super) const GO_CLOSURE_OFFSET: DwAt = DwAt(0x2907);

/// Longer than any that a Go program has.
const NAME_BYTES_MAX: usize = 64 << 10;

/// The attributes of one entry.
pub(super) struct Attributes<'a> {
    pub(super) all: Vec<Attribute<Slice<'a>>>,
    unit: u64,
}

impl<'a> Attributes<'a> {
    pub(super) fn get(&self, name: DwAt) -> Option<AttributeValue<Slice<'a>>> {
        self.all.iter().find(|a| a.name() == name).map(Attribute::value)
    }

    pub(super) fn attribute(&self, name: DwAt) -> Option<&Attribute<Slice<'a>>> {
        self.all.iter().find(|a| a.name() == name)
    }

    pub(super) fn number(&self, name: DwAt) -> Option<u64> {
        self.attribute(name).and_then(Attribute::udata_value)
    }

    pub(super) fn line(&self, name: DwAt) -> Option<u32> {
        self.number(name).and_then(|line| u32::try_from(line).ok())
    }

    pub(super) fn flag(&self, name: DwAt) -> bool {
        match self.get(name) {
            Some(AttributeValue::Flag(set)) => set,
            _ => false,
        }
    }

    /// Go writes names inline. Others (C) go without.
    pub(super) fn name_bytes(&self) -> Option<&'a [u8]> {
        match self.get(DW_AT_name)? {
            AttributeValue::String(name) if name.len() <= NAME_BYTES_MAX => Some(name.slice()),
            _ => None,
        }
    }

    pub(super) fn name(&self) -> Option<String> {
        self.name_bytes().map(|name| String::from_utf8_lossy(name).into_owned())
    }

    /// Another entry, as an offset in `.debug_info`.
    pub(super) fn reference(&self, name: DwAt) -> Option<u64> {
        match self.get(name)? {
            AttributeValue::DebugInfoRef(at) => Some(at.0 as u64),
            AttributeValue::UnitRef(at) => self.unit.checked_add(at.0 as u64),
            _ => None,
        }
    }

    pub(super) fn type_reference(&self) -> Option<u64> {
        self.reference(DW_AT_type)
    }

    pub(super) fn origin(&self) -> Option<u64> {
        self.reference(DW_AT_abstract_origin)
    }

    /// DW_FORM_addr: an address, or what Go puts into its place.
    pub(super) fn address(&self, name: DwAt) -> Option<u64> {
        match self.get(name)? {
            AttributeValue::Addr(address) => Some(address),
            _ => None,
        }
    }
}

/// A place in the tree of a unit's entries.
pub(super) struct At<'a> {
    pub(super) header: UnitHeader<Slice<'a>>,
    pub(super) abbreviations: Arc<Abbreviations>,
    /// Of the unit, in `.debug_info`.
    unit: u64,
    offset: UnitOffset,
}

impl<'a> At<'a> {
    /// `offset`: in `.debug_info`; the root without one.
    pub(super) fn new(
        header: UnitHeader<Slice<'a>>,
        abbreviations: Arc<Abbreviations>,
        offset: Option<u64>,
    ) -> Result<Self, Gap> {
        let unit = header.debug_info_offset().map_or(0, |at| at.0 as u64);
        let offset = match offset {
            None => header.root_offset(),
            Some(at) => usize::try_from(at)
                .ok()
                .and_then(|at| DebugInfoOffset(at).to_unit_offset(&header))
                .ok_or_else(|| no_entry(at))?,
        };
        Ok(At { header, abbreviations, unit, offset })
    }

    pub(super) fn walk(&self) -> Result<Walk<'_, 'a>, Gap> {
        let entries = self.header.entries_raw(&self.abbreviations, Some(self.offset)).map_err(damaged)?;
        Ok(Walk { entries, unit: self.unit })
    }

    /// The entry here, without its children.
    pub(super) fn entry(&self) -> Result<Entry<'a>, Gap> {
        let mut walk = self.walk()?;
        walk.next()?.ok_or_else(|| no_entry(self.unit.wrapping_add(self.offset.0 as u64)))?.read(&mut walk)
    }
}

pub(super) fn no_entry(at: u64) -> Gap {
    Gap::DamagedDebugInfo(format!("no entry at offset {at:#x}"))
}

/// Goes through entries in their order, depth first.
pub(super) struct Walk<'w, 'a> {
    entries: EntriesRaw<'w, Slice<'a>>,
    unit: u64,
}

/// An entry whose attributes must be read or skipped next.
pub(super) struct Head<'w> {
    pub(super) tag: DwTag,
    /// In `.debug_info`.
    pub(super) offset: u64,
    /// 0 for where the walk began.
    pub(super) depth: isize,
    pub(super) has_children: bool,
    attributes: &'w [gimli::AttributeSpecification],
}

/// An entry with its attributes.
pub(super) struct Entry<'a> {
    pub(super) tag: DwTag,
    pub(super) has_children: bool,
    pub(super) attributes: Attributes<'a>,
}

impl<'w, 'a> Walk<'w, 'a> {
    /// The next entry; ends of lists of children are passed over. `None` at the end of the unit.
    pub(super) fn next(&mut self) -> Result<Option<Head<'w>>, Gap> {
        while !self.entries.is_empty() {
            let depth = self.entries.next_depth();
            let offset = self.unit.wrapping_add(self.entries.next_offset().0 as u64);
            if let Some(abbreviation) = self.entries.read_abbreviation().map_err(damaged)? {
                return Ok(Some(Head {
                    tag: abbreviation.tag(),
                    offset,
                    depth,
                    has_children: abbreviation.has_children(),
                    attributes: abbreviation.attributes(),
                }));
            }
            if depth <= 0 {
                return Ok(None);
            }
        }
        Ok(None)
    }

    /// The depth of what stands next.
    pub(super) fn depth(&self) -> isize {
        self.entries.next_depth()
    }
}

impl<'w> Head<'w> {
    pub(super) fn read<'a>(self, walk: &mut Walk<'w, 'a>) -> Result<Entry<'a>, Gap> {
        let mut all = Vec::new();
        walk.entries.read_attributes(self.attributes, &mut all).map_err(damaged)?;
        let attributes = Attributes { all, unit: walk.unit };
        Ok(Entry { tag: self.tag, has_children: self.has_children, attributes })
    }

    pub(super) fn skip(self, walk: &mut Walk<'w, '_>) -> Result<(), Gap> {
        walk.entries.skip_attributes(self.attributes).map_err(damaged)
    }
}
