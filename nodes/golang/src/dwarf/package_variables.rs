//! Package-level variables: their addresses and types, by name.

use std::collections::HashMap;

use gimli::constants::{self, DW_AT_location};
use gimli::{AttributeValue, DwTag};

use super::location::{Spot, of_bytes};
use super::sections::Open;
use super::unit::Unit;
use super::{DebugInfo, entry::Attributes};
use crate::gap::Gap;
use crate::package;
use crate::types::TypeRef;
use crate::variable::Location;

/// The linker puts what belongs to no unit here, and all types.
pub(crate) const RUNTIME: &str = "runtime";

/// A package-level variable, as an address of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackageVariable {
    pub address: u64,
    pub of: TypeRef,
}

impl DebugInfo {
    /// By its whole name: `shop/orders.nodeName`. `None`: there is none, or the linker dropped it.
    pub fn variable(&self, name: &str) -> Result<Option<PackageVariable>, Gap> {
        let path = package::of_function(name);
        let mut units = vec![path.as_str(), RUNTIME];
        units.dedup();
        for unit in units {
            let found = self.top_level(unit, &[name], &[constants::DW_TAG_variable])?;
            if let Some(&(_, offset)) = found.get(name) {
                return self.package_variable(offset);
            }
        }
        Ok(None)
    }

    /// Entries of these names and tags right below the roots of the units of a package: by name, the last one's tag and
    /// offset.
    pub(crate) fn top_level<'n>(
        &self,
        unit: &str,
        names: &[&'n str],
        tags: &[DwTag],
    ) -> Result<HashMap<&'n str, (DwTag, u64)>, Gap> {
        let open = self.sections.open()?;
        let units = self.units(&open)?;
        let mut found = HashMap::new();
        for unit in units.named(unit) {
            let root = units.root(&open, unit)?;
            let mut walk = root.walk()?;
            while let Some(head) = walk.next()? {
                open.spend(1)?;
                if head.depth != 1 || !tags.contains(&head.tag) {
                    head.skip(&mut walk)?;
                    continue;
                }
                let (tag, offset) = (head.tag, head.offset);
                let attributes = head.read(&mut walk)?.attributes;
                let Some(name) = attributes.name_bytes() else { continue };
                if let Some(name) = names.iter().find(|n| n.as_bytes() == name) {
                    found.insert(*name, (tag, offset));
                }
            }
        }
        Ok(found)
    }

    /// The variable whose entry is at `offset`.
    pub(crate) fn package_variable(&self, offset: u64) -> Result<Option<PackageVariable>, Gap> {
        let open = self.sections.open()?;
        let (at, unit) = self.units(&open)?.entry(&open, offset)?;
        let attributes = at.entry()?.attributes;
        let Some(of) = attributes.type_reference() else { return Ok(None) };
        let of = TypeRef::Debug(self.resolve(&open, of)?.offset);
        let address = address(&open, unit, &attributes)?;
        Ok(address.map(|address| PackageVariable { address, of }))
    }
}

/// A variable's fixed address.
fn address(open: &Open<'_>, unit: &Unit, attributes: &Attributes<'_>) -> Result<Option<u64>, Gap> {
    let bytes = match attributes.get(DW_AT_location) {
        Some(AttributeValue::Exprloc(expression)) => expression.0.slice(),
        Some(AttributeValue::Block(bytes)) => bytes.slice(),
        _ => return Ok(None),
    };
    open.spend(1)?;
    match of_bytes(unit, bytes)? {
        Some(Spot::One(Location::Address(address))) => Ok(Some(address)),
        _ => Ok(None),
    }
}
