//! A freezer that is killed at any instruction leaves its target untraced and running.

use crate::common::Target;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;
use stillframe_target::freeze::freeze;
use stillframe_target::process;

/// In the environment of a process that is only there to freeze: the pid of its target.
const TARGET: &str = "STILLFRAME_TEST_TARGET";

/// Not a test of its own: the process that is killed runs this one, which freezes without end.
#[test]
fn freeze_without_end() {
    let Ok(pid) = std::env::var(TARGET) else { return };
    let pid = pid.parse().unwrap();
    writeln!(std::io::stdout(), "begins").unwrap();
    loop {
        let Ok(process) = process::find(pid) else { return };
        let frozen = freeze(&process, Duration::from_secs(10));
        std::hint::black_box(frozen.as_ref().map(|f| f.threads().len())).ok();
    }
}

#[test]
fn a_killed_freezer_lets_its_target_go() {
    let mut target = Target::go("busy", &[]);
    target.assert_progress();
    let mut met = 0;
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    for _ in 0..60 {
        let mut freezer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::freeze_without_end", "--nocapture"])
            .env(TARGET, target.pid().to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = freezer.stdout.take().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(output));
        assert!(lines.any(|line| line.unwrap().contains("begins")));
        // xorshift: some time within its first 5 ms or so.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let until = std::time::Instant::now() + Duration::from_nanos(random % 5_000_000);
        while std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        met += u32::from(target.states().iter().any(|(_, tracer)| *tracer != 0));
        freezer.kill().unwrap();
        freezer.wait().unwrap();
        target.assert_free();
        target.assert_progress();
    }
    println!("60 freezers killed, the target was traced just before in {met} of them");
    assert!(met > 0);
}
