//! Values of a server that is not written here, under load: net/http and gRPC serve requests with ids, the client records
//! which were in flight, and each id that a snapshot has is one of those. See `tests/programs/requests`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::Value;
use stillframe_tests::captured::rows;
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Program, Running};
use stillframe_tests::stillframe::run;

const SNAPSHOTS: usize = 100;

/// The server may still be in a request's functions when the client has its answer: until then it writes nothing that the
/// client waits for.
const AFTERWARDS_NS: i64 = 2_000_000_000;

/// Fewer ids in all snapshots together would be no test.
const IDS_MIN: usize = 500;

/// Every expression is the id of a request, or has it within.
const PROBES: &str = r#"
[[probe]]
name = "http_work"
function = "main.work"
capture = [
  { as = "path", expr = "r.URL.Path" },
  { as = "uri", expr = "r.RequestURI" },
  { as = "query", expr = "r.URL.RawQuery" },
  { as = "header", expr = 'r.Header["X-Request"][0]' },
]

[[probe]]
name = "http_conn"
function = "net/http.(*conn).serve"
capture = [
  { as = "path", expr = "w.req.URL.Path" },
  { as = "uri", expr = "w.req.RequestURI" },
  { as = "header", expr = 'w.req.Header["X-Request"][0]' },
  { as = "own", expr = "req.RequestURI" },
]

[[probe]]
name = "http_handler"
function = "net/http.{serverHandler,(*ServeMux),HandlerFunc}.ServeHTTP"
capture = [
  { as = "r", expr = "r.RequestURI" },
  { as = "req", expr = "req.RequestURI" },
]

[[probe]]
name = "grpc_watch"
function = "google.golang.org/grpc/health.(*Server).Watch"
capture = [
  { as = "request", expr = "in.Service" },
  { as = "service", expr = "service" },
]

[[probe]]
name = "grpc_handler"
function = "google.golang.org/grpc/health/grpc_health_v1._Health_Watch_Handler"
capture = [{ as = "request", expr = "m.Service" }]

[[probe]]
name = "grpc_streaming"
function = "google.golang.org/grpc.(*Server).processStreamingRPC"
capture = [
  { as = "sent", expr = 'ctx.Value(metadata.mdIncomingKey).(metadata.MD)["x-request"][0]' },
  { as = "method", expr = "stream.method" },
]

[[probe]]
name = "grpc_stream"
function = "google.golang.org/grpc.(*Server).handleStream"
capture = [
  { as = "sent", expr = 'stream.ctx.Value(metadata.mdIncomingKey).(metadata.MD)["x-request"][0]' },
  { as = "method", expr = "stream.method" },
]
"#;

const WATCH: &str = "/grpc.health.v1.Health/Watch";

#[test]
fn captured_ids_were_in_flight() {
    let folder = tempfile::tempdir().unwrap();
    for program in Program::some("requests") {
        under_load(&program, folder.path());
    }
}

