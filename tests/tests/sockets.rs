//! The sockets of a process against what the kernel itself says of them, through `ss` of iproute2: in a network namespace of
//! their own, of all kinds and in all states that stay (`tests/programs/sockets`).

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use stillframe_tests::captured::rows;
use stillframe_tests::hosts::{Hosts, Within};
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Program, Running};
use stillframe_tests::stillframe::{binary, isolate, run, run_command};

/// A program in a new network namespace that has a loopback device.
fn in_namespace(program: &Program) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up && exec \"$0\""]).arg(&program.path);
    command
}

/// In the network namespace of another process.
fn beside(pid: u32, program: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--target", &pid.to_string(), "--net"]).arg(program);
    command
}

fn snapshot(pids: &[u32], file: &Path) {
    let mut arguments = vec!["snapshot".to_owned(), "--max-pause".into(), "5s".into()];
    for pid in pids {
        arguments.extend(["--pid".into(), pid.to_string()]);
    }
    arguments.extend(["-o".into(), file.to_str().expect("a plain name").to_owned()]);
    let ran = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for pid in pids {
        assert_free(*pid, "after the capture");
    }
}

/// What both sides say of one descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    inode: u64,
    protocol: String,
    state: String,
    local: String,
    remote: String,
    /// Of unix sockets.
    peer_inode: Option<u64>,
    /// `None` for the kernel's own listeners of MPTCP, of which `ss` gives another one.
    cookie: Option<u64>,
    receive: u64,
    send: u64,
}

/// By descriptor of the process, of all kinds that a snapshot has.
fn kernel(pid: u32) -> BTreeMap<u64, Told> {
    let output = beside(pid, Path::new("ss")).args(["-H", "-O", "-tuxnaep"]).output().expect("ss runs");
    assert!(output.status.success(), "ss: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("names are plain");
    let mut all = BTreeMap::new();
    for line in text.lines() {
        let Some((sides, more)) = line.split_once("users:((") else { continue };
        let (users, more) = more.split_once("))").expect("users end");
        let told = told(sides, more);
        for user in users.split("),(") {
            if let Some(fd) = user.split_once(&format!(",pid={pid},fd=")).map(|(_, fd)| fd) {
                all.insert(fd.parse().expect("a descriptor is a number"), told.clone());
            }
        }
    }
    all
}

fn told(sides: &str, more: &str) -> Told {
    let words: Vec<&str> = sides.split_whitespace().collect();
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|_| panic!("{text}: no number in {sides}"));
    let field = |name: &str| more.split_whitespace().find_map(|word| word.strip_prefix(name));
    let mut told = Told {
        inode: 0,
        protocol: match words[0] {
            "u_str" => "stream",
            "u_dgr" => "datagram",
            "u_seq" => "seqpacket",
            other => other,
        }
        .to_owned(),
        state: match words[1] {
            "ESTAB" => "established".to_owned(),
            "UNCONN" => "unconnected".to_owned(),
            other => other.to_lowercase().replace("-wait", " wait").replace("wait-", "wait "),
        },
        local: String::new(),
        remote: String::new(),
        peer_inode: None,
        cookie: field("sk:").map(|cookie| u64::from_str_radix(cookie, 16).expect("hexadecimal")),
        receive: number(words[2]),
        send: number(words[3]),
    };
    if words[0].starts_with("u_") {
        // Name and inode of each side; a name may have spaces.
        let [peer_inode, _, inode] = [1, 2, 3].map(|back| words[words.len() - back]);
        told.inode = number(inode);
        told.peer_inode = Some(number(peer_inode)).filter(|inode| *inode != 0);
        told.cookie = None;
        let name = words[4..words.len() - 3].join(" ");
        told.local = if name == "*" { String::new() } else { name };
    } else {
        told.inode = number(field("ino:").expect("it has an inode"));
        told.local = address(words[4]).map(|address| address.to_string()).expect("it is bound");
        told.remote = address(words[5]).map(|address| address.to_string()).unwrap_or_default();
    }
    told
}

