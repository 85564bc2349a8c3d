//! Captured values: their tables, columns and types, and peers that send what cannot be.

use proptest::collection::vec;
use proptest::prelude::*;
use rusqlite::Connection;
use stillframe_wire::batch::{Batch, batches};
use stillframe_wire::facts::{Cell, CellValue, ProbeRow, ProbeTable, ProcessFacts};
use stillframe_wire::limits::{
    CELL_VALUE_BYTES_MAX, COLUMN_NAME_BYTES_MAX, FACT_TEXT_BYTES_MAX, NAME_BYTES_MAX, PROBE_COLUMNS_MAX,
};

use super::stream::{contents_of, pieces};
use super::{Summary, TempDir, captured, meta, rows, synthetic};
use crate::store::order::{ClockBound, Defect, Existing, HostKey, SnapshotMeta, WriteError};
use crate::store::writer::SnapshotWriter;

const PROBES: &str = r#"
[[probe]]
name = "orders"
function = "main.worker*"
capture = [{ as = "id", expr = "req.ID" }, { as = "user", expr = "req.User.Name" }, { as = "paid", expr = "req.Paid" }]

[[probe]]
name = "any"
function = "main.main"

[[probe]]
name = "never"
function = "main.never"
capture = [{ as = "x", expr = "x" }]
"#;

pub fn writer(probes: &str) -> (TempDir, SnapshotWriter, HostKey) {
    let folder = tempfile::tempdir().unwrap();
    let meta = SnapshotMeta { probes: Some(probes.to_owned()), ..meta() };
    let mut writer = SnapshotWriter::create(&folder.path().join("s.db"), Existing::Refuse, meta).unwrap();
    let host = writer.host(&synthetic::host(), ClockBound::default()).unwrap();
    (folder, writer, host)
}

fn write(probes: &str, processes: &[ProcessFacts]) -> (TempDir, Summary) {
    let (folder, mut writer, host) = writer(probes);
    for facts in processes {
        writer.process(host, "test", batches(facts.clone())).unwrap();
    }
    (folder, writer.finish(0).unwrap())
}

fn table(probe: &str, columns: &[&str]) -> (String, Vec<String>) {
    (probe.to_owned(), columns.iter().map(|column| (*column).to_owned()).collect())
}

/// A process of which the probes have captured something.
fn process(pid: u32, tables: &[(String, Vec<String>)]) -> ProcessFacts {
    let mut facts = synthetic::process(pid, 10, 3);
    captured::capture(&mut facts, tables);
    facts
}

/// With one row, of these values.
fn with_cells(pid: u32, probe: &str, cells: &[(&str, CellValue)]) -> ProcessFacts {
    let columns = cells.iter().map(|(column, _)| (*column).to_owned()).collect();
    let cell = |value: &CellValue| Cell {
        value: value.clone(),
        gap: (*value == CellValue::None).then(|| "why".into()),
        ..Cell::default()
    };
    let cells = cells.iter().map(|(_, value)| cell(value)).collect();
    ProcessFacts {
        probe_tables: vec![ProbeTable { probe: probe.into(), columns }],
        probe_rows: vec![ProbeRow { table: 0, goroutine: 4, depth: 0, cells }],
        ..synthetic::process(pid, 10, 3)
    }
}

