//! What can be captured of a function: its variables, their types and fields, and where they are kept.

use super::check::is_called;
use super::{Availability, FUNCTIONS_MAX, Places, Site};
use crate::dwarf::Surveyed;
use crate::gap::Gap;
use crate::probe::pattern::Pattern;
use crate::types::{Shape, TypeRef};
use crate::variable::Role;

/// Fields of one variable that are shown.
const FIELDS_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariablesReport {
    /// As the function table has it: an instance of a generic function with its type arguments.
    pub function: String,
    pub file: String,
    pub line: i32,
    /// Why nothing is known.
    pub gap: Option<Gap>,
    pub variables: Vec<VariableReport>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableReport {
    pub name: String,
    pub type_name: String,
    pub role: Role,
    /// 0: not known.
    pub line: u32,
    pub places: Places,
    /// Names and types of the fields of a struct, or of one that it points to.
    pub fields: Vec<(String, String)>,
}

impl Availability<'_> {
    /// Of all functions that fit, up to a limit.
    pub fn variables(&self, pattern: &Pattern) -> Vec<VariablesReport> {
        let found = self.find(&[pattern]);
        let reports = found.iter().take(FUNCTIONS_MAX).map(|(name, found)| {
            let (file, line) = self.declared_at(name, found);
            let holders = found.own.iter().chain(&found.holders);
            let sites: Vec<_> = holders.flat_map(|holder| self.sites(holder, name)).collect();
            let (gap, variables) = match self.survey(name, &sites) {
                Ok(variables) => (None, variables),
                Err(gap) => (Some(gap), Vec::new()),
            };
            VariablesReport { function: (*name).to_owned(), file, line, gap, variables }
        });
        reports.collect()
    }

    fn survey(&self, name: &str, sites: &[Site]) -> Result<Vec<VariableReport>, Gap> {
        let debug = self.debug.as_ref().map_err(Gap::clone)?;
        let mut places = sites.iter().map(|site| (site.pc, site.evidence.clone()));
        let survey = debug.info.function_variables(name, &mut places)?;
        // As they stand in the source, which a frame's variables do.
        let mut order = Vec::new();
        if let Some(site) = sites.first() {
            let frames = debug.info.variables(site.pc, &site.evidence)?;
            let frame = frames.into_iter().find(|frame| is_called(&frame.function, name));
            order.extend(frame.into_iter().flat_map(|frame| frame.variables).map(|variable| variable.name));
        }
        let position = |name: &str| order.iter().position(|other| other == name).unwrap_or(order.len());
        let mut written: Vec<_> =
            survey.variables.iter().filter(|variable| !variable.name.starts_with('.')).collect();
        written.sort_by_key(|variable| match variable.role {
            Role::Argument => (0, position(&variable.name)),
            Role::Result => (1, position(&variable.name)),
            Role::Captured => (2, position(&variable.name)),
            Role::Local => (3, variable.declared_line as usize),
        });
        written.into_iter().map(|variable| self.report(variable, survey.sites)).collect()
    }

    fn report(&self, variable: &Surveyed, sites: usize) -> Result<VariableReport, Gap> {
        let mut missing = variable.missing.clone();
        let told = variable.kept + variable.in_register + missing.iter().map(|(_, n)| n).sum::<usize>();
        // In blocks that do not hold the place it is not mentioned at all.
        if told < sites {
            missing.push((Gap::NotDeclared, sites - told));
        }
        let places =
            Places { all: sites, available: variable.kept, in_register: variable.in_register, missing };
        Ok(VariableReport {
            name: variable.name.clone(),
            type_name: self.type_name(variable.of)?,
            role: variable.role,
            line: variable.declared_line,
            places,
            fields: self.fields(variable.of)?,
        })
    }

    fn type_name(&self, of: TypeRef) -> Result<String, Gap> {
        let debug = self.debug.as_ref().map_err(Gap::clone)?;
        Ok(debug.info.type_of(of)?.name.clone())
    }

    fn fields(&self, of: TypeRef) -> Result<Vec<(String, String)>, Gap> {
        let debug = self.debug.as_ref().map_err(Gap::clone)?;
        let ty = debug.info.type_of(of)?;
        let ty = match ty.shape {
            Shape::Pointer(to) => debug.info.type_of(to)?,
            _ => ty,
        };
        let Shape::Struct(fields) = &ty.shape else { return Ok(Vec::new()) };
        let shown = fields.iter().filter(|field| field.name != "_").take(FIELDS_MAX);
        shown.map(|field| Ok((field.name.clone(), self.type_name(field.of)?))).collect()
    }
}
