//! From one frame to the next: the physical frames of a goroutine's stack.
//!
//! This follows `unwinder` in runtime/traceback.go. The stack is done when a function is reached that
//! stands at the top of all stacks, and is believed only if the stack pointer there is the one that the runtime has noted
//! in `g.stktopsp`.
//!
//! Not for: stacks of C functions, and jumping from a thread's own stack to its goroutine's.
//
// @go source runtime.(*unwinder).{next,resolveInternal,finishInternal}
// @go source runtime.pcvalue
// @go source runtime.step
// @go source runtime.funcspdelta

use std::fmt;

use crate::executable::Architecture;
use crate::function_table::Function;
use crate::modules::Functions;
use crate::start::Start;
use crate::steps::Steps;
use crate::version::FunctionKind;

/// Frames of one stack.
pub const FRAMES_MAX: usize = 65_536;

/// A part of a stack, up to its upper end or to where its copy ends.
#[derive(Clone, Copy)]
pub(crate) struct StackBytes<'a> {
    pub(crate) address: u64,
    pub(crate) bytes: &'a [u8],
}

impl StackBytes<'_> {
    pub(crate) fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.address)?).ok()?;
        crate::bytes::u64_at(self.bytes, at)
    }
}

/// The return address that a frame's caller left right below the frame's end (amd64).
pub(crate) fn caller(stack: &StackBytes<'_>, frame_end: u64) -> Option<u64> {
    stack.word(frame_end.checked_sub(8)?)
}

/// Why a stack ends where it ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// At its top frame.
    Complete,
    /// The thread's or the goroutine's registers are not known.
    NoStart(&'static str),
    /// The program counter is in no Go function.
    UnknownPc(u64),
    /// The function table has no frame information for it.
    NoFrameInformation(String),
    /// The function changes the stack pointer in ways that the function table does not tell.
    StackPointerWritten(String),
    /// The stack pointer lies outside of the stack.
    OutsideStack(u64),
    /// The stack's memory at this address is not there.
    Unreadable(u64),
    /// A top frame, but not where the goroutine's stack starts.
    NotAtTop,
    /// More than [`FRAMES_MAX`] frames, or too many in all stacks of the process.
    TooDeep,
    /// Two frames in one place.
    NoProgress,
    /// The copy of the stack is limited.
    StackTooLarge,
    /// The pause budget was spent before it could be read.
    Budget,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Complete => f.write_str("complete"),
            Stop::NoStart(why) => f.write_str(why),
            Stop::UnknownPc(pc) => write!(f, "program counter {pc:#x} is in no Go function"),
            Stop::NoFrameInformation(name) => write!(f, "no frame information for {name}"),
            Stop::StackPointerWritten(name) => {
                write!(f, "caught while {name} was changing the stack pointer")
            }
            Stop::OutsideStack(sp) => write!(f, "stack pointer {sp:#x} is outside of the stack"),
            Stop::Unreadable(address) => write!(f, "stack memory at {address:#x} is not readable"),
            Stop::NotAtTop => f.write_str("ended in the middle of the stack"),
            Stop::TooDeep => f.write_str("more frames than the limit; the outer ones are left out"),
            Stop::NoProgress => f.write_str("two frames in one place"),
            Stop::StackTooLarge => {
                f.write_str("larger than the limit on stack copies; its outer part was not read")
            }
            Stop::Budget => f.write_str("budget"),
        }
    }
}

/// One function's frame. Program counters are offsets from the start of the Go text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PhysicalFrame {
    pub(crate) function: Function,
    pub(crate) pc: u64,
    /// The instruction that the frame stands at: `pc`, or the last byte of the call before it.
    pub(crate) call_pc: u64,
    /// The stack pointer of the caller.
    pub(crate) frame_end: u64,
}

/// The stack of one goroutine.
pub(crate) struct Stack<'a> {
    pub(crate) lo: u64,
    pub(crate) hi: u64,
    /// `g.stktopsp`.
    pub(crate) top_sp: u64,
    /// Where the Go text starts.
    pub(crate) text: u64,
    pub(crate) bytes: StackBytes<'a>,
}

/// All frames from `start` on, innermost first, into `frames`.
pub(crate) fn unwind(
    steps: &Steps<'_>,
    architecture: Architecture,
    stack: &Stack<'_>,
    start: Start,
    frames: &mut Vec<PhysicalFrame>,
) -> Stop {
    let stop = walk(steps, architecture, stack, start, frames);
    // A thread may be caught in a function that moves the stack pointer by hand. Behind it the walk is a guess, which
    // only reaching the noted top of the stack confirms.
    if stop != Stop::Complete
        && start.exact
        && let Some(first) = frames.first()
        && first.function.writes_stack_pointer()
    {
        let name = steps.functions.name(&first.function).to_owned();
        frames.truncate(1);
        return Stop::StackPointerWritten(name);
    }
    stop
}

