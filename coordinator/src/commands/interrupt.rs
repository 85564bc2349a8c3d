//! Ctrl-C and its kind: leave no file behind. Targets that stand still are let go by the freezer when this process ends.
//!
//! The signals are blocked in every thread but one, which waits for them; so nothing runs in a signal handler. Either that
//! thread ends the program or the verb does, whoever comes first: there is one last message, and the exit code that goes
//! with it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use nix::sys::signal::{SigSet, Signal};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Signal,
    Verb,
}

/// Who ends the program. One for the process, as its signals are.
static ENDED: OnceLock<By> = OnceLock::new();

/// Does not return if the program was told to end: it ends soon.
pub fn give_way() {
    while ENDED.get() == Some(&By::Signal) {
        std::thread::park();
    }
}

/// From here on the verb has the last word. As [`give_way`] if it comes too late for that.
pub fn last_word() {
    ENDED.get_or_init(|| By::Verb);
    give_way();
}

#[derive(Default)]
struct State {
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
            let Ok(signal) = signals.wait() else { return };
            let of_first = Arc::clone(&of_thread);
            if ENDED.get_or_init(|| By::Signal) == &By::Signal {
                std::thread::spawn(move || of_first.end(signal));
            }
            // Who says it again does not want to wait.
            if let Ok(signal) = signals.wait() {
                of_thread.end_at_once(signal);
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

    /// The file is there, under its name.
    pub fn set_written(&self) {
        self.0.state().written = true;
    }

    /// Gives the file its name. Who is told to end meanwhile waits until it is known whether it has it.
    pub fn publish<T, E>(&self, publish: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut state = self.0.state();
        let published = publish()?;
        state.written = true;
        Ok(published)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, signal: Signal) -> ! {
        let first = self.state().first.take();
        if let Some(action) = first {
            action();
        }
        self.end_at_once(signal)
    }

    fn end_at_once(&self, signal: Signal) -> ! {
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
