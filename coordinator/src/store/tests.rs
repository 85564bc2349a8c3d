//! The store as a whole: what goes in comes out, and nothing is left behind by what fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use stillframe_wire::batch::batches;
use stillframe_wire::facts::{Completeness, EnvironmentFits, PauseWindow, ProcessFacts, Since, SinceSource};
use tempfile::TempDir;

use super::about::ABOUT;
use super::order::{ClockBound, Existing, LostProcess, SnapshotMeta, Summary, WriteError};
use super::reader::{GoroutineSelector, GroupFilter, ProcessFilter, ReadError, Snapshot};
use super::writer::SnapshotWriter;
use super::{QueryError, QueryLimits, QueryOutcome, RowSink, Value};

mod disk;
mod links;
mod sets;
mod stream;
mod values;

#[path = "../../tests/synthetic/captured.rs"]
mod captured;
#[path = "../../tests/synthetic/mod.rs"]
mod synthetic;

const LIMITS: QueryLimits = QueryLimits { rows_max: None, time_max: None };

fn meta() -> SnapshotMeta {
    SnapshotMeta {
        id: "0199-test".into(),
        label: Some("a label".into()),
        taken_at_unix_ns: 7,
        requested_by: Some("somebody".into()),
        tool_version: "0.1.0".into(),
        selector: "--all".into(),
        probes: None,
    }
}

fn write(path: &Path, processes: &[ProcessFacts]) -> Summary {
    let mut writer = SnapshotWriter::create(path, Existing::Refuse, meta()).unwrap();
    let host = writer.host(&synthetic::host(), ClockBound::default()).unwrap();
    for process in processes {
        writer.process(host, "test", batches(process.clone())).unwrap();
    }
    writer.finish(99).unwrap()
}

/// A folder with `s.db`.
fn folder_with(processes: &[ProcessFacts]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    write(&path, processes);
    (folder, path)
}

fn files_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Rows as text, columns joined by `|`.
#[derive(Default)]
struct Rows(Vec<String>);

impl RowSink for Rows {
    fn columns(&mut self, _: &[String]) -> std::io::Result<()> {
        Ok(())
    }

    fn row(&mut self, values: &[Value]) -> std::io::Result<()> {
        let text = |value: &Value| match value {
            Value::Null => "NULL".to_owned(),
            Value::Integer(integer) => integer.to_string(),
            Value::Real(real) => real.to_string(),
            Value::Text(text) => text.clone(),
            Value::Blob(blob) => format!("{blob:?}"),
        };
        self.0.push(values.iter().map(text).collect::<Vec<_>>().join("|"));
        Ok(())
    }
}

fn rows(path: &Path, sql: &str) -> Vec<String> {
    let mut rows = Rows::default();
    Snapshot::open(path)
        .unwrap()
        .query(sql, &LIMITS, &mut rows)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.0
}

#[test]
fn every_table_and_view_is_documented_and_its_example_runs() {
    let (_folder, path) = folder_with(&[synthetic::process(4711, 100, 10)]);
    let connection = Connection::open(&path).unwrap();
    let names = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let mut in_schema =
        names("select name from sqlite_schema where type in ('table', 'view') and name not like 'sqlite_%'");
    let mut documented: Vec<String> = ABOUT.iter().map(|about| about.name.to_owned()).collect();
    in_schema.sort();
    documented.sort();
    assert_eq!(in_schema, documented);
    for about in ABOUT {
        let columns = names(&format!("select name from pragma_table_info('{}')", about.name));
        assert_eq!(
            columns,
            about.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            "{}",
            about.name
        );
        rows(&path, about.example);
    }
    assert_eq!(names("select name from about").len(), ABOUT.len());
}

