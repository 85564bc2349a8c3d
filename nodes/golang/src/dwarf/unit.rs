//! Which units there are: a package each, from the root entries alone.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use gimli::constants::{
    DW_AT_addr_base, DW_AT_high_pc, DW_AT_language, DW_AT_low_pc, DW_AT_producer, DW_AT_ranges, DW_LANG_Go,
};
use gimli::{
    Abbreviations, Attribute, AttributeValue, DebugAddrBase, DebugInfoOffset, Encoding, RangeListsOffset,
};

use super::entry::{At, Attributes, no_entry};
use super::sections::{Open, Slice, damaged};
use crate::gap::Gap;

/// A large program has about 3,000.
const UNITS_MAX: usize = 1 << 20;
/// Of all units together.
const RANGES_MAX: usize = 1 << 22;
/// Go has one table for all its units, C one for each.
const ABBREVIATION_TABLES_MAX: usize = 16;

/// A package, or a file of another language.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// In `.debug_info`.
    pub(super) offset: u64,
    pub(super) end: u64,
    pub(super) encoding: Encoding,
    pub(super) is_go: bool,
    /// The path of its package.
    pub(super) name: String,
    pub(super) low_pc: u64,
    address_base: DebugAddrBase,
    /// Of the Go release that compiled it: 27 for Go 1.27.
    pub(super) minor: Option<u32>,
    /// Compiled with `GOEXPERIMENT=simd`.
    pub(super) has_simd: bool,
}

/// By offset, by program counter, by name.
pub(super) struct Units {
    /// Ascending.
    pub(super) all: Vec<Unit>,
    /// Of Go's units: start, end and index, ascending.
    ranges: Vec<(u64, u64, u32)>,
    by_name: HashMap<String, Vec<u32>>,
    tables: Mutex<HashMap<u64, Arc<Abbreviations>>>,
}

impl Units {
    pub(super) fn read(open: &Open<'_>) -> Result<Self, Gap> {
        let mut units = Units {
            all: Vec::new(),
            ranges: Vec::new(),
            by_name: HashMap::new(),
            tables: Mutex::new(HashMap::new()),
        };
        let info = open.info();
        let mut headers = info.units();
        while let Some(header) = headers.next().map_err(damaged)? {
            if units.all.len() >= UNITS_MAX {
                return Err(Gap::DamagedDebugInfo("too many units".to_owned()));
            }
            let offset = header.debug_info_offset().map_or(0, |at| at.0 as u64);
            let mut unit = Unit {
                offset,
                end: offset.saturating_add(header.length_including_self() as u64),
                encoding: header.encoding(),
                is_go: false,
                name: String::new(),
                low_pc: 0,
                address_base: DebugAddrBase(0),
                minor: None,
                has_simd: false,
            };
            // Units of other languages must not stand in the way, damaged or not.
            let table = header.debug_abbrev_offset().0 as u64;
            let root = units.table(open, table).and_then(|table| At::new(header, table, None)?.entry());
            if let Ok(root) = root
                && root.attributes.get(DW_AT_language) == Some(AttributeValue::Language(DW_LANG_Go))
            {
                units.add_root(open, &mut unit, &root.attributes)?;
            }
            units.all.push(unit);
        }
        units.ranges.sort_unstable();
        Ok(units)
    }

    fn add_root(&mut self, open: &Open<'_>, unit: &mut Unit, root: &Attributes<'_>) -> Result<(), Gap> {
        unit.is_go = true;
        unit.name = root.name().unwrap_or_default();
        let producer = root.get(DW_AT_producer);
        let producer = producer.as_ref().and_then(text).unwrap_or_default();
        unit.minor = minor(producer);
        unit.has_simd = producer.contains("simd");
        if let Some(AttributeValue::DebugAddrBase(base)) = root.get(DW_AT_addr_base) {
            unit.address_base = base;
        }
        let index = self.all.len() as u32;
        self.by_name.entry(unit.name.clone()).or_default().push(index);
        unit.low_pc = match root.get(DW_AT_low_pc) {
            Some(value) => unit.address(open, &value)?.unwrap_or(0),
            None => 0,
        };
        for range in unit.ranges(open, root)? {
            if self.ranges.len() >= RANGES_MAX {
                return Err(Gap::DamagedDebugInfo("too many ranges of units".to_owned()));
            }
            self.ranges.push((range.start, range.end, index));
        }
        Ok(())
    }