#[test]
fn every_probe_has_its_table_with_what_it_captured() {
    let orders = table("orders", &["id", "user", "paid", "gone"]);
    let of_function = [table("any", &["a"]), table("any", &["b", "a"]), table("any", &[])];
    let mut second = process(2, &[table("orders", &["late", "id"])]);
    // Of functions that have other variables.
    second.probe_tables.extend(of_function.map(|(probe, columns)| ProbeTable { probe, columns }));
    let value = |value: i64| Cell { value: CellValue::Int(value), ..Cell::default() };
    let row = |table, goroutine, cells| ProbeRow { table, goroutine, depth: 1, cells };
    second.probe_rows.extend([
        row(1, 1, vec![value(1)]),
        row(2, 2, vec![value(2), value(3)]),
        row(3, 5, vec![]),
    ]);
    let (_folder, summary) = write(PROBES, &[process(1, &[orders]), second]);
    let path = &summary.path;

    let columns = |table: &str| {
        rows(path, &format!("select name || ' ' || type from pragma_table_info('probe_{table}')"))
    };
    let fixed = ["goroutine_id INTEGER", "process_id INTEGER", "depth INTEGER"];
    let with = |more: &[&str]| [&fixed[..], more].concat().join(",").to_lowercase();
    let found = |table: &str| columns(table).join(",").to_lowercase();
    // Those of the order's text first, then what came, in its order; `gone` never had a value, `late` and `paid` are numbers.
    assert_eq!(found("orders"), with(&["id ", "user text", "paid integer", "gone ", "late integer"]));
    assert_eq!(found("any"), with(&["a integer", "b integer"]));
    assert_eq!(found("never"), with(&["x "]));
    assert_eq!(rows(path, "select count(*) from probe_never"), ["0"]);
    assert_eq!(rows(path, "select * from probe_any"), ["12|2|1|1|NULL", "13|2|1|3|2", "16|2|1|NULL|NULL"]);
    assert_eq!(
        rows(path, "select * from probe_orders where goroutine_id in (4, 14) order by 1"),
        ["4|1|1|4|goroutine 4|1|NULL|NULL", "14|2|1|goroutine 4|NULL|NULL|NULL|4"]
    );
    assert_eq!(
        rows(path, "select name, type, value, address, gap from goroutine_values where goroutine_id = 4"),
        [
            "gone|NULL|NULL|NULL|optimized out",
            "id|int|4|NULL|NULL",
            "paid|bool|true|NULL|NULL",
            "user|string|\"goroutine 4\"|3221225476|NULL",
        ]
    );
    assert_eq!(rows(path, "select count(*) from probe_orders"), ["8"]);
    // Each row of a probe's table is found by its goroutine without reading the others.
    let plan = rows(path, "explain query plan select * from probe_orders where goroutine_id = 4").remove(0);
    assert!(plan.contains("SEARCH probe_orders USING PRIMARY KEY (goroutine_id=?)"), "{plan}");
    assert_eq!(rows(path, "select probes is not null from snapshot"), ["1"]);
    let connection = Connection::open(path).unwrap();
    assert!(!connection.prepare("pragma foreign_key_check").unwrap().exists([]).unwrap());
}

#[test]
fn the_file_documents_the_tables_of_its_probes() {
    let (_folder, summary) = write(PROBES, &[process(1, &[table("orders", &["id", "user"])])]);
    let about = rows(&summary.path, "select name from about where name like 'probe%' order by 1");
    assert_eq!(about, ["probe_any", "probe_never", "probe_orders"]);
    let connection = Connection::open(&summary.path).unwrap();
    let mut statement = connection.prepare("select name, columns, example from about").unwrap();
    let all = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    for (name, columns, example) in all.map(Result::<(String, String, String), _>::unwrap) {
        let documented: Vec<&str> =
            columns.lines().filter_map(|line| line.split_once(": ")).map(|(n, _)| n).collect();
        let in_schema = rows(&summary.path, &format!("select name from pragma_table_info('{name}')"));
        assert_eq!(documented, in_schema, "{name}");
        rows(&summary.path, &example);
    }
    let example = rows(&summary.path, "select example from about where name = 'probe_orders'").remove(0);
    assert_eq!(rows(&summary.path, &example)[0], "shop|1|select|1|1|1|1|goroutine 1|NULL");
}

#[test]
fn a_column_has_the_type_that_all_its_values_have() {
    let cells =
        |one: CellValue, other: CellValue| [("one", one), ("other", other), ("none", CellValue::None)];
    let json = |text: &str| CellValue::Json(text.into());
    let first = with_cells(1, "any", &cells(CellValue::Uint(u64::MAX), CellValue::Real(2.0)));
    let second = with_cells(2, "any", &cells(json("{\"a\": [1]}"), CellValue::Bool(true)));
    let third = with_cells(3, "any", &cells(CellValue::Text("1".into()), json("null")));
    let (_folder, summary) = write(PROBES, &[first, second, third]);
    let found = rows(&summary.path, "select one, typeof(one), other, typeof(other), none from probe_any");
    assert_eq!(
        found,
        [
            "18446744073709551615|text|2|real|NULL",
            "{\"a\": [1]}|text|1|integer|NULL",
            "1|text|NULL|null|NULL"
        ]
    );
    let types = rows(&summary.path, "select name, type from pragma_table_info('probe_any') where cid > 2");
    assert_eq!(types.join(",").to_lowercase(), "one|text,other|,none|");
    let nil = rows(
        &summary.path,
        "select value, gap from goroutine_values where name = 'other' and goroutine_id = 25",
    );
    assert_eq!(nil, ["null|NULL"]);
}