/// `*` is all addresses of both kinds; a port of `*` is none.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.rsplit_once(':').expect("an address has a port");
    let ip = match ip.trim_start_matches('[').trim_end_matches(']') {
        "*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ip => ip.parse().unwrap_or_else(|_| panic!("{text} is no address")),
    };
    Some(SocketAddr::new(ip.to_canonical(), port.parse().ok()?))
}

/// The same of a snapshot.
fn captured(file: &Path, pid: u32) -> BTreeMap<u64, Told> {
    let query = format!("select s.* from sockets s join processes using (process_id) where pid = {pid}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows(file, &query)
        .into_iter()
        .map(|row| {
            let is_unix = row["family"] == "unix";
            let told = Told {
                inode: row["inode"].as_u64().expect("it has an inode"),
                protocol: text(&row["protocol"]),
                state: text(&row["state"]),
                local: text(&row["local"]),
                // Of a unix socket ss does not tell the name of the other end.
                remote: if is_unix { String::new() } else { text(&row["remote"]) },
                peer_inode: row["peer_inode"].as_u64(),
                cookie: row["cookie"].as_u64().filter(|_| !is_unix),
                receive: row["receive_queue_bytes"].as_u64().expect("it has a queue"),
                send: row["send_queue_bytes"].as_u64().expect("it has a queue"),
            };
            (row["fd"].as_u64().expect("it has a descriptor"), told)
        })
        .collect()
}

fn names(file: &Path, query: &str) -> Vec<String> {
    rows(file, query).iter().map(|row| row["x"].as_str().unwrap_or("NULL").to_owned()).collect()
}

#[test]
fn sockets_are_what_the_kernel_says() {
    for program in Program::some("sockets") {
        let folder = tempfile::tempdir().unwrap();
        let running = Running::start(in_namespace(&program).env("SOCKETS_FOLDER", folder.path()), None);
        let pid = running.pid();
        let file = folder.path().join("s.db");
        let before = kernel(pid);
        snapshot(&[pid], &file);
        assert_eq!(kernel(pid), before, "{program}: it is to hold still");
        let found = captured(&file, pid);
        assert!(before.len() > 30, "{program}: {} sockets", before.len());
        for (fd, told) in &before {
            assert_eq!(found.get(fd), Some(told), "{program}: descriptor {fd}");
        }
        assert_eq!(found.len(), before.len(), "{program}");
        // Each kind of trap is there.
        for query in [
            "state = 'listen' and receive_queue_bytes = 2",
            "state = 'fin wait 2' and receive_queue_bytes = 10",
            "state = 'close wait'",
            "family = 'ipv4' and local like '127.0.0.1:%' and receive_queue_bytes = 7",
            "family = 'ipv6' and state = 'established' and receive_queue_bytes = 13",
            "protocol = 'udp' and state = 'unconnected' and receive_queue_bytes > 0",
            "protocol = 'stream' and local like '%/a socket' and receive_queue_bytes = 11",
            "protocol = 'seqpacket' and remote like '%/packets' and peer_inode is not null",
            "protocol = 'datagram' and remote like '%/datagrams'",
            "protocol = 'stream' and local like '@stillframe-sockets-%' and state = 'listen'",
        ] {
            let found = rows(&file, &format!("select 1 from sockets where {query}"));
            assert!(!found.is_empty(), "{program}: none with {query}");
        }
        // One that is not bound, and two that both ends have closed: the kernel has none of them in a table.
        let gap = names(&file, "select reason as x from gaps where what = 'sockets'").concat();
        assert!(gap.starts_with("3 sockets are in no table of network namespace "), "{program}: {gap}");
        assert_eq!(names(&file, "select state as x from processes"), ["complete"]);
        // Both ends are the process's own, or nobody's yet.
        let others = "select peer_description as x from sockets where peer_description is not null";
        assert_eq!(names(&file, others), [""; 0], "{program}");
        waits_lead_to_sockets(&file, &program);
    }
}

/// From a goroutine to its socket, and to the pipe that is none.
fn waits_lead_to_sockets(file: &Path, program: &Program) {
    let joined = "select s.local || ' ' || s.remote as x from waits w join goroutines g using (goroutine_id) \
                  join sockets s on s.process_id = g.process_id and s.fd = w.detail ->> '$.fd' \
                  where w.kind = 'net read'";
    let client = "select local || ' ' || remote as x from sockets s where exists (select 1 from sockets o where \
                  o.receive_queue_bytes = 7 and o.local = s.remote and o.remote = s.local)";
    let found = names(file, joined);
    assert_eq!(found, names(file, client), "{program}");
    assert_eq!(found.len(), 1, "{program}");
    let files = "select w.detail ->> '$.file' as x from waits w where w.detail ->> '$.file' is not null";
    let files = names(file, files);
    assert!(files.len() == 1 && files[0].starts_with("pipe:["), "{program}: {files:?}");
}

#[test]
fn equal_addresses_of_two_namespaces_stay_apart_and_peers_have_names() {
    let program = Program::some("sockets").pop().expect("it is built");
    let folder = tempfile::tempdir().unwrap();
    let address = "127.0.0.1:7007";
    let server = || Running::start(in_namespace(&program).env("SOCKETS_LISTEN", address), None);
    let servers = [server(), server()];
    let client = |server: &Running| {
        Running::start(beside(server.pid(), &program.path).env("SOCKETS_DIAL", address), None)
    };
    let clients = servers.each_ref().map(client);
    let file = folder.path().join("s.db");
    let pids: Vec<u32> = servers.iter().chain(&clients).map(Running::pid).collect();
    snapshot(&pids, &file);
    let found = rows(
        &file,
        "select pid, netns, local, remote, peer_description from sockets s \
                             join processes using (process_id) where s.state = 'established'",
    );
    let by_pid: HashMap<u64, &Value> = found.iter().map(|row| (row["pid"].as_u64().unwrap(), row)).collect();
    assert_eq!((found.len(), by_pid.len()), (4, 4), "{found:?}");
    let name = program.path.file_name().unwrap().to_str().unwrap();
    for (server, client) in servers.iter().zip(&clients) {
        let ends = [server, client].map(|end| by_pid[&u64::from(end.pid())]);
        for (end, other) in [(ends[0], client), (ends[1], server)] {
            assert_eq!(end["peer_description"], format!("{name} (pid {})", other.pid()));
            let own = std::fs::read_link(format!("/proc/{}/ns/net", server.pid())).unwrap();
            assert_eq!(format!("net:[{}]", end["netns"]), own.to_str().unwrap());
        }
        assert_eq!((&ends[0]["local"], &ends[0]["remote"]), (&ends[1]["remote"], &ends[1]["local"]));
    }
    assert_ne!(by_pid[&u64::from(pids[0])]["netns"], by_pid[&u64::from(pids[1])]["netns"]);
    let boots = names(&file, "select boot_id as x from hosts");
    assert_eq!(boots, [std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim_end()]);
}

#[test]
fn who_has_not_accepted_yet_is_named() {
    let program = Program::some("sockets").pop().expect("it is built");
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let running = Running::start(Command::new(&program.path).env("SOCKETS_DIAL", address.to_string()), None);
    let description = |file: &str| {
        let file = folder.path().join(file);
        snapshot(&[running.pid()], &file);
        let query = format!("select peer_description as x from sockets where remote = '{address}'");
        names(&file, &query).pop().expect("it is connected")
    };
    let this = std::env::current_exe().unwrap();
    let this = format!("{} (pid {})", this.file_name().unwrap().to_str().unwrap(), std::process::id());
    assert_eq!(description("waiting.db"), format!("not accepted yet by {this}"));
    let _accepted = listener.accept().unwrap();
    assert_eq!(description("accepted.db"), this);
}

/// Of a connection to an address that is translated, each end learns what the other one sees.
#[test]
fn translated_addresses_are_those_of_the_other_end() {
    let program = Program::some("sockets").pop().expect("it is built");
    let folder = tempfile::tempdir().unwrap();
    let mut server = Command::new("unshare");
    let rules = "add table ip nat; add chain ip nat out { type nat hook output priority -100; }; \
                 add rule ip nat out tcp dport 7008 dnat to 127.0.0.1:7009";
    let script = "ip link set lo up && nft \"$1\" && exec \"$0\"";
    server.args(["--net", "sh", "-c", script]).arg(&program.path).arg(rules);
    let server = Running::start(server.env("SOCKETS_LISTEN", "127.0.0.1:7009"), None);
    let mut client = beside(server.pid(), &program.path);
    let client = Running::start(client.env("SOCKETS_DIAL", "127.0.0.1:7008"), None);
    let file = folder.path().join("s.db");
    snapshot(&[server.pid(), client.pid()], &file);
    let found = rows(
        &file,
        "select pid, local, remote, translated_local, translated_remote, peer_description from sockets s \
         join processes using (process_id) where s.state = 'established'",
    );
    let of =
        |running: &Running| found.iter().find(|row| row["pid"] == running.pid()).expect("it is connected");
    let pids = [&server, &client].map(Running::pid);
    let (server, client) = (of(&server), of(&client));
    for (end, other) in [(server, pids[1]), (client, pids[0])] {
        let said = end["peer_description"].as_str().expect("it has a name");
        assert!(said.ends_with(&format!(" (pid {other})")), "{said}");
    }
    assert_eq!((&client["remote"], &server["local"]), (&"127.0.0.1:7008".into(), &"127.0.0.1:7009".into()));
    // What it has as its remote address is what the other end has as its local one, and so on.
    for (one, other) in [(client, server), (server, client)] {
        assert_eq!(
            (&one["translated_local"], &one["translated_remote"]),
            (&other["remote"], &other["local"])
        );
    }
}

/// Without the right to enter the namespace it is read from outside, and the gap says what is missing.
#[test]
fn without_the_right_to_enter_a_namespace_its_tables_are_read() {
    let program = Program::some("sockets").pop().expect("it is built");
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(in_namespace(&program).env("SOCKETS_FOLDER", folder.path()), None);
    let pid = running.pid();
    let file = folder.path().join("s.db");
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--"]).arg(binary());
    isolate(&mut command).args(["snapshot", "--max-pause", "5s", "--pid", &pid.to_string(), "-o"]).arg(&file);
    let ran = run_command(&mut command);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_free(pid, "after the capture");
    let gap = names(&file, "select reason as x from gaps where what = 'sockets'").concat();
    assert!(gap.contains("without peers") && gap.contains("grant CAP_SYS_ADMIN"), "{gap}");
    let told: BTreeMap<u64, Told> = kernel(pid);
    let query = "select fd, inode, local, remote, state, receive_queue_bytes, cookie, peer_inode, family from sockets";
    let found = rows(&file, query);
    assert_eq!(found.len(), told.len());
    for row in found {
        let told = &told[&row["fd"].as_u64().expect("it has a descriptor")];
        assert!(row["cookie"].is_null() && row["peer_inode"].is_null(), "{row}");
        let texts = [&row["local"], &row["remote"], &row["state"]].map(|value| value.as_str().unwrap());
        assert_eq!(texts, [&told.local, &told.remote, &told.state].map(String::as_str), "{row}");
        assert_eq!(row["inode"], told.inode);
        let receive = row["receive_queue_bytes"].as_u64();
        assert_eq!(receive, (row["family"] != "unix").then_some(told.receive), "{row}");
    }
}

/// The other end is in another network namespace of the same host, which was not ordered.
#[test]
fn who_is_in_another_namespace_of_the_host_is_named() {
    let program = Program::some("sockets").pop().expect("it is built");
    let folder = tempfile::tempdir().unwrap();
    let hosts = Hosts::make("10.78.12", &["one", "other"]);
    let address = format!("{}:7007", hosts.address("one"));
    let start = |host: &str, variable: &str| {
        Running::start(hosts.command(host, Within::Network, &program.path).env(variable, &address), None)
    };
    let (server, client) = (start("one", "SOCKETS_LISTEN"), start("other", "SOCKETS_DIAL"));
    let name = program.path.file_name().unwrap().to_str().unwrap();
    for (one, other) in [(&server, &client), (&client, &server)] {
        let file = folder.path().join(format!("{}.db", one.pid()));
        snapshot(&[one.pid()], &file);
        let query = "select peer_description as x from sockets where state = 'established'";
        assert_eq!(names(&file, query), [format!("{name} (pid {})", other.pid())]);
    }
}
