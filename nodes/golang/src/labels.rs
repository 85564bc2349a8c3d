//! Profiler labels (`runtime/pprof.Labels`) of goroutines: first read in rounds while the process stands still, then
//! taken out of its copy.
//!
//! `g.labels` points to a `labelMap`: since Go 1.24 a slice of pairs of strings (runtime/pprof/label.go, later
//! internal/runtime/pprof/label), before that a `map[string]string` of the classic form (runtime/map.go). Neither is
//! changed once a goroutine has it.

use std::collections::BTreeSet;

use crate::bytes::{u8_at, u64_at};
use crate::gatherer::Gatherer;
use crate::memory::{Image, Memory, Range, Unreadable};

const LABELS_MAX: u64 = 64;
const LABEL_BYTES_MAX: u64 = 1 << 10;

/// The first Go version with slices.
//
// @go source runtime/pprof.labelMap
// @go source runtime/pprof.SetGoroutineLabels
const MINOR_WITH_SLICES: u32 = 24;

/// `label.Set`: a slice header; each element is two string headers.
//
// @go source runtime/pprof.LabelSet
// @go source internal/runtime/pprof/label.Set (1.26..)
const SLICE_BYTES: usize = 24;
const PAIR_BYTES: usize = 32;
const STRING_BYTES: usize = 16;

/// `hmap` (runtime/map.go): count at 0, B at 9, buckets at 16, oldbuckets at 24. Go 1.24 and later have other maps, and
/// these only with an experiment.
//
// @go size runtime.hmap = 48 (..1.23), none (1.24..)
// @go offset runtime.hmap.count = 0 (..1.23), none (1.24..)
// @go offset runtime.hmap.flags = 8 (..1.23), none (1.24..)
// @go offset runtime.hmap.B = 9 (..1.23), none (1.24..)
// @go offset runtime.hmap.buckets = 16 (..1.23), none (1.24..)
// @go offset runtime.hmap.oldbuckets = 24 (..1.23), none (1.24..)
// @go const runtime.sameSizeGrow = 8 (..1.23), none (1.24..)
// @go source runtime.evacuate (..1.23)
const MAP_BYTES: usize = 48;
/// A bucket of a `map[string]string`: 8 bytes of tophash, 8 keys, 8 values, and a pointer to the next.
const BUCKET_BYTES: usize = 8 + 8 * STRING_BYTES + 8 * STRING_BYTES + 8;
const BUCKET_KEYS: usize = 8;
const BUCKET_VALUES: usize = 8 + 8 * STRING_BYTES;
const BUCKET_NEXT: usize = BUCKET_BYTES - 8;
/// Cells with less than that are empty, or have moved to the new buckets.
//
// @go const runtime.minTopHash = 5 (..1.23), none (1.24..)
const TOPHASH_MIN: u8 = 5;
/// 2^4 buckets hold more than [`LABELS_MAX`].
const BUCKETS_LOG2_MAX: u8 = 4;
/// Buckets in one chain.
const CHAIN_MAX: usize = 8;

/// Reads what the label sets at these addresses consist of.
pub(crate) fn gather(gatherer: &mut Gatherer<'_>, minor: u32, sets: impl Iterator<Item = u64>) {
    let sets: Vec<u64> = sets.filter(|&s| s != 0).collect();
    let headers = if minor >= MINOR_WITH_SLICES {
        slices(gatherer, &sets)
    } else {
        let maps = gatherer.structures(&sets, 8, |_, bytes| u64_at(bytes, 0).filter(|&map| map != 0));
        buckets(gatherer, &maps)
    };
    let strings: BTreeSet<Range> = headers.into_iter().filter(|r| r.length > 0).collect();
    gatherer.rounds(strings.into_iter().collect());
}

/// The bytes of a string, by its header; one byte more than a label may have if there are more.
fn string_bytes(header: &[u8]) -> Option<Range> {
    let length = u64_at(header, 8)?.min(LABEL_BYTES_MAX + 1) as usize;
    Some(Range { address: u64_at(header, 0)?, length })
}

