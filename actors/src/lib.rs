//! Every actor of Stillframe: a pure state machine in `state.rs`, and the thin shell that runs it in `actor.rs`.
//!
//! | actor | runs on | it owns |
//! | --- | --- | --- |
//! | [`node`] | node | the connection to the coordinator |
//! | [`capture`] | node, one a target of an order | one result, from freeze to committed |
//! | [`coordinator`] | coordinator | the registry of nodes, the queue of orders |
//! | [`session`] | coordinator, one a connection | the greeting, the clock estimate |
//! | [`snapshot`] | coordinator, one an order | phases, deadlines, who may send |
//! | [`linker`] | coordinator, one an order | what joins processes |
//! | [`writer`] | coordinator, one an order | the order of what goes into the file |
//!
//! A machine gets time, ids and randomness handed in and answers with effects: see [`machine::Machine`]. That is what the
//! simulation and the property tests run.
#![forbid(unsafe_code)]

pub mod actor;
pub mod capture;
pub mod clock;
pub mod connection;
pub mod coordinator;
pub mod glob;
pub mod linker;
pub mod local;
pub mod machine;
pub mod node;
pub mod order;
pub mod quic;
pub mod session;
pub mod snapshot;
pub mod symbols;
pub mod time;
pub mod writer;
