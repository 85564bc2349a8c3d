//! What the actors ask of a host, done on threads: finding targets, and capturing them.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use stillframe_actors::capture::actor::{CaptureOrder, Host, Link, Spool};
use stillframe_actors::connection::Later;
use stillframe_actors::glob;
use stillframe_actors::order::Stop;
use stillframe_target::freezer::Freezer;
use stillframe_wire::facts::{PauseWindow, ProcessFacts};
use stillframe_wire::limits::{
    PROGRAM_BYTES_MAX, READY_REASON_BYTES_MAX, TARGETS_PER_NODE_MAX, TEXT_BYTES_MAX,
};
use stillframe_wire::message::{FailureClass, ReadyTarget, Refusal, Selector};

use crate::capture::{Appointment, Captures, Options, Phase, Source};
use crate::error::{CaptureError, ExitClass};
use crate::policy::Policy;
use crate::preparations::lead;
use crate::spool::Folder;
use crate::symbols::config::Config;
use crate::symbols::{Coordinator, Symbols};
use crate::targets::{self, TargetSummary};
use crate::together::{Place, Together};
use crate::watch::Watches;

/// Between the order to freeze and the freeze, beside what the targets take to get ready.
const LEAD: Duration = Duration::from_millis(20);

/// This host: its processes, through a freezer, or one core file.
#[derive(Clone)]
pub struct Capturing {
    captures: Captures,
    of: Of,
    policy: Arc<Policy>,
    spool: Folder,
    coordinator: Coordinator,
    together: Together,
}

#[derive(Clone)]
enum Of {
    Processes(Freezer),
    Core { core: PathBuf, exe: PathBuf },
}

/// What an order asks of each of its processes.
struct Wish {
    max_pause: Option<Duration>,
    /// Until when debug information is waited for; `None`: no values are wanted.
    values: Option<Instant>,
    /// How long each of the processes that were found takes to get ready.
    expected: Vec<Duration>,
}

impl Capturing {
    /// `spool`: the folder where results wait for the coordinator.
    pub fn new(freezer: Freezer, policy: Policy, spool: &Path) -> Capturing {
        let captures = Captures::new(freezer.clone());
        let (of, policy) = (Of::Processes(freezer), Arc::new(policy));
        Capturing {
            captures,
            of,
            policy,
            spool: Folder::new(spool),
            coordinator: Coordinator::default(),
            together: Together::default(),
        }
    }

    /// A core file is a host of one process, whatever is selected.
    pub fn of_core(core: &Path, exe: &Path, spool: &Path) -> Capturing {
        let of = Of::Core { core: core.to_owned(), exe: exe.to_owned() };
        // Whoever names a core file may read it.
        let (policy, coordinator) = (Arc::new(Policy::open()), Coordinator::default());
        Capturing {
            captures: Captures::default(),
            of,
            policy,
            spool: Folder::new(spool),
            coordinator,
            together: Together::default(),
        }
    }

    /// With debug information from elsewhere than executables. `is_node`: from the coordinator, too.
    pub fn with_symbols(mut self, config: Config, is_node: bool) -> Capturing {
        let symbols = Symbols::new(config, is_node.then(|| self.coordinator.clone()));
        self.captures = self.captures.with_symbols(symbols);
        self
    }

    /// With processes watched, if the policy says so, from now on for as long as this process lives.
    pub fn watching(mut self) -> std::io::Result<Capturing> {
        if let (Of::Processes(freezer), Some(_)) = (&self.of, self.policy.watching()) {
            let watches = Watches::start(freezer.clone(), self.captures.clone(), Arc::clone(&self.policy))?;
            self.captures = self.captures.with_watches(watches);
        }
        Ok(self)
    }

    /// Nobody waits for debug information of values that nobody asked for, or that nobody may have.
    fn wish(&self, max_pause: Option<Duration>, probes: &str) -> Wish {
        let is_wanted = !probes.trim().is_empty() && self.policy.values_refused().is_none();
        Wish { max_pause, values: is_wanted.then(|| self.captures.patience()), expected: Vec::new() }
    }

