//! `[[type]]`: how a type is captured wherever it is met, also behind a pointer or an interface.

use toml::de::DeValue;

use super::super::limits::{EXPRESSION_PARTS_MAX, TYPE_FIELDS_MAX};
use super::super::pattern::{Pattern, Subject};
use super::super::problem::{Problem, Span};
use super::super::toml_reader::{Section, TextPlace, TomlReader};
use super::{ProbeSet, pattern, required};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRule {
    pub of: Pattern,
    /// Fields of it: `Customer.Name`.
    pub fields: Vec<Vec<String>>,
    /// Where its pattern stands.
    pub place: TextPlace,
}

const HELP: &str = r#"capture = ["ID", "Customer.Name"]"#;

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
    let mut fields = Vec::with_capacity(elements.len());
    for element in elements.iter() {
        let text = reader.text(element, &label)?;
        let path: Vec<String> = text.text.split('.').map(str::to_owned).collect();
        let is_name = |name: &String| {
            name.starts_with(|c: char| c.is_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        };
        if path.len() > EXPRESSION_PARTS_MAX || !path.iter().all(is_name) {
            let problem = Problem::new(Span::default(), format!("{:?} is no field of a struct", text.text));
            reader.problem(text, &label, &problem, HELP);
            return None;
        }
        fields.push(path);
    }
    Some(TypeRule { of: of?, fields, place: place? })
}

/// Two rules for the very same types. Of rules whose patterns only overlap the first one counts.
pub(super) fn clashes(reader: &mut TomlReader<'_>, set: &ProbeSet) {
    for (index, rule) in set.types.iter().enumerate() {
        if let Some(other) = set.types[..index].iter().find(|other| other.of == rule.of) {
            let message = format!("another rule is for the types {}", rule.of.text());
            reader.clash(
                rule.place,
                &format!("type {}.match", index + 1),
                message,
                other.place,
                "make one of the two",
            );
        }
    }
}
