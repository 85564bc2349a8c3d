//! Freezing real programs: every way out resumes, and nothing is lost.

use crate::common::{Target, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Command;
use std::time::{Duration, Instant};
use stillframe_golang::memory::Memory;
use stillframe_target::freeze::{BUDGET_MAX, Ended, FreezeError, UnstoppedReason, freeze};
use stillframe_target::process;

const BUDGET: Duration = Duration::from_secs(10);

fn pid_of(target: &Target) -> Pid {
    Pid::from_raw(target.pid() as i32)
}

#[test]
fn all_threads_stop_and_go_on() {
    let mut target = Target::go("busy", &[]);
    target.assert_progress();
    let frozen = freeze(&target.process(), BUDGET).unwrap();
    assert!(frozen.is_frozen() && frozen.all_stopped());
    assert!(frozen.threads().len() >= 3);
    assert!(frozen.threads().iter().all(|t| t.registers.is_some() && t.ns_tid == t.tid));
    // The tracer is a thread of this process.
    let states = target.states();
    let ours = |tid: u32| std::path::Path::new(&format!("/proc/self/task/{tid}")).exists();
    assert!(states.iter().all(|(state, tracer)| *state == 't' && ours(*tracer)), "{states:?}");
    for registers in frozen.threads().iter().filter_map(|t| t.registers.as_ref()) {
        assert!(frozen.memory().read_u64(registers.general[7]).is_ok());
        assert!(frozen.memory().read_bytes(registers.pc, 1).is_ok());
    }
    let pause = frozen.resume();
    assert_eq!(pause.ended, Ended::Asked);
    assert!(pause.frozen <= pause.pause && pause.pause_start_ns <= pause.frozen_start_ns);
    target.assert_free();
    target.assert_progress();
}

#[test]
fn nothing_moves_while_it_is_frozen() {
    let mut target = Target::go("busy", &[]);
    target.assert_progress();
    let frozen = freeze(&target.process(), BUDGET).unwrap();
    let stacks: Vec<u64> =
        frozen.threads().iter().map(|t| t.registers.as_ref().unwrap().general[7]).collect();
    let read = || -> Vec<Vec<u8>> {
        stacks.iter().map(|sp| frozen.memory().read_bytes(*sp, 256).unwrap()).collect()
    };
    let first = read();
    for _ in 0..1000 {
        assert_eq!(read(), first);
    }
    assert!(frozen.is_frozen());
}

#[test]
fn dropping_resumes() {
    let mut target = Target::go("busy", &[]);
    target.assert_progress();
    drop(freeze(&target.process(), BUDGET).unwrap());
    target.assert_free();
    target.assert_progress();
}

#[test]
fn a_panic_of_the_caller_resumes() {
    let mut target = Target::go("busy", &[]);
    target.assert_progress();
    let process = target.process();
    let result = std::thread::spawn(move || {
        let _frozen = freeze(&process, BUDGET).unwrap();
        std::panic::resume_unwind(Box::new("as planned"));
    });
    assert!(result.join().is_err());
    target.assert_free();
    target.assert_progress();
}

#[test]
fn the_budget_resumes_whatever_the_caller_does() {
    let mut target = Target::go("busy", &[]);
    target.assert_progress();
    let budget = Duration::from_millis(50);
    let frozen = freeze(&target.process(), budget).unwrap();
    // The caller does nothing but ask the target itself, which can answer only when it runs.
    let started = Instant::now();
    target.counters();
    assert!(!frozen.is_frozen());
    target.assert_free();
    let pause = frozen.resume();
    assert_eq!(pause.ended, Ended::Budget);
    assert!(pause.pause >= budget && pause.frozen <= pause.pause, "{pause:?}");
    println!("budget {budget:?}: paused {:?}, answered after {:?}", pause.pause, started.elapsed());
    target.assert_progress();
}

#[test]
fn five_hundred_freezes_leave_a_preempted_program_running() {
    let mut target = Target::go("busy", &[]);
    target.assert_progress();
    target.reset_gap();
    let (mut pauses, mut spent) = (Vec::new(), 0);
    for _ in 0..500 {
        let pause = freeze(&target.process(), BUDGET).unwrap().resume();
        spent += usize::from(pause.ended != Ended::Asked);
        pauses.push(pause.pause);
    }
    let gap = Duration::from_nanos(target.counters().gap_worst_ns.unsigned_abs());
    pauses.sort();
    println!(
        "busy Go, {} threads, 500 freezes: median {:?}, 99% {:?}, worst {:?}; worst gap of its heartbeat {gap:?}",
        target.process().threads,
        pauses[250],
        pauses[495],
        pauses[499]
    );
    assert_eq!(spent, 0);
    target.assert_free();
    target.assert_progress();
}

#[test]
fn an_idle_program_is_frozen_quickly() {
    let target = Target::go("idle", &[]);
    target.line();
    let mut pauses: Vec<_> =
        (0..200).map(|_| freeze(&target.process(), BUDGET).unwrap().resume().pause).collect();
    pauses.sort();
    println!(
        "idle Go, {} threads, 200 freezes: median {:?}, 99% {:?}, worst {:?}",
        target.process().threads,
        pauses[100],
        pauses[198],
        pauses[199]
    );
    target.assert_free();
}

#[test]
fn signals_sent_during_a_freeze_arrive() {
    let mut target = Target::go("busy", &[]);
    target.assert_progress();
    for round in 1..=50 {
        let frozen = freeze(&target.process(), BUDGET).unwrap();
        kill(pid_of(&target), Signal::SIGUSR1).unwrap();
        frozen.resume();
        wait_until("the signal arrives", || target.counters().signals == round);
    }
    target.assert_progress();
}

#[test]
fn signals_that_meet_a_freeze_arrive() {
    let mut target = Target::go("busy", &[]);
    target.assert_progress();
    for round in 1..=300 {
        // Just before, so that some threads are found about to take it.
        kill(pid_of(&target), Signal::SIGUSR1).unwrap();
        freeze(&target.process(), BUDGET).unwrap().resume();
        wait_until("the signal arrives", || target.counters().signals == round);
    }
    target.assert_progress();
}

#[test]
fn what_job_control_stopped_stays_stopped() {
    let mut target = Target::go("busy", &[]);
    target.assert_progress();
    kill(pid_of(&target), Signal::SIGSTOP).unwrap();
    let all_are = |target: &Target, wanted| target.states().iter().all(|(state, _)| *state == wanted);
    wait_until("it is stopped", || all_are(&target, 'T'));
    for _ in 0..20 {
        let frozen = freeze(&target.process(), BUDGET).unwrap();
        assert!(frozen.all_stopped() && frozen.unstopped().is_empty());
        frozen.resume();
        wait_until("it is stopped again", || all_are(&target, 'T'));
    }
    kill(pid_of(&target), Signal::SIGCONT).unwrap();
    target.assert_progress();
    target.assert_free();
}

#[test]
fn a_stop_that_comes_during_a_freeze_holds_afterwards() {
    let mut target = Target::go("busy", &[]);
    target.assert_progress();
    let frozen = freeze(&target.process(), BUDGET).unwrap();
    kill(pid_of(&target), Signal::SIGSTOP).unwrap();
    frozen.resume();
    wait_until("it is stopped", || target.states().iter().all(|(state, _)| *state == 'T'));
    kill(pid_of(&target), Signal::SIGCONT).unwrap();
    target.assert_progress();
}

#[test]
fn threads_born_during_the_freeze_are_caught() {
    let mut target = Target::go("busy", &["spawn"]);
    target.assert_progress();
    let before = target.counters().spawned;
    for _ in 0..200 {
        let frozen = freeze(&target.process(), BUDGET).unwrap();
        assert!(frozen.all_stopped(), "{:?}", frozen.unstopped());
        let states = target.states();
        assert!(states.iter().all(|(state, _)| matches!(state, 't' | 'Z' | 'X')), "{states:?}");
        assert!(frozen.is_frozen());
    }
    target.assert_free();
    target.assert_progress();
    let spawned = target.counters().spawned - before;
    println!("{spawned} threads were born during 200 freezes");
    assert!(spawned > 0);
}

#[test]
fn a_target_that_execs_gives_an_error_and_goes_on() {
    let target = Target::go("exec", &[]);
    target.line();
    let (mut frozen, mut execed, mut others, mut slowest) = (0, 0, Vec::new(), Duration::ZERO);
    let start = Instant::now();
    while (execed < 200 || frozen < 200) && start.elapsed() < Duration::from_secs(20) {
        let Ok(process) = process::find(target.pid()) else { continue };
        let began = Instant::now();
        let result = freeze(&process, Duration::from_secs(20));
        slowest = slowest.max(began.elapsed());
        match result {
            Ok(_) => frozen += 1,
            Err(FreezeError::Execed { .. }) => execed += 1,
            Err(other) => others.push(other.to_string()),
        }
    }
    println!("frozen {frozen} times, met {execed} execs, slowest {slowest:?}; {others:?}");
    assert!(execed > 0 && frozen > 0);
    assert_eq!(others, Vec::<String>::new());
    // Not by the deadline for stopping: each exec was noticed.
    assert!(slowest < Duration::from_secs(8));
    let execs = || std::iter::from_fn(|| target.line().parse::<u64>().ok());
    let now = execs().next();
    assert!(execs().any(|count| Some(count) > now), "it execs on");
}

#[test]
fn a_target_killed_while_frozen_ends_the_freeze() {
    let mut target = Target::go("busy", &[]);
    target.assert_progress();
    let frozen = freeze(&target.process(), BUDGET).unwrap();
    target.kill();
    wait_until("the freeze ends", || !frozen.is_frozen());
    assert_eq!(frozen.resume().ended, Ended::Died);
    target.wait();
    assert!(matches!(process::find(target.pid()), Err(process::ProcessError::NotFound { .. })));
}

#[test]
fn a_target_that_dies_under_the_freeze_gives_an_error() {
    let mut died = 0;
    for round in 0..30 {
        let mut target = Target::go("busy", &[]);
        target.counters();
        let process = target.process();
        let killer = std::thread::spawn(move || {
            (0..round * 20).for_each(|_| std::thread::yield_now());
            kill(Pid::from_raw(process.pid as i32), Signal::SIGKILL).unwrap();
        });
        let process = process::find(target.pid());
        let result = process.map_err(FreezeError::from).and_then(|p| freeze(&p, Duration::from_secs(2)));
        match result {
            Ok(frozen) => drop(frozen),
            Err(
                FreezeError::Exited { .. }
                | FreezeError::Process(
                    process::ProcessError::Exited { .. } | process::ProcessError::NotFound { .. },
                ),
            ) => died += 1,
            Err(other) => panic!("{other}"),
        }
        killer.join().unwrap();
        target.wait();
    }
    println!("{died} of 30 died before or under the freeze");
}

#[test]
fn a_thread_in_vfork_is_named_and_the_rest_is_frozen() {
    let built = crate::common::built_folder().join("vfork");
    let compiled = Command::new("cc")
        .arg("-O1")
        .arg("-o")
        .arg(&built)
        .arg(crate::common::source_folder().join("vfork.c"))
        .status();
    if !compiled.is_ok_and(|status| status.success()) {
        println!("skipped: no C compiler (cc)");
        return;
    }
    let mut target = Target::start(&mut Command::new(&built));
    assert_eq!(target.line(), "ready");
    let frozen = freeze(&target.process(), Duration::from_millis(100)).unwrap();
    assert_eq!(frozen.unstopped().len(), 1);
    assert_eq!(frozen.unstopped()[0].reason, UnstoppedReason::Vfork);
    assert!(frozen.all_stopped() && frozen.threads()[0].registers.is_none());
    frozen.resume();
    target.assert_free_but_for_vfork();
    target.say("");
    assert_eq!(target.line(), "done");
}

impl Target {
    /// The end of the tracing thread lets go what could not be detached.
    fn assert_free_but_for_vfork(&self) {
        wait_until("it is untraced", || self.states().iter().all(|(_, tracer)| *tracer == 0));
    }
}

#[test]
fn refusals_name_the_reason() {
    let itself = process::find(std::process::id()).unwrap();
    assert!(matches!(freeze(&itself, BUDGET), Err(FreezeError::Itself { .. })));

    let target = Target::go("idle", &[]);
    target.line();
    let process = target.process();
    assert!(matches!(freeze(&process, BUDGET_MAX * 2), Err(FreezeError::Budget { .. })));
    assert!(matches!(freeze(&process, Duration::ZERO), Err(FreezeError::Budget { .. })));

    let other = process::Process { start_ticks: process.start_ticks - 1, ..process.clone() };
    assert!(matches!(freeze(&other, BUDGET), Err(FreezeError::Replaced { .. })));
    let before_exec = process::Process { start_stack: process.start_stack - 16, ..process.clone() };
    assert!(matches!(freeze(&before_exec, BUDGET), Err(FreezeError::Execed { .. })));

    let frozen = freeze(&process, BUDGET).unwrap();
    let error = freeze(&process, BUDGET).unwrap_err();
    let expected = format!(
        "pid {0}: it is already traced by pid {1}; end that debugger",
        process.pid,
        std::process::id()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(frozen.is_frozen());
    drop(frozen);

    if let Ok(kernel) = process::find(2)
        && kernel.exe.is_none()
    {
        assert!(matches!(freeze(&kernel, BUDGET), Err(FreezeError::KernelThread { .. })));
    }
}

#[test]
fn threads_in_a_pid_namespace_have_both_ids() {
    let Ok(true) = Command::new("unshare").args(["--pid", "--fork", "true"]).status().map(|s| s.success())
    else {
        println!("skipped: no permission for a PID namespace, or no unshare");
        return;
    };
    let idle = crate::common::build_go("idle");
    let outer = Target::start(Command::new("unshare").args(["--pid", "--fork", "--kill-child"]).arg(idle));
    outer.line();
    let children = format!("/proc/{0}/task/{0}/children", outer.pid());
    let pid: u32 = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
    let process = process::find(pid).unwrap();
    assert!(process.in_pid_namespace && process.ns_pid == 1 && process.pid != 1);
    let frozen = freeze(&process, BUDGET).unwrap();
    let leader = frozen.threads().iter().find(|t| t.tid == pid).unwrap();
    assert_eq!(leader.ns_tid, 1);
    // A young namespace counts from 1.
    assert!(frozen.threads().iter().all(|t| t.ns_tid < 1000 && t.ns_tid != t.tid));
}

#[test]
fn the_dead_are_refused() {
    let mut target = Target::go("idle", &[]);
    target.line();
    let process = target.process();
    target.kill();
    wait_until("it is a zombie", || {
        matches!(process::find(process.pid), Err(process::ProcessError::Exited { .. }))
    });
    assert!(matches!(freeze(&process, BUDGET), Err(FreezeError::Exited { .. })));
    target.wait();
    assert!(matches!(
        freeze(&process, BUDGET),
        Err(FreezeError::Process(process::ProcessError::NotFound { .. }))
    ));
}
