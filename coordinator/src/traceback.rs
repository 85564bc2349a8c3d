//! Go's own traceback text, as `runtime.Stack` and SIGQUIT print it.
//!
//! The rules are those of runtime/traceback.go. Which frames Go shows is decided by the capture, which knows the
//! function ids of the build; see [`Frame::shown`]. Pure: text out, no file and no snapshot.
//
// @go source runtime.{traceback2,printcreatedby,printcreatedby1,printFuncName,funcNameForPrint,funcNamePiecesForPrint}

use std::io::{self, Write};

// @go const runtime.tracebackInnerFrames = 50
const INNER_FRAMES: usize = 50;
// @go const runtime.tracebackOuterFrames = 50
const OUTER_FRAMES: usize = 50;

/// Which frames and goroutines are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Display {
    /// As Go does by default: most runtime functions and generated wrappers are hidden.
    Default,
    /// As with `GOTRACEBACK=system`: all frames.
    System,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// As [`function_name_for_print`] gives it.
    pub name: String,
    pub file: String,
    pub line: u32,
    pub inlined: bool,
    /// Go shows this frame by default.
    pub shown: bool,
    /// From the entry of the function; not printed when it is 0 or when the frame is inlined.
    pub function_offset: u32,
}

/// The go statement that started a goroutine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoStatement {
    pub name: String,
    pub file: String,
    pub line: u32,
    pub function_offset: u32,
    pub shown: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Goroutine<'a> {
    pub goid: i64,
    /// `[chan receive, 2 minutes]`
    pub header: &'a str,
    /// Innermost first.
    pub frames: &'a [Frame],
    /// One line a frame; missing lines are empty.
    pub arguments: &'a str,
    pub created_by: Option<&'a GoStatement>,
    pub parent_goid: Option<i64>,
}

/// Writes one goroutine, without the blank line that stands between two.
pub fn write_goroutine(out: &mut impl Write, goroutine: &Goroutine, display: Display) -> io::Result<()> {
    writeln!(out, "goroutine {} {}:", goroutine.goid, goroutine.header)?;
    let arguments: Vec<&str> = goroutine.arguments.lines().collect();
    let mut printer =
        Printer { frames: goroutine.frames, arguments: &arguments, show_all: display == Display::System };
    if printer.print(out)? == 0 {
        printer.show_all = true;
        printer.print(out)?;
    }
    write_created_by(out, goroutine, display)
}

fn write_created_by(out: &mut impl Write, goroutine: &Goroutine, display: Display) -> io::Result<()> {
    let Some(created_by) = goroutine.created_by else { return Ok(()) };
    if goroutine.goid == 1 || !(created_by.shown || display == Display::System) {
        return Ok(());
    }
    write!(out, "created by {}", printed_name(&created_by.name))?;
    if let Some(parent) = goroutine.parent_goid.filter(|goid| *goid != 0) {
        write!(out, " in goroutine {parent}")?;
    }
    write!(out, "\n\t{}:{}", created_by.file, created_by.line)?;
    write_offset(out, created_by.function_offset)?;
    writeln!(out)
}

fn write_offset(out: &mut impl Write, offset: u32) -> io::Result<()> {
    if offset > 0 { write!(out, " +{offset:#x}") } else { Ok(()) }
}

/// Only the traceback calls it so; `runtime.Frame.Function` has the full name.
fn printed_name(name: &str) -> &str {
    if name == "runtime.gopanic" { "panic" } else { name }
}

/// `traceback1` and `traceback2`: what they do by cloning an unwinder is done here by positions.
struct Printer<'a> {
    frames: &'a [Frame],
    arguments: &'a [&'a str],
    show_all: bool,
}

/// How a pass of `traceback2` ended.
struct Pass {
    /// Frames printed or skipped.
    counted: usize,
    /// Of these, the ones of the physical frame in which the pass stopped.
    counted_of_last: usize,
    /// Innermost (inlined) frame of that physical frame.
    stopped_at: usize,
}

