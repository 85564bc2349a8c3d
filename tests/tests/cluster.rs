//! One coordinator and three nodes on three hosts, real programs on each: one order, one file; and whatever of it is
//! killed or cut off, no program is harmed, and nothing is half or twice.
//!
//! `STILLFRAME_KILLS` says how often the coordinator is killed.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use stillframe_tests::agent::{is_traced, send, status_field};
use stillframe_tests::cluster::{COORDINATOR, Cluster};
use stillframe_tests::health::Health;
use stillframe_tests::hosts::{Within, child_of};
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Kind, PATIENCE, Program, Running, pause, poll};
use stillframe_tests::stillframe::{RUN_MAX, run, run_command};

const HOSTS: [&str; 3] = ["web", "store", "back"];
const KILLS_DEFAULT: usize = 4;
/// Everything in a program must have gone on by then.
const PROGRESS_MAX: Duration = Duration::from_secs(30);

/// The `busy` program with calls into C, among the processes of one host.
struct Busy {
    _process: Running,
    pid: u32,
    port: u16,
}

impl Busy {
    fn on(cluster: &Cluster, host: &str) -> Busy {
        let program = Program::all("busy").into_iter().rfind(|p| p.kind == Kind::Cgo).unwrap();
        let (process, pid) = cluster.program(host, &program);
        let port = process.ready[1].parse().expect("busy says its port");
        Busy { _process: process, pid, port }
    }

    /// Untraced, not stopped, well, and going on in all of its loads.
    fn assert_well(&self, what: &str) {
        assert_free(self.pid, what);
        let before = Health::of(self.port);
        let goes_on = || Health::of(self.port).stalled_since(&before, true).is_empty().then_some(());
        assert!(poll(PROGRESS_MAX, goes_on).is_some(), "{what}: something stands still since {before:?}");
        let health = Health::of(self.port);
        assert!(health.ok, "{what}: it is not well: {}", health.reason);
    }
}

/// The rows of a query, as JSON objects.
fn rows(file: &Path, sql: &str) -> Vec<Value> {
    let ran = run(&["--json".as_ref(), "sql".as_ref(), file.as_os_str(), sql.as_ref()]);
    assert_eq!(ran.code, Some(0), "{sql}: {}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}", ran.stdout))
}

fn order(cluster: &Cluster) -> std::process::Command {
    let mut command =
        cluster.command(&["snapshot", "--program", "busy-*", "--max-pause", "5s", "--force", "-o"]);
    command.arg(cluster.file());
    command
}

#[test]
fn one_order_three_hosts_one_file() {
    let mut cluster = Cluster::start("10.78.1", &HOSTS);
    let programs: Vec<Busy> = HOSTS.iter().map(|host| Busy::on(&cluster, host)).collect();
    let ran = run_command(&mut order(&cluster));
    println!("{}", ran.stderr);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for phase in ["order", "prepare 3 nodes", "ready", "arm", "frozen", "read", "stream", "written", "commit"]
    {
        assert!(ran.stderr.lines().any(|line| line.starts_with(phase)), "no {phase}: {}", ran.stderr);
    }
    let hosts = rows(&cluster.file(), "select hostname, state from hosts order by 1");
    let complete = |host: &str| json!({ "hostname": host, "state": "complete" });
    assert_eq!(hosts, ["back", "store", "web"].map(complete));
    let processes = rows(
        &cluster.file(),
        "select state, pause_ns > 0 as stopped, goroutines > 20 as many from processes",
    );
    assert_eq!(processes, vec![json!({ "state": "complete", "stopped": 1, "many": 1 }); HOSTS.len()]);
    let listed = cluster.run(&["snapshots", "--json"]);
    let id = rows(&cluster.file(), "select * from snapshot")[0]["id"].as_str().unwrap().to_owned();
    assert!(listed.stdout.contains(&id), "{id}: {}", listed.stdout);
    assert_eq!(cluster.kept(), [format!("{id}.db")]);
    programs.iter().for_each(|program| program.assert_well("after the snapshot"));

    for node in &mut cluster.nodes {
        let all = |pid: u32, set: &str| status_field(&pid.to_string(), set).unwrap();
        for set in ["CapEff", "CapPrm", "CapInh", "CapAmb", "CapBnd"] {
            assert_eq!(all(node.pid, set), "0".repeat(16), "{set} of the node");
        }
        assert_eq!(all(node.pid, "NoNewPrivs"), "1");
        // CAP_DAC_READ_SEARCH, CAP_SYS_PTRACE and CAP_SYS_ADMIN (include/uapi/linux/capability.h).
        let freezer = child_of(node.pid);
        // The last one is in force only where it is used.
        assert_eq!(all(freezer, "CapEff"), format!("{:016x}", 1 << 2 | 1 << 19), "of the freezer");
        assert_eq!(all(freezer, "CapPrm"), format!("{:016x}", 1 << 2 | 1 << 19 | 1 << 21), "of the freezer");
        // A node without its freezer is of no use, and has no privilege to start another one.
        send(freezer, Signal::SIGKILL);
        assert_eq!(node.wait().code(), Some(1));
        assert!(node.log().contains("killed by signal 9"), "{}", node.log());
    }
}

