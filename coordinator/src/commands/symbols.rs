//! `stillframe symbols`: debug information for builds that have none, on this host or for all nodes of a coordinator.
//!
//! JSON: push: `{"build_id", "bytes", "used_unix_ns"}`; list: `{"symbols": [the same], "bytes_max"}`; delete: `{"build_id",
//! "deleted": true}`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use stillframe_node::symbols::build_id::BuildId;
use stillframe_node::symbols::config::{Config, WAIT_OF_COMMAND};
use stillframe_node::symbols::debug_file::{DebugFile, DebugFileError};
use stillframe_node::symbols::store::{Store, StoreError};
use ureq::http::{StatusCode, header};

use super::coordinator::{Client, Trouble};
use super::output::{self, Column};
use super::{Class, Done, Failure, clock};
use crate::api::symbols::{SYMBOLS_TYPE, SymbolsEntry, SymbolsList};
use crate::server::symbols::entry;

/// Give debug information to builds that have none, list it, delete it.
#[derive(Debug, Args)]
#[command(after_help = "\
FILE is an executable that was not stripped, or what `objcopy --only-keep-debug` made of one. It is known by its build id:
the very build that runs must have the same. Without a coordinator it is kept on this host, for this user's commands.

Examples:
  stillframe symbols push ./orders.debug
  stillframe symbols push ./orders --coordinator http://127.0.0.1:7480      for all of its nodes
  stillframe symbols list
  stillframe symbols delete 1f2e3d4c5b6a79880716253443526170f9e8d7c6")]
pub struct Arguments {
    /// The coordinator's HTTP address [default: none, this host]
    #[arg(long, value_name = "URL", env = "STILLFRAME_COORDINATOR", global = true)]
    coordinator: Option<String>,
    /// This host, whatever STILLFRAME_COORDINATOR says.
    #[arg(long, global = true)]
    local: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Keep a file's debug information.
    #[command(after_help = "Examples:\n  stillframe symbols push ./orders.debug")]
    Push { file: PathBuf },
    /// What was last used comes first.
    #[command(after_help = "Examples:\n  stillframe symbols list")]
    List,
    /// Delete one. What nodes have of it already, they keep.
    #[command(after_help = "Examples:\n  stillframe symbols delete BUILD_ID")]
    Delete { build_id: String },
}

/// Where files are kept.
enum Place {
    Coordinator(Client),
    Here(Store),
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let place = match &arguments.coordinator {
        Some(url) if !arguments.local => Place::Coordinator(Client::new(url)?),
        _ => Place::Here(here()?),
    };
    let mut out = output::stdout();
    match &arguments.action {
        Action::Push { file } => {
            let pushed = push(&place, file)?;
            if json {
                output::write_json(&mut out, &pushed)?;
            } else {
                writeln!(out, "{}", pushed.build_id)?;
            }
        }
        Action::List => {
            let list = list(&place)?;
            if json {
                output::write_json(&mut out, &list)?;
            } else {
                let columns = [Column::text("build id"), Column::number("size"), Column::text("used (UTC)")];
                output::write_table(&mut out, &columns, list.symbols.into_iter().map(row))?;
            }
        }
        Action::Delete { build_id } => {
            let build = BuildId::parse(build_id).map_err(|error| {
                Failure::new(Class::Usage, error.to_string(), "`stillframe symbols list` shows them")
            })?;
            delete(&place, &build)?;
            if json {
                output::write_json(&mut out, &json!({ "build_id": build_id, "deleted": true }))?;
            } else {
                output::say(&format!("{build_id} was deleted"));
            }
        }
    }
    out.flush()?;
    Ok(Done::Whole)
}

fn row(entry: SymbolsEntry) -> Vec<String> {
    vec![entry.build_id, output::size(entry.bytes), clock::utc(entry.used_unix_ns)]
}

