//! Stops all threads of a process for a bounded time, and always lets it go.
//!
//! Invariants, each of them tested:
//!
//! * Every way out resumes: [`Frozen::resume`], dropping it, the budget, an error, a panic, and SIGKILL of this process.
//!   For the last the kernel does it: `PTRACE_O_EXITKILL` is never set.
//! * The target gets every signal that it would have got without a freeze, once.
//! * The budget is kept by the tracing thread, whatever the caller does. When it is spent the target runs, and
//!   [`Frozen::is_frozen`] says so: what a caller read since it last said yes is of no instant and must be thrown away.
//! * No memory is written and no signal is sent, SIGSTOP neither: a target stopped by job control stays stopped, another
//!   one is not seen to stop by its parent.
//!
//! What a freeze cannot hide: a blocking system call of C code may return EINTR (ptrace(2), "PTRACE_INTERRUPT"); Go's
//! runtime retries. A target should not be a child that another thread of this process is waiting for: that wait
//! would take the stops of this one.
//!
//! One limit: `PTRACE_SEIZE` waits for an exec of the target that is under way (kernel/ptrace.c, `ptrace_attach`:
//! `cred_guard_mutex`). If that exec began after the first thread had been stopped, and its file system is slow, the
//! stopped threads wait as long. A fatal signal ends that wait, so a freezer that is a process of its own
//! ([`crate::freezer`]) ends itself a second after the budget, and the kernel lets everything go: other targets that it
//! holds, too. In a process that has other things to do there is no such limit.

mod error;
mod pause;
mod ptrace;
mod refusal;
mod tasks;
mod tracer;

pub use error::FreezeError;
pub use pause::{Ended, Pause};

use crate::clock;
use crate::memory::LiveMemory;
use crate::proc_files::{self, Stat, Status};
use crate::process::{CHANGE_NS_MAX, Process};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use stillframe_golang::thread::Thread;
use tasks::Tasks;
use tracer::{Order, Shared, Stopped, nanoseconds};

/// The longest budget that is accepted.
pub const BUDGET_MAX: Duration = Duration::from_secs(60);
const BUDGET_MIN: Duration = Duration::from_millis(1);

/// How often dead threads of the target are buried while it is being stopped. See [`wait_for_answer`].
const BURY_EVERY: Duration = Duration::from_millis(5);

/// How long after the end of its budget a freeze that has not answered is given up. The tracing thread answers by half of
/// the budget, unless the kernel keeps it.
const OVERDUE_NS: i64 = 1_000_000_000;

/// A process that stands still. It runs again when this is resumed or dropped, or when the budget is spent.
#[derive(Debug)]
pub struct Frozen {
    shared: Arc<Shared>,
    threads: Vec<Thread>,
    unstopped: Vec<Unstopped>,
    memory: LiveMemory,
    process: Process,
    stat: Tasks,
    frozen_start_ns: i64,
    frozen_monotonic_ns: i64,
    /// Its end tells the tracing thread to resume.
    resume: Option<SyncSender<()>>,
    tracer: Option<JoinHandle<()>>,
}

/// A thread that did not stop in time. It has no registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unstopped {
    pub tid: u32,
    pub reason: UnstoppedReason,
}

/// Why a thread did not stop within half of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnstoppedReason {
    /// It waits in vfork, and a child runs on its stack until that execs or exits.
    Vfork,
    /// It is in an uninterruptible wait in the kernel, and will stop before it runs any of the program.
    Uninterruptible,
    /// It was given no processor (a CPU quota, a loaded host), or is in a long computation in the kernel.
    NotScheduled,
}

/// Stops all threads of a process, for at most `budget` from the first stop to the last resume.
///
/// Threads that have not stopped by half of the budget are left running, without registers: see
/// [`Frozen::unstopped`].
pub fn freeze(process: &Process, budget: Duration) -> Result<Frozen, FreezeError> {
    freeze_or_give_up(process, budget, &|| ())
}

