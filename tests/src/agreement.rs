//! Whether a captured value is what the program says: the JSON that Stillframe writes
//! (`nodes/golang/src/value/json.rs`) beside the trees of `tests/programs/values/tree.go`.
//!
//! What is there must be right to the last bit. What is missing or cut must say so in its place.

use std::fmt::Display;

use serde_json::{Map, Value};

/// How much of a value is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    Cut,
    Whole,
}

type Agreement = Result<Extent, String>;

const WHOLE: Agreement = Ok(Extent::Whole);
const CUT: Agreement = Ok(Extent::Cut);

/// `ours` is what was captured where the program holds `truth`. The error says where they differ.
pub fn agree(truth: &Value, ours: &Value) -> Agreement {
    let object = ours.as_object();
    if let Some(gap) = object.and_then(|o| o.get("$gap")) {
        check_dynamic(truth, object.expect("it has a member"))?;
        return if gap.is_string() { CUT } else { wrong("a gap that says why", ours) };
    }
    let kind = truth.as_object().and_then(|tree| KINDS.iter().find(|(name, _)| tree.contains_key(*name)));
    let Some((name, check)) = kind else { return wrong("a kind of value", truth) };
    check(truth, &truth[*name], ours)
}

/// The same of a whole value: what has no parts of its own stands there plainly, so that SQL can compare it
/// (`nodes/golang/src/value/scalar.rs`), and the gap beside it says whether it is cut.
pub fn agree_cell(truth: &Value, ours: &Value, has_gap: bool) -> Agreement {
    let has = |kind: &str| truth.get(kind).is_some();
    let Value::String(text) = ours else {
        // An interface that holds nothing of a type is not nil.
        let is_plain = (ours.is_number() || ours.is_boolean()) && has("dynamic");
        return if is_plain { agree_cell(&truth["value"], ours, has_gap) } else { agree(truth, ours) };
    };
    if has("dynamic") {
        return agree_cell(&truth["value"], ours, has_gap);
    }
    if has("func") {
        return function(truth, &truth["func"], &serde_json::json!({ "$func": text })).and(WHOLE);
    }
    if has("pointer") && has_gap {
        return address(&truth["pointer"], ours).and(CUT);
    }
    let expected = truth.get("string").or_else(|| truth.get("bytes"));
    let Some(expected) = expected.map(|bytes| unhex(bytes).expect("the truth has its bytes")) else {
        return agree(truth, ours);
    };
    // Bytes that are no text are hexadecimal.
    let is_text = |bytes: &[u8]| has("string") && std::str::from_utf8(bytes).is_ok();
    let hexadecimal = unhex(ours).filter(|_| !is_text(&expected));
    match [Some(text.as_bytes().to_vec()), hexadecimal]
        .into_iter()
        .flatten()
        .find(|s| expected.starts_with(s))
    {
        Some(shown) if shown == expected => WHOLE,
        Some(_) if has_gap => CUT,
        _ => agree(truth, ours),
    }
}

type Check = fn(&Value, &Value, &Value) -> Agreement;

/// By the member that tells the kind; earlier ones first.
const KINDS: [(&str, Check); 24] = [
    ("nil", |_, _, ours| exact(&Value::Null, ours)),
    ("bool", |_, is, ours| exact(is, ours)),
    ("int", |_, is, ours| number(is, ours)),
    ("uint", |_, is, ours| number(is, ours)),
    ("float", float),
    ("complex", complex),
    ("string", |_, is, ours| bytes(is, ours)),
    ("bytes", |_, is, ours| bytes(is, ours)),
    ("func", function),
    ("address", |_, is, ours| address(is, ours)),
    ("list", |_, is, ours| list(is, ours)),
    ("record", record),
    ("map", |_, is, ours| map(is, ours)),
    ("to", pointer),
    ("cycle", |tree, _, ours| pointer(tree, &Value::Null, ours)),
    ("beyond", |tree, _, ours| pointer(tree, &Value::Null, ours)),
    ("dynamic", dynamic),
    ("chan", channel),
    ("time", |tree, is, ours| if tree["utc"] == *ours { WHOLE } else { exact(is, ours) }),
    ("duration", |_, is, ours| exact(is, ours)),
    ("text", |_, is, ours| exact(is, ours)),
    ("atomic", |_, is, ours| agree(is, ours)),
    ("context", |_, is, ours| context(is, ours)),
    ("starts", starts),
];

