//! What a user is told when something fails, and the exit code that goes with it.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use serde_json::json;
use stillframe_wire::message::FailureClass;

use super::output;
use crate::api::class_name;
use crate::store::QueryError;
use crate::store::order::WriteError;
use crate::store::reader::ReadError;

/// Kinds of failures; the discriminant is the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    Unexpected = 1,
    Usage = 2,
    NoSuchProcess = 3,
    NotGo = 4,
    Permission = 5,
    Unsupported = 6,
    Vanished = 7,
    BadFile = 8,
    Output = 9,
    Partial = 10,
    Limit = 11,
    Unreachable = 12,
}

impl Class {
    pub const ALL: [Class; 12] = [
        Class::Unexpected,
        Class::Usage,
        Class::NoSuchProcess,
        Class::NotGo,
        Class::Permission,
        Class::Unsupported,
        Class::Vanished,
        Class::BadFile,
        Class::Output,
        Class::Partial,
        Class::Limit,
        Class::Unreachable,
    ];

    /// As JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Class::Unexpected => "unexpected",
            Class::Usage => "usage",
            Class::NoSuchProcess => "no_such_process",
            Class::NotGo => "not_go",
            Class::Permission => "permission",
            Class::Unsupported => "unsupported",
            Class::Vanished => "vanished",
            Class::BadFile => "bad_file",
            Class::Output => "output",
            Class::Partial => "partial",
            Class::Limit => "limit",
            Class::Unreachable => "unreachable",
        }
    }

    /// What a newer coordinator may call by a name of its own is unexpected here.
    pub fn of_name(name: &str) -> Class {
        Self::ALL.into_iter().find(|class| class.name() == name).unwrap_or(Class::Unexpected)
    }

    pub fn meaning(self) -> &'static str {
        match self {
            Class::Unexpected => "something unexpected failed",
            Class::Usage => "the command line or the SQL statement is wrong",
            Class::NoSuchProcess => "there is no such process",
            Class::NotGo => "the process is not a Go program",
            Class::Permission => "not permitted to look into the process",
            Class::Unsupported => "this version of Go, or this kind of build, is not supported",
            Class::Vanished => "the process exited or became another program during the capture",
            Class::BadFile => "an input file (core, executable, snapshot) cannot be read or is damaged",
            Class::Output => "the output file exists already or cannot be written",
            Class::Partial => "the result is there, but something in it is missing; it says what",
            Class::Limit => "a limit was reached, such as --timeout",
            Class::Unreachable => "the coordinator, or a node that was to be captured, cannot be reached",
        }
    }
}

impl From<Class> for ExitCode {
    fn from(class: Class) -> Self {
        ExitCode::from(class as u8)
    }
}

/// A failure that the user can do something about.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub class: Class,
    pub message: String,
    pub remedy: Option<String>,
}

impl Failure {
    pub fn new(class: Class, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { class, message: message.into(), remedy: Some(remedy.into()) }
    }

    /// Why nothing of a target of this host could be captured.
    pub fn of_target(class: FailureClass, reason: String, pid: Option<u32>) -> Self {
        let doctor = || match pid {
            Some(pid) => format!("`stillframe doctor --pid {pid}` checks what is missing"),
            None => "`stillframe doctor` checks what is missing".to_owned(),
        };
        let remedy = match class {
            FailureClass::NoSuchProcess | FailureClass::NotGo | FailureClass::Vanished => {
                "`stillframe ps` lists the Go processes of this host".to_owned()
            }
            FailureClass::Permission | FailureClass::Unsupported | FailureClass::Other => doctor(),
            FailureClass::BadFile => {
                "give a core file of a Go program and the very executable that it ran, both complete"
                    .to_owned()
            }
            FailureClass::Limit => {
                "raise the limit or free what is used up, and take the snapshot again".to_owned()
            }
            FailureClass::Lost => "take the snapshot again".to_owned(),
        };
        Self { class: Class::of_name(class_name(class)), message: reason, remedy: Some(remedy) }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        let class = match &error {
            WriteError::Exists { .. }
            | WriteError::Output { .. }
            | WriteError::Database { .. }
            | WriteError::Full { .. }
            | WriteError::Spoiled { .. } => Class::Output,
            WriteError::Probes { .. } => Class::Usage,
            WriteError::Check { .. } | WriteError::BadFacts { .. } | WriteError::Misuse { .. } => {
                Class::Unexpected
            }
        };
        Self::new(class, error.to_string(), error.remedy())
    }
}

/// A closed pipe stays an I/O error: it ends the program quietly.
pub fn of_read(error: ReadError) -> anyhow::Error {
    match error {
        ReadError::Visit(error) => error.into(),
        error => Failure::new(Class::BadFile, error.to_string(), error.remedy()).into(),
    }
}

pub fn of_query(error: QueryError) -> anyhow::Error {
    let message = error.to_string();
    let (class, remedy) = match error {
        QueryError::Output(error) => return error.into(),
        QueryError::Timeout(_) => (Class::Limit, "narrow the statement, or allow more with --timeout"),
        QueryError::Damaged(_) => (Class::BadFile, "copy the file again, or take a new snapshot"),
        QueryError::Several => (Class::Usage, "run one statement at a time"),
        QueryError::Empty => (Class::Usage, "give a statement, such as 'select name, question from about'"),
        QueryError::Writes(_) => {
            (Class::Usage, "a snapshot is not changed; copy the file and use sqlite3 to write to the copy")
        }
        QueryError::Invalid(_) => {
            (Class::Usage, "'select name, question, columns from about' lists the tables and their columns")
        }
    };
    Failure::new(class, message, remedy).into()
}

/// Says what failed, on stderr.
pub fn report(error: &anyhow::Error, json: bool) -> ExitCode {
    let io_kind = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    // `stillframe dump s.db | head`: who reads has seen enough.
    if io_kind == Some(io::ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    match error.downcast_ref::<Failure>() {
        Some(failure) => print(failure.class, &failure.message, failure.remedy.as_deref(), json),
        None => print(Class::Unexpected, &format!("{error:#}"), None, json),
    }
}

/// What clap has to say: help and version, too, which are no failures.
pub fn report_usage(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    if wants_json && error.use_stderr() {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        return print(Class::Usage, message, Some("see --help"), true);
    }
    // Fails only if nobody can read it.
    let _ = error.print();
    if error.use_stderr() { Class::Usage.into() } else { ExitCode::SUCCESS }
}

fn print(class: Class, message: &str, remedy: Option<&str>, json: bool) -> ExitCode {
    if json {
        let error = json!({
            "class": class.name(),
            "exit_code": class as u8,
            "message": message,
            "remedy": remedy,
        });
        output::say(&json!({ "error": error }).to_string());
    } else {
        output::say(&format!(
            "{} {}",
            output::paint("error:", output::Paint::Red),
            output::printable(message)
        ));
        if let Some(remedy) = remedy {
            output::say(&format!(
                "{} {}",
                output::paint("help:", output::Paint::Bold),
                output::printable(remedy)
            ));
        }
    }
    class.into()
}