    fn table(&self, open: &Open<'_>, offset: u64) -> Result<Arc<Abbreviations>, Gap> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = tables.get(&offset) {
            return Ok(table.clone());
        }
        let at = usize::try_from(offset).map_err(|_| no_entry(offset))?;
        let table = open.abbreviations().abbreviations(gimli::DebugAbbrevOffset(at)).map_err(damaged)?;
        let table = Arc::new(table);
        if tables.len() >= ABBREVIATION_TABLES_MAX {
            tables.clear();
        }
        tables.insert(offset, table.clone());
        Ok(table)
    }

    /// Go's unit that holds the code at `pc`.
    pub(super) fn at_pc(&self, pc: u64) -> Option<&Unit> {
        let behind = self.ranges.partition_point(|&(start, _, _)| start <= pc);
        let &(_, end, index) = self.ranges.get(behind.checked_sub(1)?)?;
        if pc < end { self.all.get(index as usize) } else { None }
    }

    pub(super) fn named<'u>(&'u self, name: &str) -> impl Iterator<Item = &'u Unit> {
        self.by_name.get(name).into_iter().flatten().filter_map(|&index| self.all.get(index as usize))
    }

    /// The unit of the entry at `offset`; of Go only.
    pub(super) fn holding(&self, offset: u64) -> Result<&Unit, Gap> {
        let behind = self.all.partition_point(|unit| unit.offset <= offset);
        let unit = behind.checked_sub(1).and_then(|index| self.all.get(index));
        unit.filter(|unit| unit.is_go && offset < unit.end).ok_or_else(|| no_entry(offset))
    }

    pub(super) fn root<'o>(&self, open: &'o Open<'_>, unit: &Unit) -> Result<At<'o>, Gap> {
        self.place(open, unit, None)
    }

    /// The entry at `offset` in `.debug_info`, and its unit.
    pub(super) fn entry<'o>(&self, open: &'o Open<'_>, offset: u64) -> Result<(At<'o>, &Unit), Gap> {
        let unit = self.holding(offset)?;
        Ok((self.place(open, unit, Some(offset))?, unit))
    }

    fn place<'o>(&self, open: &'o Open<'_>, unit: &Unit, offset: Option<u64>) -> Result<At<'o>, Gap> {
        let at = usize::try_from(unit.offset).map_err(|_| no_entry(unit.offset))?;
        let header = open.info().header_from_offset(DebugInfoOffset(at)).map_err(damaged)?;
        let table = self.table(open, header.debug_abbrev_offset().0 as u64)?;
        At::new(header, table, offset)
    }
}

impl Unit {
    pub(super) fn address(
        &self,
        open: &Open<'_>,
        value: &AttributeValue<Slice<'_>>,
    ) -> Result<Option<u64>, Gap> {
        Ok(match value {
            AttributeValue::Addr(address) => Some(*address),
            AttributeValue::DebugAddrIndex(index) => Some(
                open.addresses()?
                    .get_address(self.encoding.address_size, self.address_base, *index)
                    .map_err(damaged)?,
            ),
            _ => None,
        })
    }

    pub(super) fn address_base(&self) -> DebugAddrBase {
        self.address_base
    }

    /// The code of an entry of this unit: one range, or a list of them.
    pub(super) fn ranges(&self, open: &Open<'_>, entry: &Attributes<'_>) -> Result<Vec<Range<u64>>, Gap> {
        let at = match entry.get(DW_AT_ranges) {
            Some(AttributeValue::RangeListsRef(at)) => at.0,
            Some(AttributeValue::SecOffset(at)) => at,
            _ => return self.one_range(open, entry),
        };
        let lists = open.ranges(self.encoding.version)?;
        let addresses = if self.encoding.version >= 5 { open.addresses()? } else { Default::default() };
        let mut list = lists
            .ranges(RangeListsOffset(at), self.encoding, self.low_pc, &addresses, self.address_base)
            .map_err(damaged)?;
        let mut found = Vec::new();
        while let Some(raw) = list.next_raw().map_err(damaged)? {
            open.spend(1)?;
            if let Some(range) = list.convert_raw(raw).map_err(damaged)?
                && range.begin < range.end
            {
                found.push(range.begin..range.end);
            }
        }
        Ok(found)
    }

    fn one_range(&self, open: &Open<'_>, entry: &Attributes<'_>) -> Result<Vec<Range<u64>>, Gap> {
        let (Some(low), Some(high)) = (entry.get(DW_AT_low_pc), entry.attribute(DW_AT_high_pc)) else {
            return Ok(Vec::new());
        };
        let Some(low) = self.address(open, &low)? else { return Ok(Vec::new()) };
        let high = match self.address(open, &high.value())? {
            Some(high) => Some(high),
            // A length, since DWARF 4.
            None => Attribute::udata_value(high).and_then(|length| low.checked_add(length)),
        };
        Ok(high.filter(|&high| low < high).map(|high| low..high).into_iter().collect())
    }
}

fn text<'a>(value: &AttributeValue<Slice<'a>>) -> Option<&'a str> {
    match value {
        AttributeValue::String(text) => std::str::from_utf8(text.slice()).ok(),
        _ => None,
    }
}

/// Out of `Go cmd/compile go1.27.3; regabi`.
fn minor(producer: &str) -> Option<u32> {
    let version = producer.split_once("go1.")?.1;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
