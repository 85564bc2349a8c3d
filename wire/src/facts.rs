//! The facts of a snapshot: what one node saw of one process.
//!
//! Functions, stacks, go statements, types and the columns of probes are interned: each stands once in its table and is
//! named by its index there (`FunctionId` and so on), which is only meaningful inside the same [`ProcessFacts`].

use bincode::{Decode, Encode};

/// Index into [`ProcessFacts::functions`].
pub type FunctionId = u32;
/// Index into [`ProcessFacts::files`].
pub type FileId = u32;
/// Index into [`ProcessFacts::stacks`].
pub type StackId = u32;
/// Index into [`ProcessFacts::go_statements`].
pub type GoStatementId = u32;
/// Index into [`ProcessFacts::goroutines`].
pub type GoroutineId = u32;
/// Index into [`ProcessFacts::types`].
pub type TypeId = u32;
/// Index into [`ProcessFacts::probe_tables`].
pub type ProbeTableId = u32;

/// The machine on which a node runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct HostFacts {
    pub hostname: String,
    /// As `uname -r` prints it.
    pub kernel: String,
    /// As Go names it: `amd64`, `arm64`.
    pub arch: String,
    pub node_version: String,
    /// Of the running kernel (`/proc/sys/kernel/random/boot_id`): numbers of namespaces, and of sockets in them, mean
    /// something within one of these only. Empty: not known.
    pub boot_id: String,
}

/// Whether everything that was asked for is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Completeness {
    /// Everything.
    Complete,
    /// Some facts are missing; gaps say which, and why.
    Partial,
    /// Nothing could be captured.
    Failed,
}

/// A stop of a target. Unix times are of the node's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct PauseWindow {
    /// The first thread was interrupted.
    pub pause_start_unix_ns: i64,
    /// From the first interrupt to the last resume: what the target felt.
    pub pause_ns: i64,
    /// All threads had stopped.
    pub frozen_start_unix_ns: i64,
    /// From the last stop to the first resume: the time in which nothing in the target moved.
    pub frozen_ns: i64,
    /// Goroutines whose stacks had been copied before, and were proved unchanged in that time.
    pub reused: u32,
}

/// One target, whole.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct ProcessFacts {
    /// As the node's host counts.
    pub pid: u32,
    /// In its innermost PID namespace.
    pub ns_pid: u32,
    pub started_unix_ns: Option<i64>,
    /// The executable's file name.
    pub program: String,
    pub container_id: Option<String>,
    pub exe: String,
    /// Arguments joined by spaces, scrubbed of secrets.
    pub cmdline: String,
    /// Hexadecimal GNU build id, or a digest of the Go build id where there is none.
    pub build_id: String,
    /// `go1.26.6`.
    pub go_version: String,
    /// Of the main module: `example.com/shop v1.2.3`.
    pub main_module: Option<String>,
    pub arch: String,
    pub threads: u32,
    /// `None` for a core file: nothing was stopped.
    pub pause: Option<PauseWindow>,
    pub completeness: Completeness,
    /// Why it is not complete.
    pub reason: Option<String>,
    pub environment: EnvironmentFits,
    pub files: Vec<String>,
    pub functions: Vec<Function>,
    pub stacks: Vec<Stack>,
    pub go_statements: Vec<GoStatement>,
    /// By descriptor, each once.
    pub sockets: Vec<Socket>,
    pub goroutines: Vec<Goroutine>,
    /// Names of Go types, of values that were captured.
    pub types: Vec<String>,
    pub probe_tables: Vec<ProbeTable>,
    pub probe_rows: Vec<ProbeRow>,
    pub gaps: Vec<Gap>,
}

/// What its environment says of the `[[program]]` rules of the order. What is in it stays on its host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum EnvironmentFits {
    /// No rule asks for it.
    #[default]
    NotAsked,
    /// The numbers, from 1 on, of the rules whose variables it has.
    Rules(Vec<u32>),
    /// Why it is not known.
    Unknown(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Function {
    /// As Go's function table has it: `net/http.(*conn).serve`, `main.work[go.shape.int]`.
    pub name: String,
    /// Import path: `net/http`.
    pub package: String,
    pub file: FileId,
    pub start_line: u32,
    /// Part of the Go distribution.
    pub is_standard_library: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Stack {
    /// Innermost first.
    pub frames: Vec<Frame>,
    /// `complete` when the stack ended at its top frame, otherwise why it did not.
    pub stop_reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Frame {
    pub function: FunctionId,
    pub file: FileId,
    pub line: u32,
    /// This call was inlined into the next frame that was not.
    pub inlined: bool,
    /// Go's own traceback shows this frame by default; it hides most runtime functions and generated wrappers.
    pub shown: bool,
    /// Offset from the start of the build's Go text.
    pub pc: u64,
    /// Offset from the entry of the (not inlined) function: the `+0x1d` of Go's traceback.
    pub function_offset: u32,
}

/// Where goroutines are started: `created by` in Go's traceback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct GoStatement {
    pub function: FunctionId,
    pub file: FileId,
    pub line: u32,
    pub function_offset: u32,
    /// As [`Frame::shown`].
    pub shown: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Goroutine {
    pub goid: u64,
    /// `idle`, `runnable`, `running`, `syscall`, `waiting`, `copystack`, `preempted`, `leaked`.
    pub status: String,
    /// As Go names it: `chan receive`.
    pub wait_reason: Option<String>,
    /// What Go's traceback prints between `goroutine 7 ` and the colon: `[chan receive, 2 minutes]`.
    pub header: String,
    pub stack: StackId,
    /// One line for each of the stack's frames: the arguments as Go prints them, nothing for an inlined frame.
    /// Trailing empty lines are left out.
    pub arguments: String,
    pub parent_goid: Option<u64>,
    pub created_by: Option<GoStatementId>,
    pub start_function: Option<FunctionId>,
    /// The operating system's id of the thread that it runs on, as the host counts.
    pub thread_id: Option<u32>,
    pub on_cpu: bool,
    pub is_system: bool,
    /// pprof labels.
    pub labels: Vec<(String, String)>,
    /// Empty: it waits for nothing, or a gap says why that is not known.
    pub waits: Vec<Wait>,
    /// Since when it is blocked: its present park.
    pub blocked: Option<Since>,
    /// When it was started.
    pub born: Option<Since>,
}

/// When something began, as far as it is known. Unix times are of the node's clock, as those of the [`PauseWindow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Since {
    /// It began after this.
    pub after_unix_ns: Option<i64>,
    /// It began before this.
    pub before_unix_ns: Option<i64>,
    pub source: SinceSource,
}

/// How it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum SinceSource {
    /// Watching, which ids were given to goroutines by then.
    Ids,
    /// Watching: the record was the same each time that it was looked at.
    Watched,
    /// This snapshot: the record was the same when it was copied, before the stop.
    Copied,
    /// Watching says after what, this snapshot's copy before what.
    WatchedAndCopied,
}

impl SinceSource {
    pub fn text(self) -> &'static str {
        match self {
            SinceSource::Ids => "watched: which ids were given out",
            SinceSource::Watched => "watched: likely the same park",
            SinceSource::Copied => "this snapshot's copy before the stop",
            SinceSource::WatchedAndCopied => "watched; this snapshot's copy before the stop",
        }
    }
}

