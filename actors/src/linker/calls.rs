//! The calls on one connection, both ends of which are known.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::facts::{Confidence, End, Evidence, Found, Link, Role, State};
use super::join::side;
use super::method::agree;
use super::unplaced::Unplaced;

/// One end of a connection.
pub(super) struct Ends<'a> {
    /// Of its process.
    pub(super) name: String,
    /// That have the socket: children have those of their parents.
    pub(super) processes: &'a [i64],
    pub(super) ends: Vec<&'a End>,
    pub(super) receive_queue_bytes: Option<u32>,
    pub(super) send_queue_bytes: Option<u32>,
}

pub(super) struct Pair<'a> {
    pub(super) near: Ends<'a>,
    pub(super) far: Ends<'a>,
    /// The sockets, as if the near end were the client's.
    pub(super) evidence: Evidence,
    /// As far as its addresses go.
    pub(super) at_most: Confidence,
    /// Servers of the whole snapshot.
    pub(super) unplaced: &'a Unplaced,
    /// Of two processes.
    pub(super) overlap_ns: &'a dyn Fn(i64, i64) -> Option<i64>,
}

/// Both are HTTP/2, whatever is said within it.
fn is_multiplexed(end: &End) -> bool {
    matches!(&*end.protocol, "http2" | "grpc")
}

/// The index of who serves it, or why there is no link.
type Outcome = Result<(Option<usize>, Link), Arc<str>>;

impl Pair<'_> {
    pub(super) fn join(&self, found: &mut Found) {
        let all = || self.near.ends.iter().chain(&self.far.ends);
        if all().all(|end| end.is_bytes()) {
            return self.bytes(found);
        }
        Direction::new(self, &self.near, &self.far, self.evidence.clone()).calls(found);
        Direction::new(self, &self.far, &self.near, reversed(&self.evidence)).calls(found);
        let reason: Arc<str> = "it reads or writes for the calls of its connection".into();
        found.unmatched.extend(all().filter(|end| end.is_bytes()).map(|end| (end.id, Arc::clone(&reason))));
    }

    /// For how long all of those stood still at once with each of these.
    fn overlaps(&self, ends: &[&End], others: &[i64]) -> BTreeMap<i64, Option<i64>> {
        let mut found = BTreeMap::new();
        for end in ends {
            found.entry(end.process).or_insert_with(|| {
                let each = others.iter().map(|other| (self.overlap_ns)(end.process, *other));
                each.reduce(|least, overlap| Some(least?.min(overlap?))).flatten()
            });
        }
        found
    }
}

/// What is asked at one end and served at the other.
struct Direction<'p, 'a> {
    pair: &'p Pair<'a>,
    clients: &'p Ends<'a>,
    servers: &'p Ends<'a>,
    evidence: Evidence,
    /// Indices of ends. Those of a protocol that has one call at a time on a connection are single.
    asking: Vec<usize>,
    serving: Vec<usize>,
    single: Vec<usize>,
    by_stream: BTreeMap<i64, Vec<usize>>,
    /// One asks, one serves.
    is_alone: bool,
    /// Somebody waits for what comes to the servers' end.
    is_read: bool,
    streamless: Unplaced,
    /// With all processes of the other end, by process.
    of_clients: BTreeMap<i64, Option<i64>>,
    of_servers: BTreeMap<i64, Option<i64>>,
}

