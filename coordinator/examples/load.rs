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

#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

const QUERIES: &[&str] = &[
    "select pod, count(*) from goroutine_list where blocked_s_min > 300 and stack like '%raft%' group by 1",
    "select pod, count(*) from goroutine_list where stack like '%raft%' group by 1",
    "select * from stack_groups order by goroutines desc limit 20",
    "select wait_reason, count(*) from goroutine_list group by 1",
    "select count(*) from background_jobs",
    "select * from goroutine_list where goroutine_id = 77777",
    "select * from goroutine_list where pid = 4711 and goid = 17",
];

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
        let all: Vec<_> = (0..processes)
            .map(|index| synthetic::process(4711 + index as u32, goroutines / processes, stacks as u32))
            .collect();
        let start = Instant::now();
        let meta = SnapshotMeta {
            id: "benchmark".into(),
            label: None,
            taken_at_unix_ns: 0,
            requested_by: None,
            tool_version: "0.1.0".into(),
            selector: "synthetic".into(),
            probes: None,
        };
        let mut writer = SnapshotWriter::create(&path, Existing::Refuse, meta)?;
        let host = writer.host(&synthetic::host(), ClockBound::default())?;
        for process in &all {
            writer.process(host, process)?;
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
    }
    let limits = QueryLimits { rows_max: None, time_max: None };
    for sql in QUERIES {
        let start = Instant::now();
        let outcome = Snapshot::open(&path)?.query(sql, &limits, &mut Discard)?;
        println!("{:>8.1?} {:>8} rows  {sql}", start.elapsed(), outcome.rows);
    }
    Ok(())
}
