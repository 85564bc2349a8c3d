//! Stacks that were copied before a process was stopped, against the process's own records: `stamps` writes the number of a
//! turn to a goroutine's record before it goes to where it parks, by calls that spell that number. A snapshot has the
//! stack, copied before the stop or read in it; the record is read in it. Both say the same.
//!
//! `STILLFRAME_STAMPS_SNAPSHOTS` says how many snapshots of each build; `STILLFRAME_STAMPS_CHECKS` how often what the copy is
//! taken for is compared with the records, without a stop: how often a goroutine seems not to have run that has.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use stillframe_golang::build::Build;
use stillframe_golang::decode::{Frame, Goroutines, decode};
use stillframe_golang::gather::gather;
use stillframe_golang::memory::{Memory, Range, Unreadable};
use stillframe_golang::precopy::Precopy;
use stillframe_golang::runtime::Runtime;
use stillframe_target::freezer::Target;
use stillframe_target::memory::LiveMemory;
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Program, Running};
use stillframe_tests::row;
use stillframe_tests::stillframe::freezer;
use stillframe_tests::table::table;

/// A loaded host may use up the usual one; what it is about here is that stacks are true.
const BUDGET: Duration = Duration::from_secs(2);
/// Of each kind.
const WORKERS: &str = "40";
/// Of a turn's number, on a stack.
const BITS: usize = 16;
/// One of so many that ran may seem not to have, before the last reading.
const WRONG_OF: usize = 500;
/// Who parks up to four times a turn needs so many turns until its counter comes round. One that seems not to have run for any
/// other reason is an error.
const ROUND_TURNS: u64 = 64;
const SNAPSHOTS_DEFAULT: usize = 8;
const CHECKS_DEFAULT: usize = 60;
/// Between two readings, in turn: as if there were more to read. A counter of 256 needs time to come round.
const PAUSES_US: [u64; 5] = [0, 300, 1_000, 3_000, 10_000];

fn number(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(number) => number.parse().unwrap_or_else(|e| panic!("{name}={number}: {e}")),
        Err(_) => default,
    }
}

/// A program whose workers say where their records are.
struct Stamps {
    program: Program,
    process: Running,
    build: Build,
}

impl Stamps {
    /// `how`: it is odd in this way.
    fn start(program: Program, how: Option<&str>) -> Stamps {
        let process = Running::start(program.command().arg(WORKERS).args(how), None);
        let executable = std::fs::read(&program.path).expect("it is there");
        let build = Build::read(Arc::new(executable)).expect("it is a Go program");
        Stamps { program, process, build }
    }

    fn said(&self, word: usize) -> u64 {
        self.process.ready[word].parse().unwrap_or_else(|e| panic!("{:?}: {e}", self.process.ready))
    }

    /// By the number of the goroutine: in which turn it is.
    fn turns(&self, memory: &dyn Memory) -> HashMap<u64, u64> {
        let (workers, address, size) = (self.said(1) as usize, self.said(2), self.said(3) as usize);
        let bytes = memory.read_bytes(address, workers * size).expect("records are there");
        let word = |record: &[u8], at: usize| {
            u64::from_le_bytes(record[at..at + 8].try_into().expect("eight bytes are a word"))
        };
        bytes.chunks_exact(size).map(|record| (word(record, 8), word(record, 0))).collect()
    }
}

/// What all captures of a process gave.
#[derive(Default)]
struct Tally {
    goroutines: usize,
    reused: usize,
    compared: usize,
    /// Of those compared, by what the goroutine did.
    by_reason: BTreeMap<String, usize>,
    stale: Vec<String>,
    /// Of them, those whose counter may have come round.
    round: usize,
    /// Captures that the host gave no processor in time.
    late: usize,
}