impl<'p, 'a> Direction<'p, 'a> {
    fn new(pair: &'p Pair<'a>, clients: &'p Ends<'a>, servers: &'p Ends<'a>, evidence: Evidence) -> Self {
        let of = |ends: &Ends<'_>, role: Role| -> Vec<usize> {
            let fits = |end: &End| end.role == role && !end.is_bytes();
            ends.ends.iter().enumerate().filter(|(_, end)| fits(end)).map(|(index, _)| index).collect()
        };
        let (asking, serving) = (of(clients, Role::Client), of(servers, Role::Server));
        let mut by_stream: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        let (mut single, mut streamless) = (Vec::new(), Unplaced::default());
        for &index in &serving {
            let server = servers.ends[index];
            match (is_multiplexed(server), server.stream) {
                (false, _) => single.push(index),
                (true, Some(stream)) => by_stream.entry(stream).or_default().push(index),
                (true, None) => streamless.add(server),
            }
        }
        let one_asks = asking.iter().filter(|&&index| !is_multiplexed(clients.ends[index])).count() == 1;
        Direction {
            pair,
            is_alone: one_asks && single.len() == 1,
            is_read: servers.ends.iter().any(|end| end.is_bytes() && !end.writes),
            of_clients: pair.overlaps(&clients.ends, servers.processes),
            of_servers: pair.overlaps(&servers.ends, clients.processes),
            clients,
            servers,
            evidence,
            asking,
            serving,
            single,
            by_stream,
            streamless,
        }
    }

    fn calls(&self, found: &mut Found) {
        let mut served = vec![false; self.servers.ends.len()];
        for &index in &self.asking {
            let client = self.clients.ends[index];
            let outcome = if is_multiplexed(client) { self.stream(client) } else { self.alone(client) };
            match outcome {
                Ok((server, link)) => {
                    server.into_iter().for_each(|at| served[at] = true);
                    found.links.push(link);
                }
                Err(reason) => found.unmatched.push((client.id, reason)),
            }
        }
        for &index in self.serving.iter().filter(|&&index| !served[index]) {
            let server = self.servers.ends[index];
            found.unmatched.push((server.id, self.why_unserved(server)));
        }
    }

    fn why_unserved(&self, server: &End) -> Arc<str> {
        if is_multiplexed(server) && server.stream.is_none() {
            return "no stream known: which call of its connection it serves was not captured".into();
        }
        let name = &self.clients.name;
        match self.of_servers.get(&server.process).copied().flatten() {
            Some(1..) => {
                format!("the other end has gone: no goroutine of {name} waits for it, or none that is known")
            }
            _ => format!("the other end has gone, or skew possible: no goroutine of {name} waits for it"),
        }
        .into()
    }

    fn link(&self, client: &End, server: &End, evidence: &Evidence, confidence: Confidence) -> Link {
        Link {
            client: side(client),
            server: Some(side(server)),
            protocol: client.protocol.clone(),
            state: State::InFlight,
            confidence: confidence.min(self.pair.at_most),
            evidence: Evidence {
                same_method: agree(client, server) == Some(true),
                overlap_ns: (self.pair.overlap_ns)(client.process, server.process),
                stream: client.stream.filter(|_| is_multiplexed(client)),
                ..evidence.clone()
            },
        }
    }

    /// Sent, and not read yet.
    fn unread(&self, client: &End, bytes: u32) -> Link {
        Link {
            client: side(client),
            server: None,
            protocol: client.protocol.clone(),
            state: State::Unread,
            confidence: Confidence::Likely,
            evidence: Evidence {
                unread_bytes: Some(bytes),
                stream: client.stream,
                overlap_ns: self.overlap_ns(client),
                ..self.evidence.clone()
            },
        }
    }

    /// Of a client with all processes that have the servers' end.
    fn overlap_ns(&self, client: &End) -> Option<i64> {
        self.of_clients.get(&client.process).copied().flatten()
    }

    /// A call that is a stream of HTTP/2.
    fn stream(&self, client: &End) -> Outcome {
        let Some(stream) = client.stream else {
            return Err(
                "no stream known: which call of its connection it is was not captured, or it is not sent"
                    .into(),
            );
        };
        match self.by_stream.get(&stream).map_or(&[][..], Vec::as_slice) {
            [index] => {
                let server = self.servers.ends[*index];
                if agree(client, server) == Some(false) {
                    return Err(contradiction(client, server));
                }
                // Addresses may be used again at once: of a connection that was reset nothing is left to forbid it.
                let is_at_once = (self.pair.overlap_ns)(client.process, server.process) > Some(0);
                let confidence = if is_at_once { Confidence::Certain } else { Confidence::Likely };
                Ok((Some(*index), self.link(client, server, &self.evidence, confidence)))
            }
            // A server reads calls in the order of their streams.
            [] => self
                .unanswered(client, self.by_stream.keys().next_back().is_none_or(|newest| *newest < stream)),
            _ => Err(format!("several goroutines of {} serve its stream {stream}", self.servers.name).into()),
        }
    }

    /// A call of a protocol that has one call at a time on a connection.
    fn alone(&self, client: &End) -> Outcome {
        if self.single.is_empty() {
            return self.unanswered(client, true);
        }
        let (true, [index]) = (self.is_alone, &self.single[..]) else {
            return Err("several calls are on its connection, and which is which is not known".into());
        };
        let server = self.servers.ends[*index];
        if client.protocol != server.protocol {
            return Err(format!("the other end speaks {}", server.protocol).into());
        }
        let methods = agree(client, server);
        if methods == Some(false) {
            return Err(contradiction(client, server));
        }
        let is_at_once = (self.pair.overlap_ns)(client.process, server.process) > Some(0);
        let queue = self.servers.receive_queue_bytes;
        let unread = queue.map(|bytes| bytes.saturating_add(server.buffered_bytes.unwrap_or(0)));
        // The same exchange has both heads of the answer on the same side. One that is under way would be lost here.
        if let (Some(sent), Some(come)) = (server.answered, client.answered)
            && sent != come
        {
            // A handler that runs on while its client asks for the next thing.
            return match unread.filter(|&bytes| bytes > 0 && sent && is_at_once) {
                Some(bytes) => Ok((None, self.unread(client, bytes))),
                None => Err(format!(
                    "skew possible: {} has served another call of its connection",
                    self.servers.name
                )
                .into()),
            };
        }
        let is_known = server.answered.is_some() && client.answered.is_some();
        let is_quiet = queue == Some(0) && server.buffered_bytes == Some(0);
        let confidence = match (is_at_once, is_known) {
            (true, true) if methods == Some(true) && is_quiet => Confidence::Certain,
            (true, true) => Confidence::Likely,
            // What tells one call from the next is what they say, and what lies between them. The queue alone does not: it was
            // looked at when all ran on.
            (true, false) if methods.is_none() => {
                return Err(
                    "ambiguous: whether both ends are at the same call of their connection is not known"
                        .into(),
                );
            }
            (true, false) if unread == Some(0) => Confidence::Likely,
            (true, false) => {
                return Err("ambiguous: whether bytes of the next call have come is not known".into());
            }
            (false, true) if methods == Some(true) => Confidence::Likely,
            (false, _) => {
                return Err("skew possible: the two processes did not stand still at the same time".into());
            }
        };
        let evidence = Evidence { unread_bytes: unread, ..self.evidence.clone() };
        Ok((Some(*index), self.link(client, server, &evidence, confidence)))
    }

    /// No goroutine serves it.
    fn unanswered(&self, client: &End, may_be_unread: bool) -> Outcome {
        let has = |bytes: Option<u32>| bytes.filter(|&bytes| bytes > 0);
        let (name, processes) = (&self.servers.name, self.servers.processes);
        if let Some(bytes) = has(self.clients.receive_queue_bytes) {
            return Err(format!("the other end has gone: {bytes} bytes of an answer wait to be read").into());
        }
        let is_at_once = self.overlap_ns(client) > Some(0);
        if is_at_once
            && (self.pair.unplaced.may_serve(client, processes)
                || self.streamless.may_serve(client, processes))
        {
            return Err(format!(
                "ambiguous: a goroutine of {name} whose connection or stream is not known may serve it"
            )
            .into());
        }
        // Queues are looked at after the stop. Whoever waited to read then had read all that was there in it.
        let sent = has(self.servers.receive_queue_bytes)
            .or_else(|| has(self.clients.send_queue_bytes))
            .filter(|_| !self.is_read && is_at_once && may_be_unread);
        if let (Some(bytes), None | Some(false)) = (sent, client.answered) {
            return Ok((None, self.unread(client, bytes)));
        }
        Err(match is_at_once {
            true => format!("the other end has gone, or has not begun: no goroutine of {name} serves it"),
            false => format!("the other end has gone, or skew possible: no goroutine of {name} serves it"),
        }
        .into())
    }
}

fn contradiction(client: &End, server: &End) -> Arc<str> {
    let text = |end: &End| end.method.as_deref().unwrap_or("?").to_owned();
    format!("skew possible: the other end serves {}, not {}", text(server), text(client)).into()
}

pub(super) fn reversed(evidence: &Evidence) -> Evidence {
    Evidence {
        client_socket: evidence.server_socket.clone(),
        server_socket: evidence.client_socket.clone(),
        ..evidence.clone()
    }
}
