//! Captures one target: find it, read its executable, freeze it, read what is needed, let it go, decode.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stillframe_golang::build::Build;
use stillframe_golang::decode::decode;
use stillframe_golang::executable::Bytes;
use stillframe_golang::gather::gather;
use stillframe_golang::memory::Memory;
use stillframe_golang::runtime::Runtime;
use stillframe_target::auxiliary;
use stillframe_target::core::CoreFile;
use stillframe_target::executable::{Executable, Identity};
use stillframe_target::freeze::{Ended, FreezeError, Frozen, freeze};
use stillframe_target::memory::LiveMemory;
use stillframe_target::process::{self, Fate, Process};
use stillframe_wire::facts::ProcessFacts;

use crate::convert::{self, About};
use crate::error::CaptureError;
use crate::scrub;

/// The budget of a target with few goroutines; see [`default_budget`].
pub const BUDGET_DEFAULT: Duration = Duration::from_millis(50);
/// Above this many goroutines the budget grows, by a microsecond each.
const BUDGET_GOROUTINES: u64 = 50_000;
const BUDGET_MAX: Duration = Duration::from_secs(10);

/// A target that could not be stopped is let go and tried again, after as long as it may have been stopped.
const FREEZE_ATTEMPTS: u32 = 5;

/// What to capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A running process of this host.
    Pid(u32),
    /// What is left of one.
    Core { core: PathBuf, exe: PathBuf },
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The longest pause that the target may see; `None`: [`default_budget`].
    pub max_pause: Option<Duration>,
}

/// How far a capture has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    ReadingExecutable,
    Freezing,
    Reading,
    Decoding,
}

impl Phase {
    pub fn text(self) -> &'static str {
        match self {
            Phase::ReadingExecutable => "reading the executable",
            Phase::Freezing => "freezing",
            Phase::Reading => "reading, while it stands still",
            Phase::Decoding => "decoding, while it runs again",
        }
    }
}

/// Captures targets one after the other; reads each executable once.
#[derive(Default)]
pub struct Captures {
    builds: HashMap<Identity, Arc<Build>>,
}

/// 50 ms, and a microsecond for each goroutine above 50,000; at most 10 s.
pub fn default_budget(goroutines: u64) -> Duration {
    let more = Duration::from_micros(goroutines.saturating_sub(BUDGET_GOROUTINES));
    (BUDGET_DEFAULT + more).min(BUDGET_MAX)
}

impl Captures {
    pub fn capture(
        &mut self,
        source: &Source,
        options: &Options,
        progress: &mut dyn FnMut(Phase),
    ) -> Result<ProcessFacts, CaptureError> {
        match source {
            Source::Pid(pid) => self.process(*pid, options, progress),
            Source::Core { core, exe } => core_file(core, exe, progress),
        }
    }

    fn process(
        &mut self,
        pid: u32,
        options: &Options,
        progress: &mut dyn FnMut(Phase),
    ) -> Result<ProcessFacts, CaptureError> {
        progress(Phase::ReadingExecutable);
        let process = process::find(pid)?;
        let Some(exe) = process.exe.clone() else { return Err(CaptureError::KernelThread { pid }) };
        let prepared = self.prepare(&process, &exe);
        let (build, bias, memory) = prepared.map_err(|error| unless_it_changed(&process, error))?;
        let runtime = Runtime::locate(&build, &memory, bias)
            .map_err(|source| unless_it_changed(&process, CaptureError::Runtime { pid, source }))?;
        let budget = options.max_pause.unwrap_or_else(|| default_budget(runtime.goroutine_count(&memory)));

        progress(Phase::Freezing);
        let frozen = freeze_all(&process, budget)?;
        progress(Phase::Reading);
        let gathered = gather(&runtime, frozen.memory(), frozen.threads(), &|| frozen.is_frozen());
        let threads = frozen.threads().to_vec();
        let gone = frozen.memory().is_gone();
        let pause = frozen.resume();

        progress(Phase::Decoding);
        if gone || pause.ended == Ended::Died {
            return Err(CaptureError::Died { pid });
        }
        if gathered.is_empty() && gathered.was_cut() {
            return Err(CaptureError::NothingInBudget { pid, budget_ms: budget.as_millis() });
        }
        let goroutines = decode(&runtime, gathered, &threads, Some(pause.frozen_monotonic_ns));
        let about = About {
            pid,
            ns_pid: process.ns_pid,
            started_unix_ns: Some(process.started_unix_ns),
            container_id: process.container_id,
            exe,
            cmdline: scrub::command_line(&process.cmdline),
            threads: threads.len() as u32,
            pause: Some(pause),
        };
        Ok(convert::process(about, &build, goroutines))
    }

