//! Types as an expression names them, looked up in a program.
//!
//! A name without a package is one of Go's own or of the function's package; `http.Request` is looked for in every package
//! that goes by the name `http`; a whole path means itself.

use super::expression::{TypeKind, TypeName};
use super::problem::{Problem, listed, nearest};
use super::scope::{Program, spellings};
use crate::gap::Gap;
use crate::types::{TypeRef, Types};

/// Go's predeclared types, and what debug information calls them.
const PREDECLARED: [(&str, &str); 22] = [
    ("bool", "bool"),
    ("string", "string"),
    ("int", "int"),
    ("int8", "int8"),
    ("int16", "int16"),
    ("int32", "int32"),
    ("int64", "int64"),
    ("uint", "uint"),
    ("uint8", "uint8"),
    ("uint16", "uint16"),
    ("uint32", "uint32"),
    ("uint64", "uint64"),
    ("uintptr", "uintptr"),
    ("byte", "uint8"),
    ("rune", "int32"),
    ("float32", "float32"),
    ("float64", "float64"),
    ("complex64", "complex64"),
    ("complex128", "complex128"),
    ("error", "error"),
    ("any", "interface {}"),
    ("comparable", "comparable"),
];

pub(super) struct TypeNames<'a> {
    pub(super) types: &'a dyn Types,
    pub(super) program: &'a dyn Program,
    /// The import path of the function's package.
    pub(super) package: &'a str,
}

impl TypeNames<'_> {
    /// The type and its whole name.
    pub(super) fn resolve(&self, of: &TypeName) -> Result<(TypeRef, String), Problem> {
        let name = self.whole_name(of)?;
        match self.find(&name, of)? {
            Some((found, name)) => Ok((found, name)),
            None => Err(self.unknown(of, &name)),
        }
    }

    fn find(&self, name: &str, of: &TypeName) -> Result<Option<(TypeRef, String)>, Problem> {
        for name in spellings(name) {
            let found = self.types.by_name(&name).map_err(|gap| of_gap(of, &gap))?;
            if let Some(found) = found {
                return Ok(Some((found, name)));
            }
        }
        Ok(None)
    }

    fn unknown(&self, of: &TypeName, name: &str) -> Problem {
        let message = format!("there is no type {name} in this program, or none that anything could hold");
        Problem::new(of.span, message).with_nearest(self.types.similar(name).into_iter().next())
    }

    /// The name with whole paths. As deep as the type is, which its parser bounds.
    fn whole_name(&self, of: &TypeName) -> Result<String, Problem> {
        match &of.kind {
            TypeKind::Pointer(to) => Ok(format!("*{}", self.whole_name(to)?)),
            TypeKind::Slice(element) => Ok(format!("[]{}", self.whole_name(element)?)),
            TypeKind::Array(length, element) => Ok(format!("[{length}]{}", self.whole_name(element)?)),
            TypeKind::Map(key, element) => {
                Ok(format!("map[{}]{}", self.whole_name(key)?, self.whole_name(element)?))
            }
            TypeKind::Named { package, name, arguments } => {
                let arguments =
                    arguments.iter().map(|a| self.whole_name(a)).collect::<Result<Vec<_>, _>>()?;
                let arguments =
                    if arguments.is_empty() { String::new() } else { format!("[{}]", arguments.join(",")) };
                match package {
                    None => Ok(self.unqualified(&format!("{name}{arguments}"))),
                    Some(path) if path.contains('/') => Ok(format!("{path}.{name}{arguments}")),
                    Some(package) => self.qualified(of, package, &format!("{name}{arguments}")),
                }
            }
        }
    }

    fn unqualified(&self, name: &str) -> String {
        match PREDECLARED.iter().find(|(predeclared, _)| *predeclared == name) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("{}.{name}", self.package),
        }
    }

    /// In the one package of this name that has such a type.
    fn qualified(&self, of: &TypeName, package: &str, name: &str) -> Result<String, Problem> {
        if (package, name) == ("unsafe", "Pointer") {
            return Ok("unsafe.Pointer".to_owned());
        }
        let paths = self.program.packages(package);
        let mut whole = Vec::new();
        for path in &paths {
            let candidate = format!("{path}.{name}");
            // A pointer to it may be all that there is.
            let pointer = format!("*{candidate}");
            for spelled in [candidate.clone(), pointer] {
                if self.find(&spelled, of)?.is_some() {
                    whole.push(candidate);
                    break;
                }
            }
        }
        match &whole[..] {
            [only] => Ok(only.clone()),
            // A package of types alone has no functions: its path is its name, if it has no folders.
            [] if self.find(&format!("{package}.{name}"), of)?.is_some() => Ok(format!("{package}.{name}")),
            [] if paths.is_empty() => {
                let names = self.program.package_names();
                let message = format!(
                    "there is no package {package} in this program that has functions; give the whole path"
                );
                Err(Problem::new(of.span, message)
                    .with_nearest(nearest(package, names.iter().map(String::as_str))))
            }
            [] => Err(self.unknown(of, &format!("{}.{name}", paths[0]))),
            _ => {
                let message = format!(
                    "{package}.{name} is one of {}; write the whole path",
                    listed(whole.iter().map(String::as_str))
                );
                Err(Problem::new(of.span, message))
            }
        }
    }
}

fn of_gap(of: &TypeName, gap: &Gap) -> Problem {
    Problem::new(of.span, gap.to_string())
}
