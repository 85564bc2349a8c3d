//! Tests of columns, tables and links: the contract's own example, mistakes, and clashes.

use super::*;

const EXAMPLE: &str = r#"
[[column]]                                        # a further column of a probe table, by SQL over its other columns
table = "orders"
name = "age_s"
sql = "age / 1e9"

[[table]]                                         # a derived table: any SELECT over the snapshot
name = "slow_orders"
sql = "select * from probe_orders where age_s > 10"

[[link]]                                          # rows of two tables that belong together, by equal columns
name = "lock owner"
from = "probe_lock_wait(txn_id)"
to = "probe_txn(id)"
role = "blocked by"                               # also an edge of waits_for when the role is "blocked by"
"#;

#[test]
fn the_contract_s_example() {
    let set = ProbeSet::parse(EXAMPLE).unwrap();
    let ([column], [table], [link]) = (&set.columns[..], &set.tables[..], &set.links[..]) else {
        panic!("one of each, not {set:?}")
    };
    assert_eq!((&column.probe[..], &column.name[..], &column.sql.text[..]), ("orders", "age_s", "age / 1e9"));
    assert_eq!(column.sql.place, TextPlace { line: 5, column: 8, is_verbatim: true });
    assert_eq!((&table.name[..], table.place.line, table.sql.place.line), ("slow_orders", 8, 9));
    let end = |end: &LinkEnd| (end.table.clone(), end.column.clone(), end.place.line);
    assert_eq!(end(&link.from), ("probe_lock_wait".to_owned(), "txn_id".to_owned(), 13));
    assert_eq!(end(&link.to), ("probe_txn".to_owned(), "id".to_owned(), 14));
    assert!(link.is_blocking() && link.label() == "link lock owner");
}

/// Line, column and text of each error.
fn errors(source: &str) -> Vec<(usize, usize, String)> {
    let errors = ProbeSet::parse(source).expect_err(source).0;
    errors.iter().map(|error| (error.line, error.column, error.to_string())).collect()
}

#[test]
fn mistakes_are_placed_and_have_a_remedy() {
    let link = "[[link]]\nname = 'l'\nfrom = 'probe_a(x)'\n";
    for (text, line, column, message, help) in [
        ("[[column]]\ntable = 'a'\nname = 'b'\n", 1, 1, "there is no sql", "sql ="),
        ("[[column]]\ntable = 'a'\nname = 'b'\nsql = 7\n", 4, 7, "not an integer", "quotes"),
        (
            "[[column]]\ntable = 'a'\nname = 'b'\nsql = ' '\n",
            4,
            8,
            "column a.b.sql: there is no SQL",
            "age / 1e9",
        ),
        ("[[column]]\ntable = 'a'\nname = 'b'\nsql = \"x\\u0000\"\n", 4, 8, "a zero byte", "leave it out"),
        ("[[column]]\ntable = 'probe_a'\nname = 'b'\nsql = 'x'\n", 2, 10, "name of its probe", "write a"),
        ("[[column]]\ntable = 'a'\nname = 'Depth'\nsql = 'x'\n", 3, 9, "small letters", "depth would do"),
        ("[[column]]\ntable = 'a'\nname = 'depth'\nsql = 'x'\n", 3, 9, "of its own", "another name"),
        (
            "[[column]]\ntabel = 'a'\ntable = 'a'\nname = 'b'\nsql = 'x'\n",
            2,
            1,
            "unknown key tabel",
            "mean table?",
        ),
        ("[[columns]]\n", 1, 3, "unknown section", "[[column]]"),
        ("[[table]]\nname = 'a;b'\nsql = 'select 1'\n", 2, 9, "small letters", "a_b would do"),
        (
            "[[table]]\nname = 'a'\nSQL = 'x'\nsql = 'select 1'\n",
            3,
            1,
            "table a.SQL: unknown key",
            "mean sql?",
        ),
        (link, 1, 1, "link l.to: there is no to", "to ="),
        (&format!("{link}to = 'probe_b'\n"), 4, 7, "one column of it", "probe_orders(req_id)"),
        (&format!("{link}to = 'probe_b(x, y)'\n"), 4, 7, "one column of it", "probe_orders(req_id)"),
        (&format!("{link}to = 'B(x)'\n"), 4, 7, "one column of it", "probe_orders(req_id)"),
        (
            &format!("{link}to = 'b(x)'\nrole = 'Blocked_by'\n"),
            5,
            9,
            "makes edges of waits_for",
            "blocked by",
        ),
        (&format!("{link}to = 'b(x)'\nrole = ' '\n"), 5, 9, "one line", "some words"),
        ("[[link]]\nname = \"a\\nb\"\nfrom = 'a(x)'\nto = 'b(x)'\n", 2, 9, "one line", "some words"),
    ] {
        let errors = errors(text);
        let [(at_line, at_column, said)] = &errors[..] else { panic!("{text}: one error, not {errors:?}") };
        assert_eq!((*at_line, *at_column), (line, column), "{text}: {said}");
        assert!(said.contains(message) && said.contains(help), "{text}: {said}");
    }
    let long = format!("[[table]]\nname = 'a'\nsql = 'select {}'\n", "1".repeat(SQL_BYTES_MAX));
    assert!(errors(&long)[0].2.contains("at most 8192 bytes"));
    let link = |number| format!("[[link]]\nname = '{number}'\nfrom = 'a(x)'\nto = 'b(x)'\n");
    let many: String = (0..65).map(link).collect();
    assert!(errors(&many).iter().any(|error| error.2.contains("at most 64 [[link]]")));
}

#[test]
fn what_two_sections_claim_names_both() {
    let probe = "[[probe]]\nname = 'a'\nfunction = 'b.C'\ncapture = ['x']\n";
    for (text, line, message) in [
        ("[[column]]\ntable = 'a'\nname = 'x'\nsql = '1'\n", 7, "captures a column x in line 4"),
        ("[[table]]\nname = 'probe_a'\nsql = 'select 1'\n", 6, "the table of the probe a in line 2"),
    ] {
        let errors = errors(&format!("{probe}{text}"));
        assert!(errors.len() == 1 && errors[0].0 == line && errors[0].2.contains(message), "{errors:?}");
    }
    for (section, message) in [
        ("[[column]]\ntable = 'a'\nname = 'x'\nsql = '1'\n", "another column x of a in line 3"),
        ("[[table]]\nname = 'x'\nsql = 'select 1'\n", "another table x in line 2"),
        ("[[link]]\nname = 'a b'\nfrom = 'a(x)'\nto = 'b(x)'\n", "another link a b in line 2"),
    ] {
        let errors = errors(&section.repeat(2));
        assert!(errors.len() == 1 && errors[0].2.contains(message), "{errors:?}");
    }
}

#[test]
fn a_column_of_another_file_s_probe_and_any_role_are_good() {
    let set = ProbeSet::parse(
        "[[column]]\ntable = 'elsewhere'\nname = 'x'\nsql = '1'\n\
         [[link]]\nname = 'l'\nfrom = ' probe_a ( txnID ) '\nto = 'probe_b(x_1)'\nrole = 'caller'\n",
    )
    .unwrap();
    assert_eq!(set.links[0].from.column, "txnID");
    assert!(!set.links[0].is_blocking());
}
