//! What a set adds to a snapshot without capturing anything: columns, tables and links.
//!
//! Here is only what their text says. Whether the SQL is good is for the store, which has the tables.

use toml::de::DeTable;

use super::super::column::{self, RESERVED};
use super::super::limits::{NAME_BYTES_MAX, SQL_BYTES_MAX};
use super::super::problem::{Problem, Span};
use super::super::toml_reader::{Section, Text, TextPlace, TomlReader};
use super::{ProbeSet, plain_name, required};

/// The role of a link whose left side waits for its right side.
pub const BLOCKED_BY: &str = "blocked by";
/// Bytes of a link's name and of its role.
const WORDS_BYTES_MAX: usize = 63;

/// A statement or an expression of SQL, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sql {
    pub text: String,
    pub place: TextPlace,
}

/// `[[column]]`: a further column of a probe's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedColumn {
    /// The probe, by its name.
    pub probe: String,
    pub name: String,
    /// An expression over the table's other columns.
    pub sql: Sql,
    /// Where the probe stands.
    pub probe_place: TextPlace,
    /// Where its name stands.
    pub place: TextPlace,
}

/// `[[endpoint]]`: requests that goroutines serve or wait for, as rows of a SELECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub name: String,
    pub sql: Sql,
    /// Where its name stands.
    pub place: TextPlace,
}

/// `[[table]]`: the rows of a SELECT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedTable {
    pub name: String,
    pub sql: Sql,
    /// Where its name stands.
    pub place: TextPlace,
}

/// `[[link]]`: rows of two tables that belong together, because a column of each has the same value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// In words.
    pub name: String,
    pub from: LinkEnd,
    pub to: LinkEnd,
    pub role: Option<String>,
    /// Where its name stands.
    pub place: TextPlace,
}

/// `table(column)`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkEnd {
    pub table: String,
    pub column: String,
    pub place: TextPlace,
}

impl Sql {
    /// Line and column, both from 1 on, of a byte of the text.
    pub fn position(&self, at: usize) -> (usize, usize) {
        let at = (0..=at.min(self.text.len())).rev().find(|&at| self.text.is_char_boundary(at)).unwrap_or(0);
        self.place.of(&self.text, Span::new(at, at))
    }
}

impl AddedColumn {
    /// For messages.
    pub fn label(&self) -> String {
        format!("column {}.{}", self.probe, self.name)
    }
}

impl Link {
    pub fn is_blocking(&self) -> bool {
        self.role.as_deref() == Some(BLOCKED_BY)
    }

    /// For messages.
    pub fn label(&self) -> String {
        format!("link {}", self.name)
    }
}

