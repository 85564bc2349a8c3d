//! Tests of sets: the contract's own example, and what is said about mistakes.

use super::*;

const EXAMPLE: &str = r#"
[[probe]]
name = "orders"                                   # makes the table probe_orders
function = "shop/orders.(*Service).Place"         # as Go prints it; * and ** globs; /regex/
program = "shop*"                                 # optional: only in these programs
capture = [
  "req.ID",
  { as = "user", expr = "req.User.Name" },
  { as = "age", expr = "since(req.Started)" },
  { as = "items", expr = "len(req.Items)" },
  { as = "first", expr = "req.Items[0].SKU" },
  { as = "tenant", expr = 'req.Tags["tenant"]' },
  { as = "impl", expr = "store.(*postgresStore).dsn" },
  { as = "deadline", expr = "ctx.Deadline()" },
  { as = "trace", expr = 'ctx.Value(otel.SpanContext).traceID' },
]

[[redact]]                                        # applied on the node, before anything leaves the host
type = "**.Password"
field = "**.{Authorization,Cookie,Token,Secret*}"
"#;

#[test]
fn the_contract_s_example() {
    let set = ProbeSet::parse(EXAMPLE).unwrap();
    let [probe] = &set.probes[..] else { panic!("one probe") };
    assert_eq!(probe.table(), "probe_orders");
    assert!(probe.function.matches("shop/orders.(*Service).Place"));
    assert!(probe.program.as_ref().unwrap().matches("shop-api"));
    let names: Vec<_> = probe.capture.as_ref().unwrap().iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["req_id", "user", "age", "items", "first", "tenant", "impl", "deadline", "trace"]);
    let tenant = &probe.capture.as_ref().unwrap()[5];
    assert_eq!(tenant.ways[0].expression.to_string(), r#"req.Tags["tenant"]"#);
    assert_eq!(tenant.ways[0].place, TextPlace { line: 12, column: 28, is_verbatim: true });
    let [redaction] = &set.redactions[..] else { panic!("one redaction") };
    assert!(redaction.of_type.as_ref().unwrap().matches("shop/model.Password"));
    assert!(redaction.field.as_ref().unwrap().matches_field("shop/model.User", "SecretKey"));
}

#[test]
fn a_set_may_be_empty_and_a_probe_without_expressions() {
    assert_eq!(ProbeSet::parse(""), Ok(ProbeSet::default()));
    let set = ProbeSet::parse("probe = [{ name = 'a', function = 'b.C' }]").unwrap();
    assert_eq!(set.probes[0].capture, None);
}

/// Line, column and text of each error.
fn errors(source: &str) -> Vec<(usize, usize, String)> {
    let errors = ProbeSet::parse(source).expect_err(source).0;
    errors.iter().map(|error| (error.line, error.column, error.to_string())).collect()
}

