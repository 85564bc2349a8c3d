//! The policy of a node: what may be captured on its host, whatever a coordinator orders.
//!
//! ```toml
//! values = true                       # probes may capture values; false if it is not said
//! max_pause_ms = 20                   # the longest that a process may be stopped
//! programs = ["shop-*", "gateway"]    # only these may be captured
//!
//! [[redact]]                          # beside those of an order, as in a probe set
//! field = "**.{Password,Token}"
//!
//! [watch]                             # so that ages are known; off where it is missing
//! programs = ["shop-*"]               # only these; all that may be captured if it is not said
//! births_ms = 1000                    # how often it is looked which goroutines there are
//! parks_ms = 10000                    # how often all of their records are read
//! cpu_permille = 10                   # thousandths of a processor that this may take, for each process
//! ```
//!
//! A node without such a file that serves a coordinator gives no values; one that serves the command line that started it
//! gives all of them to who may read the process anyway.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stillframe_actors::glob;
use stillframe_golang::probe::ProbeSet;
use stillframe_golang::probe::problem::nearest;
use stillframe_wire::limits::{PATTERN_BYTES_MAX, SELECTOR_PATTERNS_MAX};
use thiserror::Error;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Bytes of a policy's file.
const FILE_BYTES_MAX: u64 = 256 << 10;
const PAUSE_MS: Range<u64> = 1..60_001;
const WATCH_MS: Range<u64> = 50..3_600_001;
const CPU_PERMILLE: Range<u64> = 1..1_001;
const WATCH_KEYS: &[&str] = &["births_ms", "cpu_permille", "parks_ms", "programs"];
const KEYS: &[&str] = &["max_pause_ms", "programs", "redact", "values", "watch"];
const REDACT_KEYS: &[&str] = &["field", "type"];

/// Its default gives no values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Why there are no values; `None`: there are.
    values_refused: Option<&'static str>,
    max_pause: Option<Duration>,
    programs: Option<Vec<String>>,
    redactions: String,
    watching: Option<Watching>,
}

/// How processes are watched, so that ages are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watching {
    programs: Option<Vec<String>>,
    /// How often it is looked which goroutines there are.
    pub births: Duration,
    /// How often all of their records are read.
    pub parks: Duration,
    /// Thousandths of a processor, for each process.
    pub cpu_permille: u64,
}

/// A file that is no policy.
#[derive(Debug, Error)]
pub enum PolicyError {
    #[error("{path}: the policy cannot be read: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}: a policy has at most {FILE_BYTES_MAX} bytes")]
    TooLong { path: PathBuf },
    #[error("{path}:{line}:{column}: {what}")]
    Content { path: PathBuf, line: usize, column: usize, what: String },
}

/// An order that is against a policy.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Against {
    #[error(
        "the policy of its node does not allow to capture {program:?}, only {allowed}; the node's administrator can add it to `programs`"
    )]
    Program { program: String, allowed: String },
    #[error(
        "the policy of its node allows a pause of {allowed_ms} ms, and {asked:?} were ordered; allow no more with --max-pause"
    )]
    Pause { asked: Duration, allowed_ms: u128 },
}

impl Default for Policy {
    /// Of a node that serves a coordinator and has no file.
    fn default() -> Policy {
        let why = "this node has no policy that allows values: start it with --policy FILE and `values = true` in it";
        Policy {
            values_refused: Some(why),
            max_pause: None,
            programs: None,
            redactions: String::new(),
            watching: None,
        }
    }
}

/// What is wrong, and where in the text.
struct Wrong {
    at: usize,
    what: String,
}

impl Policy {
    /// Of a node that serves the command line which started it.
    pub fn open() -> Policy {
        Policy { values_refused: None, ..Policy::default() }
    }

