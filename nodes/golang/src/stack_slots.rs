//! Whether a stack slot still holds what debug information says it does: read off the function's code.
//!
//! The compiler notes where a value was stored, and when the variable moves. It does not note three things
//! (cmd/compile/internal/ssa/debug.go):
//!
//! * that another value was stored to the same slot, since nobody reads the variable any more (`stackalloc.go` shares
//!   spill slots, and `processValue` forgets registers that are overwritten, but no slots);
//! * that the variable was assigned a value that is kept nowhere, such as a constant;
//! * that it was assigned a value which is computed only later, out of the one before (`tighten.go`).
//!
//! So a slot is believed if nothing is stored to it on any way from where it began to hold the variable, if it is read
//! after the instruction in question, before it is written (then what was stored is still of use), and if none of these reads
//! belongs to a line above (then it may be for what was to be computed before). What that leaves: docs/values.md.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};

use crate::code_lines::CodeLines;

/// Of one function; of longer ones nothing is believed.
const CODE_BYTES_MAX: usize = 1 << 20;

/// What the code of one function does with its stack slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackSlots {
    /// By address. Empty: the code is not understood.
    steps: Arc<[Step]>,
    /// Where jumps lead to and where they stand, as indices into `steps`; ascending.
    jumps: Arc<[(u32, u32)]>,
    lines: CodeLines,
}

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    start: u64,
    end: u64,
    is_call: bool,
    /// The instruction behind it may come next.
    goes_on: bool,
    does_nothing: bool,
    target: Option<u64>,
    access: Option<Access>,
}

/// Of memory at an offset from the canonical frame address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Access {
    offset: i64,
    length: u64,
    reads: bool,
    writes: bool,
}

impl Access {
    fn overlaps(&self, offset: i64, length: u64) -> bool {
        let end = |at: i64, length: u64| i128::from(at) + i128::from(length);
        i128::from(self.offset) < end(offset, length) && i128::from(offset) < end(self.offset, self.length)
    }

    fn covers(&self, offset: i64, length: u64) -> bool {
        let end = |at: i64, length: u64| i128::from(at) + i128::from(length);
        self.offset <= offset && end(offset, length) <= end(self.offset, self.length)
    }
}

impl StackSlots {
    /// Code that is not looked into.
    pub(crate) fn unknown() -> Self {
        StackSlots::default()
    }

    /// `code` begins at `pc`; `pushed`: how many bytes the function has pushed at an address, without the return address;
    /// `returns`: whether a called function does.
    pub(crate) fn amd64(
        code: &[u8],
        pc: u64,
        pushed: impl Fn(u64) -> Option<u64>,
        returns: impl Fn(u64) -> bool,
        lines: CodeLines,
    ) -> Self {
        if code.len() > CODE_BYTES_MAX {
            return StackSlots::unknown();
        }
        let mut steps = Vec::with_capacity(code.len() / 4);
        for instruction in Decoder::with_ip(64, code, pc, DecoderOptions::NONE) {
            let access = access(&instruction, &pushed);
            // Where a jump through a table leads to is not known: any instruction may come behind it.
            let (false, false, Ok(access)) = (instruction.is_invalid(), leads_anywhere(&instruction), access)
            else {
                return StackSlots::unknown();
            };
            steps.push(step(&instruction, access, &returns));
        }
        let index_of = |pc: u64| steps.binary_search_by_key(&pc, |step| step.start).ok();
        let jump = |(at, step): (usize, &Step)| Some((index_of(step.target?)? as u32, at as u32));
        let mut jumps: Vec<(u32, u32)> = steps.iter().enumerate().filter_map(jump).collect();
        jumps.sort_unstable();
        // Behind a call that does not return stands an instruction that nobody comes to (ssagen, `Prog` of panics).
        for at in 1..steps.len() {
            let is_jumped_to = jumps.binary_search_by_key(&(at as u32), |(target, _)| *target).is_ok();
            if steps[at].does_nothing && !steps[at - 1].goes_on && !is_jumped_to {
                steps[at].goes_on = false;
            }
        }
        let back = jumps.iter().filter(|(target, source)| target <= source);
        let loops = back.map(|&(target, source)| steps[target as usize].start..steps[source as usize].start);
        let lines = lines.with_loops(loops);
        StackSlots { steps: steps.into(), jumps: jumps.into(), lines }
    }

