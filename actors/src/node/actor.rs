//! The node's actor: connects, reads and writes control frames, starts captures.

use std::collections::BTreeMap;
use std::sync::Arc;

use stillframe_wire::limits::CONTROL_FRAME_BYTES_MAX;
use stillframe_wire::message::{FailureClass, Generation, OrderId, Refusal, TargetId, ToCoordinator, ToNode};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::state::{Effect, Event, Identity, Node};
use crate::actor::{ActorId, Carrier, Mailbox, Meter};
use crate::capture::actor::{Host, Of};
use crate::capture::state::{Event as CaptureEvent, Report};
use crate::clock::Clock;
use crate::connection::{Connection, Dial, ReadError, Streams, Writing, read_frame, write_frame};

/// Control messages that wait to be written.
const OUTBOX_MAX: usize = 4_096;

/// Whether the node is registered, for logs, metrics and tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Status {
    #[default]
    Unregistered,
    Registered(Generation),
    /// The coordinator does not want it.
    Refused(String),
    /// There is no connection, for this reason.
    Down(String),
}

/// What is written: a message, or the answer to a ping, whose times are read at the last moment.
enum Outgoing {
    Message(ToCoordinator),
    Pong { id: u64, received_unix_ns: i64 },
}

struct Carrying {
    dial: Arc<dyn Dial>,
    host: Arc<dyn Host>,
    clock: Clock,
    link: watch::Sender<Option<Arc<dyn Streams>>>,
    outbox: Option<mpsc::Sender<Outgoing>>,
    reader: Option<AbortHandle>,
    /// A connection that was made, until its event is handled.
    dialed: (mpsc::UnboundedSender<Connection>, mpsc::UnboundedReceiver<Connection>),
    captures: BTreeMap<(OrderId, TargetId), Mailbox<CaptureEvent>>,
    children: BTreeMap<ActorId, (OrderId, TargetId)>,
    status: watch::Sender<Status>,
}

/// Starts a node. `seed`: for the jitter of its reconnecting.
pub fn start(
    identity: Identity,
    dial: Arc<dyn Dial>,
    host: Arc<dyn Host>,
    seed: u64,
    clock: Clock,
) -> (Mailbox<Event>, watch::Receiver<Status>) {
    let (status, status_seen) = watch::channel(Status::default());
    let link = watch::Sender::new(None);
    host.linked(link.subscribe());
    let carrying = Carrying {
        dial,
        host,
        clock: clock.clone(),
        link,
        outbox: None,
        reader: None,
        dialed: mpsc::unbounded_channel(),
        captures: BTreeMap::new(),
        children: BTreeMap::new(),
        status,
    };
    let node = crate::actor::start(Node::new(identity, seed), carrying, clock, None);
    node.tell(Event::Start);
    (node, status_seen)
}

impl Carrying {
    fn connect(&self, me: &Mailbox<Event>) {
        let (me, dialing, dialed) = (me.clone(), self.dial.dial(), self.dialed.0.clone());
        tokio::spawn(async move {
            me.tell(match dialing.await {
                Ok(connection) => {
                    // The receiver lives as long as the actor.
                    let _ = dialed.send(connection);
                    Event::Connected
                }
                Err(reason) => Event::ConnectFailed { reason },
            });
        });
    }

    /// Takes the connection that was made, when the machine has something to say on it.
    fn outbox(&mut self, me: &Mailbox<Event>) -> Option<&mpsc::Sender<Outgoing>> {
        while let Ok(connection) = self.dialed.1.try_recv() {
            self.disconnect("a newer connection was made");
            let (reading, writing) = connection.control;
            let (outbox, messages) = mpsc::channel(OUTBOX_MAX);
            tokio::spawn(write(writing, messages, Arc::clone(&connection.streams), self.clock.clone()));
            let reader = tokio::spawn(read(reading, Arc::clone(&connection.streams), me.clone()));
            self.reader = Some(reader.abort_handle());
            self.link.send_replace(Some(connection.streams));
            self.outbox = Some(outbox);
        }
        self.outbox.as_ref()
    }

    fn send(&mut self, me: &Mailbox<Event>, outgoing: Outgoing) {
        let full = self.outbox(me).is_some_and(|outbox| outbox.try_send(outgoing).is_err());
        if full {
            self.disconnect("the coordinator does not read what it is told");
            me.tell(Event::ConnectionLost { reason: "the coordinator does not read".to_owned() });
        }
    }

