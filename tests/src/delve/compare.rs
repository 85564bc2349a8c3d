//! Delve's values beside ours, each told in its own way.

use serde_json::Value;

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Same,
    /// Where within the value, and what stands there.
    Different(String),
    /// One of the two has no value, or one that is told in another way.
    Unknown,
}

use Verdict::{Different, Same, Unknown};

/// Types that we tell by what they mean and Delve by their fields.
const BY_MEANING: [&str; 15] = [
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
    "reflect.Value",
];

/// Text that is shown of one side of a difference.
const SHOWN_CHARS_MAX: usize = 200;

/// Both have read the same memory: whether they say the same of it, as far as both have a value.
pub fn compare(delve: &Value, ours: &Value) -> Verdict {
    if !text(delve, "unreadable").is_empty() || ours.get("$gap").is_some() || delve["onlyAddr"] == true {
        return Unknown;
    }
    let of = text(delve, "type").trim_start_matches('*');
    if BY_MEANING.iter().any(|name| of.starts_with(name)) {
        return Unknown;
    }
    let children = children(delve);
    // reflect.Kind
    match number(delve, "kind") {
        1 => same(ours.as_bool().map(|b| b.to_string()).as_deref() == Some(value(delve)), delve, ours),
        2..=12 => integer(delve, ours),
        kind @ (13 | 14) => same(is_float(value(delve), kind == 13, ours), delve, ours),
        kind @ (15 | 16) => complex(delve, kind == 15, ours),
        17 | 23 => list(delve, children, ours),
        18 => channel(delve, children, ours),
        19 => function(delve, children, ours),
        20 => match children {
            [held] if held["kind"] == 0 => same(ours.is_null(), delve, ours),
            [held] => interface(held, ours),
            _ => Unknown,
        },
        21 if ours.is_null() => same(number(delve, "base") == 0, delve, ours),
        21 => pairs(children, ours),
        22 => match children {
            [to] if to["addr"] == 0 && to["onlyAddr"] != true => same(ours.is_null(), delve, ours),
            // We have not followed it.
            [to] => match ours["$address"].as_str().or(ours.as_str().filter(|text| text.starts_with("0x"))) {
                Some(shown) if to["kind"] != 24 => address(to, shown),
                _ => compare(to, ours),
            },
            _ => Unknown,
        },
        24 => string(delve, ours),
        25 => fields(children, ours),
        // unsafe.Pointer
        26 if ours.is_null() => same(children.iter().all(|to| number(to, "addr") == 0), delve, ours),
        26 => match children {
            [to] => same(ours.as_str() == Some(&format!("{:#x}", number(to, "addr"))), delve, ours),
            _ => Unknown,
        },
        _ => Unknown,
    }
}

fn text<'a>(delve: &'a Value, name: &str) -> &'a str {
    delve[name].as_str().unwrap_or_default()
}

fn value(delve: &Value) -> &str {
    text(delve, "value")
}

fn number(delve: &Value, name: &str) -> u64 {
    delve[name].as_u64().unwrap_or_default()
}

fn children(delve: &Value) -> &[Value] {
    delve["children"].as_array().map_or(&[][..], Vec::as_slice)
}

fn child<'a>(children: &'a [Value], name: &str) -> Option<&'a Value> {
    children.iter().find(|child| child["name"] == name)
}

fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(SHOWN_CHARS_MAX) {
        text.truncate(end);
        text.push_str("...");
    }
    text
}

/// What Delve says of a value, without its own members' places.
fn told(delve: &Value) -> String {
    match value(delve) {
        "" => {
            let children: Vec<String> =
                children(delve).iter().map(|c| format!("{}: {}", text(c, "name"), value(c))).collect();
            let [len, cap] = ["len", "cap"].map(|name| number(delve, name));
            format!("{} of len {len}, cap {cap} {{{}}}", text(delve, "type"), children.join(", "))
        }
        value => value.to_owned(),
    }
}

fn same(is: bool, delve: &Value, ours: &Value) -> Verdict {
    if is {
        return Same;
    }
    Different(format!("{}, and Delve says {}", shortened(ours.to_string()), shortened(told(delve))))
}

fn within(part: &str, verdict: Verdict) -> Verdict {
    match verdict {
        Different(what) => {
            Different(format!(".{part}{}{what}", if what.starts_with('.') { "" } else { ": " }))
        }
        other => other,
    }
}

