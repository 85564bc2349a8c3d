//! From the copied memory of a process to its goroutines.
//!
//! Pure: the process runs again while this is done. Functions, files, stacks and go statements are interned, since a
//! hundred thousand goroutines stand on a few hundred stacks.

use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::arguments;
use crate::function_table::Function;
use crate::gather::{Gathered, STACK_BYTES_MAX};
use crate::inline_tree::LogicalFrame;
use crate::labels::{self, Label, NoLabels};
use crate::memory::{Image, Memory, Range};
use crate::records::{GRecord, MRecord, Status};
use crate::runtime::Runtime;
use crate::start::{NO_THREAD, Running, Start, lowest_stack_pointer, stack_pointer, start};
use crate::steps::Steps;
use crate::thread::{Registers, Thread};
use crate::traceback::{Header, is_shown, is_system};
use crate::unwind::{FRAMES_MAX, PhysicalFrame, Stack, StackBytes, Stop, frame_pointers_agree, unwind};
use crate::version::FunctionKind;
use crate::waits::{Settled, Wait, Waits};
use crate::watch::{Looker, Park};

/// Frames of all different stacks of one process, inlined ones included.
const PROCESS_FRAMES_MAX: usize = 32 << 20;

/// What a frame's function is in the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceFunction {
    /// As Go's function table has it.
    pub name: String,
    /// Index into [`Goroutines::files`].
    pub file: u32,
    pub start_line: i32,
}

/// One call, as the source has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Index into [`Goroutines::functions`].
    pub function: u32,
    /// Index into [`Goroutines::files`].
    pub file: u32,
    pub line: i32,
    pub inlined: bool,
    /// Go's traceback shows it by default.
    pub shown: bool,
    /// From the start of the Go text. Of the enclosing function's frame where the call was inlined.
    pub pc: u64,
    /// From the entry of the enclosing function.
    pub function_offset: u64,
}

/// A stack that at least one goroutine stands on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GoStack {
    /// Innermost first.
    pub frames: Vec<Frame>,
    pub stop: Stop,
}

/// A `go` statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GoStatement {
    pub function: u32,
    pub file: u32,
    pub line: i32,
    pub function_offset: u64,
    pub shown: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goroutine {
    pub goid: u64,
    pub status: Status,
    pub wait_reason: Option<String>,
    pub header: String,
    /// Index into [`Goroutines::stacks`].
    pub stack: u32,
    /// A line a frame; trailing empty ones are left out.
    pub arguments: String,
    pub parent_goid: Option<u64>,
    /// Index into [`Goroutines::go_statements`].
    pub created_by: Option<u32>,
    /// Index into [`Goroutines::functions`].
    pub start_function: Option<u32>,
    /// The thread that it has, as the host counts.
    pub thread: Option<u32>,
    pub on_cpu: bool,
    pub is_system: bool,
    pub labels: Vec<(String, String)>,
    pub waits: Vec<Wait>,
    /// What tells its present park from others.
    pub park: Option<Park>,
    /// Its record was the same when it was copied before the freeze.
    pub reused: bool,
    /// Its id was given to it when it was started.
    pub has_id_of_its_own: bool,
}

/// Something that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// `None`: of the whole process.
    pub goid: Option<u64>,
    pub what: &'static str,
    pub reason: String,
}

/// Everything of one process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Goroutines {
    pub files: Vec<String>,
    pub functions: Vec<SourceFunction>,
    pub stacks: Vec<GoStack>,
    pub go_statements: Vec<GoStatement>,
    pub goroutines: Vec<Goroutine>,
    pub missing: Vec<Missing>,
    /// Parked goroutines whose frame pointers pass other callers than the function table.
    pub frame_pointer_mismatches: usize,
}

