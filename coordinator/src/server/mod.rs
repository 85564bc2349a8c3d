//! The coordinator's server: nodes come over QUIC, users over HTTP, snapshots go into a folder.
//!
//! * [`data_folder`]: the folder, its lock, and files that are there whole or not at all.
//! * [`pki`]: the CA that says who may be a node.
//! * [`known_nodes`]: which nodes there were, for the next start.
//! * [`gate`]: lets nodes in. The coordinator's actors (`stillframe_actors`) do the rest.
//! * [`store_thread`] and [`stores`]: each order's file.
//! * [`symbols`]: debug information that users push, for nodes that ask.
//! * [`orders`], [`archive`], [`http`]: what users see.

pub mod archive;
pub mod data_folder;
pub mod gate;
pub mod http;
pub mod known_nodes;
pub mod orders;
pub mod pki;
pub mod probe_sets;
pub mod store_thread;
pub mod stores;
pub mod symbols;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stillframe_actors::clock::Clock;
use stillframe_actors::coordinator::actor::Handle;
use stillframe_actors::coordinator::state::{Coordinator, Event};
use stillframe_actors::order::Progress;
use stillframe_actors::quic::{self, Endpoint, QuicError};
use stillframe_actors::symbols::Shelf;
use stillframe_node::symbols::store::{STORE_BYTES_MAX, Store};
use stillframe_wire::message::OrderId;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use archive::Archive;
use data_folder::{DataFolder, FolderError};
use gate::Refused;
use orders::Orders;
use pki::{Pki, PkiError};
use stores::ArchiveStores;
use symbols::Pushed;

/// At the end, a file that is being finished may be finished, or deleted, for so long.
const SETTLE_WITHIN: Duration = Duration::from_secs(10);
/// And answers that are being sent may be sent for so long.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub struct Config {
    pub data: PathBuf,
    /// For nodes; UDP.
    pub listen: SocketAddr,
    /// For users; TCP, a loopback address.
    pub http: SocketAddr,
    /// Let the network card cut datagrams; some virtual ones do it wrong.
    pub segmentation: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error(transparent)]
    Quic(#[from] QuicError),
    #[error("{address}/tcp: {source}")]
    Http { address: SocketAddr, source: io::Error },
    #[error(
        "{address}/tcp: users are not authenticated yet, so that HTTP is served on loopback addresses only"
    )]
    NotLoopback { address: SocketAddr },
}

impl StartError {
    pub fn remedy(&self) -> &'static str {
        match self {
            StartError::Folder(error) => error.remedy(),
            StartError::Pki(error) => error.remedy(),
            StartError::Quic(_) => "choose another address with --listen, or stop what uses this one",
            StartError::Http { .. } => "choose another address with --http, or stop what uses this one",
            StartError::NotLoopback { .. } => {
                "give --http 127.0.0.1:7480, and reach it from elsewhere by `ssh -L` or `kubectl port-forward`"
            }
        }
    }
}

/// A running coordinator.
pub struct Server {
    pub listen: SocketAddr,
    pub http: SocketAddr,
    coordinator: Handle,
    orders: Orders,
    stores: Arc<ArchiveStores>,
    endpoint: Endpoint,
    stop_http: watch::Sender<bool>,
    http_task: JoinHandle<io::Result<()>>,
    known_nodes: JoinHandle<()>,
    /// Unlocked when all else has ended.
    _folder: DataFolder,
}

/// A file with all that a node needs to reach this data folder's coordinator, for its owner only. The coordinator may run.
pub fn write_node_credentials(data: &Path, output: &Path, now_unix_ns: i64) -> Result<(), StartError> {
    let folder = data.join("pki");
    if !folder.exists() {
        // The folder is made under its lock: two of us would make two CAs.
        let _made = Pki::open(&DataFolder::open(data)?.pki(), now_unix_ns)?;
    }
    let credentials = Pki::open(&folder, now_unix_ns)?.node(now_unix_ns)?;
    data_folder::write_private(output, credentials.to_pem().as_bytes()).map_err(FolderError::of(output))?;
    Ok(())
}

