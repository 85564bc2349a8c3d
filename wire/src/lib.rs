//! What a node tells a coordinator about a target, as plain values.
//!
//! * [`facts`] are what was seen: functions, stacks, goroutines, and gaps where something could not be seen.
//! * [`limits`] are the bounds of everything that crosses from one process to another.
//!
//! This crate owns no socket, no clock and no file. It knows neither Go's memory (that is `stillframe-golang`) nor
//! SQLite (that is the coordinator's store).
#![forbid(unsafe_code)]

pub mod facts;
pub mod limits;
