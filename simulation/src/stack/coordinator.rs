//! The coordinator's process: its actor, who connects to it, and what is seen of it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use stillframe_actors::connection::Streams;
use stillframe_actors::coordinator::actor::{ENDED_EARLY, Overview};
use stillframe_actors::order::{Outcome, Progress};
use stillframe_wire::message::OrderId;
use tokio::sync::{mpsc, watch};

use super::pki::PKI;
use super::store::Scripted;
use super::world::{Planted, STRANGER, World, node_host};
use super::{clients, quic};
use crate::oracle::{Observation, Oracle};

/// The last connection of each host.
type Connections = Arc<Mutex<BTreeMap<IpAddr, Arc<dyn Streams>>>>;

/// What the coordinator's host runs, from its boot to its crash.
pub async fn run(world: World) -> turmoil::Result {
    world.lock().disk.recover();
    let is_careless = world.planted() == Planted::TrustsStrangers;
    let credentials = if is_careless { &PKI.careless_coordinator } else { &PKI.coordinator };
    let endpoint = quic::listen(&world, credentials).await?;
    let (listener, progress) = mpsc::unbounded_channel();
    let stores = Arc::new(Scripted(world.clone()));
    let coordinator =
        stillframe_actors::coordinator::actor::start(Default::default(), stores, listener, world.clock(None));
    world.lock().overview = Some(coordinator.overview.clone());
    tokio::spawn(listen(world.clone(), progress));
    tokio::spawn(watch(world.clone(), coordinator.overview.clone()));
    tokio::spawn(clients::run(world.clone(), coordinator.clone()));
    let connections = Connections::default();
    let (closes, to_close) = mpsc::unbounded_channel();
    world.lock().coordinator_closes = Some(closes);
    tokio::spawn(close(world.clone(), to_close, Arc::clone(&connections)));
    while let Some(accepting) = stillframe_actors::quic::accept(&endpoint).await {
        let (coordinator, connections) = (coordinator.clone(), Arc::clone(&connections));
        tokio::spawn(async move {
            let address = accepting.peer().ip();
            if let Ok(connection) = accepting.finish().await {
                let streams = Arc::clone(&connection.streams);
                connections.lock().unwrap_or_else(PoisonError::into_inner).insert(address, streams);
                coordinator.connected(connection);
            }
        });
    }
    Err("the coordinator's endpoint was closed".into())
}

/// Closes a host's connection whenever it is told to.
async fn close(world: World, mut hosts: mpsc::UnboundedReceiver<usize>, connections: Connections) {
    while let Some(host) = hosts.recv().await {
        let address = turmoil::lookup(node_host(host));
        if let Some(streams) = connections.lock().unwrap_or_else(PoisonError::into_inner).remove(&address) {
            world.line(format_args!("the coordinator closes the connection of node {host}"));
            streams.close("a fault of the plan");
        }
    }
}

/// What becomes of orders.
async fn listen(world: World, mut progress: mpsc::UnboundedReceiver<(OrderId, Progress)>) {
    while let Some((OrderId(order), progress)) = progress.recv().await {
        world.line(format_args!("order {order}: {progress:?}"));
        let mut state = world.lock();
        let run = state.runs.running.get(&order).copied();
        match (progress, run) {
            (Progress::Ready { node, targets, refused }, Some(run)) => {
                state.observe(Observation::Ready { run, node, targets: targets + refused });
            }
            (Progress::Commit, Some(run)) => state.observe(Observation::Collected { run }),
            (Progress::Ended(outcome), run) => {
                state.runs.running.remove(&order);
                if let Some(run) = run {
                    if let Outcome::Failed { reason, .. } = &outcome {
                        state.runs.failed.insert(run);
                        if reason == ENDED_EARLY {
                            let what = format!("the actor of run {run} ended before its order");
                            state.oracles.violate(Oracle::Orders, what);
                        }
                    }
                    state.observe(Observation::Ended { run, outcome: &outcome });
                }
                clients::answer(&mut state, order, &outcome);
            }
            _ => {}
        }
    }
}

/// Who is registered.
async fn watch(world: World, mut overview: watch::Receiver<Overview>) {
    let mut known: BTreeMap<String, u64> = BTreeMap::new();
    while overview.changed().await.is_ok() {
        let nodes: BTreeMap<String, u64> = {
            let overview = overview.borrow_and_update();
            overview.nodes.iter().map(|(name, node)| (name.clone(), node.session.0)).collect()
        };
        let mut state = world.lock();
        for (_, session) in known.iter().filter(|(name, session)| nodes.get(*name) != Some(session)) {
            state.observe(Observation::Closed { session: *session });
        }
        for (name, session) in nodes.iter().filter(|(name, session)| known.get(*name) != Some(session)) {
            state.observe(Observation::Admitted { session: *session, name });
            if name == STRANGER {
                state.oracles.violate(Oracle::Trust, "the stranger is registered");
            }
        }
        known = nodes;
    }
}
