//! Benchmark of the store: writes synthetic goroutines and asks the questions that people type first.
//!
//! `cargo run --release -p stillframe --example load -- 1000000 [PROCESSES] [STACKS_EACH] [FILE]`

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use stillframe::store::order::{ClockBound, Existing, SnapshotMeta};
use stillframe::store::reader::Snapshot;
use stillframe::store::writer::SnapshotWriter;
use stillframe::store::{QueryLimits, RowSink, Value};
use stillframe_wire::batch::{Batch, Counts, batches};
use stillframe_wire::facts::{Cell, CellValue, ProbeRow, ProbeTable};

#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

const QUERIES: &[&str] = &[
    "select pod, count(*) from goroutine_list where blocked_s_min > 300 and stack like '%raft%' group by 1",
    "select pod, count(*) from goroutine_list where stack like '%raft%' group by 1",
    "select * from stack_groups order by goroutines desc limit 20",
    "select wait_reason, count(*) from goroutine_list group by 1",
    "select age_s, instance, method, waiting_on, roots from requests_in_flight order by age_s desc limit 20",
    "select program, method, count(*) from requests_in_flight group by 1, 2",
    "select count(*) from background_jobs",
    "select user, count(*) from probe_orders group by 1",
    "select * from probe_orders join goroutine_list using (goroutine_id)",
    "select * from background_jobs",
    "select * from goroutine_list where goroutine_id = 77777",
    "select * from goroutine_list where pid = 4711 and goid = 17",
];

/// Each captured order is a request in flight.
const PROBES: &str = "[[probe]]\nname = 'orders'\nfunction = 'main.worker*'\n
[[endpoint]]\nname = 'orders'
sql = \"select goroutine_id, 'server' as role, 'grpc' as protocol, '/Orders/' || id as method from probe_orders\"\n";
/// Every so many goroutines one has captured values.
const PROBED_EVERY: u64 = 10;

/// Goroutines of one batch: about as many as a node sends at once.
const BATCH_GOROUTINES: u64 = 2_000;

/// A process that is never whole in memory, as from a stream: its goroutines are made when they are asked for.
fn streamed(pid: u32, goroutines: u64, stacks: u32) -> impl Iterator<Item = Batch> {
    let mut facts = synthetic::process(pid, 0, stacks);
    let gaps = std::mem::take(&mut facts.gaps);
    let counts = Counts {
        files: facts.files.len() as u64,
        functions: facts.functions.len() as u64,
        go_statements: facts.go_statements.len() as u64,
        stacks: facts.stacks.len() as u64,
        sockets: facts.sockets.len() as u64,
        goroutines,
        types: 1,
        probe_tables: 1,
        probe_rows: goroutines.div_ceil(PROBED_EVERY),
        gaps: gaps.len() as u64,
    };
    let tables = batches(facts).filter(|batch| !matches!(batch, Batch::Done(_)));
    let goroutines = (0..goroutines.div_ceil(BATCH_GOROUTINES)).map(move |batch| {
        let first = batch * BATCH_GOROUTINES;
        let end = goroutines.min(first + BATCH_GOROUTINES);
        let of_batch = (first..end).map(|index| synthetic::goroutine(pid, index, goroutines, stacks));
        Batch::Goroutines(of_batch.collect())
    });
    let columns = ["id", "user", "age", "items", "paid"].map(str::to_owned).to_vec();
    let probe_tables = vec![ProbeTable { probe: "orders".into(), columns }];
    let probed = [Batch::Types(vec!["string".into()]), Batch::ProbeTables(probe_tables)];
    let rows = (0..counts.probe_rows.div_ceil(BATCH_GOROUTINES)).map(move |batch| {
        let first = batch * BATCH_GOROUTINES;
        Batch::ProbeRows((first..counts.probe_rows.min(first + BATCH_GOROUTINES)).map(probe_row).collect())
    });
    tables.chain(goroutines).chain(probed).chain(rows).chain([Batch::Gaps(gaps), Batch::Done(counts)])
}

fn probe_row(index: u64) -> ProbeRow {
    let cell = |value| Cell { type_id: Some(0), value, address: Some(0xc000_0000 + index), gap: None };
    let values = [
        CellValue::Int(index as i64),
        CellValue::Text(format!("user {index}")),
        CellValue::Real(index as f64 / 3.0),
        CellValue::Json(format!("[{index}, {index}]")),
        CellValue::Bool(index.is_multiple_of(2)),
    ];
    ProbeRow {
        table: 0,
        goroutine: (index * PROBED_EVERY) as u32,
        depth: 1,
        cells: values.into_iter().map(cell).collect(),
    }
}

fn peak_memory_bytes() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes << 10)
}

struct Discard;

impl RowSink for Discard {
    fn columns(&mut self, _: &[String]) -> io::Result<()> {
        Ok(())
    }
    fn row(&mut self, _: &[Value]) -> io::Result<()> {
        Ok(())
    }
}

// A benchmark reads the clock.
#[allow(clippy::disallowed_methods)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| arguments.next().and_then(|text| text.parse().ok()).unwrap_or(default);
    let (goroutines, processes, stacks) = (number(1_000_000), number(4), number(5_000));
    let folder = tempfile::tempdir()?;
    let path = arguments.next().map_or_else(|| folder.path().join("load.db"), PathBuf::from);
    if !path.exists() {
        let start = Instant::now();
        let meta = SnapshotMeta {
            id: "benchmark".into(),
            label: None,
            taken_at_unix_ns: 0,
            requested_by: None,
            tool_version: "0.1.0".into(),
            selector: "synthetic".into(),
            probes: Some(PROBES.into()),
        };
        let mut writer = SnapshotWriter::create(&path, Existing::Refuse, meta)?;
        let host = writer.host(&synthetic::host(), ClockBound::default())?;
        for index in 0..processes {
            let pid = 4711 + index as u32;
            writer.process(host, "synthetic", streamed(pid, goroutines / processes, stacks as u32))?;
        }
        let loaded = start.elapsed();
        let summary = writer.finish(0)?;
        let whole = start.elapsed();
        println!(
            "{} goroutines, {} stacks: rows {:.2?} ({:.0} goroutines/s), indices, check and sync {:.2?}, in all {:.2?}; {} MB",
            summary.goroutines,
            summary.stacks,
            loaded,
            summary.goroutines as f64 / loaded.as_secs_f64(),
            whole - loaded,
            whole,
            summary.bytes / 1_000_000,
        );
        println!("peak memory of this process: {} MB", peak_memory_bytes()? / 1_000_000);
    }
    let limits = QueryLimits { rows_max: None, time_max: None };
    for sql in QUERIES {
        let start = Instant::now();
        let outcome = Snapshot::open(&path)?.query(sql, &limits, &mut Discard)?;
        println!("{:>8.1?} {:>8} rows  {sql}", start.elapsed(), outcome.rows);
    }
    Ok(())
}
