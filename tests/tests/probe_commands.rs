//! `stillframe probe`: what it says of real programs, right and wrong, and that nothing happens to a process that it asks about.

use std::path::PathBuf;

use serde_json::Value;
use stillframe_tests::programs::{Kind, Program, Running};
use stillframe_tests::stillframe::{Ran, run};
use tempfile::TempDir;

/// The newest build of `still` with debug information.
fn still() -> Program {
    of_kind(Kind::Normal)
}

fn of_kind(kind: Kind) -> Program {
    let mut builds = Program::all("still");
    builds.retain(|program| program.kind == kind);
    builds
        .pop()
        .unwrap_or_else(|| panic!("no still of kind {kind:?}; run ./test, which builds the Go programs"))
}

fn asked(verb: &str, about: &str, program: &Program) -> Ran {
    let exe = program.path.to_string_lossy();
    run(&["probe", verb, about, "--exe", &exe, "--json"])
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran:?}"))
}

struct Set {
    _folder: TempDir,
    path: PathBuf,
}

fn set(text: &str) -> Set {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.toml");
    std::fs::write(&path, text).unwrap();
    Set { _folder: folder, path }
}

fn check(text: &str, program: &Program) -> (Ran, Value) {
    let set = set(text);
    let ran = asked("check", &set.path.to_string_lossy(), program);
    let json = json(&ran);
    (ran, json)
}

/// The expressions of the one function of the one probe, by column.
fn expression<'a>(checked: &'a Value, column: &str) -> &'a Value {
    let expressions = checked["probes"][0]["functions"][0]["expressions"].as_array().expect("one function");
    let found = expressions.iter().find(|expression| expression["column"] == column);
    found.unwrap_or_else(|| panic!("no column {column}: {checked:#}"))
}

