//! The freezer: a small process that has the privilege, and the only one that touches targets; and its client.
//!
//! The agent parses what targets and networks give it, so it should be able to do nothing. It starts the freezer first,
//! which is the agent's own program with a hidden verb, then gives up its own privileges, and from then on asks:
//!
//! ```text
//!  agent                                  freezer
//!  Freezer ───── control socket ───────── server: list, executable of a pid, open a pid
//!  Target  ───── socket of its own ────── conversation, a thread a target:
//!                                         executable, environment, auxiliary vector, fate, read,
//!                                         descriptors, sockets, freeze, resume
//!          ═════ window (memfd) ═════════ ranges in, bytes of the target out
//!          ───── and another of each ─── reader: read, on another processor
//! ```
//!
//! * `server`, `conversation`, `reader`: the privileged side. It parses `/proc` and these commands, nothing else.
//! * [`Freezer`], [`Target`], [`FrozenTarget`]: the agent's side.
//! * `message`, `convert`, `sockets`: what is said, and the domain's types in it; `socket`: frames and descriptors; `window`: the
//!   shared memory.
//!
//! Invariants, each of them tested:
//!
//! * A target runs again when its budget is spent, whatever the agent does: the tracing thread keeps it (see
//!   [`crate::freeze`]). When the agent dies its sockets close, the freezer lets everything go and ends.
//! * When the freezer dies the kernel lets its targets go, and every call of the client says
//!   [`FreezerError::Ended`]: none hangs. A freezer that does not answer for 30 s is killed, one
//!   that holds a target 5 s after its budget.
//! * The agent is as untrusted as a target: a command that is malformed or out of order ends that conversation.

mod client;
mod conversation;
mod convert;
mod error;
mod message;
mod reader;
mod readiness;
mod server;
mod socket;
mod sockets;
mod target;
mod window;

#[cfg(test)]
mod tests;

pub use client::Freezer;
pub use error::FreezerError;
pub use server::serve_inherited;
pub use target::{FrozenTarget, RemoteMemory, Target};

/// The hidden verb of both programs: `PROGRAM freezer` calls [`serve_inherited`].
pub const VERB: &str = "freezer";
