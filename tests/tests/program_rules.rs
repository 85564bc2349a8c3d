//! `[[program]]` rules: what processes are called, by what they were started with too.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stillframe_tests::captured::rows;
use stillframe_tests::cluster::Cluster;
use stillframe_tests::programs::{Kind, Program, Running};
use stillframe_tests::stillframe::{run, run_command};

const RULES: &str = "\
[[program]]
name = 'shop-eu'
environment = 'prod'
match = { exe = '*/still-*', env = { STILL_REGION = 'eu-planted-*', STILL_ROLE = '/^(api|web)$/' } }

[[program]]
name = 'shop'
match = { exe = '*/still-*' }
";
/// What the rules look at, and what must stay where it is.
const PLANTED: [&str; 2] = ["eu-planted-4711", "us-planted-4712"];

fn still() -> Program {
    Program::all("still").into_iter().rfind(|program| program.kind == Kind::Normal).unwrap()
}

fn with(region: &str) -> Running {
    let mut command = still().command();
    Running::start(command.env("STILL_REGION", region).env("STILL_ROLE", "api"), None)
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Nothing of what a process was started with but what the rules make of it.
fn assert_nothing_leaked(file: &Path, said: &str) {
    let bytes = std::fs::read(file).unwrap();
    for planted in PLANTED {
        assert!(!bytes.windows(planted.len()).any(|window| window == planted.as_bytes()), "{planted}");
        assert!(!said.contains(planted), "{said}");
    }
}

#[test]
fn processes_are_told_apart_by_what_they_were_started_with() {
    let folder = tempfile::tempdir().unwrap();
    let rules = written(folder.path(), "rules.toml", RULES);
    let (eu, us) = (with(PLANTED[0]), with(PLANTED[1]));
    let file = folder.path().join("s.db");
    let [one, other] = [&eu, &us].map(|running| running.pid().to_string());
    let arguments =
        ["snapshot", "--max-pause", "5s", "--pid", &one, "--pid", &other, "--probes", text(&rules)];
    let mut command = stillframe_tests::stillframe::command();
    let ran = run_command(command.args(arguments).args(["-o", text(&file)]).env("RUST_LOG", "trace"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let named =
        rows(&file, "select pid, program, environment, environment_rules from processes order by program");
    assert_eq!(
        named,
        [
            json!({ "pid": us.pid(), "program": "shop", "environment": null, "environment_rules": "[]" }),
            json!({ "pid": eu.pid(), "program": "shop-eu", "environment": "prod", "environment_rules": "[1]" }),
        ]
    );
    assert_eq!(rows(&file, "select * from gaps where what = 'program'"), [] as [Value; 0]);
    assert_nothing_leaked(&file, &(ran.stdout + &ran.stderr));

    // Where no rule asks, it is not looked at.
    let plain = written(folder.path(), "plain.toml", "[[program]]\nname = 'x'\n");
    let ran = run(&[
        "snapshot",
        "--max-pause",
        "5s",
        "--pid",
        &one,
        "--probes",
        text(&plain),
        "--force",
        "-o",
        text(&file),
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let named = rows(&file, "select program, environment_rules from processes");
    assert_eq!(named, [json!({ "program": "x", "environment_rules": null })]);
}

#[test]
fn a_node_whose_policy_allows_no_values_does_not_tell() {
    let cluster = Cluster::start("10.78.6", &["web"]);
    let folder = tempfile::tempdir().unwrap();
    let rules = written(folder.path(), "rules.toml", RULES);
    let (_running, _) = cluster.program("web", &still());
    let mut command =
        cluster.command(&["snapshot", "--program", "still-*", "--max-pause", "5s", "--probes", text(&rules)]);
    let ran = run_command(command.arg("-o").arg(cluster.file()));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    // That it is the second one's would be a guess.
    let named =
        rows(&cluster.file(), "select substr(program, 1, 6) as program, environment_rules from processes");
    assert_eq!(named, [json!({ "program": "still-", "environment_rules": null })]);
    let gaps = rows(&cluster.file(), "select process_id, reason from gaps where what = 'program'");
    let [gap] = &gaps[..] else { panic!("{gaps:?}") };
    let reason = gap["reason"].as_str().unwrap();
    assert!(reason.starts_with("program 1.match.env: it is not known whether it fits"), "{reason}");
    assert!(reason.ends_with("start it with --policy FILE and `values = true` in it"), "{reason}");
}

/// What only the program's own team wants to know, in a file of its own.
const TRANSACTIONS: &str = "\
[[probe]]
name = 'txn'
function = 'main.(*session).execute'
capture = [{ as = 'id', expr = ['txn.meta.ID', 'ctx.Value(txnKey).meta.ID'] }]
";

#[test]
fn sets_that_a_rule_names_are_of_its_programs_and_names_can_be_changed_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let rules = "\
[[program]]
name = 'database-eu'
match = { exe = '*/transactions-*', env = { DB_REGION = 'eu-*' } }
instance = 'main.nodeName'
sets = ['sets/txn.toml']

[[program]]
name = 'database'
match.exe = '*/transactions-*'
";
    let stillframe = folder.path().join("stillframe");
    std::fs::create_dir_all(stillframe.join("sets")).unwrap();
    written(&stillframe, "rules.toml", rules);
    written(&stillframe, "sets/txn.toml", TRANSACTIONS);
    let program = Program::some("transactions").into_iter().rfind(|p| p.kind == Kind::Normal).unwrap();
    let start = |region: &str| Running::start(program.command().env("DB_REGION", region), None);
    let (eu, us) = (start(PLANTED[0]), start(PLANTED[1]));
    let file = folder.path().join("s.db");
    let [one, other] = [&eu, &us].map(|running| running.pid().to_string());
    let ran = run(&[
        "snapshot",
        "--max-pause",
        "5s",
        "--pid",
        &one,
        "--pid",
        &other,
        "--probes",
        text(&stillframe),
        "-o",
        text(&file),
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let captured = rows(
        &file,
        "select p.pid, p.program, p.instance like 'n_' as has_instance, count(t.id) as ids, count(t.process_id) as frames
         from processes p left join probe_txn t using (process_id) group by p.process_id order by program",
    );
    let (of_us, of_eu) = (&captured[0], &captured[1]);
    assert_eq!(
        *of_us,
        json!({ "pid": us.pid(), "program": "database", "has_instance": null, "ids": 0, "frames": 0 })
    );
    assert_eq!((&of_eu["pid"], &of_eu["program"]), (&json!(eu.pid()), &json!("database-eu")));
    assert_eq!((&of_eu["has_instance"], &of_eu["ids"]), (&json!(1), &json!(24)), "{of_eu}");

    // Rules that ask for the same say something else; what they ask for is known.
    let changed = written(
        folder.path(),
        "changed.toml",
        &rules.replace("database", "db").replace("sets = ['sets/txn.toml']", "environment = 'eu'"),
    );
    for replaced in [1, 1] {
        let ran = run(&["apply", "--json", text(&changed), text(&file)]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let applied: Value = serde_json::from_str(&ran.stdout).unwrap();
        let made: Vec<_> =
            applied["made"].as_array().unwrap().iter().map(|made| (&made["kind"], &made["rows"])).collect();
        assert_eq!(made, vec![(&json!("program"), &json!(1)); 2]);
        assert_eq!(applied["made"][0]["replaced"], json!(replaced == 1));
        let named =
            "select program, environment, instance like 'n_' as has_instance from processes order by program";
        assert_eq!(
            rows(&file, named),
            [
                json!({ "program": "db", "environment": null, "has_instance": null }),
                json!({ "program": "db-eu", "environment": "eu", "has_instance": 1 }),
            ]
        );
    }
    let kept = rows(&file, "select name, source from derivations where kind = 'program' order by name");
    assert_eq!(kept[0]["name"], "program 1");
    let source = "match = { exe = \"*/transactions-*\", env.DB_REGION = \"eu-*\" }; name = \"db-eu\", environment = \"eu\", instance = \"main.nodeName\"";
    assert_eq!(kept[0]["source"], source);

    // What was not asked then is not guessed now.
    let asks_more = "[[program]]\nname = 'x'\nmatch.env = { DB_ZONE = 'a' }\n[[program]]\nname = 'y'\ninstance = 'main.other'\n";
    let ran = run(&["apply", text(&written(folder.path(), "more.toml", asks_more)), text(&file)]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let expected = "2 processes keep their names: program 1.match.env: it is not known whether it fits, nor what a later rule would count for: it was not looked at when the snapshot was taken";
    assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    let only_instance =
        written(folder.path(), "other.toml", "[[program]]\nname = 'y'\ninstance = 'main.other'\n");
    let ran = run(&["apply", text(&only_instance), text(&file)]);
    assert!(ran.stderr.contains("program 1.instance: not in this snapshot"), "{}", ran.stderr);
    let named = rows(&file, "select distinct program, instance from processes");
    assert_eq!(named, [json!({ "program": "y", "instance": null })]);
}
