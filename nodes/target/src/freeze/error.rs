//! Why a process was not frozen.

use crate::process::ProcessError;
use std::borrow::Cow;
use std::io;
use std::time::Duration;
use thiserror::Error;

/// A process was not frozen; if some of its threads had been stopped, they run again.
#[derive(Debug, Error)]
pub enum FreezeError {
    #[error("pid {pid}: this is the freezing process itself; order its snapshot from another one")]
    Itself { pid: u32 },
    #[error("pid {pid}: it is a kernel thread, which cannot be stopped; choose a user process")]
    KernelThread { pid: u32 },
    #[error("pid {pid}: it has exited; list the processes again")]
    Exited { pid: u32 },
    #[error("pid {pid}: another process has this pid now; list the processes again")]
    Replaced { pid: u32 },
    #[error("pid {pid}: the target exec'd another program; look it up again, then freeze it")]
    Execed { pid: u32 },
    #[error("pid {pid}: it is already traced by pid {tracer}; end that debugger or tracer first")]
    AlreadyTraced { pid: u32, tracer: u32 },
    #[error("pid {pid}: operation not permitted; {remedy}")]
    Denied { pid: u32, remedy: String },
    #[error("pid {pid}: a budget of {budget:?} is not between 1 ms and {budget_max:?}; set it in that range")]
    Budget { pid: u32, budget: Duration, budget_max: Duration },
    #[error("pid {pid}: {doing}: {source}; the target runs on, try again")]
    System { pid: u32, doing: Cow<'static, str>, source: io::Error },
    #[error("pid {pid}: the tracing thread failed; the target runs on, report this as a bug")]
    Lost { pid: u32 },
    #[error(transparent)]
    Process(#[from] ProcessError),
}
