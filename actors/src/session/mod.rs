//! The coordinator's end of one node's connection.

mod clock;
pub mod state;

pub use clock::ClockEstimate;
