//! The shapes of `/api/v1`: what the server says to its clients, and they to it. JSON; times are nanoseconds.

pub mod probe_sets;
pub mod symbols;

use serde::{Deserialize, Serialize};
use stillframe_actors::order::{Outcome, Progress};
use stillframe_wire::facts::PauseWindow;
use stillframe_wire::message::FailureClass;
use uuid::Uuid;

/// The media type of a snapshot file.
pub const SNAPSHOT_TYPE: &str = "application/vnd.sqlite3";

/// `POST /api/v1/orders`. The client draws the id: asked again with the same one, it is the same order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRequest {
    /// UUIDv7.
    pub id: Uuid,
    #[serde(default)]
    pub selector: Selector,
    /// `null`: the nodes' default.
    #[serde(default)]
    pub max_pause_ns: Option<u64>,
    /// Processes stay stopped until so long after the time to freeze, so that stops of several hosts overlap.
    #[serde(default)]
    pub hold_ns: u64,
    /// Source text of the probe sets; empty: none.
    #[serde(default)]
    pub probes: String,
    /// From the order until its last fact; 1 s to 1 h.
    pub within_ns: u64,
    #[serde(default)]
    pub label: Option<String>,
    /// As the client says: it is not checked.
    #[serde(default)]
    pub requested_by: Option<String>,
}

/// Glob patterns; an empty list demands nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selector {
    /// Names of nodes.
    pub hosts: Vec<String>,
    /// File names of executables.
    pub programs: Vec<String>,
    pub pids: Vec<u32>,
}

/// The answer to an order, and to its cancelling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderState {
    pub id: Uuid,
    pub state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits, or runs.
    Accepted,
    /// It has ended; its last event says how.
    Ended,
}

/// One of an order's events, as they come from `GET /api/v1/orders/ID/events`. The last one is [`Event::Committed`] or
/// [`Event::Failed`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Event {
    /// So many orders come first.
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
        node: String,
        targets: usize,
        refused: usize,
    },
    Arm {
        targets: usize,
        in_ns: u64,
    },
    Frozen {
        node: String,
        pid: u32,
        program: String,
        pause: Pause,
    },
    Captured {
        node: String,
        pid: u32,
        program: String,
        goroutines: u64,
        bytes: u64,
    },
    Stream {
        node: String,
        pid: u32,
        program: String,
    },
    Written {
        node: String,
        pid: u32,
        program: String,
        goroutines: u64,
    },
    TargetLost {
        node: String,
        pid: u32,
        program: String,
        class: String,
        reason: String,
    },
    NodeLost {
        node: String,
        reason: String,
    },
    Commit,
    Committed {
        complete: bool,
        goroutines: u64,
        bytes: u64,
    },
    Failed {
        class: String,
        message: String,
        remedy: String,
    },
    /// So many events were forgotten before they were asked for.
    Omitted {
        events: u64,
    },
}

/// When a target was stopped, on its node's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    pub pause_start_unix_ns: i64,
    pub pause_ns: i64,
    pub frozen_start_unix_ns: i64,
    pub frozen_ns: i64,
}

/// `GET /api/v1/snapshots`: the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotList {
    pub snapshots: Vec<SnapshotEntry>,
    /// Older ones that are not listed.
    pub omitted: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEntry {
    pub id: Uuid,
    pub bytes: u64,
    #[serde(flatten)]
    pub content: Content,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Content {
    Whole {
        label: Option<String>,
        taken_at_unix_ns: i64,
        complete: bool,
        goroutines: i64,
        processes: i64,
    },
    /// It cannot be read, and why.
    Damaged {
        damaged: String,
    },
}

/// `GET /api/v1/nodes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeList {
    pub nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub name: String,
    pub hostname: String,
    pub kernel: String,
    pub arch: String,
    pub version: String,
    /// Which registration at this coordinator it is.
    pub generation: u64,
    /// The node's clock minus the coordinator's; `null`: not known yet.
    pub clock_offset_ns: Option<i64>,
    pub clock_error_ns: Option<u64>,
    pub heard_ns_ago: u64,
}

/// Every answer that is none of the above.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    pub error: ErrorText,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorText {
    /// As `stillframe help exit-codes --json` lists them.
    pub class: String,
    pub message: String,
    pub remedy: String,
}

/// The name of a class of failures, as the command line has it.
pub fn class_name(class: FailureClass) -> &'static str {
    match class {
        FailureClass::NoSuchProcess => "no_such_process",
        FailureClass::NotGo => "not_go",
        FailureClass::Permission => "permission",
        FailureClass::Unsupported => "unsupported",
        FailureClass::Vanished => "vanished",
        FailureClass::BadFile => "bad_file",
        FailureClass::Limit => "limit",
        FailureClass::Lost => "unreachable",
        FailureClass::Other => "unexpected",
    }
}

fn remedy(class: FailureClass) -> &'static str {
    match class {
        FailureClass::NoSuchProcess => {
            "`stillframe nodes` lists the nodes; see that the order's patterns fit their processes"
        }
        FailureClass::NotGo => "only Go programs can be captured",
        FailureClass::Permission | FailureClass::Unsupported => {
            "`stillframe doctor` on that host says what can be done"
        }
        FailureClass::Vanished => "take the snapshot again",
        FailureClass::BadFile => "see that the executable on that host is complete",
        FailureClass::Limit => "raise the limit or free what is used up, and take the snapshot again",
        FailureClass::Lost => {
            "see that the node runs and reaches its coordinator, and take the snapshot again"
        }
        FailureClass::Other => "the coordinator's log may say more",
    }
}

impl From<PauseWindow> for Pause {
    fn from(pause: PauseWindow) -> Pause {
        let PauseWindow { pause_start_unix_ns, pause_ns, frozen_start_unix_ns, frozen_ns, .. } = pause;
        Pause { pause_start_unix_ns, pause_ns, frozen_start_unix_ns, frozen_ns }
    }
}

impl From<Progress> for Event {
    fn from(progress: Progress) -> Event {
        match progress {
            Progress::Queued { before } => Event::Queued { before },
            Progress::Returning { nodes, within_ns } => Event::Returning { nodes, within_ns },
            Progress::Prepare { nodes } => Event::Prepare { nodes },
            Progress::Ready { node, targets, refused } => Event::Ready { node, targets, refused },
            Progress::Arm { targets, in_ns } => Event::Arm { targets, in_ns },
            Progress::Frozen { node, pid, program, pause } => {
                Event::Frozen { node, pid, program, pause: pause.into() }
            }
            Progress::Captured { node, pid, program, goroutines, bytes } => {
                Event::Captured { node, pid, program, goroutines, bytes }
            }
            Progress::Stream { node, pid, program } => Event::Stream { node, pid, program },
            Progress::Written { node, pid, program, goroutines } => {
                Event::Written { node, pid, program, goroutines }
            }
            Progress::TargetLost { node, pid, program, failure } => {
                let class = class_name(failure.class).to_owned();
                Event::TargetLost { node, pid, program, class, reason: failure.reason }
            }
            Progress::NodeLost { node, reason } => Event::NodeLost { node, reason },
            Progress::Commit => Event::Commit,
            Progress::Ended(Outcome::Committed { complete, goroutines, bytes }) => {
                Event::Committed { complete, goroutines, bytes }
            }
            Progress::Ended(Outcome::Failed { class, reason }) => Event::Failed {
                class: class_name(class).to_owned(),
                message: reason,
                remedy: remedy(class).to_owned(),
            },
        }
    }
}

impl Event {
    pub fn is_last(&self) -> bool {
        matches!(self, Event::Committed { .. } | Event::Failed { .. })
    }
}
