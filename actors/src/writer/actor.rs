//! The writer's actor: gives its tasks to a store, and reads streams for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stillframe_wire::batch::Batch;
use stillframe_wire::limits::FRAME_BYTES_MAX;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::silence::Heard;
use super::state::{Done, Effect, Event, Task, Writer};
use super::streams::Streams;
use crate::actor::{Carrier, Mailbox};
use crate::clock::Clock;
use crate::connection::{Reading, read_frame};
use crate::linker::{self, Found, Place};
use crate::snapshot::{Event as SnapshotEvent, Member, StreamId, TargetKey};

/// Batches that were read and wait to be written.
const BATCHES_WAITING: usize = 8;
/// A stream that brings nothing for so long is given up: others wait behind it.
const SILENT_MAX: Duration = Duration::from_secs(5);

/// What a store is to do. The batches of a load end with [`Batch::Done`]; an error, or an end before that, means that the
/// stream broke, and the store must have nothing of it.
pub enum StoreTask {
    Host {
        member: Member,
    },
    Load {
        key: TargetKey,
        batches: mpsc::Receiver<Result<Batch, String>>,
    },
    LostTarget {
        key: TargetKey,
        pid: u32,
        program: String,
        reason: String,
    },
    LostNode {
        member: Member,
        reason: String,
    },
    /// Answered with [`Done::Ends`].
    Ends {
        from: Place,
    },
    Links {
        found: Arc<Found>,
    },
    Finish,
    Abandon,
}

/// How a store answers: [`Event::Done`], [`Event::Broken`] or [`Event::Failed`].
pub type Answer = Box<dyn FnOnce(Event) + Send>;

/// One file in the making; it does one task at a time, on a thread of its own. Dropping it deletes what is not finished.
pub trait Store: Send + 'static {
    fn run(&mut self, task: StoreTask, answer: Answer);
}

pub(crate) struct Carrying {
    pub(crate) store: Box<dyn Store>,
    pub(crate) streams: Streams,
    pub(crate) snapshot: Mailbox<SnapshotEvent>,
    pub(crate) linker: Mailbox<linker::state::Event>,
    readers: BTreeMap<StreamId, AbortHandle>,
}

pub(crate) fn start(
    store: Box<dyn Store>,
    streams: Streams,
    snapshot: Mailbox<SnapshotEvent>,
    linker: Mailbox<linker::state::Event>,
    clock: Clock,
) -> Mailbox<Event> {
    let supervisor = snapshot.cell();
    let carrying = Carrying { store, streams, snapshot, linker, readers: BTreeMap::new() };
    crate::actor::start(Writer::default(), carrying, clock, Some(supervisor))
}

impl Carrying {
    fn load(&mut self, stream: StreamId, key: TargetKey) -> StoreTask {
        let (sender, batches) = mpsc::channel(BATCHES_WAITING);
        // One that was dropped meanwhile is a stream that has ended.
        if let Some(reading) = self.streams.take(stream) {
            let reader = tokio::spawn(read(reading, sender));
            self.readers.insert(stream, reader.abort_handle());
        }
        StoreTask::Load { key, batches }
    }
}

async fn read(reading: Reading, batches: mpsc::Sender<Result<Batch, String>>) {
    let mut reading = Heard::new(reading, SILENT_MAX);
    loop {
        let frame = read_frame::<Batch>(&mut reading, FRAME_BYTES_MAX).await;
        let batch = frame.map(|(batch, _)| batch).map_err(|error| error.to_string());
        let is_last = matches!(batch, Err(_) | Ok(Batch::Done(_)));
        // A store that does not want more has dropped its end.
        if batches.send(batch).await.is_err() || is_last {
            return;
        }
    }
}

impl Carrier<Writer> for Carrying {
    fn carry(&mut self, me: &Mailbox<Event>, effect: Effect) {
        match effect {
            Effect::Task(task) => {
                let is_abandon = task == Task::Abandon;
                let task = match task {
                    Task::Host { member } => StoreTask::Host { member },
                    Task::Load { stream, key } => self.load(stream, key),
                    Task::LostTarget { key, pid, program, reason } => {
                        StoreTask::LostTarget { key, pid, program, reason }
                    }
                    Task::LostNode { member, reason } => StoreTask::LostNode { member, reason },
                    Task::Ends { from } => StoreTask::Ends { from },
                    Task::Links { found } => StoreTask::Links { found },
                    Task::Finish => StoreTask::Finish,
                    Task::Abandon => StoreTask::Abandon,
                };
                let me = me.clone();
                self.store.run(
                    task,
                    Box::new(move |event| {
                        me.tell(event);
                        if is_abandon {
                            me.stop();
                        }
                    }),
                );
            }
            Effect::DropStream { stream } => {
                drop(self.streams.take(stream));
                if let Some(reader) = self.readers.remove(&stream) {
                    reader.abort();
                }
            }
            Effect::ToSnapshot(event) => self.snapshot.tell(event),
            Effect::ToLinker(event) => self.linker.tell(event),
        }
    }
}

impl Drop for Carrying {
    fn drop(&mut self) {
        self.readers.values().for_each(AbortHandle::abort);
    }
}

/// For stores: a task that only adds rows is done.
pub fn row() -> Event {
    Event::Done(Done::Row)
}
