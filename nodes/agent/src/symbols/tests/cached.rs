//! What is kept on disk: used when it is sound, made again when it is not, done without when it cannot be.

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};

use super::super::cache::{BuildCache, Key};
use super::super::debug_file::DebugFile;
use super::super::image;
use super::*;

fn cached_files(host: &Host) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        host.config.builds().unwrap().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn the_second_look_needs_the_file_no_more() {
    let host = Host::new(&stripped());
    let debug = write(&host.path("debug/.build-id/ab/cdef01.debug"), &separate().bytes());
    let first = host.ask(&host.symbols()).unwrap();
    std::fs::remove_file(debug).unwrap();
    let second = host.ask(&host.symbols()).unwrap();
    for sections in [first, second] {
        let names: Vec<&str> = sections.iter().map(|(name, _)| name).collect();
        assert_eq!(names, [".debug_info", ".debug_abbrev"]);
        assert_eq!(section(&sections, ".debug_info"), INFO);
        assert_eq!(section(&sections, ".debug_abbrev"), b"abbreviations");
    }
}

#[test]
fn two_builds_with_the_same_id_are_kept_apart() {
    let host = Host::new(&separate());
    let symbols = host.symbols();
    host.ask(&symbols).unwrap();
    let other = Elf::of_build(&ID).with(".debug_info", b"another");
    write(&host.path("bin/program"), &other.bytes());
    assert_eq!(section(&host.ask(&symbols).unwrap(), ".debug_info"), b"another");
    write(&host.path("bin/program"), &separate().bytes());
    assert_eq!(section(&host.ask(&symbols).unwrap(), ".debug_info"), INFO);
    assert_eq!(cached_files(&host).len(), 2);
}

/// The cache itself, and what it keeps the only build as.
fn cache(host: &Host) -> (BuildCache, Key) {
    let cache = BuildCache::open(&host.config.builds().unwrap(), 1 << 30).unwrap();
    let executable = DebugFile::read(File::open(host.path("bin/program")).unwrap()).unwrap();
    (cache, Key { build: build(), fingerprint: executable.fingerprint().unwrap() })
}

#[test]
fn an_index_is_kept_for_its_build() {
    let host = Host::new(&separate());
    let (cache, key) = cache(&host);
    assert!(cache.index(&key).is_none());
    cache.keep_index(&key, b"types").unwrap();
    assert_eq!((*cache.index(&key).unwrap()).as_ref(), b"types");
    let other = Key { fingerprint: key.fingerprint ^ 1, ..key.clone() };
    assert!(cache.index(&other).is_none());
    // Under the other one's name.
    let [file] = <[PathBuf; 1]>::try_from(cached_files(&host)).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    let changed = name.replace(&format!("{:08x}", key.fingerprint), &format!("{:08x}", other.fingerprint));
    std::fs::rename(&file, file.with_file_name(changed)).unwrap();
    assert!(cache.index(&other).is_none());
    assert_eq!(cached_files(&host).len(), 0);
}

#[test]
fn damage_anywhere_is_seen_or_makes_it_anew() {
    let host = Host::new(&separate());
    host.ask(&host.symbols()).unwrap();
    let (cache, key) = cache(&host);
    cache.keep_index(&key, b"types").unwrap();
    let [index, kept] = <[PathBuf; 2]>::try_from(cached_files(&host)).unwrap();
    let good = std::fs::read(&kept).unwrap();
    let header_end = 20 + u32::from_le_bytes(good[12..16].try_into().unwrap()) as usize;
    for at in 0..header_end {
        let file = OpenOptions::new().write(true).open(&kept).unwrap();
        file.write_all_at(&[good[at] ^ 0x41], at as u64).unwrap();
        assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO, "byte {at}");
        assert_eq!(std::fs::read(&kept).unwrap(), good, "byte {at}");
    }
    for length in [0, 10, 4_096, good.len() as u64 - 1, good.len() as u64 + 1] {
        OpenOptions::new().write(true).open(&kept).unwrap().set_len(length).unwrap();
        assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO, "{length} bytes");
    }
    OpenOptions::new().write(true).open(&index).unwrap().write_all_at(b"T", 4_096).unwrap();
    assert!(cache.index(&key).is_none());
}

#[test]
fn a_folder_that_cannot_be_used_is_done_without() {
    for spoil in ["a file", "open to all"] {
        let host = Host::new(&separate());
        match spoil {
            "a file" => drop(write(&host.path("cache"), b"")),
            _ => {
                let builds = host.path("cache/builds");
                std::fs::create_dir_all(&builds).unwrap();
                std::fs::set_permissions(&builds, Permissions::from_mode(0o777)).unwrap();
            }
        }
        assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO, "{spoil}");
    }
}

#[test]
fn a_folder_that_vanishes_is_done_without() {
    let host = Host::new(&separate());
    let symbols = host.symbols();
    std::fs::remove_dir_all(host.path("cache")).unwrap();
    let sections = host.ask(&symbols).unwrap();
    assert_eq!(section(&sections, ".debug_info"), INFO);
}

#[test]
fn a_build_larger_than_the_cache_is_not_kept() {
    let mut host = Host::new(&separate());
    host.config.cache_bytes_max = 4_096;
    assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO);
    assert_eq!(cached_files(&host).len(), 0);
}

#[test]
fn deleting_it_leaves_those_who_use_it_unharmed() {
    let host = Host::new(&separate());
    let sections = host.ask(&host.symbols()).unwrap();
    std::fs::remove_dir_all(host.path("cache")).unwrap();
    assert_eq!(section(&sections, ".debug_info"), INFO);
}

#[test]
fn an_image_is_the_file_without_its_debug_sections() {
    let elf =
        Elf::of_build(&ID).with(".text", b"code").with(".debug_info", INFO).with(".rodata", b"constants");
    let bytes = elf.bytes();
    let path = write(&tempfile::tempdir().unwrap().keep().join("program"), &bytes);
    let image = image::read(&File::open(&path).unwrap()).unwrap();
    let at = bytes.windows(INFO.len()).position(|window| window == INFO).unwrap();
    let mut expected = bytes;
    expected[at..at + INFO.len()].fill(0);
    assert_eq!((*image).as_ref(), expected);
    std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
}
