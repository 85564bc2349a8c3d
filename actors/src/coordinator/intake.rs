//! Where data streams go: to the order that they are of.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stillframe_wire::message::{Generation, OrderId, StreamHead};

use crate::actor::Mailbox;
use crate::connection::Reading;
use crate::order::NodeName;
use crate::snapshot::{Event, StreamId, TargetKey};
use crate::writer::streams::Streams;

/// A data stream of a registered node, behind its head.
pub struct Streamed {
    pub node: NodeName,
    pub generation: Generation,
    pub head: StreamHead,
    pub reading: Reading,
}

/// Shared by all sessions.
#[derive(Clone, Default)]
pub struct Intake(Arc<Shared>);

#[derive(Default)]
struct Shared {
    running: Mutex<BTreeMap<OrderId, (Mailbox<Event>, Streams)>>,
    counted: AtomicU64,
}

impl Intake {
    /// A stream of an order that does not run (any more) is closed, by dropping it.
    pub fn offer(&self, streamed: Streamed) {
        let Streamed { node, generation, head, reading } = streamed;
        let running = self.running();
        let Some((snapshot, streams)) = running.get(&head.order) else { return };
        let stream = StreamId(self.0.counted.fetch_add(1, Ordering::Relaxed));
        streams.put(stream, reading);
        let key = TargetKey { node, target: head.target };
        snapshot.tell(Event::Stream { stream, key, generation });
    }

    pub(super) fn open(&self, order: OrderId, snapshot: Mailbox<Event>, streams: Streams) {
        self.running().insert(order, (snapshot, streams));
    }

    pub(super) fn close(&self, order: OrderId) {
        self.running().remove(&order);
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<OrderId, (Mailbox<Event>, Streams)>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
