//! The calls on one connection, both ends of which are known.

use std::collections::BTreeMap;

use super::facts::{Confidence, End, Evidence, Found, Link, Role, State};
use super::join::side;

/// A connection's addresses are free for another one after a second at the earliest (Linux: tcp_tw_reuse), so that ends that
/// were seen within that time are of the same one.
const SAME_CONNECTION_NS: i64 = 1_000_000_000;

/// One end of a connection.
pub(super) struct Ends<'a> {
    /// Of its process.
    pub(super) name: String,
    pub(super) ends: Vec<&'a End>,
    pub(super) receive_queue_bytes: Option<u32>,
    pub(super) send_queue_bytes: Option<u32>,
}

pub(super) struct Pair<'a> {
    pub(super) near: Ends<'a>,
    pub(super) far: Ends<'a>,
    /// The sockets, as if the near end were the client's.
    pub(super) evidence: Evidence,
    pub(super) overlap_ns: &'a dyn Fn(&End, &End) -> Option<i64>,
}

/// What bytes alone are called.
fn is_bytes(end: &End) -> bool {
    matches!(&*end.protocol, "tcp" | "unix")
}

/// Both are HTTP/2, whatever is said within it.
fn is_multiplexed(end: &End) -> bool {
    matches!(&*end.protocol, "http2" | "grpc")
}

