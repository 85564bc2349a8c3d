//! Values as JSON: what stands in the snapshot's `value` columns.
//!
//! The paths of `json_extract` are those of Go's own selectors: `x.User.Name` is `$.User.Name`, `x.Items[0].SKU` is
//! `$.Items[0].SKU`, `x.Tags["tenant"]` is `$.Tags.tenant`, whether pointers, interfaces or cuts lie between or not. Names that
//! begin with `$` are Stillframe's: no Go field has such a name, and a map's key that begins so gets another `$` in front.
//!
//! | Go | JSON |
//! | --- | --- |
//! | bool, integers | `true`, `-7`; all 64 bits in digits |
//! | floating-point numbers | `1.5`; `"NaN"`, `"+Inf"`, `"-Inf"` |
//! | complex numbers | `"(1+2i)"`, as Go prints them |
//! | string | a string; if it is no UTF-8, `{"$hex": "00ff"}` |
//! | byte slice | a string if it is UTF-8 without control characters, else `{"$hex": "00ff"}` |
//! | byte array | `{"$hex": "00ff"}`; a UUID is a string |
//! | struct | an object: fields in order, embedded ones by the name of their type, `_` left out |
//! | slice, array | an array |
//! | map | an object if its keys are strings, integers or bools, else an array of `{"key": ..., "value": ...}`; ordered by key |
//! | pointer | what it points to |
//! | nil | `null` |
//! | interface | the object of what it holds, with `"$type"`; what is no object is `{"$type": "main.ID", "$value": 7}`. Basic types, `[]interface {}` and `map[string]interface {}` stand for themselves, so that a decoded JSON document reads as it did |
//! | function | `{"$func": "main.run.func1"}`, and the variables that it has captured |
//! | channel | `{"length": 1, "capacity": 8, "closed": false, "elements": [...]}` |
//! | unsafe.Pointer, addr(x) | `"0xc000012345"` |
//! | time.Time, time.Duration, net.IP, netip, big.Int, json.RawMessage | a string, as Go prints them |
//! | sync, sync/atomic, context.Context | see `sync.rs`, `atomic.rs`, `context.rs` |
//!
//! What is missing is `{"$gap": "why"}`. What is cut says so at its end, where it does not change the path to what is there:
//! an array has one more element, `{"$cut": "cut: 64 of 1000 elements", "$length": 1000}`, an object these two members more. A cut
//! string is `{"$text": "the beginning", "$cut": ..., "$length": ...}`, bytes alike with `$hex`; a pointer that was not
//! followed is `{"$address": "0xc000012345", "$cut": ...}`. `$length` is there where it is known.

use std::fmt::Write;

use crate::gap::Gap;
use crate::value::Value;

/// The value as JSON, of about `bytes_max` bytes at most; what is cut for that says so.
pub fn to_json(value: &Value, bytes_max: usize) -> String {
    let mut writer = Writer { out: String::new(), bytes_max };
    writer.value(value);
    writer.out
}

/// Types that JSON tells apart well enough.
const BARE: [&str; 18] = [
    "bool",
    "string",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "uintptr",
    "float32",
    "float64",
    "interface {}",
    "[]interface {}",
    "map[string]interface {}",
];

struct Writer {
    out: String,
    bytes_max: usize,
}

impl Writer {
    fn is_full(&self) -> bool {
        self.out.len() >= self.bytes_max
    }

