//! The coordinator's server, end to end: scripted nodes over QUIC, users over HTTP and by the built binary.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use stillframe::server::StartError;
use stillframe::server::data_folder::FolderError;
use stillframe_actors::node::actor::Status;
use stillframe_actors::quic::Credentials;
use tempfile::TempDir;
use uuid::Uuid;

mod cluster;
mod synthetic;

use cluster::*;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_order_two_hosts_one_file() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    let mut a = node(data.path(), server.listen, "a", Scripted::new(10, 5_000));
    let mut b = node(data.path(), server.listen, "b", Scripted::new(11, 20));
    registered(&mut a).await;
    registered(&mut b).await;

    let nodes = json(server.http, &["nodes"]).await;
    let names: Vec<_> = nodes["nodes"].as_array().unwrap().iter().map(|node| &node["hostname"]).collect();
    assert_eq!(names, ["host-a", "host-b"]);
    assert!(nodes["nodes"][0]["heard_ns_ago"].as_u64().unwrap() < 10_000_000_000, "{nodes}");

    let file = out.path().join("s.db");
    let arguments = ["snapshot", "--program", "shop", "--label", "x", "-o", text(&file)];
    let (code, printed, said) = run(server.http, &arguments).await;
    assert_eq!((code, printed.trim()), (0, text(&file)), "{said}");
    for phase in [
        "order 0",
        "prepare 2 nodes",
        "ready   a",
        "arm     2",
        "frozen  b pid 11",
        "stream  a",
        "commit ",
        "committed: 5020",
    ] {
        assert!(said.contains(phase), "{phase}: {said}");
    }
    let (code, groups, _) = run(
        server.http,
        &[
            "sql",
            text(&file),
            "select hostname, pid, goroutines from processes join hosts using (host_id) order by pid",
            "--json",
        ],
    )
    .await;
    assert_eq!(code, 0);
    let rows: Value = serde_json::from_str(&groups).unwrap();
    assert!(rows.to_string().contains("5000") && rows.to_string().contains("host-b"), "{rows}");
    // Not over a file that is there, and before anything is stopped.
    let (code, _, said) = run(server.http, &arguments).await;
    assert_eq!(code, 9, "{said}");
    assert!(!said.contains("frozen"), "{said}");

    let list = json(server.http, &["snapshots"]).await;
    let entry = &list["snapshots"][0];
    let figures = (&entry["label"], &entry["complete"], &entry["goroutines"], &entry["processes"]);
    assert_eq!(figures, (&json!("x"), &json!(true), &json!(5020), &json!(2)), "{list}");
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 1);
    let id = entry["id"].as_str().unwrap();
    let copy = out.path().join("copy.db");
    let fetched = json(server.http, &["snapshots", "download", id, "-o", text(&copy)]).await;
    assert_eq!(fetched["bytes"], entry["bytes"]);
    assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&file).unwrap());
    assert_eq!(run(server.http, &["snapshots", "delete", id]).await.0, 0);
    assert_eq!(json(server.http, &["snapshots"]).await["snapshots"], json!([]));
    for gone in ["delete", "download"] {
        let (code, _, said) = run(server.http, &["snapshots", gone, id]).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("no such snapshot"), "{said}");
    }
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_and_the_rest_is_there() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    let host = Scripted { with_lost: true, ..Scripted::new(10, 20) };
    registered(&mut node(data.path(), server.listen, "a", host)).await;
    let file = out.path().join("s.db");
    let (code, printed, said) = run(server.http, &["snapshot", "--all", "--json", "-o", text(&file)]).await;
    assert_eq!(code, 10, "{said}");
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&report["complete"], &report["goroutines"]), (&json!(false), &json!(20)));
    let lost = said.lines().find(|line| line.contains("target_lost")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(lost).unwrap()["class"], "vanished");
    // Nothing at all: no file, and the reason.
    let none = out.path().join("none.db");
    for (selection, expected) in [(["--pid", "1"], 7), (["--pid", "999"], 3), (["--host", "z*"], 3)] {
        let arguments = ["snapshot", selection[0], selection[1], "-o", text(&none)];
        let (code, _, said) = run(server.http, &arguments).await;
        assert_eq!(code, expected, "{selection:?}: {said}");
        assert!(said.contains("help:") && !none.exists(), "{said}");
    }
    // To a pipe.
    let mut piped = command(server.http, &["snapshot", "--pid", "10", "-o", "-"]);
    let output = tokio::task::spawn_blocking(move || piped.output().unwrap()).await.unwrap();
    assert!(output.stdout.starts_with(b"SQLite format 3"), "{:?}", output.status);
    let (_, metrics) = request(server.http, "GET", "/metrics", "").await;
    for line in [
        "{outcome=\"partial\"} 1",
        "{outcome=\"complete\"} 1",
        "{outcome=\"failed\"} 3",
        "stillframe_nodes 1",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    server.stop().await;
}

