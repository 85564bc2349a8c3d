//! Tests of the join: which ends belong together, and above all which do not.

use proptest::prelude::*;

use super::facts::{Confidence, End, Link, Part, Process, Role, Socket, State, Window};
use super::join::Join;
use std::collections::BTreeMap;

mod peers;

/// A snapshot in the making. Process 1 asks, process 2 serves, both on kernel `k`, in namespace 1.
struct Made {
    part: Part,
}

const CLIENT: i64 = 1;
const SERVER: i64 = 2;

impl Made {
    fn new() -> Made {
        let mut made = Made { part: Part::default() };
        made.process(CLIENT, "k", Some((100, 200)));
        made.process(SERVER, "k", Some((150, 250)));
        made
    }

    fn process(&mut self, id: i64, kernel: &str, frozen: Option<(i64, i64)>) {
        let frozen = frozen.map(|(start_unix_ns, end_unix_ns)| Window {
            start_unix_ns,
            end_unix_ns,
            offset_ns: 0,
            error_ns: 1000,
        });
        self.part.processes.retain(|process| process.id != id);
        self.part.processes.push(Process {
            id,
            name: format!("p{id}").into(),
            kernel: kernel.into(),
            frozen,
        });
    }

    fn socket(&mut self, process: i64, netns: i64, local: &str, remote: &str) -> i64 {
        let id = self.part.sockets.len() as i64 + 1;
        self.part.sockets.push(Socket {
            id,
            process,
            netns,
            inode: 1000 + id,
            cookie: None,
            is_unix: false,
            protocol: "tcp".into(),
            local: local.into(),
            remote: remote.into(),
            listens: false,
            receive_queue_bytes: Some(0),
            send_queue_bytes: Some(0),
            peer_inode: None,
            translated_local: None,
            translated_remote: None,
            peer_description: None,
        });
        id
    }

    fn last(&mut self) -> &mut Socket {
        self.part.sockets.last_mut().unwrap()
    }

    /// The two ends of a connection on the loopback.
    fn connection(&mut self) -> (i64, i64) {
        let port = 40_000 + self.part.sockets.len();
        let client = self.socket(CLIENT, 1, &format!("127.0.0.1:{port}"), "127.0.0.1:80");
        (client, self.socket(SERVER, 1, "127.0.0.1:80", &format!("127.0.0.1:{port}")))
    }

    fn end(&mut self, role: Role, protocol: &str, socket: i64) -> &mut End {
        let id = self.part.ends.len() as i64 + 1;
        let place = usize::try_from(socket - 1).ok();
        let process = place.and_then(|at| self.part.sockets.get(at)).map_or(CLIENT, |s| s.process);
        self.part.ends.push(End {
            id,
            goroutine: 100 + id,
            process,
            socket: (socket != 0).then_some(socket),
            fd: None,
            role,
            protocol: protocol.into(),
            stream: None,
            method: None,
            trace: None,
            answered: None,
            buffered_bytes: None,
            writes: false,
        });
        self.part.ends.last_mut().unwrap()
    }

    fn stream(&mut self, role: Role, socket: i64, stream: i64, method: &str) {
        let end = self.end(role, "http2", socket);
        (end.stream, end.method) = (Some(stream), Some(method.into()));
    }

    fn one(&mut self, role: Role, socket: i64, method: &str, answered: Option<bool>) {
        let end = self.end(role, "http1", socket);
        (end.method, end.answered) = (Some(method.into()), answered);
        end.buffered_bytes = (role == Role::Server).then_some(0);
    }

    /// Links, and ends without.
    fn count(self) -> (usize, usize) {
        let mut join = Join::default();
        join.add(self.part);
        let (mut links, mut unmatched) = (0, 0);
        while let Some(found) = join.found() {
            links += found.links.len();
            unmatched += found.unmatched.len();
        }
        (links, unmatched)
    }

