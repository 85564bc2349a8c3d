//! The coordinator's end of one node's connection.

pub mod actor;
mod clock;
mod refusals;
pub mod state;

pub use clock::ClockEstimate;
pub use refusals::Refusals;
