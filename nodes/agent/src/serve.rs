//! `stillframe-node` and `stillframe node`: serve a coordinator until told to end.

use std::io::IsTerminal;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use stillframe_actors::clock::Clock;
use stillframe_actors::node::actor::Status;
use stillframe_actors::node::state::Identity;
use stillframe_actors::quic::{self, Credentials, Quic};
use stillframe_actors::{capture::actor::Host, connection::Dial, node};
use stillframe_wire::limits::NODE_NAME_BYTES_MAX;
use stillframe_wire::message::InstanceId;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::capturing::Capturing;
use crate::freezer::{self, Freezer, Role};
use crate::host;
use crate::policy::Policy;
use crate::symbols::config::{Config, WAIT_OF_NODE};

/// Bytes of a file of credentials.
const CREDENTIALS_BYTES_MAX: u64 = 1 << 20;

/// Serves a coordinator: captures processes of this host when it orders it.
#[derive(Args, Debug)]
#[command(
    version,
    after_help = "\
The node dials the coordinator and listens on nothing. It starts a second process, the freezer, which alone keeps the
privilege to stop other processes (CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN); this one gives up all of its capabilities.

Examples:
  stillframe-node --coordinator stillframe.internal:7443 --credentials /etc/stillframe/node.pem
  stillframe-node --coordinator 10.0.0.1:7443 --credentials node.pem --name $(hostname)-a

A policy is a TOML file; an order that is against it is refused, and the coordinator cannot override it:
  values = true                       # probes may capture values; false if it is not said
  max_pause_ms = 20                   # the longest that a process may be stopped
  programs = [\"shop-*\", \"gateway\"]    # only these may be captured
  [[redact]]                          # beside those of an order, as in a probe set
  field = \"**.{Password,Token}\"
  [watch]                             # look at processes between snapshots: ages of goroutines and requests

The file of credentials is made by the coordinator: stillframe node-credentials --help
Logs go to stderr; RUST_LOG=debug shows more."
)]
pub struct NodeArguments {
    /// Where the coordinator listens for nodes: HOST:PORT
    #[arg(long, value_name = "HOST:PORT")]
    pub coordinator: String,
    /// The CA, this node's certificate and its key, in one PEM file
    #[arg(long, value_name = "FILE")]
    pub credentials: PathBuf,
    /// What the coordinator calls this node [default: the host's name]
    #[arg(long)]
    pub name: Option<String>,
    /// The folder where results wait until the coordinator has them [default: the system's temporary folder]
    #[arg(long, value_name = "FOLDER")]
    pub spool: Option<PathBuf>,
    /// The folder for what was made of builds and for symbols; safe to delete at any time [default: stillframe in
    /// $CACHE_DIRECTORY, $XDG_CACHE_HOME or ~/.cache]
    #[arg(long, value_name = "FOLDER")]
    pub cache: Option<PathBuf>,
    /// A folder of separate debug files, searched as gdb's debug-file-directory, before the usual ones
    #[arg(long, value_name = "FOLDER")]
    pub debug_folder: Vec<PathBuf>,
    /// What may be captured here, whatever is ordered: programs, pauses, values. Without it the node gives no values
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Log as JSON, a line an event
    #[arg(long)]
    pub log_json: bool,
    /// Cut datagrams in software: for virtual network cards that do it wrong.
    #[arg(long)]
    pub no_segmentation_offload: bool,
}

/// The command line of `stillframe-node`.
#[derive(clap::Parser, Debug)]
#[command(name = "stillframe-node")]
pub struct Arguments {
    #[command(flatten)]
    pub node: NodeArguments,
}

