//! `stillframe probe list`: the functions of a program.

use clap::Args;
use stillframe_node::probes::ListedFunction;

use super::super::Done;
use super::super::output::{self, Column};
use super::{Program, listed_json, pattern, place, say_nothing_fits, unreadable};

/// List the functions of a program.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stillframe probe list 'shop/orders.*' --pid 4711
  stillframe probe list '**.(*Service).{Place,Cancel}' --exe ./shop
  stillframe probe list '/(?i)checkout/' --exe ./shop --limit 0
  stillframe probe list '**' --pid 4711 --json | jq -r '.functions[].name'")]
pub struct Arguments {
    /// As Go prints it: shop/orders.(*Service).Place. * is any text up to the next / or ., ** any text, {a,b} one of
    /// several, /.../ a regular expression.
    pattern: String,
    #[command(flatten)]
    program: Program,
    /// Functions to show; 0 shows all.
    #[arg(long, default_value_t = 200, value_name = "FUNCTIONS")]
    limit: usize,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let pattern = pattern(&arguments.pattern)?;
    let inspected = arguments.program.open()?;
    let availability = inspected.availability().ok_or_else(|| unreadable(&inspected))?;
    let limit = if arguments.limit == 0 { usize::MAX } else { arguments.limit };
    let listed = availability.list(&pattern, limit);
    let mut out = output::stdout();
    if json {
        output::write_json(&mut out, &listed_json(&listed))?;
        return Ok(Done::Whole);
    }
    if listed.functions.is_empty() {
        say_nothing_fits(&arguments.pattern, &listed.suggestions);
        return Ok(Done::Whole);
    }
    let columns = [Column::text("function"), Column::text("where"), Column::text("note")];
    output::write_table(&mut out, &columns, listed.functions.iter().map(to_row))?;
    if listed.left_out > 0 {
        let more = output::count(listed.left_out as u64, "function");
        output::say(&format!("{more} more; --limit 0 shows all"));
    }
    Ok(Done::Whole)
}

fn to_row(function: &ListedFunction) -> Vec<String> {
    let inlined = output::count(function.inlined_into as u64, "function");
    let note = match (function.instances, function.inlined_into) {
        (0, _) => format!("only inlined, into {inlined}"),
        (1, 0) => String::new(),
        (1, _) => format!("inlined, too, into {inlined}"),
        (instances, 0) => format!("{instances} instances"),
        (instances, _) => format!("{instances} instances; inlined, too, into {inlined}"),
    };
    vec![function.name.clone(), place(&function.file, function.line), note]
}
