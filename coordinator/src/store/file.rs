//! The file itself: opened for a bulk load, filled in large transactions, and given its name when it is whole.

use std::fs::File;
use std::io;
use std::path::Path;

use rusqlite::{Connection, Statement};
use tempfile::TempPath;

use super::order::{Existing, WriteError};
use super::schema;

/// Rows of one transaction: enough to make its cost vanish, few enough to bound what SQLite keeps.
const TRANSACTION_ROWS: usize = 10_000;
/// Rows on their way into the file, a transaction for every [`TRANSACTION_ROWS`].
pub(super) struct Load<'a> {
    connection: &'a Connection,
    rows_pending: &'a mut usize,
    output: &'a Path,
}

impl<'a> Load<'a> {
    pub(super) fn new(connection: &'a Connection, rows_pending: &'a mut usize, output: &'a Path) -> Self {
        Self { connection, rows_pending, output }
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<Statement<'a>, WriteError> {
        self.connection.prepare(sql).map_err(|source| self.failed(source))
    }

    pub(super) fn insert(
        &mut self,
        statement: &mut Statement,
        row: impl rusqlite::Params,
    ) -> Result<(), WriteError> {
        statement.execute(row).map_err(|source| self.failed(source))?;
        *self.rows_pending += 1;
        if *self.rows_pending == TRANSACTION_ROWS {
            *self.rows_pending = 0;
            self.connection.execute_batch("commit; begin").map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    fn failed(&self, source: rusqlite::Error) -> WriteError {
        WriteError::Database { path: self.output.to_owned(), source }
    }
}

pub(super) fn open_for_load(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch(&format!(
        "pragma page_size = 8192; pragma journal_mode = off; pragma synchronous = off;
         pragma locking_mode = exclusive; pragma cache_size = -65536;
         pragma application_id = {}; pragma user_version = {};",
        schema::APPLICATION_ID,
        schema::VERSION
    ))?;
    connection.execute_batch("begin")?;
    connection.execute_batch(schema::TABLES)?;
    Ok(connection)
}

/// Syncs the file, gives it its name, and syncs that. Its size in bytes.
pub(super) fn publish(temporary: TempPath, output: &Path, existing: Existing) -> Result<u64, WriteError> {
    let failed = |source| WriteError::Output { path: output.to_owned(), source };
    let file = File::open(&temporary).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    // Both are one rename; the second by RENAME_NOREPLACE (or a hard link), so that no check comes before it.
    let renamed = match existing {
        Existing::Replace => temporary.persist(output),
        Existing::Refuse => temporary.persist_noclobber(output),
    };
    renamed.map_err(|refused| match refused.error.kind() {
        io::ErrorKind::AlreadyExists => WriteError::Exists { path: output.to_owned() },
        _ => failed(refused.error),
    })?;
    File::open(folder_of(output)).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(bytes)
}

pub(super) fn folder_of(output: &Path) -> &Path {
    output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
