//! Debug information as GNU readelf prints it: an oracle that was not written here.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// An entry of `.debug_info`.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    pub depth: usize,
    pub offset: u64,
    pub tag: String,
    /// Values as printed, by the attribute's name; Go's own go by their numbers: `2900`.
    pub attributes: HashMap<String, String>,
}

impl Entry {
    pub fn name(&self) -> Option<&str> {
        self.attributes.get("DW_AT_name").map(String::as_str)
    }

    /// Of values such as `<0x1218d2>`, `0x14` and `20`.
    pub fn number(&self, attribute: &str) -> Option<u64> {
        number(self.attributes.get(attribute)?)
    }

    /// Of `(index: 0xd8): 0x77b1e0` too.
    pub fn low_pc(&self) -> Option<u64> {
        number(self.attributes.get("DW_AT_low_pc")?.rsplit(' ').next()?)
    }

    /// DW_AT_location's expression: `DW_OP_fbreg: -24`.
    pub fn expression(&self) -> Option<&str> {
        let text = self.attributes.get("DW_AT_location")?;
        let (_, rest) = text.split_once("byte block:")?;
        let open = rest.find('(')?;
        rest[open + 1..].trim_end().strip_suffix(')')
    }

    /// DW_AT_location's list.
    pub fn list(&self) -> Option<u64> {
        let text = self.attributes.get("DW_AT_location")?;
        number(text.strip_suffix("(location list)")?.trim())
    }
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim().trim_start_matches('<').trim_end_matches('>');
    let text = text.split_whitespace().next()?;
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// An entry of a location list: `start` and `end` from the start of the function (DWARF 5) or addresses (4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub start: u64,
    pub end: u64,
    pub expression: String,
}

fn run(file: &Path, what: &str) -> String {
    let output = Command::new("readelf").arg(what).arg(file).output();
    let output = output.unwrap_or_else(|e| panic!("readelf: {e}; install binutils"));
    assert!(output.status.success(), "readelf {what} {}: {}", file.display(), output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All entries, in their order.
pub fn entries(file: &Path) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in run(file, "--debug-dump=info").lines() {
        let line = line.trim_start();
        if let Some((place, rest)) = line.split_once(">: Abbrev Number: ") {
            // `<1><3b3a3>: Abbrev Number: 3 (DW_TAG_subprogram)`; the end of a list of children has no tag.
            let (depth, offset) = place.trim_start_matches('<').split_once("><").expect("depth and offset");
            let tag = rest.split_once('(').map_or("", |(_, tag)| tag.trim_end_matches(')'));
            entries.push(Entry {
                depth: depth.parse().expect("a depth"),
                offset: u64::from_str_radix(offset, 16).expect("an offset"),
                tag: tag.to_owned(),
                attributes: HashMap::new(),
            });
        } else if let (Some((_, rest)), Some(entry)) = (line.split_once('>'), entries.last_mut()) {
            // `<3b3a4>   DW_AT_name        : main.main`, `<121870>   Unknown AT value: 2900: 24`.
            let rest = rest.trim_start();
            let rest = rest.strip_prefix("Unknown AT value: ").unwrap_or(rest);
            let Some((name, value)) = rest.split_once(':') else { continue };
            entry.attributes.insert(name.trim().to_owned(), value.trim().to_owned());
        }
    }
    entries.retain(|entry| !entry.tag.is_empty());
    entries
}

/// Location lists by their offsets.
pub fn location_lists(file: &Path) -> HashMap<u64, Vec<Listed>> {
    let mut lists: HashMap<u64, Vec<Listed>> = HashMap::new();
    let (mut current, mut base) = (None, 0);
    for line in run(file, "--debug-dump=loc").lines() {
        let mut words = line.split_whitespace();
        let Some(Ok(offset)) = words.next().map(|word| u64::from_str_radix(word, 16)) else { continue };
        if line.ends_with("<End of list>") {
            current = None;
            continue;
        }
        let list = lists.entry(*current.get_or_insert(offset)).or_default();
        if let Some((_, rest)) = line.split_once("(index into .debug_addr)") {
            // The function's start, by an index that readelf 2.40 looks up in the wrong table where C has tables too. What
            // it adds to the entries can be taken off again.
            base =
                rest.split_whitespace().next().and_then(|base| u64::from_str_radix(base, 16).ok()).unwrap();
            continue;
        }
        let mut address = || Some(u64::from_str_radix(words.next()?, 16).ok()?.wrapping_sub(base));
        let (Some(start), Some(end), Some((_, expression))) = (address(), address(), line.split_once('('))
        else {
            continue;
        };
        let expression = expression.strip_suffix("(start == end)").unwrap_or(expression).trim_end();
        if !line.ends_with("(base address)") {
            let expression = expression.strip_suffix(')').unwrap_or(expression).to_owned();
            list.push(Listed { start, end, expression });
        }
    }
    lists
}