/// Turns what was gathered into goroutines. `now` is CLOCK_MONOTONIC, in nanoseconds, of the freeze.
pub fn decode(
    runtime: &Runtime<'_>,
    mut gathered: Gathered<'_>,
    threads: &[Thread],
    now: Option<i64>,
) -> Goroutines {
    let receiving = gathered.receiving();
    let reused = gathered.reused_records();
    let settled = gathered.take_settled();
    let looker = Looker::new(runtime);
    let image = gathered.image();
    let mut decoder = Decoder::new(runtime, &image, threads, now, gathered.cut);
    decoder.receiving = receiving;
    decoder.waits = Waits::new(runtime, &image, settled);
    decoder.load_threads(&gathered.threads);
    let mut seen = rustc_hash::FxHashSet::default();
    let mut unreadable = 0usize;
    for &address in &gathered.goroutines {
        let layouts = &runtime.build.layouts;
        let record = image.slice(address, layouts.g.size).ok();
        match record.and_then(|bytes| GRecord::parse(address, bytes, layouts)) {
            // A new goroutine's record is being set up: nothing of it can be relied on.
            Some(g) if g.status.is_alive() && g.sched_g != address => {
                decoder.miss(Some(g.goid), "goroutine", "its record is being set up".into());
            }
            Some(g) if g.status.is_alive() && seen.insert(g.goid) => {
                let park = record.and_then(|bytes| looker.park(address, bytes));
                decoder.goroutine(&g, park, reused.contains(&address));
            }
            Some(_) => {}
            None => unreadable += 1,
        }
    }
    if unreadable > 0 {
        let why = if gathered.cut { "budget" } else { "not readable" };
        decoder.miss(None, "goroutines", format!("{unreadable} records of goroutines: {why}"));
    }
    if gathered.goroutines.is_empty() {
        let why = if gathered.cut { "budget" } else { "the runtime's list of goroutines is not readable" };
        decoder.miss(None, "goroutines", why.into());
    }
    decoder.finish()
}

/// Values in the order in which they were first met, each once.
struct Interned<T> {
    values: Vec<T>,
    index: FxHashMap<T, u32>,
}

impl<T: Clone + Eq + Hash> Interned<T> {
    fn new() -> Self {
        Interned { values: Vec::new(), index: FxHashMap::default() }
    }

    fn add(&mut self, value: T) -> u32 {
        if let Some(&id) = self.index.get(&value) {
            return id;
        }
        let id = self.values.len() as u32;
        self.values.push(value.clone());
        self.index.insert(value, id);
        id
    }
}

/// A program counter, symbolised once however many goroutines stand there.
struct Site {
    frames: Vec<(Frame, FunctionKind)>,
}

struct Decoder<'a> {
    runtime: &'a Runtime<'a>,
    steps: Steps<'a>,
    image: &'a Image,
    /// As [`Gathered::receiving`].
    receiving: HashMap<u64, Rc<[Range]>>,
    waits: Waits<'a>,
    threads: &'a [Thread],
    now: Option<i64>,
    cut: bool,
    running_finalizer: bool,
    show_labels: bool,
    ms: FxHashMap<u64, MRecord>,
    signal_stacks: FxHashMap<u64, (u64, u64)>,
    by_ns_tid: FxHashMap<u64, &'a Thread>,
    files: Interned<String>,
    functions: Interned<SourceFunction>,
    go_statements: Interned<GoStatement>,
    /// By the place of the call and what the frame's function is at.
    sites: FxHashMap<(u64, u64), Site>,
    stacks: Vec<GoStack>,
    /// Of all of `stacks`.
    frames: usize,
    /// By (pc, call pc) of each frame.
    stack_index: FxHashMap<(Vec<(u64, u64)>, Stop), u32>,
    label_sets: FxHashMap<u64, Result<Vec<Label>, NoLabels>>,
    goroutines: Vec<Goroutine>,
    missing: Vec<Missing>,
    frame_pointer_mismatches: usize,
}

impl<'a> Decoder<'a> {
    fn new(
        runtime: &'a Runtime<'a>,
        image: &'a Image,
        threads: &'a [Thread],
        now: Option<i64>,
        cut: bool,
    ) -> Self {
        let variables = &runtime.build.variables;
        let word = |of_file: u64| {
            let mut bytes = [0; 4];
            image.read(runtime.address(of_file), &mut bytes).ok().map(|()| u32::from_le_bytes(bytes))
        };
        // fingRunningFinalizer (runtime/mfinal.go).
        //
        // @go const runtime.fingRunningFinalizer = 2
        // @go size runtime.fingStatus = 4
        let running_finalizer =
            variables.finalizer_status.and_then(word).is_some_and(|status| status & 2 != 0);
        let show_labels = variables.traceback_labels.and_then(word) == Some(1);
        Decoder {
            runtime,
            steps: Steps::new(&runtime.functions),
            image,
            receiving: HashMap::new(),
            waits: Waits::new(runtime, image, Settled::default()),
            threads,
            now,
            cut,
            running_finalizer,
            show_labels,
            ms: FxHashMap::default(),
            signal_stacks: FxHashMap::default(),
            by_ns_tid: threads.iter().map(|t| (u64::from(t.ns_tid), t)).collect(),
            files: Interned::new(),
            functions: Interned::new(),
            go_statements: Interned::new(),
            sites: FxHashMap::default(),
            stacks: Vec::new(),
            frames: 0,
            stack_index: FxHashMap::default(),
            label_sets: FxHashMap::default(),
            goroutines: Vec::new(),
            missing: Vec::new(),
            frame_pointer_mismatches: 0,
        }
    }

