//! The probe sets of an order: their text is checked here, before anything is ordered, and says which tables a file has.

use stillframe_node::probe_sets;
pub use stillframe_node::probe_sets::{
    AddedColumn, DerivedTable, Described, Endpoint, EnvironmentFits, Link, LinkEnd, Outline, Pattern,
    ProgramRule, SetError, SetErrors, Sql, StoredName, TextPlace, Undecided, first_rule, is_name, listed,
    nearest, outline, program_of,
};

use crate::store;
use crate::store::order::PlannedTable;

/// The table of each probe, in the order of the text; or all mistakes of the text, each with its place.
pub fn tables(text: &str) -> Result<Vec<PlannedTable>, SetErrors> {
    outline(text).map(|outline| planned(&outline))
}

/// The same; the SQL is prepared against tables without rows, so that its mistakes are told as well.
pub fn check(text: &str) -> Result<Vec<PlannedTable>, SetErrors> {
    let absent = outline(text)?.absent_sets;
    if absent.is_empty() { check_alone(text) } else { Err(SetErrors(absent)) }
}

/// The same for a text that need not have the sets which its rules name.
pub fn check_alone(text: &str) -> Result<Vec<PlannedTable>, SetErrors> {
    let outline = outline(text)?;
    let planned = planned(&outline);
    match store::check_set(&outline, &planned) {
        Ok(()) => Ok(planned),
        Err(errors) => Err(SetErrors(errors)),
    }
}

pub fn planned(outline: &Outline) -> Vec<PlannedTable> {
    let table =
        |table: &probe_sets::Table| PlannedTable { name: table.name.clone(), columns: table.columns.clone() };
    outline.probes.iter().map(table).collect()
}
