//! An ELF file as far as it says what debug information it has: its build, its debug sections, its debuglink.
//!
//! Files with debug information have gigabytes, so that only headers, names and notes are read, each within a bound of
//! its own; sections are decompressed as a stream (see `sections.rs`).

use std::fs::File;
use std::io::{self, Read};
use std::mem::size_of;
use std::os::unix::fs::FileExt;

use object::elf::{self, CompressionHeader64, FileHeader64, SectionHeader64};
use object::pod::{bytes_of_slice, bytes_of_slice_mut, from_bytes, slice_from_bytes};
use object::read::elf::NoteIterator;
use object::{CompressionFormat, LittleEndian as LE};
use stillframe_golang::dwarf::Section;
use thiserror::Error;

use super::build_id::BuildId;

/// Bytes of a file with debug information.
pub const DEBUG_FILE_BYTES_MAX: u64 = 4 << 30;
/// Bytes of one section, decompressed; and of all together.
pub const SECTION_BYTES_MAX: u64 = 4 << 30;
/// Sections of one file; an executable has some dozens.
const SECTIONS_MAX: u64 = 4_096;
/// Bytes of all names of sections together.
const NAMES_BYTES_MAX: u64 = 1 << 20;
/// Bytes of one section of notes that is looked at.
const NOTES_BYTES_MAX: u64 = 64 << 10;
/// Bytes of `.gnu_debuglink`: a file's name and four of a checksum.
const DEBUGLINK_BYTES_MAX: u64 = 512;
/// zlib cannot compress by more than this factor (zlib.net, "maximum compression factor": 1032:1); zstd can, and nobody
/// has seen debug information for which it does.
const COMPRESSION_RATIO_MAX: u64 = 1_032;

/// Bytes at either end of a section that tell one from another; zlib ends with a checksum (RFC 1950).
const SAMPLE_BYTES: u64 = 64;

#[derive(Debug, Error)]
pub enum DebugFileError {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("it is no regular file")]
    NoFile,
    #[error("it has {0} bytes, more than the {DEBUG_FILE_BYTES_MAX} that are read")]
    TooLong(u64),
    #[error("it is no ELF file")]
    NotElf,
    #[error("it is no 64-bit little-endian ELF file for amd64 or arm64")]
    Foreign,
    #[error("damaged ELF file: {0}")]
    Damaged(&'static str),
}

/// Where a debug section lies in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugSection {
    /// Without the `z` of the old way to compress.
    pub name: &'static str,
    pub offset: u64,
    pub stored_bytes: u64,
    pub bytes: u64,
    pub format: CompressionFormat,
}

/// What an executable says of its separate debug file (binutils, objcopy(1), `--add-gnu-debuglink`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebugLink {
    /// A file's name, without folders.
    pub name: String,
    pub crc32: u32,
}

#[derive(Debug)]
pub struct DebugFile {
    pub file: File,
    /// The GNU one, or Go's own where there is none.
    pub build_id: Option<BuildId>,
    pub link: Option<DebugLink>,
    /// Those that `stillframe_golang::dwarf` reads, as far as they are there.
    pub sections: Vec<DebugSection>,
    /// Where bytes of debug information lie that an executable's image can do without: start and length.
    pub debug_ranges: Vec<(u64, u64)>,
    /// Where the symbol table and its names lie.
    pub symbol_ranges: Vec<(u64, u64)>,
}

