//! Checks an expression against a function's variables and a build's types, and makes a [`Plan`] of it.
//!
//! What is wrong is said before anything is captured: where it stands, what is there instead, and what was perhaps meant.

use std::sync::Arc;

use super::expression::{Builtin, Constant, Expression, Kind, Name, TypeName};
use super::plan::{Last, Plan, Root, Step};
use super::problem::{Problem, Span, listed, nearest};
use super::scope::Scope;
use super::select::{Selected, select};
use super::type_names::TypeNames;
use crate::gap::Gap;
use crate::package;
use crate::types::{Shape, Type, TypeRef, Types};
use crate::value::{Key, atomic_value};

/// The type of a part of an expression; `None`: only the value tells.
type Known = Option<TypeRef>;

pub fn check(expression: &Expression, scope: &Scope<'_>, types: &dyn Types) -> Result<Plan, Problem> {
    let package = package::of_function(scope.function);
    let names = TypeNames { types, program: scope.program, package: &package };
    let mut checker = Checker { scope, types, names, root: None, steps: Vec::new() };
    let (last, type_name) = checker.outermost(expression)?;
    let root =
        checker.root.ok_or_else(|| Problem::new(expression.span, "an expression begins with a variable"))?;
    Ok(Plan { root, steps: checker.steps, last, type_name })
}

struct Checker<'a> {
    scope: &'a Scope<'a>,
    types: &'a dyn Types,
    names: TypeNames<'a>,
    root: Option<Root>,
    steps: Vec<Step>,
}

