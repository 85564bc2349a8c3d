//! The session's actor: reads control frames and data streams of one connection, and writes control frames.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use stillframe_wire::limits::CONTROL_FRAME_BYTES_MAX;
use stillframe_wire::message::{Generation, PROTOCOL_VERSION, StreamHead, ToCoordinator, ToNode};
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use super::refusals::Refusals;
use super::state::{Effect, Event, Report, Session};
use crate::actor::{Carrier, Mailbox, Meter};
use crate::clock::Clock;
use crate::connection::{Connection, ReadError, Reading, Streams, Writing, read_frame, write_frame};
use crate::coordinator::state::{Event as CoordinatorEvent, NodeMessage, SessionId};
use crate::coordinator::{Intake, Streamed};
use crate::symbols::{self, Shelf};

/// Control messages that wait to be written; a node that lets more pile up is cut off.
const OUTBOX_MAX: usize = 1_024;
/// The head of a data stream comes within this time.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

struct Carrying {
    session: SessionId,
    coordinator: Mailbox<CoordinatorEvent>,
    outbox: Option<mpsc::Sender<ToNode>>,
    streams: Arc<dyn Streams>,
    /// Who the peer is, once it is admitted: data streams need to know.
    admitted: Arc<OnceLock<(String, Generation)>>,
    name: Option<String>,
    refusals: Arc<Refusals>,
}

/// What all sessions of a coordinator share.
#[derive(Clone)]
pub struct Shared {
    pub intake: Intake,
    pub refusals: Arc<Refusals>,
    /// Debug information for nodes that ask.
    pub shelf: Option<Shelf>,
}

/// Starts the session of a connection. `started` is called with it before anything is read.
pub fn start(
    session: SessionId,
    connection: Connection,
    coordinator: Mailbox<CoordinatorEvent>,
    shared: Shared,
    clock: Clock,
    started: impl FnOnce(Mailbox<Event>),
) {
    let Shared { intake, refusals, shelf } = shared;
    let (outbox, messages) = mpsc::channel(OUTBOX_MAX);
    let admitted = Arc::new(OnceLock::new());
    let (reading, writing) = connection.control;
    let streams = connection.streams;
    let supervisor = coordinator.cell();
    let carrying = Carrying {
        session,
        coordinator,
        outbox: Some(outbox),
        streams: Arc::clone(&streams),
        admitted: Arc::clone(&admitted),
        name: None,
        refusals: Arc::clone(&refusals),
    };
    let machine = Session::new(clock.now());
    let me = crate::actor::start(machine, carrying, clock, Some(supervisor));
    started(me.clone());
    tokio::spawn(write(writing, messages, Arc::clone(&streams)));
    // These end with the connection, which ends with the session.
    tokio::spawn(read(reading, me, Arc::clone(&streams)));
    tokio::spawn(symbols::answer(Arc::clone(&streams), Arc::clone(&admitted), shelf));
    tokio::spawn(accept(streams, admitted, intake, refusals));
}

async fn write(mut writing: Writing, mut messages: mpsc::Receiver<ToNode>, streams: Arc<dyn Streams>) {
    let mut last = None;
    while let Some(message) = messages.recv().await {
        if let ToNode::Refused { reason } = &message {
            last = Some(reason.clone());
        }
        if let Err(error) = write_frame(&mut writing, &message).await {
            streams.close(&format!("writing failed: {error}"));
            return;
        }
    }
    // The reason has to arrive before the connection is closed: the peer closes it when it has read it.
    let _ = writing.shutdown().await;
    if last.is_some() {
        let _ = tokio::time::timeout(Duration::from_secs(2), streams.closed()).await;
    }
    streams.close(last.as_deref().unwrap_or("the session has ended"));
}

