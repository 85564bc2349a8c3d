//! Programs whose debug information is damaged or missing: stacks are the same as ever, and each value that was asked for
//! is a gap that says what to do.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use stillframe_golang::build::Identity;
use stillframe_tests::captured::rows;
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Kind, Program, Running};
use stillframe_tests::stillframe::{Ran, command, run_command};

const PROBES: &str = "[[probe]]\nname = 'deep'\nfunction = 'main.startedDeep'\ncapture = ['name']\n\
                      [[probe]]\nname = 'all'\nfunction = 'main.sortBlocked'\n";

/// Of random bytes; what lies there is compressed or not.
const DAMAGE_BYTES: u64 = 4_096;

fn still(kind: Kind) -> Program {
    Program::all("still").into_iter().rfind(|p| p.kind == kind).unwrap()
}

/// With a cache of its own: what is damaged has the build id of what is not.
fn run(arguments: &[&str]) -> Ran {
    let cache = tempfile::tempdir().unwrap();
    run_command(command().args(arguments).env("XDG_CACHE_HOME", cache.path()))
}

/// The plain program with its debug information uncompressed, and its sections.
fn plain(folder: &Path) -> PathBuf {
    let plain = folder.join("plain");
    let mut objcopy = Command::new("objcopy");
    objcopy.arg("--decompress-debug-sections").arg(&still(Kind::Normal).path).arg(&plain);
    let output = objcopy.output().unwrap_or_else(|e| panic!("objcopy: {e}; install binutils"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    plain
}

/// A copy of a program with damage at the beginning, in the middle or at the end of a section.
fn damaged(program: &Path, section: &str, part: u64, folder: &Path) -> PathBuf {
    let copy = folder.join(format!("damaged{section}-{part}"));
    std::fs::copy(program, &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o755)).unwrap();
    let bytes = std::fs::read(program).unwrap();
    let identity = Identity::read(std::sync::Arc::new(bytes)).unwrap();
    let found = identity.executable.section(section).unwrap_or_else(|| panic!("there is no {section}"));
    let length = DAMAGE_BYTES.min(found.file_length);
    let at = found.file_offset + (found.file_length - length) / 2 * part;
    let noise: Vec<u8> = (0..length).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    OpenOptions::new().write(true).open(&copy).unwrap().write_all_at(&noise, at).unwrap();
    copy
}

/// Its own functions on its goroutines' stacks, how those end, and how often; and what the probes gave: value and gap.
fn snapshot(path: &Path, folder: &Path) -> (Vec<Value>, Vec<Value>) {
    let process = Running::start(&mut Command::new(path), None);
    let (probes, file) = (folder.join("probes.toml"), folder.join("snapshot.db"));
    std::fs::write(&probes, PROBES).unwrap();
    let [probes, out] = [&probes, &file].map(|path| path.to_str().unwrap());
    let pid = process.pid().to_string();
    let ran =
        run(&["snapshot", "--force", "--max-pause", "5s", "--pid", &pid, "--probes", probes, "-o", out]);
    assert!(matches!(ran.code, Some(0 | 10)), "{}: {ran:?}", path.display());
    assert_free(process.pid(), &path.display().to_string());
    let stacks = "select f.name, stop_reason, count(*) as times from goroutines join stacks using (stack_id) \
                  join stack_frames using (stack_id) join functions f using (function_id) \
                  where f.name like 'main.%' group by 1, 2 order by 1, 2";
    let values = "select probe, name, value, gap from goroutine_values order by 1, 2";
    (rows(&file, stacks), rows(&file, values))
}

#[test]
fn stacks_need_no_debug_information_and_gaps_say_how_to_get_it() {
    let folder = tempfile::tempdir().unwrap();
    let whole = still(Kind::Normal);
    let (stacks, values) = snapshot(&whole.path, folder.path());
    assert!(stacks.len() > 100, "{stacks:?}");
    assert!(stacks.iter().all(|row| row["stop_reason"] == "complete"), "{stacks:?}");
    assert!(values.iter().any(|row| row["value"] == "\"deep\"" || row["value"] == "deep"), "{values:?}");
    let plain = plain(folder.path());
    let mut broken = Vec::new();
    for section in [".debug_info", ".debug_abbrev"] {
        // Compressed, it can be damaged anywhere; where it is not only the beginning is read by whoever asks for anything.
        broken.extend([0, 1, 2].map(|part| damaged(&whole.path, section, part, folder.path())));
        broken.push(damaged(&plain, section, 0, folder.path()));
    }
    broken.push(still(Kind::Stripped).path);
    for program in broken {
        let (found, values) = snapshot(&program, folder.path());
        let other = found.iter().filter(|row| !stacks.contains(row)).collect::<Vec<_>>();
        assert!(found.len() == stacks.len() && other.is_empty(), "{}: {other:?}", program.display());
        assert!(!values.is_empty(), "{}", program.display());
        for row in values {
            let gap = row["gap"].as_str().unwrap_or_default();
            let says = gap.contains("debug information")
                && gap.contains("build the program")
                && gap.contains("stillframe symbols push");
            assert!(says && row["value"].is_null(), "{}: {row}", program.display());
        }
    }
}

#[test]
fn what_cannot_be_captured_is_told_beforehand() {
    let folder = tempfile::tempdir().unwrap();
    let probes = folder.path().join("probes.toml");
    std::fs::write(&probes, PROBES).unwrap();
    let damaged = damaged(&still(Kind::Normal).path, ".debug_info", 1, folder.path());
    for (program, named) in [(damaged, "damaged debug information"), (still(Kind::Stripped).path, "no debug")]
    {
        let arguments =
            ["probe", "check", probes.to_str().unwrap(), "--exe", program.to_str().unwrap(), "--json"];
        let ran = run(&arguments);
        let checked: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
        let told = checked["without_debug_info"].as_str().unwrap_or_default();
        assert!(told.contains(named) && told.contains("stillframe symbols push"), "{ran:?}");
    }
}

#[test]
fn a_probe_that_matches_nothing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (probes, file) = (folder.path().join("probes.toml"), folder.path().join("snapshot.db"));
    let text =
        format!("{PROBES}[[probe]]\nname = 'misspelled'\nfunction = 'main.startedDep'\ncapture = ['name']\n");
    std::fs::write(&probes, text).unwrap();
    let process = Running::start(&mut still(Kind::Normal).command(), None);
    let [probes, out] = [&probes, &file].map(|path| path.to_str().unwrap());
    let pid = process.pid().to_string();
    let ran = run(&["snapshot", "--max-pause", "5s", "--pid", &pid, "--probes", probes, "-o", out]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("probe ")).collect();
    assert_eq!(told, ["probe misspelled: its function stands on no stack"], "{ran:?}");
    // Its table is there, with its columns.
    assert_eq!(rows(&file, "select goroutine_id, name from probe_misspelled"), [] as [Value; 0]);
}
