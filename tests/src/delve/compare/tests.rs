//! What Delve answers, and what we say of the same.

use serde_json::json;

use super::*;

#[track_caller]
fn check(delve: Value, ours: Value, expected: Verdict) {
    let verdict = compare(&delve, &ours);
    match expected {
        Different(_) => assert!(matches!(verdict, Different(_)), "{delve} and {ours}: {verdict:?}"),
        expected => assert_eq!(verdict, expected, "{delve} and {ours}"),
    }
}

fn different() -> Verdict {
    Different(String::new())
}

#[test]
fn what_both_have_is_compared() {
    let int = json!({ "kind": 2, "type": "int", "value": "5" });
    check(int.clone(), json!(5), Same);
    check(int.clone(), json!(6), different());
    check(int.clone(), json!({ "$gap": "optimized out" }), Unknown);
    check(json!({ "kind": 2, "type": "main.day", "value": "Saturday (6)" }), json!(6), Same);
    let text = json!({ "kind": 24, "type": "string", "value": "ab", "len": 2 });
    check(text.clone(), json!("ab"), Same);
    check(text.clone(), json!("xb"), different());
    check(text.clone(), json!("a"), different());
    check(text, json!({ "$text": "a", "$cut": "cut: 1 of 2 bytes" }), Same);
    let point = json!({ "kind": 25, "type": "main.p", "len": 1, "children": [{ "name": "x", "kind": 2, "type": "int", "value": "5" }] });
    check(point.clone(), json!({ "x": 5 }), Same);
    assert_eq!(compare(&point, &json!({ "x": 4 })), Different(".x: 4, and Delve says 5".into()));
    let held = json!({ "kind": 20, "type": "error", "children": [{ "kind": 22, "type": "*main.p", "children": [point] }] });
    check(held.clone(), json!({ "$type": "*main.p", "x": 5 }), Same);
    check(held, json!({ "$type": "*main.q", "x": 5 }), different());
    let list = json!({ "kind": 23, "type": "[]int", "len": 1, "base": 4096, "children": [int] });
    check(list.clone(), json!([5]), Same);
    check(list.clone(), json!([5, 6]), different());
    check(list, json!(null), different());
    check(json!({ "kind": 25, "type": "time.Time", "unreadable": "" }), json!("2024"), Unknown);
}

#[test]
fn channels_are_told_by_their_runtime_s_fields() {
    let field = |name: &str, value: &str| json!({ "name": name, "kind": 7, "type": "uint", "value": value });
    let chan = json!({ "kind": 18, "type": "chan int", "base": 4096, "children":
        [field("qcount", "1"), field("dataqsiz", "2"), field("closed", "0")] });
    check(chan.clone(), json!({ "length": 1, "capacity": 2, "closed": false }), Same);
    check(chan.clone(), json!({ "length": 1, "capacity": 2, "closed": true }), different());
    check(chan.clone(), json!({ "length": 0, "capacity": 2, "closed": false }), different());
    check(chan, json!(null), different());
    check(json!({ "kind": 18, "type": "chan int", "base": 0, "children": [] }), json!(null), Same);
}

#[test]
fn functions_are_compared_with_what_they_have_captured() {
    let captured = json!({ "name": "n", "kind": 2, "type": "int", "value": "5" });
    let func = json!({ "kind": 19, "type": "func()", "value": "main.f[go.shape.int].func1", "children": [captured] });
    check(func.clone(), json!("main.f[...].func1"), Same);
    check(func.clone(), json!({ "$func": "main.f[...].func1", "n": 5 }), Same);
    check(func.clone(), json!({ "$func": "main.f[...].func1", "n": 6 }), different());
    check(func.clone(), json!("main.g"), different());
    check(func, json!(null), different());
    check(json!({ "kind": 19, "type": "func()", "value": "" }), json!(null), Same);
}

#[test]
fn bytes_and_complex_numbers_are_told_in_several_ways() {
    let byte = |value: &str| json!({ "kind": 8, "type": "uint8", "value": value });
    let bytes = json!({ "kind": 23, "type": "[]uint8", "len": 2, "base": 1, "children": [byte("97 = 'a'"), byte("0")] });
    check(bytes.clone(), json!({ "$hex": "6100" }), Same);
    check(bytes.clone(), json!({ "$hex": "6101" }), different());
    check(bytes.clone(), json!("6100"), Same);
    check(bytes, json!("a"), different());
    let pointer = json!({ "kind": 26, "type": "unsafe.Pointer", "value": "0", "children": [{ "addr": 0 }] });
    check(pointer.clone(), json!(null), Same);
    check(pointer, json!("0x5"), different());
    let part = |value: &str| json!({ "kind": 14, "type": "float64", "value": value });
    let complex = json!({ "kind": 16, "type": "complex128", "value": "(1 + -2e-05i)", "children": [part("1"), part("-2e-05")] });
    check(complex.clone(), json!("(1-2e-05i)"), Same);
    check(complex, json!("(1+2e-05i)"), different());
}
