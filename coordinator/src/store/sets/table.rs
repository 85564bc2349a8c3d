//! `[[table]]`: the rows of a SELECT become a table.

use std::collections::HashSet;

use super::evaluate::clear;
use super::guard::{COLUMNS_MAX, RESULTS};
use super::{Derivation, Made, Trouble, at, documentation, error, error_in, is_taken, quoted};
use crate::probe_sets::DerivedTable;

/// Bytes of a column's name: of an expression without `as`, it is its text.
const NAME_BYTES_MAX: usize = 1_024;
const HELP: &str =
    "`stillframe sql FILE 'select name, columns from about'` says which tables and columns a snapshot has";

impl Derivation<'_> {
    pub(super) fn table(&mut self, table: &DerivedTable) -> Result<Made, Trouble> {
        let label = || format!("table {}", table.name);
        let refused =
            |place, message: String, help: &str| Err(Trouble::Set(error(place, label(), message, help)));
        if is_taken(&table.name) {
            let message = format!("{} is a name of Stillframe's own, or of SQLite's", table.name);
            return refused(at(table.place), message, "choose another name");
        }
        if !self.columns_of(&table.name)?.is_empty() {
            let message = format!("the snapshot has a table {} of its own", table.name);
            return refused(at(table.place), message, "choose another name");
        }
        let text = &table.sql.text;
        let is_open = self.is_open(text);
        let columns = match self.prepare(text)? {
            Ok(columns) => columns,
            Err(refusal) if self.is_excused(&refusal, text) => vec!["goroutine_id".to_owned()],
            Err(refusal) => return Err(Trouble::Set(error_in(&table.sql, 0, label(), &refusal, HELP))),
        };
        if let Some(message) = wrong_columns(&columns) {
            return refused(at(table.sql.place), message, "give each column a name of its own with `as`");
        }
        let results =
            self.results(text, columns.len(), 0, |refusal| error_in(&table.sql, 0, label(), &refusal, HELP))?;
        let of = quoted(&table.name);
        let declared: Vec<String> = columns
            .iter()
            .zip(&results.kinds)
            .map(|(name, kinds)| format!("{}{}", quoted(name), kinds.declared()))
            .collect();
        self.connection.execute_batch(&format!("create table main.{of} ({})", declared.join(", ")))?;
        if !self.is_check {
            self.connection.execute_batch(&format!(
                "insert into main.{of} select * from temp.{RESULTS} order by rowid"
            ))?;
            clear(self.connection)?;
        }
        if is_open {
            self.open.insert(table.name.clone());
        }
        let name = table.name.clone();
        let made = Made { kind: "table", table: name.clone(), name, rows: results.rows, replaced: false };
        documentation::table(self.connection, &made, &columns, text)?;
        self.note(&made, text)?;
        Ok(made)
    }
}

fn wrong_columns(columns: &[String]) -> Option<String> {
    if columns.len() > COLUMNS_MAX as usize {
        return Some(format!("it has more than {COLUMNS_MAX} columns"));
    }
    let mut names = HashSet::new();
    for name in columns {
        if name.trim().is_empty() || name.len() > NAME_BYTES_MAX || name.contains(char::is_control) {
            let shown: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
            return Some(format!("a column is called {shown:?}, which is no name"));
        }
        if !names.insert(name.to_lowercase()) {
            return Some(format!("two columns are called {name}"));
        }
    }
    None
}
