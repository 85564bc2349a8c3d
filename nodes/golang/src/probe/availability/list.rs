//! The functions of a build that fit a pattern.

use super::Availability;
use crate::probe::pattern::{Pattern, outside_brackets};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// By name.
    pub functions: Vec<ListedFunction>,
    /// Beyond the limit.
    pub left_out: usize,
    /// What may have been meant, where there are none.
    pub suggestions: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFunction {
    /// As Go prints it.
    pub name: String,
    pub file: String,
    pub line: i32,
    /// It has code of its own: more than one for instances of a generic function.
    pub instances: usize,
    /// Functions that it is inlined into.
    pub inlined_into: usize,
}

impl Availability<'_> {
    pub fn list(&self, pattern: &Pattern, limit: usize) -> Listed {
        let found = self.find(&[pattern]);
        let functions: Vec<_> = found
            .iter()
            .take(limit)
            .map(|(name, found)| {
                let (file, line) = self.declared_at(name, found);
                let (instances, inlined_into) = (found.own.len(), found.inlined_into);
                ListedFunction { name: outside_brackets(name).1, file, line, instances, inlined_into }
            })
            .collect();
        let suggestions = if functions.is_empty() { self.suggestions(pattern) } else { Vec::new() };
        Listed { left_out: found.len() - functions.len(), functions, suggestions }
    }
}
