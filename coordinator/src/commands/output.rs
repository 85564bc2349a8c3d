//! How text gets to stdout and stderr.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

pub fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(1 << 16, io::stdout().lock())
}

/// A line to people. That nobody listens is no failure.
pub fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

#[derive(Clone, Copy, Debug)]
pub enum Paint {
    Bold,
    Red,
    Yellow,
}

/// Colours text for stderr, if that is a terminal and NO_COLOR (no-color.org) is not set.
pub fn paint(text: &str, paint: Paint) -> String {
    let wanted =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted { painted(text, paint) } else { text.to_owned() }
}

fn painted(text: &str, paint: Paint) -> String {
    let code = match paint {
        Paint::Bold => 1,
        Paint::Red => 31,
        Paint::Yellow => 33,
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Text of a target without control characters: a program may be called what it likes, and a terminal obeys.
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.contains(is_harmful) { text.replace(is_harmful, "\u{fffd}").into() } else { text.into() }
}

/// The same, for what is to stay on one line: what comes behind it is nobody else's.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        text.replace(char::is_control, "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// One JSON document and the end of its line.
pub fn write_json(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    out.flush()
}

pub struct Column {
    pub name: String,
    pub is_number: bool,
}

impl Column {
    pub fn text(name: &str) -> Self {
        Self { name: name.to_owned(), is_number: false }
    }

    pub fn number(name: &str) -> Self {
        Self { name: name.to_owned(), is_number: true }
    }
}

/// A table, as wide as its content: what is cut to fit cannot be searched for.
pub fn write_table(
    out: &mut impl Write,
    columns: &[Column],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> io::Result<()> {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.name.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| printable(cell).into_owned()));
    }
    for (index, column) in columns.iter().enumerate() {
        if let Some(shown) = table.column_mut(index) {
            shown.set_padding((0, 2));
            if column.is_number {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    out.flush()
}

/// `2.5 ms`
pub fn duration(ns: i64) -> String {
    match ns as f64 {
        ns if ns < 1e3 => format!("{ns} ns"),
        ns if ns < 1e6 => format!("{:.1} us", ns / 1e3),
        ns if ns < 1e9 => format!("{:.1} ms", ns / 1e6),
        ns => format!("{:.1} s", ns / 1e9),
    }
}

/// `1.2 MB`
pub fn size(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes < 1e3 => format!("{bytes} B"),
        bytes if bytes < 1e6 => format!("{:.1} kB", bytes / 1e3),
        bytes if bytes < 1e9 => format!("{:.1} MB", bytes / 1e6),
        bytes => format!("{:.1} GB", bytes / 1e9),
    }
}

/// `1 goroutine`, `2 goroutines`, `1 process`, `2 processes`
pub fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ if what.ends_with('s') => format!("{number} {what}es"),
        _ => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_a_terminal() {
        assert_eq!(printable("a\x1b[31mb\nc\td"), "a\u{fffd}[31mb\nc\td");
        assert_eq!(one_line("a\x1b[31mb\nc\td"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}d");
    }

    #[test]
    fn figures_have_units() {
        assert_eq!([duration(999), duration(2_500_000)], ["999 ns", "2.5 ms"]);
        assert_eq!([size(12), size(1_234_567)], ["12 B", "1.2 MB"]);
        assert_eq!(
            [count(1, "process"), count(2, "process"), count(0, "gap")],
            ["1 process", "2 processes", "0 gaps"]
        );
    }
}