    /// Its build, where that is loaded, and its memory.
    fn prepare(
        &mut self,
        process: &Process,
        exe: &str,
    ) -> Result<(Arc<Build>, u64, LiveMemory), CaptureError> {
        let build = self.build(process, exe)?;
        let executable = &build.identity.executable;
        let bias =
            executable.load_bias(auxiliary::of_process(process.pid)?.entry().unwrap_or(executable.entry));
        Ok((build, bias, LiveMemory::new(process.pid)?))
    }

    fn build(&mut self, process: &Process, exe: &str) -> Result<Arc<Build>, CaptureError> {
        let executable = Executable::open(process.pid)?;
        let identity = executable.identity();
        if let Some(build) = self.builds.get(&identity) {
            return Ok(Arc::clone(build));
        }
        let bytes: Bytes = Arc::new(executable.read(0, executable.length())?);
        let build = Build::read(bytes).map_err(|source| CaptureError::Build {
            pid: process.pid,
            exe: exe.to_owned(),
            source,
        })?;
        let build = Arc::new(build);
        self.builds.insert(identity, Arc::clone(&build));
        Ok(build)
    }
}

/// What fails on a process that ends or becomes another program meanwhile fails because of that.
fn unless_it_changed(process: &Process, error: CaptureError) -> CaptureError {
    let pid = process.pid;
    match process.fate() {
        Fate::Same => error,
        Fate::Execed => FreezeError::Execed { pid }.into(),
        Fate::Gone => CaptureError::Died { pid },
    }
}

/// Freezes; a host so busy that some thread gets no processor in time may have one a moment later.
fn freeze_all(process: &Process, budget: Duration) -> Result<Frozen, CaptureError> {
    for _ in 1..FREEZE_ATTEMPTS {
        let frozen = freeze(process, budget)?;
        if frozen.all_stopped() {
            return Ok(frozen);
        }
        drop(frozen);
        std::thread::sleep(budget);
    }
    let frozen = freeze(process, budget)?;
    if frozen.all_stopped() {
        return Ok(frozen);
    }
    Err(CaptureError::NotStopped { pid: process.pid, threads: frozen.unstopped().len() })
}

/// A core file: it stands still by itself.
fn core_file(core: &Path, exe: &Path, progress: &mut dyn FnMut(Phase)) -> Result<ProcessFacts, CaptureError> {
    progress(Phase::ReadingExecutable);
    let bytes = std::fs::read(exe).map_err(|source| CaptureError::File { path: exe.to_owned(), source })?;
    let build = Build::read(Arc::new(bytes))
        .map_err(|source| CaptureError::CoreBuild { path: exe.to_owned(), source })?;
    let file = CoreFile::open(core)?;
    let executable = &build.identity.executable;
    let bias = executable.load_bias(file.auxiliary().entry().unwrap_or(executable.entry));
    // Kernels leave out of a core what can be read from the files that were mapped (core(5), coredump_filter).
    let memory = executable.completing(&file, bias);
    let runtime = Runtime::locate(&build, &memory as &dyn Memory, bias).map_err(|source| {
        CaptureError::OtherExecutable { core: core.to_owned(), exe: exe.to_owned(), source }
    })?;
    progress(Phase::Reading);
    let gathered = gather(&runtime, &memory, file.threads(), &|| true);
    progress(Phase::Decoding);
    let goroutines = decode(&runtime, gathered, file.threads(), file.pause().map(|p| p.frozen_monotonic_ns));
    // The note that names it is missing in damaged cores.
    let pid = file.pid().unwrap_or(0);
    let about = About {
        pid,
        ns_pid: pid,
        started_unix_ns: None,
        container_id: None,
        exe: exe.to_string_lossy().into_owned(),
        cmdline: String::new(),
        threads: file.threads().len() as u32,
        pause: file.pause(),
    };
    Ok(convert::process(about, &build, goroutines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_grows_with_the_target_up_to_a_limit() {
        assert_eq!(default_budget(0), Duration::from_millis(50));
        assert_eq!(default_budget(50_000), Duration::from_millis(50));
        assert_eq!(default_budget(150_000), Duration::from_millis(150));
        assert_eq!(default_budget(u64::MAX), BUDGET_MAX);
    }
}
