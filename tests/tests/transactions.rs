//! A report that is built from a probe set alone: active transactions of a program that is shaped like a database, who waits
//! for whose lock by transaction id, and links both ways. The program says itself what is so. See
//! `tests/programs/transactions`, whose `report.toml` is the set.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use stillframe_tests::captured::rows;
use stillframe_tests::programs::Program;
use stillframe_tests::stillframe::run;

/// What the set does not take of a transaction.
const SECRET: &[u8] = b"secret payload";

#[test]
fn the_report_is_what_the_program_says() {
    let folder = tempfile::tempdir().unwrap();
    let set = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs/transactions/report.toml");
    for program in Program::some("transactions") {
        let (mut child, truth) = Truth::of(&mut program.command());
        let pid = child.id().to_string();
        let file = folder.path().join(format!("{program}.db"));
        let paths = [&set, &file].map(|path| path.to_str().unwrap());
        let ran =
            run(&["snapshot", "--max-pause", "5s", "--pid", &pid, "--probes", paths[0], "-o", paths[1]]);
        child.kill().and_then(|()| child.wait()).expect("the program is ended");
        assert_eq!(ran.code, Some(0), "{program}: {}", ran.stderr);
        truth.compare(&program, &file);
        // Applied again to the file, the set makes the same of what was captured.
        let ran = run(&["apply", paths[0], paths[1]]);
        assert_eq!(ran.code, Some(0), "{program}: {}", ran.stderr);
        truth.compare(&program, &file);
        println!("{program}: {} transactions, {} waits", truth.transactions.len(), truth.waits.len());
    }
}

#[test]
fn sets_compose_and_what_two_claim_is_told_with_both_places() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let probe = "[[probe]]\nname = 'txn'\nfunction = 'main.(*session).execute'\ncapture = ['txn.meta.ID']\n";
    let one = file("one.toml", probe);
    let two = file("two.toml", &format!("# another team's\n{probe}"));
    let [one, two] = [&one, &two].map(|path| path.to_str().unwrap());
    let ran = run(&["snapshot", "--all", "--probes", one, "--probes", two, "-o", "/nowhere/s.db"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("two.toml:3") && ran.stderr.contains("one.toml:2"), "{}", ran.stderr);
    let pack = file("pack.toml", "[[probe]]\nname = 'redis'\nfunction = 'main.main'\n");
    let ran = run(&["snapshot", "--all", "--probes", pack.to_str().unwrap(), "-o", "/nowhere/s.db"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("pack.toml:2") && ran.stderr.contains("pack redis:"), "{}", ran.stderr);
}

/// What the program says of itself.
#[derive(Default)]
struct Truth {
    node: String,
    /// By id: name and priority.
    transactions: BTreeMap<String, (String, i64)>,
    /// Who waits for whom, and for which key.
    waits: BTreeSet<(String, String, String)>,
}

impl Truth {
    fn of(command: &mut Command) -> (Child, Truth) {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut truth = Truth::default();
        for line in BufReader::new(child.stdout.take().expect("its output")).lines() {
            let line = line.expect("its output can be read");
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["ready", _] => return (child, truth),
                ["node", node] => truth.node = node.to_owned(),
                ["transaction", id, name, priority] => {
                    let priority = priority.parse().expect("a priority is a number");
                    truth.transactions.insert(id.to_owned(), (name.to_owned(), priority));
                }
                ["wait", who, whom, key] => {
                    truth.waits.insert((who.to_owned(), whom.to_owned(), key.to_owned()));
                }
                _ => panic!("no line of the program: {line}"),
            }
        }
        let ended = child.wait().expect("it has ended");
        panic!("the program has ended: {ended}");
    }

    fn compare(&self, program: &Program, file: &Path) {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let report = rows(
            file,
            "select id, name, priority, instance, is_waiting, lock_key, holder_id from active_transactions",
        );
        let active: BTreeMap<String, (String, i64)> = report
            .iter()
            .map(|row| {
                assert_eq!(row["instance"], self.node.as_str(), "{program}");
                let name = text(&row["name"]).unwrap_or_else(|| panic!("{program}: {row}"));
                (text(&row["id"]).unwrap_or_default(), (name, row["priority"].as_i64().unwrap_or(-1)))
            })
            .collect();
        assert_eq!(active, self.transactions, "{program}");
        let waits: BTreeSet<(String, String, String)> = report
            .iter()
            .filter(|row| row["is_waiting"] == 1)
            .filter_map(|row| Some((text(&row["id"])?, text(&row["holder_id"])?, text(&row["lock_key"])?)))
            .collect();
        assert_eq!(waits, self.waits, "{program}");

        // Both ways: from the goroutine that waits to the one that holds, and back.
        let ids = "(select goroutine_id, max(id) as id from probe_txn group by goroutine_id)";
        for (from, to) in [("from_goroutine_id", "to_goroutine_id"), ("to_goroutine_id", "from_goroutine_id")]
        {
            let query = format!(
                "select f.id as \"from\", t.id as \"to\" from waits_for w join {ids} f on f.goroutine_id = w.{from}
                 join {ids} t on t.goroutine_id = w.{to} where w.kind = 'lock owner'"
            );
            let edges: BTreeSet<(String, String)> = rows(file, &query)
                .iter()
                .map(|row| (text(&row["from"]).unwrap_or_default(), text(&row["to"]).unwrap_or_default()))
                .map(|(one, other)| if from.starts_with("from") { (one, other) } else { (other, one) })
                .collect();
            let wanted: BTreeSet<(String, String)> =
                self.waits.iter().map(|(who, whom, _)| (who.clone(), whom.clone())).collect();
            assert_eq!(edges, wanted, "{program}: {from}");
        }

        // What the type's rule chooses, and nothing else of it.
        for row in rows(file, "select id, name, meta from probe_txn where meta is not null") {
            let meta: Value = serde_json::from_str(row["meta"].as_str().expect("JSON")).expect("JSON");
            assert_eq!(meta, serde_json::json!({ "ID": row["id"], "Name": row["name"] }), "{program}");
        }
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(SECRET.len()).any(|window| window == SECRET), "{program}");
        let named = rows(file, "select program, environment, instance from processes");
        let wanted =
            serde_json::json!({ "program": "database", "environment": "test", "instance": self.node });
        assert_eq!(named, [wanted], "{program}");
    }
}
