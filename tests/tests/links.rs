//! Links between processes: for every one that is in flight, the id that the client has sent and the one that the server has got
//! agree, whatever the connection. How many calls are linked is counted, and what is not says why. See `tests/programs/traffic`.
//!
//! `STILLFRAME_LINK_SNAPSHOTS` is how many snapshots are taken of each build under load.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use serde_json::Value;
use stillframe_tests::captured::rows;
use stillframe_tests::hosts::{Hosts, Within};
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Kind, PATIENCE, Program, Running, poll};
use stillframe_tests::stillframe::run;

const SNAPSHOTS_DEFAULT: usize = 5;
/// Of 100 calls that are served, in snapshots whose processes stood still at once.
const RECALL_MIN: usize = 90;

/// What tells which call it is, and is no part of what calls are linked by.
const IDS: &str = r#"
[[probe]]
name = "client_id"
function = "main.drive.func*"
capture = ["id"]

[[probe]]
name = "server_id"
function = "main.(*clinic).{Check,Watch}"
capture = [{ as = "id", expr = ["id", "request.Service"] }]

[[probe]]
name = "client_header"
function = "net/http.{send,(*Transport).roundTrip,(*persistConn).roundTrip}"
capture = [{ as = "id", expr = ['req.Header["X-Id"][0]', 'ireq.Header["X-Id"][0]', 'req.Request.Header["X-Id"][0]'] }]

[[probe]]
name = "server_header"
function = "net/http.(*conn).serve"
capture = [{ as = "id", expr = 'c.curReq.Load().req.Header["X-Id"][0]' }]
"#;

/// What is in flight, with the ids of both ends.
const IN_FLIGHT: &str = "
with clients as (select goroutine_id, max(id) as id from (
         select goroutine_id, id from probe_client_id union all select goroutine_id, id from probe_client_header)
         group by goroutine_id),
     servers as (select goroutine_id, max(id) as id from (
         select goroutine_id, id from probe_server_id union all select goroutine_id, id from probe_server_header)
         group by goroutine_id)
select l.protocol, l.confidence, c.id as client, s.id as server, e.method, cp.pid as client_pid, sp.pid as server_pid, l.evidence
from links l
join goroutines cg on cg.goroutine_id = l.client_goroutine_id
join processes cp on cp.process_id = cg.process_id
join goroutines sg on sg.goroutine_id = l.server_goroutine_id
join processes sp on sp.process_id = sg.process_id
join endpoints e on e.endpoint_id = l.server_endpoint_id
left join clients c on c.goroutine_id = l.client_goroutine_id
left join servers s on s.goroutine_id = l.server_goroutine_id
where l.state = 'in flight'";

/// Each end has a link or a reason, and not both.
const UNEXPLAINED: &str = "
select e.endpoint_id, e.role, e.protocol, e.unmatched
from endpoints e
where (e.unmatched is null) <> exists (
    select 1 from links l where l.client_endpoint_id = e.endpoint_id or l.server_endpoint_id = e.endpoint_id)";

#[test]
fn what_the_client_has_sent_is_what_the_server_has_got() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::env::var("STILLFRAME_LINK_SNAPSHOTS")
        .ok()
        .map_or(SNAPSHOTS_DEFAULT, |text| text.parse().expect("STILLFRAME_LINK_SNAPSHOTS is a number"));
    for program in Program::some("traffic").iter().filter(|program| program.kind != Kind::NoDebugInfo) {
        let record = folder.path().join("record");
        let mut server = Running::start(program.command().arg("serve").arg(&record), None);
        let mut client = Running::start(program.command().arg("drive").args(&server.ready[1..4]), None);
        let mut seen = Seen::default();
        for _ in 0..count {
            let file = snapshot(program, folder.path(), &[server.pid(), client.pid()]);
            seen.look(&file);
        }
        for running in [&server, &client] {
            assert_free(running.pid(), &program.to_string());
        }
        end(&mut client);
        end(&mut server);
        seen.report(program);
        for protocol in ["http1", "http2", "grpc"] {
            let of = &seen.links[protocol];
            assert!(
                of.known >= 2 * count,
                "{program}: {protocol}: only {} links could be compared",
                of.known
            );
        }
        assert!(seen.recall.1 > 10 * count, "{program}: {:?}", seen.recall);
        assert!(100 * seen.recall.0 >= RECALL_MIN * seen.recall.1, "{program}: {:?}", seen.recall);
    }
}

