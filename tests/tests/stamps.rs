//! Stacks that were copied before a process was stopped, against the process's own records: `stamps` writes the number of a
//! turn to a goroutine's record before it goes to where it parks, by calls that spell that number. A snapshot has the
//! stack, copied before the stop or read in it, and the record, which is always read in it; both say the same.
//!
//! `STILLFRAME_STAMPS_SNAPSHOTS` says how many snapshots of each build; `STILLFRAME_STAMPS_CHECKS` how often what the copy is
//! taken for is compared with the records, without a stop: how often a goroutine seems not to have run that has.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use stillframe_golang::build::Build;
use stillframe_golang::memory::{Memory, Range, Unreadable};
use stillframe_golang::precopy::Precopy;
use stillframe_golang::runtime::Runtime;
use stillframe_node::capture::{Captures, Options, Source};
use stillframe_node::policy::Policy;
use stillframe_target::memory::LiveMemory;
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Program, Running};
use stillframe_tests::row;
use stillframe_tests::stillframe::freezer;
use stillframe_tests::table::table;
use stillframe_wire::facts::{CellValue, ProcessFacts};

/// A loaded host may use up the usual one; what it is about here is that stacks are true.
const BUDGET: Duration = Duration::from_secs(2);
/// Of each kind.
const WORKERS: &str = "40";
/// Of a turn's number, on a stack.
const BITS: usize = 16;
/// One of so many that ran may seem not to have, before the last reading.
const WRONG_OF: usize = 10_000;
const SNAPSHOTS_DEFAULT: usize = 8;
const CHECKS_DEFAULT: usize = 60;
/// Between two readings, in turn: as if there were more to read. A counter of 256 needs time to come round.
const PAUSES_US: [u64; 5] = [0, 300, 1_000, 3_000, 10_000];

const PROBES: &str = r#"
[[probe]]
name = "stamp"
function = "main.turn"
capture = [{ as = "turn", expr = "w.turn" }]
"#;

fn number(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(number) => number.parse().unwrap_or_else(|e| panic!("{name}={number}: {e}")),
        Err(_) => default,
    }
}

/// What all snapshots of a process gave.
#[derive(Default)]
struct Tally {
    goroutines: usize,
    reused: usize,
    compared: usize,
    /// Of those compared, by what the goroutine did.
    by_reason: BTreeMap<String, usize>,
    stale: Vec<String>,
    missing: Vec<String>,
}

impl Tally {
    fn add(&mut self, facts: &ProcessFacts) {
        self.goroutines += facts.goroutines.len();
        self.reused += facts.pause.expect("a live process was stopped").reused as usize;
        let mut turns = HashMap::new();
        for row in &facts.probe_rows {
            let [cell] = &row.cells[..] else { panic!("{row:?}: one expression was asked for") };
            match cell.value {
                CellValue::Int(turn) => _ = turns.insert(row.goroutine, turn.cast_unsigned()),
                CellValue::Uint(turn) => _ = turns.insert(row.goroutine, turn),
                _ => self.missing.push(format!("{cell:?}")),
            }
        }
        for (number, goroutine) in facts.goroutines.iter().enumerate() {
            let Some(stamp) = stamp(facts, goroutine.stack) else { continue };
            let Some(turn) = turns.get(&(number as u32)) else { continue };
            self.compared += 1;
            let reason = goroutine.wait_reason.as_deref().unwrap_or(&goroutine.status);
            *self.by_reason.entry(reason.to_owned()).or_default() += 1;
            if turn % (1 << BITS) != stamp {
                self.stale.push(format!(
                    "goroutine {} {}: its stack is of turn {stamp}, it was in turn {turn}",
                    goroutine.goid, goroutine.header
                ));
            }
        }
    }
}

