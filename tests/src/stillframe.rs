//! The command line under test.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use stillframe_node::freezer::{Freezer, VERB};

use crate::programs::poll;

/// A run of the command line that takes longer than this hangs.
pub const RUN_MAX: Duration = Duration::from_secs(60);

/// A run that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// `None`: ended by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

/// The binary: `$STILLFRAME_BINARY`, or the workspace's, built now.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("STILLFRAME_BINARY") {
        Some(path) => path.into(),
        None => build(),
    })
}

/// Builds it as these tests were built. Cargo gives no test the binary of another package.
fn build() -> PathBuf {
    let this = std::env::current_exe().expect("a test has an executable");
    let profile = this.ancestors().nth(2).expect("target/<profile>/deps/<test>");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "stillframe", "--bin", "stillframe", "--target-dir"]);
    cargo.arg(profile.parent().expect("target/<profile>"));
    if profile.file_name().is_some_and(|name| name == "release") {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().expect("cargo runs");
    assert!(status.success(), "{cargo:?}: {status}");
    profile.join("stillframe")
}

/// Where the command line keeps what it makes of builds while tests run: not in the user's own cache, and shared by the test
/// programs of one run of cargo, as decompressing takes time.
pub fn cache_folder() -> &'static Path {
    const NAME: &str = "stillframe-test-cache-";
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let this = std::env::current_exe().expect("a test has an executable");
        let profile = this.ancestors().nth(2).expect("target/<profile>/deps/<test>");
        for entry in std::fs::read_dir(profile).expect("it has this test").flatten() {
            // Left by a run that has ended.
            let name = entry.file_name().to_string_lossy().into_owned();
            let run = name.strip_prefix(NAME).map(|pid| Path::new("/proc").join(pid));
            if run.is_some_and(|run| !run.exists()) {
                // Another test may be at it, too.
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let folder = profile.join(format!("{NAME}{}", std::os::unix::process::parent_id()));
        std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        folder
    })
}

/// Has `command`, which is to start the command line, use [`cache_folder`].
pub fn isolate(command: &mut Command) -> &mut Command {
    command.env("XDG_CACHE_HOME", cache_folder()).env_remove("CACHE_DIRECTORY")
}

/// The command line, ready for arguments.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    isolate(&mut command);
    command
}

/// The binary as a freezer, for captures by the test itself.
pub fn freezer() -> Freezer {
    let freezer = Freezer::spawn(command().arg(VERB));
    freezer.unwrap_or_else(|e| panic!("{}: {e}", binary().display()))
}

/// Runs it with these arguments.
pub fn run<A: AsRef<OsStr>>(arguments: &[A]) -> Ran {
    run_command(command().args(arguments))
}

/// Runs any command; fails if it hangs.
pub fn run_command(command: &mut Command) -> Ran {
    let output = tempfile::tempfile().and_then(|o| Ok((o, tempfile::tempfile()?)));
    let (stdout, stderr) = output.expect("the folder for temporary files is writable");
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone().expect("a file can be duplicated"))
        .stderr(stderr.try_clone().expect("a file can be duplicated"))
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let status = poll(RUN_MAX, || child.try_wait().expect("it is our child")).unwrap_or_else(|| {
        let _ = child.kill();
        let _ = child.wait();
        panic!("{command:?}: hangs; it has said: {}", text_of(stderr.try_clone().expect("duplicated")))
    });
    Ran { code: status.code(), stdout: text_of(stdout), stderr: text_of(stderr), took: started.elapsed() }
}

fn text_of(mut file: std::fs::File) -> String {
    use std::io::{Read, Seek};
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("a temporary file is readable");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// `stillframe snapshot --pid PID -o FILE`, with time to spare: a loaded host may use up the usual budget.
pub fn snapshot(pid: u32, file: &Path) -> Ran {
    let pid = pid.to_string();
    let words = ["snapshot", "--max-pause", "5s", "--pid", &pid, "-o"];
    let arguments: Vec<&OsStr> =
        words.iter().map(OsStr::new).chain(std::iter::once(file.as_os_str())).collect();
    run(&arguments)
}

/// The text that `stillframe dump` makes of a snapshot; with `--system`, of all frames.
pub fn dump(file: &Path, system: bool) -> String {
    let mut arguments: Vec<&OsStr> = vec!["dump".as_ref(), file.as_os_str()];
    if system {
        arguments.push("--system".as_ref());
    }
    let ran = run(&arguments);
    assert_eq!(ran.code, Some(0), "dump {}: {}", file.display(), ran.stderr);
    ran.stdout
}
