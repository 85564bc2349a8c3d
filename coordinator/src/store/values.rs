//! The captured values of one process on their way into the file.
//!
//! Rows of `goroutine_values` are written as they come. Which frames were matched stands in a temporary table beside it: a
//! match of which nothing could be captured is a row of its probe's table, too, which `probes.rs` makes at the end.

use std::collections::HashSet;

use rusqlite::params;
use stillframe_wire::facts::{ProbeRow, ProbeTable};

use super::cells::{self, ColumnValue, Kinds};
use super::defect::{self, Defect};
use super::file::Database;
use super::load::{Refusal, absent};
use super::order::WriteError;
use super::probes::Probes;

/// The matches, by probe. A temporary table is no part of the file.
pub(super) const MATCHES: &str = "create temp table matches (
    probe integer not null, goroutine_id integer not null, depth integer not null,
    primary key (probe, goroutine_id, depth)
) without rowid";

/// What of a process's values is kept until it is whole.
#[derive(Default)]
pub(super) struct ValueLoad {
    types: Vec<String>,
    tables: Vec<LoadedTable>,
    text_bytes: u64,
}

pub(super) struct LoadedTable {
    /// Its place among all probes.
    pub(super) probe: usize,
    pub(super) columns: Vec<(String, Kinds)>,
}

/// The process's goroutines: those with ids above `before`, `count` of them.
#[derive(Clone, Copy)]
pub(super) struct Goroutines {
    pub(super) before: i64,
    pub(super) count: u64,
}

impl ValueLoad {
    pub(super) fn tables(&self) -> &[LoadedTable] {
        &self.tables
    }

    pub(super) fn keep_type(&mut self, name: &str) -> Result<(), Defect> {
        defect::type_name(name)?;
        self.types.push(name.to_owned());
        Ok(())
    }

    pub(super) fn keep_table(&mut self, probes: &Probes, table: &ProbeTable) -> Result<(), Defect> {
        defect::probe_table(table)?;
        let probe = probes
            .place(&table.probe)
            .ok_or_else(|| Defect::Unknown { what: "a probe", name: table.probe.clone() })?;
        let distinct: HashSet<&String> = table.columns.iter().collect();
        if distinct.len() < table.columns.len() {
            return Err(Defect::Twice { what: "a column of a probe" });
        }
        let columns = table.columns.iter().map(|column| (column.clone(), Kinds::default())).collect();
        self.tables.push(LoadedTable { probe, columns });
        Ok(())
    }

    pub(super) fn insert_rows(
        &mut self,
        database: &Database,
        probes: &Probes,
        goroutines: Goroutines,
        rows: &[ProbeRow],
    ) -> Result<(), Refusal> {
        let mut insert_match = database.prepare("insert or ignore into matches values (?, ?, ?)")?;
        let mut insert = database.prepare("insert into goroutine_values values (?, ?, ?, ?, ?, ?, ?, ?)")?;
        for row in rows {
            let table =
                self.tables.get_mut(row.table as usize).ok_or_else(|| absent("columns", row.table))?;
            if u64::from(row.goroutine) >= goroutines.count {
                return Err(absent("goroutine", row.goroutine).into());
            }
            defect::probe_row(row, table.columns.len())?;
            self.text_bytes += row.cells.iter().map(|cell| cell.text_bytes() as u64).sum::<u64>();
            defect::value_text(self.text_bytes)?;
            let goroutine_id = goroutines.before + 1 + i64::from(row.goroutine);
            let is_new = database
                .insert_if_new(&mut insert_match, params![table.probe as i64, goroutine_id, row.depth])?;
            if !is_new {
                return Err(Defect::Twice { what: "a frame that a probe has matched" }.into());
            }
            let probe = probes.name(table.probe);
            for (cell, (column, kinds)) in row.cells.iter().zip(&mut table.columns) {
                defect::cell(cell)?;
                let type_name = match cell.type_id {
                    None => None,
                    Some(id) => Some(self.types.get(id as usize).ok_or_else(|| absent("type", id))?),
                };
                let address = cell.address.map(defect::address).transpose()?;
                let json = cells::json(&cell.value);
                let column: &str = column;
                kinds.add(ColumnValue::of_json(json.as_deref()).kind());
                let row = params![goroutine_id, row.depth, probe, column, type_name, json, address, cell.gap];
                database.insert(&mut insert, row)?;
            }
        }
        Ok(())
    }

    /// Whether every matched frame is one: the stacks are in the file by now.
    pub(super) fn check_frames(&self, database: &Database, goroutines: Goroutines) -> Result<(), Refusal> {
        let failed = |source| Refusal::File(database.failed(source));
        let mut select = database.prepare(
            "select m.depth from matches m
             cross join goroutines g on g.goroutine_id = m.goroutine_id
             cross join stacks s on s.stack_id = g.stack_id
             where m.probe = ? and m.goroutine_id > ? and m.depth >= s.depth limit 1",
        )?;
        let probes: HashSet<usize> = self.tables.iter().map(|table| table.probe).collect();
        for probe in probes {
            let mut rows = select.query([probe as i64, goroutines.before]).map_err(failed)?;
            if let Some(row) = rows.next().map_err(failed)? {
                return Err(absent("frame", row.get(0).map_err(failed)?).into());
            }
        }
        Ok(())
    }
}

/// Deletes the values of all goroutines with higher ids than `last`.
pub(super) fn cut(database: &Database, probes: &Probes, last: i64) -> Result<(), WriteError> {
    database.execute("delete from goroutine_values where goroutine_id > ?", [last])?;
    for probe in 0..probes.len() {
        database.execute("delete from matches where probe = ? and goroutine_id > ?", [probe as i64, last])?;
    }
    Ok(())
}
