//! The functions of a build that fit a pattern.

use std::collections::BTreeMap;

use super::Availability;
use super::functions::Found;
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
        // Instances of a generic function are one function.
        let mut by_printed_name: BTreeMap<String, Vec<(&str, &Found)>> = BTreeMap::new();
        for (name, found) in &found {
            by_printed_name.entry(outside_brackets(name).1).or_default().push((name, found));
        }
        let all = by_printed_name.len();
        let functions: Vec<_> = by_printed_name
            .into_iter()
            .take(limit)
            .map(|(name, instances)| {
                let (file, line) = instances
                    .first()
                    .map_or_else(Default::default, |(name, found)| self.declared_at(name, found));
                ListedFunction {
                    name,
                    file,
                    line,
                    instances: instances.iter().map(|(_, found)| found.own.len()).sum(),
                    inlined_into: instances.iter().map(|(_, found)| found.inlined_into).sum(),
                }
            })
            .collect();
        let suggestions = if all == 0 { self.suggestions(pattern) } else { Vec::new() };
        Listed { left_out: all - functions.len(), functions, suggestions }
    }
}