impl DebugFile {
    pub fn read(file: File) -> Result<DebugFile, DebugFileError> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(DebugFileError::NoFile);
        }
        if metadata.len() > DEBUG_FILE_BYTES_MAX {
            return Err(DebugFileError::TooLong(metadata.len()));
        }
        let input = Input { file: &file, length: metadata.len() };
        let found = Found::look(&input)?;
        let build_id = found.gnu_build_id.or(found.go_build_id);
        let Found { link, sections, debug_ranges, symbol_ranges, .. } = found;
        Ok(DebugFile { build_id, link, sections, debug_ranges, symbol_ranges, file })
    }

    pub fn has_debug_info(&self) -> bool {
        self.sections.iter().any(|s| s.name == ".debug_info" && s.bytes > 0)
    }

    /// Tells files apart that have the same build id although they are not the same, as those have that are linked with a
    /// fixed one (`-ldflags=-B`, `-buildid`): of the places, the sizes and some bytes of the debug sections.
    pub fn fingerprint(&self) -> Result<u32, DebugFileError> {
        let mut hasher = crc32fast::Hasher::new();
        for section in &self.sections {
            hasher.update(section.name.as_bytes());
            for number in [section.offset, section.stored_bytes, section.bytes] {
                hasher.update(&number.to_le_bytes());
            }
            let sample = section.stored_bytes.min(SAMPLE_BYTES);
            for offset in [section.offset, section.offset + section.stored_bytes - sample] {
                let mut bytes = [0; SAMPLE_BYTES as usize];
                self.file.read_exact_at(&mut bytes[..sample as usize], offset)?;
                hasher.update(&bytes[..sample as usize]);
            }
        }
        Ok(hasher.finalize())
    }

    /// Of all its debug sections, decompressed.
    pub fn debug_bytes(&self) -> u64 {
        self.sections.iter().map(|s| s.bytes).sum()
    }
}

struct Input<'a> {
    file: &'a File,
    length: u64,
}

impl Input<'_> {
    /// In words, so that structures lie where they have to. `what`: for the error.
    fn read(
        &self,
        offset: u64,
        length: u64,
        limit: u64,
        what: &'static str,
    ) -> Result<Words, DebugFileError> {
        let is_within = offset.checked_add(length).is_some_and(|end| end <= self.length);
        if length > limit || !is_within {
            return Err(DebugFileError::Damaged(what));
        }
        let mut words = vec![0u64; length.div_ceil(8) as usize];
        let bytes = &mut bytes_of_slice_mut(&mut words)[..length as usize];
        self.file.read_exact_at(bytes, offset)?;
        Ok(Words { words, length: length as usize })
    }
}

struct Words {
    words: Vec<u64>,
    length: usize,
}

impl Words {
    fn bytes(&self) -> &[u8] {
        &bytes_of_slice(&self.words)[..self.length]
    }
}

#[derive(Default)]
struct Found {
    gnu_build_id: Option<BuildId>,
    go_build_id: Option<BuildId>,
    link: Option<DebugLink>,
    sections: Vec<DebugSection>,
    debug_ranges: Vec<(u64, u64)>,
    symbol_ranges: Vec<(u64, u64)>,
}

