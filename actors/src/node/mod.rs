//! The node's supervisor: its connection to the coordinator, and the captures of its orders.

pub mod actor;
pub mod state;
