//! `[[program]]`: names, environments and instances of processes.
//!
//! Of a snapshot that was taken earlier the rules know what its file has: of the environment of processes what rules with the
//! very same `match.env` have found then, of instances what rules with the same expression have captured. Where that does
//! not tell which rule is the first to fit, a process keeps its name.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};
use stillframe_wire::batch::ProcessHead;
use stillframe_wire::facts;

use super::{Made, note};
use crate::probe_sets::{
    Described, EnvironmentFits, Outline, ProgramRule, Undecided, first_rule, program_of,
};

/// What rules are about.
struct Process {
    process_id: i64,
    exe: Option<String>,
    cmdline: Option<String>,
    container: Option<String>,
    /// Of those that it was captured with.
    environment_rules: Option<Vec<u32>>,
}

/// What the column `environment_rules` has: the numbers of the rules, as JSON.
pub(in crate::store) fn environment_rules(environment: &facts::EnvironmentFits) -> Option<String> {
    match environment {
        facts::EnvironmentFits::Rules(numbers) => Some(format!("{numbers:?}")),
        facts::EnvironmentFits::NotAsked | facts::EnvironmentFits::Unknown(_) => None,
    }
}

/// Why it is not known which rule is that of a process.
pub(in crate::store) fn undecided(rules: &[ProgramRule], head: &ProcessHead) -> Option<Undecided> {
    let environment = match &head.environment {
        facts::EnvironmentFits::NotAsked => EnvironmentFits::NotAsked,
        facts::EnvironmentFits::Rules(numbers) => EnvironmentFits::Rules(numbers.clone()),
        facts::EnvironmentFits::Unknown(why) => EnvironmentFits::Unknown(why.clone()),
    };
    let process = Described {
        exe: Some(&head.exe),
        cmdline: Some(&head.cmdline),
        container: head.container_id.as_deref(),
    };
    first_rule(rules, &process, |rule| environment.fits(rule)).err()
}

/// For each process the first rule that fits. What was made, and what could not be done, in words.
pub(super) fn name(
    connection: &Connection,
    set: &Outline,
    of_file: &Outline,
) -> rusqlite::Result<(Vec<Made>, Vec<String>)> {
    let mut rows: BTreeMap<u32, u64> = set.programs.iter().map(|rule| (rule.number, 0)).collect();
    let mut undecided: BTreeMap<String, u64> = BTreeMap::new();
    let mut without_instance: BTreeSet<u32> = BTreeSet::new();
    let processes = if set.programs.is_empty() { Vec::new() } else { processes(connection)? };
    for process in processes {
        let described = Described {
            exe: process.exe.as_deref(),
            cmdline: process.cmdline.as_deref(),
            container: process.container.as_deref(),
        };
        let rule = match first_rule(&set.programs, &described, |rule| process.environment_fits(rule, of_file))
        {
            Ok(Some(rule)) => rule,
            Ok(None) => continue,
            Err(why) => {
                *undecided.entry(why.to_string()).or_default() += 1;
                continue;
            }
        };
        rows.entry(rule.number).and_modify(|rows| *rows += 1);
        let own = process.exe.as_deref().map(program_of);
        connection.execute(
            "update main.processes set program = coalesce(?, ?, program), environment = ?, instance = null
             where process_id = ?",
            params![rule.name, own, rule.environment, process.process_id],
        )?;
        if rule.instance().is_some() && !instance(connection, rule, of_file, process.process_id)? {
            without_instance.insert(rule.number);
        }
    }
    let mut made = Vec::new();
    for (rule, rows) in set.programs.iter().filter_map(|rule| Some((rule, *rows.get(&rule.number)?))) {
        let (table, name) = ("processes".to_owned(), format!("program {}", rule.number));
        let one = Made { kind: "program", table, name, rows, replaced: false };
        note(connection, &one, &rule.to_string())?;
        made.push(one);
    }
    let mut unnamed: Vec<String> = undecided
        .into_iter()
        .map(|(why, processes)| match processes {
            1 => format!("one process keeps its name: {why}"),
            processes => format!("{processes} processes keep their names: {why}"),
        })
        .collect();
    unnamed.extend(without_instance.into_iter().map(|number| {
        format!("program {number}.instance: not in this snapshot: it was captured without this expression")
    }));
    Ok((made, unnamed))
}

/// What a process calls itself, if it was captured. `false`: nothing has asked for it.
fn instance(
    connection: &Connection,
    rule: &ProgramRule,
    of_file: &Outline,
    process_id: i64,
) -> rusqlite::Result<bool> {
    let same = of_file.programs.iter().find(|asked| asked.instance_text() == rule.instance_text());
    let Some((probe, column)) = same.and_then(ProgramRule::instance) else { return Ok(false) };
    let table = format!("probe_{probe}");
    let is_there = connection
        .prepare_cached(
            "select 1 from main.sqlite_schema where type = 'table' and name = ?1
                 and exists (select 1 from pragma_table_info(?1, 'main') where name = ?2)",
        )?
        .exists([&table[..], column])?;
    if is_there {
        connection.execute(
            &format!(
                "update main.processes set instance = (select {column} from main.{table}
                     where process_id = ?1 and typeof({column}) in ('text', 'integer') limit 1)
                 where process_id = ?1"
            ),
            [process_id],
        )?;
    }
    Ok(is_there)
}

fn processes(connection: &Connection) -> rusqlite::Result<Vec<Process>> {
    let mut select = connection
        .prepare("select process_id, exe, cmdline, container_id, environment_rules from main.processes")?;
    let rows = select.query_map([], |row| {
        let numbers: Option<String> = row.get(4)?;
        Ok(Process {
            process_id: row.get(0)?,
            exe: row.get(1)?,
            cmdline: row.get(2)?,
            container: row.get(3)?,
            environment_rules: numbers.and_then(|numbers| serde_json::from_str(&numbers).ok()),
        })
    })?;
    rows.collect()
}

impl Process {
    /// Whether its environment fits a rule: what one with the same variables and patterns has found.
    fn environment_fits(&self, rule: &ProgramRule, of_file: &Outline) -> Result<bool, String> {
        let same = of_file.programs.iter().find(|asked| asked.env == rule.env);
        match (same, &self.environment_rules) {
            (Some(asked), Some(numbers)) => Ok(numbers.contains(&asked.number)),
            (Some(_), None) => Err("it could not be told then; see gaps".to_owned()),
            (None, _) => Err("it was not looked at when the snapshot was taken".to_owned()),
        }
    }
}
