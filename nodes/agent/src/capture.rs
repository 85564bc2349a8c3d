//! Captures one target: find it, read its executable, freeze it, read what is needed, let it go, decode.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use stillframe_actors::capture::state::FREEZE_AHEAD_MAX;
use stillframe_golang::build::{Build, BuildError};
use stillframe_golang::decode::decode;
use stillframe_golang::executable::{Bytes, Executable};
use stillframe_golang::gather::gather;
use stillframe_golang::libraries::go_libraries;
use stillframe_golang::memory::Memory;
use stillframe_golang::precopy::Precopy;
use stillframe_golang::probe::set::Described;
use stillframe_golang::probing::Probing;
use stillframe_golang::runtime::Runtime;
use stillframe_target::clock::{monotonic_ns, realtime_ns};
use stillframe_target::core::CoreFile;
use stillframe_target::executable::Identity;
use stillframe_target::freeze::{Ended, FreezeError};
use stillframe_target::freezer::{Freezer, FreezerError, FrozenTarget, Target};
use stillframe_target::process::Fate;
use stillframe_wire::facts::{PauseWindow, ProcessFacts};

use crate::ages::Ages;
use crate::convert::{self, About};
use crate::error::CaptureError;
use crate::ordered_probes::Ordered;
use crate::policy::Policy;
use crate::preparations::Preparations;
use crate::scrub;
use crate::sockets::{self, Converted};
use crate::symbols::{Symbols, Wanted};
use crate::together::Place;
use crate::watch::Watches;

/// The budget of a target with few goroutines; see [`default_budget`].
pub const BUDGET_DEFAULT: Duration = Duration::from_millis(50);
/// Above this many goroutines the budget grows, by a microsecond each.
const BUDGET_GOROUTINES: u64 = 50_000;
const BUDGET_MAX: Duration = Duration::from_secs(10);

/// For as long stacks are copied before the freeze; and for as long again it is looked whether they have changed.
const COPY_MAX: Duration = Duration::from_secs(4);
/// And for as long more for each goroutine: what is not copied is read in the stop.
const COPY_MORE: Duration = Duration::from_micros(8);
const CHECK_MAX: Duration = Duration::from_secs(2);
/// As long as goroutines may have gone on since the last look.
const LISTING_SHORT: Duration = Duration::from_millis(5);
/// Between the last look and the freeze.
const CHECK_MARGIN: Duration = Duration::from_millis(1);

/// So long after the time to freeze those that are ready wait, running, for others of their host that are not.
const READY_MAX: Duration = Duration::from_secs(1);

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

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The longest pause that the target may see; `None`: [`default_budget`].
    pub max_pause: Option<Duration>,
    /// Source text of the order's probe sets; empty: none.
    pub probes: Arc<str>,
    /// What the node allows, whatever was ordered.
    pub policy: Arc<Policy>,
}

/// When to freeze a target, and with which others.
pub(crate) struct Appointment {
    /// On this host's wall clock.
    pub(crate) at_unix_ns: i64,
    /// It stays stopped until then, if its budget allows that.
    pub(crate) let_go_unix_ns: i64,
    pub(crate) place: Place,
}

/// How far a capture has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    ReadingExecutable,
    Freezing,
    Reading,
    /// The target runs again; a core file never stood still.
    Decoding(Option<PauseWindow>),
}

impl Phase {
    pub fn text(self) -> &'static str {
        match self {
            Phase::ReadingExecutable => "reading the executable",
            Phase::Freezing => "freezing",
            Phase::Reading => "reading, while it stands still",
            Phase::Decoding(_) => "decoding, while it runs again",
        }
    }
}

/// Captures targets; reads each executable once. The default one has no freezer, and captures core files only. Its
/// clones share what they know, and may capture at the same time.
#[derive(Clone, Default)]
pub struct Captures {
    freezer: Option<Freezer>,
    builds: Arc<Mutex<HashMap<Identity, Arc<Build>>>>,
    /// Where debug information comes from; `None`: from executables only.
    symbols: Option<Symbols>,
    pub(crate) preparations: Preparations,
    watches: Option<Watches>,
}

/// 50 ms, and a microsecond for each goroutine above 50,000; at most 10 s.
pub fn default_budget(goroutines: u64) -> Duration {
    let more = Duration::from_micros(goroutines.saturating_sub(BUDGET_GOROUTINES));
    (BUDGET_DEFAULT + more).min(BUDGET_MAX)
}

impl Captures {
    pub fn new(freezer: Freezer) -> Captures {
        Captures { freezer: Some(freezer), ..Captures::default() }
    }

