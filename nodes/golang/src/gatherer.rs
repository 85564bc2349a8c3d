//! Reads in rounds: many ranges at once, bounded, and thrown away when the pause budget is spent.

use crate::memory::{Image, Memory, Range, Segment};

/// Of everything that is read of one process.
const TOTAL_BYTES_MAX: usize = 4 << 30;
/// Of one round; what is in flight when the budget ends is lost.
const ROUND_BYTES_MAX: usize = 8 << 20;
/// `process_vm_readv` takes this many ranges at once (UIO_MAXIOV, readv(2)).
const ROUND_RANGES_MAX: usize = 1024;
/// Reading this many bytes that nobody asked for is cheaper than another range.
const RANGE_GAP_BYTES: u64 = 256;
/// A smaller round is not worth a place that was made before.
const SPARE_BYTES_MIN: usize = 64 << 10;
/// Of structures that lie side by side, in one range: few enough to stay in a processor's cache.
const NEIGHBOURS_BYTES_MAX: u64 = 128 << 10;

/// Ranges that are read in one go, and what came.
#[derive(Default)]
pub(crate) struct Round {
    pub(crate) ranges: Vec<Range>,
    pub(crate) whole: Vec<bool>,
    pub(crate) bytes: Vec<u8>,
}

impl Round {
    /// With nothing read yet.
    pub(crate) fn new(ranges: Vec<Range>) -> Self {
        let length = ranges.iter().map(|r| r.length).sum();
        Round { whole: vec![false; ranges.len()], bytes: vec![0; length], ranges }
    }

    /// The ranges that could be read.
    pub(crate) fn read(&self) -> impl Iterator<Item = (Range, &[u8])> {
        let mut at = 0;
        self.ranges.iter().zip(&self.whole).filter_map(move |(range, whole)| {
            let start = at;
            at += range.length;
            whole.then(|| (*range, &self.bytes[start..at]))
        })
    }
}

/// Rounds are given up one by one, so that not everything is there twice.
pub(crate) fn image(rounds: Vec<Round>) -> Image {
    let segment = |(range, bytes): (Range, &[u8])| Segment { address: range.address, bytes: bytes.to_vec() };
    Image::from_segments(rounds.into_iter().flat_map(|round| round.read().map(segment).collect::<Vec<_>>()))
}

/// Reads in rounds, and keeps what came.
pub(crate) struct Gatherer<'a> {
    pub(crate) memory: &'a dyn Memory,
    pub(crate) still: &'a dyn Fn() -> bool,
    pub(crate) rounds: Vec<Round>,
    /// Room for rounds, made before the freeze: memory that is touched for the first time costs as much as reading it does.
    spare: Vec<Vec<u8>>,
    total: usize,
    total_max: usize,
    pub(crate) cut: bool,
}

impl<'a> Gatherer<'a> {
    pub(crate) fn new(memory: &'a dyn Memory, still: &'a dyn Fn() -> bool) -> Self {
        let (rounds, spare) = (Vec::new(), Vec::new());
        Gatherer { memory, still, rounds, spare, total: 0, total_max: TOTAL_BYTES_MAX, cut: false }
    }

    /// Uses this room for large rounds.
    pub(crate) fn with_spare(self, spare: Vec<Vec<u8>>) -> Self {
        Gatherer { spare, ..self }
    }

    /// Reads no more than `total_max` bytes.
    pub(crate) fn at_most(self, total_max: usize) -> Self {
        Gatherer { total_max, ..self }
    }

    /// One call of the memory's. `None` when the budget is spent.
    pub(crate) fn round(&mut self, ranges: Vec<Range>) -> Option<&Round> {
        let length = ranges.iter().map(|r| r.length).sum::<usize>();
        if !self.has_room(length) {
            return None;
        }
        let round = match self.spare.pop_if(|spare| (SPARE_BYTES_MIN..=spare.len()).contains(&length)) {
            Some(mut bytes) => {
                bytes.truncate(length);
                Round { whole: vec![false; ranges.len()], bytes, ranges }
            }
            None => Round::new(ranges),
        };
        self.again(round)
    }

    /// As [`Gatherer::round`], into a place that was made before.
    pub(crate) fn again(&mut self, mut round: Round) -> Option<&Round> {
        let length = round.bytes.len();
        if !self.has_room(length) {
            return None;
        }
        self.memory.read_many(&round.ranges, &mut round.bytes, &mut round.whole);
        if !(self.still)() {
            self.cut = true;
            return None;
        }
        self.total += length;
        self.rounds.push(round);
        self.rounds.last()
    }

