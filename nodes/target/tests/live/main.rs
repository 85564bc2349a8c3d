//! Tests with real processes.

mod common;
mod cores;
mod freeze;
mod killed;
