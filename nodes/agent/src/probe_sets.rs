//! What a coordinator and a command line have to know of a probe set before it is ordered: whether it is one, and which
//! tables it makes.

use thiserror::Error;
use toml::de::{DeTable, DeValue};

/// A probe, and the names of its expressions; none: it takes what each function has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: String,
    pub columns: Vec<String>,
}

/// A text that is no probe set. Lines and columns count from 1.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{line}:{column}: {what}")]
pub struct NoProbeSet {
    pub line: usize,
    pub column: usize,
    pub what: String,
}

/// The tables of a probe set, in the order of its text.
pub fn tables(text: &str) -> Result<Vec<Table>, NoProbeSet> {
    let wrong = |at: usize, what: &str| {
        let (line, column) = crate::policy::position(text, at);
        NoProbeSet { line, column, what: what.to_owned() }
    };
    let set = DeTable::parse(text)
        .map_err(|error| wrong(error.span().map_or(0, |span| span.start), error.message()))?;
    let probes = set.get_ref().get("probe").and_then(|probes| probes.get_ref().as_array());
    let mut tables = Vec::new();
    for probe in probes.into_iter().flat_map(|probes| probes.iter()) {
        let at = probe.span().start;
        let name = probe.get_ref().get("name").and_then(|name| name.get_ref().as_str());
        let name = name.ok_or_else(|| wrong(at, "a probe has a name"))?.to_owned();
        let captured = probe.get_ref().get("capture").and_then(|list| list.get_ref().as_array());
        let mut columns = Vec::new();
        for expression in captured.into_iter().flat_map(|list| list.iter()) {
            let named =
                |value: &DeValue| value.get("as").and_then(|name| name.get_ref().as_str()).map(str::to_owned);
            let value = expression.get_ref();
            let column = value.as_str().map(str::to_owned).or_else(|| named(value));
            columns.push(column.ok_or_else(|| wrong(expression.span().start, "an expression is a text"))?);
        }
        tables.push(Table { name, columns });
    }
    Ok(tables)
}
