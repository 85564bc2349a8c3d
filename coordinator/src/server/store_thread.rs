//! The store of one snapshot, on a thread of its own: what the writer's actor wants done, done to an SQLite file.
//!
//! The thread ends when its [`StoreThread`] is dropped, and what is not finished is deleted then.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

use stillframe_actors::clock::Clock;
use stillframe_actors::order::NodeName;
use stillframe_actors::session::ClockEstimate;
use stillframe_actors::snapshot::{Member, TargetKey};
use stillframe_actors::time::{Now, nanoseconds};
use stillframe_actors::writer::actor::{Answer, Store, StoreTask, row};
use stillframe_actors::writer::state::{Done, Event};
use stillframe_wire::batch::Batch;
use stillframe_wire::message::FailureClass;

use crate::store::order::{ClockBound, Existing, HostKey, LostProcess, SnapshotMeta, Summary, WriteError};
use crate::store::writer::SnapshotWriter;

/// A clock that nobody has compared yet may be wrong by anything; half of it, so that sums of two do not overflow.
const UNKNOWN_CLOCK_ERROR_NS: i64 = i64::MAX / 2;

/// What goes into the file beside facts, and where it is to be.
#[derive(Clone, Debug)]
pub struct FileOrder {
    pub output: PathBuf,
    pub existing: Existing,
    pub meta: SnapshotMeta,
}

/// What whoever ordered the file may want to know before and beyond what the actors are told.
pub enum Notice {
    /// This file is to be deleted if the process ends without dropping the store.
    Temporary(PathBuf),
    Finished(Summary),
    Failed(WriteError),
}

/// Called on the store's thread.
pub type Notify = Box<dyn FnMut(Notice) + Send>;

/// One file in the making.
pub struct StoreThread {
    tasks: Sender<(StoreTask, Answer)>,
}

impl StoreThread {
    /// Starts the thread, which makes the file at once; if that fails, the first task says so. The handle is for who wants
    /// to wait until the thread has deleted what is to be deleted, after the store was dropped.
    pub fn start(order: FileOrder, clock: Clock, notify: Notify) -> (StoreThread, JoinHandle<()>) {
        let (sender, tasks) = mpsc::channel();
        let thread = std::thread::spawn(move || run(order, clock, notify, &tasks));
        (StoreThread { tasks: sender }, thread)
    }
}

impl Store for StoreThread {
    fn run(&mut self, task: StoreTask, answer: Answer) {
        if let Err(mpsc::SendError((_, answer))) = self.tasks.send((task, answer)) {
            let reason = "the thread that writes the file has failed".to_owned();
            answer(Event::Failed { class: FailureClass::Other, reason });
        }
    }
}

fn run(order: FileOrder, clock: Clock, mut notify: Notify, tasks: &Receiver<(StoreTask, Answer)>) {
    let started = clock.now();
    let output = order.output.clone();
    let writer = SnapshotWriter::create(&order.output, order.existing, order.meta);
    if let Ok(writer) = &writer {
        notify(Notice::Temporary(writer.temporary_path().to_owned()));
    }
    let stage = writer.map(Stage::Open).unwrap_or_else(Stage::Broken);
    let mut thread = Thread { stage, output, hosts: BTreeMap::new(), clock, started, last_fact: started };
    while let Ok((task, answer)) = tasks.recv() {
        let event = thread.task(task, &mut notify).unwrap_or_else(|error| {
            // Nothing more will be written: what is there is deleted now, not when the order has ended.
            thread.stage = Stage::Closed;
            let (class, reason) = (class(&error), format!("{error}; {}", remedy(&error)));
            notify(Notice::Failed(error));
            Event::Failed { class, reason }
        });
        answer(event);
    }
}

/// For who has ordered it, perhaps from afar, and did not say where the file is.
fn remedy(error: &WriteError) -> &'static str {
    match error {
        WriteError::Full { .. } => "make space there and where temporary files go (TMPDIR)",
        WriteError::Output { .. } | WriteError::Database { .. } | WriteError::Spoiled { .. } => {
            "see that its folder can be written to, and that the file system is healthy"
        }
        // Only who names the file can meet another one there.
        WriteError::Exists { .. }
        | WriteError::Check { .. }
        | WriteError::BadFacts { .. }
        | WriteError::Probes { .. }
        | WriteError::Misuse { .. } => error.remedy(),
    }
}

/// A disk that is full is a limit; all else is for people.
fn class(error: &WriteError) -> FailureClass {
    match error {
        WriteError::Full { .. } => FailureClass::Limit,
        WriteError::Exists { .. }
        | WriteError::Output { .. }
        | WriteError::Database { .. }
        | WriteError::Check { .. }
        | WriteError::Spoiled { .. }
        | WriteError::BadFacts { .. }
        | WriteError::Probes { .. }
        | WriteError::Misuse { .. } => FailureClass::Other,
    }
}

#[expect(clippy::large_enum_variant, reason = "there is one of them for a whole file")]
enum Stage {
    Open(SnapshotWriter),
    /// It could not be made; the first task is told.
    Broken(WriteError),
    /// It is there, under its name.
    Published,
    Closed,
}

