//! The probe sets of an order: their text is checked here, before anything is ordered, and says which tables a file has.

use stillframe_node::probe_sets;
pub use stillframe_node::probe_sets::{SetError, SetErrors};

use crate::store::order::PlannedTable;

/// The table of each probe, in the order of the text; or all mistakes of the text, each with its place.
pub fn tables(text: &str) -> Result<Vec<PlannedTable>, SetErrors> {
    let tables = probe_sets::tables(text)?.into_iter();
    Ok(tables.map(|probe_sets::Table { name, columns }| PlannedTable { name, columns }).collect())
}
