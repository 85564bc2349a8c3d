//! What unwinding asks of a program counter, looked up once: a hundred thousand goroutines stand at a few hundred of them.

use std::cell::RefCell;

use rustc_hash::FxHashMap;

use crate::function_table::Function;
use crate::modules::Functions;

/// Program counters of one process that are kept. A Go program of 100 MB of text has fewer calls.
const STEPS_MAX: usize = 4 << 20;

/// A program counter's function, and the size of its frame there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) function: Function,
    /// See [`Functions::stack_delta`]; `None` where the table has no frame information.
    pub(crate) stack_delta: Option<u64>,
}

/// Steps by program counter, an offset from the start of the Go text.
pub(crate) struct Steps<'a> {
    pub(crate) functions: &'a Functions<'a>,
    known: RefCell<FxHashMap<u64, Option<Step>>>,
}

impl<'a> Steps<'a> {
    pub(crate) fn new(functions: &'a Functions<'a>) -> Self {
        Steps { functions, known: RefCell::default() }
    }

    /// `None`: in no Go function.
    pub(crate) fn at(&self, pc: u64) -> Option<Step> {
        let mut known = self.known.borrow_mut();
        if let Some(step) = known.get(&pc) {
            return *step;
        }
        let step = self.functions.find(pc).map(|function| Step {
            function,
            stack_delta: self
                .functions
                .stack_delta(&function, pc)
                .filter(|_| function.has_frame_information()),
        });
        if known.len() < STEPS_MAX {
            known.insert(pc, step);
        }
        step
    }
}
