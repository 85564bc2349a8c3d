//! The parts of a type that a rule chooses, found in a value of it.
//!
//! Fields are looked for by Go's rules, so that promoted ones are found; what an interface holds is looked at by its own type.

use super::expression::{Constant, Expression, Kind};
use super::plan::{Step, walk};
use super::set::TypeRule;
use crate::gap::Gap;
use crate::place::Place;
use crate::types::TypeRef;
use crate::value::{Chosen, Key, Reader};

/// The parts of one rule.
#[derive(Debug)]
pub struct Choice {
    parts: Vec<(String, Vec<Step>)>,
}

impl Choice {
    pub fn of(rule: &TypeRule) -> Choice {
        let part = |way: &super::set::Way| {
            let mut steps = Vec::new();
            collect(&way.expression, &mut steps);
            (way.text.clone(), steps)
        };
        Choice { parts: rule.parts.iter().map(part).collect() }
    }
}

impl Chosen for Choice {
    fn names(&self) -> Vec<&str> {
        self.parts.iter().map(|(name, _)| name.as_str()).collect()
    }

    fn find(
        &self,
        part: usize,
        reader: &Reader<'_>,
        place: Place,
        of: TypeRef,
    ) -> Result<(Place, TypeRef), Gap> {
        let steps = self.parts.get(part).map(|(_, steps)| &steps[..]);
        walk(steps.unwrap_or_default(), place, of, reader)
    }
}

/// As deep as the expression is, which its parser bounds. A rule has no others than these.
fn collect(expression: &Expression, steps: &mut Vec<Step>) {
    match &expression.kind {
        Kind::Select { of, field } => {
            collect(of, steps);
            steps.push(Step::Select(field.text.clone()));
        }
        Kind::Index { of, key } => {
            collect(of, steps);
            steps.push(Step::Index(match key {
                Constant::Integer(number) => Key::Integer(*number),
                Constant::Text(text) => Key::Text(text.clone()),
                Constant::Bool(value) => Key::Bool(*value),
            }));
        }
        Kind::Dereference(of) => {
            collect(of, steps);
            steps.push(Step::Target);
        }
        Kind::Held(of) => {
            collect(of, steps);
            steps.push(Step::Held);
        }
        Kind::Load(of) => {
            collect(of, steps);
            steps.push(Step::Load);
        }
        Kind::Name(_)
        | Kind::Global { .. }
        | Kind::Slice { .. }
        | Kind::Assert { .. }
        | Kind::Call { .. }
        | Kind::Deadline(_)
        | Kind::ContextValue { .. } => {}
    }
}
