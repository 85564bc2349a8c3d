//! One order: its phases and deadlines, who is ready, frozen, done or lost, and who may send.

pub mod actor;
mod member;
mod message;
pub mod state;

pub use member::Member;
pub use message::{Effect, Event, StreamId, TargetKey, WriterOrder};
