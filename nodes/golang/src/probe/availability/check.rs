//! A probe set against a build: what each probe means there, and what of it can be had.

use std::collections::HashSet;

use rustc_hash::FxHashMap;

use super::functions::Found;
use super::needs::{Kept, kept, needed};
use super::{Availability, BuildTypes, Debug, FUNCTIONS_MAX, Places, SITES_MAX};
use crate::gap::Gap;
use crate::probe::check::check;
use crate::probe::defaults::default_columns;
use crate::probe::expression::{Expression, Kind};
use crate::probe::pattern::outside_brackets;
use crate::probe::plan::{Plan, Root};
use crate::probe::problem::{Problem, Span};
use crate::probe::scope::Scope;
use crate::probe::set::{Column, Probe, ProbeSet, Way};
use crate::types::TypeRef;
use crate::variable::{FrameVariables, Variable};

/// What a set means in a build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    pub probes: Vec<CheckedProbe>,
    pub types: Vec<CheckedTypeRule>,
}

/// A `[[type]]` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedTypeRule {
    /// As it was written, and where in the set.
    pub pattern: String,
    pub line: usize,
    pub column: usize,
    pub types: Vec<CheckedType>,
    /// Types beyond the limit.
    pub left_out: usize,
    /// What may have been meant, where no type fits.
    pub suggestions: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedType {
    pub name: String,
    pub parts: Vec<CheckedPart>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedPart {
    pub text: String,
    /// `None`: only each value tells, or there is none.
    pub type_name: Option<String>,
    pub mistake: Option<Mistake>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedProbe {
    pub name: String,
    /// Its function, as it was written, and where in the set.
    pub pattern: String,
    pub line: usize,
    pub column: usize,
    /// Why it is not for this program.
    pub not_here: Option<String>,
    pub functions: Vec<CheckedFunction>,
    /// Functions beyond the limit.
    pub left_out: usize,
    /// What may have been meant, where no function fits.
    pub suggestions: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedFunction {
    /// As the function table has it: an instance of a generic function with its type arguments.
    pub name: String,
    pub file: String,
    pub line: i32,
    pub inlined_into: usize,
    /// Calls at which it can stand on a stack; 0: it calls nothing, and is met only where it runs or was preempted.
    pub sites: usize,
    pub expressions: Vec<CheckedExpression>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedExpression {
    /// The name of its column.
    pub column: String,
    pub text: String,
    /// `None`: only each value tells, or there is none.
    pub type_name: Option<String>,
    pub mistake: Option<Mistake>,
    pub places: Places,
}

/// Why an expression cannot be evaluated in a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// In the set.
    pub line: usize,
    pub column: usize,
    pub message: String,
    pub nearest: Option<String>,
}

impl Checked {
    /// Every probe of this program has a function, and every expression fits in at least one. Likewise what rules say of types,
    /// but that there is such a type: it may be another program's.
    pub fn is_good(&self) -> bool {
        let are_types_good = self.types.iter().all(|rule| {
            let parts = rule.types.iter().flat_map(|of| &of.parts);
            let mut bad = parts.clone().filter(|part| part.mistake.is_some());
            bad.all(|bad| parts.clone().any(|other| other.text == bad.text && other.mistake.is_none()))
        });
        are_types_good
            && self.probes.iter().filter(|probe| probe.not_here.is_none()).all(|probe| {
                let columns = probe.functions.iter().flat_map(|function| &function.expressions);
                let mut bad = columns.clone().filter(|expression| expression.mistake.is_some());
                let fits_elsewhere = |bad: &CheckedExpression| {
                    columns.clone().any(|other| other.column == bad.column && other.mistake.is_none())
                };
                !probe.functions.is_empty() && bad.all(fits_elsewhere)
            })
    }
}

impl Availability<'_> {
    /// `program`: the file name of the executable.
    pub fn check(&self, set: &ProbeSet, program: &str) -> Checked {
        Checked {
            probes: set.probes.iter().map(|probe| self.check_probe(probe, program)).collect(),
            types: set.types.iter().map(|rule| self.check_type_rule(rule)).collect(),
        }
    }

    fn check_probe(&self, probe: &Probe, program: &str) -> CheckedProbe {
        let mut checked = CheckedProbe {
            name: probe.name.clone(),
            pattern: probe.function.text().to_owned(),
            line: probe.place.line,
            column: probe.place.column,
            not_here: None,
            functions: Vec::new(),
            left_out: 0,
            suggestions: Vec::new(),
        };
        if let Some(pattern) = &probe.program
            && !pattern.matches(program)
        {
            checked.not_here = Some(format!("it is for programs {}, and this is {program}", pattern.text()));
            return checked;
        }
        if let Some(module) = &probe.module
            && !self.build.identity.info.has_module(module)
        {
            checked.not_here = Some(format!("it is for programs that are built with the module {module}"));
            return checked;
        }
        let found = self.find(&[&probe.function]);
        checked.left_out = found.len().saturating_sub(FUNCTIONS_MAX);
        let functions = found.iter().take(FUNCTIONS_MAX);
        checked.functions = functions.map(|(name, found)| self.check_function(probe, name, found)).collect();
        if found.is_empty() {
            checked.suggestions = self.suggestions(&probe.function);
        }
        checked
    }

    fn check_function(&self, probe: &Probe, name: &str, found: &Found) -> CheckedFunction {
        let (file, line) = self.declared_at(name, found);
        let (sites, expressions) = match &self.debug {
            Ok(debug) => self.look(debug, probe, name, found),
            Err(gap) => (0, without_debug_info(probe, gap)),
        };
        let inlined_into = found.inlined_into;
        CheckedFunction { name: name.to_owned(), file, line, inlined_into, sites, expressions }
    }

    /// Evaluates nothing: looks at where the variables are at each place.
    fn look(
        &self,
        debug: &Debug<'_>,
        probe: &Probe,
        name: &str,
        found: &Found,
    ) -> (usize, Vec<CheckedExpression>) {
        let types = BuildTypes(&debug.info);
        let mut look = Look {
            debug,
            types: &types,
            probe,
            expressions: Vec::new(),
            plans: FxHashMap::default(),
            fitting: HashSet::new(),
        };
        let mut sites = 0;
        'holders: for holder in found.own.iter().chain(&found.holders) {
            for site in self.sites(holder, name) {
                if sites == SITES_MAX {
                    break 'holders;
                }
                match debug.info.variables(site.pc, &site.evidence) {
                    Ok(frames) => {
                        let has = |frame: &FrameVariables| {
                            let wanted = probe.variable.as_ref();
                            wanted.is_none_or(|name| frame.variables.iter().any(|v| v.name == *name))
                        };
                        let frames = frames.iter().filter(|frame| is_called(&frame.function, name));
                        for frame in frames.filter(|frame| has(frame)) {
                            sites += 1;
                            look.at(frame);
                        }
                    }
                    Err(gap) => {
                        sites += 1;
                        look.missing(&gap);
                    }
                }
            }
        }
        if sites == 0 && probe.variable.is_none() {
            look.anywhere(name);
        }
        for expression in &mut look.expressions {
            // What fits at some places is no mistake.
            if look.fitting.contains(&expression.column) {
                expression.mistake = None;
            }
            // Variables of inner blocks stand only at some of the places.
            if let Some(elsewhere) = sites.checked_sub(expression.places.all).filter(|&n| n > 0) {
                expression.places.all = sites;
                expression.places.missing.push((Gap::NotDeclared, elsewhere));
            }
        }
        (sites, look.expressions)
    }
}

/// `main.F[go.shape.int]` of debug information is `main.F[...]` in the function table.
pub(super) fn is_called(function: &str, name: &str) -> bool {
    function == name || outside_brackets(function).1 == outside_brackets(name).1
}

fn without_debug_info(probe: &Probe, gap: &Gap) -> Vec<CheckedExpression> {
    let columns = probe.capture.iter().flatten();
    columns
        .map(|column| {
            let way = &column.ways[0];
            let problem = Problem::new(way.expression.span, gap.to_string());
            CheckedExpression { mistake: Some(mistake(way, problem)), ..begun(&column.name, &way.text) }
        })
        .collect()
}

fn begun(column: &str, text: &str) -> CheckedExpression {
    CheckedExpression {
        column: column.to_owned(),
        text: text.to_owned(),
        type_name: None,
        mistake: None,
        places: Places::default(),
    }
}

pub(super) fn mistake(way: &Way, problem: Problem) -> Mistake {
    let (line, at) = way.place.of(&way.text, problem.span);
    Mistake { line, column: at, message: problem.message, nearest: problem.nearest }
}

/// Column, which of its expressions, function, and the type of the variable that it begins with.
type PlanKey = (usize, usize, String, Option<TypeRef>);

struct Look<'a> {
    debug: &'a Debug<'a>,
    types: &'a BuildTypes<'a>,
    probe: &'a Probe,
    expressions: Vec<CheckedExpression>,
    plans: FxHashMap<PlanKey, Result<Plan, Problem>>,
    /// Columns whose expressions fit somewhere.
    fitting: HashSet<String>,
}

