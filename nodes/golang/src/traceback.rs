//! What Go's own traceback says of a goroutine, and which frames it shows (runtime/traceback.go). Differences between
//! versions stand where they matter.
//
// @go source runtime.{goroutineheader,showframe,showfuncinfo,isExportedRuntime,elideWrapperCalling,isSystemGoroutine}

use std::fmt::Write;

use crate::function_table::Function;
use crate::labels::Label;
use crate::modules::Functions;
use crate::records::{GRecord, Status};
use crate::version::FunctionKind;

/// A wait this long is shown, in minutes.
const MINUTE_NS: i64 = 60_000_000_000;

/// Whether Go shows a frame by default: not wrappers that the compiler made, and of the runtime only what is exported.
/// `first` is true while no frame of the stack has been shown; `callee` is what the frame called.
pub(crate) fn is_shown(
    name: &str,
    kind: FunctionKind,
    first: bool,
    callee: FunctionKind,
    minor: u32,
) -> bool {
    let calls_panic =
        matches!(callee, FunctionKind::Gopanic | FunctionKind::Sigpanic | FunctionKind::Panicwrap);
    if kind == FunctionKind::Wrapper && !calls_panic {
        return false;
    }
    // New in Go 1.25.
    if minor >= 25 && matches!(kind, FunctionKind::RunFinalizers | FunctionKind::RunCleanups) {
        return true;
    }
    if name == "runtime.gopanic" && !first {
        return true;
    }
    name.contains('.') && (!name.starts_with("runtime.") || is_exported_runtime(name, minor))
}

fn is_exported_runtime(name: &str, minor: u32) -> bool {
    let name = &name["runtime.".len()..];
    // Methods of exported types are since Go 1.23.
    if minor < 23 {
        return name.starts_with(|c: char| c.is_ascii_uppercase());
    }
    let (receiver, name) = name.rsplit_once('.').unwrap_or(("", name));
    let receiver = receiver
        .strip_prefix("(*")
        .and_then(|r| r.strip_suffix(')'))
        .filter(|r| !r.is_empty())
        .unwrap_or(receiver);
    let exported = |s: &str| s.starts_with(|c: char| c.is_ascii_uppercase());
    exported(name) && (receiver.is_empty() || exported(receiver))
}

/// Whether a goroutine is the runtime's own, by the function that it started in.
pub(crate) fn is_system(
    functions: &Functions<'_>,
    start: &Function,
    g: &GRecord,
    running_finalizer: bool,
) -> bool {
    match start.kind(functions.minor()) {
        FunctionKind::RuntimeMain | FunctionKind::CoroutineStart | FunctionKind::HandleAsyncEvent => false,
        FunctionKind::RunFinalizers => !running_finalizer,
        FunctionKind::RunCleanups => !g.running_cleanups,
        _ => functions.name(start).starts_with("runtime."),
    }
}

/// What the header of a goroutine needs beside its record.
pub(crate) struct Header<'a> {
    pub(crate) minor: u32,
    pub(crate) wait_reason: Option<&'a str>,
    /// CLOCK_MONOTONIC when the process was frozen.
    pub(crate) now: Option<i64>,
    /// The bubble's id, or the group's root (Go 1.24).
    pub(crate) bubble: Option<u64>,
    pub(crate) labels: &'a [Label],
    /// `GODEBUG=tracebacklabels`, on by default from Go 1.27 on.
    pub(crate) show_labels: bool,
}