    fn load_threads(&mut self, addresses: &[u64]) {
        let layouts = &self.runtime.build.layouts;
        for &address in addresses {
            let bytes = self.image.slice(address, layouts.m.size).ok();
            let Some(m) = bytes.and_then(|b| MRecord::parse(address, b, layouts)) else { continue };
            let signal_g = self.image.slice(m.gsignal, layouts.g.size).ok();
            if let Some(g) = signal_g.and_then(|b| GRecord::parse(m.gsignal, b, layouts)) {
                self.signal_stacks.insert(address, (g.stack_lo, g.stack_hi));
            }
            self.ms.insert(address, m);
        }
    }

    fn miss(&mut self, goid: Option<u64>, what: &'static str, reason: String) {
        self.missing.push(Missing { goid, what, reason });
    }

    fn goroutine(&mut self, g: &GRecord, park: Option<Park>, reused: bool) {
        let runtime = self.runtime;
        let m = self.ms.get(&g.m).cloned();
        let thread = m.as_ref().and_then(|m| self.by_ns_tid.get(&m.procid).copied());
        let registers = thread.and_then(|t| t.registers.as_ref());
        let current = m.as_ref().filter(|m| m.current_g == g.address);
        let mut arguments = String::new();
        let stack = self.stack(g, current, registers, &mut arguments);

        let wait_reason = runtime.wait_reasons.get(usize::from(g.wait_reason)).filter(|r| !r.is_empty());
        let parked = matches!(g.status, Status::Waiting | Status::Leaked);
        let labels = self.labels(g);
        let bubble = self.bubble(g);
        let header = Header {
            minor: runtime.build.minor,
            wait_reason: wait_reason.map(String::as_str),
            now: self.now,
            bubble,
            labels: &labels,
            show_labels: self.show_labels,
        }
        .text(g);
        let start = runtime.offset(g.start_pc).and_then(|pc| runtime.functions.find(pc));
        let on_thread = matches!(g.status, Status::Running | Status::Syscall);
        let lossy = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        let created_by = self.created_by(g);
        if created_by.is_none() && g.go_pc != 0 {
            let reason = format!("program counter {:#x} of its go statement is in no Go function", g.go_pc);
            self.miss(Some(g.goid), "creator", reason);
        }
        let start_function = start.map(|f| self.function(&f));
        let waits = self.waits(g, stack, registers.filter(|_| current.is_some()));
        self.goroutines.push(Goroutine {
            goid: g.goid,
            status: g.status,
            wait_reason: wait_reason.filter(|_| parked).cloned(),
            header,
            stack,
            arguments,
            parent_goid: (g.parent_goid != 0).then_some(g.parent_goid),
            created_by,
            start_function,
            thread: thread.filter(|_| on_thread && current.is_some()).map(|t| t.tid),
            on_cpu: g.status == Status::Running && current.is_some(),
            is_system: start.is_some_and(|f| is_system(&runtime.functions, &f, g, self.running_finalizer)),
            labels: labels.iter().map(|(key, value)| (lossy(key), lossy(value))).collect(),
            waits,
            park,
            reused,
            has_id_of_its_own: g.has_id_of_its_own(runtime.build.minor),
        });
    }

    fn waits(&mut self, g: &GRecord, stack: u32, registers: Option<&Registers>) -> Vec<Wait> {
        let functions = &self.functions.values;
        let frames = self.stacks[stack as usize].frames.iter();
        let names = frames.map(|frame| functions[frame.function as usize].name.as_str());
        self.waits.of(g, names, registers).unwrap_or_else(|why| {
            let why = if self.cut { "budget" } else { why };
            self.miss(Some(g.goid), "wait", why.to_owned());
            Vec::new()
        })
    }

    fn labels(&mut self, g: &GRecord) -> Vec<Label> {
        if g.labels == 0 {
            return Vec::new();
        }
        let (image, minor) = (self.image, self.runtime.build.minor);
        let read = || labels::read(image, minor, g.labels);
        self.label_sets.entry(g.labels).or_insert_with(read).clone().unwrap_or_else(|why| {
            let why = if self.cut && why == NoLabels::Unreadable { "budget".into() } else { why.to_string() };
            self.miss(Some(g.goid), "labels", why);
            Vec::new()
        })
    }

