//! A node's process: its actor, the coordinator that it dials, and who closes its connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stillframe_actors::connection::{Connection, Dial, Later, Streams};
use stillframe_actors::node::state::Identity;
use stillframe_actors::quic::Quic;
use stillframe_wire::facts::HostFacts;
use stillframe_wire::message::InstanceId;

use super::pki::PKI;
use super::quic;
use super::target::Scripted;
use super::world::{Planted, STRANGER, World, node_host};

/// What a node's host runs, from its boot to its crash.
pub async fn run(world: World, host: usize) -> turmoil::Result {
    let plan = &world.plan().hosts[host];
    // Not all at once.
    let pause = Duration::from_millis(world.lock().random.below(500));
    let begin_ns = plan.exists.map_or(0, |(from, _)| from);
    world.sleep_until(begin_ns).await;
    tokio::time::sleep(pause).await;
    let dial = Arc::new(Dialer {
        quic: quic::dialer(&world, &node_host(host), &PKI.node).await?,
        world: world.clone(),
        dials: AtomicU64::new(0),
        streams: Arc::default(),
    });
    tokio::spawn(close(world.clone(), host, Arc::clone(&dial.streams)));
    let targets = Arc::new(Scripted::new(&world, Some(host)));
    let (identity, seed) = (identity(&world, &plan.name), world.lock().random.draw());
    let (_node, status) =
        stillframe_actors::node::actor::start(identity, dial, targets, seed, world.clock(Some(host)));
    let mut seen = status.clone();
    world.lock().nodes.insert(host, Some(status));
    loop {
        let status = seen.borrow_and_update().clone();
        world.line(format_args!("node {host}: {status:?}"));
        if seen.changed().await.is_err() {
            return Err(format!("the actor of node {host} has ended").into());
        }
    }
}

/// Closes the connection of the moment whenever it is told to.
async fn close(world: World, host: usize, streams: Arc<Mutex<Option<Arc<dyn Streams>>>>) {
    let closes = Arc::clone(&world.lock().node_closes[host]);
    loop {
        closes.notified().await;
        if let Some(streams) = streams.lock().unwrap_or_else(PoisonError::into_inner).take() {
            world.line(format_args!("node {host} closes its connection"));
            streams.close("a fault of the plan");
        }
    }
}

/// A node whose certificate is of another authority.
pub async fn run_stranger(world: World) -> turmoil::Result {
    let dial = quic::dialer(&world, STRANGER, &PKI.stranger).await?;
    let (identity, targets) = (identity(&world, STRANGER), Arc::new(Scripted::new(&world, None)));
    let clock = stillframe_actors::clock::Clock::new(|| 0);
    let (_node, _) = stillframe_actors::node::actor::start(identity, Arc::new(dial), targets, 0, clock);
    std::future::pending().await
}

fn identity(world: &World, name: &str) -> Identity {
    let instance = InstanceId(world.lock().random.draw());
    Identity { name: name.to_owned(), instance, host: HostFacts::default() }
}

/// Dials, and knows the last connection, so that it can be closed.
struct Dialer {
    quic: Quic,
    world: World,
    dials: AtomicU64,
    streams: Arc<Mutex<Option<Arc<dyn Streams>>>>,
}

impl Dial for Dialer {
    fn dial(&self) -> Later<Result<Connection, String>> {
        let before = self.dials.fetch_add(1, Ordering::Relaxed);
        if self.world.planted() == Planted::NeverReturns && before > 0 {
            return Box::pin(std::future::pending());
        }
        let (dialing, streams) = (self.quic.dial(), Arc::clone(&self.streams));
        Box::pin(async move {
            let connection = dialing.await?;
            let made = Arc::clone(&connection.streams);
            streams.lock().unwrap_or_else(PoisonError::into_inner).replace(made);
            Ok(connection)
        })
    }
}
