//! One instant for all: eight programs on four hosts, frozen at one time. A snapshot that says that they stood still together
//! is held against the windows themselves, for all hosts of this test have one clock: it may claim less, never more.
//!
//! `STILLFRAME_CUTS` says how many snapshots are taken.

use std::path::Path;

use serde_json::Value;
use stillframe_tests::captured::rows;
use stillframe_tests::cluster::Cluster;
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Kind, Program};
use stillframe_tests::stillframe::run_command;

const HOSTS: [&str; 4] = ["a", "b", "c", "d"];
const PROGRAMS_PER_HOST: usize = 2;
const CUTS_DEFAULT: usize = 4;
/// More than schedulers are apart that have other work.
const HOLD: &str = "100ms";

/// Of one snapshot, in nanoseconds.
struct Cut {
    consistent: bool,
    claimed: i64,
    /// By the windows, on the one clock that there is.
    real: i64,
    /// The same of the programs of each host.
    of_hosts: Vec<i64>,
    longest_pause: i64,
}

fn number(row: &Value, name: &str) -> i64 {
    row[name].as_i64().unwrap_or_else(|| panic!("{name} of {row}"))
}

impl Cut {
    fn of(file: &Path) -> Cut {
        let snapshot = &rows(file, "select consistent_cut, cut_overlap_ns from snapshot")[0];
        let query = "select host_id, frozen_start_unix_ns, frozen_ns, pause_ns from processes where frozen_ns is not null";
        let windows = rows(file, query);
        assert_eq!(windows.len(), HOSTS.len() * PROGRAMS_PER_HOST, "all are captured");
        let overlap = |host: Option<i64>| {
            let some = || windows.iter().filter(|w| host.is_none_or(|host| number(w, "host_id") == host));
            let start = some().map(|w| number(w, "frozen_start_unix_ns")).max();
            let end = some().map(|w| number(w, "frozen_start_unix_ns") + number(w, "frozen_ns")).min();
            end.zip(start).map(|(end, start)| end - start).expect("there are some")
        };
        let mut hosts: Vec<i64> = windows.iter().map(|w| number(w, "host_id")).collect();
        hosts.dedup();
        Cut {
            consistent: number(snapshot, "consistent_cut") == 1,
            claimed: number(snapshot, "cut_overlap_ns"),
            real: overlap(None),
            of_hosts: hosts.into_iter().map(|host| overlap(Some(host))).collect(),
            longest_pause: windows.iter().map(|w| number(w, "pause_ns")).max().expect("there are some"),
        }
    }
}

#[test]
fn eight_programs_on_four_hosts_stand_still_together_where_a_snapshot_says_so() {
    let count = std::env::var("STILLFRAME_CUTS")
        .map_or(CUTS_DEFAULT, |count| count.parse().expect("a number"))
        .max(1);
    let cluster = Cluster::start("10.78.4", &HOSTS);
    let program = Program::all("still").into_iter().rfind(|p| p.kind == Kind::Normal).unwrap();
    let programs: Vec<_> = HOSTS
        .iter()
        .flat_map(|host| (0..PROGRAMS_PER_HOST).map(|_| cluster.program(host, &program)).collect::<Vec<_>>())
        .collect();
    for hold in [None, Some(HOLD)] {
        let mut cuts = Vec::new();
        for _ in 0..count {
            let mut command =
                cluster.command(&["snapshot", "--program", "still-*", "--max-pause", "5s", "--force"]);
            if let Some(hold) = hold {
                command.args(["--hold", hold]);
            }
            let ran = run_command(command.arg("-o").arg(cluster.file()));
            assert!(matches!(ran.code, Some(0 | 10)), "{}", ran.stderr);
            cuts.push(Cut::of(&cluster.file()));
        }
        println!("hold: {}", hold.unwrap_or("none"));
        judge(&cuts);
        assert!(hold.is_none() || cuts.iter().any(|cut| cut.consistent), "no cut is consistent");
    }
    for (_, pid) in &programs {
        assert_free(*pid, "after all of it");
    }
}

/// Prints what there is to say of them.
fn judge(cuts: &[Cut]) {
    for cut in cuts {
        assert_eq!(cut.consistent, cut.claimed > 0);
        assert!(cut.claimed <= cut.real, "{} ns are claimed, {} ns are true", cut.claimed, cut.real);
    }
    let share = |is: &dyn Fn(&Cut) -> bool| 100 * cuts.iter().filter(|cut| is(cut)).count() / cuts.len();
    let spread = |of: &dyn Fn(&Cut) -> i64| {
        let mut all: Vec<i64> = cuts.iter().map(of).collect();
        all.sort_unstable();
        let at = |part: usize| all[(all.len() - 1) * part / 10] as f64 / 1e6;
        format!("{:.2} / {:.2} / {:.2} ms", at(1), at(5), at(9))
    };
    println!(
        "{} snapshots of {} programs on {} hosts",
        cuts.len(),
        HOSTS.len() * PROGRAMS_PER_HOST,
        HOSTS.len()
    );
    println!("consistent: {} %, by the windows alone {} %", share(&|c| c.consistent), share(&|c| c.real > 0));
    let of_a_host = |cut: &Cut| cut.of_hosts.iter().all(|&overlap| overlap > 0);
    println!("all of each host together: {} %", share(&of_a_host));
    println!("overlap (10 %, median, 90 %): {}", spread(&|c| c.claimed));
    println!("overlap by the windows alone: {}", spread(&|c| c.real));
    println!("longest pause: {}", spread(&|c| c.longest_pause));
    assert!(cuts.iter().any(of_a_host), "the programs of a host never stood still together");
}