    fn disconnect(&mut self, reason: &str) {
        self.outbox = None;
        // So that no event of this connection comes after the next one was made.
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
        if let Some(streams) = self.link.send_replace(None) {
            streams.close(reason);
        }
    }
}

async fn write(
    mut writing: Writing,
    mut messages: mpsc::Receiver<Outgoing>,
    streams: Arc<dyn Streams>,
    clock: Clock,
) {
    while let Some(outgoing) = messages.recv().await {
        let message = match outgoing {
            Outgoing::Message(message) => message,
            Outgoing::Pong { id, received_unix_ns } => {
                ToCoordinator::Pong { id, received_unix_ns, sent_unix_ns: clock.now().unix_ns }
            }
        };
        if let Err(error) = write_frame(&mut writing, &message).await {
            return streams.close(&format!("writing failed: {error}"));
        }
    }
}

async fn read(mut reading: crate::connection::Reading, streams: Arc<dyn Streams>, me: Mailbox<Event>) {
    let meter = Meter::new(me);
    let closed = streams.closed();
    tokio::pin!(closed);
    loop {
        // What was sent before the end counts: it may say why.
        let event = tokio::select! {
            biased;
            frame = read_frame::<ToNode>(&mut reading, CONTROL_FRAME_BYTES_MAX) => match frame {
                Ok((message, _)) => Event::FromCoordinator(message),
                Err(ReadError::Codec(error)) => Event::Garbage { reason: error.to_string() },
                Err(error) => Event::ConnectionLost { reason: error.to_string() },
            },
            reason = &mut closed => Event::ConnectionLost { reason },
        };
        let is_last = !matches!(event, Event::FromCoordinator(_));
        meter.tell(event).await;
        if is_last {
            return;
        }
    }
}

impl Carrier<Node> for Carrying {
    fn carry(&mut self, me: &Mailbox<Event>, effect: Effect) {
        match effect {
            Effect::Connect => self.connect(me),
            Effect::Disconnect { reason } => {
                self.disconnect(&reason);
                // That it was refused says more.
                self.status.send_if_modified(|status| {
                    let says_less = !matches!(status, Status::Refused(_));
                    if says_less {
                        *status = Status::Down(reason);
                    }
                    says_less
                });
            }
            Effect::Send(message) => self.send(me, Outgoing::Message(message)),
            Effect::Pong { id } => {
                let received_unix_ns = self.clock.now().unix_ns;
                self.send(me, Outgoing::Pong { id, received_unix_ns });
            }
            Effect::Find { order, selector, stop, probes } => {
                let (me, found) = (me.clone(), self.host.find(selector, stop, probes));
                tokio::spawn(async move {
                    let (targets, lead) = found.await;
                    me.tell(Event::Found { order, targets, lead_ns: crate::time::nanoseconds(lead) });
                });
            }
            Effect::Start { order, target, pid, stop, probes } => {
                let (host, link) = (Arc::clone(&self.host), self.link.subscribe());
                let of = Of { order, target, pid, stop, probes };
                let capture = crate::capture::actor::start(of, host, link, me.clone(), self.clock.clone());
                self.children.insert(capture.id(), (order, target));
                self.captures.insert((order, target), capture);
            }
            Effect::ToCapture { order, target, event } => {
                if let Some(capture) = self.captures.get(&(order, target)) {
                    capture.tell(event);
                }
            }
            Effect::Registered { generation } => {
                self.status.send_replace(Status::Registered(generation));
            }
            Effect::Refused { reason } => {
                self.status.send_replace(Status::Refused(reason));
            }
        }
    }

    fn carried(&mut self, _: &Mailbox<Event>, machine: &Node) {
        self.status.send_if_modified(|status| {
            let is_over = !machine.is_registered() && matches!(status, Status::Registered(_));
            if is_over {
                *status = Status::Down("the connection was lost".to_owned());
            }
            is_over
        });
    }

    fn child_ended(&mut self, me: &Mailbox<Event>, child: ActorId, failure: Option<String>) {
        let Some((order, target)) = self.children.remove(&child) else { return };
        // One that was told to forget ends later; the same order may have begun again by then.
        if self.captures.get(&(order, target)).is_none_or(|capture| capture.id() != child) {
            return;
        }
        self.captures.remove(&(order, target));
        if let Some(reason) = failure {
            let failure = Refusal { class: FailureClass::Other, reason };
            me.tell(Event::Report { order, target, report: Report::Failed(failure) });
        }
    }
}
