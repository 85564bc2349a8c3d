//! Delve, the Go debugger, as a second reader of the same process: its JSON-RPC API, and its values beside ours.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// A target that Delve has stopped; it runs on when this is dropped.
pub struct Delve {
    child: Child,
    connection: BufReader<TcpStream>,
    calls: u64,
}

/// What one frame holds.
#[derive(Clone, Debug)]
pub struct Frame {
    pub function: String,
    /// Arguments and local variables, as `api.Variable` of Delve describes them.
    pub variables: Vec<Value>,
}

/// `api.VariableShadowed`
const SHADOWED: u64 = 2;

impl Delve {
    pub fn attach(pid: u32) -> Delve {
        let mut command = Command::new(binary());
        command.args(["attach", &pid.to_string(), "--headless", "--api-version=2", "--listen=127.0.0.1:0"]);
        command.args(["--accept-multiclient", "--check-go-version=false"]);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("its output is piped"))
            .read_line(&mut line)
            .expect("its output is readable");
        let address = line.trim().rsplit(' ').next().unwrap_or_default();
        let connection = TcpStream::connect(address)
            .unwrap_or_else(|e| panic!("Delve says {line:?}, and there is nothing: {e}"));
        Delve { child, connection: BufReader::new(connection), calls: 0 }
    }

    fn call(&mut self, method: &str, argument: Value) -> Value {
        self.calls += 1;
        let request =
            json!({ "method": format!("RPCServer.{method}"), "params": [argument], "id": self.calls });
        writeln!(self.connection.get_mut(), "{request}").expect("Delve listens");
        let mut line = String::new();
        self.connection.read_line(&mut line).expect("Delve answers");
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{method}: {e}: {line}"));
        assert!(answer["error"].is_null(), "{request}: {}", answer["error"]);
        answer["result"].clone()
    }

    pub fn goroutines(&mut self) -> Vec<u64> {
        let answer = self.call("ListGoroutines", json!({ "Start": 0, "Count": 0 }));
        let all = answer["Goroutines"].as_array().expect("a list of goroutines");
        all.iter().filter_map(|goroutine| goroutine["id"].as_u64()).collect()
    }

    /// The frames of a goroutine, from the innermost out, as far as Delve gets.
    pub fn frames(&mut self, goid: u64) -> Vec<Frame> {
        let load = json!({
            "FollowPointers": true, "MaxVariableRecurse": 2, "MaxStringLen": 4096, "MaxArrayValues": 64, "MaxStructFields": -1
        });
        let answer = self.call("Stacktrace", json!({ "Id": goid, "Depth": 200, "Full": true, "Cfg": load }));
        let frames = answer["Locations"].as_array().cloned().unwrap_or_default();
        let variables = |frame: &Value| {
            let of = |name: &str| frame[name].as_array().cloned().unwrap_or_default();
            let all = of("Arguments").into_iter().chain(of("Locals"));
            all.filter(|v| v["flags"].as_u64().unwrap_or_default() & SHADOWED == 0).collect()
        };
        let frame = |frame: &Value| Frame {
            function: frame["function"]["name"].as_str().unwrap_or_default().to_owned(),
            variables: variables(frame),
        };
        frames.iter().map(frame).collect()
    }
}

impl Drop for Delve {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.call("Detach", json!({ "Kill": false }));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `tools/delve.sh` installs it.
fn binary() -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/delve.sh");
    let output = Command::new(script).output().unwrap_or_else(|e| panic!("{script}: {e}"));
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a path").trim().to_owned()
}

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Same,
    Different,
    /// One of the two has no value, or one that is told in another way.
    Unknown,
}

use Verdict::{Different, Same, Unknown};

/// Types that we tell by what they mean and Delve by their fields.
const BY_MEANING: [&str; 14] = [
    "time.",
    "sync.",
    "sync/atomic.",
    "atomic.",
    "internal/sync.",
    "internal/runtime/atomic.",
    "runtime/internal/atomic.",
    "context.Context",
    "net.IP",
    "net/netip.",
    "math/big.Int",
    "encoding/json.RawMessage",
    "net.HardwareAddr",
    "unique.",
];

