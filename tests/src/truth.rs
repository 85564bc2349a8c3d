//! What a program says its variables hold: the file that `tests/programs/values` writes, and the probes that ask for the
//! same.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde_json::Value;

/// What an expression holds in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    pub goid: u64,
    /// As Go prints it.
    pub function: String,
    /// Among the goroutine's frames of this function, from the outermost.
    pub frame: usize,
    pub expression: String,
    /// The static type, as `reflect` prints it. Empty: it has none.
    pub of: String,
    /// As `tree.go` and `special.go` of the program describe it.
    pub value: Value,
}

/// All facts of the file.
pub fn read(path: &Path) -> Vec<Fact> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let facts = text.lines().map(|line| {
        parse(line).unwrap_or_else(|| panic!("{}: not a line of the truth: {line}", path.display()))
    });
    facts.collect()
}

fn parse(line: &str) -> Option<Fact> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| Some(line[name].as_str()?.to_owned());
    Some(Fact {
        goid: line["goid"].as_u64()?,
        function: text("function")?,
        frame: line["frame"].as_u64()? as usize,
        expression: text("expression")?,
        of: text("type")?,
        value: line["truth"].clone(),
    })
}

/// Probes for all expressions of some facts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probes {
    /// By function: its expressions, in order.
    functions: BTreeMap<String, Vec<String>>,
}

impl Probes {
    pub fn of(facts: &[Fact]) -> Probes {
        let mut functions: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for fact in facts {
            let expressions = functions.entry(fact.function.clone()).or_default();
            if !expressions.contains(&fact.expression) {
                expressions.push(fact.expression.clone());
            }
        }
        Probes { functions }
    }

    /// The probe of a function, and the name of an expression of it.
    pub fn column(&self, function: &str, expression: &str) -> Option<(String, String)> {
        let probe = self.functions.keys().position(|f| f == function)?;
        let column = self.functions[function].iter().position(|e| e == expression)?;
        Some((format!("p{probe}"), format!("e{column}")))
    }

    /// The text of a probe file.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (probe, (function, expressions)) in self.functions.iter().enumerate() {
            let _ = writeln!(
                text,
                "[[probe]]\nname = \"p{probe}\"\nfunction = {}\ncapture = [",
                quoted(function)
            );
            for (column, expression) in expressions.iter().enumerate() {
                let _ = writeln!(text, "  {{ as = \"e{column}\", expr = {} }},", quoted(expression));
            }
            text.push_str("]\n\n");
        }
        text
    }
}

/// A basic string of TOML. Those of JSON are, as far as these names go.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(function: &str, expression: &str) -> Fact {
        let line = serde_json::json!({
            "goid": 7, "function": function, "frame": 0, "expression": expression, "type": "int", "truth": { "int": "1" }
        });
        parse(&line.to_string()).unwrap()
    }

    #[test]
    fn probes_ask_for_all_facts() {
        let probes = Probes::of(&[
            fact("main.b", "x"),
            fact("main.a", r#"m["k"]"#),
            fact("main.b", "y"),
            fact("main.b", "x"),
        ]);
        assert_eq!(probes.column("main.b", "y"), Some(("p1".into(), "e1".into())));
        assert_eq!(probes.column("main.b", "z"), None);
        let text = probes.text();
        assert!(text.starts_with("[[probe]]\nname = \"p0\"\nfunction = \"main.a\"\n"), "{text}");
        assert!(text.contains(r#"{ as = "e0", expr = "m[\"k\"]" },"#), "{text}");
        assert_eq!(text.matches("expr =").count(), 3);
    }
}