impl Checker<'_> {
    fn get(&self, of: TypeRef, span: Span) -> Result<Arc<Type>, Problem> {
        self.types.get(of).map_err(|gap| of_gap(span, &gap))
    }

    fn outermost(&mut self, expression: &Expression) -> Result<(Last, Option<String>), Problem> {
        let Kind::Call { of, builtin } = &expression.kind else {
            let known = self.walk(expression)?;
            let name = known.map(|of| self.get(of, expression.span)).transpose()?.map(|ty| ty.name.clone());
            return Ok((Last::Decode(None), name));
        };
        let known = self.walk(of)?;
        let named = |last, name: &str| Ok((last, Some(name.to_owned())));
        match builtin {
            Builtin::Len => {
                self.sequence(known, of, "len", |shape| {
                    matches!(
                        shape,
                        Shape::String
                            | Shape::Slice(_)
                            | Shape::Array { .. }
                            | Shape::Map { .. }
                            | Shape::Channel(_)
                    )
                })?;
                named(Last::Length, "int")
            }
            Builtin::Cap => {
                self.sequence(known, of, "cap", |shape| {
                    matches!(shape, Shape::Slice(_) | Shape::Array { .. } | Shape::Channel(_))
                })?;
                named(Last::Capacity, "int")
            }
            Builtin::Since => {
                self.since(known, of)?;
                named(Last::Since, "time.Duration")
            }
            Builtin::Addr => named(Last::Address, "uintptr"),
            Builtin::String => {
                self.text(known, of)?;
                named(Last::Text, "string")
            }
            Builtin::Statement => {
                self.text(known, of)?;
                named(Last::Statement, "string")
            }
            Builtin::Fd => {
                self.connection(known, of)?;
                named(Last::Descriptor, "int")
            }
        }
    }

    /// As deep as the expression is, which its parser bounds.
    fn walk(&mut self, expression: &Expression) -> Result<Known, Problem> {
        match &expression.kind {
            Kind::Name(name) => self.variable(name, expression.span),
            Kind::Global { package, name } => {
                self.global(std::slice::from_ref(package), name, expression.span)
            }
            Kind::Select { of, field } => {
                if let Kind::Name(package) = &of.kind
                    && !self.is_variable(package, of.span)?
                {
                    let paths = self.scope.program.packages(package);
                    if !paths.is_empty() {
                        let global = self.global(&paths, field, expression.span);
                        return global.map_err(|problem| self.neither(package, of.span, problem));
                    }
                }
                let known = self.walk(of)?;
                self.select(known, of, field)
            }
            Kind::Dereference(of) => {
                let known = self.walk(of)?;
                self.target(known, of)
            }
            Kind::Index { of, key } => {
                let known = self.walk(of)?;
                self.index(known, of, key)
            }
            Kind::Slice { of, low, high } => {
                let known = self.walk(of)?;
                self.slice(known, of, *low, *high)
            }
            Kind::Assert { of, to } => {
                let known = self.walk(of)?;
                self.assert(known, of, to)
            }
            Kind::Call { builtin, .. } => {
                let name = builtin.name();
                let message = format!(
                    "{name}(...) is the outermost part of an expression: nothing is read of a result"
                );
                Err(Problem::new(expression.span, message))
            }
            Kind::Held(of) => {
                let known = self.walk(of)?;
                if let Some(base) = known
                    && let ty = self.get(base, of.span)?
                    && !matches!(ty.shape, Shape::Interface { .. })
                {
                    let message = format!("{of} is {}, not an interface", article(&ty.name));
                    return Err(Problem::new(of.span, message));
                }
                self.steps.push(Step::Held);
                Ok(None)
            }
            Kind::Load(of) => {
                let known = self.walk(of)?;
                let held = match known {
                    None => None,
                    Some(base) => {
                        let ty = self.get(base, of.span)?;
                        let held = atomic_value(self.types, &ty).map_err(|gap| of_gap(of.span, &gap))?;
                        let message = || format!("{of} is {}, not of sync/atomic", article(&ty.name));
                        Some(held.ok_or_else(|| Problem::new(of.span, message()))?.1)
                    }
                };
                self.steps.push(Step::Load);
                Ok(held)
            }
            Kind::Deadline(of) => {
                let known = self.walk(of)?;
                self.context(known, of)?;
                self.steps.push(Step::Deadline);
                self.types.by_name("time.Time").map_err(|gap| of_gap(expression.span, &gap))
            }
            Kind::ContextValue { of, key } => {
                let known = self.walk(of)?;
                self.context(known, of)?;
                let (_, name) = self.names.resolve(key)?;
                self.steps.push(Step::ContextValue(name));
                Ok(None)
            }
        }
    }

    /// Those that the function declares elsewhere are variables, too: at some of its program counters they are there.
    fn declared(&self, span: Span) -> Result<Arc<[(String, TypeRef)]>, Problem> {
        self.scope.program.declared(self.scope.function).map_err(|gap| of_gap(span, &gap))
    }

    fn is_variable(&self, name: &str, span: Span) -> Result<bool, Problem> {
        if self.scope.variables.iter().any(|variable| variable.name == name) {
            return Ok(true);
        }
        Ok(self.declared(span)?.iter().any(|(declared, _)| declared == name))
    }

    fn variable(&mut self, name: &str, span: Span) -> Result<Known, Problem> {
        if let Some(variable) = self.scope.variables.iter().find(|variable| variable.name == name) {
            self.root = Some(Root::Variable { name: name.to_owned(), of: variable.of });
            return Ok(Some(variable.of));
        }
        let declared = self.declared(span)?;
        if let Some((_, of)) = declared.iter().find(|(declared, _)| declared == name) {
            self.root = Some(Root::Variable { name: name.to_owned(), of: *of });
            return Ok(Some(*of));
        }
        // The compiler drops variables: one of this name may be in front of the package's, and nothing tells.
        let whole = format!("{}.{name}", self.names.package);
        if self.scope.program.package_variable(&whole).map_err(|gap| of_gap(span, &gap))?.is_some() {
            let message = format!("there is no variable {name} in {}", self.scope.function);
            return Err(Problem::new(span, message).with_nearest(Some(whole)));
        }
        let names = self.names_of_variables(span)?;
        let message = format!(
            "there is no variable {name} in {}; its variables: {}",
            self.scope.function,
            listed(names.iter().map(String::as_str))
        );
        Err(Problem::new(span, message).with_nearest(nearest(name, names.iter().map(String::as_str))))
    }

    fn names_of_variables(&self, span: Span) -> Result<Vec<String>, Problem> {
        let declared = self.declared(span)?;
        let here = self.scope.variables.iter().map(|variable| &variable.name);
        let mut names: Vec<String> = here.chain(declared.iter().map(|(name, _)| name)).cloned().collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Neither a variable nor a package that has such a variable: which of them was meant is not known.
    fn neither(&self, name: &str, span: Span, problem: Problem) -> Problem {
        let names = self.names_of_variables(span).unwrap_or_default();
        let message =
            format!("{}; nor is there a variable {name} in {}", problem.message, self.scope.function);
        Problem::new(problem.span, message).with_nearest(nearest(name, names.iter().map(String::as_str)))
    }

    /// A variable of the one of these packages that has it.
    fn global(&mut self, paths: &[String], name: &Name, span: Span) -> Result<Known, Problem> {
        let mut found = Vec::new();
        for path in paths {
            let whole = format!("{path}.{}", name.text);
            let variable = self.scope.program.package_variable(&whole).map_err(|gap| of_gap(span, &gap))?;
            found.extend(variable.map(|variable| (whole, variable)));
        }
        match &found[..] {
            [(_, variable)] => {
                self.root = Some(Root::Global { address: variable.address, of: variable.of });
                Ok(Some(variable.of))
            }
            [] => {
                let packages = listed(paths.iter().map(String::as_str));
                let message = format!(
                    "there is no variable {} in {packages}, or the linker left it out because nothing uses it",
                    name.text
                );
                Err(Problem::new(name.span, message))
            }
            several => {
                let several = listed(several.iter().map(|(whole, _)| whole.as_str()));
                Err(Problem::new(span, format!("it is one of {several}; write the whole path")))
            }
        }
    }

    fn select(&mut self, known: Known, of: &Expression, field: &Name) -> Result<Known, Problem> {
        let Some(base) = known else {
            self.steps.push(Step::Select(field.text.clone()));
            return Ok(None);
        };
        match select(self.types, base, &field.text).map_err(|gap| of_gap(field.span, &gap))? {
            Selected::Field { steps, of } => {
                self.steps.extend(steps);
                Ok(Some(of))
            }
            Selected::Ambiguous(paths) => {
                let message = format!(
                    "{of} has several fields {}: in {}; name the way to one of them",
                    field.text,
                    listed(paths.iter().map(String::as_str))
                );
                Err(Problem::new(field.span, message))
            }
            Selected::Missing(names) => {
                let ty = self.get(base, of.span)?;
                let message = format!(
                    "{of} is {}, and has no field {}; its fields: {}",
                    article(&ty.name),
                    field.text,
                    listed(names.iter().map(String::as_str))
                );
                Err(Problem::new(field.span, message)
                    .with_nearest(nearest(&field.text, names.iter().map(String::as_str))))
            }
            Selected::NoStruct if matches!(self.get(base, of.span)?.shape, Shape::Function) => {
                self.steps.push(Step::Captured(field.text.clone()));
                Ok(None)
            }
            Selected::NoStruct => Err(self.no_struct(&*self.get(base, of.span)?, of, field)),
        }
    }

    fn no_struct(&self, ty: &Type, of: &Expression, field: &Name) -> Problem {
        let is = format!("{of} is {}", article(&ty.name));
        let message = match ty.shape {
            Shape::Interface { .. } => {
                format!("{is}, an interface: say which type it holds, as in {of}.(*T).{}", field.text)
            }
            Shape::Pointer(to)
                if matches!(self.types.get(to).map(|ty| ty.shape.clone()), Ok(Shape::Pointer(_))) =>
            {
                format!("{is}, a pointer to a pointer: write (*{of}).{}", field.text)
            }
            Shape::Slice(_) | Shape::Array { .. } => {
                format!("{is}, and has no field {}; its elements are {of}[0] and so on", field.text)
            }
            Shape::Map { .. } => {
                format!("{is}, and has no field {}; its elements are found by key: {of}[\"{0}\"]", field.text)
            }
            _ => format!("{is}, and has no field {}", field.text),
        };
        Problem::new(field.span, message)
    }

    fn target(&mut self, known: Known, of: &Expression) -> Result<Known, Problem> {
        let to = match known {
            None => None,
            Some(base) => {
                let ty = self.get(base, of.span)?;
                match ty.shape {
                    Shape::Pointer(to) => Some(to),
                    _ => {
                        let message = format!("{of} is {}, not a pointer", article(&ty.name));
                        return Err(Problem::new(of.span, message));
                    }
                }
            }
        };
        self.steps.push(Step::Target);
        Ok(to)
    }

    /// Through a pointer to an array; refuses what the operation is not for.
    fn sequence(
        &mut self,
        known: Known,
        of: &Expression,
        operation: &str,
        is_fit: impl Fn(&Shape) -> bool,
    ) -> Result<Option<(TypeRef, Arc<Type>)>, Problem> {
        let Some(base) = known else { return Ok(None) };
        let ty = self.get(base, of.span)?;
        if is_fit(&ty.shape) {
            return Ok(Some((base, ty)));
        }
        if let Shape::Pointer(to) = ty.shape {
            let target = self.get(to, of.span)?;
            if matches!(target.shape, Shape::Array { .. }) {
                self.steps.push(Step::Target);
                return Ok(Some((to, target)));
            }
        }
        let message = match operation {
            "len" | "cap" => format!("{of} is {}, which has no {operation}", article(&ty.name)),
            _ => format!("{of} is {}, which cannot be {operation}", article(&ty.name)),
        };
        Err(Problem::new(of.span, message))
    }

    fn index(&mut self, known: Known, of: &Expression, key: &Constant) -> Result<Known, Problem> {
        let is_fit = |shape: &Shape| {
            matches!(shape, Shape::String | Shape::Slice(_) | Shape::Array { .. } | Shape::Map { .. })
        };
        let base = self.sequence(known, of, "indexed", is_fit)?;
        let wanted = match key {
            Constant::Integer(number) => Key::Integer(*number),
            Constant::Text(text) => Key::Text(text.clone()),
            Constant::Bool(value) => Key::Bool(*value),
        };
        let Some((_, ty)) = base else {
            self.steps.push(Step::Index(wanted));
            return Ok(None);
        };
        let element = match &ty.shape {
            Shape::Map { key: key_type, element } => {
                self.map_key(*key_type, &ty, of, key)?;
                Some(*element)
            }
            shape => {
                let Key::Integer(index) = wanted else {
                    let message = format!("{of} is {}: its index is a number, not {key}", article(&ty.name));
                    return Err(Problem::new(of.span, message));
                };
                let length = if let Shape::Array { length, .. } = shape { *length } else { i64::MAX as u64 };
                if index < 0 || index >= i128::from(length) {
                    let message =
                        format!("the index {index} is out of range for {of}, which is {}", article(&ty.name));
                    return Err(Problem::new(of.span, message));
                }
                match shape {
                    Shape::Slice(element) | Shape::Array { element, .. } => Some(*element),
                    _ => self.types.by_name("uint8").map_err(|gap| of_gap(of.span, &gap))?,
                }
            }
        };
        self.steps.push(Step::Index(wanted));
        Ok(element)
    }

    fn map_key(&self, key_type: TypeRef, map: &Type, of: &Expression, key: &Constant) -> Result<(), Problem> {
        let ty = self.get(key_type, of.span)?;
        let fits = match (&ty.shape, key) {
            (Shape::String, Constant::Text(_))
            | (Shape::Bool, Constant::Bool(_))
            | (Shape::Float, Constant::Integer(_))
            | (Shape::Interface { .. }, _) => true,
            (Shape::Int, Constant::Integer(number)) => {
                let bits = 8 * ty.size.clamp(1, 8) as u32;
                *number >= -(1i128 << (bits - 1)) && *number < 1i128 << (bits - 1)
            }
            (Shape::Uint, Constant::Integer(number)) => {
                *number >= 0 && *number < 1i128 << (8 * ty.size.clamp(1, 8) as u32)
            }
            _ => false,
        };
        if fits {
            return Ok(());
        }
        let message = match ty.shape {
            Shape::String | Shape::Bool | Shape::Float | Shape::Int | Shape::Uint => {
                format!("{of} is {}: {key} is no key of type {}", article(&map.name), ty.name)
            }
            _ => format!(
                "{of} is {}: only keys that are texts, numbers or bools can be named, not those of type {}",
                article(&map.name),
                ty.name
            ),
        };
        Err(Problem::new(of.span, message))
    }

    fn slice(
        &mut self,
        known: Known,
        of: &Expression,
        low: Option<u64>,
        high: Option<u64>,
    ) -> Result<Known, Problem> {
        let is_fit = |shape: &Shape| matches!(shape, Shape::String | Shape::Slice(_) | Shape::Array { .. });
        let base = self.sequence(known, of, "sliced", is_fit)?;
        let bound = |bound: Option<u64>| {
            bound
                .map(|bound| {
                    i64::try_from(bound).map_err(|_| Problem::new(of.span, "a bound that nothing reaches"))
                })
                .transpose()
        };
        self.steps.push(Step::Slice(bound(low)?, bound(high)?));
        let Some((base, ty)) = base else { return Ok(None) };
        match &ty.shape {
            Shape::Array { element, length } => {
                if let Some(bound) = low.into_iter().chain(high).find(|bound| bound > length) {
                    let message = format!("{bound} is out of range for {of}, which is {}", article(&ty.name));
                    return Err(Problem::new(of.span, message));
                }
                let element = self.get(*element, of.span)?;
                self.types.by_name(&format!("[]{}", element.name)).map_err(|gap| of_gap(of.span, &gap))
            }
            _ => Ok(Some(base)),
        }
    }

    fn assert(&mut self, known: Known, of: &Expression, to: &TypeName) -> Result<Known, Problem> {
        if let Some(base) = known {
            let ty = self.get(base, of.span)?;
            if !matches!(ty.shape, Shape::Interface { .. }) {
                let message =
                    format!("{of} is {}, not an interface: its type needs no assertion", article(&ty.name));
                return Err(Problem::new(to.span, message));
            }
        }
        let (found, name) = self.names.resolve(to)?;
        if matches!(self.get(found, to.span)?.shape, Shape::Interface { .. }) {
            let message = format!("{name} is an interface, too; name the type that is held");
            return Err(Problem::new(to.span, message));
        }
        self.steps.push(Step::Assert { to: found, name });
        Ok(Some(found))
    }

    fn context(&self, known: Known, of: &Expression) -> Result<(), Problem> {
        let Some(base) = known else { return Ok(()) };
        let ty = self.get(base, of.span)?;
        if matches!(ty.shape, Shape::Interface { has_methods: true }) {
            return Ok(());
        }
        Err(Problem::new(of.span, format!("{of} is {}, not a context.Context", article(&ty.name))))
    }

    fn since(&mut self, known: Known, of: &Expression) -> Result<(), Problem> {
        let Some(base) = known else { return Ok(()) };
        let ty = self.get(base, of.span)?;
        if ty.name == "time.Time" {
            return Ok(());
        }
        if let Shape::Pointer(to) = ty.shape
            && self.get(to, of.span)?.name == "time.Time"
        {
            self.steps.push(Step::Target);
            return Ok(());
        }
        Err(Problem::new(of.span, format!("{of} is {}, not a time.Time", article(&ty.name))))
    }

    fn connection(&self, known: Known, of: &Expression) -> Result<(), Problem> {
        let Some(base) = known else { return Ok(()) };
        let ty = self.get(base, of.span)?;
        if matches!(ty.shape, Shape::Interface { .. } | Shape::Pointer(_) | Shape::Struct(_)) {
            return Ok(());
        }
        Err(Problem::new(of.span, format!("{of} is {}, not a net.Conn or what wraps one", article(&ty.name))))
    }

    fn text(&self, known: Known, of: &Expression) -> Result<(), Problem> {
        let Some(base) = known else { return Ok(()) };
        let ty = self.get(base, of.span)?;
        let is_byte = |element: TypeRef| {
            Ok::<_, Problem>({
                let element = self.get(element, of.span)?;
                element.shape == Shape::Uint && element.size == 1
            })
        };
        let fits = match ty.shape {
            Shape::String => true,
            Shape::Slice(element) | Shape::Array { element, .. } => is_byte(element)?,
            _ => false,
        };
        if fits {
            return Ok(());
        }
        Err(Problem::new(of.span, format!("{of} is {}, not bytes", article(&ty.name))))
    }
}

fn of_gap(span: Span, gap: &Gap) -> Problem {
    Problem::new(span, gap.to_string())
}

/// `an int`, `a string`, `a *shop.Order`.
fn article(name: &str) -> String {
    let first = name.trim_start_matches(['*', '[', ']']).chars().next().unwrap_or(' ');
    let is_vowel = name.starts_with(first) && matches!(first, 'a' | 'e' | 'i' | 'o');
    format!("{} {name}", if is_vowel { "an" } else { "a" })
}

#[cfg(test)]
mod tests;