    pub fn with_symbols(self, symbols: Symbols) -> Captures {
        Captures { symbols: Some(symbols), ..self }
    }

    pub(crate) fn with_watches(self, watches: Watches) -> Captures {
        Captures { watches: Some(watches), ..self }
    }

    pub fn capture(
        &self,
        source: &Source,
        options: &Options,
        progress: &mut dyn FnMut(Phase),
    ) -> Result<ProcessFacts, CaptureError> {
        self.capture_at(source, options, None, progress)
    }

    /// `appointment`: none for a core file, or for a target that is frozen as soon as that can be.
    pub(crate) fn capture_at(
        &self,
        source: &Source,
        options: &Options,
        appointment: Option<Appointment>,
        progress: &mut dyn FnMut(Phase),
    ) -> Result<ProcessFacts, CaptureError> {
        match source {
            Source::Pid(pid) => self.process(*pid, options, appointment, progress),
            Source::Core { core, exe } => self.core_file(core, exe, options, progress),
        }
    }

    fn process(
        &self,
        pid: u32,
        options: &Options,
        appointment: Option<Appointment>,
        progress: &mut dyn FnMut(Phase),
    ) -> Result<ProcessFacts, CaptureError> {
        progress(Phase::ReadingExecutable);
        let began = Instant::now();
        let freezer = self.freezer.as_ref().ok_or(CaptureError::NoFreezer { pid })?;
        let target = freezer.open(pid).map_err(|error| CaptureError::of_freezer(pid, error))?;
        let process = target.process().clone();
        let Some(exe) = process.exe.clone() else { return Err(CaptureError::KernelThread { pid }) };
        let policy = &options.policy;
        let allowed = policy.check_program(&convert::program(&exe));
        allowed
            .and_then(|()| policy.check_pause(options.max_pause))
            .map_err(|against| CaptureError::Policy { pid, against })?;
        let prepared = self.prepare(&target, &exe);
        let (build, bias) = prepared.map_err(|error| unless_it_changed(&target, error))?;
        let runtime = Runtime::locate(&build, target.memory(), bias)
            .map_err(|source| unless_it_changed(&target, CaptureError::Runtime { pid, source }))?;
        let default = || policy.bound_pause(default_budget(runtime.goroutine_count(target.memory())));
        let budget = options.max_pause.unwrap_or_else(default);
        let ordered = Ordered::parse(&options.probes, policy)?;
        let environment = ordered.environment(&target, policy);
        let cmdline = scrub::command_line(&process.cmdline);
        let described = Described {
            exe: Some(&exe),
            cmdline: Some(&cmdline),
            container: process.container_id.as_deref(),
        };
        let probes = ordered.of_process(&described, &environment);
        let program = convert::program(&exe);
        let order = probes.order(&program, policy);
        let mut probing = Probing::new(&runtime, &order);
        let watched = self.watches.as_ref().and_then(|watches| watches.of(pid));
        let _undisturbed = watched.as_ref().map(|watched| watched.rest());
        let mut copied = copy_ahead(&runtime, &target, probing.as_mut());
        let listed = list_descriptors(&target, copied.as_mut());
        self.preparations.learn(&build.identity.id, began.elapsed());
        if let Some(appointment) = &appointment {
            wait_until(appointment.at_unix_ns, &target, copied.as_mut());
            let late_ns = i64::try_from(READY_MAX.as_nanos()).unwrap_or(i64::MAX);
            appointment.place.ready(until(appointment.at_unix_ns.saturating_add(late_ns)));
        }
        let copied_monotonic_ns = copied.as_ref().map(|copied| copied.records_monotonic_ns);

        progress(Phase::Freezing);
        let frozen = freeze_all(&target, budget)?;
        let stands_since = Instant::now();
        if let Some(appointment) = &appointment {
            appointment.place.stands();
        }
        progress(Phase::Reading);
        if let Some(probing) = &mut probing {
            probing.stands_at(realtime_ns());
        }
        let still = || frozen.is_frozen();
        let gathered = gather(
            &runtime,
            frozen.memory(),
            frozen.threads(),
            copied.map(|copied| copied.copy),
            probing.as_mut(),
            &still,
        );
        let threads = frozen.threads().to_vec();
        let gone = frozen.memory().is_gone();
        if let Some(appointment) = appointment {
            let waiting_max = || (budget / 2).saturating_sub(stands_since.elapsed());
            appointment.place.wait(waiting_max());
            std::thread::sleep(until(appointment.let_go_unix_ns).min(waiting_max()));
        }
        let pause = frozen.resume().map_err(|error| CaptureError::of_freezer(pid, error))?;

        let window = convert::pause(pause, gathered.reused());
        progress(Phase::Decoding(Some(window)));
        if gone || pause.ended == Ended::Died {
            return Err(CaptureError::Died { pid });
        }
        if gathered.is_empty() && gathered.was_cut() {
            return Err(CaptureError::NothingInBudget { pid, budget_ms: budget.as_millis() });
        }
        let sockets = listed.and_then(|()| target.sockets()).map_err(|error| error.to_string());
        let goroutines = decode(&runtime, gathered, &threads, Some(pause.frozen_monotonic_ns));
        let captured = probing.map(Probing::finish).unwrap_or_default();
        let about = About {
            pid,
            ns_pid: process.ns_pid,
            started_unix_ns: Some(process.started_unix_ns),
            container_id: process.container_id,
            exe,
            cmdline,
            threads: threads.len() as u32,
            pause: Some(window),
            frozen_monotonic_ns: Some(pause.frozen_monotonic_ns),
            environment,
            descriptors: sockets::convert(sockets),
        };
        // Whether it was this very program is asked now: it may have become another one until it was frozen.
        let watched = watched.as_ref().filter(|watched| watched.is_the_same());
        let seen = watched.map(|watched| watched.seen());
        let ages = Ages { watched: seen.as_deref(), copied_monotonic_ns };
        Ok(convert::process(about, &build, goroutines, captured, &ages))
    }

