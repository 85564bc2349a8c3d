//! Connects, greets, reconnects; carries the coordinator's messages to the captures and their reports back.
//!
//! What a capture reports while there is no connection is not kept: after the next greeting every capture repeats
//! what it has to say, because nobody knows what of it had arrived.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stillframe_wire::facts::HostFacts;
use stillframe_wire::limits::{ORDERS_PER_NODE_MAX, TARGETS_PER_NODE_MAX};
use stillframe_wire::message::{
    FailureClass, Generation, Held, Hello, InstanceId, OrderId, PROTOCOL_VERSION, Prepare, Ready,
    ReadyTarget, Refusal, Selector, TargetId, ToCoordinator, ToNode,
};

use crate::capture::state::{Event as CaptureEvent, Report};
use crate::machine::Machine;
use crate::order::Stop;
use crate::time::{Moment, Now, earlier};

/// The pause before the first attempt to connect again, and the longest one. Each is drawn between half and all of its
/// length, and doubles.
pub const RETRY_FIRST: Duration = Duration::from_millis(250);
pub const RETRY_MAX: Duration = Duration::from_secs(10);
/// An answer to the greeting comes in this time.
pub const WELCOME_WITHIN: Duration = Duration::from_secs(10);
/// The coordinator pings every second: one that does not for so long is gone.
pub const SILENT_MAX: Duration = Duration::from_secs(8);
/// An order is forgotten at the latest then, whatever it asked for.
pub const LIFETIME_MAX: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The first event.
    Start,
    Connected,
    ConnectFailed {
        reason: String,
    },
    ConnectionLost {
        reason: String,
    },
    FromCoordinator(ToNode),
    /// What came was no message, or none that may come.
    Garbage {
        reason: String,
    },
    /// The processes that fit an order, with their builds loaded.
    Found {
        order: OrderId,
        targets: Vec<ReadyTarget>,
        lead_ns: u64,
    },
    /// What a capture has to say.
    Report {
        order: OrderId,
        target: TargetId,
        report: Report,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Connect,
    /// There is no connection any more, or there was none: why, for the log.
    Disconnect {
        reason: String,
    },
    Send(ToCoordinator),
    /// A ping was received: answer with the times at which it came and the answer goes.
    Pong {
        id: u64,
    },
    Find {
        order: OrderId,
        selector: Selector,
        stop: Stop,
        probes: Arc<str>,
    },
    /// Start a capture actor.
    Start {
        order: OrderId,
        target: TargetId,
        pid: u32,
        stop: Stop,
        probes: Arc<str>,
    },
    ToCapture {
        order: OrderId,
        target: TargetId,
        event: CaptureEvent,
    },
    /// For the log.
    Registered {
        generation: Generation,
    },
    Refused {
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Link {
    /// `until`: the next attempt.
    Down {
        until: Moment,
    },
    Connecting {
        until: Moment,
    },
    Greeting {
        until: Moment,
    },
    Up {
        silent_until: Moment,
    },
}

#[derive(Clone, Debug)]
struct Order {
    stop: Stop,
    probes: Arc<str>,
    until: Moment,
    /// The answer, once it is known.
    ready: Option<Ready>,
    /// When to freeze, on the node's clock: whoever said so had the answer.
    armed_at_unix_ns: Option<i64>,
    /// The captures that were started, and whether their results are held.
    captures: BTreeMap<TargetId, bool>,
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub name: String,
    pub instance: InstanceId,
    pub host: HostFacts,
}

#[derive(Clone, Debug)]
pub struct Node {
    identity: Identity,
    link: Link,
    attempts: u32,
    /// For the jitter of reconnecting.
    random: u64,
    orders: BTreeMap<OrderId, Order>,
}

impl Node {
    pub fn new(identity: Identity, seed: u64) -> Node {
        Node {
            identity,
            link: Link::Down { until: Moment(0) },
            attempts: 0,
            random: seed,
            orders: BTreeMap::new(),
        }
    }

    pub fn is_registered(&self) -> bool {
        matches!(self.link, Link::Up { .. })
    }

    /// Those that it holds something of.
    pub fn orders(&self) -> impl Iterator<Item = OrderId> {
        self.orders.keys().copied()
    }

    fn connect(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.link = Link::Connecting { until: now.moment + WELCOME_WITHIN };
        effects.push(Effect::Connect);
    }

    fn down(&mut self, now: Now) {
        let longest = RETRY_FIRST.saturating_mul(1 << self.attempts.min(16)).min(RETRY_MAX);
        self.attempts += 1;
        let pause = longest / 2 + longest.mul_f64(self.next_fraction() / 2.0);
        self.link = Link::Down { until: now.moment + pause };
    }

    /// Uniform in 0..1 (splitmix64; Steele, Lea, Flood 2014).
    fn next_fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as f64 / u64::MAX as f64
    }

    fn break_off(&mut self, now: Now, reason: String, effects: &mut Vec<Effect>) {
        effects.push(Effect::Disconnect { reason });
        self.down(now);
    }

    fn hello(&self) -> ToCoordinator {
        let held = self.orders.iter().flat_map(|(order, state)| {
            state
                .captures
                .iter()
                .filter(|(_, held)| **held)
                .map(|(target, _)| Held { order: *order, target: *target })
        });
        ToCoordinator::Hello(Hello {
            version: PROTOCOL_VERSION,
            name: self.identity.name.clone(),
            instance: self.identity.instance,
            host: self.identity.host.clone(),
            held: held.collect(),
        })
    }

    fn welcome(&mut self, now: Now, generation: Generation, effects: &mut Vec<Effect>) {
        self.attempts = 0;
        self.link = Link::Up { silent_until: now.moment + SILENT_MAX };
        effects.push(Effect::Registered { generation });
        for (order, state) in &self.orders {
            let unheard = state.ready.clone().filter(|_| state.armed_at_unix_ns.is_none());
            effects.extend(unheard.map(|ready| Effect::Send(ToCoordinator::Ready(ready))));
            for target in state.captures.keys() {
                let event = CaptureEvent::Repeat;
                effects.push(Effect::ToCapture { order: *order, target: *target, event });
            }
        }
    }

    fn prepare(&mut self, now: Now, prepare: Prepare, effects: &mut Vec<Effect>) {
        let order = prepare.order;
        if self.orders.get(&order).is_some_and(|known| known.armed_at_unix_ns.is_some()) {
            // Who asks has not armed it: the coordinator was restarted, and the order begins again. What was frozen before
            // that is of another instant.
            self.forget(order, effects);
        }
        if let Some(known) = self.orders.get(&order) {
            // Asked again: the answer may not have arrived.
            let answer = known.ready.clone().map(|ready| Effect::Send(ToCoordinator::Ready(ready)));
            return effects.extend(answer);
        }
        if self.orders.len() >= ORDERS_PER_NODE_MAX {
            let reason = format!("the node is busy with {ORDERS_PER_NODE_MAX} other orders");
            let refusal = Some(Refusal { class: FailureClass::Limit, reason });
            let targets = vec![ReadyTarget { pid: 0, program: String::new(), refusal }];
            return effects.push(Effect::Send(ToCoordinator::Ready(Ready { order, targets, lead_ns: 0 })));
        }
        let lifetime = Duration::from_nanos(prepare.lifetime_ns).min(LIFETIME_MAX);
        let Prepare { selector, probes, .. } = prepare;
        let max = prepare.max_pause_ns.map(Duration::from_nanos);
        let stop = Stop { max, hold: Duration::from_nanos(prepare.hold_ns) };
        let state = Order {
            stop,
            probes: Arc::clone(&probes),
            until: now.moment + lifetime,
            ready: None,
            armed_at_unix_ns: None,
            captures: BTreeMap::new(),
        };
        self.orders.insert(order, state);
        effects.push(Effect::Find { order, selector, stop, probes });
    }

    fn found(
        &mut self,
        order: OrderId,
        mut targets: Vec<ReadyTarget>,
        lead_ns: u64,
        effects: &mut Vec<Effect>,
    ) {
        // An order that was cancelled and came again is looked for twice: the first answer counts.
        let Some(state) = self.orders.get_mut(&order).filter(|state| state.ready.is_none()) else { return };
        for late in targets.iter_mut().skip(TARGETS_PER_NODE_MAX - 1) {
            let reason =
                format!("one order captures at most {} processes of a node", TARGETS_PER_NODE_MAX - 1);
            late.refusal = Some(Refusal { class: FailureClass::Limit, reason });
        }
        targets.truncate(TARGETS_PER_NODE_MAX);
        for (id, target) in targets.iter().enumerate().filter(|(_, target)| target.refusal.is_none()) {
            let target_id = TargetId(id as u32);
            state.captures.insert(target_id, false);
            effects.push(Effect::Start {
                order,
                target: target_id,
                pid: target.pid,
                stop: state.stop,
                probes: Arc::clone(&state.probes),
            });
        }
        let ready = Ready { order, targets, lead_ns };
        state.ready = Some(ready.clone());
        if let Some(at_node_unix_ns) = state.armed_at_unix_ns {
            // An answer to the order as it was before a cancel had crossed it.
            self.arm_captures(order, at_node_unix_ns, effects);
        }
        if matches!(self.link, Link::Up { .. }) {
            effects.push(Effect::Send(ToCoordinator::Ready(ready)));
        }
    }

    fn arm_captures(&self, order: OrderId, at_node_unix_ns: i64, effects: &mut Vec<Effect>) {
        let together = self.orders.get(&order).map_or(0, |state| state.captures.len());
        self.tell_captures(order, &CaptureEvent::Arm { at_node_unix_ns, together }, effects);
    }

    fn tell_captures(&self, order: OrderId, event: &CaptureEvent, effects: &mut Vec<Effect>) {
        for target in self.orders.get(&order).iter().flat_map(|state| state.captures.keys()) {
            effects.push(Effect::ToCapture { order, target: *target, event: event.clone() });
        }
    }

    fn forget(&mut self, order: OrderId, effects: &mut Vec<Effect>) {
        self.tell_captures(order, &CaptureEvent::Forget, effects);
        self.orders.remove(&order);
    }

    fn hear(&mut self, now: Now, message: ToNode, effects: &mut Vec<Effect>) {
        if let Err(error) = message.check() {
            return self.break_off(now, error.to_string(), effects);
        }
        match (&self.link, message) {
            (Link::Greeting { .. }, ToNode::Welcome { version, generation }) => {
                if version == PROTOCOL_VERSION {
                    return self.welcome(now, generation, effects);
                }
                let reason = format!("the coordinator speaks version {version} of the protocol");
                self.break_off(now, reason, effects);
            }
            (Link::Greeting { .. } | Link::Up { .. }, ToNode::Refused { reason }) => {
                effects.push(Effect::Refused { reason: reason.clone() });
                self.break_off(now, reason, effects);
            }
            (Link::Up { .. }, message) => {
                self.link = Link::Up { silent_until: now.moment + SILENT_MAX };
                self.ordered(now, message, effects);
            }
            (Link::Greeting { .. }, _) => self.break_off(now, "a message out of turn".to_owned(), effects),
            (Link::Down { .. } | Link::Connecting { .. }, _) => {}
        }
    }

    fn ordered(&mut self, now: Now, message: ToNode, effects: &mut Vec<Effect>) {
        match message {
            ToNode::Welcome { .. } => self.break_off(now, "a second welcome".to_owned(), effects),
            ToNode::Refused { .. } => {}
            ToNode::Ping { id } => effects.push(Effect::Pong { id }),
            ToNode::Prepare(prepare) => self.prepare(now, prepare, effects),
            ToNode::Arm { order, at_node_unix_ns } => {
                if let Some(state) = self.orders.get_mut(&order) {
                    state.armed_at_unix_ns = Some(at_node_unix_ns);
                }
                self.arm_captures(order, at_node_unix_ns, effects);
            }
            ToNode::Send { order, target } => {
                effects.push(Effect::ToCapture { order, target, event: CaptureEvent::Send });
            }
            ToNode::Committed { order } | ToNode::Cancel { order, .. } => self.forget(order, effects),
        }
    }

    fn report(&mut self, order: OrderId, target: TargetId, report: Report, effects: &mut Vec<Effect>) {
        let Some(held) = self.orders.get_mut(&order).and_then(|state| state.captures.get_mut(&target)) else {
            return;
        };
        *held = matches!(report, Report::Captured { .. });
        if !matches!(self.link, Link::Up { .. }) {
            return;
        }
        effects.push(Effect::Send(match report {
            Report::Frozen { pause } => ToCoordinator::Frozen { order, target, pause },
            Report::Captured { goroutines, bytes } => {
                ToCoordinator::Captured { order, target, goroutines, bytes }
            }
            Report::Failed(failure) => ToCoordinator::Failed { order, target, failure },
        }));
    }
}

impl Machine for Node {
    type Event = Event;
    type Effect = Effect;

    fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Start => {
                if matches!(self.link, Link::Down { .. }) {
                    self.connect(now, effects);
                }
            }
            Event::Connected => {
                if matches!(self.link, Link::Connecting { .. }) {
                    self.link = Link::Greeting { until: now.moment + WELCOME_WITHIN };
                    effects.push(Effect::Send(self.hello()));
                }
            }
            Event::ConnectFailed { reason } => {
                if matches!(self.link, Link::Connecting { .. }) {
                    self.break_off(now, reason, effects);
                }
            }
            Event::FromCoordinator(message) => self.hear(now, message, effects),
            Event::ConnectionLost { reason } | Event::Garbage { reason } => {
                if matches!(self.link, Link::Greeting { .. } | Link::Up { .. }) {
                    self.break_off(now, reason, effects);
                }
            }
            Event::Found { order, targets, lead_ns } => self.found(order, targets, lead_ns, effects),
            Event::Report { order, target, report } => self.report(order, target, report, effects),
        }
    }

    fn wake_at(&self) -> Option<Moment> {
        let link = match self.link {
            Link::Down { until } | Link::Connecting { until } | Link::Greeting { until } => until,
            Link::Up { silent_until } => silent_until,
        };
        earlier(Some(link), self.orders.values().map(|order| order.until).min())
    }

    fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        match self.link {
            Link::Down { until } if now.moment >= until => self.connect(now, effects),
            Link::Connecting { until } | Link::Greeting { until } if now.moment >= until => {
                let reason = format!("the coordinator did not answer within {WELCOME_WITHIN:?}");
                self.break_off(now, reason, effects);
            }
            Link::Up { silent_until } if now.moment >= silent_until => {
                let reason = format!("the coordinator was silent for {SILENT_MAX:?}");
                self.break_off(now, reason, effects);
            }
            _ => {}
        }
        let over: Vec<OrderId> =
            self.orders.iter().filter(|(_, order)| now.moment >= order.until).map(|(id, _)| *id).collect();
        over.into_iter().for_each(|order| self.forget(order, effects));
    }
}
