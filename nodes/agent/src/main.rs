//! `stillframe-node`: the node of one host, which serves a coordinator.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use stillframe_node::{freezer, serve};

fn main() -> ExitCode {
    // Not a verb of the command line: what it starts as its freezer.
    if std::env::args_os().nth(1).is_some_and(|verb| verb == freezer::VERB) {
        return freezer::serve_inherited();
    }
    serve::main(&serve::Arguments::parse())
}