    fn bubble(&self, g: &GRecord) -> Option<u64> {
        let layouts = &self.runtime.build.layouts;
        let word = |base: u64, at: usize| self.image.read_u64(base.checked_add(at as u64)?).ok();
        match (g.bubble, layouts.bubble_id, layouts.sync_group_root) {
            (0, _, _) => None,
            (bubble, Some(id), _) => word(bubble, id),
            (group, None, Some(root)) => word(word(group, root)?, layouts.g.goid),
            _ => None,
        }
    }

    fn signal_stack(&self, m: &MRecord, registers: &Registers) -> Option<StackBytes<'a>> {
        let &(lo, hi) = self.signal_stacks.get(&m.address)?;
        let sp = stack_pointer(self.runtime, registers);
        if !(lo < sp && sp <= hi) {
            return None;
        }
        let bytes = self.image.slice(sp, (hi - sp).min(STACK_BYTES_MAX) as usize).ok()?;
        Some(StackBytes { address: sp, bytes })
    }

    /// Unwinds, and interns what was found.
    fn stack(
        &mut self,
        g: &GRecord,
        m: Option<&MRecord>,
        registers: Option<&Registers>,
        arguments: &mut String,
    ) -> u32 {
        let runtime = self.runtime;
        let running = m.map(|m| Running {
            m,
            registers,
            signal_stack: registers.and_then(|r| self.signal_stack(m, r)),
        });
        let from = lowest_stack_pointer(runtime, g, running.as_ref()).unwrap_or(g.stack_hi);
        let length = g.stack_hi.saturating_sub(from);
        let bytes = self.image.slice(from, length.min(STACK_BYTES_MAX) as usize);
        let stack = Stack {
            lo: g.stack_lo,
            hi: g.stack_hi,
            top_sp: g.stack_top_sp,
            text: runtime.text,
            bytes: StackBytes { address: from, bytes: bytes.unwrap_or_default() },
        };
        let mut frames = Vec::new();
        let thread_unknown = g.status == Status::Running && g.m != 0 && !self.ms.contains_key(&g.m);
        let stop = match start(runtime, g, running.as_ref()) {
            // What is saved of it is of an earlier time.
            _ if thread_unknown => Stop::NoStart(NO_THREAD),
            Err(why) => Stop::NoStart(why),
            Ok(start) => {
                let stop = unwind(&self.steps, runtime.architecture(), &stack, start, &mut frames);
                self.check_frame_pointers(g, start, &stack, &frames, &stop);
                match stop {
                    Stop::Unreadable(_) if bytes.is_err() && self.cut => Stop::Budget,
                    Stop::Unreadable(_) if length > STACK_BYTES_MAX => Stop::StackTooLarge,
                    stop => stop,
                }
            }
        };
        if stop != Stop::Complete {
            self.miss(Some(g.goid), "stack", stop.to_string());
        }
        let id = self.intern(&frames, stop);
        let unknown = self.receiving.get(&g.address).map_or(&[][..], |slots| slots);
        self.print_arguments(id, &frames, &stack, unknown, arguments);
        id
    }

    /// Parked goroutines have a frame pointer: an independent witness of the same stack.
    fn check_frame_pointers(
        &mut self,
        g: &GRecord,
        start: Start,
        stack: &Stack<'_>,
        frames: &[PhysicalFrame],
        stop: &Stop,
    ) {
        let parked = g.status == Status::Waiting && g.m == 0 && start.sp == g.sched_sp && !g.scanned;
        if parked
            && *stop == Stop::Complete
            && g.sched_bp != 0
            && !frame_pointers_agree(&self.runtime.functions, stack, g.sched_bp, frames)
        {
            self.frame_pointer_mismatches += 1;
        }
    }

    fn intern(&mut self, frames: &[PhysicalFrame], stop: Stop) -> u32 {
        let key = (frames.iter().map(|f| (f.pc, f.call_pc)).collect::<Vec<_>>(), stop);
        if let Some(&id) = self.stack_index.get(&key) {
            return id;
        }
        let mut stop = key.1.clone();
        let mut logical = Vec::with_capacity(frames.len());
        let mut callee = FunctionKind::Normal;
        let mut first = true;
        let minor = self.runtime.build.minor;
        let room = FRAMES_MAX.min(PROCESS_FRAMES_MAX - self.frames);
        'stack: for frame in frames {
            for (mut source, kind) in self.site(frame).frames.clone() {
                if logical.len() == room {
                    stop = Stop::TooDeep;
                    break 'stack;
                }
                let name = &self.functions.values[source.function as usize].name;
                source.shown = is_shown(name, kind, first, callee, minor);
                first &= !source.shown;
                callee = kind;
                logical.push(source);
            }
        }
        if stop == Stop::TooDeep {
            self.miss(None, "stacks", Stop::TooDeep.to_string());
        }
        let id = self.stacks.len() as u32;
        self.frames += logical.len();
        self.stacks.push(GoStack { frames: logical, stop });
        self.stack_index.insert(key, id);
        id
    }

    fn site(&mut self, frame: &PhysicalFrame) -> &Site {
        let key = (frame.pc, frame.call_pc);
        if !self.sites.contains_key(&key) {
            let frames = self.runtime.functions.logical_frames(&frame.function, frame.call_pc);
            let frames = frames.iter().map(|f| self.frame(frame, f)).collect();
            self.sites.insert(key, Site { frames });
        }
        &self.sites[&key]
    }

    fn frame(&mut self, physical: &PhysicalFrame, frame: &LogicalFrame<'_>) -> (Frame, FunctionKind) {
        let file = self.files.add(frame.file.to_owned());
        let function = SourceFunction { name: frame.name.to_owned(), file, start_line: frame.start_line };
        let source = Frame {
            function: self.functions.add(function),
            file,
            line: frame.line,
            inlined: frame.inlined,
            shown: false,
            pc: physical.pc,
            function_offset: physical.pc.saturating_sub(physical.function.entry),
        };
        (source, frame.kind)
    }

    /// A function as such, not at a call.
    fn function(&mut self, function: &Function) -> u32 {
        let functions = &self.runtime.functions;
        let outer = functions.logical_frames(function, function.entry);
        let (file, _) = functions.position(function, function.entry);
        let file = outer.last().map_or(file, |f| f.file);
        let file = self.files.add(file.to_owned());
        let name = functions.name(function).to_owned();
        self.functions.add(SourceFunction { name, file, start_line: function.start_line })
    }

    fn created_by(&mut self, g: &GRecord) -> Option<u32> {
        let functions = &self.runtime.functions;
        let pc = self.runtime.offset(g.go_pc)?;
        let function = functions.find(pc)?;
        let call = if pc > function.entry { pc - self.runtime.build.table.instruction_length() } else { pc };
        let (file, line) = functions.position(&function, call);
        let name = functions.name(&function);
        let kind = function.kind(functions.minor());
        let shown = is_shown(name, kind, false, FunctionKind::Normal, functions.minor());
        let statement = GoStatement {
            function: self.function(&function),
            file: self.files.add(file.to_owned()),
            line,
            function_offset: pc - function.entry,
            shown,
        };
        Some(self.go_statements.add(statement))
    }

    fn print_arguments(
        &self,
        stack: u32,
        frames: &[PhysicalFrame],
        bytes: &Stack<'_>,
        unknown: &[Range],
        out: &mut String,
    ) {
        let functions = &self.runtime.functions;
        let gap = if self.runtime.architecture().uses_link_register() { 8 } else { 0 };
        let mut physical = frames.iter();
        for frame in &self.stacks[stack as usize].frames {
            if !frame.inlined
                && let Some(frame) = physical.next()
                && let Some(info) = functions.argument_info(&frame.function)
            {
                let index = functions.argument_liveness_index(&frame.function, frame.call_pc);
                // Where they cannot be printed nothing is.
                let _ = arguments::print(&info, index, frame.frame_end + gap, &bytes.bytes, unknown, out);
            }
            out.push('\n');
        }
        out.truncate(out.trim_end_matches('\n').len());
    }

    fn finish(mut self) -> Goroutines {
        self.missing.extend(self.runtime.missing.iter().cloned());
        if let Some(why) = &self.runtime.threads_unknown {
            self.miss(
                None,
                "threads",
                format!("the Go runtime's records of its threads are of an unknown form: {why}"),
            );
        }
        let late = self.threads.iter().filter(|t| t.registers.is_none()).count();
        if late > 0 {
            self.miss(None, "registers", format!("of {late} threads: they did not stop in time"));
        }
        Goroutines {
            files: self.files.values,
            functions: self.functions.values,
            stacks: self.stacks,
            go_statements: self.go_statements.values,
            goroutines: self.goroutines,
            missing: self.missing,
            frame_pointer_mismatches: self.frame_pointer_mismatches,
        }
    }
}
