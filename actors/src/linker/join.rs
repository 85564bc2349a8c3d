//! Joins ends by what they have in common: the connection and the stream of HTTP/2 on it, the connection alone where it carries
//! one call at a time, or the trace that the client has sent along.
//!
//! It is told of everything once ([`Join::add`]), in the order processes, sockets, ends, and says then what it has found
//! ([`Join::found`]). A wrong link is worse than a missing one: what could be two things is no link, and `unmatched` says why.

use std::collections::BTreeMap;

use super::calls::{Ends, Pair};
use super::facts::{Confidence, End, Evidence, Found, Link, Part, Process, Role, Side, State, Window};
use super::peers::{Peer, Sockets};

/// Ends that are looked at before what was found is handed on.
const STEP_ENDS: usize = 20_000;

#[derive(Default)]
pub struct Join {
    processes: BTreeMap<i64, Process>,
    sockets: Sockets,
    ends: Vec<End>,
    /// By socket, when all of them are there.
    order: Option<Order>,
}

struct Order {
    peers: Vec<Peer>,
    /// Indices of ends with their socket, by socket.
    by_socket: Vec<(u32, u32)>,
    /// Where each socket's ends begin.
    begins: BTreeMap<u32, u32>,
    next: usize,
    /// Ends whose connection says nothing: they may be joined by their trace.
    open: Vec<(u32, Box<str>)>,
    is_traced: bool,
}

impl Join {
    pub fn add(&mut self, part: Part) {
        for process in part.processes {
            self.sockets.process(&process);
            self.processes.insert(process.id, process);
        }
        part.sockets.into_iter().for_each(|socket| self.sockets.add(socket));
        self.ends.extend(part.ends);
    }

    /// The next part of what was found; `None`: that was all.
    pub fn found(&mut self) -> Option<Found> {
        if self.order.is_none() {
            self.order = Some(self.put_in_order());
        }
        let mut order = self.order.take()?;
        let mut found = Found::default();
        let is_more = self.step(&mut order, &mut found);
        self.order = Some(order);
        is_more.then_some(found)
    }

    fn put_in_order(&self) -> Order {
        let mut by_socket: Vec<(u32, u32)> = Vec::with_capacity(self.ends.len());
        let mut open = Vec::new();
        for (index, end) in self.ends.iter().enumerate() {
            match end.socket.and_then(|row| self.sockets.of_row(row)) {
                Some(socket) => by_socket.push((socket, index as u32)),
                None => open.push((index as u32, why_no_socket(end))),
            }
        }
        by_socket.sort_unstable();
        let mut begins = BTreeMap::new();
        for (at, (socket, _)) in by_socket.iter().enumerate() {
            begins.entry(*socket).or_insert(at as u32);
        }
        Order { peers: self.sockets.peers(), by_socket, begins, next: 0, open, is_traced: false }
    }

    /// Whether anything was left to do.
    fn step(&self, order: &mut Order, found: &mut Found) -> bool {
        let stop = order.next.saturating_add(STEP_ENDS);
        while let Some(&(socket, _)) = order.by_socket.get(order.next)
            && order.next < stop
        {
            let own = of_socket(&order.by_socket, &order.begins, socket);
            order.next += own.len().max(1);
            match order.peers.get(socket as usize) {
                Some(&Peer::One { index, is_translated }) => {
                    // The one that comes first does both; one without ends does nothing.
                    let others = of_socket(&order.by_socket, &order.begins, index);
                    if index > socket || others.is_empty() {
                        self.pair((socket, own), (index, others), is_translated, found);
                    }
                }
                peer => {
                    let reason = self.why_alone(socket, peer);
                    order.open.extend(own.iter().map(|(_, end)| (*end, reason.clone())));
                }
            }
        }
        if order.next < order.by_socket.len() {
            return true;
        }
        if std::mem::replace(&mut order.is_traced, true) {
            return false;
        }
        self.by_trace(std::mem::take(&mut order.open), found);
        true
    }

    fn why_alone(&self, socket: u32, peer: Option<&Peer>) -> Box<str> {
        let known = self.sockets.known.get(socket as usize);
        match (peer, known) {
            (Some(Peer::Ambiguous), Some(known)) => {
                let (local, remote) = (self.sockets.text(known.local), self.sockets.text(known.remote));
                format!("ambiguous address: {local} to {remote} is more than one connection of the snapshot")
                    .into()
            }
            (Some(Peer::NotAccepted), _) => {
                "not yet read: its connection waits to be accepted by a process of the snapshot".into()
            }
            (_, Some(known)) => {
                let remote = self.sockets.text(known.remote);
                let who = known.peer_description.as_deref().unwrap_or(&remote);
                let who = if who.is_empty() { "its other end has no name" } else { who };
                format!("peer not captured: {who}").into()
            }
            (_, None) => NO_SOCKET.into(),
        }
    }

