//! An ELF file as far as Stillframe needs it: what is loaded where, and which build it is.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use object::elf;
use object::read::elf::{ElfFile64, FileHeader};
use object::{CompressionFormat, LittleEndian, Object, ObjectSection, ObjectSymbol};
use thiserror::Error;

use crate::memory::{Memory, Unreadable};

/// The bytes of a file, however they are held.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Sections that debug information is decompressed to may be this large.
const DEBUG_SECTION_BYTES_MAX: u64 = 4 << 30;

/// zlib cannot compress by more than this factor (zlib.net, "maximum compression factor": 1032:1).
const DEFLATE_RATIO_MAX: u64 = 1032;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    /// As Go names it.
    pub fn name(self) -> &'static str {
        match self {
            Architecture::Amd64 => "amd64",
            Architecture::Arm64 => "arm64",
        }
    }

    /// Calls leave the return address in a register (Go: `goarch.LinkRegister`), not on the stack.
    pub(crate) fn uses_link_register(self) -> bool {
        self == Architecture::Arm64
    }
}

#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ExecutableError {
    #[error("not an ELF file: {0}")]
    NotElf(String),
    #[error("{0}: Stillframe reads 64-bit little-endian ELF for amd64 and arm64")]
    Foreign(String),
    #[error("damaged ELF file: {0}")]
    Damaged(String),
}

/// Of a file's program header with type PT_LOAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub address: u64,
    pub memory_length: u64,
    pub file_offset: u64,
    pub file_length: u64,
    pub writable: bool,
}

/// Where a section lies, in the file and when loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    pub address: u64,
    pub file_offset: u64,
    /// 0 for a section without bytes in the file.
    pub file_length: u64,
}

/// A parsed ELF file. Addresses are those of the file: a position-independent one is loaded elsewhere.
#[derive(Clone)]
pub struct Executable {
    bytes: Bytes,
    pub architecture: Architecture,
    /// Loaded anywhere (ET_DYN): addresses are relative.
    pub position_independent: bool,
    /// Where a process begins.
    pub entry: u64,
    pub segments: Vec<Segment>,
    /// Address and length of what the dynamic loader is told (PT_DYNAMIC), of one that has one.
    pub(crate) dynamic: Option<(u64, u64)>,
    sections: Vec<(String, Section)>,
    /// The GNU build id, in hexadecimal.
    pub gnu_build_id: Option<String>,
}

impl Executable {
    pub fn parse(bytes: Bytes) -> Result<Self, ExecutableError> {
        let data = (*bytes).as_ref();
        if data.get(..4) != Some(&elf::ELFMAG) {
            return Err(ExecutableError::NotElf("the file does not start with the ELF magic number".into()));
        }
        if data.get(4..6) != Some(&[elf::ELFCLASS64.0, elf::ELFDATA2LSB.0]) {
            return Err(ExecutableError::Foreign("not 64-bit little-endian".into()));
        }
        let damaged = |e: object::Error| ExecutableError::Damaged(e.to_string());
        let file = ElfFile64::<LittleEndian>::parse(data).map_err(damaged)?;
        let header = file.elf_header();
        let architecture = match header.e_machine(LittleEndian) {
            elf::EM_X86_64 => Architecture::Amd64,
            elf::EM_AARCH64 => Architecture::Arm64,
            other => return Err(ExecutableError::Foreign(format!("ELF machine {other}"))),
        };
        let position_independent = match header.e_type(LittleEndian) {
            elf::ET_EXEC => false,
            elf::ET_DYN => true,
            other => return Err(ExecutableError::Foreign(format!("ELF type {other} is no executable"))),
        };
        let entry = header.e_entry(LittleEndian);
        let segments = file
            .elf_program_headers()
            .iter()
            .filter(|p| p.p_type.get(LittleEndian) == elf::PT_LOAD)
            .map(|p| Segment {
                address: p.p_vaddr.get(LittleEndian),
                memory_length: p.p_memsz.get(LittleEndian),
                file_offset: p.p_offset.get(LittleEndian),
                file_length: p.p_filesz.get(LittleEndian),
                writable: p.p_flags.get(LittleEndian).0 & elf::PF_W.0 != 0,
            })
            .collect();
        let dynamic = file
            .elf_program_headers()
            .iter()
            .find(|p| p.p_type.get(LittleEndian) == elf::PT_DYNAMIC)
            .map(|p| (p.p_vaddr.get(LittleEndian), p.p_memsz.get(LittleEndian)));
        let sections = file
            .sections()
            .filter_map(|s| {
                let (file_offset, file_length) = s.file_range().unwrap_or_default();
                Some((s.name().ok()?.to_owned(), Section { address: s.address(), file_offset, file_length }))
            })
            .collect();
        let gnu_build_id = file
            .build_id()
            .ok()
            .flatten()
            .filter(|id| !id.is_empty() && id.len() <= 64)
            .map(|id| id.iter().map(|b| format!("{b:02x}")).collect());
        drop(file);
        Ok(Executable {
            bytes,
            architecture,
            position_independent,
            entry,
            segments,
            dynamic,
            sections,
            gnu_build_id,
        })
    }

    pub fn section(&self, name: &str) -> Option<Section> {
        self.sections.iter().find(|(n, _)| n == name).map(|(_, s)| *s)
    }

    /// The whole file.
    pub fn file(&self) -> &[u8] {
        (*self.bytes).as_ref()
    }

