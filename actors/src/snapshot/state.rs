//! The life of one order.
//!
//! ```text
//! Prepare  every node is asked which of its processes fit, and loads their builds
//! Collect  all are told when to freeze; each target on its own goes from armed over frozen, captured, sent to written
//! Link     nothing more is to come: the linker joins what is there
//! Commit   the writer finishes the file
//! Ended
//! ```
//!
//! Every wait has a deadline, and every target and node that misses one is a row with a reason in the file. There is a
//! file if at least one target was written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stillframe_wire::limits::SENDERS_MAX;
use stillframe_wire::message::{
    FailureClass, Generation, Prepare, Ready, Refusal, TargetId, ToCoordinator, ToNode,
};

use super::member::{Member, NodeState, Stage, Target, lost};
use super::message::{Effect, Event, StreamId, TargetKey, WriterOrder};
use crate::coordinator::state::NodeMessage;
use crate::machine::Machine;
use crate::order::{NodeName, Order, Outcome, Progress};
use crate::time::{Moment, Now, earlier, nanoseconds};

/// A node lists its processes and reads their executables in this time, or is left out. At most half of the order's time:
/// the others need the rest of it.
pub const PREPARE_WITHIN: Duration = Duration::from_secs(15);
/// Between the order to freeze and the freeze, at least: the order has to arrive everywhere.
pub const ARM_LEAD_MIN: Duration = Duration::from_millis(50);
/// What a node may ask for at most.
pub const ARM_LEAD_MAX: Duration = Duration::from_secs(5);
/// A node that lost its connection may come back within this time.
pub const RETURN_WITHIN: Duration = Duration::from_secs(10);
/// A node that was told to send opens its stream within this time. While a stream is read its reader sees that it goes on.
pub const SEND_WITHIN: Duration = Duration::from_secs(15);
/// A result whose stream broke so often is given up.
pub const BROKEN_MAX: u32 = 3;
/// Joining and finishing the file, for a million goroutines on a slow disk.
pub const FINISH_WITHIN: Duration = Duration::from_secs(600);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    New,
    Prepare { until: Moment },
    Collect,
    Finish { until: Moment },
    Ended,
}

#[derive(Clone, Debug)]
pub struct Snapshot {
    order: Order,
    phase: Phase,
    /// Everything but finishing the file is over by then.
    until: Moment,
    nodes: BTreeMap<NodeName, NodeState>,
    /// On the coordinator's clock.
    armed_at_unix_ns: Option<i64>,
}

impl Snapshot {
    pub fn new(order: Order, members: Vec<Member>) -> Snapshot {
        let nodes = members.into_iter().map(|member| (member.name.clone(), NodeState::new(member))).collect();
        Snapshot { order, phase: Phase::New, until: Moment(0), nodes, armed_at_unix_ns: None }
    }

    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Every node whose result is in the file, or was to be.
    fn tell_all(&self, message: ToNode, effects: &mut Vec<Effect>) {
        for node in self.nodes.keys() {
            effects.push(plain(node, message.clone()));
        }
    }

    fn start(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let lifetime = self.order.within + FINISH_WITHIN;
        self.until = now.moment + self.order.within;
        self.phase = Phase::Prepare { until: now.moment + self.prepare_within() };
        effects.push(Effect::Progress(Progress::Prepare { nodes: self.nodes.len() }));
        let message = ToNode::Prepare(self.prepare(lifetime));
        self.tell_all(message, effects);
    }

    fn prepare_within(&self) -> Duration {
        PREPARE_WITHIN.min(self.order.within / 2)
    }

    fn prepare(&self, lifetime: Duration) -> Prepare {
        Prepare {
            order: self.order.id,
            selector: self.order.selector.clone(),
            max_pause_ns: self.order.stop.max.map(nanoseconds),
            hold_ns: nanoseconds(self.order.stop.hold),
            probes: Arc::clone(&self.order.probes),
            lifetime_ns: nanoseconds(lifetime),
        }
    }

