//! Any text as an expression, a pattern and a probe set: read or refused, and what is printed reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillframe_golang::probe::ProbeSet;
use stillframe_golang::probe::expression::Expression;
use stillframe_golang::probe::limits::EXPRESSION_BYTES_MAX;
use stillframe_golang::probe::pattern::{Pattern, Subject};

const NAMES: [&str; 3] = ["shop/orders.(*Service).Place", "main.Map[go.shape.[]int,a/b.T].func1", "gopkg.in/yaml%2ev3.Unmarshal"];

fuzz_target!(|text: &str| {
    // The first byte chooses, so that each has a corpus of its own kind.
    match text.as_bytes().first() {
        Some(b'#' | b'[') => set(text),
        Some(b'?') => pattern(&text[1..]),
        _ => expression(text),
    }
});

fn set(text: &str) {
    match ProbeSet::parse(text) {
        Ok(set) => {
            for column in set.probes.iter().flat_map(|probe| probe.capture.iter().flatten()) {
                for way in &column.ways {
                    let _ = way.place.of(&way.text, way.expression.span);
                }
            }
        }
        Err(errors) => assert!(!errors.0.is_empty() && errors.0.iter().all(|e| e.line > 0 && e.column > 0)),
    }
}

fn pattern(text: &str) {
    for subject in [Subject::Function, Subject::Type, Subject::Field, Subject::Program] {
        if let Ok(pattern) = Pattern::parse(text, subject) {
            for name in NAMES {
                let _ = pattern.matches(name);
                let _ = pattern.matches_field(name, "Token");
            }
        }
    }
}

fn expression(text: &str) {
    let Ok(expression) = Expression::parse(text) else { return };
    let printed = expression.to_string();
    // Escapes are longer than what they stand for.
    if printed.len() <= EXPRESSION_BYTES_MAX {
        let again = Expression::parse(&printed).expect("what is printed is an expression");
        assert_eq!(again.to_string(), printed);
    }
}
