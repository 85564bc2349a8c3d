//! The tables `probe_<name>`: which there are, which columns they have, and their rows.
//!
//! Each probe of the order has its table, also if it has matched nothing. Its columns are those of the order's text, and
//! after them what else processes have sent, in the order in which it was first seen.

use std::collections::{HashMap, HashSet};

use rusqlite::params;

use super::cells::{ColumnValue, Kinds};
use super::file::Database;
use super::order::{PlannedTable, WriteError};
use super::values::LoadedTable;

/// SQLite's own limit is 2,000 (SQLITE_MAX_COLUMN).
const COLUMNS_MAX: usize = 1_900;
/// Of all columns of a table, as written in its statement, which may have 1,000,000 (SQLITE_MAX_SQL_LENGTH).
const COLUMN_TEXT_BYTES_MAX: usize = 512 << 10;
/// The columns that every table has.
const FIXED: [&str; 3] = ["goroutine_id", "process_id", "depth"];

/// All probes of the order.
#[derive(Default)]
pub(super) struct Probes {
    all: Vec<Probe>,
    places: HashMap<String, usize>,
}

struct Probe {
    name: String,
    columns: Vec<Column>,
    places: HashMap<String, usize>,
    /// How SQLite compares names.
    names: HashSet<String>,
    text_bytes: usize,
    /// There was no room for all columns.
    is_full: bool,
}

struct Column {
    /// As `goroutine_values.name` has it.
    expression: String,
    /// The column's name: the same, unless the table has that already.
    name: String,
    kinds: Kinds,
}

/// A row of `about`.
pub(super) struct AboutTable {
    pub(super) name: String,
    pub(super) question: String,
    pub(super) columns: String,
    pub(super) example: String,
}

impl Probes {
    pub(super) fn new(planned: Vec<PlannedTable>) -> Probes {
        let mut probes = Probes::default();
        for PlannedTable { name, columns } in planned {
            let mut probe = Probe::new(name);
            columns.iter().for_each(|column| probe.merge(column, Kinds::default()));
            probes.places.insert(probe.name.clone(), probes.all.len());
            probes.all.push(probe);
        }
        probes
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.places.get(name).copied()
    }

    pub(super) fn name(&self, place: usize) -> &str {
        &self.all[place].name
    }

    /// Takes over what a process that is whole had.
    pub(super) fn merge(&mut self, tables: &[LoadedTable]) {
        for table in tables {
            let probe = &mut self.all[table.probe];
            table.columns.iter().for_each(|(column, kinds)| probe.merge(column, *kinds));
        }
    }

    /// Makes the tables. What had no room in them, in words.
    pub(super) fn write(&self, database: &Database) -> Result<Vec<String>, WriteError> {
        for (place, probe) in self.all.iter().enumerate() {
            database.run(&probe.statement())?;
            probe.fill(database, place)?;
        }
        let full = self.all.iter().filter(|probe| probe.is_full).map(|probe| {
            format!(
                "{} has a column for the first {} expressions; the others stand in goroutine_values alone",
                probe.table(),
                probe.columns.len()
            )
        });
        Ok(full.collect())
    }

    /// Those that make the tables.
    pub(super) fn statements(&self) -> impl Iterator<Item = String> {
        self.all.iter().map(Probe::statement)
    }

    pub(super) fn about(&self) -> impl Iterator<Item = AboutTable> {
        self.all.iter().map(Probe::about)
    }
}

impl Probe {
    fn new(name: String) -> Probe {
        Probe {
            name,
            columns: Vec::new(),
            places: HashMap::new(),
            names: FIXED.iter().map(|name| (*name).to_owned()).collect(),
            text_bytes: 0,
            is_full: false,
        }
    }

    fn merge(&mut self, expression: &str, kinds: Kinds) {
        if let Some(place) = self.places.get(expression) {
            return self.columns[*place].kinds.merge(kinds);
        }
        let name = self.free_name(expression);
        let text_bytes = self.text_bytes + quoted(&name).len() + 16;
        if self.columns.len() == COLUMNS_MAX || text_bytes > COLUMN_TEXT_BYTES_MAX {
            self.is_full = true;
            return;
        }
        self.text_bytes = text_bytes;
        self.names.insert(name.to_ascii_lowercase());
        self.places.insert(expression.to_owned(), self.columns.len());
        self.columns.push(Column { expression: expression.to_owned(), name, kinds });
    }

