//! `[[type]]`: how a type is captured wherever it is met, also behind a pointer or an interface.

use toml::de::DeValue;

use super::super::expression::{Constant, Expression, Kind, Name};
use super::super::limits::TYPE_FIELDS_MAX;
use super::super::pattern::{Pattern, Subject};
use super::super::problem::{Problem, Span};
use super::super::toml_reader::{Section, Text, TextPlace, TomlReader};
use super::{ProbeSet, Way, pattern, required, way};

/// What a value of the type is called in the expressions of its parts.
pub const VALUE: &str = "it";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRule {
    pub of: Pattern,
    /// Fields of it, promoted ones too, and parts of them: `Customer.Name`, `Items[0].SKU`. Their expressions begin at
    /// [`VALUE`], their texts do not.
    pub parts: Vec<Way>,
    /// Where its pattern stands.
    pub place: TextPlace,
}

const HELP: &str = r#"capture = ["ID", "Customer.Name", "Items[0]"]"#;

pub(super) fn rule<'a>(reader: &mut TomlReader<'a>, section: &Section<'a>) -> Option<TypeRule> {
    reader.check_keys(&section.label, section.table, &["match", "capture"]);
    let text = required(reader, section, "match", r#"match = "shop/model.*Order""#);
    let place = text.map(|text| reader.position_of(text));
    let of = text.and_then(|text| pattern(reader, text, &format!("{}.match", section.label), Subject::Type));
    let label = format!("{}.capture", section.label);
    let elements = match section.table.get("capture").map(|value| (value.span().start, value.get_ref())) {
        Some((_, DeValue::Array(elements))) if (1..=TYPE_FIELDS_MAX).contains(&elements.len()) => elements,
        at => {
            let at = at.map_or(section.span.start, |(at, _)| at);
            reader.error(at, &label, format!("a list of 1 to {TYPE_FIELDS_MAX} fields is wanted here"), HELP);
            return None;
        }
    };
    let mut parts: Vec<Way> = Vec::with_capacity(elements.len());
    for element in elements.iter() {
        let text = reader.text(element, &label)?;
        let part = part(reader, text, &label)?;
        if parts.iter().any(|other| other.text == part.text) {
            let problem = Problem::new(Span::default(), format!("{} stands here twice", part.text));
            reader.problem(text, &label, &problem, "leave one of them out");
            return None;
        }
        parts.push(part);
    }
    Some(TypeRule { of: of?, parts, place: place? })
}

/// A field, or what is reached from one by dots, indexes and stars.
fn part(reader: &mut TomlReader<'_>, text: Text<'_>, label: &str) -> Option<Way> {
    let parsed =
        Expression::parse(text.text).and_then(|mut expression| match begin_at_value(&mut expression) {
            true => Ok(expression),
            false => {
                let message = format!("{:?} is no field of a struct, and no part of one", text.text);
                Err(Problem::new(expression.span, message))
            }
        });
    match parsed {
        Ok(expression) => Some(way(reader, expression, text)),
        Err(problem) => {
            reader.problem(text, label, &problem, HELP);
            None
        }
    }
}

/// What an expression begins with becomes a field. `false`: it is not made of fields.
fn begin_at_value(expression: &mut Expression) -> bool {
    match &mut expression.kind {
        Kind::Name(name) => {
            let (text, span) = (std::mem::take(name), expression.span);
            let of = Box::new(Expression { kind: Kind::Name(VALUE.to_owned()), span });
            expression.kind = Kind::Select { of, field: Name { text, span } };
            true
        }
        Kind::Index { of, key } => {
            !matches!(key, Constant::Integer(index) if *index < 0) && begin_at_value(of)
        }
        Kind::Select { of, .. } | Kind::Dereference(of) | Kind::Held(of) | Kind::Load(of) => {
            begin_at_value(of)
        }
        Kind::Global { .. }
        | Kind::Slice { .. }
        | Kind::Assert { .. }
        | Kind::Call { .. }
        | Kind::Deadline(_)
        | Kind::ContextValue { .. } => false,
    }
}

/// Two rules for the very same types. Of rules whose patterns only overlap the first one counts.
pub(super) fn clashes(reader: &mut TomlReader<'_>, set: &ProbeSet) {
    for (index, rule) in set.types.iter().enumerate() {
        if let Some(other) = set.types[..index].iter().find(|other| other.of == rule.of) {
            let message = format!("another rule is for the types {}", rule.of.text());
            let label = format!("type {}.match", index + 1);
            reader.clash(rule.place, &label, message, other.place, "make one of the two");
        }
    }
}
