//! Bad input: each is a clear error that names the thing and the remedy, with an exit code of its own; nothing is left
//! behind, and no target is left stopped.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::unistd::Uid;
use serde_json::Value;
use stillframe_target::freeze::freeze;
use stillframe_target::process;
use stillframe_tests::process_state::{assert_free, threads};
use stillframe_tests::programs::{Kind, PATIENCE, Program, Running, pause, poll};
use stillframe_tests::stillframe::{self, Ran, binary, run_command, snapshot};
use tempfile::TempDir;

/// Exit codes: `stillframe help exit-codes`.
const WHOLE: i32 = 0;
const NO_SUCH_PROCESS: i32 = 3;
const NOT_GO: i32 = 4;
const PERMISSION: i32 = 5;
const UNSUPPORTED: i32 = 6;
const VANISHED: i32 = 7;
const BAD_FILE: i32 = 8;
const OUTPUT: i32 = 9;
const PARTIAL: i32 = 10;

/// A folder for the output, which must be as it was when something is refused.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("out.db")
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn command(arguments: &[&dyn AsRef<OsStr>]) -> Command {
    let mut command = stillframe::command();
    command.arg("--json").args(arguments.iter().map(|a| a.as_ref()));
    command
}

/// Runs `stillframe --json ARGUMENTS`, which must fail with `code`, name `named` and say what to do.
fn refused(arguments: &[&dyn AsRef<OsStr>], code: i32, named: &[&str]) {
    must_refuse(&run_command(&mut command(arguments)), code, named);
}

fn must_refuse(ran: &Ran, code: i32, named: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    let line = ran.stderr.lines().last().unwrap_or_default();
    let json: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {}", ran.stderr));
    let error = &json["error"];
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(error["exit_code"].as_i64(), Some(i64::from(code)), "{line}");
    assert!(!text("remedy").is_empty(), "no remedy: {line}");
    for name in named {
        let said = format!("{} {}", text("message"), text("remedy"));
        assert!(said.contains(name), "does not name {name:?}: {line}");
    }
    println!("exit code {code}: {}; {}", text("message"), text("remedy"));
}

/// Refuses a snapshot of a process, leaves no file, and leaves the process alone.
fn refused_process(pid: u32, code: i32, named: &[&str]) {
    let folder = Folder::new();
    let number = pid.to_string();
    let mut named = named.to_vec();
    named.push(&number);
    refused(&[&"snapshot", &"--pid", &number, &"-o", &folder.file()], code, &named);
    assert_eq!(folder.names(), [""; 0], "something is left behind");
    assert_free(pid, "after the refusal");
}

/// A program that stands still, with few goroutines.
fn target() -> Running {
    Running::start(Program::any("many").command().arg("10"), None)
}

/// Builds `programs/execs` with a toolchain.
fn build_execs(folder: &Path, toolchain: &str, flags: &[&str]) -> Result<PathBuf, String> {
    let output = folder.join("execs");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/execs");
    let mut go = Command::new("go");
    go.current_dir(source).args(["build", "-buildvcs=false"]).args(flags).arg("-o").arg(&output).arg(".");
    go.env("GOTOOLCHAIN", toolchain).env("GOWORK", "off").env("CGO_ENABLED", "0");
    let ran = go.output().map_err(|e| format!("go: {e}"))?;
    if ran.status.success() { Ok(output) } else { Err(String::from_utf8_lossy(&ran.stderr).into_owned()) }
}

fn newest() -> String {
    Program::any("many").version
}

#[test]
fn a_pid_of_no_process_is_refused() {
    // Beyond the largest pid that Linux gives (PID_MAX_LIMIT).
    refused_process(4_194_305, NO_SUCH_PROCESS, &["no such process", "stillframe ps"]);
}

#[test]
fn a_process_that_is_not_go_is_refused() {
    let sleep = Running::silent(Command::new("sleep").arg("1000"));
    let name = || std::fs::read_to_string(format!("/proc/{}/comm", sleep.pid())).ok();
    poll(PATIENCE, || name().filter(|n| n == "sleep\n")).unwrap();
    refused_process(sleep.pid(), NOT_GO, &["not a Go executable", "sleep"]);
}

#[test]
fn a_kernel_thread_is_refused() {
    // PF_KTHREAD (include/linux/sched.h); containers show none.
    let is_kernel_thread = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let flags = stat.rsplit(')').next().and_then(|s| s.split_whitespace().nth(6)?.parse::<u64>().ok());
        flags.is_some_and(|flags| flags & 0x0020_0000 != 0)
    };
    let pids = std::fs::read_dir("/proc").unwrap();
    let pids = pids.filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok());
    match pids.filter(is_kernel_thread).min() {
        Some(pid) => refused_process(pid, NOT_GO, &["kernel thread"]),
        None => println!("this machine's /proc shows no kernel thread: there is nothing to refuse"),
    }
}

