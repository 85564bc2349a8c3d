//! A probe set: what one file, one stored set or one order says is to be captured, and what must not leave the host.
//!
//! [`ProbeSet::parse`] reads TOML and finds every mistake at once, each with its line, its column and a remedy.

use std::collections::HashMap;
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::column::{self, RESERVED};
use super::expression::Expression;
use super::limits::{
    ADDED_COLUMNS_MAX, DERIVED_TABLES_MAX, ENDPOINTS_MAX, EXPRESSIONS_MAX, LINKS_MAX, PARTS_MAX, PROBES_MAX,
    PROGRAMS_MAX, REDACTIONS_MAX, SET_BYTES_MAX, TYPES_MAX, WAYS_MAX,
};
use super::pattern::{Pattern, Subject};
use super::problem::{Problem, Span, nearest};
use super::toml_reader::{Section, Text, TomlReader};

mod derived;
mod environment;
mod part;
mod program_match;
mod program_rule;
mod type_rule;

pub use super::toml_reader::TextPlace;
pub use derived::{AddedColumn, BLOCKED_BY, DerivedTable, Endpoint, Link, LinkEnd, Sql};
pub use environment::{EnvironmentFits, names_a_secret};
pub use part::SetPart;
pub use program_match::{Described, Undecided, first_rule};
pub use program_rule::{ProgramRule, StoredName};
pub use type_rule::{TypeRule, VALUE};

/// Sections of this version.
const SECTIONS: [&str; 9] =
    ["probe", "type", "program", "redact", "column", "endpoint", "table", "link", "set"];
/// Mistakes that are told at once.
const ERRORS_MAX: usize = 50;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeSet {
    pub probes: Vec<Probe>,
    pub types: Vec<TypeRule>,
    pub programs: Vec<ProgramRule>,
    pub redactions: Vec<Redaction>,
    pub columns: Vec<AddedColumn>,
    pub endpoints: Vec<Endpoint>,
    pub tables: Vec<DerivedTable>,
    pub links: Vec<Link>,
    /// Parts of the text that are sets of their own.
    pub parts: Vec<SetPart>,
}

/// `[[probe]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// `[a-z][a-z0-9_]*`, unique in its set.
    pub name: String,
    pub function: Pattern,
    /// Only in programs of such names.
    pub program: Option<Pattern>,
    /// Only in programs that were built with this module.
    pub module: Option<String>,
    /// Only frames that have a variable of this name.
    pub variable: Option<String>,
    /// It is asked of programs that need not have what it captures.
    pub is_quiet: bool,
    /// `None`: arguments and named locals.
    pub capture: Option<Vec<Column>>,
    /// Where its function stands.
    pub place: TextPlace,
    /// Where its name stands.
    pub name_place: TextPlace,
}

/// One captured expression, a column of the probe's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// `[a-z][a-z0-9_]*`, unique in its probe. It may be a word of SQL.
    pub name: String,
    /// The first one that gives a value is taken: releases differ. There is at least one.
    pub ways: Vec<Way>,
}

/// An expression that a column may come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub expression: Expression,
    /// As it was written.
    pub text: String,
    /// Where the expression stands.
    pub place: TextPlace,
}

/// `[[redact]]`: what fits one of them stays on its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redaction {
    pub of_type: Option<Pattern>,
    pub field: Option<Pattern>,
}

/// A mistake in a set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SetError {
    /// From 1 on.
    pub line: usize,
    /// In characters, from 1 on.
    pub column: usize,
    /// What it is about: `probe orders.capture`. Empty where the text is no TOML.
    pub key: String,
    pub message: String,
    /// The line of what it clashes with.
    pub other_line: Option<usize>,
    /// What to do.
    pub help: String,
}

impl fmt::Display for SetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        let other = self.other_line.map_or(String::new(), |line| format!(" in line {line}"));
        write!(f, "{}{other}; {}", self.message, self.help)
    }
}

/// All mistakes of a set, in the order of its text. There is at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct SetErrors(pub Vec<SetError>);

impl fmt::Display for SetErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl Probe {
    /// The name of its table.
    pub fn table(&self) -> String {
        format!("probe_{}", self.name)
    }
}