    fn value(&mut self, value: &Value) {
        if self.is_full() {
            return self.object(|o| o.text("$gap", &Gap::Size.to_string()));
        }
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Bool(value) => self.display(value),
            Value::Int(value) => self.display(value),
            Value::Uint(value) => self.display(value),
            Value::Float(value) => self.number(*value, format!("{value:?}")),
            Value::Float32(value) => self.number(f64::from(*value), format!("{value:?}")),
            Value::Complex(real, imaginary) => self.string(&complex(*real, *imaginary)),
            Value::Text(text) => match self.fitting(text) {
                Some(cut) => self.cut_text(cut, &Gap::Size),
                None => self.string(text),
            },
            Value::Bytes(_) | Value::Record(_) | Value::Function { .. } | Value::Map(_)
                if !is_pairs(value) =>
            {
                self.object(|o| o.members(value));
            }
            Value::Map(entries) => self.pairs(entries, None),
            Value::List(items) => self.list(items, None),
            Value::Address(address) => self.string(&hexadecimal(*address)),
            Value::Dynamic { of, value } => self.dynamic(of, value),
            Value::Cut { value, gap } => self.cut(value, gap),
            Value::Missing(gap) => self.object(|o| o.text("$gap", &gap.to_string())),
            Value::Bytes(_) | Value::Record(_) | Value::Function { .. } => {}
        }
    }

    fn cut(&mut self, value: &Value, gap: &Gap) {
        match value {
            Value::List(items) => self.list(items, Some(gap)),
            Value::Map(entries) if is_pairs(value) => self.pairs(entries, Some(gap)),
            Value::Text(text) => self.cut_text(self.fitting(text).unwrap_or(text), gap),
            Value::Address(address) => self.object(|o| {
                o.text("$address", &hexadecimal(*address));
                o.cut(gap);
            }),
            // One cut within another of the same value: the inner one is the earlier.
            Value::Cut { .. } => self.value(value),
            _ if is_object(value) => self.object(|o| {
                o.members(value);
                o.cut(gap);
            }),
            _ => self.object(|o| {
                o.member("$value", value);
                o.cut(gap);
            }),
        }
    }

    fn cut_text(&mut self, text: &str, gap: &Gap) {
        let text = text.to_owned();
        self.object(|o| {
            o.text("$text", &text);
            o.cut(gap);
        });
    }

    /// The beginning of a text that does not fit.
    fn fitting<'t>(&self, text: &'t str) -> Option<&'t str> {
        let room = self.bytes_max.saturating_sub(self.out.len());
        (text.len() > room).then(|| &text[..text.floor_char_boundary(room)])
    }

    fn dynamic(&mut self, of: &str, value: &Value) {
        let inner = match value {
            Value::Cut { value, .. } => value,
            value => value,
        };
        if BARE.contains(&of) && !matches!(value, Value::Missing(_)) {
            return self.value(value);
        }
        self.object(|o| {
            o.text("$type", of);
            match value {
                Value::Missing(gap) => o.text("$gap", &gap.to_string()),
                Value::Cut { gap, .. } if is_object(inner) => {
                    o.members(inner);
                    o.cut(gap);
                }
                _ if is_object(inner) => o.members(inner),
                _ => o.member("$value", value),
            }
        });
    }

    fn list(&mut self, items: &[Value], gap: Option<&Gap>) {
        self.out.push('[');
        let mut cut = gap.cloned();
        for (i, item) in items.iter().enumerate() {
            if self.is_full() {
                cut = Some(Gap::Elements {
                    shown: i as u64,
                    length: length(gap).unwrap_or(items.len() as u64),
                });
                break;
            }
            self.comma();
            self.value(item);
        }
        if let Some(gap) = cut {
            self.comma();
            self.object(|o| o.cut(&gap));
        }
        self.out.push(']');
    }

    fn pairs(&mut self, entries: &[(Value, Value)], gap: Option<&Gap>) {
        let pair = |(key, value): &(Value, Value)| {
            Value::Record(vec![("key".into(), key.clone()), ("value".into(), value.clone())])
        };
        self.list(&entries.iter().map(pair).collect::<Vec<_>>(), gap);
    }

    fn comma(&mut self) {
        if !self.out.ends_with(['[', '{', ':']) {
            self.out.push(',');
        }
    }

    fn object(&mut self, members: impl FnOnce(&mut Object<'_>)) {
        self.out.push('{');
        members(&mut Object { writer: self, is_empty: true });
        self.out.push('}');
    }

    fn display(&mut self, value: impl std::fmt::Display) {
        // Writing to a string cannot fail.
        let _ = write!(self.out, "{value}");
    }

    fn number(&mut self, value: f64, digits: String) {
        match special(value) {
            Some(text) => self.string(text),
            None => self.out.push_str(&digits),
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                // C1 and the line separators too, which some readers take for ends of lines.
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                    let _ = write!(self.out, "\\u{:04x}", u32::from(c));
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

struct Object<'w> {
    writer: &'w mut Writer,
    is_empty: bool,
}

impl Object<'_> {
    fn name(&mut self, name: &str) {
        if !std::mem::replace(&mut self.is_empty, false) {
            self.writer.out.push(',');
        }
        self.writer.string(name);
        self.writer.out.push(':');
    }

    fn member(&mut self, name: &str, value: &Value) {
        self.name(name);
        self.writer.value(value);
    }

    fn text(&mut self, name: &str, text: &str) {
        self.name(name);
        self.writer.string(text);
    }

    fn cut(&mut self, gap: &Gap) {
        self.text("$cut", &gap.to_string());
        if let Some(length) = length(Some(gap)) {
            self.name("$length");
            self.writer.display(length);
        }
    }

    /// The members of a value that is an object.
    fn members(&mut self, value: &Value) {
        match value {
            Value::Record(parts) => self.parts(parts),
            Value::Function { name, captured } => {
                self.text("$func", name);
                self.parts(captured);
            }
            Value::Bytes(bytes) => {
                let room = self.writer.bytes_max.saturating_sub(self.writer.out.len()) / 2;
                self.text("$hex", &hex(&bytes[..bytes.len().min(room)]));
                if room < bytes.len() {
                    self.cut(&Gap::Bytes { shown: room as u64, length: bytes.len() as u64 });
                }
            }
            Value::Map(entries) => {
                for (key, value) in entries {
                    if self.writer.is_full() {
                        return self.text("$cut", &Gap::Size.to_string());
                    }
                    let key = key_name(key).unwrap_or_default();
                    let key = if key.starts_with('$') { format!("${key}") } else { key };
                    self.member(&key, value);
                }
            }
            _ => {}
        }
    }

    fn parts(&mut self, parts: &[(String, Value)]) {
        for (name, value) in parts {
            if self.writer.is_full() {
                return self.text("$cut", &Gap::Size.to_string());
            }
            self.member(name, value);
        }
    }
}

/// Values that are written as objects, to which further members can be added.
fn is_object(value: &Value) -> bool {
    match value {
        Value::Record(_) | Value::Function { .. } | Value::Bytes(_) => true,
        Value::Map(_) => !is_pairs(value),
        _ => false,
    }
}

/// Maps whose keys cannot be names of members.
fn is_pairs(value: &Value) -> bool {
    let Value::Map(entries) = value else { return false };
    let mut names = std::collections::HashSet::new();
    let mut kinds = std::collections::HashSet::new();
    !entries.iter().all(|(key, _)| {
        kinds.insert(std::mem::discriminant(key));
        key_name(key).is_some_and(|name| names.insert(name))
    }) || kinds.len() > 1
}

fn key_name(key: &Value) -> Option<String> {
    match key {
        Value::Text(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::Uint(value) => Some(value.to_string()),
        _ => None,
    }
}

fn length(gap: Option<&Gap>) -> Option<u64> {
    match gap {
        Some(Gap::Bytes { length, .. } | Gap::Elements { length, .. }) => Some(*length),
        _ => None,
    }
}

pub(super) fn hexadecimal(address: u64) -> String {
    format!("{address:#x}")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What is no number in JSON.
pub(super) fn special(value: f64) -> Option<&'static str> {
    match value {
        _ if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

/// As Go prints it: `(1+2i)`.
pub(super) fn complex(real: f64, imaginary: f64) -> String {
    let number = |value: f64| special(value).map_or_else(|| value.to_string(), str::to_owned);
    let (real, imaginary) = (number(real), number(imaginary));
    let sign = if imaginary.starts_with(['+', '-']) { "" } else { "+" };
    format!("({real}{sign}{imaginary}i)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: &Value) -> String {
        to_json(value, 1 << 16)
    }

    fn record(parts: &[(&str, Value)]) -> Value {
        Value::Record(parts.iter().map(|(name, value)| (name.to_string(), value.clone())).collect())
    }

    #[test]
    fn numbers_keep_all_their_digits() {
        assert_eq!(json(&Value::Uint(u64::MAX)), "18446744073709551615");
        assert_eq!(json(&Value::Int(i64::MIN)), "-9223372036854775808");
        assert_eq!(json(&Value::Float(0.1)), "0.1");
        assert_eq!(json(&Value::Float(2.0)), "2.0");
        assert_eq!(json(&Value::Float(1e300)), "1e300");
        assert_eq!(json(&Value::Float32(0.1)), "0.1");
        assert_eq!(json(&Value::Float(f64::NAN)), r#""NaN""#);
        assert_eq!(json(&Value::Float32(f32::NEG_INFINITY)), r#""-Inf""#);
        assert_eq!(json(&Value::Complex(1.0, -2.5)), r#""(1-2.5i)""#);
        assert_eq!(json(&Value::Complex(f64::NAN, f64::INFINITY)), r#""(NaN+Infi)""#);
    }

    #[test]
    fn paths_are_those_of_go() {
        let user = record(&[("Name", Value::Text("Ann \"A\" \u{1}".into()))]);
        let held = Value::Dynamic { of: "*main.User".into(), value: Box::new(user) };
        assert_eq!(json(&held), r#"{"$type":"*main.User","Name":"Ann \"A\" \u0001"}"#);
        let id = Value::Dynamic { of: "main.ID".into(), value: Box::new(Value::Int(7)) };
        assert_eq!(json(&id), r#"{"$type":"main.ID","$value":7}"#);
        let bare = Value::Dynamic { of: "string".into(), value: Box::new(Value::Text("x".into())) };
        assert_eq!(json(&bare), r#""x""#);
        let nil = Value::Dynamic { of: "*main.User".into(), value: Box::new(Value::Nil) };
        assert_eq!(json(&nil), r#"{"$type":"*main.User","$value":null}"#);
        let cycle = record(&[("next", Value::Missing(Gap::Cycle)), ("raw", Value::Bytes(vec![0, 255]))]);
        assert_eq!(json(&cycle), r#"{"next":{"$gap":"cycle"},"raw":{"$hex":"00ff"}}"#);
        let function = Value::Function { name: "main.f".into(), captured: vec![("n".into(), Value::Int(1))] };
        assert_eq!(json(&function), r#"{"$func":"main.f","n":1}"#);
    }

    #[test]
    fn maps_are_objects_where_their_keys_are_names() {
        let text = |text: &str| Value::Text(text.into());
        let map = Value::Map(vec![(text("$gap"), Value::Int(1)), (text("a"), Value::Int(2))]);
        assert_eq!(json(&map), r#"{"$$gap":1,"a":2}"#);
        let map = Value::Map(vec![(Value::Int(-1), text("x"))]);
        assert_eq!(json(&map), r#"{"-1":"x"}"#);
        let map = Value::Map(vec![(record(&[("x", Value::Int(1))]), text("x"))]);
        assert_eq!(json(&map), r#"[{"key":{"x":1},"value":"x"}]"#);
        // Two keys of which the same text is shown.
        let map = Value::Map(vec![(text("x"), Value::Int(1)), (text("x"), Value::Int(2))]);
        assert_eq!(json(&map), r#"[{"key":"x","value":1},{"key":"x","value":2}]"#);
    }

    #[test]
    fn cuts_say_so_and_leave_paths_alone() {
        let cut = |value, gap| json(&Value::Cut { value: Box::new(value), gap });
        let elements = Gap::Elements { shown: 1, length: 1000 };
        assert_eq!(
            cut(Value::List(vec![Value::Int(1)]), elements.clone()),
            r#"[1,{"$cut":"cut: 1 of 1000 elements","$length":1000}]"#
        );
        assert_eq!(
            cut(Value::Map(vec![(Value::Text("a".into()), Value::Nil)]), elements),
            r#"{"a":null,"$cut":"cut: 1 of 1000 elements","$length":1000}"#
        );
        let bytes = Gap::Bytes { shown: 2, length: 9 };
        assert_eq!(
            cut(Value::Text("ab".into()), bytes.clone()),
            r#"{"$text":"ab","$cut":"cut: 2 of 9 bytes","$length":9}"#
        );
        assert_eq!(
            cut(Value::Bytes(vec![1, 2]), bytes),
            r#"{"$hex":"0102","$cut":"cut: 2 of 9 bytes","$length":9}"#
        );
        assert_eq!(
            cut(Value::Address(0xc0_0000), Gap::Depth),
            r#"{"$address":"0xc00000","$cut":"cut: depth"}"#
        );
    }

    #[test]
    fn output_has_a_bound() {
        let wide = Value::List(vec![record(&[("text", Value::Text("\u{1}".repeat(100)))]); 1000]);
        let text = to_json(&wide, 1000);
        assert!(text.len() < 2500, "{}", text.len());
        assert!(text.ends_with(r#"of 1000 elements","$length":1000}]"#), "{text}");
        let text = to_json(&Value::Text("ä".repeat(1000)), 101);
        assert!(text.starts_with("{\"$text\":\"ää"), "{text}");
    }
}
