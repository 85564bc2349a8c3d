//! The memory of a running or frozen process, by `process_vm_readv` (process_vm_readv(2)).

use crate::process::ProcessError;
use nix::errno::Errno;
use nix::libc;
use nix::unistd::Pid;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, Ordering};
use stillframe_golang::memory::{Memory, Range, Unreadable};

/// The most ranges in one system call (`UIO_MAXIOV`).
const RANGES_PER_CALL: usize = 1024;

/// Reads a process's memory. Needs the permission to trace it, and no attachment; any thread may read.
///
/// Pids are used again: a caller that reads a process which it has not frozen asks [`crate::process::Process::same`]
/// afterwards.
#[derive(Debug)]
pub struct LiveMemory {
    pid: Pid,
    /// `/proc/PID/mem`: where `process_vm_readv` is filtered by seccomp (Docker's profile under kernels before 4.8) or
    /// not built in.
    file: Option<File>,
    /// 0: none.
    last_error: AtomicI32,
}

impl LiveMemory {
    /// Opens nothing that a target would notice. Permission shows at the first read.
    pub fn new(pid: u32) -> Result<LiveMemory, ProcessError> {
        let raw = i32::try_from(pid).map_err(|_| ProcessError::NotFound { pid })?;
        let file = File::open(format!("/proc/{pid}/mem")).ok();
        Ok(LiveMemory { pid: Pid::from_raw(raw), file, last_error: AtomicI32::new(0) })
    }