#[test]
fn idle_connections_are_idle_and_a_unix_socket_is_linked() {
    let folder = tempfile::tempdir().unwrap();
    for program in Program::some("traffic") {
        let record = folder.path().join("record");
        let server = Running::start(program.command().arg("serve").arg(&record), None);
        let client = Running::start(program.command().arg("idle").args(&server.ready[1..5]), None);
        let file = snapshot(&program, folder.path(), &[server.pid(), client.pid()]);
        let query = "select l.state, l.protocol, l.client_goroutine_id is not null as has_client, cp.pid as client, \
                     json_extract(l.evidence, '$.server_socket.local') as at \
                     from links l left join goroutines g on g.goroutine_id = l.client_goroutine_id \
                     left join processes cp on cp.process_id = g.process_id order by l.state, at";
        let links = rows(&file, query);
        let idle: Vec<&Value> = links.iter().filter(|link| link["state"] == "idle").collect();
        // HTTP/1.1, h2c, HTTP/2 and gRPC, one connection each; roles are known by who listens.
        let at: BTreeSet<&str> = idle.iter().filter_map(|link| link["at"].as_str()).collect();
        let listening: BTreeSet<&str> = server.ready[1..4].iter().map(String::as_str).collect();
        assert_eq!(at, listening, "{program}: {links:?}");
        assert_eq!(idle.len(), 4, "{program}: {links:?}");
        assert!(idle.iter().all(|link| link["client"] == client.pid()), "{program}: {links:?}");
        let others: Vec<&Value> = links.iter().filter(|link| link["state"] != "idle").collect();
        let edges = rows(&file, "select kind, confidence from waits_for");
        if program.kind == Kind::NoDebugInfo {
            // Its client's connection is not known: nothing is guessed.
            assert!(others.is_empty() && edges.is_empty(), "{program}: {others:?}");
        } else {
            assert_eq!(others.len(), 1, "{program}: {others:?}");
            assert_eq!(others[0]["at"], server.ready[4].as_str(), "{program}: {others:?}");
            assert_eq!(edges, [serde_json::json!({ "kind": "http1", "confidence": "certain" })], "{program}");
            let request = rows(&file, "select method, client_program from requests_in_flight");
            assert_eq!(request.len(), 1, "{program}: {request:?}");
            assert_eq!(request[0]["method"], "POST /work/long-unix/600000", "{program}");
            assert!(request[0]["client_program"].is_string(), "{program}: {request:?}");
            tree(&file, &program);
        }
        nothing(&file, UNEXPLAINED, &program.to_string());
    }
}