impl Pair<'_> {
    pub(super) fn join(&self, found: &mut Found) {
        let all = || self.near.ends.iter().chain(&self.far.ends);
        if all().any(|end| !is_bytes(end)) {
            self.calls(&self.near, &self.far, &self.evidence, found);
            self.calls(&self.far, &self.near, &reversed(&self.evidence), found);
            for end in all().filter(|end| is_bytes(end)) {
                found.unmatched.push((end.id, "it reads or writes for the calls of its connection".into()));
            }
        } else {
            self.bytes(found);
        }
    }

    /// Those whose client is at `clients`.
    fn calls(&self, clients: &Ends<'_>, servers: &Ends<'_>, evidence: &Evidence, found: &mut Found) {
        let of = |ends: &Ends<'_>, role: Role| -> Vec<usize> {
            let fits = |end: &End| end.role == role && !is_bytes(end);
            ends.ends.iter().enumerate().filter(|(_, end)| fits(end)).map(|(index, _)| index).collect()
        };
        let (asking, serving) = (of(clients, Role::Client), of(servers, Role::Server));
        let mut by_stream: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
        for &index in &serving {
            if let Some(stream) = servers.ends[index].stream {
                by_stream.entry(stream).or_default().push(index);
            }
        }
        let newest = by_stream.keys().max().copied();
        let single = |indices: &[usize], ends: &Ends<'_>| {
            indices.iter().filter(|&&index| !is_multiplexed(ends.ends[index])).count()
        };
        let is_alone = single(&asking, clients) == 1 && single(&serving, servers) == 1;
        let mut served = vec![false; servers.ends.len()];
        for index in asking {
            let client = clients.ends[index];
            let outcome = if is_multiplexed(client) {
                let at =
                    client.stream.and_then(|stream| by_stream.get(&stream)).map_or(&[][..], Vec::as_slice);
                self.stream(client, at, clients, servers, evidence, newest)
            } else {
                let at: Vec<usize> =
                    serving.iter().copied().filter(|&at| !is_multiplexed(servers.ends[at])).collect();
                self.alone(client, &at, is_alone, clients, servers, evidence)
            };
            match outcome {
                Ok((server, link)) => {
                    server.into_iter().for_each(|at| served[at] = true);
                    found.links.push(link);
                }
                Err(reason) => found.unmatched.push((client.id, reason)),
            }
        }
        for index in serving.into_iter().filter(|&index| !served[index]) {
            let server = servers.ends[index];
            found.unmatched.push((server.id, self.why_unserved(server, clients)));
        }
    }

    fn why_unserved(&self, server: &End, clients: &Ends<'_>) -> Box<str> {
        if is_multiplexed(server) && server.stream.is_none() {
            return "no stream known: which call of its connection it serves was not captured".into();
        }
        match clients.ends.first().map(|client| (self.overlap_ns)(client, server)) {
            Some(Some(overlap)) if overlap > 0 => format!(
                "the other end has gone: no goroutine of {} waits for it, or none that is known",
                clients.name
            )
            .into(),
            _ => format!(
                "the other end has gone, or skew possible: no goroutine of {} waits for it",
                clients.name
            )
            .into(),
        }
    }

    fn link(&self, client: &End, server: &End, evidence: &Evidence, confidence: Confidence) -> Link {
        let confidence = if evidence.is_translated { Confidence::Likely } else { confidence };
        Link {
            client: side(client),
            server: Some(side(server)),
            protocol: client.protocol.clone(),
            state: State::InFlight,
            confidence,
            evidence: Evidence {
                same_method: agree(client, server) == Some(true),
                overlap_ns: (self.overlap_ns)(client, server),
                stream: client.stream.filter(|_| is_multiplexed(client)),
                ..evidence.clone()
            },
        }
    }

    /// Sent, and not read yet.
    fn unread(client: &End, evidence: &Evidence, bytes: u32) -> Link {
        Link {
            client: side(client),
            server: None,
            protocol: client.protocol.clone(),
            state: State::Unread,
            confidence: Confidence::Likely,
            evidence: Evidence { unread_bytes: Some(bytes), stream: client.stream, ..evidence.clone() },
        }
    }

    /// A call that is a stream of HTTP/2.
    fn stream(
        &self,
        client: &End,
        at: &[usize],
        clients: &Ends<'_>,
        servers: &Ends<'_>,
        evidence: &Evidence,
        newest: Option<i64>,
    ) -> Result<(Option<usize>, Link), Box<str>> {
        let Some(stream) = client.stream else {
            return Err(
                "no stream known: which call of its connection it is was not captured, or it is not sent"
                    .into(),
            );
        };
        match at {
            [index] => {
                let server = servers.ends[*index];
                if agree(client, server) == Some(false) {
                    return Err(contradiction(client, server));
                }
                let is_same =
                    (self.overlap_ns)(client, server).is_some_and(|overlap| overlap > -SAME_CONNECTION_NS);
                let confidence = if is_same { Confidence::Certain } else { Confidence::Likely };
                Ok((Some(*index), self.link(client, server, evidence, confidence)))
            }
            // A server reads calls in the order of their streams.
            [] => self.why_unanswered(
                client,
                clients,
                servers,
                evidence,
                newest.is_none_or(|newest| newest < stream),
            ),
            _ => Err(format!("several goroutines of {} serve its stream {stream}", servers.name).into()),
        }
    }

    /// A call of a protocol that has one call at a time on a connection.
    fn alone(
        &self,
        client: &End,
        at: &[usize],
        is_alone: bool,
        clients: &Ends<'_>,
        servers: &Ends<'_>,
        evidence: &Evidence,
    ) -> Result<(Option<usize>, Link), Box<str>> {
        if at.is_empty() {
            return self.why_unanswered(client, clients, servers, evidence, true);
        }
        let (true, [index]) = (is_alone, at) else {
            return Err("several calls are on its connection, and which is which is not known".into());
        };
        let server = servers.ends[*index];
        if client.protocol != server.protocol {
            return Err(format!("the other end speaks {}", server.protocol).into());
        }
        let methods = agree(client, server);
        if methods == Some(false) {
            return Err(contradiction(client, server));
        }
        let is_at_once = (self.overlap_ns)(client, server).is_some_and(|overlap| overlap > 0);
        let read_ahead = server.buffered_bytes.unwrap_or(0);
        let unread = servers.receive_queue_bytes.map(|bytes| bytes.saturating_add(read_ahead));
        let evidence = Evidence { unread_bytes: unread, ..evidence.clone() };
        // The same exchange has both heads of the answer on the same side. One that is under way would be lost here.
        if let (Some(sent), Some(come)) = (server.answered, client.answered)
            && sent != come
        {
            // A handler that runs on while its client asks for the next thing.
            return match unread.filter(|&bytes| bytes > 0 && sent && is_at_once) {
                Some(bytes) => Ok((None, Self::unread(client, &evidence, bytes))),
                None => {
                    Err(format!("skew possible: {} has served another call of its connection", servers.name)
                        .into())
                }
            };
        }
        let is_known = server.answered.is_some() && client.answered.is_some();
        let confidence = match (is_at_once, is_known) {
            (true, true) if methods == Some(true) && unread == Some(0) => Confidence::Certain,
            (true, true) => Confidence::Likely,
            // What tells one call from the next is what lies between them.
            (true, false) if unread == Some(0) => Confidence::Likely,
            (true, false) => {
                return Err("ambiguous: whether bytes of the next call have come is not known".into());
            }
            (false, true) if methods == Some(true) => Confidence::Likely,
            (false, _) => {
                return Err("skew possible: the two processes did not stand still at the same time".into());
            }
        };
        Ok((Some(*index), self.link(client, server, &evidence, confidence)))
    }

    /// No goroutine serves it.
    fn why_unanswered(
        &self,
        client: &End,
        clients: &Ends<'_>,
        servers: &Ends<'_>,
        evidence: &Evidence,
        may_be_unread: bool,
    ) -> Result<(Option<usize>, Link), Box<str>> {
        let has = |bytes: Option<u32>| bytes.filter(|&bytes| bytes > 0);
        if let Some(bytes) = has(clients.receive_queue_bytes) {
            return Err(format!("the other end has gone: {bytes} bytes of an answer wait to be read").into());
        }
        // Queues are looked at after the stop. Whoever waited to read then had read all that was there in it.
        let is_read = servers.ends.iter().any(|end| is_bytes(end) && !end.writes);
        let sent =
            has(servers.receive_queue_bytes).or_else(|| has(clients.send_queue_bytes)).filter(|_| !is_read);
        if let (Some(bytes), true, None | Some(false)) = (sent, may_be_unread, client.answered) {
            return Ok((None, Self::unread(client, evidence, bytes)));
        }
        let overlap = servers.ends.first().and_then(|server| (self.overlap_ns)(client, server));
        Err(match overlap {
            Some(overlap) if overlap > 0 => format!(
                "the other end has gone, or has not begun: no goroutine of {} serves it",
                servers.name
            )
            .into(),
            _ => format!(
                "the other end has gone, or skew possible: no goroutine of {} serves it",
                servers.name
            )
            .into(),
        })
    }

    /// Nobody calls anybody: both ends wait for bytes.
    fn bytes(&self, found: &mut Found) {
        let reading = |ends: &Ends<'_>| ends.ends.iter().filter(|end| !end.writes).count();
        let is_quiet = |ends: &Ends<'_>| ends.receive_queue_bytes.unwrap_or(0) == 0 && ends.ends.len() == 1;
        let all = self.near.ends.iter().chain(&self.far.ends);
        let is_idle = [&self.near, &self.far].into_iter().all(|ends| is_quiet(ends) && reading(ends) == 1);
        if is_idle && let ([one], [other]) = (&self.near.ends[..], &self.far.ends[..]) {
            let (client, server, evidence) = match (one.role, other.role) {
                (Role::Client, Role::Server) => (one, other, self.evidence.clone()),
                (Role::Server, Role::Client) => (other, one, reversed(&self.evidence)),
                // Of a unix socket pair, or one whose listener is closed: which is which has no meaning while it is idle.
                _ if one.id < other.id => (one, other, self.evidence.clone()),
                _ => (other, one, reversed(&self.evidence)),
            };
            let evidence = Evidence {
                unread_bytes: self.far.receive_queue_bytes,
                overlap_ns: (self.overlap_ns)(one, other),
                ..evidence
            };
            found.links.push(Link {
                client: side(client),
                server: Some(side(server)),
                protocol: client.protocol.clone(),
                state: State::Idle,
                confidence: Confidence::Likely,
                evidence,
            });
            return;
        }
        for end in all {
            let (own, other) = if self.near.ends.iter().any(|near| near.id == end.id) {
                (&self.near, &self.far)
            } else {
                (&self.far, &self.near)
            };
            let reason = match (end.writes, own.receive_queue_bytes) {
                (true, _) => format!("not yet read: {} has not read what it writes", other.name),
                (false, Some(1..)) => "bytes for it have come".to_owned(),
                (false, _) if other.ends.is_empty() => {
                    format!("no goroutine of {} waits at the other end", other.name)
                }
                (false, _) => "several goroutines wait at one end of its connection".to_owned(),
            };
            found.unmatched.push((end.id, reason.into()));
        }
    }
}