#[test]
fn what_goes_in_comes_out() {
    let facts = synthetic::process(4711, 200, 20);
    let (_folder, path) = folder_with(std::slice::from_ref(&facts));
    assert_eq!(rows(&path, "pragma quick_check"), ["ok"]);
    assert_eq!(rows(&path, "pragma user_version"), ["1"]);
    assert_eq!(
        rows(&path, "select * from snapshot"),
        ["0199-test|a label|1760000100000400000|somebody|0.1.0|--all|NULL|1|1|2000000|99"]
    );
    assert_eq!(rows(&path, "select * from hosts"), ["1|node-1|6.12.0|amd64|0.1.0|0|0|complete|NULL|b007"]);
    assert_eq!(
        rows(
            &path,
            "select pid, ns_pid, program, main_module, build_id, goroutines, pause_ns, frozen_ns, state, pod from processes"
        ),
        ["4711|1|shop|example.com/shop v1.2.3|b1d|200|2500000|2000000|complete|NULL"]
    );
    assert_eq!(
        rows(
            &path,
            "select name, symbol, package, file, start_line, is_standard_library from functions where function_id = 6"
        ),
        ["main.worker[...]|main.worker[go.shape.int]|main|/src/shop/main.go|60|0"]
    );
    assert_eq!(
        rows(
            &path,
            "select s.build_id, s.depth, s.stop_reason, f.name, s.group_id = s.stack_id, s.text from stacks s join functions f on f.function_id = s.user_function_id where s.stack_id = 1"
        ),
        [
            "b1d|9|complete|main.main|1|main.main main.go:7\nmain.worker[...] main.go:0\nmain.worker[...] main.go:1\n\
          main.worker[...] main.go:2\nmain.worker[...] main.go:3\nexample.com/shop/raft.(*Node).run node.go:600"
        ]
    );
    assert_eq!(
        rows(
            &path,
            "select depth, f.name, s.file, line, inlined, shown, pc, function_offset from stack_frames s join functions f using (function_id) where stack_id = 1 and depth in (0, 2)"
        ),
        [
            "0|runtime.gopark|/go/src/runtime/proc.go|402|0|0|402|29",
            "2|main.main|/src/shop/main.go|7|1|1|1543|29"
        ]
    );
    assert_eq!(
        rows(
            &path,
            "select goid, status, wait_reason, blocked_since_after_unix_ns, born_source, stack_id, parent_goid, c.name, created_by_line, go_statement_id, b.name, thread_id, on_cpu, is_system, labels, header, arguments from goroutines join functions c on c.function_id = created_by_function_id join functions b on b.function_id = start_function_id where goid = 2"
        ),
        [
            "2|waiting|chan receive|NULL|NULL|2|1|main.main|21|1|main.worker[...]|NULL|0|0|{\"request\":\"a \\\"b\\\"\"}|[chan receive, 2 minutes]|0x1, 0x2\n0xc000012345\n\n{0xc000012345, 0x6}, 0x7?"
        ]
    );
    assert_eq!(rows(&path, "select * from go_statements"), ["1|7|/src/shop/main.go|21|42|1"]);
    assert_eq!(
        rows(&path, "select goroutine_id, what, reason from gaps order by gap_id"),
        ["2|labels|budget", "NULL|registers|thread 7 did not stop"]
    );
    assert_eq!(rows(&path, "select count(*) from goroutines"), ["200"]);
    assert_eq!(
        rows(
            &path,
            "select host, pid, goid, blocked_s_min, user_function, is_system from goroutine_list where goroutine_id = 200"
        ),
        ["node-1|4711|200|NULL|NULL|1"]
    );
    assert_eq!(
        rows(&path, "select count(*), sum(goroutines), sum(system_goroutines) from stack_groups"),
        ["21|200|1"]
    );
    // Half of a synthetic request loop's goroutines are none of the jobs.
    assert_eq!(
        rows(&path, "select count(*), min(start_function), min(\"values\") from background_jobs"),
        ["20|main.worker[...]|{}"]
    );
}

