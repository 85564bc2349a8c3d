//! Processes that come in batches: whole ones, bad ones, and ones that are taken back.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rusqlite::Connection;
use stillframe_wire::batch::{Batch, Counts, batches};
use stillframe_wire::facts::{Gap, ProcessFacts};
use stillframe_wire::limits::{
    FACT_TEXT_BYTES_MAX, FRAMES_PER_STACK_MAX, GOROUTINE_TEXT_BYTES_MAX, NAME_BYTES_MAX,
    SOCKET_TEXT_BYTES_MAX,
};
use tempfile::TempDir;

use super::{captured, rows, synthetic, values};
use crate::store::order::{ClockBound, Defect, HostKey, LostProcess, WriteError};
use crate::store::writer::SnapshotWriter;

const PROBES: &str = r#"
[[probe]]
name = "orders"
function = "main.worker*"
capture = [{ as = "id", expr = "req.ID" }]

[[probe]]
name = "any"
function = "main.main"
"#;

/// A writer with one host, and two probes.
fn writer() -> (TempDir, SnapshotWriter, HostKey) {
    values::writer(PROBES)
}

/// Every row of every table.
fn contents(connection: &Connection) -> Vec<String> {
    let mut statement = connection
        .prepare(
            "select name from sqlite_schema where type = 'table'
             union select 'temp.' || name from sqlite_temp_schema where type = 'table' order by 1",
        )
        .unwrap();
    let tables: Vec<String> =
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(tables.len() >= 10);
    let mut lines = Vec::new();
    for table in tables {
        let mut statement = connection.prepare(&format!("select * from {table} order by 1, 2")).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<rusqlite::types::Value> =
                (0..columns).map(|column| row.get(column).unwrap()).collect();
            lines.push(format!("{table} {values:?}"));
        }
    }
    lines
}

pub fn contents_of(writer: &SnapshotWriter) -> Vec<String> {
    contents(&writer.database.connection)
}

/// The batches of a process with at most `size` items each.
pub fn pieces(facts: &ProcessFacts, size: usize) -> Vec<Batch> {
    fn cut<T: Clone>(items: &[T], size: usize, batch: fn(Vec<T>) -> Batch) -> Vec<Batch> {
        items.chunks(size).map(|chunk| batch(chunk.to_vec())).collect()
    }
    batches(facts.clone())
        .flat_map(|batch| match &batch {
            Batch::Files(items) => cut(items, size, Batch::Files),
            Batch::Functions(items) => cut(items, size, Batch::Functions),
            Batch::GoStatements(items) => cut(items, size, Batch::GoStatements),
            Batch::Stacks(items) => cut(items, size, Batch::Stacks),
            Batch::Sockets(items) => cut(items, size, Batch::Sockets),
            Batch::Goroutines(items) => cut(items, size, Batch::Goroutines),
            Batch::Types(items) => cut(items, size, Batch::Types),
            Batch::ProbeTables(items) => cut(items, size, Batch::ProbeTables),
            Batch::ProbeRows(items) => cut(items, size, Batch::ProbeRows),
            Batch::Gaps(items) => cut(items, size, Batch::Gaps),
            Batch::Process(_) | Batch::Done(_) => vec![batch],
        })
        .collect()
}

