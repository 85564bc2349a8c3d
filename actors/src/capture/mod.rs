//! One target of one order, on its node.

pub mod state;
