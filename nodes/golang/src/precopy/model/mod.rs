//! Is any stack reported that is not the goroutine's at the freeze? The copy, driven over the memory of a small runtime
//! (`world.rs`) that goes on between any two reads and within them: in all ways up to a bound, and in many more by
//! chance. The copy is the real one; only its memory is made up.
//!
//! The bound of the promise is the counter's: a goroutine that left `_Grunning` a multiple of 256 times between every two
//! reads, and parked in the same place, may be taken for one that did not run. Nothing else may.
//!
//! What each rule is for shows when it is left out: then there is a stack that breaks the promise. Rules that say the same
//! twice are left out together, and, to know that they do, each alone.

mod explore;
mod tests;
pub(super) mod world;

use std::cell::{Cell, RefCell};

use super::*;
use crate::layout::Layouts;
use crate::memory::Unreadable;
use explore::{All, Chance, Chooser};
use world::{Action, Step, World};

/// Which part of the whole is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    Nothing,
    /// The reading of the records before the stacks are copied.
    FirstRead,
    /// The readings after it, while the process runs.
    Checks,
    /// The reading in the freeze.
    LastRead,
    /// That slots are not believed.
    Slots,
    /// That slots are looked up before the stack is copied: they are after it.
    SlotsFirst,
}

/// How far the runtime goes on at a time.
#[derive(Clone, Copy)]
struct Bounds {
    /// Places at which it goes on, of all that there are.
    advances: usize,
    /// Stores at each of them.
    stores: usize,
    /// Reads of records and stacks are torn here: after so many bytes, again and again.
    torn: usize,
    /// At about one place of so many.
    rarely: usize,
}

/// The runtime's memory. It goes on while it is read.
struct Model<'c> {
    world: RefCell<World>,
    chooser: RefCell<&'c mut dyn Chooser>,
    bounds: Bounds,
    left: Cell<usize>,
    /// By goroutine: how often its counter had been bumped when it was read.
    seen: RefCell<Vec<Vec<u64>>>,
    /// What was read, and what was done meanwhile.
    history: RefCell<Vec<Event>>,
}

/// For whoever has to find out why.
#[derive(Clone, Copy, Debug)]
#[expect(dead_code, reason = "it is printed, by Debug")]
enum Event {
    Read(u64, usize),
    Step(usize, Step),
}

impl Memory for Model<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        // What is never changed need not be read at many times.
        let changes = address >= world::CHANGING;
        let mut at = 0;
        while at < buffer.len() {
            let length = if changes { self.bounds.torn } else { buffer.len() }.min(buffer.len() - at);
            if changes {
                self.go_on();
            }
            let from = address + at as u64;
            let world = self.world.borrow();
            self.history.borrow_mut().push(Event::Read(from, length));
            buffer[at..at + length].copy_from_slice(&world.bytes[from as usize..from as usize + length]);
            self.note(&world, from, from + length as u64);
            at += length;
        }
        Ok(())
    }
}

impl Model<'_> {
    /// Lets the runtime go on for a while.
    fn go_on(&self) {
        if self.left.get() == 0 {
            return;
        }
        let mut chooser = self.chooser.borrow_mut();
        if self.bounds.rarely > 1 && chooser.choose(self.bounds.rarely) > 0 {
            return;
        }
        let stores = chooser.choose(self.bounds.stores + 1);
        if stores == 0 {
            return;
        }
        self.left.set(self.left.get() - 1);
        let mut world = self.world.borrow_mut();
        let mut done = 0;
        while done < stores {
            let number = if world.goroutines.len() == 1 { 0 } else { chooser.choose(world.goroutines.len()) };
            let step = world.step(number, &mut **chooser);
            self.history.borrow_mut().extend(step.map(|step| Event::Step(number, step)));
            done += step.map_or(1, Step::stores);
        }
    }

    fn note(&self, world: &World, from: u64, to: u64) {
        for (i, (goroutine, seen)) in
            world.goroutines.iter().zip(self.seen.borrow_mut().iter_mut()).enumerate()
        {
            if (from..to).contains(&world.counter_at(i)) {
                seen.push(goroutine.bumps);
            }
        }
    }

    /// As a reading of the records would.
    fn read_nothing(&self) {
        self.go_on();
        self.note(&self.world.borrow(), 0, u64::MAX);
    }
}

/// What came of a run.
#[derive(Debug, Default)]
struct Outcome {
    runs: usize,
    reused: usize,
    /// Out of date, and within the bound.
    wrapped: usize,
    /// Out of date.
    broken: usize,
    /// The first run that broke the promise.
    how: Vec<Event>,
}