    /// Instructions, and ranges of lines.
    pub(crate) fn len(&self) -> usize {
        self.steps.len() + self.lines.len()
    }

    /// Whether the slot at `offset`, which is said to hold a variable in the ranges `claimed`, does so when the instruction
    /// at `pc` is executed; a call has been made by then.
    pub(crate) fn hold(&self, pc: u64, offset: i64, length: u64, claimed: &[Range<u64>]) -> bool {
        self.keep(pc, offset, length, claimed)
            && self.at(pc).is_some_and(|at| {
                self.is_read_behind(at, pc, offset, length) && !self.is_read_late(at, offset, length)
            })
    }

    /// Whether nothing else has been stored there: enough for what is assigned once.
    pub(crate) fn keep(&self, pc: u64, offset: i64, length: u64, claimed: &[Range<u64>]) -> bool {
        self.at(pc).is_some_and(|at| !self.is_stored_to(at, offset, length, claimed))
    }

    /// Whether something is stored there on all ways that lead to `pc`.
    pub(crate) fn is_stored(&self, pc: u64, offset: i64, length: u64) -> bool {
        let Some(at) = self.at(pc) else { return false };
        let mut open = vec![at];
        let mut seen = HashSet::new();
        while let Some(index) = open.pop() {
            if !seen.insert(index) {
                continue;
            }
            let mut is_reached = false;
            for before in self.before(index) {
                is_reached = true;
                let access = self.steps[before].access;
                if !access.is_some_and(|access| access.writes && access.covers(offset, length)) {
                    open.push(before);
                }
            }
            if index == 0 || !is_reached {
                return false;
            }
        }
        true
    }

    /// The instruction that `pc` is in.
    fn at(&self, pc: u64) -> Option<usize> {
        let at = self.steps.partition_point(|step| step.end <= pc);
        self.steps.get(at).filter(|step| step.start <= pc).map(|_| at)
    }

    /// On some way that leads here from where the slot began to hold the variable. Ways that are not known are such ways.
    fn is_stored_to(&self, at: usize, offset: i64, length: u64, claimed: &[Range<u64>]) -> bool {
        let is_claimed = |step: &Step| claimed.iter().any(|range| range.contains(&step.start));
        let mut open = vec![at];
        let mut seen = HashSet::new();
        while let Some(index) = open.pop() {
            if !seen.insert(index) {
                continue;
            }
            let mut is_reached = index == 0;
            for before in self.before(index) {
                is_reached = true;
                let step = &self.steps[before];
                if !is_claimed(step) {
                    continue;
                }
                if step.access.is_some_and(|access| access.writes && access.overlaps(offset, length)) {
                    return true;
                }
                open.push(before);
            }
            if !is_reached {
                return true;
            }
        }
        false
    }

    /// The instructions that may have come before one.
    fn before(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let above = index.checked_sub(1).filter(|&above| self.steps[above].goes_on);
        let first = self.jumps.partition_point(|(target, _)| (*target as usize) < index);
        let jumps = self.jumps[first..].iter().take_while(move |(target, _)| *target as usize == index);
        above.into_iter().chain(jumps.map(|(_, source)| *source as usize))
    }

