//! What probes brought of one process.

use std::rc::Rc;

use crate::gap::Gap;
use crate::value::Value;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Captured {
    pub tables: Vec<Table>,
    pub rows: Vec<Row>,
    pub problems: Vec<Problem>,
    /// Frames beyond the limit.
    pub left_out: usize,
}

/// An expression that does not fit the program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub probe: String,
    pub function: String,
    pub column: String,
    pub what: String,
}

/// The columns of a probe's rows. A probe that names no expressions has other ones for each function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    pub probe: String,
    pub columns: Vec<String>,
}

/// What a probe brought of one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Index into [`Captured::tables`].
    pub table: u32,
    pub goid: u64,
    /// In the goroutine's stack: 0 is the innermost frame.
    pub depth: u32,
    /// One for each column.
    pub cells: Vec<Cell>,
}

/// The value of one expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Its Go type, where that is known.
    pub of: Option<Rc<str>>,
    pub value: Value,
    pub address: Option<u64>,
}

impl Cell {
    pub(super) fn missing(of: Option<Rc<str>>, gap: Gap) -> Self {
        Cell { of, value: Value::Missing(gap), address: None }
    }
}