/// Exit code 0: it was told to end. 1: it cannot serve.
pub fn main(arguments: &Arguments) -> ExitCode {
    match run(&arguments.node) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until SIGTERM or SIGINT. To be called while this process has one thread.
pub fn run(arguments: &NodeArguments) -> anyhow::Result<()> {
    let policy = arguments.policy.as_deref().map(Policy::read).transpose()?.unwrap_or_default();
    let credentials = read_credentials(&arguments.credentials)?;
    let host_facts = host::facts();
    let name = arguments.name.clone().unwrap_or_else(|| host_facts.hostname.clone());
    if name.is_empty() || name.len() > NODE_NAME_BYTES_MAX {
        bail!("a node's name has 1 to {NODE_NAME_BYTES_MAX} bytes; give one with --name");
    }
    let coordinator = resolve(&arguments.coordinator)?;
    let spool = arguments.spool.clone().unwrap_or_else(std::env::temp_dir);
    tempfile::tempfile_in(&spool).with_context(|| {
        format!("{}: results cannot be kept there; name a folder with --spool", spool.display())
    })?;
    log(arguments.log_json);
    let freezer = freezer::start(Role::Plain)?;
    if !freezer.may_trace_all() {
        tracing::warn!("without CAP_SYS_PTRACE only processes of this user can be captured");
    }
    let identity = Identity { name, instance: InstanceId(rand::random()), host: host_facts };
    let capturing = Capturing::new(freezer.clone(), policy, &spool);
    let capturing = capturing.with_symbols(symbols_config(arguments), true).watching();
    let host: Arc<dyn Host> = Arc::new(capturing.context("no thread can be started that watches")?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    runtime.block_on(async {
        let dial = dial(coordinator, &credentials, !arguments.no_segmentation_offload)?;
        serve(identity, dial, host, &freezer).await
    })
}

fn symbols_config(arguments: &NodeArguments) -> Config {
    let mut config = Config::of_environment(WAIT_OF_NODE);
    // What systemd makes for a service (systemd.exec(5), CacheDirectory=).
    let of_service = std::env::var("CACHE_DIRECTORY").ok();
    let of_service =
        of_service.and_then(|paths| Some(PathBuf::from(paths.split(':').next()?).join("stillframe")));
    config.folder = arguments.cache.clone().or(of_service).or(config.folder);
    config.debug_folders.splice(0..0, arguments.debug_folder.iter().cloned());
    config
}

async fn serve(
    identity: Identity,
    dial: Arc<dyn Dial>,
    host: Arc<dyn Host>,
    freezer: &Freezer,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be awaited")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be awaited")?;
    let mut child = signal(SignalKind::child()).context("SIGCHLD cannot be awaited")?;
    tracing::info!(node = identity.name, version = identity.host.node_version, "serving");
    let (node, mut status) = node::actor::start(identity, dial, host, rand::random(), clock());
    loop {
        // It cannot be started again: the privilege that it needs was given up.
        if let Some(how) = freezer.ended() {
            bail!("the freezer ended ({how}), and without it nothing can be captured; start the node again");
        }
        tokio::select! {
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = child.recv() => {}
            changed = status.changed() => {
                if changed.is_err() {
                    bail!("the node's actor ended; report this as a bug");
                }
                match &*status.borrow_and_update() {
                    Status::Registered(generation) => tracing::info!(generation = generation.0, "registered"),
                    Status::Refused(reason) => tracing::error!(reason, "refused by the coordinator"),
                    Status::Down(reason) => tracing::warn!(reason, "not connected"),
                    Status::Unregistered => {}
                }
            }
        }
    }
    tracing::info!("told to end");
    node.stop();
    Ok(())
}

/// The node's clocks.
pub fn clock() -> Clock {
    Clock::new(stillframe_target::clock::realtime_ns)
}

fn dial(
    coordinator: SocketAddr,
    credentials: &Credentials,
    segmentation: bool,
) -> anyhow::Result<Arc<dyn Dial>> {
    let client = quic::client_config(credentials.client()?, quic::transport(segmentation))?;
    let any = if coordinator.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let endpoint = quic::bind(any.parse()?, None, &reset_key())?;
    Ok(Arc::new(Quic { endpoint, client, coordinator }))
}

/// Nobody has to notice that a node was restarted: it dials again.
fn reset_key() -> [u8; 64] {
    let mut key = [0; 64];
    rand::fill(&mut key);
    key
}

fn resolve(address: &str) -> anyhow::Result<SocketAddr> {
    let mut found = address
        .to_socket_addrs()
        .with_context(|| format!("--coordinator {address}: write HOST:PORT, such as 10.0.0.1:7443"))?;
    found.next().with_context(|| format!("--coordinator {address}: the name has no address"))
}

fn read_credentials(path: &PathBuf) -> anyhow::Result<Credentials> {
    use std::io::Read;
    let mut pem = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(CREDENTIALS_BYTES_MAX).read_to_string(&mut pem))
        .with_context(|| {
            format!("{}: the coordinator makes it: stillframe node-credentials --help", path.display())
        })?;
    Credentials::from_pem(&pem).with_context(|| {
        let path = path.display();
        format!("{path}: it is no file that the coordinator makes: stillframe node-credentials --help")
    })
}

fn log(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    if json { builder.json().init() } else { builder.with_target(false).init() }
}
