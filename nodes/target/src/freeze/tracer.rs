//! The tracing thread: it does all ptrace calls of one freeze, and nothing else.
//!
//! ptrace belongs to the thread that seized: no other thread may make a request, and when this one ends, however it
//! ends, the kernel lets every thread of the target go (kernel/ptrace.c, `exit_ptrace`). So it never reads a target's
//! memory, where it could be held up, and never waits without a limit.

use super::error::FreezeError;
use super::pause::{Ended, Pause};
use super::ptrace::{self, Observed, RawRegisters, Stop};
use super::refusal::process_of;
use super::tasks::Tasks;
use crate::clock::{monotonic_ns, realtime_ns};
use crate::proc_files::{Stat, Status};
use crate::process::Process;
use crate::remedy;
use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How often it looks whether a frozen target was killed, and how often a thread that has not stopped by then is looked
/// at again.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How often the stops are looked at before the processor is given away for longer. A look at a thread takes about
/// 0.3 us, a stop of a thread on another processor some 10 us.
const EAGER_LOOKS: u32 = 20;

/// How long it is given away for then: it is the target's threads that need it to stop.
const REST: Duration = Duration::from_micros(30);

/// After how many looks the threads that have not stopped are told again, and all are listed again: [`Hold::insist`].
const LINGERING_LOOKS: u32 = 100;

/// How often a thread that may not be seized, for no reason that shows, is tried.
const REFUSALS_MAX: u32 = 3;

/// How often the threads are listed again because their number does not agree with the list.
const RECOUNTS_MAX: u32 = 8;

/// What a freeze and its tracing thread share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    frozen: AtomicBool,
    /// The tracing thread.
    pub(super) tracer: OnceLock<i32>,
    /// Set when the last thread was resumed.
    pub(super) pause: OnceLock<Pause>,
}

impl Shared {
    /// Whether no thread had been resumed when this was called. The fence keeps reads made before it before it.
    pub(super) fn is_frozen(&self) -> bool {
        fence(Ordering::SeqCst);
        self.frozen.load(Ordering::SeqCst)
    }

    fn thaw(&self) {
        self.frozen.store(false, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }
}

/// What is to be frozen, with everything opened and allocated.
pub(super) struct Order {
    pub(super) process: Process,
    pub(super) budget: Duration,
    pub(super) tasks: Tasks,
}

/// What was frozen.
pub(super) struct Stopped {
    /// `None`: not stopped in time.
    pub(super) threads: Vec<(u32, Option<RawRegisters>)>,
    pub(super) frozen_start_ns: i64,
    pub(super) frozen_monotonic_ns: i64,
}

/// The whole life of the thread. Whatever happens, `Hold` lets the target go; a failure is told only after that.
pub(super) fn run(
    order: Order,
    shared: Arc<Shared>,
    answer: SyncSender<Result<Stopped, FreezeError>>,
    resume: Receiver<()>,
) {
    block_signals();
    be_prompt();
    let _ = shared.tracer.set(nix::unistd::gettid().as_raw());
    let mut hold = Hold::new(order, shared);
    match hold.stop_all() {
        Ok(stopped) => {
            if answer.send(Ok(stopped)).is_ok() {
                hold.wait(&resume);
            }
        }
        Err(error) => {
            drop(hold);
            // Nobody left to tell is nothing to do about.
            let _ = answer.send(Err(error));
        }
    }
}

/// No signal handler of this process runs in the tracing thread. SIGCHLD stays open: the kernel sends one at every
/// stop, and drops it where it is neither blocked nor handled; blocked here it would wake another thread.
fn block_signals() {
    let mut signals = SigSet::all();
    signals.remove(Signal::SIGCHLD);
    // The mask only spares handlers a detour: the freeze works without it.
    let _ = signals.thread_block();
}

/// Sleeps and time limits are rounded up by 50 us otherwise (prctl(2), PR_SET_TIMERSLACK).
///
/// The thread keeps its priority: a higher one (nice -5, -20; tried on Linux 6.18 with six runnable threads a processor)
/// made the median pause shorter and the worst ones five times longer, for it is the target's threads that must run in
/// order to stop.
fn be_prompt() {
    // Without it the freeze works as well.
    let _ = nix::sys::prctl::set_timerslack(1);
}

#[derive(Clone, Copy)]
enum State {
    /// Seized, and told to stop.
    Pending,
    /// Stopped; it is to be given this signal (0: none).
    Stopped(i32),
    /// Dead, or never ours: a worker of the kernel.
    Gone,
}

struct Tracee {
    tid: i32,
    state: State,
    registers: Option<RawRegisters>,
}

/// Everything that is attached. Dropping it lets everything go.
struct Hold {
    order: Order,
    leader: i32,
    shared: Arc<Shared>,
    tracees: Vec<Tracee>,
    /// The thread ids of `tracees`, sorted.
    known: Vec<i32>,
    /// The last list of the process's threads.
    listed: Vec<i32>,
    /// Room for the threads of `Stopped`.
    answer: Vec<(u32, Option<RawRegisters>)>,
    pause_start_ns: i64,
    pause_monotonic_ns: i64,
    frozen_monotonic_ns: Option<i64>,
    ended: Ended,
}

impl Hold {
    fn new(order: Order, shared: Arc<Shared>) -> Hold {
        // Twice what there is, for threads that are born meanwhile: no allocation while the target stands.
        let room = order.process.threads as usize * 2 + 64;
        Hold {
            leader: order.process.pid as i32,
            order,
            shared,
            tracees: Vec::with_capacity(room),
            known: Vec::with_capacity(room),
            listed: Vec::with_capacity(room),
            answer: Vec::with_capacity(room),
            pause_start_ns: 0,
            pause_monotonic_ns: 0,
            frozen_monotonic_ns: None,
            ended: Ended::Failed,
        }
    }