/// Reads slices; which strings they are made of.
fn slices(gatherer: &mut Gatherer<'_>, sets: &[u64]) -> Vec<Range> {
    let slices =
        gatherer.structures(sets, SLICE_BYTES, |_, bytes| Some((u64_at(bytes, 0)?, u64_at(bytes, 8)?)));
    let slices: BTreeSet<(u64, u64)> = slices.into_iter().filter(|&(_, n)| n > 0).collect();
    let pairs =
        slices.iter().map(|&(p, n)| Range { address: p, length: PAIR_BYTES * n.min(LABELS_MAX) as usize });
    let rounds = gatherer.rounds(pairs.collect());
    let read = gatherer.read(rounds);
    read.flat_map(|(_, bytes)| bytes.chunks_exact(STRING_BYTES)).filter_map(string_bytes).collect()
}

/// Reads maps; which strings they are made of.
fn buckets(gatherer: &mut Gatherer<'_>, maps: &[u64]) -> Vec<Range> {
    let arrays = gatherer.structures(maps, MAP_BYTES, |_, bytes| Some(arrays(bytes)));
    let mut next: BTreeSet<Range> = arrays.into_iter().flatten().collect();
    let mut strings = Vec::new();
    for _ in 0..CHAIN_MAX {
        let rounds = gatherer.rounds(std::mem::take(&mut next).into_iter().collect());
        for bucket in gatherer.read(rounds).flat_map(|(_, bytes)| bytes.chunks_exact(BUCKET_BYTES)) {
            for (key, value) in cells(bucket) {
                strings.extend([string_bytes(key), string_bytes(value)].into_iter().flatten());
            }
            next.extend(chained(bucket));
        }
        if next.is_empty() {
            break;
        }
    }
    strings
}

/// Where the buckets of a map are, the new ones and those that it still moves from.
fn arrays(map: &[u8]) -> Vec<Range> {
    let log2 = u8_at(map, 9).unwrap_or(0).min(BUCKETS_LOG2_MAX);
    let array = |at: usize, log2: u8| {
        let address = u64_at(map, at).filter(|&a| a != 0)?;
        Some(Range { address, length: BUCKET_BYTES << log2 })
    };
    // It grows to twice the size, or stays (`sameSizeGrow`): reading too much of the old array does no harm, unless that
    // cannot be read.
    let same_size = u8_at(map, 8).unwrap_or(0) & 8 != 0;
    let old = if same_size { log2 } else { log2.saturating_sub(1) };
    [array(16, log2), array(24, old)].into_iter().flatten().collect()
}

/// Headers of the keys and values in use.
fn cells(bucket: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    (0..8).filter_map(move |i| {
        let header = |at: usize| bucket.get(at + STRING_BYTES * i..at + STRING_BYTES * (i + 1));
        (*bucket.get(i)? >= TOPHASH_MIN).then_some((header(BUCKET_KEYS)?, header(BUCKET_VALUES)?))
    })
}

fn chained(bucket: &[u8]) -> Option<Range> {
    u64_at(bucket, BUCKET_NEXT).filter(|&a| a != 0).map(|address| Range { address, length: BUCKET_BYTES })
}

/// Key and value of one label: bytes, which need not be UTF-8.
pub(crate) type Label = (Vec<u8>, Vec<u8>);

/// Why there are no labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoLabels {
    Unreadable,
    TooLarge,
}

impl std::fmt::Display for NoLabels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoLabels::Unreadable => write!(f, "their memory is not readable"),
            NoLabels::TooLarge => {
                write!(f, "more than {LABELS_MAX} labels, or one of more than {LABEL_BYTES_MAX} bytes")
            }
        }
    }
}

impl From<Unreadable> for NoLabels {
    fn from(_: Unreadable) -> Self {
        NoLabels::Unreadable
    }
}

