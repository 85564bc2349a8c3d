//! Tier one: the actors' pure state machines in one event loop with virtual time.
//!
//! What the shells and the operating system do in earnest is modelled around them, a file each:
//!
//! * [`world`]: the loop, mailboxes and clocks. Within one instant the mailboxes are emptied in an order that the seed draws.
//! * [`node`]: what a node's shell does: connecting, finding targets, the freezer, decoding, spooling.
//! * [`coordinator`]: what the coordinator's shell does: sessions, snapshots with their linkers and writers.
//! * [`network`]: connections, their control streams, and the openings of data streams.
//! * [`writer`]: the writer's thread; [`disk`]: what of its work outlives a crash or a loss of power.
//! * [`faults`] and [`clients`] carry out the plan.

pub mod clients;
pub mod coordinator;
pub mod disk;
pub mod faults;
pub mod network;
pub mod node;
pub mod world;
pub mod writer;

pub use world::{Planted, World};
