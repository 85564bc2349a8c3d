//! Agent and freezer, two processes: whichever of them is killed or stopped, at whatever moment, the target is let go, runs
//! on in all its parts, and what is told is true. And neither has more privileges than it needs.
//!
//! `STILLFRAME_KILLS` says how often each of them is killed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use stillframe_tests::agent::{Agent, is_gone, is_traced, send, status_field};
use stillframe_tests::health::Health;
use stillframe_tests::process_state::assert_free;
use stillframe_tests::programs::{Kind, Program, Running, pause, poll};
use stillframe_tests::stillframe::{command, freezer, run};

const KILLS_DEFAULT: usize = 40;
/// How often the program is asked how it is while the killing goes on.
const HEALTH_EVERY: usize = 10;
/// Everything in the program must have gone on by then.
const PROGRESS_MAX: Duration = Duration::from_secs(30);
/// A loaded host may leave the freezer, or who watches it, without a processor for as long.
const GRACE: Duration = Duration::from_millis(400);
const BUDGET: Duration = Duration::from_millis(300);
const PATIENT_BUDGET: Duration = Duration::from_secs(5);
/// How often it is tried to catch an agent in its freeze.
const TRIES_MAX: usize = 200;

/// The `busy` program with calls into C.
struct Busy {
    process: Running,
    port: u16,
    folder: tempfile::TempDir,
}

impl Busy {
    fn start() -> Busy {
        let program = Program::all("busy").into_iter().rfind(|p| p.kind == Kind::Cgo).unwrap();
        let process = Running::start(&mut program.command(), None);
        let port = process.ready[1].parse().expect("busy says its port");
        Busy { process, port, folder: tempfile::tempdir().unwrap() }
    }

    fn pid(&self) -> u32 {
        self.process.pid()
    }

    fn agent(&self, budget: Duration) -> Agent {
        Agent::start(self.pid(), &self.file(), budget)
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("snapshot.db")
    }