    fn join(self) -> Result {
        let ends = self.part.ends.len();
        let mut join = Join::default();
        join.add(self.part);
        let mut result = Result { links: Vec::new(), unmatched: BTreeMap::new() };
        while let Some(found) = join.found() {
            result.links.extend(found.links);
            for (end, reason) in found.unmatched {
                assert!(result.unmatched.insert(end, reason.to_string()).is_none(), "{end} is told twice");
            }
        }
        // Each end has a link or a reason.
        for end in 1..=ends as i64 {
            let has_link = result
                .links
                .iter()
                .any(|link| link.client.end == end || link.server.is_some_and(|server| server.end == end));
            assert!(has_link != result.unmatched.contains_key(&end), "end {end}: {result:?}");
        }
        result
    }
}

#[derive(Debug)]
struct Result {
    links: Vec<Link>,
    unmatched: BTreeMap<i64, String>,
}

impl Result {
    /// Client's and server's end, state, confidence.
    fn pairs(&self) -> Vec<(i64, Option<i64>, State, Confidence)> {
        let of = |link: &Link| (link.client.end, link.server.map(|s| s.end), link.state, link.confidence);
        self.links.iter().map(of).collect()
    }

    #[track_caller]
    fn is_none(&self, reason: &str) {
        assert_eq!(self.links, [], "{:?}", self.unmatched);
        assert!(self.unmatched.values().any(|found| found.contains(reason)), "{:?}", self.unmatched);
    }
}

use Confidence::{Certain, Likely};
use Role::{Client, Server};
use State::{Idle, InFlight, Unread};

#[test]
fn calls_of_http2_are_joined_by_their_stream() {
    let mut made = Made::new();
    let (client, server) = made.connection();
    let (other_client, other_server) = made.connection();
    for stream in [1, 3, 5] {
        made.stream(Client, client, stream, "GET /a");
        made.stream(Client, other_client, stream, "GET /b");
    }
    for stream in [5, 3, 1] {
        made.stream(Server, server, stream, "GET /a");
        made.stream(Server, other_server, stream, "GET /b");
    }
    let result = made.join();
    let mut pairs = result.pairs();
    pairs.sort();
    let certain = |client, server| (client, Some(server), InFlight, Certain);
    assert_eq!(
        pairs,
        [certain(1, 11), certain(2, 12), certain(3, 9), certain(4, 10), certain(5, 7), certain(6, 8)]
    );
    assert!(
        result.links.iter().all(|link| link.evidence.same_method && link.evidence.overlap_ns == Some(50))
    );
}

#[test]
fn what_ends_say_of_the_call_has_to_agree() {
    let mut made = Made::new();
    let (client, server) = made.connection();
    made.stream(Client, client, 1, "GET /a");
    made.stream(Server, server, 1, "POST /a");
    made.join().is_none("serves POST /a, not GET /a");
    // gRPC's calls are POST, and the server may be net/http.
    let mut made = Made::new();
    let (client, server) = made.connection();
    made.stream(Client, client, 1, "/shop.Orders/Place");
    made.stream(Server, server, 1, "POST /shop.Orders/Place");
    assert_eq!(made.join().pairs(), [(1, Some(2), InFlight, Certain)]);
}

#[test]
fn a_connection_that_may_be_another_one_is_not_certain() {
    // A second later, just after, not known.
    for frozen in [Some((2_000_000_000, 2_000_000_100)), Some((200, 300)), None] {
        let mut made = Made::new();
        made.process(SERVER, "k", frozen);
        let (client, server) = made.connection();
        made.stream(Client, client, 1, "GET /a");
        made.stream(Server, server, 1, "GET /a");
        assert_eq!(made.join().pairs(), [(1, Some(2), InFlight, Likely)], "{frozen:?}");
    }
}