    /// All ends of one connection.
    fn pair(
        &self,
        one: (u32, &[(u32, u32)]),
        other: (u32, &[(u32, u32)]),
        is_translated: bool,
        found: &mut Found,
    ) {
        let ends = |of: &[(u32, u32)]| -> Vec<&End> {
            of.iter().filter_map(|(_, index)| self.ends.get(*index as usize)).collect()
        };
        let (Some(one_socket), Some(other_socket)) =
            (self.sockets.known.get(one.0 as usize), self.sockets.known.get(other.0 as usize))
        else {
            return;
        };
        let (near, far) = (ends(one.1), ends(other.1));
        let overlap_ns = |a: &End, b: &End| self.overlap_ns(a.process, b.process);
        let name = |end: Option<&&End>, process: i64| {
            let process = end.map_or(process, |end| end.process);
            self.processes.get(&process).map_or_else(String::new, |process| process.name.to_string())
        };
        let evidence = Evidence {
            client_socket: Some((self.sockets.text(one_socket.local), self.sockets.text(one_socket.remote))),
            server_socket: Some((
                self.sockets.text(other_socket.local),
                self.sockets.text(other_socket.remote),
            )),
            is_translated,
            ..Evidence::default()
        };
        let near = Ends {
            name: name(near.first(), one_socket.process),
            ends: near,
            receive_queue_bytes: one_socket.receive_queue_bytes,
            send_queue_bytes: one_socket.send_queue_bytes,
        };
        let far = Ends {
            name: name(far.first(), other_socket.process),
            ends: far,
            receive_queue_bytes: other_socket.receive_queue_bytes,
            send_queue_bytes: other_socket.send_queue_bytes,
        };
        Pair { near, far, evidence, overlap_ns: &overlap_ns }.join(found);
    }

    /// For how long both stood still at once; `None`: not known.
    fn overlap_ns(&self, one: i64, other: i64) -> Option<i64> {
        let window = |process| self.processes.get(&process)?.frozen;
        let (a, b) = (window(one)?, window(other)?);
        let shared = a.end_unix_ns.min(b.end_unix_ns).saturating_sub(a.start_unix_ns.max(b.start_unix_ns));
        // Processes of one kernel have one clock.
        let error = |w: Window| if self.sockets.is_same_kernel(one, other) { 0 } else { w.error_ns };
        Some(shared.saturating_sub(error(a).saturating_add(error(b))))
    }

    /// Those that neither socket nor stream has joined. One client and one server that say the same: what several say is ambiguous.
    fn by_trace(&self, open: Vec<(u32, Box<str>)>, found: &mut Found) {
        let mut traces: BTreeMap<&str, [Vec<u32>; 2]> = BTreeMap::new();
        for (index, _) in &open {
            let Some(end) = self.ends.get(*index as usize) else { continue };
            if let Some(trace) = &end.trace {
                traces.entry(trace).or_default()[usize::from(end.role == Role::Server)].push(*index);
            }
        }
        for (index, reason) in open {
            let Some(end) = self.ends.get(index as usize) else { continue };
            let sides = end.trace.as_deref().and_then(|trace| traces.get(trace));
            match sides.map(|[clients, servers]| (&clients[..], &servers[..])) {
                Some(([client], [server])) if client != server => {
                    let (Some(client), Some(server)) =
                        (self.ends.get(*client as usize), self.ends.get(*server as usize))
                    else {
                        continue;
                    };
                    if client.goroutine == server.goroutine {
                        found.unmatched.push((end.id, reason));
                    } else if end.role == Role::Client {
                        found.links.push(Link {
                            client: side(client),
                            server: Some(side(server)),
                            protocol: client.protocol.clone(),
                            state: State::InFlight,
                            confidence: Confidence::Likely,
                            evidence: Evidence {
                                trace: client.trace.clone(),
                                overlap_ns: self.overlap_ns(client.process, server.process),
                                ..Evidence::default()
                            },
                        });
                    }
                }
                Some((clients, servers)) if !clients.is_empty() && !servers.is_empty() => {
                    let reason = format!("{reason}; its trace is that of several calls");
                    found.unmatched.push((end.id, reason.into()));
                }
                _ => found.unmatched.push((end.id, reason)),
            }
        }
    }
}

pub(super) fn side(end: &End) -> Side {
    Side { end: end.id, goroutine: end.goroutine }
}

/// The ends of a socket.
fn of_socket<'a>(by_socket: &'a [(u32, u32)], begins: &BTreeMap<u32, u32>, socket: u32) -> &'a [(u32, u32)] {
    let Some(&begin) = begins.get(&socket) else { return &[] };
    let rest = by_socket.get(begin as usize..).unwrap_or_default();
    let end = rest.iter().position(|(of, _)| *of != socket).unwrap_or(rest.len());
    &rest[..end]
}

fn why_no_socket(end: &End) -> Box<str> {
    match end.fd {
        None => NO_SOCKET.into(),
        Some(fd) => format!(
            "no socket known: descriptor {fd} was not the same connection before the stop and after it, or its sockets were not captured"
        )
        .into(),
    }
}

const NO_SOCKET: &str = "no socket known: which descriptor its connection has was not captured";