impl ProbeSet {
    pub fn parse(source: &str) -> Result<ProbeSet, SetErrors> {
        let mut reader = TomlReader::new(source);
        if source.len() > SET_BYTES_MAX {
            let message = format!("a set has at most {SET_BYTES_MAX} bytes, this one has {}", source.len());
            reader.error(0, "", message, "split it into several sets");
            return Err(SetErrors(reader.errors));
        }
        if let Some(at) = too_nested(source) {
            reader.error(at, "", "too many dots in one line", "keys of a set have one part");
            return Err(SetErrors(reader.errors));
        }
        let table = match DeTable::parse(source) {
            Ok(table) => table,
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                let message = format!("not TOML: {}", error.message());
                reader.error(at, "", message, "strings stand in quotes, sections in [[ ]]");
                return Err(SetErrors(reader.errors));
            }
        };
        let set = read_set(&mut reader, table.get_ref());
        let mut errors = reader.errors;
        if errors.is_empty() {
            return Ok(set);
        }
        errors.sort_by_key(|error| (error.line, error.column));
        errors.truncate(ERRORS_MAX);
        Err(SetErrors(errors))
    }
}

/// A key with very many parts makes a table within a table for each: more than a stack can take down again.
fn too_nested(source: &str) -> Option<usize> {
    const DOTS_MAX: usize = 2_048;
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        if line.matches('.').count() > DOTS_MAX {
            return Some(at);
        }
        at += line.len();
    }
    None
}

fn read_set<'a>(reader: &mut TomlReader<'a>, table: &'a DeTable<'a>) -> ProbeSet {
    let mut set = ProbeSet::default();
    for (key, value) in table {
        let (name, at) = (key.get_ref().as_ref(), key.span().start);
        match name {
            "probe" => {
                let sections = reader.sections(name, value);
                bounded(reader, name, &sections, PROBES_MAX);
                set.probes = probes(reader, sections);
            }
            "type" => {
                let sections = reader.sections(name, value);
                bounded(reader, name, &sections, TYPES_MAX);
                set.types = sections.iter().filter_map(|section| type_rule::rule(reader, section)).collect();
            }
            "program" => {
                let sections = reader.sections(name, value);
                bounded(reader, name, &sections, PROGRAMS_MAX);
                set.programs = program_rule::rules(reader, sections);
            }
            "redact" => {
                let sections = reader.sections(name, value);
                bounded(reader, name, &sections, REDACTIONS_MAX);
                set.redactions = sections.iter().filter_map(|section| redaction(reader, section)).collect();
            }
            "column" => {
                let sections = reader.sections(name, value);
                bounded(reader, name, &sections, ADDED_COLUMNS_MAX);
                set.columns =
                    sections.into_iter().filter_map(|section| derived::column(reader, section)).collect();
            }
            "endpoint" => {
                let sections = reader.sections(name, value);
                bounded(reader, name, &sections, ENDPOINTS_MAX);
                set.endpoints =
                    sections.into_iter().filter_map(|section| derived::endpoint(reader, section)).collect();
            }
            "table" => {
                let sections = reader.sections(name, value);
                bounded(reader, name, &sections, DERIVED_TABLES_MAX);
                set.tables =
                    sections.into_iter().filter_map(|section| derived::table(reader, section)).collect();
            }
            "link" => {
                let sections = reader.sections(name, value);
                bounded(reader, name, &sections, LINKS_MAX);
                set.links =
                    sections.into_iter().filter_map(|section| derived::link(reader, section)).collect();
            }
            "set" => {
                let sections = reader.sections(name, value);
                bounded(reader, name, &sections, PARTS_MAX);
                set.parts = sections.iter().filter_map(|section| part::part(reader, section)).collect();
            }
            unknown => {
                let help = match nearest(unknown, SECTIONS) {
                    Some(nearest) => format!("did you mean [[{nearest}]]?"),
                    None => "a set has [[probe]], [[type]], [[program]], [[redact]], [[column]], [[endpoint]], [[table]] and [[link]] sections"
                        .to_owned(),
                };
                let shown: String = unknown.chars().take(40).collect();
                reader.error(at, &shown, "unknown section", help);
            }
        }
    }
    set.probes.extend(set.programs.iter().filter_map(ProgramRule::probe));
    program_rule::clashes(reader, &set);
    type_rule::clashes(reader, &set);
    derived::clashes(reader, &set);
    set
}

fn bounded(reader: &mut TomlReader<'_>, name: &str, sections: &[Section<'_>], most: usize) {
    if let Some(section) = sections.get(most) {
        let message = format!("a set has at most {most} [[{name}]] sections");
        reader.error(section.span.start, name, message, "split it into several sets");
    }
}

