//! `[[column]]`: an expression over a probe's table becomes a column of it.

use super::evaluate::{Refusal, clear};
use super::expression::leaves_parentheses;
use super::guard::RESULTS;
use super::{Derivation, Made, Trouble, at, documentation, error, error_in, listed, quoted};
use crate::probe_sets::{AddedColumn, SetError};

/// SQLite's own limit is 2,000 (SQLITE_MAX_COLUMN).
const COLUMNS_MAX: usize = 1_990;

impl Derivation<'_> {
    pub(super) fn column(&mut self, column: &AddedColumn) -> Result<Made, Trouble> {
        let table = format!("probe_{}", column.probe);
        let columns = self.columns_of(&table)?;
        let refused = |place, message: String, help: String| {
            Err(Trouble::Set(error(place, column.label(), message, help)))
        };
        if columns.is_empty() {
            let message = format!("there is no table {table}");
            let probes = self.probes()?;
            return match &probes[..] {
                [] => refused(at(column.probe_place), message, "no probe was captured".to_owned()),
                probes => {
                    refused(at(column.probe_place), message, format!("the probes are {}", listed(probes)))
                }
            };
        }
        if columns.iter().any(|other| other.eq_ignore_ascii_case(&column.name)) {
            let message = format!("{table} has a column {} already", column.name);
            return refused(at(column.place), message, "choose another name".to_owned());
        }
        if columns.len() >= COLUMNS_MAX {
            let message = format!("{table} has {} columns already", columns.len());
            return refused(at(column.place), message, "a table has no more than that".to_owned());
        }
        let rows = self.fill_column(column, &table, &columns)?;
        let made = Made { kind: "column", table, name: column.name.clone(), rows, replaced: false };
        documentation::column(self.connection, &made, &column.sql.text)?;
        self.note(&made, &column.sql.text)?;
        Ok(made)
    }

    fn fill_column(&mut self, column: &AddedColumn, table: &str, columns: &[String]) -> Result<u64, Trouble> {
        let (of, text, name) = (quoted(table), &column.sql.text, quoted(&column.name));
        let help = format!("{table} has the columns {}", listed(columns));
        let in_sql = |prefix: &str, refusal: &Refusal| -> SetError {
            error_in(&column.sql, prefix.len(), column.label(), refusal, &help)
        };
        if let Some(at) = leaves_parentheses(text) {
            let message = "a column is one expression, and this is none";
            return Err(Trouble::Set(error(column.sql.position(at), column.label(), message, help)));
        }
        // Where there are conditions no function of many rows can stand. The comment that a text may end with ends at the line's.
        let condition = format!("select 1 from main.{of} where (");
        let select = "select goroutine_id, depth, (";
        let mut is_excused = false;
        for (prefix, end) in [(&condition[..], String::new()), (select, format!(" from main.{of}"))] {
            let sql = format!("{prefix}{text}\n){end}");
            match self.prepare(&sql)? {
                Ok(_) => {}
                Err(refusal) if self.is_excused(&refusal, &format!("{table} {text}")) => is_excused = true,
                Err(refusal) => return Err(Trouble::Set(in_sql(prefix, &refusal))),
            }
        }
        let sql = format!("{select}{text}\n) from main.{of}");
        let results = if is_excused {
            super::Results::none(3)
        } else {
            self.results(&sql, 3, 2, |refusal| in_sql(select, &refusal))?
        };
        self.connection.execute_batch(&format!(
            "alter table main.{of} add column {name}{}",
            results.kinds[2].declared()
        ))?;
        if !self.is_check {
            self.connection.execute_batch(&format!(
                "update main.{of} set {name} = r.c2 from temp.{RESULTS} r
                 where r.c0 = {of}.goroutine_id and r.c1 = {of}.depth"
            ))?;
            clear(self.connection)?;
        }
        Ok(results.rows)
    }

    fn probes(&self) -> rusqlite::Result<Vec<String>> {
        let mut statement = self.connection.prepare(
            "select substr(name, 7) from main.sqlite_schema
             where type = 'table' and name like 'probe\\_%' escape '\\' order by 1",
        )?;
        statement.query_map([], |row| row.get(0))?.collect()
    }
}
