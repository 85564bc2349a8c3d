//! What the `[[redact]]` sections of several sets hide, and what their `[[type]]` sections leave of a type, all together.
//!
//! A type's pattern hides its values, pointers to them and lists of them; a field's pattern hides the fields `type.field`,
//! and the entries of maps whose key is that text (`net/http.Header.Cookie`).

use std::cell::RefCell;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::choice::Choice;
use super::pattern::Pattern;
use super::set::ProbeSet;
use crate::value::{Chosen, Redact};

/// Answers that are kept: the same few types and fields are asked for again and again.
const KNOWN_MAX: usize = 1 << 14;

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Redaction {
    types: Vec<Pattern>,
    fields: Vec<Pattern>,
    rules: Vec<(Pattern, Arc<Choice>)>,
    known_rules: RefCell<FxHashMap<String, Option<Arc<Choice>>>>,
    known_types: RefCell<FxHashMap<String, bool>>,
    known_fields: RefCell<FxHashMap<String, FxHashMap<String, bool>>>,
}

impl Redaction {
    pub fn of<'a>(sets: impl IntoIterator<Item = &'a ProbeSet>) -> Self {
        let mut redaction = Redaction::default();
        for set in sets {
            for section in &set.redactions {
                redaction.types.extend(section.of_type.clone());
                redaction.fields.extend(section.field.clone());
            }
            let rules = set.types.iter().map(|rule| (rule.of.clone(), Arc::new(Choice::of(rule))));
            redaction.rules.extend(rules);
        }
        redaction
    }

    pub fn is_empty(&self) -> bool {
        self.types.is_empty() && self.fields.is_empty() && self.rules.is_empty()
    }
}

impl Redact for Redaction {
    fn chosen(&self, of: &str) -> Option<Arc<dyn Chosen>> {
        if self.rules.is_empty() {
            return None;
        }
        if let Some(known) = self.known_rules.borrow().get(of) {
            return known.clone().map(|choice| choice as _);
        }
        let rule = self.rules.iter().find(|(pattern, _)| pattern.matches(of));
        let choice = rule.map(|(_, choice)| Arc::clone(choice));
        let mut known = self.known_rules.borrow_mut();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(of.to_owned(), choice.clone());
        choice.map(|choice| choice as _)
    }

    fn hides_type(&self, name: &str) -> bool {
        if self.types.is_empty() {
            return false;
        }
        if let Some(known) = self.known_types.borrow().get(name) {
            return *known;
        }
        let hides = self.types.iter().any(|pattern| pattern.matches(name));
        let mut known = self.known_types.borrow_mut();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(name.to_owned(), hides);
        hides
    }

    fn hides_field(&self, of: &str, field: &str) -> bool {
        if self.fields.is_empty() {
            return false;
        }
        if let Some(known) = self.known_fields.borrow().get(of).and_then(|fields| fields.get(field)) {
            return *known;
        }
        let hides = self.fields.iter().any(|pattern| pattern.matches_field(of, field));
        let mut known = self.known_fields.borrow_mut();
        // Keys of maps are as many as a program likes.
        if known.values().map(FxHashMap::len).sum::<usize>() >= KNOWN_MAX {
            known.clear();
        }
        known.entry(of.to_owned()).or_default().insert(field.to_owned(), hides);
        hides
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_all_sets_hide() {
        let sets = [
            ProbeSet::parse(
                "[[redact]]\ntype = '**.Password'\n[[redact]]\nfield = '**.{Authorization,Secret*}'",
            )
            .unwrap(),
            ProbeSet::parse(
                "[[redact]]\ntype = 'shop.Card'\nfield = 'shop.User.Mail'\n\
                 [[type]]\nmatch = 'shop/model.*Order'\ncapture = ['ID']",
            )
            .unwrap(),
        ];
        let redaction = Redaction::of(&sets);
        for _ in 0..2 {
            for (name, hides) in [
                ("shop/x.Password", true),
                ("*shop/x.Password", true),
                ("[]shop.Card", false),
                ("shop.Card", true),
                ("int", false),
            ] {
                assert_eq!(redaction.hides_type(name), hides, "{name}");
            }
            for (of, field, hides) in [
                ("net/http.Header", "Authorization", true),
                ("shop.User", "SecretKey", true),
                ("shop.User", "Mail", true),
                ("shop.Shop", "Mail", false),
            ] {
                assert_eq!(redaction.hides_field(of, field), hides, "{of}.{field}");
            }
            let chosen = redaction.chosen("shop/model.Order").unwrap();
            assert_eq!(chosen.names(), ["ID"]);
            assert!(redaction.chosen("shop/model.Customer").is_none());
        }
        assert!(Redaction::of(&[]).is_empty());
    }
}
