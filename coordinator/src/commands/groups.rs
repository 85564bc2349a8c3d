//! `stillframe groups`: goroutines with the same functions and lines, merged over all processes.
//!
//! JSON: `{"groups_total", "goroutines_total", "groups": [{"group_id", "goroutines", "processes", "blocked_s_max",
//! "wait_reasons": [{"wait_reason", "goroutines"}], "user_function", "stack", "example_goroutine_id"}]}`; the totals are
//! those before `--limit`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;

use super::failure::of_read;
use super::{Done, output};
use crate::store::reader::{Group, GroupFilter, Groups, ProcessFilter, Snapshot};

/// Show what everybody is doing: equal stacks merged, most frequent first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stillframe groups s.db
  stillframe groups s.db --match raft --limit 5
  stillframe groups s.db --program 'shop-*' --all
  stillframe groups s.db --json | jq '.groups[0]'")]
pub struct Arguments {
    /// A snapshot file.
    file: PathBuf,
    /// Only programs with this name; * and ? stand for any text and any character.
    #[arg(long, value_name = "GLOB")]
    program: Option<String>,
    /// Only the process with this number.
    #[arg(long)]
    pid: Option<u32>,
    /// Only stacks that contain this text, in any case: part of a function's name, `node.go:600`.
    #[arg(long = "match", value_name = "TEXT")]
    text: Option<String>,
    /// The runtime's own goroutines, too.
    #[arg(long)]
    all: bool,
    /// Groups to show; 0 shows all.
    #[arg(long, default_value_t = 20, value_name = "GROUPS")]
    limit: u32,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let filter = GroupFilter {
        process: ProcessFilter { pid: arguments.pid, program: arguments.program.clone() },
        text: arguments.text.clone(),
        with_system: arguments.all,
        limit: (arguments.limit > 0).then_some(arguments.limit),
    };
    let groups = Snapshot::open(&arguments.file).and_then(|file| file.groups(&filter)).map_err(of_read)?;
    let mut out = output::stdout();
    if json {
        output::write_json(&mut out, &groups)?;
        return Ok(Done::Whole);
    }
    write_groups(&mut out, &groups)?;
    let hidden = groups.groups_total - groups.groups.len() as i64;
    if hidden > 0 {
        output::say(&format!("{} more; --limit 0 shows all", output::count(hidden as u64, "group")));
    }
    if groups.groups.is_empty() {
        output::say("no goroutine fits");
    }
    Ok(Done::Whole)
}

fn write_groups(out: &mut impl Write, groups: &Groups) -> io::Result<()> {
    for (index, group) in groups.groups.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write_group(out, group)?;
    }
    out.flush()
}

fn write_group(out: &mut impl Write, group: &Group) -> io::Result<()> {
    let goroutines = output::count(group.goroutines as u64, "goroutine");
    let processes = output::count(group.processes as u64, "process");
    let reasons = match &group.wait_reasons[..] {
        [only] => only.wait_reason.clone(),
        several => {
            let with_counts =
                several.iter().map(|reason| format!("{} {}", reason.goroutines, reason.wait_reason));
            with_counts.collect::<Vec<_>>().join(", ")
        }
    };
    write!(out, "{goroutines} in {processes} [{}]", output::printable(&reasons))?;
    if let Some(blocked) = group.blocked_s_max {
        write!(out, ", blocked for up to {blocked:.0} s")?;
    }
    writeln!(out, "; for example g-{}", group.example_goroutine_id)?;
    write_stack(out, &output::printable(&group.stack))
}

/// A line for each frame; a recursion's equal lines once, with their number.
fn write_stack(out: &mut impl Write, stack: &str) -> io::Result<()> {
    let lines: Vec<&str> = stack.lines().collect();
    for equal in lines.chunk_by(|line, next| line == next) {
        writeln!(out, "    {}", equal[0])?;
        match equal.len() {
            1 => {}
            2 => writeln!(out, "    {}", equal[0])?,
            times => writeln!(out, "    ... the same {} more times", times - 1)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recursion_is_folded() {
        let mut out = Vec::new();
        write_stack(&mut out, "a\nb\nb\nc\nc\nc\nc\nd").unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "    a\n    b\n    b\n    c\n    ... the same 3 more times\n    d\n");
    }
}
