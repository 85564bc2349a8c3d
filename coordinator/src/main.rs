//! `stillframe`: the command line.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use stillframe_node::freezer;

fn main() -> ExitCode {
    // Not a verb of the command line: what it starts as its freezer.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == freezer::VERB) {
        return freezer::serve_inherited();
    }
    stillframe::commands::run(std::env::args_os())
}
