//! Core files: those of the kernel, of gdb's `gcore`, and recordings ([`crate::recording`]).
//!
//! A core is untrusted: it may be cut, lie about its lengths or come from a stranger. What it claims is checked against
//! its length before memory is spent on it, and reads are bounded by it.

use crate::auxiliary::Auxiliary;
use crate::elf::{self, Header, Note, ProgramHeader};
use crate::freeze::Pause;
use crate::mappings::FileMapping;
use crate::recording::Extra;
use crate::registers::Machine;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use stillframe_golang::memory::{Memory, Unreadable};
use stillframe_golang::thread::{Registers, Thread};
use thiserror::Error;

/// The most program headers that are read. A process has at most 65,530 mappings by default; a recording has one segment
/// a run of bytes.
pub const SEGMENTS_MAX: u64 = 4 << 20;
/// The most bytes of notes that are read: about 500,000 threads.
pub const NOTE_BYTES_MAX: u64 = 256 << 20;

/// A core file could not be opened.
#[derive(Debug, Error)]
pub enum CoreError {
    #[error("{}: {source}; check the path and its permissions", path.display())]
    Open { path: PathBuf, source: io::Error },
    #[error("{}: not a core file that can be read: {what}; make one by `gcore PID`", path.display())]
    NotCore { path: PathBuf, what: &'static str },
    #[error("{}: its {what} end behind the end of the file; it was cut, copy it again or raise `ulimit -c`", path.display())]
    Cut { path: PathBuf, what: &'static str },
    #[error("{}: {count} {what} are more than the {count_max} that are read; is it damaged?", path.display())]
    TooMany { path: PathBuf, what: &'static str, count: u64, count_max: u64 },
}

/// An open core file. Its memory is read as it is asked for.
#[derive(Debug)]
pub struct CoreFile {
    file: File,
    machine: Machine,
    /// Sorted, not overlapping, within the file.
    segments: Vec<Segment>,
    cut: bool,
    content: Content,
}

/// A run of bytes of the target that the file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    address: u64,
    length: u64,
    offset: u64,
}

/// What the notes say.
#[derive(Debug, Default)]
struct Content {
    pid: Option<u32>,
    threads: Vec<Thread>,
    auxiliary: Auxiliary,
    mappings: Vec<FileMapping>,
    pause: Option<Pause>,
    recorded: bool,
}

impl CoreFile {
    /// Opens a core file, and reads everything of it but the memory.
    pub fn open(path: impl AsRef<Path>) -> Result<CoreFile, CoreError> {
        let path = path.as_ref();
        let on = |source| CoreError::Open { path: path.to_owned(), source };
        let file = File::open(path).map_err(on)?;
        let length = file.metadata().map_err(on)?.len();
        let read = |offset: u64, bytes: u64, what| {
            if offset.checked_add(bytes).is_none_or(|end| end > length) {
                return Err(CoreError::Cut { path: path.to_owned(), what });
            }
            let mut buffer = vec![0; bytes as usize];
            file.read_exact_at(&mut buffer, offset).map_err(on)?;
            Ok(buffer)
        };
        let too_many =
            |what, count, count_max| CoreError::TooMany { path: path.to_owned(), what, count, count_max };

        let header = Header::parse(&read(0, length.min(elf::HEADER_BYTES as u64), "header")?)
            .map_err(|what| CoreError::NotCore { path: path.to_owned(), what })?;
        let count = match header.program_header_count {
            elf::PN_XNUM => {
                let bytes =
                    read(header.section_headers, elf::SECTION_HEADER_BYTES as u64, "section headers")?;
                u64::from(elf::count_of_section_header(&bytes).unwrap_or(0))
            }
            count => u64::from(count),
        };
        if count > SEGMENTS_MAX {
            return Err(too_many("program headers", count, SEGMENTS_MAX));
        }
        let headers =
            read(header.program_headers, count * elf::PROGRAM_HEADER_BYTES as u64, "program headers")?;
        let headers: Vec<ProgramHeader> =
            headers.chunks(elf::PROGRAM_HEADER_BYTES).filter_map(ProgramHeader::parse).collect();

        let mut content = Content::default();
        let mut note_bytes = 0u64;
        for note in headers.iter().filter(|h| h.kind == elf::PT_NOTE) {
            note_bytes = note_bytes.saturating_add(note.file_bytes);
            if note_bytes > NOTE_BYTES_MAX {
                return Err(too_many("bytes of notes", note_bytes, NOTE_BYTES_MAX));
            }
            content.add(header.machine, &read(note.offset, note.file_bytes, "notes")?);
        }
        let cut = headers.iter().any(|h| h.offset.checked_add(h.file_bytes).is_none_or(|end| end > length));
        Ok(CoreFile { segments: segments(&headers, length), file, machine: header.machine, cut, content })
    }

    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// As its NT_PRPSINFO says; in a core of the kernel's that of the innermost PID namespace.
    pub fn pid(&self) -> Option<u32> {
        self.content.pid
    }

    /// In the order of the file: the kernel and gdb put the one that died, or was selected, first. `ns_tid` equals `tid`
    /// unless this is a recording.
    pub fn threads(&self) -> &[Thread] {
        &self.content.threads
    }

    pub fn auxiliary(&self) -> &Auxiliary {
        &self.content.auxiliary
    }

    /// The mappings of files (NT_FILE).
    pub fn mappings(&self) -> &[FileMapping] {
        &self.content.mappings
    }

    /// When and how long the target was stopped: of a recording of a frozen process.
    pub fn pause(&self) -> Option<Pause> {
        self.content.pause
    }

    /// Whether Stillframe wrote it.
    pub fn is_recording(&self) -> bool {
        self.content.recorded
    }

    /// Whether the file is shorter than it says, so that memory is missing.
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    /// How many bytes of memory the file holds.
    pub fn memory_bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.length).sum()
    }
}