fn order(id: Uuid, label: &str) -> String {
    json!({ "id": id, "within_ns": 60_000_000_000_u64, "label": label }).to_string()
}

/// The address is free once the last task of the one before has ended.
async fn start_again(config: &stillframe::server::Config) -> stillframe::server::Server {
    for _ in 0..100 {
        match stillframe::server::Server::start(config, clock()).await {
            Ok(server) => return server,
            Err(StartError::Quic(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{} stays in use", config.listen);
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_twice_it_is_one_order_also_after_a_restart() {
    let data = folder();
    let server = serve(data.path()).await;
    let mut a = node(data.path(), server.listen, "a", Scripted::new(10, 20));
    registered(&mut a).await;
    let id = Uuid::now_v7();
    let events = format!("/api/v1/orders/{id}/events");
    assert_eq!(request(server.http, "GET", &events, "").await.0, 404);
    assert_eq!(request(server.http, "POST", "/api/v1/orders", &order(id, "x")).await.0, 202);
    assert_eq!(request(server.http, "POST", "/api/v1/orders", &order(id, "x")).await.0, 200);
    assert_eq!(request(server.http, "POST", "/api/v1/orders", &order(id, "y")).await.0, 409);
    // Both of them, and one that comes late, get all of it.
    let (first, second) =
        tokio::join!(request(server.http, "GET", &events, ""), request(server.http, "GET", &events, ""));
    let late = request(server.http, "GET", &events, "").await;
    for (status, answer) in [&first, &second, &late] {
        assert_eq!(*status, 200);
        let phases: Vec<String> = answer
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
            .map(|event| event["phase"].as_str().unwrap().to_owned())
            .collect();
        let expected =
            ["prepare", "ready", "arm", "frozen", "captured", "stream", "written", "commit", "committed"];
        assert_eq!(phases, expected, "{answer}");
    }
    let whole = std::fs::read(&snapshots(data.path())[0]).unwrap();
    let listen = server.listen;
    let ca = std::fs::read(data.path().join("pki/ca.pem")).unwrap();
    server.stop().await;

    // The same CA, the same address: the node comes back by itself, and what was finished is still known.
    std::fs::write(data.path().join("snapshots/.stillframe-x.partial"), "half").unwrap();
    let config = stillframe::server::Config { listen, ..config(data.path()) };
    let server = start_again(&config).await;
    assert_eq!(std::fs::read(data.path().join("pki/ca.pem")).unwrap(), ca);
    let (status, answer) = request(server.http, "POST", "/api/v1/orders", &order(id, "x")).await;
    assert!(status == 200 && answer.contains("ended"), "{answer}");
    let (status, answer) = request(server.http, "GET", &events, "").await;
    assert!(
        status == 200 && answer.contains(r#""phase":"committed","complete":true,"goroutines":20"#),
        "{answer}"
    );
    until(&mut a, |status| !matches!(status, Status::Registered(_))).await;
    registered(&mut a).await;
    let again = Uuid::now_v7();
    assert_eq!(request(server.http, "POST", "/api/v1/orders", &order(again, "z")).await.0, 202);
    let (_, answer) = request(server.http, "GET", &format!("/api/v1/orders/{again}/events"), "").await;
    assert!(answer.contains(r#""phase":"committed""#), "{answer}");
    let files = snapshots(data.path());
    assert_eq!(files.len(), 2, "{files:?}");
    assert_eq!(std::fs::read(&files[0]).unwrap(), whole);

    // One coordinator a folder.
    let second = try_serve(data.path()).await;
    assert!(matches!(second, Err(StartError::Folder(FolderError::InUse { .. }))));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_cancels_the_order_and_leaves_nothing() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    let host = Scripted::new(10, 20);
    let stuck = Arc::clone(&host.stuck);
    registered(&mut node(data.path(), server.listen, "a", host)).await;
    stuck.store(true, Ordering::Relaxed);
    let file = out.path().join("s.db");
    let command = command(server.http, &["snapshot", "--all", "-o", text(&file)]);
    let (code, said) = tokio::task::spawn_blocking(move || {
        let mut client = Beside::start(command);
        client.until("frozen");
        client.signal(Signal::SIGINT);
        (client.end(), client.said.clone())
    })
    .await
    .unwrap();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("was cancelled") && said.contains("no file was written"), "{said}");
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 0);
    stuck.store(false, Ordering::Relaxed);
    // The next one need not wait for it.
    let (code, _, said) = run(server.http, &["snapshot", "--all", "-o", text(&file)]).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(snapshots(data.path()).len(), 1);
    assert_eq!(
        request(server.http, "DELETE", &format!("/api/v1/orders/{}", Uuid::now_v7()), "").await.0,
        404
    );

    // A coordinator that is stopped in the middle leaves nothing, too, and tells whoever waits.
    stuck.store(true, Ordering::Relaxed);
    let id = Uuid::now_v7();
    request(server.http, "POST", "/api/v1/orders", &order(id, "x")).await;
    let (http, events) = (server.http, format!("/api/v1/orders/{id}/events"));
    let waiting = tokio::spawn(async move { request(http, "GET", &events, "").await.1 });
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.stop().await;
    let answer = waiting.await.unwrap();
    assert!(answer.contains("frozen") && answer.contains("the coordinator was stopped"), "{answer}");
    assert_eq!(snapshots(data.path()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_doubles_are_refused_and_counted() {
    let (data, other) = (folder(), folder());
    let server = serve(data.path()).await;
    let (code, _, said) = run(server.http, &["snapshot", "--all"]).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("no node is registered"), "{said}");
    registered(&mut node(data.path(), server.listen, "a", Scripted::new(10, 20))).await;
    let mut double = node(data.path(), server.listen, "a", Scripted::new(11, 20));
    until(&mut double, |status| matches!(status, Status::Refused(reason) if reason.contains("--name"))).await;
    // Another coordinator's credentials.
    let stranger = node(other.path(), server.listen, "s", Scripted::new(12, 20));
    // One that would be content with any coordinator.
    let (own, foreign) = (credentials(data.path()), credentials(other.path()));
    let mixed = Credentials { ca: own.ca, ..foreign };
    let mut mixed = node_with(&mixed, server.listen, "m", Scripted::new(13, 20));
    until(&mut mixed, |status| matches!(status, Status::Down(_))).await;
    // Garbage.
    UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&[0xff; 1_200], server.listen).unwrap();
    let mut counted = String::new();
    for _ in 0..100 {
        counted = request(server.http, "GET", "/metrics", "").await.1;
        if !["0", "1"].iter().any(|count| counted.contains(&format!("{{reason=\"handshake\"}} {count}\n"))) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for few in ["0\n", "1\n"] {
        assert!(!counted.contains(&format!("{{reason=\"handshake\"}} {few}")), "{counted}");
    }
    assert!(!matches!(*stranger.borrow(), Status::Registered(_)));
    assert!(!counted.contains("refused_names_total 0"), "{counted}");
    let nodes = json(server.http, &["nodes"]).await;
    assert_eq!(nodes["nodes"].as_array().unwrap().len(), 1, "{nodes}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_requests_get_an_error_with_a_remedy() {
    let data = folder();
    std::fs::write(data.path().join("secret"), "secret").unwrap();
    let server = serve(data.path()).await;
    let http = server.http;
    let with_host =
        |host: &str| format!("GET /api/v1/nodes HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    assert_eq!(exchange(http, with_host("localhost:1")).await.0, 200);
    let mut answers = vec![(421, exchange(http, with_host("evil.example")).await)];
    let large = format!("{{\"label\":\"{}\"}}", "x".repeat(2 << 20));
    for (expected, method, path, body) in [
        (400, "GET", "/api/v1/snapshots/..%2fsecret", ""),
        (400, "GET", "/api/v1/snapshots/%2e%2e%2fsecret", ""),
        (404, "GET", "/api/v1/snapshots/../../secret", ""),
        (400, "DELETE", "/api/v1/snapshots/lock", ""),
        (404, "GET", "/", ""),
        (405, "PUT", "/api/v1/orders", "{}"),
        (400, "POST", "/api/v1/orders", "{"),
        (422, "POST", "/api/v1/orders", "{\"unknown\":1}"),
        (413, "POST", "/api/v1/orders", &large),
        (400, "GET", "/api/v1/snapshots?limit=x", ""),
        (400, "POST", "/api/v1/orders", &order(Uuid::nil(), "x")),
    ] {
        answers.push((expected, request(http, method, path, body).await));
    }
    for (expected, (status, answer)) in &answers {
        assert_eq!(status, expected, "{answer}");
        let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let error = &body["error"];
        assert!(["class", "message", "remedy"].iter().all(|part| error[part].is_string()), "{answer}");
        assert!(!answer.contains("secret\n"), "{answer}");
    }
    assert_eq!(request(http, "GET", "/healthz", "").await.0, 200);
    // Users are not authenticated: nowhere but here.
    let config = stillframe::server::Config { http: "0.0.0.0:0".parse().unwrap(), ..config(folder().path()) };
    let refused = stillframe::server::Server::start(&config, clock()).await;
    assert!(matches!(refused, Err(StartError::NotLoopback { .. })));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_is_named_with_the_remedy() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in other.incoming() {
            let page = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            // All of the request: a connection that is closed before is reset.
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
            stream.write_all(page.as_bytes()).unwrap();
        }
    });
    for (http, says) in [(closed, "does not answer"), (address, "no coordinator")] {
        for arguments in [&["nodes"][..], &["snapshots"], &["snapshot", "--all"]] {
            let (code, _, said) = run(http, arguments).await;
            assert_eq!(code, 12, "{said}");
            assert!(said.contains(says) && said.contains(&http.to_string()), "{said}");
        }
    }
    let (code, _, said) = run(closed, &["nodes", "--coordinator", "https://x"]).await;
    assert_eq!(code, 2, "{said}");
}

fn free_port(of: impl Fn() -> SocketAddr) -> String {
    of().to_string()
}

/// The built binary, killed in the middle of an order, and started again.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_coordinator_comes_back_and_the_client_gets_its_snapshot() {
    let (data, out) = (folder(), folder());
    let listen = free_port(|| UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let http = free_port(|| TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let (udp, tcp): (SocketAddr, SocketAddr) = (listen.parse().unwrap(), http.parse().unwrap());
    let start = |data: &Path| {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_stillframe"));
        serve.args(["serve", "--data", text(data), "--listen", &listen, "--http", &http, "--log-json"]);
        let mut serve = Beside::start(serve);
        let line = serve.until("the coordinator runs");
        assert!(serde_json::from_str::<Value>(&line).unwrap()["fields"]["listen"].is_string(), "{line}");
        serve
    };
    let serve = start(data.path());
    let host = Scripted::new(10, 20);
    let stuck = Arc::clone(&host.stuck);
    let mut a = node(data.path(), udp, "a", host);
    registered(&mut a).await;
    stuck.store(true, Ordering::Relaxed);
    let file = out.path().join("s.db");
    let mut client = Beside::start(command(tcp, &["snapshot", "--all", "-o", text(&file)]));
    client.until("frozen");
    serve.signal(Signal::SIGKILL);
    drop(serve);
    assert!(text(&snapshots(data.path())[0]).ends_with(".partial"));
    client.until("trying again");
    stuck.store(false, Ordering::Relaxed);
    let mut serve = start(data.path());
    let (code, said) =
        tokio::task::spawn_blocking(move || (client.end(), client.said.clone())).await.unwrap();
    // The node may not be back yet when the order comes again: that is said, too, and leaves nothing.
    if code == Some(0) {
        assert_eq!(snapshots(data.path()).len(), 1, "{said}");
        assert!(file.exists());
    } else {
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("no node is registered") && !file.exists(), "{said}");
        registered(&mut a).await;
        assert_eq!(snapshots(data.path()).len(), 0);
    }
    serve.signal(Signal::SIGTERM);
    assert_eq!(serve.end(), Some(0), "{}", serve.said);
    assert!(serve.said.contains("the coordinator has ended"), "{}", serve.said);
    assert!(!serve.said.contains("PRIVATE KEY"));
}

/// A file system of its own, if this process may mount one.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Option<SmallDisk> {
        let folder = folder();
        let mount = ["-t", "tmpfs", "-o", "size=3m", "stillframe-test"];
        let mounted = Command::new("mount").args(mount).arg(folder.path()).output().ok()?;
        mounted.status.success().then_some(SmallDisk(folder))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0.path()).output();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_the_order_and_nothing_else() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("not tested: this process may not mount a file system");
        return;
    };
    let data = disk.0.path();
    let out = folder();
    let server = serve(data).await;
    registered(&mut node(data, server.listen, "big", Scripted::new(10, 300_000))).await;
    registered(&mut node(data, server.listen, "small", Scripted::new(11, 20))).await;
    let file = out.path().join("s.db");
    let (code, _, said) = run(server.http, &["snapshot", "--host", "*", "--all", "-o", text(&file)]).await;
    assert_eq!(code, 11, "{said}");
    assert!(said.contains("its file system is full") && said.contains("make space"), "{said}");
    assert_eq!(snapshots(data).len(), 0);
    let (code, _, said) = run(server.http, &["snapshot", "--host", "small", "-o", text(&file)]).await;
    assert_eq!(code, 0, "{said}");
    server.stop().await;
}
