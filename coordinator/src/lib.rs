//! The coordinator: the store of snapshots, the server and the command line.
//!
//! * [`store`] writes and reads snapshot files: one SQLite file a snapshot.
//! * [`server`] is `stillframe serve`: nodes over QUIC, users over HTTP; [`api`] is what it says to the latter.
//! * [`packs`] are the probe sets that come with it.
//! * [`probe_sets`] checks the probes of an order.
//! * [`embedded`] is the same coordinator, and a node, inside one command.
//! * [`traceback`] prints a goroutine as Go does.
//! * [`commands`] are the verbs of the command line, a file a verb.
#![forbid(unsafe_code)]

pub mod api;
pub mod commands;
pub mod embedded;
pub mod packs;
pub mod probe_sets;
pub mod server;
pub mod store;
pub mod traceback;
