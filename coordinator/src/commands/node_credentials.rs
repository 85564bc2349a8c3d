//! `stillframe node-credentials`: what a node needs to register with this host's coordinator.
//!
//! JSON: `{"file"}`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::{Done, clock, output, serve};
use crate::server;

/// Write a file with the key and the certificates that a node needs to register with the coordinator.
#[derive(Debug, Args)]
#[command(after_help = "\
The file is valid for a year, and may be copied to several nodes. Whoever has it can register as a node: copy it over a
safe way, and let only the node read it. The coordinator need not run.

Examples:
  stillframe node-credentials --data /var/lib/stillframe -o node.pem")]
pub struct Arguments {
    /// The coordinator's data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The file to write; it must not exist yet.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    server::write_node_credentials(&arguments.data, &arguments.output, clock::unix_ns())
        .map_err(serve::failure)?;
    let mut out = output::stdout();
    if json {
        output::write_json(&mut out, &json!({ "file": arguments.output }))?;
    } else {
        writeln!(out, "{}", arguments.output.display())?;
        out.flush()?;
    }
    Ok(Done::Whole)
}