fn under_load(program: &Program, folder: &Path) {
    let file = |name: &str| folder.join(format!("{program}.{name}"));
    let (record, probes) = (file("record"), file("toml"));
    std::fs::write(&probes, PROBES).unwrap();
    let server = Running::start(program.command().arg("serve"), None);
    let mut client =
        Running::start(program.command().arg("drive").args(&server.ready[1..3]).arg(&record), None);
    let pid = server.pid().to_string();
    let snapshots: Vec<Taken> = (0..SNAPSHOTS)
        .map(|n| {
            let database = file(&format!("{n}.db"));
            let paths = [&probes, &database].map(|path| path.to_str().unwrap());
            let ran = run(&[
                "snapshot",
                "--pack",
                "none",
                "--max-pause",
                "5s",
                "--pid",
                &pid,
                "--probes",
                paths[0],
                "-o",
                paths[1],
            ]);
            assert_eq!(ran.code, Some(0), "{program}, snapshot {n}: {}", ran.stderr);
            let taken = Taken::read(&database);
            std::fs::remove_file(&database).unwrap();
            taken
        })
        .collect();
    assert_free(server.pid(), &program.to_string());
    client.signal(Signal::SIGTERM);
    let ended = client.wait();
    assert!(ended.success(), "{program}: the client: {ended}");
    let flights = Flight::all(&record);

    let mut problems = Vec::new();
    let mut columns: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for (n, snapshot) in snapshots.iter().enumerate() {
        // All expressions of a goroutine are of one request.
        let mut of_goroutine: BTreeMap<u64, &str> = BTreeMap::new();
        for value in &snapshot.values {
            let count = columns.entry((value.probe.clone(), value.name.clone())).or_default();
            let Some(text) = &value.text else {
                count.1 += 1;
                continue;
            };
            count.0 += 1;
            // A message whose bytes are not decoded yet.
            if value.probe == "grpc_handler" && value.name == "request" && text.is_empty() {
                continue;
            }
            let place = format!("snapshot {n}, goroutine {}, {}.{}", value.goid, value.probe, value.name);
            if value.name == "method" {
                if text != WATCH {
                    problems.push(format!("{place}: {text} is no method that was called"));
                }
                continue;
            }
            let Some((id, flight)) = id_of(&value.name, text).and_then(|id| Some((id, flights.get(id)?)))
            else {
                problems.push(format!("{place}: {text} is nothing that was sent"));
                continue;
            };
            if !flight.was_during(snapshot) {
                problems.push(format!("{place}: {id} was in flight {flight:?}, not at {snapshot:?}"));
            }
            let other = of_goroutine.entry(value.goid).or_insert(id);
            if *other != id {
                problems.push(format!("{place}: {id}, and {other} elsewhere on its stack"));
            }
            ids.insert(id);
        }
    }
    println!("{program}: {} requests, {} of them captured", flights.len(), ids.len());
    for ((probe, name), (captured, missing)) in &columns {
        println!("  {probe:16} {name:10} {captured:6} captured {missing:6} missing");
    }
    assert!(problems.is_empty(), "{program}: {} wrong values:\n{}", problems.len(), problems.join("\n"));
    assert!(ids.len() >= IDS_MIN, "{program}: only {} ids were captured", ids.len());
}

/// The id in what an expression gave.
fn id_of<'t>(name: &str, text: &'t str) -> Option<&'t str> {
    match name {
        "path" => text.strip_prefix("/work/"),
        "uri" | "own" | "r" | "req" => {
            let (path, query) = text.strip_prefix("/work/")?.split_once("?of=")?;
            (path == query).then_some(path)
        }
        "query" => text.strip_prefix("of="),
        _ => Some(text),
    }
}

/// A request, as the client has recorded it.
#[derive(Debug)]
struct Flight {
    began_ns: i64,
    ended_ns: i64,
}

impl Flight {
    fn all(record: &Path) -> BTreeMap<String, Flight> {
        let text = std::fs::read_to_string(record).unwrap();
        let flight = |line: &str| {
            let mut words = line.split(' ');
            let id = words.next()?.to_owned();
            let mut ns = || words.next()?.parse().ok();
            Some((id, Flight { began_ns: ns()?, ended_ns: ns()? }))
        };
        text.lines()
            .map(|line| flight(line).unwrap_or_else(|| panic!("no line of a record: {line}")))
            .collect()
    }

    fn was_during(&self, taken: &Taken) -> bool {
        self.began_ns <= taken.end_ns && self.ended_ns + AFTERWARDS_NS >= taken.start_ns
    }
}

/// A snapshot: when its target stood still, and what was captured of it.
struct Taken {
    start_ns: i64,
    end_ns: i64,
    values: Vec<Captured>,
}

struct Captured {
    goid: u64,
    probe: String,
    name: String,
    text: Option<String>,
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
        let query = "select goid, probe, name, json_extract(value, '$') as text from goroutine_values \
                     join goroutines using (goroutine_id)";
        let captured = |row: Value| Captured {
            goid: row["goid"].as_u64().expect("a goroutine has a number"),
            probe: row["probe"].as_str().expect("a value is of a probe").to_owned(),
            name: row["name"].as_str().expect("a value has a name").to_owned(),
            text: row["text"].as_str().map(str::to_owned),
        };
        Taken { start_ns, end_ns, values: rows(file, query).into_iter().map(captured).collect() }
    }
}