#[test]
fn background_jobs_show_what_was_captured_of_them() {
    let orders = table("orders", &["id", "user", "paid", "gone"]);
    let mut facts = process(1, &[orders]);
    let row = |depth, value: i64| ProbeRow {
        table: 1,
        goroutine: 0,
        depth,
        cells: vec![Cell { value: CellValue::Int(value), ..Cell::default() }],
    };
    facts.probe_tables.push(ProbeTable { probe: "any".into(), columns: vec!["n".into()] });
    // A function that calls itself: the innermost call counts.
    facts.probe_rows.extend([row(5, 5), row(3, 3), row(4, 4)]);
    let (_folder, summary) = write(PROBES, &[facts]);
    let found =
        rows(&summary.path, "select \"values\" from background_jobs where goroutine_id in (1, 2) order by 1");
    let (none, values) = (&found[1], &found[0]);
    assert_eq!(none, "{}");
    assert_eq!(
        values,
        "{\"any.n\":3,\"orders.gone\":null,\"orders.id\":1,\"orders.paid\":false,\"orders.user\":\"goroutine 1\"}"
    );
}

#[test]
fn names_that_people_would_not_give_are_columns_all_the_same() {
    let names = [
        "goroutine_id",
        "ID",
        "id",
        "a\"b",
        "a'b; drop table snapshot",
        "\0",
        "",
        "x\ny",
        "select",
        "ä",
        "\"\"",
        "id_2",
    ];
    let cells: Vec<(&str, CellValue)> =
        names.iter().enumerate().map(|(index, name)| (*name, CellValue::Int(index as i64))).collect();
    let (_folder, summary) = write(PROBES, &[with_cells(1, "any", &cells)]);
    let columns = rows(&summary.path, "select name from pragma_table_info('probe_any') where cid > 2");
    assert_eq!(
        columns,
        [
            "goroutine_id_2",
            "ID",
            "id_2",
            "a\"b",
            "a'b; drop table snapshot",
            " ",
            "_2",
            "x y",
            "select",
            "ä",
            "\"\"",
            "id_2_2",
        ]
    );
    let values: Vec<String> = (0..names.len()).map(|index| index.to_string()).collect();
    assert_eq!(rows(&summary.path, "select * from probe_any"), [format!("5|1|0|{}", values.join("|"))]);
    assert_eq!(rows(&summary.path, "select count(*) from goroutine_values"), [names.len().to_string()]);
}

#[test]
fn a_table_that_is_full_says_so() {
    let long = "\"".repeat(COLUMN_NAME_BYTES_MAX - 4);
    let names: Vec<String> = (0..PROBE_COLUMNS_MAX * 2).map(|index| format!("{index:04}{long}")).collect();
    let cells: Vec<(&str, CellValue)> = names.iter().map(|name| (name.as_str(), CellValue::Int(1))).collect();
    let (one, other) = cells.split_at(PROBE_COLUMNS_MAX);
    let (_folder, summary) = write(PROBES, &[with_cells(1, "any", one), with_cells(2, "any", other)]);
    let columns = rows(&summary.path, "select count(*) - 3 from pragma_table_info('probe_any')").remove(0);
    let kept: usize = columns.parse().unwrap();
    assert!((200..PROBE_COLUMNS_MAX).contains(&kept), "{kept}");
    assert_eq!(
        rows(&summary.path, "select count(*) from goroutine_values"),
        [(2 * PROBE_COLUMNS_MAX).to_string()]
    );
    let gap = rows(&summary.path, "select reason from gaps where what = 'probe'").remove(0);
    assert_eq!(
        gap,
        format!(
            "probe_any has a column for the first {kept} expressions; the others stand in goroutine_values alone"
        )
    );
    // By their number.
    let all: Vec<ProcessFacts> = (0..9)
        .map(|process| {
            let names: Vec<String> =
                (0..PROBE_COLUMNS_MAX).map(|index| format!("c{process}_{index}")).collect();
            let cells: Vec<_> = names.iter().map(|name| (name.as_str(), CellValue::Bool(true))).collect();
            with_cells(process, "any", &cells)
        })
        .collect();
    let (_folder, summary) = write(PROBES, &all);
    assert_eq!(rows(&summary.path, "select count(*) from pragma_table_info('probe_any')"), ["1903"]);
    assert_eq!(rows(&summary.path, "select count(*) from probe_any"), ["9"]);
}

