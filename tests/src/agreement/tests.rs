//! Which captured values agree with a truth, which are cut, and which differ.

use serde_json::json;

use super::*;

fn check(truth: Value, whole: &[Value], cut: &[Value], different: &[Value]) {
    for (values, expected) in [(whole, WHOLE), (cut, CUT)] {
        for ours in values {
            assert_eq!(agree(&truth, ours), expected, "{truth} and {ours}");
        }
    }
    for ours in different {
        assert!(agree(&truth, ours).is_err(), "{truth} and {ours}");
    }
}

#[test]
fn numbers_agree_to_the_last_bit() {
    check(
        json!({ "int": "-1" }),
        &[json!(-1)],
        &[],
        &[json!(1), json!("-1"), json!(-1.0), json!(null), json!(4294967295u64)],
    );
    check(
        json!({ "uint": "18446744073709551615" }),
        &[json!(u64::MAX)],
        &[],
        &[json!(-1), json!(u64::MAX - 1)],
    );
    check(json!({ "bool": true }), &[json!(true)], &[], &[json!(false), json!(1)]);
    let number = |value: f64| json!({ "float": value.to_bits().to_string(), "size": 64 });
    check(number(0.1), &[json!(0.1)], &[], &[json!(0.1f32), json!(0.10000000000000002), json!("0.1")]);
    check(number(-0.0), &[json!(-0.0)], &[], &[json!(0.0)]);
    check(number(f64::NAN), &[json!("NaN")], &[], &[json!(0.0), json!(null), json!("+Inf")]);
    let small = json!({ "float": 0.1f32.to_bits().to_string(), "size": 32 });
    check(small, &[json!(0.1), json!(f64::from(0.1f32))], &[], &[json!(0.11)]);
    let complex =
        json!({ "complex": [1.0f64.to_bits().to_string(), (-2.5e-7f64).to_bits().to_string()], "size": 64 });
    check(
        complex,
        &[json!("(1-2.5e-7i)"), json!("(1-0.00000025i)")],
        &[],
        &[json!("(1+2.5e-7i)"), json!("(1)")],
    );
}

#[test]
fn texts_and_bytes_agree_or_are_a_beginning() {
    check(
        json!({ "string": "61c3a4" }),
        &[json!("aä"), json!({ "$hex": "61c3a4" })],
        &[json!({ "$text": "a", "$cut": "cut", "$length": 3 }), json!({ "$gap": "budget" })],
        &[
            json!("a"),
            json!("aä "),
            json!({ "$text": "b", "$cut": "cut" }),
            json!({ "$text": "a", "$cut": "cut", "$length": 4 }),
            json!({ "$text": "a" }),
        ],
    );
    let uuid = json!({ "bytes": "123e4567e89b12d3a456426614174000" });
    check(
        uuid,
        &[json!("123e4567-e89b-12d3-a456-426614174000")],
        &[],
        &[json!("123e4567-e89b-12d3-a456-426614174001")],
    );
}

#[test]
fn every_part_is_compared() {
    let point = json!({ "record": [["x", { "int": "1" }], ["_", { "int": "9" }], ["y", { "int": "2" }]] });
    check(
        point.clone(),
        &[json!({ "x": 1, "y": 2 })],
        &[json!({ "x": 1, "y": { "$gap": "optimized out" } }), json!({ "x": 1, "$cut": "cut" })],
        &[
            json!({ "x": 1 }),
            json!({ "x": 1, "y": 3 }),
            json!({ "x": 1, "y": 2, "z": 3 }),
            json!({ "y": 3, "$cut": "cut" }),
        ],
    );
    let pointer = json!({ "pointer": "4096", "to": point.clone() });
    check(
        pointer,
        &[json!({ "x": 1, "y": 2 })],
        &[json!({ "$address": "0x1000", "$cut": "cut: depth" })],
        &[json!({ "$address": "0x1008", "$cut": "cut: depth" }), json!(null)],
    );
    check(
        json!({ "nil": "map" }),
        &[json!(null)],
        &[json!({ "$gap": "x" })],
        &[json!({}), json!([]), json!("")],
    );
    let list = json!({ "list": [{ "int": "1" }, { "int": "2" }] });
    check(
        list,
        &[json!([1, 2])],
        &[json!([1, { "$cut": "cut: 1 of 2 elements", "$length": 2 }]), json!([1, { "$gap": "x" }])],
        &[json!([1]), json!([2, 1]), json!([1, { "$cut": "cut", "$length": 3 }]), json!([1, 2, 3])],
    );
}