#[test]
fn a_process_of_another_user_is_refused_with_what_would_be_needed() {
    if !Uid::effective().is_root() {
        // The first process of the system is root's.
        return refused_process(1, PERMISSION, &["permi"]);
    }
    let target = target();
    let folder = Folder::new();
    open_to_all(folder.0.path());
    let ran = run_command(&mut as_nobody(&folder, target.pid(), &folder.file()));
    let pid = target.pid().to_string();
    must_refuse(&ran, PERMISSION, &[&pid, "CAP_SYS_PTRACE", "stillframe doctor"]);
    assert_eq!(folder.names(), ["stillframe"]);
    assert_free(target.pid(), "after the refusal");
}

/// The snapshot of a process, ordered by a user who may do nothing. The binary is copied to where that user finds it.
fn as_nobody(folder: &Folder, pid: u32, output: &Path) -> Command {
    let copy = folder.0.path().join("stillframe");
    std::fs::copy(binary(), &copy).unwrap();
    open_to_all(&copy);
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(copy);
    command.args(["--json", "snapshot", "--pid", &pid.to_string(), "-o"]).arg(output);
    command
}

fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
}

#[test]
fn a_process_that_is_traced_already_is_refused() {
    let target = target();
    let process = process::find(target.pid()).unwrap();
    let frozen = freeze(&process, Duration::from_secs(60)).unwrap();
    let folder = Folder::new();
    let (pid, tracer) = (target.pid().to_string(), std::process::id().to_string());
    refused(
        &[&"snapshot", &"--pid", &pid, &"-o", &folder.file()],
        PERMISSION,
        &[&pid, "already traced", &tracer],
    );
    assert_eq!(folder.names(), [""; 0]);
    // It is still the other tracer's.
    assert!(threads(target.pid()).iter().all(|t| t.tracer != 0));
    frozen.resume();
    assert_free(target.pid(), "after its tracer let it go");
    assert_eq!(snapshot(target.pid(), &folder.file()).code, Some(WHOLE));
}

/// A snapshot of a process that changes under it: it is there, or refused in one of the ways that fit; never a hang.
fn snapshot_of_the_restless(pid: u32, codes: &[i32]) -> i32 {
    let folder = Folder::new();
    let pid = pid.to_string();
    // A long budget: a loaded host is not what this is about.
    let long = "--max-pause=5s";
    let ran = run_command(&mut command(&[&"snapshot", &"--pid", &pid, &long, &"-o", &folder.file()]));
    let code = ran.code.unwrap_or(-1);
    assert!(codes.contains(&code), "{ran:?}");
    if [WHOLE, PARTIAL].contains(&code) {
        assert_eq!(folder.names(), ["out.db"]);
    } else {
        must_refuse(&ran, code, &[&pid]);
        assert_eq!(folder.names(), [""; 0]);
    }
    code
}

/// How often each code came.
fn counts(codes: &[i32]) -> Vec<(i32, usize)> {
    let mut kinds = codes.to_vec();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.iter().map(|kind| (*kind, codes.iter().filter(|c| *c == kind).count())).collect()
}

#[test]
fn a_process_may_exit_at_any_time() {
    const ROUNDS: u32 = 40;
    // As long as a snapshot takes here: so that the kills are spread over all of it.
    let first = target();
    let folder = Folder::new();
    let whole = snapshot(first.pid(), &folder.file()).took;
    let mut codes = Vec::new();
    for round in 0..ROUNDS {
        let target = Running::start(Program::any("many").command().arg("2000"), None);
        let pid = nix::unistd::Pid::from_raw(target.pid() as i32);
        let delay = whole * round / ROUNDS;
        let killer = std::thread::spawn(move || {
            pause(delay);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
        });
        codes.push(snapshot_of_the_restless(target.pid(), &[WHOLE, PARTIAL, NO_SUCH_PROCESS, VANISHED]));
        killer.join().unwrap();
    }
    println!("exit codes of {ROUNDS} snapshots of processes that are killed: {:?}", counts(&codes));
    assert!(codes.contains(&VANISHED), "no process was killed in time: {:?}", counts(&codes));
}

