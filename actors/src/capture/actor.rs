//! The capture's actor: has its host capture, keeps the spool, and sends it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use stillframe_wire::facts::PauseWindow;
use stillframe_wire::message::{
    OrderId, PROTOCOL_VERSION, ReadyTarget, Refusal, Selector, StreamHead, TargetId,
};
use tokio::io::AsyncWriteExt;
use tokio::task::AbortHandle;

use super::state::{Capture, Effect, Event};
use crate::actor::{Carrier, Mailbox};
use crate::clock::Clock;
use crate::connection::{Later, Reading, Streams, write_frame};
use crate::node::state::Event as NodeEvent;
use crate::order::Stop;

/// What a node can do on its host.
pub trait Host: Send + Sync {
    /// The processes that fit, with their executables read; and how long before a freeze the node wants to know of it.
    /// `probes`: the source text of the order's probe sets, as in [`Host::capture`].
    fn find(&self, selector: Selector, stop: Stop, probes: Arc<str>) -> Later<(Vec<ReadyTarget>, Duration)>;

    /// Gets ready, freezes a target, reads it, lets it go, decodes and spools. `resumed` is called when it runs again.
    /// Dropping the future gives up what can still be given up; the target is let go in any case.
    fn capture(
        &self,
        wanted: CaptureOrder,
        resumed: Box<dyn FnOnce(PauseWindow) + Send>,
    ) -> Later<Result<Box<dyn Spool>, Refusal>>;

    /// Called once, before anything else: how to reach the coordinator, for a host that asks it for something.
    fn linked(&self, _link: Link) {}
}

/// What an order wants of one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureOrder {
    pub order: OrderId,
    pub pid: u32,
    pub stop: Stop,
    pub probes: Arc<str>,
    /// When to freeze, on the node's wall clock; at once where that is past.
    pub at_node_unix_ns: i64,
    /// Targets of the order on this node, this one among them: none is to be let go before all stand still.
    pub together: usize,
}

/// A result that waits: frames of batches. Dropping it deletes it.
pub trait Spool: Send + Sync {
    fn goroutines(&self) -> u64;
    fn bytes(&self) -> u64;
    /// From its start.
    fn read(&self) -> io::Result<Reading>;
}

/// The connection of the moment.
pub type Link = tokio::sync::watch::Receiver<Option<Arc<dyn Streams>>>;

struct Carrying {
    order: OrderId,
    target: TargetId,
    pid: u32,
    stop: Stop,
    probes: Arc<str>,
    host: Arc<dyn Host>,
    link: Link,
    node: Mailbox<NodeEvent>,
    spool: Arc<std::sync::OnceLock<Box<dyn Spool>>>,
    capturing: Option<AbortHandle>,
    sending: Option<AbortHandle>,
}

/// What a capture is of.
pub(crate) struct Of {
    pub(crate) order: OrderId,
    pub(crate) target: TargetId,
    pub(crate) pid: u32,
    pub(crate) stop: Stop,
    pub(crate) probes: Arc<str>,
}

pub(crate) fn start(
    of: Of,
    host: Arc<dyn Host>,
    link: Link,
    node: Mailbox<NodeEvent>,
    clock: Clock,
) -> Mailbox<Event> {
    let Of { order, target, pid, stop, probes } = of;
    let supervisor = node.cell();
    let spool = Arc::default();
    let carrying = Carrying {
        order,
        target,
        pid,
        stop,
        probes,
        host,
        link,
        node,
        spool,
        capturing: None,
        sending: None,
    };
    crate::actor::start(Capture::new(clock.now()), carrying, clock, Some(supervisor))
}

async fn send(
    order: OrderId,
    target: TargetId,
    spool: Arc<std::sync::OnceLock<Box<dyn Spool>>>,
    streams: Arc<dyn Streams>,
) -> io::Result<()> {
    let spool = spool.get().ok_or(io::ErrorKind::NotFound)?;
    let mut stream = streams.open().await?;
    write_frame(&mut stream, &StreamHead { version: PROTOCOL_VERSION, order, target }).await?;
    let mut reading = spool.read()?;
    tokio::io::copy(&mut reading, &mut stream).await?;
    stream.shutdown().await
}

impl Carrier<Capture> for Carrying {
    fn carry(&mut self, me: &Mailbox<Event>, effect: Effect) {
        match effect {
            Effect::Capture { at_node_unix_ns, together } => {
                let (tell, spool) = (me.clone(), Arc::clone(&self.spool));
                let resumed = Box::new(move |pause| tell.tell(Event::Resumed { pause }));
                let (order, pid, stop) = (self.order, self.pid, self.stop);
                let probes = Arc::clone(&self.probes);
                let wanted = CaptureOrder { order, pid, stop, probes, at_node_unix_ns, together };
                let captured = self.host.capture(wanted, resumed);
                let me = me.clone();
                let task = tokio::spawn(async move {
                    me.tell(match captured.await {
                        Ok(result) => {
                            let (goroutines, bytes) = (result.goroutines(), result.bytes());
                            // Set once: there is one capture.
                            let _ = spool.set(result);
                            Event::Spooled { goroutines, bytes }
                        }
                        Err(failure) => Event::Failed(failure),
                    });
                });
                self.capturing = Some(task.abort_handle());
            }
            Effect::OpenStream => {
                let streams = self.link.borrow().clone();
                let (me, spool) = (me.clone(), Arc::clone(&self.spool));
                let (order, target) = (self.order, self.target);
                let task = tokio::spawn(async move {
                    if let Some(streams) = streams
                        && let Err(error) = send(order, target, spool, streams).await
                    {
                        tracing::warn!(%error, "a result was not sent whole; the coordinator will ask again");
                    }
                    me.tell(Event::StreamClosed);
                });
                self.sending = Some(task.abort_handle());
            }
            Effect::CloseStream => {
                if let Some(sending) = self.sending.take() {
                    sending.abort();
                }
            }
            Effect::Report(report) => {
                self.node.tell(NodeEvent::Report { order: self.order, target: self.target, report });
            }
            Effect::End => me.stop(),
        }
    }
}

impl Drop for Carrying {
    fn drop(&mut self) {
        self.capturing.iter().chain(&self.sending).for_each(AbortHandle::abort);
    }
}