    /// Untraced, not stopped, well, and going on in all of its loads.
    fn assert_well(&self, what: &str) {
        assert_free(self.pid(), what);
        let before = Health::of(self.port);
        let goes_on = || Health::of(self.port).stalled_since(&before, true).is_empty().then_some(());
        if poll(PROGRESS_MAX, goes_on).is_none() {
            panic!("{what}: these stand still: {:?}", Health::of(self.port).stalled_since(&before, true));
        }
        let health = Health::of(self.port);
        assert!(health.ok, "{what}: it is not well: {}", health.reason);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Agent,
    Freezer,
}

#[test]
fn a_killed_agent_lets_its_target_go() {
    kill_again_and_again(Victim::Agent);
}

#[test]
fn a_killed_freezer_lets_its_target_go_and_the_agent_says_so() {
    kill_again_and_again(Victim::Freezer);
}

/// Half of the kills are spread over a capture's duration, the others over the time in which the program is held.
fn kill_again_and_again(victim: Victim) {
    let kills: usize = match std::env::var("STILLFRAME_KILLS") {
        Ok(number) => number.parse().unwrap_or_else(|e| panic!("STILLFRAME_KILLS={number}: {e}")),
        Err(_) => KILLS_DEFAULT,
    };
    let busy = Busy::start();
    let began = Instant::now();
    let (mut duration, mut held) = measure(&busy);
    let (mut while_frozen, mut told) = (0, 0);
    for i in 0..kills {
        let mut agent = busy.agent(PATIENT_BUDGET);
        let part = (i / 2) as f64 / kills.div_ceil(2) as f64;
        if i % 2 == 0 {
            let until = duration.mul_f64(part);
            while agent.age() < until {
                std::thread::yield_now();
            }
        } else if agent.await_freeze(busy.pid()) {
            let (seen, until) = (Instant::now(), held.mul_f64(part));
            while seen.elapsed() < until {
                std::thread::yield_now();
            }
        }
        let freezer = agent.freezer();
        while_frozen += usize::from(is_traced(busy.pid()));
        match victim {
            Victim::Agent => agent.signal(Signal::SIGKILL),
            Victim::Freezer => freezer.into_iter().for_each(|pid| send(pid, Signal::SIGKILL)),
        }
        let what = format!("{victim:?} killed, number {i}");
        let (code, said) = agent.wait();
        match (victim, code) {
            (Victim::Agent, _) => {}
            (Victim::Freezer, Some(0)) => {}
            (Victim::Freezer, code) => {
                assert!(code == Some(1) && said.contains("the freezer ended"), "{what}: {code:?}: {said}");
                told += 1;
            }
        }
        if let Some(freezer) = freezer {
            assert!(poll(PROGRESS_MAX, || is_gone(freezer).then_some(())).is_some(), "{what}: it stays");
        }
        assert_free(busy.pid(), &what);
        if i % HEALTH_EVERY == HEALTH_EVERY - 1 {
            busy.assert_well(&what);
            (duration, held) = measure(&busy);
        }
    }
    busy.assert_well("at the end");
    println!(
        "{victim:?}: {kills} killed in {:.0} s, {while_frozen} of them while the program was held; a capture takes {} ms \
         and holds it for {} us; {told} agents said that the freezer ended",
        began.elapsed().as_secs_f64(),
        duration.as_millis(),
        held.as_micros()
    );
    assert!(while_frozen > 0, "none of {kills} kills met the program while it was held");
    assert!(victim == Victim::Agent || told > 0, "no agent met the end of its freezer");
}

/// How long a capture takes, and for how long it holds the program.
fn measure(busy: &Busy) -> (Duration, Duration) {
    let mut agent = busy.agent(PATIENT_BUDGET);
    let seen = agent.await_freeze(busy.pid()).then(Instant::now);
    while is_traced(busy.pid()) {
        std::thread::yield_now();
    }
    let held = seen.map_or(Duration::from_millis(1), |seen| seen.elapsed());
    while !agent.has_ended() {
        std::thread::yield_now();
    }
    let duration = agent.age();
    let (code, said) = agent.wait();
    assert!(matches!(code, Some(0 | 10)), "{said}");
    (duration, held)
}

/// Tries until an agent was stopped while it held the program.
fn stopped_in_freeze(busy: &Busy, budget: Duration) -> (Agent, Instant) {
    for _ in 0..TRIES_MAX {
        let began = Instant::now();
        let mut agent = busy.agent(budget);
        if agent.stop_in_freeze(busy.pid()) {
            return (agent, began);
        }
        agent.signal(Signal::SIGCONT);
        agent.wait();
    }
    panic!("in {TRIES_MAX} tries no agent was caught while it held the program");
}

#[test]
fn a_stopped_agent_costs_its_target_no_more_than_the_budget() {
    let busy = Busy::start();
    for _ in 0..TRIES_MAX {
        let whole_before = Health::reset_gap(busy.port);
        assert!(whole_before.ok, "{}", whole_before.reason);
        let (agent, _) = stopped_in_freeze(&busy, BUDGET);
        let seen = Instant::now();
        while is_traced(busy.pid()) {
            assert!(seen.elapsed() < BUDGET + GRACE, "it is held for longer than its budget of {BUDGET:?}");
            std::thread::yield_now();
        }
        let held = seen.elapsed();
        // It runs on, and differs from what was read of it, when the agent goes on.
        pause(BUDGET);
        let gap = Duration::from_nanos(Health::of(busy.port).max_gap_ns);
        assert!(gap <= BUDGET + GRACE, "its heartbeat stood for {gap:?}, its budget was {BUDGET:?}");
        agent.signal(Signal::SIGCONT);
        let (code, said) = agent.wait();
        println!("held for {held:?} more after it was seen, heartbeat stood for {gap:?}: {code:?}");
        // Stopped between the last read and the resume it has everything, of one instant.
        if code == Some(0) {
            continue;
        }
        assert!(said.contains("budget"), "{code:?}: {said}");
        assert!(matches!(code, Some(1 | 10)), "{code:?}: {said}");
        if code == Some(10) {
            assert_no_mixture(&busy.file());
        }
        busy.assert_well("after a stopped agent");
        return;
    }
    panic!("no agent was stopped before its last read");
}

/// What was read is of one instant: each stack is whole, or says that the budget was spent.
fn assert_no_mixture(file: &Path) {
    let file = file.to_str().unwrap();
    let query = "select count(*) from goroutines join stacks using (stack_id) \
                 where stop_reason <> 'complete' and stop_reason not like '%budget%'";
    let ran = run(&["sql", file, query, "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stdout.contains('0') && !ran.stdout.contains(['1', '2', '3', '4', '5', '6', '7', '8', '9']),
        "{}",
        ran.stdout
    );
}

/// Bits of capability sets (include/uapi/linux/capability.h).
const CAP_CHOWN: u64 = 1 << 0;
const CAP_DAC_OVERRIDE: u64 = 1 << 1;
const CAP_DAC_READ_SEARCH: u64 = 1 << 2;
const CAP_FOWNER: u64 = 1 << 3;
const CAP_SYS_PTRACE: u64 = 1 << 19;
const CAP_SYS_ADMIN: u64 = 1 << 21;

fn capabilities(process: &str, set: &str) -> u64 {
    let text = status_field(process, set).unwrap_or_else(|| panic!("{process} has no {set}"));
    u64::from_str_radix(&text, 16).unwrap()
}

/// Each thread has these of those that this test has, all but one in force, and cannot get others; the number of threads.
fn assert_capabilities(pid: u32, expected: u64) -> usize {
    let in_force = expected & !CAP_SYS_ADMIN;
    let mine = capabilities("self", "CapPrm");
    let mut threads = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let thread = format!("{pid}/task/{}", task.unwrap().file_name().to_str().unwrap());
        for (set, expected) in
            [("CapEff", in_force & mine), ("CapPrm", expected & mine), ("CapInh", 0), ("CapAmb", 0)]
        {
            assert_eq!(capabilities(&thread, set), expected, "{set} of {thread}");
        }
        assert_eq!(status_field(&thread, "NoNewPrivs").as_deref(), Some("1"), "{thread}");
        assert!(mine == 0 || capabilities(&thread, "CapBnd") & !expected == 0, "CapBnd of {thread}");
        threads += 1;
    }
    threads
}

#[test]
fn agent_and_freezer_have_the_privileges_that_they_need_and_no_others() {
    let busy = Busy::start();
    let (agent, _) = stopped_in_freeze(&busy, PATIENT_BUDGET);
    let freezer = agent.freezer().expect("it holds the program");
    for (pid, expected) in [
        (freezer, CAP_SYS_PTRACE | CAP_DAC_READ_SEARCH | CAP_SYS_ADMIN),
        (agent.pid(), CAP_DAC_OVERRIDE | CAP_FOWNER | CAP_CHOWN),
    ] {
        let threads = assert_capabilities(pid, expected);
        assert!(threads > 1, "pid {pid} has one thread: the test misses those that it is about");
    }
    agent.signal(Signal::SIGCONT);
    agent.wait();
    busy.assert_well("after a look at capabilities");
}

/// Who reads a core file needs no freezer, and none of its privileges. It is looked at while it waits for the executable.
#[test]
fn a_core_file_is_read_without_privileges_over_processes() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    let made = Command::new("mkfifo").arg(path("exe")).status().unwrap();
    assert!(made.success(), "mkfifo: {made}");
    std::fs::write(path("core"), "").unwrap();
    let mut command = command();
    command.arg("snapshot").arg("--core").arg(path("core")).arg("--exe").arg(path("exe"));
    let mut child = command.arg("-o").arg(path("file")).stderr(Stdio::null()).spawn().unwrap();
    let waits = || std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap().count() > 1;
    assert!(poll(PROGRESS_MAX, || waits().then_some(())).is_some(), "it has no second thread");
    assert_capabilities(child.id(), CAP_DAC_OVERRIDE | CAP_FOWNER | CAP_CHOWN);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_verb_of_the_freezer_is_for_no_user() {
    let ran = run(&["freezer"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("is started by Stillframe itself"), "{}", ran.stderr);
    for arguments in [&["--help"][..], &["-h"], &["snapshot", "--help"]] {
        assert!(!run(arguments).stdout.contains("freezer"));
    }
}

#[test]
fn a_freezer_that_is_gone_is_named_by_every_call() {
    use stillframe_target::freezer::FreezerError;
    let busy = Busy::start();
    let freezer = freezer();
    let target = freezer.open(busy.pid()).unwrap();
    let frozen = target.freeze(PATIENT_BUDGET).unwrap();
    assert!(frozen.is_frozen() && frozen.all_stopped());
    send(freezer.pid(), Signal::SIGKILL);
    let ended = |error: FreezerError| {
        assert!(error.to_string().contains("killed by signal 9"), "{error}");
    };
    ended(frozen.resume().unwrap_err());
    ended(target.freeze(PATIENT_BUDGET).unwrap_err());
    ended(target.fate().unwrap_err());
    ended(target.executable().unwrap_err());
    ended(freezer.list().unwrap_err());
    ended(freezer.open(busy.pid()).unwrap_err());
    busy.assert_well("after the end of its freezer");
}

#[test]
fn a_freezer_that_hangs_is_killed_and_its_target_runs() {
    use stillframe_target::freezer::FreezerError;
    let busy = Busy::start();
    let freezer = freezer();
    let frozen = freezer.open(busy.pid()).unwrap().freeze(BUDGET).unwrap();
    send(freezer.pid(), Signal::SIGSTOP);
    let error: FreezerError = frozen.resume().unwrap_err();
    assert!(error.to_string().contains("did not answer"), "{error}");
    assert_free(busy.pid(), "its freezer was stopped");
    assert!(freezer.open(busy.pid()).unwrap_err().to_string().contains("killed by signal 9"));
    busy.assert_well("after a freezer that hung");
}

/// Conversations do not wait for each other.
#[test]
fn several_targets_stand_still_at_the_same_instant() {
    let programs: Vec<Running> =
        (0..3).map(|_| Running::start(&mut Program::any("still").command(), None)).collect();
    let freezer = freezer();
    let targets: Vec<_> = programs.iter().map(|p| freezer.open(p.pid()).unwrap()).collect();
    let frozen: Vec<_> = targets.iter().map(|t| t.freeze(PATIENT_BUDGET).unwrap()).collect();
    assert!(programs.iter().all(|p| is_traced(p.pid())));
    assert!(targets[0].freeze(PATIENT_BUDGET).is_err(), "a second freeze within the first one");
    for (frozen, program) in frozen.into_iter().zip(&programs).skip(1) {
        assert!(frozen.is_frozen());
        frozen.resume().unwrap();
        assert_free(program.pid(), "resumed");
    }
    drop(freezer);
    assert_free(programs[0].pid(), "refused a second freeze");
}
