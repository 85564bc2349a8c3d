//! `/api/v1/symbols`: files with debug information that the coordinator hands to its nodes.

use serde::{Deserialize, Serialize};

/// The media type of what is put.
pub const SYMBOLS_TYPE: &str = "application/octet-stream";

/// `GET /api/v1/symbols`: what was last used comes first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolsList {
    pub symbols: Vec<SymbolsEntry>,
    /// Of all together; when they are more, what was not used for longest is deleted.
    pub bytes_max: u64,
}

/// One of them; the answer to `PUT /api/v1/symbols/BUILD_ID`, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SymbolsEntry {
    pub build_id: String,
    pub bytes: u64,
    /// When somebody pushed it, or a node asked for it.
    pub used_unix_ns: i64,
}