    /// SQLite does not tell `id` from `ID`, and ends a statement at a zero byte.
    fn free_name(&self, expression: &str) -> String {
        let plain: String = expression.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let is_free = |name: &str| !name.is_empty() && !self.names.contains(&name.to_ascii_lowercase());
        if is_free(&plain) {
            return plain;
        }
        let numbered = (2u32..).map(|number| format!("{plain}_{number}"));
        numbered.into_iter().find(|name| is_free(name)).unwrap_or(plain)
    }

    fn table(&self) -> String {
        format!("probe_{}", self.name)
    }

    /// No index: what is looked up by goroutine is the table's own order.
    fn statement(&self) -> String {
        let mut sql = format!(
            "create table {} (goroutine_id integer not null references goroutines, \
             process_id integer not null references processes, depth integer not null",
            quoted(&self.table())
        );
        for column in &self.columns {
            sql.push_str(", ");
            sql.push_str(&quoted(&column.name));
            sql.push_str(column.kinds.declared());
        }
        sql.push_str(", primary key (goroutine_id, depth)) without rowid");
        sql
    }

    fn fill(&self, database: &Database, place: usize) -> Result<(), WriteError> {
        let failed = |source| database.failed(source);
        let marks = vec!["?"; FIXED.len() + self.columns.len()].join(", ");
        let mut insert =
            database.prepare(&format!("insert into {} values ({marks})", quoted(&self.table())))?;
        let mut values = database.prepare(
            "select name, value from goroutine_values where goroutine_id = ? and depth = ? and probe = ?",
        )?;
        let mut matches = database.prepare(
            "select m.goroutine_id, g.process_id, m.depth from matches m
             cross join goroutines g on g.goroutine_id = m.goroutine_id
             where m.probe = ? order by m.goroutine_id, m.depth",
        )?;
        let mut rows = matches.query([place as i64]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let (goroutine_id, process_id, depth): (i64, i64, i64) = row.try_into().map_err(failed)?;
            let fixed = [goroutine_id, process_id, depth].map(ColumnValue::Integer);
            let mut of_row: Vec<ColumnValue> = fixed.into_iter().collect();
            of_row.resize(FIXED.len() + self.columns.len(), ColumnValue::Null);
            let mut cells = values.query(params![goroutine_id, depth, self.name]).map_err(failed)?;
            while let Some(cell) = cells.next().map_err(failed)? {
                let name = cell.get_ref(0).and_then(|name| Ok(name.as_str()?)).map_err(failed)?;
                let value = cell.get_ref(1).and_then(|value| Ok(value.as_str_or_null()?)).map_err(failed)?;
                if let Some(place) = self.places.get(name) {
                    of_row[FIXED.len() + place] = ColumnValue::of_json(value);
                }
            }
            database.insert(&mut insert, rusqlite::params_from_iter(of_row))?;
        }
        Ok(())
    }

    fn about(&self) -> AboutTable {
        let mut columns = "goroutine_id: its goroutine\nprocess_id: its process\n\
             depth: the frame on its stack, as in stack_frames; 0: innermost"
            .to_owned();
        for column in &self.columns {
            let of = if column.name == column.expression {
                String::new()
            } else {
                format!(", {} in goroutine_values", column.expression.escape_debug())
            };
            columns.push_str(&format!(
                "\n{}: as captured{of}; NULL: nil, or missing: goroutine_values.gap says why",
                column.name
            ));
        }
        let table = quoted(&self.table());
        AboutTable {
            name: self.table(),
            question: format!(
                "What did the probe {} capture? A row for each frame that it has matched; truth values are 0 and 1, \
                 values of several parts are JSON",
                self.name
            ),
            columns,
            example: format!(
                "select l.program, l.goid, l.wait_reason, v.* from {table} v join goroutine_list l using (goroutine_id) limit 20"
            ),
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