    pub fn read(path: &Path) -> Result<Policy, PolicyError> {
        let failed = |source| PolicyError::File { path: path.to_owned(), source };
        let mut text = String::new();
        let file = File::open(path).map_err(failed)?;
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(PolicyError::TooLong { path: path.to_owned() });
        }
        parse(&text).map_err(|Wrong { at, what }| {
            let (line, column) = position(&text, at);
            PolicyError::Content { path: path.to_owned(), line, column, what }
        })
    }

    /// Why probes capture no values on this node; `None`: they do.
    pub fn values_refused(&self) -> Option<&'static str> {
        self.values_refused
    }

    /// The `[[redact]]` sections, as a probe set has them; they are added to those of each order.
    pub fn redactions(&self) -> &str {
        &self.redactions
    }

    pub fn check_program(&self, program: &str) -> Result<(), Against> {
        match &self.programs {
            Some(allowed) if !allowed.iter().any(|pattern| glob::matches(pattern, program)) => {
                Err(Against::Program { program: program.to_owned(), allowed: list(allowed) })
            }
            _ => Ok(()),
        }
    }

    /// `None`: nothing is watched.
    pub fn watching(&self) -> Option<&Watching> {
        self.watching.as_ref()
    }

    /// Whether this program is watched.
    pub fn watches(&self, program: &str) -> bool {
        let named = |watching: &Watching| match &watching.programs {
            Some(programs) => programs.iter().any(|pattern| glob::matches(pattern, program)),
            None => true,
        };
        self.watching.as_ref().is_some_and(named) && self.check_program(program).is_ok()
    }

    pub fn check_pause(&self, asked: Option<Duration>) -> Result<(), Against> {
        match (self.max_pause, asked) {
            (Some(allowed), Some(asked)) if asked > allowed => {
                Err(Against::Pause { asked, allowed_ms: allowed.as_millis() })
            }
            _ => Ok(()),
        }
    }

    /// What a default is cut to, where the order names no pause of its own.
    pub fn bound_pause(&self, pause: Duration) -> Duration {
        self.max_pause.map_or(pause, |allowed| pause.min(allowed))
    }
}

fn parse(text: &str) -> Result<Policy, Wrong> {
    let table = DeTable::parse(text).map_err(|error| Wrong {
        at: error.span().map_or(0, |span| span.start),
        what: error.message().to_owned(),
    })?;
    let table = table.get_ref();
    known_keys(table, KEYS)?;
    let values_refused = match table.get("values") {
        Some(value) if expect(value, "true or false", DeValue::as_bool)? => None,
        _ => Some("the policy of this node does not say `values = true`"),
    };
    let mut policy = Policy { values_refused, ..Policy::default() };
    if let Some(value) = table.get("max_pause_ms") {
        let pause = number(value, "a number of milliseconds", PAUSE_MS)?;
        let pause = pause.ok_or_else(|| wrong(value, "allow between 1 and 60000 milliseconds"))?;
        policy.max_pause = Some(Duration::from_millis(pause));
    }
    if let Some(value) = table.get("watch") {
        policy.watching = Some(watching(value)?);
    }
    if let Some(value) = table.get("programs") {
        policy.programs = Some(patterns(value)?);
    }
    if let Some(value) = table.get("redact") {
        let sections = expect(value, "sections [[redact]]", DeValue::as_array)?;
        for section in sections.iter() {
            policy.redactions.push_str(&redaction(section)?);
        }
    }
    Ok(policy)
}

/// `None`: it is not within its bounds.
fn number(value: &Spanned<DeValue>, what: &str, bounds: Range<u64>) -> Result<Option<u64>, Wrong> {
    let text = expect(value, what, DeValue::as_integer)?;
    let number = u64::from_str_radix(text.as_str(), text.radix());
    Ok(number.ok().filter(|number| bounds.contains(number)))
}

fn watching(value: &Spanned<DeValue>) -> Result<Watching, Wrong> {
    let table = expect(value, "a section [watch]", DeValue::as_table)?;
    known_keys(table, WATCH_KEYS)?;
    let every = |key: &str, default: u64| {
        let Some(value) = table.get(key) else { return Ok(Duration::from_millis(default)) };
        let every = number(value, "a number of milliseconds", WATCH_MS)?;
        let every = every.ok_or_else(|| wrong(value, "look every 50 to 3600000 milliseconds"))?;
        Ok(Duration::from_millis(every))
    };
    let cpu_permille = match table.get("cpu_permille") {
        Some(value) => number(value, "thousandths of a processor", CPU_PERMILLE)?
            .ok_or_else(|| wrong(value, "allow 1 to 1000 thousandths of a processor"))?,
        None => 10,
    };
    Ok(Watching {
        programs: table.get("programs").map(patterns).transpose()?,
        births: every("births_ms", 1_000)?,
        parks: every("parks_ms", 10_000)?,
        cpu_permille,
    })
}

