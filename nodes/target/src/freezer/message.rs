//! What agent and freezer say to each other: one reply a command, in frames of `stillframe_wire::codec`.
//!
//! These are mirrors of the domain's types, which know nothing of bytes; `convert` goes from one to the other.
//!
//! A list comes as one frame a process, and the threads of a large process in several: no frame is longer than
//! `FRAME_BYTES_MAX`.

use crate::sockets::{Owner, Socket};
use bincode::{Decode, Encode};
use std::time::Duration;

/// The longest command's body, in bytes.
pub(super) const COMMAND_BYTES_MAX: usize = 64;

/// Threads in one frame: at most 400 bytes each.
pub(super) const THREADS_PER_FRAME: usize = 4096;

/// In one frame: at most 400 bytes each, 13 KiB, 800 bytes.
pub(super) const SOCKETS_PER_FRAME: usize = 2048;
pub(super) const OWNERS_PER_FRAME: usize = 64;
pub(super) const FILES_PER_FRAME: usize = 1024;

/// On the control socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum HostCommand {
    /// Answered by any number of `Listed` and `Denied`, and `ListEnd`.
    List,
    /// Answered by `Executable`, with its descriptor.
    Executable { pid: u32 },
    /// Answered by `Opened`, with the descriptors of the conversation's socket and of its window.
    Open { pid: u32 },
}

#[derive(Debug, Encode, Decode)]
pub(super) enum HostReply {
    /// Unasked, when the freezer is ready.
    Ready {
        may_trace_all: bool,
    },
    Listed(ProcessRecord),
    Denied(ProcessFailure),
    ListEnd(Result<(), ProcessFailure>),
    Executable(Result<(), ProcessFailure>),
    Opened(Result<ProcessRecord, ProcessFailure>),
    Refused(String),
}

/// On a conversation's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum TargetCommand {
    Executable,
    Auxiliary,
    Fate,
    /// The first `ranges` ranges of a slot of the window. The next one may be asked for before this is answered.
    Read {
        slot: u8,
        ranges: u32,
    },
    Freeze {
        budget_ns: u64,
    },
    Resume,
    /// Answered with the descriptor of `/proc/PID/environ`.
    Environment,
    /// Lists its descriptors, for `Sockets`.
    Descriptors,
    /// What its sockets are, of those that it had then.
    Sockets,
}

#[derive(Debug, Encode, Decode)]
pub(super) enum TargetReply {
    Executable(Result<(), ProcessFailure>),
    Auxiliary(Result<Vec<(u64, u64)>, ProcessFailure>),
    Fate(FateRecord),
    Read(ReadRecord),
    Frozen(Result<FrozenRecord, FreezeFailure>),
    /// More of them.
    Threads {
        threads: Vec<ThreadRecord>,
        more: bool,
    },
    Resumed(PauseRecord),
    /// The last frame of a conversation.
    Refused(String),
    Environment(Result<(), ProcessFailure>),
    Descriptors(Result<(), ProcessFailure>),
    Sockets(Result<SocketsRecord, ProcessFailure>),
    /// Of `SocketsRecord`, as many as it says together.
    SocketsPart(SocketsPart),
}

/// As [`crate::sockets::Sockets`]. What is many follows.
#[derive(Debug, Encode, Decode)]
pub(super) struct SocketsRecord {
    pub(super) netns: u64,
    pub(super) changed: u32,
    pub(super) unknown: u32,
    pub(super) problems: Vec<String>,
    pub(super) sockets: u32,
    pub(super) owners: u32,
    pub(super) files: u32,
}

/// These types have no part but plain values, and cross as they are.
#[derive(Debug, Default, Encode, Decode)]
pub(super) struct SocketsPart {
    pub(super) sockets: Vec<Socket>,
    pub(super) owners: Vec<Owner>,
    pub(super) files: Vec<(u32, String)>,
}

/// The bytes, and which ranges are whole, are in the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct ReadRecord {
    /// Of the last range that could not be read since the target was opened or frozen; 0: none.
    pub(super) errno: i32,
    /// Whether the target still stood when all of it had been read.
    pub(super) frozen: bool,
}

#[derive(Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct FrozenRecord {
    pub(super) threads: Vec<ThreadRecord>,
    /// Whether `Threads` follow.
    pub(super) more: bool,
    pub(super) unstopped: Vec<UnstoppedRecord>,
    pub(super) frozen_start_ns: i64,
    pub(super) frozen_monotonic_ns: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct ThreadRecord {
    pub(super) tid: u32,
    pub(super) ns_tid: u32,
    pub(super) registers: Option<RegistersRecord>,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct RegistersRecord {
    pub(super) pc: u64,
    pub(super) general: Vec<u64>,
    pub(super) thread_pointer: u64,
    pub(super) syscall_number: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct UnstoppedRecord {
    pub(super) tid: u32,
    pub(super) reason: UnstoppedReasonRecord,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum UnstoppedReasonRecord {
    Vfork,
    Uninterruptible,
    NotScheduled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct PauseRecord {
    pub(super) pause_start_ns: i64,
    pub(super) pause: Duration,
    pub(super) frozen_start_ns: i64,
    pub(super) frozen: Duration,
    pub(super) frozen_monotonic_ns: i64,
    pub(super) ended: EndedRecord,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum EndedRecord {
    Asked,
    Budget,
    Died,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum FateRecord {
    Same,
    Execed,
    Gone,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct ProcessRecord {
    pub(super) pid: u32,
    pub(super) ns_pid: u32,
    pub(super) in_pid_namespace: bool,
    pub(super) uid: u32,
    pub(super) started_unix_ns: i64,
    pub(super) start_ticks: u64,
    pub(super) start_stack: u64,
    pub(super) exe: Option<String>,
    pub(super) comm: String,
    pub(super) cmdline: Vec<String>,
    pub(super) threads: u32,
    pub(super) container_id: Option<String>,
    /// Mount, network, PID, user.
    pub(super) namespaces: [u64; 4],
}

/// `io::Error`: by its number, and by its text where it has none.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum SystemFailure {
    Number(i32),
    Text(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum ProcessFailure {
    NotFound { pid: u32 },
    Exited { pid: u32 },
    Denied { pid: u32, file: String, remedy: String },
    Unreadable { pid: u32, file: String, source: SystemFailure },
    NoProc(SystemFailure),
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) enum FreezeFailure {
    Itself { pid: u32 },
    KernelThread { pid: u32 },
    Exited { pid: u32 },
    Replaced { pid: u32 },
    Execed { pid: u32 },
    AlreadyTraced { pid: u32, tracer: u32 },
    Denied { pid: u32, remedy: String },
    Budget { pid: u32, budget: Duration, budget_max: Duration },
    System { pid: u32, doing: String, source: SystemFailure },
    Lost { pid: u32 },
    Process(ProcessFailure),
}
