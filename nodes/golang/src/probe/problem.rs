//! What is wrong with an expression or a pattern, and where; and the names that somebody may have meant.

use std::fmt;

use crate::similar::similar;

/// Bytes of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Span { start, end }
    }

    /// From the start of this to the end of `other`.
    pub fn to(self, other: Span) -> Self {
        Span { start: self.start, end: other.end }
    }
}

/// A mistake in an expression or a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problem {
    /// In the text of the expression.
    pub span: Span,
    pub message: String,
    /// What was perhaps meant.
    pub nearest: Option<String>,
}

impl Problem {
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Problem { span, message: message.into(), nearest: None }
    }

    pub fn with_nearest(mut self, nearest: Option<String>) -> Self {
        self.nearest = nearest;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean {nearest}?"),
            None => Ok(()),
        }
    }
}

/// The one of `candidates` that is nearest to `name`, if any is near: a slip of the finger, not another word.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let candidates: Vec<&str> = candidates.into_iter().filter(|candidate| *candidate != name).collect();
    // A difference of case is the smallest one.
    let folded = candidates.iter().find(|candidate| candidate.to_lowercase() == name.to_lowercase());
    match folded {
        Some(candidate) => Some((*candidate).to_owned()),
        None => similar(name, candidates).into_iter().next(),
    }
}

/// `a, b and c`; the first few of many.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN_MAX: usize = 12;
    let names: Vec<&str> = names.into_iter().collect();
    match &names[..] {
        [] => "none".to_owned(),
        [only] => (*only).to_owned(),
        [first @ .., last] if names.len() <= SHOWN_MAX => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} more", names[..SHOWN_MAX].join(", "), names.len() - SHOWN_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let fields = ["Started", "User", "Items", "ID"];
        for (name, meant) in [
            ("Startd", Some("Started")),
            ("started", Some("Started")),
            ("Id", Some("ID")),
            ("Usre", Some("User")),
        ] {
            assert_eq!(nearest(name, fields).as_deref(), meant, "{name}");
        }
        for name in ["Customer", "X", ""] {
            assert_eq!(nearest(name, fields), None, "{name}");
        }
    }

    #[test]
    fn lists_are_short() {
        assert_eq!(listed(["a", "b", "c"]), "a, b and c");
        assert_eq!(listed([]), "none");
        let many: Vec<String> = (0..20).map(|i| i.to_string()).collect();
        assert!(listed(many.iter().map(String::as_str)).ends_with("11 and 8 more"));
    }
}