#[test]
fn functions_are_found_with_code_and_without() {
    let program = still();
    let names = |pattern: &str| -> Vec<String> {
        let listed = json(&asked("list", pattern, &program));
        let functions = listed["functions"].as_array().unwrap();
        functions.iter().map(|f| f["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("main.strings_"), ["main.strings_"]);
    assert_eq!(names("main.{floats,small*}"), ["main.floats", "main.smallOnes"]);
    assert!(names("main.*").len() > 50);
    assert_eq!(names("/^main\\.wait(Done|DoneOrWork)$/"), ["main.waitDone", "main.waitDoneOrWork"]);
    // `await` lives on in `book` alone; instances of a generic function are one.
    let listed = json(&asked("list", "main.(*ledger).await", &program));
    let inlined = &listed["functions"][0];
    assert_eq!(
        (inlined["instances"].as_u64(), inlined["inlined_into"].as_u64()),
        (Some(0), Some(1)),
        "{inlined}"
    );
    assert!(inlined["file"].as_str().unwrap().ends_with("/inlined.go"), "{inlined}");
    let generic = &json(&asked("list", "main.await", &program))["functions"][0];
    assert_eq!(generic["name"], "main.await[...]");
    assert!(generic["instances"].as_u64().unwrap() >= 4, "{generic}");
}

#[test]
fn a_misspelled_function_has_suggestions() {
    let listed = json(&asked("list", "main.string_", &still()));
    assert_eq!(listed["functions"].as_array().unwrap().len(), 0);
    assert!(listed["suggestions"].as_array().unwrap().iter().any(|s| s == "main.strings_"), "{listed}");
    // Without the path, too.
    let listed = json(&asked("list", "**waitDoneOrWrk", &still()));
    assert!(listed["suggestions"].as_array().unwrap().iter().any(|s| s == "main.waitDoneOrWork"), "{listed}");
}

#[test]
fn what_fits_has_types_and_places() {
    let (ran, checked) = check(
        r#"
        [[probe]]
        name = "texts"
        function = "main.strings_"
        capture = [
          "text",
          { as = "second", expr = "list[1]" },
          { as = "bytes", expr = "string(raw)" },
          { as = "five", expr = 'stock["five"]' },
          "len(stock)",
          { as = "kept", expr = "main.keepCount" },
        ]
        "#,
        &still(),
    );
    for (column, of) in [
        ("text", "string"),
        ("second", "string"),
        ("bytes", "string"),
        ("five", "int"),
        ("len_stock", "int"),
        ("kept", "int"),
    ] {
        assert_eq!(expression(&checked, column)["type"], of, "{column}: {checked:#}");
        assert!(expression(&checked, column)["mistake"].is_null(), "{column}: {checked:#}");
    }
    let function = &checked["probes"][0]["functions"][0];
    let sites = function["sites"].as_u64().unwrap();
    assert!(sites > 0, "it receives from a channel: {checked:#}");
    // A package's variable is there at all of them; each place is either there or told why not.
    assert_eq!(expression(&checked, "kept")["available"], sites, "{checked:#}");
    for expression in function["expressions"].as_array().unwrap() {
        let missing = expression["missing"].as_array().unwrap();
        let told: u64 = missing.iter().map(|m| m["sites"].as_u64().unwrap()).sum();
        let there = expression["available"].as_u64().unwrap() + expression["in_register"].as_u64().unwrap();
        assert_eq!((expression["sites"].as_u64(), there + told), (Some(sites), sites), "{expression}");
    }
    assert_eq!(checked["good"], true);
    assert!(matches!(ran.code, Some(0 | 10)), "{ran:?}");
}

#[test]
fn mistakes_are_named_with_their_place() {
    let text = "[[probe]]\nname = 'a'\nfunction = 'main.interfaces'\ncapture = [\n  'p.X',\n  'pp.x',\n  \
                'err.(*main.errSoldd)',\n  'value.(*point).x',\n  'nothing.x',\n]\n";
    let (ran, checked) = check(text, &still());
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for (column, place, message, nearest) in [
        ("p_x", (5, 6), "p is a *main.point, and has no field X", Some("x")),
        ("pp_x", (6, 4), "there is no variable pp in main.interfaces", Some("p")),
        ("nothing_x", (9, 12), "say which type it holds", None),
    ] {
        let mistake = &expression(&checked, column)["mistake"];
        assert_eq!(
            (mistake["line"].as_u64(), mistake["column"].as_u64()),
            (Some(place.0), Some(place.1)),
            "{mistake}"
        );
        assert!(mistake["message"].as_str().unwrap().contains(message), "{mistake}");
        assert_eq!(mistake["nearest"].as_str(), nearest, "{mistake}");
    }
    assert!(!expression(&checked, "err_main_err_soldd")["mistake"].is_null());
    let asserted = expression(&checked, "value_point_x");
    assert_eq!((asserted["type"].as_str(), asserted["mistake"].is_null()), (Some("int"), true), "{asserted}");
}

#[test]
fn a_probe_without_expressions_and_one_of_another_program() {
    let text = "[[probe]]\nname = 'all'\nfunction = 'main.waitDone'\n[[probe]]\nname = 'other'\nprogram = 'shop*'\n\
                function = 'main.main'\n[[probe]]\nname = 'none'\nfunction = 'main.waitDon'\n";
    let (ran, checked) = check(text, &still());
    assert_eq!(expression(&checked, "ctx")["type"], "context.Context", "{checked:#}");
    assert!(checked["probes"][1]["not_here"].as_str().unwrap().contains("shop*"));
    assert!(checked["probes"][2]["suggestions"].as_array().unwrap().iter().any(|s| s == "main.waitDone"));
    assert_eq!(ran.code, Some(2), "no function fits the third: {ran:?}");
}

#[test]
fn variables_are_those_of_the_source() {
    let report = json(&asked("vars", "main.strings_", &still()));
    let variables = report["functions"][0]["variables"].as_array().unwrap();
    let names: Vec<_> =
        variables.iter().filter(|v| v["role"] == "argument").map(|v| v["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["text", "list", "raw", "stock"], "{report:#}");
    let types: Vec<_> = variables.iter().take(4).map(|v| v["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["string", "[]string", "[]uint8", "map[string]int"]);
    // One that was inlined has its variables where it stands.
    let report = json(&asked("vars", "main.(*ledger).await", &still()));
    let receiver = &report["functions"][0]["variables"][0];
    assert_eq!(
        (receiver["name"].as_str(), receiver["type"].as_str()),
        (Some("l"), Some("*main.ledger")),
        "{report:#}"
    );
    assert_eq!(receiver["fields"][0]["name"], "entries");
    assert!(receiver["sites"].as_u64().unwrap() > 0);
}

#[test]
fn without_debug_information_functions_are_known_and_variables_are_not() {
    let program = of_kind(Kind::Stripped);
    let listed = json(&asked("list", "main.strings_", &program));
    assert_eq!(listed["functions"][0]["name"], "main.strings_");
    let report = json(&asked("vars", "main.strings_", &program));
    assert!(report["functions"][0]["gap"].as_str().unwrap().contains("no debug information"), "{report}");
    let (ran, checked) =
        check("[[probe]]\nname = 'a'\nfunction = 'main.strings_'\ncapture = ['text']\n", &program);
    assert!(checked["without_debug_info"].as_str().unwrap().contains("stillframe symbols push"), "{checked}");
    assert_eq!(ran.code, Some(2));
}

#[test]
fn sets_with_mistakes_and_other_files_are_refused() {
    let program = still();
    let wrong = set("[[probe]]\nname = 'a'\nfunktion = 'b'\n");
    for (about, code, message) in [
        (
            wrong.path.to_string_lossy().into_owned(),
            2,
            "set.toml:3:1: probe a.funktion: unknown key funktion",
        ),
        ("/nowhere/set.toml".to_owned(), 8, "/nowhere/set.toml"),
    ] {
        let ran = asked("check", &about, &program);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{ran:?}");
        assert!(ran.stderr.contains(message), "{ran:?}");
    }
    let ran = run(&["probe", "list", "main.{a", "--exe", &program.path.to_string_lossy()]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("{ without }"), "{ran:?}");
    let ran = run(&["probe", "list", "main.*", "--exe", "/bin/true"]);
    assert_eq!(ran.code, Some(8), "{ran:?}");
    assert_eq!(run(&["probe", "list", "main.*"]).code, Some(2));
}

#[test]
fn a_process_is_asked_without_being_stopped() {
    let running = Running::start(&mut still().command(), None);
    let pid = running.pid().to_string();
    let ran = run(&["probe", "vars", "main.strings_", "--pid", &pid, "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(json(&ran)["functions"][0]["name"], "main.strings_");
    stillframe_tests::process_state::assert_free(running.pid(), "after it was asked about");
}

#[test]
fn what_is_said_beforehand_is_what_a_capture_brings() {
    let functions =
        "main.{strings_,aggregates,twentyWords,floats,results,nested,smallOnes,variadic,deadArguments}";
    let text = format!("[[probe]]\nname = 'arguments'\nfunction = '{functions}'\n");
    let program = still();
    let (_, checked) = check(&text, &program);
    let set = set(&text);
    let running = Running::start(&mut program.command(), None);
    let file = set.path.with_file_name("s.db");
    let (pid, path) = (running.pid().to_string(), file.to_string_lossy().into_owned());
    let probes = set.path.to_string_lossy().into_owned();
    let ran = run(&["snapshot", "--pid", &pid, "--max-pause", "5s", "--probes", &probes, "-o", &path]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let statement = "select f.name as function, v.name, v.gap from goroutine_values v join goroutines using (goroutine_id) \
                     join stack_frames s using (stack_id) join functions f using (function_id) where s.depth = v.depth";
    let rows = json(&run(&["sql", &path, statement, "--json"]));
    let mut compared = 0;
    for function in checked["probes"][0]["functions"].as_array().unwrap() {
        // Where it stands is certain only if there is one place.
        if function["sites"] != 1 {
            continue;
        }
        for expression in function["expressions"].as_array().unwrap() {
            let captured: Vec<&Value> = rows
                .as_array()
                .unwrap()
                .iter()
                .filter(|row| row["function"] == function["name"] && row["name"] == expression["column"])
                .collect();
            let [captured] = captured[..] else { panic!("{} {expression}: {captured:?}", function["name"]) };
            let cut = |gap: &str| gap.starts_with("cut: ");
            let is_there = captured["gap"].as_str().is_none_or(cut);
            // In part it may be there, up to where the depth of a capture ends.
            let said = expression["available"] == 1 || captured["gap"].as_str().is_some_and(cut);
            assert_eq!(is_there, said, "{} {expression}: {captured}", function["name"]);
            compared += 1;
        }
    }
    assert!(compared >= 30, "only {compared} expressions were compared");
}

#[test]
fn tables_are_for_people() {
    let program = still();
    let exe = program.path.to_string_lossy();
    let ran = run(&["probe", "vars", "main.strings_", "--exe", &exe]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.starts_with("main.strings_ ("), "{}", ran.stdout);
    assert!(ran.stdout.contains("map[string]int"), "{}", ran.stdout);
    let ran = run(&["probe", "list", "main.nobody", "--exe", &exe]);
    assert!(ran.stderr.contains("no function of the program fits main.nobody"), "{ran:?}");
}
