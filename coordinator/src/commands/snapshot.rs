//! `stillframe snapshot`: what is asked for on the command line, here or by a coordinator.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, Args};

use super::coordinator::Client;
use super::{Class, Done, Failure, clock, local_snapshot, output, probe_files, remote_snapshot};
use stillframe_actors::order::Stop;

use crate::api::Selector;
use crate::api::probe_sets::ProbeSetText;
use crate::packs;
use crate::probe_sets::StoredName;
use crate::store::order::Existing;

/// Take a snapshot: all goroutines of one or more Go processes into one SQLite file.
#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("source").required(true).multiple(true).args(["pid", "program", "all", "core", "host"]),
    after_help = "\
Each process is stopped for some milliseconds, and never for longer than --max-pause.
The file is either whole or not there, and only its owner may read it. Exit code 10: it is there, and says what is
missing from it. Without --json its name is printed on stdout.

Examples:
  stillframe snapshot --pid 4711
  stillframe snapshot --pid 4711 --pid 4712 -o s.db --label 'checkout hangs'
  stillframe snapshot --program 'shop-*' --max-pause 20ms -o s.db --force
  stillframe snapshot --program 'shop-*' --probes orders.toml -o s.db
  stillframe snapshot --program 'shop-*' --pack default --pack locks -o s.db
  stillframe snapshot --all -o - | ssh desk 'cat > s.db'
  stillframe snapshot --core core.4711 --exe /usr/bin/shop
  stillframe snapshot --coordinator http://127.0.0.1:7480 --host 'web-*' --program 'shop-*' --within 60s"
)]
pub struct Arguments {
    /// A process. May be repeated.
    #[arg(long)]
    pub(super) pid: Vec<u32>,
    /// Processes whose program has this name; * and ? stand for any text and any character. May be repeated.
    #[arg(long, value_name = "GLOB")]
    pub(super) program: Vec<String>,
    /// All Go processes of this host.
    #[arg(long)]
    pub(super) all: bool,
    /// A core file, instead of running processes.
    #[arg(long, value_name = "FILE", requires = "exe", conflicts_with_all = ["pid", "program", "all"])]
    pub(super) core: Option<PathBuf>,
    /// The executable that the core file is of.
    #[arg(long, value_name = "FILE", requires = "core")]
    pub(super) exe: Option<PathBuf>,
    /// The file to write; - is stdout [default: stillframe-PROGRAM-TIME.db]
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long)]
    pub(super) force: bool,
    /// A note that is kept in the file.
    #[arg(long)]
    pub(super) label: Option<String>,
    /// The longest that a process may be stopped: 500us, 50ms, 1s [default: 50ms, more above 50,000 goroutines]
    #[arg(long, value_name = "TIME", value_parser = parse_pause)]
    pub(super) max_pause: Option<Duration>,
    /// Keep all processes stopped until this long after the instant of the snapshot, so that the stops of several hosts
    /// overlap and the cut is consistent: some ms more than clocks and schedulers are apart. At most half of --max-pause.
    #[arg(long, value_name = "TIME", value_parser = parse_pause)]
    hold: Option<Duration>,
    /// What to capture wherever a function stands on a stack: a file of probes (TOML), or a folder of them; - is stdin. May
    /// be repeated.
    #[arg(long, value_name = "FILE")]
    pub(super) probes: Vec<PathBuf>,
    /// What to capture of well-known libraries: a pack of `stillframe probe packs`, instead of those that are captured by
    /// default; none, default or all. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub(super) pack: Vec<String>,
    /// A probe set that the coordinator keeps, as NAME or NAME@VERSION. May be repeated.
    #[arg(long, value_name = "NAME", requires = "coordinator")]
    set: Vec<String>,
    /// Leave out the sets that the coordinator adds by default.
    #[arg(long, requires = "coordinator")]
    no_default_sets: bool,
    /// Take it by this coordinator, of all its hosts at one instant. Not for core files.
    #[arg(long, value_name = "URL", env = "STILLFRAME_COORDINATOR")]
    coordinator: Option<String>,
    /// Hosts whose node has this name; * and ? as above. May be repeated. Needs a coordinator.
    #[arg(long, value_name = "GLOB", requires = "coordinator", conflicts_with = "core")]
    host: Vec<String>,
    /// The time that it may take, the finishing of the file aside.
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = parse_duration)]
    pub(super) within: Duration,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    if arguments.output.as_deref() == Some(Path::new("-")) && io::stdout().is_terminal() {
        let message = "a snapshot is a binary file; it is not printed to a terminal";
        return Err(
            Failure::new(Class::Usage, message, "redirect stdout, or name a file with --output").into()
        );
    }
    let packs = probe_files::packs(&arguments.pack)?;
    let probes = match &arguments.coordinator {
        Some(url) => {
            let client = Client::new(url)?;
            let stored = stored_sets(&client, arguments)?;
            let keeper = |set: &StoredName| client.named_probe_set(&set.name, set.version.unwrap_or(0));
            probe_files::read(&packs, &stored, &arguments.probes, &keeper)?
        }
        None => probe_files::read(&packs, &[], &arguments.probes, &no_keeper)?,
    };
    match (&arguments.coordinator, &arguments.core) {
        (Some(coordinator), None) => remote_snapshot::run(wanted(coordinator, arguments, probes), json),
        _ => local_snapshot::run(arguments, &probes, json),
    }
}

