//! Ctrl-C and its kind: leave no file behind. Targets that stand still are let go by the freezer when this process ends.
//!
//! The signals are blocked in every thread but one, which waits for them; so nothing runs in a signal handler.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{SigSet, Signal};

#[derive(Default)]
struct State {
    ending: bool,
    first: Option<Box<dyn FnOnce() + Send>>,
    temporary: Vec<PathBuf>,
    written: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

/// Ends the program in order when it is told to end.
pub struct Interrupt(Arc<Shared>);

impl Interrupt {
    /// To be called before any other thread starts: threads inherit which signals are blocked.
    pub fn install() -> anyhow::Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        signals.thread_block()?;
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            if let Ok(signal) = signals.wait() {
                of_thread.end(signal);
            }
        })?;
        Ok(Self(shared))
    }

    /// Deletes this file or folder if the program is told to end.
    pub fn delete(&self, path: &Path) {
        self.0.state().temporary.push(path.to_owned());
    }

    /// Runs this before anything else if the program is told to end.
    pub fn first(&self, action: impl FnOnce() + Send + 'static) {
        self.0.state().first = Some(Box::new(action));
    }

    /// Does not return if the program was told to end: it ends soon.
    pub fn give_way(&self) {
        let ending = self.0.state().ending;
        while ending {
            std::thread::park();
        }
    }

    /// The file is there, under its name.
    pub fn set_written(&self) {
        self.0.state().written = true;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, signal: Signal) -> ! {
        let first = {
            let mut state = self.state();
            state.ending = true;
            state.first.take()
        };
        if let Some(action) = first {
            action();
        }
        let state = self.state();
        for path in &state.temporary {
            // It may be gone or renamed by now.
            let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
        let outcome = if state.written { "the file was written" } else { "no file was written" };
        super::output::say(&format!("stopped by {signal}; {outcome}"));
        // As a shell reports a death by this signal.
        std::process::exit(128 + signal as i32)
    }
}
