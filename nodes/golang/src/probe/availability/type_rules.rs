//! `[[type]]` rules against a build: which types each means there, and whether they have the parts that it names.

use super::{Availability, BuildTypes, Debug};
use crate::probe::availability::check::{CheckedPart, CheckedType, CheckedTypeRule, mistake};
use crate::probe::check::check;
use crate::probe::pattern::Pattern;
use crate::probe::scope::Scope;
use crate::probe::set::{TypeRule, VALUE};
use crate::types::{Shape, TypeRef, Types};
use crate::variable::{Location, Role, Variable};

/// Types of one rule that are looked into.
const TYPES_MAX: usize = 256;

impl Availability<'_> {
    pub(super) fn check_type_rule(&self, rule: &TypeRule) -> CheckedTypeRule {
        let mut checked = CheckedTypeRule {
            pattern: rule.of.text().to_owned(),
            line: rule.place.line,
            column: rule.place.column,
            types: Vec::new(),
            left_out: 0,
            suggestions: Vec::new(),
        };
        // That there is no debug information is told of the program.
        let Ok(debug) = &self.debug else { return checked };
        let found = debug.info.matching(|name| rule.of.matches(name)).unwrap_or_default();
        checked.left_out = found.len().saturating_sub(TYPES_MAX);
        checked.types =
            found.iter().take(TYPES_MAX).filter_map(|(name, of)| parts(debug, rule, name, *of)).collect();
        if checked.types.is_empty() {
            checked.suggestions = suggestions(debug, &rule.of);
        }
        checked
    }
}

/// `None`: it is no struct, and the rule is not about it.
fn parts(debug: &Debug<'_>, rule: &TypeRule, name: &str, of: TypeRef) -> Option<CheckedType> {
    let types = BuildTypes(&debug.info);
    let Shape::Struct(_) = types.get(of).ok()?.shape else { return None };
    let value = Variable {
        name: VALUE.to_owned(),
        of,
        role: Role::Local,
        declared_line: 0,
        location: Location::Frame(0),
        dictionary_index: None,
    };
    // Nothing of a rule is looked for in a function or a package.
    let scope = Scope { function: "", variables: std::slice::from_ref(&value), program: &debug.program };
    let parts = rule.parts.iter().map(|way| {
        let (type_name, mistake) = match check(&way.expression, &scope, &types) {
            Ok(plan) => (plan.type_name().map(str::to_owned), None),
            Err(problem) => (None, Some(mistake(way, problem))),
        };
        CheckedPart { text: way.text.clone(), type_name, mistake }
    });
    Some(CheckedType { name: name.to_owned(), parts: parts.collect() })
}

fn suggestions(debug: &Debug<'_>, pattern: &Pattern) -> Vec<String> {
    let text = pattern.text().trim_matches(['*', '/']);
    if text.is_empty() { Vec::new() } else { debug.info.similar(text).unwrap_or_default() }
}