fn run(model: &Model<'_>, layouts: &Layouts, reasons: &[String], rules: Rules, without: Without) -> Outcome {
    let always = || true;
    let minor = model.world.borrow().minor;
    let outline = world::outline(layouts, minor, reasons);
    let mut copy = Precopy::of(Parked::new(outline, rules), model, &always).unwrap();
    if without == Without::FirstRead {
        copy.records.read(model, &always, &mut |_, _, _| ());
    }
    if without == Without::SlotsFirst {
        let is_kept = |(number, _, bytes): (usize, u64, &[u8])| {
            copy.slots.get(&number)?;
            Some((number, u64_at(bytes, layouts.g.waiting)?))
        };
        let receiving: Vec<(usize, u64)> = copy.records.iter().filter_map(is_kept).collect();
        let mut gatherer = Gatherer::new(model, &always);
        copy.slots = slots_of_many(layouts, minor, &receiving, &mut gatherer);
    }
    for _ in 0..CHECKS_MIN {
        if without == Without::Checks {
            copy.checks += 1;
            model.read_nothing();
        } else {
            copy.check(model, &always);
        }
    }
    model.go_on();
    // The freeze.
    model.left.set(0);
    let goroutines: Vec<u64> = model.world.borrow().goroutines.iter().map(|g| g.address).collect();
    if without == Without::LastRead {
        copy.verified = true;
        model.read_nothing();
    } else {
        let mut gatherer = Gatherer::new(model, &always);
        assert_eq!(copy.verify(&goroutines, &mut gatherer), goroutines.len());
    }
    judge(&copy, &model.world.borrow(), &model.seen.borrow(), without)
}

/// Compares what is reused with what is there.
fn judge(copy: &Precopy<'_>, world: &World, seen: &[Vec<u64>], without: Without) -> Outcome {
    let mut outcome = Outcome::default();
    for (number, _, _) in copy.records.iter() {
        let Some((round, range)) = copy.places[number].stack else { continue };
        outcome.reused += 1;
        let (round, from) =
            (&copy.stacks[round as usize], starts(&copy.stacks[round as usize])[range as usize]);
        let Range { address, length } = round.ranges[range as usize];
        let slots = copy.slots.get(&number).map_or(&[][..], |slots| slots);
        let believed = |at: usize| {
            let at = address + at as u64;
            without == Without::Slots || !slots.iter().any(|slot| slot.overlaps(at, at + 1))
        };
        let there = &world.bytes[address as usize..address as usize + length];
        let copied = &round.bytes[from..from + length];
        if !(0..length).any(|at| believed(at) && there[at] != copied[at]) {
            continue;
        }
        let times = |pair: &[u64]| pair[1] - pair[0];
        let bumps = &seen[number];
        let wrapped =
            bumps.windows(2).all(|pair| times(pair).is_multiple_of(256)) && bumps.first() != bumps.last();
        if wrapped {
            outcome.wrapped += 1;
        } else {
            outcome.broken += 1;
        }
    }
    outcome
}

/// What is asked of the model.
#[derive(Clone, Copy)]
struct Question {
    rules: Rules,
    without: Without,
    /// Goes on until the promise is broken once.
    until_broken: bool,
}

impl Question {
    /// One run from there. Whether to go on.
    fn ask(self, world: World, chooser: &mut dyn Chooser, bounds: Bounds, total: &mut Outcome) -> bool {
        let layouts = Rc::clone(&world.layouts);
        let reasons = World::reasons();
        let seen = RefCell::new(vec![Vec::new(); world.goroutines.len()]);
        let (world, chooser) = (RefCell::new(world), RefCell::new(chooser));
        let model = Model {
            world,
            chooser,
            bounds,
            left: Cell::new(bounds.advances),
            seen,
            history: RefCell::default(),
        };
        let run = run(&model, &layouts, &reasons, self.rules, self.without);
        total.runs += 1;
        if run.broken > 0 && total.how.is_empty() {
            total.how = model.history.borrow().clone();
        }
        total.reused += run.reused;
        total.wrapped += run.wrapped;
        total.broken += run.broken;
        total.broken == 0 || !self.until_broken
    }

    /// All runs of one goroutine from each of these worlds, up to a bound.
    fn ask_all(self, worlds: &[World], bounds: Bounds) -> Outcome {
        let mut total = Outcome::default();
        for world in worlds {
            let mut all = All::default();
            while self.ask(world.clone(), &mut all, bounds, &mut total) && all.next() {}
        }
        total
    }

    /// So many runs of four goroutines.
    fn ask_by_chance(self, seeds: u64) -> Outcome {
        let mut total = Outcome::default();
        // Side by side they are read in one range.
        let world = |(minor, spacing, receives)| World::new(minor, 4, spacing, receives);
        let worlds =
            [(21, 0x400, false), (27, 0x1e0, true), (24, 0x1e0, false), (26, 0x400, true)].map(world);
        for seed in 0..seeds {
            let mut chance = Chance(seed);
            let world = worlds[chance.choose(worlds.len())].clone();
            let rarely = [10, 40, 160, 640][chance.choose(4)];
            let torn = [8, 32, 512][chance.choose(3)];
            let bounds = Bounds { advances: 30, stores: 40, torn, rarely };
            if !self.ask(world, &mut chance, bounds, &mut total) {
                break;
            }
        }
        total
    }
}