    pub fn pid(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    /// Why the last read that failed did: EFAULT (no such memory), ESRCH (the process is gone), EPERM (not permitted).
    pub fn last_error(&self) -> Option<Errno> {
        match self.last_error.load(Ordering::Relaxed) {
            0 => None,
            raw => Some(Errno::from_raw(raw)),
        }
    }

    /// Whether the last read that failed did so because the process had ended.
    pub fn is_gone(&self) -> bool {
        self.last_error() == Some(Errno::ESRCH)
    }

    /// One system call. How many bytes came, from the first range on; an error only if none did.
    ///
    /// # Safety
    ///
    /// `start` is valid for writes of `length` bytes.
    unsafe fn read_vectored(
        &self,
        remote: &[libc::iovec],
        start: *mut u8,
        length: usize,
    ) -> Result<usize, Errno> {
        let local = libc::iovec { iov_base: start.cast(), iov_len: length };
        let count = remote.len() as libc::c_ulong;
        // SAFETY: the kernel writes at most `length` bytes to `start`, which the caller vouches for. The remote
        // addresses are none of ours: any values will do.
        let read = unsafe { libc::process_vm_readv(self.pid.as_raw(), &local, 1, remote.as_ptr(), count, 0) };
        match Errno::result(read) {
            Err(Errno::ENOSYS | Errno::EPERM) if self.file.is_some() => {
                // SAFETY: as the caller of this vouches for.
                unsafe { self.read_file(remote[0], start, length) }
            }
            result => result.map(isize::cast_unsigned),
        }
    }

    /// # Safety
    ///
    /// `start` is valid for writes of `length` bytes.
    unsafe fn read_file(&self, range: libc::iovec, start: *mut u8, length: usize) -> Result<usize, Errno> {
        let file = self.file.as_ref().ok_or(Errno::EPERM)?;
        let length = range.iov_len.min(length);
        // SAFETY: at most `length` bytes are written to `start`, which the caller vouches for.
        let read =
            unsafe { libc::pread64(file.as_raw_fd(), start.cast(), length, range.iov_base as libc::off64_t) };
        // EIO is how this file says EFAULT (fs/proc/base.c, mem_rw).
        match Errno::result(read) {
            Err(Errno::EIO) => Err(Errno::EFAULT),
            result => result.map(isize::cast_unsigned),
        }
    }

    /// [`Memory::read_many`] to any place in memory, which another process may be writing to.
    ///
    /// A call ends early at the first byte that is not there, and says how far it came; if that was the very first
    /// byte it fails with EFAULT. So after a short call the rest of the range it ended in is asked for again, which
    /// either goes on (a call moves at most 2 GiB) or fails: then that range is not whole and the next one is begun.
    ///
    /// # Safety
    ///
    /// `start` is valid for writes of `length` bytes.
    ///
    /// # Panics
    ///
    /// If the lengths disagree.
    pub(crate) unsafe fn read_many_to(
        &self,
        ranges: &[Range],
        start: *mut u8,
        length: usize,
        whole: &mut [bool],
    ) {
        assert_eq!(ranges.len(), whole.len(), "one answer a range");
        let total = ranges.iter().try_fold(0usize, |sum, range| sum.checked_add(range.length));
        assert_eq!(total, Some(length), "the buffer has room for all ranges, and no more");

        whole.fill(false);
        // On the stack: nothing is allocated while a target stands.
        let mut remote = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; RANGES_PER_CALL];
        // Everything before range `next` is settled; of it, `done` bytes are there; `at` is their end in the buffer.
        let (mut next, mut done, mut at) = (0, 0, 0);
        while next < ranges.len() {
            let count = (ranges.len() - next).min(RANGES_PER_CALL);
            let remote = &mut remote[..count];
            let mut asked = 0;
            for (i, (range, remote)) in ranges[next..].iter().zip(remote.iter_mut()).enumerate() {
                let skip = if i == 0 { done } else { 0 };
                // An address that wraps is no address: its range fails like any other that is not mapped.
                let base = range.address.saturating_add(skip as u64) as usize;
                *remote = libc::iovec { iov_base: base as *mut libc::c_void, iov_len: range.length - skip };
                asked += range.length - skip;
            }
            let read = match asked {
                0 => Ok(0),
                // SAFETY: `at + asked` is at most the sum of the lengths of all ranges, which is `length`.
                _ => unsafe { self.read_vectored(remote, start.add(at), asked) },
            };
            let failed = match read {
                Ok(0) => asked != 0,
                Ok(_) => false,
                Err(Errno::EINTR) => continue,
                Err(error) => {
                    self.remember(error);
                    if matches!(error, Errno::ESRCH | Errno::EPERM | Errno::ENOSYS) {
                        return;
                    }
                    true
                }
            };
            let mut came = read.unwrap_or(0).min(asked);
            let last = (next + remote.len()).min(ranges.len());
            while next < last {
                let missing = ranges[next].length - done;
                if missing > came {
                    done += came;
                    at += came;
                    break;
                }
                whole[next] = true;
                came -= missing;
                at += missing;
                (next, done) = (next + 1, 0);
            }
            if failed && next < ranges.len() {
                at += ranges[next].length - done;
                (next, done) = (next + 1, 0);
            }
        }
    }

    fn remember(&self, error: Errno) {
        self.last_error.store(error as i32, Ordering::Relaxed);
    }
}