/// Two nodes of one kernel: what they have found out of the coordinator's clock differs, their own is the same.
#[test]
fn processes_of_one_kernel_are_compared_by_its_clock() {
    for (own, wanted) in [((150, 250), Certain), ((200, 250), Likely)] {
        let mut made = Made::new();
        made.process(SERVER, "k", Some((own.0 + 7_000, own.1 + 7_000)));
        made.part.processes[1].frozen.as_mut().unwrap().offset_ns = 7_000;
        let (client, server) = made.connection();
        made.stream(Client, client, 1, "GET /a");
        made.stream(Server, server, 1, "GET /a");
        let result = made.join();
        assert_eq!(result.pairs(), [(1, Some(2), InFlight, wanted)], "{own:?}");
        assert_eq!(result.links[0].evidence.overlap_ns, Some(200 - own.0));
    }
}

#[test]
fn one_stream_has_one_server() {
    let mut made = Made::new();
    let (client, server) = made.connection();
    made.stream(Client, client, 1, "GET /a");
    made.stream(Server, server, 1, "GET /a");
    made.stream(Server, server, 1, "GET /a");
    made.join().is_none("several goroutines");
}

#[test]
fn an_exchange_of_http1_is_joined_when_nothing_lies_between() {
    for (sent, come, unread, wanted) in [
        (Some(false), Some(false), Some(0), Some(Certain)),
        (Some(true), Some(true), Some(0), Some(Certain)),
        // A body that is not read yet, or bytes that have come after the stop.
        (Some(false), Some(false), Some(9), Some(Likely)),
        (Some(false), Some(false), None, Some(Likely)),
        (None, Some(false), Some(0), Some(Likely)),
        (None, Some(false), Some(9), None),
        (None, Some(false), None, None),
        (Some(true), Some(false), Some(0), None),
        (Some(false), Some(true), Some(0), None),
    ] {
        let mut made = Made::new();
        let (client, server) = made.connection();
        made.last().receive_queue_bytes = unread;
        made.one(Client, client, "GET /a", come);
        made.one(Server, server, "GET /a", sent);
        let result = made.join();
        let found = result.links.first().map(|link| link.confidence);
        assert_eq!(found, wanted, "{sent:?} {come:?} {unread:?}: {result:?}");
    }
}

/// What is certain has nothing that is not known.
#[test]
fn what_was_read_ahead_has_to_be_known() {
    for (buffered, wanted) in [(Some(0), Certain), (None, Likely), (Some(3), Likely)] {
        let mut made = Made::new();
        let (client, server) = made.connection();
        made.one(Client, client, "GET /a", Some(false));
        made.one(Server, server, "GET /a", Some(false));
        made.part.ends[1].buffered_bytes = buffered;
        assert_eq!(made.join().pairs(), [(1, Some(2), InFlight, wanted)], "{buffered:?}");
    }
}

/// A queue that is empty when all runs again says nothing of what was there in the stop.
#[test]
fn a_server_that_says_nothing_of_its_call_has_no_link() {
    let mut made = Made::new();
    let (client, server) = made.connection();
    made.one(Client, client, "GET /a", Some(false));
    made.end(Server, "http1", server);
    made.join().is_none("the same call of their connection is not known");
}

/// A handler that runs on after its answer, while its client asks the same again.
#[test]
fn a_handler_that_runs_on_does_not_serve_the_next_call() {
    let mut made = Made::new();
    let (client, server) = made.connection();
    made.last().receive_queue_bytes = Some(80);
    made.one(Client, client, "GET /a", Some(false));
    made.one(Server, server, "GET /a", Some(true));
    let result = made.join();
    assert_eq!(result.pairs(), [(1, None, Unread, Likely)]);
    assert!(result.unmatched[&2].contains("the other end has gone"), "{result:?}");
}

#[test]
fn a_byte_that_was_read_ahead_is_of_the_next_call() {
    let mut made = Made::new();
    let (client, server) = made.connection();
    made.one(Client, client, "GET /a", Some(false));
    made.one(Server, server, "GET /a", None);
    made.part.ends[1].buffered_bytes = Some(1);
    made.join().is_none("bytes of the next call");
}

