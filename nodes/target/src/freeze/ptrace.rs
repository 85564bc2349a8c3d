//! The few ptrace requests of a freeze (ptrace(2)), and how a stop is observed without taking it.

use crate::registers::{Machine, WORDS_MAX};
use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;
use stillframe_golang::thread::Registers;

/// Of nix's release and of libc's, either spells only part of these (include/uapi/linux/ptrace.h, elf.h).
const NT_PRSTATUS: usize = 1;
#[cfg(target_arch = "aarch64")]
const NT_ARM_TLS: usize = 0x401;
#[cfg(target_arch = "aarch64")]
const NT_ARM_SYSTEM_CALL: usize = 0x404;

/// What a thread that was seized is found to be doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Observed {
    /// Not stopped (yet).
    Running,
    /// In a ptrace-stop.
    Stopped(Stop),
    /// Dead.
    Exited,
    /// There is no such thread of ours.
    Unknown,
}

/// The kinds of ptrace-stops that a freeze meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// About to take this signal, which must be handed on when the thread is let go.
    Signal(i32),
    /// By the interrupt, at the birth of a thread, or in a group-stop, which the kernel restores after a detach.
    Trap,
    /// It is in a `clone` that made another thread, which is ours too.
    Clone,
    /// It has exec'd.
    Exec,
}

/// Attaches without stopping. Clones are attached with their parent, execs are told. The option EXITKILL is never set:
/// when the tracer ends, the target goes on.
pub(super) fn seize(tid: i32) -> Result<(), Errno> {
    ptrace::seize(Pid::from_raw(tid), Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACEEXEC)
}

/// Stops a seized thread soon, without a signal.
pub(super) fn interrupt(tid: i32) -> Result<(), Errno> {
    ptrace::interrupt(Pid::from_raw(tid))
}

/// Lets a stopped thread go, handing it a signal (0: none). The signal may be a real-time one, which nix's `Signal`
/// cannot name.
pub(super) fn detach(tid: i32, signal: i32) -> Result<(), Errno> {
    // SAFETY: PTRACE_DETACH reads no memory of ours: its address is unused and its data is a signal's number.
    let result = unsafe {
        libc::ptrace(
            libc::PTRACE_DETACH,
            tid,
            std::ptr::null_mut::<libc::c_void>(),
            signal as usize as *mut libc::c_void,
        )
    };
    Errno::result(result).map(drop)
}

/// The thread that a [`Stop::Clone`] is about.
pub(super) fn cloned(tid: i32) -> Result<i32, Errno> {
    ptrace::getevent(Pid::from_raw(tid)).map(|message| message as i32)
}

/// Looks at a thread and leaves everything as it was.
///
/// WNOWAIT matters: a signal-delivery stop that was reaped has given up its signal, and if the tracer dies then, the
/// target has lost it (kernel/exit.c, `wait_task_stopped`: `*p_code = 0`). A Go program that lost a SIGURG may hang.
/// Without it, the kernel hands the signal on by itself when the tracer ends.
///
/// Only what this very thread traces is known (`__WNOTHREAD`), also where the target is a child of this process. An exec
/// gives the leader's id to another thread, and that one may be untraced.
pub(super) fn observe(tid: i32) -> Observed {
    observe_with(tid, libc::__WNOTHREAD)
}

fn observe_with(tid: i32, scope: i32) -> Observed {
    let flags = libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT | libc::WNOHANG | libc::__WALL;
    match wait(tid, flags | scope) {
        Ok(None) => Observed::Running,
        Ok(Some((libc::CLD_TRAPPED | libc::CLD_STOPPED, status))) => Observed::Stopped(stop(status)),
        Ok(Some(_)) => Observed::Exited,
        Err(_) => Observed::Unknown,
    }
}

/// Takes the rest of a dead thread away. Not that of a leader: its exit belongs to the process's parent.
///
/// The process cannot end, and an exec in it cannot go on, while a dead thread of it waits for its tracer
/// (fs/exec.c, `de_thread`). Any thread of the tracing process may do this.
pub(super) fn bury(tid: i32, leader: i32) {
    // WEXITED alone would also take a ptrace-stop (kernel/exit.c, `wait_consider_task`), hence the look before: what
    // is dead stays so.
    if tid != leader && observe_with(tid, 0) == Observed::Exited {
        let _ = wait(tid, libc::WEXITED | libc::WNOHANG | libc::__WALL);
    }
}

