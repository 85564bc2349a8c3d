//! Statements written by people: read-only, bounded in rows, time and memory.

use std::io;
use std::time::{Duration, Instant};

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, ErrorCode};

/// What SQLite may allocate for one statement. Sorting spills to temporary files well below.
const HEAP_BYTES_MAX: i64 = 1 << 30;
/// Instructions of SQLite's machine between two looks at the clock: some microseconds.
const INSTRUCTIONS_PER_CHECK: i32 = 1_000;

/// PRAGMA statements that only tell something.
const PRAGMAS: &[&str] = &[
    "application_id",
    "compile_options",
    "database_list",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "quick_check",
    "integrity_check",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];

#[derive(Clone, Copy, Debug)]
pub struct QueryLimits {
    /// `None`: all of them.
    pub rows_max: Option<u64>,
    pub time_max: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// Where rows go.
pub trait RowSink {
    /// Called once, before the first row.
    fn columns(&mut self, names: &[String]) -> io::Result<()>;
    fn row(&mut self, values: &[Value]) -> io::Result<()>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryOutcome {
    pub rows: u64,
    /// There were more rows than the limit.
    pub cut: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("the statement is not valid: {0}")]
    Invalid(String),
    #[error("there is no statement")]
    Empty,
    #[error("there is more than one statement")]
    Several,
    #[error("only statements that read are allowed: {0}")]
    Writes(String),
    #[error("the statement took longer than {0:?}")]
    Timeout(Duration),
    #[error("the file is damaged: {0}")]
    Damaged(String),
    #[error("the result could not be written: {0}")]
    Output(#[from] io::Error),
}

/// Runs one statement. Afterwards the connection stays restricted.
pub(super) fn run(
    connection: &mut Connection,
    sql: &str,
    limits: &QueryLimits,
    sink: &mut dyn RowSink,
) -> Result<QueryOutcome, QueryError> {
    let translate = |error| translate(error, limits);
    restrict(connection, limits.time_max).map_err(translate)?;
    let mut batch = Batch::new(connection, sql);
    let mut statement = batch.next().map_err(translate)?.ok_or(QueryError::Empty)?;
    if batch.next().map_err(translate)?.is_some() {
        return Err(QueryError::Several);
    }
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut rows = statement.raw_query();
    let mut values = Vec::with_capacity(names.len());
    let mut outcome = QueryOutcome { rows: 0, cut: false };
    // The first row comes before the names, so that a statement that fails at once prints nothing.
    let mut next = rows.next().map_err(translate)?;
    sink.columns(&names)?;
    while let Some(row) = next {
        if limits.rows_max == Some(outcome.rows) {
            outcome.cut = true;
            break;
        }
        values.clear();
        for index in 0..names.len() {
            values.push(value(row.get_ref(index).map_err(translate)?));
        }
        sink.row(&values)?;
        outcome.rows += 1;
        next = rows.next().map_err(translate)?;
    }
    Ok(outcome)
}

fn restrict(connection: &mut Connection, time_max: Option<Duration>) -> rusqlite::Result<()> {
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    connection
        .execute_batch(&format!("pragma query_only = on; pragma hard_heap_limit = {HEAP_BYTES_MAX};"))?;
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.authorizer(Some(authorize))?;
    // The clock of the caller's process is what the limit is about; nothing of it is stored.
    #[allow(clippy::disallowed_methods)]
    let deadline = time_max.map(|time| Instant::now() + time);
    #[allow(clippy::disallowed_methods)]
    let is_late = move || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    connection.progress_handler(INSTRUCTIONS_PER_CHECK, Some(is_late))
}

fn authorize(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Function { function_name } if function_name != "load_extension" => Authorization::Allow,
        AuthAction::Pragma { pragma_name, .. }
            if PRAGMAS.contains(&pragma_name.to_ascii_lowercase().as_str()) =>
        {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

fn translate(error: rusqlite::Error, limits: &QueryLimits) -> QueryError {
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => QueryError::Timeout(limits.time_max.unwrap_or_default()),
        Some(ErrorCode::AuthorizationForStatementDenied | ErrorCode::ReadOnly) => {
            QueryError::Writes(error.to_string())
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => QueryError::Damaged(error.to_string()),
        _ => QueryError::Invalid(message(&error)),
    }
}

/// SQLite's words without the statement, which the user has before them.
fn message(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, offset, .. } if *offset >= 0 => {
            format!("{msg} (at byte {offset})")
        }
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(blob) => Value::Blob(blob.to_vec()),
    }
}