#[test]
fn a_process_may_exec_at_any_time() {
    const ROUNDS: usize = 60;
    let folder = tempfile::tempdir().unwrap();
    let execs = build_execs(folder.path(), &newest(), &[]).unwrap();
    let mut codes = Vec::new();
    for every in ["0ms", "3ms", "20ms", "100ms"] {
        let mut target = Running::start(Command::new(&execs).args(["exec", every]), None);
        for _ in 0..ROUNDS / 4 {
            codes.push(snapshot_of_the_restless(target.pid(), &[WHOLE, PARTIAL, VANISHED]));
            assert!(!target.has_ended(), "every {every}");
        }
        assert_free(target.pid(), every);
        let before = target.lines().count();
        let goes_on = poll(PATIENCE, || (target.lines().count() > 0).then_some(()));
        assert!(goes_on.is_some(), "it execs no more, after {before} times");
    }
    println!("exit codes of {ROUNDS} snapshots of a process that execs: {:?}", counts(&codes));
}

/// A copy of a program that says of itself that another Go built it: a text of the same length, in the place where a build
/// says its version (debug/buildinfo).
fn of_version(program: &Program, version: &str, folder: &Path) -> PathBuf {
    let mut bytes = std::fs::read(&program.path).unwrap();
    let magic = b"\xff Go buildinf:";
    let at = bytes.windows(magic.len()).position(|w| w == magic).unwrap() + 32;
    let said = usize::from(bytes[at]);
    assert_eq!(&bytes[at + 1..=at + said], program.version.as_bytes());
    assert_eq!(said, version.len(), "choose a version of the same length");
    bytes[at + 1..=at + said].copy_from_slice(version.as_bytes());
    let path = folder.join(version);
    std::fs::write(&path, bytes).unwrap();
    open_to_all(&path);
    path
}

#[test]
fn an_older_and_a_newer_go_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for version in ["go1.20.9", "go1.99.9"] {
        let path = of_version(&Program::any("many"), version, folder.path());
        let target = Running::start(Command::new(&path).arg("10"), None);
        refused_process(target.pid(), UNSUPPORTED, &[version, "rebuild"]);
    }
}

#[test]
fn a_release_that_is_not_known_needs_its_debug_information() {
    let folder = tempfile::tempdir().unwrap();
    let all = Program::all("many");
    let of =
        |kind: Kind| all.iter().rfind(|p| p.kind == kind && p.version.len() == "go1.27rc".len()).unwrap();
    let stripped = of_version(of(Kind::Stripped), "go1.27rc", folder.path());
    let target = Running::start(Command::new(&stripped).arg("10"), None);
    refused_process(target.pid(), UNSUPPORTED, &["go1.27rc", "debug information", "-ldflags"]);
    let normal = of_version(of(Kind::Normal), "go1.26rc", folder.path());
    let target = Running::start(Command::new(&normal).arg("10"), None);
    let ran = snapshot(target.pid(), &folder.path().join("out.db"));
    assert_eq!(ran.code, Some(WHOLE), "{ran:?}");
    assert_free(target.pid(), "go1.26rc");
}

/// Another release's structures would be wrong ones: that shows on the process, and nothing is guessed.
#[test]
fn a_program_that_is_not_of_its_release_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::all("many").into_iter().rfind(|p| p.kind == Kind::Stripped && p.minor() == 27);
    let path = of_version(&program.unwrap(), "go1.22.1", folder.path());
    let target = Running::start(Command::new(&path).arg("10"), None);
    refused_process(target.pid(), UNSUPPORTED, &["go1.22.1"]);
}

/// UPX leaves its header in the place of the program's own (see `is_packed`); here it stands in the padding of the ELF header.
#[test]
fn a_packed_program_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read("/bin/sleep").unwrap();
    bytes[9..13].copy_from_slice(b"UPX!");
    let path = folder.path().join("packed");
    std::fs::write(&path, bytes).unwrap();
    open_to_all(&path);
    let target = Running::silent(Command::new(&path).arg("600"));
    refused_process(target.pid(), UNSUPPORTED, &["UPX", "upx -d"]);
}

/// `snapshot --core` of what is no core file: the executable is read first.
fn refused_executable(folder: &Folder, exe: &Path, codes: &[i32]) -> i32 {
    let core = folder.0.path().join("core");
    std::fs::write(&core, "not a core file").unwrap();
    let ran =
        run_command(&mut command(&[&"snapshot", &"--core", &core, &"--exe", &exe, &"-o", &folder.file()]));
    let code = ran.code.unwrap_or(-1);
    assert!(codes.contains(&code), "{ran:?}");
    must_refuse(&ran, code, &[]);
    assert!(!folder.file().exists());
    code
}

