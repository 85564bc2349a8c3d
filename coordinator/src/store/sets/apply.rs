//! Adds what a set makes by SQL to a snapshot that was taken earlier: to a copy beside it, which takes its name when all
//! of it is there. Otherwise the file stays as it was.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempPath;

use super::super::about::ABOUT;
use super::super::file::{folder_of, publish};
use super::super::links;
use super::super::order::{Existing, WriteError};
use super::super::reader::{ReadError, Snapshot};
use super::super::schema;
use super::{Budget, Made, derive_ends, derive_rest};
use crate::probe_sets::{Outline, SetErrors, outline};

/// What was added to a file.
#[derive(Clone, Debug)]
pub struct Applied {
    pub made: Vec<Made>,
    /// The set's probes of which the snapshot has no table: they were not captured.
    pub not_captured: Vec<String>,
    /// What program rules could not do, in words.
    pub unnamed: Vec<String>,
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("{}: {found} beside it: another program writes to it, or has not ended well", path.display())]
    InUse { path: PathBuf, found: String },
    #[error("{}: it has {what}, which no snapshot has", path.display())]
    Foreign { path: PathBuf, what: String },
    #[error("{0}")]
    Set(SetErrors),
    /// Nothing else is wrong with it.
    #[error("{0}")]
    Limit(SetErrors),
}

/// A copy that has everything, and waits for its name.
pub struct Ready {
    temporary: TempPath,
    file: PathBuf,
    made: Vec<Made>,
    not_captured: Vec<String>,
    unnamed: Vec<String>,
}

impl Ready {
    pub fn publish(self) -> Result<Applied, ApplyError> {
        let Ready { temporary, file, made, not_captured, unnamed } = self;
        let bytes = publish(temporary, &file, Existing::Replace)?;
        Ok(Applied { made, not_captured, unnamed, bytes })
    }
}

/// Adds what `set` makes by SQL, within `time_max`, to a copy; `copying` is told where that is before it is filled.
pub fn apply(
    file: &Path,
    set: &Outline,
    time_max: Duration,
    copying: impl FnOnce(&Path),
) -> Result<Ready, ApplyError> {
    let unreadable = |source| ReadError::Open { path: file.to_owned(), source };
    // A symbolic link stays one, and what it leads to is replaced.
    let file = file.canonicalize().map_err(unreadable)?;
    let snapshot = Snapshot::open(&file)?;
    let probes = snapshot.read(|connection| {
        connection.query_row("select probes from snapshot", [], |row| row.get::<_, Option<String>>(0))
    })?;
    drop(snapshot);
    refuse_in_use(&file)?;
    let temporary = copy(&file, copying)?;
    let mut connection = open(&temporary, &file)?;
    let failed = |source| WriteError::of_database(&file, source);
    connection.execute_batch("begin").map_err(failed)?;
    complete_schema(&connection).map_err(failed)?;
    // Text of a file proves nothing; it only says which columns were addresses, and what rules have asked.
    let of_file = probes.and_then(|text| outline(&text).ok()).unwrap_or_default();
    let mut budget = Budget::new(time_max);
    let mut outcome = derive_ends(&mut connection, set, &of_file, &mut budget).map_err(failed)?;
    links::link(&connection).map_err(failed)?;
    derive_rest(&mut connection, set, &of_file, &mut budget, &mut outcome).map_err(failed)?;
    if !outcome.failed.is_empty() {
        let is_limit = outcome.limited == outcome.failed.len();
        let errors = SetErrors(outcome.failed);
        return Err(if is_limit { ApplyError::Limit(errors) } else { ApplyError::Set(errors) });
    }
    let not_captured = not_captured(&connection, set).map_err(failed)?;
    connection.execute_batch("commit; pragma analysis_limit = 10000; analyze;").map_err(failed)?;
    let finding: String =
        connection.query_row("pragma quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if finding != "ok" {
        return Err(WriteError::Check { path: file, finding }.into());
    }
    connection.close().map_err(|(_, source)| failed(source))?;
    Ok(Ready { temporary, file, made: outcome.made, not_captured, unnamed: outcome.unnamed })
}

/// What SQLite leaves beside a file while it is written.
fn refuse_in_use(file: &Path) -> Result<(), ApplyError> {
    for suffix in ["-journal", "-wal"] {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(suffix);
        if file.with_file_name(&name).metadata().is_ok_and(|found| found.len() > 0) {
            let found = name.to_string_lossy().into_owned();
            return Err(ApplyError::InUse { path: file.to_owned(), found });
        }
    }
    Ok(())
}

