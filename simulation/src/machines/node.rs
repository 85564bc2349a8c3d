//! What a node's shell does for its machines: connecting, finding targets, the freezer, decoding, the spool.
//!
//! The freezer is a process of its own: it resumes a target when its budget is over, and when its node dies.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stillframe_actors::glob;
use stillframe_actors::machine::Machine;
use stillframe_actors::{capture, node};
use stillframe_wire::facts::{HostFacts, PauseWindow};
use stillframe_wire::message::{
    FailureClass, InstanceId, OrderId, ReadyTarget, Refusal, Selector, TargetId, ToCoordinator,
};

use super::network::{Link, Stream, Wire};
use super::world::{Address, Mail, Occurrence, Planted, World};
use crate::oracle::{Observation, Oracle};
use crate::plan::Target;
use crate::{MILLISECOND, SECOND, probes};

/// Where the order names no budget.
const BUDGET_DEFAULT: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct NodeHost {
    pub process: Option<NodeProcess>,
    pub link: Link,
    /// Targets that stand still, by the freeze's number.
    freezes: BTreeMap<u64, Freeze>,
    incarnations: u64,
    /// What faults hold ready for the next stream.
    pub stream_late_ns: u64,
    pub stream_twice: bool,
    pub stream_corrupt: bool,
}

pub struct NodeProcess {
    pub machine: node::state::Node,
    pub incarnation: u64,
    pub attempt: u64,
    pub connection: Option<u64>,
    pub captures: BTreeMap<u64, CaptureActor>,
    by_target: BTreeMap<(OrderId, TargetId), u64>,
}

pub struct CaptureActor {
    pub machine: capture::state::Capture,
    order: OrderId,
    target: TargetId,
    pid: u32,
    budget: Duration,
    probes: Arc<str>,
    frozen_at_ns: u64,
    stream: Option<u64>,
    /// The result, once it is spooled.
    pub spool: Option<Spool>,
}

#[derive(Clone, Copy)]
pub struct Spool {
    pub number: u64,
    pub rows: u64,
    pub values: u64,
}

struct Freeze {
    capture: u64,
    frozen_ns: u64,
    unix_ns: i64,
}

impl NodeProcess {
    pub fn orders(&self) -> usize {
        self.machine.orders().count()
    }
}

