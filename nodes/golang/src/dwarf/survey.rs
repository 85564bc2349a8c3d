//! What can be captured of a function: its variables, and at how many of the places where it can stand each is kept.

use std::collections::BTreeMap;

use super::function::{Declared, Function};
use super::sections::Open;
use super::{DebugInfo, Evidence, without_type_arguments};
use crate::gap::Gap;
use crate::package;
use crate::types::{Shape, TypeRef};
use crate::variable::{Location, Piece, Role, Variable};

/// Places that are looked at.
const SITES_MAX: usize = 1 << 14;

/// A variable of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surveyed {
    pub name: String,
    pub of: TypeRef,
    pub role: Role,
    pub declared_line: u32,
    /// Places where it is in memory, whole.
    pub kept: usize,
    /// Places where it is in a register: of use only where registers were saved.
    pub in_register: usize,
    /// Why not at the others, the most frequent reason first.
    pub missing: Vec<(Gap, usize)>,
}

/// Of one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Places looked at where the function stands.
    pub sites: usize,
    pub variables: Vec<Surveyed>,
}

impl DebugInfo {
    /// `name`: as Go prints it. `sites`: program counters at which the function may stand, as [`DebugInfo::variables`]
    /// takes them.
    pub fn function_variables(
        &self,
        name: &str,
        sites: &mut dyn Iterator<Item = (u64, Evidence)>,
    ) -> Result<Survey, Gap> {
        let mut survey = Survey::default();
        let mut found: BTreeMap<(u8, u32, String), Surveyed> = BTreeMap::new();
        for (pc, evidence) in sites.take(SITES_MAX) {
            for frame in self.variables(pc, &evidence)? {
                if without_type_arguments(&frame.function) != without_type_arguments(name) {
                    continue;
                }
                survey.sites += 1;
                for variable in &frame.variables {
                    found
                        .entry(key(variable))
                        .or_insert_with(|| surveyed(variable))
                        .count(&variable.location);
                }
            }
        }
        let open = self.sections.open()?;
        for variable in self.declared(&open, name)? {
            found.entry(key(&variable)).or_insert_with(|| surveyed(&variable));
        }
        survey.variables = found.into_values().collect();
        for variable in &mut survey.variables {
            variable.missing.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        }
        Ok(survey)
    }

    /// All that the function declares, wherever it is visible.
    fn declared(&self, open: &Open<'_>, name: &str) -> Result<Vec<Variable>, Gap> {
        let units = self.units(open)?;
        let mut variables = Vec::new();
        for unit in units.named(&package::of_function(name)) {
            let Some(offset) = self.functions_of(open, unit.offset)?.named(open, units, name)? else {
                continue;
            };
            let function = self.function(open, offset)?;
            for declared in own_variables(&function) {
                variables.extend(self.without_location(open, declared)?);
            }
        }
        Ok(variables)
    }

    fn without_location(&self, open: &Open<'_>, declared: &Declared) -> Result<Option<Variable>, Gap> {
        let resolved = self.resolve(open, declared.of)?;
        let (name, mut of) = (declared.name.trim_start_matches('&'), TypeRef::Debug(resolved.offset));
        if name != declared.name {
            match self.read_type(open, resolved.offset)?.shape {
                Shape::Pointer(to) => of = to,
                _ => return Ok(None),
            }
        }
        Ok((!declared.is_split_part()).then(|| Variable {
            name: name.to_owned(),
            of,
            role: declared.role,
            declared_line: declared.line,
            location: Location::Missing(Gap::OptimizedOut),
            dictionary_index: resolved.dictionary_index,
        }))
    }
}

/// Without those of calls inlined into it.
fn own_variables(function: &Function) -> impl Iterator<Item = &Declared> {
    function.variables.iter().filter(|declared| function.call_of(declared.scope) == 0)
}

/// In the order in which they are shown; one variable stands once, though a function may have several of a name.
fn key(variable: &Variable) -> (u8, u32, String) {
    let role = match variable.role {
        Role::Argument => 0,
        Role::Result => 1,
        Role::Captured => 2,
        Role::Local => 3,
    };
    // Instances that were inlined do not say on which line a parameter stands.
    let line = if role < 2 { 0 } else { variable.declared_line };
    (role, line, variable.name.clone())
}

fn surveyed(variable: &Variable) -> Surveyed {
    Surveyed {
        name: variable.name.clone(),
        of: variable.of,
        role: variable.role,
        declared_line: variable.declared_line,
        kept: 0,
        in_register: 0,
        missing: Vec::new(),
    }
}

impl Surveyed {
    fn count(&mut self, location: &Location) {
        match missing(location) {
            None if has_register(location) => self.in_register += 1,
            None => self.kept += 1,
            Some(gap) => match self.missing.iter_mut().find(|(other, _)| *other == gap) {
                Some((_, count)) => *count += 1,
                None => self.missing.push((gap, 1)),
            },
        }
    }
}

fn has_register(location: &Location) -> bool {
    match location {
        Location::Register(_) => true,
        Location::Through(location) => has_register(location),
        Location::Pieces(pieces) => pieces.iter().any(|piece| has_register(&piece.location)),
        Location::Frame(_) | Location::Address(_) | Location::Missing(_) => false,
    }
}

/// Why it is not whole.
fn missing(location: &Location) -> Option<Gap> {
    match location {
        Location::Missing(gap) => Some(gap.clone()),
        Location::Through(location) => missing(location),
        Location::Pieces(pieces) => {
            // What is optimized out among pieces is padding.
            let dropped =
                |piece: &Piece| missing(&piece.location).is_some_and(|gap| gap != Gap::OptimizedOut);
            pieces.iter().any(dropped).then_some(Gap::OptimizedOutInPart)
        }
        Location::Frame(_) | Location::Address(_) | Location::Register(_) => None,
    }
}
