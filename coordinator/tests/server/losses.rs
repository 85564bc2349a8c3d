//! Nodes that go away, and nodes that fall silent: what is missing is a row and a gap with a reason, and nobody waits
//! longer than the order's time.

use serde_json::{Value, json};

use crate::cluster::*;

const HOSTS: &str = "select hostname, state, reason, (select count(*) from gaps g where g.host_id = h.host_id
    and g.what = 'host' and g.reason = h.reason) as gaps from hosts h order by hostname";

/// The rows of `hosts`: the first is whole; of the second there is a reason, and a gap that has it.
async fn assert_second_is_lost(file: &std::path::Path, says: &str) {
    let hosts = rows(file, HOSTS).await;
    assert_eq!(hosts[0], json!({ "hostname": "host-a", "state": "complete", "reason": null, "gaps": 0 }));
    let lost = &hosts[1];
    assert_eq!((&lost["hostname"], &lost["gaps"]), (&json!("host-b"), &json!(1)), "{hosts}");
    assert!(lost["state"] != "complete" && lost["reason"].as_str().unwrap().contains(says), "{says}: {lost}");
    let processes = rows(file, "select pid, goroutines, state from processes where state = 'complete'").await;
    assert_eq!(processes, json!([{ "pid": 10, "goroutines": 20, "state": "complete" }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_killed_is_missing_and_the_others_are_there() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    Node::up(data.path(), server.listen, "a", Scripted::new(10, 20)).await;
    let b = Node::up(data.path(), server.listen, "b", Scripted::new(11, 20).hanging(Hangs::Frozen)).await;
    let file = out.path().join("s.db");
    let mut client = start(command(server.http, &["snapshot", "--all", "-o", text(&file)]));
    client.until("frozen  b");
    b.kill();
    let (code, said) =
        tokio::task::spawn_blocking(move || (client.end(), client.said.clone())).await.unwrap();
    assert_eq!(code, Some(10), "{said}");
    assert!(said.contains("lost    b: its connection was lost"), "{said}");
    assert!(said.contains("something is missing"), "{said}");
    assert_second_is_lost(&file, "its connection was lost").await;
    let failed = rows(&file, "select pid, reason from processes where state = 'failed'").await;
    assert_eq!(failed[0]["pid"], 11);
    let nodes = json(server.http, &["nodes"]).await;
    assert_eq!(nodes["nodes"].as_array().unwrap().len(), 1, "{nodes}");
    server.stop().await;
}

/// Each phase with a server of its own, all at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_in_any_phase_costs_its_own_part() {
    let in_time = "it was not done when the order's time of 4s was over";
    let each = [
        (Hangs::Preparing, "4s", "it did not say within 2s which of its processes fit"),
        (Hangs::Armed, "4s", in_time),
        (Hangs::Frozen, "4s", in_time),
        // Others wait behind it, so that it is given up before the order's time is over.
        (Hangs::Sending, "10m", "its result could not be fetched in 3 tries: nothing came for 5s"),
    ];
    let each = each.map(|(hangs, within, says)| tokio::spawn(hang(hangs, within, says)));
    for task in each {
        task.await.unwrap();
    }
}

async fn hang(hangs: Hangs, within: &str, says: &str) {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    Node::up(data.path(), server.listen, "b", Scripted::new(11, 20).hanging(hangs)).await;
    // Alone: no file.
    let alone = out.path().join("alone.db");
    let order = ["snapshot", "--all", "--within", "2s", "-o", text(&alone)];
    let (code, _, said) = run(server.http, &order).await;
    // Who does not say what it has is not reached; who does has used up the order's time.
    let expected = if hangs == Hangs::Preparing { 12 } else { 11 };
    assert_eq!(code, expected, "{hangs:?}: {said}");
    assert!(said.contains("error: ") && said.contains("help:") && !alone.exists(), "{hangs:?}: {said}");

    Node::up(data.path(), server.listen, "a", Scripted::new(10, 20)).await;
    Node::up(data.path(), server.listen, "c", Scripted::new(12, 20)).await;
    let file = out.path().join("s.db");
    let order = ["snapshot", "--all", "--json", "--within", within, "-o", text(&file)];
    let (code, printed, said) = run(server.http, &order).await;
    assert_eq!(code, 10, "{hangs:?}: {said}");
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&report["complete"], &report["goroutines"]), (&json!(false), &json!(40)), "{report}");
    let whole =
        rows(&file, "select pid, goroutines from processes where state = 'complete' order by pid").await;
    assert_eq!(whole, json!([{ "pid": 10, "goroutines": 20 }, { "pid": 12, "goroutines": 20 }]));
    let gaps = rows(
        &file,
        "select distinct hostname, g.reason from gaps g join hosts using (host_id)
        where g.what in ('host', 'process')",
    )
    .await;
    assert_eq!(gaps, json!([{ "hostname": "host-b", "reason": says }]), "{hangs:?}");
    // Nothing of it is left that would be in the way of the next one.
    let next = json(server.http, &["snapshot", "--host", "a", "-o", text(&alone)]).await;
    assert_eq!(next["complete"], true, "{hangs:?}: {next}");
    assert_eq!(snapshots(data.path()).len(), 2);
    server.stop().await;
}

/// Its connection lives: its kernel answers for it, but it does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_answers_nothing_is_given_up_long_before_the_order_is() {
    let (data, out) = (folder(), folder());
    let server = serve(data.path()).await;
    Node::up(data.path(), server.listen, "a", Scripted::new(10, 20)).await;
    let _silent = Peer::up(data.path(), server.listen, "b").await;
    let file = out.path().join("s.db");
    let order = ["snapshot", "--all", "--within", "10m", "-o", text(&file)];
    let (code, _, said) = run(server.http, &order).await;
    assert_eq!(code, 10, "{said}");
    assert!(said.contains("lost    b: "), "{said}");
    assert_second_is_lost(&file, "it did not").await;
    server.stop().await;
}
