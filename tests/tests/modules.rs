//! Processes of more than one Go module: plugins, whose frames are as Go prints them, and libraries with a Go runtime of their
//! own, which are refused by name.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use serde_json::Value;
use stillframe_tests::comparison::{Comparison, compare_text};
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{PATIENCE, Running, poll};
use stillframe_tests::row;
use stillframe_tests::stillframe::{command, dump, run, run_command, snapshot};
use stillframe_tests::table::table;
use stillframe_tests::traceback::Traceback;

/// Exit codes: `stillframe help exit-codes`.
const WHOLE: i32 = 0;
const UNSUPPORTED: i32 = 6;
const PARTIAL: i32 = 10;

/// The main goroutine, which writes the text, and the one that hands it the signal.
const NOT_COMPARED_MAX: usize = 2;
/// Goroutines with frames of the plugin, and all that it and the program start.
const OF_PLUGIN_MIN: usize = 6;

/// A program of `programs/plugins`, built with a toolchain.
fn build(folder: &Path, version: &str, package: &str, flags: &[&str], output: &str) -> PathBuf {
    let output = folder.join(output);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/plugins");
    let mut go = Command::new("go");
    go.current_dir(source)
        .args(["build", "-buildvcs=false"])
        .args(flags)
        .arg("-o")
        .args([&output])
        .arg(package);
    go.env("GOTOOLCHAIN", version).env("GOWORK", "off").env("CGO_ENABLED", "1");
    let ran = go.output().expect("go is here");
    assert!(ran.status.success(), "{go:?}: {}", String::from_utf8_lossy(&ran.stderr));
    output
}

fn build_c(folder: &Path) -> PathBuf {
    let output = folder.join("c-program");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/plugins/c/main.c");
    let status = Command::new("cc").arg("-o").args([&output, &source]).arg("-ldl").status();
    assert!(status.as_ref().is_ok_and(|s| s.success()), "cc: {status:?}");
    output
}

/// A running `host`, and where it writes its stacks.
struct Host {
    process: Running,
    stack: PathBuf,
    folder: PathBuf,
}

impl Host {
    fn start(folder: &Path, host: &Path, loads: &[&Path]) -> Host {
        let stack = folder.join("stack");
        let mut command = Command::new(host);
        command.args(loads).env("STILL_STACK", &stack).env_remove("GOTRACEBACK");
        Host { process: Running::start(&mut command, None), stack, folder: folder.to_owned() }
    }

    /// The dump of a new snapshot.
    fn dump(&self, name: &str, code: i32) -> Traceback {
        let file = self.folder.join(name);
        let ran = snapshot(self.process.pid(), &file);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert_free(self.process.pid(), name);
        Traceback::parse(&dump(&file, false)).unwrap()
    }

    /// Go's text between two dumps.
    fn compare(&self, code: i32) -> (Comparison, Traceback) {
        let before = self.dump("before.db", code);
        self.process.signal(Signal::SIGUSR1);
        let text = poll(PATIENCE, || std::fs::read_to_string(&self.stack).ok());
        let go = Traceback::parse(&text.expect("it writes its stacks")).unwrap();
        let after = self.dump("after.db", code);
        let mut comparison = Comparison::default();
        {
            let (before, after, go) = (before.by_goid(), after.by_goid(), go.by_goid());
            for (goid, go) in &go {
                match (before.get(goid), after.get(goid)) {
                    (Some(before), Some(after)) => compare_text(before, after, go, &mut comparison),
                    (before, after) => comparison.differ(*goid, "dumped", before.is_some(), after.is_some()),
                }
            }
            for goid in before.keys().filter(|goid| !go.contains_key(goid)) {
                comparison.differ(*goid, "is there", true, false);
            }
        }
        (comparison, go)
    }

    /// What the snapshot says is missing.
    fn gaps(&self) -> Vec<Value> {
        let file = self.folder.join("before.db");
        let query = "SELECT what, reason FROM gaps";
        let ran = run(&["sql".as_ref(), "--json".as_ref(), file.as_os_str(), query.as_ref()]);
        let rows: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
        rows.as_array().unwrap_or_else(|| panic!("no rows: {rows}")).clone()
    }
}

