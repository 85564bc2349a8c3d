//! Tests of the parser: what is read, what is printed back, and what is said about mistakes.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Expression {
    Expression::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem}"))
}

#[test]
fn the_contract_s_examples_are_printed_as_they_were_written() {
    for text in [
        "req.ID",
        "req.User.Name",
        "since(req.Started)",
        "len(req.Items)",
        "req.Items[0].SKU",
        r#"req.Tags["tenant"]"#,
        "store.(*postgresStore).dsn",
        "ctx.Deadline()",
        "ctx.Value(otel.SpanContext).traceID",
        "*p",
        "**p",
        "(*p)[1:3]",
        "*p.x",
        "a[:]",
        "a[1:]",
        "a[:3]",
        "cap(a)",
        "addr(*p)",
        "string(body[0:16])",
        "m[-1]",
        "m[true]",
        "net/http.DefaultClient.Timeout",
        r#""gopkg.in/yaml.v3".Default"#,
        "x.(shop/store.Box[int,[]*shop/model.Order])",
        r#"x.("gopkg.in/yaml.v3".Node)"#,
        "x.(map[string][4]byte)",
        "~r0.Error",
    ] {
        assert_eq!(parse(text).to_string(), text);
    }
    for (text, printed) in [
        (" req . ID ", "req.ID"),
        ("((req)).ID", "req.ID"),
        ("*(p.x)", "*p.x"),
        ("m['a']", "m[97]"),
        ("m[`a\"b`]", r#"m["a\"b"]"#),
        ("a[0x10]", "a[16]"),
    ] {
        assert_eq!(parse(text).to_string(), printed);
    }
}

#[test]
fn parts_know_where_they_stand() {
    let expression = parse("req.User.Name");
    assert_eq!(expression.span, Span::new(0, 13));
    let Kind::Select { of, field } = expression.kind else { panic!("a selector") };
    assert_eq!((field.span, of.span), (Span::new(9, 13), Span::new(0, 8)));
}

#[test]
fn mistakes_are_placed_and_explained() {
    for (text, start, message) in [
        ("", 0, "nothing to read"),
        ("req.", 4, "expected a name, not the end"),
        ("req.ID)", 6, "expected the end of the expression, not )"),
        ("m[key]", 2, "key is not a constant"),
        ("a[3:1]", 4, "ends at 1"),
        ("a[-1:]", 2, "from 0 on"),
        ("x.(func())", 3, "cannot be asserted"),
        ("req.Total()", 0, "cannot be called"),
        ("ctx.Deadlin()", 0, "did you mean Deadline?"),
        ("siNce(x)", 0, "did you mean since?"),
        ("ctx.Value(\"user\")", 10, "type of its key"),
        ("1 + 2", 2, "no operator +"),
        ("7", 0, "expected a variable"),
    ] {
        let problem = Expression::parse(text).unwrap_err();
        assert_eq!(problem.span.start, start, "{text}: {problem}");
        assert!(problem.to_string().contains(message), "{text}: {problem}");
    }
}

#[test]
fn depth_and_size_are_bounded() {
    for text in [
        format!("{}p", "*".repeat(500)),
        format!("{}p", "(".repeat(1_000)),
        format!("p{}", ".a".repeat(500)),
        format!("x.({}T)", "[]".repeat(500)),
        format!("x.(T[{}])", "int,".repeat(200)),
        format!("{}p", "len(".repeat(250)),
    ] {
        let problem = Expression::parse(&text).unwrap_err();
        assert!(problem.message.contains("at most"), "{text}: {problem}");
    }
}

fn word() -> impl Strategy<Value = String> {
    "[a-zA-Zé_][a-zA-Z0-9_]{0,5}".prop_filter("words with a meaning", |word| {
        !["map", "func", "struct", "interface", "chan", "type"].contains(&word.as_str())
    })
}

fn name() -> impl Strategy<Value = Name> {
    word().prop_map(|text| Name { text, span: Span::default() })
}

fn package() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("net/http".to_owned()),
        Just("gopkg.in/yaml.v3".to_owned()),
        Just("example.com/a-b/~c+d".to_owned()),
        Just("store".to_owned()),
        Just("go-store".to_owned()),
        Just("ä/ö".to_owned()),
    ]
}

fn constant() -> impl Strategy<Value = Constant> {
    prop_oneof![
        any::<i64>().prop_map(|number| Constant::Integer(number.into())),
        any::<u64>().prop_map(|number| Constant::Integer(number.into())),
        any::<String>().prop_map(Constant::Text),
        any::<bool>().prop_map(Constant::Bool),
    ]
}

