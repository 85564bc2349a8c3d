//! Benchmark of the linker: a snapshot of many goroutines, of which some are at the ends of calls on few connections.
//!
//! `cargo run --release -p stillframe --example links -- [GOROUTINES] [ENDPOINTS]`

use std::time::Instant;

use stillframe::store::order::{ClockBound, Existing, SnapshotMeta};
use stillframe::store::writer::SnapshotWriter;
use stillframe_actors::linker::{Join, Place};
use stillframe_wire::batch::{Batch, Counts, batches};
use stillframe_wire::facts::{Cell, CellValue, ProbeRow, ProbeTable, Socket};

#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

const PROBES: &str = "[[probe]]\nname = 'calls'\nfunction = 'main.worker*'\n
[[endpoint]]\nname = 'calls'
sql = \"select goroutine_id, role, 'http2' as protocol, stream as stream_id, method, fd from probe_calls\"\n";

/// Clients and servers, in turn.
const PROCESSES: u64 = 8;
const STACKS: u32 = 5_000;
/// Calls at a time on one connection.
const STREAMS: u64 = 50;
const BATCH_GOROUTINES: u64 = 2_000;

/// A process of so many goroutines, the first of which are at the ends of calls with its neighbour.
fn process(number: u64, goroutines: u64, ends: u64) -> impl Iterator<Item = Batch> {
    let (pair, is_client) = (number / 2, number.is_multiple_of(2));
    let pid = 4711 + number as u32;
    let mut facts = synthetic::process(pid, 0, STACKS);
    let gaps = std::mem::take(&mut facts.gaps);
    let connections = ends.div_ceil(STREAMS);
    facts.sockets = (0..connections)
        .map(|index| {
            let client = format!("10.0.{pair}.1:{}", 10_000 + index);
            let server = format!("10.0.{pair}.2:443");
            let (local, remote) = if is_client { (client, server) } else { (server, client) };
            let inode = number * 10_000_000 + index;
            let synthetic = synthetic::socket(10 + index as u32, pid);
            Socket {
                inode,
                netns: 4_000_000_000 + number,
                local,
                remote,
                peer_inode: None,
                translated_local: None,
                translated_remote: None,
                ..synthetic
            }
        })
        .collect();
    let counts = Counts {
        files: facts.files.len() as u64,
        functions: facts.functions.len() as u64,
        go_statements: facts.go_statements.len() as u64,
        stacks: facts.stacks.len() as u64,
        sockets: facts.sockets.len() as u64,
        goroutines,
        types: 1,
        probe_tables: 1,
        probe_rows: ends,
        gaps: gaps.len() as u64,
    };
    let tables = batches(facts).filter(|batch| !matches!(batch, Batch::Done(_)));
    let goroutines = (0..goroutines.div_ceil(BATCH_GOROUTINES)).map(move |batch| {
        let first = batch * BATCH_GOROUTINES;
        let of_batch = (first..goroutines.min(first + BATCH_GOROUTINES))
            .map(|index| synthetic::goroutine(pid, index, goroutines, STACKS));
        Batch::Goroutines(of_batch.collect())
    });
    let columns = ["role", "fd", "stream", "method"].map(str::to_owned).to_vec();
    let probe_tables = vec![ProbeTable { probe: "calls".into(), columns }];
    let probed = [Batch::Types(vec!["string".into()]), Batch::ProbeTables(probe_tables)];
    let row = move |index: u64| {
        let values = [
            CellValue::Text(if is_client { "client" } else { "server" }.to_owned()),
            CellValue::Int(10 + (index / STREAMS) as i64),
            CellValue::Int(1 + 2 * (index % STREAMS) as i64),
            CellValue::Text(format!("GET /orders/{index}")),
        ];
        let cell = |value| Cell { type_id: Some(0), value, address: None, gap: None };
        ProbeRow {
            table: 0,
            goroutine: index as u32,
            depth: 1,
            cells: values.into_iter().map(cell).collect(),
        }
    };
    let rows = (0..ends.div_ceil(BATCH_GOROUTINES)).map(move |batch| {
        let first = batch * BATCH_GOROUTINES;
        Batch::ProbeRows((first..ends.min(first + BATCH_GOROUTINES)).map(row).collect())
    });
    tables.chain(goroutines).chain(probed).chain(rows).chain([Batch::Gaps(gaps), Batch::Done(counts)])
}

fn peak_memory_bytes() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes << 10)
}

// A benchmark reads the clock.
#[allow(clippy::disallowed_methods)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (goroutines, ends) = (number(1_000_000), number(200_000));
    let folder = tempfile::tempdir()?;
    let meta = SnapshotMeta {
        id: "benchmark".into(),
        label: None,
        taken_at_unix_ns: 0,
        requested_by: None,
        tool_version: "0.1.0".into(),
        selector: "synthetic".into(),
        probes: Some(PROBES.into()),
    };
    let mut writer = SnapshotWriter::create(&folder.path().join("links.db"), Existing::Refuse, meta)?;
    let host = writer.host(&synthetic::host(), ClockBound::default())?;
    let start = Instant::now();
    for index in 0..PROCESSES {
        writer.process(host, "synthetic", process(index, goroutines / PROCESSES, ends / PROCESSES))?;
    }
    let loaded = start.elapsed();
    let memory = peak_memory_bytes()?;

    // Tables of probes, indices and endpoints: what the file has whether it is linked or not.
    let start = Instant::now();
    let mut join = Join::default();
    let first = writer.ends(Place::Start)?;
    let derived = start.elapsed();

    let start = Instant::now();
    let mut next = first.next;
    join.add(first);
    while let Some(place) = next {
        let part = writer.ends(place)?;
        next = part.next;
        join.add(part);
    }
    let read = start.elapsed();
    let start = Instant::now();
    let mut found = Vec::new();
    while let Some(part) = join.found() {
        found.push(part);
    }
    let joined = start.elapsed();
    let start = Instant::now();
    let (mut links, mut unmatched) = (0, 0);
    for part in &found {
        links += part.links.len();
        unmatched += part.unmatched.len();
        writer.links(part)?;
    }
    let kept = start.elapsed();
    drop((join, found));
    println!(
        "{goroutines} goroutines, {ends} endpoints: {links} links, {unmatched} without; loaded in {loaded:.2?}, endpoints and \
         indices {derived:.2?}; linked in {:.2?}: read {read:.2?}, joined {joined:.2?}, written {kept:.2?}",
        read + joined + kept,
    );
    println!(
        "peak memory: {} MB, {} MB before endpoints",
        peak_memory_bytes()? / 1_000_000,
        memory / 1_000_000
    );
    writer.finish(0)?;
    Ok(())
}
