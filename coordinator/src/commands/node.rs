//! `stillframe node`: the node of this host, as `stillframe-node`; for who installs one program only.

use clap::Args;
use stillframe_node::serve::{self, NodeArguments};

use super::Done;

/// Serve a coordinator: capture processes of this host when it orders it.
#[derive(Debug, Args)]
#[command(after_help = "\
This is stillframe-node, in the same program. It dials the coordinator and listens on nothing. It starts a second process,
the freezer, which alone keeps the privilege to stop other processes; this one gives up all of its capabilities.

Examples:
  stillframe node --coordinator stillframe.internal:7443 --credentials /etc/stillframe/node.pem
  stillframe node --coordinator 10.0.0.1:7443 --credentials node.pem --name $(hostname)-a")]
pub struct Arguments {
    #[command(flatten)]
    node: NodeArguments,
}

pub fn run(arguments: Arguments, json: bool) -> anyhow::Result<Done> {
    let NodeArguments { log_json, .. } = arguments.node;
    serve::run(&NodeArguments { log_json: log_json || json, ..arguments.node })?;
    Ok(Done::Whole)
}