fn wrong(expected: impl Display, ours: impl Display) -> Agreement {
    let short = |text: String| match text.char_indices().nth(400) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    };
    Err(format!("{} expected, {} captured", short(expected.to_string()), short(ours.to_string())))
}

/// The path to where they differ, in front of the difference.
fn within(part: impl Display, agreement: Agreement) -> Agreement {
    agreement.map_err(|e| format!("{part}{}{e}", if e.starts_with(['.', '[']) { "" } else { ": " }))
}

fn exact(truth: &Value, ours: &Value) -> Agreement {
    if truth == ours { WHOLE } else { wrong(truth, ours) }
}

/// Digits: JSON's numbers are compared as texts.
fn number(truth: &Value, ours: &Value) -> Agreement {
    let is_same = ours.is_number() && truth.as_str() == Some(ours.to_string().as_str());
    if is_same { WHOLE } else { wrong(truth, ours) }
}

fn bits(truth: &Value) -> u64 {
    truth.as_str().and_then(|text| text.parse().ok()).expect("the truth has the bits of a number")
}

/// The number of its bits, as the program has it.
fn of_bits(bits: u64, size: &Value) -> f64 {
    match size.as_u64() {
        Some(32) => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits),
    }
}

fn named(number: f64) -> Option<&'static str> {
    match number {
        _ if number.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

/// A 32-bit number may be written with as few digits as tell it apart from other 32-bit numbers.
fn is_float(truth: f64, size: &Value, ours: f64) -> bool {
    truth.to_bits() == ours.to_bits()
        || (size.as_u64() == Some(32) && (ours as f32).to_bits() == (truth as f32).to_bits())
}

fn float(tree: &Value, is: &Value, ours: &Value) -> Agreement {
    let truth = of_bits(bits(is), &tree["size"]);
    let is_same = match named(truth) {
        Some(name) => ours.as_str() == Some(name),
        None => ours.as_f64().is_some_and(|ours| is_float(truth, &tree["size"], ours)),
    };
    if is_same { WHOLE } else { wrong(truth, ours) }
}

/// `(1+2i)`
fn complex(tree: &Value, is: &Value, ours: &Value) -> Agreement {
    let truth = [0, 1].map(|part| of_bits(bits(&is[part]), &tree["size"]));
    let parts = ours.as_str().and_then(|text| text.strip_prefix('(')?.strip_suffix("i)"));
    let parts = parts.and_then(|text| {
        // The sign between the two; not that of an exponent.
        let signs = text
            .char_indices()
            .skip(1)
            .filter(|(at, c)| matches!(c, '+' | '-') && !text[..*at].ends_with(['e', 'E']));
        let (middle, _) = signs.last()?;
        Some((&text[..middle], &text[middle..]))
    });
    let is_part = |truth: f64, text: &str| match named(truth) {
        Some(name) => text.trim_start_matches('+') == name.trim_start_matches('+'),
        None => text.parse().is_ok_and(|ours| is_float(truth, &tree["size"], ours)),
    };
    match parts {
        Some((real, imaginary)) if is_part(truth[0], real) && is_part(truth[1], imaginary) => WHOLE,
        _ => wrong(format!("{truth:?}"), ours),
    }
}

fn unhex(text: &Value) -> Option<Vec<u8>> {
    let text = text.as_str()?;
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(text.get(i..i + 2)?, 16).ok()).collect()
}

/// A string, a byte slice or a byte array: a text, a UUID, or `{"$hex": ...}`; the beginning of one if it was cut.
fn bytes(truth: &Value, ours: &Value) -> Agreement {
    let expected = unhex(truth).expect("the truth has its bytes");
    let shown = match ours {
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Object(object) => match (object.get("$hex"), object.get("$text")) {
            (Some(hex), None) => unhex(hex).ok_or_else(|| format!("no hexadecimal text: {hex}"))?,
            (None, Some(Value::String(text))) => text.as_bytes().to_vec(),
            _ => return wrong("bytes", ours),
        },
        _ => return wrong(format!("{} bytes", expected.len()), ours),
    };
    if shown == expected || ours.as_str().is_some_and(|text| is_uuid(&expected, text)) {
        return WHOLE;
    }
    let cut = ours.get("$cut").is_some_and(|cut| cut.is_string());
    let length = ours.get("$length").is_none_or(|length| length.as_u64() == Some(expected.len() as u64));
    if cut && length && expected.starts_with(&shown) {
        CUT
    } else {
        wrong(format!("the bytes {truth}"), ours)
    }
}

