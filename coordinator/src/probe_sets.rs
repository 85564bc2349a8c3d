//! The probe sets of an order: their text is checked here, before anything is ordered, and says which tables a file has.

use stillframe_node::probe_sets;
pub use stillframe_node::probe_sets::NoProbeSet;
use stillframe_wire::limits::PROBES_BYTES_MAX;
use thiserror::Error;

use crate::store::order::PlannedTable;

/// Probes that cannot be ordered.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ProbesError {
    #[error("the probes have {0} bytes, and {PROBES_BYTES_MAX} is the most that an order takes")]
    TooLong(usize),
    /// With line and column.
    #[error(transparent)]
    Wrong(#[from] NoProbeSet),
}

/// The table of each probe, in the order of the text.
pub fn tables(text: &str) -> Result<Vec<PlannedTable>, ProbesError> {
    if text.len() > PROBES_BYTES_MAX {
        return Err(ProbesError::TooLong(text.len()));
    }
    let tables = probe_sets::tables(text)?.into_iter();
    Ok(tables.map(|probe_sets::Table { name, columns }| PlannedTable { name, columns }).collect())
}