/// What the file holds of the PT_LOADs. Memory that a segment has beyond its bytes in the file (pages of the executable
/// that were not dumped, as a rule) is not here. Where two overlap the one that begins first is believed.
fn segments(headers: &[ProgramHeader], file_length: u64) -> Vec<Segment> {
    let mut segments: Vec<Segment> = headers
        .iter()
        .filter(|h| h.kind == elf::PT_LOAD)
        .map(|h| Segment {
            address: h.address,
            length: h
                .file_bytes
                .min(h.memory_bytes)
                .min(file_length.saturating_sub(h.offset))
                .min(u64::MAX - h.address),
            offset: h.offset,
        })
        .filter(|s| s.length > 0)
        .collect();
    segments.sort_by_key(|s| s.address);
    let mut end = 0u64;
    segments.retain_mut(|segment| {
        let overlap = end.saturating_sub(segment.address).min(segment.length);
        segment.address += overlap;
        segment.offset += overlap;
        segment.length -= overlap;
        end = end.max(segment.address + segment.length);
        segment.length > 0
    });
    segments
}

impl Memory for CoreFile {
    /// One read of the file a segment.
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let unreadable = Unreadable { address, length: buffer.len() };
        let (mut at, mut rest) = (address, buffer);
        while !rest.is_empty() {
            let after = self.segments.partition_point(|s| s.address <= at);
            let segment = after.checked_sub(1).map(|i| self.segments[i]).ok_or(unreadable)?;
            let skip = at - segment.address;
            let there = segment.length.checked_sub(skip).filter(|there| *there > 0).ok_or(unreadable)?;
            let length = rest.len().min(usize::try_from(there).unwrap_or(usize::MAX));
            let (part, behind) = rest.split_at_mut(length);
            self.file.read_exact_at(part, segment.offset + skip).map_err(|_| unreadable)?;
            at += length as u64;
            rest = behind;
        }
        Ok(())
    }
}

impl Content {
    fn add(&mut self, machine: Machine, bytes: &[u8]) {
        let mut extra = None;
        for Note { owner, kind, content } in elf::notes(bytes) {
            match (owner, kind) {
                (b"CORE", elf::NT_PRSTATUS) => self.threads.extend(thread(machine, content)),
                (b"CORE", elf::NT_PRPSINFO) => self.pid = elf::u32_at(content, elf::PRPSINFO_PID),
                (b"CORE", elf::NT_AUXV) => self.auxiliary = Auxiliary::parse(content),
                (b"CORE", elf::NT_FILE) => self.mappings = files(content),
                // Of the thread whose NT_PRSTATUS came last.
                (b"LINUX", elf::NT_ARM_TLS) => {
                    if let (Some(registers), Some(word)) = (self.last_registers(), elf::u64_at(content, 0)) {
                        registers.thread_pointer = word;
                    }
                }
                (b"LINUX", elf::NT_ARM_SYSTEM_CALL) => {
                    if let (Some(registers), Some(word)) = (self.last_registers(), elf::u32_at(content, 0)) {
                        registers.syscall_number = i64::from(word.cast_signed());
                    }
                }
                (Extra::OWNER, Extra::KIND) => extra = Extra::parse(content),
                _ => {}
            }
        }
        if let Some(extra) = extra {
            self.recorded = true;
            self.pause = extra.pause;
            self.threads = extra.complete(std::mem::take(&mut self.threads));
        }
    }

    fn last_registers(&mut self) -> Option<&mut Registers> {
        self.threads.last_mut()?.registers.as_mut()
    }
}

fn thread(machine: Machine, content: &[u8]) -> Option<Thread> {
    let tid = elf::u32_at(content, elf::PRSTATUS_TID)?;
    let (words, _) = content.get(elf::PRSTATUS_REGISTERS..)?.as_chunks::<8>();
    let words: Vec<u64> = words.iter().take(machine.words()).map(|w| u64::from_le_bytes(*w)).collect();
    Some(Thread { tid, ns_tid: tid, registers: Some(machine.registers(&words)?) })
}