fn is_uuid(bytes: &[u8], text: &str) -> bool {
    let digits = text.replace('-', "");
    bytes.len() == 16 && text.len() == 36 && unhex(&Value::from(digits)).is_some_and(|shown| shown == bytes)
}

fn address(truth: &Value, ours: &Value) -> Agreement {
    exact(&Value::from(format!("{:#x}", bits(truth))), ours)
}

/// The items that are shown, and how many there were if that are not all.
fn shown_items(ours: &Value) -> Result<(&[Value], Option<&Value>), String> {
    let Value::Array(items) = ours else {
        return Err(wrong("a list", ours).unwrap_err());
    };
    match items.split_last() {
        Some((last, items))
            if last.get("$cut").is_some() && last.get("$type").is_none() && is_marker(last) =>
        {
            Ok((items, Some(last)))
        }
        _ => Ok((items, None)),
    }
}

/// Nothing but the two members that say that a list was cut.
fn is_marker(value: &Value) -> bool {
    value.as_object().is_some_and(|o| o.keys().all(|name| name == "$cut" || name == "$length"))
}

fn check_length(expected: usize, shown: usize, marker: Option<&Value>) -> Agreement {
    let length = marker.and_then(|m| m.get("$length")).and_then(Value::as_u64);
    match marker {
        None if shown == expected => WHOLE,
        Some(_) if shown < expected && length.is_none_or(|length| length == expected as u64) => CUT,
        _ => wrong(format!("{expected} elements"), format!("{shown} ({})", marker.unwrap_or(&Value::Null))),
    }
}

fn list(truth: &Value, ours: &Value) -> Agreement {
    let expected = truth.as_array().expect("the truth has a list");
    let compare = |shown: &[Value], marker: Option<&Value>| {
        let mut extent = check_length(expected.len(), shown.len(), marker)?;
        for (index, (truth, ours)) in expected.iter().zip(shown).enumerate() {
            extent = extent.min(within(format!("[{index}]"), agree(truth, ours))?);
        }
        Ok(extent)
    };
    let (shown, marker) = shown_items(ours)?;
    match ours.as_array() {
        // What looks like the mark of a cut may be the last element, a list of which nothing is shown.
        Some(all) if marker.is_some() && all.len() == expected.len() => {
            compare(all, None).or_else(|_| compare(shown, marker))
        }
        _ => compare(shown, marker),
    }
}

/// The members that are the value's own, and whether there should be more.
fn own_members(ours: &Map<String, Value>) -> (Map<String, Value>, bool) {
    let own = ours.iter().filter(|(name, _)| !name.starts_with('$') || name.starts_with("$$"));
    let own = own.map(|(name, value)| (name.strip_prefix('$').unwrap_or(name).to_owned(), value.clone()));
    (own.collect(), ours.contains_key("$cut"))
}

fn record(_: &Value, is: &Value, ours: &Value) -> Agreement {
    let fields = is.as_array().expect("the truth has fields").iter();
    let fields: Vec<(&str, &Value)> = fields
        .filter_map(|field| Some((field[0].as_str()?, &field[1])))
        .filter(|(name, _)| *name != "_")
        .collect();
    let Some(object) = ours.as_object() else { return wrong("a struct", ours) };
    let (shown, cut) = own_members(object);
    let mut extent = if cut { Extent::Cut } else { Extent::Whole };
    if let Some(other) = shown.keys().find(|name| !fields.iter().any(|(field, _)| field == *name)) {
        return wrong(format!("no field {other}"), ours);
    }
    for (name, truth) in fields {
        match shown.get(name) {
            Some(ours) => extent = extent.min(within(format!(".{name}"), agree(truth, ours))?),
            None if cut => {}
            None => return wrong(format!("a field {name}"), ours),
        }
    }
    Ok(extent)
}