prop_compose! {
    /// Processes that share some of their functions, stacks and groups.
    fn any_facts()(
        pid in 1..5u32,
        goroutines in 0..40u64,
        stacks in 1..6u32,
        build in 0..2u8,
        line in 0..2u32,
        gaps in vec(proptest::option::of(0..50u64), 0..12),
        repeated in vec(any::<Index>(), 0..3),
        (columns, of_any) in (0..5usize, 0..3usize),
    ) -> ProcessFacts {
        let mut facts = synthetic::process(pid, goroutines, stacks);
        facts.build_id = format!("build-{build}");
        facts.functions[5].start_line += line;
        facts.go_statements[0].line += line;
        for index in repeated {
            if let Some(goroutine) = facts.goroutines.get_mut(index.index(goroutines.max(1) as usize)) {
                goroutine.goid = 7;
            }
        }
        let names = |count: usize| (0..count).map(|column| format!("c{column}")).collect::<Vec<_>>();
        let of_any = (0..of_any).map(|table| ("any".to_owned(), names(columns + table))).take(1);
        let tables: Vec<_> = [("orders".to_owned(), names(columns))].into_iter().chain(of_any).collect();
        captured::capture(&mut facts, &tables);
        facts.gaps =
            gaps.into_iter().map(|goid| Gap { goid, what: "stack".into(), reason: "why".into() }).collect();
        facts
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_aborted_load_leaves_no_trace(
        before in vec(any_facts(), 0..3),
        facts in any_facts(),
        between in any_facts(),
        size in 1..9usize,
        cut in any::<Index>(),
    ) {
        let (_folder, mut tried, host) = writer();
        let (_other_folder, mut never_tried, other_host) = writer();
        for facts in &before {
            tried.process(host, "before", batches(facts.clone())).unwrap();
            never_tried.process(other_host, "before", batches(facts.clone())).unwrap();
        }
        let at_begin = contents_of(&tried);
        tried.begin(host, "aborted").unwrap();
        let all = pieces(&facts, size);
        for batch in &all[..cut.index(all.len() + 1)] {
            tried.batch(batch).unwrap();
        }
        tried.abort().unwrap();
        prop_assert_eq!(&contents_of(&tried), &at_begin);

        // As if it had never been, and as if it had come in one piece. Another process between them takes other ids.
        tried.process(host, "between", batches(between.clone())).unwrap();
        never_tried.process(other_host, "between", batches(between)).unwrap();
        tried.process(host, "again", pieces(&facts, size)).unwrap();
        never_tried.process(other_host, "first", batches(facts)).unwrap();
        prop_assert_eq!(contents_of(&tried), contents_of(&never_tried));
    }

    #[test]
    fn a_stream_that_is_damaged_is_refused_and_leaves_no_trace(
        before in any_facts(),
        facts in any_facts(),
        size in 1..9usize,
        damage in 0..5u8,
        (one, two) in any::<(Index, Index)>(),
    ) {
        let (_folder, mut writer, host) = writer();
        writer.process(host, "before", batches(before)).unwrap();
        let at_begin = contents_of(&writer);
        let whole = pieces(&facts, size);
        let mut all = whole.clone();
        let (one, two) = (one.index(all.len()), two.index(all.len()));
        match damage {
            0 => drop(all.remove(one)),
            1 => all.insert(one, all[two].clone()),
            2 => all.swap(one, two),
            3 => all.truncate(one),
            _ => match &mut all[one] {
                Batch::Functions(items) => items[0].file = 99,
                Batch::GoStatements(items) => items[0].function = 99,
                Batch::Stacks(items) => items[0].frames[0].function = 99,
                Batch::Sockets(items) => items[0].inode = u64::MAX,
                Batch::Goroutines(items) => items[0].stack = 99,
                Batch::Gaps(items) => items[0].goid = Some(u64::MAX),
                Batch::Done(counts) => counts.goroutines += 1,
                Batch::ProbeTables(items) => items[0].probe = "other".into(),
                Batch::ProbeRows(items) => items[0].depth = 99,
                Batch::Process(_) | Batch::Files(_) | Batch::Types(_) => drop(all.remove(one)),
            },
        }
        match writer.process(host, "damaged", all.clone()) {
            Err(WriteError::BadFacts { .. }) => prop_assert_eq!(contents_of(&writer), at_begin),
            Err(other) => prop_assert!(false, "{}", other),
            // Two pieces of one table have changed places, and no index tells.
            Ok(_) => prop_assert!(damage == 2, "{} of {:?} and {:?}", damage, whole, all),
        }
        writer.process(host, "next", batches(facts)).unwrap();
        writer.finish(0).unwrap();
    }
}

#[test]
fn an_abort_reaches_over_transactions() {
    let (_folder, mut writer, host) = writer();
    writer.process(host, "one", batches(synthetic::process(1, 15_000, 3_000))).unwrap();
    let at_begin = contents_of(&writer);
    let facts = synthetic::process(2, 35_000, 6_000);
    writer.begin(host, "two").unwrap();
    for batch in batches(facts.clone()).take_while(|batch| !matches!(batch, Batch::Done(_))) {
        writer.batch(&batch).unwrap();
    }
    assert!(contents_of(&writer).len() > at_begin.len() + 35_000);
    writer.abort().unwrap();
    assert_eq!(contents_of(&writer), at_begin);
    writer.process(host, "two", batches(facts)).unwrap();
    let summary = writer.finish(0).unwrap();
    assert_eq!((summary.goroutines, summary.stacks), (50_000, 6_001));
    let finished = Connection::open(&summary.path).unwrap();
    let mut dangling = finished.prepare("pragma foreign_key_check").unwrap();
    assert!(!dangling.exists([]).unwrap());
    let whole: String = finished.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
}

#[test]
fn one_process_is_loaded_at_a_time() {
    let (_folder, mut writer, host) = writer();
    let lost = LostProcess { pid: 1, program: "p".into(), reason: "why".into() };
    assert!(matches!(writer.batch(&Batch::Files(vec![])), Err(WriteError::Misuse { .. })));
    assert!(matches!(writer.end(), Err(WriteError::Misuse { .. })));
    writer.abort().unwrap();
    writer.begin(host, "one").unwrap();
    assert!(matches!(writer.begin(host, "two"), Err(WriteError::Misuse { .. })));
    assert!(matches!(writer.lost_process(host, &lost), Err(WriteError::Misuse { .. })));
    assert!(matches!(writer.lost_host("h", "why"), Err(WriteError::Misuse { .. })));
    assert!(matches!(writer.host_partial(host, "why"), Err(WriteError::Misuse { .. })));
    assert!(matches!(writer.end(), Err(WriteError::BadFacts { .. })));
    writer.begin(host, "two").unwrap();
    assert!(matches!(writer.finish(0), Err(WriteError::Misuse { .. })));
}

/// The defect, and the error's text.
fn defect_of(batches: impl IntoIterator<Item = Batch>) -> (Defect, String) {
    let (_folder, mut writer, host) = writer();
    let error = writer.process(host, "node-1", batches).unwrap_err();
    let text = error.to_string();
    let WriteError::BadFacts { defect, .. } = error else { panic!("{text}") };
    (defect, text)
}

#[test]
fn facts_that_contradict_themselves_are_an_error() {
    type Spoil = fn(&mut ProcessFacts);
    let spoils: [(&str, Spoil); 7] = [
        ("file", |facts| facts.functions[0].file = 99),
        ("function", |facts| facts.stacks[1].frames[0].function = 99),
        ("file", |facts| facts.stacks[1].frames[0].file = 99),
        ("function", |facts| facts.go_statements[0].function = 99),
        ("stack", |facts| facts.goroutines[1].stack = 99),
        ("go statement", |facts| facts.goroutines[1].created_by = Some(99)),
        ("function", |facts| facts.goroutines[1].start_function = Some(99)),
    ];
    for (what, spoil) in spoils {
        let mut facts = synthetic::process(1, 10, 3);
        spoil(&mut facts);
        let (defect, text) = defect_of(batches(facts));
        assert_eq!(defect, Defect::Index { what, index: 99 });
        let expected = format!("node-1: pid 1 (shop): its facts name {what} 99, which they do not have");
        assert_eq!(text, expected);
    }
}

#[test]
fn numbers_and_texts_have_bounds() {
    type Spoil = fn(&mut ProcessFacts);
    let spoils: [(&str, Spoil); 16] = [
        ("a goroutine's number cannot be", |facts| facts.goroutines[1].goid = u64::MAX),
        ("a goroutine's number cannot be", |facts| facts.goroutines[1].parent_goid = Some(1 << 63)),
        ("a goroutine's number cannot be", |facts| facts.gaps[0].goid = Some(1 << 63)),
        ("a freeze's length cannot be -1", |facts| facts.pause.as_mut().unwrap().frozen_ns = -1),
        ("a build id of", |facts| facts.build_id = "b".repeat(FACT_TEXT_BYTES_MAX + 1)),
        ("a file's name of", |facts| facts.files[0] = "f".repeat(NAME_BYTES_MAX + 1)),
        ("a function's name of", |facts| facts.functions[0].name = "f".repeat(NAME_BYTES_MAX + 1)),
        ("a stop reason of", |facts| facts.stacks[0].stop_reason = "s".repeat(FACT_TEXT_BYTES_MAX + 1)),
        ("65537 frames on a stack", |facts| {
            facts.stacks[0].frames = vec![facts.stacks[0].frames[0]; FRAMES_PER_STACK_MAX + 1];
        }),
        ("a goroutine's text of", |facts| {
            facts.goroutines[0].arguments = "a".repeat(GOROUTINE_TEXT_BYTES_MAX);
        }),
        ("a socket's text of", |facts| facts.sockets[0].local = "a".repeat(SOCKET_TEXT_BYTES_MAX + 1)),
        ("a socket's text of", |facts| {
            facts.sockets[1].peer_description = Some("a".repeat(SOCKET_TEXT_BYTES_MAX + 1));
        }),
        ("a socket's inode cannot be", |facts| facts.sockets[0].inode = 1 << 63),
        ("a socket's inode cannot be", |facts| facts.sockets[0].peer_inode = Some(u64::MAX)),
        ("a socket's descriptor comes twice", |facts| facts.sockets[1].fd = facts.sockets[0].fd),
        ("a gap's reason of", |facts| facts.gaps[0].reason = "r".repeat(FACT_TEXT_BYTES_MAX + 1)),
    ];
    for (expected, spoil) in spoils {
        let mut facts = synthetic::process(1, 10, 3);
        spoil(&mut facts);
        let (_, text) = defect_of(batches(facts));
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn a_stream_has_an_order_and_an_end() {
    let all: Vec<Batch> = batches(synthetic::process(1, 10, 3)).collect();
    let unfinished = defect_of(all[..all.len() - 1].to_vec());
    assert_eq!(unfinished.0, Defect::Unfinished { after: "gaps" });
    assert_eq!(unfinished.1, "node-1: pid 1 (shop): its facts end before they are whole, after gaps");
    assert_eq!(defect_of([]).1, "node-1: its facts end before they are whole, after nothing");
    assert_eq!(defect_of(all[1..].to_vec()).1, "node-1: files came after nothing");
    let head_twice = [all[0].clone(), all[0].clone()];
    let after = "the process itself";
    assert_eq!(defect_of(head_twice).0, Defect::Order { got: "the process itself", after });
    let end_twice = all.iter().cloned().chain(all.last().cloned());
    assert_eq!(defect_of(end_twice).0, Defect::Order { got: "the end", after: "the end" });
    let said = Counts { stacks: 1, ..Counts::default() };
    let counted = defect_of([all[0].clone(), Batch::Done(said)]);
    assert_eq!(counted.0, Defect::Count { what: "stacks", said: 1, came: 0 });
}

#[test]
fn sockets_come_out_as_they_went_in() {
    let (_folder, mut writer, host) = writer();
    let mut unix = synthetic::socket(3, 2);
    (unix.family, unix.protocol, unix.remote) = ("unix".into(), "stream".into(), String::new());
    (unix.peer_inode, unix.translated_remote, unix.peer_description) = (Some(5), None, None);
    (unix.cookie, unix.receive_queue_bytes, unix.local) = (Some(u64::MAX), None, "@bus".into());
    for (pid, sockets) in [(1, Vec::new()), (2, vec![unix]), (3, vec![synthetic::socket(9, 3)])] {
        let facts = ProcessFacts { sockets, ..synthetic::process(pid, 5, 2) };
        writer.process(host, "test", batches(facts)).unwrap();
    }
    let path = writer.finish(0).unwrap().path;
    assert_eq!(
        rows(&path, "select * from sockets"),
        [
            "1|2|3|12884901890|4026531840|unix|stream|@bus||established|NULL|0|NULL|-1|5|NULL|NULL",
            "2|3|9|38654705667|4026531840|ipv4|tcp|10.0.0.1:80|10.0.0.2:40009|established|5|0|10.0.0.2|777|NULL|NULL|192.168.0.9:1234",
        ]
    );
    assert_eq!(rows(&path, "select boot_id from hosts"), ["b007"]);
    let plan = "explain query plan select * from sockets where process_id = 2 and fd = 3";
    assert!(rows(&path, plan).concat().contains("sockets_by_descriptor"));
}

#[test]
fn gaps_find_their_goroutine_in_their_own_process() {
    let (_folder, mut writer, host) = writer();
    let gap = |goid| Gap { goid: Some(goid), what: "stack".into(), reason: "why".into() };
    let facts = |pid| {
        let mut facts = synthetic::process(pid, 10, 2);
        facts.goroutines[8].goid = 3;
        facts.gaps = vec![gap(5), gap(3), gap(77), gap(3)];
        facts
    };
    for pid in [1, 2] {
        writer.process(host, "test", batches(facts(pid))).unwrap();
    }
    let path = writer.finish(0).unwrap().path;
    let found = rows(&path, "select gap_id, process_id, goroutine_id from gaps order by gap_id");
    assert_eq!(found, ["1|1|5", "2|1|9", "3|1|NULL", "4|1|9", "5|2|15", "6|2|19", "7|2|NULL", "8|2|19"]);
}

#[test]
fn hosts_say_what_became_of_them() {
    let (_folder, mut writer, whole) = writer();
    writer.process(whole, "test", batches(synthetic::process(1, 5, 2))).unwrap();
    let partial = writer.host(&synthetic::host(), ClockBound { offset_ns: -5, error_ns: 3 }).unwrap();
    writer.process(partial, "test", batches(synthetic::process(1, 5, 2))).unwrap();
    let lost = LostProcess { pid: 5, program: "gone".into(), reason: "it exited".into() };
    writer.lost_process(partial, &lost).unwrap();
    let cut_off = writer.host(&synthetic::host(), ClockBound::default()).unwrap();
    writer.process(cut_off, "test", batches(synthetic::process(1, 5, 2))).unwrap();
    writer.host_partial(cut_off, "its connection was lost").unwrap();
    writer.lost_host("node-9", "it did not answer").unwrap();
    let summary = writer.finish(0).unwrap();
    let states: Vec<_> = summary.hosts.iter().map(|host| host.state).collect();
    assert_eq!(states, ["complete", "partial", "partial", "lost"]);
    assert!(!summary.complete);
    assert_eq!(
        rows(
            &summary.path,
            "select host_id, hostname, clock_offset_ns, clock_error_ns, state, reason from hosts"
        ),
        [
            "1|node-1|0|0|complete|NULL",
            "2|node-1|-5|3|partial|1 of 2 processes are not complete",
            "3|node-1|0|0|partial|its connection was lost",
            "4|node-9|NULL|NULL|lost|it did not answer",
        ]
    );
    assert_eq!(
        rows(
            &summary.path,
            "select host_id, process_id, what, reason from gaps where what in ('host', 'process') order by gap_id"
        ),
        ["2|3|process|it exited", "3|NULL|host|its connection was lost", "4|NULL|host|it did not answer"]
    );
    assert_eq!(rows(&summary.path, "select complete from snapshot"), ["0"]);
}

#[test]
fn a_writer_may_go_to_a_thread_of_its_own() {
    fn is_send<T: Send>() {}
    is_send::<SnapshotWriter>();
}
