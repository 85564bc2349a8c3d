//! The policy of a node, by a coordinator that orders what it does not allow.

use std::path::Path;

use serde_json::{Value, json};
use stillframe_tests::cluster::Cluster;
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Kind, Program};
use stillframe_tests::stillframe::{run, run_command};

const POLICY: &str = "max_pause_ms = 4000\nprograms = ['busy-*']\n";

fn rows(file: &Path, sql: &str) -> Vec<Value> {
    let ran = run(&["--json".as_ref(), "sql".as_ref(), file.as_os_str(), sql.as_ref()]);
    assert_eq!(ran.code, Some(0), "{sql}: {}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}", ran.stdout))
}

#[test]
fn an_order_that_breaks_it_is_refused_and_any_other_is_carried_out() {
    let mut cluster = Cluster::start("10.78.4", &["web"]);
    let policy = cluster.folder.path().join("policy.toml");
    std::fs::write(&policy, POLICY).unwrap();
    cluster.nodes[0].kill();
    cluster.nodes[0] = cluster.node_with("web", &["--policy".as_ref(), policy.as_os_str()]);
    cluster.await_nodes();

    let plain = |name: &str| Program::all(name).into_iter().rfind(|p| p.kind == Kind::Normal).unwrap();
    let (_allowed, allowed) = cluster.program("web", &plain("busy"));
    let (_other, other) = cluster.program("web", &plain("still"));
    let order = |arguments: &[&str]| {
        let mut command = cluster.command(&[&["snapshot", "--force"], arguments].concat());
        run_command(command.arg("-o").arg(cluster.file()))
    };
    // Nothing of the order is allowed: there is no file, and the reason is told.
    let ran = order(&["--program", "still-*"]);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    let reason = "the policy of its node does not allow to capture \"still-";
    assert!(ran.stderr.contains(reason) && ran.stderr.contains("only `busy-*`"), "{}", ran.stderr);
    let ran = order(&["--program", "busy-*", "--max-pause", "4001ms"]);
    assert_eq!(ran.code, Some(5), "{}", ran.stderr);
    assert!(ran.stderr.contains("allows a pause of 4000 ms, and 4.001s were ordered"), "{}", ran.stderr);
    assert!(!cluster.file().exists());

    // A part of it is.
    let ran = order(&["--all", "--max-pause", "4s"]);
    assert_eq!(ran.code, Some(10), "{}", ran.stderr);
    let processes = rows(
        &cluster.file(),
        "select substr(program, 1, 5) as program, state, reason like '%policy of its node%' as by_policy,
             pause_ns < 4e9 as short from processes where program like 'busy-%' or program like 'still-%' order by 1",
    );
    assert_eq!(
        processes,
        [
            json!({ "program": "busy-", "state": "complete", "by_policy": null, "short": 1 }),
            json!({ "program": "still", "state": "failed", "by_policy": 1, "short": null }),
        ]
    );
    assert_free(allowed, "after the orders");
    assert_free(other, "after the orders");
}

#[test]
fn a_node_does_not_start_with_a_policy_that_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    std::fs::write(&policy, "\nprogramms = ['shop']").unwrap();
    let arguments = ["node", "--coordinator", "127.0.0.1:1", "--credentials", "/dev/null", "--policy"];
    let mut arguments: Vec<&std::ffi::OsStr> = arguments.iter().map(AsRef::as_ref).collect();
    arguments.push(policy.as_os_str());
    let ran = run(&arguments);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let expected = "policy.toml:2:1: unknown key `programms`; did you mean `programs`?";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
}