impl World<'_> {
    pub(super) fn start_node(&mut self, host: usize) {
        if self.hosts[host].process.is_some() {
            return;
        }
        self.hosts[host].incarnations += 1;
        let instance = InstanceId(self.random.draw());
        let facts = HostFacts { hostname: format!("machine-{host}"), ..HostFacts::default() };
        let name = self.plan.hosts[host].name.clone();
        let identity = node::state::Identity { name, instance, host: facts };
        let seed = self.random.draw();
        self.hosts[host].process = Some(NodeProcess {
            machine: node::state::Node::new(identity, seed),
            incarnation: self.hosts[host].incarnations,
            attempt: 0,
            connection: None,
            captures: BTreeMap::new(),
            by_target: BTreeMap::new(),
        });
        self.mail(Address::Node(host), Mail::Node(node::state::Event::Start));
    }

    /// Its spool is lost, its connection goes silent, its freezer resumes what stands still.
    pub(super) fn crash_node(&mut self, host: usize) {
        let Some(process) = self.hosts[host].process.take() else { return };
        self.forget_mail(|a| matches!(a, Address::Node(h) | Address::Capture(h, _) if h == host));
        for freeze in std::mem::take(&mut self.hosts[host].freezes).into_keys() {
            self.observe(Observation::Resumed { freeze });
        }
        for stream in self.streams.values_mut().filter(|stream| stream.host == host) {
            stream.is_open = false;
        }
        let mine: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, c)| c.host == host && c.incarnation == process.incarnation)
            .map(|(number, _)| *number)
            .collect();
        for connection in mine {
            if let Some(known) = self.connections.get_mut(&connection) {
                known.open[Wire::Node as usize] = false;
            }
            let at = self.now_ns + self.plan.network.idle_ns + self.random.below(SECOND);
            self.at(at, Occurrence::ConnectionLost { connection, end: Wire::Coordinator });
        }
    }

    pub(super) fn node_event(&mut self, host: usize, event: node::state::Event) {
        let now = self.now(Some(host));
        let mut effects = Vec::new();
        let Some(process) = &mut self.hosts[host].process else { return };
        process.machine.handle(now, event, &mut effects);
        let orders = process.orders();
        self.observe(Observation::NodeOrders { orders });
        effects.into_iter().for_each(|effect| self.node_effect(host, effect));
    }

    pub(super) fn node_tick(&mut self, host: usize) {
        let now = self.now(Some(host));
        let mut effects = Vec::new();
        let Some(process) = &mut self.hosts[host].process else { return };
        process.machine.tick(now, &mut effects);
        effects.into_iter().for_each(|effect| self.node_effect(host, effect));
    }

    fn node_effect(&mut self, host: usize, effect: node::state::Effect) {
        use node::state::Effect;
        let Some(process) = &mut self.hosts[host].process else { return };
        let connection = process.connection;
        match effect {
            Effect::Connect => {
                process.attempt += 1;
                let (incarnation, attempt) = (process.incarnation, process.attempt);
                if self.planted == Planted::NeverReturns && attempt > 1 {
                    return;
                }
                let delay = self.delay();
                self.after(delay, Occurrence::Connect { host, incarnation, attempt });
            }
            Effect::Disconnect { .. } => {
                process.attempt += 1;
                if let Some(connection) = connection {
                    self.close(connection, Wire::Node);
                }
            }
            Effect::Send(message) => {
                if let Some(connection) = connection {
                    self.send_to_coordinator(connection, message);
                }
            }
            Effect::Pong { id } => {
                let received_unix_ns = self.now(Some(host)).unix_ns;
                let sent_unix_ns = received_unix_ns + self.random.below(100_000) as i64;
                let pong = ToCoordinator::Pong { id, received_unix_ns, sent_unix_ns };
                if let Some(connection) = connection {
                    self.send_to_coordinator(connection, pong);
                }
            }
            Effect::Find { order, selector, .. } => {
                let incarnation = process.incarnation;
                let plan = &self.plan.hosts[host];
                let find_ns = plan.find_ns / 2 + self.random.below(plan.find_ns / 2 + 1);
                let at = self.now_ns + find_ns;
                let targets = plan.targets.iter().filter(|t| fits(&selector, t, at)).map(ready).collect();
                self.at(at, Occurrence::Found { host, incarnation, order, targets });
            }
            Effect::Start { order, target, pid, stop, probes } => {
                let number = self.number();
                let machine = capture::state::Capture::new(self.now(Some(host)));
                let budget = stop.max.unwrap_or(BUDGET_DEFAULT);
                let actor = CaptureActor {
                    machine,
                    order,
                    target,
                    pid,
                    budget,
                    probes,
                    frozen_at_ns: 0,
                    stream: None,
                    spool: None,
                };
                self.start_capture(host, number, actor);
            }
            Effect::ToCapture { order, target, event } => {
                if self.planted == Planted::KeepsOrders && event == capture::state::Event::Forget {
                    return;
                }
                if let Some(number) = process.by_target.get(&(order, target)).copied() {
                    self.mail(Address::Capture(host, number), Mail::Capture(event));
                }
            }
            Effect::Registered { .. } | Effect::Refused { .. } => {}
        }
    }

    pub(super) fn found(&mut self, host: usize, incarnation: u64, order: OrderId, targets: Vec<ReadyTarget>) {
        if self.hosts[host].process.as_ref().is_some_and(|p| p.incarnation == incarnation) {
            let lead_ns = self.plan.hosts[host].lead_ns;
            let event = node::state::Event::Found { order, targets, lead_ns };
            self.mail(Address::Node(host), Mail::Node(event));
        }
    }

    fn start_capture(&mut self, host: usize, number: u64, actor: CaptureActor) {
        let (order, target) = (actor.order, actor.target);
        let Some(process) = &mut self.hosts[host].process else { return };
        let before = process.by_target.insert((order, target), number);
        let is_left = before.is_some_and(|before| process.captures.contains_key(&before));
        process.captures.insert(number, actor);
        // One that was told to end has that in its mailbox.
        if is_left && before.is_some_and(|before| !self.has_mail(Address::Capture(host, before))) {
            self.oracles
                .violate(Oracle::Bounds, format!("host {host} captures {target:?} of {order:?} twice"));
        }
        self.set_wake(Address::Capture(host, number));
    }

    pub(super) fn capture_event(&mut self, host: usize, number: u64, event: capture::state::Event) {
        let now = self.now(Some(host));
        let mut effects = Vec::new();
        let Some(actor) = self.capture(host, number) else { return };
        actor.machine.handle(now, event, &mut effects);
        effects.into_iter().for_each(|effect| self.capture_effect(host, number, effect));
    }

    pub(super) fn capture_tick(&mut self, host: usize, number: u64) {
        let now = self.now(Some(host));
        let mut effects = Vec::new();
        let Some(actor) = self.capture(host, number) else { return };
        actor.machine.tick(now, &mut effects);
        effects.into_iter().for_each(|effect| self.capture_effect(host, number, effect));
    }

    fn capture(&mut self, host: usize, number: u64) -> Option<&mut CaptureActor> {
        self.hosts[host].process.as_mut()?.captures.get_mut(&number)
    }

    fn capture_effect(&mut self, host: usize, number: u64, effect: capture::state::Effect) {
        use capture::state::Effect;
        let Some(actor) = self.capture(host, number) else { return };
        match effect {
            Effect::Capture { at_node_unix_ns, .. } => {
                let ahead_ns = at_node_unix_ns.saturating_sub(self.now(Some(host)).unix_ns);
                let ahead_ns = u64::try_from(ahead_ns).unwrap_or(0);
                self.after(ahead_ns, Occurrence::Freeze { host, capture: number });
            }
            Effect::OpenStream => self.open_stream(host, number),
            Effect::CloseStream => {
                let stream = actor.stream.take();
                if let Some(stream) = stream.and_then(|stream| self.streams.get_mut(&stream)) {
                    stream.is_open = false;
                }
            }
            Effect::Report(report) => {
                let (order, target) = (actor.order, actor.target);
                let event = node::state::Event::Report { order, target, report };
                self.mail(Address::Node(host), Mail::Node(event));
            }
            Effect::End => {
                let key = (actor.order, actor.target);
                let Some(process) = &mut self.hosts[host].process else { return };
                process.captures.remove(&number);
                if process.by_target.get(&key) == Some(&number) {
                    process.by_target.remove(&key);
                }
            }
        }
    }

    fn target(&self, host: usize, pid: u32) -> Option<&Target> {
        self.plan.hosts[host].targets.iter().find(|target| target.pid == pid)
    }

    pub(super) fn freeze(&mut self, host: usize, capture: u64) {
        let now = self.now(Some(host));
        let Some(actor) = self.capture(host, capture) else { return };
        actor.frozen_at_ns = now.moment.0;
        let (pid, budget_ns) = (actor.pid, actor.budget.as_nanos() as u64);
        let Some(target) = self.target(host, pid) else { return };
        if target.has_exited(now.moment.0) {
            return self.fail(host, capture, FailureClass::Vanished, "the process has exited");
        }
        // The node's work, until the freezer's own timer ends it.
        let work_ns = target.freeze_ns;
        let frozen_ns = if self.planted == Planted::Overstays { work_ns } else { work_ns.min(budget_ns) };
        let freeze = self.number();
        self.hosts[host].freezes.insert(freeze, Freeze { capture, frozen_ns, unix_ns: now.unix_ns });
        self.observe(Observation::Frozen { freeze, budget_ns });
        self.after(frozen_ns, Occurrence::Resume { host, freeze });
    }

    pub(super) fn resume(&mut self, host: usize, freeze: u64) {
        let Some(Freeze { capture, frozen_ns, unix_ns }) = self.hosts[host].freezes.remove(&freeze) else {
            return;
        };
        self.observe(Observation::Resumed { freeze });
        let now_ns = self.now_ns;
        let Some(actor) = self.capture(host, capture) else { return };
        let (pid, budget_ns) = (actor.pid, actor.budget.as_nanos() as u64);
        let pause = PauseWindow {
            pause_start_unix_ns: unix_ns,
            pause_ns: frozen_ns as i64,
            frozen_start_unix_ns: unix_ns,
            frozen_ns: frozen_ns as i64,
            reused: 0,
        };
        self.mail(Address::Capture(host, capture), Mail::Capture(capture::state::Event::Resumed { pause }));
        let Some(target) = self.target(host, pid) else { return };
        if target.has_exited(now_ns) {
            self.fail(host, capture, FailureClass::Vanished, "the process has exited");
        } else if target.freeze_ns > budget_ns {
            self.fail(host, capture, FailureClass::Limit, "the pause budget was spent");
        } else {
            let decode_ns = target.decode_ns;
            self.after(decode_ns, Occurrence::Decoded { host, capture });
        }
    }

    fn fail(&mut self, host: usize, capture: u64, class: FailureClass, reason: &str) {
        let event = capture::state::Event::Failed(Refusal { class, reason: reason.to_owned() });
        self.mail(Address::Capture(host, capture), Mail::Capture(event));
    }

    pub(super) fn decoded(&mut self, host: usize, capture: u64) {
        let Some(actor) = self.capture(host, capture) else { return };
        let pid = actor.pid;
        let Some((rows, fails)) = self.target(host, pid).map(|t| (t.goroutines, t.fails_to_decode)) else {
            return;
        };
        if fails {
            return self.fail(host, capture, FailureClass::BadFile, "the runtime's tables make no sense");
        }
        let number = self.number();
        let name = self.plan.hosts[host].name.clone();
        let forgets = self.planted == Planted::ForgetsProbes;
        let Some(actor) = self.capture(host, capture) else { return };
        // Of the text that came here, as opposed to the order's own.
        let values = if forgets { 0 } else { probes::rows(&actor.probes, rows) };
        actor.spool = Some(Spool { number, rows, values });
        let (order, target, frozen_at_ns) = (actor.order.0, actor.target, actor.frozen_at_ns);
        let key = (name, target.0);
        let values = probes::rows(&probes::of_order(order), rows);
        self.observe(Observation::Captured { capture: number, order, key, rows, values, frozen_at_ns });
        let event = capture::state::Event::Spooled { goroutines: rows, bytes: rows * 120 };
        self.mail(Address::Capture(host, capture), Mail::Capture(event));
    }

    fn open_stream(&mut self, host: usize, capture: u64) {
        let Some(process) = &self.hosts[host].process else { return };
        let (Some(connection), Some(actor)) = (process.connection, process.captures.get(&capture)) else {
            return;
        };
        let (order, target) = (actor.order, actor.target);
        let node = &mut self.hosts[host];
        let late_ns = std::mem::take(&mut node.stream_late_ns);
        let is_corrupt = std::mem::take(&mut node.stream_corrupt);
        let openings = 1 + u64::from(std::mem::take(&mut node.stream_twice));
        for opening in 0..openings {
            let number = self.number();
            let stream = Stream { connection, host, capture, order, target, is_open: true, is_corrupt };
            self.streams.insert(number, stream);
            if opening == 0
                && let Some(actor) = self.capture(host, capture)
            {
                actor.stream = Some(number);
            }
            let other_ns = self.random.below(opening * 100 * MILLISECOND + 1);
            let at = self.passes_at(host, Wire::Coordinator) + late_ns + other_ns;
            self.at(at, Occurrence::StreamOpened { stream: number });
        }
    }

    /// All of it was read, or the coordinator wants no more of it.
    pub(super) fn stream_closed(&mut self, number: u64) {
        let Some(stream) = self.streams.remove(&number) else { return };
        if let Some(actor) = self.capture(stream.host, stream.capture)
            && actor.stream == Some(number)
        {
            actor.stream = None;
            let event = capture::state::Event::StreamClosed;
            self.mail(Address::Capture(stream.host, stream.capture), Mail::Capture(event));
        }
    }
}

impl Target {
    fn has_exited(&self, now_ns: u64) -> bool {
        self.exits_at_ns.is_some_and(|at| at <= now_ns)
    }
}

fn fits(selector: &Selector, target: &Target, at_ns: u64) -> bool {
    let programs = &selector.programs;
    !target.has_exited(at_ns)
        && (programs.is_empty() || programs.iter().any(|pattern| glob::matches(pattern, target.program)))
}

fn ready(target: &Target) -> ReadyTarget {
    let refusal = target.is_refused.then(|| Refusal {
        class: FailureClass::Permission,
        reason: "the policy of this node does not allow it".to_owned(),
    });
    ReadyTarget { pid: target.pid, program: target.program.to_owned(), refusal }
}
