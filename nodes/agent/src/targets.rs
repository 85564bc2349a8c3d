//! Which Go processes this host has.

use std::collections::HashMap;
use std::sync::Arc;

use stillframe_golang::build::Identity as BuildIdentity;
use stillframe_golang::build_info::BuildInfo;
use stillframe_target::executable::Identity;
use stillframe_target::freezer::{Freezer, FreezerError};
use stillframe_target::process::{Process, ProcessError};

use crate::convert::program;
use crate::scrub;

/// One Go process.
#[derive(Clone, Debug)]
pub struct TargetSummary {
    pub pid: u32,
    pub ns_pid: u32,
    pub uid: u32,
    pub program: String,
    pub exe: String,
    pub cmdline: String,
    pub go_version: String,
    pub build_id: String,
    pub main_module: Option<String>,
    pub threads: u32,
    pub container_id: Option<String>,
    pub started_unix_ns: i64,
    /// Why it cannot be captured, as far as its executable tells.
    pub refusal: Option<String>,
}

/// What a look over the host's processes found.
#[derive(Debug, Default)]
pub struct Targets {
    /// By pid.
    pub targets: Vec<TargetSummary>,
    /// Processes that may not be looked at; they may be Go.
    pub denied: Vec<String>,
}

/// Which processes are Go, asked again and again: each executable is read once.
#[derive(Default)]
pub(crate) struct Identified(HashMap<Identity, Option<Arc<Known>>>);

/// Executables that are remembered.
const IDENTIFIED_MAX: usize = 4096;

impl Identified {
    /// Whether a process is Go, and nothing of its executable is against capturing it.
    pub(crate) fn can_be_captured(&mut self, freezer: &Freezer, process: &Process) -> bool {
        if self.0.len() >= IDENTIFIED_MAX {
            self.0.clear();
        }
        let known = identify(freezer, process, &mut self.0).ok().flatten();
        known.is_some_and(|known| known.refusal.is_none())
    }
}

/// What a Go executable is; many processes may run it.
struct Known {
    info: BuildInfo,
    build_id: String,
    refusal: Option<String>,
}

/// All Go processes that `/proc` shows.
pub fn list(freezer: &Freezer) -> Result<Targets, FreezerError> {
    let listing = freezer.list()?;
    let mut targets =
        Targets { denied: listing.denied.iter().map(ToString::to_string).collect(), ..Targets::default() };
    let mut known = HashMap::new();
    for process in listing.processes.iter().filter(|p| p.exe.is_some()) {
        match identify(freezer, process, &mut known) {
            Ok(Some(build)) => targets.targets.push(summary(process, &build)),
            Ok(None)
            | Err(FreezerError::Process(ProcessError::NotFound { .. } | ProcessError::Exited { .. })) => {}
            Err(FreezerError::Process(error)) => targets.denied.push(error.to_string()),
            Err(error) => return Err(error),
        }
    }
    Ok(targets)
}

/// `None`: not Go.
fn identify(
    freezer: &Freezer,
    process: &Process,
    known: &mut HashMap<Identity, Option<Arc<Known>>>,
) -> Result<Option<Arc<Known>>, FreezerError> {
    let executable = freezer.executable(process.pid)?;
    let identity = executable.identity();
    if let Some(known) = known.get(&identity) {
        return Ok(known.clone());
    }
    let bytes = executable.read(0, executable.length()).ok();
    let build = bytes.and_then(|bytes| BuildIdentity::read(Arc::new(bytes)).ok());
    let found = build.map(|build| {
        let refusal = build.check().err().map(|error| error.to_string());
        Arc::new(Known { refusal, info: build.info, build_id: build.id })
    });
    known.insert(identity, found.clone());
    Ok(found)
}

fn summary(process: &Process, build: &Known) -> TargetSummary {
    let exe = process.exe.clone().unwrap_or_default();
    TargetSummary {
        pid: process.pid,
        ns_pid: process.ns_pid,
        uid: process.uid,
        program: program(&exe),
        exe,
        cmdline: scrub::command_line(&process.cmdline),
        go_version: build.info.version.to_string(),
        build_id: build.build_id.clone(),
        main_module: build.info.main_module.as_ref().map(|m| format!("{} {}", m.path, m.version)),
        threads: process.threads,
        container_id: process.container_id.clone(),
        started_unix_ns: process.started_unix_ns,
        refusal: build.refusal.clone(),
    }
}
