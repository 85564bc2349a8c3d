//! `/api/v1/probe-sets`: probe sets that the coordinator keeps under a name, with their history.

use serde::{Deserialize, Serialize};

/// `GET /api/v1/probe-sets`: the newest version of each, by name; of `/api/v1/probe-sets/NAME`: all of one, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSetList {
    pub sets: Vec<ProbeSetEntry>,
}

/// One version of a set; the answer to a push, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSetEntry {
    pub name: String,
    /// From 1 on.
    pub version: u32,
    pub pushed_unix_ns: i64,
    /// As the client says: it is not checked.
    pub pushed_by: Option<String>,
    pub note: Option<String>,
    /// Captured of all programs that its probes are for, unless something else is asked for.
    pub is_default: bool,
}

/// `GET /api/v1/probe-sets/NAME/VERSION`; version 0 is the newest one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSetText {
    #[serde(flatten)]
    pub entry: ProbeSetEntry,
    pub text: String,
}

/// `POST /api/v1/probe-sets/NAME`: a new version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeSetPush {
    pub text: String,
    #[serde(default)]
    pub pushed_by: Option<String>,
    #[serde(default)]
    pub note: Option<String>,
    #[serde(default)]
    pub is_default: bool,
}
