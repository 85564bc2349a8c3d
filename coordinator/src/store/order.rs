//! What a writer is told before the first fact, and what it says after the last.

use std::io;
use std::path::{Path, PathBuf};

pub use super::defect::Defect;

/// What is known of a snapshot before its first fact.
#[derive(Clone, Debug)]
pub struct SnapshotMeta {
    /// UUIDv7.
    pub id: String,
    pub label: Option<String>,
    /// The time of the order; the file has the time of the stop instead, if there was one.
    pub taken_at_unix_ns: i64,
    pub requested_by: Option<String>,
    pub tool_version: String,
    /// What was ordered, as on the command line.
    pub selector: String,
    /// Source text of the probe sets; `None`: none.
    pub probes: Option<String>,
}

/// A probe of the order, which has a table of its own in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTable {
    pub name: String,
    /// The names of its expressions, each of them once; none: it takes what each function has.
    pub columns: Vec<String>,
}

/// What happens to a file that is already there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    Refuse,
    Replace,
}

/// How a node's clock stands to the coordinator's.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockBound {
    pub offset_ns: i64,
    pub error_ns: i64,
}

/// A target that was ordered and of which nothing could be captured.
#[derive(Clone, Debug)]
pub struct LostProcess {
    pub pid: u32,
    pub program: String,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostKey(pub(super) i64);

/// What was written.
#[derive(Clone, Debug)]
pub struct Summary {
    pub path: PathBuf,
    pub id: String,
    pub bytes: u64,
    pub hosts: Vec<HostSummary>,
    pub processes: Vec<ProcessSummary>,
    pub goroutines: u64,
    pub stacks: u64,
    pub functions: u64,
    pub gaps: u64,
    pub complete: bool,
}

#[derive(Clone, Debug)]
pub struct HostSummary {
    pub hostname: String,
    /// `complete`, `partial`, `lost`
    pub state: &'static str,
    /// Why it is not complete.
    pub reason: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSummary {
    pub pid: u32,
    pub program: String,
    pub goroutines: u64,
    pub pause_ns: Option<i64>,
    pub frozen_ns: Option<i64>,
    /// `complete`, `partial`, `failed`
    pub state: &'static str,
    pub reason: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{}: exists already", path.display())]
    Exists { path: PathBuf },
    #[error("{}: cannot be written: {source}", path.display())]
    Output { path: PathBuf, source: io::Error },
    #[error("{}: writing failed: {source}", path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
    #[error("{}: the finished file does not pass SQLite's check: {finding}", path.display())]
    Check { path: PathBuf, finding: String },
    #[error("{}: its file system is full", path.display())]
    Full { path: PathBuf },
    /// An earlier write failed, and what is in the temporary file is unknown since then.
    #[error("{}: cannot be finished, because writing to it has failed", path.display())]
    Spoiled { path: PathBuf },
    /// A peer's facts contradict themselves, or a limit. They are taken back; the snapshot goes on without them.
    #[error("{target}: {defect}")]
    BadFacts { target: String, defect: Defect },
    #[error("the probes of the order are not understood: {reason}")]
    Probes { reason: String },
    /// A defect of the caller.
    #[error("the store was asked for {asked}, {but}")]
    Misuse { asked: &'static str, but: &'static str },
}

impl WriteError {
    pub(super) fn of_database(path: &Path, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full { path: path.to_owned() },
            _ => Self::Database { path: path.to_owned(), source },
        }
    }

    pub(crate) fn of_file(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { path: path.to_owned() },
            _ => Self::Output { path: path.to_owned(), source },
        }
    }

    /// What to do next.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "choose another name with --output, or replace it with --force",
            Self::Output { .. } => "choose a folder that exists and that you may write to, with --output",
            Self::Database { .. } | Self::Spoiled { .. } => {
                "see that the file system is healthy, or choose another one with --output"
            }
            Self::Full { .. } => {
                "make space there and where temporary files go (TMPDIR), or choose another file system with --output"
            }
            Self::Check { .. } => "see that the disk is healthy, and take the snapshot again",
            Self::BadFacts { .. } => {
                "this is a defect of Stillframe or a hostile target; report it with both versions"
            }
            Self::Probes { .. } => {
                "check them with `stillframe snapshot --probes`, which says where they are wrong"
            }
            Self::Misuse { .. } => "this is a defect of Stillframe; report it with its version",
        }
    }
}
