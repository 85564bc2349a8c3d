//! What a process's facts become in rows: checked indices, texts, keys of equal stacks.

use stillframe_wire::facts::{Frame, ProcessFacts, Stack};

use super::order::WriteError;
use crate::traceback::function_name_for_print;

/// Lines of `stacks.text`; a deeper stack's middle is left out there (never in `stack_frames`).
const TEXT_LINES_MAX: usize = 1_000;

/// The file's ids of what a process's facts name by index.
pub(super) struct ProcessIds {
    pub(super) functions: Vec<i64>,
    pub(super) stacks: Vec<i64>,
    pub(super) go_statements: Vec<i64>,
}

impl ProcessIds {
    pub(super) fn function(&self, facts: &ProcessFacts, index: u32) -> Result<i64, WriteError> {
        self.functions.get(index as usize).copied().ok_or_else(|| bad(facts, "function", index.into()))
    }

    pub(super) fn stack(&self, facts: &ProcessFacts, index: u32) -> Result<i64, WriteError> {
        self.stacks.get(index as usize).copied().ok_or_else(|| bad(facts, "stack", index.into()))
    }

    pub(super) fn go_statement(&self, facts: &ProcessFacts, index: u32) -> Result<i64, WriteError> {
        self.go_statements
            .get(index as usize)
            .copied()
            .ok_or_else(|| bad(facts, "go statement", index.into()))
    }
}

/// What makes two frames of one build the same.
#[derive(Hash)]
pub(super) struct FrameKey<'a> {
    pub(super) function_id: i64,
    pub(super) file: &'a str,
    pub(super) line: u32,
    pub(super) inlined: bool,
    pub(super) shown: bool,
    pub(super) pc: u64,
    pub(super) function_offset: u32,
}

pub(super) fn frame_keys<'a>(
    facts: &'a ProcessFacts,
    ids: &ProcessIds,
    stack: &Stack,
) -> Result<Vec<FrameKey<'a>>, WriteError> {
    let key = |frame: &Frame| {
        Ok(FrameKey {
            function_id: ids.function(facts, frame.function)?,
            file: text_of(facts, frame.file)?,
            line: frame.line,
            inlined: frame.inlined,
            shown: frame.shown,
            pc: frame.pc,
            function_offset: frame.function_offset,
        })
    };
    stack.frames.iter().map(key).collect()
}

pub(super) fn bad(facts: &ProcessFacts, what: &'static str, index: u64) -> WriteError {
    WriteError::BadFacts { pid: facts.pid, program: facts.program.clone(), what, index }
}

pub(super) fn text_of(facts: &ProcessFacts, index: u32) -> Result<&str, WriteError> {
    facts.files.get(index as usize).map(String::as_str).ok_or_else(|| bad(facts, "file", index.into()))
}

/// SQLite's integers are signed; Go counts goroutines from 1 and does not get there.
pub(super) fn goid(facts: &ProcessFacts, goid: u64) -> Result<i64, WriteError> {
    i64::try_from(goid).map_err(|_| bad(facts, "goroutine", goid))
}

pub(super) fn printed_names(facts: &ProcessFacts) -> Vec<String> {
    facts
        .functions
        .iter()
        .map(|function| function_name_for_print(&function.name, &facts.go_version))
        .collect()
}

/// The innermost frame outside the Go distribution; a generated wrapper only if there is nothing else.
pub(super) fn user_function<'a>(facts: &ProcessFacts, stack: &'a Stack) -> Option<&'a Frame> {
    let is_user = |frame: &&Frame| !facts.functions[frame.function as usize].is_standard_library;
    let mut frames = stack.frames.iter().filter(is_user);
    frames.clone().find(|frame| frame.shown).or_else(|| frames.next())
}

/// `stacks.text`: the frames that Go shows, all where it shows none.
pub(super) fn stack_text(facts: &ProcessFacts, names: &[String], stack: &Stack) -> String {
    let any_shown = stack.frames.iter().any(|frame| frame.shown);
    let frames: Vec<&Frame> = stack.frames.iter().filter(|frame| frame.shown || !any_shown).collect();
    let elided = frames.len().saturating_sub(TEXT_LINES_MAX);
    let mut text = String::new();
    for (index, frame) in frames.iter().enumerate() {
        if elided > 0 && index == TEXT_LINES_MAX / 2 {
            text.push_str(&format!("\n...{elided} frames elided..."));
        }
        if (TEXT_LINES_MAX / 2..TEXT_LINES_MAX / 2 + elided).contains(&index) {
            continue;
        }
        if index > 0 {
            text.push('\n');
        }
        let file = &facts.files[frame.file as usize];
        let base = file.rsplit('/').next().unwrap_or(file);
        text.push_str(&format!("{} {base}:{}", names[frame.function as usize], frame.line));
    }
    text
}

pub(super) fn labels_json(labels: &[(String, String)]) -> Option<String> {
    if labels.is_empty() {
        return None;
    }
    let object: serde_json::Map<String, serde_json::Value> =
        labels.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    Some(serde_json::Value::Object(object).to_string())
}