/// As [`freeze`]. `give_up` is called if the tracing thread hangs in the kernel [`OVERDUE_NS`] after the budget's end: it
/// may end this process, which lets everything go.
pub(crate) fn freeze_or_give_up(
    process: &Process,
    budget: Duration,
    give_up: &dyn Fn(),
) -> Result<Frozen, FreezeError> {
    let pid = process.pid;
    if !(BUDGET_MIN..=BUDGET_MAX).contains(&budget) {
        return Err(FreezeError::Budget { pid, budget, budget_max: BUDGET_MAX });
    }
    let mut tasks = Tasks::open(pid)?;
    refusal::check(process, &tasks).map_err(|error| exec_or_exit(error, &tasks))?;
    let memory = LiveMemory::new(pid)?;
    let mut tids = Vec::new();
    tasks.list(&mut tids).map_err(|source| FreezeError::System {
        pid,
        doing: "listing its threads".into(),
        source,
    })?;
    let mut ns_tids = NamespaceTids { process: process.clone(), known: BTreeMap::new() };
    tids.iter().for_each(|tid| ns_tids.learn(*tid as u32));
    let mut undertaker = Tasks::open(pid)?;

    let shared = Arc::new(Shared::default());
    let (answer, answers) = sync_channel(1);
    let (resume, resumed) = sync_channel(1);
    let order = Order { process: Process { threads: tids.len() as u32, ..process.clone() }, budget, tasks };
    let of_tracer = Arc::clone(&shared);
    let tracer = std::thread::Builder::new()
        .name(format!("freeze-{pid}"))
        .spawn(move || tracer::run(order, of_tracer, answer, resumed))
        .map_err(|source| FreezeError::System { pid, doing: "starting the tracing thread".into(), source })?;

    let stopped = match wait_for_answer(pid, &answers, &mut undertaker, budget, give_up) {
        Ok(stopped) => stopped,
        Err(error) => {
            drop(resume);
            join(tracer, &shared);
            return Err(exec_or_exit(error, &undertaker));
        }
    };
    let mut frozen = Frozen {
        shared,
        threads: Vec::with_capacity(stopped.threads.len()),
        unstopped: Vec::new(),
        memory,
        process: process.clone(),
        stat: undertaker,
        frozen_start_ns: stopped.frozen_start_ns,
        frozen_monotonic_ns: stopped.frozen_monotonic_ns,
        resume: Some(resume),
        tracer: Some(tracer),
    };
    for (tid, registers) in stopped.threads {
        ns_tids.learn(tid);
        let registers = registers.and_then(|r| r.ordered());
        if registers.is_none() {
            frozen.unstopped.push(Unstopped { tid, reason: UnstoppedReason::of(pid, tid) });
        }
        frozen.threads.push(Thread { tid, ns_tid: ns_tids.of(tid), registers });
    }
    Ok(frozen)
}

/// Waits for the tracing thread, and buries dead threads of the target meanwhile.
///
/// That is what keeps this from a deadlock: an exec in the target kills the other threads and waits until their tracer
/// has buried them, holding the very lock (`cred_guard_mutex`) that the tracing thread needs to seize the next one.
/// Burying may be done by any thread of the tracer's process (wait(2), `__WNOTHREAD`).
fn wait_for_answer(
    pid: u32,
    answers: &Receiver<Result<Stopped, FreezeError>>,
    undertaker: &mut Tasks,
    budget: Duration,
    give_up: &dyn Fn(),
) -> Result<Stopped, FreezeError> {
    let mut tids = Vec::new();
    let overdue_ns = clock::monotonic_ns() + nanoseconds(budget) + OVERDUE_NS;
    loop {
        match answers.recv_timeout(BURY_EVERY) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Disconnected) => return Err(FreezeError::Lost { pid }),
            Err(RecvTimeoutError::Timeout) => {
                if undertaker.list(&mut tids).is_ok() {
                    tids.iter().for_each(|tid| ptrace::bury(*tid, pid as i32));
                }
                if clock::monotonic_ns() >= overdue_ns {
                    give_up();
                }
            }
        }
    }
}

/// From the first sign of it, an exec and an exit look alike: threads die, the leader too, and the memory goes. The target
/// is not held (any more), so soon it is either dead or another program.
fn exec_or_exit(error: FreezeError, tasks: &Tasks) -> FreezeError {
    let (FreezeError::Execed { pid } | FreezeError::Exited { pid }) = error else { return error };
    let give_up_ns = clock::monotonic_ns() + CHANGE_NS_MAX;
    loop {
        match tasks.stat() {
            Ok(stat) if !stat.process_has_exited() => {
                if !stat.is_exiting() || clock::monotonic_ns() >= give_up_ns {
                    return FreezeError::Execed { pid };
                }
            }
            _ => return FreezeError::Exited { pid },
        }
        std::thread::yield_now();
    }
}

/// Waits for the end of the tracing thread as the kernel sees it. A join comes earlier: it is told when the thread gives
/// up its memory, and threads of the target that were not detached are let go after that (kernel/exit.c, `do_exit`:
/// `exit_mm`, then `exit_notify`).
fn join(tracer: JoinHandle<()>, shared: &Shared) {
    // If it panicked, its end let the target go; `Lost` or `Failed` tells.
    let _ = tracer.join();
    if let Some(tid) = shared.tracer.get() {
        let thread = format!("/proc/self/task/{tid}");
        // The kernel is on its way, and tells nobody when it is done.
        while std::path::Path::new(&thread).exists() {
            std::thread::yield_now();
        }
    }
}

impl Frozen {
    /// The threads, those without registers too.
    pub fn threads(&self) -> &[Thread] {
        &self.threads
    }

    /// The threads that did not stop.
    pub fn unstopped(&self) -> &[Unstopped] {
        &self.unstopped
    }

    /// Whether no thread can be running the program: each has stopped, or is inside the kernel and will stop before it
    /// comes back. The child of a vfork is no thread of the process, and runs.
    pub fn all_stopped(&self) -> bool {
        self.unstopped.iter().all(|u| u.reason.is_in_the_kernel())
    }

