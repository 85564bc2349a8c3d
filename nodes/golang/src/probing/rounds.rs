//! The frames that probes are about, and the rounds in which their values are read.

use std::rc::Rc;

use crate::gap::Gap;
use crate::memory::{Memory, Range};
use crate::runtime::Runtime;
use crate::steps::Steps;
use crate::thread::Registers;
use crate::unwind::{PhysicalFrame, Stack, Stop, unwind};
use crate::value::Value;

use super::blocks::{Blocks, View};
use super::captured::{Captured, Cell, Row};
use super::frames::registers;
use super::pending::receive_slots;
use super::sites::{Process, Site, Sites};
use super::{Order, ROWS_MAX, Standing, refusal};

/// Rounds of one capture; each follows every pointer that the round before has brought.
const ROUNDS_MAX: usize = 64;
/// Ranges that are read before it is looked whether there is time for more. `process_vm_readv` takes as many at once
/// (UIO_MAXIOV, readv(2)).
const RANGES_MAX: usize = 1024;

/// One row in the making.
struct Task {
    /// Index of the goroutine among those that stand.
    standing: usize,
    depth: u32,
    site: Rc<Site>,
    /// Index into the site's captures.
    capture: usize,
    frame_end: u64,
    registers: Option<Registers>,
    /// `None`: not yet evaluated over memory that held all that it needs.
    cells: Vec<Option<Cell>>,
    /// Slots that the goroutine receives into; `None`: not yet known.
    pending: Option<Rc<[Range]>>,
}

pub(super) struct Rounds<'a> {
    runtime: &'a Runtime<'a>,
    order: &'a Order<'a>,
    standing: &'a [Standing<'a>],
    frames: Vec<PhysicalFrame>,
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
        let mut depth = 0;
        for (at, frame) in self.frames.iter().enumerate() {
            let site = sites.at(frame);
            for (capture, of) in site.captures.iter().enumerate() {
                if self.tasks.len() == ROWS_MAX {
                    self.left_out += 1;
                    continue;
                }
                self.tasks.push(Task {
                    standing: index,
                    depth: depth + of.inner,
                    site: Rc::clone(&site),
                    capture,
                    frame_end: frame.frame_end,
                    registers: registers(self.runtime, standing, &self.frames, at),
                    cells: vec![None; of.columns.len()],
                    pending: None,
                });
            }
            depth += site.calls;
        }
    }

    /// Whether everything was read that could be.
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
                return true;
            }
            for ranges in ranges.chunks(RANGES_MAX) {
                let mut bytes = vec![0; ranges.iter().map(|range| range.length).sum()];
                let mut whole = vec![false; ranges.len()];
                memory.read_many(ranges, &mut bytes, &mut whole);
                if !still() {
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
        self.evaluate(process);
        true
    }

    /// Goes on with all rows that are not done; the blocks that they miss.
    fn evaluate(&mut self, process: &Process<'_>) -> Vec<u64> {
        let mut wanted = Vec::new();
        let mut tasks = std::mem::take(&mut self.tasks);
        for task in tasks.iter_mut().filter(|task| task.cells.iter().any(Option::is_none)) {
            self.evaluate_one(process, task, &mut wanted, false);
        }
        self.tasks = tasks;
        wanted
    }

    /// `last`: what is not known yet stays missing.
    fn evaluate_one(&self, process: &Process<'_>, task: &mut Task, wanted: &mut Vec<u64>, last: bool) {
        let standing = &self.standing[task.standing];
        let capture = &task.site.captures[task.capture];
        if let Some(gap) = refusal(self.order, &standing.g) {
            let missing = || Some(Cell::missing(None, gap.clone()));
            task.cells.iter_mut().for_each(|cell| *cell = missing());
            return;
        }
        let executable = &self.runtime.build.identity.executable;
        let view = || View::new(&self.blocks, standing.bytes, executable, self.runtime.bias);
        if task.pending.is_none() {
            let view = view();
            let slots = receive_slots(self.runtime, &standing.g, &view);
            let (whole, missed) = view.finish();
            match slots {
                Ok(slots) => task.pending = Some(slots.into()),
                Err(_) if whole || last => {
                    let gap = if whole { Gap::ReceivePending } else { Gap::Budget };
                    let missing = || Some(Cell::missing(None, gap.clone()));
                    task.cells.iter_mut().for_each(|cell| *cell = missing());
                    return;
                }
                Err(_) => {
                    wanted.extend(missed);
                    return;
                }
            }
        }
        let pending = task.pending.clone().unwrap_or_default();
        for (cell, column) in task.cells.iter_mut().zip(&capture.columns) {
            if cell.is_some() {
                continue;
            }
            let view = view().without(&pending);
            let mut evaluated =
                column.evaluate(process, &capture.variables, task.frame_end, task.registers.as_ref(), &view);
            let refused = |address| view.is_pending(address, 1);
            replace(&mut evaluated.value, &|gap| match gap {
                Gap::Unreadable(address) if refused(*address) => Some(Gap::ReceivePending),
                _ => None,
            });
            let (whole, missed) = view.finish();
            if whole || last {
                *cell = Some(evaluated);
            } else {
                wanted.extend(missed);
            }
        }
    }

    /// `whole`: there was time for everything.
    pub(super) fn finish(mut self, process: &Process<'_>, captured: &mut Captured, whole: bool) {
        let gap = if whole { Gap::Size } else { Gap::Budget };
        let mut tasks = std::mem::take(&mut self.tasks);
        for task in &mut tasks {
            let open: Vec<bool> = task.cells.iter().map(Option::is_none).collect();
            if open.contains(&true) {
                self.evaluate_one(process, task, &mut Vec::new(), true);
            }
            for (cell, _) in task.cells.iter_mut().zip(open).filter(|(_, open)| *open) {
                let unread = |found: &Gap| matches!(found, Gap::Unreadable(_)).then(|| gap.clone());
                if let Some(cell) = cell {
                    replace(&mut cell.value, &unread);
                }
            }
        }
        captured.left_out += self.left_out;
        captured.rows.extend(tasks.into_iter().map(|task| Row {
            table: task.site.captures[task.capture].table,
            goid: self.standing[task.standing].g.goid,
            depth: task.depth,
            cells: task.cells.into_iter().flatten().collect(),
        }));
    }
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
