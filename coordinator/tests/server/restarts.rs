//! A coordinator that ends, in order or not, and starts again with the same data folder.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use stillframe::server::{Server, StartError};
use stillframe_actors::node::actor::Status;
use uuid::Uuid;

use crate::cluster::*;

/// At the same address, which is free once the last task of the one before has ended.
async fn serve_again(data: &Path, listen: SocketAddr) -> Server {
    let config = stillframe::server::Config { listen, ..config(data) };
    let started = tokio::time::timeout(PATIENCE, async {
        loop {
            match try_serve(&config).await {
                Ok(server) => return server,
                Err(StartError::Quic(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(error) => panic!("{error}"),
            }
        }
    });
    started.await.unwrap_or_else(|_| panic!("{listen} stays in use"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_finished_is_still_there_and_what_was_not_is_gone() {
    let data = folder();
    let server = serve(data.path()).await;
    let mut a = Node::up(data.path(), server.listen, "a", Scripted::new(10, 20)).await;
    let id = Uuid::now_v7();
    assert_eq!(request(server.http, "POST", "/api/v1/orders", &order(id, "x")).await.0, 202);
    assert_eq!(events(server.http, id).await.last().unwrap()["phase"], "committed");
    let whole = std::fs::read(&snapshots(data.path())[0]).unwrap();
    let listen = server.listen;
    let ca = std::fs::read(data.path().join("pki/ca.pem")).unwrap();
    server.stop().await;
    a.until(|status| !matches!(status, Status::Registered(_))).await;

    // What a crash leaves.
    std::fs::write(data.path().join("snapshots/.stillframe-x.partial"), "half").unwrap();
    std::fs::create_dir(data.path().join(".stillframe-y.partial")).unwrap();
    let server = serve_again(data.path(), listen).await;
    let names: Vec<_> = files_in(data.path());
    assert_eq!(
        names,
        ["known_nodes.json", "lock", "pki", "snapshots", "symbols"].map(|name| data.path().join(name))
    );
    assert_eq!(std::fs::read(data.path().join("pki/ca.pem")).unwrap(), ca);
    let list = json(server.http, &["snapshots"]).await;
    assert_eq!(list["snapshots"][0]["id"], json!(id));
    // The same order is the same snapshot.
    let (status, answer) = request(server.http, "POST", "/api/v1/orders", &order(id, "x")).await;
    assert!(status == 200 && answer.contains("ended"), "{answer}");
    let heard = events(server.http, id).await;
    assert_eq!(heard.len(), 1, "{heard:?}");
    let figures = (&heard[0]["phase"], &heard[0]["complete"], &heard[0]["goroutines"]);
    assert_eq!(figures, (&json!("committed"), &json!(true), &json!(20)));
    // The same CA, the same address: the node comes back by itself.
    a.registered().await;
    let again = Uuid::now_v7();
    assert_eq!(request(server.http, "POST", "/api/v1/orders", &order(again, "z")).await.0, 202);
    assert_eq!(events(server.http, again).await.last().unwrap()["phase"], "committed");
    let files = snapshots(data.path());
    assert_eq!(files.len(), 2, "{files:?}");
    assert_eq!(std::fs::read(&files[0]).unwrap(), whole);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_what_runs_and_begins_nothing() {
    let data = folder();
    let server = serve(data.path()).await;
    let (_hold, host) = Scripted::new(10, 20).held();
    Node::up(data.path(), server.listen, "a", host).await;
    let ids = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    for id in ids {
        assert_eq!(request(server.http, "POST", "/api/v1/orders", &order(id, "x")).await.0, 202);
    }
    let http = server.http;
    let waiting = ids.map(|id| tokio::spawn(events(http, id)));
    tokio::time::timeout(PATIENCE, async {
        while metric(http, "stillframe_orders_open{state=\"waiting\"}").await < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    let file = data.path().join("s.db");
    let mut client = start(command(http, &["snapshot", "--all", "-o", text(&file)]));
    client.until("queued");
    server.stop().await;
    for (before, task) in waiting.into_iter().enumerate() {
        let heard = task.await.unwrap();
        let last = heard.last().unwrap();
        assert_eq!(
            (&last["phase"], &last["message"]),
            (&json!("failed"), &json!("the coordinator was stopped"))
        );
        let began = heard.iter().any(|event| event["phase"] == "prepare");
        assert_eq!(began, before == 0, "{heard:?}");
    }
    let (code, said) =
        tokio::task::spawn_blocking(move || (client.end(), client.said.clone())).await.unwrap();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("the coordinator was stopped") && said.contains("help:"), "{said}");
    assert!(snapshots(data.path()).is_empty() && !file.exists());
}

fn serve_beside(data: &Path, listen: SocketAddr, http: SocketAddr) -> Beside {
    let (listen, http) = (listen.to_string(), http.to_string());
    let mut serve = Command::new(env!("CARGO_BIN_EXE_stillframe"));
    serve.args(["serve", "--data", text(data), "--listen", &listen, "--http", &http, "--log-json"]);
    let mut serve = start(serve);
    let line = serve.until("the coordinator runs");
    assert!(serde_json::from_str::<Value>(&line).unwrap()["fields"]["listen"].is_string(), "{line}");
    serve
}

/// The built binary, killed in the middle of an order, and started again: the order waits for the nodes to come back.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_coordinator_comes_back_and_the_client_gets_its_snapshot_of_all_nodes() {
    let (data, out) = (folder(), folder());
    let listen = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let http = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let serve = serve_beside(data.path(), listen, http);
    let (hold, host) = Scripted::new(10, 20).held();
    Node::up(data.path(), listen, "a", host).await;
    Node::up(data.path(), listen, "b", Scripted::new(11, 30)).await;
    let file = out.path().join("s.db");
    let mut client = start(command(http, &["snapshot", "--all", "-o", text(&file)]));
    client.until("frozen  a");
    serve.signal(Signal::SIGKILL);
    drop(serve);
    let left = snapshots(data.path());
    assert!(left.len() == 1 && text(&left[0]).ends_with(".partial"), "{left:?}");
    client.until("trying again");
    hold.send(false).unwrap();
    let mut serve = serve_beside(data.path(), listen, http);
    let (code, said) =
        tokio::task::spawn_blocking(move || (client.end(), client.said.clone())).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    let pids = rows(&file, "select pid, goroutines from processes order by pid").await;
    assert_eq!(pids, json!([{ "pid": 10, "goroutines": 20 }, { "pid": 11, "goroutines": 30 }]), "{said}");
    let whole = snapshots(data.path());
    assert_eq!(whole.len(), 1, "{whole:?}");
    serve.signal(Signal::SIGTERM);
    assert_eq!(serve.end(), Some(0), "{}", serve.said);
    assert!(serve.said.contains("the coordinator has ended"), "{}", serve.said);
}

/// One that does not come back is waited for, but not for ever; until then Ctrl-C ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_stays_away_can_be_given_up() {
    let (data, out) = (folder(), folder());
    let listen = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let http = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let serve = serve_beside(data.path(), listen, http);
    let (_hold, host) = Scripted::new(10, 20).held();
    Node::up(data.path(), listen, "a", host).await;
    let file = out.path().join("s.db");
    let mut client = start(command(http, &["snapshot", "--all", "-o", text(&file)]));
    client.until("frozen");
    serve.signal(Signal::SIGKILL);
    drop(serve);
    client.until("trying again");
    // It does, and says it once: of a connection that broke, and of one that is refused.
    tokio::time::sleep(Duration::from_secs(3)).await;
    client.signal(Signal::SIGINT);
    let (code, said) =
        tokio::task::spawn_blocking(move || (client.end(), client.said.clone())).await.unwrap();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains(" may go on: ") && said.ends_with("no file was written\n"), "{said}");
    let tries = said.lines().filter(|line| line.contains("trying again")).count();
    assert!((1..=3).contains(&tries), "{said}");
    assert_eq!(files_in(out.path()).len(), 0);
}
