//! `stillframe snapshot`: captures targets one after the other into one file.
//!
//! JSON (on stdout; on stderr if the snapshot itself goes to stdout): `{"file", "id", "bytes", "complete", "goroutines",
//! "stacks", "functions", "gaps", "processes": [{"pid", "program", "goroutines", "pause_ns", "frozen_ns", "state",
//! "reason"}]}`.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{ArgGroup, Args};
use serde_json::json;
use stillframe_actors::glob;
use stillframe_node::CaptureError;
use stillframe_node::capture::{Captures, Options, Phase, Source};
use stillframe_node::freezer::{self, Freezer, Role};
use stillframe_node::{host, targets};
use stillframe_wire::batch::batches;
use stillframe_wire::facts::ProcessFacts;

use super::clock::{self, Start};
use super::interrupt::Interrupt;
use super::progress::Progress;
use super::{Class, Done, Failure, output, remote_snapshot};
use crate::api::Selector;
use crate::store::order::{ClockBound, Existing, HostKey, LostProcess, SnapshotMeta, Summary, WriteError};
use crate::store::writer::SnapshotWriter;

/// Take a snapshot: all goroutines of one or more Go processes into one SQLite file.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("source").required(true).multiple(true).args(["pid", "program", "all", "core", "host"]),
    after_help = "\
Each process is stopped for some milliseconds, one after the other, and never for longer than --max-pause.
The file is either whole or not there, and only its owner may read it. Exit code 10: it is there, and says what is
missing from it. Without --json its name is printed on stdout.

Examples:
  stillframe snapshot --pid 4711
  stillframe snapshot --pid 4711 --pid 4712 -o s.db --label 'checkout hangs'
  stillframe snapshot --program 'shop-*' --max-pause 20ms -o s.db --force
  stillframe snapshot --all -o - | ssh desk 'cat > s.db'
  stillframe snapshot --core core.4711 --exe /usr/bin/shop
  stillframe snapshot --coordinator http://127.0.0.1:7480 --host 'web-*' --program 'shop-*' --within 60s"
)]
pub struct Arguments {
    /// A process. May be repeated.
    #[arg(long)]
    pid: Vec<u32>,
    /// Processes whose program has this name; * and ? stand for any text and any character. May be repeated.
    #[arg(long, value_name = "GLOB")]
    program: Vec<String>,
    /// All Go processes of this host.
    #[arg(long)]
    all: bool,
    /// A core file, instead of running processes.
    #[arg(long, value_name = "FILE", requires = "exe", conflicts_with_all = ["pid", "program", "all"])]
    core: Option<PathBuf>,
    /// The executable that the core file is of.
    #[arg(long, value_name = "FILE", requires = "core")]
    exe: Option<PathBuf>,
    /// The file to write; - is stdout [default: stillframe-PROGRAM-TIME.db]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
    /// A note that is kept in the file.
    #[arg(long)]
    label: Option<String>,
    /// The longest that a process may be stopped: 500us, 50ms, 1s [default: 50ms, more above 50,000 goroutines]
    #[arg(long, value_name = "TIME", value_parser = parse_pause)]
    max_pause: Option<Duration>,
    /// Take it by this coordinator, of all its hosts at one instant. Not for core files.
    #[arg(long, value_name = "URL", env = "STILLFRAME_COORDINATOR")]
    coordinator: Option<String>,
    /// Hosts whose node has this name; * and ? as above. May be repeated. Needs a coordinator.
    #[arg(long, value_name = "GLOB", requires = "coordinator", conflicts_with = "core")]
    host: Vec<String>,
    /// The time that a coordinator has for it.
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = parse_duration)]
    within: Duration,
}

/// One thing to capture.
struct Target {
    source: Source,
    /// As far as it is known before the capture.
    pid: Option<u32>,
    program: Option<String>,
    /// Why it need not be tried.
    refusal: Option<String>,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let to_stdout = arguments.output.as_deref() == Some(Path::new("-"));
    if to_stdout && io::stdout().is_terminal() {
        let message = "a snapshot is a binary file; it is not printed to a terminal";
        return Err(
            Failure::new(Class::Usage, message, "redirect stdout, or name a file with --output").into()
        );
    }
    if let (Some(coordinator), None) = (&arguments.coordinator, &arguments.core) {
        return remote_snapshot::run(wanted(coordinator, arguments), json);
    }
    // Before there is a second thread, which would keep the privileges that this one gives up.
    let freezer = match arguments.core {
        Some(_) => None,
        None => Some(freezer::start(Role::Output)?),
    };
    let interrupt = Interrupt::install()?;
    let start = Start::now();
    let targets = targets(arguments, freezer.as_ref())?;
    let folder =
        if to_stdout { Some(tempfile::tempdir().context("no temporary folder can be made")?) } else { None };
    if let Some(folder) = &folder {
        interrupt.delete(folder.path());
    }
    let output =
        folder.as_ref().map(|folder| folder.path().join("snapshot.db")).or_else(|| arguments.output.clone());
    let file = NewFile { output, writer: None, arguments, interrupt: &interrupt, start };

