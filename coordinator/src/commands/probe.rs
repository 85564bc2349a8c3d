//! `stillframe probe`: what probes would capture of a program, said before anything is.
//!
//! JSON of `check`: `{"file", "not_looked_at", "program", "without_debug_info": "..." | null, "good", "probes": [{"name", "pattern", "line",
//! "column", "not_here", "left_out", "suggestions", "functions": [{"name", "file", "line", "inlined_into", "sites",
//! "expressions": [{"column", "expression", "type", "mistake": {"line", "column", "message", "nearest"} | null, "sites",
//! "available", "in_register", "missing": [{"reason", "sites"}]}]}]}], "types": [{"pattern", "line", "column", "left_out",
//! "suggestions", "types": [{"name", "parts": [{"part", "type", "mistake"}]}]}]}`.
//!
//! Of `list`: `{"functions": [{"name", "file", "line", "instances", "inlined_into"}], "left_out", "suggestions"}`.
//!
//! Of `vars`: `{"functions": [{"name", "file", "line", "gap", "variables": [{"name", "type", "role", "line", "sites",
//! "available", "in_register", "missing", "fields": [{"name", "type"}]}]}]}`.

mod check;
mod list;
mod packs;
mod stored;
mod variables;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;
use stillframe_node::capture::Captures;
use stillframe_node::freezer::{self, Role};
use stillframe_node::probes::{Inspected, Listed, Pattern, Places, Subject};
use stillframe_node::symbols::Symbols;
use stillframe_node::symbols::config::{Config, WAIT_OF_COMMAND};
use stillframe_node::{CaptureError, ExitClass};

use super::{Class, Done, Failure, output};

/// Say what probes would capture of a program, before anything is captured.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is stopped for it.

Examples:
  stillframe probe check orders.toml --pid 4711       would it work? Mistakes are named with their line and column
  stillframe probe list '**.(*Service).*' --exe ./shop   which functions are there?
  stillframe probe vars 'shop/orders.(*Service).Place' --pid 4711   what can be captured there?
  stillframe probe packs                              what is captured of well-known libraries?")]
pub struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Check(check::Arguments),
    List(list::Arguments),
    Vars(variables::Arguments),
    Packs(packs::Arguments),
    Push(stored::Push),
    Pull(stored::Pull),
    Sets(stored::Sets),
    Diff(stored::Diff),
}

/// The program that is asked about.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("program_source").required(true).args(["pid", "exe"]))]
struct Program {
    /// The program that this process runs.
    #[arg(long)]
    pid: Option<u32>,
    /// The program in this file.
    #[arg(long, value_name = "FILE")]
    exe: Option<PathBuf>,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    match &arguments.verb {
        Verb::Check(arguments) => check::run(arguments, json),
        Verb::List(arguments) => list::run(arguments, json),
        Verb::Vars(arguments) => variables::run(arguments, json),
        Verb::Packs(arguments) => packs::run(arguments, json),
        Verb::Push(arguments) => stored::push(arguments, json),
        Verb::Pull(arguments) => stored::pull(arguments, json),
        Verb::Sets(arguments) => stored::sets(arguments, json),
        Verb::Diff(arguments) => stored::diff(arguments, json),
    }
}

impl Program {
    fn open(&self) -> anyhow::Result<Inspected> {
        let opened = match (self.pid, &self.exe) {
            (Some(pid), _) => {
                let captures = Captures::new(freezer::start(Role::Plain)?);
                Inspected::of_process(&captures.with_symbols(symbols()), pid)
            }
            (None, Some(exe)) => Inspected::of_file(&Captures::default().with_symbols(symbols()), exe),
            (None, None) => {
                let help = "name a process with --pid or a file with --exe";
                return Err(Failure::new(Class::Usage, "no program is named", help).into());
            }
        };
        opened.map_err(|error| failure(&error, self.pid).into())
    }
}

fn symbols() -> Symbols {
    Symbols::new(Config::of_environment(WAIT_OF_COMMAND), None)
}

fn failure(error: &CaptureError, pid: Option<u32>) -> Failure {
    let class = match error.exit_class() {
        ExitClass::NoSuchProcess => Class::NoSuchProcess,
        ExitClass::NotGo => Class::NotGo,
        ExitClass::Permission => Class::Permission,
        ExitClass::Unsupported => Class::Unsupported,
        ExitClass::Vanished => Class::Vanished,
        ExitClass::BadFile => Class::BadFile,
        ExitClass::Other => Class::Unexpected,
    };
    let help = match pid {
        Some(pid) => format!("`stillframe doctor --pid {pid}` checks what is missing"),
        None => "give the executable of a Go program".to_owned(),
    };
    Failure::new(class, error.to_string(), help)
}

/// The file has no readable code, which a stripped and relocated one may not.
fn unreadable(inspected: &Inspected) -> Failure {
    let message = format!("{}: the file does not say where its code is", inspected.program);
    Failure::new(
        Class::Unsupported,
        message,
        "ask about a program that was built without stripping its sections",
    )
}

fn pattern(text: &str) -> Result<Pattern, Failure> {
    Pattern::parse(text, Subject::Function).map_err(|problem| {
        let message = format!("{text}: {problem}, at character {}", problem.span.start + 1);
        let help = "* is any text up to the next / or ., ** any text, {a,b} one of several, /.../ a regular expression";
        Failure::new(Class::Usage, message, help)
    })
}

/// That nothing fits, and what may have been meant.
fn say_nothing_fits(pattern: &str, suggestions: &[String]) {
    output::say(&format!("no function of the program fits {}", output::printable(pattern)));
    for suggestion in suggestions {
        output::say(&format!("  there is {}", output::printable(suggestion)));
    }
}

/// `7 of 12`
fn count(places: &Places) -> String {
    match places.all {
        0 => "-".to_owned(),
        all => format!("{} of {all}", places.available),
    }
}

/// Why something is not everywhere.
fn why(places: &Places) -> String {
    let in_register = (places.in_register > 0).then(|| format!("{} only in a register", places.in_register));
    let missing = places.missing.iter().map(|(gap, sites)| format!("{sites} {gap}"));
    in_register.into_iter().chain(missing).collect::<Vec<_>>().join(", ")
}

fn missing_json(places: &Places) -> Vec<serde_json::Value> {
    places.missing.iter().map(|(gap, sites)| json!({ "reason": gap.to_string(), "sites": sites })).collect()
}

/// Where a function is written.
fn place(file: &str, line: i32) -> String {
    format!("{file}:{line}")
}

/// As an object of the JSON of `list`.
fn listed_json(listed: &Listed) -> serde_json::Value {
    let functions: Vec<_> = listed
        .functions
        .iter()
        .map(|function| {
            json!({
                "name": function.name,
                "file": function.file,
                "line": function.line,
                "instances": function.instances,
                "inlined_into": function.inlined_into,
            })
        })
        .collect();
    json!({ "functions": functions, "left_out": listed.left_out, "suggestions": listed.suggestions })
}
