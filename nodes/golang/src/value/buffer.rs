//! Bytes of a value, read at once: in memory, or gathered from its parts.

use crate::gap::Gap;
use crate::memory::Memory;
use crate::place::{Part, PartSource, Place};

/// A value that is larger is not read at once.
pub(super) const BUFFER_BYTES_MAX: u64 = 64 << 10;

/// The bytes of a value, as far as they are there.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    /// Where they lie in memory, if they lie there side by side.
    address: Option<u64>,
    holes: Vec<Hole>,
}

/// Bytes that are not there.
struct Hole {
    start: usize,
    end: usize,
    gap: Gap,
}

impl Buffer {
    /// `length` has been bounded.
    pub(super) fn read(memory: &dyn Memory, place: &Place, length: usize) -> Result<Buffer, Gap> {
        match place {
            Place::At(address) => {
                let bytes = memory.read_bytes(*address, length).map_err(|_| Gap::Unreadable(*address))?;
                Ok(Buffer { bytes, address: Some(*address), holes: Vec::new() })
            }
            Place::Parts(parts) => Ok(Self::gather(memory, parts, length)),
        }
    }

    fn gather(memory: &dyn Memory, parts: &[Part], length: usize) -> Buffer {
        let mut buffer = Buffer { bytes: vec![0; length], address: None, holes: Vec::new() };
        let mut covered = 0;
        for part in parts {
            let start = usize::try_from(part.offset).unwrap_or(length).clamp(covered, length);
            let size = usize::try_from(part.length).unwrap_or(length);
            let end = start.saturating_add(size).min(length);
            buffer.hole(covered, start, Gap::OptimizedOut);
            covered = end;
            let into = &mut buffer.bytes[start..end];
            match &part.source {
                PartSource::At(address) => {
                    if memory.read(*address, into).is_err() {
                        buffer.hole(start, end, Gap::Unreadable(*address));
                    }
                }
                PartSource::Bytes(bytes) => {
                    let there = bytes.len().min(into.len());
                    into[..there].copy_from_slice(&bytes[..there]);
                    buffer.hole(start + there, end, Gap::OptimizedOutInPart);
                }
                PartSource::Missing(gap) => buffer.hole(start, end, gap.clone()),
            }
        }
        // A place that is known to hold nothing says why; it may say so of zero bytes.
        if let (0, [Part { source: PartSource::Missing(gap), .. }]) = (length, parts) {
            buffer.holes.push(Hole { start: 0, end: 0, gap: gap.clone() });
        }
        buffer.hole(covered, length, Gap::OptimizedOut);
        buffer
    }

    fn hole(&mut self, start: usize, end: usize, gap: Gap) {
        if start < end {
            self.holes.push(Hole { start, end, gap });
        }
    }

    pub(super) fn view(&self) -> View<'_> {
        View { buffer: self, start: 0, length: self.bytes.len() }
    }
}

/// Some of the bytes of a [`Buffer`]: those of one value.
#[derive(Clone, Copy)]
pub(super) struct View<'b> {
    buffer: &'b Buffer,
    start: usize,
    length: usize,
}

impl<'b> View<'b> {
    pub(super) fn length(self) -> u64 {
        self.length as u64
    }

