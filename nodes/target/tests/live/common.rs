//! Targets for the tests: real programs, which say on their output how far they have come.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use stillframe_target::process::{self, Process};

/// How long a test waits for something that must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running target; killed when dropped.
pub struct Target {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

/// What `programs/busy` says.
#[derive(Clone, Copy, Debug)]
pub struct Counters {
    /// Spins, timers, collections, requests, heartbeats: all of them must grow.
    pub progress: [i64; 5],
    pub signals: i64,
    pub spawned: i64,
    /// The longest that its heartbeat stood, in nanoseconds.
    pub gap_worst_ns: i64,
}

impl Target {
    pub fn start(command: &mut Command) -> Target {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = loop {
            match command.spawn() {
                Ok(child) => break child,
                // A test beside this one has just forked, and its child still has the file open that was written here.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                Err(error) => panic!("{command:?}: {error}"),
            }
        };
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Target { child, input, lines: lines_of(output) }
    }

    /// A Go program of `tests/programs`.
    pub fn go(program: &str, arguments: &[&str]) -> Target {
        Target::start(Command::new(build_go(program)).args(arguments))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn process(&self) -> Process {
        process::find(self.pid()).unwrap()
    }

    /// The next line of its output.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the target says something")
    }

    pub fn say(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    pub fn counters(&mut self) -> Counters {
        self.say("count");
        self.read_counters()
    }

    pub fn reset_gap(&mut self) {
        self.say("reset");
        self.read_counters();
    }

    fn read_counters(&mut self) -> Counters {
        let line = self.line();
        let all: Vec<i64> = line.split(' ').map(|w| w.parse().unwrap()).collect();
        Counters {
            progress: all[..5].try_into().unwrap(),
            signals: all[5],
            spawned: all[6],
            gap_worst_ns: all[7],
        }
    }

    /// Fails if one of its goroutines does not go on any more.
    pub fn assert_progress(&mut self) {
        let before = self.counters();
        wait_until("all counters grow", || {
            let now = self.counters();
            (0..5).all(|i| now.progress[i] > before.progress[i])
        });
    }

    /// Untraced and not stopped, in every thread.
    pub fn assert_free(&self) {
        wait_until("the target is untraced", || self.states().iter().all(|(_, tracer)| *tracer == 0));
        assert!(!self.states().iter().any(|(state, _)| matches!(state, 'T' | 't')), "{:?}", self.states());
    }

    /// State and tracer of every thread.
    pub fn states(&self) -> Vec<(char, u32)> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        tasks
            .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("status")).ok())
            .map(|status| {
                let field =
                    |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap().trim().to_owned();
                (field("State:").chars().next().unwrap(), field("TracerPid:").parse().unwrap())
            })
            .collect()
    }

    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    pub fn wait(&mut self) {
        self.child.wait().unwrap();
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines_of(output: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Asks until the answer is yes: for states of other processes that nobody tells.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        std::thread::yield_now();
    }
}

/// Builds a Go program once; tests that run at the same time wait for each other by Go's own build cache.
pub fn build_go(program: &str) -> PathBuf {
    let source = source_folder().join(program).join("main.go");
    let built = built_folder().join(format!("{program}-{}", std::process::id()));
    static BUILDING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(|e| e.into_inner());
    if !built.exists() {
        let go = ["/usr/local/go/bin/go", "go"]
            .into_iter()
            .find(|go| Command::new(go).arg("version").output().is_ok());
        let go = go.expect("Go is needed for this test: install it from https://go.dev/dl");
        let status = Command::new(go).arg("build").arg("-o").arg(&built).arg(&source).status().unwrap();
        assert!(status.success(), "go build {}", source.display());
    }
    built
}

pub fn source_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/programs")
}

pub fn built_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}