/// The turn that a stack spells, if it is there as a whole.
fn stamp(facts: &ProcessFacts, stack: u32) -> Option<u64> {
    let frames = &facts.stacks[stack as usize].frames;
    let names: Vec<&str> =
        frames.iter().map(|frame| facts.functions[frame.function as usize].name.as_str()).collect();
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
    let snapshots = number("STILLFRAME_STAMPS_SNAPSHOTS", SNAPSHOTS_DEFAULT);
    let mut rows = vec![row!["build", "goroutines", "reused", "compared", "stale", "no record"]];
    let mut reasons = Vec::new();
    let mut problems = Vec::new();
    for program in Program::all("stamps") {
        let process = Running::start(program.command().arg(WORKERS), None);
        let captures = Captures::new(freezer());
        let options =
            Options { max_pause: Some(BUDGET), probes: Arc::from(PROBES), policy: Arc::new(Policy::open()) };
        let mut tally = Tally::default();
        for _ in 0..snapshots {
            let facts = captures.capture(&Source::Pid(process.pid()), &options, &mut |_| ());
            tally.add(&facts.unwrap_or_else(|e| panic!("{program}: {e}")));
        }
        assert_free(process.pid(), &program.to_string());
        let Tally { goroutines, reused, compared, by_reason, stale, missing } = tally;
        rows.push(row![program, goroutines, reused, compared, stale.len(), missing.len()]);
        reasons.extend(by_reason.into_iter().map(|(reason, count)| row![program, count, reason]));
        problems.extend(stale.iter().map(|what| format!("{program}: {what}")));
        if compared < snapshots || reused < snapshots {
            problems.push(format!("{program}: {compared} compared, {reused} reused: that says nothing"));
        }
        if missing.len() > compared / 100 {
            problems.push(format!("{program}: {} records are missing: {}", missing.len(), missing[0]));
        }
    }
    println!("{}\n{}", table(&rows), table(&reasons));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// The memory of a program that runs, which notes where its workers are before and after each reading of all goroutines.
struct Watched {
    memory: LiveMemory,
    address: u64,
    size: usize,
    workers: usize,
    /// Before and after. By the number of the goroutine.
    turns: RefCell<Vec<[HashMap<u64, u64>; 2]>>,
}

impl Watched {
    fn turns(&self) -> HashMap<u64, u64> {
        let bytes =
            self.memory.read_bytes(self.address, self.workers * self.size).expect("records are there");
        let word = |record: &[u8], at: usize| {
            u64::from_le_bytes(record[at..at + 8].try_into().expect("eight bytes are a word"))
        };
        bytes.chunks_exact(self.size).map(|record| (word(record, 8), word(record, 0))).collect()
    }
}

impl Memory for Watched {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        self.memory.read(address, buffer)
    }

    fn read_many(&self, ranges: &[Range], buffer: &mut [u8], whole: &mut [bool]) {
        self.memory.read_many(ranges, buffer, whole);
    }

    /// Only all goroutines are read like this.
    fn read_each(&self, ranges: &[Range], each: &mut dyn FnMut(usize, Option<&[u8]>)) {
        let before = self.turns();
        self.memory.read_each(ranges, each);
        self.turns.borrow_mut().push([before, self.turns()]);
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
    fn measure(&mut self, runtime: &Runtime<'_>, memory: &Watched, pause: Duration) {
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
    for program in Program::all("stamps") {
        let process = Running::start(program.command().arg(WORKERS), None);
        let said = |i: usize| process.ready[i].parse().unwrap_or_else(|e| panic!("{:?}: {e}", process.ready));
        let memory = Watched {
            memory: LiveMemory::new(process.pid()).expect("it runs"),
            workers: said(1) as usize,
            address: said(2),
            size: said(3) as usize,
            turns: RefCell::default(),
        };
        let executable = std::fs::read(&program.path).expect("it is there");
        let build = Build::read(Arc::new(executable)).expect("it is a Go program");
        let runtime = Runtime::locate(&build, &memory, 0).expect("it is at its address");
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
