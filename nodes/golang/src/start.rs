//! Where the unwinding of a goroutine starts: program counter and stack pointer of its innermost frame.
//!
//! The order of the rules matters. Source: `tracebackothers`, `traceback1` and `unwinder.initAt` (runtime/traceback.go),
//! `sigctxt` (runtime/signal_amd64.go, defs_linux_amd64.go), `nanotime1` (runtime/sys_linux_amd64.s).
//
// @go source runtime.tracebackothers
// @go source runtime.traceback1
// @go source runtime.(*unwinder).initAt
// @go source runtime.nanotime1
// @go source runtime.reentersyscall
// @go source runtime.save

use crate::executable::Architecture;
use crate::records::{GRecord, MRecord, Status};
use crate::runtime::Runtime;
use crate::thread::Registers;
use crate::unwind::{StackBytes, caller};

/// The innermost frame of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) pc: u64,
    pub(crate) sp: u64,
    /// The link register, where the architecture has one and the frame has not saved it.
    pub(crate) lr: u64,
    /// `pc` is the next instruction of a thread, not the return address of a call.
    pub(crate) exact: bool,
    /// Taken from `g.syscallsp`: the stack pointer is the one at the function's entry.
    pub(crate) syscall: bool,
}

/// Offsets of program counter and stack pointer in the `ucontext` that the kernel puts on a signal's stack
/// (`ucontext` and `sigcontext`, runtime/defs_linux_amd64.go; runtime/defs_linux_arm64.go).
//
// @go offset amd64 runtime.ucontext.uc_mcontext = 40
// @go offset amd64 runtime.sigcontext.rip = 128
// @go offset amd64 runtime.sigcontext.rsp = 120
const UCONTEXT_AMD64: (u64, u64) = (168, 160);

/// What is known of the thread that a goroutine has.
pub(crate) struct Running<'a> {
    pub(crate) m: &'a MRecord,
    pub(crate) registers: Option<&'a Registers>,
    /// What is left of the thread's signal stack, from the stack pointer on, if it stands there.
    pub(crate) signal_stack: Option<StackBytes<'a>>,
}

impl Running<'_> {
    /// What the thread was doing when it was sent the signal that it handles.
    fn interrupted(&self, runtime: &Runtime<'_>) -> Option<Start> {
        let (registers, stack) = (self.registers?, self.signal_stack?);
        interrupted(runtime, registers.pc, stack_pointer(runtime, registers), &stack)
    }
}

/// The stack pointer of a thread.
pub(crate) fn stack_pointer(runtime: &Runtime<'_>, registers: &Registers) -> u64 {
    let number = if runtime.architecture().uses_link_register() { 31 } else { 7 };
    registers.general.get(number).copied().unwrap_or(0)
}

fn link_register(runtime: &Runtime<'_>, registers: &Registers) -> u64 {
    let known = runtime.architecture().uses_link_register();
    if known { registers.general.get(30).copied().unwrap_or(0) } else { 0 }
}

/// The lowest stack pointer from which `g` may have to be unwound: where the reading of its stack starts.
pub(crate) fn lowest_stack_pointer(
    runtime: &Runtime<'_>,
    g: &GRecord,
    running: Option<&Running<'_>>,
) -> Option<u64> {
    let of_thread = [
        running.map(|r| r.m.vdso_sp),
        running.and_then(|r| r.registers).map(|r| stack_pointer(runtime, r)),
        running.and_then(|r| r.interrupted(runtime)).map(|start| start.sp),
    ];
    lowest(runtime.architecture(), g, of_thread.into_iter().flatten())
}

/// The same for a goroutine that does not run.
pub(crate) fn lowest_saved(architecture: Architecture, g: &GRecord) -> Option<u64> {
    lowest(architecture, g, std::iter::empty())
}

/// Where there is a link register a function saves its caller's frame pointer one word below its own stack pointer
/// (cmd/internal/obj/arm64, obj7.go, "Save frame pointer").
fn lowest(architecture: Architecture, g: &GRecord, of_thread: impl Iterator<Item = u64>) -> Option<u64> {
    let saved = [Some(g.syscall_sp).filter(|&sp| sp != 0), Some(g.sched_sp)];
    let all = saved.into_iter().flatten().chain(of_thread);
    let lowest = all.filter(|&sp| g.holds(sp)).min()?;
    Some(if architecture.uses_link_register() { (lowest - 8).max(g.stack_lo) } else { lowest })
}

