//! Where a value is: in memory, or in pieces that the compiler scattered.

use crate::gap::Gap;

/// Where a value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the process's memory.
    At(u64),
    /// Split: parts by ascending offset, without overlap, that cover the whole value.
    Parts(Vec<Part>),
}

/// Some bytes of a value that is split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// From the start of the value.
    pub offset: u64,
    pub length: u64,
    pub source: PartSource,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartSource {
    At(u64),
    /// From a register.
    Bytes(Vec<u8>),
    Missing(Gap),
}
