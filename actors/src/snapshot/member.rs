//! What a snapshot knows of one node and its targets.

use std::collections::BTreeMap;

use stillframe_wire::facts::HostFacts;
use stillframe_wire::message::{FailureClass, Generation, InstanceId, ReadyTarget, Refusal, TargetId};

use super::message::StreamId;
use crate::order::NodeName;
use crate::session::ClockEstimate;
use crate::time::Moment;

/// A node that takes part, as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    pub name: NodeName,
    pub generation: Generation,
    pub instance: InstanceId,
    pub host: HostFacts,
    pub clock: Option<ClockEstimate>,
}

/// How far a target has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Ready,
    Armed,
    Frozen,
    /// Its result waits on the node.
    Captured,
    /// It was told to send, and opens a stream by then.
    Sending {
        until: Moment,
        stream: Option<StreamId>,
    },
    Written,
    Failed(Refusal),
}

#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) pid: u32,
    pub(super) program: String,
    pub(super) stage: Stage,
    /// Streams that broke.
    pub(super) broken: u32,
}

impl Target {
    pub(super) fn new(ready: ReadyTarget) -> Target {
        let stage = ready.refusal.map_or(Stage::Ready, Stage::Failed);
        Target { pid: ready.pid, program: ready.program, stage, broken: 0 }
    }

    pub(super) fn is_settled(&self) -> bool {
        matches!(self.stage, Stage::Written | Stage::Failed(_))
    }
}

#[derive(Clone, Debug)]
pub(super) struct NodeState {
    pub(super) member: Member,
    pub(super) connected: bool,
    /// A node that is gone is given up then.
    pub(super) lost_at: Option<Moment>,
    /// `None`: it has not answered yet.
    pub(super) targets: Option<BTreeMap<TargetId, Target>>,
    pub(super) lead_ns: u64,
    /// Why nothing more is expected of it.
    pub(super) lost: Option<Refusal>,
}

impl NodeState {
    pub(super) fn new(member: Member) -> NodeState {
        NodeState { member, connected: true, lost_at: None, targets: None, lead_ns: 0, lost: None }
    }

    pub(super) fn target(&mut self, id: TargetId) -> Option<&mut Target> {
        self.targets.as_mut()?.get_mut(&id)
    }

    pub(super) fn targets(&self) -> impl Iterator<Item = (&TargetId, &Target)> {
        self.targets.iter().flatten()
    }

    /// It has targets that were armed, and are not known to have been frozen.
    pub(super) fn is_armed(&self) -> bool {
        self.targets().any(|(_, target)| target.stage == Stage::Armed)
    }

    /// Nothing more is to come of it.
    pub(super) fn is_settled(&self) -> bool {
        match &self.targets {
            None => self.lost.is_some(),
            Some(targets) => targets.values().all(Target::is_settled),
        }
    }
}

pub(super) fn lost(reason: impl Into<String>) -> Refusal {
    Refusal { class: FailureClass::Lost, reason: reason.into() }
}