    fn has_room(&mut self, length: usize) -> bool {
        self.cut |= self.total.saturating_add(length) > self.total_max;
        !self.cut
    }

    /// In as many rounds as it takes; the indices of those rounds.
    pub(crate) fn rounds(&mut self, ranges: Vec<Range>) -> std::ops::Range<usize> {
        let first = self.rounds.len();
        for some in in_rounds(ranges) {
            if self.round(some).is_none() {
                break;
            }
        }
        first..self.rounds.len()
    }

    pub(crate) fn one(&mut self, address: u64, length: usize) -> Option<&[u8]> {
        let round = self.round(vec![Range { address, length }])?;
        round.whole[0].then_some(&round.bytes)
    }

    /// What some rounds brought, whole ranges only.
    pub(crate) fn read(&self, rounds: std::ops::Range<usize>) -> impl Iterator<Item = (Range, &[u8])> {
        self.rounds[rounds].iter().flat_map(Round::read)
    }

    /// What some rounds brought of a range that they were asked for.
    pub(crate) fn bytes(&self, rounds: std::ops::Range<usize>, wanted: Range) -> Option<&[u8]> {
        self.read(rounds).find(|(range, _)| *range == wanted).map(|(_, bytes)| bytes)
    }

    #[cfg(test)]
    pub(crate) fn into_image(self) -> Image {
        image(self.rounds)
    }

    /// Reads structures of `size` bytes, neighbours in one range, and hands out those that could be read.
    pub(crate) fn structures<T>(
        &mut self,
        addresses: &[u64],
        size: usize,
        parse: impl Fn(u64, &[u8]) -> Option<T>,
    ) -> Vec<T> {
        let sorted = sorted(addresses);
        let ranges = neighbours(&sorted, size);
        let rounds = self.rounds(ranges);
        let mut found = Vec::with_capacity(sorted.len());
        // Ranges come in the order of the addresses that they were made of.
        let mut next = 0;
        for round in &self.rounds[rounds] {
            let mut at = 0;
            for (range, whole) in round.ranges.iter().zip(&round.whole) {
                let bytes = &round.bytes[at..at + range.length];
                at += range.length;
                let last = range.address + (range.length - size) as u64;
                next += sorted[next..].partition_point(|&address| address < range.address);
                while let Some(&address) = sorted.get(next).filter(|&&address| address <= last) {
                    next += 1;
                    let skip = (address - range.address) as usize;
                    found.extend(whole.then(|| parse(address, &bytes[skip..skip + size])).flatten());
                }
            }
        }
        found
    }
}

/// Room for rounds of so many bytes in all.
pub(crate) fn spare(bytes: usize) -> Vec<Vec<u8>> {
    // Written to, so that its pages are there.
    (0..bytes.div_ceil(ROUND_BYTES_MAX)).map(|_| vec![1; ROUND_BYTES_MAX]).collect()
}

/// As much in each as fits, in their order.
pub(crate) fn in_rounds(ranges: Vec<Range>) -> impl Iterator<Item = Vec<Range>> {
    let mut ranges = ranges.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut length = 0;
        let mut some = Vec::new();
        while let Some(range) = ranges.next_if(|r| {
            some.len() < ROUND_RANGES_MAX && (some.is_empty() || length + r.length <= ROUND_BYTES_MAX)
        }) {
            length += range.length;
            some.push(range);
        }
        (!some.is_empty()).then_some(some)
    })
}

/// In their order, each once.
pub(crate) fn sorted(addresses: &[u64]) -> Vec<u64> {
    let mut sorted = addresses.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// Those that touch or nearly do in one. `ranges`: sorted.
pub(crate) fn joined(ranges: impl IntoIterator<Item = Range>) -> Vec<Range> {
    let mut joined: Vec<Range> = Vec::new();
    for range in ranges {
        let Some(end) = range.end() else { continue };
        match joined.last_mut() {
            Some(last)
                if range.address.saturating_sub(last.address + last.length as u64) <= RANGE_GAP_BYTES
                    && end - last.address <= NEIGHBOURS_BYTES_MAX =>
            {
                last.length = last.length.max((end - last.address) as usize);
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// The ranges of structures of `size` bytes at sorted addresses, neighbours in one.
pub(crate) fn neighbours(sorted: &[u64], size: usize) -> Vec<Range> {
    joined(sorted.iter().map(|&address| Range { address, length: size }))
}
