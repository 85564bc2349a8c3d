//! The memory that values were read from, in blocks, and what of it is still to be read.
//!
//! Evaluating an expression reads memory that may not have been copied yet. A [`View`] notes what was asked for in vain;
//! all of it is read in one round, and then the evaluation is done again. Blocks are much smaller than pages, so that
//! little is copied that nobody needs, and no block crosses a page: each is readable or not as a whole.

use std::cell::{Cell, RefCell};

use rustc_hash::FxHashMap;

use crate::executable::Executable;
use crate::memory::{Memory, Range, Unreadable};
use crate::unwind::StackBytes;

const BLOCK_BYTES: usize = 512;
const BLOCKS_PER_PAGE: u64 = 4096 / BLOCK_BYTES as u64;
/// Blocks of one process: 256 MiB.
const BLOCKS_MAX: usize = (256 << 20) / BLOCK_BYTES;
/// Blocks that one evaluation may ask for in one round: 1 MiB.
const WANTED_MAX: usize = (1 << 20) / BLOCK_BYTES;

/// What was read.
#[derive(Default)]
pub(crate) struct Blocks {
    bytes: Vec<u8>,
    /// By address divided by [`BLOCK_BYTES`]: the number of the block in `bytes`; `None`: not readable.
    known: FxHashMap<u64, Option<u32>>,
}

impl Blocks {
    /// Ranges for the blocks that are not known yet, neighbours of one page in one range.
    pub(crate) fn ranges(&self, wanted: &mut Vec<u64>) -> Vec<Range> {
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|block| !self.known.contains_key(block));
        wanted.truncate(BLOCKS_MAX.saturating_sub(self.known.len()));
        let mut ranges: Vec<Range> = Vec::new();
        let mut last = None;
        for &block in wanted.iter() {
            match ranges.last_mut() {
                Some(range) if last == block.checked_sub(1) && !block.is_multiple_of(BLOCKS_PER_PAGE) => {
                    range.length += BLOCK_BYTES;
                }
                _ => ranges.push(Range { address: block * BLOCK_BYTES as u64, length: BLOCK_BYTES }),
            }
            last = Some(block);
        }
        ranges
    }

    /// Takes in what a round brought.
    pub(crate) fn add(&mut self, range: Range, bytes: Option<&[u8]>) {
        let first = range.address / BLOCK_BYTES as u64;
        for i in 0..range.length / BLOCK_BYTES {
            let number = bytes.map(|bytes| {
                let number = (self.bytes.len() / BLOCK_BYTES) as u32;
                self.bytes.extend_from_slice(&bytes[i * BLOCK_BYTES..(i + 1) * BLOCK_BYTES]);
                number
            });
            self.known.insert(first + i as u64, number);
        }
    }
}

/// The memory of one goroutine's process as far as it is known.
pub(crate) struct View<'a> {
    pub(crate) blocks: &'a Blocks,
    /// The goroutine's stack.
    pub(crate) stack: StackBytes<'a>,
    pub(crate) executable: &'a Executable,
    pub(crate) bias: u64,
    /// Slots that another goroutine writes when it sends what this one waits for.
    pending: &'a [Range],
    wanted: RefCell<Vec<u64>>,
    /// Something was asked for that is not known.
    incomplete: Cell<bool>,
}

impl<'a> View<'a> {
    pub(crate) fn new(
        blocks: &'a Blocks,
        stack: StackBytes<'a>,
        executable: &'a Executable,
        bias: u64,
    ) -> Self {
        let (wanted, incomplete) = Default::default();
        View { blocks, stack, executable, bias, pending: &[], wanted, incomplete }
    }

    pub(crate) fn without(self, pending: &'a [Range]) -> Self {
        View { pending, ..self }
    }

    /// Whether everything that was asked for is known, readable or not; and the blocks that are not.
    pub(crate) fn finish(self) -> (bool, Vec<u64>) {
        (!self.incomplete.get(), self.wanted.into_inner())
    }

    pub(crate) fn is_pending(&self, address: u64, length: usize) -> bool {
        let end = address.saturating_add(length as u64);
        self.pending.iter().any(|slot| slot.overlaps(address, end))
    }

