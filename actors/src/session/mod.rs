//! The coordinator's end of one node's connection.

pub mod actor;
mod clock;
pub mod state;

pub use clock::ClockEstimate;
