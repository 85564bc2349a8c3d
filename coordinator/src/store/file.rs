//! The file itself: opened for a bulk load, filled in large transactions, and given its name when it is whole.

use std::cell::Cell;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::{CachedStatement, Connection, Params, Statement};
use tempfile::TempPath;

use super::order::{Existing, WriteError};
use super::{schema, values};

/// Rows of one transaction: enough to make its cost vanish, few enough to bound what SQLite keeps.
const TRANSACTION_ROWS: usize = 10_000;

/// The file while it is filled: a transaction for every [`TRANSACTION_ROWS`].
pub(super) struct Database {
    pub(super) connection: Connection,
    /// The name that errors give.
    output: PathBuf,
    rows_pending: Cell<usize>,
}

impl Database {
    pub(super) fn open(temporary: &Path, output: &Path) -> Result<Self, WriteError> {
        let connection =
            open_for_load(temporary).map_err(|source| WriteError::of_database(output, source))?;
        Ok(Self { connection, output: output.to_owned(), rows_pending: Cell::new(0) })
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, WriteError> {
        self.connection.prepare_cached(sql).map_err(|source| self.failed(source))
    }

    /// One row of many.
    pub(super) fn insert(&self, statement: &mut Statement, row: impl Params) -> Result<(), WriteError> {
        statement.execute(row).map_err(|source| self.failed(source))?;
        self.rows_pending.set(self.rows_pending.get() + 1);
        if self.rows_pending.get() < TRANSACTION_ROWS {
            return Ok(());
        }
        self.rows_pending.set(0);
        self.run("commit; begin")
    }

    /// One row of many, unless its key is there already: `false`.
    pub(super) fn insert_if_new(
        &self,
        statement: &mut Statement,
        row: impl Params,
    ) -> Result<bool, WriteError> {
        statement.execute(row).map(|rows| rows == 1).map_err(|source| self.failed(source))
    }

    /// A statement that is run once.
    pub(super) fn execute(&self, sql: &str, parameters: impl Params) -> Result<(), WriteError> {
        self.connection.execute(sql, parameters).map(|_| ()).map_err(|source| self.failed(source))
    }

    /// Statements without parameters.
    pub(super) fn run(&self, sql: &str) -> Result<(), WriteError> {
        self.connection.execute_batch(sql).map_err(|source| self.failed(source))
    }

    /// The result of SQLite's own check.
    pub(super) fn check(&self) -> Result<String, WriteError> {
        self.connection
            .query_row("pragma quick_check(1)", [], |row| row.get(0))
            .map_err(|source| self.failed(source))
    }

    pub(super) fn close(self) -> Result<(), WriteError> {
        let Self { connection, output, .. } = self;
        connection.close().map_err(|(_, source)| WriteError::of_database(&output, source))
    }

    pub(super) fn failed(&self, source: rusqlite::Error) -> WriteError {
        WriteError::of_database(&self.output, source)
    }
}

fn open_for_load(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    // No foreign keys: without indices, each deleted row would search whole tables for what refers to it. The loader
    // checks every reference itself.
    connection.execute_batch(&format!(
        "pragma page_size = 8192; pragma journal_mode = off; pragma synchronous = off;
         pragma locking_mode = exclusive; pragma cache_size = -65536; pragma foreign_keys = off;
         pragma application_id = {}; pragma user_version = {};",
        schema::APPLICATION_ID,
        schema::VERSION
    ))?;
    connection.execute_batch("begin")?;
    connection.execute_batch(schema::TABLES)?;
    connection.execute_batch(values::MATCHES)?;
    Ok(connection)
}

/// Syncs the file, gives it its name, and syncs that. Its size in bytes.
pub(crate) fn publish(temporary: TempPath, output: &Path, existing: Existing) -> Result<u64, WriteError> {
    let failed = |source| WriteError::of_file(output, source);
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

pub(crate) fn folder_of(output: &Path) -> &Path {
    output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
