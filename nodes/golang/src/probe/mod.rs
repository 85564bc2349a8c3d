//! Probes: what to capture wherever a function stands on a stack.
//!
//! * [`set`]: a probe set, from TOML; [`pattern`] and [`expression`] are what it is made of.
//!
//! Nothing of a set is trusted: `limits` has the bounds.

mod column;
mod lexer;
mod parser;
mod toml_reader;

pub mod expression;
pub mod limits;
pub mod pattern;
pub mod problem;
pub mod set;

pub use set::ProbeSet;
