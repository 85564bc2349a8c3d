//! Captured values against the program's own word: `tests/programs/values` writes down what its variables hold, for each
//! version and kind of build, and holds still.
//!
//! A value that differs fails. What is missing or cut is counted in `tests/golden/values.txt`: of captured values there
//! may only be more. `STILLFRAME_GOLDEN=write` writes that file anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stillframe_tests::agreement::{Extent, agree_cell, is_type};
use stillframe_tests::captured::{self, Captured};
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Program, Running};
use stillframe_tests::row;
use stillframe_tests::stillframe::run;
use stillframe_tests::table::table;
use stillframe_tests::truth::{self, Fact, Probes};

const GOLDEN_VARIABLE: &str = "STILLFRAME_GOLDEN";

/// Facts that the program tells with every version: fewer would be another program.
const FACTS_MIN: usize = 1000;

/// Where these functions stand when they are stopped, and so which registers hold what, is chance: what is captured of
/// them is compared, and not counted.
const RUNNING: [&str; 2] = ["main.spin", "main.spinSum"];

/// Where debug information has a variable at a place that it left. What it is assigned is kept nowhere: a constant, which the
/// compiler says nothing of (`list = list[:2]`, `text = "default"`, `p = nil`), while what it was before stays in use, under a
/// name that the compiler drops (`end := len(list)`) or without one (what is ranged over). Nothing in the program tells.
/// How often that is so in a large program: docs/values.md. These are counted, and may only be right more often.
const MISLED: [(&str, &str); 6] = [
    ("main.assignRangedAgain", "list"),
    ("main.assignRangedAgain", "len(list)"),
    ("main.assignLimit", "list"),
    ("main.assignLimit", "len(list)"),
    ("main.latePointer", "p"),
    ("main.lateDefault", "text"),
];

/// How many facts of one program came to what end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Counts {
    whole: usize,
    cut: usize,
    /// An error that is the right answer: an index that is out of range, a variable that is not there yet.
    refused: usize,
    missing: BTreeMap<String, usize>,
    /// Wrong ones of [`MISLED`].
    misled: usize,
}

impl Counts {
    fn captured(&self) -> usize {
        self.whole + self.cut + self.refused
    }
}

#[test]
fn captured_values_are_what_the_program_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = BTreeMap::new();
    let mut problems = Vec::new();
    for program in Program::all("values") {
        let (counts, differing) = check(&program, folder.path());
        println!("{program}: {counts:?}, {} differ", differing.len());
        problems.extend(differing.into_iter().map(|problem| format!("{program}: {problem}")));
        all.insert((program.minor(), program.version.clone(), program.kind.to_string()), counts);
    }
    let heading = row!["version", "kind", "whole", "cut", "refused", "missing"];
    let rows = all.iter().map(|((_, version, kind), c)| {
        row![version, kind, c.whole, c.cut, c.refused, c.missing.values().sum::<usize>()]
    });
    println!("{}", table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>()));
    assert!(problems.is_empty(), "{} values differ:\n{}", problems.len(), problems.join("\n"));
    compare_golden(&all);
}

/// Takes one snapshot of the program, with probes for all that it tells.
fn check(program: &Program, folder: &Path) -> (Counts, Vec<String>) {
    let file = |name: &str| folder.join(format!("{program}.{name}"));
    let (told, probe_file, database) = (file("truth"), file("toml"), file("db"));
    let process = Running::start(program.command().arg(&told), None);
    let facts = truth::read(&told);
    assert!(facts.len() >= FACTS_MIN, "{program}: it tells only {} facts", facts.len());
    let probes = Probes::of(&facts);
    std::fs::write(&probe_file, probes.text()).unwrap();

    let pid = process.pid().to_string();
    let paths = [probe_file.to_str().unwrap(), database.to_str().unwrap()];
    let before = unix_ns();
    let ran = run(&["snapshot", "--max-pause", "5s", "--pid", &pid, "--probes", paths[0], "-o", paths[1]]);
    let after = unix_ns();
    assert_eq!(ran.code, Some(0), "{program}: {}", ran.stderr);
    assert_free(process.pid(), &program.to_string());

    let captured = captured::values(&database);
    let frames = captured::frames(&database);
    let mut counts = Counts::default();
    let mut problems = Vec::new();
    for fact in &facts {
        let (probe, name) = probes.column(&fact.function, &fact.expression).expect("all are asked for");
        let place = format!("goroutine {}, {}, {}", fact.goid, fact.function, fact.expression);
        let depth = frames.get(&(fact.goid, fact.function.clone())).and_then(|d| d.get(fact.frame));
        let Some(&depth) = depth else {
            problems.push(format!("{place}: there is no frame {} of it", fact.frame));
            continue;
        };
        let ours = captured.get(&(fact.goid, depth, probe, name));
        match judge(fact, ours, before..after) {
            Ok(_) if RUNNING.contains(&fact.function.as_str()) => {}
            Ok(Ending::Captured(Extent::Whole)) => counts.whole += 1,
            Ok(Ending::Captured(Extent::Cut)) => counts.cut += 1,
            Ok(Ending::Refused) => counts.refused += 1,
            Ok(Ending::Missing(why)) => {
                if writes_golden() {
                    println!("{program}: {place}: {}", ours.and_then(|o| o.gap.as_deref()).unwrap_or(&why));
                }
                *counts.missing.entry(why).or_default() += 1;
            }
            Err(_) if MISLED.contains(&(fact.function.as_str(), fact.expression.as_str())) => {
                counts.misled += 1
            }
            Err(problem) => problems.push(format!("{place}: {problem}")),
        }
    }
    (counts, problems)
}

