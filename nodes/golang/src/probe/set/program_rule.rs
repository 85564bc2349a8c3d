//! `[[program]]`: what processes are called, which environment they belong to, and what each of them calls itself. Of all
//! rules the first that fits counts.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::column;
use super::super::expression::Kind;
use super::super::limits::RULE_SETS_MAX;
use super::super::pattern::{Pattern, Subject};
use super::super::problem::{Problem, Span};
use super::super::toml_reader::{Section, Text, TextPlace, TomlReader};
use super::environment;
use super::{Column, Probe, ProbeSet, Way, expression, pattern};

/// Every process has it on its main goroutine's stack.
const FUNCTION: &str = "runtime.main";
const COLUMN: &str = "instance";
const SETS_HELP: &str = r#"name sets that the coordinator keeps, or files beside this one: sets = ["orders", "locks@3", "shop.toml"]"#;
const KEYS: [&str; 5] = ["name", "match", "environment", "instance", "sets"];
const MATCH_KEYS: [&str; 4] = ["exe", "cmdline", "container", "env"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramRule {
    /// What the program is called; `None`: as its executable.
    pub name: Option<String>,
    /// The path of its executable.
    pub exe: Option<Pattern>,
    /// Its arguments, with spaces between them.
    pub cmdline: Option<Pattern>,
    pub container: Option<Pattern>,
    /// Variables that it was started with, and what they hold.
    pub env: Vec<(String, Pattern)>,
    pub environment: Option<String>,
    /// The variable of a package that holds the process's own name.
    instance: Option<(Way, String)>,
    /// Further sets that are captured of these programs, as they are called, and where that stands.
    pub sets: Vec<(String, TextPlace)>,
    /// From 1 on.
    pub number: u32,
    /// Where the section begins.
    pub place: TextPlace,
}

impl ProgramRule {
    /// The probe that captures the process's name, and the column that has it.
    pub fn instance(&self) -> Option<(&str, &str)> {
        self.instance.as_ref().map(|(_, probe)| (probe.as_str(), COLUMN))
    }

    /// The expression of the process's name, as it was written.
    pub fn instance_text(&self) -> Option<&str> {
        self.instance.as_ref().map(|(way, _)| way.text.as_str())
    }

    pub(super) fn probe(&self) -> Option<Probe> {
        let (way, name) = self.instance.as_ref()?;
        let column = Column { name: COLUMN.to_owned(), ways: vec![way.clone()] };
        Some(Probe {
            name: name.clone(),
            function: Pattern::parse(FUNCTION, Subject::Function).ok()?,
            program: None,
            module: None,
            variable: None,
            is_quiet: true,
            capture: Some(vec![column]),
            place: way.place,
            name_place: self.place,
        })
    }
}

/// In few words, for who asks where a name comes from.
impl fmt::Display for ProgramRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = |key: &str, pattern: &Option<Pattern>| {
            pattern.as_ref().map(|pattern| format!("{key} = {:?}", pattern.text()))
        };
        let env = self.env.iter().map(|(name, pattern)| format!("env.{name} = {:?}", pattern.text()));
        let asks: Vec<String> = [
            pattern("exe", &self.exe),
            pattern("cmdline", &self.cmdline),
            pattern("container", &self.container),
        ]
        .into_iter()
        .flatten()
        .chain(env)
        .collect();
        let word = |key: &str, word: Option<&str>| word.map(|word| format!("{key} = {word:?}"));
        let says = [
            word("name", self.name.as_deref()),
            word("environment", self.environment.as_deref()),
            word("instance", self.instance_text()),
        ];
        let names: Vec<&String> = self.sets.iter().map(|(name, _)| name).collect();
        let sets = (!names.is_empty()).then(|| format!("sets = {names:?}"));
        let says: Vec<String> = says.into_iter().flatten().chain(sets).collect();
        write!(f, "match = {{ {} }}; {}", asks.join(", "), says.join(", "))
    }
}

pub(super) fn rules<'a>(reader: &mut TomlReader<'a>, sections: Vec<Section<'a>>) -> Vec<ProgramRule> {
    let numbered = sections.iter().enumerate();
    numbered.filter_map(|(index, section)| rule(reader, section, index as u32 + 1)).collect()
}

fn rule<'a>(reader: &mut TomlReader<'a>, section: &Section<'a>, number: u32) -> Option<ProgramRule> {
    reader.check_keys(&section.label, section.table, &KEYS);
    let place = reader.place_at(section.span.start);
    let word =
        |reader: &mut TomlReader<'a>, key| reader.optional_text(section, key).map(|t| t.text.to_owned());
    let (name, environment) = (word(reader, "name"), word(reader, "environment"));
    let instance = match reader.optional_text(section, "instance") {
        Some(text) => Some((instance(reader, section, text)?, format!("instance_{number}"))),
        None => None,
    };
    let sets = match section.table.get("sets") {
        Some(value) => sets(reader, &format!("{}.sets", section.label), value)?,
        None => Vec::new(),
    };
    let (exe, cmdline, container, env) = (None, None, None, Vec::new());
    let mut rule =
        ProgramRule { name, exe, cmdline, container, env, environment, instance, sets, number, place };
    match section.table.get("match").map(Spanned::get_ref) {
        None => {}
        Some(DeValue::Table(table)) => read_match(reader, section, table, &mut rule)?,
        Some(_) => {
            let label = format!("{}.match", section.label);
            let help = r#"write match = { exe = "*/orders-server" }"#;
            reader.error(section.span.start, &label, "a table is wanted here", help);
            return None;
        }
    }
    let says_nothing = rule.name.is_none() && rule.environment.is_none() && rule.instance.is_none();
    if says_nothing && rule.sets.is_empty() {
        let help = r#"give a name, an environment, an instance or sets"#;
        reader.error(section.span.start, &section.label, "it says nothing of the programs", help);
        return None;
    }
    Some(rule)
}

