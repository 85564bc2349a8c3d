//! What goes into one snapshot's file, and when. The file itself belongs to a thread, which does one thing at a time:
//! this machine decides which.
//!
//! Streams are loaded one after the other. The others wait, and QUIC's flow control makes their nodes wait, so that memory
//! is bounded by windows and not by results. A stream that breaks leaves nothing behind in the file.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use stillframe_wire::message::FailureClass;

use crate::linker::facts::{Found, Part, Place};
use crate::linker::state::{Event as LinkerEvent, Request};
use crate::machine::Machine;
use crate::snapshot::{Event as SnapshotEvent, Member, StreamId, TargetKey, WriterOrder};
use crate::time::{Moment, Now};

/// What the thread is told. It answers each with [`Event::Done`] or [`Event::Failed`], in order; only a load also with
/// [`Event::Broken`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    Host {
        member: Member,
    },
    /// Read the stream to its end. [`Effect::DropStream`] ends it early.
    Load {
        stream: StreamId,
        key: TargetKey,
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
    /// Say what the file knows of sockets and who is at their ends, from here on.
    Ends {
        from: Place,
    },
    /// Write what joins them.
    Links {
        found: Arc<Found>,
    },
    /// Finish the file and give it its name.
    Finish,
    /// Delete what there is, a finished file too: whoever ordered it was told that there is none.
    Abandon,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Order(WriterOrder),
    Linker(Request),
    /// The task at hand is done.
    Done(Done),
    /// The load at hand broke; the file is as it was before.
    Broken {
        reason: String,
    },
    /// The file cannot be written. It is deleted.
    Failed {
        class: FailureClass,
        reason: String,
    },
}

/// What a task gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    Row,
    Loaded { goroutines: u64 },
    Ends(Arc<Part>),
    Finished { complete: bool, goroutines: u64, bytes: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Task(Task),
    /// Close this stream; if it is being loaded the load breaks.
    DropStream {
        stream: StreamId,
    },
    ToSnapshot(SnapshotEvent),
    ToLinker(LinkerEvent),
}

#[derive(Clone, Debug, Default)]
pub struct Writer {
    tasks: VecDeque<Task>,
    at_hand: Option<Task>,
    /// What is in the file.
    loaded: BTreeSet<TargetKey>,
    closed: bool,
}

impl Writer {
    fn start_next(&mut self, effects: &mut Vec<Effect>) {
        while self.at_hand.is_none()
            && let Some(task) = self.tasks.pop_front()
        {
            // It was given up while its last rows were written: it is not missing.
            if matches!(&task, Task::LostTarget { key, .. } if self.loaded.contains(key)) {
                continue;
            }
            effects.push(Effect::Task(task.clone()));
            self.at_hand = Some(task);
        }
    }

    fn order(&mut self, order: WriterOrder, effects: &mut Vec<Effect>) {
        let task = match order {
            WriterOrder::Host { member } => Task::Host { member },
            WriterOrder::Load { stream, key } => Task::Load { stream, key },
            WriterOrder::LostTarget { key, pid, program, reason } => {
                Task::LostTarget { key, pid, program, reason }
            }
            WriterOrder::LostNode { member, reason } => Task::LostNode { member, reason },
            WriterOrder::Finish => Task::Finish,
            WriterOrder::Drop { stream } => {
                self.tasks.retain(|task| !matches!(task, Task::Load { stream: s, .. } if *s == stream));
                return effects.push(Effect::DropStream { stream });
            }
            WriterOrder::Abandon => {
                self.close(effects);
                Task::Abandon
            }
        };
        self.tasks.push_back(task);
    }

    /// No stream is of use any more.
    fn close(&mut self, effects: &mut Vec<Effect>) {
        self.closed = true;
        let tasks = std::mem::take(&mut self.tasks);
        for task in tasks.iter().chain(&self.at_hand) {
            if let Task::Load { stream, .. } = task {
                effects.push(Effect::DropStream { stream: *stream });
            }
        }
    }

    fn done(&mut self, done: Done, effects: &mut Vec<Effect>) {
        let snapshot = match (self.at_hand.take(), done) {
            (Some(Task::Load { stream, key }), Done::Loaded { goroutines }) => {
                self.loaded.insert(key.clone());
                effects.push(Effect::ToLinker(LinkerEvent::Written { key: key.clone() }));
                SnapshotEvent::Written { stream, key, goroutines }
            }
            (Some(Task::Ends { .. }), Done::Ends(part)) => {
                return effects.push(Effect::ToLinker(LinkerEvent::Read(part)));
            }
            (Some(Task::Links { .. }), Done::Row) => {
                return effects.push(Effect::ToLinker(LinkerEvent::Kept));
            }
            (Some(Task::Finish), Done::Finished { complete, goroutines, bytes }) => {
                self.closed = true;
                SnapshotEvent::Committed { complete, goroutines, bytes }
            }
            _ => return,
        };
        effects.push(Effect::ToSnapshot(snapshot));
    }
}

impl Machine for Writer {
    type Event = Event;
    type Effect = Effect;

    fn handle(&mut self, _: Now, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Order(WriterOrder::Drop { stream }) if self.closed => {
                effects.push(Effect::DropStream { stream });
            }
            Event::Order(WriterOrder::Load { stream, .. }) if self.closed => {
                effects.push(Effect::DropStream { stream });
            }
            Event::Order(order) if self.closed && order != WriterOrder::Abandon => {}
            Event::Order(order) => self.order(order, effects),
            Event::Linker(_) if self.closed => {}
            Event::Linker(Request::Read(from)) => self.tasks.push_back(Task::Ends { from }),
            Event::Linker(Request::Keep(found)) => self.tasks.push_back(Task::Links { found }),
            Event::Done(done) => self.done(done, effects),
            Event::Broken { reason } => {
                if let Some(Task::Load { stream, key }) = self.at_hand.take() {
                    effects.push(Effect::ToSnapshot(SnapshotEvent::Broken { stream, key, reason }));
                }
            }
            Event::Failed { class, reason } => {
                self.close(effects);
                self.at_hand = None;
                effects.push(Effect::ToSnapshot(SnapshotEvent::WriteFailed { class, reason }));
            }
        }
        self.start_next(effects);
    }

    fn wake_at(&self) -> Option<Moment> {
        None
    }

    fn tick(&mut self, _: Now, _: &mut Vec<Effect>) {}
}