#[test]
fn mistakes_are_placed_and_have_a_remedy() {
    let head = "[[probe]]\nname = 'a'\nfunction = 'b.C'\n";
    for (text, line, column, message, help) in [
        ("[[probes]]\n", 1, 3, "unknown section", "did you mean [[probe]]?"),
        ("x = 1\n", 1, 1, "unknown section", "[[endpoint]], [[table]] and [[link]]"),
        ("[[type]]\nmatch = 'x'\n", 1, 1, "a list of 1 to 64 fields", "Customer.Name"),
        ("[[type]]\nmatch = 'x'\ncapture = ['a[1:2]']\n", 3, 13, "no field of a struct", "Customer.Name"),
        ("[[type]]\nmatch = 'x'\ncapture = ['len(a)']\n", 3, 13, "no field of a struct", "Items[0]"),
        ("[[type]]\nmatch = 'x'\ncapture = ['a.']\n", 3, 15, "a name", "Items[0]"),
        ("[[type]]\nmatch = 'x'\ncapture = ['a', 'a']\n", 3, 18, "a stands here twice", "leave one"),
        ("[[program]]\nmatch = { exe = '*' }\n", 1, 1, "says nothing", "a name"),
        ("[[program]]\nname = 'a'\nmatch = { env = {} }\n", 3, 17, "1 to 16 variables", "REGION"),
        ("[[program]]\ninstance = 'nodeName'\n", 2, 13, "a variable of a package", "shop/orders.nodeName"),
        (
            "[[program]]\nname = 'a'\nmatch = { exe = 'x' }\n[[program]]\nname = 'b'\nmatch = { exe = 'x' }\n",
            4,
            1,
            "for the same programs in line 1",
            "leave one",
        ),
        ("[probe]\nname = 'a'\n", 1, 1, "a list of sections", "write [[probe]]"),
        (
            "[[probe]]\nname = 'a'\nfunktion = 'b'\nfunction = 'c'\n",
            3,
            1,
            "unknown key",
            "did you mean function?",
        ),
        ("[[probe]]\nname = 'a'\n", 1, 1, "there is no function", "function ="),
        ("[[probe]]\nfunction = 'a'\n", 1, 1, "there is no name", "name ="),
        ("[[probe]]\nname = 'OrderLines'\nfunction = 'a'\n", 2, 9, "small letters", "order_lines would do"),
        ("[[probe]]\nname = 7\nfunction = 'a'\n", 2, 8, "not an integer", "quotes"),
        ("[[probe]]\nname = 'a'\nfunction = 'b{'\n", 3, 14, "{ without }", "one of several"),
        (&format!("{head}capture = ['req.']\n"), 4, 17, "expected a name", "req."),
        (&format!("{head}capture = [{{ as = 'x', expr = \"m[k]\" }}]\n"), 4, 34, "not a constant", "m[k]"),
        (&format!("{head}capture = [\"m[\\\"a\\\"].\"]\n"), 4, 13, "expected a name", "m["),
        (&format!("{head}capture = 'req'\n"), 4, 11, "a list", "capture ="),
        (&format!("{head}capture = []\n"), 4, 11, "nothing is captured", "leave capture out"),
        (&format!("{head}capture = [7]\n"), 4, 12, "not an integer", "quotes"),
        (&format!("{head}capture = ['a.b', 'a_b']\n"), 4, 20, "both be the column a_b", "name one"),
        (&format!("{head}capture = ['goroutine.ID']\n"), 4, 13, "of its own", "goroutine_id_"),
        (&format!("{head}capture = [{{ as = 'x' }}]\n"), 4, 12, "there is no expr", "expr ="),
        (
            &format!("{head}[[probe]]\nname = 'a'\nfunction = 'd'\n"),
            5,
            9,
            "another probe a in line 2",
            "another name",
        ),
        ("[[redact]]\n", 1, 1, "nothing is said", "**.Password"),
        ("[[redact]]\nfield = 'Token'\n", 2, 10, "fits no field", "write **.Token"),
        ("[[probe]\n", 1, 9, "not TOML", "quotes"),
    ] {
        let errors = errors(text);
        let [(at_line, at_column, said)] = &errors[..] else { panic!("{text}: one error, not {errors:?}") };
        assert_eq!((*at_line, *at_column), (line, column), "{text}: {said}");
        assert!(said.contains(message) && said.contains(help), "{text}: {said}");
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let errors = errors("[[probe]]\nnam = 'a'\ncapture = ['x.']\n\n[[redact]]\ntyp = 'x'\n");
    let lines: Vec<_> = errors.iter().map(|error| error.0).collect();
    assert_eq!(lines, [1, 1, 2, 3, 5, 6]);
}

#[test]
fn places_within_expressions_are_places_within_the_set() {
    let source = "[[probe]]\nname = 'a'\nfunction = 'b.C'\ncapture = ['''\n  req\n  .Name''']\n";
    let set = ProbeSet::parse(source).unwrap();
    let column = &set.probes[0].capture.as_ref().unwrap()[0];
    let crate::probe::expression::Kind::Select { field, .. } = &column.ways[0].expression.kind else {
        panic!("a selector")
    };
    assert_eq!(column.ways[0].place.of(&column.ways[0].text, field.span), (6, 4));
}

#[test]
fn size_and_depth_are_bounded() {
    let many = |count: usize, section: &str| section.repeat(count);
    for (source, message) in [
        ("#".repeat(SET_BYTES_MAX + 1), "at most 262144 bytes"),
        (many(REDACTIONS_MAX + 1, "[[redact]]\ntype = 'x'\n"), "at most 256 [[redact]]"),
        (format!("a{} = 1", ".a".repeat(100_000)), "too many dots"),
        (format!("a = {}", "[".repeat(100_000)), "not TOML"),
        (format!("{}= 1", "{a=".repeat(50_000)), "not TOML"),
        (
            format!(
                "[[probe]]\nname = 'a'\nfunction = 'b'\ncapture = [{}]",
                (0..=EXPRESSIONS_MAX).map(|i| format!("'a{i}',")).collect::<String>()
            ),
            "at most 64 expressions",
        ),
    ] {
        let errors = errors(&source);
        assert!(errors.iter().any(|error| error.2.contains(message)), "{message}: {:?}", errors.first());
        assert!(errors.len() <= ERRORS_MAX);
    }
    // As deep as it goes.
    assert!(ProbeSet::parse(&format!("a{} = 1", ".a".repeat(2_000))).is_err());
}
