//! The records of all goroutines that are known, read again and again into the same place.

use crate::gatherer::{Round, in_rounds, neighbours};
use crate::memory::Memory;

/// Some of the records, and which of all addresses each of the ranges has.
struct Part {
    round: Round,
    of: Vec<std::ops::Range<usize>>,
}

pub(crate) struct Known {
    /// Of a record.
    size: usize,
    /// Sorted, each once. A record is known by its place here.
    addresses: Vec<u64>,
    all: Vec<Part>,
}

/// What became of a record that is not as it was read last: its number, how it was, and how it is now, if it could be read
/// and there was time.
pub(crate) type Changed<'a> = &'a mut dyn FnMut(usize, &[u8], Option<&[u8]>);

impl Known {
    /// Nothing is read yet. `addresses`: sorted, each once.
    pub(crate) fn new(addresses: Vec<u64>, size: usize) -> Self {
        let mut next = 0;
        let all = in_rounds(neighbours(&addresses, size)).map(|ranges| {
            let of = ranges.iter().map(|range| {
                let last = range.address + (range.length - size) as u64;
                let first = next + addresses[next..].partition_point(|&address| address < range.address);
                next = first + addresses[first..].partition_point(|&address| address <= last);
                first..next
            });
            let of = of.collect();
            Part { round: Round::new(ranges), of }
        });
        let all = all.collect();
        Known { size, addresses, all }
    }

    /// Of all records, those that cannot be read among them.
    pub(crate) fn len(&self) -> usize {
        self.addresses.len()
    }

    /// Reads all of them. Whether there was time for that, which `go_on` tells: what came before it said no is thrown away.
    pub(crate) fn read(
        &mut self,
        memory: &dyn Memory,
        go_on: &dyn Fn() -> bool,
        changed: Changed<'_>,
    ) -> bool {
        let mut in_time = true;
        for Part { round: Round { ranges, whole, bytes }, of } in &mut self.all {
            let mut at = 0;
            if in_time {
                memory.read_each(ranges, &mut |i, now| {
                    let before = &mut bytes[at..at + ranges[i].length];
                    at += ranges[i].length;
                    whole[i] = now.is_some();
                    if now.is_some_and(|now| now == before) {
                        return;
                    }
                    for number in of[i].clone() {
                        let skip = (self.addresses[number] - ranges[i].address) as usize;
                        let record = skip..skip + self.size;
                        let (before, now) = (&before[record.clone()], now.map(|now| &now[record]));
                        if now != Some(before) {
                            changed(number, before, now);
                        }
                    }
                    if let Some(now) = now {
                        before.copy_from_slice(now);
                    }
                });
                in_time = go_on();
            }
            if !in_time {
                whole.fill(false);
                of.iter().flat_map(|of| of.clone()).for_each(|number| changed(number, &[], None));
            }
        }
        in_time
    }

    /// Number, address and bytes of the records that could be read.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, u64, &[u8])> {
        self.all.iter().flat_map(move |Part { round, of }| {
            let mut at = 0;
            let ranges = round.ranges.iter().zip(&round.whole).zip(of);
            ranges.flat_map(move |((range, whole), of)| {
                let bytes = &round.bytes[at..at + range.length];
                at += range.length;
                let of = if *whole { of.clone() } else { 0..0 };
                of.map(move |number| {
                    let address = self.addresses[number];
                    let skip = (address - range.address) as usize;
                    (number, address, &bytes[skip..skip + self.size])
                })
            })
        })
    }

    pub(crate) fn into_rounds(self) -> impl Iterator<Item = Round> {
        self.all.into_iter().map(|some| some.round)
    }
}