    /// Reads the executable of a target that will be captured, so that the capture need not. `values`: they will be wanted,
    /// and so is its debug information, which is waited for until then. What the process runs, and the file's name.
    pub fn warm(&self, pid: u32, values: Option<Instant>) -> Result<(Arc<Build>, String), CaptureError> {
        let freezer = self.freezer.as_ref().ok_or(CaptureError::NoFreezer { pid })?;
        let target = freezer.open(pid).map_err(|error| CaptureError::of_freezer(pid, error))?;
        let Some(exe) = target.process().exe.clone() else { return Err(CaptureError::KernelThread { pid }) };
        let build = self.build(&target, &exe).map_err(|error| unless_it_changed(&target, error))?;
        // That takes long where they are very many, and only then says more than what captures have taken.
        let began = Instant::now();
        if target.list_descriptors().is_ok() {
            self.preparations.expect(&build.identity.id, began.elapsed());
        }
        if let (Some(until), Some(symbols)) = (values, &self.symbols) {
            let executable = target.executable().map_err(|error| CaptureError::of_freezer(pid, error))?;
            let executable = executable.into_file();
            let (build_id, path) = (&build.identity.id, Some(Path::new(&exe)));
            let wanted = Wanted { build_id, executable: &executable, path, pid: Some(pid) };
            symbols.complete(&build, &wanted, until);
        }
        Ok((build, exe))
    }

    /// When whoever begins to look for debug information now is to wait no longer.
    pub fn patience(&self) -> Instant {
        self.symbols.as_ref().map_or_else(Instant::now, Symbols::patience)
    }

    /// An executable by its path. `values`: as in [`Captures::warm`].
    pub fn build_of_file(&self, path: &Path, values: Option<Instant>) -> Result<Build, CaptureError> {
        let failed = |source| CaptureError::File { path: path.to_owned(), source };
        let of_build = |source| CaptureError::CoreBuild { path: path.to_owned(), source };
        let Some(symbols) = &self.symbols else {
            return Build::read(Arc::new(std::fs::read(path).map_err(failed)?)).map_err(of_build);
        };
        let file = File::open(path).map_err(failed)?;
        let read = symbols.build(&file, Some(path), None);
        let build = read.map_err(|error| failed(std::io::Error::other(error)))?.map_err(of_build)?;
        if let Some(until) = values {
            let build_id = &build.identity.id;
            let wanted = Wanted { build_id, executable: &file, path: Some(path), pid: None };
            symbols.complete(&build, &wanted, until);
        }
        Ok(build)
    }

    /// The file name of a target's executable.
    pub fn program(&self, pid: u32) -> Option<String> {
        let target = self.freezer.as_ref()?.open(pid).ok()?;
        target.process().exe.as_deref().map(convert::program)
    }

