//! `stillframe probe check`: a probe set against a program.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use stillframe_node::probes::{Checked, CheckedExpression, CheckedFunction, CheckedProbe, ProbeSet};
use stillframe_wire::limits::PROBES_BYTES_MAX;

use super::super::output::{self, Column};
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
    let name =
        if is_stdin(&arguments.file) { "stdin".to_owned() } else { arguments.file.display().to_string() };
    let text = read(&arguments.file, &name)?;
    let wrong = |errors: SetErrors| {
        let help = "correct the probe set; docs and examples: stillframe probe --help";
        Failure::new(Class::Usage, format!("{name}: {errors}"), help)
    };
    let set = ProbeSet::parse(&text).map_err(wrong)?;
    probe_sets::check(&text).map_err(wrong)?;
    let inspected = arguments.program.open()?;
    let availability = inspected.availability().ok_or_else(|| unreadable(&inspected))?;
    let without = availability.without_debug_info().map(ToString::to_string);
    let checked = availability.check(&set, &inspected.program);
    let mut out = output::stdout();
    if json {
        let probes: Vec<_> = checked.probes.iter().map(probe_json).collect();
        let document = json!({
            "file": name,
            "program": inspected.program,
            "without_debug_info": without,
            "good": checked.is_good(),
            "probes": probes,
        });
        output::write_json(&mut out, &document)?;
    } else {
        for probe in &checked.probes {
            write_probe(&mut out, &name, probe)?;
        }
        out.flush()?;
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

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

fn read(file: &Path, name: &str) -> Result<String, Failure> {
    let opened: io::Result<Box<dyn Read>> = if is_stdin(file) {
        Ok(Box::new(io::stdin()))
    } else {
        File::open(file).map(|file| Box::new(file) as _)
    };
    let mut text = String::new();
    let read = opened.and_then(|file| file.take(PROBES_BYTES_MAX as u64 + 1).read_to_string(&mut text));
    match read {
        Ok(length) if length > PROBES_BYTES_MAX => {
            let message =
                format!("{name}: longer than the {PROBES_BYTES_MAX} bytes that a probe set may have");
            Err(Failure::new(Class::Usage, message, "split it into several sets"))
        }
        Ok(_) => Ok(text),
        Err(error) => {
            let message = format!("{name}: the probe set cannot be read: {error}");
            Err(Failure::new(Class::BadFile, message, "name a readable text file in UTF-8, or - for stdin"))
        }
    }
}

fn write_probe(out: &mut impl Write, file: &str, probe: &CheckedProbe) -> io::Result<()> {
    let pattern = output::printable(&probe.pattern).into_owned();
    writeln!(out, "probe {}: {pattern}", probe.name)?;
    if let Some(why) = &probe.not_here {
        return writeln!(out, "  not applied: {}", output::printable(why));
    }
    if probe.functions.is_empty() {
        writeln!(out, "  {file}:{}:{}: no function of the program fits", probe.line, probe.column)?;
        for suggestion in &probe.suggestions {
            writeln!(out, "    there is {}", output::printable(suggestion))?;
        }
        return Ok(());
    }
    for function in &probe.functions {
        write_function(out, file, function)?;
    }
    if probe.left_out > 0 {
        let more = output::count(probe.left_out as u64, "function");
        writeln!(out, "  {more} more were not looked into; a narrower pattern means fewer")?;
    }
    Ok(())
}

fn write_function(out: &mut impl Write, file: &str, function: &CheckedFunction) -> io::Result<()> {
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
    output::write_table(&mut table, &columns, function.expressions.iter().map(|e| to_row(file, e)))?;
    for line in String::from_utf8_lossy(&table).lines() {
        writeln!(out, "    {line}")?;
    }
    Ok(())
}

fn to_row(file: &str, expression: &CheckedExpression) -> Vec<String> {
    let type_name = expression.type_name.clone().unwrap_or_else(|| "-".to_owned());
    let (there, note) = match &expression.mistake {
        Some(mistake) => {
            let meant = mistake.nearest.as_ref().map(|nearest| format!("; did you mean {nearest}?"));
            let note = format!(
                "{file}:{}:{}: {}{}",
                mistake.line,
                mistake.column,
                mistake.message,
                meant.unwrap_or_default()
            );
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
    let mistake = expression.mistake.as_ref().map(|mistake| {
        json!({
            "line": mistake.line,
            "column": mistake.column,
            "message": mistake.message,
            "nearest": mistake.nearest,
        })
    });
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
