//! One SQLite file in the making.

pub mod actor;
mod silence;
pub mod state;
pub mod streams;
