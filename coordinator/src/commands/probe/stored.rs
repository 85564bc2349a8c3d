//! `stillframe probe push | pull | sets | diff`: probe sets that a coordinator keeps under a name, with their history.
//!
//! JSON: push: `{"name", "version", "pushed_unix_ns", "pushed_by", "note", "is_default"}`; sets: `{"sets": [the same]}`; pull: the
//! same and `"text"`; diff: `{"name", "from", "to", "diff"}`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use similar::TextDiff;

use super::super::coordinator::{Address, Client, Trouble};
use super::super::output::{self, Column};
use super::super::{Class, Done, Failure, clock, probe_files, snapshot};
use crate::api::probe_sets::{ProbeSetEntry, ProbeSetList, ProbeSetPush, ProbeSetText};
use crate::probe_sets::{listed, nearest};

/// Lines around a change.
const CONTEXT_LINES: usize = 3;

/// Keep a probe set on the coordinator under a name, as its newest version.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stillframe probe push orders orders.toml --note 'the customer, too'
  stillframe probe push orders orders.toml --default    captured whenever one of its programs is
  stillframe snapshot --program 'shop-*' --set orders -o s.db")]
pub struct Push {
    /// Small letters, digits and _.
    name: String,
    /// A probe set; - is stdin.
    file: PathBuf,
    /// What has changed.
    #[arg(long)]
    note: Option<String>,
    /// Capture it of the programs that its probes name, without being asked; each probe has to name some.
    #[arg(long)]
    default: bool,
    #[command(flatten)]
    address: Address,
}

/// Print a probe set that the coordinator keeps.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  stillframe probe pull orders > orders.toml\n  stillframe probe pull orders 3"
)]
pub struct Pull {
    name: String,
    /// [default: the newest one]
    #[arg(value_name = "VERSION")]
    number: Option<u32>,
    #[command(flatten)]
    address: Address,
}

/// List the probe sets that the coordinator keeps, or all versions of one.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  stillframe probe sets\n  stillframe probe sets orders")]
pub struct Sets {
    name: Option<String>,
    #[command(flatten)]
    address: Address,
}

/// Show what has changed between two versions of a probe set.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stillframe probe diff orders          the newest version, and the one before
  stillframe probe diff orders 3        version 3, and the newest one
  stillframe probe diff orders 3 5")]
pub struct Diff {
    name: String,
    #[arg(value_parser = version)]
    from: Option<u32>,
    #[arg(value_parser = version)]
    to: Option<u32>,
    #[command(flatten)]
    address: Address,
}

fn version(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "a version is a number, as `stillframe probe sets NAME` lists them".to_owned())
}

pub fn push(arguments: &Push, json: bool) -> anyhow::Result<Done> {
    let (text, _) = probe_files::read_text(&arguments.file)?;
    let push = ProbeSetPush {
        text,
        pushed_by: snapshot::requested_by(),
        note: arguments.note.clone(),
        is_default: arguments.default,
    };
    let entry = arguments.address.client()?.push_probe_set(&arguments.name, &push)?;
    if json {
        output::write_json(&mut output::stdout(), &entry)?;
    } else {
        output::say(&format!("{} version {}", entry.name, entry.version));
    }
    Ok(Done::Whole)
}

pub fn pull(arguments: &Pull, json: bool) -> anyhow::Result<Done> {
    let set = arguments.address.client()?.named_probe_set(&arguments.name, arguments.number.unwrap_or(0))?;
    let mut out = output::stdout();
    match json {
        true => output::write_json(&mut out, &set)?,
        false => out.write_all(set.text.as_bytes())?,
    }
    out.flush()?;
    Ok(Done::Whole)
}

pub fn sets(arguments: &Sets, json: bool) -> anyhow::Result<Done> {
    let client = arguments.address.client()?;
    let list = match &arguments.name {
        Some(name) => {
            client.named_probe_set(name, 0)?;
            client.probe_set_history(name)?
        }
        None => client.probe_sets()?,
    };
    let mut out = output::stdout();
    if json {
        output::write_json(&mut out, &list)?;
        return Ok(Done::Whole);
    }
    let columns = [
        Column::text("set"),
        Column::number("version"),
        Column::text("captured"),
        Column::text("pushed (UTC)"),
        Column::text("by"),
        Column::text("note"),
    ];
    output::write_table(&mut out, &columns, list.sets.into_iter().map(row))?;
    out.flush()?;
    Ok(Done::Whole)
}

