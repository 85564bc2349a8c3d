//! Every bound on what a node sends, with its unit in its name.

/// Bytes of a process's command line that are kept.
pub const COMMAND_LINE_BYTES_MAX: usize = 4_096;
