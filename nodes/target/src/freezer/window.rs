//! The memory that a reader and its peer share: ranges go in, bytes of the target come out.
//!
//! It has [`SLOTS`] slots: while the agent copies from one, the freezer reads into others. Of each slot:
//!
//! | at | what |
//! | --- | --- |
//! | 0 | [`RANGES_MAX`] ranges: address and length, 64-bit words |
//! | [`WHOLE_AT`] | a byte a range: 1 if it was read whole |
//! | [`DATA_AT`] | [`DATA_BYTES`]: the ranges' bytes, one behind the other |
//!
//! The other end is not trusted and may write at any time. So nothing here is ever borrowed: words are copied out once,
//! then checked; bytes are copied by pointer. The memory cannot shrink under its mappings (memfd_create(2),
//! F_SEAL_SHRINK), so touching it raises no SIGBUS.

use crate::memory::LiveMemory;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use stillframe_golang::memory::Range;

/// Ranges of one read: as many as one system call takes (`UIO_MAXIOV`, readv(2)).
pub(super) const RANGES_MAX: usize = 1024;

/// Bytes of one read: few enough to stay in a processor's cache until they are copied and compared.
pub(super) const DATA_BYTES: usize = 256 << 10;

/// Reads that may be under way at a time: so many that neither end waits for the other to wake up.
pub(super) const SLOTS: usize = 4;

const RANGE_BYTES: usize = 16;
const WHOLE_AT: usize = RANGES_MAX * RANGE_BYTES;
/// At a page's beginning.
const DATA_AT: usize = (WHOLE_AT + RANGES_MAX).next_multiple_of(4096);
const SLOT_BYTES: usize = DATA_AT + DATA_BYTES;
const WINDOW_BYTES: usize = SLOTS * SLOT_BYTES;

const SEALS: SealFlag = SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_SEAL);

/// A mapping of the whole of it.
#[derive(Debug)]
pub(super) struct Window {
    start: NonNull<u8>,
}

// SAFETY: the mapping belongs to this value alone, and any thread may use it.
unsafe impl Send for Window {}

impl Window {
    /// A new one, sealed, all of its pages there: none is made while a target stands.
    pub(super) fn create() -> Result<(Window, OwnedFd), Errno> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        // Since Linux 6.3, and required where vm.memfd_noexec is 2.
        let no_exec = MFdFlags::from_bits_retain(nix::libc::MFD_NOEXEC_SEAL);
        let file = match memfd_create(c"stillframe-window", flags | no_exec) {
            Err(Errno::EINVAL) => memfd_create(c"stillframe-window", flags)?,
            result => result?,
        };
        nix::unistd::ftruncate(&file, WINDOW_BYTES as i64)?;
        fcntl(&file, FcntlArg::F_ADD_SEALS(SEALS))?;
        Ok((Window::map(&file)?, file))
    }

    /// That of the other end. EBADF: it is not sealed, or not of this size.
    pub(super) fn open(file: &OwnedFd) -> Result<Window, Errno> {
        let seals = SealFlag::from_bits_retain(fcntl(file, FcntlArg::F_GET_SEALS)?);
        if !seals.contains(SEALS) || nix::sys::stat::fstat(file)?.st_size != WINDOW_BYTES as i64 {
            return Err(Errno::EBADF);
        }
        Window::map(file)
    }

    fn map(file: &OwnedFd) -> Result<Window, Errno> {
        let length = NonZeroUsize::new(WINDOW_BYTES).ok_or(Errno::EINVAL)?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        let flags = MapFlags::MAP_SHARED | MapFlags::MAP_POPULATE;
        // SAFETY: a new mapping, at a place that the kernel chooses, of a file that cannot shrink.
        let start = unsafe { mmap(None, length, access, flags, file.as_fd(), 0)? };
        Ok(Window { start: start.cast() })
    }

    /// One of its slots. `None`: it has not so many.
    pub(super) fn slot(&self, number: usize) -> Option<Slot<'_>> {
        // SAFETY: slots lie one behind the other within the mapping.
        (number < SLOTS).then(|| Slot { window: self, start: unsafe { self.start.add(number * SLOT_BYTES) } })
    }
}

/// A part of a window, for one read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    /// The mapping lives as long.
    window: &'a Window,
    start: NonNull<u8>,
}

