//! `stillframe probe vars`: what can be captured of a function.

use std::io::{self, Write};

use clap::Args;
use serde_json::json;
use stillframe_node::probes::{Role, VariableReport, VariablesReport};

use super::super::output::{self, Column};
use super::super::{Class, Done, Failure};
use super::{Program, count, missing_json, pattern, place, say_nothing_fits, unreadable, why};

/// Say what can be captured of a function: its variables, their types, and at how many of its calls each is there.
#[derive(Debug, Args)]
#[command(after_help = "\
A function is captured where it stands on a stack: at the calls that it makes. A variable that is only in a register is
there where the function itself runs, or was preempted.

Examples:
  stillframe probe vars 'shop/orders.(*Service).Place' --pid 4711
  stillframe probe vars 'shop/orders.(*Service).*' --exe ./shop
  stillframe probe vars 'main.handle' --exe ./shop --json | jq '.functions[].variables[].name'")]
pub struct Arguments {
    /// As Go prints it, or a pattern as for `stillframe probe list`.
    function: String,
    #[command(flatten)]
    program: Program,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let pattern = pattern(&arguments.function)?;
    let inspected = arguments.program.open()?;
    let availability = inspected.availability().ok_or_else(|| unreadable(&inspected))?;
    let reports = availability.variables(&pattern);
    let mut out = output::stdout();
    if json {
        let functions: Vec<_> = reports.iter().map(to_json).collect();
        output::write_json(&mut out, &json!({ "functions": functions }))?;
    }
    for (index, report) in reports.iter().enumerate().filter(|_| !json) {
        if index > 0 {
            writeln!(out)?;
        }
        write_report(&mut out, report)?;
    }
    out.flush()?;
    if reports.is_empty() {
        say_nothing_fits(&arguments.function, &availability.list(&pattern, 0).suggestions);
        let message = format!("{}: it has no such function", inspected.program);
        let help = "`stillframe probe list PATTERN` lists the functions of a program";
        return Err(Failure::new(Class::Usage, message, help).into());
    }
    Ok(Done::Whole)
}

fn write_report(out: &mut impl Write, report: &VariablesReport) -> io::Result<()> {
    let (name, place) = (output::printable(&report.function), place(&report.file, report.line));
    writeln!(out, "{name} ({})", output::printable(&place))?;
    if let Some(gap) = &report.gap {
        return writeln!(out, "  {}", output::printable(&gap.to_string()));
    }
    if report.variables.is_empty() {
        return writeln!(out, "  no variables");
    }
    let columns = [
        Column::text("variable"),
        Column::text("type"),
        Column::text("what"),
        Column::text("there at"),
        Column::text("elsewhere"),
    ];
    let mut table = Vec::new();
    output::write_table(&mut table, &columns, report.variables.iter().flat_map(to_rows))?;
    for line in String::from_utf8_lossy(&table).lines() {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

/// The variable, and the fields that can be selected of it.
fn to_rows(variable: &VariableReport) -> Vec<Vec<String>> {
    let places = &variable.places;
    let what = match (role(variable.role), variable.line) {
        (role, 0) => role.to_owned(),
        (role, line) => format!("{role}, line {line}"),
    };
    let mut rows =
        vec![vec![variable.name.clone(), variable.type_name.clone(), what, count(places), why(places)]];
    let fields = variable.fields.iter().map(|(name, of)| {
        vec![format!("  {}.{name}", variable.name), of.clone(), String::new(), String::new(), String::new()]
    });
    rows.extend(fields);
    rows
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Argument => "argument",
        Role::Result => "result",
        Role::Local => "local",
        Role::Captured => "captured",
    }
}

fn to_json(report: &VariablesReport) -> serde_json::Value {
    let variables: Vec<_> = report
        .variables
        .iter()
        .map(|variable| {
            let fields: Vec<_> =
                variable.fields.iter().map(|(name, of)| json!({ "name": name, "type": of })).collect();
            json!({
                "name": variable.name,
                "type": variable.type_name,
                "role": role(variable.role),
                "line": if variable.line == 0 { None } else { Some(variable.line) },
                "sites": variable.places.all,
                "available": variable.places.available,
                "in_register": variable.places.in_register,
                "missing": missing_json(&variable.places),
                "fields": fields,
            })
        })
        .collect();
    json!({
        "name": report.function,
        "file": report.file,
        "line": report.line,
        "gap": report.gap.as_ref().map(ToString::to_string),
        "variables": variables,
    })
}