    let summary = capture_all(&targets, freezer, file, &interrupt, start)?;
    if to_stdout {
        print_file(&summary.path)?;
    } else {
        interrupt.set_written();
    }
    report(&summary, to_stdout, json)?;
    Ok(if summary.complete { Done::Whole } else { Done::Partial })
}

/// The same, by a coordinator.
fn wanted(coordinator: &str, arguments: &Arguments) -> remote_snapshot::Wanted {
    let program = arguments.program.first().map_or("all", String::as_str);
    let default = || default_output(program, clock::unix_ns());
    remote_snapshot::Wanted {
        coordinator: coordinator.to_owned(),
        selector: Selector {
            hosts: arguments.host.clone(),
            programs: arguments.program.clone(),
            pids: arguments.pid.clone(),
        },
        output: arguments.output.clone().unwrap_or_else(default),
        existing: if arguments.force { Existing::Replace } else { Existing::Refuse },
        label: arguments.label.clone(),
        max_pause: arguments.max_pause,
        within: arguments.within,
    }
}

pub(super) fn print_file(path: &Path) -> Result<(), Failure> {
    copy_to_stdout(path).map_err(|error| {
        let message = format!("stdout: the snapshot was not written whole: {error}");
        Failure::new(Class::Output, message, "see that the reader of the pipe takes all of it")
    })
}

fn copy_to_stdout(path: &Path) -> io::Result<()> {
    let mut snapshot = File::open(path)?;
    let mut out = io::stdout().lock();
    io::copy(&mut snapshot, &mut out)?;
    out.flush()
}

/// What the command line selects: each process once.
fn targets(arguments: &Arguments, freezer: Option<&Freezer>) -> anyhow::Result<Vec<Target>> {
    if let (Some(core), Some(exe)) = (&arguments.core, &arguments.exe) {
        let source = Source::Core { core: core.clone(), exe: exe.clone() };
        return Ok(vec![Target { source, pid: None, program: None, refusal: None }]);
    }
    let mut selected: Vec<Target> = Vec::new();
    let add = |selected: &mut Vec<Target>, pid: u32, program: Option<String>, refusal: Option<String>| {
        if !selected.iter().any(|target| target.pid == Some(pid)) {
            selected.push(Target { source: Source::Pid(pid), pid: Some(pid), program, refusal });
        }
    };
    for pid in &arguments.pid {
        add(&mut selected, *pid, None, None);
    }
    if let Some(freezer) = freezer.filter(|_| arguments.all || !arguments.program.is_empty()) {
        let found = targets::list(freezer).context("the processes of this host cannot be listed")?;
        let is_wanted = |program: &str| {
            arguments.all || arguments.program.iter().any(|glob| glob::matches(glob, program))
        };
        for target in found.targets.into_iter().filter(|target| is_wanted(&target.program)) {
            add(&mut selected, target.pid, Some(target.program), target.refusal);
        }
        if selected.is_empty() {
            let denied = match found.denied.len() {
                0 => String::new(),
                denied => format!(" ({} may not be looked at)", output::count(denied as u64, "process")),
            };
            let message = format!("no Go process fits {}{denied}", selector(arguments));
            let remedy = "`stillframe ps` lists the Go processes of this host; as root it sees all";
            return Err(Failure::new(Class::NoSuchProcess, message, remedy).into());
        }
    }
    Ok(selected)
}

