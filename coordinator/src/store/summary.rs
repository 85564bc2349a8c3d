//! What a list of snapshots says of each file.

use super::reader::{ReadError, Snapshot};

/// The first things that one wants to know of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSummary {
    /// UUIDv7.
    pub id: String,
    pub label: Option<String>,
    /// Unix nanoseconds.
    pub taken_at_unix_ns: i64,
    pub complete: bool,
    pub goroutines: i64,
    pub processes: i64,
}

impl Snapshot {
    pub fn summary(&self) -> Result<FileSummary, ReadError> {
        self.read(|connection| {
            connection.query_row(
                "select id, label, taken_at_unix_ns, complete,
                        (select coalesce(sum(goroutines), 0) from processes), (select count(*) from processes)
                 from snapshot",
                [],
                |row| {
                    Ok(FileSummary {
                        id: row.get(0)?,
                        label: row.get(1)?,
                        taken_at_unix_ns: row.get(2)?,
                        complete: row.get(3)?,
                        goroutines: row.get(4)?,
                        processes: row.get(5)?,
                    })
                },
            )
        })
    }
}
