//! Values that a snapshot file holds, as its own SQL gives them.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::stillframe::run;

/// One captured expression of one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Captured {
    pub of: Option<String>,
    /// `None`: missing, and the gap says why.
    pub value: Option<Value>,
    pub address: Option<u64>,
    pub gap: Option<String>,
}

/// Of which goroutine (its goid), at which depth, of which probe, by which name.
pub type Key = (u64, usize, String, String);

/// Everything of `goroutine_values`.
pub fn values(file: &Path) -> BTreeMap<Key, Captured> {
    let query = "select goid, depth, probe, name, type, value, address, gap from goroutine_values \
                 join goroutines using (goroutine_id)";
    let captured = |row: Value| {
        let key = (
            row["goid"].as_u64().expect("a goroutine has a number"),
            row["depth"].as_u64().expect("a frame has a depth") as usize,
            text(&row["probe"]).expect("a value is of a probe"),
            text(&row["name"]).expect("a value has a name"),
        );
        let value = text(&row["value"]).map(|value| {
            serde_json::from_str(&value)
                .unwrap_or_else(|e| panic!("{key:?}: its value is no JSON: {e}: {value}"))
        });
        let address = row["address"].as_i64().map(i64::cast_unsigned);
        (key, Captured { of: text(&row["type"]), value, address, gap: text(&row["gap"]) })
    };
    rows(file, query).into_iter().map(captured).collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// By goroutine and function: at which depths it stands, from the outermost.
pub fn frames(file: &Path) -> BTreeMap<(u64, String), Vec<usize>> {
    let query = "select goid, depth, name from goroutines join stack_frames using (stack_id) \
                 join functions using (function_id) where name like 'main.%' order by goid, depth desc";
    let mut frames: BTreeMap<(u64, String), Vec<usize>> = BTreeMap::new();
    for row in rows(file, query) {
        let goid = row["goid"].as_u64().expect("a goroutine has a number");
        let function = text(&row["name"]).expect("a function has a name");
        let depth = row["depth"].as_u64().expect("a frame has a depth") as usize;
        frames.entry((goid, function)).or_default().push(depth);
    }
    frames
}

/// The rows of a query, as JSON objects.
pub fn rows(file: &Path, sql: &str) -> Vec<Value> {
    let arguments =
        ["--json".as_ref(), "sql".as_ref(), "--limit".as_ref(), "0".as_ref(), file.as_os_str(), sql.as_ref()];
    let ran = run(&arguments);
    assert_eq!(ran.code, Some(0), "{sql}: {}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{sql}: {e}: {}", ran.stdout))
}
