//! What a list of snapshots says of each file.

use super::reader::{ReadError, Snapshot};

/// As many as an order may have.
const PROBES_SHOWN_MAX: u32 = 256;

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
    /// The probes whose function stands on no stack.
    pub fn empty_probes(&self) -> Result<Vec<String>, ReadError> {
        self.read(|connection| {
            let tables = "select name from sqlite_master where type = 'table' and name like 'probe\\_%' escape '\\' \
                          order by name limit ?";
            let mut statement = connection.prepare(tables)?;
            let names = statement.query_map([PROBES_SHOWN_MAX], |row| row.get::<_, String>(0))?;
            let mut empty = Vec::new();
            for table in names.collect::<rusqlite::Result<Vec<_>>>()? {
                // The name is whatever the file says.
                let quoted = table.replace('"', "\"\"");
                let rows = format!("select exists (select 1 from \"{quoted}\")");
                if !connection.query_row(&rows, [], |row| row.get::<_, bool>(0))? {
                    empty.push(table.trim_start_matches("probe_").to_owned());
                }
            }
            Ok(empty)
        })
    }

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