/// Both have read the same memory: whether they say the same of it, as far as both have a value.
pub fn compare(delve: &Value, ours: &Value) -> Verdict {
    let text = |name: &str| delve[name].as_str().unwrap_or_default();
    let number = |name: &str| delve[name].as_u64().unwrap_or_default();
    if !text("unreadable").is_empty() || ours.get("$gap").is_some() || delve["onlyAddr"] == true {
        return Unknown;
    }
    let of = text("type").trim_start_matches('*');
    if BY_MEANING.iter().any(|name| of.starts_with(name)) {
        return Unknown;
    }
    let children = delve["children"].as_array().map_or(&[][..], Vec::as_slice);
    let is_complete = children.len() as u64 == number("len");
    // reflect.Kind
    match number("kind") {
        1 => same(ours.as_bool().map(|b| b.to_string()).as_deref() == Some(text("value"))),
        // Constants that have a name: `Saturday (6)`.
        2..=12 => {
            let digits = text("value").rsplit(" (").next().unwrap_or_default().trim_end_matches(')');
            same(digits == ours.to_string().as_str())
        }
        kind @ (13 | 14) => float(text("value"), kind == 13, ours),
        24 => string(delve, ours),
        25 => fields(children, ours),
        17 | 23 => list(delve, children, ours),
        21 if ours.is_null() => same(number("base") == 0),
        21 => match children.is_empty() || !is_complete {
            true => Unknown,
            false => pairs(children, ours),
        },
        22 => match children {
            [to] if to["addr"] == 0 && to["onlyAddr"] != true => same(ours.is_null()),
            [to] if ours.get("$address").is_none() => compare(to, ours),
            _ => Unknown,
        },
        20 => match children {
            [held] if held["kind"] == 0 => same(ours.is_null()),
            [held] => interface(held, ours),
            _ => Unknown,
        },
        18 => channel(delve, ours),
        19 => {
            let name = without_brackets(text("value"));
            match ours.get("$func").and_then(Value::as_str) {
                Some(ours) => same(without_brackets(ours) == name),
                None => same(ours.is_null() && name.is_empty()),
            }
        }
        _ => Unknown,
    }
}

fn same(is: bool) -> Verdict {
    if is { Same } else { Different }
}

/// The worst of several: one difference is one.
fn all(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let mut found = Unknown;
    for verdict in verdicts {
        match verdict {
            Different => return Different,
            Same => found = Same,
            Unknown => {}
        }
    }
    found
}

fn float(text: &str, is_small: bool, ours: &Value) -> Verdict {
    if let Some(ours) = ours.as_str() {
        return same(ours == text);
    }
    let (Some(ours), Ok(theirs)) = (ours.as_f64(), text.parse::<f64>()) else { return Different };
    let close = if is_small {
        (ours as f32).to_bits() == (theirs as f32).to_bits()
    } else {
        ours.to_bits() == theirs.to_bits()
    };
    // Delve does not say which zero it is.
    same(close || (ours == 0.0 && theirs == 0.0))
}

fn string(delve: &Value, ours: &Value) -> Verdict {
    let theirs = delve["value"].as_str().unwrap_or_default();
    let ours = match ours {
        Value::String(text) => text.as_str(),
        other => match other.get("$text").and_then(Value::as_str) {
            Some(text) => text,
            None => return Unknown,
        },
    };
    if theirs.contains('\u{fffd}') {
        return Unknown;
    }
    same(ours.starts_with(theirs) || theirs.starts_with(ours))
}

fn fields(children: &[Value], ours: &Value) -> Verdict {
    let Some(ours) = ours.as_object() else { return Unknown };
    all(children.iter().map(|child| {
        let name = child["name"].as_str().unwrap_or_default();
        let name = name.rsplit('.').next().unwrap_or_default();
        ours.get(name).map_or(Unknown, |ours| compare(child, ours))
    }))
}