fn capture_all(
    targets: &[Target],
    freezer: Option<Freezer>,
    mut file: NewFile<'_>,
    interrupt: &Interrupt,
    start: Start,
) -> anyhow::Result<Summary> {
    // Before any process is stopped: a file that cannot be written is no reason to stop one.
    if file.output.is_some() {
        file.open("").map_err(Failure::from)?;
    }
    let progress = Progress::start();
    let options = Options { max_pause: file.arguments.max_pause };
    let captures = freezer.map_or_else(Captures::default, Captures::new);
    let mut lost: Vec<(LostProcess, Failure)> = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        let name = target.pid.map_or_else(|| "core file".to_owned(), |pid| format!("pid {pid}"));
        let mut say = |phase: Phase| {
            interrupt.set_frozen(matches!(phase, Phase::Freezing | Phase::Reading));
            progress.say(format!("{} of {}: {name}: {}", index + 1, targets.len(), phase.text()));
        };
        let captured = match &target.refusal {
            Some(refusal) => Err(Lost::Process(refused(target, refusal))),
            None => captures
                .capture(&target.source, &options, &mut say)
                .map_err(|error: CaptureError| Lost::Process(Failure::of_capture(&error, target.pid))),
        };
        interrupt.set_frozen(false);
        let written = captured.and_then(|facts| {
            progress.say(format!("{} of {}: {name}: writing", index + 1, targets.len()));
            file.add(&name, facts)
        });
        match written {
            Ok(()) => {}
            Err(Lost::Process(failure)) => {
                let reason = failure.message.clone();
                let program = target.program.clone().unwrap_or_default();
                lost.push((LostProcess { pid: target.pid.unwrap_or(0), program, reason }, failure));
            }
            Err(Lost::File(failure)) => return Err(failure.into()),
        }
    }
    if lost.len() == targets.len() {
        // Nothing was captured: no file, and the first failure says why.
        let failure = lost.into_iter().next().map(|(_, failure)| failure);
        return Err(failure.context("nothing was selected")?.into());
    }
    let duration_ns = start.elapsed_ns();
    progress.say("indexing and checking the file".to_owned());
    file.finish(&lost, duration_ns).map_err(|error| Failure::from(error).into())
}

fn refused(target: &Target, refusal: &str) -> Failure {
    let pid = target.pid.unwrap_or(0);
    let message = format!("pid {pid} ({}): {refusal}", target.program.as_deref().unwrap_or("?"));
    Failure::new(
        Class::Unsupported,
        message,
        format!("`stillframe doctor --pid {pid}` says what can be done"),
    )
}

/// How much a failure costs.
enum Lost {
    /// The snapshot goes on without this one.
    Process(Failure),
    File(Failure),
}

/// The file to be written. Without --output its name needs the first program's.
struct NewFile<'a> {
    output: Option<PathBuf>,
    writer: Option<(SnapshotWriter, HostKey)>,
    arguments: &'a Arguments,
    interrupt: &'a Interrupt,
    start: Start,
}

impl NewFile<'_> {
    fn open(&mut self, program: &str) -> Result<&mut (SnapshotWriter, HostKey), WriteError> {
        if self.writer.is_none() {
            let output = self.output.clone().unwrap_or_else(|| default_output(program, self.start.unix_ns));
            let existing = if self.arguments.force { Existing::Replace } else { Existing::Refuse };
            let meta = SnapshotMeta {
                id: uuid::Uuid::now_v7().to_string(),
                label: self.arguments.label.clone(),
                taken_at_unix_ns: self.start.unix_ns,
                requested_by: std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).ok(),
                tool_version: env!("CARGO_PKG_VERSION").to_owned(),
                selector: selector(self.arguments),
                probes: None,
            };
            let mut writer = SnapshotWriter::create(&output, existing, meta)?;
            self.interrupt.delete(writer.temporary_path());
            // Node and coordinator are one process, on one clock.
            let host = writer.host(&host::facts(), ClockBound::default())?;
            self.writer = Some((writer, host));
        }
        Ok(self.writer.as_mut().expect("was made above"))
    }

    fn add(&mut self, name: &str, facts: ProcessFacts) -> Result<(), Lost> {
        let lost = |error| match error {
            WriteError::BadFacts { .. } => Lost::Process(error.into()),
            error => Lost::File(error.into()),
        };
        let (writer, host) = self.open(&facts.program).map_err(lost)?;
        writer.process(*host, name, batches(facts)).map_err(lost)?;
        Ok(())
    }

    fn finish(mut self, lost: &[(LostProcess, Failure)], duration_ns: i64) -> Result<Summary, WriteError> {
        self.open("")?;
        let (mut writer, host) = self.writer.take().expect("was made above");
        for (process, _) in lost {
            writer.lost_process(host, process)?;
        }
        writer.finish(duration_ns)
    }
}

/// A program may be called anything; its file's name is plain.
fn default_output(program: &str, unix_ns: i64) -> PathBuf {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let program: String = program.chars().map(|c| if is_plain(c) { c } else { '_' }).take(64).collect();
    PathBuf::from(format!("stillframe-{program}-{}.db", clock::compact_utc(unix_ns)))
}