    /// Its build, and where that is loaded.
    pub(crate) fn prepare(&self, target: &Target, exe: &str) -> Result<(Arc<Build>, u64), CaptureError> {
        let pid = target.process().pid;
        let build = self.build(target, exe)?;
        let executable = &build.identity.executable;
        let auxiliary = target.auxiliary().map_err(|error| CaptureError::of_freezer(pid, error))?;
        let bias = executable.load_bias(auxiliary.entry().unwrap_or(executable.entry));
        Ok((build, bias))
    }

    /// A core file: it stands still by itself.
    fn core_file(
        &self,
        core: &Path,
        exe: &Path,
        options: &Options,
        progress: &mut dyn FnMut(Phase),
    ) -> Result<ProcessFacts, CaptureError> {
        progress(Phase::ReadingExecutable);
        let values = (!options.probes.is_empty()).then(|| self.patience());
        let build = self.build_of_file(exe, values)?;
        let file = CoreFile::open(core)?;
        let executable = &build.identity.executable;
        let bias = executable.load_bias(file.auxiliary().entry().unwrap_or(executable.entry));
        // Kernels leave out of a core what can be read from the files that were mapped (core(5), coredump_filter).
        let memory = executable.completing(&file, bias);
        let runtime = Runtime::locate(&build, &memory as &dyn Memory, bias).map_err(|source| {
            CaptureError::OtherExecutable { core: core.to_owned(), exe: exe.to_owned(), source }
        })?;
        progress(Phase::Reading);
        let name = exe.to_string_lossy().into_owned();
        let ordered = Ordered::parse(&options.probes, &options.policy)?;
        let environment = ordered.environment_of_core();
        let described = Described { exe: Some(&name), cmdline: Some(""), container: None };
        let probes = ordered.of_process(&described, &environment);
        let program = convert::program(&name);
        let order = probes.order(&program, &options.policy);
        let mut probing = Probing::new(&runtime, &order);
        if let Some(probing) = &mut probing {
            // A core does not say when it was written; its file does, about.
            probing
                .stands_at(file.pause().map_or_else(|| written_unix_ns(core), |pause| pause.frozen_start_ns));
        }
        let gathered = gather(&runtime, &memory, file.threads(), None, probing.as_mut(), &|| true);
        progress(Phase::Decoding(None));
        let goroutines =
            decode(&runtime, gathered, file.threads(), file.pause().map(|p| p.frozen_monotonic_ns));
        // The note that names it is missing in damaged cores.
        let pid = file.pid().unwrap_or(0);
        let about = About {
            pid,
            ns_pid: pid,
            started_unix_ns: None,
            container_id: None,
            exe: name,
            cmdline: String::new(),
            threads: file.threads().len() as u32,
            pause: file.pause().map(|pause| convert::pause(pause, 0)),
            frozen_monotonic_ns: file.pause().map(|pause| pause.frozen_monotonic_ns),
            environment,
            // Who is dead has none.
            descriptors: Converted::default(),
        };
        let captured = probing.map(Probing::finish).unwrap_or_default();
        Ok(convert::process(about, &build, goroutines, captured, &Ages::default()))
    }

    fn build(&self, target: &Target, exe: &str) -> Result<Arc<Build>, CaptureError> {
        let pid = target.process().pid;
        let executable = target.executable().map_err(|error| CaptureError::of_freezer(pid, error))?;
        let identity = executable.identity();
        let known = || self.builds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(build) = known().get(&identity) {
            return Ok(Arc::clone(build));
        }
        let read = match &self.symbols {
            Some(symbols) => {
                let file = executable.into_file();
                let unreadable = |source| CaptureError::Unreadable { pid, exe: exe.to_owned(), source };
                symbols.build(&file, Some(Path::new(exe)), Some(pid)).map_err(unreadable)?
            }
            None => {
                let bytes: Bytes = Arc::new(executable.read(0, executable.length())?);
                Build::read(bytes)
            }
        };
        let library =
            |source: &BuildError| if *source == BuildError::NotGo { go_library(target) } else { None };
        let build = read.map_err(|source| match library(&source) {
            Some(library) => CaptureError::GoLibrary { pid, exe: exe.to_owned(), library },
            None => CaptureError::Build { pid, exe: exe.to_owned(), source },
        })?;
        let build = Arc::new(build);
        known().insert(identity, Arc::clone(&build));
        Ok(build)
    }
}

/// A library with a Go runtime that a program has loaded which is not Go itself.
fn go_library(target: &Target) -> Option<String> {
    let exe = target.executable().ok()?;
    let executable = Executable::parse(Arc::new(exe.read(0, exe.length()).ok()?)).ok()?;
    let bias = executable.load_bias(target.auxiliary().ok()?.entry()?);
    go_libraries(&executable, target.memory(), bias).into_iter().next().map(|library| library.name)
}