#[test]
fn bounds_are_written_as_they_came() {
    let mut process = synthetic::process(4711, 10, 1);
    let since = |after_unix_ns, before_unix_ns, source| Some(Since { after_unix_ns, before_unix_ns, source });
    process.goroutines[2].blocked = since(Some(5), Some(7), SinceSource::WatchedAndCopied);
    process.goroutines[2].born = since(None, Some(4), SinceSource::Ids);
    let (_folder, path) = folder_with(&[process.clone()]);
    assert_eq!(
        rows(
            &path,
            "select goid, blocked_since_after_unix_ns, blocked_since_before_unix_ns, blocked_source,
                 born_after_unix_ns, born_before_unix_ns, born_source
             from goroutines where blocked_source is not null or born_source is not null"
        ),
        ["3|5|7|watched; this snapshot's copy before the stop|NULL|4|watched: which ids were given out"]
    );
    process.goroutines[2].born = since(Some(5), Some(4), SinceSource::Ids);
    assert!(super::defect::goroutine(&process.goroutines[2]).is_err());
}

/// What serves a stream of HTTP/2 was started for it; a connection's goroutine and a worker were not.
#[test]
fn requests_are_as_old_as_the_goroutines_that_were_started_for_them() {
    let (_folder, path) = folder_with(&[synthetic::process(4711, 10, 1)]);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "update goroutines set born_before_unix_ns = 1760000100000400000 - 3000000000, born_source = 'x'
                 where goid in (1, 2, 3, 4);
             insert into endpoints (goroutine_id, role, protocol, source)
                 select goroutine_id, 'server', case goid when 1 then 'http1' else 'grpc' end, 'test'
                 from goroutines where goid <= 5;
             update endpoints set started_unix_ns = 1760000100000400000 - 1000000000, started_source = 'y'
                 where goroutine_id = 2;
             insert into stacks (stack_id, build_id, depth, stop_reason, group_id, text)
                 select 999, build_id, depth, stop_reason, group_id,
                     'google.golang.org/grpc.(*Server).serverWorker server.go:1' from stacks limit 1;
             update goroutines set stack_id = 999 where goid = 4;",
        )
        .unwrap();
    assert_eq!(
        rows(&path, "select goroutine_id, age_s, age_source from requests_in_flight order by 1"),
        [
            "1|NULL|unknown: its goroutine was not started for this request",
            "2|1|y",
            "3|3|at least; the start of its goroutine: x",
            "4|NULL|unknown: its goroutine is a worker of the server",
            "5|NULL|unknown: the policy of its node does not let processes be watched, or not for long enough",
        ]
    );
}

#[test]
fn ages_count_to_the_moment_of_the_stop() {
    let (_folder, path) = folder_with(&[synthetic::process(4711, 10, 1)]);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "update goroutines set blocked_since_after_unix_ns = 1760000100000400000 - 410000000000,
                 blocked_since_before_unix_ns = 1760000100000400000 - 400000000000,
                 born_before_unix_ns = 1760000100000400000 - 500000000000 where goid = 3",
        )
        .unwrap();
    assert_eq!(
        rows(
            &path,
            "select goid, blocked_s_min, blocked_s_max, age_s_min, age_s_max from goroutine_list where blocked_s_min > 300 and stack like '%raft%'"
        ),
        ["3|400|410|500|NULL"]
    );
    assert_eq!(
        rows(&path, "select blocked_s_max from stack_groups where user_function is not null"),
        ["410"]
    );
}

