//! What coordinator and node say to each other on the control stream.
//!
//! Each frame is a [`ToNode`] or a [`ToCoordinator`]. A node speaks first: [`Hello`]; the answer is
//! [`ToNode::Welcome`] or [`ToNode::Refused`]. Times are Unix nanoseconds, on the clock that the field names.

use std::sync::Arc;

use bincode::{Decode, Encode};

use crate::facts::{HostFacts, PauseWindow};
use crate::limits::{
    NODE_NAME_BYTES_MAX, PATTERN_BYTES_MAX, PROBES_BYTES_MAX, PROGRAM_BYTES_MAX, READY_REASON_BYTES_MAX,
    SELECTOR_PATTERNS_MAX, TARGETS_PER_NODE_MAX, TEXT_BYTES_MAX,
};

/// The version of everything in this crate that crosses a network.
pub const PROTOCOL_VERSION: u32 = 1;

/// The protocol's name in TLS's ALPN (RFC 7301).
pub const ALPN: &[u8] = b"stillframe/1";

/// One order of one snapshot: the snapshot's UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct OrderId(pub u128);

/// A target of one node within one order: its place in the node's [`Ready`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct TargetId(pub u32);

/// Drawn at random at the start of a node's process: tells a node that came back from another one of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct InstanceId(pub u64);

/// Which registration of a node's name: the coordinator counts them. What belongs to an older one is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct Generation(pub u64);

/// What a snapshot is to be of. Lists are of glob patterns (`*`, `?`); an empty list demands nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Selector {
    /// Names of nodes.
    pub hosts: Vec<String>,
    /// File names of executables.
    pub programs: Vec<String>,
    /// As each host counts.
    pub pids: Vec<u32>,
}

/// What a node has to know of an order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Prepare {
    pub order: OrderId,
    pub selector: Selector,
    /// The longest that a target may be stopped; `None`: the node's default, which grows with the target.
    pub max_pause_ns: Option<u64>,
    /// Targets stay stopped until so long after the time to freeze, so that stops of several hosts overlap.
    pub hold_ns: u64,
    /// The probe sets of the order, as source text; empty: none. One text for all of the nodes that are asked.
    pub probes: Arc<str>,
    /// From the receipt on: after that the node forgets the order, unless its result is still awaited.
    pub lifetime_ns: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToNode {
    Welcome {
        version: u32,
        generation: Generation,
    },
    Refused {
        reason: String,
    },
    Ping {
        id: u64,
    },
    Prepare(Prepare),
    /// Freeze all targets that are ready when the node's clock says so.
    Arm {
        order: OrderId,
        at_node_unix_ns: i64,
    },
    /// Stream the result of this target now.
    Send {
        order: OrderId,
        target: TargetId,
    },
    /// The snapshot's file is on the coordinator's disk: results may be forgotten.
    Committed {
        order: OrderId,
    },
    /// Forget the order.
    Cancel {
        order: OrderId,
        reason: String,
    },
}

/// The first message of a node.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    pub version: u32,
    pub name: String,
    pub instance: InstanceId,
    pub host: HostFacts,
    /// Results that wait to be sent: of orders from before a lost connection.
    pub held: Vec<Held>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Held {
    pub order: OrderId,
    pub target: TargetId,
}

/// A process that fits the selector.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ReadyTarget {
    pub pid: u32,
    pub program: String,
    /// Why it cannot be captured; it is not armed.
    pub refusal: Option<Refusal>,
}

/// What kind of failure it is, beside the text for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum FailureClass {
    NoSuchProcess,
    NotGo,
    Permission,
    Unsupported,
    Vanished,
    BadFile,
    Limit,
    Lost,
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Refusal {
    pub class: FailureClass,
    pub reason: String,
}

/// The answer to [`Prepare`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Ready {
    pub order: OrderId,
    /// [`TargetId`] n is the n-th of these.
    pub targets: Vec<ReadyTarget>,
    /// How long the node needs between an [`ToNode::Arm`] and the freeze.
    pub lead_ns: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ToCoordinator {
    Hello(Hello),
    /// Both times on the node's clock.
    Pong {
        id: u64,
        received_unix_ns: i64,
        sent_unix_ns: i64,
    },
    Ready(Ready),
    /// The target runs again.
    Frozen {
        order: OrderId,
        target: TargetId,
        pause: PauseWindow,
    },
    /// The result is whole and waits on the node: so many goroutines, so many bytes.
    Captured {
        order: OrderId,
        target: TargetId,
        goroutines: u64,
        bytes: u64,
    },
    Failed {
        order: OrderId,
        target: TargetId,
        failure: Refusal,
    },
}

/// The first frame of a data stream, which goes from the node to the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StreamHead {
    pub version: u32,
    pub order: OrderId,
    pub target: TargetId,
}

/// A message that decodes, and still is none that a well-meaning peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} is longer than the {limit} that it may have")]
pub struct Oversized {
    pub what: &'static str,
    pub limit: usize,
}

impl Selector {
    pub fn check(&self) -> Result<(), Oversized> {
        for (what, patterns) in [("the list of hosts", &self.hosts), ("the list of programs", &self.programs)]
        {
            within(what, patterns.len(), SELECTOR_PATTERNS_MAX)?;
            for pattern in patterns {
                within("a pattern", pattern.len(), PATTERN_BYTES_MAX)?;
            }
        }
        within("the list of pids", self.pids.len(), TARGETS_PER_NODE_MAX)
    }
}

impl ToNode {
    /// What the types cannot say. A receiver checks it before it believes a message.
    pub fn check(&self) -> Result<(), Oversized> {
        match self {
            ToNode::Refused { reason } | ToNode::Cancel { reason, .. } => text(reason),
            ToNode::Prepare(prepare) => {
                within("the text of the probes", prepare.probes.len(), PROBES_BYTES_MAX)?;
                prepare.selector.check()
            }
            _ => Ok(()),
        }
    }
}

impl ToCoordinator {
    /// As [`ToNode::check`].
    pub fn check(&self) -> Result<(), Oversized> {
        match self {
            ToCoordinator::Hello(hello) => {
                within("a node's name", hello.name.len(), NODE_NAME_BYTES_MAX)?;
                within(
                    "the list of held results",
                    hello.held.len(),
                    TARGETS_PER_NODE_MAX * crate::limits::ORDERS_PER_NODE_MAX,
                )?;
                [&hello.host.hostname, &hello.host.kernel, &hello.host.arch, &hello.host.node_version]
                    .into_iter()
                    .try_for_each(|part| text(part))
            }
            ToCoordinator::Ready(ready) => {
                within("the list of targets", ready.targets.len(), TARGETS_PER_NODE_MAX)?;
                ready.targets.iter().try_for_each(|target| {
                    within("a program's name", target.program.len(), PROGRAM_BYTES_MAX)?;
                    target.refusal.iter().try_for_each(|refusal| {
                        within("a reason", refusal.reason.len(), READY_REASON_BYTES_MAX)
                    })
                })
            }
            ToCoordinator::Failed { failure, .. } => text(&failure.reason),
            _ => Ok(()),
        }
    }
}

fn text(text: &str) -> Result<(), Oversized> {
    within("a text", text.len(), TEXT_BYTES_MAX)
}

fn within(what: &'static str, length: usize, limit: usize) -> Result<(), Oversized> {
    if length > limit { Err(Oversized { what, limit }) } else { Ok(()) }
}
