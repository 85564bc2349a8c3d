//! What a probe set adds to a snapshot by SQL: columns of its probes' tables, tables, and links.
//!
//! * [`check`] prepares all of it against tables without rows, before anything is captured.
//! * [`derive_ends`] and [`derive_rest`] add it to a file: names of processes first, then columns and endpoints; when those are linked,
//!   tables and links; each in the order of the text.
//!   `derivations` says what was added; what has the same name and was added before is replaced.
//! * [`apply`] does that with a snapshot taken earlier.
//!
//! The SQL is not trusted: [`guard`] lets it read the snapshot and nothing else, within limits. Its rows go to a
//! temporary table first, so that SQL that fails half-way leaves the file as it was, which has no journal while it is
//! written.

pub mod apply;
mod check;
mod column;
mod documentation;
mod endpoint;
mod evaluate;
mod expression;
mod forget;
mod guard;
mod link;
pub(super) mod program;
mod table;

use std::collections::HashSet;

use rusqlite::{Connection, params};

pub(crate) use self::check::check;
use self::evaluate::{Refusal, Results};
pub(super) use self::guard::Budget;
use super::ends;
use crate::probe_sets::{Outline, SetError, Sql, TextPlace};

/// Tables and views that later versions make: a set must not take their names now.
const LATER: [&str; 4] = ["holders", "blocked_on", "root_blockers", "deadlocks"];
/// What SQLite has of its own, and what is Stillframe's.
const PREFIXES: [&str; 5] = ["sqlite_", "pragma_", "json_", "probe_", "stillframe_"];

/// What was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// `program`, `column`, `endpoint`, `table`, `link`
    pub kind: &'static str,
    /// `processes`, `probe_orders`, `slow_orders`, `links`
    pub table: String,
    /// Of a table: its own.
    pub name: String,
    /// Of a column: of its table. Of a program rule: the processes that it is about.
    pub rows: u64,
    /// There was one of this name, which a set had added.
    pub replaced: bool,
}

#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) made: Vec<Made>,
    /// What is absent, and why.
    pub(super) failed: Vec<SetError>,
    /// How many of them failed because of a limit.
    pub(super) limited: usize,
    /// What program rules could not do, in words.
    pub(super) unnamed: Vec<String>,
    /// What a set had added before.
    replaced: forget::Forgotten,
}

/// Why one thing could not be added.
enum Trouble {
    /// The set's fault, or its limits'.
    Set(SetError),
    /// The file's.
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Trouble::Database(error)
    }
}

/// A set on its way into a file.
struct Derivation<'a> {
    connection: &'a mut Connection,
    budget: &'a mut Budget,
    /// Only prepares the SQL.
    is_check: bool,
    /// Tables of which not all columns are known before the capture.
    open: HashSet<String>,
    addresses: Vec<(String, String)>,
    /// Limits that were reached.
    limited: usize,
}

/// Adds to a file what links are made of: names of processes, columns and endpoints. The file has its tables and views, and
/// was captured with `of_file`. An error is one of the file itself.
pub(super) fn derive_ends(
    connection: &mut Connection,
    set: &Outline,
    of_file: &Outline,
    budget: &mut Budget,
) -> rusqlite::Result<Outcome> {
    let replaced = forget::forget(connection, set)?;
    let (made, unnamed) = program::name(connection, set, of_file)?;
    let mut outcome = Outcome { made, unnamed, replaced, ..Outcome::default() };
    let derivation = Derivation::new(connection, set, of_file, budget);
    derivation.run(&mut outcome, |derivation, note| derivation.ends(set, note))?;
    ends::complete(connection)?;
    Ok(outcome)
}

/// The rest, when what [`derive_ends`] has added is linked: tables may read all of it.
pub(super) fn derive_rest(
    connection: &mut Connection,
    set: &Outline,
    of_file: &Outline,
    budget: &mut Budget,
    outcome: &mut Outcome,
) -> rusqlite::Result<()> {
    let derivation = Derivation::new(connection, set, of_file, budget);
    derivation.run(outcome, |derivation, note| derivation.rest(set, note))?;
    for made in &mut outcome.made {
        made.replaced = outcome.replaced.contains(&(made.kind, made.table.clone(), made.name.clone()));
    }
    outcome.failed.sort_by_key(|error| (error.line, error.column));
    Ok(())
}

/// Takes note of what became of one thing.
type Note<'a> = dyn FnMut(Result<Made, Trouble>) -> rusqlite::Result<()> + 'a;

