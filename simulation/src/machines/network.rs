//! Connections between nodes and the coordinator: control streams, which are reliable and ordered, and the openings of
//! data streams, which are not ordered.
//!
//! Lost datagrams show as delays. What is sent while nothing passes arrives, in its order, when something does again,
//! unless an end gave the connection up before.

use stillframe_actors::{node, session, snapshot};
use stillframe_wire::message::{OrderId, TargetId, ToCoordinator, ToNode};

use super::world::{Address, Mail, Occurrence, Planted, World};
use crate::{MILLISECOND, SECOND};

/// An end of a connection; messages are named by the end where they arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Node = 0,
    Coordinator = 1,
}

pub struct Connection {
    pub host: usize,
    pub incarnation: u64,
    pub session: u64,
    /// By end.
    pub open: [bool; 2],
    /// When the last message arrives, by end.
    last: [u64; 2],
}

/// A data stream. Its parts are fetched by whoever reads it: see the writer's thread.
pub struct Stream {
    pub connection: u64,
    pub host: usize,
    /// The capture on the node.
    pub capture: u64,
    pub order: OrderId,
    pub target: TargetId,
    /// Of the node's end.
    pub is_open: bool,
    pub is_corrupt: bool,
}

/// A link of a host, as faults leave it.
#[derive(Default)]
pub struct Link {
    /// By end of arrival.
    pub stalled_until: [u64; 2],
    pub partitioned_until: u64,
}