impl Tally {
    /// As a node does, and with the records of the workers beside it.
    fn capture(&mut self, stamps: &Stamps, runtime: &Runtime<'_>, target: &Target) {
        let always = || true;
        let mut copy = Precopy::take(runtime, target.memory(), &always).expect("its goroutines can be read");
        copy.check(target.memory(), &always);
        copy.check(target.memory(), &always);
        let frozen = target.freeze(BUDGET).expect("it can be stopped");
        if !frozen.all_stopped() {
            self.late += 1;
            return;
        }
        let still = || frozen.is_frozen();
        let gathered = gather(runtime, frozen.memory(), frozen.threads(), Some(copy), None, &still);
        let turns = stamps.turns(frozen.memory());
        let threads = frozen.threads().to_vec();
        if !frozen.is_frozen() {
            self.late += 1;
            return;
        }
        frozen.resume().expect("it runs again");
        self.reused += gathered.reused();
        self.add(&decode(runtime, gathered, &threads, None), &turns);
    }

    fn add(&mut self, goroutines: &Goroutines, turns: &HashMap<u64, u64>) {
        self.goroutines += goroutines.goroutines.len();
        for goroutine in &goroutines.goroutines {
            let Some(stamp) = stamp(goroutines, goroutine.stack) else { continue };
            let turn = turns[&goroutine.goid];
            self.compared += 1;
            let reason = goroutine.wait_reason.clone().unwrap_or_else(|| goroutine.status.name().to_owned());
            *self.by_reason.entry(reason.clone()).or_default() += 1;
            let ahead = (turn % (1 << BITS)).wrapping_sub(stamp) % (1 << BITS);
            if ahead != 0 {
                self.round += usize::from(ahead >= ROUND_TURNS);
                self.stale.push(format!(
                    "goroutine {}, {reason}: its stack is of turn {stamp}, it was in turn {turn}",
                    goroutine.goid
                ));
            }
        }
    }
}

/// The turn that a stack spells, if it is there as a whole.
fn stamp(goroutines: &Goroutines, stack: u32) -> Option<u64> {
    let frames = &goroutines.stacks[stack as usize].frames;
    let name = |frame: &Frame| goroutines.functions[frame.function as usize].name.as_str();
    let names: Vec<&str> = frames.iter().map(name).collect();
    let turn = names.iter().rposition(|name| *name == "main.turn")?;
    let spelled = &names[turn.checked_sub(BITS)?..turn];
    spelled.iter().rev().try_fold(0, |stamp, name| match *name {
        "main.zero" => Some(stamp << 1),
        "main.one" => Some(stamp << 1 | 1),
        _ => None,
    })
}

#[test]
fn a_stack_is_of_the_turn_that_its_goroutine_is_in() {
    captures_agree(None);
}

#[test]
fn so_it_is_while_a_thousand_threads_come_and_go() {
    captures_agree(Some("threads"));
}

#[test]
fn so_it_is_while_the_number_of_processors_changes() {
    captures_agree(Some("processors"));
}

fn captures_agree(how: Option<&str>) {
    let captures = number("STILLFRAME_STAMPS_SNAPSHOTS", SNAPSHOTS_DEFAULT);
    let mut rows = vec![row!["build", "goroutines", "reused", "compared", "stale", "round", "late"]];
    let mut reasons = Vec::new();
    let mut problems = Vec::new();
    let freezer = freezer();
    for program in Program::some("stamps") {
        let stamps = Stamps::start(program, how);
        let (program, pid) = (&stamps.program, stamps.process.pid());
        let target = freezer.open(pid).expect("it runs");
        let runtime = Runtime::locate(&stamps.build, target.memory(), 0).expect("it is at its address");
        let mut tally = Tally::default();
        (0..captures).for_each(|_| tally.capture(&stamps, &runtime, &target));
        assert_free(pid, &program.to_string());
        let Tally { goroutines, reused, compared, by_reason, stale, round, late } = tally;
        rows.push(row![program, goroutines, reused, compared, stale.len(), round, late]);
        reasons.extend(by_reason.into_iter().map(|(reason, count)| row![program, count, reason]));
        if stale.len() > round || round * WRONG_OF > reused {
            problems.extend(stale.iter().map(|what| format!("{program}: {what}")));
        }
        if compared < captures || reused < captures || late * 2 > captures {
            problems.push(format!("{program}: {compared} compared, {reused} reused, {late} late"));
        }
    }
    println!("{}\n{}", table(&rows), table(&reasons));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// The memory of a program that runs, which notes where its workers are before and after each reading of all goroutines.
struct Watched<'s> {
    memory: LiveMemory,
    stamps: &'s Stamps,
    /// Before and after.
    turns: RefCell<Vec<[HashMap<u64, u64>; 2]>>,
}

