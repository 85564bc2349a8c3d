//! `stillframe help`: topics that belong to no verb.

use std::io::Write;

use clap::{Args, CommandFactory, ValueEnum};
use serde_json::json;

use super::failure::Class;
use super::{Cli, Done, output};

/// Explain a topic, or a verb.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  stillframe help exit-codes\n  stillframe help snapshot")]
pub struct Arguments {
    /// exit-codes, or a verb.
    topic: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Topic {
    ExitCodes,
}

pub fn run(arguments: &Arguments, json: bool) -> anyhow::Result<Done> {
    let mut out = output::stdout();
    let Some(topic) = arguments.topic.as_deref() else {
        write!(out, "{}", Cli::command().render_long_help())?;
        out.flush()?;
        return Ok(Done::Whole);
    };
    if let Ok(Topic::ExitCodes) = Topic::from_str(topic, true) {
        write_exit_codes(&mut out, json)?;
        return Ok(Done::Whole);
    }
    let mut cli = Cli::command();
    cli.build();
    let Some(verb) = cli.find_subcommand_mut(topic) else {
        let remedy = "the topics are exit-codes and the verbs that `stillframe --help` lists";
        return Err(
            super::Failure::new(Class::Usage, format!("there is no help on {topic:?}"), remedy).into()
        );
    };
    write!(out, "{}", verb.render_long_help())?;
    out.flush()?;
    Ok(Done::Whole)
}

fn write_exit_codes(out: &mut impl Write, json: bool) -> std::io::Result<()> {
    if json {
        let codes: Vec<_> = Class::ALL
            .iter()
            .map(|class| json!({ "exit_code": *class as u8, "class": class.name(), "meaning": class.meaning() }))
            .collect();
        return output::write_json(out, &json!({ "exit_codes": codes }));
    }
    writeln!(out, "  0  everything went well")?;
    for class in Class::ALL {
        writeln!(out, "{:>3}  {}", class as u8, class.meaning())?;
    }
    writeln!(out, "130  stopped by Ctrl-C (128 and the signal's number); no file was written\n")?;
    writeln!(out, "With --json a failure is one line on stderr:")?;
    writeln!(out, r#"  {{"error":{{"class":"not_go","exit_code":4,"message":"...","remedy":"..."}}}}"#)?;
    out.flush()
}