fn defect(spoil: impl FnOnce(&mut ProcessFacts)) -> Defect {
    let (_folder, mut writer, host) = writer(PROBES);
    let at_begin = contents_of(&writer);
    let mut facts = process(1, &[table("orders", &["id", "user", "paid", "gone"])]);
    spoil(&mut facts);
    let error = writer.process(host, "node-1", batches(facts)).unwrap_err();
    let WriteError::BadFacts { defect, .. } = error else { panic!("{error}") };
    assert_eq!(contents_of(&writer), at_begin);
    // What comes after it finds nothing of it: neither rows nor columns.
    writer.process(host, "next", batches(process(2, &[table("orders", &["id"])]))).unwrap();
    let summary = writer.finish(0).unwrap();
    let columns = rows(&summary.path, "select name from pragma_table_info('probe_orders') where cid > 2");
    assert_eq!(columns, ["id", "user", "paid"]);
    assert_eq!(rows(&summary.path, "select count(*) from probe_orders"), ["4"]);
    defect
}

#[test]
fn values_that_contradict_themselves_are_an_error() {
    let absent = |what, index| Defect::Index { what, index };
    assert_eq!(defect(|facts| facts.probe_rows[1].table = 9), absent("columns", 9));
    assert_eq!(defect(|facts| facts.probe_rows[1].goroutine = 10), absent("goroutine", 10));
    assert_eq!(
        defect(|facts| facts.probe_rows[1].goroutine = u32::MAX),
        absent("goroutine", u32::MAX.into())
    );
    assert_eq!(defect(|facts| facts.probe_rows[1].depth = 9), absent("frame", 9));
    assert_eq!(defect(|facts| facts.probe_rows[0].cells[0].type_id = Some(3)), absent("type", 3));
    let count = defect(|facts| drop(facts.probe_rows[2].cells.pop()));
    assert_eq!(count, Defect::Count { what: "values of a frame", said: 4, came: 3 });
    let twice = defect(|facts| facts.probe_rows.push(facts.probe_rows[0].clone()));
    assert_eq!(twice, Defect::Twice { what: "a frame that a probe has matched" });
    let twice = defect(|facts| facts.probe_tables[0].columns[1] = "id".into());
    assert_eq!(twice, Defect::Twice { what: "a column of a probe" });
    let unknown = defect(|facts| facts.probe_tables[0].probe = "x\" (a); drop table snapshot".into());
    assert_eq!(unknown, Defect::Unknown { what: "a probe", name: "x\" (a); drop table snapshot".into() });
    assert_eq!(defect(|facts| facts.probe_rows[0].cells[3].gap = None), Defect::NoReason);
    for text in ["", "{", "[1] 2", "nul", "'a'", &"[".repeat(100_000), "\"\n\""] {
        let json = CellValue::Json(text.into());
        assert_eq!(defect(|facts| facts.probe_rows[0].cells[0].value = json), Defect::NoJson, "{text:.9}");
    }
    let address = defect(|facts| facts.probe_rows[0].cells[1].address = Some(1 << 63));
    assert_eq!(address, Defect::Number { what: "a value's address", value: 1 << 63 });
}

#[test]
fn values_have_bounds() {
    let long = |bytes: usize| "x".repeat(bytes + 1);
    for (expected, found) in [
        ("a type's name", defect(|facts| facts.types[0] = long(NAME_BYTES_MAX))),
        ("a probe's name", defect(|facts| facts.probe_tables[0].probe = long(64))),
        ("a column's name", defect(|facts| facts.probe_tables[0].columns[0] = long(COLUMN_NAME_BYTES_MAX))),
        (
            "a captured value",
            defect(|facts| facts.probe_rows[0].cells[0].value = CellValue::Text(long(CELL_VALUE_BYTES_MAX))),
        ),
        (
            "a gap's reason",
            defect(|facts| facts.probe_rows[0].cells[3].gap = Some(long(FACT_TEXT_BYTES_MAX))),
        ),
    ] {
        assert!(matches!(found, Defect::TooLong { what, .. } if what == expected), "{found}");
    }
    let wide = defect(|facts| {
        facts.probe_tables[0].columns = (0..=PROBE_COLUMNS_MAX).map(|column| column.to_string()).collect();
    });
    assert!(matches!(wide, Defect::TooMany { what: "columns of a probe", .. }), "{wide}");
    let (_folder, mut writer, host) = writer(PROBES);
    let value = Cell { value: CellValue::Text("x".repeat(CELL_VALUE_BYTES_MAX)), ..Cell::default() };
    let columns: Vec<String> = (0..9).map(|column| column.to_string()).collect();
    let mut facts = with_cells(1, "any", &[]);
    facts.probe_tables[0].columns = columns;
    facts.probe_rows[0].cells = vec![value; 9];
    let error = writer.process(host, "test", batches(facts)).unwrap_err().to_string();
    assert!(error.contains("the text of a frame's values of 2359296 bytes"), "{error}");
}