#[test]
fn processes_of_one_build_share_stacks_and_other_builds_share_groups() {
    let mut other_build = synthetic::process(3, 100, 10);
    other_build.build_id = "other".into();
    let all = [synthetic::process(1, 100, 10), synthetic::process(2, 100, 10), other_build];
    let (_folder, path) = folder_with(&all);
    assert_eq!(rows(&path, "select count(*), count(distinct group_id) from stacks"), ["22|11"]);
    assert_eq!(rows(&path, "select count(*) from functions"), ["7"]);
    assert_eq!(rows(&path, "select max(processes), sum(goroutines) from stack_groups"), ["3|300"]);

    let snapshot = Snapshot::open(&path).unwrap();
    let groups = snapshot.groups(&GroupFilter::default()).unwrap();
    assert_eq!((groups.groups_total, groups.goroutines_total), (10, 297));
    assert_eq!((groups.groups[0].goroutines, groups.groups[0].processes), (30, 3));
    let reasons: i64 = groups.groups[0].wait_reasons.iter().map(|reason| reason.goroutines).sum();
    assert_eq!(reasons, 30);

    let of_one = ProcessFilter { pid: Some(2), program: Some("sh*".into()) };
    let filter =
        GroupFilter { process: of_one, text: Some("RAFT".into()), with_system: true, limit: Some(1) };
    let groups = snapshot.groups(&filter).unwrap();
    assert_eq!((groups.groups_total, groups.goroutines_total, groups.groups.len()), (1, 10, 1));
    let none = GroupFilter { text: Some("ra_t".into()), ..GroupFilter::default() };
    assert_eq!(snapshot.groups(&none).unwrap().groups_total, 0);
}

#[test]
fn goroutines_are_read_in_order_and_by_number() {
    let (_folder, path) = folder_with(&[synthetic::process(1, 50, 10), synthetic::process(2, 50, 10)]);
    let snapshot = Snapshot::open(&path).unwrap();
    let read = |selector, with_system| {
        let mut ids = Vec::new();
        let mut visit = |goroutine: &super::reader::StackedGoroutine| {
            ids.push((goroutine.goroutine_id, goroutine.goid, goroutine.stack.frames.len()));
            Ok(())
        };
        snapshot.goroutines(2, selector, with_system, &mut visit).unwrap();
        ids
    };
    assert_eq!(read(None, false).len(), 49);
    assert_eq!(read(None, true).last(), Some(&(100, 50, 2)));
    assert_eq!(read(Some(GoroutineSelector::Goid(7)), false), [(57, 7, 9)]);
    assert_eq!(read(Some(GoroutineSelector::Id(57)), false), [(57, 7, 9)]);
    assert_eq!(read(Some(GoroutineSelector::Id(7)), false), []);
}

#[test]
fn a_deep_stack_keeps_all_frames_and_elides_text() {
    let mut facts = synthetic::process(1, 2, 1);
    let frame = facts.stacks[0].frames[3];
    facts.stacks[0].frames = vec![frame; 1_500];
    let (_folder, path) = folder_with(&[facts]);
    assert_eq!(rows(&path, "select count(*) from stack_frames where stack_id = 1"), ["1500"]);
    let text = &rows(&path, "select text from stacks where stack_id = 1")[0];
    assert_eq!(text.lines().count(), 1_001);
    assert_eq!(text.lines().nth(500), Some("...500 frames elided..."));
    assert!(!text.contains("\n\n"));
}

#[test]
fn the_cut_is_what_all_windows_share_without_the_clock_error() {
    let window = |start, length| {
        let pause = PauseWindow { frozen_start_unix_ns: start, frozen_ns: length, ..PauseWindow::default() };
        ProcessFacts { pause: Some(pause), ..synthetic::process(1, 2, 1) }
    };
    let cut = |processes: &[ProcessFacts], error_ns| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.db");
        let mut writer = SnapshotWriter::create(&path, Existing::Refuse, meta()).unwrap();
        let host = writer.host(&synthetic::host(), ClockBound { offset_ns: 1_000, error_ns }).unwrap();
        for process in processes {
            writer.process(host, "test", batches(process.clone())).unwrap();
        }
        writer.finish(0).unwrap();
        rows(&path, "select consistent_cut, cut_overlap_ns, taken_at_unix_ns from snapshot").remove(0)
    };
    assert_eq!(cut(&[window(100, 50), window(120, 100)], 0), "1|30|1120");
    assert_eq!(cut(&[window(100, 50), window(120, 100)], 20), "0|-10|1120");
    assert_eq!(cut(&[window(100, 50), window(200, 100)], 0), "0|-50|1200");
    let core = ProcessFacts { pause: None, ..window(0, 0) };
    assert_eq!(cut(std::slice::from_ref(&core), 0), "1|NULL|7");
    assert_eq!(cut(&[core, window(100, 50)], 0), "0|NULL|1100");
}

