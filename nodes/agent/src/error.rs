//! Why a target was not captured, and what kind of failure that is.

use std::path::PathBuf;

use stillframe_golang::build::BuildError;
use stillframe_golang::runtime::RuntimeError;
use stillframe_target::core::CoreError;
use stillframe_target::executable::ExecutableError;
use stillframe_target::freeze::FreezeError;
use stillframe_target::freezer::FreezerError;
use stillframe_target::process::ProcessError;
use thiserror::Error;

use crate::policy::Against;

/// Nothing of a target could be captured. It runs on, as it did.
#[derive(Debug, Error)]
pub enum CaptureError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("pid {pid}: it is a kernel thread; Stillframe captures Go programs only")]
    KernelThread { pid: u32 },
    #[error("pid {pid} ({exe}): {source}")]
    Build { pid: u32, exe: String, source: BuildError },
    #[error(
        "pid {pid} ({exe}): not a Go executable, and the Go runtime of the library {library} (-buildmode=c-shared) is not captured: Stillframe captures programs whose executable is Go"
    )]
    GoLibrary { pid: u32, exe: String, library: String },
    #[error(transparent)]
    Executable(#[from] ExecutableError),
    #[error("pid {pid}: {source}")]
    Runtime { pid: u32, source: RuntimeError },
    #[error(transparent)]
    Freeze(#[from] FreezeError),
    /// Never of the kinds that are `Process` and `Freeze`.
    #[error("pid {pid}: {source}")]
    Freezer { pid: u32, source: FreezerError },
    #[error("pid {pid}: no freezer was started; report this as a bug")]
    NoFreezer { pid: u32 },
    #[error("the probes of the order: {what}")]
    Probes { what: String },
    #[error("pid {pid}: {against}")]
    Policy { pid: u32, against: Against },
    #[error("pid {pid}: it ended during the capture")]
    Died { pid: u32 },
    #[error(
        "pid {pid}: {threads} of its threads were given no processor to stop on; is its CPU quota spent? Try again, or allow a longer pause with --max-pause"
    )]
    NotStopped { pid: u32, threads: usize },
    #[error(
        "pid {pid}: the pause budget of {budget_ms} ms was spent before anything could be read; allow more with --max-pause"
    )]
    NothingInBudget { pid: u32, budget_ms: u128 },
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    CoreBuild { path: PathBuf, source: BuildError },
    #[error(transparent)]
    Core(#[from] CoreError),
    #[error("{core}: it is not of {exe}: {source}; give the executable that the process ran")]
    OtherExecutable { core: PathBuf, exe: PathBuf, source: RuntimeError },
}

/// Kinds of failures, for exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitClass {
    NoSuchProcess,
    NotGo,
    Permission,
    Unsupported,
    Vanished,
    BadFile,
    Other,
}

impl CaptureError {
    /// What the freezer says of a process is told as if it had been seen here.
    pub(crate) fn of_freezer(pid: u32, error: FreezerError) -> CaptureError {
        match error {
            FreezerError::Process(error) => CaptureError::Process(error),
            FreezerError::Freeze(error) => CaptureError::Freeze(error),
            source => CaptureError::Freezer { pid, source },
        }
    }

    pub fn exit_class(&self) -> ExitClass {
        match self {
            CaptureError::Process(error) | CaptureError::Freeze(FreezeError::Process(error)) => {
                of_process(error)
            }
            CaptureError::KernelThread { .. } | CaptureError::Freeze(FreezeError::KernelThread { .. }) => {
                ExitClass::NotGo
            }
            CaptureError::Build { source, .. } => of_build(source, ExitClass::NotGo),
            CaptureError::CoreBuild { source, .. } => of_build(source, ExitClass::BadFile),
            CaptureError::GoLibrary { .. }
            | CaptureError::Runtime { source: RuntimeError::OtherRuntime { .. }, .. } => {
                ExitClass::Unsupported
            }
            CaptureError::File { .. } | CaptureError::Core(_) | CaptureError::OtherExecutable { .. } => {
                ExitClass::BadFile
            }
            CaptureError::Died { .. }
            | CaptureError::Freeze(
                FreezeError::Exited { .. } | FreezeError::Replaced { .. } | FreezeError::Execed { .. },
            ) => ExitClass::Vanished,
            CaptureError::Policy { .. }
            | CaptureError::Freeze(FreezeError::Denied { .. } | FreezeError::AlreadyTraced { .. }) => {
                ExitClass::Permission
            }
            CaptureError::Executable(_)
            | CaptureError::Probes { .. }
            | CaptureError::Runtime { .. }
            | CaptureError::Freeze(_)
            | CaptureError::Freezer { .. }
            | CaptureError::NoFreezer { .. }
            | CaptureError::NotStopped { .. }
            | CaptureError::NothingInBudget { .. } => ExitClass::Other,
        }
    }
}

fn of_process(error: &ProcessError) -> ExitClass {
    match error {
        ProcessError::NotFound { .. } => ExitClass::NoSuchProcess,
        ProcessError::Exited { .. } => ExitClass::Vanished,
        ProcessError::Denied { .. } => ExitClass::Permission,
        ProcessError::Unreadable { .. } | ProcessError::NoProc(_) => ExitClass::Other,
    }
}

/// `foreign`: what it means that the file is no Go executable.
fn of_build(error: &BuildError, foreign: ExitClass) -> ExitClass {
    if error.is_unsupported() { ExitClass::Unsupported } else { foreign }
}