/// A socket that one of the process's descriptors named before the stop and after it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Socket {
    pub fd: u32,
    pub inode: u64,
    /// Inode of its network namespace.
    pub netns: u64,
    /// As SO_COOKIE gives it: the kernel gives each once. `None`: not known.
    pub cookie: Option<u64>,
    /// `ipv4`, `ipv6`, `unix`. Of a TCP or UDP socket what its addresses are: an IPv6 socket that speaks IPv4 is `ipv4`.
    pub family: String,
    /// `tcp`, `udp`; of a unix socket `stream`, `datagram`, `seqpacket`.
    pub protocol: String,
    /// `127.0.0.1:80`, `[::1]:80`; of a unix socket its path, `@name`, or nothing.
    pub local: String,
    /// Empty: there is none.
    pub remote: String,
    /// `established`, `listen`, `close wait`.
    pub state: String,
    /// Bytes that have come and were not read; of one that listens: connections that were not accepted.
    pub receive_queue_bytes: Option<u32>,
    /// Bytes that were sent and not acknowledged; of one that listens: how many may wait.
    pub send_queue_bytes: Option<u32>,
    /// Of a unix socket: the one that it is connected to.
    pub peer_inode: Option<u64>,
    /// What the other end of the connection has as its remote address, where this host translates addresses.
    pub translated_local: Option<String>,
    /// What the other end has as its local address.
    pub translated_remote: Option<String>,
    /// A process at the other end that this host can see, or its address.
    pub peer_description: Option<String>,
}

/// One thing that a goroutine waits for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Wait {
    /// `chan receive`, `mutex`, `net read`.
    pub kind: String,
    /// It goes on when any one of several comes true, of which this is one.
    pub any: bool,
    /// Of the channel, of the lock.
    pub address: Option<u64>,
    /// A JSON object; empty: nothing more is known.
    pub detail: String,
}

/// What a probe captures in a function. One that names no expressions takes what each function has, and stands here once
/// for each.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub struct ProbeTable {
    /// The probe's name: `orders`.
    pub probe: String,
    /// The names of its expressions, each of them once.
    pub columns: Vec<String>,
}

/// One frame that a probe has matched.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ProbeRow {
    pub table: ProbeTableId,
    pub goroutine: GoroutineId,
    /// Index into the stack's frames. No two rows of a probe have the same goroutine and depth.
    pub depth: u32,
    /// One for each of the table's columns.
    pub cells: Vec<Cell>,
}

/// What an expression has given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Cell {
    pub type_id: Option<TypeId>,
    pub value: CellValue,
    /// Where the value lay.
    pub address: Option<u64>,
    /// Why the value is missing, or which part of it.
    pub gap: Option<String>,
}

#[derive(Clone, Debug, Default, Encode, Decode)]
pub enum CellValue {
    /// There is none; the cell's gap says why.
    #[default]
    None,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Real(f64),
    Text(String),
    /// Any value of several parts, as JSON.
    Json(String),
}

/// The same bytes: also what is not a number equals itself.
impl PartialEq for CellValue {
    fn eq(&self, other: &CellValue) -> bool {
        match (self, other) {
            (CellValue::None, CellValue::None) => true,
            (CellValue::Bool(one), CellValue::Bool(other)) => one == other,
            (CellValue::Int(one), CellValue::Int(other)) => one == other,
            (CellValue::Uint(one), CellValue::Uint(other)) => one == other,
            (CellValue::Real(one), CellValue::Real(other)) => one.to_bits() == other.to_bits(),
            (CellValue::Text(one), CellValue::Text(other)) => one == other,
            (CellValue::Json(one), CellValue::Json(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for CellValue {}

impl Cell {
    /// Bytes of its texts.
    pub fn text_bytes(&self) -> usize {
        let value = match &self.value {
            CellValue::Text(text) | CellValue::Json(text) => text.len(),
            _ => 0,
        };
        value + self.gap.as_ref().map_or(0, String::len)
    }
}

/// Why a fact is missing.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Gap {
    /// The goroutine it is about; `None` for the whole process.
    pub goid: Option<u64>,
    /// What is missing: `stack`, `labels`.
    pub what: String,
    pub reason: String,
}