pub(super) fn column<'a>(reader: &mut TomlReader<'a>, mut section: Section<'a>) -> Option<AddedColumn> {
    named(&mut section, "column");
    reader.check_keys(&section.label, section.table, &["table", "name", "sql"]);
    let table = required(reader, &section, "table", r#"table = "orders" is the table of the probe orders"#);
    let probe = table.and_then(|table| {
        let probe = table.text.strip_prefix("probe_").filter(|probe| column::is_name(probe));
        match probe {
            // A probe may be called probe_x, too, but nobody who writes probe_orders means probe_probe_orders.
            Some(probe) => {
                let message = format!("{} is called by the name of its probe here", table.text);
                let label = format!("{}.table", section.label);
                reader.problem(
                    table,
                    &label,
                    &Problem::new(Span::default(), message),
                    format!("write {probe}"),
                );
                None
            }
            None => plain_name(reader, table, &format!("{}.table", section.label)),
        }
    });
    let name = required(reader, &section, "name", r#"name = "age_s""#);
    let plain = name.and_then(|name| plain_name(reader, name, &format!("{}.name", section.label)));
    let plain = match (name, plain) {
        (Some(name), Some(plain)) if RESERVED.contains(&plain.as_str()) => {
            let message = format!("each probe's table has a column {plain} of its own");
            let label = format!("{}.name", section.label);
            reader.problem(name, &label, &Problem::new(Span::default(), message), "choose another name");
            None
        }
        (_, plain) => plain,
    };
    let sql = sql(reader, &section, r#"sql = "age / 1e9""#);
    let place = name.map(|name| reader.position_of(name));
    let probe_place = table.map(|table| reader.position_of(table));
    Some(AddedColumn { probe: probe?, name: plain?, sql: sql?, probe_place: probe_place?, place: place? })
}

pub(super) fn table<'a>(reader: &mut TomlReader<'a>, mut section: Section<'a>) -> Option<DerivedTable> {
    named(&mut section, "table");
    reader.check_keys(&section.label, section.table, &["name", "sql"]);
    let name = required(reader, &section, "name", r#"name = "slow_orders""#);
    let plain = name.and_then(|name| plain_name(reader, name, &format!("{}.name", section.label)));
    let sql = sql(reader, &section, r#"sql = "select * from probe_orders where age_s > 10""#);
    let place = name.map(|name| reader.position_of(name));
    Some(DerivedTable { name: plain?, sql: sql?, place: place? })
}

pub(super) fn endpoint<'a>(reader: &mut TomlReader<'a>, mut section: Section<'a>) -> Option<Endpoint> {
    named(&mut section, "endpoint");
    reader.check_keys(&section.label, section.table, &["name", "sql"]);
    let name = required(reader, &section, "name", r#"name = "orders""#);
    let plain = name.and_then(|name| plain_name(reader, name, &format!("{}.name", section.label)));
    let sql =
        sql(reader, &section, r#"sql = "select goroutine_id, 'server' as role, method from probe_orders""#);
    let place = name.map(|name| reader.position_of(name));
    Some(Endpoint { name: plain?, sql: sql?, place: place? })
}

pub(super) fn link<'a>(reader: &mut TomlReader<'a>, mut section: Section<'a>) -> Option<Link> {
    let name = required(reader, &section, "name", r#"name = "lock owner""#);
    if let Some(name) = name
        && is_words(name.text)
    {
        section.label = format!("link {}", name.text);
    }
    reader.check_keys(&section.label, section.table, &["name", "from", "to", "role"]);
    let words = name.and_then(|name| words(reader, name, &format!("{}.name", section.label)));
    let from = required(reader, &section, "from", r#"from = "probe_lock_wait(txn_id)""#);
    let from = from.and_then(|from| end(reader, from, &format!("{}.from", section.label)));
    let to = required(reader, &section, "to", r#"to = "probe_txn(id)""#);
    let to = to.and_then(|to| end(reader, to, &format!("{}.to", section.label)));
    let role = match reader.optional_text(&section, "role") {
        Some(text) => Some(role(reader, text, &format!("{}.role", section.label))?),
        None => None,
    };
    let place = name.map(|name| reader.position_of(name));
    Some(Link { name: words?, from: from?, to: to?, role, place: place? })
}

/// Says what two sections, or two sets given together, both claim.
pub(super) fn clashes(reader: &mut TomlReader<'_>, set: &ProbeSet) {
    for (index, column) in set.columns.iter().enumerate() {
        let label = format!("{}.name", column.label());
        let captured = set.probes.iter().filter(|probe| probe.name == column.probe);
        let captured = captured.flat_map(|probe| probe.capture.iter().flatten());
        if let Some(captured) = captured.into_iter().find(|captured| captured.name == column.name) {
            let message = format!("the probe {} captures a column {}", column.probe, column.name);
            reader.clash(column.place, &label, message, captured.ways[0].place, "choose another name");
        }
        let is_same = |other: &&AddedColumn| other.probe == column.probe && other.name == column.name;
        if let Some(other) = set.columns[..index].iter().find(is_same) {
            let message = format!("there is another column {} of {}", column.name, column.probe);
            reader.clash(column.place, &label, message, other.place, "choose another name");
        }
    }
    for (index, table) in set.tables.iter().enumerate() {
        let label = format!("table {}.name", table.name);
        if let Some(other) = set.tables[..index].iter().find(|other| other.name == table.name) {
            let message = format!("there is another table {}", table.name);
            reader.clash(table.place, &label, message, other.place, "choose another name");
        }
        if let Some(probe) = set.probes.iter().find(|probe| probe.table() == table.name) {
            let message = format!("{} is the table of the probe {}", table.name, probe.name);
            reader.clash(table.place, &label, message, probe.name_place, "choose another name");
        }
    }
    for (index, endpoint) in set.endpoints.iter().enumerate() {
        if let Some(other) = set.endpoints[..index].iter().find(|other| other.name == endpoint.name) {
            let message = format!("there is another endpoint {}", endpoint.name);
            let label = format!("endpoint {}.name", endpoint.name);
            reader.clash(endpoint.place, &label, message, other.place, "choose another name");
        }
    }
    for (index, link) in set.links.iter().enumerate() {
        if let Some(other) = set.links[..index].iter().find(|other| other.name == link.name) {
            let message = format!("there is another link {}", link.name);
            let label = format!("{}.name", link.label());
            reader.clash(link.place, &label, message, other.place, "choose another name");
        }
    }
}

/// Calls the section by its name, if that is one.
fn named(section: &mut Section<'_>, kind: &str) {
    let text = |table: &DeTable<'_>, key: &str| {
        let name = table.get(key)?.get_ref().as_str()?;
        column::is_name(name).then(|| name.to_owned())
    };
    let label = match (kind, text(section.table, "table"), text(section.table, "name")) {
        ("column", Some(table), Some(name)) => format!("{kind} {table}.{name}"),
        ("table" | "endpoint", _, Some(name)) => format!("{kind} {name}"),
        _ => return,
    };
    section.label = label;
}

fn sql<'a>(reader: &mut TomlReader<'a>, section: &Section<'a>, help: &str) -> Option<Sql> {
    let text = required(reader, section, "sql", help)?;
    let label = format!("{}.sql", section.label);
    let mut wrong = |message: String, at: usize, help: String| {
        reader.problem(text, &label, &Problem::new(Span::new(at, at), message), help);
    };
    if text.text.trim().is_empty() {
        wrong("there is no SQL".to_owned(), 0, help.to_owned());
        return None;
    }
    if text.text.len() > SQL_BYTES_MAX {
        let message =
            format!("SQL of a set has at most {SQL_BYTES_MAX} bytes, this one has {}", text.text.len());
        wrong(message, 0, "make a table of a part of it".to_owned());
        return None;
    }
    if let Some(at) = text.text.find('\0') {
        wrong("a zero byte".to_owned(), at, "leave it out".to_owned());
        return None;
    }
    let place = reader.position_of(text);
    Some(Sql { text: text.text.to_owned(), place })
}

/// Words for people: one line, not too long.
fn is_words(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= WORDS_BYTES_MAX && !text.contains(char::is_control)
}

fn words(reader: &mut TomlReader<'_>, text: Text<'_>, label: &str) -> Option<String> {
    if is_words(text.text) {
        return Some(text.text.to_owned());
    }
    let message = format!("it is one line of at most {WORDS_BYTES_MAX} bytes");
    reader.problem(text, label, &Problem::new(Span::default(), message), "say it in some words");
    None
}

/// Any words; but those that nearly are the one that means something would quietly mean nothing.
fn role(reader: &mut TomlReader<'_>, text: Text<'_>, label: &str) -> Option<String> {
    let role = words(reader, text, label)?;
    let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).collect::<String>().to_lowercase();
    if role != BLOCKED_BY && letters(&role) == letters(BLOCKED_BY) {
        let message = format!("{role} is not {BLOCKED_BY:?}, the role that makes edges of waits_for");
        reader.problem(text, label, &Problem::new(Span::default(), message), format!("write {BLOCKED_BY:?}"));
        return None;
    }
    Some(role)
}

fn end(reader: &mut TomlReader<'_>, text: Text<'_>, label: &str) -> Option<LinkEnd> {
    let parts = text.text.trim().strip_suffix(')').and_then(|text| text.split_once('('));
    let parts = parts.map(|(table, column)| (table.trim(), column.trim()));
    match parts {
        Some((table, column)) if column::is_name(table) && is_column(column) => {
            let place = reader.position_of(text);
            Some(LinkEnd { table: table.to_owned(), column: column.to_owned(), place })
        }
        _ => {
            let problem = Problem::new(Span::default(), "a table and one column of it are wanted here");
            reader.problem(text, label, &problem, "write \"probe_orders(req_id)\"");
            None
        }
    }
}

/// Columns of probes without expressions are called as Go calls the variables.
fn is_column(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
        && text.len() <= NAME_BYTES_MAX
}

#[cfg(test)]
mod tests;