fn unix_ns() -> i128 {
    stillframe_target::clock::realtime_ns().into()
}

/// What became of a fact.
#[derive(Debug)]
enum Ending {
    Captured(Extent),
    Refused,
    Missing(String),
}

/// The error says what is wrong with what was captured.
fn judge(fact: &Fact, ours: Option<&Captured>, taken: std::ops::Range<i128>) -> Result<Ending, String> {
    let Some(ours) = ours else { return Ok(Ending::Missing("no row".into())) };
    let gap = ours.gap.as_deref();
    let refuses = fact.value.get("none").or_else(|| fact.value.get("fails")).and_then(Value::as_str);
    if let Some(why) = refuses {
        return match (&ours.value, gap) {
            // Also nothing at all of what the expression begins with.
            (None, Some(gap)) if is_unavailable(gap) && fact.value.get("fails").is_some() => {
                Ok(Ending::Missing(reason(gap)))
            }
            (None, Some(gap)) if fact.value.get("none").is_some() || gap.contains(why) => Ok(Ending::Refused),
            (value, gap) => Err(format!("nothing expected ({why}), {value:?} captured ({gap:?})")),
        };
    }
    let Some(value) = &ours.value else {
        return match gap {
            Some(gap) => Ok(Ending::Missing(reason(gap))),
            None => Err("neither a value nor a gap".into()),
        };
    };
    if let Some(of) = ours.of.as_deref().filter(|of| !fact.of.is_empty() && !of.contains("go.shape."))
        && !is_type(&fact.of, of)
    {
        return Err(format!("the type {} expected, {of} captured", fact.of));
    }
    let extent = match fact.value.get("since").and_then(Value::as_str) {
        Some(start) => since(start.parse().expect("the truth has nanoseconds"), value, taken)?,
        None => agree_cell(&fact.value, value, gap.is_some())?,
    };
    match (extent, gap) {
        (Extent::Whole, Some(gap)) => Err(format!("it is whole, and has the gap {gap}")),
        (Extent::Cut, None) => Err(format!("it is cut, and has no gap: {value}")),
        (extent, _) => Ok(Ending::Captured(extent)),
    }
}

/// The snapshot was taken between two moments that are known here.
fn since(start: i128, ours: &Value, taken: std::ops::Range<i128>) -> Result<Extent, String> {
    let since = ours.as_i64().map(i128::from);
    match since.is_some_and(|since| taken.contains(&(start + since))) {
        true => Ok(Extent::Whole),
        false => {
            Err(format!("{} to {} ns expected, {ours} captured", taken.start - start, taken.end - start))
        }
    }
}

/// Gaps of a variable itself, whatever the expression asks of it.
fn is_unavailable(gap: &str) -> bool {
    [
        "optimized out",
        "in a register",
        "its stack slot",
        "no debug information",
        "not yet declared",
        "receive pending",
    ]
    .iter()
    .any(|known| gap.starts_with(known))
}

/// A gap without what differs from one value to the next.
fn reason(gap: &str) -> String {
    if gap.contains(": there is no variable ") {
        return "no such variable: the compiler dropped it".into();
    }
    let mut short = String::new();
    for c in gap.chars() {
        match c {
            c if c.is_ascii_digit() && short.ends_with('#') => {}
            c if c.is_ascii_digit() => short.push('#'),
            c => short.push(c),
        }
    }
    short
}

type All = BTreeMap<(u32, String, String), Counts>;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/values.txt")
}

/// It tells then what is missing, too: `--nocapture` shows it.
fn writes_golden() -> bool {
    std::env::var_os(GOLDEN_VARIABLE).is_some_and(|value| value == "write")
}

