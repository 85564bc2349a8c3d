//! Programs that are not as programs usually are when they are captured: stopped by job control, or kept from running by a
//! quota. There is a snapshot or a clear reason why not, never a hang, and the program is as it was.
//!
//! Others are elsewhere: in vfork, in exec, under another debugger, with threads that are being born: `nodes/target/tests/live`;
//! a thousand threads, processors that come and go, coroutines: `stamps.rs`; bubbles of synctest: `still`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use stillframe_tests::captured::rows;
use stillframe_tests::health::Health;
use stillframe_tests::process_state::{assert_free, threads};
use stillframe_tests::programs::{Kind, Program, Running, pause, poll};
use stillframe_tests::stillframe::{run, snapshot};

const PROGRESS_MAX: Duration = Duration::from_secs(60);
const GOROUTINES_MIN: i64 = 20;
const SNAPSHOTS: usize = 10;

fn busy() -> (Running, u16) {
    let program = Program::all("busy").into_iter().rfind(|p| p.kind == Kind::Cgo).expect("it is built");
    let process = Running::start(&mut program.command(), None);
    let port = process.ready[1].parse().expect("busy says its port");
    (process, port)
}

fn assert_goes_on(port: u16, what: &str) {
    let before = Health::of(port);
    let goes_on = || Health::of(port).stalled_since(&before, true).is_empty().then_some(());
    assert!(poll(PROGRESS_MAX, goes_on).is_some(), "{what}: it does not go on in all of its parts");
    let health = Health::of(port);
    assert!(health.ok, "{what}: it is not well: {}", health.reason);
}

#[test]
fn what_job_control_has_stopped_is_captured_and_stays_stopped() {
    let (process, port) = busy();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("s.db");
    process.signal(Signal::SIGSTOP);
    let is_stopped = || threads(process.pid()).iter().all(|t| t.state == 'T' && t.tracer == 0);
    assert!(poll(PROGRESS_MAX, || is_stopped().then_some(())).is_some(), "it does not stop");
    for _ in 0..SNAPSHOTS {
        let ran = snapshot(process.pid(), &file);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let count = rows(&file, "select count(*) as n from goroutines").remove(0);
        assert!(count["n"].as_i64().is_some_and(|n| n >= GOROUTINES_MIN), "{count}");
        fs::remove_file(&file).expect("it is there");
        let stays = poll(Duration::from_secs(2), || is_stopped().then_some(()));
        assert!(stays.is_some(), "it is not stopped any more: {:?}", threads(process.pid()));
    }
    process.signal(Signal::SIGCONT);
    assert_free(process.pid(), "after SIGCONT");
    assert_goes_on(port, "after SIGCONT");
}

/// A group of processes that have a quarter of a processor; it is removed when they are gone.
struct Quota {
    folder: PathBuf,
}

impl Quota {
    fn new(pid: u32) -> Quota {
        let first = Path::new("/sys/fs/cgroup/cpu");
        let is_first = first.join("cpu.cfs_quota_us").exists();
        let folder = if is_first { first } else { Path::new("/sys/fs/cgroup") };
        let folder = folder.join(format!("stillframe-test-{pid}"));
        let write = |name: &str, text: &str| {
            fs::write(folder.join(name), text)
                .unwrap_or_else(|e| panic!("{}: {e}", folder.join(name).display()));
        };
        fs::create_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let quota = Quota { folder: folder.clone() };
        if is_first {
            write("cpu.cfs_period_us", "100000");
            write("cpu.cfs_quota_us", "25000");
        } else {
            write("cpu.max", "25000 100000");
        }
        write("cgroup.procs", &pid.to_string());
        quota
    }

    fn was_throttled(&self) -> bool {
        let statistics = fs::read_to_string(self.folder.join("cpu.stat")).expect("a group has figures");
        statistics
            .lines()
            .any(|line| line.strip_prefix("nr_throttled ").is_some_and(|times| times.trim() != "0"))
    }
}

impl Drop for Quota {
    fn drop(&mut self) {
        // The kernel takes a moment until a process that was killed is out of it.
        let removed = poll(Duration::from_secs(10), || fs::remove_dir(&self.folder).ok());
        if removed.is_none() {
            eprintln!("{} is left", self.folder.display());
        }
    }
}

#[test]
fn a_program_that_a_quota_keeps_from_running_is_captured_or_it_is_said_why_not() {
    let (process, port) = busy();
    let pid = process.pid().to_string();
    let quota = Quota::new(process.pid());
    // Dropped before the quota is.
    let process = process;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("s.db");
    pause(Duration::from_millis(500));
    let (mut whole, mut partial, mut refused) = (0, 0, 0);
    for _ in 0..SNAPSHOTS {
        let ran =
            run(&["snapshot", "--pid", &pid, "--max-pause", "200ms", "-o", file.to_str().expect("a name")]);
        match ran.code {
            Some(0) => whole += 1,
            Some(10) => partial += 1,
            _ => {
                assert!(
                    ran.stderr.contains("did not stop") || ran.stderr.contains("budget"),
                    "{}",
                    ran.stderr
                );
                refused += 1;
            }
        }
        assert_free(process.pid(), "after a capture under a quota");
        // There is none after a refusal.
        let _ = fs::remove_file(&file);
    }
    println!("{whole} whole, {partial} partial, {refused} refused");
    assert!(quota.was_throttled(), "it has never been kept from running");
    assert!(whole + partial > 0, "none of {SNAPSHOTS} captures under a quota came to something");
    assert_goes_on(port, "under a quota");
}
