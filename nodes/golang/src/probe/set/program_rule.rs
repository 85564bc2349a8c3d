//! `[[program]]`: what processes are called, which environment they belong to, and what each of them calls itself. Of all
//! rules the first that fits counts.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::expression::Kind;
use super::super::pattern::{Pattern, Subject};
use super::super::problem::{Problem, Span};
use super::super::toml_reader::{Section, Text, TextPlace, TomlReader};
use super::environment;
use super::{Column, Probe, ProbeSet, Way, expression, pattern};

/// Every process has it on its main goroutine's stack.
const FUNCTION: &str = "runtime.main";
const COLUMN: &str = "instance";
const KEYS: [&str; 4] = ["name", "match", "environment", "instance"];
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
    let (exe, cmdline, container, env) = (None, None, None, Vec::new());
    let mut rule = ProgramRule { name, exe, cmdline, container, env, environment, instance, number, place };
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
    if rule.name.is_none() && rule.environment.is_none() && rule.instance.is_none() {
        let help = r#"give a name, an environment or an instance"#;
        reader.error(section.span.start, &section.label, "it says nothing of the programs", help);
        return None;
    }
    Some(rule)
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
