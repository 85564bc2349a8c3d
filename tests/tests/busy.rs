//! Snapshot after snapshot of a program that does everything at once: calls into C, system calls, garbage collection,
//! stack growth, preemption, generators, thousands of short goroutines. Every stack is whole or says why not, and the
//! program, which checks itself all the while, does not notice.
//!
//! `STILLFRAME_BUSY_SNAPSHOTS` says how many snapshots of each build.

use std::collections::BTreeMap;
use std::time::Duration;

use stillframe_node::capture::{Captures, Options, Source};
use stillframe_node::{CaptureError, ExitClass};
use stillframe_tests::health::Health;
use stillframe_tests::process_state::{assert_free, threads};
use stillframe_tests::programs::{Program, Running, poll};
use stillframe_tests::row;
use stillframe_tests::stillframe::freezer;
use stillframe_tests::table::table;
use stillframe_wire::facts::{Gap, Goroutine, ProcessFacts};

/// A loaded host may use up the usual one; what it is about here is that stacks are whole.
const BUDGET: Duration = Duration::from_secs(1);
const SNAPSHOTS_DEFAULT: usize = 100;
/// Of 100,000 stacks at least so many are whole.
const WHOLE_PER_100_000: usize = 99_900;
/// How often the program is asked how it is while it is being captured.
const HEALTH_EVERY: usize = 10;
/// Everything in the program must have gone on by then.
const PROGRESS_MAX: Duration = Duration::from_secs(30);
/// A busy program that has fewer is not the one that this test is about.
const GOROUTINES_MIN: usize = 20;

/// What all snapshots of one process gave.
#[derive(Default)]
struct Tally {
    snapshots: usize,
    stacks: usize,
    whole: usize,
    /// Of what is not whole: stop reasons with addresses and names left out, and one of them in full.
    stops: BTreeMap<String, (usize, String)>,
    /// Gaps that are about no stack.
    gaps: BTreeMap<String, usize>,
    /// Stacks that are not whole without a gap that says so.
    silent: usize,
    /// Whole stacks that do not end where their goroutine began: an unwinder that lost its way and says it did not.
    astray: Vec<String>,
    statuses: BTreeMap<String, usize>,
    pauses_ns: Vec<i64>,
    /// Captures that were refused because the host gave no processor in time: to a thread of the program, so that it
    /// could stop, or to the node, so that it could read.
    late: usize,
}

impl Tally {
    fn add(&mut self, facts: &ProcessFacts) {
        self.snapshots += 1;
        self.pauses_ns.push(facts.pause.expect("a live process was stopped").pause_ns);
        for goroutine in &facts.goroutines {
            self.stacks += 1;
            *self.statuses.entry(goroutine.status.clone()).or_default() += 1;
            let stop = &facts.stacks[goroutine.stack as usize].stop_reason;
            if stop == "complete" {
                self.whole += 1;
                self.astray.extend(astray(facts, goroutine));
                continue;
            }
            let kind = self.stops.entry(without_details(stop)).or_insert((0, stop.clone()));
            kind.0 += 1;
            let is_named =
                |g: &&Gap| g.goid == Some(goroutine.goid) && g.what == "stack" && !g.reason.is_empty();
            self.silent += usize::from(stop.is_empty() || !facts.gaps.iter().any(|g| is_named(&g)));
        }
        for gap in facts.gaps.iter().filter(|g| g.what != "stack") {
            *self.gaps.entry(format!("{}: {}", gap.what, without_details(&gap.reason))).or_default() += 1;
        }
    }

    /// The pause that `part` of a hundred pauses do not exceed.
    fn pause(&self, part: usize) -> String {
        let mut sorted = self.pauses_ns.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * part).div_ceil(100).saturating_sub(1);
        milliseconds(sorted.get(at).copied().unwrap_or(0))
    }
}

fn milliseconds(ns: i64) -> String {
    format!("{:.2} ms", ns as f64 / 1e6)
}

