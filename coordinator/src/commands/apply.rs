//! `stillframe apply`: what a probe set makes by SQL, for a snapshot taken earlier.
//!
//! JSON: `{"file", "bytes", "made": [{"kind": "program" | "column" | "endpoint" | "table" | "link", "table", "name", "rows",
//! "replaced"}], "not_captured": [the probes of which the snapshot has no table], "unnamed": [what program rules could not do]}`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::failure::of_read;
use super::interrupt::Interrupt;
use super::output::{self, Column};
use super::probe_files::{Joined, Part};
use super::{Class, Done, Failure, probe_files, snapshot};
use crate::probe_sets;
use crate::store::apply::{self, Applied, ApplyError};

/// Add names of processes, columns, endpoints, tables and links of a probe set to a snapshot taken earlier.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is captured: of the set, [[program]], [[column]], [[endpoint]], [[table]] and [[link]] are used. The snapshot is copied, and
replaced when all of it is there; otherwise it stays as it was. What an earlier set has added under the same names is replaced, and
so is what processes are called to which a [[program]] rule of the set fits.
A set's SQL only reads, and only the snapshot. The table derivations says what was added.

Examples:
  stillframe apply reports.toml s.db
  stillframe sql s.db 'select * from derivations'
  stillframe apply --json - s.db < reports.toml | jq '.made[].rows'")]
pub struct Arguments {
    /// A probe set (TOML); - is stdin.
    set: PathBuf,
    /// A snapshot file.
    file: PathBuf,
    /// Longest time that all SQL of the set may take.
    #[arg(long, default_value = "60s", value_name = "TIME", value_parser = snapshot::parse_duration)]
    timeout: Duration,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let (Joined { text, parts }, kept) = probe_files::read_with_files(&arguments.set)?;
    let wrong = |errors| {
        let message = probe_files::lines(&errors, &parts);
        Failure::new(Class::Usage, message, "correct the probe set; nothing was changed")
    };
    let set = probe_sets::outline(&text).map_err(wrong)?;
    let is_empty = set.programs.is_empty() && set.columns.is_empty() && set.endpoints.is_empty();
    if is_empty && set.tables.is_empty() && set.links.is_empty() {
        let name = probe_files::name(&arguments.set);
        let message =
            format!("{name}: it has no [[program]], [[column]], [[endpoint]], [[table]] or [[link]]");
        let remedy = "probes are captured by `stillframe snapshot --probes`; a snapshot has none afterwards";
        return Err(Failure::new(Class::Usage, message, remedy).into());
    }
    // While there is one thread.
    let interrupt = Interrupt::install()?;
    let copying = |copy: &Path| interrupt.delete(copy);
    let ready = apply::apply(&arguments.file, &set, arguments.timeout, copying);
    let applied = ready
        .and_then(|ready| interrupt.publish(|| ready.publish()))
        .map_err(|error| failure(error, &parts))?;
    report(&applied, arguments, json)?;
    if !applied.not_captured.is_empty() {
        let probes = applied.not_captured.join(", ");
        output::say(&format!("not in this snapshot, because they were not captured: the probes {probes}"));
    }
    for name in kept {
        output::say(&format!(
            "the set {name} is kept by a coordinator, and was not applied: `stillframe probe pull {} | stillframe apply - FILE`",
            name.replace('@', " ")
        ));
    }
    for what in &applied.unnamed {
        output::say(&output::printable(what));
    }
    if set.has_redactions {
        output::say("[[redact]] is for captures: nothing was removed from this snapshot");
    }
    Ok(Done::Whole)
}

fn failure(error: ApplyError, parts: &[Part]) -> anyhow::Error {
    let (class, message, remedy) = match error {
        ApplyError::Set(errors) => (
            Class::Usage,
            probe_files::lines(&errors, parts),
            "correct the probe set; the snapshot is as it was",
        ),
        ApplyError::Limit(errors) => (
            Class::Limit,
            probe_files::lines(&errors, parts),
            "have the SQL select less, or allow more with --timeout; the snapshot is as it was",
        ),
        ApplyError::Read(error) => return of_read(error),
        ApplyError::Write(error) => return Failure::from(error).into(),
        ApplyError::InUse { .. } => (
            Class::BadFile,
            error.to_string(),
            "wait for it, or open the file once with sqlite3, which completes it",
        ),
        ApplyError::Foreign { .. } => {
            (Class::BadFile, error.to_string(), "give a file that `stillframe snapshot` has written")
        }
    };
    Failure::new(class, message, remedy).into()
}

fn report(applied: &Applied, arguments: &Arguments, json: bool) -> anyhow::Result<()> {
    let mut out = output::stdout();
    if json {
        let made: Vec<_> = applied
            .made
            .iter()
            .map(|made| {
                json!({
                    "kind": made.kind,
                    "table": made.table,
                    "name": made.name,
                    "rows": made.rows,
                    "replaced": made.replaced,
                })
            })
            .collect();
        let document = json!({
            "file": arguments.file.display().to_string(),
            "bytes": applied.bytes,
            "made": made,
            "not_captured": applied.not_captured,
            "unnamed": applied.unnamed,
        });
        output::write_json(&mut out, &document)?;
        return Ok(());
    }
    let columns = [
        Column::text("kind"),
        Column::text("table"),
        Column::text("name"),
        Column::number("rows"),
        Column::text(""),
    ];
    let rows = applied.made.iter().map(|made| {
        let replaced = if made.replaced { "replaced" } else { "new" };
        let cells = [made.kind, &made.table, &made.name, &made.rows.to_string(), replaced];
        cells.map(str::to_owned).to_vec()
    });
    output::write_table(&mut out, &columns, rows)?;
    out.flush()?;
    Ok(())
}
