//! What is not frozen, found out before anything is touched.

use super::error::FreezeError;
use super::tasks::Tasks;
use crate::proc_files::Status;
use crate::process::{Process, ProcessError};

/// Refuses this process itself, kernel threads, the dead, another process under the same pid, another program in the
/// same process, and those that somebody traces. `tasks` is open, so that all this is still true of it later.
pub(super) fn check(process: &Process, tasks: &Tasks) -> Result<(), FreezeError> {
    let pid = process.pid;
    if pid == std::process::id() {
        return Err(FreezeError::Itself { pid });
    }
    let stat = match tasks.stat() {
        Ok(stat) if stat.process_has_exited() => return Err(FreezeError::Exited { pid }),
        Ok(stat) => stat,
        Err(error) if Tasks::gone(&error) => return Err(FreezeError::Exited { pid }),
        Err(source) => return Err(FreezeError::System { pid, doing: "reading its stat".into(), source }),
    };
    if stat.is_kernel_thread() {
        return Err(FreezeError::KernelThread { pid });
    }
    if stat.start_ticks != process.start_ticks {
        return Err(FreezeError::Replaced { pid });
    }
    if !process.is_program_of(&stat) {
        return Err(FreezeError::Execed { pid });
    }
    let status = Status::read(&format!("/proc/{pid}/status"))
        .map_err(|error| ProcessError::on(pid, "status", error))?;
    match status.tracer_pid {
        0 => Ok(()),
        tracer => Err(FreezeError::AlreadyTraced { pid, tracer: process_of(tracer) }),
    }
}

/// `TracerPid` is the id of a thread; `/proc` finds threads too, and says whose they are.
pub(super) fn process_of(tracer: u32) -> u32 {
    Status::read(&format!("/proc/{tracer}/status")).map_or(tracer, |status| status.tgid)
}
