//! The parts of ELF that core files are made of (elf(5), core(5), include/uapi/linux/elf.h): 64-bit, little-endian.

use crate::registers::Machine;

pub(crate) const HEADER_BYTES: usize = 64;
pub(crate) const PROGRAM_HEADER_BYTES: usize = 56;
pub(crate) const SECTION_HEADER_BYTES: usize = 64;

/// In the file header: the number of program headers stands in section header 0.
pub(crate) const PN_XNUM: u16 = 0xffff;
pub(crate) const PT_LOAD: u32 = 1;
pub(crate) const PT_NOTE: u32 = 4;

pub(crate) const NT_PRSTATUS: u32 = 1;
pub(crate) const NT_PRPSINFO: u32 = 3;
pub(crate) const NT_AUXV: u32 = 6;
pub(crate) const NT_FILE: u32 = 0x4649_4c45;
pub(crate) const NT_ARM_TLS: u32 = 0x401;
pub(crate) const NT_ARM_SYSTEM_CALL: u32 = 0x404;

/// `struct elf_prstatus`: where the thread id and the registers are. The same on amd64 and arm64, as is
/// `struct elf_prpsinfo`.
pub(crate) const PRSTATUS_TID: usize = 32;
pub(crate) const PRSTATUS_REGISTERS: usize = 112;
pub(crate) const PRPSINFO_PID: usize = 24;
pub(crate) const PRPSINFO_BYTES: usize = 136;

const MAGIC: &[u8; 7] = b"\x7fELF\x02\x01\x01";
const ET_CORE: u16 = 4;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;

/// A number at an offset; `None` if it is not all there.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// What a core's file header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub machine: Machine,
    pub program_headers: u64,
    pub section_headers: u64,
    /// Or [`PN_XNUM`].
    pub program_header_count: u16,
}

impl Header {
    /// Or what is wrong with it.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Header, &'static str> {
        if !bytes.starts_with(&MAGIC[..4]) {
            return Err("it does not begin as an ELF file does");
        }
        if !bytes.starts_with(MAGIC) {
            return Err("it is not 64-bit and little-endian");
        }
        let fields = || {
            Some((
                u16_at(bytes, 16)?,
                u16_at(bytes, 18)?,
                u64_at(bytes, 32)?,
                u64_at(bytes, 40)?,
                u16_at(bytes, 54)?,
                u16_at(bytes, 56)?,
            ))
        };
        let (kind, machine, program_headers, section_headers, entry_bytes, program_header_count) =
            fields().ok_or("its header is cut")?;
        if kind != ET_CORE {
            return Err("it is an ELF file of another kind");
        }
        if usize::from(entry_bytes) != PROGRAM_HEADER_BYTES {
            return Err("its program headers have an unknown size");
        }
        let machine = match machine {
            EM_X86_64 => Machine::Amd64,
            EM_AARCH64 => Machine::Arm64,
            _ => return Err("it is neither of amd64 nor of arm64"),
        };
        Ok(Header { machine, program_headers, section_headers, program_header_count })
    }

    pub(crate) fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let machine = match self.machine {
            Machine::Amd64 => EM_X86_64,
            Machine::Arm64 => EM_AARCH64,
        };
        let extended = self.program_header_count == PN_XNUM;
        let mut bytes = [0; HEADER_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, MAGIC);
        put(16, &ET_CORE.to_le_bytes());
        put(18, &machine.to_le_bytes());
        put(20, &1u32.to_le_bytes());
        put(32, &self.program_headers.to_le_bytes());
        put(40, &self.section_headers.to_le_bytes());
        put(52, &(HEADER_BYTES as u16).to_le_bytes());
        put(54, &(PROGRAM_HEADER_BYTES as u16).to_le_bytes());
        put(56, &self.program_header_count.to_le_bytes());
        put(58, &(SECTION_HEADER_BYTES as u16).to_le_bytes());
        put(60, &u16::from(extended).to_le_bytes());
        bytes
    }
}

/// Section header 0 of a file with [`PN_XNUM`]: `sh_info` is the number of program headers.
pub(crate) fn section_header_with_count(count: u32) -> [u8; SECTION_HEADER_BYTES] {
    let mut bytes = [0; SECTION_HEADER_BYTES];
    bytes[44..48].copy_from_slice(&count.to_le_bytes());
    bytes
}

pub(crate) fn count_of_section_header(bytes: &[u8]) -> Option<u32> {
    u32_at(bytes, 44)
}