impl Slot<'_> {
    /// Writes ranges for the other end.
    ///
    /// # Panics
    ///
    /// If there are more than [`RANGES_MAX`].
    pub(super) fn put_ranges(&self, ranges: &[Range]) {
        assert!(ranges.len() <= RANGES_MAX);
        for (i, range) in ranges.iter().enumerate() {
            self.put_word(2 * i, range.address);
            self.put_word(2 * i + 1, range.length as u64);
        }
    }

    /// The first `count` ranges, and the sum of their lengths. `None`: there is no room for so many, or for so long ones.
    pub(super) fn ranges(&self, count: u32, ranges: &mut Vec<Range>) -> Option<usize> {
        let count = usize::try_from(count).ok().filter(|count| *count <= RANGES_MAX)?;
        let mut total = 0usize;
        ranges.clear();
        for i in 0..count {
            let (address, length) = (self.word(2 * i), usize::try_from(self.word(2 * i + 1)).ok()?);
            total = total.checked_add(length).filter(|total| *total <= DATA_BYTES)?;
            ranges.push(Range { address, length });
        }
        Some(total)
    }

    /// Reads ranges of a target to the data, and says which are whole. `total`: the sum of their lengths.
    ///
    /// # Panics
    ///
    /// If there are more than [`RANGES_MAX`], or if they are longer than [`DATA_BYTES`].
    pub(super) fn fill(&self, memory: &LiveMemory, ranges: &[Range], total: usize) {
        assert!(ranges.len() <= RANGES_MAX && total <= DATA_BYTES);
        let mut whole = [false; RANGES_MAX];
        let whole = &mut whole[..ranges.len()];
        // SAFETY: `total` is at most DATA_BYTES, and the mapping lives as long as the window is borrowed. Nothing in it is
        // ever referenced, so that anybody may write to it meanwhile.
        unsafe { memory.read_many_to(ranges, self.data(), total, whole) }
        for (i, whole) in whole.iter().enumerate() {
            // SAFETY: `i` is below RANGES_MAX: within the slot, and apart from the ranges and the data.
            unsafe { self.start.add(WHOLE_AT + i).write_volatile(u8::from(*whole)) }
        }
    }

    /// Whether range `i` is whole, as the other end said.
    ///
    /// # Panics
    ///
    /// If there is no such range.
    pub(super) fn whole(&self, i: usize) -> bool {
        assert!(i < RANGES_MAX);
        // SAFETY: `i` is below RANGES_MAX: within the slot.
        unsafe { self.start.add(WHOLE_AT + i).read_volatile() == 1 }
    }

    /// Copies data out, from its beginning.
    ///
    /// # Panics
    ///
    /// If the buffer is longer than [`DATA_BYTES`].
    pub(super) fn copy_data(&self, buffer: &mut [u8]) {
        assert!(buffer.len() <= DATA_BYTES);
        // SAFETY: the source is within the slot, the buffer is no part of it.
        unsafe { std::ptr::copy_nonoverlapping(self.data(), buffer.as_mut_ptr(), buffer.len()) }
    }

    /// Where [`DATA_BYTES`] are, while the window is borrowed.
    fn data(&self) -> *mut u8 {
        debug_assert!(self.start >= self.window.start);
        // SAFETY: within the slot.
        unsafe { self.start.add(DATA_AT) }.as_ptr()
    }

    /// Word `i` of the ranges, read once.
    fn word(&self, i: usize) -> u64 {
        assert!(i < 2 * RANGES_MAX);
        // SAFETY: within the ranges, and aligned: a slot begins at a page.
        unsafe { self.start.cast::<u64>().add(i).read_volatile() }
    }

    fn put_word(&self, i: usize, word: u64) {
        assert!(i < 2 * RANGES_MAX);
        // SAFETY: within the ranges, and aligned: a slot begins at a page.
        unsafe { self.start.cast::<u64>().add(i).write_volatile(word) }
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map`, and nothing that is borrowed from it is left.
        // It fails only for what is no mapping.
        let _ = unsafe { munmap(self.start.cast(), WINDOW_BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_one_end_puts_the_other_sees() {
        let (here, file) = Window::create().unwrap();
        let there = Window::open(&file).unwrap();
        let text = [b"abc", b"xyz"];
        let memory = LiveMemory::new(std::process::id()).unwrap();
        for (number, text) in text.iter().enumerate() {
            let (here, there) = (here.slot(number).unwrap(), there.slot(number).unwrap());
            let address = text.as_ptr() as u64;
            there.put_ranges(&[Range { address, length: 3 }, Range { address: 16, length: 1 }]);
            let mut ranges = Vec::new();
            let total = here.ranges(2, &mut ranges).unwrap();
            assert_eq!((ranges.len(), total), (2, 4));
            here.fill(&memory, &ranges, total);
        }
        for (number, text) in text.iter().enumerate() {
            let there = there.slot(number).unwrap();
            let mut data = [0; 3];
            there.copy_data(&mut data);
            assert_eq!((&data, there.whole(0), there.whole(1)), (*text, true, false));
        }
        assert!(here.slot(SLOTS).is_none());
    }

    #[test]
    fn it_can_be_neither_cut_nor_unsealed() {
        let (_here, file) = Window::create().unwrap();
        assert_eq!(nix::unistd::ftruncate(&file, 0), Err(Errno::EPERM));
        assert_eq!(nix::unistd::ftruncate(&file, 2 * WINDOW_BYTES as i64), Err(Errno::EPERM));
        assert_eq!(fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)), Err(Errno::EPERM));
        let other = memfd_create(c"other", MFdFlags::MFD_ALLOW_SEALING).unwrap();
        assert_eq!(Window::open(&other).unwrap_err(), Errno::EBADF);
        fcntl(&other, FcntlArg::F_ADD_SEALS(SEALS)).unwrap();
        assert_eq!(Window::open(&other).unwrap_err(), Errno::EBADF);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_list_of_ranges_fits_or_is_refused(
            words in proptest::collection::vec((any::<u64>(), prop_oneof![0u64..20_000, any::<u64>()]), 0..40),
            count in prop_oneof![0u32..50, any::<u32>()],
        ) {
            let (window, _file) = Window::create().unwrap();
            let slot = window.slot(SLOTS - 1).unwrap();
            for (i, (address, length)) in words.iter().enumerate() {
                slot.put_word(2 * i, *address);
                slot.put_word(2 * i + 1, *length);
            }
            let mut ranges = Vec::new();
            if let Some(total) = slot.ranges(count, &mut ranges) {
                prop_assert!(ranges.len() == count as usize && ranges.len() <= RANGES_MAX);
                prop_assert!(total <= DATA_BYTES && ranges.iter().map(|r| r.length).sum::<usize>() == total);
            }
        }
    }
}