impl<'a> Derivation<'a> {
    fn new(
        connection: &'a mut Connection,
        set: &Outline,
        of_file: &Outline,
        budget: &'a mut Budget,
    ) -> Derivation<'a> {
        let addresses = set.addresses.iter().chain(&of_file.addresses).cloned().collect();
        Derivation { connection, budget, is_check: false, open: HashSet::new(), addresses, limited: 0 }
    }

    fn run(
        mut self,
        outcome: &mut Outcome,
        each: impl FnOnce(&mut Self, &mut Note<'_>) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let (made, failed) = (&mut outcome.made, &mut outcome.failed);
        each(&mut self, &mut |result| match result {
            Ok(one) => {
                made.push(one);
                Ok(())
            }
            Err(Trouble::Set(error)) => {
                failed.push(error);
                Ok(())
            }
            Err(Trouble::Database(error)) => Err(error),
        })?;
        // What the last one that failed has left.
        evaluate::clear(self.connection)?;
        outcome.limited += self.limited;
        Ok(())
    }

    fn ends(&mut self, set: &Outline, note: &mut Note<'_>) -> rusqlite::Result<()> {
        for column in &set.columns {
            note(self.column(column))?;
        }
        for endpoint in &set.endpoints {
            note(self.endpoint(endpoint))?;
        }
        Ok(())
    }

    fn rest(&mut self, set: &Outline, note: &mut Note<'_>) -> rusqlite::Result<()> {
        for table in &set.tables {
            note(self.table(table))?;
        }
        for link in &set.links {
            note(self.link(link))?;
        }
        Ok(())
    }

    /// The columns of a table or view; none: there is no such table.
    fn columns_of(&self, table: &str) -> rusqlite::Result<Vec<String>> {
        let mut statement =
            self.connection.prepare_cached("select name from pragma_table_info(?, 'main')")?;
        statement.query_map([table], |row| row.get(0))?.collect()
    }

    fn note(&self, made: &Made, source: &str) -> rusqlite::Result<()> {
        note(self.connection, made, source)
    }

    /// The names of the columns of a SELECT, if it is one.
    fn prepare(&mut self, sql: &str) -> rusqlite::Result<Result<Vec<String>, Refusal>> {
        let prepared = evaluate::prepare(self.connection, sql, self.budget)?;
        self.limited += usize::from(prepared.as_ref().is_err_and(|refusal| refusal.is_limit));
        Ok(prepared)
    }

    /// The rows of a SELECT, in the temporary table.
    fn results(
        &mut self,
        sql: &str,
        columns: usize,
        key: usize,
        refused: impl FnOnce(Refusal) -> SetError,
    ) -> Result<Results, Trouble> {
        if self.is_check {
            return Ok(Results::none(columns));
        }
        evaluate::run(self.connection, sql, columns, key, self.budget)?.map_err(|refusal| {
            self.limited += usize::from(refusal.is_limit);
            Trouble::Set(refused(refusal))
        })
    }

    /// It may be that only the capture tells whether there is such a column.
    fn is_excused(&self, refusal: &Refusal, text: &str) -> bool {
        self.is_check && refusal.is_unknown_column() && self.is_open(text)
    }

    /// The text names a table whose columns are not known yet.
    fn is_open(&self, text: &str) -> bool {
        let text = text.to_ascii_lowercase();
        self.open.iter().any(|table| text.contains(table.as_str()))
    }
}

fn note(connection: &Connection, made: &Made, source: &str) -> rusqlite::Result<()> {
    connection.execute(
        "insert into main.derivations values (?, ?, ?, ?)",
        params![made.kind, made.table, made.name, source],
    )?;
    Ok(())
}

fn error(
    place: (usize, usize),
    key: String,
    message: impl Into<String>,
    help: impl Into<String>,
) -> SetError {
    SetError {
        line: place.0,
        column: place.1,
        key,
        message: message.into(),
        other_line: None,
        help: help.into(),
    }
}

fn at(place: TextPlace) -> (usize, usize) {
    (place.line, place.column)
}

/// A mistake in SQL; `prefix` bytes of the statement stand before it.
fn error_in(sql: &Sql, prefix: usize, key: String, refusal: &Refusal, help: &str) -> SetError {
    let place = match refusal.offset {
        Some(offset) => sql.position(offset.saturating_sub(prefix)),
        None => at(sql.place),
    };
    error(place, key, refusal.message.clone(), refusal.help.unwrap_or(help))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `a, b, c`; the first of many.
fn listed(names: &[String]) -> String {
    const SHOWN_MAX: usize = 20;
    let more = names.len().saturating_sub(SHOWN_MAX);
    let shown = names.iter().take(SHOWN_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

/// A name that a set's table cannot have.
fn is_taken(name: &str) -> bool {
    super::about::ABOUT.iter().any(|about| about.name == name)
        || LATER.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}
