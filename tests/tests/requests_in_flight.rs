//! `requests_in_flight` of a server under load: HTTP/1.1, HTTP/2 with and without TLS, gRPC with one answer and with a
//! stream. Every row is true by the server's own record, and how many of those that ran are there is counted. See
//! `tests/programs/traffic`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nix::sys::signal::Signal;
use stillframe_tests::captured::rows;
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Kind, Program, Running};
use stillframe_tests::stillframe::run;

const SNAPSHOTS: usize = 100;
/// A request is served a little before its handler begins and after it has ended: it is routed, its answer is sent.
const AROUND_NS: i64 = 250_000_000;
const KINDS: [&str; 5] = ["http1", "http2", "h2c", "unary", "stream"];
/// Of each kind, in all snapshots together: fewer would be no test.
const RUNNING_MIN: usize = 300;
/// What a query string holds, which no method has.
const SECRET: &[u8] = b"secret-";

#[test]
fn every_row_is_a_request_that_was_served() {
    let folder = tempfile::tempdir().unwrap();
    for program in Program::some("traffic").iter().filter(|program| program.kind != Kind::NoDebugInfo) {
        under_load(program, folder.path());
    }
}

/// What there is without debug information: that there is a request, and of which protocol.
#[test]
fn requests_without_debug_information_are_there_and_say_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let all = Program::some("traffic");
    let mut programs = all.iter().filter(|program| program.kind == Kind::NoDebugInfo).peekable();
    assert!(programs.peek().is_some(), "no such program is built");
    for program in programs {
        let record = folder.path().join("record");
        let server = Running::start(program.command().arg("serve").arg(&record), None);
        let mut client = Running::start(program.command().arg("drive").args(&server.ready[1..4]), None);
        let (pid, file) = (server.pid().to_string(), folder.path().join("s.db"));
        let ran = run(&["snapshot", "--max-pause", "5s", "--pid", &pid, "-o", file.to_str().unwrap()]);
        assert_eq!(ran.code, Some(0), "{program}: {}", ran.stderr);
        client.signal(Signal::SIGTERM);
        assert!(client.wait().success(), "{program}: the client");
        let query = "select protocol, count(*) as requests, count(method) as methods, count(age_source) as sources \
                     from requests_in_flight group by protocol order by protocol";
        let counts = rows(&file, query);
        let protocols: Vec<&str> = counts.iter().filter_map(|row| row["protocol"].as_str()).collect();
        assert_eq!(protocols, ["grpc", "http1", "http2"], "{program}");
        for row in &counts {
            assert_eq!(row["methods"], 0, "{program}: {row}");
            assert_eq!(row["sources"], row["requests"], "{program}: {row}");
        }
        let gaps = rows(&file, "select distinct gap from goroutine_values where name = 'method'");
        let [gap] = gaps.as_slice() else { panic!("{program}: {gaps:?}") };
        assert!(
            gap["gap"].as_str().is_some_and(|gap| gap.contains("no debug information")),
            "{program}: {gap}"
        );
    }
}

fn under_load(program: &Program, folder: &Path) {
    let record = folder.join(format!("{program}.record"));
    let mut server = Running::start(program.command().arg("serve").arg(&record), None);
    let mut client = Running::start(program.command().arg("drive").args(&server.ready[1..4]), None);
    let pid = server.pid().to_string();
    let database = folder.join(format!("{program}.db"));
    let snapshots: Vec<Taken> = (0..SNAPSHOTS)
        .map(|n| {
            let path = database.to_str().unwrap();
            let ran = run(&["snapshot", "--max-pause", "5s", "--pid", &pid, "--force", "-o", path]);
            assert_eq!(ran.code, Some(0), "{program}, snapshot {n}: {}", ran.stderr);
            let bytes = std::fs::read(&database).unwrap();
            let has_secret = bytes.windows(SECRET.len()).any(|window| window == SECRET);
            assert!(!has_secret, "{program}, snapshot {n}: a query string has left its host");
            Taken::read(&database)
        })
        .collect();
    assert_free(server.pid(), &program.to_string());
    client.signal(Signal::SIGTERM);
    assert!(client.wait().success(), "{program}: the client");
    server.signal(Signal::SIGTERM);
    assert!(server.wait().success(), "{program}: the server");
    let served = Served::all(&record);

    let mut problems = Vec::new();
    let mut recall: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (n, taken) in snapshots.iter().enumerate() {
        check_http(n, taken, &served, &mut problems);
        check_grpc(n, taken, &served, &mut problems);
        let paths: BTreeSet<&str> = taken.rows.iter().filter_map(|row| row.method.as_deref()).collect();
        for kind in KINDS {
            let running = served.iter().filter(|one| one.kind == kind && one.runs_throughout(taken));
            let count = recall.entry(kind).or_default();
            let is_grpc = matches!(kind, "unary" | "stream");
            if is_grpc {
                let running: Vec<&Served> = running.collect();
                let Some(method) = running.first().map(|one| one.method.as_str()) else { continue };
                let found = taken.rows.iter().filter(|row| row.method.as_deref() == Some(method)).count();
                count.0 += found.min(running.len());
                count.1 += running.len();
            } else {
                for one in running {
                    count.0 += usize::from(paths.contains(one.method.as_str()));
                    count.1 += 1;
                }
            }
        }
    }
    for (kind, (found, running)) in &recall {
        println!("{program}: {kind:7} {found:6} of {running:6} requests that ran were captured");
    }
    assert!(problems.is_empty(), "{program}: {} wrong rows:\n{}", problems.len(), problems.join("\n"));
    for (kind, (found, running)) in recall {
        assert!(running >= RUNNING_MIN, "{program}: only {running} requests {kind}");
        assert!(100 * found >= 99 * running, "{program}: {kind}: {found} of {running}");
    }
}