    fn find_now(&self, selector: &Selector, wish: &mut Wish) -> Vec<ReadyTarget> {
        let freezer = match &self.of {
            Of::Processes(freezer) => freezer,
            Of::Core { exe, .. } => {
                let program = exe.file_name().map(|name| name.to_string_lossy().into_owned());
                return vec![ready_target(0, &program.unwrap_or_default(), None)];
            }
        };
        let Selector { programs, pids, .. } = selector;
        let mut ready: Vec<ReadyTarget> = pids.iter().map(|pid| self.by_pid(*pid, None, wish)).collect();
        if !programs.is_empty() || pids.is_empty() {
            let listed = match targets::list(freezer) {
                Ok(listed) => listed.targets,
                Err(error) => {
                    let failure = Refusal { class: FailureClass::Other, reason: error.to_string() };
                    return vec![ready_target(0, "", Some(failure))];
                }
            };
            let fits = |target: &TargetSummary| {
                let named = |pattern: &String| glob::matches(pattern, &target.program);
                !pids.contains(&target.pid) && (programs.is_empty() || programs.iter().any(named))
            };
            let found: Vec<TargetSummary> = listed.into_iter().filter(fits).collect();
            let room = TARGETS_PER_NODE_MAX.saturating_sub(ready.len());
            let more = found.len().saturating_sub(room);
            let kept = if more > 0 { room.saturating_sub(1) } else { room };
            let kept = found.into_iter().take(kept);
            ready.extend(kept.map(|target| self.by_pid(target.pid, Some(target), wish)));
            if more > 0 {
                let reason =
                    format!("more than {TARGETS_PER_NODE_MAX} processes of this host fit; select fewer");
                ready.push(ready_target(0, "", Some(Refusal { class: FailureClass::Limit, reason })));
            }
        }
        ready
    }

    /// `listed`: what the list of processes says of it.
    fn by_pid(&self, pid: u32, listed: Option<TargetSummary>, wish: &mut Wish) -> ReadyTarget {
        let (program, refused) =
            listed.map_or((String::new(), None), |target| (target.program, target.refusal));
        let program = Some(program).filter(|p| !p.is_empty()).or_else(|| self.captures.program(pid));
        let refusal = match (refused, &program) {
            (Some(reason), program) => {
                let program = program.as_deref().unwrap_or_default();
                let reason = format!("pid {pid} ({program}): {reason}");
                Some(Refusal { class: FailureClass::Unsupported, reason })
            }
            (None, program) => self.refused(pid, program.as_deref(), wish).err().map(|error| refusal(&error)),
        };
        ready_target(pid, &program.unwrap_or_default(), refusal)
    }

    /// Whether the policy is against it, or its executable cannot be read. Without a name there is no process, or none that
    /// this node may look at: reading it says which.
    fn refused(&self, pid: u32, program: Option<&str>, wish: &mut Wish) -> Result<(), CaptureError> {
        let allowed = program.map_or(Ok(()), |program| self.policy.check_program(program));
        allowed
            .and_then(|()| self.policy.check_pause(wish.max_pause))
            .map_err(|against| CaptureError::Policy { pid, against })?;
        let (build, _) = self.captures.warm(pid, wish.values)?;
        wish.expected.push(self.captures.preparations.expected(&build.identity.id));
        Ok(())
    }

    fn capture_now(
        &self,
        CaptureOrder { pid, stop, probes, at_node_unix_ns, .. }: CaptureOrder,
        place: Place,
        resumed: Box<dyn FnOnce(PauseWindow) + Send>,
    ) -> Result<Box<dyn Spool>, Refusal> {
        let hold_ns = i64::try_from(stop.hold.as_nanos()).unwrap_or(i64::MAX);
        let let_go_unix_ns = at_node_unix_ns.saturating_add(hold_ns);
        let appointment = Appointment { at_unix_ns: at_node_unix_ns, let_go_unix_ns, place };
        let source = match &self.of {
            Of::Processes(_) => Source::Pid(pid),
            Of::Core { core, exe } => Source::Core { core: core.clone(), exe: exe.clone() },
        };
        let mut resumed = Some(resumed);
        let mut progress = |phase: Phase| {
            if let Phase::Decoding(Some(pause)) = phase
                && let Some(resumed) = resumed.take()
            {
                resumed(pause);
            }
        };
        let options = Options { max_pause: stop.max, probes, policy: Arc::clone(&self.policy) };
        let facts: ProcessFacts = self
            .captures
            .capture_at(&source, &options, Some(appointment), &mut progress)
            .map_err(|error| refusal(&error))?;
        let spooled = self
            .spool
            .keep(facts)
            .map_err(|error| Refusal { class: FailureClass::Limit, reason: text(&error.to_string()) })?;
        Ok(Box::new(spooled))
    }
}

