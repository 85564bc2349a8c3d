//! `stillframe snapshot` without a coordinator: one is run here, with a node of its own, for this one order.
//!
//! JSON (on stdout; on stderr if the snapshot itself goes to stdout): `{"file", "id", "bytes", "complete", "goroutines",
//! "stacks", "functions", "gaps", "processes": [{"pid", "program", "goroutines", "pause_ns", "frozen_ns", "state",
//! "reason"}]}`.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde_json::json;
use stillframe_actors::node::state::Identity;
use stillframe_actors::order::{Order, Stop};
use stillframe_node::capture::Captures;
use stillframe_node::capturing::Capturing;
use stillframe_node::freezer::{self, Freezer, Role};
use stillframe_node::policy::Policy;
use stillframe_node::symbols::config::{Config, WAIT_OF_COMMAND};
use stillframe_node::{host, targets};
use stillframe_wire::message::{FailureClass, InstanceId, OrderId, Selector};
use uuid::Uuid;

use super::interrupt::Interrupt;
use super::progress::Progress;
use super::snapshot::{self, Arguments};
use super::{Class, Done, Failure, clock, download, output, remote_snapshot};
use crate::api::Event;
use crate::embedded::{self, Failed, Job, News};
use crate::server::store_thread::FileOrder;
use crate::store::order::{SnapshotMeta, Summary};
use crate::store::reader::Snapshot;

/// What there is to capture.
enum Source {
    Host(Freezer),
    Core { core: PathBuf, exe: PathBuf },
}

pub fn run(arguments: &Arguments, probes: &str, json: bool) -> anyhow::Result<Done> {
    // Before there is a second thread, which would keep the privileges that this one gives up.
    let source = match (&arguments.core, &arguments.exe) {
        (Some(core), Some(exe)) => {
            // Nothing is traced, and what is parsed is as untrusted.
            Role::Output.keep_only()?;
            Source::Core { core: core.clone(), exe: exe.clone() }
        }
        _ => Source::Host(freezer::start(Role::Output)?),
    };
    let interrupt = Interrupt::install()?;
    let to_stdout = arguments.output.as_deref() == Some(Path::new("-"));
    let folder =
        if to_stdout { Some(tempfile::tempdir().context("no temporary folder can be made")?) } else { None };
    if let Some(folder) = &folder {
        interrupt.delete(folder.path());
    }
    let file = match &folder {
        Some(folder) => folder.path().join("snapshot.db"),
        None => arguments.output.clone().unwrap_or_else(|| default_output(arguments, &source)),
    };
    // Before any process is stopped: a file that cannot be written is no reason to stop one.
    download::check_output(&file, arguments.existing()).map_err(Failure::from)?;

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let progress = Progress::start();
    let summary = embedded::run(runtime, job(arguments, probes, &source, file), |news| match news {
        News::Temporary(path) => interrupt.delete(&path),
        News::Progress(event) => progress.say(remote_snapshot::line(&Event::from(event))),
    });
    drop(progress);
    let summary = summary.map_err(|failed| failure(failed, arguments, &source))?;
    if to_stdout {
        snapshot::print_file(&summary.path)?;
    } else {
        interrupt.set_written();
    }
    report(&summary, to_stdout, json)?;
    Ok(if summary.complete { Done::Whole } else { Done::Partial })
}

/// Named after what is asked for; of one process, after its program.
fn default_output(arguments: &Arguments, source: &Source) -> PathBuf {
    let of_pid = |freezer: &Freezer, pid| Captures::new(freezer.clone()).program(pid);
    let program = match (source, arguments.program.as_slice(), arguments.pid.as_slice()) {
        (Source::Core { exe, .. }, _, _) => exe.file_name().map(|name| name.to_string_lossy().into_owned()),
        (Source::Host(_), [program], []) => Some(program.clone()),
        (Source::Host(freezer), [], [pid]) => of_pid(freezer, *pid),
        (Source::Host(_), [], []) => Some("all".to_owned()),
        _ => None,
    };
    snapshot::default_output(&program.unwrap_or_else(|| "snapshot".to_owned()), clock::unix_ns())
}

fn job(arguments: &Arguments, probes: &str, source: &Source, output: PathBuf) -> Job {
    let id = Uuid::now_v7();
    let clock = stillframe_node::serve::clock();
    let spool = std::env::temp_dir();
    let capturing = match source {
        Source::Host(freezer) => Capturing::new(freezer.clone(), Policy::open(), &spool),
        Source::Core { core, exe } => Capturing::of_core(core, exe, &spool),
    };
    let capturing = capturing.with_symbols(Config::of_environment(WAIT_OF_COMMAND), false);
    let host = host::facts();
    let meta = SnapshotMeta {
        id: id.to_string(),
        label: arguments.label.clone(),
        taken_at_unix_ns: clock.now().unix_ns,
        requested_by: snapshot::requested_by(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        selector: selector(arguments),
        probes: Some(probes.to_owned()).filter(|probes| !probes.is_empty()),
    };
    Job {
        // It is this host, whatever its name.
        identity: Identity { name: "local".to_owned(), instance: InstanceId(1), host },
        host: Arc::new(capturing),
        order: Order {
            id: OrderId(id.as_u128()),
            selector: Selector {
                hosts: Vec::new(),
                programs: arguments.program.clone(),
                pids: arguments.pid.iter().copied().collect::<BTreeSet<u32>>().into_iter().collect(),
            },
            stop: Stop { max: arguments.max_pause, hold: arguments.hold() },
            probes: probes.into(),
            within: arguments.within,
            label: arguments.label.clone(),
            requested_by: None,
        },
        file: FileOrder { output, existing: arguments.existing(), meta },
        clock,
    }
}

/// What became of the order, in the words of who gave it here.
fn failure(failed: Failed, arguments: &Arguments, source: &Source) -> Failure {
    match failed {
        Failed::Write(error) => error.into(),
        Failed::Order { class: FailureClass::NoSuchProcess, .. } if arguments.pid.is_empty() => {
            let denied = match source {
                Source::Host(freezer) => targets::list(freezer).map_or(0, |found| found.denied.len()),
                Source::Core { .. } => 0,
            };
            let denied = match denied {
                0 => String::new(),
                denied => format!(" ({} may not be looked at)", output::count(denied as u64, "process")),
            };
            let message = format!("no Go process fits {}{denied}", selector(arguments));
            let remedy = "`stillframe ps` lists the Go processes of this host; as root it sees all";
            Failure::new(Class::NoSuchProcess, message, remedy)
        }
        Failed::Order { class, reason } => {
            let pid = match arguments.pid.as_slice() {
                [pid] => Some(*pid),
                _ => None,
            };
            Failure::of_target(class, reason, pid)
        }
        Failed::Defect(_) => Failure::new(
            Class::Unexpected,
            failed.to_string(),
            "take the snapshot again, with RUST_BACKTRACE=1",
        ),
    }
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
        let program = match process.program.as_str() {
            "" => String::new(),
            program => format!(" {}", output::printable(program)),
        };
        let pause = match process.pause_ns {
            Some(pause) => format!("stopped for {}", output::duration(pause)),
            None if process.state == "failed" => "not captured".to_owned(),
            None => "not stopped".to_owned(),
        };
        let goroutines = output::count(process.goroutines, "goroutine");
        output::say(&format!("pid {}{program}: {goroutines}, {pause}", process.pid));
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
    snapshot::say_empty_probes(&Snapshot::open(&summary.path).and_then(|file| file.empty_probes())?);
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
