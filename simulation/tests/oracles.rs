//! Each oracle bites: a defect is planted, and the oracle that guards against it finds it.

use stillframe_simulation::machines::Planted;
use stillframe_simulation::oracle::Oracle;
use stillframe_simulation::plan::Plan;
use stillframe_simulation::run::{run, run_twice, shrink};

/// The first of these seeds with which the defect shows.
fn found(planted: Planted, oracle: Oracle) -> Plan {
    for seed in 0..150 {
        let plan = Plan::draw(seed);
        if plan.hosts.len() > 20 {
            continue;
        }
        let report =
            if oracle == Oracle::Determinism { run_twice(&plan, planted) } else { run(&plan, planted) };
        if report.violation.is_some_and(|violation| violation.oracle == oracle) {
            return plan;
        }
    }
    panic!("no seed finds {planted:?} by {oracle:?}");
}

#[test]
fn files_that_keep_rows_of_an_aborted_stream_are_found() {
    found(Planted::KeepsAborted, Oracle::Files);
}

#[test]
fn values_that_nobody_captures_are_found() {
    found(Planted::ForgetsProbes, Oracle::Files);
}

#[test]
fn files_that_get_their_name_too_early_are_found() {
    found(Planted::RenamesFirst, Oracle::Files);
}

#[test]
fn missing_reasons_are_found() {
    found(Planted::LosesReasons, Oracle::Orders);
}

#[test]
fn forgotten_deadlines_are_found() {
    found(Planted::ForgetsDeadlines, Oracle::Orders);
}

#[test]
fn freezes_beyond_their_budget_are_found() {
    found(Planted::Overstays, Oracle::Freezes);
}

#[test]
fn two_registrations_of_one_name_are_found() {
    found(Planted::AdmitsTwice, Oracle::Registrations);
}

#[test]
fn nodes_that_do_not_return_are_found() {
    found(Planted::NeverReturns, Oracle::Registrations);
}

#[test]
fn orders_that_are_never_forgotten_are_found() {
    found(Planted::KeepsOrders, Oracle::Bounds);
}

#[test]
fn streams_beyond_their_limit_are_found() {
    found(Planted::Unlimited, Oracle::Bounds);
}

#[test]
fn an_order_that_is_not_the_seeds_is_found() {
    found(Planted::Unordered, Oracle::Determinism);
}

/// What is left of a plan still fails, and no fault can be left out of it.
#[test]
fn a_failing_plan_is_made_small() {
    let plan = found(Planted::KeepsAborted, Oracle::Files);
    let smallest = shrink(&plan, Planted::KeepsAborted, Oracle::Files);
    let fails =
        |plan: &Plan| run(plan, Planted::KeepsAborted).violation.is_some_and(|v| v.oracle == Oracle::Files);
    assert!(fails(&smallest));
    assert!(smallest.faults.len() < plan.faults.len());
    for i in 0..smallest.faults.len() {
        let mut smaller = smallest.clone();
        smaller.faults.remove(i);
        assert!(!fails(&smaller), "fault {i} can be left out");
    }
}
