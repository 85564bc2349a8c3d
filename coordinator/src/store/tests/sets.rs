//! What probe sets add by SQL: while a snapshot is written, and afterwards; and SQL that means harm.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use stillframe_wire::batch::batches;
use stillframe_wire::facts::{Cell, CellValue, ProbeRow, ProbeTable, ProcessFacts};

use super::values::writer;
use super::{Summary, TempDir, files_in, rows, synthetic};
use crate::probe_sets::{Outline, check, outline};
use crate::store::apply::{self, Applied, ApplyError};
use crate::store::sets::{Budget, derive_ends, derive_rest};

const TIME: Duration = Duration::from_secs(60);

const PROBES: &str = r#"
[[probe]]
name = "lock_wait"
function = "main.wait"
capture = [{ as = "txn_id", expr = "t.ID" }, { as = "age", expr = "t.Age" }, { as = "lock", expr = "addr(t.mu)" }]

[[probe]]
name = "txn"
function = "main.txn"
capture = [{ as = "id", expr = "t.ID" }, { as = "lock", expr = "addr(t.mu)" }]
"#;

const DERIVED: &str = r#"
[[column]]
table = "lock_wait"
name = "age_s"
sql = "age / 1e9"

[[column]]
table = "lock_wait"
name = "is_old"
sql = "age_s > 2.5 -- in seconds"

[[table]]
name = "old_waits"
sql = "select w.goroutine_id, w.txn_id, l.program, w.age_s from probe_lock_wait w join goroutine_list l using (goroutine_id) where is_old order by w.age_s desc"

[[table]]
name = "counted"
sql = "with t as (select txn_id, count(*) as waiters from old_waits group by 1) select * from t"

[[link]]
name = "lock owner"
from = "probe_lock_wait(txn_id)"
to = "probe_txn(id)"
role = "blocked by"

[[link]]
name = "same lock"
from = "probe_lock_wait(lock)"
to = "probe_txn(lock)"
"#;

/// Goroutines 1 to 4 wait for the transaction 7 of the last goroutine, but for the last of them, which waits for another one's.
fn process(pid: u32) -> ProcessFacts {
    let table = |probe: &str, columns: &[&str]| ProbeTable {
        probe: probe.into(),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
    };
    let row = |table, goroutine, values: &[i64]| ProbeRow {
        table,
        goroutine,
        depth: 0,
        cells: values.iter().map(|value| Cell { value: CellValue::Int(*value), ..Cell::default() }).collect(),
    };
    let second = 1_000_000_000;
    ProcessFacts {
        probe_tables: vec![table("lock_wait", &["txn_id", "age", "lock"]), table("txn", &["id", "lock"])],
        probe_rows: vec![
            row(0, 0, &[7, second, 0xc000]),
            row(0, 1, &[7, 3 * second, 0xc000]),
            row(0, 2, &[7, 4 * second, 0xc000]),
            row(0, 3, &[8, 5 * second, 0xc001]),
            row(1, 3, &[8, 0xc001]),
            row(1, 4, &[i64::from(pid), 0xc000]),
        ],
        ..synthetic::process(pid, 10, 3)
    }
}

fn write(set: &str, pids: &[u32]) -> (TempDir, Summary) {
    let (folder, mut writer, host) = writer(set);
    for pid in pids {
        writer.process(host, "test", batches(process(*pid))).unwrap();
    }
    (folder, writer.finish(0).unwrap())
}