fn here() -> Result<Store, Failure> {
    let config = Config::of_environment(WAIT_OF_COMMAND);
    let remedy = "set XDG_CACHE_HOME to a folder of your own that can be written to, or give a --coordinator";
    let folder = config.symbols().ok_or_else(|| {
        Failure::new(
            Class::Output,
            "there is no folder for symbols: neither XDG_CACHE_HOME nor HOME is set",
            remedy,
        )
    })?;
    Store::open(&folder, config.store_bytes_max)
        .map_err(|error| Failure::new(Class::Output, format!("{}: {error}", folder.display()), remedy))
}

const REMEDY: &str =
    "give an executable built without -ldflags=-w or -s and not stripped, or its separate debug file";

fn bad_file(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(Class::BadFile, format!("{}: {why}", path.display()), REMEDY)
}

/// Looked at here first: whoever gave the wrong file learns it before it is sent.
fn push(place: &Place, path: &Path) -> anyhow::Result<SymbolsEntry> {
    let failed = |error: &dyn std::fmt::Display| bad_file(path, error);
    let file = File::open(path).map_err(|error| failed(&error))?;
    let seen = DebugFile::read(file).map_err(|error: DebugFileError| failed(&error))?;
    if !seen.has_debug_info() {
        return Err(failed(&"it has no debug information").into());
    }
    let Some(build) = seen.build_id.clone() else { return Err(failed(&"it has no build id").into()) };
    match place {
        Place::Coordinator(client) => Ok(client.push_symbols(&build, seen.file)?),
        Place::Here(store) => {
            let kept = |error: StoreError| match error {
                StoreError::NotOfUse(reason) => bad_file(path, &reason),
                error => Failure::new(
                    Class::Output,
                    format!("{}: {error}", store.path().display()),
                    "free some space there, or set XDG_CACHE_HOME to another folder",
                ),
            };
            let mut receiving = store.receive().map_err(|error| kept(error.into()))?;
            receiving.write_all_of(&mut &seen.file).map_err(kept)?;
            Ok(entry(store.keep(receiving, Some(&build)).map_err(kept)?))
        }
    }
}

fn list(place: &Place) -> anyhow::Result<SymbolsList> {
    match place {
        Place::Coordinator(client) => Ok(client.symbols()?),
        Place::Here(store) => Ok(SymbolsList {
            symbols: store.list().map_err(|error| of_store(store, &error))?.into_iter().map(entry).collect(),
            bytes_max: store.bytes_max(),
        }),
    }
}

fn delete(place: &Place, build: &BuildId) -> anyhow::Result<()> {
    match place {
        Place::Coordinator(client) => Ok(client.delete_symbols(build)?),
        Place::Here(store) => match store.delete(build).map_err(|error| of_store(store, &error))? {
            true => Ok(()),
            false => {
                let message = format!("there are no symbols of {build}");
                Err(Failure::new(Class::Usage, message, "`stillframe symbols list` lists them").into())
            }
        },
    }
}

fn of_store(store: &Store, error: &io::Error) -> Failure {
    let message = format!("{}: {error}", store.path().display());
    Failure::new(Class::Output, message, "see to that folder, or set XDG_CACHE_HOME to another one")
}

impl Client {
    fn push_symbols(&self, build: &BuildId, file: File) -> Result<SymbolsEntry, Trouble> {
        let request = self.agent.put(self.of_build(build)).header(header::CONTENT_TYPE, SYMBOLS_TYPE);
        self.json(request.send(file).map_err(|error| self.trouble(&error))?)
    }

    fn symbols(&self) -> Result<SymbolsList, Trouble> {
        self.json(self.get("symbols")?)
    }

    fn delete_symbols(&self, build: &BuildId) -> Result<(), Trouble> {
        let request = self.agent.delete(self.of_build(build));
        let response = self.good(request.call().map_err(|error| self.trouble(&error))?)?;
        if response.status() == StatusCode::NO_CONTENT { Ok(()) } else { Err(self.not_a_coordinator()) }
    }

    /// Go's own build ids have slashes.
    fn of_build(&self, build: &BuildId) -> String {
        self.path(&format!("symbols/{}", build.as_str().replace('/', "%2F")))
    }
}
