//! One target of one order, on its node.

pub mod actor;
pub mod state;
