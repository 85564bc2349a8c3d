//! Fetching from elsewhere, in the background: whoever prepares a capture waits for a bounded time only, and what comes
//! later is there for the next one.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::build_id::BuildId;

/// Builds that are fetched at the same time; each takes a thread.
const FETCHES_MAX: usize = 4;
/// What failed, or was not there, is not tried again before.
const AGAIN_AFTER_FAILURE: Duration = Duration::from_secs(30);
const AGAIN_AFTER_ABSENCE: Duration = Duration::from_secs(2);
/// Builds whose last outcome is remembered: it may be an open file.
const REMEMBERED_MAX: usize = 256;

/// Somebody who may have debug information. `fetch` blocks, for a bounded time.
pub trait Remote: Send + Sync {
    fn fetch(&self, build: &BuildId) -> Fetched;
}

#[derive(Debug)]
pub enum Fetched {
    /// Of that build, and with debug information.
    File(File),
    Absent,
    /// With the reason.
    Failed(String),
}

/// What a wait came to.
#[derive(Debug)]
pub enum Waited {
    File(File),
    Absent,
    Failed(String),
    /// It goes on, or begins when there is room.
    Pending,
}

#[derive(Default)]
struct State {
    running: HashSet<BuildId>,
    ended: HashMap<BuildId, (Fetched, Instant)>,
}

/// All fetches of one process.
#[derive(Clone, Default)]
pub struct Fetches {
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Fetches {
    /// Fetches a build from the first of `remotes` that has it, and waits for `within` at most. Asked again meanwhile, it
    /// is the same fetch.
    pub fn fetch(&self, build: &BuildId, remotes: &[Arc<dyn Remote>], within: Duration) -> Waited {
        if remotes.is_empty() {
            return Waited::Absent;
        }
        let mut state = self.lock();
        if let Some(known) = state.recent(build) {
            return known;
        }
        if !state.running.contains(build) {
            if state.running.len() >= FETCHES_MAX {
                return Waited::Pending;
            }
            state.running.insert(build.clone());
            let (this, id, remotes) = (self.clone(), build.clone(), remotes.to_vec());
            let thread = std::thread::Builder::new().name("symbols".to_owned());
            let started = thread.spawn(move || {
                // However it ends, nobody waits for it any more.
                let ending = Ending { fetches: this, build: id, outcome: None };
                ending.run(&remotes);
            });
            if let Err(error) = started {
                state.running.remove(build);
                return Waited::Failed(format!("no thread can be started: {error}"));
            }
        }
        let changed = &self.shared.1;
        let is_running = |state: &mut State| state.running.contains(build);
        let (mut state, _) =
            changed.wait_timeout_while(state, within, is_running).unwrap_or_else(PoisonError::into_inner);
        if state.running.contains(build) {
            Waited::Pending
        } else {
            state.recent(build).unwrap_or(Waited::Absent)
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How the last fetch ended, as long as that counts.
    fn recent(&mut self, build: &BuildId) -> Option<Waited> {
        let (fetched, at) = self.ended.get(build)?;
        let (counts_for, waited) = match fetched {
            Fetched::File(file) => (AGAIN_AFTER_ABSENCE, file.try_clone().map(Waited::File)),
            Fetched::Absent => (AGAIN_AFTER_ABSENCE, Ok(Waited::Absent)),
            Fetched::Failed(reason) => (AGAIN_AFTER_FAILURE, Ok(Waited::Failed(reason.clone()))),
        };
        if at.elapsed() >= counts_for {
            self.ended.remove(build);
            return None;
        }
        Some(waited.unwrap_or_else(|error| Waited::Failed(error.to_string())))
    }
}

struct Ending {
    fetches: Fetches,
    build: BuildId,
    outcome: Option<Fetched>,
}

impl Ending {
    fn run(mut self, remotes: &[Arc<dyn Remote>]) {
        let mut failures = Vec::new();
        for remote in remotes {
            match remote.fetch(&self.build) {
                Fetched::File(file) => {
                    self.outcome = Some(Fetched::File(file));
                    return;
                }
                Fetched::Absent => {}
                Fetched::Failed(reason) => {
                    tracing::warn!(build = %self.build, reason, "debug information cannot be fetched");
                    failures.push(reason);
                }
            }
        }
        self.outcome = Some(match failures.is_empty() {
            true => Fetched::Absent,
            false => Fetched::Failed(failures.join("; ")),
        });
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let outcome = self.outcome.take().unwrap_or_else(|| Fetched::Failed("it panicked".to_owned()));
        let mut state = self.fetches.lock();
        state.running.remove(&self.build);
        state.ended.retain(|_, (_, at)| at.elapsed() < AGAIN_AFTER_FAILURE);
        if state.ended.len() < REMEMBERED_MAX {
            state.ended.insert(self.build.clone(), (outcome, Instant::now()));
        }
        drop(state);
        self.fetches.shared.1.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;

    struct Slow {
        asked: AtomicU32,
        go: Mutex<mpsc::Receiver<()>>,
    }

    impl Remote for Slow {
        fn fetch(&self, _: &BuildId) -> Fetched {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.go.lock().unwrap().recv().expect("the test lets it go");
            Fetched::File(tempfile::tempfile().unwrap())
        }
    }

    #[test]
    fn who_waits_waits_for_a_bounded_time_and_the_fetch_goes_on() {
        let (let_go, go) = mpsc::channel();
        let slow = Arc::new(Slow { asked: AtomicU32::new(0), go: Mutex::new(go) });
        let remotes: Vec<Arc<dyn Remote>> = vec![slow.clone()];
        let (fetches, build) = (Fetches::default(), BuildId::parse("abcdef").unwrap());
        let short = Duration::from_millis(20);
        for _ in 0..2 {
            assert!(matches!(fetches.fetch(&build, &remotes, short), Waited::Pending));
        }
        let_go.send(()).unwrap();
        assert!(matches!(fetches.fetch(&build, &remotes, Duration::from_secs(60)), Waited::File(_)));
        assert_eq!(slow.asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_fetch_that_panics_ends() {
        struct Broken;
        impl Remote for Broken {
            fn fetch(&self, _: &BuildId) -> Fetched {
                panic!("as planned");
            }
        }
        let remotes: Vec<Arc<dyn Remote>> = vec![Arc::new(Broken)];
        let build = BuildId::parse("abcdef").unwrap();
        let waited = Fetches::default().fetch(&build, &remotes, Duration::from_secs(60));
        assert!(matches!(waited, Waited::Failed(_)), "{waited:?}");
    }

    #[test]
    fn one_that_fails_does_not_keep_the_next_one_from_being_asked() {
        struct Failing;
        impl Remote for Failing {
            fn fetch(&self, _: &BuildId) -> Fetched {
                Fetched::Failed("no".to_owned())
            }
        }
        let (let_go, go) = mpsc::channel();
        let_go.send(()).unwrap();
        let slow = Arc::new(Slow { asked: AtomicU32::new(0), go: Mutex::new(go) });
        let build = BuildId::parse("abcdef").unwrap();
        let waited = Fetches::default().fetch(&build, &[Arc::new(Failing), slow], Duration::from_secs(60));
        assert!(matches!(waited, Waited::File(_)), "{waited:?}");
    }
}
