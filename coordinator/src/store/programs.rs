//! `[[program]]`: names, environments and instances of processes, by the rules of the order's probe sets.

use rusqlite::params;

use super::file::Database;
use super::order::WriteError;
use crate::probe_sets::{Outline, Pattern, ProgramRule};

/// What rules are about.
struct Process {
    process_id: i64,
    exe: Option<String>,
    cmdline: Option<String>,
    container: Option<String>,
}

/// For each process the first rule that fits.
pub(super) fn apply(database: &Database, set: &Outline) -> Result<(), WriteError> {
    if set.programs.is_empty() {
        return Ok(());
    }
    for process in processes(database)? {
        let Some(rule) = set.programs.iter().find(|rule| fits(rule, &process)) else { continue };
        database.execute(
            "update processes set program = coalesce(?, program), environment = ? where process_id = ?",
            params![rule.name, rule.environment, process.process_id],
        )?;
        if let Some((probe, column)) = rule.instance() {
            database.execute(
                &format!(
                    "update processes set instance = (select {column} from probe_{probe}
                         where process_id = ?1 and typeof({column}) in ('text', 'integer') limit 1)
                     where process_id = ?1"
                ),
                [process.process_id],
            )?;
        }
    }
    Ok(())
}

fn processes(database: &Database) -> Result<Vec<Process>, WriteError> {
    let failed = |source| database.failed(source);
    let mut select = database.prepare("select process_id, exe, cmdline, container_id from processes")?;
    let rows = select.query_map([], |row| {
        Ok(Process {
            process_id: row.get(0)?,
            exe: row.get(1)?,
            cmdline: row.get(2)?,
            container: row.get(3)?,
        })
    });
    rows.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
}

fn fits(rule: &ProgramRule, process: &Process) -> bool {
    let fits = |pattern: &Option<Pattern>, text: &Option<String>| match (pattern, text) {
        (None, _) => true,
        (Some(pattern), Some(text)) => pattern.matches(text),
        (Some(_), None) => false,
    };
    fits(&rule.exe, &process.exe)
        && fits(&rule.cmdline, &process.cmdline)
        && fits(&rule.container, &process.container)
}
