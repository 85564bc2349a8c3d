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
