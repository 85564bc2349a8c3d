//! The coordinator: which nodes there are, and which order's turn it is.

pub mod actor;
mod intake;
pub mod state;

pub use intake::{Intake, Streamed};
