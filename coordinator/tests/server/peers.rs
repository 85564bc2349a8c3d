//! Who must not get in, and who got in and means no good: refused, counted, logged, and nobody else is harmed.

use std::net::UdpSocket;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use stillframe_actors::node::actor::Status;
use stillframe_actors::quic::Credentials;
use stillframe_wire::codec::encode_frame;
use stillframe_wire::message::{
    OrderId, PROTOCOL_VERSION, Ready, ReadyTarget, StreamHead, TargetId, ToCoordinator,
};

use crate::cluster::*;
use crate::synthetic;

/// Waits until a count is reached.
async fn counted(http: std::net::SocketAddr, name: &str, at_least: u64) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while metric(http, name).await < at_least {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(waited.await.is_ok(), "{name} stays below {at_least}: {}", metric(http, name).await);
}

const HANDSHAKES: &str = "stillframe_refused_connections_total{reason=\"handshake\"}";
const NAMES: &str = "stillframe_refused_names_total";
const SESSIONS: &str = "stillframe_refused_sessions_total";
const STREAMS: &str = "stillframe_refused_streams_total";

/// All of the one good node, and nothing of anybody else.
async fn assert_unharmed(http: std::net::SocketAddr) {
    let out = folder();
    let file = out.path().join("s.db");
    let report = json(http, &["snapshot", "--all", "-o", text(&file)]).await;
    assert_eq!((&report["complete"], &report["goroutines"]), (&json!(true), &json!(2_000)), "{report}");
    let nodes = json(http, &["nodes"]).await;
    let names: Vec<_> = nodes["nodes"].as_array().unwrap().iter().map(|node| &node["name"]).collect();
    assert_eq!(names, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_doubles_are_refused_and_counted() {
    let (data, other) = (folder(), folder());
    let server = serve(data.path()).await;
    let mut first = Node::up(data.path(), server.listen, "a", Scripted::new(10, 2_000)).await;
    let mut double = Node::start(data.path(), server.listen, "a", Scripted::new(11, 20));
    double.until(|status| matches!(status, Status::Refused(reason) if reason.contains("--name"))).await;
    counted(server.http, NAMES, 1).await;
    counted(server.http, SESSIONS, 1).await;
    // Another coordinator's credentials: this one's certificate is none for it.
    let mut stranger = Node::start(other.path(), server.listen, "s", Scripted::new(12, 20));
    let says_what_to_do = |status: &Status| {
        matches!(status, Status::Down(reason)
        if reason.contains("no certificates of one CA") && reason.contains("stillframe node-credentials"))
    };
    stranger.until(says_what_to_do).await;
    counted(server.http, HANDSHAKES, 1).await;
    // One that would be content with any coordinator.
    let (own, foreign) = (credentials(data.path()), credentials(other.path()));
    let mixed = Credentials { ca: own.ca, ..foreign };
    let mut mixed = Node::start_with(&mixed, server.listen, "m", Scripted::new(13, 20));
    mixed.until(says_what_to_do).await;
    assert_unharmed(server.http).await;
    first.registered().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_before_a_handshake_harms_nobody() {
    let data = folder();
    let server = serve(data.path()).await;
    Node::up(data.path(), server.listen, "a", Scripted::new(10, 2_000)).await;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    // Of no version, of version 1 with lengths that lie, of an unknown version, and empty.
    let heads: [&[u8]; 5] = [
        &[0xff; 9],
        &[0xc3, 0, 0, 0, 1, 20, 0xff, 0xff],
        &[0xc0, 0, 0, 0, 1, 0xff, 0xff, 0xff],
        &[0xc0, 0x0a, 0x0a, 0x0a, 0x0a],
        &[],
    ];
    for length in [0, 1, 20, 1_200, 65_000] {
        for head in heads {
            let mut datagram = vec![0xa5; length];
            let known = head.len().min(length);
            datagram[..known].copy_from_slice(&head[..known]);
            socket.send_to(&datagram, server.listen).unwrap();
        }
    }
    assert_unharmed(server.http).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_talks_nonsense_is_sent_away() {
    let data = folder();
    let server = serve(data.path()).await;
    Node::up(data.path(), server.listen, "a", Scripted::new(10, 2_000)).await;
    let many = vec![ReadyTarget { pid: 1, program: "x".into(), refusal: None }; 1_025];
    let ready = |targets| ToCoordinator::Ready(Ready { order: OrderId(1), targets, lead_ns: 0 });
    // The first says nothing of who it is, the others are registered nodes.
    let cases: Vec<(&str, bool, Vec<u8>, &str)> = vec![
        ("garbage first", false, [&[9, 0, 0, 0], &[0xff; 9][..]].concat(), "not a message"),
        ("out of turn", false, encode_frame(&ready(Vec::new())).unwrap(), "out of turn"),
        ("no name", false, encode_frame(&peer_hello("")).unwrap(), "no name"),
        ("garbage", true, [&[9, 0, 0, 0], &[0xff; 9][..]].concat(), "not a message"),
        ("huge", true, vec![0xff; 4], "longer than"),
        ("empty", true, vec![0; 4], "empty"),
        ("trailing", true, [&[9, 0, 0, 0, 1, 1, 1, 1], &[0; 5][..]].concat(), "follow"),
        ("hello again", true, encode_frame(&peer_hello("b")).unwrap(), "out of turn"),
        ("oversized", true, encode_frame(&ready(many)).unwrap(), "list of targets is longer"),
    ];
    let count = cases.len() as u64;
    for (what, is_registered, bytes, says) in cases {
        let mut peer = if is_registered {
            Peer::up(data.path(), server.listen, "b").await
        } else {
            Peer::dial(data.path(), server.listen).await
        };
        peer.say_bytes(&bytes).await;
        let reason = peer.refused().await;
        assert!(reason.contains(says), "{what}: {reason}");
    }
    counted(server.http, SESSIONS, count).await;
    assert_unharmed(server.http).await;
    assert_eq!(metric(server.http, SESSIONS).await, count);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_nothing_known_is_dropped() {
    let data = folder();
    let server = serve(data.path()).await;
    Node::up(data.path(), server.listen, "a", Scripted::new(10, 2_000)).await;
    let mut peer = Peer::up(data.path(), server.listen, "b").await;
    let of_version = |version| encode_frame(&StreamHead { version, order: OrderId(1), target: TargetId(0) });
    let mut open = Vec::new();
    for bytes in
        [vec![0xff; 4], vec![0; 4], vec![3, 0, 0, 0, 9, 9, 9], of_version(PROTOCOL_VERSION + 1).unwrap()]
    {
        open.push(peer.stream(&bytes).await);
    }
    counted(server.http, STREAMS, 4).await;
    // Of an order that is not known: it may just have ended, so that it is no offence.
    open.push(peer.stream_of(OrderId(1), TargetId(0), &[0; 100]).await);
    drop(peer);
    let waited = tokio::time::timeout(PATIENCE, async {
        while metric(server.http, "stillframe_nodes").await > 1 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    waited.await.unwrap();
    assert_eq!(metric(server.http, STREAMS).await, 4);
    assert_unharmed(server.http).await;
    server.stop().await;
}

/// A registered node whose results are none: it is asked three times, and is then a row with the reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_is_none_is_left_out() {
    let data = folder();
    let server = serve(data.path()).await;
    Node::up(data.path(), server.listen, "a", Scripted::new(10, 2_000)).await;
    let whole = spooled(synthetic::process(99, 20, 3)).await;
    let mut counts_lie = whole.clone();
    let last = counts_lie.len() - 2;
    counts_lie[last] ^= 1;
    let mut garbled = whole.clone();
    garbled[4..].iter_mut().for_each(|byte| *byte = 0xff);
    let results = vec![vec![0xff; 4], garbled, counts_lie];
    tokio::spawn(Peer::up(data.path(), server.listen, "b").await.serve(99, results));

    let out = folder();
    let file = out.path().join("s.db");
    let (code, _, said) = run(server.http, &["snapshot", "--all", "-o", text(&file)]).await;
    assert_eq!(code, 10, "{said}");
    assert!(said.contains("lost    b pid 99 shop: its result could not be fetched in 3 tries"), "{said}");
    let processes = rows(&file, "select pid, goroutines, state from processes order by pid").await;
    let expected = json!([
        { "pid": 10, "goroutines": 2_000, "state": "complete" },
        { "pid": 99, "goroutines": 0, "state": "failed" },
    ]);
    assert_eq!(processes, expected);
    assert_eq!(rows(&file, "select count(*) as n from goroutines").await, json!([{ "n": 2_000 }]));
    // A peer whose third result is whole is believed then.
    let results = vec![vec![0xff; 4], vec![0; 4], whole];
    tokio::spawn(Peer::up(data.path(), server.listen, "c").await.serve(98, results));
    let arguments = ["snapshot", "--host", "c", "--force", "-o", text(&file)];
    let (_, _, said) = run(server.http, &arguments).await;
    assert!(said.contains("written c pid 98 shop: 20 goroutines"), "{said}");
    server.stop().await;
}

/// What the log of the built coordinator has of them.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_is_logged() {
    let (data, other) = (folder(), folder());
    let mut serve = Command::new(env!("CARGO_BIN_EXE_stillframe"));
    serve.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--log-json",
        "--data",
        text(data.path()),
    ]);
    let mut serve = start(serve);
    let line = serve.until("the coordinator runs");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let listen = line["fields"]["listen"].as_str().unwrap().parse().unwrap();
    let _first = Node::up(data.path(), listen, "a", Scripted::new(10, 20)).await;
    let _double = Node::start(data.path(), listen, "a", Scripted::new(11, 20));
    assert!(serve.until("a node was refused").contains("give each node a name of its own"));
    let _stranger = Node::start(other.path(), listen, "s", Scripted::new(12, 20));
    assert!(serve.until("a connection was refused").contains("no certificates of one CA"));
    serve.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(serve.end(), Some(0), "{}", serve.said);
    assert!(!serve.said.contains("PRIVATE KEY"), "{}", serve.said);
}
