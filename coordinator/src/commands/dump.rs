//! `stillframe dump`: the text that `runtime.Stack` of all goroutines gives.
//!
//! JSON: `{"goroutines": [{"goroutine_id", "pid", "program", "goid", "status", "wait_reason", "is_system", "header",
//! "parent_goid", "labels", "stop_reason", "frames": [{"function", "file", "line", "inlined", "shown",
//! "function_offset", "arguments"}], "created_by": {"function", "file", "line", "function_offset"} | null}]}`.
//! It has all frames, `shown` or not; goroutines of the runtime only with `--system`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::failure::of_read;
use super::{Class, Done, Failure, output};
use crate::store::reader::{GoroutineSelector, Process, ProcessFilter, Snapshot, StackedGoroutine};
use crate::traceback::{self, Display};

/// Print stacks as Go itself prints them.
#[derive(Debug, Args)]
#[command(after_help = "\
The text is that of runtime.Stack: tools that read Go's tracebacks read it. If several processes are printed, a line
stands before each.

Examples:
  stillframe dump s.db
  stillframe dump s.db --goroutine 17              by Go's number
  stillframe dump s.db --goroutine g-4711          by goroutine_id, as groups and SQL print it
  stillframe dump s.db --process 'shop-*' --system
  stillframe dump s.db | head")]
pub struct Arguments {
    /// A snapshot file.
    file: PathBuf,
    /// Only this process: its pid, or its program's name with * and ? for any text and any character.
    #[arg(long, value_name = "PID|GLOB")]
    process: Option<String>,
    /// Only this goroutine: Go's number, or g- and its goroutine_id.
    #[arg(long, value_name = "N|g-N", value_parser = parse_goroutine)]
    goroutine: Option<GoroutineSelector>,
    /// All frames and the runtime's own goroutines, as with GOTRACEBACK=system.
    #[arg(long)]
    system: bool,
}

const JSON_START: &[u8] = b"{\"goroutines\": [\n";

fn parse_goroutine(text: &str) -> Result<GoroutineSelector, String> {
    let wrong = |_| "neither a number nor g- and a number".to_owned();
    match text.strip_prefix("g-") {
        Some(id) => id.parse().map(GoroutineSelector::Id).map_err(wrong),
        None => text.parse().map(GoroutineSelector::Goid).map_err(wrong),
    }
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let snapshot = Snapshot::open(&arguments.file).map_err(of_read)?;
    let filter = match arguments.process.as_deref().map(|process| (process, process.parse())) {
        None => ProcessFilter::default(),
        Some((_, Ok(pid))) => ProcessFilter { pid: Some(pid), program: None },
        Some((glob, Err(_))) => ProcessFilter { pid: None, program: Some(glob.to_owned()) },
    };
    let processes = snapshot.processes(&filter).map_err(of_read)?;
    if processes.is_empty() {
        let remedy = "`stillframe sql FILE 'select pid, program from processes'` lists those that it has";
        return Err(Failure::new(Class::Usage, "the snapshot has no such process", remedy).into());
    }
    let mut out = output::stdout();
    let mut incomplete = 0;
    let mut printed = 0;
    // A goroutine that is asked for by number is printed even if it is the runtime's.
    let with_system = arguments.system || arguments.goroutine.is_some();
    for process in &processes {
        let mut is_first_of_process = true;
        let mut visit = |goroutine: &StackedGoroutine| {
            if json {
                out.write_all(if printed == 0 { JSON_START } else { b",\n" })?;
                serde_json::to_writer(&mut out, &to_json(process, goroutine))?;
            } else {
                if printed > 0 {
                    writeln!(out)?;
                }
                if is_first_of_process && processes.len() > 1 {
                    let Process { program, pid, host, .. } = process;
                    writeln!(out, "=== {program}, pid {pid} on {host}\n")?;
                }
                write_text(&mut out, goroutine, arguments.system)?;
            }
            is_first_of_process = false;
            printed += 1;
            incomplete += u64::from(goroutine.stack.stop_reason != "complete");
            Ok(())
        };
        snapshot
            .goroutines(process.process_id, arguments.goroutine, with_system, &mut visit)
            .map_err(of_read)?;
    }
    if printed == 0 && arguments.goroutine.is_some() {
        let remedy =
            "`stillframe sql FILE 'select goroutine_id, goid from goroutines'` lists those that it has";
        return Err(Failure::new(Class::Usage, "the snapshot has no such goroutine", remedy).into());
    }
    if json {
        out.write_all(if printed == 0 { JSON_START } else { b"" })?;
        out.write_all(b"]}\n")?;
    }
    out.flush()?;
    say_incomplete(incomplete);
    Ok(Done::Whole)
}

fn say_incomplete(incomplete: u64) {
    if incomplete > 0 {
        let goroutines = output::count(incomplete, "goroutine");
        output::say(&format!(
            "the stacks of {goroutines} do not reach their top frame: see stacks.stop_reason"
        ));
    }
}

fn write_text(out: &mut impl Write, goroutine: &StackedGoroutine, system: bool) -> io::Result<()> {
    let shown = traceback::Goroutine {
        goid: goroutine.goid,
        header: &goroutine.header,
        frames: &goroutine.stack.frames,
        arguments: &goroutine.arguments,
        created_by: goroutine.created_by.as_ref(),
        parent_goid: goroutine.parent_goid,
    };
    traceback::write_goroutine(out, &shown, if system { Display::System } else { Display::Default })
}

fn to_json(process: &Process, goroutine: &StackedGoroutine) -> Value {
    let mut arguments = goroutine.arguments.lines();
    let frames: Vec<Value> = goroutine
        .stack
        .frames
        .iter()
        .map(|frame| {
            let arguments = arguments.next().unwrap_or_default();
            json!({
                "function": frame.name,
                "file": frame.file,
                "line": frame.line,
                "inlined": frame.inlined,
                "shown": frame.shown,
                "function_offset": frame.function_offset,
                "arguments": arguments,
            })
        })
        .collect();
    let created_by = goroutine.created_by.as_ref().map(|go| {
        json!({ "function": go.name, "file": go.file, "line": go.line, "function_offset": go.function_offset })
    });
    let labels: Option<Value> =
        goroutine.labels.as_deref().and_then(|labels| serde_json::from_str(labels).ok());
    json!({
        "goroutine_id": goroutine.goroutine_id,
        "pid": process.pid,
        "program": process.program,
        "goid": goroutine.goid,
        "status": goroutine.status,
        "wait_reason": goroutine.wait_reason,
        "is_system": goroutine.is_system,
        "header": goroutine.header,
        "parent_goid": goroutine.parent_goid,
        "labels": labels,
        "stop_reason": goroutine.stack.stop_reason,
        "frames": frames,
        "created_by": created_by,
    })
}
