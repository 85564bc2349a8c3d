//! The registry of nodes and the queue of orders.
//!
//! One order runs at a time: two that freeze the same target would each spoil the other's instant.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use stillframe_wire::facts::HostFacts;
use stillframe_wire::limits::{NODES_MAX, ORDERS_WAITING_MAX};
use stillframe_wire::message::{FailureClass, Generation, Hello, InstanceId, OrderId, ToCoordinator, ToNode};

use crate::glob;
use crate::machine::Machine;
use crate::order::{NodeName, Order, Outcome, Progress};
use crate::session::ClockEstimate;
use crate::snapshot::{Event as SnapshotEvent, Member};
use crate::time::{Moment, Now, nanoseconds};

/// A node that was heard from within this time keeps its name against another one that claims it.
pub const NAME_HELD: Duration = Duration::from_secs(4);

/// After a restart the nodes of before may come back within this time: the longest that a node waits between two tries
/// (`node::state::RETRY_MAX`), and the try.
const RETURN_WITHIN: Duration = Duration::from_secs(12);

/// A connection, as the coordinator's process counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Hello {
        session: SessionId,
        hello: Hello,
    },
    Alive {
        session: SessionId,
        clock: Option<ClockEstimate>,
    },
    Message {
        session: SessionId,
        message: ToCoordinator,
    },
    Closed {
        session: SessionId,
    },
    Order(Order),
    Cancel {
        order: OrderId,
        reason: String,
    },
    /// The running order's snapshot says so.
    SnapshotEnded {
        order: OrderId,
        outcome: Outcome,
    },
    /// The snapshot actor wants this said to a node.
    ToNode {
        node: NodeName,
        message: NodeMessage,
    },
}

/// What a snapshot says to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeMessage {
    Plain(ToNode),
    Arm { order: OrderId, at_unix_ns: i64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Admit {
        session: SessionId,
        generation: Generation,
    },
    Reject {
        session: SessionId,
        reason: String,
    },
    CloseSession {
        session: SessionId,
        reason: String,
    },
    ToSession {
        session: SessionId,
        message: NodeMessage,
    },
    Start {
        order: Order,
        members: Vec<Member>,
    },
    ToSnapshot {
        order: OrderId,
        event: SnapshotEvent,
    },
    /// To whoever waits for the order.
    Progress {
        order: OrderId,
        progress: Progress,
    },
}

/// A node that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub session: SessionId,
    pub generation: Generation,
    pub instance: InstanceId,
    pub host: HostFacts,
    pub clock: Option<ClockEstimate>,
    pub heard: Moment,
}

#[derive(Clone, Debug, Default)]
pub struct Coordinator {
    nodes: BTreeMap<NodeName, Node>,
    sessions: BTreeMap<SessionId, NodeName>,
    generations: u64,
    waiting: VecDeque<Order>,
    running: Option<OrderId>,
    refused_names: u64,
    returning: Option<Returning>,
}

/// After a restart: the nodes that were registered before it, until when no order is begun unless all of them are back. An
/// order that came first would find some of them, or none.
#[derive(Clone, Debug)]
struct Returning {
    nodes: BTreeSet<NodeName>,
    until: Moment,
}

impl Coordinator {
    /// One that was restarted, and had these nodes.
    pub fn restarted(now: Now, nodes: BTreeSet<NodeName>) -> Coordinator {
        let returning = Returning { nodes, until: now.moment + RETURN_WITHIN };
        Coordinator {
            returning: Some(returning).filter(|returning| !returning.nodes.is_empty()),
            ..Coordinator::default()
        }
    }

    pub fn nodes(&self) -> &BTreeMap<NodeName, Node> {
        &self.nodes
    }

    pub fn running(&self) -> Option<OrderId> {
        self.running
    }

    pub fn waiting(&self) -> impl Iterator<Item = OrderId> {
        self.waiting.iter().map(|order| order.id)
    }

    /// How many greetings were refused because their name was taken.
    pub fn refused_names(&self) -> u64 {
        self.refused_names
    }

