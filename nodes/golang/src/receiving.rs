//! The slots that a parked goroutine receives into: whoever sends writes there, before the goroutine runs again. What is
//! there until then is no value of the variable.
//!
//! `g.waiting` lists the `sudog`s of a channel operation, in lock order, by `waitlink` (runtime/chan.go, select.go). While
//! the goroutine is parked that list does not change, but for `elem`, which becomes nil when the slot has been written.
//! Cases of a select that would send are among them; their slots are refused, too.
//
// @go source runtime.chanrecv
// @go source runtime.selectgo
// @go source runtime.recv
// @go source runtime.send
// @go source runtime.closechan
// @go source runtime.sendDirect
// @go size runtime.sudog.waitlink = 8
// @go size runtime.sudog.elem = 8 (..1.25), 16 (1.26..)
// @go size runtime.sudog.c = 8 (..1.25), 16 (1.26..)
// @go size runtime.hchan.elemsize = 2

use std::collections::HashMap;
use std::rc::Rc;

use crate::bytes::{u16_at, u64_at};
use crate::gatherer::Gatherer;
use crate::layout::Layouts;
use crate::memory::{Memory, Range, Unreadable};

/// A select has at most this many cases (cmd/compile, `walkSelectCases`; runtime/select.go, `selectgo`).
const CASES_MAX: usize = 1 << 16;
/// Of those whose slots are looked up for many goroutines at once: a round of reads for each.
const CASES_IN_ROUNDS_MAX: usize = 64;
/// Slots of all goroutines that are looked up at once.
const SLOTS_MAX: usize = 4 << 20;

/// Go 1.26 made `elem` and `c` pairs of which the second word is always there (`maybeTraceablePtr`, runtime2.go).
//
// @go offset runtime.maybeTraceablePtr.vu = none (..1.25), 8 (1.26..)
const MINOR_WITH_PAIRS: u32 = 26;

/// Whether a goroutine receives from channels. `waiting`: `g.waiting`.
pub(crate) fn is_receiving(wait_reason: &str, waiting: u64) -> bool {
    waiting != 0 && (wait_reason.starts_with("chan receive") || wait_reason.starts_with("select"))
}

/// Offsets of what is read of a `sudog`.
#[derive(Clone, Copy)]
struct Words {
    slot: usize,
    channel: usize,
    next: usize,
}

impl Words {
    fn of(layouts: &Layouts, minor: u32) -> Self {
        let second = if minor >= MINOR_WITH_PAIRS { 8 } else { 0 };
        let sudog = &layouts.sudog;
        Words { slot: sudog.elem + second, channel: sudog.c + second, next: sudog.waitlink }
    }
}

/// Slots of one goroutine. `waiting`: `g.waiting` of one that is receiving.
pub(crate) fn receive_slots(
    layouts: &Layouts,
    minor: u32,
    waiting: u64,
    memory: &dyn Memory,
) -> Result<Vec<Range>, Unreadable> {
    let words = Words::of(layouts, minor);
    let mut slots = Vec::new();
    let (mut next, mut seen) = (waiting, 0);
    while next != 0 && seen < CASES_MAX {
        seen += 1;
        let word = |at: usize| memory.read_u64(next.wrapping_add(at as u64));
        let slot = word(words.slot)?;
        let channel = word(words.channel)?;
        if slot != 0 {
            let mut size = [0; 2];
            memory.read(channel.wrapping_add(layouts.channel.elemsize as u64), &mut size)?;
            slots.push(Range { address: slot, length: usize::from(u16::from_le_bytes(size)) });
        }
        next = word(words.next)?;
    }
    Ok(slots)
}

/// Slots by goroutine.
pub(crate) type Slots = HashMap<usize, Rc<[Range]>>;

