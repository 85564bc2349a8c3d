//! Reads TOML tables by known keys, and collects what is wrong with them, each with its place in the text.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Span, listed, nearest};
use super::set::SetError;

/// A section and a path to it, for messages: `probe orders`.
pub(super) struct Section<'a> {
    pub(super) label: String,
    pub(super) span: Range<usize>,
    pub(super) table: &'a DeTable<'a>,
}

/// A string of the text.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    /// Where its content begins in the source.
    start: usize,
    /// It stands in the source letter by letter, without escapes.
    is_verbatim: bool,
}

pub(super) struct TomlReader<'a> {
    source: &'a str,
    pub(super) errors: Vec<SetError>,
}

impl<'a> TomlReader<'a> {
    pub(super) fn new(source: &'a str) -> Self {
        TomlReader { source, errors: Vec::new() }
    }

    pub(super) fn error(
        &mut self,
        at: usize,
        label: &str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let (line, column) = position(self.source, at);
        self.errors.push(SetError {
            line,
            column,
            key: label.to_owned(),
            message: message.into(),
            other_line: None,
            help: help.into(),
        });
    }

    /// Two sections that claim the same.
    pub(super) fn clash(
        &mut self,
        at: TextPlace,
        label: &str,
        message: String,
        other: TextPlace,
        help: &str,
    ) {
        self.errors.push(SetError {
            line: at.line,
            column: at.column,
            key: label.to_owned(),
            message,
            other_line: Some(other.line),
            help: help.to_owned(),
        });
    }

    /// A mistake within a string.
    pub(super) fn problem(&mut self, of: Text<'_>, label: &str, problem: &Problem, help: impl Into<String>) {
        self.error(of.offset(problem.span.start), label, problem.to_string(), help);
    }

    pub(super) fn position_of(&self, of: Text<'_>) -> TextPlace {
        let (line, column) = position(self.source, of.start);
        TextPlace { line, column, is_verbatim: of.is_verbatim }
    }

    pub(super) fn place_at(&self, at: usize) -> TextPlace {
        let (line, column) = position(self.source, at);
        TextPlace { line, column, is_verbatim: false }
    }

    /// The tables of `[[name]]`.
    pub(super) fn sections(&mut self, name: &str, value: &'a Spanned<DeValue<'a>>) -> Vec<Section<'a>> {
        let mut sections = Vec::new();
        let elements = match value.get_ref() {
            DeValue::Array(elements) => &elements[..],
            _ => &[],
        };
        if elements.is_empty() {
            self.error(
                value.span().start,
                name,
                format!("{name} is a list of sections"),
                format!("write [[{name}]]"),
            );
        }
        for (index, element) in elements.iter().enumerate() {
            let label = format!("{name} {}", index + 1);
            match element.get_ref() {
                DeValue::Table(table) => sections.push(Section { label, span: element.span(), table }),
                _ => self.error(element.span().start, &label, "not a section", format!("write [[{name}]]")),
            }
        }
        sections
    }

    /// Refuses keys that are none of `known`.
    pub(super) fn check_keys(&mut self, label: &str, table: &DeTable<'_>, known: &[&str]) {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref().as_ref();
            let help = match nearest(name, known.iter().copied()) {
                Some(nearest) => format!("did you mean {nearest}?"),
                None => format!("the keys are {}", listed(known.iter().copied())),
            };
            let label = format!("{label}.{}", shortened(name));
            self.error(key.span().start, &label, format!("unknown key {}", shortened(name)), help);
        }
    }

    /// The string under a key; `None` if there is none, or something else, which is an error.
    pub(super) fn optional_text(&mut self, section: &Section<'a>, key: &str) -> Option<Text<'a>> {
        let value = section.table.get(key)?;
        self.text(value, &format!("{}.{key}", section.label))
    }

    /// The number under a key, which is none below zero; likewise.
    pub(super) fn optional_number(&mut self, section: &Section<'a>, key: &str) -> Option<u32> {
        let value = section.table.get(key)?;
        self.number(value, &format!("{}.{key}", section.label))
    }

    pub(super) fn number(&mut self, value: &'a Spanned<DeValue<'a>>, label: &str) -> Option<u32> {
        let number = match value.get_ref() {
            DeValue::Integer(digits) => u32::from_str_radix(digits.as_str(), digits.radix()).ok(),
            _ => None,
        };
        if number.is_none() {
            self.error(value.span().start, label, "a whole number is wanted here", "write it without quotes");
        }
        number
    }

    pub(super) fn text(&mut self, value: &'a Spanned<DeValue<'a>>, label: &str) -> Option<Text<'a>> {
        match value.get_ref() {
            DeValue::String(text) => Some(self.locate(text, value.span())),
            other => {
                let message = format!("a text is wanted here, not {}", article(other.type_str()));
                self.error(value.span().start, label, message, "put it in quotes");
                None
            }
        }
    }

    fn locate(&self, text: &'a str, span: Range<usize>) -> Text<'a> {
        let raw = self.source.get(span.clone()).unwrap_or_default();
        let is_long = raw.starts_with("\"\"\"") || raw.starts_with("'''");
        let mut quote = if is_long { 3 } else { 1 };
        // A line break right behind the opening quotes belongs to them.
        if is_long {
            let content = raw.get(quote..).unwrap_or_default();
            quote += if content.starts_with("\r\n") { 2 } else { usize::from(content.starts_with('\n')) };
        }
        let is_verbatim = raw.get(quote..).is_some_and(|content| content.starts_with(text));
        Text { text, start: span.start + quote, is_verbatim }
    }
}

impl Text<'_> {
    /// Where a byte of the string stands in the source; where its content begins if that cannot be told.
    fn offset(&self, at: usize) -> usize {
        if self.is_verbatim { self.start + at } else { self.start }
    }
}

/// Where a string begins in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPlace {
    /// From 1 on.
    pub line: usize,
    /// In characters, from 1 on.
    pub column: usize,
    /// It has no escapes: places within it are places within the set.
    pub is_verbatim: bool,
}

impl TextPlace {
    /// Line and column of a part of `text`, which begins here.
    pub fn of(&self, text: &str, span: Span) -> (usize, usize) {
        let before = text.get(..span.start).unwrap_or_default();
        if !self.is_verbatim {
            return (self.line, self.column);
        }
        match before.rsplit_once('\n') {
            Some((lines, last)) => (self.line + 1 + lines.matches('\n').count(), 1 + last.chars().count()),
            None => (self.line, self.column + before.chars().count()),
        }
    }
}

/// Line and column, in characters, both from 1 on.
pub(super) fn position(source: &str, at: usize) -> (usize, usize) {
    let at = (0..=at.min(source.len())).rev().find(|&at| source.is_char_boundary(at)).unwrap_or(0);
    let before = &source[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// A key may be as long as the set.
fn shortened(name: &str) -> String {
    const CHARACTERS_MAX: usize = 40;
    match name.char_indices().nth(CHARACTERS_MAX) {
        Some((at, _)) => format!("{}...", &name[..at]),
        None => name.to_owned(),
    }
}

fn article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}