#[test]
fn exchanges_of_http1_at_different_times_are_likely_at_most() {
    for (methods, wanted) in [(["GET /a", "GET /a"], true), (["GET /a", "GET /b"], false)] {
        let mut made = Made::new();
        made.process(SERVER, "k", Some((300, 400)));
        let (client, server) = made.connection();
        made.one(Client, client, methods[0], Some(false));
        made.one(Server, server, methods[1], Some(false));
        let result = made.join();
        let likely = [(1, Some(2), InFlight, Likely)];
        assert_eq!(result.pairs(), if wanted { &likely[..] } else { &[] }, "{result:?}");
    }
    // Errors of clocks count between hosts.
    let mut made = Made::new();
    made.process(SERVER, "other", Some((150, 250)));
    let client = made.socket(CLIENT, 1, "10.0.0.1:5000", "10.0.0.2:80");
    let server = made.socket(SERVER, 9, "10.0.0.2:80", "10.0.0.1:5000");
    made.one(Client, client, "GET /a", Some(false));
    made.one(Server, server, "GET /a", Some(false));
    assert_eq!(made.join().pairs(), [(1, Some(2), InFlight, Likely)]);
}

#[test]
fn several_calls_on_one_connection_of_http1_are_not_told_apart() {
    let mut made = Made::new();
    let (client, server) = made.connection();
    made.one(Client, client, "GET /a", Some(false));
    made.one(Client, client, "GET /a", Some(false));
    made.one(Server, server, "GET /a", Some(false));
    made.join().is_none("which is which is not known");
}

#[test]
fn what_was_sent_and_not_read_is_unread() {
    let unread = |protocol: &str, served: Option<i64>, bytes: u32| {
        let mut made = Made::new();
        let (client, server) = made.connection();
        made.last().receive_queue_bytes = Some(bytes);
        made.end(Client, protocol, client).stream = (protocol == "grpc").then_some(7);
        if let Some(stream) = served {
            made.stream(Server, server, stream, "GET /a");
        }
        made.join()
    };
    assert_eq!(unread("http1", None, 90).pairs(), [(1, None, Unread, Likely)]);
    assert_eq!(unread("grpc", Some(5), 90).pairs(), [(1, None, Unread, Likely)]);
    // Streams are read in their order: what lies there is of another one.
    unread("grpc", Some(9), 90).is_none("serves it");
    unread("http1", None, 0).is_none("serves it");
    // What lies there has come after the stop, in which somebody waited for it.
    let mut made = Made::new();
    let (client, server) = made.connection();
    made.last().receive_queue_bytes = Some(90);
    made.one(Client, client, "GET /a", Some(false));
    made.end(Server, "tcp", server);
    made.join().is_none("has not begun");
}

/// Bytes of a body wait to be read, and whoever serves the call is there, but not its descriptor or its stream.
#[test]
fn what_may_be_served_is_not_unread() {
    let unread = |method: Option<&str>, is_placed: bool, protocol: &str| {
        let mut made = Made::new();
        let (client, server) = made.connection();
        made.last().receive_queue_bytes = Some(90);
        let end = made.end(Client, protocol, client);
        (end.stream, end.method) = ((protocol == "http2").then_some(7), Some("GET /a".into()));
        let end = made.end(Server, protocol, if is_placed { server } else { 0 });
        (end.process, end.method) = (SERVER, method.map(Into::into));
        made.join()
    };
    let reason = "whose connection or stream is not known may serve it";
    for protocol in ["http1", "http2"] {
        for method in [None, Some("GET /a")] {
            unread(method, false, protocol).is_none(reason);
        }
        // That is another call.
        assert_eq!(unread(Some("GET /b"), false, protocol).pairs(), [(1, None, Unread, Likely)]);
    }
    unread(None, true, "http2").is_none(reason);
    unread(Some("GET /a"), true, "http2").is_none(reason);
    // One of another process serves another connection.
    let mut made = Made::new();
    made.process(3, "k", Some((100, 200)));
    let (client, _) = made.connection();
    made.last().receive_queue_bytes = Some(90);
    made.one(Client, client, "GET /a", Some(false));
    made.end(Server, "http1", 0).process = 3;
    assert_eq!(made.join().pairs(), [(1, None, Unread, Likely)]);
}

