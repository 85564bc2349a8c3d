//! `[[set]]`: which lines of a text that was put together are a set that program rules name. Nobody writes it by hand:
//! `stillframe snapshot` does, where it adds those sets to an order.

use super::super::toml_reader::{Section, TomlReader};
use super::{ProbeSet, SetError, required};
use toml::Spanned;
use toml::de::DeValue;

/// What is in it is captured of processes whose rule is one of `rules`, and of no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetPart {
    /// For people.
    pub name: String,
    /// Numbers of the rules that name it, from 1 on.
    pub rules: Vec<u32>,
    /// The first and the last one, from 1 on. `None`: the set is captured of all processes, rule or not.
    pub lines: Option<(u32, u32)>,
}

pub(super) fn part<'a>(reader: &mut TomlReader<'a>, section: &Section<'a>) -> Option<SetPart> {
    reader.check_keys(&section.label, section.table, &["name", "rules", "first_line", "last_line"]);
    let name = required(reader, section, "name", r#"name = "orders""#)?.text.to_owned();
    let label = format!("{}.rules", section.label);
    let numbers = match section.table.get("rules").map(Spanned::get_ref) {
        Some(DeValue::Array(elements)) if !elements.is_empty() => elements,
        _ => {
            reader.error(section.span.start, &label, "a list of numbers is wanted here", "write rules = [1]");
            return None;
        }
    };
    let mut rules = Vec::with_capacity(numbers.len());
    for number in numbers.iter() {
        rules.push(reader.number(number, &label)?);
    }
    let lines = (reader.optional_number(section, "first_line"), reader.optional_number(section, "last_line"));
    let lines = match lines {
        (Some(first), Some(last)) => Some((first, last)),
        (None, None) => None,
        _ => {
            reader.error(section.span.start, &section.label, "it has one of two lines", "give both, or none");
            return None;
        }
    };
    Some(SetPart { name, rules, lines })
}

impl ProbeSet {
    /// What of it is for a process of this rule; `None`: of no rule, or it is not known of which one.
    pub fn for_rule(mut self, rule: Option<u32>) -> ProbeSet {
        let others: Vec<(u32, u32)> = self
            .parts
            .iter()
            .filter(|part| !rule.is_some_and(|rule| part.rules.contains(&rule)))
            .filter_map(|part| part.lines)
            .collect();
        let is_of_others = |line: usize| {
            others.iter().any(|(first, last)| (*first as usize..=*last as usize).contains(&line))
        };
        // What processes call themselves is asked for by rules, and of all of them.
        self.probes.retain(|probe| probe.is_quiet || !is_of_others(probe.name_place.line));
        self.types.retain(|rule| !is_of_others(rule.place.line));
        self
    }

    /// Sets that rules name and that are no part of the text: whoever put it together has not seen to it.
    pub fn absent_sets(&self) -> Vec<SetError> {
        let absent = self.programs.iter().filter(|rule| {
            let named =
                self.parts.iter().flat_map(|part| &part.rules).filter(|number| **number == rule.number);
            named.count() < rule.sets.len()
        });
        absent
            .filter_map(|rule| {
                let (name, place) = rule.sets.first()?;
                Some(SetError {
                    line: place.line,
                    column: place.column,
                    key: format!("program {}.sets", rule.number),
                    message: format!("{name} is not in this text"),
                    other_line: None,
                    help: "`stillframe snapshot` puts sets together; others add a [[set]] section for each"
                        .to_owned(),
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
[[program]]
name = 'orders'
match.exe = '*/orders'
sets = ['one', 'two@3', 'here.toml']
[[probe]]
name = 'of_all'
function = 'a.A'
[[probe]]
name = 'of_orders'
function = 'a.B'
[[program]]
name = 'inner'
instance = 'a.node'
[[type]]
match = 'a.T'
capture = ['X']
[[redact]]
field = '**.Token'
";
    const PARTS: &str = "\
[[set]]
name = 'one'
rules = [1]
first_line = 8
last_line = 18
[[set]]
name = 'two version 3'
rules = [1, 2]
[[set]]
name = '/etc/here.toml'
rules = [1]
";

    #[test]
    fn a_part_is_for_its_rules_alone() {
        let set = ProbeSet::parse(&format!("{TEXT}{PARTS}")).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(set.absent_sets(), []);
        for (rule, probes, types) in [
            (None, &["of_all", "instance_2"][..], 0),
            (Some(1), &["of_all", "of_orders", "instance_2"], 1),
            (Some(2), &["of_all", "instance_2"], 0),
        ] {
            let chosen = set.clone().for_rule(rule);
            let names: Vec<&str> = chosen.probes.iter().map(|probe| probe.name.as_str()).collect();
            assert_eq!(
                (&names[..], chosen.types.len(), chosen.redactions.len()),
                (probes, types, 1),
                "{rule:?}"
            );
        }
    }

    #[test]
    fn what_is_not_there_is_told() {
        let set = ProbeSet::parse(TEXT).unwrap();
        let [error] = &set.absent_sets()[..] else { panic!("one rule") };
        assert_eq!((error.line, error.column), (4, 10));
        assert!(error.to_string().contains("program 1.sets: one is not in this text"), "{error}");
        for (wrong, message) in [
            ("[[set]]\nname = 'x'", "a list of numbers"),
            ("[[set]]\nname = 'x'\nrules = ['1']", "a whole number"),
            ("[[set]]\nname = 'x'\nrules = [-1]", "a whole number"),
            ("[[set]]\nname = 'x'\nrules = [1]\nlast_line = 1", "one of two lines"),
            ("[[program]]\nsets = []", "a list of 1 to 16 sets"),
            ("[[program]]\nsets = ['Orders']", "neither a set's name nor a file's"),
            ("[[program]]\nsets = ['orders@0']", "neither a set's name nor a file's"),
            (
                "[[type]]\nmatch = 'a.T'\ncapture = ['A']\n[[type]]\nmatch = 'a.T'\ncapture = ['A']",
                "types a.T in line 2",
            ),
        ] {
            let errors = ProbeSet::parse(wrong).unwrap_err().to_string();
            assert!(errors.contains(message), "{wrong}: {errors}");
        }
    }
}