/// The labels that [`gather`] has read, sorted by key: all of them or none.
pub(crate) fn read(image: &Image, minor: u32, set: u64) -> Result<Vec<Label>, NoLabels> {
    if minor >= MINOR_WITH_SLICES {
        return read_slice(image, set);
    }
    let map = image.read_u64(set)?;
    if map == 0 {
        return Ok(Vec::new());
    }
    let map = image.slice(map, MAP_BYTES)?;
    let count = u64_at(map, 0).ok_or(NoLabels::Unreadable)?;
    if count > LABELS_MAX {
        return Err(NoLabels::TooLarge);
    }
    let mut next = arrays(map);
    let mut labels = Vec::new();
    for _ in 0..CHAIN_MAX {
        for Range { address, length } in std::mem::take(&mut next) {
            for bucket in image.slice(address, length)?.chunks_exact(BUCKET_BYTES) {
                for (key, value) in cells(bucket) {
                    labels.push((string(image, key)?, string(image, value)?));
                }
                next.extend(chained(bucket));
            }
        }
    }
    if labels.len() as u64 != count {
        return Err(NoLabels::Unreadable);
    }
    labels.sort();
    Ok(labels)
}

fn read_slice(image: &Image, set: u64) -> Result<Vec<Label>, NoLabels> {
    let header = image.slice(set, SLICE_BYTES)?;
    let (pairs, count) = u64_at(header, 0).zip(u64_at(header, 8)).ok_or(NoLabels::Unreadable)?;
    match count {
        0 => return Ok(Vec::new()),
        1..=LABELS_MAX => {}
        _ => return Err(NoLabels::TooLarge),
    }
    let pairs = image.slice(pairs, PAIR_BYTES * count as usize)?.chunks_exact(PAIR_BYTES);
    pairs
        .map(|pair| Ok((string(image, &pair[..STRING_BYTES])?, string(image, &pair[STRING_BYTES..])?)))
        .collect()
}

/// By its header.
fn string(image: &Image, header: &[u8]) -> Result<Vec<u8>, NoLabels> {
    let Range { address, length } = string_bytes(header).ok_or(NoLabels::Unreadable)?;
    if length as u64 > LABEL_BYTES_MAX {
        return Err(NoLabels::TooLarge);
    }
    Ok(image.slice(address, length)?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Segment;

    fn put(bytes: &mut [u8], at: usize, word: u64) {
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }

    /// A map with one bucket and one behind that, a label in each.
    fn classic_map() -> Image {
        let text = b"keyvaluekey2";
        let mut map = vec![0; MAP_BYTES];
        put(&mut map, 0, 2);
        put(&mut map, 16, 0x3000);
        let mut bucket = vec![0; BUCKET_BYTES];
        (bucket[0], bucket[3]) = (1, 77);
        put(&mut bucket, BUCKET_KEYS + 3 * STRING_BYTES, 0x5000);
        put(&mut bucket, BUCKET_KEYS + 3 * STRING_BYTES + 8, 3);
        put(&mut bucket, BUCKET_VALUES + 3 * STRING_BYTES, 0x5003);
        put(&mut bucket, BUCKET_VALUES + 3 * STRING_BYTES + 8, 5);
        put(&mut bucket, BUCKET_NEXT, 0x4000);
        let mut second = vec![0; BUCKET_BYTES];
        second[0] = TOPHASH_MIN;
        put(&mut second, BUCKET_KEYS, 0x5008);
        put(&mut second, BUCKET_KEYS + 8, 4);
        let segment = |address, bytes: &[u8]| Segment { address, bytes: bytes.to_vec() };
        Image::from_segments([
            segment(0x1000, &0x2000u64.to_le_bytes()),
            segment(0x2000, &map),
            segment(0x3000, &bucket),
            segment(0x4000, &second),
            segment(0x5000, text),
        ])
    }

    #[test]
    fn labels_of_a_classic_map_are_gathered_and_read() {
        let memory = classic_map();
        let mut gatherer = Gatherer::new(&memory, &|| true);
        gather(&mut gatherer, 23, [0x1000, 0, 0x1000].into_iter());
        let image = gatherer.into_image();
        let expected = [("key", "value"), ("key2", "")].map(|(k, v)| (k.into(), v.into()));
        assert_eq!(read(&image, 23, 0x1000).as_deref(), Ok(&expected[..]));
        assert_eq!(read(&Image::default(), 23, 0x1000), Err(NoLabels::Unreadable));
    }
}
