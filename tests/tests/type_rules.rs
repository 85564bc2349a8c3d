//! `[[type]]` rules on a real program: promoted fields and parts of what a struct refers to, behind pointers. What is so says
//! the source: `tests/programs/values/structs.go`.

use serde_json::{Value, json};
use stillframe_tests::captured::{rows, values};
use stillframe_tests::programs::{Kind, Program, Running};
use stillframe_tests::stillframe::{Ran, run};

const SET: &str = r#"
[[probe]]
name = "holds"
function = "main.{holdEmbedded,holdOrder}"
capture = [{ as = "it", expr = ["e", "o"] }]

[[type]]
match = "main.employee"
capture = ["Name", "City", "position.y", "boss.Name", "boss.City", "boss.boss", "level", "boss.boss.Name"]

[[type]]
match = "main.order"
capture = ["ID", "Customer.City", "Items[0].Name", "Items[5]", 'Tags["tenant"]', 'Tags["none"]', "total.Tax", "count.Load()"]
"#;

fn text(path: &std::path::Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn promoted_fields_and_parts_are_those_of_the_source() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set.toml");
    std::fs::write(&set, SET).unwrap();
    let has_types = |program: &Program| matches!(program.kind, Kind::Normal | Kind::Pie | Kind::Cgo);
    for program in Program::some("values").into_iter().filter(has_types) {
        let running = Running::start(program.command().arg(folder.path().join("told")), None);
        let file = folder.path().join(format!("{program}.db"));
        let pid = running.pid().to_string();
        let ran =
            run(&["snapshot", "--max-pause", "5s", "--pid", &pid, "--probes", text(&set), "-o", text(&file)]);
        assert_eq!(ran.code, Some(0), "{program}: {}", ran.stderr);
        let mut found: Vec<(Value, Option<String>)> = values(&file)
            .into_iter()
            .filter(|((_, _, probe, _), _)| probe == "holds")
            .map(|(_, captured)| (captured.value.unwrap_or_default(), captured.gap))
            .collect();
        found.sort_by_key(|(value, _)| value.to_string());
        let employee = json!({
            "Name": "Max", "City": "Zug", "position.y": 2, "boss.Name": "Eva", "boss.City": "Basel", "boss.boss": null,
            "level": 4, "boss.boss.Name": { "$gap": "nil pointer" },
        });
        let order = json!({
            "ID": 7, "Customer.City": "Bern", "Items[0].Name": "spoon", "Items[5]": { "$gap": "index 5 is out of range: length 2" }, "Tags[\"tenant\"]": "acme",
            "Tags[\"none\"]": { "$gap": "no such key" }, "total.Tax": 0.81, "count.Load()": 5,
        });
        let values: Vec<&Value> = found.iter().map(|(value, _)| value).collect();
        assert!(values.contains(&&employee), "{program}: {found:?}");
        assert!(values.contains(&&order), "{program}: {found:?}");
        let gaps: Vec<&str> = found.iter().filter_map(|(_, gap)| gap.as_deref()).collect();
        assert!(gaps.iter().any(|gap| gap.contains("nil pointer")), "{program}: {gaps:?}");
        assert!(rows(&file, "select 1 from probe_holds").len() >= 2, "{program}");
    }
}

#[test]
fn what_a_rule_misspells_is_told_beforehand() {
    let program = Program::some("values").into_iter().rfind(|program| program.kind == Kind::Normal).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set.toml");
    let check = |text_of_set: &str, arguments: &[&str]| -> Ran {
        std::fs::write(&set, text_of_set).unwrap();
        let exe = program.path.to_str().unwrap();
        run(&[&["probe", "check", text(&set), "--exe", exe], arguments].concat())
    };
    let ran = check(SET, &["--json"]);
    let checked: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(checked["good"], json!(true), "{checked:#}");
    let part = |rule: usize, part: usize| &checked["types"][rule]["types"][0]["parts"][part];
    assert_eq!(*part(0, 1), json!({ "part": "City", "type": "string", "mistake": null }));
    assert_eq!(*part(1, 2), json!({ "part": "Items[0].Name", "type": "string", "mistake": null }));

    let ran =
        check("[[type]]\nmatch = 'main.order'\ncapture = ['ID', 'Custmer.City', 'Items[0].Nam']\n", &[]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    for said in [
        "set.toml:3:19: it is a main.order, and has no field Custmer",
        "did you mean Customer?",
        "set.toml:3:44: ",
        "did you mean Name?",
    ] {
        assert!(ran.stdout.contains(said), "{said}: {}", ran.stdout);
    }
    let ran = check("[[type]]\nmatch = 'main.oder'\ncapture = ['ID']\n", &[]);
    assert!(
        ran.stdout.contains("set.toml:2:10: no struct of the program fits\n    there is main.order"),
        "{ran:?}"
    );
}