    /// Stops all threads, or as many as stop within half of the budget.
    fn stop_all(&mut self) -> Result<Stopped, FreezeError> {
        self.pause_start_ns = realtime_ns();
        self.pause_monotonic_ns = monotonic_ns();
        let stop_by_ns = self.pause_monotonic_ns + nanoseconds(self.order.budget / 2);
        let (mut recounts, mut gone) = (0, 0);
        let last = loop {
            let news = self.attach_new()?;
            let all = self.await_stops(stop_by_ns)?;
            let late = monotonic_ns() >= stop_by_ns;
            if !all && !late {
                self.insist();
                continue;
            }
            let stat = self.order.tasks.stat().map_err(|error| self.failed("stat", error))?;
            if late {
                break stat;
            }
            let gone_now = self.tracees.iter().filter(|t| matches!(t.state, State::Gone)).count();
            if gone_now != gone {
                gone = gone_now;
                self.doubt_stops();
                continue;
            }
            // All that were known stood before the last list was made, and it had nothing new.
            if !news {
                recounts += 1;
                if stat.threads as usize == self.listed.len() || recounts > RECOUNTS_MAX {
                    break stat;
                }
            }
        };
        let frozen_monotonic_ns = monotonic_ns();
        let pid = self.order.process.pid;
        if self.tracees.iter().all(|t| matches!(t.state, State::Gone)) {
            return Err(self.lost());
        }
        if !self.order.process.is_program_of(&last) {
            return Err(FreezeError::Execed { pid });
        }
        self.frozen_monotonic_ns = Some(frozen_monotonic_ns);
        let stopped = Stopped {
            threads: self.threads(),
            frozen_start_ns: self.wall_ns(frozen_monotonic_ns),
            frozen_monotonic_ns,
        };
        self.shared.frozen.store(true, Ordering::SeqCst);
        Ok(stopped)
    }

    /// Attaches and interrupts the threads not yet known; whether there were any.
    fn attach_new(&mut self) -> Result<bool, FreezeError> {
        let mut listed = std::mem::take(&mut self.listed);
        let result = self.order.tasks.list(&mut listed);
        self.listed = listed;
        result.map_err(|error| self.failed("task", error))?;
        let mut news = false;
        for i in 0..self.listed.len() {
            let tid = self.listed[i];
            if let Err(place) = self.known.binary_search(&tid) {
                news = true;
                let state = self.attach(tid)?;
                self.known.insert(place, tid);
                self.tracees.push(Tracee { tid, state, registers: None });
            }
        }
        Ok(news)
    }

