//! The schema of a snapshot file, version 1.

/// `PRAGMA application_id`: the bytes `StFr`, by which `file` and readers know a snapshot.
pub const APPLICATION_ID: i32 = 0x5374_4672;

/// `PRAGMA user_version`. Columns may be added within a version; a renamed one is a new version.
pub const VERSION: i32 = 1;

pub const TABLES: &str = include_str!("schema.sql");
pub const INDICES: &str = include_str!("indices.sql");
pub const VIEWS: &str = include_str!("views.sql");