fn walk(
    steps: &Steps<'_>,
    architecture: Architecture,
    stack: &Stack<'_>,
    start: Start,
    frames: &mut Vec<PhysicalFrame>,
) -> Stop {
    let link_register = architecture.uses_link_register();
    let Start { mut pc, mut sp, mut lr, mut exact, .. } = start;
    // A call of a nil function: the frame is its caller's.
    if pc == 0 {
        let Some(return_pc) = stack.bytes.word(sp) else { return Stop::Unreadable(sp) };
        (pc, lr, exact) = (return_pc, 0, false);
        if !link_register {
            sp += 8;
        }
    }
    loop {
        let innermost = frames.is_empty();
        if frames.len() == FRAMES_MAX {
            return Stop::TooDeep;
        }
        if !(stack.lo < sp && sp <= stack.hi) {
            return Stop::OutsideStack(sp);
        }
        let Some((offset, step)) = pc.checked_sub(stack.text).and_then(|o| Some((o, steps.at(o)?))) else {
            return Stop::UnknownPc(pc);
        };
        let function = step.function;
        let name = || steps.functions.name(&function).to_owned();
        let return_address = if link_register { 0 } else { 8 };
        let frame_end = step.stack_delta.and_then(|d| sp.checked_add(d)?.checked_add(return_address));
        let call_pc = if exact || offset <= function.entry { offset } else { offset - 1 };
        frames.push(PhysicalFrame { function, pc: offset, call_pc, frame_end: frame_end.unwrap_or(sp) });
        let Some(frame_end) = frame_end else { return Stop::NoFrameInformation(name()) };
        if function.is_top_frame() {
            return if sp == stack.top_sp { Stop::Complete } else { Stop::NotAtTop };
        }
        let kind = function.kind(steps.functions.minor());
        // `cgocallback` changes stacks, too, but takes care that both can be unwound through it.
        if function.writes_stack_pointer() && kind != FunctionKind::CgoCallback && !innermost {
            return Stop::StackPointerWritten(name());
        }
        if frame_end > stack.hi {
            return Stop::OutsideStack(frame_end);
        }
        let return_pc = if !link_register {
            caller(&stack.bytes, frame_end)
        } else if (innermost && sp < frame_end) || lr == 0 {
            stack.bytes.word(sp)
        } else {
            Some(lr)
        };
        let Some(return_pc) = return_pc else {
            return Stop::Unreadable(if link_register { sp } else { frame_end - 8 });
        };
        if return_pc == pc && frame_end == sp {
            return Stop::NoProgress;
        }
        exact = kind.is_injected();
        (pc, sp, lr) = (return_pc, frame_end, 0);
        // The signal handler has saved the link register on the stack before it faked the call.
        if link_register && exact {
            let Some(saved) = stack.bytes.word(sp) else { return Stop::Unreadable(sp) };
            sp += 16;
            match pc.checked_sub(stack.text).and_then(|o| steps.at(o)) {
                None => pc = saved,
                Some(step) if step.stack_delta == Some(0) => lr = saved,
                Some(_) => {}
            }
        }
    }
}

/// Whether the chain of frame pointers that starts at `bp` passes the same callers as `frames`. It is what the compiler
/// keeps for profilers, independent of the function table (cmd/internal/obj/x86/obj6.go; arm64/obj7.go): the saved
/// frame pointer, and the return address one word above it. The chain leaves the stack at a call that came from C, and
/// may skip a function that a fault interrupted: it is followed up to there.
pub(crate) fn frame_pointers_agree(
    functions: &Functions<'_>,
    stack: &Stack<'_>,
    bp: u64,
    frames: &[PhysicalFrame],
) -> bool {
    let mut bp = bp;
    for (callee, frame) in frames.iter().zip(frames.iter().skip(1)) {
        let kind = callee.function.kind(functions.minor());
        if kind == FunctionKind::CgoCallback || kind.is_injected() {
            return true;
        }
        let caller = bp.checked_add(8).and_then(|at| stack.bytes.word(at));
        if caller.and_then(|pc| pc.checked_sub(stack.text)) != Some(frame.pc) {
            return false;
        }
        let Some(next) = stack.bytes.word(bp) else { return false };
        bp = next;
    }
    true
}