    fn ready(&mut self, node: &NodeName, ready: Ready, effects: &mut Vec<Effect>) {
        let preparing = matches!(self.phase, Phase::Prepare { .. });
        let Some(state) = self.nodes.get_mut(node) else { return };
        if !preparing || state.targets.is_some() || state.lost.is_some() {
            return;
        }
        let targets: BTreeMap<TargetId, Target> =
            (0..).map(TargetId).zip(ready.targets.into_iter().map(Target::new)).collect();
        let refused = targets.values().filter(|target| target.is_settled()).count();
        effects.push(Effect::Progress(Progress::Ready {
            node: node.clone(),
            targets: targets.len() - refused,
            refused,
        }));
        effects.push(Effect::Writer(WriterOrder::Host { member: state.member.clone() }));
        for (id, target) in &targets {
            if let Stage::Failed(failure) = &target.stage {
                report_lost(node, *id, target, failure, effects);
            }
        }
        state.lead_ns = ready.lead_ns;
        state.targets = Some(targets);
    }

    /// All nodes have answered, or will not.
    fn arm(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let ready = |state: &NodeState| state.targets().filter(|(_, t)| t.stage == Stage::Ready).count();
        let targets: usize = self.nodes.values().map(ready).sum();
        self.phase = Phase::Collect;
        if targets == 0 {
            return;
        }
        let lead_ns = self.nodes.values().filter(|n| ready(n) > 0).map(|n| n.lead_ns).max().unwrap_or(0);
        let lead_ns = lead_ns.clamp(nanoseconds(ARM_LEAD_MIN), nanoseconds(ARM_LEAD_MAX));
        let at_unix_ns = now.unix_ns.saturating_add(lead_ns as i64);
        self.armed_at_unix_ns = Some(at_unix_ns);
        effects.push(Effect::Progress(Progress::Arm { targets, in_ns: lead_ns }));
        for (name, state) in &mut self.nodes {
            let mut armed = false;
            for target in state.targets.iter_mut().flat_map(BTreeMap::values_mut) {
                if target.stage == Stage::Ready {
                    target.stage = Stage::Armed;
                    armed = true;
                }
            }
            if armed {
                let message = NodeMessage::Arm { order: self.order.id, at_unix_ns };
                effects.push(Effect::ToNode { node: name.clone(), message });
            }
        }
    }

    fn hear(
        &mut self,
        now: Now,
        node: NodeName,
        generation: Generation,
        message: ToCoordinator,
        effects: &mut Vec<Effect>,
    ) {
        match self.nodes.get(&node) {
            // It holds the same order from before a restart of the coordinator, and came back when this one had begun.
            None => {
                let reason = "the order began again without this node".to_owned();
                return effects.push(plain(&node, ToNode::Cancel { order: self.order.id, reason }));
            }
            Some(state) if state.member.generation != generation => return,
            Some(_) => {}
        }
        match message {
            ToCoordinator::Ready(ready) => self.ready(&node, ready, effects),
            ToCoordinator::Frozen { target, pause, .. } => {
                let Some(found) = self.target(&node, target) else { return };
                if found.stage != Stage::Armed {
                    return;
                }
                found.stage = Stage::Frozen;
                let (pid, program) = (found.pid, found.program.clone());
                effects.push(Effect::Progress(Progress::Frozen { node, pid, program, pause }));
            }
            ToCoordinator::Captured { target, goroutines, bytes, .. } => {
                let Some(found) = self.target(&node, target) else { return };
                if !matches!(found.stage, Stage::Armed | Stage::Frozen) {
                    return;
                }
                found.stage = Stage::Captured;
                let (pid, program) = (found.pid, found.program.clone());
                effects.push(Effect::Progress(Progress::Captured { node, pid, program, goroutines, bytes }));
            }
            ToCoordinator::Failed { target, failure, .. } => {
                let key = TargetKey { node, target };
                self.fail(&key, failure, effects);
            }
            ToCoordinator::Hello(_) | ToCoordinator::Pong { .. } => {}
        }
        self.go_on(now, effects);
    }

    fn target(&mut self, node: &NodeName, target: TargetId) -> Option<&mut Target> {
        self.nodes.get_mut(node)?.target(target)
    }

    /// Gives one target up, unless it is settled.
    fn fail(&mut self, key: &TargetKey, failure: Refusal, effects: &mut Vec<Effect>) {
        let Some(target) = self.target(&key.node, key.target) else { return };
        if target.is_settled() {
            return;
        }
        if let Stage::Sending { stream: Some(stream), .. } = target.stage {
            effects.push(Effect::Writer(WriterOrder::Drop { stream }));
        }
        report_lost(&key.node, key.target, target, &failure, effects);
        target.stage = Stage::Failed(failure);
    }

