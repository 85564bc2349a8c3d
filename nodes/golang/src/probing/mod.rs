//! Carries probes out on one process: finds the frames that they are about, and reads what their expressions need, in
//! rounds, while the process stands still.
//!
//! An expression is evaluated over what was copied so far; what it misses is read, for all frames together in one call,
//! and it is evaluated again. So there are as many rounds as the longest chain of pointers, however many frames.
//!
//! [`Probing::warm`] looks at the process while it runs: at the program counters where goroutines stand then, variables
//! are looked up and expressions are checked before the pause.
//!
//! Values are taken only from stacks that are whole: of any other it is not sure whose frame it is.

mod blocks;
mod frames;
mod pending;
mod sites;
mod tasks;

use std::rc::Rc;

use crate::gap::Gap;
use crate::memory::{Memory, Range};
use crate::probe::ProbeSet;
use crate::records::GRecord;
use crate::runtime::Runtime;
use crate::start::Start;
use crate::thread::Registers;
use crate::unwind::StackBytes;
use crate::value::{Limits, Value};

use blocks::Blocks;
use sites::Sites;
use tasks::Task;

/// Pointers that are followed one after the other.
const ROUNDS_MAX: usize = 64;
/// `process_vm_readv` takes this many ranges at once (UIO_MAXIOV, readv(2)).
const READ_RANGES_MAX: usize = 1024;
/// Frames of one process that probes are about.
const ROWS_MAX: usize = 1 << 20;

/// A goroutine, and from where its stack is unwound.
pub(crate) struct Standing<'a> {
    pub(crate) g: GRecord,
    pub(crate) start: Start,
    /// Of its thread, if it runs.
    pub(crate) registers: Option<&'a Registers>,
    pub(crate) bytes: StackBytes<'a>,
}

/// What the probes brought of one process.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Captured {
    pub tables: Vec<Table>,
    pub rows: Vec<Row>,
    /// Expressions that do not fit the program: the probe, the expression's name, what is wrong.
    pub problems: Vec<(String, String, String)>,
    /// Frames beyond the limit.
    pub left_out: usize,
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

/// The probes of one order, for one process.
pub struct Probing<'a> {
    runtime: &'a Runtime<'a>,
    sites: Sites<'a>,
    limits: Limits,
    warming: bool,
    captured: Captured,
}
