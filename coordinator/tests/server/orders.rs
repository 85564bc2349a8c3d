//! Orders that go well, and orders of what cannot be captured.

use serde_json::{Value, json};
use stillframe_wire::message::FailureClass;
use uuid::Uuid;

use crate::cluster::*;

#[tokio::test(flavor = "multi_thread")]
async fn one_order_three_hosts_one_file() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    for (name, pid, goroutines) in [("a", 10, 5_000), ("b", 11, 20), ("c", 12, 300)] {
        Node::up(data.path(), server.listen, name, Scripted::new(pid, goroutines)).await;
    }
    let nodes = json(server.http, &["nodes"]).await;
    let names: Vec<_> = nodes["nodes"].as_array().unwrap().iter().map(|node| &node["hostname"]).collect();
    assert_eq!(names, ["host-a", "host-b", "host-c"]);
    let heard = nodes["nodes"][0]["heard_ns_ago"].as_u64().unwrap();
    assert!(heard < PATIENCE.as_nanos() as u64, "{nodes}");
    let (_, table, _) = run(server.http, &["nodes"]).await;
    assert_eq!(table.lines().count(), 4, "{table}");

    let file = out.path().join("s.db");
    let arguments = ["snapshot", "--program", "shop", "--label", "x", "-o", text(&file)];
    let (code, printed, said) = run(server.http, &arguments).await;
    assert_eq!((code, printed.trim()), (0, text(&file)), "{said}");
    for line in [
        "order 0",
        "prepare 3 nodes",
        "ready   a: 1 process",
        "arm     3 processes in ",
        "frozen  b pid 11 shop: stopped for 2.5 ms",
        "stream  c pid 12 shop",
        "written a pid 10 shop: 5000 goroutines",
        "commit ",
        "committed: 5320 goroutines, ",
        "3 processes on 3 hosts, 5320 goroutines; ",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let query = "select hostname, h.state, pid, p.state, goroutines,
        (select count(*) from goroutines g where g.process_id = p.process_id) as counted
        from processes p join hosts h using (host_id) order by pid";
    let expected = [("host-a", 10, 5_000), ("host-b", 11, 20), ("host-c", 12, 300)];
    let rows_of_hosts = rows(&file, query).await;
    for (row, (host, pid, goroutines)) in rows_of_hosts.as_array().unwrap().iter().zip(expected) {
        let facts = (&row["hostname"], &row["pid"], &row["goroutines"], &row["counted"]);
        assert_eq!(facts, (&json!(host), &json!(pid), &json!(goroutines), &json!(goroutines)), "{row}");
    }
    assert_eq!(rows_of_hosts.as_array().unwrap().len(), 3);
    let about = rows(&file, "select label, selector, complete from snapshot").await;
    assert_eq!(about, json!([{ "label": "x", "selector": "--program 'shop'", "complete": 1 }]));

    // Not over a file that is there, and before anything is ordered.
    let before = std::fs::read(&file).unwrap();
    let (code, _, said) = run(server.http, &arguments).await;
    assert_eq!(code, 9, "{said}");
    assert!(said.contains("help:") && !said.contains("order 0"), "{said}");
    assert_eq!(snapshots(data.path()).len(), 1);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let (code, _, said) = run(server.http, &[&arguments[..], &["--force"]].concat()).await;
    assert_eq!(code, 0, "{said}");
    assert_ne!(std::fs::read(&file).unwrap(), before);
    server.stop().await;
}

const PROBES: &str = "[[probe]]
name = 'orders'
function = 'main.worker*'
capture = ['req.ID', { as = 'user', expr = 'req.User.Name' }]

[[probe]]
name = 'bare'
function = 'main.bare'
";