/// Everything that a set adds.
fn assert_derived(path: &Path) {
    let types = "select group_concat(name || ' ' || lower(type), ', ') from pragma_table_info";
    assert_eq!(
        rows(path, &format!("{types}('probe_lock_wait')")),
        [
            "goroutine_id integer, process_id integer, depth integer, txn_id integer, age integer, lock integer, \
          age_s real, is_old integer"
        ]
    );
    assert_eq!(
        rows(path, "select goroutine_id, age_s, is_old from probe_lock_wait where process_id = 1"),
        ["1|1|0", "2|3|1", "3|4|1", "4|5|1"]
    );
    assert_eq!(
        rows(path, &format!("{types}('old_waits')")),
        ["goroutine_id integer, txn_id integer, program text, age_s real"]
    );
    assert_eq!(
        rows(path, "select * from old_waits where goroutine_id <= 10"),
        ["4|8|shop|5", "3|7|shop|4", "2|7|shop|3"]
    );
    assert_eq!(rows(path, "select * from counted"), ["7|4", "8|2"]);
    // Process 7 has the transaction 7; of the transaction 8, each waits for the other process's owner, too, but not for itself.
    assert_eq!(
        rows(
            path,
            "select from_goroutine_id, to_goroutine_id, kind, \"any\", confidence from waits_for order by 1, 2"
        ),
        [
            "1|15|lock owner|0|likely",
            "2|15|lock owner|0|likely",
            "3|15|lock owner|0|likely",
            "4|14|lock owner|0|likely",
            "11|15|lock owner|0|likely",
            "12|15|lock owner|0|likely",
            "13|15|lock owner|0|likely",
            "14|4|lock owner|0|likely",
        ]
    );
    assert_eq!(
        rows(
            path,
            "select evidence, role, state from links where client_goroutine_id = 4 and name = 'lock owner'"
        ),
        [r#"{"from":"probe_lock_wait(txn_id)","to":"probe_txn(id)","value":8}|blocked by|NULL"#]
    );
    // Both processes have a lock at this address; they are two.
    assert_eq!(
        rows(
            path,
            "select client_goroutine_id, server_goroutine_id from links where name = 'same lock' order by 1, 2"
        ),
        ["1|5", "2|5", "3|5", "11|15", "12|15", "13|15"]
    );
    assert_eq!(
        rows(path, "select kind, table_name, name from derivations"),
        [
            "column|probe_lock_wait|age_s",
            "column|probe_lock_wait|is_old",
            "link|links|lock owner",
            "link|links|same lock",
            "table|counted|counted",
            "table|old_waits|old_waits",
        ]
    );
    let columns = rows(path, "select columns from about where name = 'probe_lock_wait'").remove(0);
    assert!(columns.ends_with("\nage_s: added by a probe set: age / 1e9\nis_old: added by a probe set: age_s > 2.5 -- in seconds"), "{columns}");
    for example in rows(path, "select example from about") {
        rows(path, &example);
    }
    assert_eq!(rows(path, "select count(*) from about where name in ('old_waits', 'counted')"), ["2"]);
    assert_eq!(rows(path, "pragma quick_check"), ["ok"]);
    let connection = Connection::open(path).unwrap();
    assert!(!connection.prepare("pragma foreign_key_check").unwrap().exists([]).unwrap());
}

#[test]
fn a_snapshot_has_what_its_sets_make() {
    let all = format!("{PROBES}{DERIVED}");
    check(&all).unwrap();
    let (_folder, summary) = write(&all, &[1, 7]);
    assert!(summary.complete);
    assert_eq!(rows(&summary.path, "select count(*) from gaps where what = 'probe set'"), ["0"]);
    assert_derived(&summary.path);
}

fn apply(path: &Path, set: &Outline, time_max: Duration) -> Result<Applied, ApplyError> {
    apply::apply(path, set, time_max, |_| ())?.publish()
}

fn apply_text(path: &Path, text: &str) -> Result<Applied, ApplyError> {
    apply(path, &outline(text).unwrap(), TIME)
}

#[test]
fn a_snapshot_taken_earlier_gets_the_same_and_each_time_the_same() {
    let (folder, summary) = write(PROBES, &[1, 7]);
    let path = &summary.path;
    // As a program wrote it that did not know of sets.
    Connection::open(path)
        .unwrap()
        .execute_batch(
            "drop view waits_for; drop table links; drop table derivations;
             delete from about where name in ('waits_for', 'links', 'derivations')",
        )
        .unwrap();
    let applied = apply_text(path, DERIVED).unwrap();
    assert_derived(path);
    let made: Vec<_> =
        applied.made.iter().map(|made| (made.kind, &made.name[..], made.rows, made.replaced)).collect();
    assert_eq!(
        made,
        [
            ("column", "age_s", 8, false),
            ("column", "is_old", 8, false),
            ("table", "old_waits", 6, false),
            ("table", "counted", 2, false),
            ("link", "lock owner", 8, false),
            ("link", "same lock", 6, false),
        ]
    );
    let again = apply_text(path, DERIVED).unwrap();
    assert!(again.made.iter().all(|made| made.replaced));
    assert_derived(path);
    // Changed, and applied again.
    let changed = apply_text(path, &DERIVED.replace("age_s > 2.5", "age_s > 3.5")).unwrap();
    assert_eq!((changed.made[2].rows, changed.made[2].replaced), (4, true));
    assert_eq!(files_in(folder.path()), ["s.db"]);
    let probe = "[[probe]]\nname = 'other'\nfunction = 'a.B'\n";
    assert_eq!(apply_text(path, probe).unwrap().not_captured, ["other"]);
}

#[test]
fn what_cannot_be_applied_changes_nothing_and_has_its_place() {
    let (folder, summary) = write(PROBES, &[1]);
    let path = &summary.path;
    let before = fs::read(path).unwrap();
    let wrong = "[[column]]\ntable = 'lock_wait'\nname = 'good'\nsql = '1'\n\
                 [[column]]\ntable = 'lock_wait'\nname = 'age'\nsql = '1'\n\
                 [[column]]\ntable = 'none'\nname = 'x'\nsql = '1'\n\
                 [[column]]\ntable = 'lock_wait'\nname = 'y'\nsql = 'agee / 2'\n\
                 [[table]]\nname = 'goroutines'\nsql = 'select 1'\n\
                 [[table]]\nname = 'twice'\nsql = 'select 1 as a, 2 as A'\n\
                 [[table]]\nname = 'late'\nsql = 'select goid, json(header) as j from goroutines'\n\
                 [[link]]\nname = 'l'\nfrom = 'probe_txn(idd)'\nto = 'stacks(stack_id)'\n";
    let Err(ApplyError::Set(errors)) = apply_text(path, wrong) else { panic!("it is wrong") };
    let found: Vec<_> = errors.0.iter().map(|error| (error.line, error.column, error.to_string())).collect();
    for ((line, column, message), (at_line, at_column, said)) in [
        (7, 9, "has a column age already"),
        (10, 10, "there is no table probe_none; the probes are lock_wait, txn"),
        (16, 8, "no such column: agee; probe_lock_wait has the columns goroutine_id, "),
        (18, 9, "a name of Stillframe's own"),
        (22, 8, "two columns are called A"),
        (25, 8, "malformed JSON"),
        (28, 9, "no such column: idd"),
    ]
    .iter()
    .zip(&found)
    {
        assert_eq!((line, column), (at_line, at_column), "{said}");
        assert!(said.contains(message), "{said}");
    }
    assert_eq!(found.len(), 7, "{found:?}");
    assert_eq!(fs::read(path).unwrap(), before);
    assert_eq!(files_in(folder.path()), ["s.db"]);
}

/// Its rows would be taken for those that are made anew each time.
#[test]
fn endpoints_are_not_called_what_their_own_are() {
    let (_folder, summary) = write(PROBES, &[1]);
    let named = |name: &str| {
        format!(
            "[[endpoint]]\nname = '{name}'\nsql = \"select goroutine_id, 'server' as role from goroutines\"\n"
        )
    };
    let wrong = named("waits");
    let Err(ApplyError::Set(errors)) = apply_text(&summary.path, &wrong) else { panic!("it is wrong") };
    assert!(errors.to_string().contains("no set's endpoint can be called waits"), "{errors}");
    assert!(check(&wrong).is_err());
    check(&named("waiting")).unwrap();
}

#[test]
fn sql_that_fails_is_a_gap_and_the_snapshot_is_there() {
    let set = format!(
        "{PROBES}[[column]]\ntable = 'txn'\nname = 'bad'\nsql = \"json('{{' || id)\"\n\
         [[column]]\ntable = 'txn'\nname = 'good'\nsql = 'id + 1'\n\
         [[table]]\nname = 'halfway'\nsql = \"select goid, abs(9223372036854775807 * -1 - (goid = 5)) as a from goroutines\"\n"
    );
    check(&set).unwrap();
    let (_folder, summary) = write(&set, &[1]);
    let path = &summary.path;
    assert!(!summary.complete);
    assert_eq!(rows(path, "select complete from snapshot"), ["0"]);
    assert_eq!(
        rows(path, "select reason from gaps where what = 'probe set' order by gap_id")
            .concat()
            .matches("line ")
            .count(),
        2
    );
    let gaps = rows(path, "select reason from gaps where what = 'probe set' order by gap_id");
    assert!(gaps[0].contains("column txn.bad: malformed JSON"), "{gaps:?}");
    assert!(gaps[1].contains("table halfway: integer overflow"), "{gaps:?}");
    assert_eq!(rows(path, "select name from sqlite_schema where name = 'halfway'"), [""; 0]);
    assert_eq!(rows(path, "select id, good from probe_txn"), ["8|9", "1|2"]);
    assert_eq!(rows(path, "select name from derivations"), ["good"]);
    assert_eq!(rows(path, "pragma integrity_check"), ["ok"]);
}

/// As a column of `txn` and as a table.
fn sections(sql: &str) -> [String; 2] {
    let sql = format!("sql = '''{sql}'''\n");
    [format!("[[column]]\ntable = 'txn'\nname = 'x'\n{sql}"), format!("[[table]]\nname = 'x'\n{sql}")]
}

#[test]
fn hostile_sql_is_refused_before_anything_is_captured() {
    let stolen = tempfile::tempdir().unwrap();
    let file = stolen.path().join("stolen.db").display().to_string();
    let attach = format!("attach '{file}' as a");
    let vacuum = format!("vacuum into '{file}'");
    for sql in [
        &attach[..],
        &vacuum[..],
        "select load_extension('x')",
        "select writefile('x', 'y')",
        "select readfile('/etc/passwd')",
        "select fts3_tokenizer('simple')",
        "select random()",
        "select edit('x')",
        "pragma query_only = off",
        "pragma table_info(goroutines)",
        "select * from pragma_table_info('goroutines')",
        "select * from sqlite_schema",
        "select * from dbstat",
        "select * from stillframe_results",
        "delete from goroutines",
        "delete from goroutines returning 1",
        "insert into gaps values (1, 1, 1, 1, '', '')",
        "with a as (select 1) insert into gaps select 1, 1, 1, 1, '', '' from a",
        "update goroutines set goid = 1",
        "create table y as select 1",
        "create temp table y (z)",
        "create trigger y after insert on links begin select 1; end",
        "drop table goroutines",
        "alter table goroutines rename to y",
        "begin",
        "commit",
        "reindex",
        "analyze",
        "explain select 1",
        "explain query plan select 1",
        "select 1; select 2",
        "select 1; drop table goroutines",
        "select ?1",
        "-- nothing",
        "selec 1",
        "select \"no such column\" from goroutines",
        "select group_concat(1) over (rows nonsense)",
    ] {
        for section in sections(sql) {
            let errors = check(&format!("{PROBES}{section}")).expect_err(sql).0;
            assert!(
                errors.len() == 1 && errors[0].line >= 12 && !errors[0].help.is_empty(),
                "{sql}: {errors:?}"
            );
        }
    }
    for sql in [
        "1) from probe_txn, (select 1",
        "max(id)",
        "sum(id) over ()",
        "(1, 2)",
        "*",
        "",
        "id, id",
        "id as y",
        "x + 1",
    ] {
        let [column, _] = sections(sql);
        assert!(check(&format!("{PROBES}{column}")).is_err(), "{sql}");
    }
    assert_eq!(files_in(stolen.path()), [""; 0]);
    for sql in [
        "select * from json_each('[1]')",
        "select a.value ->> 'b' as c from json_each('[{}]') a",
        "values (1)",
    ] {
        let [_, table] = sections(sql);
        check(&format!("{PROBES}{table}")).unwrap_or_else(|errors| panic!("{sql}: {errors}"));
    }
    for sql in [
        "(select max(t.id) from probe_txn t)",
        "case when id > 1 then 'a)' end",
        "exists (select 1 from waits_for)",
    ] {
        let [column, _] = sections(sql);
        check(&format!("{PROBES}{column}")).unwrap_or_else(|errors| panic!("{sql}: {errors}"));
    }
}

#[test]
fn sql_without_end_and_huge_results_are_stopped() {
    let (folder, summary) = write(PROBES, &[1]);
    let path = &summary.path;
    let before = fs::read(path).unwrap();
    let numbers = "with recursive n(i) as (select 1 union all select i + 1 from n";
    for (sql, message) in [
        (format!("{numbers}) select max(i) as m from n"), "took longer than"),
        (format!("{numbers}) select i from n"), "took longer than"),
        ("select count(*) as c from stack_frames a, stack_frames b, stack_frames c, stack_frames d, stack_frames e, stack_frames f".to_owned(), "took longer than"),
        ("select hex(zeroblob(2000000)) as h".to_owned(), "more than 2097152 bytes"),
        ("select replace(hex(zeroblob(500000)), '0', '0000') as h".to_owned(), "more than 2097152 bytes"),
        (format!("{numbers} limit 100000) select group_concat(hex(zeroblob(1000))) as h from n"), "more than 2097152 bytes"),
    ] {
        let [_, table] = sections(&sql);
        check(&table).unwrap_or_else(|errors| panic!("{sql}: {errors}"));
        let set = outline(&table).unwrap();
        let Err(ApplyError::Limit(errors)) = apply(path, &set, Duration::from_millis(300)) else { panic!("{sql}") };
        assert!(errors.to_string().contains(message), "{sql}: {errors}");
    }
    assert_eq!(fs::read(path).unwrap(), before);
    assert_eq!(files_in(folder.path()), ["s.db"]);

    let limited = |sql: &str, rows, bytes| {
        let [_, table] = sections(sql);
        let mut connection = Connection::open(path).unwrap();
        let mut budget = Budget::new(TIME).with(rows, bytes);
        let (set, of_file) = (outline(&table).unwrap(), Outline::default());
        let mut outcome = derive_ends(&mut connection, &set, &of_file, &mut budget).unwrap();
        derive_rest(&mut connection, &set, &of_file, &mut budget, &mut outcome).unwrap();
        outcome.failed.into_iter().map(|error| error.message).collect::<Vec<_>>()
    };
    let ten = format!("{numbers} limit 10) select i, 'text' as t from n");
    assert_eq!(limited(&ten, 9, 1_000), ["more than 9 rows"]);
    assert_eq!(limited(&ten, 10, 199), ["all that the set adds has more than 199 bytes"]);
    assert_eq!(limited(&ten, 10, 200), [""; 0]);
    // The limits of one are not those of the next.
    let connection = Connection::open(path).unwrap();
    assert_eq!(connection.query_row("select count(*) from x", [], |row| row.get::<_, i64>(0)).unwrap(), 10);
}

#[test]
fn columns_that_only_the_capture_knows_are_no_mistakes() {
    let set = "[[probe]]\nname = 'open'\nfunction = 'a.B'\n\
               [[column]]\ntable = 'open'\nname = 'x'\nsql = 'req * 2'\n\
               [[table]]\nname = 'reqs'\nsql = 'select req from probe_open'\n\
               [[table]]\nname = 'more'\nsql = 'select req, goroutine_id from reqs'\n\
               [[link]]\nname = 'l'\nfrom = 'probe_open(req)'\nto = 'more(req)'\n";
    check(set).unwrap();
    for (good, bad, message) in [
        ("req * 2", "req * ", "syntax error"),
        ("from probe_open", "from probe_opn", "no such table: probe_opn"),
        ("select req from probe_open", "select goidd from goroutines", "no such column: goidd"),
        ("to = 'more(req)'", "to = 'goroutines(req)'", "no such column: req"),
    ] {
        let errors = check(&set.replace(good, bad)).expect_err(bad);
        assert!(errors.to_string().contains(message), "{bad}: {errors}");
    }
}

#[test]
fn files_that_do_more_than_hold_rows_are_not_touched() {
    let (_folder, summary) = write(PROBES, &[1]);
    let path = &summary.path;
    let [_, table] = sections("select 1 as a");
    fs::write(path.with_file_name("s.db-wal"), "x").unwrap();
    assert!(matches!(apply_text(path, &table), Err(ApplyError::InUse { .. })));
    fs::remove_file(path.with_file_name("s.db-wal")).unwrap();
    let harm = "create trigger harm after insert on derivations begin delete from goroutines; end";
    Connection::open(path).unwrap().execute_batch(harm).unwrap();
    let before = fs::read(path).unwrap();
    assert!(matches!(apply_text(path, &table), Err(ApplyError::Foreign { .. })));
    assert_eq!(fs::read(path).unwrap(), before);
    fs::write(path, "no snapshot").unwrap();
    assert!(matches!(apply_text(path, &table), Err(ApplyError::Read(_))));
    assert!(matches!(apply_text(Path::new("/no/such/file"), &table), Err(ApplyError::Read(_))));
}
