//! The frames that probes are about, and the rounds in which their values are read.

use std::rc::Rc;

use crate::gap::Gap;
use crate::memory::{Memory, Range, Unreadable};
use crate::receiving::{is_receiving, receive_slots};
use crate::records::GRecord;
use crate::runtime::Runtime;
use crate::steps::Steps;
use crate::thread::Registers;
use crate::unwind::{PhysicalFrame, Stack, Stop, unwind};
use crate::value::Value;

use super::blocks::{Blocks, View};
use super::captured::{Cell, Row};
use super::column::Column;
use super::frames::registers;
use super::sites::{Process, Site, Sites};
use super::{Order, ROWS_MAX, Standing, refusal};

/// Rounds of one capture; each follows every pointer that the round before has brought.
const ROUNDS_MAX: usize = 64;
/// Ranges that are read before it is looked whether there is time for more. `process_vm_readv` takes as many at once
/// (UIO_MAXIOV, readv(2)).
const RANGES_MAX: usize = 1024;

/// A frame that a probe is about.
pub(super) struct Found {
    goid: u64,
    depth: u32,
    site: Rc<Site>,
    /// Index into the site's captures.
    capture: u32,
    /// Its registers are known.
    has_registers: bool,
    /// Why values of its goroutine are not to be had.
    refused: Option<Gap>,
    /// Empty: what is known of its site says all.
    cells: Vec<Option<Cell>>,
}

/// One whose values have to be read.
struct Task {
    /// Index of the frame among those that were found.
    found: usize,
    /// Index of the goroutine among those that stand.
    standing: usize,
    frame_end: u64,
    registers: Option<Registers>,
    /// Its function has begun for sure: what it called may be a part of its own beginning (`runtime.duffzero`) where it runs.
    has_begun: bool,
    /// Slots that the goroutine receives into; `None`: not yet known.
    pending: Option<Rc<[Range]>>,
}

pub(super) struct Rounds<'a> {
    runtime: &'a Runtime<'a>,
    order: &'a Order<'a>,
    standing: &'a [Standing<'a>],
    frames: Vec<PhysicalFrame>,
    found: Vec<Found>,
    tasks: Vec<Task>,
    left_out: usize,
    blocks: Blocks,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(runtime: &'a Runtime<'a>, order: &'a Order<'a>, standing: &'a [Standing<'a>]) -> Self {
        Rounds {
            runtime,
            order,
            standing,
            frames: Vec::new(),
            found: Vec::new(),
            tasks: Vec::new(),
            left_out: 0,
            blocks: Blocks::default(),
        }
    }

    /// The frames of one goroutine that probes are about.
    pub(super) fn find(&mut self, index: usize, steps: &Steps<'_>, sites: &mut Sites<'_>) {
        let standing = &self.standing[index];
        let g = &standing.g;
        let stack = Stack {
            lo: g.stack_lo,
            hi: g.stack_hi,
            top_sp: g.stack_top_sp,
            text: self.runtime.text,
            bytes: standing.bytes,
        };
        self.frames.clear();
        let stop = unwind(steps, self.runtime.architecture(), &stack, standing.start, &mut self.frames);
        if stop != Stop::Complete {
            return;
        }
        let refused = refusal(self.order, g);
        let mut depth = 0;
        for (at, frame) in self.frames.iter().enumerate() {
            let site = sites.at(frame);
            for (capture, of) in site.captures.iter().enumerate() {
                if self.found.len() == ROWS_MAX {
                    self.left_out += 1;
                    continue;
                }
                let registers = registers(self.runtime, standing, &self.frames, at);
                let has_registers = registers.is_some();
                let has_values = refused.is_none() && of.has_values(has_registers);
                if has_values {
                    self.tasks.push(Task {
                        found: self.found.len(),
                        standing: index,
                        frame_end: frame.frame_end,
                        registers,
                        has_begun: !(standing.start.exact && at <= 1),
                        pending: standing.slots.clone(),
                    });
                }
                let cells = if has_values { of.known(has_registers) } else { Vec::new() };
                self.found.push(Found {
                    goid: g.goid,
                    depth: depth + of.inner,
                    site: Rc::clone(&site),
                    capture: capture as u32,
                    has_registers,
                    refused: refused.clone(),
                    cells,
                });
            }
            depth += site.calls;
        }
    }

    /// Whether there was time for everything.
    pub(super) fn read(
        &mut self,
        process: &Process<'_>,
        memory: &dyn Memory,
        still: &dyn Fn() -> bool,
    ) -> bool {
        for _ in 0..ROUNDS_MAX {
            let mut wanted = self.evaluate(process);
            let ranges = self.blocks.ranges(&mut wanted);
            if ranges.is_empty() {
                break;
            }
            for ranges in ranges.chunks(RANGES_MAX) {
                let mut bytes = vec![0; ranges.iter().map(|range| range.length).sum()];
                let mut whole = vec![false; ranges.len()];
                memory.read_many(ranges, &mut bytes, &mut whole);
                if !still() {
                    self.settle(process, &Gap::Budget);
                    return false;
                }
                let mut at = 0;
                for (range, whole) in ranges.iter().zip(whole) {
                    let read = &bytes[at..at + range.length];
                    at += range.length;
                    self.blocks.add(*range, whole.then_some(read));
                }
            }
        }
        self.settle(process, &Gap::Size);
        true
    }

    /// Goes on with all frames that are not done; the blocks that they miss.
    fn evaluate(&mut self, process: &Process<'_>) -> Vec<u64> {
        let mut wanted = Vec::new();
        let mut tasks = std::mem::take(&mut self.tasks);
        tasks.retain_mut(|task| !self.evaluate_one(process, task, &mut wanted, None));
        self.tasks = tasks;
        wanted
    }

    /// What is left has the value that it has over what is known: `gap` stands for the rest.
    fn settle(&mut self, process: &Process<'_>, gap: &Gap) {
        for mut task in std::mem::take(&mut self.tasks) {
            self.evaluate_one(process, &mut task, &mut Vec::new(), Some(gap));
        }
    }

    /// Whether it is done. `last`: what is not known stays missing, for this reason.
    fn evaluate_one(
        &mut self,
        process: &Process<'_>,
        task: &mut Task,
        wanted: &mut Vec<u64>,
        last: Option<&Gap>,
    ) -> bool {
        let standing = &self.standing[task.standing];
        let found = &mut self.found[task.found];
        let capture = &found.site.captures[found.capture as usize];
        let executable = &self.runtime.build.identity.executable;
        let view = || View::new(&self.blocks, standing.bytes, executable, self.runtime.bias);
        if task.pending.is_none() {
            let view = view();
            let slots = slots(self.runtime, &standing.g, &view);
            let (whole, missed) = view.finish();
            match slots {
                Ok(slots) => task.pending = Some(slots.into()),
                // Without them it is not known which of its slots are written to.
                Err(_) if whole || last.is_some() => {
                    let gap = last.filter(|_| !whole).unwrap_or(&Gap::ReceivePending);
                    let missing = || Some(Cell::missing(None, gap.clone()));
                    found.cells.iter_mut().filter(|cell| cell.is_none()).for_each(|cell| *cell = missing());
                    return true;
                }
                Err(_) => {
                    wanted.extend(missed);
                    return false;
                }
            }
        }
        let pending = task.pending.clone().unwrap_or_default();
        let mut done = true;
        for (cell, column) in found.cells.iter_mut().zip(&capture.columns) {
            if cell.is_some() {
                continue;
            }
            let view = view().without(&pending);
            let mut evaluated = column.evaluate(
                process,
                capture,
                (task.frame_end, task.has_begun),
                task.registers.as_ref(),
                &view,
            );
            let is_pending = |address: &u64| view.is_pending(*address, 1);
            replace(&mut evaluated.value, &|gap| match gap {
                Gap::Unreadable(address) if is_pending(address) => Some(Gap::ReceivePending),
                _ => None,
            });
            let (whole, missed) = view.finish();
            if !whole && let Some(gap) = last {
                replace(&mut evaluated.value, &|found| {
                    matches!(found, Gap::Unreadable(_)).then(|| gap.clone())
                });
            }
            if whole || last.is_some() {
                *cell = Some(evaluated);
            } else {
                wanted.extend(missed);
                done = false;
            }
        }
        done
    }

    /// The frames, and how many more there were.
    pub(super) fn finish(self) -> (Vec<Found>, usize) {
        (self.found, self.left_out)
    }
}

