//! `stillframe doctor`: whether captures can work here, and what to do where they cannot.
//!
//! JSON: `{"checks": [{"name", "outcome": "good" | "warning" | "failed", "detail", "remedy"}]}`.

use std::io::Write;

use clap::Args;
use serde_json::json;
use stillframe_node::doctor::{Outcome, diagnose};
use stillframe_node::freezer::{self, Role};

use super::output;
use super::{Class, Done, Failure};

/// Check whether snapshots can be taken here; say what to do where they cannot.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is stopped for it. The exit code is 5 if a check failed.

Examples:
  stillframe doctor
  stillframe doctor --pid 4711
  stillframe doctor --json | jq '.checks[] | select(.outcome != \"good\")'")]
pub struct Arguments {
    /// Check this process, too.
    #[arg(long)]
    pid: Option<u32>,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let checks = diagnose(&freezer::start(Role::Plain)?, arguments.pid);
    let failed = checks.iter().filter(|check| check.outcome == Outcome::Failed).count() as u64;
    let mut out = output::stdout();
    if json {
        let checks: Vec<_> = checks
            .iter()
            .map(|check| {
                json!({
                    "name": check.name,
                    "outcome": outcome_name(check.outcome),
                    "detail": check.detail,
                    "remedy": check.remedy,
                })
            })
            .collect();
        output::write_json(&mut out, &json!({ "checks": checks }))?;
    } else {
        for check in &checks {
            let outcome = outcome_name(check.outcome);
            writeln!(out, "{outcome:<8} {}: {}", check.name, output::printable(&check.detail))?;
            if let Some(remedy) = &check.remedy {
                writeln!(out, "         -> {}", output::printable(remedy))?;
            }
        }
        out.flush()?;
    }
    if failed == 0 {
        return Ok(Done::Whole);
    }
    let message = format!("{} failed", output::count(failed, "check"));
    Err(Failure::new(Class::Permission, message, "do what is said beside each failed check").into())
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Good => "good",
        Outcome::Warning => "warning",
        Outcome::Failed => "failed",
    }
}
