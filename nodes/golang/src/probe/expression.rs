//! An expression: what to read, beginning at a variable. `Display` prints it as it would be written.

use std::fmt::{self, Display, Formatter, Write};

use super::problem::Span;

/// A subset of Go's own expressions. Every part knows where it stands in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    pub kind: Kind,
    /// In the text that was parsed.
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A variable of the frame, or the name of a package in front of a dot.
    Name(String),
    /// A variable of a package that is given by its import path: `net/http.DefaultClient`.
    Global { package: String, name: Name },
    /// `x.field`, through pointers and embedded fields. With a package's name for `x`: a variable of that package.
    Select { of: Box<Expression>, field: Name },
    /// `*x`
    Dereference(Box<Expression>),
    /// `x[0]`, `x["key"]`
    Index { of: Box<Expression>, key: Constant },
    /// `x[1:3]`
    Slice { of: Box<Expression>, low: Option<u64>, high: Option<u64> },
    /// `x.(T)`
    Assert { of: Box<Expression>, to: TypeName },
    /// `x.(type)`: what an interface holds, of whatever type.
    Held(Box<Expression>),
    /// `len(x)`
    Call { of: Box<Expression>, builtin: Builtin },
    /// `x.Load()`, of a type of `sync/atomic`
    Load(Box<Expression>),
    /// `x.Deadline()`
    Deadline(Box<Expression>),
    /// `x.Value(T)`
    ContextValue { of: Box<Expression>, key: TypeName },
}

/// A word and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub text: String,
    pub span: Span,
}

/// A named reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Builtin {
    Len,
    Cap,
    /// Nanoseconds from a `time.Time` to the capture.
    Since,
    /// The address of what is given.
    Addr,
    /// Bytes as text.
    String,
    /// A statement of SQL without what may be data.
    Statement,
    /// The descriptor of a network connection.
    Fd,
}

impl Builtin {
    pub const ALL: [Builtin; 7] = [
        Builtin::Len,
        Builtin::Cap,
        Builtin::Since,
        Builtin::Addr,
        Builtin::String,
        Builtin::Statement,
        Builtin::Fd,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Builtin::Len => "len",
            Builtin::Cap => "cap",
            Builtin::Since => "since",
            Builtin::Addr => "addr",
            Builtin::String => "string",
            Builtin::Statement => "statement",
            Builtin::Fd => "fd",
        }
    }
}

/// An index, or the key of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constant {
    /// From that of `int64` to that of `uint64`.
    Integer(i128),
    Text(String),
    Bool(bool),
}

/// A type, as far as values can have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeName {
    pub kind: TypeKind,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeKind {
    Pointer(Box<TypeName>),
    Slice(Box<TypeName>),
    Array(u64, Box<TypeName>),
    Map(Box<TypeName>, Box<TypeName>),
    /// `package`: as written: an import path, the name of a package, or nothing.
    Named {
        package: Option<String>,
        name: String,
        arguments: Vec<TypeName>,
    },
}

impl Display for Expression {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Name(name) => f.write_str(name),
            // In quotes where it could be a variable's name.
            Kind::Global { package, name } if package.contains('/') => {
                write!(f, "{}.{}", Package(package), name.text)
            }
            Kind::Global { package, name } => write!(f, "{}.{}", Quoted(package), name.text),
            Kind::Select { of, field } => write!(f, "{}.{}", Operand(of), field.text),
            Kind::Dereference(of) => write!(f, "*{of}"),
            Kind::Index { of, key } => write!(f, "{}[{key}]", Operand(of)),
            Kind::Slice { of, low, high } => {
                write!(f, "{}[", Operand(of))?;
                if let Some(low) = low {
                    write!(f, "{low}")?;
                }
                f.write_char(':')?;
                if let Some(high) = high {
                    write!(f, "{high}")?;
                }
                f.write_char(']')
            }
            Kind::Assert { of, to } => write!(f, "{}.({to})", Operand(of)),
            Kind::Call { of, builtin } => write!(f, "{}({of})", builtin.name()),
            Kind::Held(of) => write!(f, "{}.(type)", Operand(of)),
            Kind::Load(of) => write!(f, "{}.Load()", Operand(of)),
            Kind::Deadline(of) => write!(f, "{}.Deadline()", Operand(of)),
            Kind::ContextValue { of, key } => write!(f, "{}.Value({key})", Operand(of)),
        }
    }
}

/// In front of a dot or a bracket, which bind closer than a star.
struct Operand<'a>(&'a Expression);

impl Display for Operand<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.kind {
            Kind::Dereference(_) => write!(f, "({})", self.0),
            _ => self.0.fmt(f),
        }
    }
}

/// In quotes where it would not be read as one path.
struct Package<'a>(&'a str);

impl Display for Package<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let begins = |text: &str| text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_of =
            |text: &str, marks: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c));
        let is_plain = match self.0.rsplit_once('/') {
            Some((front, last)) => begins(self.0) && is_of(front, "_-~./+") && is_of(last, "_-~+"),
            None => begins(self.0) && is_of(self.0, "_"),
        };
        if is_plain { f.write_str(self.0) } else { write!(f, "{}", Quoted(self.0)) }
    }
}

/// As Go writes a text.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '\r' => f.write_str("\\r")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

impl Display for Constant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Constant::Integer(number) => write!(f, "{number}"),
            Constant::Text(text) => write!(f, "{}", Quoted(text)),
            Constant::Bool(value) => write!(f, "{value}"),
        }
    }
}

impl Display for TypeName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            TypeKind::Pointer(to) => write!(f, "*{to}"),
            TypeKind::Slice(of) => write!(f, "[]{of}"),
            TypeKind::Array(length, of) => write!(f, "[{length}]{of}"),
            TypeKind::Map(key, element) => write!(f, "map[{key}]{element}"),
            TypeKind::Named { package, name, arguments } => {
                if let Some(package) = package {
                    write!(f, "{}.", Package(package))?;
                }
                f.write_str(name)?;
                for (index, argument) in arguments.iter().enumerate() {
                    f.write_str(if index == 0 { "[" } else { "," })?;
                    argument.fmt(f)?;
                }
                f.write_str(if arguments.is_empty() { "" } else { "]" })
            }
        }
    }
}
