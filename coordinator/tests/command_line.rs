//! The command line over synthetic snapshots, by the built binary.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use stillframe::store::order::{ClockBound, Existing, SnapshotMeta};
use stillframe::store::writer::SnapshotWriter;
use stillframe_wire::batch::batches;
use tempfile::TempDir;

mod synthetic;

struct Files {
    folder: TempDir,
    /// One process, 20 goroutines.
    one: PathBuf,
    /// Two processes, 10,000 goroutines each.
    many: PathBuf,
}

fn files() -> Files {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, processes: &[(u32, u64)]| {
        let path = folder.path().join(name);
        let meta = SnapshotMeta {
            id: "0199-test".into(),
            label: None,
            taken_at_unix_ns: 7,
            requested_by: None,
            tool_version: "0.1.0".into(),
            selector: "--all".into(),
            probes: None,
        };
        let mut writer = SnapshotWriter::create(&path, Existing::Refuse, meta).unwrap();
        let host = writer.host(&synthetic::host(), ClockBound::default()).unwrap();
        for (pid, goroutines) in processes {
            let facts = synthetic::process(*pid, *goroutines, 5);
            writer.process(host, "synthetic", batches(facts)).unwrap();
        }
        writer.finish(0).unwrap();
        path
    };
    let one = write("one.db", &[(4711, 20)]);
    let many = write("many.db", &[(1, 10_000), (2, 10_000)]);
    Files { folder, one, many }
}

