//! Stillframe beside Delve, on programs that stand still: every variable of every frame of every goroutine. Where both have a
//! value they say the same. (What the program itself says is compared in `values.rs`.)

use std::collections::BTreeMap;

use serde_json::Value;
use stillframe_tests::captured::{self, rows};
use stillframe_tests::delve::{Delve, Verdict, compare, without_brackets};
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Kind, Program, Running};
use stillframe_tests::stillframe::run;

/// Versions that the newest Delve reads.
const MINORS: std::ops::RangeInclusive<u32> = 25..=27;

/// Fewer values that both have would be no comparison.
const COMPARED_MIN: usize = 200;

const PROBES: &str = "[[probe]]\nname = \"everything\"\nfunction = \"**\"\n";

#[derive(Debug, Default)]
struct Counts {
    same: usize,
    /// Both have one, and tell it in ways that are not compared.
    told_otherwise: usize,
    only_ours: usize,
    only_delve: usize,
    neither: usize,
    frames: usize,
}

#[test]
#[ignore = "the comparison does not yet know how Delve tells of channels, functions and values that change"]
fn values_agree_with_delve() {
    let folder = tempfile::tempdir().unwrap();
    let mut problems = Vec::new();
    for name in ["values", "still"] {
        let fits = |p: &Program| MINORS.contains(&p.minor()) && p.kind == Kind::Normal;
        for program in Program::all(name).into_iter().filter(fits) {
            let mut command = program.command();
            if name == "values" {
                command.arg(folder.path().join(format!("{program}.truth")));
            }
            let process = Running::start(&mut command, None);
            let (counts, differing, reasons) = check(&program, process.pid(), folder.path());
            println!("{program}: {counts:?}");
            for (reason, count) in reasons {
                println!("  only Delve: {count:5} {reason}");
            }
            assert!(counts.same >= COMPARED_MIN, "{program}: too few values that both have: {counts:?}");
            problems.extend(differing.into_iter().map(|problem| format!("{program}: {problem}")));
            assert_free(process.pid(), &program.to_string());
        }
    }
    assert!(problems.is_empty(), "{} values differ:\n{}", problems.len(), problems.join("\n"));
}

type Reasons = BTreeMap<String, usize>;

fn check(program: &Program, pid: u32, folder: &std::path::Path) -> (Counts, Vec<String>, Reasons) {
    let file = |name: &str| folder.join(format!("{program}.{name}"));
    let (probes, database) = (file("toml"), file("db"));
    std::fs::write(&probes, PROBES).unwrap();
    let paths = [&probes, &database].map(|path| path.to_str().unwrap());
    let pid_text = pid.to_string();
    let ran =
        run(&["snapshot", "--max-pause", "5s", "--pid", &pid_text, "--probes", paths[0], "-o", paths[1]]);
    assert_eq!(ran.code, Some(0), "{program}: {}", ran.stderr);
    let ours = captured::values(&database);
    let stacks = stacks(&database);

    let (mut counts, mut problems, mut reasons) = (Counts::default(), Vec::new(), Reasons::new());
    let mut delve = Delve::attach(pid);
    for goid in delve.goroutines() {
        let Some(functions) = stacks.get(&goid) else { continue };
        let frames = delve.frames(goid);
        // From the outermost, as the two may see the innermost ones of a running goroutine at other moments.
        for (from_outermost, frame) in frames.iter().rev().enumerate() {
            let Some(depth) = functions.len().checked_sub(from_outermost + 1) else { continue };
            if without_brackets(&functions[depth]) != without_brackets(&frame.function) {
                continue;
            }
            counts.frames += 1;
            for theirs in &frame.variables {
                let name = theirs["name"].as_str().unwrap_or_default().to_owned();
                let is_there = theirs["unreadable"].as_str().unwrap_or_default().is_empty();
                let key = (goid, depth, "everything".to_owned(), name.clone());
                let (value, gap) = match ours.get(&key) {
                    Some(ours) => (ours.value.as_ref(), ours.gap.clone()),
                    None => (None, None),
                };
                match value {
                    Some(value) if is_there => match compare(theirs, value) {
                        Verdict::Same => counts.same += 1,
                        Verdict::Unknown => counts.told_otherwise += 1,
                        Verdict::Different => problems.push(format!(
                            "goroutine {goid}, frame {depth} {}, {name}: {value}, Delve: {}",
                            frame.function,
                            short(theirs)
                        )),
                    },
                    Some(_) => counts.only_ours += 1,
                    None if is_there => {
                        counts.only_delve += 1;
                        *reasons.entry(gap.unwrap_or_else(|| "no such variable".into())).or_default() += 1;
                    }
                    None => counts.neither += 1,
                }
            }
        }
    }
    (counts, problems, reasons)
}

/// By goroutine: its functions, from the innermost out.
fn stacks(file: &std::path::Path) -> BTreeMap<u64, Vec<String>> {
    let query = "select goid, name from goroutines join stack_frames using (stack_id) \
                 join functions using (function_id) order by goid, depth";
    let mut stacks: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for row in rows(file, query) {
        let goid = row["goid"].as_u64().expect("a goroutine has a number");
        stacks.entry(goid).or_default().push(row["name"].as_str().expect("a function has a name").to_owned());
    }
    stacks
}

/// What Delve says, as far as a person wants to read it.
fn short(variable: &Value) -> String {
    let mut text = variable.to_string();
    text.truncate(text.char_indices().nth(600).map_or(text.len(), |(end, _)| end));
    text
}