fn contradiction(client: &End, server: &End) -> Box<str> {
    let text = |end: &End| end.method.as_deref().unwrap_or("?").to_owned();
    format!("skew possible: the other end serves {}, not {}", text(server), text(client)).into()
}

fn reversed(evidence: &Evidence) -> Evidence {
    Evidence {
        client_socket: evidence.server_socket.clone(),
        server_socket: evidence.client_socket.clone(),
        ..evidence.clone()
    }
}

/// Whether both ends say the same method and path; `None`: one of them says nothing. gRPC has no verb: over HTTP/2 its calls are
/// POST (gRPC over HTTP2, "Requests").
fn agree(client: &End, server: &End) -> Option<bool> {
    let (client, server) = (client.method.as_deref()?, server.method.as_deref()?);
    let parts = |text: &str| match text.split_once(' ') {
        Some((verb, path)) => (verb.to_owned(), path.to_owned()),
        None => ("POST".to_owned(), text.to_owned()),
    };
    // net/http sends the empty path as `/`, and an empty method as GET.
    let whole = |(verb, path): (String, String)| {
        let verb = if verb.is_empty() { "GET".to_owned() } else { verb };
        (verb, if path.is_empty() { "/".to_owned() } else { path })
    };
    Some(whole(parts(client)) == whole(parts(server)))
}
