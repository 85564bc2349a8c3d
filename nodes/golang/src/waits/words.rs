//! Words of a parked goroutine's stack that may be what it waits with: those of the innermost frames.

use std::collections::HashMap;

use crate::bytes::u64_at;

/// The frames of `gopark`, of what has called it, and of `sync.(*Cond).Wait` on top of that are smaller than this together.
pub(crate) const WINDOW_BYTES: usize = 768;
/// Offsets at which something was found.
const OFFSETS_MAX: usize = 8;

/// A stack from its stack pointer on.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    bytes: &'a [u8],
    lo: u64,
    hi: u64,
}

impl<'a> Window<'a> {
    /// `lo`, `hi`: of the whole stack. Nothing that is looked for lies on it.
    pub(super) fn new(bytes: &'a [u8], lo: u64, hi: u64) -> Self {
        Window { bytes: &bytes[..bytes.len().min(WINDOW_BYTES)], lo, hi }
    }

    /// The word at an offset, if it may be an address of something.
    pub(super) fn at(&self, offset: usize) -> Option<u64> {
        const LOWEST: u64 = 1 << 12;
        const HIGHEST: u64 = 1 << 56;
        let word = u64_at(self.bytes, offset)?;
        let on_stack = (self.lo..self.hi).contains(&word);
        (word % 4 == 0 && (LOWEST..HIGHEST).contains(&word) && !on_stack).then_some(word)
    }

    /// All of them, with their offsets.
    pub(super) fn all(self) -> impl Iterator<Item = (usize, u64)> + 'a {
        (0..self.bytes.len() / 8).filter_map(move |i| Some((8 * i, self.at(8 * i)?)))
    }
}

/// Where words were found so far: all goroutines that the same function has parked have theirs at one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Offsets(HashMap<usize, u32>);

impl Offsets {
    pub(super) fn found(&mut self, offset: usize) {
        if self.0.len() < OFFSETS_MAX || self.0.contains_key(&offset) {
            *self.0.entry(offset).or_default() += 1;
        }
    }

    /// Where to look first, the likeliest ahead.
    pub(super) fn likely(&self) -> Vec<usize> {
        let mut offsets: Vec<(u32, usize)> = self.0.iter().map(|(&offset, &times)| (times, offset)).collect();
        offsets.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        offsets.into_iter().map(|(_, offset)| offset).collect()
    }
}
