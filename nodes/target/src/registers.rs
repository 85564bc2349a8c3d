//! General registers as the kernel lays them out, in `PTRACE_GETREGSET` and in core files alike: the register set
//! NT_PRSTATUS (arch/x86/include/asm/user_64.h `user_regs_struct`, arch/arm64/include/uapi/asm/ptrace.h
//! `user_pt_regs`), as little-endian 64-bit words.

use stillframe_golang::thread::Registers;

/// The most words of a register set: 31 general ones, sp, pc and pstate of arm64.
pub(crate) const WORDS_MAX: usize = 34;

/// The architectures that can be captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    Amd64,
    Arm64,
}

/// DWARF numbers 0 to 15 (System V ABI, AMD64 supplement, figure 3.36) by their place in `user_regs_struct`: rax, rdx,
/// rcx, rbx, rsi, rdi, rbp, rsp, r8 to r15.
const AMD64_DWARF: [usize; 16] = [10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0];
const AMD64_ORIG_RAX: usize = 15;
const AMD64_RIP: usize = 16;
const AMD64_FS_BASE: usize = 21;
const ARM64_GENERAL: usize = 32;
const ARM64_PC: usize = 32;

impl Machine {
    /// That of this program.
    pub const HERE: Machine = if cfg!(target_arch = "aarch64") { Machine::Arm64 } else { Machine::Amd64 };

    /// How many words its register set has.
    pub(crate) fn words(self) -> usize {
        match self {
            Machine::Amd64 => 27,
            Machine::Arm64 => 34,
        }
    }

    /// From a register set; `None` if it is too short. arm64 keeps the thread pointer and the number of the system
    /// call in sets of their own: they are left 0 and -1 here.
    pub(crate) fn registers(self, words: &[u64]) -> Option<Registers> {
        let words = words.get(..self.words())?;
        Some(match self {
            Machine::Amd64 => Registers {
                pc: words[AMD64_RIP],
                general: AMD64_DWARF.iter().map(|place| words[*place]).collect(),
                thread_pointer: words[AMD64_FS_BASE],
                syscall_number: words[AMD64_ORIG_RAX].cast_signed(),
            },
            Machine::Arm64 => Registers {
                pc: words[ARM64_PC],
                general: words[..ARM64_GENERAL].to_vec(),
                thread_pointer: 0,
                syscall_number: -1,
            },
        })
    }

    /// The register set of registers; what they do not hold (flags, segments) is 0.
    pub(crate) fn register_set(self, registers: &Registers) -> Vec<u64> {
        let mut words = vec![0; self.words()];
        let general = |number: usize| registers.general.get(number).copied().unwrap_or(0);
        match self {
            Machine::Amd64 => {
                for (number, place) in AMD64_DWARF.iter().enumerate() {
                    words[*place] = general(number);
                }
                words[AMD64_RIP] = registers.pc;
                words[AMD64_FS_BASE] = registers.thread_pointer;
                words[AMD64_ORIG_RAX] = registers.syscall_number.cast_unsigned();
            }
            Machine::Arm64 => {
                for (number, word) in words[..ARM64_GENERAL].iter_mut().enumerate() {
                    *word = general(number);
                }
                words[ARM64_PC] = registers.pc;
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amd64_places_are_those_of_the_c_structure() {
        let mut words = [0; 27];
        (0..27).for_each(|i| words[i] = 100 + i as u64);
        let registers = Machine::Amd64.registers(&words).unwrap();
        // rax, rsp and r15 of r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ...
        assert_eq!((registers.general[0], registers.general[7], registers.general[15]), (110, 119, 100));
        assert_eq!((registers.pc, registers.syscall_number, registers.thread_pointer), (116, 115, 121));
    }

    #[test]
    fn a_short_set_is_refused() {
        assert_eq!(Machine::Amd64.registers(&[0; 26]), None);
        assert_eq!(Machine::Arm64.registers(&[0; 33]), None);
    }

    #[test]
    fn sets_go_there_and_back() {
        for machine in [Machine::Amd64, Machine::Arm64] {
            let words: Vec<u64> = (1..=machine.words() as u64).collect();
            let registers = machine.registers(&words).unwrap();
            assert_eq!(machine.registers(&machine.register_set(&registers)), Some(registers));
        }
    }
}
