//! Go's traceback text, taken apart: what SIGQUIT prints under `GOTRACEBACK=system`, and `runtime.Stack`.
//!
//! The forms are those of `goroutineheader`, `traceback2` and `printcreatedby` (runtime/traceback.go, Go 1.21 to 1.27).
//! A line inside a goroutine that has none of these forms is an error, so that nothing is compared that was not understood.

use std::collections::BTreeMap;
use std::fmt::Write;

/// One text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traceback {
    /// In the order of the text, without goroutine 0 (a thread's own stack).
    pub goroutines: Vec<Goroutine>,
    /// The goroutine on whose stack the thread stood that handled the signal: what SIGQUIT's text begins with. 0 is the
    /// thread's own stack.
    pub first: Option<u64>,
    /// What is no goroutine: the signal's name, the registers.
    pub others: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Goroutine {
    pub goid: u64,
    /// What stands between the number and the colon, without the addresses of `GOTRACEBACK=system`: `[select, 2 minutes]`.
    pub header: String,
    /// Innermost first; of a stack with elided frames the inner ones, then the outer ones.
    pub frames: Vec<Frame>,
    /// How many frames precede the elided ones, and how many were elided.
    pub elided: Option<(usize, usize)>,
    /// `goroutine running on other thread; stack unavailable`.
    pub unavailable: bool,
    pub created_by: Option<CreatedBy>,
    /// The text, without what only `GOTRACEBACK=system` adds to a line (addresses of g, m and frames).
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub function: String,
    pub arguments: String,
    pub position: Position,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedBy {
    pub function: String,
    pub parent: Option<u64>,
    pub position: Position,
}

/// `file:line +0x1d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub file: String,
    pub line: u32,
    pub offset: u64,
}

impl Goroutine {
    /// The first word group of the header: `chan receive` of `[chan receive, 2 minutes]`.
    pub fn state(&self) -> &str {
        state(&self.header)
    }

    /// It stood still when the text was written: neither on a thread nor about to be.
    pub fn is_parked(&self) -> bool {
        !self.unavailable && is_parked_state(self.state())
    }
}

/// `chan receive` of `[chan receive, 2 minutes]`.
pub fn state(header: &str) -> &str {
    let inside = header.trim_start_matches('[');
    inside.split([',', ']']).next().unwrap_or_default()
}

/// Waiting, or blocked in a system call: everything but what a scheduler or a thread is about to move.
pub fn is_parked_state(state: &str) -> bool {
    let state = state.strip_suffix(" (scan)").unwrap_or(state);
    !matches!(state, "running" | "runnable" | "idle" | "dead" | "copystack" | "preempted" | "waiting" | "???")
}

impl Traceback {
    pub fn parse(text: &str) -> Result<Traceback, String> {
        let mut traceback = Traceback::default();
        for block in text.split("\n\n").map(|b| b.trim_matches('\n')).filter(|b| !b.is_empty()) {
            if !block.starts_with("goroutine ") {
                traceback.others.push(block.to_owned());
                continue;
            }
            let goroutine = parse_goroutine(block).map_err(|e| format!("{e}\n{block}"))?;
            traceback.first.get_or_insert(goroutine.goid);
            if goroutine.goid != 0 {
                traceback.goroutines.push(goroutine);
            }
        }
        Ok(traceback)
    }

    /// By goid. A goroutine that is there twice is an error of the text.
    pub fn by_goid(&self) -> BTreeMap<u64, &Goroutine> {
        let all: BTreeMap<u64, &Goroutine> = self.goroutines.iter().map(|g| (g.goid, g)).collect();
        assert_eq!(all.len(), self.goroutines.len(), "a goroutine stands in the text twice");
        all
    }
}

fn parse_goroutine(block: &str) -> Result<Goroutine, String> {
    let mut lines = block.lines().peekable();
    let mut goroutine = parse_header(lines.next().unwrap_or_default()).ok_or("not a goroutine's header")?;
    let _ = writeln!(goroutine.text, "goroutine {} {}:", goroutine.goid, goroutine.header);
    while let Some(line) = lines.next() {
        if line == "\tgoroutine running on other thread; stack unavailable" {
            goroutine.unavailable = true;
            continue;
        }
        if let Some(count) = line.strip_prefix("...").and_then(|l| l.strip_suffix(" frames elided...")) {
            let count = count.parse().map_err(|_| format!("not a number of frames: {line}"))?;
            if goroutine.elided.replace((goroutine.frames.len(), count)).is_some() {
                return Err("frames are elided twice".into());
            }
            let _ = writeln!(goroutine.text, "{line}");
            continue;
        }
        let position =
            lines.next().and_then(parse_position).ok_or_else(|| format!("no position after {line}"))?;
        let _ = write!(goroutine.text, "{line}\n\t{}:{}", position.file, position.line);
        if position.offset != 0 {
            let _ = write!(goroutine.text, " +{:#x}", position.offset);
        }
        goroutine.text.push('\n');
        if let Some(creator) = line.strip_prefix("created by ") {
            let (function, parent) = match creator.rsplit_once(" in goroutine ") {
                Some((function, parent)) => (function, parent.parse().ok()),
                None => (creator, None),
            };
            goroutine.created_by = Some(CreatedBy { function: function.to_owned(), parent, position });
        } else if goroutine.created_by.is_some() {
            return Err(format!("a frame after the creator: {line}"));
        } else {
            let (function, arguments) = parse_call(line).ok_or_else(|| format!("not a frame: {line}"))?;
            goroutine.frames.push(Frame { function, arguments, position });
        }
    }
    Ok(goroutine)
}

