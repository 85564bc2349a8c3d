//! The memory of a target, and a copy of parts of it.
//!
//! [`Memory`] is the one thing that this crate asks of the world. A frozen process, a core file and an [`Image`] give
//! it; a test gives it a handful of bytes.

use thiserror::Error;

/// A range of a target's memory could not be read.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("memory at {address:#x} ({length} bytes) is not readable")]
pub struct Unreadable {
    pub address: u64,
    pub length: usize,
}

/// `length` bytes from `address`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    pub address: u64,
    pub length: usize,
}

impl Range {
    /// The first address behind the range; `None` where that does not exist.
    pub fn end(self) -> Option<u64> {
        self.address.checked_add(u64::try_from(self.length).ok()?)
    }

    /// Whether it has a byte from `address` on, before `end`.
    pub(crate) fn overlaps(self, address: u64, end: u64) -> bool {
        self.address < end && self.end().is_none_or(|own| address < own)
    }
}

/// Bytes by address. A read is whole or fails.
pub trait Memory {
    /// Fills `buffer` from `address`.
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable>;

    /// Reads many ranges, one behind the other, into `buffer`, whose length is the sum of theirs. `whole[i]` says
    /// whether range `i` was read; where it was not, its part of the buffer holds nothing to be relied on.
    ///
    /// One call is one round: an implementation does it in as few system calls as it can.
    fn read_many(&self, ranges: &[Range], buffer: &mut [u8], whole: &mut [bool]) {
        let mut at = 0;
        for (range, whole) in ranges.iter().zip(whole) {
            *whole = self.read(range.address, &mut buffer[at..at + range.length]).is_ok();
            at += range.length;
        }
    }

    /// Reads many ranges, and hands out each with its index, in their order; `None`: it could not be read. An
    /// implementation may read on while the caller looks at what came.
    fn read_each(&self, ranges: &[Range], each: &mut dyn FnMut(usize, Option<&[u8]>)) {
        let mut buffer = Vec::new();
        for (index, range) in ranges.iter().enumerate() {
            buffer.resize(range.length, 0);
            let read = self.read(range.address, &mut buffer);
            each(index, read.is_ok().then_some(&buffer[..]));
        }
    }

    /// A little-endian 64-bit word.
    fn read_u64(&self, address: u64) -> Result<u64, Unreadable> {
        let mut word = [0; 8];
        self.read(address, &mut word)?;
        Ok(u64::from_le_bytes(word))
    }

    /// `length` bytes. The caller has bounded `length`.
    fn read_bytes(&self, address: u64, length: usize) -> Result<Vec<u8>, Unreadable> {
        let mut bytes = vec![0; length];
        self.read(address, &mut bytes)?;
        Ok(bytes)
    }
}

/// A copy of parts of a target's memory: what a capture brings home.
///
/// Ranges may be added in any order and may overlap. All of it is memory of one instant, so where two overlap they are
/// equal, and which of them is kept is left open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Sorted, not overlapping, not empty.
    segments: Vec<Segment>,
}

/// A run of bytes of an [`Image`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub address: u64,
    pub bytes: Vec<u8>,
}

impl Image {
    /// Sorts the segments and joins those that touch or overlap.
    pub fn from_segments(segments: impl IntoIterator<Item = Segment>) -> Self {
        let mut image = Image::default();
        image.add(segments);
        image
    }

    /// Adds segments.
    pub fn add(&mut self, segments: impl IntoIterator<Item = Segment>) {
        let mut all = std::mem::take(&mut self.segments);
        all.extend(
            segments
                .into_iter()
                .filter(|s| !s.bytes.is_empty() && s.address.checked_add(s.bytes.len() as u64).is_some()),
        );
        all.sort_by_key(|s| s.address);
        for segment in all {
            match self.segments.last_mut() {
                Some(last) if segment.address <= last.end() => {
                    let at = (segment.address - last.address) as usize;
                    let overlap = (last.bytes.len() - at).min(segment.bytes.len());
                    last.bytes.extend_from_slice(&segment.bytes[overlap..]);
                }
                _ => self.segments.push(segment),
            }
        }
    }

    /// In the order of their addresses, apart from each other.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// How many bytes are here.
    pub fn len(&self) -> usize {
        self.segments.iter().map(|s| s.bytes.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The bytes of a range, without copying them.
    pub fn slice(&self, address: u64, length: usize) -> Result<&[u8], Unreadable> {
        if length == 0 {
            return Ok(&[]);
        }
        let unreadable = Unreadable { address, length };
        let after = self.segments.partition_point(|s| s.address <= address);
        let segment = after.checked_sub(1).map(|i| &self.segments[i]).ok_or(unreadable)?;
        let at = usize::try_from(address - segment.address).map_err(|_| unreadable)?;
        let end = at.checked_add(length).ok_or(unreadable)?;
        segment.bytes.get(at..end).ok_or(unreadable)
    }
}

impl Segment {
    fn end(&self) -> u64 {
        self.address + self.bytes.len() as u64
    }
}

impl Memory for Image {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), Unreadable> {
        buffer.copy_from_slice(self.slice(address, buffer.len())?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment(address: u64, bytes: &[u8]) -> Segment {
        Segment { address, bytes: bytes.to_vec() }
    }

    #[test]
    fn segments_that_touch_read_as_one() {
        let image = Image::from_segments([segment(14, b"efg"), segment(10, b"abcd")]);
        assert_eq!(image.slice(11, 5), Ok(&b"bcdef"[..]));
        assert_eq!(image.segments().len(), 1);
    }

    #[test]
    fn a_read_is_whole_or_fails() {
        let image = Image::from_segments([segment(10, b"abcd"), segment(20, b"z")]);
        assert!(image.slice(12, 3).is_err());
        assert!(image.slice(9, 1).is_err());
        assert!(image.slice(u64::MAX, 2).is_err());
        assert!(image.slice(12, usize::MAX).is_err());
    }

    proptest! {
        #[test]
        fn an_image_holds_what_was_added(
            additions in proptest::collection::vec((0u64..64, 0u64..16), 0..12)
        ) {
            let byte = |address: u64| (address * 7) as u8;
            let mut there = std::collections::BTreeSet::new();
            let mut image = Image::default();
            for (start, length) in additions {
                there.extend(start..start + length);
                let bytes: Vec<u8> = (start..start + length).map(byte).collect();
                image.add([segment(start, &bytes)]);
            }
            for address in 0..96 {
                let expected = there.contains(&address).then(|| byte(address));
                prop_assert_eq!(image.slice(address, 1).ok().map(|b| b[0]), expected);
            }
        }
    }
}
