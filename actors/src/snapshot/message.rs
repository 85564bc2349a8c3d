//! What a snapshot is told, and what it wants done.

use stillframe_wire::message::{FailureClass, Generation, TargetId, ToCoordinator};

use super::member::Member;
use crate::coordinator::state::NodeMessage;
use crate::order::{NodeName, Outcome, Progress};
use crate::session::ClockEstimate;

/// A data stream, as the coordinator's process counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// A target of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetKey {
    pub node: NodeName,
    pub target: TargetId,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first event.
    Start,
    FromNode {
        node: NodeName,
        generation: Generation,
        message: ToCoordinator,
    },
    Clock {
        node: NodeName,
        clock: ClockEstimate,
    },
    NodeGone {
        node: NodeName,
        generation: Generation,
    },
    NodeBack(Member),
    Cancel {
        reason: String,
    },
    /// A data stream was opened by a node.
    Stream {
        stream: StreamId,
        key: TargetKey,
        generation: Generation,
    },
    /// The writer has all of a target.
    Written {
        stream: StreamId,
        key: TargetKey,
        goroutines: u64,
    },
    /// The stream of a target broke, or held what it must not; the writer has nothing of it.
    Broken {
        stream: StreamId,
        key: TargetKey,
        reason: String,
    },
    Linked,
    Committed {
        complete: bool,
        goroutines: u64,
        bytes: u64,
    },
    /// The file cannot be written.
    WriteFailed {
        class: FailureClass,
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    ToNode {
        node: NodeName,
        message: NodeMessage,
    },
    Writer(WriterOrder),
    /// Ask the linker to join what was written.
    Link,
    Progress(Progress),
    Ended(Outcome),
}

/// What the writer is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriterOrder {
    /// The node's host, with the clock that its times are on. Before anything else of that node.
    Host {
        member: Member,
    },
    /// Load this target from this stream, when its turn comes.
    Load {
        stream: StreamId,
        key: TargetKey,
    },
    /// Do not load it (any more), and close the stream.
    Drop {
        stream: StreamId,
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
    Finish,
    Abandon,
}