/// A whole stack ends in `runtime.goexit`, called by nobody and put there by the runtime, and right before that stands
/// the function that the goroutine was started with: the goroutine's own record says so, not its stack.
fn astray(facts: &ProcessFacts, goroutine: &Goroutine) -> Option<String> {
    let name = |function: u32| facts.functions[function as usize].name.as_str();
    let frames = &facts.stacks[goroutine.stack as usize].frames;
    let names: Vec<&str> = frames.iter().map(|f| name(f.function)).collect();
    let start = goroutine.start_function.map(name);
    let ends_well = match names[..] {
        // That function has returned (runtime/asm_amd64.s, goexit).
        [.., "runtime.goexit1", "runtime.goexit"] => true,
        // A thread of C, which calls Go or has done so (runtime/proc.go, needm): nobody started its goroutine.
        ["runtime.goexit"] | [.., "runtime.cgocallback", "runtime.goexit"] => start.is_none(),
        [.., first, "runtime.goexit"] => Some(first) == start,
        _ => false,
    };
    (!ends_well).then(|| format!("goroutine {} started by {start:?} stands on {names:?}", goroutine.goid))
}

/// Reasons that differ only in numbers are one kind.
fn without_details(reason: &str) -> String {
    let number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let words = reason.split(' ').map(|word| if number(word) { "N" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

fn snapshots() -> usize {
    match std::env::var("STILLFRAME_BUSY_SNAPSHOTS") {
        Ok(number) => number.parse().unwrap_or_else(|e| panic!("STILLFRAME_BUSY_SNAPSHOTS={number}: {e}")),
        Err(_) => SNAPSHOTS_DEFAULT,
    }
}

#[test]
fn a_busy_program_is_captured_whole_and_does_not_notice() {
    let snapshots = snapshots();
    let mut rows = vec![row![
        "version",
        "kind",
        "snapshots",
        "stacks",
        "whole",
        "of 100,000",
        "named",
        "silent",
        "late",
        "median",
        "p99",
        "max",
        "max gap"
    ]];
    let mut reasons = Vec::new();
    let mut problems = Vec::new();
    for program in Program::all("busy") {
        let (tally, health, trouble) = capture_again_and_again(&program, snapshots);
        problems.extend(trouble.iter().map(|t| format!("{program}: {t}")));
        let named: usize = tally.stops.values().map(|(count, _)| count).sum();
        rows.push(row![
            program.version,
            program.kind,
            tally.snapshots,
            tally.stacks,
            tally.whole,
            tally.whole * 100_000 / tally.stacks.max(1),
            named - tally.silent,
            tally.silent,
            tally.late,
            tally.pause(50),
            tally.pause(99),
            tally.pause(100),
            milliseconds(health.max_gap_ns as i64)
        ]);
        let name = program.to_string();
        reasons.extend(tally.stops.values().map(|(count, example)| row![name, "stack", count, example]));
        reasons.extend(tally.gaps.iter().map(|(gap, count)| row![name, "gap", count, gap]));
        reasons.extend(tally.statuses.iter().map(|(status, count)| row![name, "status", count, status]));
    }
    println!("{}\n{}", table(&rows), table(&reasons));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

fn capture_again_and_again(program: &Program, snapshots: usize) -> (Tally, Health, Vec<String>) {
    let process = Running::start(&mut program.command(), None);
    let pid = process.pid();
    let port: u16 = process.ready[1].parse().expect("busy says its port");
    let cgo = program.kind.uses_cgo();
    let mut problems = Vec::new();
    let mut tally = Tally::default();
    let captures = Captures::new(freezer());
    let before = Health::reset_gap(port);
    let mut last = before.clone();
    while tally.snapshots < snapshots && tally.late < snapshots {
        match captures.capture(
            &Source::Pid(pid),
            &Options { max_pause: Some(BUDGET), ..Options::default() },
            &mut |_| (),
        ) {
            Ok(facts) => {
                if facts.goroutines.len() < GOROUTINES_MIN {
                    problems.push(format!("a snapshot with {} goroutines", facts.goroutines.len()));
                }
                tally.add(&facts);
            }
            Err(CaptureError::NotStopped { .. } | CaptureError::NothingInBudget { .. }) => tally.late += 1,
            Err(error) => {
                problems.push(format!("{:?}: {error}", error.exit_class()));
                if error.exit_class() == ExitClass::Vanished || problems.len() > 10 {
                    break;
                }
            }
        }
        if tally.snapshots.is_multiple_of(HEALTH_EVERY) {
            last = check_health(port, &mut problems);
        }
    }
    if !last.stalled_since(&before, cgo).is_empty() {
        problems
            .push(format!("during the captures these stood still: {:?}", last.stalled_since(&before, cgo)));
    }

    assert_free(pid, &program.to_string());
    let during = check_health(port, &mut problems);
    let goes_on = || {
        let now = Health::of(port);
        now.stalled_since(&during, cgo).is_empty().then_some(now)
    };
    let after = poll(PROGRESS_MAX, goes_on).unwrap_or_else(|| {
        let now = Health::of(port);
        problems.push(format!("afterwards these stand still: {:?}", now.stalled_since(&during, cgo)));
        now
    });
    if !after.ok {
        problems.push(format!("it is not well afterwards: {}", after.reason));
    }
    assert!(threads(pid).iter().all(|t| t.tracer == 0 && !matches!(t.state, 'T' | 't')));

    if tally.whole * 100_000 < tally.stacks * WHOLE_PER_100_000 || tally.stacks == 0 {
        problems.push(format!("{} of {} stacks are whole", tally.whole, tally.stacks));
    }
    if tally.silent > 0 {
        problems.push(format!("{} stacks are not whole and have no gap that says so", tally.silent));
    }
    if tally.snapshots < snapshots {
        problems.push(format!("{} snapshots of {snapshots}; {} came too late", tally.snapshots, tally.late));
    }
    if let Some(first) = tally.astray.first() {
        problems.push(format!("{} whole stacks do not end where they began: {first}", tally.astray.len()));
    }
    // A fact of the program, too: what these tests are for was there.
    for status in ["running", "waiting", "syscall"] {
        if !tally.statuses.contains_key(status) {
            problems.push(format!("no goroutine was ever seen {status}"));
        }
    }
    (tally, during, problems)
}

fn check_health(port: u16, problems: &mut Vec<String>) -> Health {
    let health = Health::of(port);
    if !health.ok {
        problems.push(format!("it is not well: {}", health.reason));
    }
    health
}

#[test]
fn what_is_missing_or_wrong_is_counted() {
    use stillframe_tests::planted;
    let mut tally = Tally::default();
    let add = |tally: &mut Tally, change: &dyn Fn(&mut ProcessFacts)| {
        let mut facts = planted::process();
        facts.pause = Some(Default::default());
        change(&mut facts);
        tally.add(&facts);
    };
    add(&mut tally, &|_| ());
    assert_eq!((tally.stacks, tally.whole, tally.silent, tally.astray.len()), (1, 1, 0, 0));
    add(&mut tally, &|facts| {
        facts.stacks[0].stop_reason = "stack pointer 0x12 is outside of the stack".into()
    });
    assert_eq!((tally.stacks, tally.whole, tally.silent, tally.astray.len()), (2, 1, 1, 0));
    add(&mut tally, &|facts| {
        facts.stacks[0].stop_reason = "budget".into();
        facts.gaps.push(Gap { goid: Some(7), what: "stack".into(), reason: "budget".into() });
    });
    assert_eq!((tally.stacks, tally.whole, tally.silent, tally.astray.len()), (3, 1, 1, 0));
    add(&mut tally, &|facts| facts.stacks[0].frames.truncate(2));
    add(&mut tally, &|facts| facts.stacks[0].frames.swap(0, 1));
    assert_eq!((tally.stacks, tally.whole, tally.silent, tally.astray.len()), (5, 3, 1, 2));
}
