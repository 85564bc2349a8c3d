//! `[[program]]`: names, environments and instances of processes, by the rules of the order's probe sets.

use rusqlite::params;
use stillframe_wire::batch::ProcessHead;
use stillframe_wire::facts;

use super::file::Database;
use super::order::WriteError;
use crate::probe_sets::{Described, EnvironmentFits, Outline, ProgramRule, Undecided, first_rule};

/// What rules are about.
struct Process {
    process_id: i64,
    exe: Option<String>,
    cmdline: Option<String>,
    container: Option<String>,
    environment: EnvironmentFits,
}

/// What the column `environment_rules` has: the numbers of the rules, as JSON.
pub(super) fn environment_rules(environment: &facts::EnvironmentFits) -> Option<String> {
    match environment {
        facts::EnvironmentFits::Rules(numbers) => Some(format!("{numbers:?}")),
        facts::EnvironmentFits::NotAsked | facts::EnvironmentFits::Unknown(_) => None,
    }
}

/// Why it is not known which rule is that of a process.
pub(super) fn undecided(rules: &[ProgramRule], head: &ProcessHead) -> Option<Undecided> {
    let environment = match &head.environment {
        facts::EnvironmentFits::NotAsked => EnvironmentFits::NotAsked,
        facts::EnvironmentFits::Rules(numbers) => EnvironmentFits::Rules(numbers.clone()),
        facts::EnvironmentFits::Unknown(why) => EnvironmentFits::Unknown(why.clone()),
    };
    let process = Described {
        exe: Some(&head.exe),
        cmdline: Some(&head.cmdline),
        container: head.container_id.as_deref(),
        environment: &environment,
    };
    first_rule(rules, &process).err()
}

/// For each process the first rule that fits.
pub(super) fn apply(database: &Database, set: &Outline) -> Result<(), WriteError> {
    if set.programs.is_empty() {
        return Ok(());
    }
    for process in processes(database)? {
        let described = Described {
            exe: process.exe.as_deref(),
            cmdline: process.cmdline.as_deref(),
            container: process.container.as_deref(),
            environment: &process.environment,
        };
        // One that is not decided is a gap already.
        let Ok(Some(rule)) = first_rule(&set.programs, &described) else { continue };
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
    let mut select = database
        .prepare("select process_id, exe, cmdline, container_id, environment_rules from processes")?;
    let rows = select.query_map([], |row| {
        let numbers: Option<String> = row.get(4)?;
        let numbers = numbers.and_then(|numbers| serde_json::from_str(&numbers).ok());
        Ok(Process {
            process_id: row.get(0)?,
            exe: row.get(1)?,
            cmdline: row.get(2)?,
            container: row.get(3)?,
            environment: numbers.map_or(EnvironmentFits::NotAsked, EnvironmentFits::Rules),
        })
    });
    rows.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
}
