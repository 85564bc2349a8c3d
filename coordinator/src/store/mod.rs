//! The store: one SQLite file a snapshot.
//!
//! * [`writer`] makes a file, of what [`order`] says, that is either whole or not there. Processes come in batches, one
//!   process after the other, and the facts of one that is not whole are taken back.
//! * [`sets`] adds what probe sets make of it by SQL: to a file that is written, or to one that was written earlier.
//! * [`reader`] opens one for reading only, and answers the questions of the command line.
//! * `schema.sql`, `views.sql` and `indices.sql` are the contract with people who write SQL; [`about`] explains it
//!   inside the file.
//!
//! Only this folder names rusqlite. It keeps no clock: times are handed in.

pub mod about;
pub mod calls;
mod cells;
mod cut;
mod defect;
mod ends;
mod file;
mod hosts;
mod interner;
mod links;
mod load;
pub mod order;
mod probes;
mod query;
pub mod reader;
mod rows;
mod schema;
mod sets;
mod sockets;
mod summary;
mod tables;
mod values;
pub mod writer;

pub(crate) use file::{folder_of, publish};
pub use query::{QueryError, QueryLimits, QueryOutcome, RowSink, Value};
pub use schema::{APPLICATION_ID, VERSION};
pub(crate) use sets::check as check_set;
pub use sets::{Made, apply};
pub use summary::FileSummary;

#[cfg(test)]
mod tests;
