//! Servers as Debian builds and ships them: stripped, linked by the system's linker, in a root folder of their own. Their
//! stacks against those that they print themselves (`/debug/pprof/goroutine?debug=2`).

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use stillframe_node::capture::{Captures, Options, Source};
use stillframe_tests::comparison::{Comparison, check_capture, compare_text};
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{PATIENCE, Running, pause, poll};
use stillframe_tests::row;
use stillframe_tests::stillframe::{dump, freezer, snapshot};
use stillframe_tests::table::table;
use stillframe_tests::traceback::{Goroutine, Traceback};

/// A server of a package, as `tools/debian-programs.sh` unpacks it.
struct Server {
    /// `prometheus-trixie`.
    folder: &'static str,
    program: &'static str,
    /// `{port}` and `{other}` stand for free ports, `{data}` for a folder.
    arguments: &'static [&'static str],
    /// Fewer goroutines would be a server that does not serve.
    goroutines_min: usize,
}

const SERVERS: [Server; 7] = [
    Server {
        folder: "prometheus-trixie",
        program: "/usr/bin/prometheus",
        arguments: &[
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path={data}",
            "--web.listen-address=127.0.0.1:{port}",
        ],
        goroutines_min: 25,
    },
    Server {
        folder: "caddy-trixie",
        program: "/usr/bin/caddy",
        arguments: &["run", "--config", "{data}/caddy.json"],
        goroutines_min: 6,
    },
    Server {
        folder: "caddy-sid",
        program: "/usr/bin/caddy",
        arguments: &["run", "--config", "{data}/caddy.json"],
        goroutines_min: 6,
    },
    Server {
        folder: "etcd-server-trixie",
        program: "/usr/bin/etcd",
        arguments: &[
            "--enable-pprof",
            "--data-dir={data}/etcd",
            "--listen-client-urls=http://127.0.0.1:{port}",
            "--advertise-client-urls=http://127.0.0.1:{port}",
            "--listen-peer-urls=http://127.0.0.1:{other}",
            "--initial-advertise-peer-urls=http://127.0.0.1:{other}",
            "--initial-cluster=default=http://127.0.0.1:{other}",
        ],
        goroutines_min: 40,
    },
    Server {
        folder: "prometheus-node-exporter-trixie",
        program: "/usr/bin/prometheus-node-exporter",
        arguments: &["--web.listen-address=127.0.0.1:{port}"],
        goroutines_min: 5,
    },
    Server {
        folder: "nats-server-trixie",
        program: "/usr/sbin/nats-server",
        arguments: &["-a", "127.0.0.1", "-p", "{other}", "--profile", "{port}", "-js", "-sd", "{data}"],
        goroutines_min: 12,
    },
    Server {
        folder: "prometheus-alertmanager-sid",
        program: "/usr/bin/prometheus-alertmanager",
        arguments: &[
            "--config.file=/etc/prometheus/alertmanager.yml",
            "--storage.path={data}",
            "--cluster.listen-address=",
            "--web.listen-address=127.0.0.1:{port}",
        ],
        goroutines_min: 15,
    },
];

/// The two goroutines that serve the request, the signals', and connections that end: more than these may not go without
/// comparison, or this part of the goroutines that Go printed.
const NOT_COMPARED_MAX: usize = 6;
const NOT_COMPARED_PERCENT_MAX: usize = 25;

/// From serving the first request to standing still between requests.
const SETTLING: Duration = Duration::from_millis(500);

#[test]
fn debians_servers_are_captured_whole() {
    let Some(programs) = programs() else { return };
    let mut rows = vec![row![
        "server",
        "version",
        "program",
        "goroutines",
        "printed",
        "compared",
        "frames",
        "differences"
    ]];
    let mut not_compared = Vec::new();
    let mut problems = Vec::new();
    for server in &SERVERS {
        let name = server.folder;
        let result = compare(server, &programs.join(name));
        let Compared { module, go_version, captured, printed, comparison } = result;
        rows.push(row![
            name,
            go_version,
            module,
            captured,
            printed,
            comparison.goroutines,
            comparison.frames,
            comparison.differences.len()
        ]);
        not_compared.extend(comparison.not_compared.iter().map(|(g, why)| row![name, g, why]));
        problems.extend(comparison.differences.iter().map(|d| format!("{name}: {d}")));
        if captured < server.goroutines_min {
            problems.push(format!("{name}: {captured} goroutines are fewer than it has when it serves"));
        }
        let missing = printed - comparison.goroutines;
        if missing > NOT_COMPARED_MAX.max(printed * NOT_COMPARED_PERCENT_MAX / 100) {
            problems.push(format!(
                "{name}: only {} of {printed} goroutines were compared",
                comparison.goroutines
            ));
        }
    }
    println!("{}", table(&rows));
    println!("Not compared:\n{}", table(&not_compared));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// The folder that `tools/debian-programs.sh` has filled; none where there is no Debian to take them from.
fn programs() -> Option<PathBuf> {
    const NO_DEBIAN: i32 = 3;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/debian-programs.sh");
    let output = Command::new(&script).output().unwrap_or_else(|e| panic!("{}: {e}", script.display()));
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(NO_DEBIAN) {
        println!("skipped: {errors}");
        return None;
    }
    assert!(output.status.success(), "{}: {errors}", script.display());
    Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end()))
}