/// What fails on a process that ends or becomes another program meanwhile fails because of that.
fn unless_it_changed(target: &Target, error: CaptureError) -> CaptureError {
    let pid = target.process().pid;
    match target.fate() {
        Ok(Fate::Same) => error,
        Ok(Fate::Execed) => FreezeError::Execed { pid }.into(),
        Ok(Fate::Gone) => CaptureError::Died { pid },
        // What failed failed because of that.
        Err(lost) => CaptureError::of_freezer(pid, lost),
    }
}

/// What was copied of a target, and how long it takes to see whether it has changed.
struct Copied<'a> {
    copy: Precopy<'a>,
    check_took: Duration,
    /// Its records were read before that.
    records_monotonic_ns: i64,
}

/// By the wall clock; nothing where that is past.
fn until(unix_ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(unix_ns.saturating_sub(realtime_ns())).unwrap_or(0))
}

/// Until that time of the wall clock, or for as long as it may be off after a step; just before it is looked once more
/// whether what was copied has changed.
fn wait_until(at_unix_ns: i64, target: &Target, copied: Option<&mut Copied<'_>>) {
    let left = || until(at_unix_ns).min(FREEZE_AHEAD_MAX);
    if let Some(Copied { copy, check_took, .. }) = copied
        && let Some(time) = left().checked_sub(*check_took + CHECK_MARGIN)
    {
        std::thread::sleep(time);
        let (memory, began) = (target.memory(), Instant::now());
        copy.check(memory, &|| began.elapsed() < CHECK_MAX && !memory.is_gone());
    }
    std::thread::sleep(left());
}

/// What can be copied before the freeze. What there is no time for is read in it.
fn copy_ahead<'a>(
    runtime: &'a Runtime<'a>,
    target: &Target,
    probing: Option<&mut Probing<'_>>,
) -> Option<Copied<'a>> {
    let (memory, began) = (target.memory(), Instant::now());
    let goroutines = u32::try_from(runtime.goroutine_count(memory)).unwrap_or(u32::MAX);
    let copy_max = COPY_MAX + COPY_MORE.saturating_mul(goroutines).min(COPY_MAX * 4);
    let copying = || began.elapsed() < copy_max && !memory.is_gone();
    let checking = || began.elapsed() < copy_max + CHECK_MAX && !memory.is_gone();
    let mut copy = Precopy::take(runtime, memory, &copying)?;
    // Somewhat later than that.
    let records_monotonic_ns = monotonic_ns();
    copy.check(memory, &checking);
    copy.look_up_waits(runtime, memory, &copying);
    if let Some(probing) = probing {
        copy.warm(runtime, memory, probing, &copying);
    }
    copy.make_room();
    let last = Instant::now();
    copy.check(memory, &checking);
    Some(Copied { copy, check_took: last.elapsed(), records_monotonic_ns })
}

/// What its descriptors are before the stop. Where that takes its time, it is looked once more whether what was copied has
/// changed, for less is left to do in the stop then.
fn list_descriptors(target: &Target, copied: Option<&mut Copied<'_>>) -> Result<(), FreezerError> {
    let began = Instant::now();
    let listed = target.list_descriptors();
    if began.elapsed() > LISTING_SHORT
        && let Some(copied) = copied
    {
        let (memory, began) = (target.memory(), Instant::now());
        copied.copy.check(memory, &|| began.elapsed() < CHECK_MAX && !memory.is_gone());
    }
    listed
}

/// Freezes; a host so busy that some thread gets no processor in time may have one a moment later.
fn freeze_all(target: &Target, budget: Duration) -> Result<FrozenTarget, CaptureError> {
    let pid = target.process().pid;
    let freeze = || target.freeze(budget).map_err(|error| CaptureError::of_freezer(pid, error));
    for _ in 1..FREEZE_ATTEMPTS {
        let frozen = freeze()?;
        if frozen.all_stopped() {
            return Ok(frozen);
        }
        drop(frozen);
        std::thread::sleep(budget);
    }
    let frozen = freeze()?;
    if frozen.all_stopped() {
        return Ok(frozen);
    }
    Err(CaptureError::NotStopped { pid, threads: frozen.unstopped().len() })
}

fn written_unix_ns(file: &Path) -> i64 {
    let written = std::fs::metadata(file).and_then(|metadata| metadata.modified()).ok();
    let since = written.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_nanos()).ok()).unwrap_or(0)
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
