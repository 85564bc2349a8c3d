//! An order as the coordinator knows it, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use stillframe_wire::facts::PauseWindow;
use stillframe_wire::message::{FailureClass, OrderId, Refusal, Selector};

/// A node's name.
pub type NodeName = String;

/// For how long targets are stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stop {
    /// At most; `None`: the node's default, which grows with the target.
    pub max: Option<Duration>,
    /// Until so long after the time to freeze, so that stops of several hosts overlap; never for more than half of `max`.
    pub hold: Duration,
}

/// A request for a snapshot. The client draws the id (a UUIDv7): asked again with the same one, it is the same order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub id: OrderId,
    pub selector: Selector,
    pub stop: Stop,
    /// Source text of the probe sets; empty: none.
    pub probes: Arc<str>,
    /// From the order until its last fact; the file is finished after that.
    pub within: Duration,
    pub label: Option<String>,
    pub requested_by: Option<String>,
}

/// How far an order has come, for people who wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    Queued {
        before: usize,
    },
    /// The coordinator was restarted, and waits for so many nodes that it had.
    Returning {
        nodes: usize,
        within_ns: u64,
    },
    Prepare {
        nodes: usize,
    },
    Ready {
        node: NodeName,
        targets: usize,
        refused: usize,
    },
    Arm {
        targets: usize,
        in_ns: u64,
    },
    Frozen {
        node: NodeName,
        pid: u32,
        program: String,
        pause: PauseWindow,
    },
    Captured {
        node: NodeName,
        pid: u32,
        program: String,
        goroutines: u64,
        bytes: u64,
    },
    Stream {
        node: NodeName,
        pid: u32,
        program: String,
    },
    Written {
        node: NodeName,
        pid: u32,
        program: String,
        goroutines: u64,
    },
    /// A target that will be missing, and why.
    TargetLost {
        node: NodeName,
        pid: u32,
        program: String,
        failure: Refusal,
    },
    /// A node that will be missing, and why.
    NodeLost {
        node: NodeName,
        reason: String,
    },
    Commit,
    Ended(Outcome),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The file is there; `complete`: nothing is missing from it.
    Committed { complete: bool, goroutines: u64, bytes: u64 },
    /// There is no file.
    Failed { class: FailureClass, reason: String },
}
