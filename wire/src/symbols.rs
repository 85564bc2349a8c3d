//! How a node asks its coordinator for the debug information of a build: one stream both ways a question.
//!
//! The node sends a [`SymbolsRequest`] and ends its direction; the coordinator answers with a [`SymbolsAnswer`], which the
//! file's bytes follow if there is one.

use bincode::{Decode, Encode};

use crate::message::Oversized;

/// Bytes of a build's id. Go's own has 83, a GNU one is a hash in hexadecimal.
pub const BUILD_ID_BYTES_MAX: usize = 128;

/// Bytes of the body of a request's frame, and of an answer's.
pub const SYMBOLS_FRAME_BYTES_MAX: usize = 4_096;

/// Questions that a node may ask at the same time.
pub const SYMBOLS_ASKED_MAX: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SymbolsRequest {
    /// [`crate::message::PROTOCOL_VERSION`].
    pub version: u32,
    pub build_id: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum SymbolsAnswer {
    /// So many bytes follow.
    File {
        bytes: u64,
    },
    Absent,
    /// Not now, and why.
    Refused {
        reason: String,
    },
}

impl SymbolsRequest {
    /// What the types cannot say.
    pub fn check(&self) -> Result<(), Oversized> {
        if self.build_id.len() > BUILD_ID_BYTES_MAX {
            return Err(Oversized { what: "a build id", limit: BUILD_ID_BYTES_MAX });
        }
        Ok(())
    }
}
