//! The shared libraries of a process that are Go: plugins, and C libraries written in Go (`-buildmode=c-shared`), each of which
//! has a runtime, and goroutines, of its own.
//!
//! The dynamic loader keeps a list of what it has loaded for debuggers (`struct r_debug` and `struct link_map`, link.h; the
//! program's DT_DEBUG points to it). Go's linker leaves a note of the owner `Go` in all that it links (cmd/internal/buildid).

use crate::bytes::{u32_at, u64_at};
use crate::executable::Executable;
use crate::memory::Memory;

/// elf(5).
const DT_DEBUG: u64 = 21;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const DYNAMIC_ENTRY_BYTES: usize = 16;

const LIBRARIES_MAX: usize = 512;
const PROGRAM_HEADERS_MAX: usize = 64;
const DYNAMIC_BYTES_MAX: u64 = 64 << 10;
const NOTES_MAX: usize = 8;
const NOTE_BYTES_MAX: u64 = 4096;
const NAME_BYTES_MAX: usize = 256;

/// `ELF_NOTE_GOBUILDID_TAG` (cmd/internal/buildid/note.go).
const GO_BUILD_ID: u32 = 4;

/// A library that Go's linker made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoLibrary {
    pub name: String,
    start: u64,
    end: u64,
}

impl GoLibrary {
    pub(crate) fn holds(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }
}

/// Those of a process that runs `executable`, loaded at `bias`. Empty where the loader's list cannot be read: programs
/// without a dynamic loader have none.
pub fn go_libraries(executable: &Executable, memory: &dyn Memory, bias: u64) -> Vec<GoLibrary> {
    let list = || {
        let (address, length) = executable.dynamic?;
        let length = length.min(DYNAMIC_BYTES_MAX) as usize;
        let dynamic = memory.read_bytes(address.wrapping_add(bias), length).ok()?;
        let mut entries = dynamic.chunks_exact(DYNAMIC_ENTRY_BYTES);
        let debug = u64_at(entries.find(|entry| u64_at(entry, 0) == Some(DT_DEBUG))?, 8)?;
        // Behind `r_version`.
        memory.read_u64(debug.checked_add(8)?).ok()
    };
    let mut found = Vec::new();
    let mut next = list().unwrap_or(0);
    for number in 0..LIBRARIES_MAX {
        let Some(entry) = Some(next).filter(|&at| at != 0).and_then(|at| memory.read_bytes(at, 32).ok())
        else {
            break;
        };
        let word = |at| u64_at(&entry, at).unwrap_or(0);
        let (base, name) = (word(0), word(8));
        next = word(24);
        // The first one is the program.
        if number > 0
            && let Some((start, end)) = go_range(memory, base)
        {
            found.push(GoLibrary { name: text(memory, name), start, end });
        }
    }
    found
}

/// Where a library lies, if it has Go's note.
fn go_range(memory: &dyn Memory, base: u64) -> Option<(u64, u64)> {
    let header = memory.read_bytes(base, HEADER_BYTES).ok()?;
    if !header.starts_with(b"\x7fELF") {
        return None;
    }
    let count = usize::from(u16::from_le_bytes([header[56], header[57]])).min(PROGRAM_HEADERS_MAX);
    let at = base.checked_add(u64_at(&header, 32)?)?;
    let headers = memory.read_bytes(at, count * PROGRAM_HEADER_BYTES).ok()?;
    let headers = headers.chunks_exact(PROGRAM_HEADER_BYTES);
    let of_kind = |kind| headers.clone().filter(move |header| u32_at(header, 0) == Some(kind));
    let is_go = of_kind(PT_NOTE).take(NOTES_MAX).any(|note| {
        let place = u64_at(note, 16).and_then(|address| base.checked_add(address)).zip(u64_at(note, 40));
        let bytes =
            place.and_then(|(at, length)| memory.read_bytes(at, length.min(NOTE_BYTES_MAX) as usize).ok());
        bytes.is_some_and(|bytes| has_go_note(&bytes))
    });
    let end = of_kind(PT_LOAD)
        .filter_map(|header| base.checked_add(u64_at(header, 16)?)?.checked_add(u64_at(header, 40)?))
        .max()?;
    is_go.then_some((base, end))
}

/// Notes: lengths of name and content, kind, then both, each filled up to a multiple of 4 (elf(5)).
fn has_go_note(notes: &[u8]) -> bool {
    let mut rest = notes;
    while let (Some(name), Some(content), Some(kind)) = (u32_at(rest, 0), u32_at(rest, 4), u32_at(rest, 8)) {
        if kind == GO_BUILD_ID && rest.get(12..16) == Some(b"Go\0\0") {
            return true;
        }
        let filled = |length: u32| length as usize + (length.wrapping_neg() % 4) as usize;
        let Some(behind) = rest.get(12 + filled(name) + filled(content)..) else { return false };
        rest = behind;
    }
    false
}

/// A zero-terminated string, as far as it is readable: what is left of its page, and the next one.
fn text(memory: &dyn Memory, address: u64) -> String {
    const PAGE_BYTES: u64 = 4096;
    let first = ((PAGE_BYTES - address % PAGE_BYTES) as usize).min(NAME_BYTES_MAX);
    let mut bytes = memory.read_bytes(address, first).unwrap_or_default();
    if !bytes.contains(&0) {
        let behind = memory.read_bytes(address.wrapping_add(first as u64), NAME_BYTES_MAX - first);
        bytes.extend(behind.unwrap_or_default());
    }
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    let name = String::from_utf8_lossy(&bytes[..end]).into_owned();
    if name.is_empty() { "a library without a name".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_walked_to_their_end() {
        let note = |name: &[u8], kind: u32, content: &[u8]| {
            let mut bytes = [name.len() as u32, content.len() as u32, kind].map(u32::to_le_bytes).concat();
            for part in [name, content] {
                bytes.extend(part);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            bytes
        };
        let other = note(b"GNU\0", 3, &[1; 20]);
        let go = note(b"Go\0\0", 4, b"id");
        assert!(has_go_note(&go) && has_go_note(&[other.clone(), go.clone()].concat()));
        assert!(!has_go_note(&other) && !has_go_note(&[]) && !has_go_note(&go[..14]));
        assert!(!has_go_note(&note(b"Go\0\0", 5, b"id")) && !has_go_note(&[0xff; 64]));
    }
}
