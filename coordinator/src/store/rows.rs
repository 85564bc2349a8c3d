//! What a process's facts become in rows: texts, and keys of equal stacks.

use stillframe_wire::facts::Frame;

/// Lines of `stacks.text`; a deeper stack's middle is left out there (never in `stack_frames`).
const TEXT_LINES_MAX: usize = 1_000;

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

/// A frame with what it names by index.
#[derive(Clone, Copy)]
pub(super) struct NamedFrame<'a> {
    pub(super) frame: &'a Frame,
    pub(super) function_id: i64,
    /// As Go prints it.
    pub(super) function_name: &'a str,
    pub(super) is_standard_library: bool,
    pub(super) file: &'a str,
}

impl<'a> NamedFrame<'a> {
    pub(super) fn key(&self) -> FrameKey<'a> {
        let Frame { line, inlined, shown, pc, function_offset, .. } = *self.frame;
        FrameKey { function_id: self.function_id, file: self.file, line, inlined, shown, pc, function_offset }
    }
}

/// The innermost function outside the Go distribution; a generated wrapper only if there is nothing else.
pub(super) fn user_function_id(frames: &[NamedFrame]) -> Option<i64> {
    let mut of_user = frames.iter().filter(|named| !named.is_standard_library);
    let found = of_user.clone().find(|named| named.frame.shown).or_else(|| of_user.next());
    found.map(|named| named.function_id)
}

/// `stacks.text`: the frames that Go shows, all where it shows none.
pub(super) fn stack_text(frames: &[NamedFrame]) -> String {
    let any_shown = frames.iter().any(|named| named.frame.shown);
    let frames: Vec<&NamedFrame> = frames.iter().filter(|named| named.frame.shown || !any_shown).collect();
    let elided = frames.len().saturating_sub(TEXT_LINES_MAX);
    let mut text = String::new();
    for (index, named) in frames.iter().enumerate() {
        if elided > 0 && index == TEXT_LINES_MAX / 2 {
            text.push_str(&format!("\n...{elided} frames elided..."));
        }
        if (TEXT_LINES_MAX / 2..TEXT_LINES_MAX / 2 + elided).contains(&index) {
            continue;
        }
        if index > 0 {
            text.push('\n');
        }
        let base = named.file.rsplit('/').next().unwrap_or(named.file);
        text.push_str(&format!("{} {base}:{}", named.function_name, named.frame.line));
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
