//! The verbs of the command line, a file a verb.
//!
//! Data goes to stdout, everything that is said to people to stderr. A verb returns how it ended; failures that the
//! user can do something about are [`Failure`]s, which carry the exit code and the remedy.

mod apply;
mod clock;
mod coordinator;
mod doctor;
mod download;
mod dump;
mod exit_codes;
mod failure;
mod groups;
mod interrupt;
mod links;
mod local_snapshot;
mod node;
mod node_credentials;
mod nodes;
mod output;
mod probe;
mod probe_files;
mod progress;
mod ps;
mod remote_snapshot;
mod serve;
mod snapshot;
mod snapshots;
mod sql;
mod symbols;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use failure::{Class, Failure};

/// Takes a still frame of running Go processes: every goroutine of each, in one SQLite file.
#[derive(Debug, Parser)]
#[command(
    name = "stillframe",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  stillframe ps                                 which Go processes run here?
  stillframe snapshot --pid 4711 -o s.db        take a snapshot of one
  stillframe groups s.db                        what is everybody doing?
  stillframe links s.db                         who waits for whom across processes?
  stillframe dump s.db                          every stack, as Go prints it
  stillframe sql s.db 'select * from about'     ask anything; the file documents itself
  stillframe probe check p.toml --pid 4711      what would these probes capture?
  stillframe apply reports.toml s.db            columns, tables and links of a probe set, to a snapshot taken earlier
  stillframe serve --data ./data                run a coordinator of many hosts
  stillframe snapshot --coordinator http://127.0.0.1:7480 --program 'shop-*'
  stillframe help exit-codes                    what the exit codes mean"
)]
struct Cli {
    /// Print JSON instead of text; errors too, on stderr.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Ps(ps::Arguments),
    Snapshot(snapshot::Arguments),
    Groups(groups::Arguments),
    Links(links::Arguments),
    Dump(dump::Arguments),
    Sql(sql::Arguments),
    Probe(probe::Arguments),
    Apply(apply::Arguments),
    Doctor(doctor::Arguments),
    Serve(serve::Arguments),
    Node(node::Arguments),
    NodeCredentials(node_credentials::Arguments),
    Nodes(nodes::Arguments),
    Snapshots(snapshots::Arguments),
    Symbols(symbols::Arguments),
    Help(exit_codes::Arguments),
}

/// How a verb ended without failing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    Whole,
    /// The result is there; something in it is missing, which was said.
    Partial,
}

/// Runs the command line; the exit code is one of `stillframe help exit-codes`.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return failure::report_usage(&error, &arguments),
    };
    let json = cli.json;
    let result = match cli.command {
        Command::Ps(arguments) => ps::run(&arguments, json),
        Command::Snapshot(arguments) => snapshot::run(&arguments, json),
        Command::Groups(arguments) => groups::run(&arguments, json),
        Command::Links(arguments) => links::run(&arguments, json),
        Command::Dump(arguments) => dump::run(&arguments, json),
        Command::Sql(arguments) => sql::run(&arguments, json),
        Command::Probe(arguments) => probe::run(&arguments, json),
        Command::Apply(arguments) => apply::run(&arguments, json),
        Command::Doctor(arguments) => doctor::run(&arguments, json),
        Command::Serve(arguments) => serve::run(&arguments, json),
        Command::Node(arguments) => node::run(arguments, json),
        Command::NodeCredentials(arguments) => node_credentials::run(&arguments, json),
        Command::Nodes(arguments) => nodes::run(&arguments, json),
        Command::Snapshots(arguments) => snapshots::run(&arguments, json),
        Command::Symbols(arguments) => symbols::run(&arguments, json),
        Command::Help(arguments) => exit_codes::run(&arguments, json),
    };
    interrupt::last_word();
    match result {
        Ok(Done::Whole) => ExitCode::SUCCESS,
        Ok(Done::Partial) => Class::Partial.into(),
        Err(error) => failure::report(&error, json),
    }
}