/// The worst of several: one difference is one.
fn all(verdicts: impl IntoIterator<Item = Verdict>) -> Verdict {
    let mut found = Unknown;
    for verdict in verdicts {
        match verdict {
            Different(_) => return verdict,
            Same => found = Same,
            Unknown => {}
        }
    }
    found
}

/// Constants that have a name: `Saturday (6)`.
fn integer(delve: &Value, ours: &Value) -> Verdict {
    let digits = value(delve).rsplit(" (").next().unwrap_or_default().trim_end_matches(')');
    same(ours.is_number() && digits == ours.to_string().as_str(), delve, ours)
}

fn is_float(theirs: &str, is_small: bool, ours: &Value) -> bool {
    if let Some(ours) = ours.as_str() {
        return ours == theirs;
    }
    let (Some(ours), Ok(theirs)) = (ours.as_f64(), theirs.parse::<f64>()) else { return false };
    let close = if is_small {
        (ours as f32).to_bits() == (theirs as f32).to_bits()
    } else {
        ours.to_bits() == theirs.to_bits()
    };
    // Delve does not say which zero it is.
    close || (ours == 0.0 && theirs == 0.0)
}

/// `(1+2i)` beside a real and an imaginary part.
fn complex(delve: &Value, is_small: bool, ours: &Value) -> Verdict {
    let [real, imaginary] = children(delve) else { return Unknown };
    let parts = ours.as_str().and_then(|text| text.strip_prefix('(')?.strip_suffix("i)"));
    // The sign between the two; not that of an exponent.
    let split = parts.and_then(|text| {
        let is_sign = |&(at, c): &(usize, char)| matches!(c, '+' | '-') && !text[..at].ends_with(['e', 'E']);
        let (middle, _) = text.char_indices().skip(1).filter(is_sign).last()?;
        Some((&text[..middle], text[middle..].trim_start_matches('+')))
    });
    let is_part = |ours: &str, theirs: &Value| {
        let theirs = value(theirs).trim_start_matches('+');
        let number = ours.parse::<f64>().map(Value::from);
        ours == theirs || number.is_ok_and(|number| is_float(theirs, is_small, &number))
    };
    same(split.is_some_and(|(r, i)| is_part(r, real) && is_part(i, imaginary)), delve, ours)
}

/// Delve ends a text where its bytes are no UTF-8 or where its limit is, we where ours is.
fn string(delve: &Value, ours: &Value) -> Verdict {
    let theirs = value(delve);
    let ours_text = match ours {
        Value::String(text) => text.as_str(),
        other => match other.get("$text").and_then(Value::as_str) {
            Some(text) => text,
            None => return Unknown,
        },
    };
    if theirs.contains('\u{fffd}') {
        return Unknown;
    }
    let is_cut = ours.get("$cut").is_some() || (theirs.len() as u64) < number(delve, "len");
    let is = match is_cut {
        true => ours_text.starts_with(theirs) || theirs.starts_with(ours_text),
        false => ours_text == theirs,
    };
    same(is, delve, ours)
}

fn address(to: &Value, shown: &str) -> Verdict {
    match number(to, "addr") {
        0 => Unknown,
        theirs if shown == format!("{theirs:#x}") => Same,
        theirs => Different(format!("points to {shown}, and Delve says to {theirs:#x}")),
    }
}

fn fields(children: &[Value], ours: &Value) -> Verdict {
    let Some(ours) = ours.as_object() else { return Unknown };
    all(children.iter().map(|child| {
        let name = text(child, "name").rsplit('.').next().unwrap_or_default();
        ours.get(name).map_or(Unknown, |ours| within(name, compare(child, ours)))
    }))
}

