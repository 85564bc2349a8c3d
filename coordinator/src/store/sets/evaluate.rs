//! Prepares SELECTs of a set, and runs them into a temporary table.

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Batch, Connection, ErrorCode};

use super::super::cells::{Kind, Kinds};
use super::guard::{Budget, RESULTS, VALUE_BYTES_MAX, guarded};

/// Why SQL of a set is not run, or not to its end.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) message: String,
    /// Where in the statement, in bytes.
    pub(super) offset: Option<usize>,
    /// What to do, where that is known here.
    pub(super) help: Option<&'static str>,
    pub(super) is_limit: bool,
}

/// What stands in the temporary table.
pub(super) struct Results {
    pub(super) rows: u64,
    pub(super) kinds: Vec<Kinds>,
}

const HELP_LIMIT: &str =
    "select fewer rows or shorter values, or join by columns that the file has an index for";
const HELP_READ: &str =
    "a set's SQL is one SELECT over the snapshot's own tables, with SQLite's usual functions";

impl Refusal {
    fn new(message: impl Into<String>) -> Refusal {
        Refusal { message: message.into(), offset: None, help: Some(HELP_READ), is_limit: false }
    }

    fn limit(message: String) -> Refusal {
        Refusal { message, offset: None, help: Some(HELP_LIMIT), is_limit: true }
    }

    pub(super) fn is_unknown_column(&self) -> bool {
        self.message.starts_with("no such column")
    }

    /// `Err`: the file itself is damaged, which is nobody's SQL.
    fn of(error: rusqlite::Error, budget: &Budget) -> rusqlite::Result<Refusal> {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => return Err(error),
            Some(ErrorCode::OperationInterrupted) => {
                let message = format!("all SQL of the set took longer than {:?}", budget.time_max);
                return Ok(Refusal::limit(message));
            }
            Some(ErrorCode::TooBig) => {
                let message = format!("a value or a row of more than {VALUE_BYTES_MAX} bytes");
                return Ok(Refusal::limit(message));
            }
            _ => {}
        }
        let is_denied = matches!(error.sqlite_error_code(), Some(ErrorCode::AuthorizationForStatementDenied));
        let (message, offset) = match error {
            rusqlite::Error::SqlInputError { msg, offset, .. } => (msg, usize::try_from(offset).ok()),
            rusqlite::Error::SqliteFailure(_, Some(message)) => (message, None),
            other => (other.to_string(), None),
        };
        let help = (is_denied || message.starts_with("not authorized")).then_some(HELP_READ);
        Ok(Refusal { message, offset, help, is_limit: false })
    }
}

impl Results {
    pub(super) fn none(columns: usize) -> Results {
        Results { rows: 0, kinds: vec![Kinds::default(); columns] }
    }
}

/// The names of the columns of a SELECT, if it is one and only reads. The outer error is the file's.
pub(super) fn prepare(
    connection: &mut Connection,
    sql: &str,
    budget: &Budget,
) -> rusqlite::Result<Result<Vec<String>, Refusal>> {
    let prepared = guarded(connection, budget, |connection| {
        let mut batch = Batch::new(connection, sql);
        let Some(statement) = batch.next()? else { return Ok(Err("there is no statement")) };
        if !statement.readonly() || statement.is_explain() != 0 || statement.column_count() == 0 {
            return Ok(Err("it is no SELECT"));
        }
        if batch.next()?.is_some() {
            return Ok(Err("there is more than one statement"));
        }
        if statement.parameter_count() > 0 {
            return Ok(Err("it has parameters, and nobody gives them a value"));
        }
        Ok(Ok(statement.column_names().map(str::to_owned).collect()))
    })?;
    Ok(match prepared {
        Ok(Ok(names)) => Ok(names),
        Ok(Err(message)) => Err(Refusal::new(message)),
        Err(error) => Err(Refusal::of(error, budget)?),
    })
}

/// Runs a SELECT that was prepared before. The first `key` columns tell its rows apart.
pub(super) fn run(
    connection: &mut Connection,
    sql: &str,
    columns: usize,
    key: usize,
    budget: &mut Budget,
) -> rusqlite::Result<Result<Results, Refusal>> {
    let names: Vec<String> = (0..columns).map(|column| format!("c{column}")).collect();
    let end = match key {
        0 => ")".to_owned(),
        key => format!(", primary key ({})) without rowid", names[..key].join(", ")),
    };
    clear(connection)?;
    connection.execute_batch(&format!("create temp table {RESULTS} ({}{end}", names.join(", ")))?;
    let mut bytes_left = budget.bytes_left;
    let filled =
        guarded(connection, budget, |connection| fill(connection, sql, columns, budget, &mut bytes_left))?;
    budget.bytes_left = bytes_left;
    Ok(match filled {
        Ok(Ok(results)) => Ok(results),
        Ok(Err(refusal)) => Err(refusal),
        Err(error) => Err(Refusal::of(error, budget)?),
    })
}

pub(super) fn clear(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!("drop table if exists temp.{RESULTS}"))
}

fn fill(
    connection: &Connection,
    sql: &str,
    columns: usize,
    budget: &Budget,
    bytes_left: &mut u64,
) -> rusqlite::Result<Result<Results, Refusal>> {
    let mut select = connection.prepare(sql)?;
    let marks = vec!["?"; columns].join(", ");
    let mut insert = connection.prepare(&format!("insert into temp.{RESULTS} values ({marks})"))?;
    let mut results = Results::none(columns);
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        results.rows += 1;
        let mut bytes = 0;
        for (column, kinds) in results.kinds.iter_mut().enumerate() {
            let value = row.get_ref(column)?;
            bytes += size(value);
            note_kind(kinds, value);
            insert.raw_bind_parameter(column + 1, ToSqlOutput::Borrowed(value))?;
        }
        if results.rows > budget.rows_max {
            return Ok(Err(Refusal::limit(format!("more than {} rows", budget.rows_max))));
        }
        if bytes > *bytes_left {
            let message = format!("all that the set adds has more than {} bytes", budget.bytes_max);
            return Ok(Err(Refusal::limit(message)));
        }
        *bytes_left -= bytes;
        insert.raw_execute()?;
    }
    Ok(Ok(results))
}

fn size(value: ValueRef<'_>) -> u64 {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len() as u64 + 8,
        _ => 8,
    }
}

fn note_kind(kinds: &mut Kinds, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => {}
        ValueRef::Integer(_) => kinds.add(Some(Kind::Integer)),
        ValueRef::Real(_) => kinds.add(Some(Kind::Real)),
        ValueRef::Text(_) => kinds.add(Some(Kind::Text)),
        ValueRef::Blob(_) => kinds.merge(Kinds::Mixed),
    }
}
