//! One SQLite file in the making.

pub mod actor;
pub mod state;
pub mod streams;
