//! The functions that a pattern means: those that have code, and those that live on in others that they were inlined into.

use std::collections::{BTreeMap, BTreeSet};

use super::{Availability, ByName};
use crate::function_table::Function;
use crate::probe::pattern::Pattern;
use crate::similar::similar;
use crate::version::FunctionKind;

/// Names that are suggested.
const SUGGESTIONS_MAX: usize = 5;
/// Functions that one is inlined into and that are remembered.
const HOLDERS_MAX: usize = 1 << 12;

/// Where a function can stand.
#[derive(Default)]
pub(super) struct Found {
    /// Its own code: several for instances of a generic one.
    pub(super) own: Vec<Function>,
    /// What it is inlined into.
    pub(super) holders: Vec<Function>,
    /// How many that are.
    pub(super) inlined_into: usize,
}

impl<'a> Availability<'a> {
    /// By name, as the function table has it.
    pub(super) fn find(&self, patterns: &[&Pattern]) -> BTreeMap<&'a str, Found> {
        let mut known: ByName<'_, bool> = ByName::default();
        let mut matches =
            |name: &'a str| *known.entry(name).or_insert_with(|| patterns.iter().any(|p| p.matches(name)));
        let mut found: BTreeMap<&str, Found> = BTreeMap::new();
        let functions = &self.code.functions;
        for function in functions.all() {
            let name = functions.name(&function);
            // A wrapper goes by the name of what it calls, and is not shown on stacks.
            if function.kind(functions.minor) != FunctionKind::Wrapper && matches(name) {
                found.entry(name).or_default().own.push(function);
            }
            let mut inlined: Vec<&str> = functions.inlined(&function).filter(|name| matches(name)).collect();
            inlined.sort_unstable();
            inlined.dedup();
            for name in inlined {
                let found = found.entry(name).or_default();
                found.inlined_into += 1;
                if found.holders.len() < HOLDERS_MAX {
                    found.holders.push(function);
                }
            }
        }
        found
    }

    /// File and first line of a function that was found.
    pub(super) fn declared_at(&self, name: &str, found: &Found) -> (String, i32) {
        let functions = &self.code.functions;
        let of = |function: &Function, pc: u64| {
            let frames = functions.logical_frames(function, pc);
            frames
                .iter()
                .find(|frame| frame.name == name)
                .map(|frame| (frame.file.to_owned(), frame.start_line))
        };
        let own = found.own.iter().find_map(|function| of(function, function.entry));
        let inlined = || {
            let mut pcs = found.holders.iter().flat_map(|f| functions.inlined_pcs(f).map(move |pc| (f, pc)));
            pcs.find_map(|(function, pc)| of(function, pc))
        };
        own.or_else(inlined).unwrap_or_else(|| ("?".to_owned(), 0))
    }

    /// Functions that somebody may have meant by a pattern that fits none.
    pub(super) fn suggestions(&self, pattern: &Pattern) -> Vec<String> {
        let text = pattern.text().trim_matches(['*', '/']);
        if text.is_empty() {
            return Vec::new();
        }
        let functions = &self.code.functions;
        let mut names: Vec<&str> = functions.all().map(|function| functions.name(&function)).collect();
        names.sort_unstable();
        names.dedup();
        // Part of a path was left out, or the case is another.
        let folded = text.to_lowercase();
        let mut near: Vec<&str> =
            names.iter().copied().filter(|name| name.to_lowercase().contains(&folded)).collect();
        near.sort_by_key(|name| name.len());
        near.truncate(SUGGESTIONS_MAX);
        if !near.is_empty() {
            return near.into_iter().map(str::to_owned).collect();
        }
        let by_name = similar(text, names.iter().copied());
        if !by_name.is_empty() {
            return by_name;
        }
        // Neither the path nor the type was given, and the rest is misspelled.
        let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
        let lasts: BTreeSet<String> = names.iter().map(|name| last(name)).collect();
        let near = similar(&last(text), lasts.iter().map(String::as_str));
        let mut found: Vec<String> =
            names.into_iter().filter(|name| near.contains(&last(name))).map(str::to_owned).collect();
        found.truncate(SUGGESTIONS_MAX);
        found
    }
}