fn map(truth: &Value, ours: &Value) -> Agreement {
    let expected: Vec<(&Value, &Value)> =
        truth.as_array().expect("the truth has entries").iter().map(|pair| (&pair[0], &pair[1])).collect();
    match ours {
        Value::Object(object) => {
            let (shown, cut) = own_members(object);
            let marker = cut.then_some(ours);
            let mut extent = check_length(expected.len(), shown.len(), marker)?;
            for (name, ours) in &shown {
                let found = expected.iter().find(|(key, _)| key_text(key).as_deref() == Some(name));
                let Some((_, truth)) = found else { return wrong("another key", name) };
                extent = extent.min(within(format!("[{name:?}]"), agree(truth, ours))?);
            }
            Ok(extent)
        }
        Value::Array(all) => {
            let (shown, marker) =
                if all.len() == expected.len() { (all.as_slice(), None) } else { shown_items(ours)? };
            let mut extent = check_length(expected.len(), shown.len(), marker)?;
            let mut left = expected;
            for pair in shown {
                let (key, value) = (&pair["key"], &pair["value"]);
                let found = left.iter().position(|(k, v)| agree(k, key).is_ok() && agree(v, value).is_ok());
                let Some(found) = found else { return wrong("another entry", pair) };
                let (k, v) = left.swap_remove(found);
                extent = extent.min(agree(k, key)?).min(agree(v, value)?);
            }
            Ok(extent)
        }
        _ => wrong("a map", ours),
    }
}

fn key_text(key: &Value) -> Option<String> {
    let tree = key.as_object()?;
    if let Some(text) = tree.get("string") {
        return String::from_utf8(unhex(text)?).ok();
    }
    let number = tree.get("int").or_else(|| tree.get("uint")).and_then(Value::as_str).map(str::to_owned);
    number.or_else(|| tree.get("bool").map(Value::to_string))
}

/// A pointer stands for what it points to, unless it was not followed.
fn pointer(tree: &Value, to: &Value, ours: &Value) -> Agreement {
    match ours.get("$address") {
        Some(shown) if ours.get("$cut").is_some() => address(&tree["pointer"], shown).and(CUT),
        _ if to.is_null() => wrong("the mark of a cycle, or of a cut", ours),
        _ => agree(to, ours),
    }
}

/// Names of types that JSON tells apart well enough stand for themselves.
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

fn check_dynamic(truth: &Value, ours: &Map<String, Value>) -> Agreement {
    let (Some(expected), Some(shown)) =
        (truth["dynamic"].as_str(), ours.get("$type").and_then(Value::as_str))
    else {
        return WHOLE;
    };
    if is_type(expected, shown) { WHOLE } else { wrong(format!("the type {expected}"), shown) }
}

fn dynamic(tree: &Value, is: &Value, ours: &Value) -> Agreement {
    let value = &tree["value"];
    let object = ours.as_object().filter(|o| o.contains_key("$type"));
    let Some(object) = object else {
        let bare = is.as_str().is_some_and(|of| BARE.contains(&of));
        return if bare { agree(value, ours) } else { wrong(format!("$type {is}"), ours) };
    };
    check_dynamic(tree, object)?;
    match object.get("$value") {
        Some(held) => agree(value, held),
        None => {
            let mut held = object.clone();
            held.remove("$type");
            agree(value, &Value::Object(held))
        }
    }
}

/// `reflect` names the package, debug information its whole path.
///
/// Types that are local to a function have a number there, and the fields of types without a name their package.
pub fn is_type(reflected: &str, ours: &str) -> bool {
    let ours = ours.split('·').enumerate().map(|(i, part)| match i {
        0 => part,
        _ => part.trim_start_matches(|c: char| c.is_ascii_digit()),
    });
    let (reflected, ours) = (without_paths(reflected), without_paths(&ours.collect::<String>()));
    let plain = |name: &str| name.replace("main.", "");
    reflected == ours || (reflected.contains("struct {") && plain(&reflected) == plain(&ours))
}

/// `map[string]url.URL` of `map[string]net/url.URL`. Spaces after commas are a matter of who prints it.
fn without_paths(name: &str) -> String {
    let mut short = String::new();
    let mut word = String::new();
    for c in name.chars() {
        match c {
            '/' => word.clear(),
            c if c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '~') => word.push(c),
            c => {
                short.push_str(&word);
                word.clear();
                if !(c == ' ' && short.ends_with(',')) {
                    short.push(c);
                }
            }
        }
    }
    short + &word
}

