//! A small Go runtime: its memory, and goroutines that change it in the order in which the real one does, word by word.
//!
//! Sources of the orders: `gopark`, `park_m`, `casgstatus`, `dropg`, `execute`, `goready` (runtime/proc.go), `markroot`
//! (mgcmark.go), `coroswitch_m` (coro.go), `send` (chan.go), `preemptPark`, `casGFromPreempted` (preempt.go, proc.go),
//! `copystack` (stack.go), `gdestroy`, `newproc1` (proc.go), `casGToWaitingForSuspendG`.

use std::collections::VecDeque;
use std::rc::Rc;

use super::explore::Chooser;
use crate::executable::Architecture;
use crate::layout::Layouts;
use crate::layout_table;
use crate::precopy::outline::Outline;

const ALLGLEN: u64 = 0x100;
const ALLGPTR: u64 = 0x108;
const ALLM: u64 = 0x110;
const ALLGS: u64 = 0x200;
const RECORDS: u64 = 0x400;
/// What is behind this changes.
pub(super) const CHANGING: u64 = RECORDS;
const SUDOGS: u64 = 0x1800;
const CHANNEL: u64 = 0x1c00;
const STACKS: u64 = 0x1e00;
/// Of the large ones, which have even numbers; the others are half as large.
const STACK_BYTES: u64 = 0x80;
const MEMORY_BYTES: usize = 0x2400;

const GOPARK: u64 = 0x40_0010;
const COROSWITCH: u64 = 0x40_0020;
const ASYNC_PREEMPT: u64 = 0x40_0030;
const SYSTEMSTACK: u64 = 0x40_0040;
const START: u64 = 0x40_0050;

/// By number.
const REASONS: [&str; 6] = ["", "sleep", "chan receive", "coroutine", "preempted", "garbage collection scan"];
const SLEEP: u64 = 1;
const RECEIVE: u64 = 2;
const COROUTINE: u64 = 3;
const PREEMPTED_REASON: u64 = 4;
const SCAN_REASON: u64 = 5;

const RUNNABLE: u64 = 1;
const RUNNING: u64 = 2;
const WAITING: u64 = 4;
const DEAD: u64 = 6;
const PREEMPTED: u64 = 9;
const SCAN: u64 = 0x1000;

impl Step {
    /// How many stores it stands for.
    pub(super) fn stores(self) -> usize {
        if matches!(self, Turned(_)) { TURN } else { 1 }
    }
}

/// What a goroutine is about to be, once its steps are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Running,
    /// By `gopark`; in a receive if so.
    Parked {
        receives: bool,
    },
    /// In favour of another coroutine.
    Switched,
    Preempted,
    Runnable,
    /// Waiting, on its thread.
    Blocked,
    Dead,
}

/// What happens to a goroutine next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::precopy) enum Action {
    Wake,
    /// A sender writes to the slot, and wakes it.
    Send,
    /// The collector meets it, and moves its stack to one half as large; another goroutine gets the old memory.
    Shrink,
    /// It is woken, runs and parks at the same place, so many times.
    Turns(u64),
    Park {
        receives: bool,
        deep: bool,
    },
    /// What it waits for was there by the time it had parked.
    ParkInVain,
    Switch,
    Preempt,
    Yield,
    Block,
    Grow,
    Die,
    /// The record is used for another goroutine, whose counter begins anywhere: where the last one's stood, one before that.
    Reborn {
        counter_back: u64,
    },
}

use Action::{Block, Die, Grow, Park, ParkInVain, Preempt, Reborn, Send, Shrink, Switch, Turns, Wake, Yield};

/// One store.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// To a field of the record: offset, length, value.
    Field(usize, usize, u64),
    /// To any word.
    Word(u64, u64),
    /// The counter.
    Bump,
    /// So many turns at once.
    Turned(u64),
    /// New contents from here to the upper end of the stack.
    Write(u64),
    /// To the slot of a receive.
    Slot,
    /// The stack's contents are copied to this stack.
    Move(usize),
    /// From now on that is its stack.
    Moved(usize),
    /// Another goroutine writes to what was a stack.
    Scribble(usize),
    Become(State),
}

use Step::{Become, Bump, Field, Moved, Scribble, Slot, Turned, Word, Write};

/// As many stores as one turn takes.
const TURN: usize = 14;

#[derive(Clone)]
pub(in crate::precopy) struct Goroutine {
    pub(in crate::precopy) address: u64,
    pub(super) state: State,
    steps: VecDeque<Step>,
    /// Number of its stack.
    stack: usize,
    /// It stands deep in it.
    deep: bool,
    /// How often its counter was bumped.
    pub(super) bumps: u64,
}

