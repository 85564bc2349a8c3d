//! `stillframe sql`: a statement on a snapshot file, read-only and bounded.
//!
//! JSON: an array with an object for each row, in the order of the rows. BLOBs are hexadecimal text.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use serde_json::Value as Json;

use super::failure::{of_query, of_read};
use super::output::{self, Column};
use super::{Done, snapshot};
use crate::store::reader::Snapshot;
use crate::store::{QueryLimits, RowSink, Value};

/// Ask a snapshot in SQL.
#[derive(Debug, Args)]
#[command(after_help = "\
The file documents itself: the table about has a question, the columns and an example for every table and view.

Examples:
  stillframe sql s.db 'select name, question from about'
  stillframe sql s.db \"select pid, count(*) from goroutine_list where stack like '%raft%' group by 1\"
  stillframe sql s.db --csv 'select * from goroutine_list' --limit 0 > goroutines.csv
  echo 'select * from stack_groups order by goroutines desc' | stillframe sql s.db --json --limit 5")]
pub struct Arguments {
    /// A snapshot file.
    file: PathBuf,
    /// One statement; read from stdin if it is not given.
    query: Option<String>,
    /// Print comma-separated values (RFC 4180) instead of a table.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Rows to print; 0 prints all.
    #[arg(long, default_value_t = 10_000, value_name = "ROWS")]
    limit: u64,
    /// Longest time that the statement may take; 0 allows any.
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = snapshot::parse_duration)]
    timeout: Duration,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let mut file = Snapshot::open(&arguments.file).map_err(of_read)?;
    let query = match &arguments.query {
        Some(query) => query.clone(),
        None => {
            let mut query = String::new();
            io::stdin().read_to_string(&mut query).context("the statement cannot be read from stdin")?;
            query
        }
    };
    let limits = QueryLimits {
        rows_max: (arguments.limit > 0).then_some(arguments.limit),
        time_max: (!arguments.timeout.is_zero()).then_some(arguments.timeout),
    };
    let out = output::stdout();
    let outcome = if json {
        let mut sink = JsonRows { out, names: Vec::new(), rows: 0 };
        let outcome = file.query(&query, &limits, &mut sink).map_err(of_query)?;
        sink.end()?;
        outcome
    } else if arguments.csv {
        let mut sink = CsvRows { out };
        let outcome = file.query(&query, &limits, &mut sink).map_err(of_query)?;
        sink.out.flush()?;
        outcome
    } else {
        let mut sink = TableRows::default();
        let outcome = file.query(&query, &limits, &mut sink).map_err(of_query)?;
        sink.write(out)?;
        outcome
    };
    if outcome.cut {
        output::say(&format!("cut after {}; --limit 0 prints all", output::count(outcome.rows, "row")));
    }
    Ok(Done::Whole)
}

/// Kept until the end, because the widths depend on all rows: the limit bounds it.
#[derive(Default)]
struct TableRows {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl TableRows {
    fn write(self, mut out: impl Write) -> io::Result<()> {
        output::write_table(&mut out, &self.columns, self.rows)
    }
}

impl RowSink for TableRows {
    fn columns(&mut self, names: &[String]) -> io::Result<()> {
        self.columns = names.iter().map(|name| Column::text(name)).collect();
        Ok(())
    }

    fn row(&mut self, values: &[Value]) -> io::Result<()> {
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.is_number |= matches!(value, Value::Integer(_) | Value::Real(_));
        }
        self.rows.push(values.iter().map(text).collect());
        Ok(())
    }
}

struct CsvRows<W> {
    out: W,
}

impl<W: Write> CsvRows<W> {
    fn record(&mut self, fields: impl Iterator<Item = String>) -> io::Result<()> {
        for (index, field) in fields.enumerate() {
            if index > 0 {
                self.out.write_all(b",")?;
            }
            if field.contains([',', '"', '\n', '\r']) {
                write!(self.out, "\"{}\"", field.replace('"', "\"\""))?;
            } else {
                self.out.write_all(field.as_bytes())?;
            }
        }
        self.out.write_all(b"\r\n")
    }
}

impl<W: Write> RowSink for CsvRows<W> {
    fn columns(&mut self, names: &[String]) -> io::Result<()> {
        self.record(names.iter().cloned())
    }

    fn row(&mut self, values: &[Value]) -> io::Result<()> {
        self.record(values.iter().map(text))
    }
}

struct JsonRows<W> {
    out: W,
    names: Vec<String>,
    rows: u64,
}

impl<W: Write> JsonRows<W> {
    fn end(mut self) -> io::Result<()> {
        self.out.write_all(b"\n]\n")?;
        self.out.flush()
    }
}

impl<W: Write> RowSink for JsonRows<W> {
    fn columns(&mut self, names: &[String]) -> io::Result<()> {
        self.names = names.to_vec();
        self.out.write_all(b"[")
    }

    /// Written by hand, because the columns keep their order.
    fn row(&mut self, values: &[Value]) -> io::Result<()> {
        self.out.write_all(if self.rows == 0 { b"\n{" } else { b",\n{" })?;
        for (index, (name, value)) in self.names.iter().zip(values).enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(self.out, "{comma}{}: {}", Json::from(name.as_str()), to_json(value))?;
        }
        self.rows += 1;
        self.out.write_all(b"}")
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(integer) => integer.to_string(),
        Value::Real(real) => real.to_string(),
        Value::Text(text) => text.clone(),
        Value::Blob(blob) => hexadecimal(blob),
    }
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Integer(integer) => (*integer).into(),
        Value::Real(real) => (*real).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Blob(blob) => hexadecimal(blob).into(),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
