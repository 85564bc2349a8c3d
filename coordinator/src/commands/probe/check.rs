//! `stillframe probe check`: a probe set against a program.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use stillframe_node::probes::{
    Checked, CheckedExpression, CheckedFunction, CheckedProbe, CheckedTypeRule, Mistake, ProbeSet,
};

use super::super::output::{self, Column};
use super::super::probe_files::{self, Joined, Part};
use super::super::{Class, Done, Failure};
use super::{Program, count, missing_json, place, unreadable, why};
use crate::probe_sets::{self, SetErrors};

/// Say what a probe set would capture of a program: which functions it means, and at how many of their calls each
/// expression is there.
#[derive(Debug, Args)]
#[command(after_help = "\
Mistakes are named with their line and column, and what was perhaps meant; the exit code is 2 then. It is 10 where some
expression is there nowhere, though nothing is wrong with it.

Examples:
  stillframe probe check orders.toml --pid 4711
  stillframe probe check orders.toml --exe ./shop
  stillframe probe check - --exe ./shop < orders.toml
  stillframe probe check orders.toml --exe ./shop --json | jq '.probes[].functions[].expressions[]'")]
pub struct Arguments {
    /// A probe set; - is stdin.
    file: PathBuf,
    #[command(flatten)]
    program: Program,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let name = probe_files::name(&arguments.file);
    let (Joined { text, parts }, kept) = probe_files::read_with_files(&arguments.file)?;
    let wrong = |errors: SetErrors| {
        let help = "correct the probe set; docs and examples: stillframe probe --help";
        Failure::new(Class::Usage, probe_files::lines(&errors, &parts), help)
    };
    let set = ProbeSet::parse(&text).map_err(wrong)?;
    probe_sets::check_alone(&text).map_err(wrong)?;
    let inspected = arguments.program.open()?;
    let availability = inspected.availability().ok_or_else(|| unreadable(&inspected))?;
    let without = availability.without_debug_info().map(ToString::to_string);
    let checked = availability.check(&set, &inspected.program);
    let mut out = output::stdout();
    if json {
        let probes: Vec<_> = checked.probes.iter().map(probe_json).collect();
        let types: Vec<_> = checked.types.iter().map(type_rule_json).collect();
        let document = json!({
            "file": name,
            "not_looked_at": kept,
            "program": inspected.program,
            "without_debug_info": without,
            "good": checked.is_good(),
            "probes": probes,
            "types": types,
        });
        output::write_json(&mut out, &document)?;
    } else {
        for probe in &checked.probes {
            write_probe(&mut out, &parts, probe)?;
        }
        for rule in &checked.types {
            write_type_rule(&mut out, &parts, rule, without.is_none())?;
        }
        out.flush()?;
        for name in &kept {
            output::say(&format!(
                "the set {name} is kept by a coordinator, and was not looked at: `stillframe probe pull {} | stillframe probe check -`",
                name.replace('@', " ")
            ));
        }
        if let Some(without) = without {
            output::say(&format!(
                "{}: {}",
                output::printable(&inspected.program),
                output::printable(&without)
            ));
        }
    }
    if !checked.is_good() {
        let message = format!("{name}: some of it does not fit {}", inspected.program);
        return Err(Failure::new(Class::Usage, message, "correct what is marked above").into());
    }
    Ok(if is_whole(&checked) { Done::Whole } else { Done::Partial })
}

/// Each expression is in memory somewhere.
fn is_whole(checked: &Checked) -> bool {
    let functions = checked.probes.iter().flat_map(|probe| &probe.functions).filter(|f| f.sites > 0);
    functions
        .flat_map(|function| &function.expressions)
        .all(|e| e.places.available > 0 || e.mistake.is_some())
}

fn write_probe(out: &mut impl Write, parts: &[Part], probe: &CheckedProbe) -> io::Result<()> {
    let pattern = output::printable(&probe.pattern).into_owned();
    writeln!(out, "probe {}: {pattern}", probe.name)?;
    if let Some(why) = &probe.not_here {
        return writeln!(out, "  not applied: {}", output::printable(why));
    }
    if probe.functions.is_empty() {
        let place = probe_files::place(probe.line, parts);
        writeln!(out, "  {place}:{}: no function of the program fits", probe.column)?;
        for suggestion in &probe.suggestions {
            writeln!(out, "    there is {}", output::printable(suggestion))?;
        }
        return Ok(());
    }
    for function in &probe.functions {
        write_function(out, parts, function)?;
    }
    if probe.left_out > 0 {
        let more = output::count(probe.left_out as u64, "function");
        writeln!(out, "  {more} more were not looked into; a narrower pattern means fewer")?;
    }
    Ok(())
}

