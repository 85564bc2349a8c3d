//! Why a value is missing or cut: a closed list.

use thiserror::Error;

/// The reason that stands in the place of a value.
#[derive(Clone, Debug, Error, PartialEq, Eq, Hash)]
pub enum Gap {
    #[error(
        "no debug information: build the program without -ldflags=-w or -s and do not strip it, or give its symbols (stillframe symbols push)"
    )]
    NoDebugInfo,
    /// In the words of who looked for it.
    #[error("{0}")]
    DebugInfoNotFound(String),
    #[error(
        "damaged debug information: {0}; build the program again, or give its symbols (stillframe symbols push)"
    )]
    DamagedDebugInfo(String),
    /// The compiler keeps it nowhere at this program counter.
    #[error("optimized out")]
    OptimizedOut,
    /// In a register that callees may have overwritten since.
    #[error("in a register that is not saved")]
    InRegister,
    /// Only some of its pieces are kept.
    #[error("optimized out in part")]
    OptimizedOutInPart,
    /// Declared further below, or of another block.
    #[error("not yet declared here")]
    NotDeclared,
    /// The stack slot may not have been written, or holds another variable.
    #[error("its stack slot is not known to hold it here")]
    SlotNotLive,
    #[error("receive pending")]
    ReceivePending,
    #[error("nil pointer")]
    NilPointer,
    #[error("memory at {0:#x} is not readable")]
    Unreadable(u64),
    #[error("index {index} is out of range: length {length}")]
    OutOfRange { index: i64, length: u64 },
    #[error("no such key")]
    NoSuchKey,
    #[error("holds {0}")]
    OtherType(String),
    #[error("nil interface")]
    NilInterface,
    #[error("a type that is not described: {0}")]
    UnknownType(String),
    /// Bytes that no value of the type has.
    #[error("implausible: {0}")]
    Implausible(String),
    #[error("being written")]
    BeingWritten,
    /// Of a network connection.
    #[error("{0}")]
    NoDescriptor(&'static str),
    #[error("redacted")]
    Redacted,
    /// Inside `runtime/secret.Do`.
    #[error("secret")]
    Secret,
    /// By the policy of its node.
    #[error("policy: {0}")]
    Policy(String),
    #[error("cut: depth")]
    Depth,
    #[error("cut: {shown} of {length} bytes")]
    Bytes { shown: u64, length: u64 },
    #[error("cut: {shown} of {length} elements")]
    Elements { shown: u64, length: u64 },
    #[error("cut: too many pointers")]
    Pointers,
    #[error("cut: too much data of one frame")]
    Size,
    #[error("cycle")]
    Cycle,
    #[error("budget")]
    Budget,
    #[error("not on this architecture")]
    Architecture,
    /// The expression does not fit what stands in the build.
    #[error("{0}")]
    Expression(String),
}