fn stillframe(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stillframe")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Stdout of a run that went well.
fn stdout(arguments: &[&str]) -> String {
    let output = stillframe(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The exit code and stderr of a run that failed and printed no data.
fn failure(arguments: &[&str]) -> (i32, String) {
    let output = stillframe(arguments);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn json_failure(arguments: &[&str]) -> (i32, Value) {
    let (code, stderr) = failure(&[&["--json"], arguments].concat());
    let error: Value = serde_json::from_str(&stderr).unwrap_or_else(|_| panic!("{arguments:?}: {stderr}"));
    assert_eq!(error["error"]["exit_code"], code, "{error}");
    assert!(!error["error"]["remedy"].as_str().unwrap().is_empty(), "{error}");
    (code, error["error"].clone())
}

#[test]
fn groups_merges_equal_stacks() {
    let files = files();
    let shown = stdout(&["groups", text(&files.one), "--match", "RAFT"]);
    assert_eq!(
        shown,
        "4 goroutines in 1 process [2 chan receive, 2 select]; for example g-1\n    \
         main.main main.go:7\n    main.worker[...] main.go:0\n    main.worker[...] main.go:1\n    \
         main.worker[...] main.go:2\n    main.worker[...] main.go:3\n    \
         example.com/shop/raft.(*Node).run node.go:600\n"
    );
    let groups: Value =
        serde_json::from_str(&stdout(&["groups", text(&files.many), "--json", "--limit", "2"])).unwrap();
    assert_eq!(groups["groups_total"], 5);
    assert_eq!(groups["goroutines_total"], 19_998);
    assert_eq!(groups["groups"].as_array().unwrap().len(), 2);
    assert_eq!(groups["groups"][0]["processes"], 2);
    let all: Value =
        serde_json::from_str(&stdout(&["groups", text(&files.many), "--json", "--all", "--pid", "2"]))
            .unwrap();
    assert_eq!((&all["groups_total"], &all["goroutines_total"]), (&6.into(), &10_000.into()));
}

#[test]
fn dump_is_the_text_of_go() {
    let files = files();
    let shown = stdout(&["dump", text(&files.one), "--goroutine", "2"]);
    assert_eq!(
        shown,
        "goroutine 2 [chan receive, 2 minutes]:\nmain.main(...)\n\t/src/shop/main.go:7\n\
         main.worker[...]({0xc000012345, 0x6}, 0x7?)\n\t/src/shop/main.go:4 +0x1d\n\
         main.worker[...]()\n\t/src/shop/main.go:5 +0x1d\nmain.worker[...]()\n\t/src/shop/main.go:6 +0x1d\n\
         main.worker[...]()\n\t/src/shop/main.go:7 +0x1d\n\
         net/http.(*conn).serve()\n\t/go/src/net/http/server.go:601 +0x1d\n\
         created by main.main in goroutine 1\n\t/src/shop/main.go:21 +0x2a\n"
    );
    assert_eq!(stdout(&["dump", text(&files.one), "--goroutine", "g-2"]), shown);

    let all = stdout(&["dump", text(&files.one)]);
    assert_eq!(all.matches("\n\ngoroutine ").count(), 18);
    assert!(all.starts_with("goroutine 1 [") && !all.contains("\n\n\n") && !all.contains("runtime."));
    let system = stdout(&["dump", text(&files.one), "--system"]);
    assert_eq!(system.matches("\n\ngoroutine ").count(), 19);
    assert!(system.contains("\nruntime.gopark(0x1, 0x2)\n\t/go/src/runtime/proc.go:402 +0x1d\n"));

    let several = stdout(&["dump", text(&files.many)]);
    assert!(several.starts_with("=== shop, pid 1 on node-1\n\ngoroutine 1 ["));
    assert!(several.contains("\n\n=== shop, pid 2 on node-1\n\ngoroutine 1 ["));
    assert!(stdout(&["dump", text(&files.many), "--process", "2"]).starts_with("goroutine 1 ["));

    let json: Value = serde_json::from_str(&stdout(&["dump", text(&files.one), "--json"])).unwrap();
    let goroutines = json["goroutines"].as_array().unwrap();
    assert_eq!(goroutines.len(), 19);
    assert_eq!(goroutines[1]["labels"]["request"], "a \"b\"");
    assert_eq!(goroutines[1]["frames"][3]["arguments"], "{0xc000012345, 0x6}, 0x7?");
}

#[test]
fn sql_answers_as_table_csv_and_json() {
    let files = files();
    let query = "select goid, wait_reason, labels from goroutines where goid in (2, 10) order by goid";
    assert_eq!(
        stdout(&["sql", text(&files.one), query]),
        "GOID  WAIT_REASON   LABELS\n   2  chan receive  {\"request\":\"a \\\"b\\\"\"}\n  10\n"
    );
    assert_eq!(
        stdout(&["sql", text(&files.one), query, "--csv"]),
        "goid,wait_reason,labels\r\n2,chan receive,\"{\"\"request\"\":\"\"a \\\"\"b\\\"\"\"\"}\"\r\n10,,\r\n"
    );
    let rows: Value = serde_json::from_str(&stdout(&["sql", text(&files.one), query, "--json"])).unwrap();
    assert_eq!(rows[1], serde_json::json!({ "goid": 10, "wait_reason": null, "labels": null }));
    assert_eq!(stdout(&["sql", text(&files.one), "select 1 where 0", "--json"]), "[\n]\n");

    let mut child = Command::new(env!("CARGO_BIN_EXE_stillframe"))
        .args(["sql", text(&files.one), "--csv", "--limit", "3"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"select goid from goroutines order by goid;\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "goid\r\n1\r\n2\r\n3\r\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cut after 3 rows"));
}

#[test]
fn every_failure_has_its_exit_code_and_a_remedy() {
    let files = files();
    let one = text(&files.one);
    let other = files.folder.path().join("other");
    fs::write(&other, "not a database, and long enough to look like one").unwrap();
    let exits = |arguments: &[&str]| {
        let (code, error) = json_failure(arguments);
        let (plain_code, plain) = failure(arguments);
        assert_eq!(code, plain_code);
        assert!(plain.starts_with("error: "), "{plain}");
        (code, error["message"].as_str().unwrap().to_owned())
    };
    assert_eq!(exits(&["groups"]).0, 2);
    assert_eq!(exits(&["snapshot"]).0, 2);
    assert_eq!(exits(&["snapshot", "--pid", "1", "--max-pause", "1h"]).0, 2);
    assert_eq!(exits(&["snapshot", "--core", "x"]).0, 2);
    assert_eq!(exits(&["sql", one, "delete from goroutines"]).0, 2);
    assert_eq!(
        exits(&["sql", one, "select nonsense"]),
        (2, "the statement is not valid: no such column: nonsense (at byte 7)".into())
    );
    assert_eq!(exits(&["dump", one, "--goroutine", "999"]).0, 2);
    assert_eq!(exits(&["dump", one, "--process", "nobody"]).0, 2);
    assert_eq!(exits(&["help", "nonsense"]).0, 2);
    assert_eq!(exits(&["groups", "/no/such/file"]).0, 8);
    assert_eq!(exits(&["dump", text(&other)]).0, 8);
    assert_eq!(exits(&["sql", text(&other), "select 1"]).0, 8);
    let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n";
    assert_eq!(exits(&["sql", one, endless, "--timeout", "10ms"]).0, 11);
}

#[test]
fn snapshot_refuses_before_it_stops_anything() {
    let files = files();
    let folder = files.folder.path();
    let before = fs::read_dir(folder).unwrap().count();
    let own_pid = std::process::id().to_string();
    let (code, error) = json_failure(&["snapshot", "--pid", &own_pid, "-o", text(&files.one)]);
    assert_eq!((code, error["class"].as_str()), (9, Some("output")));
    let (code, _) = json_failure(&["snapshot", "--pid", &own_pid, "-o", "/no/such/folder/s.db"]);
    assert_eq!(code, 9);
    let new = folder.join("new.db");
    // Linux gives no process a number above 2^22.
    let (code, error) = json_failure(&["snapshot", "--pid", "4999999", "-o", text(&new)]);
    assert_eq!((code, error["class"].as_str()), (3, Some("no_such_process")));
    let (code, error) = json_failure(&["snapshot", "--pid", &own_pid, "-o", text(&new)]);
    assert_eq!((code, error["class"].as_str()), (4, Some("not_go")), "{error}");
    let (code, _) = json_failure(&["snapshot", "--program", "no-program-is-called-so", "-o", text(&new)]);
    assert_eq!(code, 3);
    let core = text(&files.one);
    let (code, error) = json_failure(&["snapshot", "--core", core, "--exe", core, "-o", text(&new)]);
    assert_eq!(code, 8, "{error}");
    assert_eq!(fs::read_dir(folder).unwrap().count(), before, "something was left behind");
}

#[test]
fn apply_adds_what_a_set_makes_or_changes_nothing() {
    let files = files();
    let set = files.folder.path().join("set.toml");
    let write = |text: &str| fs::write(&set, text).unwrap();
    let arguments = ["apply", text(&set), text(&files.one)];
    let waiting = "select goroutine_id, wait_reason from goroutine_list where wait_reason = 'select'";
    let good = format!(
        "[[probe]]\nname = 'later'\nfunction = 'a.B'\n[[redact]]\nfield = '**.Token'\n\
         [[table]]\nname = 'selecting'\nsql = \"{waiting}\"\n\
         [[table]]\nname = 'first_one'\nsql = 'select * from selecting limit 1'\n\
         [[link]]\nname = 'like the first'\nfrom = 'selecting(wait_reason)'\nto = 'first_one(wait_reason)'\nrole = 'blocked by'\n"
    );
    write(&good);
    let output = stillframe(&arguments);
    let count = stdout(&["sql", text(&files.one), "--csv", "select count(*) from selecting"]);
    let selecting: u64 = count.lines().nth(1).unwrap().parse().unwrap();
    assert!(selecting > 2);
    let shown = String::from_utf8(output.stdout).unwrap();
    let words: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    let (all, others) = (selecting.to_string(), (selecting - 1).to_string());
    assert_eq!(words[1], ["table", "selecting", "selecting", &all, "new"]);
    assert_eq!(words[3], ["link", "links", "like", "the", "first", &others, "new"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("not captured: the probes later") && said.contains("nothing was removed"),
        "{said}"
    );
    let again: Value = serde_json::from_str(&stdout(&[&["--json"], &arguments[..]].concat())).unwrap();
    let made = again["made"].as_array().unwrap();
    assert!(made.len() == 3 && made.iter().all(|made| made["replaced"] == true), "{again}");
    assert_eq!((&again["not_captured"][0], &made[2]["rows"]), (&"later".into(), &(selecting - 1).into()));
    let edges = stdout(&["sql", text(&files.one), "--csv", "select count(*) from waits_for"]);
    assert_eq!(edges.lines().nth(1), Some(&others[..]));

    let before = fs::read(&files.one).unwrap();
    let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) as m from n";
    for (set_text, extra, code, message) in [
        (
            "[[table]]\nname = 'a'\nsql = \"attach '/tmp/a' as b\"\n",
            &[][..],
            2,
            ":3:8: table a: not authorized",
        ),
        (
            "[[column]]\ntable = 'a'\nname = 'b'\nsql = '1'\n",
            &[],
            2,
            ":2:10: column a.b: there is no table probe_a",
        ),
        ("[[tabel]]\nname = 'a'\n", &[], 2, ":1:3: tabel: unknown section; did you mean [[table]]?"),
        (
            "[[redact]]\nfield = '**.Token'\n",
            &[],
            2,
            "it has no [[program]], [[column]], [[endpoint]], [[table]] or [[link]]",
        ),
        (
            &format!("[[table]]\nname = 'a'\nsql = '{endless}'\n"),
            &["--timeout", "100ms"],
            11,
            "took longer than 100ms",
        ),
    ] {
        write(set_text);
        let (found, error) = json_failure(&[&arguments[..], extra].concat());
        assert_eq!(found, code, "{set_text}: {error}");
        assert!(error["message"].as_str().unwrap().contains(message), "{set_text}: {error}");
    }
    assert_eq!(json_failure(&["apply", "/no/such.toml", text(&files.one)]).0, 8);
    write(&good);
    assert_eq!(json_failure(&["apply", text(&set), "/no/such.db"]).0, 8);
    assert_eq!(fs::read(&files.one).unwrap(), before);
    assert_eq!(fs::read_dir(files.folder.path()).unwrap().count(), 3);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let files = files();
    for arguments in [["dump", text(&files.many)], ["groups", text(&files.many)]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_stillframe"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn every_help_has_examples_and_exit_codes_are_explained() {
    for verb in [
        "ps",
        "snapshot",
        "groups",
        "dump",
        "sql",
        "doctor",
        "serve",
        "node-credentials",
        "nodes",
        "snapshots",
        "help",
    ] {
        assert!(stdout(&[verb, "--help"]).contains("Examples:\n  "), "{verb}");
        assert!(stdout(&["help", verb]).contains("Examples:\n  "), "{verb}");
    }
    assert!(stdout(&["--help"]).contains("Examples:\n  "));
    let codes = stdout(&["help", "exit-codes"]);
    for code in 0..=12 {
        assert!(codes.lines().any(|line| line.trim_start().starts_with(&format!("{code}  "))), "{code}");
    }
    let json: Value = serde_json::from_str(&stdout(&["help", "exit-codes", "--json"])).unwrap();
    assert_eq!(json["exit_codes"].as_array().unwrap().len(), 12);
}
