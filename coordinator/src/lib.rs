//! The coordinator: the store of snapshots and the command line.
//!
//! * [`store`] writes and reads snapshot files: one SQLite file a snapshot.
//! * [`traceback`] prints a goroutine as Go does.
//! * [`commands`] are the verbs of the command line, a file a verb.
#![forbid(unsafe_code)]

pub mod commands;
pub mod store;
pub mod traceback;
