//! Probes: what to capture wherever a function stands on a stack.
//!
//! 1. [`ProbeSet::parse`]: a set, from TOML; [`pattern`] and [`expression`] are what it is made of.
//! 2. [`check`]: an expression against a function's variables and a build's types gives a [`Plan`], or says what is wrong.
//! 3. [`Plan::evaluate`]: the plan, on one frame.
//!
//! [`availability`] says before any capture what of it all can be had in a build.
//!
//! Nothing of a set is trusted: [`limits`] has the bounds.

mod check;
mod choice;
mod column;
mod defaults;
mod frame;
mod lexer;
mod parser;
mod plan;
mod redaction;
mod scope;
mod select;
mod statement;
mod toml_reader;
mod type_names;
#[cfg(test)]
mod world;

pub mod availability;
pub mod expression;
pub mod limits;
pub mod pattern;
pub mod problem;
pub mod set;

pub use check::check;
pub use column::is_name;
pub use defaults::{DEPTH as DEFAULT_DEPTH, default_columns};
pub use frame::FrameView;
pub use plan::{Evaluated, Plan};
pub use problem::Problem;
pub use redaction::Redaction;
pub use scope::{BuildProgram, Program, Scope};
pub use set::ProbeSet;
