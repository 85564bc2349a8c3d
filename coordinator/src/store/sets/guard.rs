//! Lets the SQL of a set read the snapshot and do nothing else, for a while.
//!
//! Functions are those that are named here: everything else that SQLite has now or gets later is refused, such as
//! `load_extension`, or what gives other rows each time.

use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;

/// Where rows go first.
pub(super) const RESULTS: &str = "stillframe_results";
/// Instructions of SQLite's machine between two looks at the clock: some microseconds.
const INSTRUCTIONS_PER_CHECK: i32 = 1_000;
/// The largest text, BLOB or row. A captured value has 256 KiB at most, the text of a stack 1,000 lines.
pub(super) const VALUE_BYTES_MAX: i32 = 2 << 20;
/// Columns of a table that a set makes.
pub(super) const COLUMNS_MAX: i32 = 500;

/// While a set's SQL runs. What a statement may keep in memory is its registers, each as large as a value at most.
const LIMITS: [(Limit, i32); 10] = [
    (Limit::SQLITE_LIMIT_LENGTH, VALUE_BYTES_MAX),
    // A column's expression stands in a statement of ours.
    (Limit::SQLITE_LIMIT_SQL_LENGTH, 64 << 10),
    (Limit::SQLITE_LIMIT_COLUMN, 2_000),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
    (Limit::SQLITE_LIMIT_VDBE_OP, 50_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 100),
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// sqlite.org/lang_corefunc.html, lang_aggfunc.html, lang_datefunc.html, lang_mathfunc.html, windowfunctions.html,
/// json1.html.
const FUNCTIONS: &[&str] = &[
    "->",
    "->>",
    "abs",
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "avg",
    "ceil",
    "ceiling",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "cos",
    "cosh",
    "count",
    "cume_dist",
    "date",
    "datetime",
    "degrees",
    "dense_rank",
    "exp",
    "first_value",
    "floor",
    "format",
    "glob",
    "group_concat",
    "hex",
    "if",
    "ifnull",
    "iif",
    "instr",
    "json",
    "json_array",
    "json_array_length",
    "json_extract",
    "json_group_array",
    "json_group_object",
    "json_insert",
    "json_object",
    "json_patch",
    "json_pretty",
    "json_quote",
    "json_remove",
    "json_replace",
    "json_set",
    "json_type",
    "json_valid",
    "jsonb",
    "jsonb_array",
    "jsonb_extract",
    "jsonb_group_array",
    "jsonb_group_object",
    "jsonb_insert",
    "jsonb_object",
    "jsonb_patch",
    "jsonb_remove",
    "jsonb_replace",
    "jsonb_set",
    "julianday",
    "lag",
    "last_value",
    "lead",
    "length",
    "like",
    "likelihood",
    "likely",
    "ln",
    "log",
    "log10",
    "log2",
    "lower",
    "ltrim",
    "max",
    "median",
    "min",
    "mod",
    "nth_value",
    "ntile",
    "nullif",
    "octet_length",
    "percent_rank",
    "percentile",
    "percentile_cont",
    "percentile_disc",
    "pi",
    "pow",
    "power",
    "printf",
    "quote",
    "radians",
    "rank",
    "replace",
    "round",
    "row_number",
    "rtrim",
    "sign",
    "sin",
    "sinh",
    "soundex",
    "sqrt",
    "strftime",
    "string_agg",
    "substr",
    "substring",
    "subtype",
    "sum",
    "tan",
    "tanh",
    "time",
    "timediff",
    "total",
    "trim",
    "trunc",
    "typeof",
    "unhex",
    "unicode",
    "unistr",
    "unistr_quote",
    "unixepoch",
    "unlikely",
    "upper",
    "zeroblob",
    "json_error_position",
    "json_array_insert",
];

/// What all SQL of a set may use together.
#[derive(Clone, Debug)]
pub struct Budget {
    deadline: Option<Instant>,
    pub(super) time_max: Duration,
    /// Of one table, and of one link.
    pub(super) rows_max: u64,
    pub(super) bytes_max: u64,
    pub(super) bytes_left: u64,
}

impl Budget {
    /// For at most so long from now on.
    pub fn new(time_max: Duration) -> Budget {
        const ROWS_MAX: u64 = 2_000_000;
        const BYTES_MAX: u64 = 1 << 30;
        // The clock of the caller's process is what the limit is about; nothing of it is stored.
        #[allow(clippy::disallowed_methods)]
        let deadline = Instant::now().checked_add(time_max);
        Budget { deadline, time_max, rows_max: ROWS_MAX, bytes_max: BYTES_MAX, bytes_left: BYTES_MAX }
    }

    /// As [`Budget::new`], for a test.
    #[cfg(test)]
    pub fn with(self, rows_max: u64, bytes_max: u64) -> Budget {
        Budget { rows_max, bytes_max, bytes_left: bytes_max, ..self }
    }
}

/// Calls `run` while only reading the snapshot is allowed. The outer error is that of the connection.
pub(super) fn guarded<T>(
    connection: &mut Connection,
    budget: &Budget,
    run: impl FnOnce(&Connection) -> T,
) -> rusqlite::Result<T> {
    let mut before = Vec::with_capacity(LIMITS.len());
    for (limit, value) in LIMITS {
        before.push((limit, connection.set_limit(limit, value)?));
    }
    // A misspelled name in double quotes would be a text.
    let with_quotes = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false);
    let deadline = budget.deadline;
    #[allow(clippy::disallowed_methods)]
    let is_late = move || deadline.is_some_and(|deadline| Instant::now() >= deadline);
    connection.progress_handler(INSTRUCTIONS_PER_CHECK, Some(is_late))?;
    connection.authorizer(Some(authorize))?;
    let result = with_quotes.map(|_| run(connection));
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
    connection.progress_handler(0, None::<fn() -> bool>)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, true)?;
    for (limit, value) in before {
        connection.set_limit(limit, value)?;
    }
    result
}

fn authorize(context: AuthContext<'_>) -> Authorization {
    let is_temporary = context.database_name == Some("temp");
    let is_allowed = match context.action {
        AuthAction::Select | AuthAction::Recursive => true,
        AuthAction::Read { table_name, .. } => !is_temporary && !is_hidden(table_name),
        AuthAction::Function { function_name } => {
            FUNCTIONS.iter().any(|name| name.eq_ignore_ascii_case(function_name))
        }
        // The statement that takes the rows is prepared beside that of the set, which must be one that reads.
        AuthAction::Insert { table_name } => is_temporary && table_name == RESULTS,
        _ => false,
    };
    if is_allowed { Authorization::Allow } else { Authorization::Deny }
}

/// What SQLite keeps for itself, and tables that are statements: `pragma_table_info`, `dbstat`, `bytecode`.
fn is_hidden(table: &str) -> bool {
    let table = table.to_ascii_lowercase();
    ["sqlite_", "pragma_", "fts", "rtree"].iter().any(|prefix| table.starts_with(prefix))
        || ["dbstat", "bytecode", "tables_used", "completion", "generate_series"].contains(&table.as_str())
}