fn probes<'a>(reader: &mut TomlReader<'a>, sections: Vec<Section<'a>>) -> Vec<Probe> {
    let mut probes = Vec::new();
    let mut places: HashMap<String, TextPlace> = HashMap::new();
    for section in sections {
        let Some(probe) = probe(reader, section) else { continue };
        if let Some(other) = places.insert(probe.name.clone(), probe.name_place) {
            let message = format!("there is another probe {}", probe.name);
            let help = "each probe makes a table of its own: choose another name";
            reader.clash(probe.name_place, &format!("probe {}.name", probe.name), message, other, help);
        }
        probes.push(probe);
    }
    probes
}

fn probe<'a>(reader: &mut TomlReader<'a>, mut section: Section<'a>) -> Option<Probe> {
    let name = required(reader, &section, "name", r#"name = "orders" makes the table probe_orders"#);
    if let Some(name) = name
        && column::is_name(name.text)
    {
        section.label = format!("probe {}", name.text);
    }
    reader.check_keys(
        &section.label,
        section.table,
        &["name", "function", "program", "module", "variable", "capture"],
    );
    let plain = name.and_then(|name| plain_name(reader, name, &format!("{}.name", section.label)));
    let function = required(reader, &section, "function", r#"function = "shop/orders.(*Service).Place""#);
    let place = function.map(|text| reader.position_of(text));
    let function = function
        .and_then(|text| pattern(reader, text, &format!("{}.function", section.label), Subject::Function));
    let program = reader.optional_text(&section, "program");
    let program = program
        .and_then(|text| pattern(reader, text, &format!("{}.program", section.label), Subject::Program));
    let capture = section.table.get("capture").map(|value| columns(reader, &section, value));
    let name_place = reader.position_of(name?);
    let mut word = |key| reader.optional_text(&section, key).map(|text| text.text.to_owned());
    let (module, variable) = (word("module"), word("variable"));
    Some(Probe {
        name: plain?,
        function: function?,
        program,
        is_quiet: false,
        module,
        variable,
        capture,
        place: place?,
        name_place,
    })
}

fn redaction<'a>(reader: &mut TomlReader<'a>, section: &Section<'a>) -> Option<Redaction> {
    reader.check_keys(&section.label, section.table, &["type", "field"]);
    if !section.table.contains_key("type") && !section.table.contains_key("field") {
        let help = r#"give a type, as in type = "**.Password", or a field, as in field = "**.Token""#;
        reader.error(section.span.start, &section.label, "nothing is said to be redacted", help);
    }
    let of_type = reader.optional_text(section, "type");
    let of_type =
        of_type.map(|text| pattern(reader, text, &format!("{}.type", section.label), Subject::Type));
    let field = reader.optional_text(section, "field");
    let field = field.map(|text| field_pattern(reader, text, &format!("{}.field", section.label)));
    Some(Redaction { of_type: of_type.flatten(), field: field.flatten() })
}

fn required<'a>(
    reader: &mut TomlReader<'a>,
    section: &Section<'a>,
    key: &str,
    help: &str,
) -> Option<Text<'a>> {
    if !section.table.contains_key(key) {
        let label = format!("{}.{key}", section.label);
        reader.error(section.span.start, &label, format!("there is no {key}"), help);
    }
    reader.optional_text(section, key)
}

fn plain_name(reader: &mut TomlReader<'_>, name: Text<'_>, label: &str) -> Option<String> {
    if column::is_name(name.text) {
        return Some(name.text.to_owned());
    }
    let message = "names are of small letters, digits and underscores, begin with a letter and have at most 63 characters";
    let help = match column::suggested_name(name.text) {
        Some(suggested) => format!("{suggested} would do"),
        None => "choose such a name".to_owned(),
    };
    reader.problem(name, label, &Problem::new(Span::default(), message), help);
    None
}

fn pattern(reader: &mut TomlReader<'_>, text: Text<'_>, label: &str, subject: Subject) -> Option<Pattern> {
    match Pattern::parse(text.text, subject) {
        Ok(pattern) => Some(pattern),
        Err(problem) => {
            let help = match subject {
                Subject::Program => "* and ? stand for any text and any character",
                _ => {
                    "* is any text up to the next / or ., ** any text, {a,b} one of several, /.../ a regular expression"
                }
            };
            reader.problem(text, label, &problem, help);
            None
        }
    }
}

/// A field's pattern must be able to fit `package.Type.Field`.
fn field_pattern(reader: &mut TomlReader<'_>, text: Text<'_>, label: &str) -> Option<Pattern> {
    let pattern = pattern(reader, text, label, Subject::Field)?;
    if !text.text.contains('.') && !text.text.contains("**") && !text.text.starts_with('/') {
        let message = format!("{} fits no field: fields go by package.Type.Field", text.text);
        reader.problem(
            text,
            label,
            &Problem::new(Span::default(), message),
            format!("write **.{}", text.text),
        );
        return None;
    }
    Some(pattern)
}

