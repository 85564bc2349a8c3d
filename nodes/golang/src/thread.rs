//! A thread of a target and its registers, as the capture found them.

/// One operating system thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// As the host counts.
    pub tid: u32,
    /// In the target's innermost PID namespace: what `gettid` returns there, and what Go keeps in `m.procid`.
    pub ns_tid: u32,
    /// `None` where they could not be had: the thread had not stopped in time, or is in vfork.
    pub registers: Option<Registers>,
}

/// The registers of a stopped thread, by the DWARF numbers of its architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registers {
    /// Program counter: `rip`, `pc`.
    pub pc: u64,
    /// General registers by DWARF number. amd64 (System V ABI, AMD64 supplement, figure 3.36): 0 rax, 1 rdx, 2 rcx,
    /// 3 rbx, 4 rsi, 5 rdi, 6 rbp, 7 rsp, 8 to 15 r8 to r15. arm64 (AADWARF64): 0 to 30 x0 to x30, 31 sp.
    pub general: Vec<u64>,
    /// Where thread-local storage is: `fs_base`, `tpidr_el0`.
    pub thread_pointer: u64,
    /// `orig_rax`, `x8`: the number of the system call it is in; negative when in none.
    pub syscall_number: i64,
}
