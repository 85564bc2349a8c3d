//! The coordinator's actor: starts sessions and snapshots, and passes between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stillframe_wire::message::{FailureClass, OrderId};
use tokio::sync::{mpsc, watch};

use super::intake::Intake;
use super::state::{Coordinator, Effect, Event, Node, SessionId};
use crate::actor::{ActorId, Carrier, Mailbox};
use crate::clock::Clock;
use crate::connection::Connection;
use crate::order::{NodeName, Order, Outcome, Progress};
use crate::session::Refusals;
use crate::snapshot::Event as SnapshotEvent;
use crate::symbols::Shelf;
use crate::writer::actor::Store;
use crate::{session, snapshot};

/// Why an order fails whose actor ends before it, without a panic: a bug of the actor.
pub const ENDED_EARLY: &str = "its actor has ended";

/// Makes the store of each order's file.
pub trait Stores: Send + Sync {
    fn store(&self, order: &Order) -> Box<dyn Store>;
}

/// What others may know of the coordinator at any time.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    pub nodes: BTreeMap<NodeName, Node>,
    pub running: Option<OrderId>,
    pub waiting: Vec<OrderId>,
    pub refused_names: u64,
}

/// A running coordinator.
#[derive(Clone)]
pub struct Handle {
    pub mailbox: Mailbox<Event>,
    pub overview: watch::Receiver<Overview>,
    pub refusals: Arc<Refusals>,
    sessions: mpsc::UnboundedSender<(SessionId, Mailbox<session::state::Event>)>,
    counted: Arc<AtomicU64>,
    intake: Intake,
    shelf: Option<Shelf>,
    clock: Clock,
}

impl Handle {
    /// The same coordinator, with debug information for nodes that connect from now on and through this.
    pub fn with_shelf(self, shelf: Shelf) -> Handle {
        Handle { shelf: Some(shelf), ..self }
    }

    /// Starts the session of a peer that has proved that it may have one.
    pub fn connected(&self, connection: Connection) {
        let id = SessionId(self.counted.fetch_add(1, Ordering::Relaxed));
        let shared = session::actor::Shared {
            intake: self.intake.clone(),
            refusals: Arc::clone(&self.refusals),
            shelf: self.shelf.clone(),
        };
        session::actor::start(id, connection, self.mailbox.clone(), shared, self.clock.clone(), |session| {
            // The coordinator has to know it before it hears of it.
            let _ = self.sessions.send((id, session));
        });
    }
}

/// Starts a coordinator. What becomes of its orders goes to `listener`.
pub fn start(
    coordinator: Coordinator,
    stores: Arc<dyn Stores>,
    listener: mpsc::UnboundedSender<(OrderId, Progress)>,
    clock: Clock,
) -> Handle {
    let (overview, overview_seen) = watch::channel(Overview::default());
    let (sessions, new_sessions) = mpsc::unbounded_channel();
    let intake = Intake::default();
    let carrying = Carrying {
        sessions: BTreeMap::new(),
        new_sessions,
        snapshots: BTreeMap::new(),
        children: BTreeMap::new(),
        stores,
        listener,
        overview,
        intake: intake.clone(),
        clock: clock.clone(),
    };
    let mailbox = crate::actor::start(coordinator, carrying, clock.clone(), None);
    Handle {
        mailbox,
        overview: overview_seen,
        refusals: Arc::default(),
        sessions,
        counted: Arc::default(),
        intake,
        shelf: None,
        clock,
    }
}

struct Carrying {
    sessions: BTreeMap<SessionId, Mailbox<session::state::Event>>,
    new_sessions: mpsc::UnboundedReceiver<(SessionId, Mailbox<session::state::Event>)>,
    snapshots: BTreeMap<OrderId, Mailbox<SnapshotEvent>>,
    children: BTreeMap<ActorId, Child>,
    stores: Arc<dyn Stores>,
    listener: mpsc::UnboundedSender<(OrderId, Progress)>,
    overview: watch::Sender<Overview>,
    intake: Intake,
    clock: Clock,
}

#[derive(Clone, Copy)]
enum Child {
    Session(SessionId),
    Snapshot(OrderId),
}

impl Carrying {
    fn session(&mut self, id: SessionId) -> Option<&Mailbox<session::state::Event>> {
        while let Ok((id, session)) = self.new_sessions.try_recv() {
            self.children.insert(session.id(), Child::Session(id));
            self.sessions.insert(id, session);
        }
        self.sessions.get(&id)
    }

    fn tell(&mut self, id: SessionId, event: session::state::Event) {
        if let Some(session) = self.session(id) {
            session.tell(event);
        }
    }
}

impl Carrier<Coordinator> for Carrying {
    fn carry(&mut self, me: &Mailbox<Event>, effect: Effect) {
        match effect {
            Effect::Admit { session, generation } => {
                self.tell(session, session::state::Event::Admitted { generation });
            }
            Effect::Reject { session, reason } => {
                tracing::warn!(session = session.0, reason, "a node was refused");
                self.tell(session, session::state::Event::Rejected { reason });
            }
            Effect::CloseSession { session, reason } => {
                self.tell(session, session::state::Event::Close { reason });
            }
            Effect::ToSession { session, message } => {
                self.tell(session, session::actor::event(message));
            }
            Effect::Start { order, members } => {
                let (id, store) = (order.id, self.stores.store(&order));
                let started = snapshot::actor::start(
                    order,
                    members,
                    store,
                    me.clone(),
                    self.listener.clone(),
                    self.clock.clone(),
                );
                self.children.insert(started.mailbox.id(), Child::Snapshot(id));
                self.intake.open(id, started.mailbox.clone(), started.streams);
                started.mailbox.tell(SnapshotEvent::Start);
                self.snapshots.insert(id, started.mailbox);
            }
            Effect::ToSnapshot { order, event } => {
                if let Some(snapshot) = self.snapshots.get(&order) {
                    snapshot.tell(event);
                }
            }
            Effect::Progress { order, progress } => {
                if let Progress::Ended(_) = progress {
                    self.intake.close(order);
                    self.snapshots.remove(&order);
                }
                // Whoever listened may have gone.
                let _ = self.listener.send((order, progress));
            }
        }
    }

    fn child_ended(&mut self, me: &Mailbox<Event>, child: ActorId, failure: Option<String>) {
        // A session that nobody has heard of yet may fail, too.
        let _ = self.session(SessionId(u64::MAX));
        match self.children.remove(&child) {
            Some(Child::Session(session)) => {
                self.sessions.remove(&session);
                me.tell(Event::Closed { session });
            }
            // One that was cancelled ends when its file is deleted; the same order may have begun again by then.
            Some(Child::Snapshot(order)) if self.snapshots.get(&order).is_some_and(|s| s.id() == child) => {
                let reason = failure.unwrap_or_else(|| ENDED_EARLY.to_owned());
                let outcome = Outcome::Failed { class: FailureClass::Other, reason };
                me.tell(Event::SnapshotEnded { order, outcome });
            }
            Some(Child::Snapshot(_)) | None => {}
        }
    }

    fn carried(&mut self, _: &Mailbox<Event>, machine: &Coordinator) {
        self.overview.send_replace(Overview {
            nodes: machine.nodes().clone(),
            running: machine.running(),
            waiting: machine.waiting().collect(),
            refused_names: machine.refused_names(),
        });
    }
}
