//! ELF files made by hand, of sections and nothing else.

use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

/// What a file is made of.
#[derive(Clone, Default)]
pub struct Elf {
    sections: Vec<(String, u32, u64, Vec<u8>)>,
}

const PROGBITS: u32 = 1;
const NOTE: u32 = 7;
const NOBITS: u32 = 8;
const COMPRESSED: u64 = 1 << 11;

impl Elf {
    pub fn of_build(id: &[u8]) -> Elf {
        Elf::default().note("GNU", 3, id)
    }

    pub fn note(self, name: &str, kind: u32, content: &[u8]) -> Elf {
        let mut note = Vec::new();
        for word in [name.len() as u32 + 1, content.len() as u32, kind] {
            note.extend(word.to_le_bytes());
        }
        note.extend(name.bytes().chain([0]));
        note.resize(note.len().next_multiple_of(4), 0);
        note.extend(content);
        note.resize(note.len().next_multiple_of(4), 0);
        self.section(&format!(".note.{name}"), NOTE, 0, note)
    }

    pub fn with(self, name: &str, content: &[u8]) -> Elf {
        self.section(name, PROGBITS, 0, content.to_vec())
    }

    /// As Go's linker has it.
    pub fn compressed(self, name: &str, content: &[u8]) -> Elf {
        self.claiming(name, content, content.len() as u64)
    }

    /// With a length that may be a lie.
    pub fn claiming(self, name: &str, content: &[u8], length: u64) -> Elf {
        let mut bytes = Vec::new();
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(zlib(content));
        self.section(name, PROGBITS, COMPRESSED, bytes)
    }

    /// The way before that one.
    pub fn compressed_of_old(self, name: &str, content: &[u8]) -> Elf {
        let mut bytes = b"ZLIB".to_vec();
        bytes.extend((content.len() as u64).to_be_bytes());
        bytes.extend(zlib(content));
        self.section(&name.replace(".debug_", ".zdebug_"), PROGBITS, 0, bytes)
    }

    /// As `objcopy --only-keep-debug` leaves the others.
    pub fn without_bytes(self, name: &str) -> Elf {
        self.section(name, NOBITS, 0, vec![0; 1 << 16])
    }

    pub fn link(self, name: &str, crc32: u32) -> Elf {
        let mut bytes: Vec<u8> = name.bytes().chain([0]).collect();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(crc32.to_le_bytes());
        self.section(".gnu_debuglink", PROGBITS, 0, bytes)
    }

    fn section(mut self, name: &str, kind: u32, flags: u64, content: Vec<u8>) -> Elf {
        self.sections.push((name.to_owned(), kind, flags, content));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut names = vec![0];
        let mut sections = self.sections.clone();
        sections.push((".shstrtab".to_owned(), 3, 0, Vec::new()));
        let name_offsets: Vec<u32> = sections
            .iter()
            .map(|(name, ..)| {
                let offset = names.len() as u32;
                names.extend(name.bytes().chain([0]));
                offset
            })
            .collect();
        sections.last_mut().unwrap().3 = names;
        let mut bytes = vec![0; 64];
        let mut headers = vec![0; 64];
        for ((_, kind, flags, content), name) in sections.iter().zip(name_offsets) {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            headers.extend(name.to_le_bytes());
            headers.extend(kind.to_le_bytes());
            // Flags, address, offset, size.
            for number in [*flags, 0, bytes.len() as u64, content.len() as u64] {
                headers.extend(number.to_le_bytes());
            }
            // Link and information, alignment, size of an entry.
            for number in [0_u64, 4, 0] {
                headers.extend(number.to_le_bytes());
            }
            if *kind != NOBITS {
                bytes.extend(content);
            }
        }
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        let table = bytes.len() as u64;
        bytes.extend(headers);
        bytes[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
        bytes[16..18].copy_from_slice(&2_u16.to_le_bytes());
        bytes[18..20].copy_from_slice(&62_u16.to_le_bytes());
        bytes[40..48].copy_from_slice(&table.to_le_bytes());
        bytes[58..60].copy_from_slice(&64_u16.to_le_bytes());
        bytes[60..62].copy_from_slice(&(sections.len() as u16 + 1).to_le_bytes());
        bytes[62..64].copy_from_slice(&(sections.len() as u16).to_le_bytes());
        bytes
    }
}

fn zlib(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}
