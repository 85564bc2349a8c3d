//! Stillframe beside Delve, on programs that stand still: every variable of every frame of every goroutine. Where both have a
//! value they say the same, or the program itself says that ours is right. (All that it says is compared in `values.rs`.)

use std::collections::BTreeMap;

use serde_json::Value;
use stillframe_golang::probe::ProbeSet;
use stillframe_tests::agreement::agree;
use stillframe_tests::captured::{self, rows};
use stillframe_tests::delve::{Delve, Verdict, compare, without_brackets};
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Kind, Program, Running};
use stillframe_tests::row;
use stillframe_tests::stillframe::run;
use stillframe_tests::table::table;
use stillframe_tests::truth::{self, Fact};

/// Versions that the newest Delve reads.
const MINORS: std::ops::RangeInclusive<u32> = 25..=27;

/// Fewer values that both have would be no comparison.
const COMPARED_MIN: usize = 200;

const PROBES: &str = "[[probe]]\nname = \"everything\"\nfunction = \"**\"\n";

/// These run while the others stand still, those of the collector from time to time: a variable of theirs may have another
/// value whenever one looks.
const RUNNING: [&str; 6] = [
    "main.spin",
    "main.spinSum",
    "runtime.asyncPreempt2",
    "runtime.bgsweep",
    "runtime.bgscavenge",
    "runtime.gcBgMarkWorker",
];

#[derive(Debug, Default)]
struct Counts {
    same: usize,
    /// Delve says something else, and the program what we say.
    decided: usize,
    /// Of [`RUNNING`].
    moved: usize,
    /// Both have one, and tell it in ways that are not compared.
    told_otherwise: usize,
    only_ours: usize,
    only_delve: usize,
    neither: usize,
    frames: usize,
}

#[test]
fn values_agree_with_delve() {
    let folder = tempfile::tempdir().unwrap();
    let mut problems = Vec::new();
    let mut table_rows = vec![row![
        "program",
        "frames",
        "compared",
        "equal",
        "program decides",
        "running",
        "told otherwise",
        "only ours",
        "only Delve",
        "neither"
    ]];
    for name in ["values", "still"] {
        let fits = |p: &Program| MINORS.contains(&p.minor()) && p.kind == Kind::Normal;
        for program in Program::all(name).into_iter().filter(fits) {
            let mut command = program.command();
            let told = folder.path().join(format!("{program}.truth"));
            if name == "values" {
                command.arg(&told);
            }
            let process = Running::start(&mut command, None);
            let facts = if name == "values" { truth::read(&told) } else { Vec::new() };
            let (counts, differing, reasons) = check(&program, process.pid(), folder.path(), &facts);
            let Counts { same, decided, moved, told_otherwise, only_ours, only_delve, neither, frames } =
                counts;
            let compared = same + decided + moved + differing.len();
            table_rows.push(row![
                program,
                frames,
                compared,
                same,
                decided,
                moved,
                told_otherwise,
                only_ours,
                only_delve,
                neither
            ]);
            println!("{program}: what only Delve has, by what we say of it:");
            for (reason, count) in reasons {
                println!("  {count:6} {reason}");
            }
            assert!(counts.same >= COMPARED_MIN, "{program}: too few values that both have: {counts:?}");
            problems.extend(differing.into_iter().map(|problem| format!("{program}: {problem}")));
            assert_free(process.pid(), &program.to_string());
        }
    }
    println!("{}", table(&table_rows));
    assert!(problems.is_empty(), "{} values differ:\n{}", problems.len(), problems.join("\n"));
}

type Reasons = BTreeMap<String, usize>;

fn check(
    program: &Program,
    pid: u32,
    folder: &std::path::Path,
    facts: &[Fact],
) -> (Counts, Vec<String>, Reasons) {
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
                let found = columns(&name)
                    .into_iter()
                    .find_map(|column| ours.get(&(goid, depth, "everything".to_owned(), column)));
                let (value, gap) = match found {
                    Some(ours) => (ours.value.as_ref(), ours.gap.clone()),
                    None => (None, None),
                };
                match value {
                    Some(value) if is_there => match compare(theirs, value) {
                        Verdict::Same => counts.same += 1,
                        Verdict::Unknown => counts.told_otherwise += 1,
                        Verdict::Different(_) if RUNNING.contains(&frame.function.as_str()) => {
                            counts.moved += 1
                        }
                        Verdict::Different(what) => match decide(facts, goid, functions, depth, &name, value)
                        {
                            Some(Ok(())) => counts.decided += 1,
                            Some(Err(truth)) => problems.push(format!(
                                "goroutine {goid}, frame {depth} {}, {name}: {what}; the program: {truth}",
                                frame.function
                            )),
                            None => problems.push(format!(
                                "goroutine {goid}, frame {depth} {}, {name}: {what}",
                                frame.function
                            )),
                        },
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

/// What the column of a variable may be called: the same in small letters, and another where each table has one of that
/// name.
fn columns(variable: &str) -> Vec<String> {
    let text = format!("[[probe]]\nname = 'p'\nfunction = 'f'\ncapture = ['{variable}']\n");
    let set = ProbeSet::parse(&text).ok();
    let capture = set.and_then(|set| set.probes.into_iter().next()?.capture);
    let name = capture.and_then(|columns| Some(columns.into_iter().next()?.name));
    match name {
        Some(name) if name == "depth" => vec!["depth_2".to_owned()],
        Some(name) => vec![name],
        None => vec![variable.to_owned()],
    }
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

/// What the program says of a variable; `None`: nothing. The error says how we differ from it.
fn decide(
    facts: &[Fact],
    goid: u64,
    functions: &[String],
    depth: usize,
    name: &str,
    ours: &Value,
) -> Option<Result<(), String>> {
    let function = &functions[depth];
    let frame = functions[depth + 1..].iter().filter(|f| *f == function).count();
    let fact = facts.iter().find(|fact| {
        fact.goid == goid && fact.function == *function && fact.frame == frame && fact.expression == name
    })?;
    Some(agree(&fact.value, ours).map(|_| ()))
}