fn text(all: &All) -> String {
    let mut text = String::from(
        "# Values of tests/programs/values that are captured, whole, cut or rightly refused, and those that are\n\
         # missing, by reason. Captured ones can only get more: STILLFRAME_GOLDEN=write cargo test -p stillframe-tests\n\
         # --test values writes this file.\n",
    );
    for ((_, version, kind), counts) in all {
        let _ = writeln!(
            text,
            "\n{version} {kind}: captured {} (whole {}, cut {}, refused {}), misled {}",
            counts.captured(),
            counts.whole,
            counts.cut,
            counts.refused,
            counts.misled
        );
        for (reason, count) in &counts.missing {
            let _ = writeln!(text, "  {count:5} {reason}");
        }
    }
    text
}

/// By version and kind: how many were captured, and how many of those are wrong that nobody can have.
fn captured_of(golden: &str) -> BTreeMap<String, (usize, usize)> {
    let line = |line: &str| {
        let (program, rest) = line.split_once(": captured ")?;
        let misled = rest.rsplit_once("misled ")?.1;
        Some((program.to_owned(), (rest.split(' ').next()?.parse().ok()?, misled.parse().ok()?)))
    };
    golden.lines().filter_map(line).collect()
}

fn compare_golden(all: &All) {
    let text = text(all);
    if writes_golden() {
        std::fs::write(golden(), text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(golden()).unwrap_or_default();
    let (before, now) = (captured_of(&kept), captured_of(&text));
    let fewer: Vec<String> = now
        .iter()
        .filter_map(|(program, &(count, wrong))| {
            let &(count_before, wrong_before) = before.get(program)?;
            let is_worse = count < count_before || wrong > wrong_before;
            is_worse.then(|| {
                format!(
                    "{program}: {count} values were captured, {count_before} before; {wrong} of the misled ones are \
                     wrong, {wrong_before} before"
                )
            })
        })
        .collect();
    assert!(fewer.is_empty(), "{}\nNow:\n{text}", fewer.join("\n"));
    let unknown: Vec<&String> = now.keys().filter(|program| !before.contains_key(*program)).collect();
    assert!(unknown.is_empty(), "{}: no counts of {unknown:?}; {REWRITE}", golden().display());
    if now != before {
        println!("More values were captured than {} says; {REWRITE}", golden().display());
    }
}

const REWRITE: &str = "STILLFRAME_GOLDEN=write cargo test -p stillframe-tests --test values writes it anew";

#[test]
fn what_is_wrong_is_found() {
    let fact = |truth: Value| Fact {
        goid: 1,
        function: "main.f".into(),
        frame: 0,
        expression: "x".into(),
        of: "int".into(),
        value: truth,
    };
    let ours = |value: Option<Value>, gap: Option<&str>| {
        Some(Captured { of: Some("int".into()), value, address: None, gap: gap.map(Into::into) })
    };
    let one = fact(serde_json::json!({ "int": "1" }));
    let none = fact(serde_json::json!({ "none": "declared below" }));
    let fails = fact(serde_json::json!({ "fails": "out of range" }));
    let judged = |fact: &Fact, ours: Option<Captured>| judge(fact, ours.as_ref(), 0..1);
    assert!(matches!(judged(&one, ours(Some(1.into()), None)), Ok(Ending::Captured(Extent::Whole))));
    assert!(matches!(judged(&one, ours(None, Some("optimized out"))), Ok(Ending::Missing(_))));
    assert!(matches!(judged(&one, None), Ok(Ending::Missing(_))));
    assert!(matches!(judged(&none, ours(None, Some("not yet declared here"))), Ok(Ending::Refused)));
    assert!(matches!(judged(&fails, ours(None, Some("index 3 is out of range"))), Ok(Ending::Refused)));
    assert!(matches!(judged(&fails, ours(None, Some("optimized out"))), Ok(Ending::Missing(_))));
    let wrong = [
        (&one, ours(Some(2.into()), None)),
        (&one, ours(None, None)),
        (&one, ours(Some(1.into()), Some("cut: depth"))),
        (&none, ours(Some(0.into()), None)),
        (&none, ours(Some(Value::Null), None)),
        (&fails, ours(Some(0.into()), None)),
        (&fails, ours(None, Some("nil pointer"))),
    ];
    for (fact, ours) in wrong {
        assert!(judged(fact, ours.clone()).is_err(), "{fact:?}: {ours:?}");
    }
    let mut other = ours(Some(1.into()), None);
    other.as_mut().unwrap().of = Some("uint".into());
    assert!(judged(&one, other).is_err());
}
