//! What peers that had proved who they are sent, and nobody could use.

use std::sync::atomic::AtomicU64;

/// Counted since the start, over all sessions.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Sessions that were refused: for a name that was taken, another version, garbage, a message out of turn.
    pub sessions: AtomicU64,
    /// Data streams that did not say what they are of, or came from a node that is not registered.
    pub streams: AtomicU64,
}
