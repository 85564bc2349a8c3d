//! What a probe captures that names no expressions: the arguments and the named locals of its function, to a small depth.

use std::collections::HashSet;

use super::column::{self, RESERVED};
use super::expression::{Expression, Kind};
use super::limits::EXPRESSIONS_MAX;
use super::plan::Plan;
use super::problem::Span;
use crate::types::Types;
use crate::variable::Variable;

/// Structs, lists and maps one within another.
pub const DEPTH: u32 = 2;

/// A column for each variable, arguments first: its name, and what is read.
pub fn default_columns(variables: &[Variable], types: &dyn Types) -> Vec<(String, Plan)> {
    let mut taken: HashSet<String> = RESERVED.iter().map(|name| (*name).to_owned()).collect();
    let wanted = variables.iter().filter(|variable| is_named(variable)).take(EXPRESSIONS_MAX);
    wanted
        .map(|variable| {
            let type_name = types.get(variable.of).ok().map(|ty| ty.name.clone());
            let plan = Plan::of_variable(&variable.name, variable.of, type_name, DEPTH);
            (unique(&variable.name, &mut taken), plan)
        })
        .collect()
}

/// Results without a name and what the compiler adds are none that anybody wrote.
fn is_named(variable: &Variable) -> bool {
    !variable.name.starts_with(['.', '~']) && variable.name != "_"
}

fn unique(variable: &str, taken: &mut HashSet<String>) -> String {
    let expression = Expression { kind: Kind::Name(variable.to_owned()), span: Span::default() };
    let name = column::default_name(&expression).unwrap_or_else(|| "variable".to_owned());
    let mut candidate = name.clone();
    let mut number = 2;
    while !taken.insert(candidate.clone()) {
        candidate = format!("{name}_{number}");
        number += 1;
    }
    candidate
}