impl Server {
    /// Needs a running tokio.
    pub async fn start(config: &Config, clock: Clock) -> Result<Server, StartError> {
        if !config.http.ip().is_loopback() {
            return Err(StartError::NotLoopback { address: config.http });
        }
        let folder = DataFolder::open(&config.data)?;
        let now = clock.now().unix_ns;
        let pki = Pki::open(&folder.pki(), now)?;
        let tls = pki.coordinator(now)?.server()?;
        let quic_config = quic::server_config(tls, quic::transport(config.segmentation))?;
        let endpoint = quic::bind(config.listen, Some(quic_config), pki.reset_key())?;
        let not_bound = |address| move |source| StartError::Http { address, source };
        let listen =
            endpoint.local_addr().map_err(|source| QuicError::Bind { address: config.listen, source })?;
        let listener = TcpListener::bind(config.http).await.map_err(not_bound(config.http))?;
        let http = listener.local_addr().map_err(not_bound(config.http))?;

        let archive = Archive::new(folder.snapshots());
        let symbols = Store::open(&folder.symbols(), STORE_BYTES_MAX)
            .map_err(|source| FolderError::Io { path: folder.symbols(), source })?;
        let orders = Orders::default();
        let stores = Arc::new(ArchiveStores::new(archive.clone(), clock.clone()));
        let (said, heard) = mpsc::unbounded_channel();
        let for_actor: Arc<ArchiveStores> = Arc::clone(&stores);
        let known = known_nodes::read(&folder.known_nodes());
        let machine = Coordinator::restarted(clock.now(), known);
        let coordinator =
            stillframe_actors::coordinator::actor::start(machine, for_actor, said, clock.clone());
        let coordinator = coordinator.with_shelf(Shelf::new(Arc::new(Pushed(symbols.clone()))));
        let known_nodes = tokio::spawn(known_nodes::keep(folder.known_nodes(), coordinator.overview.clone()));
        tokio::spawn(listen_to(heard, orders.clone()));
        let refused = Arc::new(Refused::default());
        tokio::spawn(gate::admit(endpoint.clone(), coordinator.clone(), Arc::clone(&refused)));
        let (stop_http, stopped) = watch::channel(false);
        let shared = http::Shared {
            coordinator: coordinator.clone(),
            orders: orders.clone(),
            archive,
            refused,
            probe_sets: probe_sets::ProbeSets::new(folder.probe_sets()),
            symbols,
            uploads: http::Uploads::default(),
            clock,
        };
        let http_task = tokio::spawn(http::serve(listener, shared, stopped));
        tracing::info!(%listen, %http, data = %config.data.display(), "the coordinator runs");
        Ok(Server {
            listen,
            http,
            coordinator,
            orders,
            stores,
            endpoint,
            stop_http,
            http_task,
            known_nodes,
            _folder: folder,
        })
    }

    /// Cancels what runs, waits until no file is half there, and ends.
    pub async fn stop(self) {
        let reason = "the coordinator was stopped";
        // That all nodes go now is not to be known.
        self.known_nodes.abort();
        // The running one last: the next one is not to begin because it was cancelled.
        let running = self.coordinator.overview.borrow().running;
        let mut open = self.orders.open();
        open.sort_by_key(|order| Some(*order) == running);
        for order in &open {
            self.coordinator.mailbox.tell(Event::Cancel { order: *order, reason: reason.to_owned() });
        }
        for order in open {
            if let Some(log) = self.orders.log(order) {
                let mut from = 0;
                while let Ok(Some((_, next))) = tokio::time::timeout(SETTLE_WITHIN, log.after(from)).await {
                    from = next;
                }
            }
        }
        if !self.stores.settle(SETTLE_WITHIN).await {
            tracing::warn!("a snapshot was being finished; what is left of it is deleted at the next start");
        }
        self.stop_http.send_replace(true);
        let mut http_task = self.http_task;
        if tokio::time::timeout(ANSWERS_WITHIN, &mut http_task).await.is_err() {
            http_task.abort();
        }
        self.coordinator.mailbox.stop();
        self.endpoint.close(0_u32.into(), reason.as_bytes());
        // The nodes are told; who cannot be reached notices by itself.
        let _ = tokio::time::timeout(ANSWERS_WITHIN, self.endpoint.wait_idle()).await;
        tracing::info!("the coordinator has ended");
    }
}

/// From the coordinator's actor to whoever asks.
async fn listen_to(mut heard: mpsc::UnboundedReceiver<(OrderId, Progress)>, orders: Orders) {
    while let Some((order, progress)) = heard.recv().await {
        if let Progress::Ended(outcome) = &progress {
            tracing::info!(order = %uuid::Uuid::from_u128(order.0), ?outcome, "an order has ended");
        }
        orders.record(order, progress);
    }
}