fn patterns(value: &Spanned<DeValue>) -> Result<Vec<String>, Wrong> {
    let list = expect(value, "a list of patterns, such as [\"shop-*\"]", DeValue::as_array)?;
    if list.len() > SELECTOR_PATTERNS_MAX {
        return Err(wrong(value, &format!("there may be {SELECTOR_PATTERNS_MAX} patterns")));
    }
    let pattern = |value: &Spanned<DeValue>| {
        let pattern = expect(value, "a pattern, such as \"shop-*\"", DeValue::as_str)?;
        match pattern.len() {
            0 => Err(wrong(value, "an empty pattern fits no program")),
            length if length > PATTERN_BYTES_MAX => {
                Err(wrong(value, &format!("a pattern has at most {PATTERN_BYTES_MAX} bytes")))
            }
            _ => Ok(pattern.to_owned()),
        }
    };
    list.iter().map(pattern).collect()
}

/// One section, written again: without what a text could smuggle in.
fn redaction(section: &Spanned<DeValue>) -> Result<String, Wrong> {
    let table = expect(section, "a section [[redact]]", DeValue::as_table)?;
    known_keys(table, REDACT_KEYS)?;
    let mut text = "[[redact]]\n".to_owned();
    for (key, value) in table {
        let pattern = expect(value, "a pattern, such as \"**.Password\"", DeValue::as_str)?;
        text.push_str(&format!("{} = {}\n", key.get_ref(), toml_string(pattern)));
    }
    match ProbeSet::parse(&text) {
        Ok(_) => Ok(text),
        // Its place would be one of the text that is written here.
        Err(errors) => Err(wrong(section, &errors.0[0].message)),
    }
}

/// A basic string (TOML 1.0, "String").
fn toml_string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn known_keys(table: &DeTable, known: &[&str]) -> Result<(), Wrong> {
    for (key, _) in table {
        let name: &str = key.get_ref();
        if known.contains(&name) {
            continue;
        }
        let hint = match nearest(name, known.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("there are {}", list(known)),
        };
        return Err(Wrong { at: key.span().start, what: format!("unknown key `{name}`; {hint}") });
    }
    Ok(())
}

fn expect<'a, T>(
    value: &'a Spanned<DeValue<'a>>,
    what: &str,
    get: impl Fn(&'a DeValue<'a>) -> Option<T>,
) -> Result<T, Wrong> {
    let found = value.get_ref();
    get(found).ok_or_else(|| wrong(value, &format!("expected {what}, found {}", found.type_str())))
}

fn wrong(value: &Spanned<DeValue>, what: &str) -> Wrong {
    Wrong { at: value.span().start, what: what.to_owned() }
}

fn list(names: &[impl AsRef<str>]) -> String {
    names.iter().map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ")
}