/// NT_FILE (fs/binfmt_elf.c, `fill_files_note`): the number of mappings and the unit of their offsets, three words a
/// mapping, then their paths, each with a zero byte.
fn files(content: &[u8]) -> Vec<FileMapping> {
    let parse = || {
        let (count, unit) = (elf::u64_at(content, 0)?, elf::u64_at(content, 8)?);
        let names_at = usize::try_from(count).ok()?.checked_mul(24)?.checked_add(16)?;
        let names = content.get(names_at..)?.split(|b| *b == 0);
        let (words, _) = content[16..names_at].as_chunks::<24>();
        let mapping = |(words, name): (&[u8; 24], &[u8])| {
            Some(FileMapping {
                start: elf::u64_at(words, 0)?,
                end: elf::u64_at(words, 8)?,
                offset: elf::u64_at(words, 16)?.checked_mul(unit)?,
                path: String::from_utf8_lossy(name).into_owned(),
            })
        };
        Some(words.iter().zip(names).filter_map(mapping).collect())
    };
    parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn open(bytes: &[u8]) -> Result<CoreFile, CoreError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        CoreFile::open(file.path())
    }

    fn load(address: u64, file_bytes: u64, memory_bytes: u64, offset: u64) -> ProgramHeader {
        ProgramHeader { kind: elf::PT_LOAD, offset, address, file_bytes, memory_bytes }
    }

    fn core(headers: &[ProgramHeader], content: &[u8]) -> Vec<u8> {
        let header = Header {
            machine: Machine::Amd64,
            program_headers: 64,
            section_headers: 0,
            program_header_count: headers.len() as u16,
        };
        let mut bytes = header.to_bytes().to_vec();
        headers.iter().for_each(|h| bytes.extend(h.to_bytes()));
        bytes.extend(content);
        bytes
    }

    #[test]
    fn memory_ends_where_the_file_has_no_more_of_it() {
        let offset = 64 + 2 * 56;
        let headers = [load(0x1000, 4, 0x1000, offset), load(0x2000, 4, 4, offset + 4)];
        let core = open(&core(&headers, b"abcdefgh")).unwrap();
        assert_eq!(core.read_bytes(0x1000, 4).unwrap(), b"abcd");
        assert!(core.read_bytes(0x1002, 3).is_err());
        assert_eq!(core.read_bytes(0x2001, 3).unwrap(), b"fgh");
        assert!(core.read_bytes(0xfff, 1).is_err() && core.read_bytes(u64::MAX, 2).is_err());
        assert!(!core.is_cut());
    }

    #[test]
    fn a_read_may_span_segments_that_touch() {
        let offset = 64 + 2 * 56;
        let headers = [load(0x1004, 4, 4, offset + 4), load(0x1000, 6, 6, offset)];
        let core = open(&core(&headers, b"abcdefgh")).unwrap();
        assert_eq!(core.read_bytes(0x1000, 8).unwrap(), b"abcdefgh");
    }

    #[test]
    fn a_cut_file_is_read_as_far_as_it_goes() {
        let core = open(&core(&[load(0x1000, 1 << 40, 1 << 40, 64 + 56)], b"abcd")).unwrap();
        assert!(core.is_cut());
        assert_eq!(core.read_bytes(0x1000, 4).unwrap(), b"abcd");
        assert!(core.read_bytes(0x1000, 5).is_err());
    }

    #[test]
    fn errors_name_the_file_and_the_remedy() {
        assert!(open(b"").unwrap_err().to_string().contains("make one by `gcore PID`"));
        assert!(open(b"\x7fELF\x02\x01\x01").is_err());
        let mut many = core(&[], b"");
        many[56] = 9;
        assert!(matches!(open(&many), Err(CoreError::Cut { what: "program headers", .. })));
        let missing = CoreFile::open("/nowhere/core").unwrap_err().to_string();
        assert!(missing.starts_with("/nowhere/core: No such file"), "{missing}");
        assert!(CoreFile::open("/proc/self/exe").unwrap_err().to_string().contains("another kind"));
    }

    #[test]
    fn a_note_of_files_that_lies_about_its_count_is_empty() {
        let mut content = u64::MAX.to_le_bytes().to_vec();
        content.extend([1; 40]);
        assert!(files(&content).is_empty() && files(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn damaged_cores_are_read_without_a_panic(
            damage in proptest::collection::vec((0usize..400, any::<u8>()), 0..20),
            address in any::<u64>(),
        ) {
            let note = ProgramHeader { kind: elf::PT_NOTE, ..load(0, 100, 0, 176) };
            let mut bytes = core(&[note, load(0x1000, 100, 100, 276)], &[7; 224]);
            for (at, byte) in damage {
                bytes[at] = byte;
            }
            if let Ok(core) = open(&bytes) {
                let _ = core.read_bytes(address, 100);
                let _ = core.read_bytes(0x1000, 100);
            }
        }

        #[test]
        fn segments_are_sorted_and_apart(
            wanted in proptest::collection::vec((any::<u64>(), 0u64..64, 0u64..64, 0u64..64), 0..12)
        ) {
            let headers: Vec<_> = wanted.iter().map(|(a, f, m, o)| load(a % 256, *f, *m, *o)).collect();
            let segments = segments(&headers, 64);
            prop_assert!(segments.windows(2).all(|w| w[0].address + w[0].length <= w[1].address));
            prop_assert!(segments.iter().all(|s| s.length > 0 && s.offset + s.length <= 64));
        }
    }
}