impl Look<'_> {
    fn at(&mut self, frame: &FrameVariables) {
        let Some(columns) = &self.probe.capture else {
            for (name, plan) in default_columns(&frame.variables, self.types) {
                let text = plan.variable().unwrap_or_default().to_owned();
                self.count(&name, &text, &plan, &frame.variables);
            }
            return;
        };
        for (index, column) in columns.iter().enumerate() {
            match self.best(index, column, &frame.function, &frame.variables) {
                Ok((text, plan)) => self.count(&column.name, text, &plan, &frame.variables),
                Err((way, problem)) => {
                    let gap = self.misfit(way, &frame.variables, &problem);
                    let entry = self.entry(&column.name, &way.text);
                    entry.places.all += 1;
                    entry.places.miss(gap);
                    entry.mistake.get_or_insert_with(|| mistake(way, problem));
                }
            }
        }
    }

    /// Why an expression does not fit at one place: where it fits at others, its name is another variable's here.
    fn misfit(&self, way: &Way, variables: &[Variable], problem: &Problem) -> Gap {
        let begins = first_name(&way.expression);
        let variable = begins.and_then(|name| variables.iter().find(|variable| variable.name == name));
        let described = variable.and_then(|v| Some((v, self.debug.info.type_of(v.of).ok()?)));
        match described {
            Some((variable, ty)) => {
                Gap::Expression(format!("{} is another variable there, of type {}", variable.name, ty.name))
            }
            None => Gap::Expression(problem.message.clone()),
        }
    }

    /// The function calls nothing: what can be said is whether the expressions fit.
    fn anywhere(&mut self, function: &str) {
        let Some(columns) = &self.probe.capture else { return };
        for (index, column) in columns.iter().enumerate() {
            match self.best(index, column, function, &[]) {
                Ok((text, plan)) => {
                    self.entry(&column.name, text).type_name = plan.type_name().map(str::to_owned);
                }
                Err((way, problem)) => {
                    self.entry(&column.name, &way.text).mistake = Some(mistake(way, problem));
                }
            }
        }
    }

    fn missing(&mut self, gap: &Gap) {
        for column in self.probe.capture.iter().flatten() {
            let places = &mut self.entry(&column.name, &column.ways[0].text).places;
            places.all += 1;
            places.miss(gap.clone());
        }
    }

    /// The first of a column's expressions that there is something of here, or else the first that fits.
    fn best<'c>(
        &mut self,
        index: usize,
        column: &'c Column,
        function: &str,
        variables: &[Variable],
    ) -> Result<(&'c str, Plan), (&'c Way, Problem)> {
        let mut fits = None;
        let mut mistake = None;
        for (number, way) in column.ways.iter().enumerate() {
            match self.plan((index, number), way, function, variables) {
                Ok(plan) if !matches!(self.kept(&plan, variables), Kept::Missing(_)) => {
                    return Ok((&way.text, plan));
                }
                Ok(plan) => fits = fits.or(Some((&way.text[..], plan))),
                Err(problem) => mistake = mistake.or(Some((way, problem))),
            }
        }
        match (fits, mistake) {
            (None, Some(mistake)) => Err(mistake),
            (Some(fits), _) => Ok(fits),
            (None, None) => {
                let nothing = Problem::new(Span::default(), "a column of no expression");
                Err((&column.ways[0], nothing))
            }
        }
    }

    fn plan(
        &mut self,
        (index, number): (usize, usize),
        way: &Way,
        function: &str,
        variables: &[Variable],
    ) -> Result<Plan, Problem> {
        let begins = first_name(&way.expression);
        let of =
            begins.and_then(|name| variables.iter().find(|v| v.name == name)).map(|variable| variable.of);
        let key = (index, number, function.to_owned(), of);
        if let Some(plan) = self.plans.get(&key) {
            return plan.clone();
        }
        let scope = Scope { function, variables, program: &self.debug.program };
        let plan = check(&way.expression, &scope, self.types);
        self.plans.insert(key, plan.clone());
        plan
    }

    fn entry(&mut self, column: &str, text: &str) -> &mut CheckedExpression {
        let at = self.expressions.iter().position(|expression| expression.column == column);
        let at = at.unwrap_or_else(|| {
            self.expressions.push(begun(column, text));
            self.expressions.len() - 1
        });
        &mut self.expressions[at]
    }

    fn count(&mut self, column: &str, text: &str, plan: &Plan, variables: &[Variable]) {
        let kept = self.kept(plan, variables);
        self.fitting.insert(column.to_owned());
        let entry = self.entry(column, text);
        if entry.type_name.is_none() {
            entry.type_name = plan.type_name().map(str::to_owned);
        }
        entry.places.all += 1;
        match kept {
            Kept::InMemory => entry.places.available += 1,
            Kept::InRegister => entry.places.in_register += 1,
            Kept::Missing(gap) => entry.places.miss(gap),
        }
    }

    fn kept(&self, plan: &Plan, variables: &[Variable]) -> Kept {
        let Root::Variable { name, of } = &plan.root else { return Kept::InMemory };
        let Some(variable) = variables.iter().find(|variable| variable.name == *name) else {
            return Kept::Missing(Gap::NotDeclared);
        };
        match needed(plan, *of, self.types) {
            Ok((offset, length)) => kept(&variable.location, offset, length),
            Err(gap) => Kept::Missing(gap),
        }
    }
}

/// The name that an expression begins with.
fn first_name(expression: &Expression) -> Option<&str> {
    let mut at = expression;
    loop {
        at = match &at.kind {
            Kind::Name(name) => return Some(name),
            Kind::Global { .. } => return None,
            Kind::Select { of, .. }
            | Kind::Dereference(of)
            | Kind::Index { of, .. }
            | Kind::Slice { of, .. }
            | Kind::Assert { of, .. }
            | Kind::Call { of, .. }
            | Kind::Load(of)
            | Kind::Held(of)
            | Kind::Deadline(of)
            | Kind::ContextValue { of, .. } => of,
        };
    }
}