/// Line and column, from 1.
pub(crate) fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at.min(text.len()))];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Policy, String> {
        parse(text).map_err(|Wrong { at, what }| {
            let (line, column) = position(text, at);
            format!("{line}:{column}: {what}")
        })
    }

    #[test]
    fn what_is_not_allowed_is_refused() {
        let policy = of("values = true\nmax_pause_ms = 20\nprograms = ['shop-*', 'gateway']\n").unwrap();
        assert_eq!(policy.values_refused(), None);
        assert_eq!(policy.check_program("shop-orders"), Ok(()));
        assert_eq!(policy.check_program("gateway"), Ok(()));
        let against = policy.check_program("ledger").unwrap_err().to_string();
        assert!(against.contains("\"ledger\", only `shop-*`, `gateway`"), "{against}");
        let ms = Duration::from_millis;
        assert_eq!(policy.check_pause(None), Ok(()));
        assert_eq!(policy.check_pause(Some(ms(20))), Ok(()));
        let against = policy.check_pause(Some(ms(21))).unwrap_err().to_string();
        assert!(against.contains("20 ms, and 21ms were ordered"), "{against}");
        assert_eq!(policy.bound_pause(ms(50)), ms(20));
        assert_eq!(policy.bound_pause(ms(5)), ms(5));
    }

    #[test]
    fn values_have_to_be_allowed() {
        assert!(Policy::default().values_refused().unwrap().contains("--policy"));
        assert_eq!(Policy::open().values_refused(), None);
        for text in ["", "values = false"] {
            let policy = of(text).unwrap();
            assert!(policy.values_refused().unwrap().contains("values = true"), "{text}");
            assert_eq!(policy.check_program("any"), Ok(()));
            assert_eq!(policy.check_pause(Some(Duration::from_secs(60))), Ok(()));
        }
        assert!(of("programs = []").unwrap().check_program("any").is_err());
    }

    #[test]
    fn redactions_are_those_of_a_probe_set() {
        let policy =
            of("[[redact]]\ntype = '/a\\.\"T\"/'\n\n[[redact]]\nfield = \"/\\u0007Token/\"\n").unwrap();
        let text = policy.redactions();
        let expected =
            "[[redact]]\ntype = \"/a\\\\.\\\"T\\\"/\"\n[[redact]]\nfield = \"/\\U00000007Token/\"\n";
        assert_eq!(text, expected);
        let set = ProbeSet::parse(text).unwrap();
        assert!(set.redactions[0].of_type.as_ref().unwrap().matches("a.\"T\""));
        assert!(set.redactions[1].field.as_ref().unwrap().matches_field("a.B", "\u{7}Token"));
    }

    #[test]
    fn watching_is_off_and_bound_to_what_may_be_captured() {
        assert!(of("").unwrap().watching().is_none() && !of("").unwrap().watches("shop"));
        let policy = of("[watch]").unwrap();
        let watching = policy.watching().unwrap();
        assert_eq!((watching.births, watching.parks), (Duration::from_secs(1), Duration::from_secs(10)));
        assert!(policy.watches("shop"));
        let policy = of("programs = ['shop-*']\n[watch]\nprograms = ['*-a']\nbirths_ms = 50").unwrap();
        let watched = |name| policy.watches(name);
        assert_eq!([watched("shop-a"), watched("shop-b"), watched("gateway-a")], [true, false, false]);
        assert_eq!(policy.watching().unwrap().births, Duration::from_millis(50));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, expected) in [
            ("value = true", "1:1: unknown key `value`; did you mean `values`?"),
            (
                "\nx = 1",
                "2:1: unknown key `x`; there are `max_pause_ms`, `programs`, `redact`, `values`, `watch`",
            ),
            ("values = 'yes'", "1:10: expected true or false, found string"),
            ("max_pause_ms = 0", "1:16: allow between 1 and 60000 milliseconds"),
            ("max_pause_ms = -5", "1:16: allow between 1 and 60000 milliseconds"),
            ("max_pause_ms = 1.5", "1:16: expected a number of milliseconds, found float"),
            ("programs = 'shop'", "1:12: expected a list of patterns, such as [\"shop-*\"], found string"),
            ("programs = ['a', 7]", "1:18: expected a pattern, such as \"shop-*\", found integer"),
            ("programs = ['']", "1:13: an empty pattern fits no program"),
            ("[redact]\ntype = 'x'", "1:1: expected sections [[redact]], found table"),
            ("[[redact]]\nfeild = 'x'", "2:1: unknown key `feild`; did you mean `field`?"),
            ("[[redact]]", "1:1: nothing is said to be redacted"),
            ("\n[[redact]]\nfield = 'Token'", "2:1: Token fits no field: fields go by package.Type.Field"),
            ("watch = true", "1:9: expected a section [watch], found boolean"),
            ("[watch]\npark_ms = 5", "2:1: unknown key `park_ms`; did you mean `parks_ms`?"),
            ("[watch]\nparks_ms = 49", "2:12: look every 50 to 3600000 milliseconds"),
            ("[watch]\nbirths_ms = 'x'", "2:13: expected a number of milliseconds, found string"),
            ("[watch]\ncpu_permille = 0", "2:16: allow 1 to 1000 thousandths of a processor"),
            ("[watch]\nprograms = ['']", "2:13: an empty pattern fits no program"),
            ("[[redact]]\ntype = 7", "2:8: expected a pattern, such as \"**.Password\", found integer"),
        ] {
            assert_eq!(of(text).unwrap_err(), expected, "{text}");
        }
        assert!(of("values = ").unwrap_err().starts_with("1:"));
    }

    #[test]
    fn files_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.toml");
        assert!(matches!(Policy::read(&path), Err(PolicyError::File { .. })));
        std::fs::write(&path, "#".repeat(FILE_BYTES_MAX as usize)).unwrap();
        assert_eq!(Policy::read(&path).unwrap(), of("").unwrap());
        std::fs::write(&path, "#".repeat(FILE_BYTES_MAX as usize + 1)).unwrap();
        assert!(matches!(Policy::read(&path), Err(PolicyError::TooLong { .. })));
        std::fs::write(&path, "\nvalue = 1").unwrap();
        let text = Policy::read(&path).unwrap_err().to_string();
        assert!(text.ends_with("policy.toml:2:1: unknown key `value`; did you mean `values`?"), "{text}");
    }
}