impl Printer<'_> {
    /// Number of frames of the inner part: 0 if nothing was printed.
    fn print(&self, out: &mut impl Write) -> io::Result<usize> {
        let inner = self.pass(out, 0, 0, INNER_FRAMES)?;
        if inner.counted < INNER_FRAMES {
            return Ok(inner.counted);
        }
        let remaining = self.pass(out, inner.stopped_at, usize::MAX, 0)?.counted;
        let elided = remaining.saturating_sub(inner.counted_of_last + OUTER_FRAMES);
        if elided > 0 {
            writeln!(out, "...{elided} frames elided...")?;
        }
        self.pass(out, inner.stopped_at, inner.counted_of_last + elided, OUTER_FRAMES)?;
        Ok(inner.counted)
    }

    fn pass(&self, out: &mut impl Write, from: usize, mut skip: usize, mut max: usize) -> io::Result<Pass> {
        let mut counted = 0;
        let mut counted_of_last = 0;
        let mut physical = from;
        for (index, frame) in self.frames.iter().enumerate().skip(from) {
            if index > 0 && !self.frames[index - 1].inlined {
                physical = index;
                counted_of_last = 0;
            }
            if !self.is_shown(frame, counted == 0) {
                continue;
            }
            if skip == 0 && max == 0 {
                return Ok(Pass { counted, counted_of_last, stopped_at: physical });
            }
            counted += 1;
            counted_of_last += 1;
            if skip > 0 {
                skip -= 1;
            } else {
                max -= 1;
                self.write_frame(out, index, frame)?;
            }
        }
        Ok(Pass { counted, counted_of_last: 0, stopped_at: self.frames.len() })
    }

    fn is_shown(&self, frame: &Frame, first: bool) -> bool {
        // showfuncinfo: gopanic marks the boundary to deferred calls, so never as the first frame of a pass.
        self.show_all || (frame.shown && !(first && frame.name == "runtime.gopanic"))
    }

    fn write_frame(&self, out: &mut impl Write, index: usize, frame: &Frame) -> io::Result<()> {
        let arguments = if frame.inlined { "..." } else { self.arguments.get(index).copied().unwrap_or("") };
        write!(out, "{}({})\n\t{}:{}", printed_name(&frame.name), arguments, frame.file, frame.line)?;
        if !frame.inlined {
            write_offset(out, frame.function_offset)?;
        }
        writeln!(out)
    }
}

/// The name of a function as Go prints it: type arguments become `[...]`.
///
/// Up to Go 1.26 everything from the first `[` to the last `]` is replaced; since 1.27 the name between the two
/// lists of a generic method of a generic type stays.
pub fn function_name_for_print(name: &str, go_version: &str) -> String {
    let (Some(open), Some(close)) = (name.find('['), name.rfind(']')) else { return name.to_owned() };
    if close <= open {
        return name.to_owned();
    }
    let (before, interior, after) = (&name[..open], &name[open + 1..close], &name[close + 1..]);
    if !interior.contains('[') || minor_version(go_version).is_some_and(|minor| minor < 27) {
        return format!("{before}[...]{after}");
    }
    match split_method(interior) {
        Some(Interior::OneList) => format!("{before}[...]{after}"),
        Some(Interior::TwoLists { between }) => format!("{before}[...]{between}[...]{after}"),
        None => name.to_owned(),
    }
}

enum Interior<'a> {
    OneList,
    TwoLists { between: &'a str },
}

/// The loop of `funcNamePiecesForPrint`; `None` for unbalanced brackets.
fn split_method(interior: &str) -> Option<Interior<'_>> {
    let mut depth = 1;
    let (mut right, mut left) = (None, None);
    for (at, byte) in interior.bytes().enumerate() {
        match byte {
            b'[' => {
                depth += 1;
                if depth == 1 {
                    left = Some(at);
                    break;
                }
            }
            b']' => {
                depth -= 1;
                if depth < 0 {
                    break;
                }
                if depth == 0 {
                    right = Some(at);
                }
            }
            _ => {}
        }
    }
    match (depth, right, left) {
        (1, Some(right), Some(left)) if left > right => {
            Some(Interior::TwoLists { between: &interior[right + 1..left] })
        }
        (1, None, None) => Some(Interior::OneList),
        _ => None,
    }
}