/// `si_code` and `si_status`, or nothing.
fn wait(tid: i32, flags: i32) -> Result<Option<(i32, i32)>, Errno> {
    // SAFETY: siginfo_t is plain data, for which all zero bytes are a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is a valid siginfo_t to write to.
    let result = unsafe { libc::waitid(libc::P_PID, tid as libc::id_t, &mut info, flags) };
    Errno::result(result)?;
    // SAFETY: `info` is either still zero or what waitid wrote, a siginfo_t of SIGCHLD, which has these two fields.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok((pid != 0).then_some((info.si_code, status)))
}

/// `si_status` of a ptrace-stop is the signal, and in its second byte the event (ptrace(2), "Stopped states").
fn stop(status: i32) -> Stop {
    match status >> 8 {
        0 => Stop::Signal(status & 0x7f),
        libc::PTRACE_EVENT_CLONE => Stop::Clone,
        libc::PTRACE_EVENT_EXEC => Stop::Exec,
        _ => Stop::Trap,
    }
}

/// The registers of a stopped thread, not yet put in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawRegisters {
    words: [u64; WORDS_MAX],
    thread_pointer: u64,
    syscall_number: i32,
}

/// Needs a stopped thread.
pub(super) fn registers(tid: i32) -> Result<RawRegisters, Errno> {
    let mut raw = RawRegisters { words: [0; WORDS_MAX], thread_pointer: 0, syscall_number: -1 };
    register_set(tid, NT_PRSTATUS, &mut raw.words)?;
    #[cfg(target_arch = "aarch64")]
    {
        let mut word = [0u64];
        register_set(tid, NT_ARM_TLS, &mut word)?;
        raw.thread_pointer = word[0];
        word = [u64::MAX];
        register_set(tid, NT_ARM_SYSTEM_CALL, &mut word)?;
        raw.syscall_number = word[0] as u32 as i32;
    }
    Ok(raw)
}

fn register_set(tid: i32, which: usize, words: &mut [u64]) -> Result<(), Errno> {
    let mut vector =
        libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: std::mem::size_of_val(words) };
    // SAFETY: PTRACE_GETREGSET writes at most `iov_len` bytes to `iov_base`, which is `words`, borrowed mutably; any
    // bytes are valid words.
    let result = unsafe {
        libc::ptrace(
            libc::PTRACE_GETREGSET as _,
            tid,
            which as *mut libc::c_void,
            (&raw mut vector).cast::<libc::c_void>(),
        )
    };
    Errno::result(result).map(drop)
}

impl RawRegisters {
    pub(super) fn ordered(&self) -> Option<Registers> {
        let mut registers = Machine::HERE.registers(&self.words)?;
        if Machine::HERE == Machine::Arm64 {
            registers.thread_pointer = self.thread_pointer;
            registers.syscall_number = i64::from(self.syscall_number);
        }
        Some(registers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_told_apart() {
        assert_eq!(stop(libc::SIGURG), Stop::Signal(libc::SIGURG));
        assert_eq!(stop(40), Stop::Signal(40));
        assert_eq!(stop(libc::SIGTRAP | libc::PTRACE_EVENT_STOP << 8), Stop::Trap);
        assert_eq!(stop(libc::SIGTSTP | libc::PTRACE_EVENT_STOP << 8), Stop::Trap);
        assert_eq!(stop(libc::SIGTRAP | libc::PTRACE_EVENT_CLONE << 8), Stop::Clone);
        assert_eq!(stop(libc::SIGTRAP | libc::PTRACE_EVENT_EXEC << 8), Stop::Exec);
    }

    #[test]
    fn a_thread_that_is_not_ours_is_unknown() {
        assert_eq!(observe(1), Observed::Unknown);
        assert_eq!(registers(1).unwrap_err(), Errno::ESRCH);
    }
}
