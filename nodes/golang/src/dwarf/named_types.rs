//! Types by name, by descriptor, and those that a person may have meant.

use crate::gap::Gap;
use crate::similar::similar;
use crate::types::TypeRef;

use super::sections::{Open, Section};
use super::type_index::TypeIndex;
use super::{DebugInfo, lock};

impl DebugInfo {
    fn type_index(&self, open: &Open<'_>) -> Result<&TypeIndex, Gap> {
        if let Some(index) = self.type_index.get() {
            return index.as_ref().map_err(Gap::clone);
        }
        // One thread makes the pass, others wait for it.
        let _one = lock(&self.indexing);
        let units = self.units(open)?;
        self.type_index.get_or_init(|| TypeIndex::read(open, units)).as_ref().map_err(Gap::clone)
    }

    /// By the name that its [`crate::types::Type`] has.
    pub fn by_name(&self, name: &str) -> Result<Option<TypeRef>, Gap> {
        let open = self.sections.open()?;
        let units = self.units(&open)?;
        for offset in self.type_index(&open)?.candidates(name) {
            open.spend(1)?;
            let entry = units.entry(&open, offset)?.0.entry()?;
            if entry.attributes.name_bytes() == Some(name.as_bytes()) {
                return Ok(Some(TypeRef::Debug(offset)));
            }
        }
        Ok(None)
    }

    /// By where its descriptor (`internal/abi.Type`) lies, from `moduledata.types` of the process.
    pub fn by_runtime_offset(&self, offset: u64) -> Result<Option<TypeRef>, Gap> {
        let open = self.sections.open()?;
        Ok(self.type_index(&open)?.by_descriptor(offset).map(TypeRef::Debug))
    }

    /// Types whose names fit, by name; pointers are not asked about.
    pub fn matching(&self, fits: impl Fn(&str) -> bool) -> Result<Vec<(String, TypeRef)>, Gap> {
        let open = self.sections.open()?;
        let units = self.units(&open)?;
        let mut found = Vec::new();
        for offset in self.type_index(&open)?.all() {
            open.spend(1)?;
            let entry = units.entry(&open, offset)?.0.entry()?;
            let name = entry.attributes.name_bytes().and_then(|name| std::str::from_utf8(name).ok());
            let name = name.filter(|name| !name.starts_with('*') && fits(name));
            found.extend(name.map(|name| (name.to_owned(), TypeRef::Debug(offset))));
        }
        found.sort();
        Ok(found)
    }

    /// Names of types that are near `name`, nearest first.
    pub fn similar(&self, name: &str) -> Result<Vec<String>, Gap> {
        let open = self.sections.open()?;
        let units = self.units(&open)?;
        let mut names = Vec::new();
        for offset in self.type_index(&open)?.all() {
            open.spend(1)?;
            let entry = units.entry(&open, offset)?.0.entry()?;
            let other = entry.attributes.name_bytes().and_then(|other| std::str::from_utf8(other).ok());
            names.extend(other.filter(|other| other.len().abs_diff(name.len()) <= name.len()));
        }
        Ok(similar(name, names))
    }

    /// The index of all types as bytes, for a cache on disk.
    pub fn type_index_bytes(&self) -> Result<Vec<u8>, Gap> {
        let open = self.sections.open()?;
        let length = (*self.section(Section::Info)?).as_ref().len() as u64;
        Ok(self.type_index(&open)?.to_bytes(length))
    }

    /// Whether it was made or taken already.
    pub fn has_type_index(&self) -> bool {
        self.type_index.get().is_some()
    }

    /// Takes an index that was kept. `false`: it is damaged or another's, and will be made anew.
    pub fn set_type_index(&self, bytes: &[u8]) -> Result<bool, Gap> {
        let length = (*self.section(Section::Info)?).as_ref().len() as u64;
        let index = TypeIndex::from_bytes(bytes, length);
        Ok(index.is_some_and(|index| self.type_index.set(Ok(index)).is_ok()))
    }
}
