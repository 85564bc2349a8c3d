//! All types of a build, by name and by where the process has their descriptors: one pass over the unit that holds them.
//!
//! Names are not copied: the index has their hashes, and the entries have the names. It can be kept as bytes, so that the
//! pass is made once in the life of a build.

use gimli::constants;

use super::entry::{GO_RUNTIME_TYPE, Head};
use super::package_variables::RUNTIME;
use super::sections::Open;
use super::types::go_kind;
use super::unit::Units;
use crate::bytes::{u32_at, u64_at};
use crate::gap::Gap;
use crate::hash::fnv1a;

/// Large programs have some 200,000.
const TYPES_MAX: usize = 1 << 24;
/// Of the bytes that an index is kept as: changes with their layout.
const MAGIC: &[u8; 8] = b"SFTYPES1";
const HEADER_BYTES: usize = 32;

/// Pairs that are sorted, and offsets in `.debug_info`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct TypeIndex {
    /// Hash of the name.
    names: Vec<(u32, u32)>,
    /// From `moduledata.types`. Go writes this as an address, which it is not (DW_AT_go_runtime_type).
    descriptors: Vec<(u32, u32)>,
}

impl TypeIndex {
    pub(super) fn read(open: &Open<'_>, units: &Units) -> Result<Self, Gap> {
        let mut index = TypeIndex::default();
        for unit in units.named(RUNTIME) {
            let root = units.root(open, unit)?;
            let mut walk = root.walk()?;
            while let Some(head) = walk.next()? {
                open.spend(1)?;
                if head.depth != 1 || !is_type(&head) {
                    head.skip(&mut walk)?;
                    continue;
                }
                let (tag, offset) = (head.tag, head.offset);
                let attributes = head.read(&mut walk)?.attributes;
                let is_alias = tag == constants::DW_TAG_typedef && go_kind(&attributes).is_none();
                let (Some(name), false) = (attributes.name_bytes(), is_alias) else { continue };
                let Ok(offset) = u32::try_from(offset) else { continue };
                if index.names.len() >= TYPES_MAX {
                    return Err(Gap::DamagedDebugInfo("too many types".to_owned()));
                }
                index.names.push((hash(name), offset));
                let descriptor = attributes.address(GO_RUNTIME_TYPE).and_then(|at| u32::try_from(at).ok());
                if let Some(descriptor) = descriptor.filter(|&at| at != 0) {
                    index.descriptors.push((descriptor, offset));
                }
            }
        }
        index.names.sort_unstable();
        index.descriptors.sort_unstable();
        Ok(index)
    }

    /// Offsets of types whose names may be `name`.
    pub(super) fn candidates(&self, name: &str) -> impl Iterator<Item = u64> {
        let hash = hash(name.as_bytes());
        let start = self.names.partition_point(|&(other, _)| other < hash);
        self.names[start..].iter().take_while(move |&&(other, _)| other == hash).map(|&(_, at)| u64::from(at))
    }

    pub(super) fn by_descriptor(&self, offset: u64) -> Option<u64> {
        let offset = u32::try_from(offset).ok()?;
        let at = self.descriptors.partition_point(|&(other, _)| other < offset);
        self.descriptors.get(at).filter(|&&(other, _)| other == offset).map(|&(_, at)| u64::from(at))
    }

    /// Offsets of all of them.
    pub(super) fn all(&self) -> impl Iterator<Item = u64> {
        self.names.iter().map(|&(_, at)| u64::from(at))
    }

    /// Magic, checksum of all that follows, length of `.debug_info`, counts, pairs.
    pub(super) fn to_bytes(&self, info_length: u64) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&info_length.to_le_bytes());
        bytes.extend_from_slice(&(self.names.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.descriptors.len() as u32).to_le_bytes());
        for (key, at) in self.names.iter().chain(&self.descriptors) {
            bytes.extend_from_slice(&key.to_le_bytes());
            bytes.extend_from_slice(&at.to_le_bytes());
        }
        let checksum = fnv1a(&bytes[16..]);
        bytes[8..16].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `None`: damaged, of another version of Stillframe, or of another build.
    pub(super) fn from_bytes(bytes: &[u8], info_length: u64) -> Option<Self> {
        let is_whole = bytes.starts_with(MAGIC)
            && u64_at(bytes, 8) == Some(fnv1a(bytes.get(16..)?))
            && u64_at(bytes, 16) == Some(info_length);
        let (names, descriptors) = (u32_at(bytes, 24)? as usize, u32_at(bytes, 28)? as usize);
        let pairs = bytes.get(HEADER_BYTES..)?;
        if !is_whole || names.checked_add(descriptors)?.checked_mul(8)? != pairs.len() {
            return None;
        }
        let mut pairs = pairs.chunks_exact(8).filter_map(|pair| Some((u32_at(pair, 0)?, u32_at(pair, 4)?)));
        let index = TypeIndex { names: pairs.by_ref().take(names).collect(), descriptors: pairs.collect() };
        let is_sorted = index.names.is_sorted() && index.descriptors.is_sorted();
        let offsets = index.names.iter().chain(&index.descriptors).map(|&(_, at)| u64::from(at));
        let is_inside = offsets.into_iter().all(|at| at < info_length);
        (is_sorted && is_inside).then_some(index)
    }
}

fn is_type(head: &Head<'_>) -> bool {
    matches!(
        head.tag,
        constants::DW_TAG_base_type
            | constants::DW_TAG_array_type
            | constants::DW_TAG_typedef
            | constants::DW_TAG_subroutine_type
            | constants::DW_TAG_pointer_type
            | constants::DW_TAG_structure_type
    )
}

fn hash(name: &[u8]) -> u32 {
    let hash = fnv1a(name);
    (hash ^ hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_index_is_the_index_and_damage_is_noticed() {
        let index = TypeIndex { names: vec![(1, 20), (7, 10)], descriptors: vec![(64, 10)] };
        let bytes = index.to_bytes(100);
        assert_eq!(TypeIndex::from_bytes(&bytes, 100).as_ref(), Some(&index));
        assert_eq!(TypeIndex::from_bytes(&bytes, 101), None);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(TypeIndex::from_bytes(&damaged, 100), None, "byte {at}");
            assert_eq!(TypeIndex::from_bytes(&bytes[..at], 100), None, "cut at {at}");
        }
        let unsorted = TypeIndex { names: vec![(7, 10), (1, 20)], descriptors: vec![] };
        assert_eq!(TypeIndex::from_bytes(&unsorted.to_bytes(100), 100), None);
        let outside = TypeIndex { names: vec![(7, 100)], descriptors: vec![] };
        assert_eq!(TypeIndex::from_bytes(&outside.to_bytes(100), 100), None);
    }
}
