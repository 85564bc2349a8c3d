//! Joins what the processes of a snapshot say of their sockets.

pub mod actor;
pub mod state;