/// What the command line shows of the same.
fn tree(file: &Path, program: &Program) {
    let path = file.to_str().unwrap();
    let ran = run(&["links", path]);
    assert_eq!(ran.code, Some(0), "{program}: {}", ran.stderr);
    assert!(
        ran.stdout.contains("    POST /work/long-unix/600000 [http1, in flight, certain"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("idle"), "{program}: {}", ran.stdout);
    let ran = run(&["links", path, "--all"]);
    assert_eq!(ran.stdout.matches(", idle, ").count(), 4, "{program}: {}", ran.stdout);
    let ran = run(&["links", path, "--json"]);
    let said: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(said["links"].as_array().map(Vec::len), Some(1), "{program}: {said}");
    assert_eq!(said["links"][0]["evidence"]["same_method"], true, "{program}: {said}");
}

#[test]
fn the_next_call_on_a_connection_is_not_the_one_that_is_served() {
    let folder = tempfile::tempdir().unwrap();
    for program in Program::some("traffic") {
        let mut both = Running::start(program.command().arg("traps"), None);
        let file = snapshot(&program, folder.path(), &[both.pid()]);
        end(&mut both);
        let links = rows(&file, IN_FLIGHT);
        if program.kind == Kind::NoDebugInfo {
            assert!(links.is_empty(), "{program}: {links:?}");
        } else {
            let ids: Vec<(&str, &str)> = links
                .iter()
                .map(|link| (link["client"].as_str().unwrap_or("?"), link["server"].as_str().unwrap_or("?")))
                .collect();
            // That one is true: its handler waits for a body that its client does not send.
            assert_eq!(ids, [("/continued-1", "/continued-1")], "{program}: {links:?}");
            let unread = rows(
                &file,
                "select e.method from links l join endpoints e on e.endpoint_id = l.client_endpoint_id \
                 where l.state = 'unread' and l.server_goroutine_id is null order by 1",
            );
            let methods: Vec<&str> = unread.iter().filter_map(|row| row["method"].as_str()).collect();
            assert_eq!(methods, ["GET /runs-on"], "{program}");
            // Who has hijacked a connection serves one that is not known.
            let query = "select unmatched from endpoints where role = 'client' and method = 'GET /hijacked'";
            let said: Vec<String> =
                rows(&file, query).iter().map(|row| row["unmatched"].to_string()).collect();
            assert!(said.len() == 1 && said[0].contains("may serve it"), "{program}: {said:?}");
        }
        nothing(&file, UNEXPLAINED, &program.to_string());
    }
}

/// The same loopback and the same private address, the same ports of the servers and of few clients: two of everything.
#[test]
fn hosts_with_the_same_addresses_are_not_taken_for_each_other() {
    const PRIVATE: &str = "10.99.0.1";
    let program = Program::some("traffic").into_iter().find(|program| program.kind != Kind::NoDebugInfo);
    let program = program.expect("traffic is built");
    let folder = tempfile::tempdir().unwrap();
    let names = ["one", "two"];
    let hosts = Hosts::make("10.78.8", &names);
    let mut all = Vec::new();
    let mut host_of: BTreeMap<i64, &str> = BTreeMap::new();
    for name in names {
        let set_up = format!(
            "ip address add {PRIVATE}/32 dev lo; echo 40000 40031 > /proc/sys/net/ipv4/ip_local_port_range"
        );
        let status = hosts.command(name, Within::Network, "sh").args(["-c", &set_up]).status();
        assert!(status.expect("sh runs").success(), "{name}: {set_up}");
        for (address, port) in [("127.0.0.1", "7001"), (PRIVATE, "7101")] {
            let record = folder.path().join(format!("{name}-{port}"));
            let command = || hosts.command(name, Within::Network, &program.path);
            let server = Running::start(command().arg("serve").arg(&record).args([address, port]), None);
            let client = Running::start(command().arg("drive").args(&server.ready[1..4]), None);
            host_of.insert(server.pid().into(), name);
            host_of.insert(client.pid().into(), name);
            all.extend([server, client]);
        }
    }
    let pids: Vec<u32> = all.iter().map(Running::pid).collect();
    let mut seen = Seen::default();
    for _ in 0..2 {
        let file = snapshot(&program, folder.path(), &pids);
        let shared = "select count(*) as pairs from sockets a join sockets b on a.local = b.local and a.remote = b.remote \
                      and a.netns < b.netns and a.remote <> ''";
        println!("{program}: equal addresses in both: {}", rows(&file, shared)[0]["pairs"]);
        for link in seen.look(&file) {
            let host = |of: &str| host_of[&link[of].as_i64().expect("a pid")];
            assert_eq!(host("client_pid"), host("server_pid"), "{link}");
        }
    }
    seen.report(&program);
    assert!(seen.links.values().map(|of| of.known).sum::<usize>() > 0, "nothing was linked");
    for running in &mut all {
        assert_free(running.pid(), "at the end");
    }
}

/// Between client and server there is nginx, which is no target: the sockets of one say nothing of those of the other.
#[test]
fn calls_through_a_proxy_are_linked_by_their_trace() {
    let installed = Command::new("nginx").arg("-v").stderr(Stdio::null()).status();
    installed.expect("nginx is needed: install the package nginx-light");
    let folder = tempfile::tempdir().unwrap();
    for program in Program::some("traffic").iter().filter(|program| program.kind != Kind::NoDebugInfo) {
        let record = folder.path().join("record");
        let mut server = Running::start(program.command().arg("serve").arg(&record), None);
        let (mut proxy, address) = nginx(folder.path(), &server.ready[1]);
        let mut ends = server.ready[1..4].to_vec();
        ends[0] = address;
        let mut client = Running::start(program.command().arg("drive").args(&ends).arg("http1"), None);
        let mut seen = Seen::default();
        for _ in 0..3 {
            let file = snapshot(program, folder.path(), &[server.pid(), client.pid()]);
            for link in seen.look(&file) {
                assert_eq!(link["confidence"], "likely", "{link}");
                let evidence: Value =
                    serde_json::from_str(link["evidence"].as_str().expect("evidence")).expect("JSON");
                assert!(evidence["trace"].is_string() && evidence["client_socket"].is_null(), "{link}");
            }
        }
        end(&mut client);
        end(&mut server);
        proxy.kill().and_then(|()| proxy.wait()).expect("nginx is ended");
        seen.report(program);
        assert!(seen.links.get("http1").is_some_and(|of| of.known >= 6), "{program}");
        assert!(100 * seen.recall.0 >= RECALL_MIN * seen.recall.1, "{program}: {:?}", seen.recall);
    }
}

/// The client calls ports at which nobody listens: the kernel translates them.
#[test]
fn calls_to_translated_addresses_are_linked_and_never_certain() {
    let program = Program::some("traffic").into_iter().find(|program| program.kind != Kind::NoDebugInfo);
    let program = program.expect("traffic is built");
    let folder = tempfile::tempdir().unwrap();
    let mut rules =
        "add table ip nat; add chain ip nat out { type nat hook output priority -100; };".to_owned();
    for port in [7001, 7002, 7003] {
        rules += &format!(" add rule ip nat out tcp dport {port} dnat to 127.0.0.1:{};", port + 100);
    }
    let mut server = Command::new("unshare");
    server.args(["--net", "sh", "-c", "ip link set lo up && nft \"$1\" && shift && exec \"$0\" \"$@\""]);
    server.arg(&program.path).arg(rules).arg("serve").arg(folder.path().join("record"));
    let mut server = Running::start(server.args(["127.0.0.1", "7101"]), None);
    let mut client = Command::new("nsenter");
    client.args(["--target", &server.pid().to_string(), "--net", "--"]).arg(&program.path).arg("drive");
    let mut client =
        Running::start(client.args(["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"]), None);
    let mut seen = Seen::default();
    for _ in 0..3 {
        let file = snapshot(&program, folder.path(), &[server.pid(), client.pid()]);
        for link in seen.look(&file) {
            assert_eq!(link["confidence"], "likely", "{link}");
            let evidence: Value =
                serde_json::from_str(link["evidence"].as_str().expect("evidence")).expect("JSON");
            assert_eq!(evidence["translated"], true, "{link}");
        }
    }
    end(&mut client);
    end(&mut server);
    seen.report(&program);
    for protocol in ["http1", "http2", "grpc"] {
        assert!(seen.links.get(protocol).is_some_and(|of| of.known >= 6), "{protocol}");
    }
    assert!(100 * seen.recall.0 >= RECALL_MIN * seen.recall.1, "{:?}", seen.recall);
}

/// As it comes, but for its files; and its address.
fn nginx(folder: &Path, to: &str) -> (Child, String) {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.expect("a free port").to_string();
    let path = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {path}/{kind};\n"))
        .concat();
    let configuration = format!(
        "daemon off; master_process off; pid {path}/pid; error_log stderr;
         events {{ worker_connections 256; }}
         http {{ access_log off; {temporary}
                 server {{ listen {address}; location / {{ proxy_pass http://{to}; }} }} }}"
    );
    let file = folder.join("nginx.conf");
    std::fs::write(&file, configuration).unwrap();
    let mut command = Command::new("nginx");
    let child = command.arg("-p").arg(folder).arg("-c").arg(&file).spawn().expect("nginx starts");
    let is_there = || std::net::TcpStream::connect(&address).ok();
    poll(PATIENCE, is_there).expect("nginx listens");
    (child, address)
}

/// What is known of the ends without debug information: their connections, by who reads from them.
#[test]
fn without_debug_information_ends_have_their_connections_and_nothing_is_certain() {
    let folder = tempfile::tempdir().unwrap();
    for program in Program::some("traffic").iter().filter(|program| program.kind == Kind::NoDebugInfo) {
        let record = folder.path().join("record");
        let mut server = Running::start(program.command().arg("serve").arg(&record), None);
        let mut client = Running::start(program.command().arg("drive").args(&server.ready[1..4]), None);
        let mut ends: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for _ in 0..3 {
            let file = snapshot(program, folder.path(), &[server.pid(), client.pid()]);
            let query = "select protocol, count(*) as all_ends, count(socket_id) as with_socket from endpoints \
                         where role = 'server' and source <> 'waits' group by protocol";
            for row in rows(&file, query) {
                let of = ends.entry(row["protocol"].as_str().expect("a protocol").to_owned()).or_default();
                of.0 += row["with_socket"].as_i64().expect("a count");
                of.1 += row["all_ends"].as_i64().expect("a count");
            }
            nothing(&file, "select * from links where confidence <> 'likely'", &program.to_string());
            nothing(&file, "select * from links where state = 'in flight'", &program.to_string());
            nothing(&file, UNEXPLAINED, &program.to_string());
        }
        end(&mut client);
        end(&mut server);
        println!("{program}: {ends:?} servers' ends have their connection");
        for protocol in ["http1", "http2", "grpc"] {
            let (with, all) = ends.get(protocol).copied().unwrap_or_default();
            assert!(all > 0 && 2 * with >= all, "{program}: {protocol}: {with} of {all}");
        }
    }
}

fn snapshot(program: &Program, folder: &Path, pids: &[u32]) -> PathBuf {
    let (ids, file) = (folder.join("ids.toml"), folder.join("s.db"));
    std::fs::write(&ids, IDS).unwrap();
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    let mut arguments = vec!["snapshot", "--max-pause", "5s", "--probes", ids.to_str().unwrap(), "--force"];
    pids.iter().for_each(|pid| arguments.extend(["--pid", pid]));
    arguments.extend(["-o", file.to_str().unwrap()]);
    let ran = run(&arguments);
    assert_eq!(ran.code, Some(0), "{program}: {}", ran.stderr);
    file
}

fn nothing(file: &Path, query: &str, of: &str) {
    let found = rows(file, query);
    assert!(found.is_empty(), "{of}: {found:?}");
}

fn end(running: &mut Running) {
    running.signal(Signal::SIGTERM);
    assert!(running.wait().success(), "it ends well");
}

#[derive(Default)]
struct Of {
    certain: usize,
    likely: usize,
    /// Both ends' ids could be captured.
    known: usize,
}

/// All snapshots of one program.
#[derive(Default)]
struct Seen {
    links: BTreeMap<String, Of>,
    wrong: Vec<String>,
    /// Calls that are served, with a link, and all of them; where the processes stood still at once.
    recall: (usize, usize),
    unmatched: BTreeMap<String, usize>,
}

impl Seen {
    /// Its links in flight.
    fn look(&mut self, file: &Path) -> Vec<Value> {
        nothing(file, UNEXPLAINED, "under load");
        let links = rows(file, IN_FLIGHT);
        for link in &links {
            let protocol = link["protocol"].as_str().expect("a protocol");
            let of = self.links.entry(protocol.to_owned()).or_default();
            match link["confidence"].as_str() {
                Some("certain") => of.certain += 1,
                _ => of.likely += 1,
            }
            let client = link["client"].as_str();
            // Of HTTP the id is in the path: `GET /look/<id>/<ms>`; of gRPC in the message: `<id>/<ms>`.
            let server = match link["server"].as_str() {
                Some(id) => id.split('/').next(),
                None => link["method"]
                    .as_str()
                    .and_then(|method| method.split('/').nth(2))
                    .filter(|_| protocol != "grpc"),
            };
            if let (Some(client), Some(server)) = (client, server) {
                of.known += 1;
                if client != server {
                    self.wrong.push(link.to_string());
                }
            }
        }
        let contradictions = "select method, unmatched from endpoints where unmatched like '%the other end serves %' \
                              and protocol in ('http2', 'grpc')";
        self.wrong.extend(rows(file, contradictions).iter().map(Value::to_string));
        let is_at_once = rows(file, "select consistent_cut as cut from snapshot")[0]["cut"] == 1;
        let ends = "select e.unmatched, exists (select 1 from links l where l.server_endpoint_id = e.endpoint_id) as has_link \
                    from endpoints e where e.role = 'server' and e.source <> 'waits'";
        for end in rows(file, ends) {
            if is_at_once {
                self.recall.1 += 1;
                self.recall.0 += usize::from(end["has_link"] == 1);
            }
            if let Some(reason) = end["unmatched"].as_str() {
                *self.unmatched.entry(reason.to_owned()).or_default() += 1;
            }
        }
        links
    }

    fn report(&self, program: &Program) {
        for (protocol, Of { certain, likely, known }) in &self.links {
            println!(
                "{program}: {protocol:6} {certain:5} certain, {likely:5} likely; of {known} both ids were compared"
            );
        }
        println!("{program}: {} of {} calls that are served have a link", self.recall.0, self.recall.1);
        for (reason, count) in &self.unmatched {
            println!("{program}: {count:5} of others: {reason}");
        }
        assert!(self.wrong.is_empty(), "{program}: {} wrong:\n{}", self.wrong.len(), self.wrong.join("\n"));
    }
}
