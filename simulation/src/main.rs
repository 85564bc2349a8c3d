//! `stillframe-simulation --seed N` replays one run and prints its log; `--seeds A..B` runs many. `--tier two` before it
//! runs the whole stack instead of the state machines alone.
#![forbid(unsafe_code)]

use std::ops::Range;
use std::process::ExitCode;

use stillframe_simulation::oracle::Violation;
use stillframe_simulation::run::{Report, Runs, Summary, run_twice, run_with_log, shrink};
use stillframe_simulation::{SECOND, plan, stack};

const USAGE: &str = "usage: stillframe-simulation [--tier one|two] --seed N | --seeds A..B";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["--tier", "two", ref rest @ ..] => carry_out::<stack::plan::Plan>(rest),
        ["--tier", "one", ref rest @ ..] => carry_out::<plan::Plan>(rest),
        ["--tier", other, ..] => usage(&format!("{other}: there are the tiers one and two")),
        ref rest => carry_out::<plan::Plan>(rest),
    }
}

fn carry_out<P: Runs>(arguments: &[&str]) -> ExitCode {
    let range = |text: &str| {
        let (first, end) = text.split_once("..")?;
        Some(first.parse::<u64>().ok()?..end.parse::<u64>().ok()?)
    };
    match *arguments {
        ["--seed", text] => match text.parse() {
            Ok(seed) => replay::<P>(seed),
            Err(error) => usage(&format!("{text}: {error}")),
        },
        ["--seeds", text] => match range(text) {
            Some(seeds) => many::<P>(seeds),
            None => usage(&format!("{text}: not a range of seeds")),
        },
        _ => usage("which seeds?"),
    }
}

fn usage(error: &str) -> ExitCode {
    eprintln!("{error}\n{USAGE}");
    ExitCode::from(2)
}

fn replay<P: Runs>(seed: u64) -> ExitCode {
    let plan = P::of_seed(seed);
    println!("{plan:#?}");
    let (report, log) = run_with_log(&plan, P::Planted::default());
    log.iter().for_each(|line| println!("{line}"));
    println!(
        "{} events, {} s of virtual time, outcomes {:?}, digest {:016x}",
        report.events,
        report.virtual_ns / SECOND,
        report.outcomes,
        report.digest
    );
    match report.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            print_violation(&violation);
            ExitCode::FAILURE
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how fast the runs are is measured, and nothing in them depends on it"
)]
fn many<P: Runs>(seeds: Range<u64>) -> ExitCode {
    let began = std::time::Instant::now();
    let mut summary = Summary::default();
    let end = seeds.end;
    for seed in seeds {
        let plan = P::of_seed(seed);
        let report = run_twice(&plan, P::Planted::default());
        summary.add(&report);
        if let Some(violation) = &report.violation {
            failed(&plan, &report, violation);
            return ExitCode::FAILURE;
        }
        if summary.seeds % P::PROGRESS_EVERY == 0 {
            eprintln!("{} seeds, next {} of {end}", summary.seeds, seed + 1);
        }
    }
    let wall = began.elapsed().as_secs_f64();
    println!(
        "{} seeds, each twice, with the same log both times\n{} events, {} s of virtual time, {wall:.1} s of wall time \
         ({:.1} seeds/s)\noutcomes {:?}\nfaults {:?}",
        summary.seeds,
        summary.events,
        summary.virtual_ns / SECOND,
        summary.seeds as f64 / wall,
        summary.outcomes,
        summary.faults
    );
    ExitCode::SUCCESS
}

fn failed<P: Runs>(plan: &P, report: &Report, violation: &Violation) {
    report.last_lines.iter().for_each(|line| println!("{line}"));
    print_violation(violation);
    println!("replay it: cargo run -p stillframe-simulation -- --tier {} --seed {}", P::TIER, plan.seed());
    let smallest = shrink(plan, P::Planted::default(), violation.oracle);
    println!("the smallest plan that fails has {} of {} parts:", smallest.parts(), plan.parts());
    println!("{smallest:#?}");
}

fn print_violation(violation: &Violation) {
    println!("violated: {:?}: {}", violation.oracle, violation.what);
}