    fn hello(&mut self, now: Now, session: SessionId, hello: Hello, effects: &mut Vec<Effect>) {
        let reject = |reason: String| Effect::Reject { session, reason };
        let known = self.nodes.get(&hello.name);
        if known.is_none() && self.nodes.len() >= NODES_MAX {
            return effects.push(reject(format!("{NODES_MAX} nodes are registered already")));
        }
        if let Some(known) = known {
            let silent = now.moment.since(known.heard);
            if known.instance != hello.instance && silent < NAME_HELD {
                self.refused_names += 1;
                let reason = format!(
                    "a node of the name {} is registered already (host {}); give each node a name of its own with \
                     --name. If it is this one, restarted: it is admitted once the old connection has been silent for {} s",
                    hello.name,
                    known.host.hostname,
                    NAME_HELD.as_secs()
                );
                return effects.push(reject(reason));
            }
            let old = known.session;
            self.sessions.remove(&old);
            effects.push(Effect::CloseSession {
                session: old,
                reason: "the node has a newer connection".to_owned(),
            });
        }
        self.generations += 1;
        let generation = Generation(self.generations);
        let returned = known.is_some_and(|known| known.instance == hello.instance);
        let member = Member {
            name: hello.name.clone(),
            generation,
            instance: hello.instance,
            host: hello.host.clone(),
            clock: known.filter(|_| returned).and_then(|known| known.clock),
        };
        let node = Node {
            session,
            generation,
            instance: hello.instance,
            host: hello.host,
            clock: member.clock,
            heard: now.moment,
        };
        self.sessions.insert(session, hello.name.clone());
        if let Some(returning) = &mut self.returning {
            returning.nodes.remove(&hello.name);
        }
        self.nodes.insert(hello.name, node);
        effects.push(Effect::Admit { session, generation });
        if let Some(order) = self.running {
            effects.push(Effect::ToSnapshot { order, event: SnapshotEvent::NodeBack(member) });
        }
        // A result of an order that this coordinator does not know: it was restarted since.
        let mut unknown: Vec<OrderId> = hello.held.iter().map(|held| held.order).collect();
        unknown.dedup();
        for order in unknown.into_iter().filter(|order| Some(*order) != self.running) {
            effects.push(forget(session, order));
        }
        self.start_next(now, effects);
    }

    /// The name and the registration that a session stands for; `None`: it was replaced, and nobody listens to it.
    fn registered(&mut self, session: SessionId) -> Option<(&NodeName, &mut Node)> {
        let name = self.sessions.get(&session)?;
        Some((name, self.nodes.get_mut(name)?))
    }

    fn message(&mut self, session: SessionId, message: ToCoordinator, effects: &mut Vec<Effect>) {
        let running = self.running;
        let Some((name, node)) = self.registered(session) else { return };
        let order = match &message {
            ToCoordinator::Ready(ready) => ready.order,
            ToCoordinator::Frozen { order, .. }
            | ToCoordinator::Captured { order, .. }
            | ToCoordinator::Failed { order, .. } => *order,
            ToCoordinator::Hello(_) | ToCoordinator::Pong { .. } => return,
        };
        if running != Some(order) {
            // It ended without this node, or before a restart of this coordinator.
            return effects.push(forget(session, order));
        }
        let event = SnapshotEvent::FromNode { node: name.clone(), generation: node.generation, message };
        effects.push(Effect::ToSnapshot { order, event });
    }

    fn closed(&mut self, session: SessionId, effects: &mut Vec<Effect>) {
        let Some(name) = self.sessions.remove(&session) else { return };
        let Some(node) = self.nodes.remove(&name) else { return };
        if let Some(order) = self.running {
            let event = SnapshotEvent::NodeGone { node: name, generation: node.generation };
            effects.push(Effect::ToSnapshot { order, event });
        }
    }

