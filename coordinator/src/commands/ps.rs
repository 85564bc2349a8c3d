//! `stillframe ps`: the Go processes of this host.
//!
//! JSON: `{"processes": [{"pid", "ns_pid", "uid", "program", "exe", "cmdline", "go_version", "build_id", "main_module",
//! "threads", "container_id", "started_unix_ns", "refusal"}], "denied": ["..."]}`.

use anyhow::Context;
use clap::Args;
use serde_json::json;
use stillframe_actors::glob;
use stillframe_node::freezer::{self, Role};
use stillframe_node::targets::{self, TargetSummary};

use super::output::{self, Column};
use super::{Done, clock};

/// List the Go processes of this host.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stillframe ps
  stillframe ps --program 'shop-*'
  stillframe ps --json | jq '.processes[].pid'")]
pub struct Arguments {
    /// Only programs with this name; * and ? stand for any text and any character. May be repeated.
    #[arg(long, value_name = "GLOB")]
    program: Vec<String>,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let freezer = freezer::start(Role::Plain)?;
    let mut found = targets::list(&freezer).context("the processes of this host cannot be listed")?;
    let wanted = &arguments.program;
    found
        .targets
        .retain(|target| wanted.is_empty() || wanted.iter().any(|glob| glob::matches(glob, &target.program)));
    let mut out = output::stdout();
    if json {
        let processes: Vec<_> = found.targets.iter().map(to_json).collect();
        output::write_json(&mut out, &json!({ "processes": processes, "denied": found.denied }))?;
        return Ok(Done::Whole);
    }
    let columns = [
        Column::number("pid"),
        Column::text("program"),
        Column::text("go"),
        Column::number("threads"),
        Column::text("started (UTC)"),
        Column::text("container"),
        Column::text("command"),
        Column::text("note"),
    ];
    output::write_table(&mut out, &columns, found.targets.iter().map(to_row))?;
    if found.targets.is_empty() {
        output::say("no Go process is running here that may be seen");
    }
    if !found.denied.is_empty() {
        let denied = output::count(found.denied.len() as u64, "process");
        output::say(&format!("{denied} may not be looked at, Go or not: `stillframe doctor` says why"));
    }
    Ok(Done::Whole)
}

fn to_row(target: &TargetSummary) -> Vec<String> {
    vec![
        target.pid.to_string(),
        target.program.clone(),
        target.go_version.trim_start_matches("go").to_owned(),
        target.threads.to_string(),
        clock::utc(target.started_unix_ns),
        target.container_id.as_deref().map(|id| id.chars().take(12).collect()).unwrap_or_default(),
        one_line(&target.cmdline),
        target.refusal.clone().unwrap_or_default(),
    ]
}

/// Whole command lines are in the JSON.
fn one_line(cmdline: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    let line: String = cmdline.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= CHARACTERS_MAX {
        return line;
    }
    line.chars().take(CHARACTERS_MAX - 3).chain("...".chars()).collect()
}

fn to_json(target: &TargetSummary) -> serde_json::Value {
    json!({
        "pid": target.pid,
        "ns_pid": target.ns_pid,
        "uid": target.uid,
        "program": target.program,
        "exe": target.exe,
        "cmdline": target.cmdline,
        "go_version": target.go_version,
        "build_id": target.build_id,
        "main_module": target.main_module,
        "threads": target.threads,
        "container_id": target.container_id,
        "started_unix_ns": target.started_unix_ns,
        "refusal": target.refusal,
    })
}