impl Found {
    pub(super) fn row(self) -> Row {
        let capture = &self.site.captures[self.capture as usize];
        let cells = if self.cells.is_empty() {
            let missing = |column: &Column| match &self.refused {
                Some(gap) => Some(Cell::missing(None, gap.clone())),
                None => column.missing(self.has_registers),
            };
            capture.columns.iter().filter_map(missing).collect()
        } else {
            self.cells.into_iter().flatten().collect()
        };
        Row { table: capture.table, goid: self.goid, depth: self.depth, cells }
    }
}

/// What a goroutine receives into.
fn slots(runtime: &Runtime<'_>, g: &GRecord, memory: &dyn Memory) -> Result<Vec<Range>, Unreadable> {
    let reason = runtime.wait_reasons.get(usize::from(g.wait_reason)).map_or("", String::as_str);
    if !is_receiving(reason, g.waiting) {
        return Ok(Vec::new());
    }
    receive_slots(&runtime.build.layouts, runtime.build.minor, g.waiting, memory)
}

/// Gives other reasons for what is missing.
fn replace(value: &mut Value, other: &dyn Fn(&Gap) -> Option<Gap>) {
    let change = |gap: &mut Gap| {
        if let Some(other) = other(gap) {
            *gap = other;
        }
    };
    match value {
        Value::Missing(gap) => change(gap),
        Value::Cut { value, gap } => {
            change(gap);
            replace(value, other);
        }
        Value::List(items) => items.iter_mut().for_each(|item| replace(item, other)),
        Value::Record(parts) | Value::Function { captured: parts, .. } => {
            parts.iter_mut().for_each(|(_, part)| replace(part, other));
        }
        Value::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
            replace(key, other);
            replace(value, other);
        }),
        Value::Dynamic { value, .. } => replace(value, other),
        Value::Nil
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Float(_)
        | Value::Float32(_)
        | Value::Complex(..)
        | Value::Text(_)
        | Value::Bytes(_)
        | Value::Address(_) => {}
    }
}