#[tokio::test(flavor = "multi_thread")]
async fn what_probes_capture_is_in_the_file() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    for (name, pid, goroutines) in [("a", 10, 5_000), ("b", 11, 20)] {
        Node::up(data.path(), server.listen, name, Scripted::new(pid, goroutines)).await;
    }
    let (file, probes) = (out.path().join("s.db"), out.path().join("p.toml"));
    std::fs::write(&probes, PROBES).unwrap();
    let arguments = ["snapshot", "--all", "--pack", "none", "--probes", text(&probes), "-o", text(&file)];
    let (code, _, said) = run(server.http, &arguments).await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(rows(&file, "select probes from snapshot").await[0]["probes"], PROBES);
    let values = "select pid, count(*) as rows, sum(req_id) as ids, sum(user = 'goroutine ' || goid) as users
        from probe_orders join goroutines using (goroutine_id, process_id) join processes using (process_id)
        group by 1 order by 1";
    let ids = |last: u64| (1..=last).step_by(3).sum::<u64>();
    assert_eq!(
        rows(&file, values).await,
        json!([
            { "pid": 10, "rows": 1_667, "ids": ids(5_000), "users": 1_667 },
            { "pid": 11, "rows": 7, "ids": ids(20), "users": 7 },
        ])
    );
    // Its functions have no variables: that they stand on a stack is a row all the same.
    assert_eq!(rows(&file, "select count(*) as n from probe_bare").await, json!([{ "n": 1_667 + 7 }]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_that_are_none_are_refused_before_anything_is_ordered() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    Node::up(data.path(), server.listen, "a", Scripted::new(10, 20)).await;
    let (file, probes) = (out.path().join("s.db"), out.path().join("p.toml"));
    std::fs::write(&probes, PROBES.replace("function", "funktion")).unwrap();
    let arguments = ["snapshot", "--all", "--probes", text(&probes), "-o", text(&file)];
    let (code, _, said) = run(server.http, &arguments).await;
    assert_eq!(code, 2, "{said}");
    let place = format!("{}:3:1: probe orders.funktion: unknown key", text(&probes));
    assert!(said.contains(&place) && said.contains("did you mean function?"), "{place}: {said}");

    let order = |id: Uuid, probes: &str| {
        json!({ "id": id, "within_ns": 60_000_000_000_u64, "probes": probes }).to_string()
    };
    let id = Uuid::now_v7();
    let (status, answer) =
        request(server.http, "POST", "/api/v1/orders", &order(id, "[[probe]]\nname = 7")).await;
    assert_eq!(status, 400, "{answer}");
    assert!(
        answer.contains("the probes are wrong: line 1, column 1: ") && answer.contains("line 2, column 8: "),
        "{answer}"
    );
    let long = order(id, &"#\n".repeat(200_000));
    let (status, answer) = request(server.http, "POST", "/api/v1/orders", &long).await;
    assert_eq!((status, answer.contains("at most 262144 bytes")), (400, true), "{answer}");
    // The longest that may be, in JSON twice as long.
    let longest = order(id, &"#\n".repeat(131_072));
    assert_eq!(request(server.http, "POST", "/api/v1/orders", &longest).await.0, 202);
    // Asked again it is the same order only with the same probes.
    assert_eq!(request(server.http, "POST", "/api/v1/orders", &order(id, "")).await.0, 409);
    assert_eq!(request(server.http, "POST", "/api/v1/orders", &longest).await.0, 200);
    let events = events(server.http, id).await;
    assert_eq!(events.last().unwrap()["phase"], "committed", "{events:?}");
    assert_eq!(snapshots(data.path()).len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_kept_is_listed_fetched_and_deleted() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    Node::up(data.path(), server.listen, "a", Scripted::new(10, 20)).await;
    let file = out.path().join("s.db");
    let report = json(server.http, &["snapshot", "--all", "--label", "x", "-o", text(&file)]).await;
    assert_eq!((&report["complete"], &report["goroutines"]), (&json!(true), &json!(20)), "{report}");
    assert_eq!(report["processes"][0]["host"], "host-a");

    let list = json(server.http, &["snapshots", "list"]).await;
    let entry = &list["snapshots"][0];
    let figures = (&entry["label"], &entry["complete"], &entry["goroutines"], &entry["processes"]);
    assert_eq!(figures, (&json!("x"), &json!(true), &json!(20), &json!(1)), "{list}");
    assert_eq!((&entry["id"], &list["omitted"]), (&report["id"], &json!(0)));
    assert_eq!(list["snapshots"].as_array().unwrap().len(), 1);
    let none = json(server.http, &["snapshots", "list", "--limit", "0"]).await;
    assert_eq!(none, json!({ "snapshots": [], "omitted": 1 }));

    let id = entry["id"].as_str().unwrap();
    let copy = out.path().join("copy.db");
    let download = ["snapshots", "download", id, "-o", text(&copy)];
    let fetched = json(server.http, &download).await;
    assert_eq!((&fetched["bytes"], &fetched["id"]), (&entry["bytes"], &entry["id"]));
    assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&file).unwrap());
    assert_eq!(run(server.http, &download).await.0, 9);
    assert_eq!(run(server.http, &[&download[..], &["--force"]].concat()).await.0, 0);

    assert_eq!(json(server.http, &["snapshots", "delete", id]).await, json!({ "id": id, "deleted": true }));
    assert_eq!(json(server.http, &["snapshots"]).await["snapshots"], json!([]));
    assert_eq!(snapshots(data.path()).len(), 0);
    for gone in ["delete", "download"] {
        let (code, _, said) = run(server.http, &["snapshots", gone, id]).await;
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("no such snapshot") && said.contains("help:"), "{said}");
    }
    assert_eq!(files_in(out.path()), [copy, file]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said_and_the_rest_is_there() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    Node::up(data.path(), server.listen, "a", Scripted::new(10, 20).with_ending(1)).await;
    let file = out.path().join("s.db");
    let (code, printed, said) = run(server.http, &["snapshot", "--all", "--json", "-o", text(&file)]).await;
    assert_eq!(code, 10, "{said}");
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&report["complete"], &report["goroutines"]), (&json!(false), &json!(20)));
    let lost = said.lines().find(|line| line.contains("target_lost")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(lost).unwrap()["class"], "vanished");
    let gaps = rows(
        &file,
        "select what, g.reason, pid from gaps g join processes using (process_id) where what = 'process'",
    );
    assert_eq!(gaps.await, json!([{ "what": "process", "reason": "it ended", "pid": 1 }]));
    // To a pipe.
    let mut piped = command(server.http, &["snapshot", "--pid", "10", "-o", "-"]);
    let output = tokio::task::spawn_blocking(move || piped.output().unwrap()).await.unwrap();
    assert!(output.stdout.starts_with(b"SQLite format 3"), "{:?}", output.status);
    for (outcome, count) in [("partial", 1), ("complete", 1), ("failed", 0)] {
        let name = format!("stillframe_orders_total{{outcome=\"{outcome}\"}}");
        assert_eq!(metric(server.http, &name).await, count, "{outcome}");
    }
    server.stop().await;
}