/// One program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProgramHeader {
    pub kind: u32,
    pub offset: u64,
    pub address: u64,
    pub file_bytes: u64,
    pub memory_bytes: u64,
}

impl ProgramHeader {
    pub(crate) fn parse(bytes: &[u8]) -> Option<ProgramHeader> {
        Some(ProgramHeader {
            kind: u32_at(bytes, 0)?,
            offset: u64_at(bytes, 8)?,
            address: u64_at(bytes, 16)?,
            file_bytes: u64_at(bytes, 32)?,
            memory_bytes: u64_at(bytes, 40)?,
        })
    }

    pub(crate) fn to_bytes(self) -> [u8; PROGRAM_HEADER_BYTES] {
        const READABLE_WRITABLE: u32 = 6;
        let mut bytes = [0; PROGRAM_HEADER_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(0, &self.kind.to_le_bytes());
        put(4, &if self.kind == PT_LOAD { READABLE_WRITABLE } else { 0 }.to_le_bytes());
        put(8, &self.offset.to_le_bytes());
        put(16, &self.address.to_le_bytes());
        put(32, &self.file_bytes.to_le_bytes());
        put(40, &self.memory_bytes.to_le_bytes());
        put(48, &1u64.to_le_bytes());
        bytes
    }
}

/// A note: an owner, a number that the owner gave a meaning, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note<'a> {
    pub owner: &'a [u8],
    pub kind: u32,
    pub content: &'a [u8],
}

/// The notes of a PT_NOTE segment, as far as they are whole. Each is three 32-bit words (length of the owner with its
/// zero byte, length of the content, kind), the owner, the content, both filled up to 4 bytes.
pub(crate) fn notes(mut bytes: &[u8]) -> impl Iterator<Item = Note<'_>> {
    std::iter::from_fn(move || {
        let owner_length = u32_at(bytes, 0)? as usize;
        let content_length = u32_at(bytes, 4)? as usize;
        let kind = u32_at(bytes, 8)?;
        let content_at = owner_length.checked_next_multiple_of(4)?.checked_add(12)?;
        let owner = bytes.get(12..12usize.checked_add(owner_length)?)?;
        let content = bytes.get(content_at..content_at.checked_add(content_length)?)?;
        let end = content_at.checked_add(content_length.checked_next_multiple_of(4)?)?;
        // The last one may lack its filling.
        bytes = bytes.get(end..).unwrap_or_default();
        Some(Note { owner: owner.strip_suffix(&[0]).unwrap_or(owner), kind, content })
    })
}

/// `None`: too long for its 32-bit length.
pub(crate) fn put_note(bytes: &mut Vec<u8>, note: Note<'_>) -> Option<()> {
    let fill = |bytes: &mut Vec<u8>| bytes.resize(bytes.len().next_multiple_of(4), 0);
    for word in
        [u32::try_from(note.owner.len() + 1).ok()?, u32::try_from(note.content.len()).ok()?, note.kind]
    {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(note.owner);
    bytes.push(0);
    fill(bytes);
    bytes.extend(note.content);
    fill(bytes);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_go_there_and_back() {
        let header = Header {
            machine: Machine::Arm64,
            program_headers: 64,
            section_headers: 7,
            program_header_count: PN_XNUM,
        };
        assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
        let program = ProgramHeader { kind: PT_LOAD, offset: 1, address: 2, file_bytes: 3, memory_bytes: 4 };
        assert_eq!(ProgramHeader::parse(&program.to_bytes()), Some(program));
    }

    #[test]
    fn a_cut_header_is_an_error() {
        let header = Header {
            machine: Machine::Amd64,
            program_headers: 64,
            section_headers: 0,
            program_header_count: 1,
        };
        for length in 0..58 {
            assert!(Header::parse(&header.to_bytes()[..length]).is_err());
        }
    }

    proptest! {
        #[test]
        fn notes_of_any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(notes(&bytes).count() <= bytes.len() / 12);
        }

        #[test]
        fn notes_go_there_and_back(
            wanted in proptest::collection::vec(("[A-Z]{0,9}", any::<u32>(), proptest::collection::vec(any::<u8>(), 0..20)), 0..6)
        ) {
            let wanted: Vec<Note> = wanted
                .iter()
                .map(|(owner, kind, content)| Note { owner: owner.as_bytes(), kind: *kind, content })
                .collect();
            let mut bytes = Vec::new();
            wanted.iter().for_each(|note| put_note(&mut bytes, *note).unwrap());
            prop_assert_eq!(notes(&bytes).collect::<Vec<_>>(), wanted);
        }
    }
}