fn type_name() -> impl Strategy<Value = TypeName> {
    let of = |kind| TypeName { kind, span: Span::default() };
    let leaf = (proptest::option::of(package()), word())
        .prop_map(move |(package, name)| of(TypeKind::Named { package, name, arguments: Vec::new() }));
    leaf.prop_recursive(3, 8, 2, move |inner| {
        prop_oneof![
            inner.clone().prop_map(move |to| of(TypeKind::Pointer(Box::new(to)))),
            inner.clone().prop_map(move |to| of(TypeKind::Slice(Box::new(to)))),
            (any::<u64>(), inner.clone()).prop_map(move |(n, to)| of(TypeKind::Array(n, Box::new(to)))),
            (inner.clone(), inner.clone())
                .prop_map(move |(key, to)| of(TypeKind::Map(Box::new(key), Box::new(to)))),
            (package(), word(), prop::collection::vec(inner, 0..3)).prop_map(
                move |(package, name, arguments)| of(TypeKind::Named {
                    package: Some(package),
                    name,
                    arguments
                })
            ),
        ]
    })
}

fn expression() -> impl Strategy<Value = Expression> {
    let of = |kind| Expression { kind, span: Span::default() };
    let leaf = prop_oneof![
        word().prop_map(move |word| of(Kind::Name(word))),
        (package(), name()).prop_map(move |(package, name)| of(Kind::Global { package, name })),
    ];
    leaf.prop_recursive(8, 12, 1, move |inner| {
        let inner = inner.prop_map(Box::new);
        let bounds = (proptest::option::of(0..9u64), proptest::option::of(9..99u64));
        prop_oneof![
            (inner.clone(), name()).prop_map(move |(x, field)| of(Kind::Select { of: x, field })),
            inner.clone().prop_map(move |x| of(Kind::Dereference(x))),
            (inner.clone(), constant()).prop_map(move |(x, key)| of(Kind::Index { of: x, key })),
            (inner.clone(), bounds).prop_map(move |(x, (low, high))| of(Kind::Slice { of: x, low, high })),
            (inner.clone(), type_name()).prop_map(move |(x, to)| of(Kind::Assert { of: x, to })),
            (inner.clone(), prop::sample::select(&Builtin::ALL[..]))
                .prop_map(move |(x, builtin)| of(Kind::Call { of: x, builtin })),
            inner.clone().prop_map(move |x| of(Kind::Deadline(x))),
            inner.clone().prop_map(move |x| of(Kind::Load(x))),
            inner.clone().prop_map(move |x| of(Kind::Held(x))),
            (inner, type_name()).prop_map(move |(x, key)| of(Kind::ContextValue { of: x, key })),
        ]
    })
}

/// The same without positions.
fn bare_type(of: &TypeName) -> TypeName {
    let bare = |of: &TypeName| Box::new(bare_type(of));
    let kind = match &of.kind {
        TypeKind::Pointer(to) => TypeKind::Pointer(bare(to)),
        TypeKind::Slice(to) => TypeKind::Slice(bare(to)),
        TypeKind::Array(length, to) => TypeKind::Array(*length, bare(to)),
        TypeKind::Map(key, to) => TypeKind::Map(bare(key), bare(to)),
        TypeKind::Named { package, name, arguments } => TypeKind::Named {
            package: package.clone(),
            name: name.clone(),
            arguments: arguments.iter().map(bare_type).collect(),
        },
    };
    TypeName { kind, span: Span::default() }
}

fn bare(expression: &Expression) -> Expression {
    let inner = |of: &Expression| Box::new(bare(of));
    let name = |name: &Name| Name { text: name.text.clone(), span: Span::default() };
    let kind = match &expression.kind {
        Kind::Name(name) => Kind::Name(name.clone()),
        Kind::Global { package, name: n } => Kind::Global { package: package.clone(), name: name(n) },
        Kind::Select { of, field } => Kind::Select { of: inner(of), field: name(field) },
        Kind::Dereference(of) => Kind::Dereference(inner(of)),
        Kind::Index { of, key } => Kind::Index { of: inner(of), key: key.clone() },
        Kind::Slice { of, low, high } => Kind::Slice { of: inner(of), low: *low, high: *high },
        Kind::Assert { of, to } => Kind::Assert { of: inner(of), to: bare_type(to) },
        Kind::Call { of, builtin } => Kind::Call { of: inner(of), builtin: *builtin },
        Kind::Deadline(of) => Kind::Deadline(inner(of)),
        Kind::Load(of) => Kind::Load(inner(of)),
        Kind::Held(of) => Kind::Held(inner(of)),
        Kind::ContextValue { of, key } => Kind::ContextValue { of: inner(of), key: bare_type(key) },
    };
    Expression { kind, span: Span::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_reads_the_same(expression in expression()) {
        let printed = expression.to_string();
        prop_assume!(printed.len() <= crate::probe::limits::EXPRESSION_BYTES_MAX);
        let parsed = Expression::parse(&printed);
        prop_assert_eq!(parsed.as_ref().map(bare), Ok(expression), "{}", printed);
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,64}") {
        let _ = Expression::parse(&text);
    }

    #[test]
    fn near_expressions_are_read_or_refused(text in "[a-c.*()\\[\\]:,\"0-9/~ ]{0,24}") {
        if let Ok(expression) = Expression::parse(&text) {
            let printed = expression.to_string();
            let again = Expression::parse(&printed);
            prop_assert_eq!(again.as_ref().map(bare), Ok(bare(&expression)), "{}", printed);
        }
    }
}
