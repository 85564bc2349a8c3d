//! What the model is asked.

use super::*;
use Action::{Die, Park, Preempt, Send, Shrink, Switch, Turns, Wake, Yield};

/// The runtime goes on once, at any of the places, and does whatever it may.
const ONCE: Bounds = Bounds { advances: 1, stores: 28, torn: 0xa0, rarely: 1 };
/// Less may happen: by as many stores as two turns take, from one park to the next.
const LONG: Bounds = Bounds { advances: 1, stores: 40, torn: 0xa0, rarely: 1 };
/// At two places.
const TWICE: Bounds = Bounds { advances: 2, stores: 9, torn: 0xa0, rarely: 1 };

const SEEDS_DEFAULT: u64 = 20_000;

/// `STILLFRAME_MODEL_SEEDS`, when the test is built, says how many runs by chance there are.
fn seeds() -> u64 {
    match option_env!("STILLFRAME_MODEL_SEEDS") {
        Some(number) => number.parse().unwrap_or_else(|e| panic!("STILLFRAME_MODEL_SEEDS={number}: {e}")),
        None => SEEDS_DEFAULT,
    }
}

/// One goroutine, in each of the ways in which it may stand when it is first looked at.
fn beginnings() -> Vec<World> {
    let mut worlds = Vec::new();
    for (minor, receives) in [(21, false), (27, true)] {
        let parked = World::new(minor, 1, 0x400, receives);
        for then in [None, Some(Switch), Some(Preempt), Some(Yield), Some(Die)] {
            let mut world = parked.clone();
            if let Some(action) = then {
                world.begin(0, Wake);
                world.finish(0);
                world.begin(0, action);
                world.finish(0);
            }
            worlds.push(world);
        }
    }
    worlds
}

/// Two beginnings, and less that may happen.
fn with_less() -> Vec<World> {
    let possible = |action| match action {
        Wake | Send | Shrink | Turns(_) | Switch => true,
        Park { deep, .. } => !deep,
        _ => false,
    };
    let begin = |(minor, receives)| {
        let mut world = World::new(minor, 1, 0x400, receives);
        world.possible = possible;
        world
    };
    [(21, false), (27, true)].map(begin).to_vec()
}

fn promise() -> Question {
    Question { rules: Rules::ALL, without: Without::Nothing, until_broken: false }
}

#[test]
fn all_runs_up_to_a_bound_keep_the_promise() {
    for (worlds, bounds) in [(beginnings(), ONCE), (with_less(), LONG), (with_less(), TWICE)] {
        let all = promise().ask_all(&worlds, bounds);
        println!("{all:?}");
        assert_eq!(all.broken, 0, "{all:?}");
        assert!(all.reused > 1000, "{all:?}");
    }
}

#[test]
fn runs_by_chance_keep_the_promise() {
    let all = promise().ask_by_chance(seeds());
    println!("{all:?}");
    assert_eq!(all.broken, 0, "{all:?}");
    assert!(all.reused > 1000, "{all:?}");
}

/// Looks for a run that breaks the promise.
fn breaks(rules: Rules, without: Without) -> bool {
    let question = Question { rules, without, until_broken: true };
    let ways: [&dyn Fn() -> Outcome; 3] =
        [&|| question.ask_all(&beginnings(), ONCE), &|| question.ask_by_chance(seeds()), &|| {
            question.ask_all(&with_less(), TWICE)
        }];
    ways.iter().any(|way| {
        let outcome = way();
        let Outcome { runs, reused, .. } = outcome;
        println!(
            "{without:?}, {rules:?}: {runs} runs, {reused} stacks reused, {} out of date",
            outcome.broken
        );
        outcome.broken > 0
    })
}

#[test]
fn without_a_rule_the_promise_is_broken() {
    let all = Rules::ALL;
    for (what, rules) in [
        ("thread", Rules { thread: false, ..all }),
        ("goid", Rules { goid: false, ..all }),
        ("place", Rules { place: false, ..all }),
        ("counter", Rules { counter: false, ..all }),
        ("reason and gopark", Rules { reason: false, gopark: false, ..all }),
    ] {
        assert!(breaks(rules, Without::Nothing), "nothing shows what this is for: {what}");
    }
}

#[test]
fn without_a_part_of_the_procedure_the_promise_is_broken() {
    for without in
        [Without::FirstRead, Without::Checks, Without::LastRead, Without::Slots, Without::SlotsFirst]
    {
        assert!(breaks(Rules::ALL, without), "nothing shows what this is for: {without:?}");
    }
}

/// Each of them is looked at all the same: a release of Go that changes one of them may not change the others.
#[test]
fn rules_that_others_make_up_for() {
    let all = Rules::ALL;
    for (what, rules) in [
        ("status", Rules { status: false, ..all }),
        ("reason", Rules { reason: false, ..all }),
        ("gopark", Rules { gopark: false, ..all }),
        ("wait", Rules { wait: false, ..all }),
    ] {
        assert!(!breaks(rules, Without::Nothing), "it says more than the other rules: {what}");
    }
}