impl World<'_> {
    pub(super) fn delay(&mut self) -> u64 {
        let network = self.plan.network;
        let jitter = self.random.below(network.delay_ns / 2 + 1);
        let slow =
            if self.random.percent(network.slow_percent) { self.random.below(500 * MILLISECOND) } else { 0 };
        network.delay_ns + jitter + slow
    }

    /// When something that a host's link carries now arrives at an end.
    pub(super) fn passes_at(&mut self, host: usize, end: Wire) -> u64 {
        let link = &self.hosts[host].link;
        let from = self.now_ns.max(link.partitioned_until).max(link.stalled_until[end as usize]);
        from + self.delay()
    }

    /// When the next message arrives: after the one before it.
    fn arrival(&mut self, connection: u64, end: Wire) -> Option<u64> {
        let known = self.connections.get(&connection)?;
        let (host, last) = (known.host, known.last[end as usize]);
        let at = self.passes_at(host, end).max(last);
        self.connections.get_mut(&connection)?.last[end as usize] = at;
        Some(at)
    }

    /// A node's attempt to connect has come to the coordinator, or has not.
    pub(super) fn connect(&mut self, host: usize, incarnation: u64, attempt: u64) {
        let is_current = |p: &super::node::NodeProcess| p.incarnation == incarnation && p.attempt == attempt;
        if !self.hosts[host].process.as_ref().is_some_and(is_current) {
            return;
        }
        if self.now_ns < self.hosts[host].link.partitioned_until {
            // No answer: the node's own deadline ends the attempt.
            return;
        }
        if self.coordinator.is_none() {
            let reason = "connection refused".to_owned();
            return self.mail(Address::Node(host), Mail::Node(node::state::Event::ConnectFailed { reason }));
        }
        let (connection, session) = (self.number(), self.number());
        let open = [false, true];
        self.connections
            .insert(connection, Connection { host, incarnation, session, open, last: [self.now_ns; 2] });
        self.start_session(session, connection);
        if let Some(process) = &mut self.hosts[host].process {
            process.connection = Some(connection);
        }
        if let Some(at) = self.arrival(connection, Wire::Node) {
            self.at(at, Occurrence::Connected { connection });
        }
    }

    pub(super) fn connected(&mut self, connection: u64) {
        let Some(host) = self.node_end(connection) else { return };
        if let Some(known) = self.connections.get_mut(&connection) {
            known.open[Wire::Node as usize] = true;
        }
        self.mail(Address::Node(host), Mail::Node(node::state::Event::Connected));
    }

    /// The host, if its node still has this connection.
    pub(super) fn node_end(&self, connection: u64) -> Option<usize> {
        let known = self.connections.get(&connection)?;
        let process = self.hosts[known.host].process.as_ref()?;
        (process.connection == Some(connection)).then_some(known.host)
    }

    pub(super) fn is_open(&self, connection: u64, end: Wire) -> bool {
        self.connections.get(&connection).is_some_and(|known| known.open[end as usize])
    }

    pub(super) fn send_to_node(&mut self, connection: u64, message: ToNode) {
        if self.is_open(connection, Wire::Coordinator)
            && let Some(at) = self.arrival(connection, Wire::Node)
        {
            self.at(at, Occurrence::ToNode { connection, message });
        }
    }

    pub(super) fn send_to_coordinator(&mut self, connection: u64, message: ToCoordinator) {
        if self.is_open(connection, Wire::Node)
            && let Some(at) = self.arrival(connection, Wire::Coordinator)
        {
            self.at(at, Occurrence::ToCoordinator { connection, message });
        }
    }

    pub(super) fn arrive_at_node(&mut self, connection: u64, message: ToNode) {
        if let Some(host) = self.node_end(connection)
            && self.is_open(connection, Wire::Node)
        {
            self.mail(Address::Node(host), Mail::Node(node::state::Event::FromCoordinator(message)));
        }
    }

    pub(super) fn arrive_at_coordinator(&mut self, connection: u64, message: ToCoordinator) {
        if self.is_open(connection, Wire::Coordinator) {
            let session = self.connections[&connection].session;
            self.mail(Address::Session(session), Mail::Session(session::state::Event::FromNode(message)));
        }
    }

    /// An end closes; the other one hears of it after all that was sent before, or gives up by itself.
    pub(super) fn close(&mut self, connection: u64, end: Wire) {
        let Some(known) = self.connections.get_mut(&connection) else { return };
        let was_open = std::mem::replace(&mut known.open[end as usize], false);
        let other = if end == Wire::Node { Wire::Coordinator } else { Wire::Node };
        if end == Wire::Node
            && let Some(process) = &mut self.hosts[known.host].process
            && process.connection == Some(connection)
        {
            process.connection = None;
            self.streams_end(connection);
        }
        if was_open && let Some(at) = self.arrival(connection, other) {
            let given_up = self.now_ns + self.plan.network.idle_ns;
            self.at(at.min(given_up), Occurrence::ConnectionLost { connection, end: other });
        }
    }

    pub(super) fn connection_lost(&mut self, connection: u64, end: Wire) {
        let Some(known) = self.connections.get_mut(&connection) else { return };
        let was_open = std::mem::replace(&mut known.open[end as usize], false);
        let session = known.session;
        let reason = "the connection was lost".to_owned();
        match end {
            Wire::Node => {
                let Some(host) = self.node_end(connection) else { return };
                if let Some(process) = &mut self.hosts[host].process {
                    process.connection = None;
                }
                self.streams_end(connection);
                self.mail(Address::Node(host), Mail::Node(node::state::Event::ConnectionLost { reason }));
            }
            Wire::Coordinator if was_open => {
                let event = session::state::Event::ConnectionLost { reason };
                self.mail(Address::Session(session), Mail::Session(event));
            }
            Wire::Coordinator => {}
        }
        if self.connections.get(&connection).is_some_and(|known| known.open == [false; 2]) {
            self.connections.remove(&connection);
        }
    }

    /// A node's streams end with their connection.
    fn streams_end(&mut self, connection: u64) {
        let all = self.streams.iter().filter(|(_, stream)| stream.connection == connection);
        let numbers: Vec<u64> = all.map(|(number, _)| *number).collect();
        numbers.into_iter().for_each(|stream| self.stream_closed(stream));
    }

    /// Both ends give up a connection that carries nothing for so long.
    pub(super) fn idle_out(&mut self, host: usize, from_ns: u64) {
        let of_host: Vec<u64> =
            self.connections.iter().filter(|(_, c)| c.host == host).map(|(number, _)| *number).collect();
        for connection in of_host {
            for end in [Wire::Node, Wire::Coordinator] {
                let at = from_ns + self.plan.network.idle_ns + self.random.below(SECOND);
                self.at(at, Occurrence::ConnectionLost { connection, end });
            }
        }
    }

    pub(super) fn stream_opened(&mut self, number: u64) {
        let Some(stream) = self.streams.get(&number) else { return };
        let (order, target) = (stream.order, stream.target);
        let host = &self.plan.hosts[stream.host];
        let is_open = self.is_open(stream.connection, Wire::Coordinator);
        let Some(session) = self.connections.get(&stream.connection).map(|known| known.session) else {
            return;
        };
        let Some(process) = &self.coordinator else { return };
        let generation = process.sessions.get(&session).and_then(|session| session.generation);
        let run = process.runs.iter().find(|(_, run)| run.order == order && !run.snapshot.has_ended());
        let (Some(generation), Some(run), true) = (generation, run.map(|(run, _)| *run), is_open) else {
            return self.drop_stream(number);
        };
        let key = snapshot::TargetKey { node: host.name.clone(), target };
        if self.planted == Planted::Unlimited {
            return self.load_now(run, snapshot::StreamId(number), key);
        }
        let event = snapshot::Event::Stream { stream: snapshot::StreamId(number), key, generation };
        self.mail(Address::Snapshot(run), Mail::Snapshot(event));
    }

    /// The coordinator wants no more of it.
    pub(super) fn drop_stream(&mut self, number: u64) {
        if let Some(stream) = self.streams.get(&number) {
            let at = self.passes_at(stream.host, Wire::Node);
            self.at(at, Occurrence::StreamClosed { stream: number });
        }
    }
}
