//! Links between the ends of connections: when a file is written, with the linker and without, and when a set is applied later.

use std::path::Path;
use std::time::Duration;

use stillframe_actors::linker::{Join, Place};
use stillframe_wire::batch::batches;
use stillframe_wire::facts::{Cell, CellValue, ProbeRow, ProbeTable, ProcessFacts, Socket, Wait};

use super::values::writer;
use super::{TempDir, rows, synthetic};
use crate::probe_sets::outline;
use crate::store::apply;

const PROBES: &str = r#"
[[probe]]
name = "calls"
function = "main.worker*"
capture = [{ as = "role", expr = "c.role" }, { as = "fd", expr = "fd(c.conn)" }, { as = "stream", expr = "c.stream" }]
"#;

const ENDPOINTS: &str = r#"
[[endpoint]]
name = "calls"
sql = "select goroutine_id, role, 'http2' as protocol, stream as stream_id, fd, 'GET /x' as method from probe_calls"
"#;

/// The table is made when the ends are linked.
const TABLE: &str = r#"
[[table]]
name = "linked"
sql = "select client_goroutine_id, server_goroutine_id from links where state = 'in flight'"
"#;

/// Its first goroutine is at the end of a call on descriptor 7, its third waits for bytes of descriptor 9; the second has a
/// descriptor that is no socket.
fn process(pid: u32, is_client: bool) -> ProcessFacts {
    let cell = |value| Cell { value, ..Cell::default() };
    let row = |goroutine, fd| ProbeRow {
        table: 0,
        goroutine,
        depth: 0,
        cells: [
            CellValue::Text(if is_client { "client" } else { "server" }.to_owned()),
            CellValue::Int(fd),
            CellValue::Int(5),
        ]
        .map(cell)
        .to_vec(),
    };
    let socket = |fd: u32| {
        let (client, server) = (format!("10.0.0.1:{}", 5000 + fd), "10.0.0.2:80".to_owned());
        let (local, remote) = if is_client { (client, server) } else { (server, client) };
        Socket {
            local,
            remote,
            netns: u64::from(pid),
            receive_queue_bytes: Some(0),
            translated_remote: None,
            ..synthetic::socket(fd, pid)
        }
    };
    let listener =
        Socket { local: "0.0.0.0:80".into(), remote: String::new(), state: "listen".into(), ..socket(11) };
    let columns = ["role", "fd", "stream"].map(str::to_owned).to_vec();
    let mut facts = ProcessFacts {
        sockets: [socket(7), socket(9)].into_iter().chain((!is_client).then_some(listener)).collect(),
        probe_tables: vec![ProbeTable { probe: "calls".into(), columns }],
        probe_rows: vec![row(0, 7), row(1, 8)],
        ..synthetic::process(pid, 10, 3)
    };
    for goroutine in &mut facts.goroutines {
        goroutine.waits.clear();
    }
    let detail = r#"{"fd":9}"#.to_owned();
    facts.goroutines[2].waits.push(Wait { kind: "net read".into(), any: false, address: None, detail });
    let detail = "{not JSON".to_owned();
    facts.goroutines[3].waits.push(Wait { kind: "net read".into(), any: false, address: None, detail });
    facts
}

fn write(set: &str, with_linker: bool) -> (TempDir, std::path::PathBuf) {
    let (folder, mut writer, host) = writer(set);
    for (pid, is_client) in [(1, true), (2, false)] {
        writer.process(host, "test", batches(process(pid, is_client))).unwrap();
    }
    if with_linker {
        let (mut join, mut next) = (Join::default(), Some(Place::Start));
        while let Some(place) = next {
            let part = writer.ends(place).unwrap();
            next = part.next;
            join.add(part);
        }
        while let Some(found) = join.found() {
            writer.links(&found).unwrap();
        }
    }
    let path = writer.finish(0).unwrap().path;
    (folder, path)
}

fn assert_linked(path: &Path) {
    assert_eq!(
        rows(
            path,
            "select client_goroutine_id, server_goroutine_id, protocol, state, confidence from links order by 1"
        ),
        ["1|11|http2|in flight|certain", "3|13|tcp|idle|likely"]
    );
    assert_eq!(
        rows(
            path,
            "select goroutine_id, role, protocol, source, socket_id, unmatched is not null from endpoints order by 1"
        ),
        [
            "1|client|http2|calls|1|0",
            "2|client|http2|calls|NULL|1",
            "3|client|tcp|waits|2|0",
            "11|server|http2|calls|3|0",
            "12|server|http2|calls|NULL|1",
            "13|server|tcp|waits|4|0",
        ]
    );
    // Who waits for bytes serves nothing, and nobody depends on who is idle.
    assert_eq!(
        rows(
            path,
            "select goroutine_id, client_goroutine_id, client_program from requests_in_flight order by 1"
        ),
        ["11|1|shop", "12|NULL|NULL"]
    );
    assert_eq!(rows(path, "select from_goroutine_id, to_goroutine_id, kind from waits_for"), ["1|11|http2"]);
    assert_eq!(rows(path, "select * from linked"), ["1|11"]);
    let evidence = "select evidence ->> '$.client_socket.local', evidence ->> '$.server_socket.remote', \
                    evidence ->> '$.stream_id', evidence ->> '$.overlap_ns' from links where state = 'in flight'";
    assert_eq!(rows(path, evidence), ["10.0.0.1:5007|10.0.0.1:5007|5|2000000"]);
}

#[test]
fn a_file_is_linked_with_the_linker_and_without_and_again_when_a_set_is_applied() {
    let set = [PROBES, ENDPOINTS, TABLE].concat();
    let mut all = Vec::new();
    for with_linker in [true, false] {
        let (_folder, path) = write(&set, with_linker);
        assert_linked(&path);
        all.push(rows(&path, "select * from links order by link_id"));
        let applied = apply::apply(&path, &outline(&set).unwrap(), Duration::from_secs(60), |_| ()).unwrap();
        applied.publish().unwrap();
        assert_linked(&path);
    }
    assert_eq!(all[0], all[1]);
}

#[test]
fn endpoints_that_come_later_are_linked_then() {
    let (_folder, path) = write(PROBES, true);
    assert_eq!(rows(&path, "select state from links"), ["idle"]);
    let set = [PROBES, ENDPOINTS, TABLE].concat();
    let applied = apply::apply(&path, &outline(&set).unwrap(), Duration::from_secs(60), |_| ()).unwrap();
    applied.publish().unwrap();
    assert_linked(&path);
}

/// A span from a context is that of what the goroutine serves: what it calls was sent another one.
#[test]
fn a_span_that_is_served_was_not_sent() {
    let sent = "select goroutine_id, role, 'http1' as protocol, 't' as trace_id, iif(role = 'client', 's', null) as span_id,
                       iif(role = 'server', 's', null) as parent_span_id
                from probe_calls where fd = 8";
    let served = "select goroutine_id, 'server', 'http1', 't', 's', 'x' from probe_calls where fd = 8 and role = 'client'";
    for (sql, links) in
        [(sent.to_owned(), vec!["2|12|likely"]), (format!("{sent} union all {served}"), vec![])]
    {
        let set = format!("{PROBES}\n[[endpoint]]\nname = \"calls\"\nsql = \"\"\"{sql}\"\"\"\n");
        let (_folder, path) = write(&set, true);
        let query = "select client_goroutine_id, server_goroutine_id, confidence from links where state = 'in flight'";
        assert_eq!(rows(&path, query), links, "{sql}");
    }
}
