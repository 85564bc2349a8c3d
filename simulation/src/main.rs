//! `stillframe-simulation --seed N` replays one run and prints its log; `--seeds A..B` runs many.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use stillframe_simulation::SECOND;
use stillframe_simulation::machines::Planted;
use stillframe_simulation::oracle::Violation;
use stillframe_simulation::plan::Plan;
use stillframe_simulation::run::{Report, Summary, run_twice, run_with_log, shrink};

const USAGE: &str = "usage: stillframe-simulation --seed N | --seeds A..B";
const PROGRESS_EVERY: u64 = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let range = |text: &str| {
        let (first, end) = text.split_once("..")?;
        Some(first.parse::<u64>().ok()?..end.parse::<u64>().ok()?)
    };
    match arguments[..] {
        ["--seed", text] => match text.parse() {
            Ok(seed) => replay(seed),
            Err(error) => usage(&format!("{text}: {error}")),
        },
        ["--seeds", text] => match range(text) {
            Some(seeds) => many(seeds),
            None => usage(&format!("{text}: not a range of seeds")),
        },
        _ => usage("which seeds?"),
    }
}

fn usage(error: &str) -> ExitCode {
    eprintln!("{error}\n{USAGE}");
    ExitCode::from(2)
}

fn replay(seed: u64) -> ExitCode {
    let plan = Plan::draw(seed);
    println!("{plan:#?}");
    let (report, log) = run_with_log(&plan, Planted::Nothing);
    log.iter().for_each(|line| println!("{line}"));
    println!(
        "{} events, {} s of virtual time, outcomes {:?}",
        report.events,
        report.virtual_ns / SECOND,
        report.outcomes
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
fn many(seeds: std::ops::Range<u64>) -> ExitCode {
    let began = std::time::Instant::now();
    let mut summary = Summary::default();
    let end = seeds.end;
    for seed in seeds {
        let plan = Plan::draw(seed);
        let report = run_twice(&plan, Planted::Nothing);
        summary.add(&report);
        if let Some(violation) = &report.violation {
            failed(&plan, &report, violation);
            return ExitCode::FAILURE;
        }
        if summary.seeds % PROGRESS_EVERY == 0 {
            eprintln!("{} seeds, next {} of {end}", summary.seeds, seed + 1);
        }
    }
    let wall = began.elapsed().as_secs_f64();
    println!(
        "{} seeds, each twice, with the same log both times\n{} events, {} s of virtual time, {wall:.1} s of wall time \
         ({:.0} seeds/s)\noutcomes {:?}\nfaults {:?}",
        summary.seeds,
        summary.events,
        summary.virtual_ns / SECOND,
        summary.seeds as f64 / wall,
        summary.outcomes,
        summary.faults
    );
    ExitCode::SUCCESS
}

fn failed(plan: &Plan, report: &Report, violation: &Violation) {
    report.last_lines.iter().for_each(|line| println!("{line}"));
    print_violation(violation);
    println!("replay it: cargo run -p stillframe-simulation -- --seed {}", plan.seed);
    let smallest = shrink(plan, Planted::Nothing, violation.oracle);
    println!("the smallest plan that fails has {} of {} faults:", smallest.faults.len(), plan.faults.len());
    println!("{:#?}\n{:#?}", smallest.faults, smallest.asks);
}

fn print_violation(violation: &Violation) {
    println!("violated: {:?}: {}", violation.oracle, violation.what);
}