#[test]
fn what_is_missing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut writer = SnapshotWriter::create(&path, Existing::Refuse, meta()).unwrap();
    let host = writer.host(&synthetic::host(), ClockBound::default()).unwrap();
    let partial = ProcessFacts {
        environment: EnvironmentFits::NotAsked,
        completeness: Completeness::Partial,
        reason: Some("budget".into()),
        ..synthetic::process(1, 10, 2)
    };
    writer.process(host, "test", batches(partial)).unwrap();
    let lost = LostProcess { pid: 5, program: "gone".into(), reason: "it exited".into() };
    writer.lost_process(host, &lost).unwrap();
    let summary = writer.finish(0).unwrap();
    assert!(!summary.complete);
    assert_eq!((summary.processes.len(), summary.gaps), (2, 3));
    assert_eq!(rows(&path, "select complete, consistent_cut from snapshot"), ["0|1"]);
    assert_eq!(rows(&path, "select state from hosts"), ["partial"]);
    assert_eq!(
        rows(&path, "select pid, state, reason from processes"),
        ["1|partial|budget", "5|failed|it exited"]
    );
    assert_eq!(
        rows(
            &path,
            "select p.pid, what, g.reason from gaps g join processes p using (process_id) where what = 'process'"
        ),
        ["5|process|it exited"]
    );
}

#[test]
fn nothing_is_left_of_a_snapshot_that_is_not_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut writer = SnapshotWriter::create(&path, Existing::Refuse, meta()).unwrap();
    let host = writer.host(&synthetic::host(), ClockBound::default()).unwrap();
    writer.process(host, "test", batches(synthetic::process(1, 20_000, 10))).unwrap();
    assert_eq!(files_in(folder.path()).len(), 1, "a temporary file, and no s.db");
    assert!(!path.exists());
    drop(writer);
    assert_eq!(files_in(folder.path()), [""; 0]);
}

#[test]
fn an_existing_file_is_only_replaced_when_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    fs::write(&path, "precious").unwrap();
    let refused = SnapshotWriter::create(&path, Existing::Refuse, meta()).err();
    assert!(matches!(refused, Some(WriteError::Exists { .. })), "{refused:?}");

    // It appears while the snapshot is taken.
    fs::remove_file(&path).unwrap();
    let mut writer = SnapshotWriter::create(&path, Existing::Refuse, meta()).unwrap();
    writer.host(&synthetic::host(), ClockBound::default()).unwrap();
    fs::write(&path, "precious").unwrap();
    let refused = writer.finish(0).err();
    assert!(matches!(refused, Some(WriteError::Exists { .. })), "{refused:?}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    assert_eq!(files_in(folder.path()), ["s.db"]);

    let mut writer = SnapshotWriter::create(&path, Existing::Replace, meta()).unwrap();
    writer.host(&synthetic::host(), ClockBound::default()).unwrap();
    writer.finish(0).unwrap();
    assert_eq!(rows(&path, "select count(*) from hosts"), ["1"]);
    assert_eq!(files_in(folder.path()), ["s.db"]);
}

#[test]
fn an_output_that_cannot_be_written_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let create = |path: &Path| SnapshotWriter::create(path, Existing::Replace, meta()).err();
    for path in
        [folder.path().join("no/such/folder/s.db"), PathBuf::from("/proc/s.db"), folder.path().to_owned()]
    {
        let error = create(&path);
        assert!(matches!(error, Some(WriteError::Output { .. })), "{path:?}: {error:?}");
    }
}