/// Each row's path has the id of one request, which ran.
fn check_http(n: usize, taken: &Taken, served: &[Served], problems: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for row in taken.rows.iter().filter(|row| row.protocol != "grpc") {
        let Some(method) = &row.method else { continue };
        if !seen.insert(method) {
            problems.push(format!("snapshot {n}: {method} is served twice"));
        }
        match served.iter().find(|one| one.method == *method) {
            None => problems.push(format!("snapshot {n}: {method} is nothing that was served")),
            Some(one) if !one.runs_around(taken) => {
                problems.push(format!("snapshot {n}: {method} was served {one:?}, not at {taken:?}"));
            }
            Some(one) if one.protocol() != row.protocol => {
                problems.push(format!("snapshot {n}: {method} is {}, not {}", one.kind, row.protocol));
            }
            Some(_) => {}
        }
        if (row.protocol == "http2") != row.stream_id.is_some() {
            problems.push(format!("snapshot {n}: {method} has the stream {:?}", row.stream_id));
        }
    }
}

/// Their methods are shared by all; so there are no more rows than may have run, each with a stream of its own.
fn check_grpc(n: usize, taken: &Taken, served: &[Served], problems: &mut Vec<String>) {
    let mut streams = BTreeSet::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in taken.rows.iter().filter(|row| row.protocol == "grpc") {
        let Some(method) = &row.method else { continue };
        *counts.entry(method).or_default() += 1;
        if row.stream_id.is_none_or(|stream| !streams.insert(stream)) {
            problems.push(format!("snapshot {n}: {method} has no stream of its own: {:?}", row.stream_id));
        }
    }
    for (method, count) in counts {
        let around = served.iter().filter(|one| one.method == method && one.runs_around(taken)).count();
        if count > around {
            problems.push(format!("snapshot {n}: {count} rows of {method}, and {around} calls"));
        }
    }
}

/// A request, as the server has recorded it.
#[derive(Debug)]
struct Served {
    kind: String,
    /// As `requests_in_flight.method` has it.
    method: String,
    began_ns: i64,
    ended_ns: i64,
}

impl Served {
    fn all(record: &Path) -> Vec<Served> {
        let text = std::fs::read_to_string(record).unwrap();
        let served = |line: &str| {
            let [kind, method, _, began, ended] = line.split(' ').collect::<Vec<_>>()[..] else {
                return None;
            };
            Some(Served {
                kind: kind.to_owned(),
                method: method.replacen(':', " ", 1),
                began_ns: began.parse().ok()?,
                ended_ns: ended.parse().ok()?,
            })
        };
        text.lines()
            .map(|line| served(line).unwrap_or_else(|| panic!("no line of a record: {line}")))
            .collect()
    }

    fn protocol(&self) -> &str {
        if self.kind == "h2c" { "http2" } else { &self.kind }
    }

    fn runs_around(&self, taken: &Taken) -> bool {
        self.began_ns - AROUND_NS <= taken.end_ns && self.ended_ns + AROUND_NS >= taken.start_ns
    }

    fn runs_throughout(&self, taken: &Taken) -> bool {
        self.began_ns < taken.start_ns && self.ended_ns > taken.end_ns
    }
}

struct Row {
    protocol: String,
    method: Option<String>,
    stream_id: Option<i64>,
}

/// A snapshot: when its target stood still, and its requests in flight.
struct Taken {
    start_ns: i64,
    end_ns: i64,
    rows: Vec<Row>,
}

impl std::fmt::Debug for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}..{}", self.start_ns, self.end_ns)
    }
}

impl Taken {
    fn read(file: &Path) -> Taken {
        let times = rows(file, "select pause_start_unix_ns as start, pause_ns as length from processes");
        let [times] = times.as_slice() else { panic!("{times:?}: one process was captured") };
        let start_ns = times["start"].as_i64().expect("when it was stopped");
        let end_ns = start_ns + times["length"].as_i64().expect("for how long it was stopped");
        let row = |row: serde_json::Value| Row {
            protocol: row["protocol"].as_str().expect("a request has a protocol").to_owned(),
            method: row["method"].as_str().map(str::to_owned),
            stream_id: row["stream_id"].as_i64(),
        };
        let query = "select protocol, method, stream_id from requests_in_flight";
        Taken { start_ns, end_ns, rows: rows(file, query).into_iter().map(row).collect() }
    }
}
