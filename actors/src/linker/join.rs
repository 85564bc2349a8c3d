//! Joins ends by what they have in common: the connection and the stream of HTTP/2 on it, the connection alone where it carries
//! one call at a time, or the trace that the client has sent along.
//!
//! It is told of everything once ([`Join::add`]), in the order processes, sockets, ends, and says then what it has found
//! ([`Join::found`]). A wrong link is worse than a missing one: what could be two things is no link, and `unmatched` says why.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::calls::{Ends, Pair};
use super::facts::{Confidence, End, Evidence, Found, Link, Part, Process, Role, Side, State, Window};
use super::method::Said;
use super::peers::{Peer, Sockets};
use super::unplaced::Unplaced;

/// Ends that are looked at before what was found is handed on.
const STEP_ENDS: usize = 20_000;
/// Of a reason: addresses and names are what processes and nodes say.
const REASON_BYTES_MAX: usize = 200;

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
    open: Vec<(u32, Arc<str>)>,
    /// Servers without a socket.
    unplaced: Unplaced,
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
        let (mut open, mut unplaced) = (Vec::new(), Unplaced::default());
        let unknown: Arc<str> = NO_SOCKET.into();
        for (index, end) in self.ends.iter().enumerate() {
            match end.socket.and_then(|row| self.sockets.of_row(row)) {
                Some(socket) => by_socket.push((socket, index as u32)),
                None => {
                    open.push((index as u32, why_no_socket(end, &unknown)));
                    if end.role == Role::Server && !end.is_bytes() {
                        unplaced.add(end);
                    }
                }
            }
        }
        by_socket.sort_unstable();
        let mut begins = BTreeMap::new();
        for (at, (socket, _)) in by_socket.iter().enumerate() {
            begins.entry(*socket).or_insert(at as u32);
        }
        Order { peers: self.sockets.peers(), by_socket, begins, next: 0, open, unplaced, is_traced: false }
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
                        let pair = ((socket, own), (index, others));
                        self.pair(pair, is_translated, &order.unplaced, found);
                    }
                }
                peer => {
                    let reason = self.why_alone(socket, peer);
                    order.open.extend(own.iter().map(|(_, end)| (*end, Arc::clone(&reason))));
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

    fn why_alone(&self, socket: u32, peer: Option<&Peer>) -> Arc<str> {
        let known = self.sockets.known.get(socket as usize);
        let mut reason = match (peer, known) {
            (Some(Peer::Ambiguous), Some(known)) => {
                let (local, remote) = (self.sockets.text(known.local), self.sockets.text(known.remote));
                format!("ambiguous address: {local} to {remote} is more than one connection of the snapshot")
            }
            (Some(Peer::NotAccepted), _) => {
                "not yet read: its connection waits to be accepted by a process of the snapshot".to_owned()
            }
            (_, Some(known)) => {
                let remote = self.sockets.text(known.remote);
                let who = known.peer_description.as_deref().unwrap_or(&remote);
                let who = if who.is_empty() { "its other end has no name" } else { who };
                format!("peer not captured: {who}")
            }
            (_, None) => NO_SOCKET.to_owned(),
        };
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
        reason.into()
    }

    /// All ends of one connection.
    fn pair(
        &self,
        (one, other): (OfSocket<'_>, OfSocket<'_>),
        is_translated: bool,
        unplaced: &Unplaced,
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
        let overlap_ns = |one: i64, other: i64| self.overlap_ns(one, other);
        let name = |end: Option<&&End>, processes: &[i64]| {
            let process = end.map_or(processes.first().copied().unwrap_or_default(), |end| end.process);
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
        let is_own = is_translated || self.sockets.may_be_both(one_socket, other_socket);
        let at_most = if is_own { Confidence::Likely } else { Confidence::Certain };
        let near = Ends {
            name: name(near.first(), &one_socket.processes),
            processes: &one_socket.processes,
            ends: near,
            receive_queue_bytes: one_socket.receive_queue_bytes,
            send_queue_bytes: one_socket.send_queue_bytes,
        };
        let far = Ends {
            name: name(far.first(), &other_socket.processes),
            processes: &other_socket.processes,
            ends: far,
            receive_queue_bytes: other_socket.receive_queue_bytes,
            send_queue_bytes: other_socket.send_queue_bytes,
        };
        Pair { near, far, evidence, at_most, unplaced, overlap_ns: &overlap_ns }.join(found);
    }

    /// For how long both stood still at once; `None`: not known.
    fn overlap_ns(&self, one: i64, other: i64) -> Option<i64> {
        let window = |process| self.processes.get(&process)?.frozen;
        let (a, b) = (window(one)?, window(other)?);
        // Processes of one kernel have one clock, whatever two nodes have found out about it.
        let is_one_clock = self.sockets.is_same_kernel(one, other);
        let of = |window: Window| {
            let (offset, error) = if is_one_clock { (window.offset_ns, 0) } else { (0, window.error_ns) };
            let at = |time: i64| time.saturating_sub(offset);
            (at(window.start_unix_ns), at(window.end_unix_ns), error)
        };
        let ((a_start, a_end, a_error), (b_start, b_end, b_error)) = (of(a), of(b));
        let shared = a_end.min(b_end).saturating_sub(a_start.max(b_start));
        Some(shared.saturating_sub(a_error.saturating_add(b_error)))
    }

    /// Those that neither socket nor stream has joined. One client and one server that say the same: what several say is ambiguous.
    fn by_trace(&self, open: Vec<(u32, Arc<str>)>, found: &mut Found) {
        let mut traces: BTreeMap<&str, [Vec<&End>; 2]> = BTreeMap::new();
        for (index, _) in &open {
            let Some(end) = self.ends.get(*index as usize) else { continue };
            if let Some(trace) = &end.trace {
                traces.entry(trace).or_default()[usize::from(end.role == Role::Server)].push(end);
            }
        }
        for (index, reason) in open {
            let Some(end) = self.ends.get(index as usize) else { continue };
            let sides = end.trace.as_deref().and_then(|trace| traces.get(trace));
            match sides.map(|[clients, servers]| (&clients[..], &servers[..])) {
                Some(([client], [server])) => match self.traced(client, server) {
                    Ok(link) if end.role == Role::Client => found.links.push(link),
                    Ok(_) => {}
                    Err(why) => found.unmatched.push((end.id, format!("{reason}; {why}").into())),
                },
                Some((clients, servers)) if !clients.is_empty() && !servers.is_empty() => {
                    let reason = format!("{reason}; its trace is that of several calls");
                    found.unmatched.push((end.id, reason.into()));
                }
                _ => found.unmatched.push((end.id, reason)),
            }
        }
    }

    /// Ends that say the same trace and span. Who does not pass one on says what it was told to whatever it calls, and a span
    /// may be that of several calls one after the other.
    fn traced(&self, client: &End, server: &End) -> Result<Link, &'static str> {
        if client.process == server.process {
            return Err("its trace is that of a call of its own process");
        }
        let verb = |end| Said::of(end).map(|said| said.verb);
        if let (Some(asked), Some(served)) = (verb(client), verb(server))
            && asked != served
        {
            return Err("its trace is that of a call with another method");
        }
        let overlap_ns = self.overlap_ns(client.process, server.process);
        if overlap_ns <= Some(0) {
            return Err("skew possible: who has its trace did not stand still at the same time");
        }
        Ok(Link {
            client: side(client),
            server: Some(side(server)),
            protocol: client.protocol.clone(),
            state: State::InFlight,
            confidence: Confidence::Likely,
            evidence: Evidence { trace: client.trace.clone(), overlap_ns, ..Evidence::default() },
        })
    }
}

/// A socket and its ends.
type OfSocket<'a> = (u32, &'a [(u32, u32)]);

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

fn why_no_socket(end: &End, unknown: &Arc<str>) -> Arc<str> {
    match end.fd {
        None => Arc::clone(unknown),
        Some(fd) => format!(
            "no socket known: descriptor {fd} was not the same connection before the stop and after it, or its sockets were not captured"
        )
        .into(),
    }
}

const NO_SOCKET: &str = "no socket known: which descriptor its connection has was not captured";
