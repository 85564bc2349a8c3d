//! `stillframe nodes`: the nodes that are registered with a coordinator.
//!
//! JSON: `{"nodes": [{"name", "hostname", "kernel", "arch", "version", "generation", "clock_offset_ns", "clock_error_ns",
//! "heard_ns_ago"}]}`.

use clap::Args;

use super::Done;
use super::coordinator::Address;
use super::output::{self, Column};
use crate::api::Node;

/// List the nodes that are registered with a coordinator.
#[derive(Debug, Args)]
#[command(after_help = "\
The clock is the node's minus the coordinator's, and by how much that may be wrong.

Examples:
  stillframe nodes
  stillframe nodes --coordinator http://127.0.0.1:7480 --json")]
pub struct Arguments {
    #[command(flatten)]
    address: Address,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let list = arguments.address.client()?.nodes()?;
    let mut out = output::stdout();
    if json {
        output::write_json(&mut out, &list)?;
        return Ok(Done::Whole);
    }
    let columns = [
        Column::text("name"),
        Column::text("hostname"),
        Column::text("arch"),
        Column::text("kernel"),
        Column::text("version"),
        Column::number("clock"),
        Column::number("error"),
        Column::number("heard ago"),
    ];
    if list.nodes.is_empty() {
        output::say("no node is registered");
        return Ok(Done::Whole);
    }
    output::write_table(&mut out, &columns, list.nodes.into_iter().map(row))?;
    Ok(Done::Whole)
}

fn row(node: Node) -> Vec<String> {
    let duration = |ns: u64| output::duration(i64::try_from(ns).unwrap_or(i64::MAX));
    let unknown = || "?".to_owned();
    let offset = node.clock_offset_ns.map_or_else(unknown, |ns| {
        format!("{}{}", if ns < 0 { "-" } else { "+" }, duration(ns.unsigned_abs()))
    });
    vec![
        node.name,
        node.hostname,
        node.arch,
        node.kernel,
        node.version,
        offset,
        node.clock_error_ns.map_or_else(unknown, duration),
        duration(node.heard_ns_ago),
    ]
}