/// Why there is no start.
pub(crate) const NO_THREAD: &str = "running on a thread whose record could not be read";
pub(crate) const NO_REGISTERS: &str = "running on a thread whose registers could not be read";
const IN_HANDLER: &str = "running on a thread that handles a signal; what it was doing before was not found";

/// Rules A (running), B (in a system call) and C (all others).
pub(crate) fn start(
    runtime: &Runtime<'_>,
    g: &GRecord,
    running: Option<&Running<'_>>,
) -> Result<Start, &'static str> {
    let syscall = Start { pc: g.syscall_pc, sp: g.syscall_sp, lr: 0, exact: false, syscall: true };
    let saved = Start { pc: g.sched_pc, sp: g.sched_sp, lr: g.sched_lr, exact: false, syscall: false };
    let vdso = running.filter(|r| g.holds(r.m.vdso_sp)).map(|r| Start {
        pc: r.m.vdso_pc,
        sp: r.m.vdso_sp,
        lr: 0,
        exact: false,
        syscall: false,
    });
    if g.status == Status::Syscall && g.syscall_sp != 0 {
        return Ok(vdso.unwrap_or(syscall));
    }
    let Some(running) = running.filter(|r| g.status == Status::Running && r.m.current_g == g.address) else {
        return Ok(if g.syscall_sp != 0 { syscall } else { saved });
    };
    let Some(registers) = running.registers else { return Err(NO_REGISTERS) };
    let sp = stack_pointer(runtime, registers);
    let here =
        Start { pc: registers.pc, sp, lr: link_register(runtime, registers), exact: true, syscall: false };
    let here = if g.holds(sp) { Some(here) } else { None };
    let interrupted = running.signal_stack.as_ref().map(|s| interrupted(runtime, registers.pc, sp, s));
    let of_handler = interrupted.flatten().filter(|start| g.holds(start.sp));
    match here.or(vdso).or(of_handler) {
        // `gogo` has put the goroutine's stack pointer back and is about to jump to its saved program counter.
        Some(start) if start.exact && in_gogo(runtime, start.pc) => Ok(Start { sp: start.sp, ..saved }),
        Some(start) => Ok(start),
        None if g.syscall_sp != 0 => Ok(syscall),
        // What is saved of the goroutine may be of an earlier time.
        None if interrupted == Some(None) => Err(IN_HANDLER),
        None => Ok(saved),
    }
}

/// `gogo<>` is a local symbol of runtime/asm_amd64.s and asm_arm64.s, hence without its package's name.
//
// @go source runtime.gogo
fn in_gogo(runtime: &Runtime<'_>, pc: u64) -> bool {
    let function = runtime.offset(pc).and_then(|pc| runtime.functions.find(pc));
    function.is_some_and(|f| matches!(runtime.functions.name(&f), "runtime.gogo" | "gogo"))
}

/// A thread on its signal stack: what it was doing when the signal came. The handler's outermost frame is
/// `sigtramp`, and the kernel has put the interrupted registers right behind it (amd64; not found on arm64).
//
// @go source runtime.{sigtramp,cgoSigtramp}
fn interrupted(runtime: &Runtime<'_>, pc: u64, sp: u64, stack: &StackBytes<'_>) -> Option<Start> {
    if runtime.architecture().uses_link_register() {
        return None;
    }
    const HANDLER_FRAMES_MAX: usize = 256;
    let (mut pc, mut sp) = (pc, sp);
    for _ in 0..HANDLER_FRAMES_MAX {
        let offset = runtime.offset(pc)?;
        let function = runtime.functions.find(offset)?;
        let frame_end = sp.checked_add(runtime.functions.stack_delta(&function, offset)?)?.checked_add(8)?;
        if matches!(runtime.functions.name(&function), "runtime.sigtramp" | "runtime.cgoSigtramp") {
            let (pc_at, sp_at) = UCONTEXT_AMD64;
            let pc = stack.word(frame_end.checked_add(pc_at)?)?;
            let sp = stack.word(frame_end.checked_add(sp_at)?)?;
            return Some(Start { pc, sp, lr: 0, exact: true, syscall: false });
        }
        (pc, sp) = (caller(stack, frame_end)?, frame_end);
    }
    None
}
