//! One SQLite file in the making.

pub mod state;