    /// A part of the value.
    pub(super) fn part(self, offset: u64, length: u64) -> Result<View<'b>, Gap> {
        let outside =
            || Gap::Implausible(format!("{length} bytes at {offset} of a value of {}", self.length));
        let (offset, length) = usize::try_from(offset)
            .ok()
            .zip(usize::try_from(length).ok())
            .filter(|(offset, length)| offset.checked_add(*length).is_some_and(|end| end <= self.length))
            .ok_or_else(outside)?;
        Ok(View { buffer: self.buffer, start: self.start + offset, length })
    }

    /// All of its bytes, or why they are not there.
    pub(super) fn bytes(self) -> Result<&'b [u8], Gap> {
        let (start, end) = (self.start, self.start + self.length);
        let overlaps =
            |hole: &&Hole| hole.start < end && start < hole.end || hole.start == hole.end && start == end;
        match self.buffer.holes.iter().find(overlaps) {
            None => Ok(&self.buffer.bytes[start..end]),
            Some(hole) if hole.start <= start && end <= hole.end => Err(hole.gap.clone()),
            Some(Hole { gap: gap @ (Gap::Unreadable(_) | Gap::Redacted), .. }) => Err(gap.clone()),
            Some(_) => Err(Gap::OptimizedOutInPart),
        }
    }

    /// A little-endian number of 1, 2, 4 or 8 bytes.
    pub(super) fn uint(self, offset: u64, length: u64) -> Result<u64, Gap> {
        let bytes = self.part(offset, length)?.bytes()?;
        let mut word = [0; 8];
        word.get_mut(..bytes.len())
            .ok_or_else(|| Gap::Implausible(format!("a number of {length} bytes")))?
            .copy_from_slice(bytes);
        Ok(u64::from_le_bytes(word))
    }

    pub(super) fn word(self, offset: u64) -> Result<u64, Gap> {
        self.uint(offset, 8)
    }

    /// Where it is.
    pub(super) fn place(self) -> Place {
        match self.buffer.address {
            Some(address) => Place::At(address.wrapping_add(self.start as u64)),
            None => {
                let end = self.start + self.length;
                let mut parts = Vec::new();
                let mut at = self.start;
                let bytes = |start: usize, end: usize| Part {
                    offset: (start - self.start) as u64,
                    length: (end - start) as u64,
                    source: PartSource::Bytes(self.buffer.bytes[start..end].to_vec()),
                };
                let mut holes: Vec<&Hole> = self.buffer.holes.iter().collect();
                holes.sort_by_key(|hole| hole.start);
                for hole in holes.into_iter().filter(|hole| hole.start < end && self.start < hole.end) {
                    let (start, stop) = (hole.start.max(at), hole.end.min(end));
                    if at < start {
                        parts.push(bytes(at, start));
                    }
                    parts.push(Part {
                        offset: (start - self.start) as u64,
                        length: (stop - start) as u64,
                        source: PartSource::Missing(hole.gap.clone()),
                    });
                    at = stop;
                }
                if at < end {
                    parts.push(bytes(at, end));
                }
                Place::Parts(parts)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Image, Segment};

    #[test]
    fn parts_are_gathered_and_their_holes_known() {
        let image = Image::from_segments([Segment { address: 100, bytes: vec![7; 8] }]);
        let place = Place::Parts(vec![
            Part { offset: 0, length: 8, source: PartSource::At(100) },
            Part { offset: 8, length: 8, source: PartSource::Missing(Gap::InRegister) },
            Part { offset: 16, length: 4, source: PartSource::Bytes(vec![1, 2, 3, 4]) },
        ]);
        let buffer = Buffer::read(&image, &place, 24).unwrap();
        let view = buffer.view();
        assert_eq!(view.word(0), Ok(0x0707_0707_0707_0707));
        assert_eq!(view.word(8), Err(Gap::InRegister));
        assert_eq!(view.uint(16, 4), Ok(0x0403_0201));
        assert_eq!(view.uint(20, 4), Err(Gap::OptimizedOut));
        assert_eq!(view.word(16), Err(Gap::OptimizedOutInPart));
        assert!(matches!(view.part(20, 8), Err(Gap::Implausible(_))));
        assert!(matches!(view.part(u64::MAX, 8), Err(Gap::Implausible(_))));
        let again = Buffer::read(&image, &view.place(), 24).unwrap();
        assert_eq!(again.view().word(0), Ok(0x0707_0707_0707_0707));
        assert_eq!(again.view().word(8), Err(Gap::InRegister));
    }

    #[test]
    fn a_hidden_place_of_no_bytes_is_hidden() {
        let hidden = Part { offset: 0, length: 0, source: PartSource::Missing(Gap::Redacted) };
        let buffer = Buffer::read(&Image::default(), &Place::Parts(vec![hidden]), 0).unwrap();
        assert_eq!(buffer.view().bytes(), Err(Gap::Redacted));
    }
}