fn list(delve: &Value, children: &[Value], ours: &Value) -> Verdict {
    let length = delve["len"].as_u64().unwrap_or_default();
    match ours {
        Value::Null => same(delve["base"] == 0 && length == 0),
        Value::Array(items) => {
            let cut = items.last().is_some_and(|last| last.get("$cut").is_some());
            if !cut && items.len() as u64 != length {
                return Different;
            }
            all(children.iter().zip(items).map(|(theirs, ours)| compare(theirs, ours)))
        }
        // Bytes as a text.
        Value::String(text) if children.len() == text.len() => {
            let bytes: Option<Vec<u8>> =
                children.iter().map(|c| c["value"].as_str()?.split(' ').next()?.parse().ok()).collect();
            bytes.map_or(Unknown, |bytes| same(bytes == text.as_bytes()))
        }
        _ => Unknown,
    }
}

fn pairs(children: &[Value], ours: &Value) -> Verdict {
    let Some(ours) = ours.as_object() else { return Unknown };
    all(children.chunks(2).map(|pair| {
        let key = pair[0]["value"].as_str().unwrap_or_default();
        match ours.get(key) {
            Some(value) => compare(&pair[1], value),
            None => Unknown,
        }
    }))
}

fn interface(held: &Value, ours: &Value) -> Verdict {
    let Some(object) = ours.as_object().filter(|o| o.contains_key("$type")) else {
        return compare(held, ours);
    };
    if !crate::agreement::is_type(
        held["type"].as_str().unwrap_or_default(),
        object["$type"].as_str().unwrap_or_default(),
    ) {
        return Different;
    }
    match object.get("$value") {
        Some(value) => compare(held, value),
        None => compare(held, ours),
    }
}

fn channel(delve: &Value, ours: &Value) -> Verdict {
    if ours.is_null() {
        return same(delve["base"] == 0);
    }
    let length = |name: &str| ours[name].as_u64();
    match (delve["len"].as_u64(), delve["cap"].as_u64()) {
        (Some(len), Some(cap)) if delve["base"] != 0 => {
            same(length("length") == Some(len) && length("capacity") == Some(cap))
        }
        _ => Unknown,
    }
}

/// Type arguments are `[...]` in names as Go prints them.
pub fn without_brackets(name: &str) -> String {
    let mut depth = 0;
    let mut short = String::new();
    for c in name.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            c if depth == 0 => short.push(c),
            _ => {}
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(delve: Value, ours: Value, verdict: Verdict) {
        assert_eq!(compare(&delve, &ours), verdict, "{delve} and {ours}");
    }

    #[test]
    fn what_both_have_is_compared() {
        let int = json!({ "kind": 2, "type": "int", "value": "5" });
        check(int.clone(), json!(5), Same);
        check(int.clone(), json!(6), Different);
        check(int.clone(), json!({ "$gap": "optimized out" }), Unknown);
        check(json!({ "kind": 2, "type": "main.day", "value": "Saturday (6)" }), json!(6), Same);
        check(json!({ "kind": 24, "type": "string", "value": "ab", "len": 2 }), json!("ab"), Same);
        check(json!({ "kind": 24, "type": "string", "value": "ab", "len": 2 }), json!("xb"), Different);
        let point = json!({ "kind": 25, "type": "main.p", "len": 1, "children": [{ "name": "x", "kind": 2, "type": "int", "value": "5" }] });
        check(point.clone(), json!({ "x": 5 }), Same);
        check(point.clone(), json!({ "x": 4 }), Different);
        let held = json!({ "kind": 20, "type": "error", "children": [{ "kind": 22, "type": "*main.p", "children": [point] }] });
        check(held.clone(), json!({ "$type": "*main.p", "x": 5 }), Same);
        check(held, json!({ "$type": "*main.q", "x": 5 }), Different);
        let list = json!({ "kind": 23, "type": "[]int", "len": 1, "base": 4096, "children": [int] });
        check(list.clone(), json!([5]), Same);
        check(list.clone(), json!([5, 6]), Different);
        check(list, json!(null), Different);
        check(json!({ "kind": 25, "type": "time.Time", "unreadable": "" }), json!("2024"), Unknown);
    }
}
