//! What coordinator and nodes tell each other, as plain values and as bytes.
//!
//! * [`facts`] are what was seen of a process: functions, stacks, goroutines, and gaps where something could not be seen.
//! * [`message`] is the conversation about an order, [`batch`] a result in pieces.
//! * [`symbols`] is how a node asks for debug information.
//! * [`codec`] makes bytes of them and back; [`limits`] are the bounds of everything that crosses from one process to another.
//!
//! This crate owns no socket, no clock and no file. It knows neither Go's memory (that is `stillframe-golang`) nor
//! SQLite (that is the coordinator's store).
#![forbid(unsafe_code)]

pub mod batch;
pub mod codec;
pub mod facts;
pub mod limits;
pub mod message;
pub mod symbols;

/// For the bounds of functions that take any message.
pub use bincode;