impl Found {
    fn look(input: &Input<'_>) -> Result<Found, DebugFileError> {
        const DAMAGED_HEADERS: &str = "the section headers are not where they should be";
        let damaged = |_| DebugFileError::Damaged(DAMAGED_HEADERS);
        let head_bytes = size_of::<FileHeader64<LE>>() as u64;
        if input.length < head_bytes {
            return Err(DebugFileError::NotElf);
        }
        let head = input.read(0, head_bytes, head_bytes, DAMAGED_HEADERS)?;
        let (header, _) = from_bytes::<FileHeader64<LE>>(head.bytes()).map_err(damaged)?;
        let identification = &header.e_ident;
        if identification.magic != elf::ELFMAG {
            return Err(DebugFileError::NotElf);
        }
        let is_known = identification.class == elf::ELFCLASS64
            && identification.data == elf::ELFDATA2LSB
            && matches!(header.e_machine.get(LE), elf::EM_X86_64 | elf::EM_AARCH64);
        if !is_known {
            return Err(DebugFileError::Foreign);
        }
        let mut found = Found::default();
        let table = header.e_shoff.get(LE);
        if table == 0 {
            return Ok(found);
        }
        let one = size_of::<SectionHeader64<LE>>() as u64;
        if u64::from(header.e_shentsize.get(LE)) != one {
            return Err(DebugFileError::Damaged(DAMAGED_HEADERS));
        }
        // Where the numbers are too large for the header they stand in the first section (elf(5), `e_shnum`).
        let first = input.read(table, one, one, DAMAGED_HEADERS)?;
        let (first, _) = from_bytes::<SectionHeader64<LE>>(first.bytes()).map_err(damaged)?;
        let count = match header.e_shnum.get(LE) {
            0 => first.sh_size.get(LE),
            count => u64::from(count),
        };
        let names_index = match header.e_shstrndx.get(LE) {
            elf::SHN_XINDEX => first.sh_link.get(LE) as usize,
            index => usize::from(index.0),
        };
        if count > SECTIONS_MAX {
            return Err(DebugFileError::Damaged("it has too many sections"));
        }
        let headers = input.read(table, count * one, SECTIONS_MAX * one, DAMAGED_HEADERS)?;
        let (headers, _) =
            slice_from_bytes::<SectionHeader64<LE>>(headers.bytes(), count as usize).map_err(damaged)?;
        let Some(names) = headers.get(names_index) else {
            return Err(DebugFileError::Damaged("it has no names of sections"));
        };
        let (names_offset, names_bytes) = (names.sh_offset.get(LE), names.sh_size.get(LE));
        let names =
            input.read(names_offset, names_bytes, NAMES_BYTES_MAX, "the names of sections are not whole")?;
        for section in headers {
            // In a file of debug information alone most sections have no bytes (objcopy, `--only-keep-debug`).
            if section.sh_type.get(LE) == elf::SHT_NOBITS {
                continue;
            }
            let name = names.bytes().get(section.sh_name.get(LE) as usize..).unwrap_or_default();
            let name = name.split(|b| *b == 0).next().unwrap_or_default();
            found.section(input, section, name)?;
        }
        Ok(found)
    }

    fn section(
        &mut self,
        input: &Input<'_>,
        section: &SectionHeader64<LE>,
        name: &[u8],
    ) -> Result<(), DebugFileError> {
        let (offset, length) = (section.sh_offset.get(LE), section.sh_size.get(LE));
        // What is loaded is part of the process, whatever its name.
        let is_loaded = section.sh_flags.get(LE).0 & elf::SHF_ALLOC.0 != 0;
        if !is_loaded && (name.starts_with(b".debug_") || name.starts_with(b".zdebug_")) {
            self.debug_ranges.push((offset, length));
        }
        if !is_loaded && (name == b".symtab" || name == b".strtab") {
            self.symbol_ranges.push((offset, length));
        }
        if section.sh_type.get(LE) == elf::SHT_NOTE && length <= NOTES_BYTES_MAX {
            let notes = input.read(offset, length, NOTES_BYTES_MAX, "its notes are not whole")?;
            self.notes(notes.bytes(), section.sh_addralign.get(LE));
        } else if name == b".gnu_debuglink" {
            let link = input.read(offset, length, DEBUGLINK_BYTES_MAX, "its debuglink is not whole")?;
            self.link = debug_link(link.bytes());
        } else if let Some(known) = known_name(name) {
            let section = debug_section(input, section, name, known)?;
            let sum = self.sections.iter().map(|s| s.bytes).sum::<u64>().saturating_add(section.bytes);
            if self.sections.iter().any(|s| s.name == known) {
                return Err(DebugFileError::Damaged("it has a debug section twice"));
            }
            if sum > SECTION_BYTES_MAX {
                return Err(DebugFileError::Damaged("its debug sections are too large"));
            }
            self.sections.push(section);
        }
        Ok(())
    }

    /// Notes that are damaged are none.
    fn notes(&mut self, bytes: &[u8], alignment: u64) {
        /// cmd/internal/buildid/note.go: ELF note type of Go's own build id.
        const GO_BUILD_ID: u32 = 4;
        let Ok(mut notes) = NoteIterator::<FileHeader64<LE>>::new(LE, alignment, bytes) else {
            return;
        };
        while let Ok(Some(note)) = notes.next() {
            match (note.name(), note.n_type(LE).0) {
                (b"GNU", kind) if kind == elf::NT_GNU_BUILD_ID.0 => {
                    self.gnu_build_id = BuildId::of_gnu(note.desc());
                }
                (b"Go", GO_BUILD_ID) => self.go_build_id = BuildId::of_go(note.desc()),
                _ => {}
            }
        }
    }
}