/// A slice or an array.
fn list(delve: &Value, children: &[Value], ours: &Value) -> Verdict {
    let length = number(delve, "len");
    match ours {
        Value::Null => same(number(delve, "base") == 0 && length == 0, delve, ours),
        Value::Array(items) => {
            let cut = items.last().is_some_and(|last| last.get("$cut").is_some());
            if !cut && items.len() as u64 != length {
                return same(false, delve, ours);
            }
            let pairs = children.iter().zip(items).enumerate();
            let verdicts = pairs.map(|(i, (theirs, ours))| within(&i.to_string(), compare(theirs, ours)));
            // Of an empty one nothing is to be compared but that it is.
            all(verdicts.chain((!cut).then_some(Same)))
        }
        _ => {
            let bytes: Option<Vec<u8>> =
                children.iter().map(|c| value(c).split(' ').next()?.parse().ok()).collect();
            let Some(theirs) = bytes else { return Unknown };
            let readings = shown_bytes(ours, length);
            let is = |shown: &Vec<u8>| {
                let common = theirs.len().min(shown.len());
                // Delve shows less than we do, and never more than there is.
                theirs[..common] == shown[..common]
                    && (shown.len() as u64 == length || shown.len() > theirs.len())
            };
            if readings.is_empty() { Unknown } else { same(readings.iter().any(is), delve, ours) }
        }
    }
}

/// Bytes as a text, as hexadecimal digits or as a UUID. A column of bytes alone does not say which.
fn shown_bytes(ours: &Value, length: u64) -> Vec<Vec<u8>> {
    let unhex = |text: &str| -> Option<Vec<u8>> {
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
    };
    match ours {
        Value::String(text) if text.len() == 36 && length == 16 => {
            unhex(&text.replace('-', "")).into_iter().collect()
        }
        Value::String(text) => unhex(text).into_iter().chain([text.as_bytes().to_vec()]).collect(),
        other => {
            let hex = other.get("$hex").and_then(Value::as_str).and_then(unhex);
            let text = other.get("$text").and_then(Value::as_str).map(|text| text.as_bytes().to_vec());
            hex.into_iter().chain(text).collect()
        }
    }
}

fn pairs(children: &[Value], ours: &Value) -> Verdict {
    let Some(ours) = ours.as_object() else { return Unknown };
    all(children.chunks_exact(2).map(|pair| {
        let key = value(&pair[0]);
        ours.get(key).map_or(Unknown, |ours| {
            // Delve follows a pointer that is an element, we not always.
            let verdict = match ours["$address"].as_str() {
                Some(shown) if pair[1]["kind"] != 22 => address(&pair[1], shown),
                _ => compare(&pair[1], ours),
            };
            within(key, verdict)
        })
    }))
}

fn interface(held: &Value, ours: &Value) -> Verdict {
    let Some(object) = ours.as_object().filter(|o| o.contains_key("$type")) else {
        return compare(held, ours);
    };
    let (theirs, shown) = (text(held, "type"), object["$type"].as_str().unwrap_or_default());
    if !crate::agreement::is_type(theirs, shown) {
        return Different(format!("the type {shown}, and Delve says {theirs}"));
    }
    compare(held, object.get("$value").unwrap_or(ours))
}

/// Delve tells of a channel by the fields of `runtime.hchan`.
fn channel(delve: &Value, children: &[Value], ours: &Value) -> Verdict {
    if ours.is_null() {
        return same(number(delve, "base") == 0, delve, ours);
    }
    let told = ["qcount", "dataqsiz", "closed"].map(|name| child(children, name).map(value));
    let [Some(mut length), Some(mut capacity), Some(closed)] = told else { return Unknown };
    // For len and cap, that of a timer has no buffer (runtime/chan.go, chanlen and chancap, Go 1.23).
    let timer = child(children, "timer").and_then(|timer| super::compare::children(timer).first());
    if timer.is_some_and(|timer| number(timer, "addr") != 0) {
        (length, capacity) = ("0", "0");
    }
    let count = |name: &str| ours[name].as_u64();
    let is = count("length").is_some_and(|ours| length.parse() == Ok(ours))
        && count("capacity").is_some_and(|ours| capacity.parse() == Ok(ours))
        && ours["closed"] == (closed != "0");
    same(is, delve, ours)
}

/// We tell of a function by its name alone, or with what it has captured; Delve names no function where it is nil. A
/// method value has captured its receiver, `R`.
fn function(delve: &Value, children: &[Value], ours: &Value) -> Verdict {
    let theirs = without_brackets(value(delve));
    let name = ours.as_str().or_else(|| ours.get("$func")?.as_str());
    let Some(name) = name else {
        return same(ours.is_null() && matches!(theirs.as_str(), "" | "nil"), delve, ours);
    };
    if without_brackets(name) != theirs {
        return same(false, delve, ours);
    }
    all([Same, fields(children, ours)])
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
mod tests;