/// `goroutine 7 gp=0xc000006540 m=3 mp=0xc000100008 [select, locked to thread] {key: value}:`.
fn parse_header(line: &str) -> Option<Goroutine> {
    let (goid, rest) = line.strip_prefix("goroutine ")?.strip_suffix(':')?.split_once(' ')?;
    let header = &rest[rest.find('[')?..];
    let addresses = rest[..rest.len() - header.len()].split_whitespace();
    for word in addresses {
        ["gp=", "m=", "mp="].iter().find(|name| word.starts_with(**name))?;
    }
    Some(Goroutine { goid: goid.parse().ok()?, header: header.to_owned(), ..Goroutine::default() })
}

/// `main.(*Shop[...]).sell(0xc000012345, {0x1, 0x2?}, ...)`. Arguments have no parentheses, names may.
fn parse_call(line: &str) -> Option<(String, String)> {
    let (function, arguments) = line.strip_suffix(')')?.rsplit_once('(')?;
    (!function.is_empty()).then(|| (function.to_owned(), arguments.to_owned()))
}

/// `\t/src/main.go:12 +0x1d fp=0xc000057fe0 sp=0xc000057fa8 pc=0x49e1dd`.
fn parse_position(line: &str) -> Option<Position> {
    let mut place = line.strip_prefix('\t')?;
    for name in [" pc=0x", " sp=0x", " fp=0x"] {
        if let Some((before, value)) = place.rsplit_once(name) {
            u64::from_str_radix(value, 16).ok()?;
            place = before;
        }
    }
    let mut offset = 0;
    if let Some((before, value)) = place.rsplit_once(" +0x") {
        offset = u64::from_str_radix(value, 16).ok()?;
        place = before;
    }
    let (file, line) = place.rsplit_once(':')?;
    Some(Position { file: file.to_owned(), line: line.parse().ok()?, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEM: &str = "SIGQUIT: quit\nPC=0x475a41 m=0 sigcode=0\n\n\
        goroutine 0 gp=0x5c3f20 m=0 mp=0x5c4fe0 [idle]:\n\
        runtime.futex(0x5c5120)\n\t/go/src/runtime/sys_linux_amd64.s:558 +0x21 fp=0x7ffe sp=0x7ffd pc=0x475a41\n\n\
        goroutine 1 gp=0xc000002380 m=nil [chan receive, 2 minutes]:\n\
        runtime.gopark(0x0?, {0x1, 0x2?}, ...)\n\t/go/src/runtime/proc.go:435 +0xce fp=0xc0 sp=0xb0 pc=0x46c1ee\n\
        main.small(...)\n\t/src/a b.go:5\n\
        main.(*T[...]).run.func1()\n\t/src/a.go:9 fp=0xc8 sp=0xc0 pc=0x49e1dd\n\
        ...7 frames elided...\n\
        runtime.goexit({})\n\t/go/src/runtime/asm_amd64.s:1700 +0x1 fp=0xd0 sp=0xd0 pc=0x474be1\n\
        created by main.start in goroutine 3\n\t/src/a.go:3 +0x2a\n\n\
        goroutine 9 gp=0xc000002390 m=4 mp=0xc000100008 [running, locked to thread] {a: \"b: c\"}:\n\
        \tgoroutine running on other thread; stack unavailable\n\n\
        rax    0xca\nrbx    0x0\n";

    #[test]
    fn the_text_of_sigquit_is_taken_apart() {
        let traceback = Traceback::parse(SYSTEM).unwrap();
        assert_eq!((traceback.others.len(), traceback.first), (2, Some(0)));
        let [one, nine] = &traceback.goroutines[..] else { panic!("{:?}", traceback.goroutines) };
        assert_eq!(
            (one.goid, one.header.as_str(), one.state()),
            (1, "[chan receive, 2 minutes]", "chan receive")
        );
        let functions: Vec<&str> = one.frames.iter().map(|f| f.function.as_str()).collect();
        assert_eq!(functions, ["runtime.gopark", "main.small", "main.(*T[...]).run.func1", "runtime.goexit"]);
        assert_eq!(one.frames[0].arguments, "0x0?, {0x1, 0x2?}, ...");
        assert_eq!(one.frames[0].position.offset, 0xce);
        assert_eq!(one.frames[1].position, Position { file: "/src/a b.go".into(), line: 5, offset: 0 });
        assert_eq!(one.elided, Some((3, 7)));
        let creator = one.created_by.as_ref().unwrap();
        assert_eq!((creator.function.as_str(), creator.parent), ("main.start", Some(3)));
        assert!(one.is_parked() && !nine.is_parked() && nine.unavailable);
        assert_eq!(nine.header, "[running, locked to thread] {a: \"b: c\"}");
        assert!(one.text.starts_with("goroutine 1 [chan receive, 2 minutes]:\nruntime.gopark(0x0?"));
        assert!(!one.text.contains("fp="));
    }

    #[test]
    fn the_text_of_a_goroutine_of_runtime_stack_is_kept_byte_by_byte() {
        let text = "goroutine 7 [select]:\nmain.work(0x1)\n\t/src/a.go:7 +0x1d\n\
                    created by main.main in goroutine 1\n\t/src/a.go:3 +0x2a\n";
        assert_eq!(Traceback::parse(text).unwrap().goroutines[0].text, text);
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for bad in [
            "goroutine x [select]:\n",
            "goroutine 7 [select]:\nnon-Go function at pc=1a\n",
            "goroutine 7 [select]:\nmain.f()\n",
            "goroutine 7 [select]:\nmain.f\n\t/src/a.go:1\n",
            "goroutine 7 [select]:\nmain.f()\n\t/src/a.go:x\n",
        ] {
            assert!(Traceback::parse(bad).is_err(), "{bad}");
        }
    }
}
