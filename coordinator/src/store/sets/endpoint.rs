//! `[[endpoint]]`: the rows of a SELECT become rows of `endpoints`, requests that goroutines serve or wait for; without a
//! column `role` they complete those of their goroutine.

use super::evaluate::clear;
use super::guard::RESULTS;
use super::{Derivation, Made, Trouble, at, error, error_in};
use crate::probe_sets::Endpoint;
use crate::store::ends::WAITS;

/// What the SELECT may have, besides the goroutine.
const COLUMNS: [&str; 13] = [
    "role",
    "protocol",
    "stream_id",
    "method",
    "started_unix_ns",
    "started_error_ns",
    "started_source",
    "trace_id",
    "span_id",
    "parent_span_id",
    "fd",
    "answered",
    "buffered_bytes",
];
const KEY: &str = "goroutine_id";
const ROLE: &str = "role";
const HELP: &str = "select goroutine_id, role ('server' or 'client'), and what is known of protocol, stream_id, method, started_unix_ns, started_error_ns, started_source, trace_id, span_id, parent_span_id, fd, answered and buffered_bytes";

impl Derivation<'_> {
    pub(super) fn endpoint(&mut self, endpoint: &Endpoint) -> Result<Made, Trouble> {
        let label = || format!("endpoint {}", endpoint.name);
        let refused =
            |message: String| Err(Trouble::Set(error(at(endpoint.sql.place), label(), message, HELP)));
        if endpoint.name == WAITS {
            return refused(format!(
                "no set's endpoint can be called {WAITS}: it is the source of those that are made of what goroutines wait for"
            ));
        }
        let text = &endpoint.sql.text;
        let columns = match self.prepare(text)? {
            Ok(columns) => columns,
            Err(refusal) if self.is_excused(&refusal, text) => vec![KEY.to_owned()],
            Err(refusal) => {
                return Err(Trouble::Set(error_in(&endpoint.sql, 0, label(), &refusal, HELP)));
            }
        };
        let known = |name: &&String| COLUMNS.contains(&name.as_str()) || *name == KEY;
        if let Some(unknown) = columns.iter().find(|name| !known(name)) {
            return refused(format!("endpoints have no column {unknown} that a set fills"));
        }
        let place = |wanted: &str| columns.iter().position(|name| name == wanted);
        let twice = columns.iter().enumerate().find(|(index, name)| place(name) != Some(*index));
        if let Some((_, twice)) = twice {
            return refused(format!("two columns are called {twice}"));
        }
        let Some(key) = place(KEY) else { return refused(format!("it has no column {KEY}")) };
        let results = self
            .results(text, columns.len(), 0, |refusal| error_in(&endpoint.sql, 0, label(), &refusal, HELP))?;
        let mut rows = results.rows;
        if !self.is_check {
            let wrong = match place(ROLE) {
                Some(role) => format!("c{role} is null or c{role} not in ('server', 'client')"),
                None => "false".to_owned(),
            };
            let (of_none, of_no_role): (i64, i64) = self.connection.query_row(
                &format!(
                    "select coalesce(sum(c{key} is null or c{key} not in (select goroutine_id from main.goroutines)), 0),
                            coalesce(sum({wrong}), 0)
                     from temp.{RESULTS}"
                ),
                [],
                |row| row.try_into(),
            )?;
            if of_none > 0 {
                return refused(format!("{of_none} of its rows are of no goroutine of the snapshot"));
            }
            if of_no_role > 0 {
                return refused(format!("{of_no_role} of its rows have another role than server or client"));
            }
            rows = match place(ROLE) {
                Some(_) => self.insert_endpoints(endpoint, &columns)?,
                None => self.complete_endpoints(key, &columns)?,
            };
            clear(self.connection)?;
        }
        let made = Made {
            kind: "endpoint",
            table: "endpoints".to_owned(),
            name: endpoint.name.clone(),
            rows,
            replaced: false,
        };
        self.note(&made, text)?;
        Ok(made)
    }

    fn insert_endpoints(&self, endpoint: &Endpoint, columns: &[String]) -> rusqlite::Result<u64> {
        let values: Vec<String> = (0..columns.len()).map(|index| format!("c{index}")).collect();
        let inserted = self.connection.execute(
            &format!(
                "insert into main.endpoints ({}, source) select {}, ? from temp.{RESULTS} order by rowid",
                columns.join(", "),
                values.join(", ")
            ),
            [&endpoint.name],
        )?;
        Ok(inserted as u64)
    }

    /// Only what is not known yet.
    fn complete_endpoints(&self, key: usize, columns: &[String]) -> Result<u64, Trouble> {
        let filled: Vec<String> = columns
            .iter()
            .enumerate()
            .filter(|(index, _)| *index != key)
            .map(|(index, name)| format!("{name} = coalesce(endpoints.{name}, r.c{index})"))
            .collect();
        if filled.is_empty() {
            return Ok(0);
        }
        let changed = self.connection.execute(
            &format!(
                "update main.endpoints set {} from temp.{RESULTS} r where r.c{key} = endpoints.goroutine_id",
                filled.join(", ")
            ),
            [],
        )?;
        Ok(changed as u64)
    }
}