/// Waits for its end.
fn end_of(mut client: Child) -> (Option<i32>, String) {
    let ended = poll(PATIENCE.max(RUN_MAX), || client.try_wait().expect("it is our child"));
    let _ = client.kill();
    let output = client.wait_with_output().expect("its output is piped");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(ended.is_some(), "the client hangs: {said}");
    (ended.and_then(|status| status.code()), said)
}

#[test]
fn a_killed_coordinator_harms_no_program_and_leaves_nothing_half() {
    let kills: usize = match std::env::var("STILLFRAME_KILLS") {
        Ok(number) => number.parse().unwrap_or_else(|e| panic!("STILLFRAME_KILLS={number}: {e}")),
        Err(_) => KILLS_DEFAULT,
    };
    let mut cluster = Cluster::start("10.78.2", &["web", "store"]);
    let programs = [Busy::on(&cluster, "web"), Busy::on(&cluster, "store")];
    let began = Instant::now();
    let first = run_command(&mut order(&cluster));
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let (mut while_frozen, mut fetched, mut told, mut snapshots) = (0, 0, 0, 1);
    for i in 0..kills {
        let what = format!("the coordinator killed, number {i}");
        let _ = std::fs::remove_file(cluster.file());
        let mut command = order(&cluster);
        let client = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let until = Instant::now() + first.took.mul_f64(i as f64 / kills as f64);
        while Instant::now() < until {
            std::thread::yield_now();
        }
        // Every other one while a program stands still, if one is met.
        if i % 2 == 1 {
            let until = Instant::now() + first.took;
            while Instant::now() < until && !programs.iter().any(|p| is_traced(p.pid)) {}
        }
        while_frozen += usize::from(programs.iter().any(|p| is_traced(p.pid)));
        cluster.coordinator.kill();
        programs.iter().for_each(|program| assert_free(program.pid, &what));
        cluster.restart_coordinator();
        cluster.await_nodes();
        let (code, said) = end_of(client);
        match code {
            Some(0 | 10) => {
                fetched += 1;
                let whole = rows(&cluster.file(), "pragma quick_check");
                assert_eq!(whole, [json!({ "quick_check": "ok" })], "{what}");
            }
            Some(12) => {
                told += 1;
                assert!(!cluster.file().exists(), "{what}: there is a file");
            }
            code => panic!("{what}: {code:?}: {said}\n{}", cluster.coordinator.log()),
        }
        let kept = cluster.kept();
        assert!(kept.iter().all(|name| name.ends_with(".db") && !name.starts_with('.')), "{what}: {kept:?}");
        // One order, at most one snapshot; one that was fetched is there.
        let more = kept.len() - snapshots;
        assert!(more <= 1 && (more == 1 || code == Some(12)), "{what}: {code:?}, {more} more: {said}");
        snapshots = kept.len();
        if i % 10 == 9 {
            programs.iter().for_each(|program| program.assert_well(&what));
        }
    }
    programs.iter().for_each(|program| program.assert_well("at the end"));
    println!(
        "the coordinator was killed {kills} times in {:.0} s, {while_frozen} of them while a program stood still; {fetched} \
         clients got their snapshot from the next one, {told} were told that it is unreachable",
        began.elapsed().as_secs_f64()
    );
    assert!(fetched > 0, "no client got its snapshot");
}

#[test]
fn a_host_that_is_cut_off_is_missing_with_a_reason_and_comes_back() {
    let cluster = Cluster::start("10.78.3", &["web", "store"]);
    let programs = [Busy::on(&cluster, "web"), Busy::on(&cluster, "store")];
    let link = |state: &str| {
        let mut command = cluster.hosts.command(COORDINATOR, Within::Network, "ip");
        let ran = run_command(command.args(["link", "set", "to-web", state]));
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    };
    let mut command = order(&cluster);
    let client = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    link("down");
    let (code, said) = end_of(client);
    programs.iter().for_each(|program| assert_free(program.pid, "after the order"));
    if code == Some(10) {
        let lost = rows(&cluster.file(), "select hostname, reason from hosts where state <> 'complete'");
        assert_eq!(lost.len(), 1, "{lost:?}: {said}");
        assert_eq!(lost[0]["hostname"], "web");
        let reasons = ["its connection was lost", "it did not say within"];
        let reason = lost[0]["reason"].as_str().unwrap();
        assert!(reasons.iter().any(|known| reason.starts_with(known)), "{lost:?}");
    } else {
        // The order was faster than the cut.
        assert_eq!(code, Some(0), "{said}");
    }
    link("up");
    cluster.await_nodes();
    pause(Duration::from_millis(100));
    let ran = run_command(&mut order(&cluster));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    programs.iter().for_each(|program| program.assert_well("at the end"));
}
