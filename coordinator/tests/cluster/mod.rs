//! A coordinator's server in this process, on free ports, and what talks to it: scripted nodes, peers that mean no good,
//! and users.

use std::io::Cursor;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use stillframe::server::{Config, Server, StartError, write_node_credentials};
use stillframe_actors::clock::Clock;
use stillframe_actors::connection::{Dial, write_frame};
use stillframe_actors::node;
use stillframe_actors::node::actor::Status;
use stillframe_actors::node::state::Identity;
use stillframe_actors::quic::{self, Credentials, Quic};
use stillframe_wire::batch::batches;
use stillframe_wire::facts::{HostFacts, ProcessFacts};
use stillframe_wire::message::InstanceId;
use tempfile::TempDir;
use tokio::sync::watch;

use crate::synthetic;

mod host;
mod peer;
mod users;

pub use host::{Hangs, Scripted};
pub use peer::{Peer, hello as peer_hello};
pub use users::{Beside, command, events, exchange, json, metric, order, request, rows, run, start};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn clock() -> Clock {
    let started = UNIX_EPOCH.elapsed().unwrap();
    let zero = tokio::time::Instant::now();
    Clock::new(move || (started + zero.elapsed()).as_nanos() as i64)
}

pub fn config(data: &Path) -> Config {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Config { data: data.to_owned(), listen: any, http: any, segmentation: true }
}

pub async fn try_serve(config: &Config) -> Result<Server, StartError> {
    Server::start(config, clock()).await
}

/// On a free port each.
pub async fn serve(data: &Path) -> Server {
    try_serve(&config(data)).await.unwrap()
}

/// As `stillframe node-credentials` gives them.
pub fn credentials(data: &Path) -> Credentials {
    let folder = folder();
    let file = folder.path().join("node.pem");
    write_node_credentials(data, &file, UNIX_EPOCH.elapsed().unwrap().as_nanos() as i64).unwrap();
    Credentials::from_pem(&std::fs::read_to_string(&file).unwrap()).unwrap()
}

pub fn dial(credentials: &Credentials, coordinator: SocketAddr) -> Arc<dyn Dial> {
    let client = quic::client_config(credentials.client().unwrap(), quic::transport(true)).unwrap();
    let endpoint = quic::bind("127.0.0.1:0".parse().unwrap(), None, &[8; 64]).unwrap();
    Arc::new(Quic { endpoint, client, coordinator })
}

pub fn host_facts(name: &str) -> HostFacts {
    HostFacts { hostname: format!("host-{name}"), ..synthetic::host() }
}

/// A node that runs until the test's runtime ends.
pub struct Node {
    pub status: watch::Receiver<Status>,
    mailbox: stillframe_actors::actor::Mailbox<node::state::Event>,
}

impl Node {
    /// With the credentials of a data folder, which need not be the coordinator's own.
    pub fn start(data: &Path, coordinator: SocketAddr, name: &str, host: Scripted) -> Node {
        Node::start_with(&credentials(data), coordinator, name, host)
    }

    pub fn start_with(
        credentials: &Credentials,
        coordinator: SocketAddr,
        name: &str,
        host: Scripted,
    ) -> Node {
        let instance = u64::from(host.pid);
        let identity = Identity { name: name.into(), instance: InstanceId(instance), host: host_facts(name) };
        let dial = dial(credentials, coordinator);
        let (mailbox, status) = node::actor::start(identity, dial, Arc::new(host), instance, clock());
        Node { status, mailbox }
    }

    /// Registered with a coordinator.
    pub async fn up(data: &Path, coordinator: SocketAddr, name: &str, host: Scripted) -> Node {
        let mut node = Node::start(data, coordinator, name, host);
        node.registered().await;
        node
    }

    pub async fn until(&mut self, is: impl FnMut(&Status) -> bool) {
        let seen = tokio::time::timeout(PATIENCE, self.status.wait_for(is)).await.map(|seen| seen.is_ok());
        assert_eq!(seen, Ok(true), "it stays {:?}", self.status.borrow());
    }

    pub async fn registered(&mut self) {
        self.until(|status| matches!(status, Status::Registered(_))).await;
    }

    /// As if its process was killed: nothing more comes of it.
    pub fn kill(self) {
        self.mailbox.stop();
    }
}

/// What a node's spool has of a process.
pub async fn spooled(facts: ProcessFacts) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    for batch in batches(facts) {
        write_frame(&mut bytes, &batch).await.unwrap();
    }
    bytes.into_inner()
}

pub fn snapshots(data: &Path) -> Vec<PathBuf> {
    files_in(&data.join("snapshots"))
}

pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.sort();
    all
}