fn function(tree: &Value, is: &Value, ours: &Value) -> Agreement {
    let Some(object) = ours.as_object() else { return wrong(is, ours) };
    let name = object.get("$func").and_then(Value::as_str).unwrap_or_default();
    let dotted = |name: &str| without_brackets(name);
    if dotted(is.as_str().unwrap_or_default()) != dotted(name) {
        return wrong(is, ours);
    }
    let (shown, cut) = own_members(object);
    let mut extent = if cut { Extent::Cut } else { Extent::Whole };
    for (name, ours) in &shown {
        let captured = tree["captured"].as_array().and_then(|all| all.iter().find(|c| c[0] == **name));
        match captured {
            Some(captured) => extent = extent.min(within(format!(".{name}"), agree(&captured[1], ours))?),
            None if tree.get("captured").is_none() => {}
            None => return wrong(format!("{name} is not captured"), ours),
        }
    }
    let count = tree["captured"].as_array().map_or(0, Vec::len);
    Ok(if shown.len() < count { Extent::Cut } else { extent })
}

/// Type arguments are `[...]` in names of functions as Go prints them.
fn without_brackets(name: &str) -> String {
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

fn channel(tree: &Value, _: &Value, ours: &Value) -> Agreement {
    for (name, truth) in [("length", &tree["length"]), ("capacity", &tree["capacity"])] {
        within(format!(".{name}"), number(truth, &ours[name]))?;
    }
    if let Some(closed) = tree.get("closed") {
        within(".closed", exact(closed, &ours["closed"]))?;
    }
    match (tree.get("content"), ours.get("elements")) {
        (Some(content), Some(ours)) => within(".elements", list(content, ours)),
        (None, _) => WHOLE,
        (Some(content), None) => {
            let empty = content.as_array().is_some_and(Vec::is_empty);
            if empty { WHOLE } else { wrong(content, ours) }
        }
    }
}

/// What a chain of contexts says, from the innermost out. One of a type that is not the standard library's ends it.
fn context(links: &Value, ours: &Value) -> Agreement {
    let links = links.as_array().expect("the truth has a chain");
    let Some(innermost) = links.first() else { return wrong("a chain", ours) };
    let same = |name: &str, truth: &Value, ours: &Value| {
        let is_null = truth.is_null() && ours.is_null();
        within(format!(".{name}"), if is_null { WHOLE } else { agree(truth, ours) })
    };
    let cancelled = serde_json::json!({ "bool": !innermost["err"].is_null() });
    let mut extent = same("deadline", &innermost["deadline"], &ours["deadline"])?;
    extent = extent.min(same("cancelled", &cancelled, &ours["cancelled"])?);
    extent = extent.min(same("err", &innermost["err"], &ours["err"])?);
    // Of one that was cancelled without a cause the error is the cause.
    if innermost["cause"] != innermost["err"] || !ours["cause"].is_null() {
        extent = extent.min(same("cause", &innermost["cause"], &ours["cause"])?);
    }
    let (shown, marker) = shown_items(&ours["chain"])?;
    extent = extent.min(check_length(links.len(), shown.len(), marker)?);
    for (index, (link, ours)) in links.iter().zip(shown).enumerate() {
        let at = format!(".chain[{index}]");
        let types = [("type", "$type"), ("key", "key")];
        for (of, name) in types.into_iter().filter_map(|(of, name)| Some((link.get(of)?.as_str()?, name))) {
            if !ours[name].as_str().is_some_and(|shown| is_type(of, shown)) {
                return within(at, wrong(format!("{name} {of}"), ours));
            }
        }
    }
    Ok(extent)
}

/// A slice of which only the beginning is known, and that is longer than anybody should read.
fn starts(tree: &Value, is: &Value, ours: &Value) -> Agreement {
    let known = unhex(is).expect("the truth has its bytes");
    let text = ours.get("$text").and_then(Value::as_str).map(|text| text.as_bytes().to_vec());
    let shown = ours.get("$hex").and_then(unhex).or(text);
    let length = ours.get("$length").map(Value::to_string);
    match shown {
        Some(shown) if shown.starts_with(&known) && length.as_deref() == tree["length"].as_str() => CUT,
        _ => wrong(format!("{is} and so on, {} bytes", tree["length"]), ours),
    }
}

#[cfg(test)]
mod tests;