#[derive(Clone)]
pub(in crate::precopy) struct World {
    pub(in crate::precopy) layouts: Rc<Layouts>,
    pub(in crate::precopy) minor: u32,
    pub(in crate::precopy) bytes: Vec<u8>,
    pub(in crate::precopy) goroutines: Vec<Goroutine>,
    /// What may happen at all.
    pub(super) possible: fn(Action) -> bool,
    /// Each store of stack contents has its own.
    stamp: u64,
    goids: u64,
    /// Second halves of pairs, see `receiving.rs`.
    second: usize,
}

pub(super) fn outline<'a>(layouts: &'a Layouts, minor: u32, reasons: &'a [String]) -> Outline<'a> {
    Outline {
        layouts,
        minor,
        architecture: Architecture::Amd64,
        wait_reasons: reasons,
        allglen: ALLGLEN,
        allgptr: ALLGPTR,
        allm: ALLM,
        is_gopark: Box::new(|pc| pc == GOPARK),
    }
}

impl World {
    /// `spacing`: of the records. All goroutines are parked.
    pub(in crate::precopy) fn new(minor: u32, goroutines: usize, spacing: u64, receives: bool) -> World {
        let structures = layout_table::structures(minor, 0, Architecture::Amd64).unwrap();
        let layouts = Rc::new(Layouts::load(&structures).unwrap());
        let second = if minor >= 26 { 8 } else { 0 };
        let mut world = World {
            layouts,
            minor,
            bytes: vec![0; MEMORY_BYTES],
            goroutines: Vec::new(),
            possible: |_| true,
            stamp: 0,
            goids: 0,
            second,
        };
        world.put(ALLGLEN, 8, goroutines as u64);
        world.put(ALLGPTR, 8, ALLGS);
        let element_size = CHANNEL + world.layouts.channel.elemsize as u64;
        world.put(element_size, 2, 8);
        for i in 0..goroutines {
            let address = RECORDS + i as u64 * spacing;
            world.put(ALLGS + 8 * i as u64, 8, address);
            let steps = VecDeque::new();
            let state = State::Running;
            world.goroutines.push(Goroutine { address, state, steps, stack: 2 * i, deep: false, bumps: 0 });
            world.goids += 1;
            let (g, goid) = (world.layouts.g.clone(), world.goids);
            world.set(i, g.goid, 8, goid);
            world.set(i, g.sched + world.layouts.gobuf.g, 8, address);
            world.set(i, g.atomicstatus, 4, RUNNING);
            world.set(i, g.m, 8, 1);
            let moved = world.moved(i, 2 * i);
            world.goroutines[i].steps.extend(moved);
            world.begin(i, Park { receives, deep: false });
            world.finish(i);
            let channel_at = World::sudog(i) + (world.layouts.sudog.c + second) as u64;
            world.put(channel_at, 8, CHANNEL);
        }
        world
    }

    /// All that this goroutine has begun.
    pub(in crate::precopy) fn finish(&mut self, i: usize) {
        while let Some(step) = self.goroutines[i].steps.pop_front() {
            self.store(i, step);
        }
    }

    pub(in crate::precopy) fn reasons() -> Vec<String> {
        REASONS.map(str::to_owned).to_vec()
    }

    pub(in crate::precopy) fn outline<'a>(&'a self, reasons: &'a [String]) -> Outline<'a> {
        outline(&self.layouts, self.minor, reasons)
    }

    fn put(&mut self, address: u64, length: usize, value: u64) {
        let at = address as usize;
        self.bytes[at..at + length].copy_from_slice(&value.to_le_bytes()[..length]);
    }

    fn set(&mut self, i: usize, offset: usize, length: usize, value: u64) {
        self.put(self.goroutines[i].address + offset as u64, length, value);
    }

    pub(super) fn counter_at(&self, i: usize) -> u64 {
        self.goroutines[i].address + self.layouts.g.tracking_seq as u64
    }

    fn counter(&self, i: usize) -> u64 {
        u64::from(self.bytes[self.counter_at(i) as usize])
    }

    fn top(stack: usize) -> u64 {
        STACKS + (stack as u64 + 1) * STACK_BYTES
    }

    fn bottom(stack: usize) -> u64 {
        World::top(stack) - if stack.is_multiple_of(2) { STACK_BYTES } else { STACK_BYTES / 2 }
    }

    fn sp(&self, i: usize) -> u64 {
        World::top(self.goroutines[i].stack) - if self.goroutines[i].deep { 0x30 } else { 0x20 }
    }

    fn slot(&self, i: usize) -> u64 {
        self.sp(i) + 8
    }

    fn sudog(i: usize) -> u64 {
        SUDOGS + 0x100 * i as u64
    }

