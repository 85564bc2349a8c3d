//! One process that is watched: when it is looked at, what was seen, and what that has cost.
//!
//! Looks at the records are not made in equal intervals: what a goroutine does in equal intervals, 256 times between two
//! looks, would look as if it did nothing (`stillframe_golang::watch`).

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use stillframe_golang::runtime::Runtime;
use stillframe_golang::watch::{Births, Looker, Parks};
use stillframe_target::clock::monotonic_ns;
use stillframe_target::freezer::Target;
use stillframe_target::process::Fate;

use crate::capture::Captures;
use crate::error::CaptureError;
use crate::policy::Watching;

/// A look takes a processor here, and another one in the freezer, which reads on meanwhile.
const PROCESSORS: u32 = 2;
/// How long nothing is done between two looks, at least and at most.
const WAIT_MIN: Duration = Duration::from_millis(10);
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How often its runtime is looked for.
const ATTEMPTS: u32 = 3;

pub(crate) struct Watched {
    target: Target,
    seen: Mutex<Seen>,
    /// Snapshots that are being taken of it.
    snapshots: AtomicU32,
}

/// What was seen.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) births: Births,
    pub(crate) parks: Parks,
    /// Why births are not watched.
    pub(crate) no_births: Option<&'static str>,
}

/// What looking has taken: time in which it was waited for as well.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    looks: u64,
    took: Duration,
    most: Duration,
    of: Duration,
}

impl Cost {
    fn add(&mut self, took: Duration) {
        self.looks += 1;
        self.took += took;
        self.most = self.most.max(took);
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.took.as_secs_f64() / self.of.as_secs_f64().max(1e-9);
        let Cost { looks, took, most, of } = self;
        write!(f, "{looks} looks in {of:.1?} have taken {took:.1?}, {share:.3} %; the longest one {most:.1?}")
    }
}

/// As long as there is one of these nobody looks at the process.
pub(crate) struct Rest<'a>(&'a AtomicU32);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// When one kind of look is made.
struct Turn {
    every: Duration,
    next: Instant,
}

impl Turn {
    fn new(every: Duration) -> Turn {
        Turn { every, next: Instant::now() }
    }

    /// The next one, after one that has taken so long.
    fn after(&mut self, took: Duration, cpu_permille: u64) {
        let share = u32::try_from(1000 / cpu_permille.max(1)).unwrap_or(u32::MAX);
        let affordable = took.saturating_mul(PROCESSORS.saturating_mul(share));
        self.next = Instant::now() + self.every.max(affordable).mul_f64(rand::random_range(0.75..1.25));
    }
}

impl Watched {
    pub(crate) fn new(target: Target) -> Watched {
        Watched { target, seen: Mutex::default(), snapshots: AtomicU32::new(0) }
    }

    /// What was seen until now.
    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it still is the process, and runs the program, that is watched.
    pub(crate) fn is_the_same(&self) -> bool {
        matches!(self.target.fate(), Ok(Fate::Same))
    }

    /// Nobody looks at it until this is dropped: what is seen after the process stood still is of another time. Waits for
    /// a look that has begun.
    pub(crate) fn rest(&self) -> Rest<'_> {
        self.snapshots.fetch_add(1, Ordering::SeqCst);
        drop(self.seen());
        Rest(&self.snapshots)
    }

    /// Watches it to its end.
    pub(crate) fn watch(&self, captures: &Captures, watching: &Watching) -> Result<Cost, CaptureError> {
        let process = self.target.process();
        let (pid, memory) = (process.pid, self.target.memory());
        let exe = process.exe.as_deref().ok_or(CaptureError::KernelThread { pid })?;
        let (build, bias) = captures.prepare(&self.target, exe)?;
        let located = || Runtime::locate(&build, memory, bias);
        let mut attempts = 1..ATTEMPTS;
        let runtime = loop {
            match located() {
                Ok(runtime) => break runtime,
                // It may have begun just now.
                Err(_) if attempts.next().is_some() && self.is_the_same() => std::thread::sleep(WAIT_MAX),
                Err(source) => return Err(CaptureError::Runtime { pid, source }),
            }
        };
        let looker = Looker::new(&runtime);
        let no_births = Births::check(&runtime).err();
        self.seen().no_births = no_births;
        tracing::info!(pid, exe, goroutines = runtime.goroutine_count(memory), "watching");
        let (began, mut cost) = (Instant::now(), Cost::default());
        let (mut births, mut parks) = (Turn::new(watching.births), Turn::new(watching.parks));
        while self.is_the_same() {
            let now = Instant::now();
            // Looked at while it is held: see `rest`.
            let mut seen = self.seen();
            let rests = self.snapshots.load(Ordering::SeqCst) > 0;
            let looked = if !rests && no_births.is_none() && now >= births.next {
                // One that makes no sense is made anew the next time.
                seen.births.look(&runtime, memory, &monotonic_ns);
                Some(&mut births)
            } else if !rests && now >= parks.next {
                seen.parks.look(&looker, memory, &monotonic_ns);
                Some(&mut parks)
            } else {
                None
            };
            drop(seen);
            if let Some(turn) = looked {
                let took = now.elapsed();
                turn.after(took, watching.cpu_permille);
                cost.add(took);
                continue;
            }
            let next = if no_births.is_none() { births.next.min(parks.next) } else { parks.next };
            // Not longer, so that its end is seen; not shorter, while it rests.
            let wait = next.saturating_duration_since(now);
            std::thread::sleep(wait.clamp(WAIT_MIN, WAIT_MAX));
        }
        cost.of = began.elapsed();
        Ok(cost)
    }
}
