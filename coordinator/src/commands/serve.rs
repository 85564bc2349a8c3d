//! `stillframe serve`: the coordinator.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use stillframe_actors::clock::Clock;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::{Class, Done, Failure, clock};
use crate::server::{Config, Server, StartError};

/// Run the coordinator: nodes register with it, and snapshots are ordered from it.
#[derive(Debug, Args)]
#[command(after_help = "\
The data folder holds the snapshots and the keys; only its owner may read it. Users are not authenticated yet: HTTP is
served on loopback addresses only, for everyone on this host.

Examples:
  stillframe serve --data /var/lib/stillframe
  stillframe serve --data ./data --listen 10.0.0.5:7443 --http 127.0.0.1:7480 --log-json
  STILLFRAME_LOG=debug stillframe serve --data ./data
  stillframe node-credentials --data ./data -o node.pem      what a node needs to register")]
pub struct Arguments {
    /// Where snapshots and keys are kept; made if it is not there.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// For nodes: QUIC, over UDP.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:7443")]
    listen: SocketAddr,
    /// For users: HTTP, on a loopback address.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7480")]
    http: SocketAddr,
    /// Log in JSON, a line each.
    #[arg(long)]
    log_json: bool,
    /// What to log: error, warn, info, debug, or directives as those of the crate tracing-subscriber.
    #[arg(long, value_name = "FILTER", env = "STILLFRAME_LOG", default_value = "info")]
    log: String,
    /// Cut datagrams in software: for virtual network cards that do it wrong.
    #[arg(long)]
    no_segmentation_offload: bool,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    log(arguments, json)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no threads")?;
    runtime.block_on(serve(arguments))?;
    Ok(Done::Whole)
}

async fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    // Before anything is made that a signal would leave half done.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let config = Config {
        data: arguments.data.clone(),
        listen: arguments.listen,
        http: arguments.http,
        segmentation: !arguments.no_segmentation_offload,
    };
    let server = Server::start(&config, Clock::new(clock::unix_ns)).await.map_err(failure)?;
    let signal = tokio::select! {
        biased;
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tracing::info!(signal, "stopping");
    server.stop().await;
    Ok(())
}

pub fn failure(error: StartError) -> Failure {
    let class = match &error {
        StartError::Folder(_) => Class::Output,
        StartError::Pki(_) => Class::BadFile,
        StartError::NotLoopback { .. } => Class::Usage,
        StartError::Quic(_) | StartError::Http { .. } => Class::Unexpected,
    };
    let remedy = error.remedy();
    Failure::new(class, error.to_string(), remedy)
}

fn log(arguments: &Arguments, json: bool) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&arguments.log).map_err(|error| {
        let message = format!("--log {}: {error}", arguments.log);
        Failure::new(Class::Usage, message, "give error, warn, info, debug or trace")
    })?;
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(
            std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
        );
    if json || arguments.log_json {
        subscriber.json().init()
    } else {
        subscriber.init()
    }
    Ok(())
}
