//! Debug information of real Go programs, split off by binutils: found in all its places, and the same, byte by byte, as
//! binutils' own decompression gives.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use stillframe_golang::build::Identity;
use stillframe_golang::dwarf::Section;
use stillframe_node::symbols::config::Config;
use stillframe_node::symbols::store::Store;
use stillframe_node::symbols::{Missing, Symbols, Wanted};
use stillframe_tests::captured;
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Kind, Program, Running};
use stillframe_tests::stillframe::{self, run_command};
use tempfile::TempDir;

/// A copy of a program that has no debug information, and what it had.
struct Split {
    folder: TempDir,
    build_id: String,
    /// As binutils decompresses them.
    expected: Vec<(Section, Vec<u8>)>,
}

fn objcopy(arguments: &[&str]) {
    let output = Command::new("objcopy").args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("objcopy: {e}; install binutils"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "objcopy {arguments:?}: {errors}");
}

impl Split {
    fn of(program: &Program) -> Split {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let whole = program.path.to_str().unwrap();
        std::fs::create_dir(folder.path().join("bin")).unwrap();
        let (debug, stripped, plain) = (at("program.debug"), at("bin/program"), at("plain"));
        objcopy(&["--only-keep-debug", whole, &debug]);
        objcopy(&["--strip-debug", whole, &stripped]);
        objcopy(&[&format!("--add-gnu-debuglink={debug}"), &stripped]);
        objcopy(&["--decompress-debug-sections", whole, &plain]);
        let mut expected = Vec::new();
        for section in Section::ALL {
            // The copy is of no interest, but a device is no place for one.
            let (dumped, copy) = (at("section"), at("copy"));
            // Where there is no such section older versions fail, and newer ones only say so.
            let _ = Command::new("objcopy")
                .args(["--dump-section", &format!("{}={dumped}", section.name()), &plain, &copy])
                .output()
                .unwrap();
            if let Ok(bytes) = std::fs::read(&dumped) {
                expected.push((section, bytes));
                std::fs::remove_file(&dumped).unwrap();
            }
        }
        assert!(expected.iter().any(|(section, bytes)| *section == Section::Info && bytes.len() > 100_000));
        let bytes = std::fs::read(&stripped).unwrap();
        let build_id = Identity::read(std::sync::Arc::new(bytes)).unwrap().id;
        Split { folder, build_id, expected }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Nothing of this host's but what the test puts there.
    fn config(&self) -> Config {
        let mut config = Config::of_environment(Duration::from_secs(10));
        config.folder = Some(self.path("cache"));
        config.debug_folders = vec![self.path("debug")];
        config.debuginfod.urls.clear();
        config.debuginfod.client_cache.clear();
        config
    }

    fn ask(&self, executable: &Path) -> Result<Vec<(Section, Vec<u8>)>, Missing> {
        let file = File::open(executable).unwrap();
        let wanted =
            Wanted { build_id: &self.build_id, executable: &file, path: Some(executable), pid: None };
        let symbols = Symbols::new(self.config(), None);
        let sections = symbols.sections(&wanted, symbols.patience())?;
        let found = Section::ALL.into_iter().filter_map(|section| {
            let bytes = sections.get(section.name())?;
            Some((section, (*bytes).as_ref().to_vec()))
        });
        Ok(found.collect())
    }

    fn assert_found(&self, what: &str) {
        let found = self.ask(&self.path("bin/program"));
        let found = found.unwrap_or_else(|e| panic!("{what}: {e}"));
        assert_same(what, &found, &self.expected);
        // The next process has it from the cache.
        let cached = self.ask(&self.path("bin/program")).unwrap();
        assert_same(&format!("{what}, cached"), &cached, &self.expected);
        std::fs::remove_dir_all(self.path("cache")).unwrap();
    }
}

/// Says of which section the bytes are others, and where they begin to be.
fn assert_same(what: &str, found: &[(Section, Vec<u8>)], expected: &[(Section, Vec<u8>)]) {
    let names = |of: &[(Section, Vec<u8>)]| of.iter().map(|(section, _)| *section).collect::<Vec<_>>();
    assert_eq!(names(found), names(expected), "{what}");
    for ((section, found), (_, expected)) in found.iter().zip(expected) {
        let differs = found.iter().zip(expected).position(|(a, b)| a != b);
        let differs = differs.or((found.len() != expected.len()).then(|| found.len().min(expected.len())));
        assert_eq!(differs, None, "{what}: {section:?} is not what binutils makes of it");
    }
}

/// One of each Go version, so that there are DWARF 4 and 5, and builds with and without GNU build ids.
fn programs() -> Vec<Program> {
    let mut programs: Vec<Program> = Program::all("still")
        .into_iter()
        .filter(|program| matches!(program.kind, Kind::Normal | Kind::Pie | Kind::Cgo))
        .collect();
    programs.sort_by_key(|program| (program.minor(), program.kind));
    programs.dedup_by_key(|program| program.minor());
    programs
}

#[test]
fn split_off_debug_information_is_found_in_every_place_and_is_the_same() {
    for program in programs() {
        let split = Split::of(&program);
        let missing = split.ask(&split.path("bin/program")).unwrap_err();
        assert_eq!(missing, Missing::Nowhere(Vec::new()), "{program}");
        let own = split.ask(&program.path).unwrap();
        assert_same(&format!("{program}: the program itself"), &own, &split.expected);
        std::fs::remove_dir_all(split.path("cache")).unwrap();

        for place in ["bin/program.debug", "bin/.debug/program.debug"] {
            std::fs::create_dir_all(split.path(place).parent().unwrap()).unwrap();
            std::fs::copy(split.path("program.debug"), split.path(place)).unwrap();
            split.assert_found(&format!("{program}: {place}"));
            std::fs::remove_file(split.path(place)).unwrap();
        }
        if !split.build_id.starts_with("go:") {
            let (folder, file) = split.build_id.split_at(2);
            let place = split.path("debug/.build-id").join(folder).join(format!("{file}.debug"));
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::copy(split.path("program.debug"), &place).unwrap();
            split.assert_found(&format!("{program}: by build id"));
            std::fs::remove_file(place).unwrap();
        }
        for pushed in [split.path("program.debug"), program.path.clone()] {
            let config = split.config();
            let store = Store::open(&config.symbols().unwrap(), config.store_bytes_max).unwrap();
            let mut receiving = store.receive().unwrap();
            receiving.write_all_of(&mut File::open(pushed).unwrap()).unwrap();
            let stored = store.keep(receiving, None).unwrap();
            assert_eq!(stored.build_id.as_str(), split.build_id, "{program}");
            split.assert_found(&format!("{program}: pushed"));
        }
    }
}

#[test]
fn debug_information_of_another_version_is_refused() {
    let programs = programs();
    let [first, .., last] = programs.as_slice() else { panic!("there are several versions") };
    let (split, other) = (Split::of(first), Split::of(last));
    std::fs::copy(other.path("program.debug"), split.path("bin/program.debug")).unwrap();
    let missing = split.ask(&split.path("bin/program")).unwrap_err();
    assert!(missing.to_string().contains("it is of another build"), "{missing}");
}

/// Of variables that are in memory where their functions wait, the same in every process, each on one goroutine.
const PROBES: &str = r#"
[[probe]]
name = "deep"
function = "main.startedDeep"
capture = ["name", { as = "first", expr = "name[0]" }]

[[probe]]
name = "sorted"
function = "main.sortBlocked"
capture = ["words", { as = "count", expr = "len(words)" }, { as = "second", expr = "words[1]" }]

[[probe]]
name = "recovered"
function = "main.waitAfterRecovery"
capture = ["text"]
"#;

/// The names of all of them.
const CAPTURED: [&str; 6] = ["count", "first", "name", "second", "text", "words"];

/// What the probes gave of a process: names, values, gaps.
fn captured(split: &Split, pid: u32) -> Vec<(String, Option<Value>, Option<String>)> {
    let (probes, file) = (split.path("probes.toml"), split.path("snapshot.db"));
    std::fs::write(&probes, PROBES).unwrap();
    let pid = pid.to_string();
    let mut command =
        cli(split, &["snapshot", "--force", "--pack", "none", "--max-pause", "5s", "--pid", &pid]);
    let ran = run_command(command.arg("--probes").arg(probes).arg("-o").arg(&file));
    assert!(matches!(ran.code, Some(0 | 10)), "{}", ran.stderr);
    let values = captured::values(&file).into_iter();
    let mut values: Vec<_> = values.map(|((_, _, _, name), found)| (name, found.value, found.gap)).collect();
    values.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    values
}

fn cli(split: &Split, arguments: &[&str]) -> Command {
    let mut command = stillframe::command();
    command.args(arguments).env("XDG_CACHE_HOME", split.path("cache")).env_remove("STILLFRAME_COORDINATOR");
    command
}

#[test]
fn a_stripped_process_has_values_once_its_symbols_are_pushed() {
    let program = Program::all("still").into_iter().rfind(|p| p.kind == Kind::Normal).unwrap();
    let split = Split::of(&program);
    let whole = Running::start(&mut program.command(), None);
    let expected = captured(&split, whole.pid());
    let there = |(name, value, gap): &(String, Option<Value>, Option<String>)| {
        (value.is_some() && gap.is_none()).then(|| name.clone())
    };
    assert_eq!(expected.iter().filter_map(there).collect::<Vec<_>>(), CAPTURED, "{expected:?}");
    let words = expected.iter().find(|(name, ..)| name == "words").and_then(|(_, value, _)| value.clone());
    assert_eq!(words, Some(json!(["pear", "apple", "fig"])), "as the program has them");

    let stripped = Running::start(&mut Command::new(split.path("bin/program")), None);
    let missing = captured(&split, stripped.pid());
    assert_eq!(missing.len(), expected.len());
    for (name, value, gap) in &missing {
        let says = gap.as_ref().is_some_and(|gap| gap.contains("stillframe symbols push"));
        assert!(value.is_none() && says, "{name}: {value:?} {gap:?}");
    }
    let ran = run_command(cli(&split, &["symbols", "push"]).arg(split.path("program.debug")));
    assert_eq!((ran.code, ran.stdout.trim()), (Some(0), split.build_id.as_str()), "{}", ran.stderr);
    assert_eq!(captured(&split, stripped.pid()), expected);
    // From what is cached now.
    let ran = run_command(&mut cli(&split, &["symbols", "delete", &split.build_id]));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(captured(&split, stripped.pid()), expected);
    for running in [&whole, &stripped] {
        assert_free(running.pid(), "after all of it");
    }
}

/// Of tables that are made of a build.
const SLACK_BYTES: u64 = 64 << 20;

/// What this says is read by people: run it with `--nocapture`, and on a large program by `STILLFRAME_LARGE_PROGRAM`.
#[test]
fn a_cached_look_is_quick_and_takes_little_memory_of_its_own() {
    let program = Program::all("still").into_iter().rfind(|p| p.kind == Kind::Normal).unwrap();
    let path = std::env::var_os("STILLFRAME_LARGE_PROGRAM").map_or(program.path, PathBuf::from);
    let cache = tempfile::tempdir().unwrap();
    let mut config = Config::of_environment(Duration::ZERO);
    config.folder = Some(cache.path().to_owned());
    for look in ["first", "cached"] {
        let before = anonymous_bytes();
        let began = Instant::now();
        let symbols = Symbols::new(config.clone(), None);
        let file = File::open(&path).unwrap();
        let build = symbols.build(&file, Some(&path), None).unwrap().unwrap();
        let read = began.elapsed();
        let id = &build.identity.id;
        let wanted = Wanted { build_id: id, executable: &file, path: Some(&path), pid: None };
        symbols.complete(&build, &wanted, symbols.patience());
        let completed = began.elapsed();
        let memory = anonymous_bytes().saturating_sub(before);
        let sections = symbols.own_sections(id, &file).unwrap().unwrap();
        let debug_bytes: usize = sections.iter().map(|(_, bytes)| (**bytes).as_ref().len()).sum();
        println!(
            "{look} look: {read:?}, with the index of types {completed:?}; {memory} bytes of memory of its own; \
             {debug_bytes} bytes of debug information in a file of {}",
            file.metadata().unwrap().len()
        );
        assert!(debug_bytes > 1 << 20);
        // What was decompressed is not among it.
        let image = build.identity.executable.file().len() as u64;
        assert!(memory < image + SLACK_BYTES, "{memory} bytes");
    }
    assert_eq!(std::fs::read_dir(cache.path().join("builds")).unwrap().count(), 2);
}

/// `RssAnon` (proc_pid_status(5)): what is of this process alone.
fn anonymous_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
