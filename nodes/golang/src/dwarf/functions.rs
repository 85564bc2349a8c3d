//! The functions of one unit: by program counter, and by name.

use gimli::constants::{DW_AT_inline, DW_TAG_subprogram};

use super::entry::Attributes;
use super::function::function_name;
use super::sections::Open;
use super::unit::{Unit, Units};
use crate::gap::Gap;

/// Of one unit; the largest package of a large program has some 10,000.
const FUNCTIONS_MAX: usize = 1 << 20;

pub(super) struct UnitFunctions {
    /// Start, end and offset in `.debug_info`, ascending.
    code: Vec<(u64, u64, u64)>,
    /// Those without code of their own.
    abstracts: Vec<u64>,
}

impl UnitFunctions {
    pub(super) fn read(open: &Open<'_>, units: &Units, unit: &Unit) -> Result<Self, Gap> {
        let mut functions = UnitFunctions { code: Vec::new(), abstracts: Vec::new() };
        let root = units.root(open, unit)?;
        let mut walk = root.walk()?;
        while let Some(head) = walk.next()? {
            open.spend(1)?;
            if head.depth != 1 || head.tag != DW_TAG_subprogram {
                head.skip(&mut walk)?;
                continue;
            }
            let offset = head.offset;
            let attributes = head.read(&mut walk)?.attributes;
            if functions.len() >= FUNCTIONS_MAX {
                return Err(Gap::DamagedDebugInfo(format!("too many functions in {}", unit.name)));
            }
            functions.add(open, unit, offset, &attributes)?;
        }
        functions.code.sort_unstable();
        Ok(functions)
    }

    fn add(
        &mut self,
        open: &Open<'_>,
        unit: &Unit,
        offset: u64,
        attributes: &Attributes<'_>,
    ) -> Result<(), Gap> {
        if attributes.attribute(DW_AT_inline).is_some() {
            self.abstracts.push(offset);
            return Ok(());
        }
        for range in unit.ranges(open, attributes)? {
            self.code.push((range.start, range.end, offset));
        }
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.code.len() + self.abstracts.len()
    }

    /// The offset of the function that holds `pc`.
    pub(super) fn at(&self, pc: u64) -> Option<u64> {
        let behind = self.code.partition_point(|&(start, ..)| start <= pc);
        let &(_, end, offset) = self.code.get(behind.checked_sub(1)?)?;
        (pc < end).then_some(offset)
    }

    /// Where the function of this name is described: with its code where it has some.
    pub(super) fn named(&self, open: &Open<'_>, units: &Units, name: &str) -> Result<Option<u64>, Gap> {
        let all = self.code.iter().map(|&(.., offset)| offset).chain(self.abstracts.iter().copied());
        for offset in all {
            open.spend(1)?;
            let entry = units.entry(open, offset)?.0.entry()?;
            let own = entry.attributes.name_bytes();
            let is_it = match own {
                Some(own) => own == name.as_bytes(),
                None => function_name(open, units, &entry.attributes)? == name,
            };
            if is_it {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }
}
