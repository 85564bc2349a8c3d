//! What of a runtime the copy has to know.

use crate::executable::Architecture;
use crate::layout::Layouts;
use crate::runtime::Runtime;

pub(crate) struct Outline<'a> {
    pub(crate) layouts: &'a Layouts,
    pub(crate) minor: u32,
    pub(crate) architecture: Architecture,
    /// By number.
    pub(crate) wait_reasons: &'a [String],
    /// Addresses of `runtime.allglen`, `allgptr` and `allm`.
    pub(crate) allglen: u64,
    pub(crate) allgptr: u64,
    pub(crate) allm: u64,
    /// Whether a program counter lies in `runtime.gopark`.
    pub(crate) is_gopark: Box<dyn Fn(u64) -> bool + 'a>,
}

impl<'a> Outline<'a> {
    pub(crate) fn of(runtime: &'a Runtime<'a>) -> Self {
        let variables = &runtime.build.variables;
        let is_gopark = |pc| {
            let functions = &runtime.functions;
            let function = runtime.offset(pc).and_then(|pc| functions.find(pc));
            function.is_some_and(|function| functions.name(&function) == "runtime.gopark")
        };
        Outline {
            layouts: &runtime.build.layouts,
            minor: runtime.build.minor,
            architecture: runtime.architecture(),
            wait_reasons: &runtime.wait_reasons,
            allglen: runtime.address(variables.allglen),
            allgptr: runtime.address(variables.allgptr),
            allm: runtime.address(variables.allm),
            is_gopark: Box::new(is_gopark),
        }
    }
}
