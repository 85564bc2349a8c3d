//! Watching: processes are looked at between snapshots, so that a snapshot can say since when its goroutines are there
//! and are blocked. Nothing is stopped for it, and nothing is watched that the policy does not name.
//!
//! * `Watches`: all that are watched. A thread looks which processes there are, and starts one more for each that is to be
//!   watched; that one ends with the process, and when it becomes another program.
//! * `process`: one process: when it is looked at, and what that has cost.
//!
//! What a look means is `stillframe_golang::watch`.

mod process;

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stillframe_target::freezer::Freezer;
use stillframe_target::process::Process;

use crate::capture::Captures;
use crate::convert::program;
use crate::policy::Policy;
use crate::targets::Identified;

pub(crate) use process::{Seen, Watched};

/// Processes of one host that are watched; the others are not, which a warning says.
const PROCESSES_MAX: usize = 64;
/// How often it is looked which processes there are.
const LIST_EVERY: Duration = Duration::from_secs(5);

/// A process, and the program that it runs: its pid, when it was started, and where its stack began, which each exec draws
/// anew.
type Key = (u32, u64, u64);

/// All processes that are watched.
#[derive(Clone, Default)]
pub struct Watches(Arc<Mutex<HashMap<u32, Arc<Watched>>>>);

impl Watches {
    /// Watches what the policy names, for as long as this process lives.
    pub fn start(freezer: Freezer, captures: Captures, policy: Arc<Policy>) -> io::Result<Watches> {
        let watches = Watches::default();
        let ours = watches.clone();
        let run = move || ours.list_again_and_again(&freezer, &captures, &policy);
        std::thread::Builder::new().name("watch".into()).spawn(run)?;
        Ok(watches)
    }

    pub(crate) fn of(&self, pid: u32) -> Option<Arc<Watched>> {
        self.all().get(&pid).cloned()
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u32, Arc<Watched>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list_again_and_again(&self, freezer: &Freezer, captures: &Captures, policy: &Arc<Policy>) {
        let (mut decided, mut identified) = (HashSet::new(), Identified::default());
        let mut has_warned = false;
        // Without its freezer the node ends.
        while freezer.ended().is_none() {
            if let Ok(listing) = freezer.list() {
                let there: HashSet<Key> = listing.processes.iter().map(key).collect();
                decided.retain(|key| there.contains(key));
                for process in &listing.processes {
                    let key = key(process);
                    if decided.contains(&key) {
                        continue;
                    }
                    // Kernel threads have no executable.
                    let exe = process.exe.as_deref();
                    if !exe.is_some_and(|exe| policy.watches(&program(exe))) {
                        decided.insert(key);
                        continue;
                    }
                    if self.all().len() >= PROCESSES_MAX {
                        if !std::mem::replace(&mut has_warned, true) {
                            tracing::warn!("{PROCESSES_MAX} processes are watched, and no more are");
                        }
                        break;
                    }
                    if identified.can_be_captured(freezer, process) {
                        self.watch(process.pid, freezer, captures, policy);
                    }
                    decided.insert(key);
                }
            }
            std::thread::sleep(LIST_EVERY);
        }
    }

    fn watch(&self, pid: u32, freezer: &Freezer, captures: &Captures, policy: &Arc<Policy>) {
        let Some(watching) = policy.watching().cloned() else { return };
        let watched = match freezer.open(pid) {
            Ok(target) => Arc::new(Watched::new(target)),
            Err(error) => {
                tracing::debug!(pid, %error, "not watched");
                return;
            }
        };
        let (watches, captures) = (self.clone(), captures.clone());
        let ours = Arc::clone(&watched);
        let run = move || {
            match ours.watch(&captures, &watching) {
                Ok(cost) => tracing::info!(pid, %cost, "watched to its end"),
                Err(error) => tracing::warn!(pid, %error, "not watched"),
            }
            // Another program of the same process may be watched by now.
            watches.all().retain(|_, other| !Arc::ptr_eq(other, &ours));
        };
        let started = std::thread::Builder::new().name(format!("watch {pid}")).spawn(run);
        match started {
            Ok(_) => drop(self.all().insert(pid, watched)),
            Err(error) => tracing::warn!(pid, %error, "not watched: no thread can be started"),
        }
    }
}

fn key(process: &Process) -> Key {
    (process.pid, process.start_ticks, process.start_stack)
}