/// 27 of `go1.27.3` and of `go1.27rc1`; `None` for a development version, which is taken as new.
fn minor_version(go_version: &str) -> Option<u32> {
    let digits = go_version.strip_prefix("go1.")?;
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(name: &str, line: u32) -> Frame {
        Frame {
            name: name.into(),
            file: "/src/a.go".into(),
            line,
            inlined: false,
            shown: !name.starts_with("runtime."),
            function_offset: 0x1d,
        }
    }

    fn goroutine(frames: &[Frame]) -> Goroutine<'_> {
        Goroutine { goid: 7, header: "[select]", frames, arguments: "", created_by: None, parent_goid: None }
    }

    fn text(goroutine: &Goroutine, display: Display) -> String {
        let mut out = Vec::new();
        write_goroutine(&mut out, goroutine, display).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// Names of the frames in a text, and the elision line.
    fn names(text: &str) -> Vec<String> {
        let shown = |line: &&str| !line.starts_with('\t') && !line.starts_with("goroutine ");
        text.lines().filter(shown).map(|line| line.split('(').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn hides_what_go_hides_and_prints_offsets_of_physical_frames_only() {
        let mut inlined = frame("main.small", 5);
        inlined.inlined = true;
        let mut at_entry = frame("main.main", 9);
        at_entry.function_offset = 0;
        let frames = [frame("runtime.gopark", 1), inlined, frame("main.work", 7), at_entry];
        let mut goroutine = goroutine(&frames);
        goroutine.arguments = "0x1\n\n0xc000012345, 0x2";
        assert_eq!(
            text(&goroutine, Display::Default),
            "goroutine 7 [select]:\nmain.small(...)\n\t/src/a.go:5\nmain.work(0xc000012345, 0x2)\n\t/src/a.go:7 +0x1d\n\
             main.main()\n\t/src/a.go:9\n"
        );
        assert!(text(&goroutine, Display::System).contains("\nruntime.gopark(0x1)\n\t/src/a.go:1 +0x1d\n"));
    }

    #[test]
    fn prints_all_frames_where_none_is_shown() {
        let frames = [frame("runtime.gopark", 1), frame("runtime.goexit", 2)];
        assert_eq!(names(&text(&goroutine(&frames), Display::Default)), ["runtime.gopark", "runtime.goexit"]);
    }

    #[test]
    fn gopanic_is_printed_as_panic() {
        let mut panic = frame("runtime.gopanic", 3);
        panic.shown = true;
        let frames = [frame("main.deferred", 1), panic, frame("main.main", 4)];
        assert_eq!(
            names(&text(&goroutine(&frames), Display::Default)),
            ["main.deferred", "panic", "main.main"]
        );
    }

    #[test]
    fn created_by_follows_shown_and_skips_the_main_goroutine() {
        let frames = [frame("main.work", 7)];
        let mut go = GoStatement {
            name: "main.start".into(),
            file: "/src/b.go".into(),
            line: 3,
            function_offset: 0x2a,
            shown: true,
        };
        let with = |go: &GoStatement, goid, parent_goid, display| {
            text(&Goroutine { goid, created_by: Some(go), parent_goid, ..goroutine(&frames) }, display)
        };
        assert!(
            with(&go, 7, Some(1), Display::Default)
                .ends_with("created by main.start in goroutine 1\n\t/src/b.go:3 +0x2a\n")
        );
        assert!(with(&go, 7, Some(0), Display::Default).contains("created by main.start\n"));
        assert!(!with(&go, 1, None, Display::System).contains("created by"));
        go.shown = false;
        assert!(!with(&go, 7, Some(1), Display::Default).contains("created by"));
        assert!(with(&go, 7, Some(1), Display::System).contains("created by"));
    }

    #[test]
    fn up_to_a_hundred_frames_are_printed_whole() {
        for depth in [49, 50, 51, 99, 100] {
            let frames: Vec<Frame> = (0..depth).map(|i| frame(&format!("main.f{i}"), i)).collect();
            let names = names(&text(&goroutine(&frames), Display::Default));
            assert_eq!(names, (0..depth).map(|i| format!("main.f{i}")).collect::<Vec<_>>());
        }
    }

    #[test]
    fn above_a_hundred_the_middle_is_elided() {
        let frames: Vec<Frame> = (0..123).map(|i| frame(&format!("main.f{i}"), i)).collect();
        let names = names(&text(&goroutine(&frames), Display::Default));
        assert_eq!(names.len(), 101);
        assert_eq!(names[49], "main.f49");
        assert_eq!(names[50], "...23 frames elided...");
        assert_eq!(names[51], "main.f73");
        assert_eq!(names[100], "main.f122");
    }

    /// The 50th frame stands in the middle of a physical frame: the rest of it must be printed once, not twice.
    #[test]
    fn elision_inside_a_physical_frame_counts_its_printed_part() {
        for depth in [90, 100, 120] {
            let frames: Vec<Frame> = (0..depth)
                .map(|i| Frame { inlined: (48..53).contains(&i), ..frame(&format!("main.f{i}"), i) })
                .collect();
            let names = names(&text(&goroutine(&frames), Display::Default));
            let mut expected: Vec<String> = (0..50).map(|i| format!("main.f{i}")).collect();
            if depth > 100 {
                expected.push(format!("...{} frames elided...", depth - 100));
            }
            expected.extend((50.max(depth - 50)..depth).map(|i| format!("main.f{i}")));
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn hidden_frames_do_not_count_for_elision() {
        let frames: Vec<Frame> =
            (0..200).map(|i| frame(if i % 2 == 0 { "runtime.x" } else { "main.f" }, i)).collect();
        assert!(!text(&goroutine(&frames), Display::Default).contains("elided"));
        assert!(text(&goroutine(&frames), Display::System).contains("...100 frames elided..."));
    }

    #[test]
    fn type_arguments_are_hidden_as_each_version_does() {
        let cases = [
            ("main.work", "main.work", "main.work"),
            ("main.work[go.shape.int]", "main.work[...]", "main.work[...]"),
            ("main.work[go.shape.int].func1", "main.work[...].func1", "main.work[...].func1"),
            ("main.(*T[go.shape.[]int]).Do", "main.(*T[...]).Do", "main.(*T[...]).Do"),
            ("main.(*T[go.shape.int]).Do[go.shape.string]", "main.(*T[...]", "main.(*T[...]).Do[...]"),
            ("main.(*T[map[int]int]).Do[[]int].func1", "main.(*T[...].func1", "main.(*T[...]).Do[...].func1"),
            ("main.odd]x[", "main.odd]x[", "main.odd]x["),
            ("main.odd[x", "main.odd[x", "main.odd[x"),
            ("main.odd[[]", "main.odd[...]", "main.odd[[]"),
        ];
        for (name, before, since_27) in cases {
            assert_eq!(function_name_for_print(name, "go1.26.6"), before);
            assert_eq!(function_name_for_print(name, "go1.27.3"), since_27);
            assert_eq!(function_name_for_print(name, "devel go1.28-abc"), since_27);
        }
    }
}