    /// The target's memory. It can be read after the target was resumed as well: ask [`Frozen::is_frozen`].
    pub fn memory(&self) -> &LiveMemory {
        &self.memory
    }

    /// Whether the target was still frozen when this was called. If so, everything read before is of one instant; if
    /// not, what was read since the last yes must be thrown away.
    pub fn is_frozen(&self) -> bool {
        // A thread that has not stopped may be in an exec, which kills the others and changes the memory behind the pid.
        let same_program = || self.stat.stat().is_ok_and(|now| self.process.is_program_of(&now));
        self.shared.is_frozen() && (self.unstopped.is_empty() || same_program())
    }

    /// Wall time when the last thread had stopped.
    pub fn frozen_start_ns(&self) -> i64 {
        self.frozen_start_ns
    }

    /// `CLOCK_MONOTONIC` at that time: what Go's `nanotime` said to the target.
    pub fn frozen_monotonic_ns(&self) -> i64 {
        self.frozen_monotonic_ns
    }

    /// Resumes all threads and returns when they run.
    pub fn resume(mut self) -> Pause {
        self.end();
        let unknown =
            Duration::from_nanos((clock::monotonic_ns() - self.frozen_monotonic_ns).max(0).cast_unsigned());
        self.shared.pause.get().copied().unwrap_or(Pause {
            pause_start_ns: self.frozen_start_ns,
            pause: unknown,
            frozen_start_ns: self.frozen_start_ns,
            frozen: unknown,
            frozen_monotonic_ns: self.frozen_monotonic_ns,
            ended: Ended::Failed,
        })
    }

    fn end(&mut self) {
        drop(self.resume.take());
        if let Some(tracer) = self.tracer.take() {
            join(tracer, &self.shared);
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.end();
    }
}

impl UnstoppedReason {
    /// Whether the thread cannot be running the program.
    pub(crate) fn is_in_the_kernel(self) -> bool {
        self != UnstoppedReason::NotScheduled
    }

    fn of(pid: u32, tid: u32) -> UnstoppedReason {
        match Stat::read(&format!("/proc/{pid}/task/{tid}/stat")) {
            Ok(stat) if stat.state == b'D' && in_vfork(pid, tid) => UnstoppedReason::Vfork,
            Ok(stat) if stat.state == b'D' => UnstoppedReason::Uninterruptible,
            _ => UnstoppedReason::NotScheduled,
        }
    }
}

/// `/proc/PID/task/TID/syscall` begins with the number of the system call that a thread waits in and its arguments
/// (proc_pid_syscall(5)). A clone is a vfork by its first argument; a clone3 that waits can be nothing else.
fn in_vfork(pid: u32, tid: u32) -> bool {
    const CLONE_VFORK: u64 = 0x4000;
    let Ok(bytes) = proc_files::read_at_most(&format!("/proc/{pid}/task/{tid}/syscall"), 512) else {
        return false;
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut words = text.split_ascii_whitespace();
    let number = words.next().and_then(|w| w.parse::<i64>().ok());
    let flags =
        words.next().and_then(|w| u64::from_str_radix(w.trim_start_matches("0x"), 16).ok()).unwrap_or(0);
    match number {
        Some(nix::libc::SYS_clone) => flags & CLONE_VFORK != 0,
        Some(nix::libc::SYS_clone3) => true,
        #[cfg(target_arch = "x86_64")]
        Some(nix::libc::SYS_vfork) => true,
        _ => false,
    }
}

/// What `gettid` returns in the target. Read before the freeze, for the threads that were there by then, and only if it
/// differs at all.
struct NamespaceTids {
    process: Process,
    known: BTreeMap<u32, u32>,
}

impl NamespaceTids {
    fn learn(&mut self, tid: u32) {
        if self.process.in_pid_namespace && !self.known.contains_key(&tid) {
            let pid = self.process.pid;
            let status = Status::read(&format!("/proc/{pid}/task/{tid}/status")).ok();
            self.known.extend(status.and_then(|s| s.ns_pids.last().copied()).map(|ns_tid| (tid, ns_tid)));
        }
    }

    fn of(&self, tid: u32) -> u32 {
        self.known.get(&tid).copied().unwrap_or(tid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_tracing_thread_that_never_answers_is_given_up() {
        let pid = std::process::id();
        let (answer, answers) = sync_channel(1);
        let given_up = Cell::new(None);
        let begin_ns = clock::monotonic_ns();
        let give_up = || {
            given_up.set(Some(clock::monotonic_ns() - begin_ns));
            let _ = answer.try_send(Err(FreezeError::Lost { pid }));
        };
        let budget = Duration::from_millis(100);
        let result = wait_for_answer(pid, &answers, &mut Tasks::open(pid).unwrap(), budget, &give_up);
        assert!(matches!(result, Err(FreezeError::Lost { .. })));
        assert!(given_up.get().is_some_and(|after_ns| after_ns >= nanoseconds(budget) + OVERDUE_NS));
    }
}
