//! From where debug information comes, and in which order.

use super::*;

const BY_ID: &str = "debug/.build-id/ab/cdef01.debug";

#[test]
fn the_executable_itself_comes_first() {
    let host = Host::new(&separate());
    host.push(&Elf::of_build(&ID).with(".debug_info", b"another").bytes()).unwrap();
    assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO);
}

#[test]
fn without_any_the_gap_says_how_to_get_it() {
    let host = Host::new(&stripped());
    let reason = reason(host.ask(&host.symbols()));
    assert!(reason.contains("-ldflags=-w") && reason.contains("stillframe symbols push"), "{reason}");
}

#[test]
fn a_file_in_the_folder_of_build_ids_is_found() {
    let host = Host::new(&stripped());
    write(&host.path(BY_ID), &separate().bytes());
    let sections = host.ask(&host.symbols()).unwrap();
    assert_eq!(section(&sections, ".debug_info"), INFO);
    assert_eq!(section(&sections, ".debug_abbrev"), b"abbreviations");
    assert!(sections.get(".debug_loc").is_none());
}

#[test]
fn a_file_of_another_build_or_of_none_is_not_taken() {
    let other = Elf::of_build(&[1, 2, 3, 4]).with(".debug_info", INFO);
    for (file, why) in [
        (other.bytes(), "it is of another build (01020304)"),
        (stripped().bytes(), "it has no debug information"),
        (b"no elf".to_vec(), "it is no ELF file"),
        (separate().bytes()[..400].to_vec(), "damaged ELF file"),
    ] {
        let host = Host::new(&stripped());
        write(&host.path(BY_ID), &file);
        let reason = reason(host.ask(&host.symbols()));
        assert!(reason.contains(why) && reason.contains("cdef01.debug"), "{why}: {reason}");
    }
}

#[test]
fn a_place_that_is_no_file_is_not_waited_for() {
    let host = Host::new(&stripped());
    let path = host.path(BY_ID);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let reason = reason(host.ask(&host.symbols()));
    assert!(reason.contains("no regular file"), "{reason}");
}

#[test]
fn a_debuglink_leads_to_all_its_places() {
    let debug = separate().bytes();
    let linking = stripped().link("program.debug", crc32fast::hash(&debug));
    for place in ["bin/program.debug", "bin/.debug/program.debug"] {
        let host = Host::new(&linking);
        write(&host.path(place), &debug);
        assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO, "{place}");
    }
    let host = Host::new(&linking);
    let below = host.path("debug").join(host.path("bin").strip_prefix("/").unwrap()).join("program.debug");
    write(&below, &debug);
    assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO);
}

#[test]
fn a_debuglink_wants_its_checksum_and_its_build() {
    let debug = separate().bytes();
    let host = Host::new(&stripped().link("program.debug", crc32fast::hash(&debug) ^ 1));
    write(&host.path("bin/program.debug"), &debug);
    assert!(reason(host.ask(&host.symbols())).contains("another checksum"));
    let other = Elf::of_build(&[1, 2, 3, 4]).with(".debug_info", INFO).bytes();
    let host = Host::new(&stripped().link("program.debug", crc32fast::hash(&other)));
    write(&host.path("bin/program.debug"), &other);
    assert!(reason(host.ask(&host.symbols())).contains("another build"));
}

#[test]
fn go_s_own_build_id_serves_where_there_is_no_other() {
    let go = || Elf::default().note("Go", 4, b"one/two");
    let debug = go().with(".debug_info", INFO).bytes();
    let host = Host::new(&go().with(".text", b"code"));
    assert_eq!(host.push(&debug).unwrap().build_id.as_str(), "go:one/two");
    assert_eq!(section(&host.ask_as(&host.symbols(), "go:one/two").unwrap(), ".debug_info"), INFO);
}

#[test]
fn a_build_without_any_id_has_its_debuglink_only() {
    let debug = Elf::default().with(".debug_info", INFO).bytes();
    let host =
        Host::new(&Elf::default().with(".text", b"code").link("program.debug", crc32fast::hash(&debug)));
    write(&host.path("bin/program.debug"), &debug);
    let found = host.ask_as(&host.symbols(), "fnv:0123456789abcdef").unwrap();
    assert_eq!(section(&found, ".debug_info"), INFO);
    assert!(!host.path("cache/builds").read_dir().unwrap().any(|entry| entry.is_ok()));
}

#[test]
fn what_was_pushed_is_found_until_it_is_deleted() {
    let host = Host::new(&stripped());
    let stored = host.push(&separate().bytes()).unwrap();
    assert_eq!(stored.build_id, build());
    let symbols = host.symbols();
    assert_eq!(section(&host.ask(&symbols).unwrap(), ".debug_info"), INFO);
    let store = Store::open(&host.config.symbols().unwrap(), 1 << 30).unwrap();
    assert_eq!(store.list().unwrap().into_iter().map(|s| s.build_id).collect::<Vec<_>>(), [build()]);
    assert!(store.delete(&build()).unwrap());
    assert!(!store.delete(&build()).unwrap());
    std::fs::remove_dir_all(host.config.builds().unwrap()).unwrap();
    reason(host.ask(&symbols));
}

#[test]
fn what_is_of_no_use_is_not_kept() {
    let host = Host::new(&stripped());
    for (content, why) in [
        (stripped().bytes(), "no debug information"),
        (Elf::default().with(".debug_info", INFO).bytes(), "no build id"),
        (b"text".to_vec(), "no ELF file"),
        (separate().bytes()[..300].to_vec(), "damaged"),
    ] {
        let refused = host.push(&content).unwrap_err();
        assert!(matches!(refused, StoreError::NotOfUse(_)) && refused.to_string().contains(why), "{refused}");
    }
    assert_eq!(host.config.symbols().unwrap().read_dir().unwrap().count(), 0);
}

#[test]
fn what_debuginfod_s_own_client_has_is_used() {
    let host = Host::new(&stripped());
    write(&host.path("debuginfod_client/abcdef01/debuginfo"), &separate().bytes());
    assert_eq!(section(&host.ask(&host.symbols()).unwrap(), ".debug_info"), INFO);
}

#[test]
fn a_damaged_executable_says_what_to_do() {
    let host = Host::new(&Elf::of_build(&ID).claiming(".debug_info", INFO, 7));
    let reason = reason(host.ask(&host.symbols()));
    assert!(reason.contains("damaged") && reason.contains("build the program again"), "{reason}");
}
