//! Seeds: those that found something once, a fixed set, and a fresh one.

use std::hash::BuildHasher;

use stillframe_simulation::machines::Planted;
use stillframe_simulation::plan::Plan;
use stillframe_simulation::run::run_twice;

/// Each has found a defect; its plan changes with `plan.rs`; the scenarios of `actors` keep the defect itself.
const REGRESSIONS: &[(u64, &str)] = &[
    (4, "an order was cancelled and asked again: both searches started captures of the same targets"),
    (6, "a node held an order that had begun again without it, and nobody told it to forget it"),
    (
        9,
        "a target was given up while its last rows were written: the file had it, and said that it was missing",
    ),
    (85, "the end was looked at before nodes could notice that the coordinator had been restarted"),
    (946, "a file was promised after a crash, and its name was not on the disk yet when the power went"),
    (1_149, "an order began again after a restart, and got what a node had frozen for it before"),
];

const FIXED: std::ops::Range<u64> = 10_000..10_150;
/// `STILLFRAME_SEEDS` overrides it.
const FRESH: u64 = 30;

fn check(seed: u64) {
    let report = run_twice(&Plan::draw(seed), Planted::Nothing);
    if let Some(violation) = report.violation {
        panic!(
            "{:?}: {}\n{}\nreplay it: cargo run -p stillframe-simulation -- --seed {seed}",
            violation.oracle,
            violation.what,
            report.last_lines.join("\n")
        );
    }
}

#[test]
fn seeds_that_found_something_find_nothing_now() {
    REGRESSIONS.iter().for_each(|(seed, _)| check(*seed));
}

#[test]
fn a_fixed_set_of_seeds() {
    FIXED.for_each(check);
}

#[test]
fn a_fresh_set_of_seeds() {
    let count = std::env::var("STILLFRAME_SEEDS").ok();
    let count = count.map_or(FRESH, |text| text.parse().expect("STILLFRAME_SEEDS is a number"));
    // The standard library draws its hash keys at random.
    let first = std::hash::RandomState::new().hash_one(0) >> 16;
    println!("{count} seeds from {first}");
    (first..first + count).for_each(check);
}