    /// Gives a node up, with all of it that is not settled.
    fn lose(&mut self, node: &NodeName, why: &Refusal, effects: &mut Vec<Effect>) {
        let Some(state) = self.nodes.get_mut(node) else { return };
        state.lost_at = None;
        if state.is_settled() || state.lost.is_some() {
            return;
        }
        state.lost = Some(why.clone());
        let reason = why.reason.clone();
        effects.push(Effect::Progress(Progress::NodeLost { node: node.clone(), reason: reason.clone() }));
        effects.push(Effect::Writer(WriterOrder::LostNode { member: state.member.clone(), reason }));
        let unsettled: Vec<TargetId> =
            state.targets().filter(|(_, target)| !target.is_settled()).map(|(id, _)| *id).collect();
        for target in unsettled {
            self.fail(&TargetKey { node: node.clone(), target }, why.clone(), effects);
        }
    }

    fn gone(&mut self, now: Now, node: &NodeName, generation: Generation) {
        let Some(state) = self.nodes.get_mut(node) else { return };
        if state.member.generation != generation || state.lost.is_some() {
            return;
        }
        state.connected = false;
        state.lost_at = Some(now.moment + RETURN_WITHIN);
        ask_again(state);
    }

    fn back(&mut self, now: Now, member: Member, effects: &mut Vec<Effect>) {
        let restarted = match self.nodes.get_mut(&member.name) {
            None => return,
            Some(state) if state.lost.is_some() => return,
            Some(state) => {
                let restarted = state.member.instance != member.instance;
                state.member = Member { clock: member.clock.or(state.member.clock), ..member.clone() };
                state.connected = true;
                state.lost_at = None;
                ask_again(state);
                restarted
            }
        };
        let answered = self.nodes.get(&member.name).is_some_and(|state| state.targets.is_some());
        if restarted && answered {
            let why = lost("the node was restarted, and its results are lost");
            self.lose(&member.name, &why, effects);
        } else if !answered && matches!(self.phase, Phase::Prepare { .. }) {
            let message = ToNode::Prepare(self.prepare(self.until.since(now.moment) + FINISH_WITHIN));
            effects.push(plain(&member.name, message));
        } else if self.nodes.get(&member.name).is_some_and(NodeState::is_armed)
            && let Some(at_unix_ns) = self.armed_at_unix_ns
        {
            // It may not have got it. One that has ignores it.
            let message = NodeMessage::Arm { order: self.order.id, at_unix_ns };
            effects.push(Effect::ToNode { node: member.name, message });
        }
    }

    fn stream(&mut self, id: StreamId, key: TargetKey, generation: Generation, effects: &mut Vec<Effect>) {
        let current = self.nodes.get(&key.node).map(|state| state.member.generation);
        let target = self.target(&key.node, key.target);
        match target {
            Some(Target { stage: Stage::Sending { stream: stream @ None, .. }, pid, program, .. })
                if current == Some(generation) =>
            {
                *stream = Some(id);
                let (node, pid, program) = (key.node.clone(), *pid, program.clone());
                effects.push(Effect::Progress(Progress::Stream { node, pid, program }));
                effects.push(Effect::Writer(WriterOrder::Load { stream: id, key }));
            }
            _ => effects.push(Effect::Writer(WriterOrder::Drop { stream: id })),
        }
    }

    fn written(&mut self, id: StreamId, key: &TargetKey, goroutines: u64, effects: &mut Vec<Effect>) {
        let Some(target) = self.target(&key.node, key.target) else { return };
        if matches!(target.stage, Stage::Sending { stream: Some(stream), .. } if stream == id) {
            target.stage = Stage::Written;
            let (node, pid, program) = (key.node.clone(), target.pid, target.program.clone());
            effects.push(Effect::Progress(Progress::Written { node, pid, program, goroutines }));
        }
    }

    /// `stream`: the one that broke; none was opened.
    fn broken(&mut self, stream: Option<StreamId>, key: &TargetKey, reason: &str, effects: &mut Vec<Effect>) {
        let Some(target) = self.target(&key.node, key.target) else { return };
        if !matches!(target.stage, Stage::Sending { stream: now, .. } if now == stream) {
            return;
        }
        target.broken += 1;
        if target.broken >= BROKEN_MAX {
            let reason = format!("its result could not be fetched in {BROKEN_MAX} tries: {reason}");
            return self.fail(key, lost(reason), effects);
        }
        target.stage = Stage::Captured;
    }

