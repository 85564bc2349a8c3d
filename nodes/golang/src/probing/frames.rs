//! Where the registers of a frame are real.
//!
//! Go's calling convention saves no register across calls (abi-internal.md): a frame's registers are known only where it
//! runs, or where they were saved when it was preempted.

use crate::executable::Architecture;
use crate::runtime::Runtime;
use crate::thread::Registers;
use crate::unwind::{PhysicalFrame, StackBytes};
use crate::version::FunctionKind;

use super::Standing;

/// Where `asyncPreempt` saves the general registers, by DWARF number, from its stack pointer on
/// (runtime/preempt_amd64.s). 6 and 7, the frame and the stack pointer, are elsewhere.
//
// @go source runtime.asyncPreempt
const SAVED_AMD64: [u64; 16] = [0, 16, 8, 24, 32, 40, u64::MAX, u64::MAX, 48, 56, 64, 72, 80, 88, 96, 104];
const FRAME_POINTER: usize = 6;
const STACK_POINTER: usize = 7;

/// The registers of `frames[index]`, if they are known.
pub(crate) fn registers(
    runtime: &Runtime<'_>,
    standing: &Standing<'_>,
    frames: &[PhysicalFrame],
    index: usize,
) -> Option<Registers> {
    if index == 0 {
        return standing.registers.filter(|_| standing.start.exact).cloned();
    }
    let callee = &frames[index - 1];
    let preempted = callee.function.kind(runtime.functions.minor()) == FunctionKind::AsyncPreempt;
    if !preempted || runtime.architecture() != Architecture::Amd64 {
        return None;
    }
    // The end of the frame that `asyncPreempt` called is where its own stack pointer stands.
    let sp = frames.get(index.checked_sub(2)?)?.frame_end;
    saved(&standing.bytes, sp, callee.frame_end, runtime.text.wrapping_add(frames[index].pc))
}

fn saved(stack: &StackBytes<'_>, sp: u64, frame_end: u64, pc: u64) -> Option<Registers> {
    let mut general = Vec::with_capacity(SAVED_AMD64.len());
    for (number, &at) in SAVED_AMD64.iter().enumerate() {
        general.push(match number {
            // Pushed first, below the return address.
            FRAME_POINTER => stack.word(frame_end.checked_sub(16)?)?,
            STACK_POINTER => frame_end,
            _ => stack.word(sp.checked_add(at)?)?,
        });
    }
    Some(Registers { pc, general, thread_pointer: 0, syscall_number: -1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn saved_registers_are_those_that_were_pushed() {
        // 16 words from the stack pointer on, the flags, the frame pointer, the return address.
        let words: Vec<u64> = (0..19).map(|i| 0x100 + i).collect();
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        let stack = StackBytes { address: 0x1000, bytes: &bytes };
        let end = 0x1000 + 19 * 8;
        let registers = saved(&stack, 0x1000, end, 7).unwrap();
        // rax, rdx, rcx, rbx.
        assert_eq!(registers.general[..4], [0x100, 0x102, 0x101, 0x103]);
        assert_eq!(registers.general[FRAME_POINTER], 0x100 + 17);
        assert_eq!(registers.general[STACK_POINTER], end);
        assert_eq!(registers.general[15], 0x100 + 13);
        assert_eq!(saved(&stack, 0x2000, end, 7), None);
    }
}