/// With the permissions of the original.
fn copy(file: &Path, copying: impl FnOnce(&Path)) -> Result<TempPath, ApplyError> {
    let unreadable = |source| ReadError::Open { path: file.to_owned(), source };
    let unwritable = |source| WriteError::of_file(file, source);
    let mut original = File::open(file).map_err(unreadable)?;
    let permissions = original.metadata().map_err(unreadable)?.permissions();
    let mut temporary = tempfile::Builder::new()
        .prefix(".stillframe-")
        .suffix(".partial")
        .tempfile_in(folder_of(file))
        .map_err(unwritable)?;
    copying(temporary.path());
    io::copy(&mut original, temporary.as_file_mut()).map_err(unwritable)?;
    temporary.as_file().set_permissions(permissions).map_err(unwritable)?;
    Ok(temporary.into_temp_path())
}

/// The file may come from anywhere: its schema runs nothing.
fn open(temporary: &Path, file: &Path) -> Result<Connection, ApplyError> {
    let opened = || -> rusqlite::Result<(Connection, i64)> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(temporary, flags)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        // What fails is thrown away as a whole.
        connection.execute_batch(
            "pragma trusted_schema = off; pragma cell_size_check = on; pragma foreign_keys = off;
             pragma locking_mode = exclusive; pragma journal_mode = memory; pragma synchronous = off;",
        )?;
        let foreign = connection.query_row(
            "select count(*) from sqlite_schema where type = 'trigger' or sql like 'create virtual%'",
            [],
            |row| row.get(0),
        )?;
        Ok((connection, foreign))
    };
    match opened().map_err(|source| WriteError::of_database(file, source))? {
        (connection, 0) => Ok(connection),
        _ => {
            let what = "triggers or virtual tables".to_owned();
            Err(ApplyError::Foreign { path: file.to_owned(), what })
        }
    }
}

/// The tables that files of earlier programs do not have.
fn complete_schema(connection: &Connection) -> rusqlite::Result<()> {
    for (kind, name, statements) in [
        ("table", "waits", schema::TABLES),
        ("table", "sockets", schema::TABLES),
        ("table", "endpoints", schema::TABLES),
        ("table", "links", schema::TABLES),
        ("table", "derivations", schema::TABLES),
        ("index", "waits_by_address", schema::INDICES),
        ("index", "sockets_by_descriptor", schema::INDICES),
        ("index", "endpoints_by_goroutine", schema::INDICES),
        ("index", "links_by_endpoint", schema::INDICES),
        ("index", "links_by_client", schema::INDICES),
        ("index", "links_by_server", schema::INDICES),
        ("view", "requests_in_flight", schema::VIEWS),
        ("view", "waits_for", schema::VIEWS),
    ] {
        let is_there = connection.prepare("select 1 from sqlite_schema where name = ?")?.exists([name])?;
        if is_there {
            continue;
        }
        let begin = format!("create {kind} {name} ");
        if let Some(at) = statements.find(&begin) {
            let statement = statements[at..].split_inclusive(';').next().unwrap_or_default();
            connection.execute_batch(statement)?;
        }
    }
    for (table, column, of) in [
        ("processes", "environment_rules", "text"),
        ("hosts", "boot_id", "text"),
        ("endpoints", "parent_span_id", "text"),
        ("endpoints", "fd", "integer"),
        ("endpoints", "answered", "integer"),
        ("endpoints", "buffered_bytes", "integer"),
    ] {
        let is_there = connection
            .prepare("select 1 from pragma_table_info(?) where name = ?")?
            .exists([table, column])?;
        if !is_there {
            connection.execute_batch(&format!("alter table {table} add column {column} {of}"))?;
        }
    }
    let mut insert = connection.prepare("insert or ignore into about values (?, ?, ?, ?)")?;
    for about in ABOUT {
        let is_there =
            connection.prepare_cached("select 1 from sqlite_schema where name = ?")?.exists([about.name])?;
        if is_there {
            insert.execute([about.name, about.question, &about.columns_text(), about.example])?;
        }
    }
    Ok(())
}

fn not_captured(connection: &Connection, set: &Outline) -> rusqlite::Result<Vec<String>> {
    let mut find = connection.prepare("select 1 from sqlite_schema where type = 'table' and name = ?")?;
    let mut missing = Vec::new();
    for probe in set.probes.iter().filter(|probe| !probe.is_of_rule) {
        if !find.exists([format!("probe_{}", probe.name)])? {
            missing.push(probe.name.clone());
        }
    }
    Ok(missing)
}