#[test]
fn nothing_is_unread_between_processes_that_did_not_stand_still_at_once() {
    for frozen in [Some((200, 300)), None] {
        let mut made = Made::new();
        made.process(SERVER, "k", frozen);
        let (client, _) = made.connection();
        made.last().receive_queue_bytes = Some(90);
        made.one(Client, client, "GET /a", Some(false));
        made.join().is_none("skew possible");
    }
}

#[test]
fn an_answer_that_waits_is_no_call_that_waits() {
    let mut made = Made::new();
    let (client, _) = made.connection();
    made.last().receive_queue_bytes = Some(5);
    made.part.sockets[0].receive_queue_bytes = Some(70);
    made.one(Client, client, "GET /a", Some(false));
    made.join().is_none("bytes of an answer");
}

#[test]
fn read_loops_of_an_idle_connection_are_idle() {
    let mut made = Made::new();
    let (client, server) = made.connection();
    made.end(Server, "tcp", server);
    made.end(Client, "tcp", client);
    assert_eq!(made.join().pairs(), [(2, Some(1), Idle, Likely)]);
    // With a call on it they are its means.
    let mut made = Made::new();
    let (client, server) = made.connection();
    made.end(Server, "tcp", server);
    made.end(Client, "tcp", client);
    made.stream(Client, client, 1, "GET /a");
    made.stream(Server, server, 1, "GET /a");
    let result = made.join();
    assert_eq!(result.pairs(), [(3, Some(4), InFlight, Certain)]);
    assert_eq!(result.unmatched[&1], "it reads or writes for the calls of its connection");
    // One of them has something to read, or writes.
    for writes in [false, true] {
        let mut made = Made::new();
        let (client, server) = made.connection();
        made.last().receive_queue_bytes = Some(u32::from(!writes));
        made.end(Server, "tcp", server);
        made.end(Client, "tcp", client).writes = writes;
        made.join().is_none(if writes { "has not read what it writes" } else { "bytes for it have come" });
    }
}

#[test]
fn traces_join_what_sockets_do_not() {
    let traced = |servers: usize, is_direct: bool| {
        let mut made = Made::new();
        let client = made.socket(CLIENT, 1, "10.0.0.1:5000", "10.0.0.9:80");
        made.end(Client, "http1", client).trace = Some("4bf9 00f0".into());
        for n in 0..servers {
            let to = if is_direct { "10.0.0.1:5000".to_owned() } else { format!("10.0.0.9:{n}") };
            let server = made.socket(SERVER, 1, "10.0.0.2:80", &to);
            made.end(Server, "http1", server).trace = Some("4bf9 00f0".into());
        }
        made.join()
    };
    assert_eq!(traced(1, false).pairs(), [(1, Some(2), InFlight, Likely)]);
    traced(2, false).is_none("its trace is that of several calls");
    // Without the other end a trace is nothing.
    traced(0, false).is_none("peer not captured: 10.0.0.9:80");
}