    fn of_stack(&self, address: u64, length: usize) -> Option<&[u8]> {
        let at = usize::try_from(address.checked_sub(self.stack.address)?).ok()?;
        self.stack.bytes.get(at..at.checked_add(length)?)
    }

    fn of_file(&self, address: u64, length: usize) -> Option<&[u8]> {
        self.executable.from_address(address.wrapping_sub(self.bias))?.get(..length)
    }
}

impl Memory for View<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        let unreadable = Unreadable { address, length: buffer.len() };
        if buffer.is_empty() {
            return Ok(());
        }
        if self.is_pending(address, buffer.len()) {
            return Err(unreadable);
        }
        if let Some(bytes) =
            self.of_stack(address, buffer.len()).or_else(|| self.of_file(address, buffer.len()))
        {
            buffer.copy_from_slice(bytes);
            return Ok(());
        }
        let end = address.checked_add(buffer.len() as u64).ok_or(unreadable)?;
        let mut result = Ok(());
        for block in address / BLOCK_BYTES as u64..=(end - 1) / BLOCK_BYTES as u64 {
            match self.blocks.known.get(&block) {
                None => {
                    self.incomplete.set(true);
                    let mut wanted = self.wanted.borrow_mut();
                    if wanted.len() < WANTED_MAX {
                        wanted.push(block);
                    }
                    result = Err(unreadable);
                }
                Some(None) => return Err(unreadable),
                Some(Some(number)) => {
                    let start = block * BLOCK_BYTES as u64;
                    let (from, to) = (address.max(start), end.min(start + BLOCK_BYTES as u64));
                    let skip = *number as usize * BLOCK_BYTES + (from - start) as usize;
                    buffer[(from - address) as usize..(to - address) as usize]
                        .copy_from_slice(&self.blocks.bytes[skip..skip + (to - from) as usize]);
                }
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executable::Executable;

    fn executable() -> Executable {
        // The smallest ELF file: a header and no segments.
        let mut header = vec![0u8; 64];
        header[..4].copy_from_slice(b"\x7fELF");
        header[4..7].copy_from_slice(&[2, 1, 1]);
        header[16] = 2;
        header[18] = 62;
        header[20] = 1;
        header[52] = 64;
        header[54] = 56;
        Executable::parse(std::sync::Arc::new(header)).unwrap()
    }

    #[test]
    fn what_is_missing_is_asked_for_once_and_then_known() {
        let executable = executable();
        let mut blocks = Blocks::default();
        let stack = StackBytes { address: 0x1000, bytes: &[7; 16] };
        let view = View::new(&blocks, stack, &executable, 0);
        let mut two = [0; 2];
        assert!(view.read(0x1000, &mut two).is_ok());
        assert_eq!(two, [7, 7]);
        // Across two blocks, the second of them in the next page.
        assert!(view.read(0x4fff, &mut two).is_err());
        let (whole, mut wanted) = view.finish();
        assert!(!whole);
        let ranges = blocks.ranges(&mut wanted);
        assert_eq!(ranges.len(), 2, "{ranges:?}");
        blocks.add(ranges[0], Some(&[1; BLOCK_BYTES]));
        blocks.add(ranges[1], None);
        let view = View::new(&blocks, stack, &executable, 0);
        assert!(view.read(0x4ffe, &mut two).is_ok());
        assert_eq!(two, [1, 1]);
        assert!(view.read(0x4fff, &mut two).is_err());
        assert!(view.finish().0, "what is known not to be readable is known");
    }

    #[test]
    fn a_slot_that_is_received_into_is_not_read() {
        let (executable, blocks) = (executable(), Blocks::default());
        let stack = StackBytes { address: 0x1000, bytes: &[7; 64] };
        let slot = [Range { address: 0x1010, length: 8 }];
        let view = View::new(&blocks, stack, &executable, 0).without(&slot);
        assert!(view.read(0x1008, &mut [0; 8]).is_ok());
        assert!(view.read(0x1008, &mut [0; 9]).is_err());
        assert!(view.read(0x1017, &mut [0; 1]).is_err());
        assert!(view.read(0x1018, &mut [0; 1]).is_ok());
        assert!(view.finish().0);
    }
}