impl Header<'_> {
    /// `[chan receive, 2 minutes, locked to thread]`.
    pub(crate) fn text(&self, g: &GRecord) -> String {
        let parked = matches!(g.status, Status::Waiting | Status::Leaked);
        let status = self.wait_reason.filter(|_| parked).unwrap_or(g.status.name());
        let mut text = format!("[{status}");
        if g.status == Status::Leaked {
            text.push_str(" (leaked)");
        }
        if g.scanned {
            text.push_str(" (scan)");
        }
        let durable = g.bubble != 0
            && self.minor >= 25
            && (g.status == Status::Waiting || self.minor == 25)
            && self.wait_reason.is_some_and(is_idle_in_synctest)
            && !status.ends_with("(durable)");
        if durable {
            text.push_str(" (durable)");
        }
        let waits = matches!(g.status, Status::Waiting | Status::Syscall) && g.wait_since != 0;
        let minutes =
            self.now.filter(|_| waits).map_or(0, |now| now.saturating_sub(g.wait_since) / MINUTE_NS);
        if minutes >= 1 {
            let _ = write!(text, ", {minutes} minutes");
        }
        if g.locked_m != 0 {
            text.push_str(", locked to thread");
        }
        if let Some(id) = self.bubble {
            let what = if self.minor >= 25 { "bubble" } else { "group" };
            let _ = write!(text, ", synctest {what} {id}");
        }
        match (self.show_labels && !self.labels.is_empty(), self.minor) {
            (false, _) => text.push(']'),
            (true, ..=26) => {
                text.push_str(" labels:{");
                self.push_labels(&mut text, |s| quoted(s, self.minor));
                text.push_str("}]");
            }
            (true, _) => {
                text.push_str("] {");
                self.push_labels(&mut text, |s| {
                    plain(s).map_or_else(|| quoted(s, self.minor), str::to_owned)
                });
                text.push('}');
            }
        }
        text
    }

    fn push_labels(&self, text: &mut String, print: impl Fn(&[u8]) -> String) {
        for (i, (key, value)) in self.labels.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            let _ = write!(text, "{comma}{}: {}", print(key), print(value));
        }
    }
}

/// Those that are idle in a bubble (runtime/runtime2.go), without those that say `(durable)` themselves.
//
// @go source runtime.isIdleInSynctest (1.24..)
fn is_idle_in_synctest(wait_reason: &str) -> bool {
    matches!(
        wait_reason,
        "chan receive (nil chan)"
            | "chan send (nil chan)"
            | "select (no cases)"
            | "sleep"
            | "sync.Cond.Wait"
            | "coroutine"
            | "synctest.Run"
            | "synctest.Wait"
    )
}

/// What needs no quotes.
//
// @go source runtime.tracebackStringNeedsQuoting (1.27..)
fn plain(text: &[u8]) -> Option<&str> {
    let is_plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/' | b'_');
    std::str::from_utf8(text).ok().filter(|_| text.iter().all(is_plain))
}

/// `printquoted` (runtime/print.go): an ASCII string literal of Go. Each byte that is not UTF-8 is U+FFFD, since Go 1.27
/// itself.
//
// @go source runtime.printquoted (1.26..)
fn quoted(text: &[u8], minor: u32) -> String {
    let mut out = String::from("\"");
    for chunk in text.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push_quoted(&mut out, c));
        for byte in chunk.invalid() {
            match minor {
                ..=26 => push_quoted(&mut out, char::REPLACEMENT_CHARACTER),
                _ => {
                    let _ = write!(out, "\\x{byte:02x}");
                }
            }
        }
    }
    out.push('"');
    out
}

fn push_quoted(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        ' '..='~' => out.push(c),
        c => {
            let _ = match c as u32 {
                ..0x7f => write!(out, "\\x{:02x}", c as u32),
                0x7f..0x10000 => write!(out, "\\u{:04x}", c as u32),
                _ => write!(out, "\\U{:08x}", c as u32),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exported_functions_of_the_runtime_are_shown() {
        let shown = |name| is_shown(name, FunctionKind::Normal, true, FunctionKind::Normal, 27);
        assert!(shown("main.main"));
        assert!(shown("runtime.Goexit"));
        assert!(shown("runtime.(*Func).Entry"));
        assert!(!shown("runtime.(*mheap).Free"));
        assert!(!shown("runtime.gopark"));
        assert!(!shown("runtime.gopanic"));
        assert!(!shown("_cgo_panic"));
        let after = |name| is_shown(name, FunctionKind::Gopanic, false, FunctionKind::Normal, 27);
        assert!(after("runtime.gopanic"));
        let before = |name| is_shown(name, FunctionKind::Normal, true, FunctionKind::Normal, 22);
        assert!(before("runtime.Goexit"));
        assert!(!before("runtime.(*Func).Entry"));
    }

    #[test]
    fn a_wrapper_is_shown_when_it_panicked() {
        let shown = |callee| is_shown("main.(*T).F", FunctionKind::Wrapper, true, callee, 27);
        assert!(!shown(FunctionKind::Normal));
        assert!(shown(FunctionKind::Panicwrap));
    }
}