/// Names of sets that the coordinator keeps, and of files.
fn sets<'a>(
    reader: &mut TomlReader<'a>,
    label: &str,
    value: &'a Spanned<DeValue<'a>>,
) -> Option<Vec<(String, TextPlace)>> {
    let elements = match value.get_ref() {
        DeValue::Array(elements) if (1..=RULE_SETS_MAX).contains(&elements.len()) => elements,
        _ => {
            let message = format!("a list of 1 to {RULE_SETS_MAX} sets is wanted here");
            reader.error(value.span().start, label, message, SETS_HELP);
            return None;
        }
    };
    let mut sets = Vec::with_capacity(elements.len());
    for element in elements.iter() {
        let text = reader.text(element, label)?;
        if StoredName::parse(text.text).is_none() && !is_file(text.text) {
            let message = format!("{:?} is neither a set's name nor a file's", text.text);
            reader.problem(text, label, &Problem::new(Span::default(), message), SETS_HELP);
            return None;
        }
        sets.push((text.text.to_owned(), reader.position_of(text)));
    }
    Some(sets)
}

/// A rule names files by their ending: `orders.toml`.
fn is_file(text: &str) -> bool {
    text.ends_with(".toml") && text.len() > ".toml".len() && !text.contains(char::is_control)
}

/// `orders`, `orders@3`: a set that the coordinator keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredName {
    pub name: String,
    /// `None`: the newest one.
    pub version: Option<u32>,
}

impl StoredName {
    /// `None`: it is no such name.
    pub fn parse(text: &str) -> Option<StoredName> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version.parse().ok().filter(|version| *version > 0)?)),
            None => (text, None),
        };
        column::is_name(name).then(|| StoredName { name: name.to_owned(), version })
    }
}

fn read_match<'a>(
    reader: &mut TomlReader<'a>,
    section: &Section<'a>,
    table: &'a DeTable<'a>,
    rule: &mut ProgramRule,
) -> Option<()> {
    let label = format!("{}.match", section.label);
    reader.check_keys(&label, table, &MATCH_KEYS);
    let part = Section { label: label.clone(), span: section.span.clone(), table };
    let mut of = |key: &str| match reader.optional_text(&part, key) {
        Some(text) => pattern(reader, text, &format!("{label}.{key}"), Subject::Program).map(Some),
        None => Some(None),
    };
    rule.exe = of("exe")?;
    rule.cmdline = of("cmdline")?;
    rule.container = of("container")?;
    if let Some(value) = table.get("env") {
        rule.env = environment::variables(reader, &format!("{label}.env"), value)?;
    }
    Some(())
}

/// A variable of a package, or a part of one.
fn instance<'a>(reader: &mut TomlReader<'a>, section: &Section<'a>, text: Text<'a>) -> Option<Way> {
    let label = format!("{}.instance", section.label);
    let expression = expression(reader, &label, text)?;
    let mut at = &expression;
    while let Kind::Select { of, .. } | Kind::Dereference(of) | Kind::Load(of) | Kind::Index { of, .. } =
        &at.kind
    {
        at = of;
    }
    if matches!(expression.kind, Kind::Name(_)) || !matches!(at.kind, Kind::Global { .. } | Kind::Name(_)) {
        let problem = Problem::new(Span::default(), "a variable of a package is wanted here");
        reader.problem(text, &label, &problem, r#"write instance = "shop/orders.nodeName""#);
        return None;
    }
    Some(super::way(reader, expression, text))
}

/// Two rules that ask for the very same.
pub(super) fn clashes(reader: &mut TomlReader<'_>, set: &ProbeSet) {
    for rule in &set.programs {
        let text = |pattern: &Option<Pattern>| pattern.as_ref().map(|pattern| pattern.text().to_owned());
        let same = set.programs.iter().find(|other| {
            other.number < rule.number
                && (text(&other.exe), text(&other.cmdline), text(&other.container))
                    == (text(&rule.exe), text(&rule.cmdline), text(&rule.container))
                && other.env == rule.env
        });
        if let Some((name, _)) = rule.instance()
            && let Some(other) = set.probes.iter().find(|probe| probe.name == name && !probe.is_quiet)
        {
            let message = format!("the probe that captures its instance is called {name}, as is another");
            let label = format!("program {}", rule.number);
            reader.clash(rule.place, &label, message, other.name_place, "choose another name for that one");
        }
        if let Some(other) = same {
            let message = "another rule is for the same programs".to_owned();
            reader.clash(
                rule.place,
                &format!("program {}", rule.number),
                message,
                other.place,
                "leave one of them out",
            );
        }
    }
}