    /// Admits senders, and sees whether a phase is over.
    fn go_on(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if matches!(self.phase, Phase::Prepare { .. })
            && self.nodes.values().all(|state| state.targets.is_some() || state.lost.is_some())
        {
            self.arm(now, effects);
        }
        if self.phase != Phase::Collect {
            return;
        }
        self.admit(now, effects);
        if self.nodes.values().all(NodeState::is_settled) {
            self.finish(now, effects);
        }
    }

    fn admit(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let sending = |target: &Target| matches!(target.stage, Stage::Sending { .. });
        let senders: usize =
            self.nodes.values().map(|state| state.targets().filter(|(_, t)| sending(t)).count()).sum();
        let mut free = SENDERS_MAX.saturating_sub(senders);
        // Whose stream broke waits for those who were not asked yet.
        for broken in 0..BROKEN_MAX {
            for (name, state) in self.nodes.iter_mut().filter(|(_, state)| state.connected) {
                for (id, target) in state.targets.iter_mut().flatten() {
                    if free == 0 {
                        return;
                    }
                    if target.stage == Stage::Captured && target.broken == broken {
                        free -= 1;
                        target.stage = Stage::Sending { until: now.moment + SEND_WITHIN, stream: None };
                        effects.push(plain(name, ToNode::Send { order: self.order.id, target: *id }));
                    }
                }
            }
        }
    }

    fn finish(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let any_written =
            self.nodes.values().any(|state| state.targets().any(|(_, t)| t.stage == Stage::Written));
        if any_written {
            self.phase = Phase::Finish { until: now.moment + FINISH_WITHIN };
            effects.push(Effect::Link);
            return;
        }
        let Refusal { class, reason } = self.why_nothing();
        self.end_without_file(class, reason, effects);
    }

    /// The first reason that there is, of the targets before that of the nodes.
    fn why_nothing(&self) -> Refusal {
        let of_targets = self.nodes.values().flat_map(|state| {
            state.targets().filter_map(|(_, target)| match &target.stage {
                Stage::Failed(failure) => Some(failure.clone()),
                _ => None,
            })
        });
        let of_nodes = self.nodes.iter().filter_map(|(name, state)| {
            let why = state.lost.as_ref()?;
            Some(Refusal { class: why.class, reason: format!("node {name}: {}", why.reason) })
        });
        of_targets.chain(of_nodes).next().unwrap_or_else(|| Refusal {
            class: FailureClass::NoSuchProcess,
            reason: format!("no Go process on {} fits the order", nodes(self.nodes.len())),
        })
    }

    fn end_without_file(&mut self, class: FailureClass, reason: String, effects: &mut Vec<Effect>) {
        self.phase = Phase::Ended;
        effects.push(Effect::Writer(WriterOrder::Abandon));
        self.tell_all(ToNode::Cancel { order: self.order.id, reason: reason.clone() }, effects);
        effects.push(Effect::Ended(Outcome::Failed { class, reason }));
    }
}

/// What was asked for on a connection that is no more, and did not come, will be asked for again.
fn ask_again(state: &mut NodeState) {
    for target in state.targets.iter_mut().flat_map(BTreeMap::values_mut) {
        if let Stage::Sending { stream: None, .. } = target.stage {
            target.stage = Stage::Captured;
        }
    }
}

fn plain(node: &NodeName, message: ToNode) -> Effect {
    Effect::ToNode { node: node.clone(), message: NodeMessage::Plain(message) }
}

fn report_lost(node: &NodeName, id: TargetId, target: &Target, failure: &Refusal, effects: &mut Vec<Effect>) {
    let (pid, program) = (target.pid, target.program.clone());
    effects.push(Effect::Writer(WriterOrder::LostTarget {
        key: TargetKey { node: node.clone(), target: id },
        pid,
        program: program.clone(),
        reason: failure.reason.clone(),
    }));
    effects.push(Effect::Progress(Progress::TargetLost {
        node: node.clone(),
        pid,
        program,
        failure: failure.clone(),
    }));
}

fn nodes(count: usize) -> String {
    if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
}

impl Machine for Snapshot {
    type Event = Event;
    type Effect = Effect;

    fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Ended {
            return;
        }
        match event {
            Event::Start if self.phase == Phase::New => self.start(now, effects),
            Event::Start => {}
            Event::FromNode { node, generation, message } => {
                return self.hear(now, node, generation, message, effects);
            }
            Event::Clock { node, clock } => {
                if let Some(state) = self.nodes.get_mut(&node) {
                    state.member.clock = Some(clock);
                }
            }
            Event::NodeGone { node, generation } => self.gone(now, &node, generation),
            Event::NodeBack(member) => self.back(now, member, effects),
            Event::Cancel { reason } => {
                return self.end_without_file(FailureClass::Other, reason, effects);
            }
            Event::Stream { stream, key, generation } => self.stream(stream, key, generation, effects),
            Event::Written { stream, key, goroutines } => self.written(stream, &key, goroutines, effects),
            Event::Broken { stream, key, reason } => self.broken(Some(stream), &key, &reason, effects),
            Event::Linked => {
                if matches!(self.phase, Phase::Finish { .. }) {
                    effects.push(Effect::Progress(Progress::Commit));
                    effects.push(Effect::Writer(WriterOrder::Finish));
                }
            }
            Event::Committed { complete, goroutines, bytes } => {
                if matches!(self.phase, Phase::Finish { .. }) {
                    self.phase = Phase::Ended;
                    self.tell_all(ToNode::Committed { order: self.order.id }, effects);
                    effects.push(Effect::Ended(Outcome::Committed { complete, goroutines, bytes }));
                }
            }
            Event::WriteFailed { class, reason } => {
                return self.end_without_file(class, reason, effects);
            }
        }
        self.go_on(now, effects);
    }

    fn wake_at(&self) -> Option<Moment> {
        let phase = match self.phase {
            Phase::New | Phase::Ended => return None,
            Phase::Prepare { until } => Some(until),
            Phase::Collect => Some(self.until),
            Phase::Finish { until } => return Some(until),
        };
        let of_nodes = self.nodes.values().filter_map(|state| {
            let sends = state.targets().filter_map(|(_, target)| match target.stage {
                Stage::Sending { until, stream: None } => Some(until),
                _ => None,
            });
            sends.chain(state.lost_at).min()
        });
        earlier(phase, of_nodes.min())
    }

    fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let due = |until: Moment| now.moment >= until;
        match self.phase {
            Phase::New | Phase::Ended => return,
            Phase::Finish { until } => {
                if due(until) {
                    let reason = format!("the file was not finished within {FINISH_WITHIN:?}");
                    self.end_without_file(FailureClass::Limit, reason, effects);
                }
                return;
            }
            Phase::Prepare { until } if due(until) => {
                let silent: Vec<NodeName> =
                    self.nodes.iter().filter(|(_, s)| s.targets.is_none()).map(name).collect();
                let within = self.prepare_within();
                let reason = format!("it did not say within {within:?} which of its processes fit");
                let why = lost(reason);
                silent.iter().for_each(|node| self.lose(node, &why, effects));
            }
            Phase::Prepare { .. } | Phase::Collect => {}
        }
        let gone: Vec<NodeName> =
            self.nodes.iter().filter(|(_, s)| s.lost_at.is_some_and(due)).map(name).collect();
        let reason = format!("its connection was lost, and it did not come back within {RETURN_WITHIN:?}");
        let why = lost(reason);
        gone.iter().for_each(|node| self.lose(node, &why, effects));

        let mut late = Vec::new();
        for (node, state) in &self.nodes {
            let is_late = |target: &Target| matches!(target.stage, Stage::Sending { until, stream: None } if due(until));
            let targets = state.targets().filter(|(_, target)| is_late(target));
            late.extend(targets.map(|(id, _)| TargetKey { node: node.clone(), target: *id }));
        }
        let reason = format!("its node opened no stream within {SEND_WITHIN:?}");
        late.iter().for_each(|key| self.broken(None, key, &reason, effects));

        if due(self.until) {
            let reason = format!("it was not done when the order's time of {:?} was over", self.order.within);
            let all: Vec<NodeName> = self.nodes.keys().cloned().collect();
            let why = Refusal { class: FailureClass::Limit, reason };
            all.iter().for_each(|node| self.lose(node, &why, effects));
        }
        self.go_on(now, effects);
    }
}

fn name((name, _): (&NodeName, &NodeState)) -> NodeName {
    name.clone()
}