    /// A refusal may be that of a moment, as an exec hands the leader's id on: it counts when it is repeated.
    fn attach(&self, tid: i32) -> Result<State, FreezeError> {
        for _ in 0..REFUSALS_MAX {
            // Between the two calls nothing is done: a seized thread that is not interrupted stops at every signal.
            match ptrace::seize(tid).and_then(|()| ptrace::interrupt(tid)) {
                Ok(()) => return Ok(State::Pending),
                Err(Errno::ESRCH) => return Ok(State::Gone),
                Err(Errno::EPERM) => {}
                Err(error) => return Err(self.failed("ptrace", error.into())),
            }
            if let Some(state) = self.examine_refused(tid)? {
                return Ok(state);
            }
        }
        let pid = self.order.process.pid;
        Err(FreezeError::Denied { pid, remedy: remedy::for_denied_tracing() })
    }

    /// EPERM has many meanings (kernel/ptrace.c, `ptrace_attach`): dead already, a worker of the kernel, already
    /// attached (to us: the child of a clone), or, `None`, indeed not permitted.
    fn examine_refused(&self, tid: i32) -> Result<Option<State>, FreezeError> {
        let pid = self.order.process.pid;
        if ptrace::observe(tid) != Observed::Unknown {
            return Ok(Some(State::Pending));
        }
        match Stat::read(&format!("/proc/{pid}/task/{tid}/stat")) {
            Ok(stat) if !stat.has_exited() && !stat.is_kernel_thread() => {}
            _ => return Ok(Some(State::Gone)),
        }
        match Status::read(&format!("/proc/{pid}/task/{tid}/status")) {
            Ok(status) if status.tracer_pid != 0 => {
                Err(FreezeError::AlreadyTraced { pid, tracer: process_of(status.tracer_pid) })
            }
            Ok(_) => Ok(None),
            Err(_) => Ok(Some(State::Gone)),
        }
    }

    /// Looks at the pending threads until all have stopped, some linger or time is up; whether all have stopped.
    ///
    /// It looks again and again because the kernel has no wait for a stop with a time limit; a wait without one
    /// could keep a target stopped for ever.
    fn await_stops(&mut self, until_ns: i64) -> Result<bool, FreezeError> {
        let mut looks = 0;
        loop {
            let mut pending = false;
            let mut i = 0;
            // By index: a look may add a tracee.
            while i < self.tracees.len() {
                if matches!(self.tracees[i].state, State::Pending) {
                    self.look(i)?;
                    pending |= matches!(self.tracees[i].state, State::Pending);
                }
                i += 1;
            }
            looks += 1;
            if !pending || looks == LINGERING_LOOKS || monotonic_ns() >= until_ns {
                return Ok(!pending);
            }
            match looks {
                ..EAGER_LOOKS => std::thread::yield_now(),
                _ => std::thread::sleep(REST),
            }
        }
    }

    /// Interrupts what has not stopped once more; what has been told already is told nothing new.
    ///
    /// A seize waits while the process execs (kernel/ptrace.c, `cred_guard_mutex`), and then has the thread that did
    /// it, which is the leader by now: the interrupt that follows, by the old id, finds nobody. The listing that comes next
    /// finds the children of clones that the exec killed before their parents' stops were seen: they are ours without our
    /// knowing it, and the exec waits until they are buried.
    fn insist(&self) {
        for tracee in &self.tracees {
            if matches!(tracee.state, State::Pending) {
                // ESRCH: stopped or dead meanwhile, which the next look finds.
                let _ = ptrace::interrupt(tracee.tid);
            }
        }
    }

    /// Threads have gone. If they went because of an exec, what has the leader's id now is another thread, which runs: so
    /// every stop is to be looked at once more.
    fn doubt_stops(&mut self) {
        for tracee in &mut self.tracees {
            if matches!(tracee.state, State::Stopped(..)) {
                tracee.state = State::Pending;
            }
        }
    }

    fn look(&mut self, i: usize) -> Result<(), FreezeError> {
        let tid = self.tracees[i].tid;
        let pid = self.order.process.pid;
        match ptrace::observe(tid) {
            Observed::Running => return Ok(()),
            Observed::Exited if tid == self.leader => return Err(self.lost()),
            Observed::Exited | Observed::Unknown => {
                ptrace::bury(tid, self.leader);
                self.tracees[i].state = State::Gone;
            }
            Observed::Stopped(Stop::Exec) => {
                self.tracees[i].state = State::Stopped(0);
                return Err(FreezeError::Execed { pid });
            }
            Observed::Stopped(stop) => {
                let signal = if let Stop::Signal(signal) = stop { signal } else { 0 };
                if stop == Stop::Clone {
                    self.adopt_clone_of(tid);
                }
                self.tracees[i].state = State::Stopped(signal);
                self.tracees[i].registers = ptrace::registers(tid).ok();
            }
        }
        Ok(())
    }