struct Compared {
    module: String,
    go_version: String,
    captured: usize,
    printed: usize,
    comparison: Comparison,
}

fn compare(server: &Server, root: &Path) -> Compared {
    let folder = tempfile::tempdir().unwrap();
    let data = tempfile::tempdir_in(root.join("tmp")).unwrap();
    let inside = Path::new("/tmp").join(data.path().file_name().unwrap());
    let [port, other] = free_ports();
    std::fs::write(data.path().join("caddy.json"), caddy_configuration(port, other)).unwrap();
    let fill = |argument: &&str| {
        let ports = argument.replace("{port}", &port.to_string()).replace("{other}", &other.to_string());
        ports.replace("{data}", &inside.display().to_string())
    };
    let mut command = Command::new("chroot");
    command.arg(root).arg(server.program).args(server.arguments.iter().map(fill));
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("HOME", &inside);
    let mut process = Running::logged(&mut command, &folder.path().join("log"));
    let pid = process.pid();
    let stacks = || get(port, "/debug/pprof/goroutine?debug=2");
    let served = poll(PATIENCE, || match stacks() {
        Ok(_) => Some(true),
        Err(_) => process.has_ended().then_some(false),
    });
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    assert_eq!(served, Some(true), "{} does not serve: {}", server.folder, log());
    pause(SETTLING);

    let dumped = |name: &str| {
        let file = folder.path().join(name);
        let ran = snapshot(pid, &file);
        assert_eq!(ran.code, Some(0), "{}: {}", server.folder, ran.stderr);
        Traceback::parse(&dump(&file, false)).unwrap()
    };
    let before = dumped("before.db");
    let text = Traceback::parse(&stacks().unwrap()).unwrap();
    let after = dumped("after.db");
    let facts = Captures::new(freezer())
        .capture(&Source::Pid(pid), &Options::default(), &mut |_| ())
        .unwrap_or_else(|e| panic!("{}: {e}", server.folder));
    assert_free(pid, server.folder);

    let mut comparison = Comparison::default();
    check_capture(&facts, &mut comparison);
    let printed = text.goroutines.len();
    compare_all(&before.by_goid(), &text.by_goid(), &after.by_goid(), &mut comparison);
    Compared {
        module: facts.main_module.clone().unwrap_or_default(),
        go_version: facts.go_version.clone(),
        captured: facts.goroutines.len(),
        printed,
        comparison,
    }
}

/// A server starts and ends goroutines all the time: one that is missing must be so in the dump before or after, too.
fn compare_all(
    before: &BTreeMap<u64, &Goroutine>,
    text: &BTreeMap<u64, &Goroutine>,
    after: &BTreeMap<u64, &Goroutine>,
    comparison: &mut Comparison,
) {
    for (&goid, go) in text {
        match (before.get(&goid), after.get(&goid)) {
            (Some(before), Some(after)) => compare_text(before, after, go, comparison),
            (None, _) if before.keys().next_back().is_none_or(|&newest| goid > newest) => {
                comparison.not_compared.push((goid, "it started after the first dump".into()));
            }
            (Some(_), None) => comparison.not_compared.push((goid, "it ended before the last dump".into())),
            // Goroutine numbers are handed out in blocks: a new one may be smaller than an old one.
            (None, Some(_)) | (None, None) if is_short_lived(go) => {
                comparison
                    .not_compared
                    .push((goid, format!("it started after the first dump: {}", go.header)));
            }
            (before, after) => comparison.differ(goid, "dumped", before.is_some(), after.is_some()),
        }
    }
    for (&goid, captured) in before {
        if !text.contains_key(&goid) && after.contains_key(&goid) {
            comparison.differ(goid, "printed", &captured.text, ());
        }
    }
}

/// What serves a connection lives as long as that.
fn is_short_lived(go: &Goroutine) -> bool {
    go.created_by.as_ref().is_some_and(|c| c.function.starts_with("net/http."))
}

/// An administrator's endpoint, and a site that answers by itself.
fn caddy_configuration(admin: u16, site: u16) -> String {
    format!(
        r#"{{"admin": {{"listen": "127.0.0.1:{admin}"}}, "apps": {{"http": {{"servers": {{"site": {{
            "listen": ["127.0.0.1:{site}"], "automatic_https": {{"disable": true}},
            "routes": [{{"handle": [{{"handler": "static_response", "body": "hello"}}]}}]}}}}}}}}}}"#
    )
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    listeners.each_ref().map(|listener| listener.local_addr().unwrap().port())
}

/// The body of what a server on this host answers.
fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split_whitespace().nth(1) != Some("200") {
        return Err(std::io::Error::other(head.to_owned()));
    }
    Ok(body.to_owned())
}