impl Host for Capturing {
    fn linked(&self, link: Link) {
        self.coordinator.linked(link);
    }

    fn find(&self, selector: Selector, stop: Stop, probes: Arc<str>) -> Later<(Vec<ReadyTarget>, Duration)> {
        let this = self.clone();
        Box::pin(async move {
            let find = move || {
                let mut wish = this.wish(stop.max, &probes);
                let found = this.find_now(&selector, &mut wish);
                let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
                (found, LEAD + lead(&wish.expected, processors))
            };
            let found = tokio::task::spawn_blocking(find).await;
            let failed = |error: tokio::task::JoinError| {
                let refusal = Some(Refusal { class: FailureClass::Other, reason: error.to_string() });
                (vec![ReadyTarget { pid: 0, program: String::new(), refusal }], LEAD)
            };
            found.unwrap_or_else(failed)
        })
    }

    fn capture(
        &self,
        wanted: CaptureOrder,
        resumed: Box<dyn FnOnce(PauseWindow) + Send>,
    ) -> Later<Result<Box<dyn Spool>, Refusal>> {
        let this = self.clone();
        // Whoever is given up before it begins is not waited for.
        let place = self.together.join(wanted.order, wanted.together);
        Box::pin(async move {
            let capture = move || this.capture_now(wanted, place, resumed);
            let captured = tokio::task::spawn_blocking(capture);
            captured.await.unwrap_or_else(|error| {
                Err(Refusal { class: FailureClass::Other, reason: error.to_string() })
            })
        })
    }
}

fn refusal(error: &CaptureError) -> Refusal {
    let class = match error.exit_class() {
        ExitClass::NoSuchProcess => FailureClass::NoSuchProcess,
        ExitClass::NotGo => FailureClass::NotGo,
        ExitClass::Permission => FailureClass::Permission,
        ExitClass::Unsupported => FailureClass::Unsupported,
        ExitClass::Vanished => FailureClass::Vanished,
        ExitClass::BadFile => FailureClass::BadFile,
        ExitClass::Other => FailureClass::Other,
    };
    Refusal { class, reason: text(&error.to_string()) }
}

/// With texts as long as they may be in an answer.
fn ready_target(pid: u32, program: &str, refusal: Option<Refusal>) -> ReadyTarget {
    let refusal = refusal
        .map(|Refusal { class, reason }| Refusal { class, reason: cut(&reason, READY_REASON_BYTES_MAX) });
    ReadyTarget { pid, program: cut(program, PROGRAM_BYTES_MAX), refusal }
}

/// As long as a text on the wire may be.
fn text(text: &str) -> String {
    cut(text, TEXT_BYTES_MAX)
}

fn cut(text: &str, bytes_max: usize) -> String {
    text[..text.floor_char_boundary(bytes_max.min(text.len()))].to_owned()
}

#[cfg(test)]
mod tests {
    use stillframe_wire::codec::encode_frame;
    use stillframe_wire::limits::CONTROL_FRAME_BYTES_MAX;
    use stillframe_wire::message::{OrderId, Ready, ToCoordinator};

    use super::*;

    #[test]
    fn the_longest_answer_is_a_control_frame() {
        let refusal = Refusal { class: FailureClass::Other, reason: "\u{e9}".repeat(9_999) };
        let target = ready_target(u32::MAX, &"p".repeat(9_999), Some(refusal));
        let targets = vec![target; TARGETS_PER_NODE_MAX];
        let ready = ToCoordinator::Ready(Ready { order: OrderId(u128::MAX), targets, lead_ns: u64::MAX });
        assert_eq!(ready.check(), Ok(()));
        assert!(encode_frame(&ready).unwrap().len() <= CONTROL_FRAME_BYTES_MAX);
    }
}