    /// Bytes of the file by offset.
    pub fn at_offset(&self, offset: u64, length: u64) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        let end = start.checked_add(usize::try_from(length).ok()?)?;
        self.file().get(start..end)
    }

    /// A section's bytes as they stand in the file.
    pub fn section_bytes(&self, name: &str) -> Option<&[u8]> {
        let section = self.section(name)?;
        self.at_offset(section.file_offset, section.file_length)
    }

    /// Everything that the file holds from `address` (of the file) to the end of its segment. Only segments that a
    /// process cannot write to: the others change.
    pub fn from_address(&self, address: u64) -> Option<&[u8]> {
        let segment = self
            .segments
            .iter()
            .find(|s| !s.writable && s.address <= address && address - s.address < s.file_length)?;
        let skip = address - segment.address;
        self.at_offset(segment.file_offset.checked_add(skip)?, segment.file_length - skip)
    }

    /// What the file holds from `address` (of the file) to the end of its segment: what a process finds there when it
    /// starts, before anything is relocated.
    pub(crate) fn initial_bytes(&self, address: u64) -> Option<&[u8]> {
        let holds = |s: &&Segment| s.address <= address && address - s.address < s.file_length;
        let segment = self.segments.iter().find(holds)?;
        let skip = address - segment.address;
        self.at_offset(segment.file_offset.checked_add(skip)?, segment.file_length - skip)
    }

    /// The bytes of each segment that `wanted` begins, at multiples of `alignment` of their addresses; to the ends of
    /// their segments. What sections tell directly can be found like this where they were removed.
    pub(crate) fn search<'a>(
        &'a self,
        alignment: usize,
        wanted: &'a [u8],
    ) -> impl Iterator<Item = (u64, &'a [u8])> {
        self.segments.iter().flat_map(move |segment| {
            let bytes = self.at_offset(segment.file_offset, segment.file_length).unwrap_or_default();
            let skip = (segment.address.wrapping_neg() % alignment as u64) as usize;
            (skip..bytes.len())
                .step_by(alignment)
                .filter(|&at| bytes[at..].starts_with(wanted))
                .map(move |at| (segment.address.wrapping_add(at as u64), &bytes[at..]))
        })
    }

    /// What to add to addresses of this file to have those of a process whose entry point is `entry`: AT_ENTRY of its
    /// auxiliary vector (getauxval(3)).
    pub fn load_bias(&self, entry: u64) -> u64 {
        if self.position_independent { entry.wrapping_sub(self.entry) } else { 0 }
    }

    /// A memory that falls back on the read-only parts of this file, loaded at `bias`, where `memory` has nothing.
    pub fn completing<'a, M: Memory>(&'a self, memory: &'a M, bias: u64) -> Completed<'a, M> {
        Completed { memory, executable: self, bias }
    }

    /// Address and size of the symbols of these names; of `.symtab`, which `-ldflags=-s` and `strip` remove.
    pub(crate) fn symbols(&self, names: &[&str]) -> HashMap<String, (u64, u64)> {
        let Ok(file) = ElfFile64::<LittleEndian>::parse(self.file()) else { return HashMap::new() };
        let symbols = file.symbols().filter_map(|symbol| {
            let name = symbol.name().ok().filter(|name| names.contains(name))?;
            symbol.is_definition().then(|| (name.to_owned(), (symbol.address(), symbol.size())))
        });
        symbols.collect()
    }

    /// A debug section, decompressed where it is compressed; empty if there is none.
    pub(crate) fn debug_section(&self, name: &str) -> Result<Bytes, ExecutableError> {
        let damaged = |e: object::Error| ExecutableError::Damaged(format!("{name}: {e}"));
        let file = ElfFile64::<LittleEndian>::parse(self.file()).map_err(damaged)?;
        let Some(section) = file.section_by_name(name) else { return Ok(Arc::new(Vec::new())) };
        let compressed = section.compressed_data().map_err(damaged)?;
        let stored = compressed.data.len() as u64;
        if compressed.format == CompressionFormat::None {
            let start = section.file_range().and_then(|(start, _)| usize::try_from(start).ok());
            let range = start.and_then(|start| Some(start..start.checked_add(compressed.data.len())?));
            return Ok(Arc::new(Part { file: self.bytes.clone(), range: range.unwrap_or_default() }));
        }
        if compressed.uncompressed_size
            > stored.saturating_mul(DEFLATE_RATIO_MAX).min(DEBUG_SECTION_BYTES_MAX)
        {
            return Err(ExecutableError::Damaged(format!(
                "{name}: {stored} bytes claim to hold {}",
                compressed.uncompressed_size
            )));
        }
        Ok(Arc::new(compressed.decompress().map_err(damaged)?.into_owned()))
    }
}

/// Some bytes of a file.
struct Part {
    file: Bytes,
    range: Range<usize>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        (*self.file).as_ref().get(self.range.clone()).unwrap_or_default()
    }
}

/// See [`Executable::completing`].
pub struct Completed<'a, M> {
    memory: &'a M,
    executable: &'a Executable,
    bias: u64,
}

impl<M: Memory> Memory for Completed<'_, M> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.memory.read(address, buffer).or_else(|unreadable| {
            let bytes = self.executable.from_address(address.wrapping_sub(self.bias)).ok_or(unreadable)?;
            buffer.copy_from_slice(bytes.get(..buffer.len()).ok_or(unreadable)?);
            Ok(())
        })
    }
}