/// Whoever passes a trace on as it has got it says the same to whatever it calls.
#[test]
fn traces_join_only_what_may_be_one_call() {
    let traced = |process: i64, frozen: Option<(i64, i64)>, method: &str| {
        let mut made = Made::new();
        made.process(process, "k", frozen);
        let end = made.end(Client, "http1", 0);
        (end.trace, end.method) = (Some("4bf9 00f0".into()), Some("GET /a".into()));
        let end = made.end(Server, "http1", 0);
        (end.process, end.trace, end.method) = (process, Some("4bf9 00f0".into()), Some(method.into()));
        made.join()
    };
    // A proxy may say another path.
    assert_eq!(traced(SERVER, Some((150, 250)), "GET /b").pairs(), [(1, Some(2), InFlight, Likely)]);
    traced(SERVER, Some((150, 250)), "POST /a").is_none("a call with another method");
    traced(SERVER, Some((200, 250)), "GET /a").is_none("skew possible");
    traced(SERVER, None, "GET /a").is_none("skew possible");
    traced(CLIENT, Some((150, 250)), "GET /a").is_none("of its own process");
}

/// Of each kind so many at one place that comparing all with all would not end.
#[test]
fn many_ends_and_sockets_at_one_place_are_no_trouble() {
    const MANY: i64 = 100_000;
    for protocol in ["http1", "http2", "tcp"] {
        let mut made = Made::new();
        let (client, server) = made.connection();
        for _ in 0..MANY {
            made.end(Client, protocol, client);
            made.end(Server, protocol, server);
        }
        let found = made.count();
        assert_eq!(found, (0, 2 * MANY as usize), "{protocol}");
    }
    // Each in a namespace of its own, all with the same addresses.
    let mut made = Made::new();
    for n in 0..MANY {
        let client = made.socket(CLIENT, 2 * n, "10.0.0.1:5000", "10.0.0.2:80");
        let server = made.socket(SERVER, 2 * n + 1, "10.0.0.2:80", "10.0.0.1:5000");
        made.end(Client, "http2", client);
        made.end(Server, "http2", server);
    }
    assert_eq!(made.count(), (0, 2 * MANY as usize));
}

proptest! {
    /// Connections, streams and what is captured of them by chance: whatever is joined was joined.
    #[test]
    fn only_what_belongs_together_is_joined(
        calls in prop::collection::vec((0usize..6, 0i64..5, any::<bool>(), any::<bool>()), 0..60),
        twins in prop::collection::vec(0usize..6, 0..4),
    ) {
        let mut made = Made::new();
        made.process(3, "other", Some((120, 180)));
        let address = |n: usize| format!("10.0.0.1:{}", 5000 + n);
        let mut sockets: Vec<(i64, i64)> = (0..6)
            .map(|n| {
                let client = made.socket(CLIENT, 1, &address(n), "10.0.0.2:80");
                (client, made.socket(SERVER, 2, "10.0.0.2:80", &address(n)))
            })
            .collect();
        for twin in &twins {
            // A host with the same addresses.
            sockets.push((0, made.socket(3, 2, "10.0.0.2:80", &address(*twin))));
        }
        let mut truth: BTreeMap<(usize, i64), (Vec<i64>, Vec<i64>)> = BTreeMap::new();
        for (connection, stream, has_client, has_server) in calls {
            let of = truth.entry((connection, stream)).or_default();
            if has_client && of.0.is_empty() {
                made.stream(Client, sockets[connection].0, 2 * stream + 1, "GET /a");
                of.0.push(made.part.ends.len() as i64);
            }
            if has_server && of.1.is_empty() {
                made.stream(Server, sockets[connection].1, 2 * stream + 1, "GET /a");
                of.1.push(made.part.ends.len() as i64);
            }
        }
        for (_, twin) in &sockets[6..] {
            made.stream(Server, *twin, 1, "GET /a");
        }
        let result = made.join();
        for link in result.links.iter().filter(|link| link.state == InFlight) {
            let server = link.server.unwrap().end;
            prop_assert!(truth.values().any(|(c, s)| c.contains(&link.client.end) && s.contains(&server)), "{link:?}");
        }
        if twins.is_empty() {
            let both = truth.values().filter(|(c, s)| !c.is_empty() && !s.is_empty()).count();
            prop_assert_eq!(result.links.iter().filter(|link| link.state == InFlight).count(), both);
        }
    }
}
