//! What the decoder asks of a process's code: names of functions, and what closures have captured.

use std::sync::Arc;

use crate::dwarf::DebugInfo;
use crate::runtime::Runtime;
use crate::value::{Captured, Code};

pub(super) struct ProcessCode<'a> {
    pub(super) runtime: &'a Runtime<'a>,
    pub(super) debug: Option<Arc<DebugInfo>>,
}

impl Code for ProcessCode<'_> {
    fn function(&self, pc: u64) -> Option<String> {
        let offset = self.runtime.offset(pc)?;
        let function = self.runtime.functions.find(offset).filter(|function| function.entry == offset)?;
        Some(self.runtime.functions.name(&function).to_owned())
    }

    fn captured(&self, pc: u64) -> Vec<Captured> {
        let captured = self.debug.as_ref().map(|debug| debug.captured(pc.wrapping_sub(self.runtime.bias)));
        // What debug information cannot tell is not shown; the function's name is.
        captured.and_then(Result::ok).unwrap_or_default()
    }
}