fn no_keeper(set: &StoredName) -> Result<ProbeSetText, Failure> {
    let message = format!("{} is a set that a coordinator keeps, and none is named", set.name);
    let help = format!("give --coordinator, or name a file: \"{}.toml\"", set.name);
    Err(Failure::new(Class::Usage, message, help))
}

/// Those that are named, and those that are added by default.
fn stored_sets(client: &Client, arguments: &Arguments) -> anyhow::Result<Vec<ProbeSetText>> {
    let mut wanted: Vec<(String, u32)> = Vec::new();
    for text in &arguments.set {
        let set = StoredName::parse(text).ok_or_else(|| {
            let message = format!("{text}: neither a set's name nor one with a version");
            Failure::new(
                Class::Usage,
                message,
                "write --set orders or --set orders@3; a file goes with --probes",
            )
        })?;
        wanted.push((set.name, set.version.unwrap_or(0)));
    }
    if !arguments.no_default_sets {
        let by_default = client.probe_sets()?.sets.into_iter().filter(|set| set.is_default);
        wanted.extend(by_default.map(|set| (set.name, set.version)));
    }
    let mut sets: Vec<ProbeSetText> = Vec::new();
    for (name, version) in wanted {
        if !sets.iter().any(|set| set.entry.name == name) {
            sets.push(client.named_probe_set(&name, version)?);
        }
    }
    Ok(sets)
}

/// The same, by a coordinator.
fn wanted(coordinator: &str, arguments: &Arguments, probes: String) -> remote_snapshot::Wanted {
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
        existing: arguments.existing(),
        label: arguments.label.clone(),
        stop: Stop { max: arguments.max_pause, hold: arguments.hold() },
        probes,
        within: arguments.within,
    }
}

impl Arguments {
    pub(super) fn hold(&self) -> Duration {
        self.hold.unwrap_or_default()
    }

    pub(super) fn existing(&self) -> Existing {
        if self.force { Existing::Replace } else { Existing::Refuse }
    }
}

/// Who asks, as far as the environment says.
pub(super) fn requested_by() -> Option<String> {
    std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).ok()
}

/// A probe that has matched nothing is perhaps misspelled; those of packs are not.
pub(super) fn say_empty_probes(names: &[String]) {
    let names: Vec<&String> = names.iter().filter(|name| !packs::have_probe(name)).collect();
    for name in &names {
        output::say(&format!("probe {}: its function stands on no stack", output::printable(name)));
    }
    if !names.is_empty() {
        output::say("`stillframe probe check FILE --pid PID` says which functions a probe means");
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

/// A program may be called anything; its file's name is plain.
pub(super) fn default_output(program: &str, unix_ns: i64) -> PathBuf {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let program: String = program.chars().map(|c| if is_plain(c) { c } else { '_' }).take(64).collect();
    PathBuf::from(format!("stillframe-{program}-{}.db", clock::compact_utc(unix_ns)))
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
