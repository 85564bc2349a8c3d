//! A set's SQL against the tables that a snapshot will have, before anything is captured.

use std::collections::HashSet;
use std::time::Duration;

use rusqlite::Connection;

use super::super::order::PlannedTable;
use super::super::probes::Probes;
use super::super::schema;
use super::{Budget, Derivation, Outcome, error};
use crate::probe_sets::{Outline, SetError};

/// Statements are only prepared.
const TIME_MAX: Duration = Duration::from_secs(5);

/// All mistakes of its SQL, in the order of the text. What a probe without `capture` will have is not known before it has
/// captured something: a column that may come from there is no mistake here.
pub(crate) fn check(set: &Outline, planned: &[PlannedTable]) -> Result<(), Vec<SetError>> {
    if set.columns.is_empty() && set.endpoints.is_empty() && set.tables.is_empty() && set.links.is_empty() {
        return Ok(());
    }
    let open: HashSet<String> = planned
        .iter()
        .filter(|probe| probe.columns.is_empty())
        .map(|probe| format!("probe_{}", probe.name))
        .collect();
    let checked =
        empty(planned).and_then(|mut connection| {
            let budget = &mut Budget::new(TIME_MAX);
            let addresses = set.addresses.clone();
            let mut outcome = Outcome::default();
            Derivation { connection: &mut connection, budget, is_check: true, open, addresses, limited: 0 }
                .run(&mut outcome, |derivation, note| {
                derivation.ends(set, note)?;
                derivation.rest(set, note)
            })?;
            outcome.failed.sort_by_key(|error| (error.line, error.column));
            Ok(outcome)
        });
    match checked {
        Ok(outcome) if outcome.failed.is_empty() => Ok(()),
        Ok(outcome) => Err(outcome.failed),
        // The tables of the check are in memory: it can only be that there is none left.
        Err(source) => {
            let message = format!("the SQL could not be checked: {source}");
            Err(vec![error((1, 1), String::new(), message, "try again, or leave the SQL out")])
        }
    }
}

/// A snapshot without rows.
fn empty(planned: &[PlannedTable]) -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    connection.execute_batch(schema::TABLES)?;
    connection.execute_batch(schema::VIEWS)?;
    for statement in Probes::new(planned.to_vec()).statements() {
        connection.execute_batch(&statement)?;
    }
    Ok(connection)
}
