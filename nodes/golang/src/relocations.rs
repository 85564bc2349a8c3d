//! Words of an executable as a process sees them before it runs: the file's bytes, and in a position-independent one
//! what the dynamic loader puts in their place (R_*_RELATIVE), without the load bias.
//!
//! Found through the program headers (PT_DYNAMIC: DT_RELA, DT_RELASZ), so that nothing that `strip` removes is needed.

use object::LittleEndian;
use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};

use crate::bytes::u64_at;
use crate::executable::{Architecture, Executable};

/// elf(5), Elf64_Dyn and Elf64_Rela.
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const R_X86_64_RELATIVE: u64 = 8;
const R_AARCH64_RELATIVE: u64 = 1027;
const RELA_BYTES: usize = 24;
const DYNAMIC_ENTRY_BYTES: usize = 16;
const DYNAMIC_ENTRIES_MAX: usize = 4096;

/// The file's addresses, each with what the loader adds the bias to; sorted.
#[derive(Debug, Default)]
pub(crate) struct Relocations(Vec<(u64, u64)>);

impl Relocations {
    /// Empty for an executable that has a fixed address, or no table of them.
    pub(crate) fn read(executable: &Executable) -> Self {
        let relative = match executable.architecture {
            Architecture::Amd64 => R_X86_64_RELATIVE,
            Architecture::Arm64 => R_AARCH64_RELATIVE,
        };
        let entry = |rela: &[u8]| {
            let (at, info, addend) = (u64_at(rela, 0)?, u64_at(rela, 8)?, u64_at(rela, 16)?);
            (info & 0xffff_ffff == relative).then_some((at, addend))
        };
        let table = rela_table(executable).unwrap_or_default();
        let mut found: Vec<(u64, u64)> = table.chunks_exact(RELA_BYTES).filter_map(entry).collect();
        found.sort_unstable();
        Relocations(found)
    }

    /// The word at an address of the file.
    pub(crate) fn word(&self, executable: &Executable, address: u64) -> Option<u64> {
        match self.0.binary_search_by_key(&address, |&(at, _)| at) {
            Ok(i) => Some(self.0[i].1),
            Err(_) => u64_at(executable.initial_bytes(address)?, 0),
        }
    }

    /// Where the word `value` stands.
    pub(crate) fn find(&self, executable: &Executable, value: u64) -> Vec<u64> {
        let relocated = self.0.iter().filter(|(_, addend)| *addend == value).map(|(at, _)| *at);
        let wanted = value.to_le_bytes();
        relocated.chain(executable.search(8, &wanted).map(|(at, _)| at)).collect()
    }
}

fn rela_table(executable: &Executable) -> Option<&[u8]> {
    let header = FileHeader64::<LittleEndian>::parse(executable.file()).ok()?;
    let headers = header.program_headers(LittleEndian, executable.file()).ok()?;
    let dynamic = headers.iter().find(|header| header.p_type(LittleEndian) == elf::PT_DYNAMIC)?;
    let dynamic = executable.at_offset(dynamic.p_offset(LittleEndian), dynamic.p_filesz(LittleEndian))?;
    let entries = dynamic.chunks_exact(DYNAMIC_ENTRY_BYTES).take(DYNAMIC_ENTRIES_MAX);
    let value =
        |tag| entries.clone().find(|entry| u64_at(entry, 0) == Some(tag)).and_then(|entry| u64_at(entry, 8));
    let length = usize::try_from(value(DT_RELASZ)?).ok()?;
    executable.initial_bytes(value(DT_RELA)?)?.get(..length)
}