#[test]
fn a_file_that_is_no_core_is_refused() {
    let folder = Folder::new();
    let ran = refused_executable(&folder, &Program::any("many").path, &[BAD_FILE]);
    assert_eq!(ran, BAD_FILE);
    let missing = folder.0.path().join("missing");
    refused(&[&"snapshot", &"--core", &missing, &"--exe", &missing], BAD_FILE, &["missing", "No such file"]);
    let text = folder.0.path().join("text");
    std::fs::write(&text, "just text").unwrap();
    refused(&[&"snapshot", &"--core", &text, &"--exe", &text], BAD_FILE, &["text", "ELF"]);
    refused(&[&"dump", &text], BAD_FILE, &["text", "not a snapshot"]);
}

#[test]
fn truncated_executables_are_refused() {
    let folder = Folder::new();
    let whole = std::fs::read(&Program::any("many").path).unwrap();
    let exe = folder.0.path().join("exe");
    let lengths = [0, 1, 3, 4, 16, 63, 64, 100, 1000, 4096].into_iter();
    let mut codes = Vec::new();
    for length in lengths.chain((1..16).map(|i| whole.len() * i / 16)).chain([whole.len() - 1]) {
        std::fs::write(&exe, &whole[..length]).unwrap();
        codes.push(refused_executable(&folder, &exe, &[BAD_FILE, UNSUPPORTED]));
    }
    println!("exit codes of truncated executables: {:?}", counts(&codes));
}

#[test]
fn damaged_executables_are_refused() {
    const ROUNDS: u64 = 48;
    let folder = Folder::new();
    let whole = std::fs::read(&Program::any("many").path).unwrap();
    let exe = folder.0.path().join("exe");
    // Numbers as random as they must be, and the same in every run (Knuth, MMIX).
    let mut seed: u64 = 4711;
    let mut number = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut codes = Vec::new();
    for round in 0..ROUNDS {
        let mut bytes = whole.clone();
        // One bit of the headers, or many bits anywhere.
        let (flips, range) = if round % 2 == 0 { (1, 4096) } else { (2000, bytes.len()) };
        for _ in 0..flips {
            bytes[number(range)] ^= 1 << number(8);
        }
        std::fs::write(&exe, bytes).unwrap();
        codes.push(refused_executable(&folder, &exe, &[BAD_FILE, UNSUPPORTED]));
    }
    println!("exit codes of damaged executables: {:?}", counts(&codes));
}

#[test]
fn an_existing_file_is_kept() {
    let (target, folder) = (target(), Folder::new());
    std::fs::write(folder.file(), "precious").unwrap();
    let pid = target.pid().to_string();
    refused(&[&"snapshot", &"--pid", &pid, &"-o", &folder.file()], OUTPUT, &["out.db", "exists", "--force"]);
    assert_eq!(folder.names(), ["out.db"]);
    assert_eq!(std::fs::read_to_string(folder.file()).unwrap(), "precious");
    assert_free(target.pid(), "after the refusal");
}

#[test]
fn a_folder_that_takes_no_file_is_refused() {
    let (target, folder) = (target(), Folder::new());
    let pid = target.pid().to_string();
    let file = folder.0.path().join("file");
    std::fs::write(&file, "").unwrap();
    let missing = folder.0.path().join("missing");
    for place in [missing.as_path(), file.as_path(), Path::new("/proc")] {
        let output = place.join("out.db");
        let named = output.to_str().unwrap();
        refused(&[&"snapshot", &"--pid", &pid, &"-o", &output], OUTPUT, &[named, "--output"]);
    }
    assert_eq!(folder.names(), ["file"]);
    if Uid::effective().is_root() {
        // Root may write anywhere; another user may not.
        let closed = folder.0.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        open_to_all(folder.0.path());
        let ran = run_command(&mut as_nobody(&folder, target.pid(), &closed.join("out.db")));
        must_refuse(&ran, OUTPUT, &["closed/out.db", "--output"]);
        assert!(std::fs::read_dir(closed).unwrap().next().is_none());
    }
    assert_free(target.pid(), "after the refusal");
}

/// A small file system; unmounted when dropped.
struct Disk<'a>(&'a Path);

impl Disk<'_> {
    fn mount<'a>(folder: &'a Path, size: &str) -> Disk<'a> {
        let ran = run_command(
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder),
        );
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        Disk(folder)
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    if !Uid::effective().is_root() {
        println!("only root can mount a small file system: run this test as root");
        return;
    }
    let (target, folder) = (target(), Folder::new());
    let pid = target.pid().to_string();
    // Full at once, after the schema, and towards the end.
    for size in ["4k", "64k", "192k"] {
        let disk = Disk::mount(folder.0.path(), size);
        refused(&[&"snapshot", &"--pid", &pid, &"-o", &folder.file()], OUTPUT, &["out.db"]);
        assert_eq!(folder.names(), [""; 0], "of {size}");
        drop(disk);
    }
    assert_free(target.pid(), "after the refusal");
}
