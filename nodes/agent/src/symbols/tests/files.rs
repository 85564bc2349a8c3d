//! What is seen of ELF files, sound ones and others.

use std::fs::File;
use std::io::Write;

use proptest::prelude::*;

use super::super::debug_file::{DebugFile, DebugFileError};
use super::*;

fn seen(bytes: &[u8]) -> Result<DebugFile, DebugFileError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    DebugFile::read(file)
}

fn all_sections(bytes: &[u8]) -> Result<Sections, DebugFileError> {
    Sections::decompress(&seen(bytes)?)
}

#[test]
fn all_ways_to_compress_give_the_same() {
    let long: Vec<u8> = (0..2_000_000_u32).map(|n| (n / 7) as u8).collect();
    for elf in [
        Elf::of_build(&ID).with(".debug_info", &long),
        Elf::of_build(&ID).compressed(".debug_info", &long),
        Elf::of_build(&ID).compressed_of_old(".debug_info", &long),
    ] {
        let bytes = elf.bytes();
        assert!(seen(&bytes).unwrap().has_debug_info());
        assert_eq!(section(&all_sections(&bytes).unwrap(), ".debug_info"), long);
    }
}

#[test]
fn the_build_id_is_the_gnu_one_or_go_s_own() {
    let id = |elf: Elf| seen(&elf.bytes()).unwrap().build_id.map(|id| id.to_string());
    let go = || Elf::default().note("Go", 4, b"aB/c-d\0\0");
    assert_eq!(id(go()).unwrap(), "go:aB/c-d");
    assert_eq!(id(go().note("GNU", 3, &ID)).unwrap(), ID_TEXT);
    assert_eq!(id(Elf::default().note("GNU", 1, &ID)), None);
    assert_eq!(id(Elf::default().note("GNU", 3, b"")), None);
}

#[test]
fn sections_without_bytes_and_an_empty_one_are_no_debug_information() {
    assert!(!seen(&stripped().bytes()).unwrap().has_debug_info());
    assert!(!seen(&stripped().without_bytes(".debug_info").bytes()).unwrap().has_debug_info());
    assert!(!seen(&stripped().with(".debug_info", b"").bytes()).unwrap().has_debug_info());
}

#[test]
fn a_section_that_lies_about_its_length_is_damaged() {
    let claiming = |length| Elf::of_build(&ID).claiming(".debug_info", INFO, length).bytes();
    let reason = |bytes: &[u8]| all_sections(bytes).err().unwrap().to_string();
    assert!(reason(&claiming(INFO.len() as u64 - 1)).contains("has not the length"));
    assert!(reason(&claiming(INFO.len() as u64 + 1)).contains("has not the length"));
    assert!(reason(&claiming(u64::MAX)).contains("larger than it can be"));
    assert!(reason(&claiming(1 << 30)).contains("larger than it can be"));
    let twice = Elf::of_build(&ID).with(".debug_info", INFO).compressed_of_old(".debug_info", INFO);
    assert!(reason(&twice.bytes()).contains("twice"));
}

#[test]
fn a_debuglink_with_a_folder_is_not_followed() {
    let link = |name| seen(&stripped().link(name, 7).bytes()).unwrap().link;
    assert_eq!(link("program.debug").unwrap().crc32, 7);
    for name in ["../program.debug", "/etc/passwd", "..", ""] {
        assert_eq!(link(name), None, "{name}");
    }
}

#[test]
fn what_is_no_file_or_no_elf_says_so() {
    assert!(matches!(DebugFile::read(File::open("/dev/null").unwrap()), Err(DebugFileError::NoFile)));
    assert!(matches!(seen(b""), Err(DebugFileError::NotElf)));
    assert!(matches!(seen(&[b'x'; 100]), Err(DebugFileError::NotElf)));
    let mut foreign = stripped().bytes();
    foreign[4] = 1;
    assert!(matches!(seen(&foreign), Err(DebugFileError::Foreign)));
}

#[test]
fn files_of_the_same_build_id_are_told_apart() {
    let print = |elf: Elf| seen(&elf.bytes()).unwrap().fingerprint().unwrap();
    let one = print(separate());
    assert_eq!(one, print(separate()));
    let other = Elf::of_build(&ID)
        .without_bytes(".text")
        .compressed(".debug_info", &INFO.iter().map(|b| b ^ 1).collect::<Vec<u8>>())
        .with(".debug_abbrev", b"abbreviations");
    assert_ne!(one, print(other));
}

proptest! {
    #[test]
    fn damage_is_an_error_or_harmless(changes in proptest::collection::vec((0usize..2_000, any::<u8>()), 1..6), cut in 0usize..2_000) {
        let mut bytes = separate().link("x", 1).note("Go", 4, b"a/b").bytes();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if cut < bytes.len() / 2 {
            bytes.truncate(bytes.len() - cut);
        }
        if let Ok(file) = seen(&bytes) {
            let _ = file.fingerprint();
            let _ = Sections::decompress(&file);
        }
    }
}