    /// On some way from here on without a jump back, by an instruction of a line above: what was to be computed before
    /// is computed only now (`tighten`, cmd/compile/internal/ssa/tighten.go), and may be what the variable is.
    fn is_read_late(&self, at: usize, offset: i64, length: u64) -> bool {
        let mut open = vec![at + 1];
        let mut seen = HashSet::new();
        while let Some(index) = open.pop() {
            let Some(step) = self.steps.get(index).filter(|_| seen.insert(index)) else { continue };
            if let Some(access) = step.access.filter(|access| access.overlaps(offset, length)) {
                if access.reads && self.lines.is_above(step.start, self.steps[at].start) {
                    return true;
                }
                if access.writes && access.covers(offset, length) {
                    continue;
                }
            }
            if step.goes_on {
                open.push(index + 1);
            }
            open.extend(step.target.and_then(|target| self.at(target)).filter(|&target| target > index));
        }
        false
    }

    /// On some way from here on, before it is written.
    fn is_read_behind(&self, at: usize, pc: u64, offset: i64, length: u64) -> bool {
        let here = &self.steps[at];
        let mut open = vec![if here.is_call || here.start < pc { at + 1 } else { at }];
        let mut seen = HashSet::new();
        while let Some(index) = open.pop() {
            let Some(step) = self.steps.get(index).filter(|_| seen.insert(index)) else { continue };
            if let Some(access) = step.access.filter(|access| access.overlaps(offset, length)) {
                if access.reads {
                    return true;
                }
                if access.writes && access.covers(offset, length) {
                    continue;
                }
            }
            if step.goes_on {
                open.push(index + 1);
            }
            open.extend(step.target.and_then(|target| self.at(target)));
        }
        false
    }
}

fn leads_anywhere(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Jmp && instruction.op0_kind() != OpKind::NearBranch64
}

fn step(instruction: &Instruction, access: Option<Access>, returns: impl Fn(u64) -> bool) -> Step {
    let mnemonic = instruction.mnemonic();
    let is_branch = instruction.op_count() > 0 && instruction.op0_kind() == OpKind::NearBranch64;
    let target = is_branch.then(|| instruction.near_branch_target());
    let is_call = mnemonic == Mnemonic::Call;
    let goes_on = match mnemonic {
        Mnemonic::Jmp | Mnemonic::Ret | Mnemonic::Ud2 | Mnemonic::Int3 | Mnemonic::Hlt => false,
        Mnemonic::Call => target.is_none_or(returns),
        _ => true,
    };
    Step {
        start: instruction.ip(),
        end: instruction.next_ip(),
        is_call,
        goes_on,
        does_nothing: mnemonic == Mnemonic::Nop,
        target: target.filter(|_| !is_call),
        access,
    }
}

/// What an instruction does in the function's own frame; the error is an instruction that is not understood.
fn access(instruction: &Instruction, pushed: impl Fn(u64) -> Option<u64>) -> Result<Option<Access>, ()> {
    let is_memory = |operand: &u32| instruction.op_kind(*operand) == OpKind::Memory;
    let Some(operand) = (0..instruction.op_count()).find(is_memory) else { return Ok(None) };
    if instruction.memory_base() != Register::RSP {
        return Ok(None);
    }
    let pushed = pushed(instruction.ip()).ok_or(())?;
    // Where there is no frame it is not yet made: arguments are put away while the stack grows, and the function begins
    // anew (cmd/internal/obj/x86/obj6.go, `stacksplit`; cmd/compile/internal/ssagen, `spillArgReg`).
    if pushed == 0 {
        return Ok(None);
    }
    let displacement = instruction.memory_displacement64().cast_signed();
    // The return address lies above what was pushed, the canonical frame address above that.
    let above = i64::try_from(pushed).map_err(|_| ())?.checked_add(8).ok_or(())?;
    let offset = displacement.checked_sub(above).ok_or(())?;
    // An element that is chosen by a register may be any from there on.
    let is_indexed = instruction.memory_index() != Register::None;
    let (reads, writes) = match instruction.mnemonic() {
        // The address is taken: whoever has it may read.
        Mnemonic::Lea => (true, false),
        _ if operand > 0 => (true, false),
        mnemonic if is_store(mnemonic) => (false, true),
        Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Call | Mnemonic::Jmp | Mnemonic::Bt | Mnemonic::Push => {
            (true, false)
        }
        Mnemonic::Ucomisd | Mnemonic::Ucomiss | Mnemonic::Nop | Mnemonic::Prefetcht0 => (true, false),
        _ => (true, true),
    };
    let length = match (is_indexed, instruction.mnemonic()) {
        (true, _) => above.unsigned_abs(),
        (false, Mnemonic::Lea) => 1,
        (false, _) => instruction.memory_size().size() as u64,
    };
    Ok(Some(Access { offset, length: length.max(1), reads, writes }))
}