fn columns<'a>(
    reader: &mut TomlReader<'a>,
    section: &Section<'a>,
    value: &'a Spanned<DeValue<'a>>,
) -> Vec<Column> {
    let label = format!("{}.capture", section.label);
    let DeValue::Array(elements) = value.get_ref() else {
        reader.error(value.span().start, &label, "a list is wanted here", r#"write capture = ["req.ID"]"#);
        return Vec::new();
    };
    if elements.is_empty() {
        let help = "leave capture out to get the arguments and locals, or name an expression";
        reader.error(value.span().start, &label, "nothing is captured", help);
    }
    if let Some(element) = elements.get(EXPRESSIONS_MAX) {
        let message = format!("a probe has at most {EXPRESSIONS_MAX} expressions");
        reader.error(element.span().start, &label, message, "split it into several probes");
        return Vec::new();
    }
    let mut columns: Vec<Column> = Vec::new();
    for element in elements.iter() {
        let Some((column, text)) = column(reader, &label, element) else { continue };
        if let Some(other) = columns.iter().find(|other| other.name == column.name) {
            let (this, other) = (text.text, &other.ways[0].text);
            let message = format!("{other} and {this} would both be the column {}", column.name);
            let help = format!("name one of them: {{ as = \"...\", expr = '{this}' }}");
            reader.problem(text, &label, &Problem::new(Span::default(), message), help);
        }
        columns.push(column);
    }
    columns
}

fn column<'a>(
    reader: &mut TomlReader<'a>,
    label: &str,
    element: &'a Spanned<DeValue<'a>>,
) -> Option<(Column, Text<'a>)> {
    let (name, texts) = match element.get_ref() {
        DeValue::Table(table) => {
            reader.check_keys(label, table, &["as", "expr"]);
            let section = Section { label: label.to_owned(), span: element.span(), table };
            let name = reader.optional_text(&section, "as");
            let name = match name {
                Some(name) => Some(plain_name(reader, name, &format!("{label}.as"))?),
                None => None,
            };
            (name, ways_of(reader, &section, label)?)
        }
        _ => (None, vec![reader.text(element, label)?]),
    };
    let (&text, others) = texts.split_first()?;
    let expression = expression(reader, label, text)?;
    let Some(name) = name.or_else(|| column::default_name(&expression)) else {
        let help = format!("name it: {{ as = \"...\", expr = '{}' }}", text.text);
        reader.problem(text, label, &Problem::new(expression.span, "no name for the column"), help);
        return None;
    };
    if RESERVED.contains(&name.as_str()) {
        let message = format!("each probe's table has a column {name} of its own");
        let help = format!("name it: {{ as = \"{name}_\", expr = '{}' }}", text.text);
        reader.problem(text, label, &Problem::new(expression.span, message), help);
        return None;
    }
    let mut ways = vec![way(reader, expression, text)];
    for &text in others {
        let expression = self::expression(reader, label, text)?;
        ways.push(way(reader, expression, text));
    }
    Some((Column { name, ways }, text))
}

/// The expressions of one column: a text, or a list of them.
fn ways_of<'a>(reader: &mut TomlReader<'a>, section: &Section<'a>, label: &str) -> Option<Vec<Text<'a>>> {
    let help = r#"write { as = "user", expr = "req.User.Name" }"#;
    let Some(DeValue::Array(elements)) = section.table.get("expr").map(Spanned::get_ref) else {
        return required(reader, section, "expr", help).map(|text| vec![text]);
    };
    if elements.is_empty() || elements.len() > WAYS_MAX {
        let message = format!("a list of 1 to {WAYS_MAX} expressions is wanted here");
        reader.error(section.span.start, label, message, help);
        return None;
    }
    elements.iter().map(|element| reader.text(element, label)).collect()
}

fn expression(reader: &mut TomlReader<'_>, label: &str, text: Text<'_>) -> Option<Expression> {
    match Expression::parse(text.text) {
        Ok(expression) => Some(expression),
        Err(problem) => {
            reader.problem(text, label, &problem, format!("the expression is {}", text.text));
            None
        }
    }
}

fn way(reader: &TomlReader<'_>, expression: Expression, text: Text<'_>) -> Way {
    Way { expression, text: text.text.to_owned(), place: reader.position_of(text) }
}

#[cfg(test)]
mod tests;
