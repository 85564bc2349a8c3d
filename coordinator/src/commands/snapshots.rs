//! `stillframe snapshots`: the snapshots that a coordinator keeps.
//!
//! JSON: list: `{"snapshots": [{"id", "bytes", "label", "taken_at_unix_ns", "complete", "goroutines", "processes"}, or {"id",
//! "bytes", "damaged"}], "omitted"}`; download: `{"id", "file", "bytes"}`; delete: `{"id", "deleted": true}`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use uuid::Uuid;

use super::coordinator::Address;
use super::interrupt::Interrupt;
use super::output::{self, Column};
use super::{Done, clock, download};
use crate::api::{Content, SnapshotEntry};
use crate::store::order::Existing;

/// List, download or delete the snapshots that a coordinator keeps.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stillframe snapshots
  stillframe snapshots --coordinator http://127.0.0.1:7480 list --limit 10
  stillframe snapshots download 019ab0c1-7d2e-7c3f-8a4b-5c6d7e8f9a0b -o s.db
  stillframe snapshots delete 019ab0c1-7d2e-7c3f-8a4b-5c6d7e8f9a0b")]
pub struct Arguments {
    #[command(flatten)]
    address: Address,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// The newest first.
    #[command(after_help = "Examples:\n  stillframe snapshots list --limit 10")]
    List {
        /// At most so many [default: 1000, which is the most]
        #[arg(long)]
        limit: Option<usize>,
    },
    /// Fetch one.
    #[command(after_help = "Examples:\n  stillframe snapshots download ID -o s.db")]
    Download {
        id: Uuid,
        /// The file to write [default: ID.db]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace the file if it exists.
        #[arg(long)]
        force: bool,
    },
    /// Delete one, for ever.
    #[command(after_help = "Examples:\n  stillframe snapshots delete ID")]
    Delete { id: Uuid },
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let client = arguments.address.client()?;
    let mut out = output::stdout();
    match arguments.action.as_ref().unwrap_or(&Action::List { limit: None }) {
        Action::List { limit } => {
            let list = client.snapshots(*limit)?;
            if json {
                output::write_json(&mut out, &list)?;
                return Ok(Done::Whole);
            }
            let columns = [
                Column::text("id"),
                Column::text("taken (UTC)"),
                Column::number("processes"),
                Column::number("goroutines"),
                Column::number("size"),
                Column::text("state"),
                Column::text("label"),
            ];
            output::write_table(&mut out, &columns, list.snapshots.iter().map(row))?;
            if list.omitted > 0 {
                output::say(&format!("{} older ones are not listed", list.omitted));
            }
        }
        Action::Download { id, output, force } => {
            let interrupt = Interrupt::install()?;
            let file = output.clone().unwrap_or_else(|| PathBuf::from(format!("{id}.db")));
            let existing = if *force { Existing::Replace } else { Existing::Refuse };
            let fetched = download::fetch(&client, *id, &file, existing, &interrupt)?;
            let bytes = interrupt.publish(|| download::publish(fetched, &file, existing))?;
            if json {
                output::write_json(&mut out, &json!({ "id": id, "file": file, "bytes": bytes }))?;
            } else {
                writeln!(out, "{}", file.display())?;
            }
        }
        Action::Delete { id } => {
            client.delete(*id)?;
            if json {
                output::write_json(&mut out, &json!({ "id": id, "deleted": true }))?;
            } else {
                output::say(&format!("{id} was deleted"));
            }
        }
    }
    out.flush()?;
    Ok(Done::Whole)
}

fn row(entry: &SnapshotEntry) -> Vec<String> {
    let (id, size) = (entry.id.to_string(), output::size(entry.bytes));
    match &entry.content {
        Content::Whole { label, taken_at_unix_ns, complete, goroutines, processes } => vec![
            id,
            clock::utc(*taken_at_unix_ns),
            processes.to_string(),
            goroutines.to_string(),
            size,
            if *complete { "complete" } else { "partial" }.to_owned(),
            label.clone().unwrap_or_default(),
        ],
        Content::Damaged { damaged } => {
            let none = String::new;
            vec![id, none(), none(), none(), size, "damaged".to_owned(), damaged.clone()]
        }
    }
}