    fn order(&mut self, now: Now, order: Order, effects: &mut Vec<Effect>) {
        let id = order.id;
        if self.running == Some(id) || self.waiting().any(|waiting| waiting == id) {
            // Asked twice: whoever asks waits for the same one.
            return;
        }
        if self.waiting.len() >= ORDERS_WAITING_MAX {
            let reason = format!("{ORDERS_WAITING_MAX} orders wait already; try again later");
            return ended(id, FailureClass::Limit, reason, effects);
        }
        self.waiting.push_back(order);
        self.start_next(now, effects);
        if let Some(before) = self.waiting().position(|waiting| waiting == id) {
            let progress = match &self.returning {
                Some(Returning { nodes, until }) => Progress::Returning {
                    nodes: nodes.len(),
                    within_ns: nanoseconds(until.since(now.moment)),
                },
                None => Progress::Queued { before: before + 1 },
            };
            effects.push(Effect::Progress { order: id, progress });
        }
    }

    fn start_next(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.returning = self.returning.take().filter(|r| !r.nodes.is_empty() && now.moment < r.until);
        while self.running.is_none()
            && self.returning.is_none()
            && let Some(order) = self.waiting.pop_front()
        {
            let wanted = |name: &str| {
                let hosts = &order.selector.hosts;
                hosts.is_empty() || hosts.iter().any(|pattern| glob::matches(pattern, name))
            };
            let members: Vec<Member> = self
                .nodes
                .iter()
                .filter(|(name, _)| wanted(name))
                .map(|(name, node)| Member {
                    name: name.clone(),
                    generation: node.generation,
                    instance: node.instance,
                    host: node.host.clone(),
                    clock: node.clock,
                })
                .collect();
            if members.is_empty() {
                let reason = match self.nodes.len() {
                    0 => "no node is registered with this coordinator".to_owned(),
                    nodes => format!("none of the {nodes} registered nodes has a name that fits the order"),
                };
                ended(order.id, FailureClass::NoSuchProcess, reason, effects);
                continue;
            }
            self.running = Some(order.id);
            effects.push(Effect::Start { order, members });
        }
    }

    fn cancel(&mut self, id: OrderId, reason: String, effects: &mut Vec<Effect>) {
        if self.running == Some(id) {
            return effects.push(Effect::ToSnapshot { order: id, event: SnapshotEvent::Cancel { reason } });
        }
        let before = self.waiting.len();
        self.waiting.retain(|order| order.id != id);
        if self.waiting.len() < before {
            ended(id, FailureClass::Other, reason, effects);
        }
    }
}

fn forget(session: SessionId, order: OrderId) -> Effect {
    let reason = "the coordinator does not wait for this order (any more)".to_owned();
    Effect::ToSession { session, message: NodeMessage::Plain(ToNode::Cancel { order, reason }) }
}

fn ended(order: OrderId, class: FailureClass, reason: String, effects: &mut Vec<Effect>) {
    let outcome = Outcome::Failed { class, reason };
    effects.push(Effect::Progress { order, progress: Progress::Ended(outcome) });
}

impl Machine for Coordinator {
    type Event = Event;
    type Effect = Effect;

    fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Hello { session, hello } => self.hello(now, session, hello, effects),
            Event::Alive { session, clock } => {
                let running = self.running;
                let Some((name, node)) = self.registered(session) else { return };
                node.heard = now.moment;
                node.clock = clock.or(node.clock);
                if let (Some(order), Some(clock)) = (running, node.clock) {
                    let event = SnapshotEvent::Clock { node: name.clone(), clock };
                    effects.push(Effect::ToSnapshot { order, event });
                }
            }
            Event::Message { session, message } => self.message(session, message, effects),
            Event::Closed { session } => self.closed(session, effects),
            Event::Order(order) => self.order(now, order, effects),
            Event::Cancel { order, reason } => self.cancel(order, reason, effects),
            Event::SnapshotEnded { order, outcome } => {
                if self.running == Some(order) {
                    self.running = None;
                    effects.push(Effect::Progress { order, progress: Progress::Ended(outcome) });
                    self.start_next(now, effects);
                }
            }
            Event::ToNode { node, message } => {
                if let Some(node) = self.nodes.get(&node) {
                    effects.push(Effect::ToSession { session: node.session, message });
                }
            }
        }
    }

    fn wake_at(&self) -> Option<Moment> {
        self.returning.as_ref().map(|returning| returning.until)
    }

    fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        self.start_next(now, effects);
    }
}
