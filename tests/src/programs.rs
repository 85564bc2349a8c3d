//! The Go programs of `tests/programs`: which are built, and running ones.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a test waits for something that must come.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The folder that holds the built programs; `tools/build-programs.sh` fills it.
const PROGRAMS_VARIABLE: &str = "STILLFRAME_PROGRAMS";

/// How a program was built; `tools/build-programs.sh` says how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Without cgo, at a fixed address.
    Normal,
    /// Without debug information: `-ldflags=-w`.
    NoDebugInfo,
    /// Without debug information and symbols.
    Stripped,
    /// Stripped, and without section headers.
    Bare,
    /// Position-independent, without cgo.
    Pie,
    PieStripped,
    /// With the race detector.
    Race,
    /// Without the folders in file names.
    Trimpath,
    /// With cgo, linked by the system's linker.
    Cgo,
    CgoPieStripped,
}

impl Kind {
    const ALL: [Kind; 10] = [
        Kind::Normal,
        Kind::NoDebugInfo,
        Kind::Stripped,
        Kind::Bare,
        Kind::Pie,
        Kind::PieStripped,
        Kind::Race,
        Kind::Trimpath,
        Kind::Cgo,
        Kind::CgoPieStripped,
    ];

    fn name(self) -> &'static str {
        match self {
            Kind::Normal => "normal",
            Kind::NoDebugInfo => "w",
            Kind::Stripped => "stripped",
            Kind::Bare => "bare",
            Kind::Pie => "pie",
            Kind::PieStripped => "pie-stripped",
            Kind::Race => "race",
            Kind::Trimpath => "trimpath",
            Kind::Cgo => "cgo",
            Kind::CgoPieStripped => "cgo-pie-stripped",
        }
    }

    pub fn uses_cgo(self) -> bool {
        matches!(self, Kind::Cgo | Kind::CgoPieStripped | Kind::Race)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One built program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub name: String,
    /// `go1.26.6`.
    pub version: String,
    pub kind: Kind,
    pub path: PathBuf,
}

/// The versions that must be there, by their minor number.
pub const MINORS: std::ops::RangeInclusive<u32> = 21..=27;

impl Program {
    /// 26 of `go1.26.6`.
    pub fn minor(&self) -> u32 {
        let minor = self.version.split('.').nth(1).and_then(|m| m.parse().ok());
        minor.unwrap_or_else(|| panic!("{}: no version of the form go1.26.6", self.path.display()))
    }

    /// All builds of the program `name`, sorted. Fails, rather than pass over what is not there, when a version has none.
    pub fn all(name: &str) -> Vec<Program> {
        let programs = Program::some(name);
        for minor in MINORS {
            assert!(
                programs.iter().any(|p| p.minor() == minor),
                "no {name}-1.{minor}.* among {programs:?}; run ./test, which builds the Go programs",
            );
        }
        programs
    }

    /// Those that there are, of a program that not every version builds: sorted, and not none.
    pub fn some(name: &str) -> Vec<Program> {
        let folder = std::env::var_os(PROGRAMS_VARIABLE).filter(|f| !f.is_empty()).unwrap_or_else(|| {
            panic!("{PROGRAMS_VARIABLE} is not set: run ./test, which builds the Go programs and sets it")
        });
        let folder = PathBuf::from(folder);
        let entries = std::fs::read_dir(&folder)
            .unwrap_or_else(|e| panic!("{PROGRAMS_VARIABLE}={}: {e}; run ./test", folder.display()));
        let mut programs: Vec<Program> =
            entries.filter_map(|entry| Program::parse(name, &entry.ok()?.path())).collect();
        programs.sort_by_key(|p| (p.minor(), p.version.clone(), p.kind));
        assert!(
            !programs.is_empty(),
            "{}: no {name}; run ./test, which builds the Go programs",
            folder.display()
        );
        programs
    }

    /// One build, for tests that need just any Go process.
    pub fn any(name: &str) -> Program {
        Program::all(name).pop().expect("all() has at least one of each version")
    }

    fn parse(name: &str, path: &Path) -> Option<Program> {
        let rest = path.file_name()?.to_str()?.strip_prefix(name)?.strip_prefix('-')?;
        let (version, kind) = rest.split_once('-')?;
        let kind = Kind::ALL.into_iter().find(|k| k.name() == kind)?;
        let version = version.strip_prefix("go").unwrap_or(version);
        let digit = version.strip_prefix("1.")?.starts_with(|c: char| c.is_ascii_digit());
        digit.then(|| Program {
            name: name.to_owned(),
            version: format!("go{version}"),
            kind,
            path: path.to_owned(),
        })
    }

    pub fn command(&self) -> Command {
        Command::new(&self.path)
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.name, self.version, self.kind)
    }
}

/// A running program; killed, and waited for, when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    /// What it said when it was ready, word by word, without `ready`.
    pub ready: Vec<String>,
}

impl Running {
    /// Starts a program that prints `ready <pid> ...`, and waits for that. Its standard error goes to `errors`, or to
    /// the test's.
    pub fn start(command: &mut Command, errors: Option<&Path>) -> Running {
        let errors =
            errors.map(|path| File::create(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())));
        let mut running = Running::spawn(command, errors.map_or(Stdio::inherit(), Stdio::from));
        running.await_ready();
        running
    }

    /// For a program that does not say when it is ready: what it says goes to `log`.
    pub fn logged(command: &mut Command, log: &Path) -> Running {
        let file = File::create(log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        Running::spawn(command, Stdio::from(file))
    }

    /// As `start`, for a program that says nothing.
    pub fn silent(command: &mut Command) -> Running {
        Running::spawn(command, Stdio::null())
    }

    fn spawn(command: &mut Command, errors: Stdio) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let output = child.stdout.take().expect("its output is piped");
        let (sender, lines) = unbounded();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Running { child, lines, ready: Vec::new() }
    }

    fn await_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).unwrap_or_else(|e| {
                panic!("pid {}: it never said ready: {e}; {:?}", self.pid(), self.child.try_wait())
            });
            if let Some(words) = line.strip_prefix("ready ") {
                self.ready = words.split_whitespace().map(str::to_owned).collect();
                return;
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid() as i32), signal)
            .unwrap_or_else(|e| panic!("pid {}: {signal}: {e}", self.pid()));
    }

    /// What it has said since it was ready, or since this was asked last.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        self.lines.try_iter()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        let ended = poll(PATIENCE, || self.child.try_wait().expect("it is our child"));
        ended.unwrap_or_else(|| panic!("pid {}: it did not end", self.pid()))
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program must not stand still because a test does not listen.
fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    std::sync::mpsc::channel()
}

/// Asks again and again, until there is an answer or `limit` has passed.
pub fn poll<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        pause(Duration::from_millis(5));
    }
}

/// Lets time pass.
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_programs_tell_version_and_kind() {
        let program = Program::parse("still", Path::new("/p/still-1.26.6-pie")).unwrap();
        assert_eq!((program.version.as_str(), program.kind, program.minor()), ("go1.26.6", Kind::Pie, 26));
        assert_eq!(program.to_string(), "still-go1.26.6-pie");
        for other in [
            "still",
            "still-1.26.6",
            "still-1.26.6-arm",
            "busy-1.26.6-pie",
            "still-x-pie",
            "still-1.26.6-pie.a",
        ] {
            assert_eq!(Program::parse("still", &Path::new("/p").join(other)), None, "{other}");
        }
    }
}