#[test]
fn frames_of_plugins_agree_with_go() {
    let stripped: &[&str] = &["-ldflags=-s -w"];
    let mut rows =
        vec![row!["version", "build", "goroutines", "compared", "with the plugin's frames", "differences"]];
    let mut problems = Vec::new();
    for (version, host_flags, plugin_flags, kind) in [
        ("go1.21.13", &[][..], &[][..], "normal"),
        ("go1.24.11", &["-buildmode=pie"][..], &[][..], "host PIE"),
        ("go1.26.6", stripped, &[][..], "host stripped"),
        ("go1.27.3", stripped, stripped, "both stripped"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let program = build(folder.path(), version, "./host", host_flags, "host");
        let flags: Vec<&str> = ["-buildmode=plugin"].iter().chain(plugin_flags).copied().collect();
        let plugin = build(folder.path(), version, "./plug", &flags, "plug.so");
        let host = Host::start(folder.path(), &program, &[&plugin]);
        // What is loaded counts, not the file.
        std::fs::remove_file(&plugin).unwrap();
        let (comparison, go) = host.compare(WHOLE);
        let name = format!("{version}, {kind}");
        let of_plugin = go.goroutines.iter().filter(|g| g.text.contains("/plug/main.go:")).count();
        rows.push(row![
            version,
            kind,
            go.goroutines.len(),
            comparison.goroutines,
            of_plugin,
            comparison.differences.len()
        ]);
        problems.extend(comparison.differences.iter().map(|d| format!("{name}: {d}")));
        problems.extend(host.gaps().iter().map(|gap| format!("{name}: {gap}")));
        if of_plugin < OF_PLUGIN_MIN || comparison.not_compared.len() > NOT_COMPARED_MAX {
            problems.push(format!(
                "{name}: {of_plugin} of the plugin, not compared: {:?}",
                comparison.not_compared
            ));
        }
    }
    println!("{}", table(&rows));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn another_go_runtime_in_a_go_program_is_a_gap() {
    for version in ["go1.21.13", "go1.27.3"] {
        let folder = tempfile::tempdir().unwrap();
        let program = build(folder.path(), version, "./host", &[], "host");
        let plugin = build(folder.path(), version, "./plug", &["-buildmode=plugin"], "plug.so");
        let library = build(folder.path(), version, "./library", &["-buildmode=c-shared"], "library.so");
        let host = Host::start(folder.path(), &program, &[&library, &plugin]);
        let (comparison, go) = host.compare(PARTIAL);
        assert!(comparison.differences.is_empty(), "{version}: {}", comparison.differences.join("\n"));
        assert!(comparison.goroutines >= OF_PLUGIN_MIN, "{version}: {}", comparison.goroutines);
        assert!(
            go.goroutines.iter().all(|g| !g.text.contains("main.hanging")),
            "{version}: it is one runtime"
        );
        let gaps = host.gaps();
        assert_eq!(gaps.len(), 1, "{version}: {gaps:?}");
        let text = gaps[0].to_string();
        assert!(text.contains("library.so") && text.contains("c-shared"), "{version}: {text}");
    }
}

#[test]
fn a_go_library_in_a_c_program_is_refused_by_name() {
    for version in ["go1.21.13", "go1.27.3"] {
        let folder = tempfile::tempdir().unwrap();
        let library = build(folder.path(), version, "./library", &["-buildmode=c-shared"], "library.so");
        let process = Running::start(Command::new(build_c(folder.path())).arg(&library), None);
        let (pid, file) = (process.pid().to_string(), folder.path().join("out.db"));
        let mut command = command();
        let ran = run_command(command.args(["--json", "snapshot", "--pid", &pid, "-o"]).arg(&file));
        assert_eq!(ran.code, Some(UNSUPPORTED), "{version}: {ran:?}");
        for named in ["library.so", "c-program", &pid] {
            assert!(ran.stderr.contains(named), "{version}: {named} is not in {}", ran.stderr);
        }
        assert!(!file.exists(), "{version}: a file was left");
        assert_free(process.pid(), version);
    }
}