/// The selection, as on the command line.
fn selector(arguments: &Arguments) -> String {
    let mut words: Vec<String> = arguments.pid.iter().map(|pid| format!("--pid {pid}")).collect();
    words.extend(arguments.program.iter().map(|glob| format!("--program '{glob}'")));
    words.extend(arguments.all.then(|| "--all".to_owned()));
    words.extend(arguments.core.iter().map(|core| format!("--core '{}'", core.display())));
    words.extend(arguments.exe.iter().map(|exe| format!("--exe '{}'", exe.display())));
    words.join(" ")
}

fn report(summary: &Summary, to_stdout: bool, json: bool) -> anyhow::Result<()> {
    if json {
        let text = to_json(summary, to_stdout);
        if to_stdout {
            output::say(&text.to_string());
        } else {
            output::write_json(&mut output::stdout(), &text)?;
        }
        return Ok(());
    }
    for process in &summary.processes {
        let program = output::printable(&process.program);
        let pause = match process.pause_ns {
            Some(pause) => format!("stopped for {}", output::duration(pause)),
            None if process.state == "failed" => "not captured".to_owned(),
            None => "not stopped".to_owned(),
        };
        let goroutines = output::count(process.goroutines, "goroutine");
        output::say(&format!("pid {} {program}: {goroutines}, {pause}", process.pid));
        if process.state != "complete" {
            let reason = process.reason.as_deref().unwrap_or("see the table gaps");
            let state = output::paint(process.state, output::Paint::Yellow);
            output::say(&format!("    {state}: {}", output::printable(reason)));
        }
    }
    let processes = output::count(summary.processes.len() as u64, "process");
    let goroutines = output::count(summary.goroutines, "goroutine");
    let stacks = output::count(summary.stacks, "stack");
    let size = output::size(summary.bytes);
    output::say(&format!("{processes}, {goroutines} on {stacks}; {size}"));
    if summary.gaps > 0 {
        output::say(&format!("{}: select * from gaps", output::count(summary.gaps, "gap")));
    }
    if !to_stdout {
        let file = summary.path.display();
        writeln!(io::stdout(), "{file}")?;
        output::say(&format!(
            "next:\n  stillframe groups {file}\n  stillframe dump {file}\n  stillframe sql {file} 'select name, question, example from about'"
        ));
    }
    Ok(())
}

fn to_json(summary: &Summary, to_stdout: bool) -> serde_json::Value {
    let processes: Vec<_> = summary
        .processes
        .iter()
        .map(|process| {
            json!({
                "pid": process.pid,
                "program": process.program,
                "goroutines": process.goroutines,
                "pause_ns": process.pause_ns,
                "frozen_ns": process.frozen_ns,
                "state": process.state,
                "reason": process.reason,
            })
        })
        .collect();
    json!({
        "file": if to_stdout { "-".into() } else { summary.path.to_string_lossy() },
        "id": summary.id,
        "bytes": summary.bytes,
        "complete": summary.complete,
        "goroutines": summary.goroutines,
        "stacks": summary.stacks,
        "functions": summary.functions,
        "gaps": summary.gaps,
        "processes": processes,
    })
}

/// `500us`, `50ms`, `1s`, `1.5s`, `2m`; 0 needs no unit.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || "not a time: write 500us, 50ms, 1s or 2m".to_owned();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let number: f64 = text[..end].parse().map_err(|_| wrong())?;
    let unit_s = match text[end..].trim() {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "" if number == 0.0 => 1.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(number * unit_s).map_err(|_| wrong())
}

/// Nothing can be read in no time.
fn parse_pause(text: &str) -> Result<Duration, String> {
    match parse_duration(text)? {
        Duration::ZERO => Err("a pause of nothing captures nothing: write 500us, 50ms or 1s".to_owned()),
        pause => Ok(pause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(parse_duration("500us"), Ok(Duration::from_micros(500)));
        assert_eq!(parse_duration("50ms"), Ok(Duration::from_millis(50)));
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        for wrong in ["", "50", "ms", "1h", "-1s", "1e400s", "1..2s", "999999999999999999999s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        assert!(parse_pause("0s").is_err());
    }

    #[test]
    fn the_default_name_is_plain_and_has_the_time() {
        assert_eq!(default_output("shop", 0), Path::new("stillframe-shop-19700101T000000Z.db"));
        assert_eq!(default_output("../a b", 0), Path::new("stillframe-.._a_b-19700101T000000Z.db"));
    }
}