struct Thread {
    stage: Stage,
    output: PathBuf,
    hosts: BTreeMap<NodeName, HostKey>,
    clock: Clock,
    started: Now,
    last_fact: Now,
}

impl Thread {
    fn task(&mut self, task: StoreTask, notify: &mut Notify) -> Result<Event, WriteError> {
        match task {
            StoreTask::Host { member } => self.host(&member),
            StoreTask::Load { key, batches } => self.load(&key, batches),
            StoreTask::LostTarget { key, pid, program, reason } => {
                let host = self.known_host(&key.node)?;
                self.writer()?.lost_process(host, &LostProcess { pid, program, reason })?;
                Ok(row())
            }
            StoreTask::LostNode { member, reason } => self.lost_node(&member, &reason),
            StoreTask::Ends { from } => Ok(Event::Done(Done::Ends(Arc::new(self.writer()?.ends(from)?)))),
            StoreTask::Links { found } => {
                self.writer()?.links(&found)?;
                Ok(row())
            }
            StoreTask::Finish => self.finish(notify),
            StoreTask::Abandon => self.abandon(),
        }
    }

    fn writer(&mut self) -> Result<&mut SnapshotWriter, WriteError> {
        if matches!(self.stage, Stage::Broken(_))
            && let Stage::Broken(error) = std::mem::replace(&mut self.stage, Stage::Closed)
        {
            return Err(error);
        }
        match &mut self.stage {
            Stage::Open(writer) => Ok(writer),
            _ => Err(WriteError::Misuse { asked: "a row", but: "the file is closed" }),
        }
    }

    fn known_host(&self, node: &NodeName) -> Result<HostKey, WriteError> {
        let unknown = WriteError::Misuse { asked: "a process", but: "its host is not in the file" };
        self.hosts.get(node).copied().ok_or(unknown)
    }

    fn host(&mut self, member: &Member) -> Result<Event, WriteError> {
        let host = self.writer()?.host(&member.host, bound(member.clock))?;
        self.hosts.insert(member.name.clone(), host);
        Ok(row())
    }

    fn lost_node(&mut self, member: &Member, reason: &str) -> Result<Event, WriteError> {
        match self.hosts.get(&member.name).copied() {
            Some(host) => self.writer()?.host_partial(host, reason)?,
            None => self.writer()?.lost_host(&member.host.hostname, reason)?,
        }
        Ok(row())
    }

    fn load(
        &mut self,
        key: &TargetKey,
        mut batches: tokio::sync::mpsc::Receiver<Result<Batch, String>>,
    ) -> Result<Event, WriteError> {
        let host = self.known_host(&key.node)?;
        let now = self.clock.now();
        let writer = self.writer()?;
        writer.begin(host, &format!("target {} of node {}", key.target.0, key.node))?;
        loop {
            let batch = match batches.blocking_recv() {
                Some(Ok(batch)) => batch,
                broken => {
                    writer.abort()?;
                    let reason = match broken {
                        Some(Err(reason)) => reason,
                        _ => "its stream was given up before its end".to_owned(),
                    };
                    return Ok(Event::Broken { reason });
                }
            };
            let is_last = matches!(batch, Batch::Done(_));
            let taken = writer.batch(&batch).and_then(|()| is_last.then(|| writer.end()).transpose());
            match taken {
                Ok(None) => {}
                Ok(Some(summary)) => {
                    self.last_fact = now;
                    return Ok(Event::Done(Done::Loaded { goroutines: summary.goroutines }));
                }
                // The writer has nothing of it any more.
                Err(WriteError::BadFacts { target, defect }) => {
                    return Ok(Event::Broken { reason: format!("{target}: {defect}") });
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn finish(&mut self, notify: &mut Notify) -> Result<Event, WriteError> {
        self.writer()?;
        let Stage::Open(writer) = std::mem::replace(&mut self.stage, Stage::Closed) else {
            return Err(WriteError::Misuse { asked: "the finished file", but: "it is closed" });
        };
        let duration = self.last_fact.moment.since(self.started.moment);
        let summary = writer.finish(i64::try_from(nanoseconds(duration)).unwrap_or(i64::MAX))?;
        self.stage = Stage::Published;
        let Summary { complete, goroutines, bytes, .. } = summary;
        notify(Notice::Finished(summary));
        Ok(Event::Done(Done::Finished { complete, goroutines, bytes }))
    }

    fn abandon(&mut self) -> Result<Event, WriteError> {
        // Dropping a writer deletes its file.
        if let Stage::Published = std::mem::replace(&mut self.stage, Stage::Closed) {
            fs::remove_file(&self.output)
                .map_err(|source| WriteError::Output { path: self.output.clone(), source })?;
        }
        Ok(row())
    }
}

/// The file has what is to be added to the node's clock; the estimate, what is to be added to the coordinator's.
fn bound(clock: Option<ClockEstimate>) -> ClockBound {
    clock.map_or(ClockBound { offset_ns: 0, error_ns: UNKNOWN_CLOCK_ERROR_NS }, |clock| ClockBound {
        offset_ns: clock.offset_ns.saturating_neg(),
        error_ns: i64::try_from(clock.error_ns).unwrap_or(UNKNOWN_CLOCK_ERROR_NS),
    })
}

#[cfg(test)]
mod tests;