#[test]
fn maps_agree_in_any_order() {
    let map =
        json!({ "map": [[{ "string": "62" }, { "int": "2" }], [{ "string": "2461" }, { "int": "1" }]] });
    check(
        map,
        &[json!({ "$$a": 1, "b": 2 }), json!([{ "key": "b", "value": 2 }, { "key": "$a", "value": 1 }])],
        &[json!({ "b": 2, "$cut": "cut", "$length": 2 })],
        &[
            json!({ "b": 2 }),
            json!({ "b": 1, "$$a": 2 }),
            json!({ "b": 2, "c": 1 }),
            json!([{ "key": "b", "value": 2 }, { "key": "b", "value": 2 }]),
        ],
    );
}

#[test]
fn interfaces_agree_in_type_and_value() {
    let held = json!({ "dynamic": "*main.item", "value": { "to": { "record": [["N", { "int": "1" }]] }, "pointer": "1" } });
    check(
        held,
        &[
            json!({ "$type": "*main.item", "N": 1 }),
            json!({ "$type": "*a/b/main.item", "$value": { "N": 1 } }),
        ],
        &[json!({ "$type": "*main.item", "$gap": "x" })],
        &[
            json!({ "$type": "main.item", "N": 1 }),
            json!({ "N": 1 }),
            json!({ "$type": "main.item", "$gap": "x" }),
        ],
    );
    check(
        json!({ "dynamic": "int", "value": { "int": "1" } }),
        &[json!(1)],
        &[],
        &[json!({ "$type": "uint", "$value": 1 })],
    );
    check(
        json!({ "dynamic": "main.n", "value": { "int": "1" } }),
        &[json!({ "$type": "main.n", "$value": 1 })],
        &[],
        &[json!(1)],
    );
}

#[test]
fn cells_are_plain() {
    let is = |truth: &Value, ours: Value, has_gap| agree_cell(truth, &ours, has_gap);
    let bytes = json!({ "bytes": "0001ff" });
    assert_eq!(is(&bytes, json!("0001ff"), false), WHOLE);
    assert_eq!(is(&bytes, json!("0001"), true), CUT);
    assert!(is(&bytes, json!("0001"), false).is_err());
    assert!(is(&bytes, json!("01ff"), true).is_err());
    let text = json!({ "string": "3631" });
    assert_eq!(is(&text, json!("61"), false), WHOLE);
    assert!(is(&text, json!("3631"), false).is_err(), "a text is no hexadecimal one");
    let code = json!({ "dynamic": "main.code", "value": { "int": "404" } });
    assert_eq!(is(&code, json!(404), false), WHOLE);
    assert!(is(&code, json!(405), false).is_err());
    let typed_nil = json!({ "dynamic": "*main.e", "value": { "nil": "pointer" } });
    assert_eq!(is(&typed_nil, json!({ "$type": "*main.e", "$value": null }), false), WHOLE);
    assert!(is(&typed_nil, json!(null), false).is_err(), "it is not nil");
    let function = json!({ "func": "main.f", "address": "4096", "captured": [["n", { "int": "1" }]] });
    assert_eq!(is(&function, json!("main.f"), false), WHOLE);
    assert!(is(&function, json!("main.g"), false).is_err());
    let pointer = json!({ "pointer": "4096", "to": { "int": "1" } });
    assert_eq!(is(&pointer, json!("0x1000"), true), CUT);
    assert!(is(&pointer, json!("0x1000"), false).is_err());
}

#[test]
fn types_are_named_with_or_without_paths() {
    assert!(is_type("map[string]url.URL", "map[string]net/url.URL"));
    assert!(is_type("main.pair[int,[]main.x]", "main.pair[int, []a/main.x]"));
    assert!(!is_type("url.URL", "*net/url.URL"));
    assert!(is_type("main.ticket", "main.ticket·1"));
    assert!(is_type("struct { a int; b main.x }", "struct { main.a int; main.b main.x }"));
    assert!(!is_type("main.a", "other.a"));
}

#[test]
fn functions_and_channels() {
    let f = json!({ "func": "main.f[...].func1", "captured": [["n", { "int": "1" }]] });
    check(
        f,
        &[json!({ "$func": "main.f[go.shape.int].func1", "n": 1 })],
        &[json!({ "$func": "main.f[...].func1" })],
        &[
            json!({ "$func": "main.f[...].func1", "n": 2 }),
            json!({ "$func": "main.f[...].func1", "m": 1 }),
            json!({ "$func": "main.g" }),
        ],
    );
    let c =
        json!({ "chan": "1", "length": "1", "capacity": "2", "closed": false, "content": [{ "int": "7" }] });
    let ours = |length: u32, element: u32| json!({ "length": length, "capacity": 2, "closed": false, "elements": [element] });
    check(
        c,
        &[ours(1, 7)],
        &[],
        &[ours(2, 7), ours(1, 8), json!({ "length": 1, "capacity": 2, "closed": true, "elements": [7] })],
    );
}
