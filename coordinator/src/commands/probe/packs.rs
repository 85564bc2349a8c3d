//! `stillframe probe packs`: the probe sets that come with the program.
//!
//! JSON: `[{"name", "default", "about", "probes": ["..."]}]`; of one pack `{"name", "text"}`.

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::super::output::{self, Column};
use super::super::{Class, Done, Failure};
use crate::packs::{PACKS, Pack};
use crate::probe_sets;

/// List what is captured of well-known libraries, or print a pack's text.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stillframe probe packs
  stillframe probe packs redis > redis.toml     a pack is a probe set: a start for one of your own
  stillframe snapshot --pid 4711 --pack none    capture no pack")]
pub struct Arguments {
    /// Print this one.
    name: Option<String>,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let mut out = output::stdout();
    if let Some(name) = &arguments.name {
        let pack = Pack::named(name).ok_or_else(|| {
            let help = "`stillframe probe packs` lists them";
            Failure::new(Class::Usage, format!("there is no pack {name}"), help)
        })?;
        match json {
            true => output::write_json(&mut out, &json!({ "name": pack.name, "text": pack.text }))?,
            false => out.write_all(pack.text.as_bytes())?,
        }
        return Ok(Done::Whole);
    }
    if json {
        let packs: Vec<_> = PACKS
            .iter()
            .map(|pack| {
                let probes: Vec<String> = probes(pack);
                json!({ "name": pack.name, "default": pack.is_default, "about": pack.about(), "probes": probes })
            })
            .collect();
        output::write_json(&mut out, &json!(packs))?;
        return Ok(Done::Whole);
    }
    let columns =
        [Column::text("pack"), Column::text("captured"), Column::text("tables"), Column::text("about")];
    let row = |pack: &Pack| {
        let when = if pack.is_default { "by default" } else { "with --pack" };
        let tables: Vec<String> = probes(pack).iter().map(|probe| format!("probe_{probe}")).collect();
        let about = pack.about();
        let first = about.split_inclusive(". ").next().unwrap_or_default().trim().to_owned();
        vec![pack.name.to_owned(), when.to_owned(), tables.join(", "), first]
    };
    output::write_table(&mut out, &columns, PACKS.iter().map(row))?;
    out.flush()?;
    Ok(Done::Whole)
}

fn probes(pack: &Pack) -> Vec<String> {
    probe_sets::tables(pack.text)
        .map_or_else(|_| Vec::new(), |tables| tables.into_iter().map(|table| table.name).collect())
}