fn row(entry: ProbeSetEntry) -> Vec<String> {
    vec![
        entry.name,
        entry.version.to_string(),
        if entry.is_default { "by default" } else { "with --set" }.to_owned(),
        clock::utc(entry.pushed_unix_ns),
        entry.pushed_by.unwrap_or_default(),
        entry.note.unwrap_or_default(),
    ]
}

pub fn diff(arguments: &Diff, json: bool) -> anyhow::Result<Done> {
    let client = arguments.address.client()?;
    let to = client.named_probe_set(&arguments.name, arguments.to.unwrap_or(0))?;
    let from = match arguments.from {
        Some(version) => version,
        None if to.entry.version > 1 => to.entry.version - 1,
        None => {
            let message = format!("{} has one version only", arguments.name);
            return Err(Failure::new(Class::Usage, message, "`stillframe probe pull` prints it").into());
        }
    };
    let from = client.named_probe_set(&arguments.name, from)?;
    let name = |set: &ProbeSetText| format!("{} version {}", set.entry.name, set.entry.version);
    let changes = TextDiff::from_lines(&from.text, &to.text);
    let text =
        changes.unified_diff().context_radius(CONTEXT_LINES).header(&name(&from), &name(&to)).to_string();
    let mut out = output::stdout();
    if json {
        let (from, to) = (from.entry.version, to.entry.version);
        output::write_json(
            &mut out,
            &json!({ "name": arguments.name, "from": from, "to": to, "diff": text }),
        )?;
    } else {
        out.write_all(text.as_bytes())?;
    }
    out.flush()?;
    Ok(Done::Whole)
}

impl Client {
    pub fn probe_sets(&self) -> Result<ProbeSetList, Trouble> {
        self.json(self.get("probe-sets")?)
    }

    fn probe_set_history(&self, name: &str) -> Result<ProbeSetList, Trouble> {
        self.json(self.get(&format!("probe-sets/{}", in_path(name)))?)
    }

    /// Version 0 is the newest one.
    pub fn probe_set(&self, name: &str, version: u32) -> Result<ProbeSetText, Trouble> {
        self.json(self.get(&format!("probe-sets/{}/{version}", in_path(name)))?)
    }

    /// The same, in the words of who has named it: what there is instead, if it is not there.
    pub fn named_probe_set(&self, name: &str, version: u32) -> Result<ProbeSetText, Failure> {
        let failure = match self.probe_set(name, version) {
            Ok(set) => return Ok(set),
            Err(Trouble::Refused(failure)) if failure.class == Class::Usage => failure,
            Err(trouble) => return Err(trouble.failure()),
        };
        let Ok(ProbeSetList { sets }) = self.probe_sets() else { return Err(failure) };
        if let Some(set) = sets.iter().find(|set| set.name == name) {
            let message = format!("the set {name} has no version {version}");
            let help = format!("its newest one is {}; `stillframe probe sets {name}` lists all", set.version);
            return Err(Failure::new(Class::Usage, message, help));
        }
        if let Some((name, version)) = name.split_once('@') {
            let message = format!("{name}@{version} is no name of a probe set");
            let help = format!("here the version is an argument of its own: {name} {version}");
            return Err(Failure::new(Class::Usage, message, help));
        }
        let help = match nearest(name, sets.iter().map(|set| set.name.as_str())) {
            Some(nearest) => format!("did you mean {nearest}? `stillframe probe sets` lists all"),
            None if sets.is_empty() => {
                "the coordinator keeps none yet; `stillframe probe push NAME FILE` adds one".to_owned()
            }
            None => format!("there are {}", listed(sets.iter().map(|set| set.name.as_str()))),
        };
        Err(Failure::new(Class::Usage, format!("the coordinator keeps no set {name}"), help))
    }

    fn push_probe_set(&self, name: &str, push: &ProbeSetPush) -> Result<ProbeSetEntry, Trouble> {
        self.json(self.post(&format!("probe-sets/{}", in_path(name)), push)?)
    }
}

/// What is no name is told by the coordinator; here it only must not be another path.
fn in_path(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect()
}
