//! Joins what the processes of a snapshot say of their sockets: who waits for whom across processes.
//!
//! [`join::Join`] is the join itself: facts in, links out; also for who adds endpoints to a file later.

pub mod actor;
mod calls;
pub mod facts;
mod idle;
pub mod join;
mod method;
mod peers;
pub mod state;
#[cfg(test)]
mod tests;
mod unplaced;

pub use facts::{Found, Part, Place};
pub use join::Join;
