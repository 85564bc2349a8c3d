//! Packs against releases of their libraries: calls that wait forever, made by each build of `tests/programs/packs`, and what
//! the program itself says of them. A value is the right one or missing with a reason; the table is printed.
//!
//! `tools/build-packs.sh` builds them; `MATRIX=all` the oldest and the newest releases with all versions of Go.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use stillframe_tests::captured::rows;
use stillframe_tests::stillframe::run;

#[test]
fn what_packs_find_is_what_was_called() {
    let folder = tempfile::tempdir().unwrap();
    let programs = programs();
    assert!(!programs.is_empty(), "no program is built: run tools/build-packs.sh");
    let mut problems = Vec::new();
    for program in &programs {
        let name = program.file_name().unwrap().to_string_lossy().into_owned();
        let found = compare(program, &folder.path().join("packs.db"), &mut problems);
        let cells = found.iter().map(|(column, (found, all))| format!("{column} {found}/{all}"));
        println!("{name:40} {}", cells.collect::<Vec<_>>().join(", "));
    }
    assert!(problems.is_empty(), "{} wrong values:\n{}", problems.len(), problems.join("\n"));
}

/// By column: how many of its values were found, of how many.
fn compare(program: &Path, file: &Path, problems: &mut Vec<String>) -> BTreeMap<String, (usize, usize)> {
    let (mut child, expected) = start(program);
    let pid = child.id().to_string();
    // Not captured unless they are asked for.
    let packs = ["--pack", "default", "--pack", "context", "--pack", "locks"];
    let arguments = ["snapshot", "--max-pause", "5s", "--pid", &pid, "--force", "-o", file.to_str().unwrap()];
    let ran = run(&[&arguments[..], &packs[..]].concat());
    child.kill().and_then(|()| child.wait()).expect("the program is ended");
    assert_eq!(ran.code, Some(0), "{}: {}", program.display(), ran.stderr);
    let mut found: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    check_flights(program, file, &expected, problems);
    found.extend(linked(file));
    for ((probe, column), values) in expected.iter().filter(|((probe, _), _)| probe != FLIGHTS) {
        // All of a context at once: which belong together.
        let value = match (probe.as_str(), column.as_str()) {
            ("context", "row") => {
                "ifnull(deadline, '-') || ' ' || cancelled || ' ' || \
                 coalesce(json_extract(cause, '$.s'), json_extract(cause, '$.\"$type\"'), '-')"
            }
            (_, column) => &format!("\"{column}\""),
        };
        let query = format!("select {value} as value from probe_{probe} where value is not null");
        let captured: Vec<String> = rows(file, &query)
            .iter()
            .map(|row| match &row["value"] {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            })
            .collect();
        for wrong in captured.iter().filter(|value| !values.contains(value)) {
            problems.push(format!("{}: {probe}.{column}: {wrong}", program.display()));
        }
        let there = values.iter().filter(|value| captured.contains(value)).count();
        if there == 0 {
            // Missing with a reason.
            let query =
                format!("select gap from goroutine_values where probe = '{probe}' and gap is not null");
            if rows(file, &query).is_empty() {
                problems.push(format!("{}: {probe}.{column} is missing without a reason", program.display()));
            }
        }
        found.insert(format!("{probe}.{column}"), (there, values.len()));
    }
    found
}

/// The very requests in flight that the program tells, if it tells any: none twice, and none that a connection only carries.
/// Where a method is missing, the protocol tells.
fn check_flights(program: &Path, file: &Path, expected: &Expected, problems: &mut Vec<String>) {
    let Some(told) = expected.get(&(FLIGHTS.to_owned(), "row".to_owned())) else { return };
    let found: Vec<[String; 2]> = rows(
        file,
        "select role || ' ' || protocol as protocol, method from endpoints where source <> 'waits'",
    )
    .iter()
    .map(|row| ["protocol", "method"].map(|name| row[name].as_str().unwrap_or_default().to_owned()))
    .collect();
    let mut left: Vec<[&str; 2]> = told.iter().map(|row| split_method(row)).collect();
    let is_known = |[_, method]: &&[String; 2]| !method.is_empty();
    let (known, unknown): (Vec<_>, Vec<_>) = found.iter().partition(is_known);
    let fits = known.iter().chain(&unknown).all(|[protocol, method]| {
        let at = left.iter().position(|one| one[0] == protocol && (method.is_empty() || one[1] == method));
        at.map(|at| left.swap_remove(at)).is_some()
    });
    if !fits || !left.is_empty() {
        problems.push(format!("{}: in flight are {told:#?}, not {found:#?}", program.display()));
    }
}

/// By protocol: how many of the calls that are served are linked with who waits for them, in the same process; what the client's end
/// has for its connection, if its server is something else.
fn linked(file: &Path) -> BTreeMap<String, (usize, usize)> {
    let query = "select e.protocol || iif(e.role = 'server', ' linked', ' connection') as what, count(*) as all_ends, \
                 sum(iif(e.role = 'server', \
                         exists (select 1 from links l where l.server_endpoint_id = e.endpoint_id and l.state = 'in flight'), \
                         e.socket_id is not null)) as found \
                 from endpoints e \
                 where e.source <> 'waits' and (e.role = 'server' or e.protocol in ('sql', 'postgres', 'redis')) group by 1";
    let number = |value: &serde_json::Value| value.as_u64().expect("a count") as usize;
    let of = |row: &serde_json::Value| {
        (row["what"].as_str().expect("a text").to_owned(), (number(&row["found"]), number(&row["all_ends"])))
    };
    rows(file, query).iter().map(of).collect()
}

/// What stands before and after the second space.
fn split_method(row: &str) -> [&str; 2] {
    let at = row.match_indices(' ').nth(1).expect("role, protocol and method").0;
    [&row[..at], &row[at + 1..]]
}

const FLIGHTS: &str = "requests_in_flight";

type Expected = BTreeMap<(String, String), Vec<String>>;

fn start(program: &Path) -> (Child, Expected) {
    let mut child = Command::new(program).stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut expected = Expected::new();
    for line in BufReader::new(child.stdout.take().expect("its output")).lines() {
        let line = line.expect("its output can be read");
        if line.starts_with("ready ") {
            return (child, expected);
        }
        let [probe, column, value] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
            panic!("{}: no line of it: {line}", program.display());
        };
        expected.entry((probe.to_owned(), column.to_owned())).or_default().push(value.to_owned());
    }
    let ended = child.wait().expect("it has ended");
    panic!("{}: {ended}", program.display());
}

fn programs() -> Vec<PathBuf> {
    let folder =
        std::env::var_os("STILLFRAME_PROGRAMS").expect("STILLFRAME_PROGRAMS names the built programs");
    let mut programs: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder of programs can be read")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("packs-")))
        .collect();
    programs.sort();
    programs
}