/// No file, and the exit code of the first reason.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_at_all_is_a_failure_with_its_reason() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    let file = out.path().join("s.db");
    let (code, _, said) = run(server.http, &["snapshot", "--all", "-o", text(&file)]).await;
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("no node is registered"), "{said}");

    let denied = Scripted::new(10, 20).refusing(FailureClass::Permission, "not mine to stop");
    Node::up(data.path(), server.listen, "a", denied).await;
    let old = Scripted::new(11, 20).refusing(FailureClass::Unsupported, "go1.2 is too old");
    Node::up(data.path(), server.listen, "b", old).await;
    Node::up(data.path(), server.listen, "c", Scripted::new(12, 20).with_ending(1)).await;
    for (selection, expected, says) in [
        (&["--host", "a", "--host", "b"][..], 5, "not mine to stop"),
        (&["--host", "b"], 6, "go1.2 is too old"),
        (&["--pid", "1"], 7, "it ended"),
        (&["--pid", "999"], 3, "no Go process on 3 nodes fits"),
        (&["--host", "z*"], 3, "none of the 3 registered nodes"),
    ] {
        let arguments = [&["snapshot", "-o", text(&file)], selection].concat();
        let (code, printed, said) = run(server.http, &arguments).await;
        assert_eq!((code, &*printed), (expected, ""), "{selection:?}: {said}");
        assert!(said.contains(says) && said.contains("help:"), "{said}");
        let (code, _, said) = run(server.http, &[&arguments[..], &["--json"]].concat()).await;
        let last: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
        assert_eq!((code, &last["error"]["exit_code"]), (expected, &json!(expected)), "{said}");
    }
    assert!(!file.exists());
    assert_eq!((snapshots(data.path()).len(), files_in(out.path()).len()), (0, 0));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_twice_it_is_one_order_and_everybody_hears_all_of_it() {
    let data = folder();
    let server = serve(data.path()).await;
    Node::up(data.path(), server.listen, "a", Scripted::new(10, 20)).await;
    let (id, http) = (Uuid::now_v7(), server.http);
    let ask = |label| request(http, "POST", "/api/v1/orders", label);
    let (x, y) = (order(id, "x"), order(id, "y"));
    assert_eq!(request(http, "GET", &format!("/api/v1/orders/{id}/events"), "").await.0, 404);
    assert_eq!(ask(&x).await.0, 202);
    assert_eq!(ask(&x).await.0, 200);
    let (status, answer) = ask(&y).await;
    assert!(status == 409 && answer.contains("draw a new id"), "{answer}");
    // Two at a time, and one that comes late.
    let (first, second) = tokio::join!(events(http, id), events(http, id));
    let late = events(http, id).await;
    for heard in [&first, &second, &late] {
        let phases: Vec<&str> = heard.iter().map(|event| event["phase"].as_str().unwrap()).collect();
        let expected =
            ["prepare", "ready", "arm", "frozen", "captured", "stream", "written", "commit", "committed"];
        assert_eq!(phases, expected, "{heard:?}");
    }
    let (status, answer) = ask(&x).await;
    assert!(status == 200 && answer.contains("ended"), "{answer}");
    assert_eq!(snapshots(data.path()).len(), 1);
    assert_eq!(metric(http, "stillframe_orders_total{outcome=\"complete\"}").await, 1);
    server.stop().await;
}

/// One after the other, each with a file of its own.
#[tokio::test(flavor = "multi_thread")]
async fn orders_at_the_same_time_wait_for_each_other() {
    let data = folder();
    let server = serve(data.path()).await;
    let (hold, host) = Scripted::new(10, 20).held();
    Node::up(data.path(), server.listen, "a", host).await;
    let ids = [Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7()];
    for id in ids {
        assert_eq!(request(server.http, "POST", "/api/v1/orders", &order(id, "x")).await.0, 202);
    }
    hold.send(false).unwrap();
    for (before, id) in ids.into_iter().enumerate() {
        let heard = events(server.http, id).await;
        let queued = heard.iter().find(|event| event["phase"] == "queued");
        assert_eq!(
            queued.map(|event| event["before"].clone()),
            (before > 0).then(|| json!(before)),
            "{heard:?}"
        );
        assert_eq!(heard.last().unwrap()["goroutines"], 20, "{heard:?}");
    }
    assert_eq!(snapshots(data.path()).len(), 3);
    server.stop().await;
}