impl Memory for Watched<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.memory.read(address, buffer)
    }

    fn read_many(&self, ranges: &[Range], buffer: &mut [u8], whole: &mut [bool]) {
        self.memory.read_many(ranges, buffer, whole);
    }

    /// Only all goroutines are read like this.
    fn read_each(&self, ranges: &[Range], each: &mut dyn FnMut(usize, Option<&[u8]>)) {
        let before = self.stamps.turns(&self.memory);
        self.memory.read_each(ranges, each);
        self.turns.borrow_mut().push([before, self.stamps.turns(&self.memory)]);
    }
}

/// How often goroutines that had run between two readings were taken for ones that had not.
#[derive(Default)]
struct Wraps {
    /// Parked at the first reading.
    parked: usize,
    /// Of those, in another turn at the second one.
    ran: usize,
    /// The most turns between two readings.
    most: u64,
    /// Out of those that ran, by the number of readings since the copy.
    wrong: [usize; 2],
}

impl Wraps {
    /// As a capture does, without a stop.
    fn measure(&mut self, runtime: &Runtime<'_>, memory: &Watched<'_>, pause: Duration) {
        memory.turns.borrow_mut().clear();
        let mut copy = Precopy::take(runtime, memory, &|| true).expect("its goroutines can be read");
        let parked: HashSet<u64> = copy.unchanged().collect();
        self.parked += parked.len();
        for reading in [1, 2] {
            std::thread::sleep(pause);
            copy.check(memory, &|| true);
            let turns = memory.turns.borrow();
            assert_eq!(turns.len(), reading + 1, "one reading of all goroutines each");
            let ran = |goid: &u64| {
                let (at_first, now) = (turns[0][1].get(goid)?, turns[reading][0].get(goid)?);
                Some(now - at_first).filter(|turns| *turns > 0)
            };
            if reading == 1 {
                self.ran += parked.iter().filter_map(ran).count();
                self.most = parked.iter().filter_map(ran).fold(self.most, u64::max);
            }
            self.wrong[reading - 1] += copy.unchanged().filter(|goid| ran(goid).is_some()).count();
        }
    }
}

#[test]
fn how_often_a_goroutine_seems_not_to_have_run() {
    let checks = number("STILLFRAME_STAMPS_CHECKS", CHECKS_DEFAULT);
    let mut rows =
        vec![row!["build", "us between", "parked", "ran", "most turns", "wrong after 1", "after 2"]];
    let mut problems = Vec::new();
    for program in Program::some("stamps") {
        let stamps = Stamps::start(program, None);
        let program = &stamps.program;
        let memory = LiveMemory::new(stamps.process.pid()).expect("it runs");
        let memory = Watched { memory, stamps: &stamps, turns: RefCell::default() };
        let runtime = Runtime::locate(&stamps.build, &memory, 0).expect("it is at its address");
        let (mut all_ran, mut all_wrong) = (0, 0);
        for pause in PAUSES_US {
            let mut wraps = Wraps::default();
            (0..checks).for_each(|_| wraps.measure(&runtime, &memory, Duration::from_micros(pause)));
            let Wraps { parked, ran, most, wrong: [after_one, after_two] } = wraps;
            rows.push(row![program, pause, parked, ran, most, after_one, after_two]);
            all_ran += ran;
            all_wrong += after_two;
        }
        if all_ran < checks {
            problems.push(format!("{program}: only {all_ran} ran between two readings: that says nothing"));
        }
        // The reading of the stop comes after that, and is not made here.
        if all_wrong * WRONG_OF > all_ran {
            problems.push(format!("{program}: {all_wrong} of {all_ran} seem not to have run"));
        }
    }
    println!("{}", table(&rows));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
