//! The entropy pin: a thread that is pinned gets its entropy from a seed, also what libraries ask the kernel for.
//!
//! TLS draws keys, QUIC draws ids of connections, and what is drawn can show: whether a datagram of an earlier connection
//! looks like the first one of another depends on its encrypted bytes. Libraries get entropy through two functions of the C
//! library, `getrandom` and `syscall`. This file defines both; the linker takes these instead. Threads that are not pinned
//! get what the kernel gives.
//!
//! On x86-64 Linux; elsewhere nothing is pinned, and two runs of a seed may differ in rare cases.

use std::cell::RefCell;

use crate::random::Random;

thread_local! {
    static SEEDED: RefCell<Option<Random>> = const { RefCell::new(None) };
}

/// From now on, in this thread.
pub fn pin(random: Random) {
    SEEDED.with(|seeded| *seeded.borrow_mut() = Some(random));
}

/// False where the thread is not pinned, or is about to end.
#[cfg_attr(not(all(target_arch = "x86_64", target_os = "linux")), expect(dead_code))]
fn fill(bytes: &mut [u8]) -> bool {
    let filled = SEEDED.try_with(|seeded| match &mut *seeded.borrow_mut() {
        Some(random) => {
            for part in bytes.chunks_mut(8) {
                part.copy_from_slice(&random.draw().to_le_bytes()[..part.len()]);
            }
            true
        }
        None => false,
    });
    filled.unwrap_or(false)
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[expect(unsafe_code, reason = "functions of the C library are replaced")]
mod replaced {
    /// Its number on x86-64 (arch/x86/entry/syscalls/syscall_64.tbl).
    const SYS_GETRANDOM: i64 = 318;

    unsafe extern "C" {
        fn __errno_location() -> *mut i32;
    }

    /// # Safety
    /// As for the system call of this number with these arguments.
    unsafe fn enter_kernel(number: i64, arguments: [i64; 6]) -> i64 {
        let result: i64;
        // SAFETY: the caller answers for the call; the kernel changes rax, rcx and r11 and no other register
        // (System V ABI, AMD64 supplement, A.2.1).
        unsafe {
            std::arch::asm!(
                "syscall",
                inlateout("rax") number => result,
                in("rdi") arguments[0],
                in("rsi") arguments[1],
                in("rdx") arguments[2],
                in("r10") arguments[3],
                in("r8") arguments[4],
                in("r9") arguments[5],
                lateout("rcx") _,
                lateout("r11") _,
            );
        }
        if (-4095..0).contains(&result) {
            // SAFETY: the C library gives a pointer to this thread's errno, which is valid while the thread runs.
            unsafe { *__errno_location() = -result as i32 };
            return -1;
        }
        result
    }

    /// # Safety
    /// `buffer` is valid for writes of `length` bytes.
    unsafe fn fill(buffer: *mut u8, length: usize) -> bool {
        if buffer.is_null() || length == 0 {
            return false;
        }
        // SAFETY: not null, and valid for writes by this function's own condition. The bytes may not be initialised: zeros are
        // written before a reference to them is made.
        let bytes = unsafe {
            buffer.write_bytes(0, length);
            std::slice::from_raw_parts_mut(buffer, length)
        };
        super::fill(bytes)
    }

    /// getrandom(2).
    ///
    /// # Safety
    /// `buffer` is valid for writes of `length` bytes.
    // SAFETY: it has the name, the arguments and the result of the function of the C library that it stands for.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, flags: u32) -> isize {
        // SAFETY: the caller's promise is the one that is asked for.
        if unsafe { fill(buffer, length) } {
            return length as isize;
        }
        let arguments = [buffer as i64, length as i64, i64::from(flags), 0, 0, 0];
        // SAFETY: the caller's promise is what the call asks for.
        unsafe { enter_kernel(SYS_GETRANDOM, arguments) as isize }
    }

    /// syscall(2). The C library's takes any number of arguments; six in registers are what the kernel takes of them.
    ///
    /// # Safety
    /// As for the system call of this number with these arguments.
    // SAFETY: it is called as the function of the C library that it stands for: integers go in the same registers whether
    // a function takes a fixed or a variable number of them.
    #[unsafe(no_mangle)]
    pub unsafe extern "C" fn syscall(number: i64, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64) -> i64 {
        // SAFETY: whoever asks for entropy promises that the buffer is valid.
        if number == SYS_GETRANDOM && unsafe { fill(a as *mut u8, b as usize) } {
            return b;
        }
        // SAFETY: the caller answers for the call.
        unsafe { enter_kernel(number, [a, b, c, d, e, f]) }
    }
}

#[cfg(all(test, target_arch = "x86_64", target_os = "linux"))]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;

    /// In a thread of its own, for the standard library asks once a thread.
    fn drawn(seed: Option<u64>) -> (u64, u64) {
        let drawing = std::thread::spawn(move || {
            if let Some(seed) = seed {
                pin(Random::new(seed, 0));
            }
            (RandomState::new().hash_one(0), rand::random())
        });
        drawing.join().unwrap()
    }

    #[test]
    fn a_pinned_thread_draws_what_its_seed_says() {
        assert_eq!(drawn(Some(1)), drawn(Some(1)));
        let (one, other) = (drawn(Some(1)), drawn(Some(2)));
        assert!(one.0 != other.0 && one.1 != other.1);
    }

    #[test]
    fn other_threads_draw_as_ever() {
        let (one, other) = (drawn(None), drawn(None));
        assert!(one.0 != other.0 && one.1 != other.1);
    }
}
