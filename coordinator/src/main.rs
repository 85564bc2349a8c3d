//! `stillframe`: the command line.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    stillframe::commands::run(std::env::args_os())
}