fn write_type_rule(
    out: &mut impl Write,
    parts: &[Part],
    rule: &CheckedTypeRule,
    has_types: bool,
) -> io::Result<()> {
    writeln!(out, "type {}", output::printable(&rule.pattern))?;
    if rule.types.is_empty() && has_types {
        let place = probe_files::place(rule.line, parts);
        writeln!(out, "  {place}:{}: no struct of the program fits", rule.column)?;
        for suggestion in &rule.suggestions {
            writeln!(out, "    there is {}", output::printable(suggestion))?;
        }
    }
    for of in &rule.types {
        writeln!(out, "  {}", output::printable(&of.name))?;
        let columns = [Column::text("part"), Column::text("type"), Column::text("")];
        let rows = of.parts.iter().map(|part| {
            let note = part.mistake.as_ref().map_or(String::new(), |mistake| told(mistake, parts));
            vec![part.text.clone(), part.type_name.clone().unwrap_or_else(|| "-".to_owned()), note]
        });
        let mut table = Vec::new();
        output::write_table(&mut table, &columns, rows)?;
        for line in String::from_utf8_lossy(&table).lines() {
            writeln!(out, "    {line}")?;
        }
    }
    if rule.left_out > 0 {
        let more = output::count(rule.left_out as u64, "type");
        writeln!(out, "  {more} more were not looked into; a narrower pattern means fewer")?;
    }
    Ok(())
}

fn told(mistake: &Mistake, parts: &[Part]) -> String {
    let meant = mistake.nearest.as_ref().map(|nearest| format!("; did you mean {nearest}?"));
    let place = probe_files::place(mistake.line, parts);
    format!("{place}:{}: {}{}", mistake.column, mistake.message, meant.unwrap_or_default())
}

fn write_function(out: &mut impl Write, parts: &[Part], function: &CheckedFunction) -> io::Result<()> {
    let calls = match function.sites {
        0 => "it calls nothing: met only where it runs itself or was preempted".to_owned(),
        sites => format!("can stand at {}", output::count(sites as u64, "call")),
    };
    let inlined = match function.inlined_into {
        0 => String::new(),
        into => format!(", inlined into {}", output::count(into as u64, "function")),
    };
    let place = place(&function.file, function.line);
    writeln!(
        out,
        "  {} ({}), {calls}{inlined}",
        output::printable(&function.name),
        output::printable(&place)
    )?;
    if function.expressions.is_empty() {
        return Ok(());
    }
    let columns = [
        Column::text("column"),
        Column::text("expression"),
        Column::text("type"),
        Column::text("there at"),
        Column::text("elsewhere"),
    ];
    let mut table = Vec::new();
    output::write_table(&mut table, &columns, function.expressions.iter().map(|e| to_row(parts, e)))?;
    for line in String::from_utf8_lossy(&table).lines() {
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

fn to_row(parts: &[Part], expression: &CheckedExpression) -> Vec<String> {
    let type_name = expression.type_name.clone().unwrap_or_else(|| "-".to_owned());
    let (there, note) = match &expression.mistake {
        Some(mistake) => {
            let note = told(mistake, parts);
            ("-".to_owned(), note)
        }
        None => (count(&expression.places), why(&expression.places)),
    };
    vec![expression.column.clone(), expression.text.clone(), type_name, there, note]
}

fn probe_json(probe: &CheckedProbe) -> serde_json::Value {
    json!({
        "name": probe.name,
        "pattern": probe.pattern,
        "line": probe.line,
        "column": probe.column,
        "not_here": probe.not_here,
        "left_out": probe.left_out,
        "suggestions": probe.suggestions,
        "functions": probe.functions.iter().map(function_json).collect::<Vec<_>>(),
    })
}

fn type_rule_json(rule: &CheckedTypeRule) -> serde_json::Value {
    let types: Vec<_> = rule
        .types
        .iter()
        .map(|of| {
            let parts: Vec<_> = of
                .parts
                .iter()
                .map(|part| {
                    let mistake = part.mistake.as_ref().map(mistake_json);
                    json!({ "part": part.text, "type": part.type_name, "mistake": mistake })
                })
                .collect();
            json!({ "name": of.name, "parts": parts })
        })
        .collect();
    json!({
        "pattern": rule.pattern,
        "line": rule.line,
        "column": rule.column,
        "left_out": rule.left_out,
        "suggestions": rule.suggestions,
        "types": types,
    })
}

fn mistake_json(mistake: &Mistake) -> serde_json::Value {
    json!({
        "line": mistake.line,
        "column": mistake.column,
        "message": mistake.message,
        "nearest": mistake.nearest,
    })
}

fn function_json(function: &CheckedFunction) -> serde_json::Value {
    json!({
        "name": function.name,
        "file": function.file,
        "line": function.line,
        "inlined_into": function.inlined_into,
        "sites": function.sites,
        "expressions": function.expressions.iter().map(expression_json).collect::<Vec<_>>(),
    })
}

fn expression_json(expression: &CheckedExpression) -> serde_json::Value {
    let mistake = expression.mistake.as_ref().map(mistake_json);
    json!({
        "column": expression.column,
        "expression": expression.text,
        "type": expression.type_name,
        "mistake": mistake,
        "sites": expression.places.all,
        "available": expression.places.available,
        "in_register": expression.places.in_register,
        "missing": missing_json(&expression.places),
    })
}