#[test]
fn many_values_go_over_many_transactions() {
    let tables = [table("orders", &["id", "user", "paid"])];
    let mut facts = synthetic::process(1, 60_000, 50);
    captured::capture(&mut facts, &tables);
    let (_folder, mut writer, host) = writer(PROBES);
    writer.begin(host, "taken back").unwrap();
    for batch in batches(facts.clone()).take_while(|batch| !matches!(batch, Batch::Done(_))) {
        writer.batch(&batch).unwrap();
    }
    writer.abort().unwrap();
    for _ in 0..2 {
        writer.process(host, "kept", batches(facts.clone())).unwrap();
    }
    let path = writer.finish(0).unwrap().path;
    assert_eq!(rows(&path, "select count(*) from goroutine_values"), ["120000"]);
    let sums = "select count(*), sum(v.id), sum(v.id = g.goid), count(distinct v.process_id)
         from probe_orders v join goroutines g using (goroutine_id)";
    let sum: u64 = (1..=60_000).step_by(3).sum();
    assert_eq!(rows(&path, sums), [format!("40000|{}|40000|2", 2 * sum)]);
    assert_eq!(rows(&path, "pragma integrity_check"), ["ok"]);
}

#[test]
fn probes_that_are_none_make_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let meta = SnapshotMeta { probes: Some("[[probe".into()), ..meta() };
    let error = SnapshotWriter::create(&folder.path().join("s.db"), Existing::Refuse, meta).err();
    assert!(matches!(error, Some(WriteError::Probes { .. })), "{error:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

fn any_value() -> impl Strategy<Value = CellValue> {
    prop_oneof![
        Just(CellValue::None),
        any::<bool>().prop_map(CellValue::Bool),
        any::<i64>().prop_map(CellValue::Int),
        any::<u64>().prop_map(CellValue::Uint),
        any::<f64>().prop_map(CellValue::Real),
        ".{0,8}".prop_map(CellValue::Text),
        vec(any::<i64>(), 0..3).prop_map(|list| CellValue::Json(format!("{list:?}"))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What is in a probe's table is what was sent, whatever the other values of its column are.
    #[test]
    fn what_was_sent_is_in_both_tables(values in vec(any_value(), 1..10), size in 1..4usize) {
        let mut facts = with_cells(1, "any", &[("v", CellValue::None)]);
        let cell = |value: &CellValue| Cell { value: value.clone(), gap: Some("g".into()), ..Cell::default() };
        facts.probe_rows = values
            .iter()
            .enumerate()
            .map(|(index, value)| ProbeRow { table: 0, goroutine: index as u32, depth: 0, cells: vec![cell(value)] })
            .collect();
        let (_folder, mut writer, host) = writer(PROBES);
        writer.process(host, "test", pieces(&facts, size)).unwrap();
        let connection = Connection::open(writer.finish(0).unwrap().path).unwrap();
        let mut select = connection
            .prepare(
                "select p.v, typeof(p.v), v.value, json_valid(v.value) from probe_any p
                 join goroutine_values v using (goroutine_id, depth) order by 1 is null, goroutine_id",
            )
            .unwrap();
        let mut found: Vec<(rusqlite::types::Value, String)> = Vec::new();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let (column, json): (rusqlite::types::Value, Option<String>) = (row.get(0).unwrap(), row.get(2).unwrap());
            prop_assert!(json.is_none() || row.get(3).unwrap());
            found.push((column, json.unwrap_or_default()));
        }
        use rusqlite::types::Value::{Integer, Null, Real, Text};
        let expected = |value: &CellValue| match value {
            CellValue::None => Null,
            CellValue::Bool(value) => Integer((*value).into()),
            CellValue::Int(value) => Integer(*value),
            CellValue::Uint(value) => i64::try_from(*value).map_or_else(|_| Text(value.to_string()), Integer),
            CellValue::Real(value) if value.is_nan() => Text("NaN".into()),
            CellValue::Real(value) if value.is_infinite() => Text(format!("{value:+}").replace("inf", "Inf")),
            CellValue::Real(value) => Real(*value),
            CellValue::Text(text) | CellValue::Json(text) => Text(text.clone()),
        };
        let mut expected: Vec<_> = values.iter().map(expected).collect();
        expected.sort_by_key(|value| *value == Null);
        let found: Vec<_> = found.into_iter().map(|(column, _)| column).collect();
        prop_assert_eq!(found, expected);
    }
}