/// Instructions that overwrite their operand in memory, and do not read it. SETcc has many names.
fn is_store(mnemonic: Mnemonic) -> bool {
    matches!(
        mnemonic,
        Mnemonic::Mov
            | Mnemonic::Movd
            | Mnemonic::Movq
            | Mnemonic::Movss
            | Mnemonic::Movsd
            | Mnemonic::Movups
            | Mnemonic::Movupd
            | Mnemonic::Movaps
            | Mnemonic::Movdqu
            | Mnemonic::Movdqa
            | Mnemonic::Vmovdqu
            | Mnemonic::Vmovdqa
            | Mnemonic::Vmovups
            | Mnemonic::Vmovaps
            | Mnemonic::Vmovdqu8
            | Mnemonic::Vmovdqu64
            | Mnemonic::Seta
            | Mnemonic::Setae
            | Mnemonic::Setb
            | Mnemonic::Setbe
            | Mnemonic::Sete
            | Mnemonic::Setne
            | Mnemonic::Setg
            | Mnemonic::Setge
            | Mnemonic::Setl
            | Mnemonic::Setle
            | Mnemonic::Sets
            | Mnemonic::Setns
            | Mnemonic::Setp
            | Mnemonic::Setnp
            | Mnemonic::Seto
            | Mnemonic::Setno
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    // sub rsp, 0x28; mov [rsp+0x18], rax; call +0; mov rcx, [rsp+0x18]; mov [rsp+0x18], rcx; call +0; add rsp, 0x28; ret.
    const CODE: [u8; 34] = [
        0x48, 0x83, 0xec, 0x28, // 0
        0x48, 0x89, 0x44, 0x24, 0x18, // 4
        0xe8, 0, 0, 0, 0, // 9
        0x48, 0x8b, 0x4c, 0x24, 0x18, // 14
        0x48, 0x89, 0x4c, 0x24, 0x18, // 19
        0xe8, 0, 0, 0, 0, // 24
        0x48, 0x83, 0xc4, 0x28, // 29
        0xc3, // 33
    ];
    /// 0x18 above the stack pointer, 0x28 pushed, and the return address.
    const SLOT: i64 = 0x18 - 0x28 - 8;

    fn slots(code: &[u8]) -> StackSlots {
        slots_on(code, one_line())
    }

    fn slots_on(code: &[u8], lines: CodeLines) -> StackSlots {
        let pushed = |pc: u64| Some(if (0x1004..=0x1020).contains(&pc) { 0x28 } else { 0 });
        StackSlots::amd64(code, 0x1000, pushed, |_| true, lines)
    }

    fn one_line() -> CodeLines {
        CodeLines::plain(&[(u64::MAX, 1)])
    }

    #[test]
    fn a_slot_that_a_line_above_reads_is_not_believed() {
        let claimed = 0x1009..0x1013;
        let claimed = std::slice::from_ref(&claimed);
        // The call at 9 is of line 5, the read behind it of the given one.
        let believed = |line: i32| {
            let code = slots_on(&CODE, CodeLines::plain(&[(0x100e, 5), (0x1013, line), (0x1022, 7)]));
            code.hold(0x100d, SLOT, 8, claimed)
        };
        assert!(believed(6) && believed(5));
        assert!(!believed(4), "what line 4 computes may be what the variable is");
        assert!(!believed(0), "of a line that is not known");
        assert!(!slots_on(&CODE, CodeLines::default()).hold(0x100d, SLOT, 8, claimed));
    }

    #[test]
    fn a_slot_holds_until_something_else_is_stored_there() {
        let slots = slots(&CODE);
        let (first_call, second_call) = (0x100d, 0x101c);
        let (until_stored, on) = (0x1009..0x1013, 0x1009..0x1022);
        let (until_stored, on) = (std::slice::from_ref(&until_stored), std::slice::from_ref(&on));
        let anew = [0x1009..0x1013, 0x1018..0x1022];
        assert!(slots.hold(first_call, SLOT, 8, until_stored));
        assert!(slots.hold(first_call, SLOT, 8, on), "what is stored later does not count");
        assert!(!slots.keep(second_call, SLOT, 8, on), "stored to on the way");
        assert!(slots.keep(second_call, SLOT, 8, &anew), "it began to hold it anew");
        assert!(!slots.hold(second_call, SLOT, 8, &anew), "never read again");
        assert!(!slots.hold(first_call, SLOT - 8, 8, until_stored), "never read");
        assert!(slots.hold(first_call, SLOT + 4, 4, until_stored), "read as part of another");
    }

    #[test]
    fn what_is_stored_on_every_way() {
        let passed = slots(&CODE);
        assert!(passed.is_stored(0x100d, SLOT, 8) && !passed.is_stored(0x100d, SLOT + 8, 8));
        assert!(!passed.is_stored(0x1007, SLOT, 8), "it is being stored");
        assert!(!passed.is_stored(0x5000, SLOT, 8));
        // jne +5 (over the store); mov [rsp+0x18], rax; call +0.
        let around = [0x75, 0x05, 0x48, 0x89, 0x44, 0x24, 0x18, 0xe8, 0, 0, 0, 0, 0xc3];
        let pushed = |_| Some(0x28);
        assert!(!StackSlots::amd64(&around, 0x1000, pushed, |_| true, one_line()).is_stored(0x100b, SLOT, 8));
        let through = StackSlots::amd64(&around[2..], 0x1000, pushed, |_| true, one_line());
        assert!(through.is_stored(0x1009, SLOT, 8) && through.is_stored(0x1009, SLOT + 4, 4));
        // jmp rax: nobody knows who comes where.
        let unknown = [0xff, 0xe0, 0x48, 0x89, 0x44, 0x24, 0x18, 0xe8, 0, 0, 0, 0, 0xc3];
        assert!(
            !StackSlots::amd64(&unknown, 0x1000, pushed, |_| true, one_line()).is_stored(0x100b, SLOT, 8)
        );
    }

    #[test]
    fn ways_are_followed() {
        // jne +5; jmp -4 (to itself's middle is no instruction); mov rcx, [rsp+0x18]; ret
        let reads = [0x48, 0x8b, 0x4c, 0x24, 0x18, 0xc3];
        let jump = [&[0x75, 0x01, 0xc3][..], &reads].concat();
        let slots = |code: &[u8]| StackSlots::amd64(code, 0x1000, |_| Some(0x28), |_| true, one_line());
        let read_on_one_way = slots(&jump);
        assert!(read_on_one_way.hold(0x1000, SLOT, 8, &[]));
        let returned = [&[0x90, 0xc3][..], &reads].concat();
        assert!(!slots(&returned).hold(0x1000, SLOT, 8, &[]), "behind a return");
    }

    #[test]
    fn what_is_not_understood_is_not_believed() {
        assert!(!StackSlots::unknown().hold(0x1000, 0, 8, &[]));
        assert!(!slots(&[0x06, 0x90]).hold(0x1001, 0, 8, &[]));
        assert!(!slots(&CODE).hold(0x5000, SLOT, 8, &[]));
    }
}