/// Slots of many goroutines that are receiving, in few rounds. `waiting`: any number for each, and its `g.waiting`. Those
/// whose slots could not all be found, or not in time, are not in the answer.
pub(crate) fn slots_of_many(
    layouts: &Layouts,
    minor: u32,
    waiting: &[(usize, u64)],
    gatherer: &mut Gatherer<'_>,
) -> Slots {
    let words = Words::of(layouts, minor);
    let sudog = |address, bytes: &[u8]| {
        let word = |at| u64_at(bytes, at);
        Some((address, (word(words.slot)?, word(words.channel)?, word(words.next)?)))
    };
    /// Slots, and their channels.
    type Found = Vec<(u64, u64)>;
    // By goroutine; with the next `sudog`.
    let begin = |&(of, first): &(usize, u64)| (of, Found::new(), first);
    let mut open: Vec<(usize, Found, u64)> = waiting.iter().map(begin).collect();
    let mut whole: Vec<(usize, Found)> = Vec::new();
    let mut total = 0;
    for _ in 0..CASES_IN_ROUNDS_MAX {
        let addresses: Vec<u64> = open.iter().map(|(_, _, next)| *next).collect();
        total += addresses.len();
        if addresses.is_empty() || total > SLOTS_MAX {
            break;
        }
        let read = gatherer.structures(&addresses, layouts.sudog.size, sudog);
        let read: HashMap<u64, (u64, u64, u64)> = read.into_iter().collect();
        for (of, mut slots, at) in std::mem::take(&mut open) {
            let Some(&(slot, channel, next)) = read.get(&at) else { continue };
            slots.extend((slot != 0).then_some((slot, channel)));
            match next {
                0 => whole.push((of, slots)),
                next => open.push((of, slots, next)),
            }
        }
    }
    let size_at = |channel: u64| channel.wrapping_add(layouts.channel.elemsize as u64);
    let wanted = whole.iter().flat_map(|(_, slots)| slots).map(|(_, channel)| size_at(*channel));
    let wanted: Vec<u64> = wanted.collect();
    let sizes = gatherer.structures(&wanted, 2, |at, bytes| Some((at, u16_at(bytes, 0)?)));
    let sizes: HashMap<u64, u16> = sizes.into_iter().collect();
    let slots = whole.into_iter().filter_map(|(of, slots)| {
        let slot = |(address, channel): (u64, u64)| {
            let length = usize::from(*sizes.get(&size_at(channel))?);
            Some(Range { address, length })
        };
        Some((of, slots.into_iter().map(slot).collect::<Option<Rc<[Range]>>>()?))
    });
    slots.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executable::Architecture;
    use crate::layout_table;
    use crate::memory::{Image, Segment};

    const CHANNEL: u64 = 0x9000;

    /// `sudog`s: where each is, its slot and the next one. The channel's elements have 24 bytes.
    fn memory(minor: u32, sudogs: &[(u64, u64, u64)]) -> (Layouts, Image) {
        let layouts =
            Layouts::load(&layout_table::structures(minor, 0, Architecture::Amd64).unwrap()).unwrap();
        let words = Words::of(&layouts, minor);
        let mut segments = Vec::new();
        for &(address, slot, next) in sudogs {
            let mut bytes = vec![0; layouts.sudog.size];
            for (at, word) in [(words.slot, slot), (words.channel, CHANNEL), (words.next, next)] {
                bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
            }
            segments.push(Segment { address, bytes });
        }
        let size = Segment { address: CHANNEL + layouts.channel.elemsize as u64, bytes: vec![24, 0] };
        segments.push(size);
        (layouts, Image::from_segments(segments))
    }

    fn many(
        layouts: &Layouts,
        minor: u32,
        waiting: &[(usize, u64)],
        memory: &Image,
    ) -> Vec<(usize, Vec<Range>)> {
        let mut gatherer = Gatherer::new(memory, &|| true);
        let found = slots_of_many(layouts, minor, waiting, &mut gatherer);
        let mut found: Vec<_> = found.into_iter().map(|(of, slots)| (of, slots.to_vec())).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn slots_of_one_and_of_many_are_the_same() {
        for minor in [21, 25, 26, 27] {
            let sudogs = [(0x1000, 0x70, 0x2000), (0x2000, 0, 0x3000), (0x3000, 0x50, 0), (0x4000, 0x10, 0)];
            let (layouts, memory) = memory(minor, &sudogs);
            let slot = |address| Range { address, length: 24 };
            let expected = [(3, vec![slot(0x70), slot(0x50)]), (5, vec![slot(0x10)])];
            assert_eq!(many(&layouts, minor, &[(5, 0x4000), (3, 0x1000)], &memory), expected);
            for (waiting, (_, slots)) in [0x1000, 0x4000].into_iter().zip(expected) {
                assert_eq!(receive_slots(&layouts, minor, waiting, &memory), Ok(slots));
            }
        }
    }

    #[test]
    fn who_is_missing_one_is_missing() {
        // One leads to where nothing is, one to itself, one is longer than anybody looks; one slot is received into already.
        let mut sudogs = vec![(0x1000, 0x10, 0x8000), (0x1800, 0x20, 0x1800), (0x2000, 0, 0)];
        let long = CASES_IN_ROUNDS_MAX as u64 + 1;
        sudogs.extend((0..long).map(|i| {
            let next = if i + 1 < long { 0x2_0000 + 0x400 * (i + 1) } else { 0 };
            (0x2_0000 + 0x400 * i, 8 * i + 8, next)
        }));
        let (layouts, memory) = memory(27, &sudogs);
        let waiting = [(0, 0x1000), (1, 0x1800), (2, 0x2000), (3, 0x2_0000), (4, 0x2_0400), (5, u64::MAX)];
        let found = many(&layouts, 27, &waiting, &memory);
        assert_eq!(found.iter().map(|(of, slots)| (*of, slots.len())).collect::<Vec<_>>(), [(2, 0), (4, 64)]);
        assert!(receive_slots(&layouts, 27, 0x1000, &memory).is_err());
        assert_eq!(receive_slots(&layouts, 27, 0x2_0000, &memory).unwrap().len(), 65);
    }

    #[test]
    fn who_does_not_receive_has_no_slots() {
        assert!(is_receiving("chan receive", 8) && is_receiving("select (durable)", 8));
        assert!(!is_receiving("chan receive", 0) && !is_receiving("chan send", 8) && !is_receiving("", 8));
    }
}
