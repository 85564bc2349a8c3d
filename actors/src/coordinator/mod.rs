//! The coordinator: which nodes there are, and which order's turn it is.

pub mod state;
