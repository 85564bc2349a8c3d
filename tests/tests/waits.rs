//! What goroutines wait for, held against what a program says of itself: `tests/programs/waits`, which parks a goroutine in
//! every way and notes addresses, states and times. Nothing captured may differ.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;
use stillframe_tests::captured::rows;
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Program, Running};
use stillframe_tests::stillframe::run;

/// What the program reads of its clock is read a moment before the runtime reads it.
const CLOCK_DIFFERS_NS: i64 = 5_000_000_000;

#[test]
fn goroutines_wait_for_what_the_program_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut differences = Vec::new();
    for program in Program::all("waits") {
        let truth = folder.path().join("truth.json");
        let running = Running::start(program.command().env("WAITS_TRUTH", &truth), None);
        let file = folder.path().join(format!("{program}.db"));
        let ran = run(&[
            "snapshot".as_ref(),
            "--max-pause".as_ref(),
            "5s".as_ref(),
            "--pid".as_ref(),
            running.pid().to_string().as_ref(),
            "-o".as_ref(),
            file.as_os_str(),
        ]);
        assert_eq!(ran.code, Some(0), "{program}: {}", ran.stderr);
        assert_free(running.pid(), "after the capture");
        let truth: Vec<Value> = serde_json::from_slice(&std::fs::read(&truth).unwrap()).unwrap();
        assert!(truth.len() > 50, "{program}: {} goroutines", truth.len());
        let captured = by_goroutine(
            &file,
            "select g.goid, w.* from waits w join goroutines g using (goroutine_id) order by w.ordinal",
        );
        let gaps =
            by_goroutine(&file, "select g.goid, p.* from gaps p join goroutines g using (goroutine_id)");
        let found = truth.iter().filter_map(|fact| difference(fact, &captured, &gaps));
        differences.extend(found.map(|difference| format!("{program}: {difference}")));
        println!("{program}: {} goroutines", truth.len());
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The rows of a query by their `goid`.
fn by_goroutine(file: &Path, query: &str) -> HashMap<u64, Vec<Value>> {
    let mut all: HashMap<u64, Vec<Value>> = HashMap::new();
    for row in rows(file, query) {
        let goid = row["goid"].as_u64().expect("a goroutine has a number");
        all.entry(goid).or_default().push(row);
    }
    all
}

/// What is captured of a goroutine that its own account does not have.
fn difference(
    fact: &Value,
    captured: &HashMap<u64, Vec<Value>>,
    gaps: &HashMap<u64, Vec<Value>>,
) -> Option<String> {
    let goid = fact["goid"].as_u64().expect("a goroutine has a number");
    let mut captured = captured.get(&goid).cloned().unwrap_or_default();
    let told = fact["waits"].as_array().expect("it waits");
    let as_told = captured.len() == told.len()
        && told.iter().all(|wait| {
            let found = captured.iter().position(|row| is(row, wait));
            found.map(|at| captured.remove(at)).is_some()
        });
    (!as_told).then(|| {
        let first: Vec<&Value> = told.iter().take(4).collect();
        captured.truncate(4);
        let gaps = gaps.get(&goid);
        format!("{}: the program says {first:?}, captured is {captured:?}, gaps {gaps:?}", fact["name"])
    })
}

/// A system call has fewer arguments than registers for them.
fn begins(list: &Value, told: &Value) -> bool {
    list.as_array().zip(told.as_array()).is_some_and(|(list, told)| list.starts_with(told))
}

fn is(row: &Value, wait: &Value) -> bool {
    let addressed = match wait["address"].as_u64() {
        Some(address) => row["address"].as_i64().map(i64::cast_unsigned) == Some(address),
        // Where it is is not known to the program either.
        None => row["address"].is_null() || wait["kind"] == "semaphore",
    };
    let detail: Value =
        row["detail"].as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap());
    let details = wait["detail"].as_object().is_none_or(|told| {
        told.iter().all(|(name, told)| match (told.as_i64(), detail[name].as_i64()) {
            (Some(told), Some(found)) if name.ends_with("_unix_ns") => {
                (told - found).abs() < CLOCK_DIFFERS_NS
            }
            _ => detail[name] == *told || begins(&detail[name], told),
        })
    });
    row["kind"] == wait["kind"] && (row["any"] == 1) == (wait["any"] == true) && addressed && details
}
