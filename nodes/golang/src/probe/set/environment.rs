//! `match.env` of `[[program]]`: what a process was started with. The values are looked at where the process runs, and
//! nothing but whether a rule fits leaves that host.

use toml::Spanned;
use toml::de::DeValue;

use super::super::limits::ENVIRONMENT_VARIABLES_MAX;
use super::super::pattern::{Pattern, Subject};
use super::super::toml_reader::{Section, TomlReader};
use super::{ProgramRule, pattern};

const HELP: &str = r#"write env = { REGION = "eu*" }"#;
const SECRET_NAMES: [&str; 9] =
    ["password", "passwd", "secret", "token", "credential", "apikey", "api-key", "api_key", "private"];

/// What the environment of one process says of the rules of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EnvironmentFits {
    /// No rule asks for it.
    #[default]
    NotAsked,
    /// The numbers of the rules whose variables it has, of those that ask for some.
    Rules(Vec<u32>),
    /// Why it is not known.
    Unknown(String),
}

impl EnvironmentFits {
    /// Whether some rule asks for it.
    pub fn is_asked_by(rules: &[ProgramRule]) -> bool {
        rules.iter().any(|rule| !rule.env.is_empty())
    }

    /// Whether it fits a rule, or why that is not known.
    pub fn fits(&self, rule: &ProgramRule) -> Result<bool, String> {
        match self {
            EnvironmentFits::Rules(numbers) => Ok(numbers.contains(&rule.number)),
            EnvironmentFits::NotAsked => Err("it was not looked at".to_owned()),
            EnvironmentFits::Unknown(why) => Err(why.clone()),
        }
    }

    /// `bytes`: as in `/proc/PID/environ`: `NAME=value`, each with a zero byte behind it.
    pub fn of(rules: &[ProgramRule], bytes: &[u8]) -> EnvironmentFits {
        let asking = rules.iter().filter(|rule| !rule.env.is_empty());
        let fits = |rule: &&ProgramRule| {
            rule.env.iter().all(|(name, pattern)| {
                value(bytes, name).is_some_and(|value| pattern.matches(&String::from_utf8_lossy(value)))
            })
        };
        EnvironmentFits::Rules(asking.filter(fits).map(|rule| rule.number).collect())
    }
}

/// Of several with the same name the first one counts, as for Go's `os.Getenv` (syscall/env_unix.go, copyenv).
fn value<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    bytes.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
}

/// Whether a variable, or a flag, is one whose value is nobody's business.
pub fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| name.contains(secret))
}

/// `{ REGION = "eu*" }`
pub(super) fn variables<'a>(
    reader: &mut TomlReader<'a>,
    label: &str,
    value: &'a Spanned<DeValue<'a>>,
) -> Option<Vec<(String, Pattern)>> {
    let at = value.span().start;
    let table = match value.get_ref() {
        DeValue::Table(table) if (1..=ENVIRONMENT_VARIABLES_MAX).contains(&table.len()) => table,
        _ => {
            let message = format!("a table of 1 to {ENVIRONMENT_VARIABLES_MAX} variables is wanted here");
            reader.error(at, label, message, HELP);
            return None;
        }
    };
    let section = Section { label: label.to_owned(), span: value.span(), table };
    let mut variables = Vec::new();
    for key in table.keys() {
        let (name, at) = (key.get_ref().as_ref(), key.span().start);
        if name.is_empty() || name.contains(['=', '\0']) {
            reader.error(at, label, "no variable has such a name", HELP);
            return None;
        }
        let label = format!("{label}.{name}");
        if names_a_secret(name) {
            let help = "tell the programs apart by another one";
            reader.error(
                at,
                &label,
                "variables whose names say that they are secret are not looked at",
                help,
            );
            return None;
        }
        let text = reader.optional_text(&section, name)?;
        variables.push((name.to_owned(), pattern(reader, text, &label, Subject::Program)?));
    }
    Some(variables)
}

#[cfg(test)]
mod tests {
    use super::super::ProbeSet;
    use super::*;

    fn rules(text: &str) -> Vec<ProgramRule> {
        ProbeSet::parse(text).unwrap_or_else(|errors| panic!("{errors}")).programs
    }

    #[test]
    fn rules_ask_for_variables() {
        let rules = rules(
            "[[program]]\nname = 'a'\nmatch = { env = { REGION = 'eu*', ROLE = '/^(api|web)$/' } }\n\
             [[program]]\nname = 'b'\nmatch = { exe = '*/b' }\n\
             [[program]]\nname = 'c'\nmatch.env = { EMPTY = '/^$/' }\n",
        );
        assert!(EnvironmentFits::is_asked_by(&rules) && !EnvironmentFits::is_asked_by(&rules[1..2]));
        for (bytes, numbers) in [
            (&b"REGION=eu-1\0ROLE=api\0"[..], &[1][..]),
            (b"REGION=eu-1\0ROLE=apis\0EMPTY=\0", &[3]),
            (b"XREGION=eu-1\0ROLE=api\0EMPTY=1\0", &[]),
            (b"EMPTY\0", &[]),
            // The first one counts.
            (b"REGION=us\0REGION=eu\0ROLE=web\0", &[]),
            (b"REGION=eu\0REGION=us\0ROLE=web\0EMPTY=", &[1, 3]),
            (b"REGION=eu\xff=\0ROLE=web", &[1]),
            (b"", &[]),
        ] {
            assert_eq!(
                EnvironmentFits::of(&rules, bytes),
                EnvironmentFits::Rules(numbers.to_vec()),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn mistakes_are_placed() {
        for (wrong, message) in [
            ("env = 'REGION'", "a table of 1 to 16 variables"),
            ("env = {}", "a table of 1 to 16 variables"),
            ("env = { REGION = 1 }", "a text is wanted"),
            ("env = { REGION = '/(/' }", "not a regular expression"),
            ("env = { 'A=B' = 'x' }", "no variable has such a name"),
            ("env = { DB_PASSWORD = 'h*' }", "secret are not looked at"),
            ("envs = { A = 'h*' }", "unknown key envs"),
        ] {
            let text = format!("[[program]]\nname = 'a'\nmatch = {{ {wrong} }}\n");
            let error = ProbeSet::parse(&text).unwrap_err().0.remove(0);
            assert_eq!(error.line, 3, "{error}");
            assert!(error.to_string().contains(message), "{error}");
        }
        let twice = "[[program]]\nname = 'a'\nmatch.env = { A = 'x' }\n[[program]]\nname = 'b'\nmatch.env = { A = 'x' }\n";
        assert!(ProbeSet::parse(twice).unwrap_err().to_string().contains("same programs in line 1"));
        assert_eq!(rules(&twice.replace("b'\nmatch.env = { A", "b'\nmatch.env = { B")).len(), 2);
    }
}