impl Memory for LiveMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let length = buffer.len();
        let mut whole = [false];
        self.read_many(&[Range { address, length }], buffer, &mut whole);
        if whole[0] { Ok(()) } else { Err(Unreadable { address, length }) }
    }

    /// # Panics
    ///
    /// If the lengths disagree: that is an error of the caller, and never a matter of what the target holds.
    fn read_many(&self, ranges: &[Range], buffer: &mut [u8], whole: &mut [bool]) {
        // SAFETY: `buffer` is valid for writes of its own length, and is borrowed mutably.
        unsafe { self.read_many_to(ranges, buffer.as_mut_ptr(), buffer.len(), whole) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect};
    use proptest::prelude::*;
    use std::num::NonZeroUsize;
    use std::ptr::NonNull;
    use std::sync::LazyLock;

    const PAGE: usize = 4096;

    /// Eight pages of known bytes; those of an odd number cannot be read.
    struct Checkered(NonNull<std::ffi::c_void>);

    // SAFETY: the pages are written in `new` only, before anyone else has the address.
    unsafe impl Send for Checkered {}
    // SAFETY: as above; afterwards they are only read.
    unsafe impl Sync for Checkered {}

    static PAGES: LazyLock<Checkered> = LazyLock::new(|| {
        let size = NonZeroUsize::new(8 * PAGE).unwrap();
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new anonymous mapping, which lives until the process ends.
        let start = unsafe { mmap_anonymous(None, size, access, MapFlags::MAP_PRIVATE) }.unwrap();
        // SAFETY: these bytes were mapped just now, writable, and nobody else knows of them.
        let bytes = unsafe { std::slice::from_raw_parts_mut(start.as_ptr().cast::<u8>(), 8 * PAGE) };
        bytes.iter_mut().enumerate().for_each(|(i, b)| *b = byte(i));
        for page in (1..8).step_by(2) {
            // SAFETY: within the mapping; the slice above is not used any more.
            unsafe {
                mprotect(start.byte_add(page * PAGE), PAGE, ProtFlags::PROT_NONE).unwrap();
            }
        }
        Checkered(start)
    });

    fn byte(at: usize) -> u8 {
        (at * 7 + at / PAGE) as u8
    }

    fn base() -> u64 {
        PAGES.0.as_ptr() as u64
    }

    fn memory() -> LiveMemory {
        LiveMemory::new(std::process::id()).unwrap()
    }

    #[test]
    fn a_range_that_crosses_into_an_unmapped_page_is_not_whole() {
        let memory = memory();
        assert!(memory.read_bytes(base(), PAGE).is_ok());
        assert_eq!(memory.last_error(), None);
        assert!(memory.read_bytes(base() + PAGE as u64 - 1, 2).is_err());
        assert_eq!(memory.last_error(), Some(Errno::EFAULT));
    }

    #[test]
    fn more_ranges_than_a_call_takes() {
        let ranges: Vec<Range> = (0..5000)
            .map(|i| Range { address: if i % 1000 == 999 { 16 } else { base() + i % 97 }, length: 3 })
            .collect();
        let mut buffer = vec![0; 15_000];
        let mut whole = vec![false; 5000];
        memory().read_many(&ranges, &mut buffer, &mut whole);
        for (i, whole) in whole.iter().enumerate() {
            assert_eq!(*whole, i % 1000 != 999, "{i}");
            if *whole {
                assert_eq!(buffer[3 * i], byte(i % 97), "{i}");
            }
        }
    }

    #[test]
    fn a_process_that_is_gone_is_remembered() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let memory = LiveMemory::new(child.id()).unwrap();
        assert!(memory.read_u64(base()).is_err());
        assert_eq!(memory.last_error(), Some(Errno::ESRCH));
    }

    #[test]
    fn an_address_that_wraps_is_unreadable() {
        assert!(memory().read_bytes(u64::MAX - 3, 8).is_err());
        assert!(memory().read_bytes(u64::MAX, 0).is_ok());
    }

    proptest! {
        #[test]
        fn each_range_is_whole_if_and_only_if_all_its_pages_are_there(
            wanted in proptest::collection::vec((0usize..8 * PAGE, 0usize..2 * PAGE), 0..40)
        ) {
            let ranges: Vec<Range> = wanted.iter().map(|(at, length)| Range {
                address: base() + *at as u64,
                length: (*length).min(8 * PAGE - at),
            }).collect();
            let mut buffer = vec![0; ranges.iter().map(|r| r.length).sum()];
            let mut whole = vec![true; ranges.len()];
            memory().read_many(&ranges, &mut buffer, &mut whole);
            let mut place = 0;
            for (range, whole) in ranges.iter().zip(whole) {
                let at = (range.address - base()) as usize;
                let there = range.length == 0 || (at / PAGE..=(at + range.length - 1) / PAGE).all(|p| p % 2 == 0);
                prop_assert_eq!(whole, there);
                let got = &buffer[place..place + range.length];
                prop_assert!(!there || got.iter().enumerate().all(|(i, b)| *b == byte(at + i)));
                place += range.length;
            }
        }
    }
}