async fn read(mut reading: Reading, me: Mailbox<Event>, streams: Arc<dyn Streams>) {
    let meter = Meter::new(me);
    let closed = streams.closed();
    tokio::pin!(closed);
    loop {
        let event = tokio::select! {
            biased;
            reason = &mut closed => Event::ConnectionLost { reason },
            frame = read_frame::<ToCoordinator>(&mut reading, CONTROL_FRAME_BYTES_MAX) => match frame {
                Ok((message, _)) => Event::FromNode(message),
                Err(ReadError::Codec(error)) => Event::Garbage { reason: error.to_string() },
                Err(error) => Event::ConnectionLost { reason: error.to_string() },
            },
        };
        let is_last = !matches!(event, Event::FromNode(_));
        meter.tell(event).await;
        if is_last {
            return;
        }
    }
}

/// Each data stream says what it is of, and then waits until it is asked for.
async fn accept(
    streams: Arc<dyn Streams>,
    admitted: Arc<OnceLock<(String, Generation)>>,
    intake: Intake,
    refusals: Arc<Refusals>,
) {
    while let Ok(reading) = streams.accept().await {
        let (admitted, intake, refusals) = (Arc::clone(&admitted), intake.clone(), Arc::clone(&refusals));
        tokio::spawn(async move {
            match streamed(reading, &admitted).await {
                Ok(streamed) => intake.offer(streamed),
                Err(reason) => {
                    refusals.streams.fetch_add(1, Ordering::Relaxed);
                    let node = admitted.get().map(|(node, _)| node);
                    tracing::warn!(node, reason, "a data stream was dropped");
                }
            }
        });
    }
}

async fn streamed(
    mut reading: Reading,
    admitted: &OnceLock<(String, Generation)>,
) -> Result<Streamed, String> {
    let head = read_frame::<StreamHead>(&mut reading, CONTROL_FRAME_BYTES_MAX);
    let head = tokio::time::timeout(HEAD_WITHIN, head).await;
    let head = head.map_err(|_| format!("its head did not come within {HEAD_WITHIN:?}"))?;
    let (head, _) = head.map_err(|error| error.to_string())?;
    if head.version != PROTOCOL_VERSION {
        return Err(format!("it is of version {} of the protocol", head.version));
    }
    let (node, generation) = admitted.get().cloned().ok_or("its node is not registered")?;
    Ok(Streamed { node, generation, head, reading })
}

impl Carrier<Session> for Carrying {
    fn carry(&mut self, me: &Mailbox<Event>, effect: Effect) {
        match effect {
            Effect::ToNode(message) => {
                if let ToNode::Welcome { generation, .. } = &message
                    && let Some(name) = &self.name
                {
                    // Set once: a session is admitted once.
                    let _ = self.admitted.set((name.clone(), *generation));
                }
                if let ToNode::Refused { .. } = &message {
                    self.refusals.sessions.fetch_add(1, Ordering::Relaxed);
                }
                let full = self.outbox.as_ref().is_some_and(|outbox| outbox.try_send(message).is_err());
                if full {
                    let reason = "the node does not read what it is told".to_owned();
                    me.tell(Event::ConnectionLost { reason });
                }
            }
            Effect::Report(report) => {
                let session = self.session;
                self.coordinator.tell(match report {
                    Report::Hello(hello) => {
                        self.name = Some(hello.name.clone());
                        CoordinatorEvent::Hello { session, hello }
                    }
                    Report::Alive { clock } => CoordinatorEvent::Alive { session, clock },
                    Report::Message(message) => CoordinatorEvent::Message { session, message },
                    Report::Closed { .. } => CoordinatorEvent::Closed { session },
                });
            }
            Effect::Close { reason } => {
                tracing::info!(
                    session = self.session.0,
                    node = self.name.as_deref(),
                    reason,
                    "session closed"
                );
                // The writer closes the connection once everything is written.
                self.outbox = None;
                me.stop();
            }
        }
    }
}

impl Drop for Carrying {
    fn drop(&mut self) {
        // Whatever ended this actor ends the connection, at the latest with its writer.
        if self.outbox.take().is_some() {
            self.streams.close("the session failed");
        }
    }
}

/// What the coordinator wants said to the node.
pub fn event(message: NodeMessage) -> Event {
    match message {
        NodeMessage::Plain(message) => Event::Send(message),
        NodeMessage::Arm { order, at_unix_ns } => Event::Arm { order, at_unix_ns },
    }
}