fn known_name(name: &[u8]) -> Option<&'static str> {
    Section::ALL.into_iter().map(Section::name).find(|known| {
        let compressed = name.strip_prefix(b".zdebug_");
        name == known.as_bytes() || compressed.is_some_and(|rest| known.as_bytes()[7..] == *rest)
    })
}

fn debug_section(
    input: &Input<'_>,
    section: &SectionHeader64<LE>,
    name: &[u8],
    known: &'static str,
) -> Result<DebugSection, DebugFileError> {
    const DAMAGED: &str = "a debug section is not whole";
    let (mut offset, mut stored) = (section.sh_offset.get(LE), section.sh_size.get(LE));
    if offset.checked_add(stored).is_none_or(|end| end > input.length) {
        return Err(DebugFileError::Damaged(DAMAGED));
    }
    let (mut bytes, mut format) = (stored, CompressionFormat::None);
    let mut skip = 0;
    if section.sh_flags.get(LE).0 & elf::SHF_COMPRESSED.0 != 0 {
        skip = size_of::<CompressionHeader64<LE>>() as u64;
        let head = input.read(offset, skip, skip, DAMAGED)?;
        let (head, _) = from_bytes::<CompressionHeader64<LE>>(head.bytes())
            .map_err(|()| DebugFileError::Damaged(DAMAGED))?;
        bytes = head.ch_size.get(LE);
        format = match head.ch_type.get(LE) {
            elf::ELFCOMPRESS_ZLIB => CompressionFormat::Zlib,
            elf::ELFCOMPRESS_ZSTD => CompressionFormat::Zstandard,
            _ => return Err(DebugFileError::Damaged("a debug section is compressed in an unknown way")),
        };
    } else if name.starts_with(b".zdebug_") {
        // `ZLIB` and the length, big-endian (gdb, gdb_bfd.c; Go's debug/elf, file.go, `DWARF`).
        skip = 12;
        let head = input.read(offset, skip, skip, DAMAGED)?;
        let length = head.bytes().strip_prefix(b"ZLIB").and_then(|rest| rest.try_into().ok());
        bytes = u64::from_be_bytes(length.ok_or(DebugFileError::Damaged(DAMAGED))?);
        format = CompressionFormat::Zlib;
    }
    offset += skip;
    stored = stored.checked_sub(skip).ok_or(DebugFileError::Damaged(DAMAGED))?;
    let is_plausible = bytes <= SECTION_BYTES_MAX
        && (format == CompressionFormat::None || bytes <= stored.saturating_mul(COMPRESSION_RATIO_MAX));
    if !is_plausible {
        return Err(DebugFileError::Damaged("a debug section claims to be larger than it can be"));
    }
    Ok(DebugSection { name: known, offset, stored_bytes: stored, bytes, format })
}

/// The name and its end, zeros up to a multiple of 4, and the checksum (gdb, "Debugging Information in Separate Files").
/// A name with folders in it is not followed.
fn debug_link(bytes: &[u8]) -> Option<DebugLink> {
    let end = bytes.iter().position(|b| *b == 0)?;
    let name = std::str::from_utf8(&bytes[..end]).ok()?;
    let at = (end + 1).next_multiple_of(4);
    let crc32 = u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
    let is_name = !name.is_empty() && name != "." && name != ".." && !name.contains('/');
    is_name.then(|| DebugLink { name: name.to_owned(), crc32 })
}

/// That of a debuglink: of the whole file.
pub fn crc32(file: &File) -> io::Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut stretch = Stretch::new(file, 0, DEBUG_FILE_BYTES_MAX);
    let mut buffer = vec![0; 1 << 18];
    loop {
        match stretch.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Some bytes of a file, read from its start without touching the file's position.
pub struct Stretch<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl<'a> Stretch<'a> {
    pub fn new(file: &'a File, offset: u64, length: u64) -> Stretch<'a> {
        Stretch { file, offset, left: length }
    }
}

impl Read for Stretch<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