#[test]
fn only_snapshots_are_opened() {
    let (folder, path) = folder_with(&[synthetic::process(1, 2_000, 500)]);
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let open = |path: &Path| Snapshot::open(path).err().unwrap();
    assert!(matches!(open(Path::new("/no/such/file")), ReadError::Open { .. }));
    assert!(matches!(open(folder.path()), ReadError::NotASnapshot { .. }));
    assert!(matches!(open(&file("empty", b"")), ReadError::NotASnapshot { .. }));
    assert!(matches!(open(&file("text", &[b'x'; 10_000])), ReadError::NotASnapshot { .. }));

    let other = folder.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("create table t (x)").unwrap();
    assert!(matches!(open(&other), ReadError::NotASnapshot { .. }));

    let newer = folder.path().join("newer.db");
    fs::copy(&path, &newer).unwrap();
    Connection::open(&newer).unwrap().execute_batch("pragma user_version = 2").unwrap();
    assert!(matches!(open(&newer), ReadError::Newer { found: 2, .. }));

    let whole = fs::read(&path).unwrap();
    for length in [100, 8_192, whole.len() / 2] {
        let cut = file("cut.db", &whole[..length]);
        let error = Snapshot::open(&cut).and_then(|snapshot| snapshot.groups(&GroupFilter::default())).err();
        assert!(
            matches!(error, Some(ReadError::Damaged { .. } | ReadError::NotASnapshot { .. })),
            "{length}: {error:?}"
        );
    }
}

fn query(path: &Path, sql: &str, limits: &QueryLimits) -> Result<QueryOutcome, QueryError> {
    Snapshot::open(path).unwrap().query(sql, limits, &mut Rows::default())
}

#[test]
fn statements_only_read() {
    let (folder, path) = folder_with(&[synthetic::process(1, 10, 2)]);
    let before = fs::read(&path).unwrap();
    let stolen = folder.path().join("stolen.db");
    for sql in [
        "delete from goroutines",
        "insert into hosts values (9, 'x', '', '', '', 0, 0, '', '')",
        "create table t (x)",
        "create temp table t (x)",
        "drop view goroutine_list",
        "pragma query_only = off",
        "pragma journal_mode = wal",
        "pragma user_version = 7",
        "begin",
        "analyze",
        "reindex",
        "vacuum",
        &format!("vacuum into '{}'", stolen.display()),
        &format!("attach '{}' as a", stolen.display()),
        "select load_extension('x')",
    ] {
        let result = query(&path, sql, &LIMITS);
        assert!(matches!(result, Err(QueryError::Writes(_) | QueryError::Invalid(_))), "{sql}: {result:?}");
    }
    assert!(matches!(query(&path, "select 1; select 2", &LIMITS), Err(QueryError::Several)));
    assert!(matches!(query(&path, " -- nothing", &LIMITS), Err(QueryError::Empty)));
    assert!(matches!(query(&path, "selec 1", &LIMITS), Err(QueryError::Invalid(_))));
    assert!(query(&path, "explain query plan select * from stack_groups", &LIMITS).is_ok());
    assert!(query(&path, "select name from pragma_table_info('goroutines')", &LIMITS).is_ok());
    assert!(query(&path, "with recursive n(i) as (select 1 union all select i + 1 from n limit 5) select json_group_array(i) from n", &LIMITS).is_ok());
    assert_eq!(files_in(folder.path()), ["s.db"]);
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn statements_are_bounded() {
    let (_folder, path) = folder_with(&[synthetic::process(1, 100, 2)]);
    let limits = QueryLimits { rows_max: Some(10), time_max: Some(Duration::from_secs(60)) };
    let outcome = query(&path, "select * from goroutines", &limits).unwrap();
    assert_eq!(outcome, QueryOutcome { rows: 10, cut: true });
    let outcome = query(&path, "select * from goroutines limit 10", &limits).unwrap();
    assert_eq!(outcome, QueryOutcome { rows: 10, cut: false });

    let endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select max(i) from n";
    let limits = QueryLimits { rows_max: None, time_max: Some(Duration::from_millis(20)) };
    assert!(matches!(query(&path, endless, &limits), Err(QueryError::Timeout(_))));
    let huge = "select length(zeroblob(900000000) || zeroblob(900000000))";
    assert!(query(&path, huge, &LIMITS).is_err());
}
