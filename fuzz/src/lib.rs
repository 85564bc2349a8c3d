//! What the fuzz targets share: files made around a fuzzer's bytes, and real ones that it damages.

#![forbid(unsafe_code)]

pub mod recorded;

use std::sync::Arc;

use arbitrary::Arbitrary;

/// One change to a real file or memory: `bytes` at a place that `at` chooses.
#[derive(Arbitrary, Debug)]
pub struct Patch {
    pub at: u32,
    pub bytes: PatchBytes,
}

/// A word at once is what finds its way past plausibility checks; a byte is what breaks encodings.
#[derive(Arbitrary, Debug)]
pub enum PatchBytes {
    Byte(u8),
    Word(u64),
    /// Adds to the word that is there.
    Add(i16),
}

impl PatchBytes {
    /// Applies it at the beginning of `bytes`, as far as they reach.
    pub fn apply(&self, bytes: &mut [u8]) {
        match self {
            PatchBytes::Byte(byte) => {
                if let Some(first) = bytes.first_mut() {
                    *first = *byte;
                }
            }
            PatchBytes::Word(word) => {
                if let Some(place) = bytes.get_mut(..8) {
                    place.copy_from_slice(&word.to_le_bytes());
                }
            }
            PatchBytes::Add(difference) => {
                if let Some(place) = bytes.get_mut(..8) {
                    let word = u64::from_le_bytes(place.try_into().unwrap());
                    place.copy_from_slice(&word.wrapping_add_signed((*difference).into()).to_le_bytes());
                }
            }
        }
    }
}

/// A file of the folder that `fuzz/prepare` fills.
pub fn prepared(name: &str) -> Vec<u8> {
    let folder = std::env::var("STILLFRAME_FUZZ_FILES").expect("STILLFRAME_FUZZ_FILES is not set: run fuzz/prepare");
    let path = format!("{folder}/{name}");
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}: run fuzz/prepare"))
}

pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Where [`elf`] loads its bytes.
pub const ADDRESS: u64 = 0x40_0000;

/// An ELF executable whose one read-only segment, and section `.gopclntab`, is `content`.
pub fn elf(content: &[u8]) -> Vec<u8> {
    const HEADER: u64 = 64;
    const PROGRAM_HEADER: u64 = 56;
    let names = b"\0.gopclntab\0.shstrtab\0";
    let at = HEADER + PROGRAM_HEADER;
    let names_at = at + content.len() as u64;
    let sections_at = names_at + names.len() as u64;
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend([2u16, 62].iter().flat_map(|h| h.to_le_bytes()));
    file.extend(1u32.to_le_bytes());
    file.extend([ADDRESS, HEADER, sections_at].iter().flat_map(|w| w.to_le_bytes()));
    file.extend(0u32.to_le_bytes());
    file.extend([64u16, 56, 1, 64, 3, 2].iter().flat_map(|h| h.to_le_bytes()));
    // PT_LOAD, readable.
    file.extend([1u32, 4].iter().flat_map(|w| w.to_le_bytes()));
    let length = content.len() as u64;
    file.extend([at, ADDRESS, ADDRESS, length, length, 4096].iter().flat_map(|w| w.to_le_bytes()));
    file.extend(content);
    file.extend(names);
    let mut section = |name: u32, kind: u32, address: u64, offset: u64, length: u64| {
        file.extend([name, kind].iter().flat_map(|w| w.to_le_bytes()));
        file.extend([2, address, offset, length].iter().flat_map(|w: &u64| w.to_le_bytes()));
        file.extend([0u32, 0].iter().flat_map(|w| w.to_le_bytes()));
        file.extend([1u64, 0].iter().flat_map(|w| w.to_le_bytes()));
    };
    section(0, 0, 0, 0, 0);
    section(1, 1, ADDRESS, at, length);
    section(12, 3, 0, names_at, names.len() as u64);
    file
}