    /// The kernel attached the child of a clone, and stops it before it runs.
    fn adopt_clone_of(&mut self, tid: i32) {
        if let Ok(child) = ptrace::cloned(tid)
            && let Err(place) = self.known.binary_search(&child)
        {
            self.known.insert(place, child);
            self.tracees.push(Tracee { tid: child, state: State::Pending, registers: None });
        }
    }

    /// Of the process; a clone that is a process of its own is held, but it is none of the process's threads.
    fn threads(&mut self) -> Vec<(u32, Option<RawRegisters>)> {
        self.listed.sort_unstable();
        let mut threads = std::mem::take(&mut self.answer);
        for tracee in &self.tracees {
            if !matches!(tracee.state, State::Gone) && self.listed.binary_search(&tracee.tid).is_ok() {
                threads.push((tracee.tid as u32, tracee.registers));
            }
        }
        threads
    }

    /// Until the caller asks, the budget is spent or the target is dead.
    fn wait(&mut self, resume: &Receiver<()>) {
        let until_ns = self.pause_monotonic_ns + nanoseconds(self.order.budget);
        loop {
            let left = Duration::from_nanos((until_ns - monotonic_ns()).max(0).cast_unsigned());
            self.ended = match resume.recv_timeout(left.min(LOOK_EVERY)) {
                Ok(()) | Err(RecvTimeoutError::Disconnected) => Ended::Asked,
                Err(RecvTimeoutError::Timeout) if left <= LOOK_EVERY => Ended::Budget,
                Err(RecvTimeoutError::Timeout) if self.is_dead() => Ended::Died,
                Err(RecvTimeoutError::Timeout) => continue,
            };
            return;
        }
    }

    /// Only SIGKILL takes a thread out of a ptrace-stop, and it takes them all, so one is looked at: preferably not
    /// the leader, whose death shows last.
    fn is_dead(&self) -> bool {
        let mut stopped = self.tracees.iter().filter(|t| matches!(t.state, State::Stopped(..)));
        let leader = self.leader;
        let witness = stopped.clone().find(|t| t.tid != leader).or_else(|| stopped.next());
        witness.is_some_and(|t| matches!(ptrace::observe(t.tid), Observed::Exited | Observed::Unknown))
    }

    fn wall_ns(&self, monotonic_ns: i64) -> i64 {
        self.pause_start_ns + (monotonic_ns - self.pause_monotonic_ns)
    }

    fn failed(&self, doing: &'static str, source: io::Error) -> FreezeError {
        if Tasks::gone(&source) {
            self.lost()
        } else {
            FreezeError::System { pid: self.order.process.pid, doing: doing.into(), source }
        }
    }

    /// The threads are gone. Whether to an exit or an exec is found out once the target has been let go.
    fn lost(&self) -> FreezeError {
        FreezeError::Exited { pid: self.order.process.pid }
    }
}

impl Drop for Hold {
    /// The one way out. What has not stopped cannot be detached (ESRCH); the end of this thread lets it go.
    fn drop(&mut self) {
        self.shared.thaw();
        let first_resume_ns = monotonic_ns();
        for tracee in &self.tracees {
            let signal = match tracee.state {
                State::Stopped(signal) => signal,
                State::Pending => match ptrace::observe(tracee.tid) {
                    Observed::Stopped(Stop::Signal(signal)) => signal,
                    _ => 0,
                },
                State::Gone => continue,
            };
            // ESRCH: killed meanwhile, or not stopped.
            let _ = ptrace::detach(tracee.tid, signal);
        }
        let last_resume_ns = monotonic_ns();
        let Some(frozen_monotonic_ns) = self.frozen_monotonic_ns else { return };
        let span = |from: i64, to: i64| Duration::from_nanos((to - from).max(0).cast_unsigned());
        // It is set here only, and once.
        let _ = self.shared.pause.set(Pause {
            pause_start_ns: self.pause_start_ns,
            pause: span(self.pause_monotonic_ns, last_resume_ns),
            frozen_start_ns: self.wall_ns(frozen_monotonic_ns),
            frozen: span(frozen_monotonic_ns, first_resume_ns),
            frozen_monotonic_ns,
            ended: self.ended,
        });
    }
}

pub(super) fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX / 4)
}