    fn element_at(&self, i: usize) -> u64 {
        World::sudog(i) + (self.layouts.sudog.elem + self.second) as u64
    }

    /// To another stack, whose contents are there.
    fn moved(&self, i: usize, to: usize) -> Vec<Step> {
        let (g, bounds, gobuf) = (&self.layouts.g, &self.layouts.stack, &self.layouts.gobuf);
        let used = World::top(self.goroutines[i].stack) - self.sp(i);
        let (lo, hi) = (World::bottom(to), World::top(to));
        vec![
            Moved(to),
            Field(g.stack + bounds.lo, 8, lo),
            Field(g.stack + bounds.hi, 8, hi),
            Field(g.sched + gobuf.sp, 8, hi - used),
        ]
    }

    /// What may happen to a goroutine in its state.
    fn actions(&self, i: usize) -> &'static [Action] {
        const PARKED: &[Action] = &[Wake, Shrink, Turns(1), Turns(255), Turns(256)];
        const RECEIVING: &[Action] = &[Send, Wake, Shrink, Turns(1), Turns(255), Turns(256)];
        const RUNNING: &[Action] = &[
            Park { receives: false, deep: false },
            Park { receives: true, deep: false },
            Park { receives: false, deep: true },
            ParkInVain,
            Switch,
            Preempt,
            Yield,
            Block,
            Grow,
            Die,
        ];
        match self.goroutines[i].state {
            State::Parked { receives: false } => PARKED,
            State::Parked { receives: true } => RECEIVING,
            State::Running => RUNNING,
            State::Switched | State::Preempted | State::Runnable | State::Blocked => &[Wake],
            State::Dead => &[Reborn { counter_back: 0 }, Reborn { counter_back: 1 }],
        }
    }

    /// The next store of a goroutine, and which it was.
    pub(super) fn step(&mut self, i: usize, chooser: &mut dyn Chooser) -> Option<Step> {
        if self.goroutines[i].steps.is_empty() {
            let is_large = self.goroutines[i].stack.is_multiple_of(2);
            let possible = |action: &&Action| {
                let fits = match action {
                    Shrink => is_large,
                    Grow => !is_large,
                    _ => true,
                };
                fits && (self.possible)(**action)
            };
            let number = self.actions(i).iter().filter(possible).count();
            let chosen = if number > 0 { chooser.choose(number) } else { 0 };
            let chosen = self.actions(i).iter().filter(possible).nth(chosen).copied();
            chosen.into_iter().for_each(|action| self.begin(i, action));
        }
        let step = self.goroutines[i].steps.pop_front();
        if let Some(step) = step {
            self.store(i, step);
        }
        if let Some(Become(_)) = self.goroutines[i].steps.front() {
            self.finish(i);
        }
        step
    }

    pub(in crate::precopy) fn begin(&mut self, i: usize, action: Action) {
        let steps = self.steps_of(i, action);
        self.goroutines[i].steps.extend(steps);
    }

    fn steps_of(&mut self, i: usize, action: Action) -> Vec<Step> {
        if let Park { deep, .. } = action {
            self.goroutines[i].deep = deep;
        }
        if let Reborn { .. } = action {
            self.goids += 1;
        }
        let (g, gobuf) = (self.layouts.g.clone(), self.layouts.gobuf.clone());
        let status = |status| Field(g.atomicstatus, 4, status);
        let thread = |m| Field(g.m, 8, m);
        let reason = |reason| Field(g.waitreason, 1, reason);
        let since = |time| Field(g.waitsince, 8, time);
        let run = || vec![thread(1), status(RUNNING), since(0), Become(State::Running)];
        let switched_to = || vec![thread(1), status(RUNNING), Become(State::Running)];
        let spare = self.goroutines[i].stack ^ 1;
        let saved =
            |sp: u64, pc| vec![Write(sp), Field(g.sched + gobuf.sp, 8, sp), Field(g.sched + gobuf.pc, 8, pc)];
        let parked = |receives: bool, sp: u64| {
            let waiting = if receives { World::sudog(i) } else { 0 };
            let slot = if receives { sp + 8 } else { 0 };
            let mut steps = vec![Word(self.element_at(i), slot)];
            steps.extend([Field(g.waiting, 8, waiting), Field(g.param, 8, 0)]);
            steps.push(reason(if receives { RECEIVE } else { SLEEP }));
            steps.extend(saved(sp, GOPARK));
            steps.extend([status(WAITING), Bump, thread(0)]);
            steps
        };
        let then = |mut first: Vec<Step>, second: Vec<Step>| {
            first.extend(second);
            first
        };
        let sp_of = |deep| World::top(self.goroutines[i].stack) - if deep { 0x30 } else { 0x20 };
        match action {
            Wake => match self.goroutines[i].state {
                // Without `_Grunnable` in between.
                State::Switched | State::Blocked => switched_to(),
                State::Preempted => {
                    then(vec![reason(PREEMPTED_REASON), status(WAITING), status(RUNNABLE)], run())
                }
                State::Runnable => run(),
                _ => then(vec![status(RUNNABLE)], run()),
            },
            Send => then(
                vec![Slot, Word(self.element_at(i), 0), Field(g.param, 8, World::sudog(i)), status(RUNNABLE)],
                run(),
            ),
            Shrink => {
                let moved_slot = World::top(spare) - (World::top(self.goroutines[i].stack) - self.slot(i));
                let receives = self.goroutines[i].state == State::Parked { receives: true };
                let mut steps = vec![since(self.stamp), status(SCAN | WAITING)];
                steps.extend(receives.then_some(Word(self.element_at(i), moved_slot)));
                steps.push(Step::Move(spare));
                steps.push(Field(g.sched + gobuf.bp, 8, 0));
                steps.extend(self.moved(i, spare));
                then(steps, vec![Scribble(spare ^ 1), status(WAITING)])
            }
            Turns(turns) => vec![Turned(turns)],
            Park { receives, deep } => {
                then(parked(receives, sp_of(deep)), vec![Become(State::Parked { receives })])
            }
            ParkInVain => then(then(parked(false, sp_of(false)), vec![status(RUNNABLE)]), run()),
            Switch => {
                let stands = then(saved(sp_of(false), COROSWITCH), vec![reason(COROUTINE)]);
                then(stands, vec![status(WAITING), thread(0), Become(State::Switched)])
            }
            Preempt => {
                let stands = saved(sp_of(false), ASYNC_PREEMPT);
                let leaves = vec![status(SCAN | PREEMPTED), thread(0), status(PREEMPTED)];
                then(then(stands, leaves), vec![Become(State::Preempted)])
            }
            Yield => {
                let stands = saved(sp_of(false), GOPARK + 1);
                then(stands, vec![status(RUNNABLE), Bump, thread(0), Become(State::Runnable)])
            }
            Block => {
                let stands = then(saved(sp_of(false), SYSTEMSTACK), vec![reason(SCAN_REASON)]);
                then(stands, vec![status(WAITING), Bump, Become(State::Blocked)])
            }
            Grow => then(then(vec![Step::Move(spare)], self.moved(i, spare)), vec![Scribble(spare ^ 1)]),
            Die => {
                vec![status(DEAD), Bump, thread(0), reason(0), Field(g.param, 8, 0), Become(State::Dead)]
            }
            Reborn { counter_back } => {
                let counter = self.counter(i).wrapping_sub(counter_back) & 0xff;
                let sp = World::top(self.goroutines[i].stack) - 0x10;
                vec![
                    Field(g.sched + gobuf.sp, 8, sp),
                    Field(g.sched + gobuf.pc, 8, START),
                    Field(g.tracking_seq, 1, counter),
                    status(RUNNABLE),
                    Field(g.goid, 8, self.goids),
                    Become(State::Runnable),
                ]
            }
        }
    }

    fn store(&mut self, i: usize, step: Step) {
        let (stack, sp) = (self.goroutines[i].stack, self.sp(i));
        match step {
            Field(offset, length, value) => self.set(i, offset, length, value),
            Word(address, value) => self.put(address, 8, value),
            Bump => self.bump(i, 1),
            Turned(times) => {
                self.bump(i, times);
                self.set(i, self.layouts.g.waitsince, 8, 0);
                self.write(sp, World::top(stack));
            }
            Write(from) => self.write(from, World::top(stack)),
            Slot => self.write(self.slot(i), self.slot(i) + 8),
            Step::Move(to) => {
                let (from, to) = (World::top(stack) as usize, World::top(to) as usize);
                let used = World::top(stack) as usize - sp as usize;
                self.bytes.copy_within(from - used..from, to - used);
            }
            Moved(to) => self.goroutines[i].stack = to,
            Scribble(stack) => self.write(World::bottom(stack), World::top(stack)),
            Become(state) => self.goroutines[i].state = state,
        }
    }

    fn bump(&mut self, i: usize, times: u64) {
        self.goroutines[i].bumps += times;
        let counter = self.counter(i).wrapping_add(times) & 0xff;
        self.set(i, self.layouts.g.tracking_seq, 1, counter);
    }

    /// Contents that were never there before.
    fn write(&mut self, from: u64, to: u64) {
        self.stamp += 1;
        for address in (from..to).step_by(8) {
            self.put(address, 8, self.stamp << 8 | (address & 0xff));
        }
    }
}
