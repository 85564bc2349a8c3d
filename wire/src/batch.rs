//! A result in pieces: what follows [`crate::message::StreamHead`] on a data stream.
//!
//! The order is: one [`Batch::Process`], then the tables, each item before what names it by index (files, functions, go
//! statements, stacks, sockets, goroutines, types, probe tables, probe rows, gaps), then one [`Batch::Done`]. A table may come in any
//! number of batches.

use bincode::{Decode, Encode};

use crate::facts::{
    Completeness, EnvironmentFits, Function, Gap, GoStatement, Goroutine, PauseWindow, ProbeRow, ProbeTable,
    ProcessFacts, Socket, Stack,
};
use crate::limits::BATCH_BYTES_TARGET;

#[expect(clippy::large_enum_variant, reason = "there is one head in a whole stream of batches")]
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub enum Batch {
    Process(ProcessHead),
    Files(Vec<String>),
    Functions(Vec<Function>),
    GoStatements(Vec<GoStatement>),
    Stacks(Vec<Stack>),
    Sockets(Vec<Socket>),
    Goroutines(Vec<Goroutine>),
    Types(Vec<String>),
    ProbeTables(Vec<ProbeTable>),
    ProbeRows(Vec<ProbeRow>),
    Gaps(Vec<Gap>),
    /// The last one.
    Done(Counts),
}

/// How many items of each kind were sent: a receiver that counted otherwise has not got the whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Counts {
    pub files: u64,
    pub functions: u64,
    pub go_statements: u64,
    pub stacks: u64,
    pub sockets: u64,
    pub goroutines: u64,
    pub types: u64,
    pub probe_tables: u64,
    pub probe_rows: u64,
    pub gaps: u64,
}

/// A [`ProcessFacts`] without its tables.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ProcessHead {
    pub pid: u32,
    pub ns_pid: u32,
    pub started_unix_ns: Option<i64>,
    pub program: String,
    pub container_id: Option<String>,
    pub exe: String,
    pub cmdline: String,
    pub build_id: String,
    pub go_version: String,
    pub main_module: Option<String>,
    pub arch: String,
    pub threads: u32,
    pub pause: Option<PauseWindow>,
    pub completeness: Completeness,
    pub reason: Option<String>,
    pub environment: EnvironmentFits,
}

impl Counts {
    pub fn add(&mut self, batch: &Batch) {
        match batch {
            Batch::Process(_) | Batch::Done(_) => {}
            Batch::Files(items) => self.files += items.len() as u64,
            Batch::Functions(items) => self.functions += items.len() as u64,
            Batch::GoStatements(items) => self.go_statements += items.len() as u64,
            Batch::Stacks(items) => self.stacks += items.len() as u64,
            Batch::Sockets(items) => self.sockets += items.len() as u64,
            Batch::Goroutines(items) => self.goroutines += items.len() as u64,
            Batch::Types(items) => self.types += items.len() as u64,
            Batch::ProbeTables(items) => self.probe_tables += items.len() as u64,
            Batch::ProbeRows(items) => self.probe_rows += items.len() as u64,
            Batch::Gaps(items) => self.gaps += items.len() as u64,
        }
    }
}

/// Takes a result apart. The batches come one by one, so that there is never a second copy of all of it.
pub fn batches(facts: ProcessFacts) -> impl Iterator<Item = Batch> {
    let head = ProcessHead {
        pid: facts.pid,
        ns_pid: facts.ns_pid,
        started_unix_ns: facts.started_unix_ns,
        program: facts.program,
        container_id: facts.container_id,
        exe: facts.exe,
        cmdline: facts.cmdline,
        build_id: facts.build_id,
        go_version: facts.go_version,
        main_module: facts.main_module,
        arch: facts.arch,
        threads: facts.threads,
        pause: facts.pause,
        completeness: facts.completeness,
        reason: facts.reason,
        environment: facts.environment,
    };
    let counts = Counts {
        files: facts.files.len() as u64,
        functions: facts.functions.len() as u64,
        go_statements: facts.go_statements.len() as u64,
        stacks: facts.stacks.len() as u64,
        sockets: facts.sockets.len() as u64,
        goroutines: facts.goroutines.len() as u64,
        types: facts.types.len() as u64,
        probe_tables: facts.probe_tables.len() as u64,
        probe_rows: facts.probe_rows.len() as u64,
        gaps: facts.gaps.len() as u64,
    };
    std::iter::once(Batch::Process(head))
        .chain(chunks(facts.files, |f| f.len() + 4).map(Batch::Files))
        .chain(chunks(facts.functions, |f| f.name.len() + f.package.len() + 16).map(Batch::Functions))
        .chain(chunks(facts.go_statements, |_| 16).map(Batch::GoStatements))
        .chain(chunks(facts.stacks, |s| 16 * s.frames.len() + s.stop_reason.len() + 8).map(Batch::Stacks))
        .chain(chunks(facts.sockets, socket_bytes).map(Batch::Sockets))
        .chain(chunks(facts.goroutines, goroutine_bytes).map(Batch::Goroutines))
        .chain(chunks(facts.types, |t| t.len() + 4).map(Batch::Types))
        .chain(chunks(facts.probe_tables, probe_table_bytes).map(Batch::ProbeTables))
        .chain(chunks(facts.probe_rows, probe_row_bytes).map(Batch::ProbeRows))
        .chain(chunks(facts.gaps, |g| g.what.len() + g.reason.len() + 12).map(Batch::Gaps))
        .chain(std::iter::once(Batch::Done(counts)))
}

/// About as many as its encoding has.
fn socket_bytes(socket: &Socket) -> usize {
    let optional = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let translated = optional(&socket.translated_local) + optional(&socket.translated_remote);
    let addresses = socket.local.len() + socket.remote.len() + translated;
    let words = socket.family.len() + socket.protocol.len() + socket.state.len();
    80 + addresses + words + optional(&socket.peer_description)
}

/// About as many as its encoding has.
fn goroutine_bytes(goroutine: &Goroutine) -> usize {
    let labels: usize = goroutine.labels.iter().map(|(key, value)| key.len() + value.len() + 4).sum();
    let waits: usize = goroutine.waits.iter().map(|wait| wait.kind.len() + wait.detail.len() + 16).sum();
    let wait_reason = goroutine.wait_reason.as_ref().map_or(0, String::len);
    let texts = goroutine.status.len() + wait_reason + goroutine.header.len() + goroutine.arguments.len();
    90 + texts + labels + waits
}

fn probe_table_bytes(table: &ProbeTable) -> usize {
    table.probe.len() + table.columns.iter().map(|column| column.len() + 4).sum::<usize>() + 8
}

fn probe_row_bytes(row: &ProbeRow) -> usize {
    row.cells.iter().map(|cell| cell.text_bytes() + 32).sum::<usize>() + 16
}

/// Lists of items that have about [`BATCH_BYTES_TARGET`] bytes together, at least one item each.
fn chunks<T>(items: Vec<T>, bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = Vec<T>> {
    let mut items = items.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut chunk = vec![items.next()?];
        let mut sum = bytes(&chunk[0]);
        while let Some(next) = items.peek() {
            sum += bytes(next);
            if sum > BATCH_BYTES_TARGET {
                break;
            }
            chunk.extend(items.next());
        }
        Some(chunk)
    })
}
