//! Maps of buckets (runtime/map.go up to Go 1.23; runtime/map_noswiss.go in 1.24 and 1.25), also while they grow.

use crate::bytes::u64_at;
use crate::gap::Gap;
use crate::value::Reader;
use crate::value::map::{Slot, SlotType, Slots, Wanted};
use crate::value::reader::check_address;

/// Entries of a bucket.
//
// @go const internal/abi.MapBucketCount = 8 (..1.23), none (1.24..)
// @go const internal/abi.OldMapBucketCount = none (..1.23), 8 (1.24..1.25), none (1.26..)
const BUCKET_SLOTS: u64 = 8;
/// A map has 2^B buckets.
const LOGARITHM_MAX: u64 = 44;
/// Buckets behind one, of keys that hash alike; a healthy map has a handful.
const OVERFLOW_MAX: u32 = 1000;
/// Buckets are read in runs of this size.
const RUN_BYTES: u64 = 16 << 10;

/// Flags (runtime/map.go).
//
// @go const runtime.hashWriting = 4 (..1.23), none (1.24..)
// @go const runtime.sameSizeGrow = 8 (..1.23), none (1.24..)
const WRITING: u64 = 4;
const SAME_SIZE_GROW: u64 = 8;

/// What stands for a slot beside parts of its key's hash (runtime/map.go).
//
// @go const runtime.emptyOne = 1 (..1.23), none (1.24..)
// @go const runtime.evacuatedX = 2 (..1.23), none (1.24..)
// @go const runtime.evacuatedEmpty = 4 (..1.23), none (1.24..)
// @go const runtime.minTopHash = 5 (..1.23), none (1.24..)
const EVACUATED: std::ops::RangeInclusive<u8> = 2..=4;
const TOP_HASH_MIN: u8 = 5;

/// A bucket: 8 bytes of hashes, 8 keys, 8 elements, a pointer to the next one (cmd/compile/internal/reflectdata,
/// `MapBucketType`). All begin at multiples of 8, whatever their types.
#[derive(Clone, Copy)]
struct Bucket {
    key: SlotType,
    element: SlotType,
}

impl Bucket {
    fn elements(self) -> u64 {
        8 + BUCKET_SLOTS * self.key.size
    }

    fn overflow(self) -> u64 {
        self.elements() + BUCKET_SLOTS * self.element.size
    }

    fn size(self) -> u64 {
        self.overflow() + 8
    }
}

/// What goes on over all buckets.
struct Search {
    bucket: Bucket,
    wanted: Wanted,
    bytes_left: u64,
    /// Entries that lie where nothing could be read, about.
    missing: u64,
    slots: Slots,
}

impl Search {
    fn is_over(&mut self) -> bool {
        let over = self.slots.is_enough(self.missing, self.wanted) || self.bytes_left == 0;
        self.slots.is_cut |= over;
        over
    }

    fn fail(&mut self, gap: Gap, entries: u64) {
        self.missing += entries;
        self.slots.gap = self.slots.gap.take().or(Some(gap));
    }
}

impl Reader<'_> {
    // @go source runtime.{evacuated,(*hmap).sameSizeGrow,(*hmap).noldbuckets} (..1.23)
    // @go offset runtime.hmap.count = 0 (..1.23), none (1.24..)
    // @go offset runtime.hmap.flags = 8 (..1.23), none (1.24..)
    // @go offset runtime.hmap.B = 9 (..1.23), none (1.24..)
    // @go offset runtime.hmap.buckets = 16 (..1.23), none (1.24..)
    // @go offset runtime.hmap.oldbuckets = 24 (..1.23), none (1.24..)
    pub(super) fn classic_slots(
        &self,
        map: u64,
        key: SlotType,
        element: SlotType,
        wanted: Wanted,
    ) -> Result<Slots, Gap> {
        let header = self.read_uncounted(map, 32)?;
        let header = header.view();
        let (count, flags, logarithm) = (header.word(0)?, header.uint(8, 1)?, header.uint(9, 1)?);
        let (buckets, old) = (header.word(16)?, header.word(24)?);
        if flags & WRITING != 0 {
            return Err(Gap::BeingWritten);
        }
        if logarithm > LOGARITHM_MAX {
            return Err(Gap::Implausible(format!("a map of 2^{logarithm} buckets")));
        }
        let bucket = Bucket { key, element };
        let slots = Slots::default();
        let mut search = Search { bucket, wanted, bytes_left: wanted.bytes, missing: 0, slots };
        if count == 0 {
            return Ok(search.slots);
        }
        if old != 0 {
            let same = flags & SAME_SIZE_GROW != 0;
            let Some(old_logarithm) = logarithm.checked_sub(u64::from(!same)) else {
                return Err(Gap::Implausible("a map that grows from nothing".into()));
            };
            self.buckets(old, 1 << old_logarithm, true, count, &mut search);
        }
        self.buckets(buckets, 1 << logarithm, false, count, &mut search);
        Ok(search.slots)
    }

    /// `entries`: of the whole map.
    fn buckets(&self, array: u64, count: u64, are_old: bool, entries: u64, search: &mut Search) {
        let on_average = |buckets: u64| {
            let entries = u128::from(entries) * u128::from(buckets) / u128::from(count);
            u64::try_from(entries).unwrap_or(u64::MAX).max(1)
        };
        let size = search.bucket.size();
        let run = (RUN_BYTES / size).max(1);
        let mut at = 0;
        while at < count {
            if search.is_over() {
                return;
            }
            let here = run.min(count - at);
            let address = array.wrapping_add(at * size);
            at += here;
            search.bytes_left = search.bytes_left.saturating_sub(here * size);
            let buffer = match self.read_uncounted(address, here * size) {
                Ok(buffer) => buffer,
                Err(gap) => {
                    search.fail(gap, on_average(here));
                    continue;
                }
            };
            for i in 0..here {
                let read = buffer.view().part(i * size, size).and_then(|view| view.bytes());
                match read {
                    // Its entries are in the new buckets.
                    Ok(bytes) if are_old && bytes.first().is_some_and(|top| EVACUATED.contains(top)) => {}
                    Ok(bytes) => self.bucket_chain(bytes, address.wrapping_add(i * size), search),
                    Err(gap) => search.fail(gap, on_average(1)),
                }
            }
        }
    }

    /// The entries of a bucket, and of those behind it.
    fn bucket_chain(&self, bytes: &[u8], address: u64, search: &mut Search) {
        let (bucket, mut bytes, mut address) = (search.bucket, bytes.to_vec(), address);
        for _ in 0..OVERFLOW_MAX {
            for (i, _) in (0..BUCKET_SLOTS).zip(&bytes).filter(|(_, top)| **top >= TOP_HASH_MIN) {
                search.slots.found.push(Slot {
                    key: address.wrapping_add(8 + i * bucket.key.size),
                    element: address.wrapping_add(bucket.elements() + i * bucket.element.size),
                });
            }
            address = match u64_at(&bytes, bucket.overflow() as usize) {
                Some(0) | None => return,
                Some(next) => next,
            };
            if search.is_over() {
                return;
            }
            let next = check_address(address).and_then(|()| self.read_uncounted(address, bucket.size()));
            search.bytes_left = search.bytes_left.saturating_sub(bucket.size());
            bytes = match next.and_then(|buffer| Ok(buffer.view().bytes()?.to_vec())) {
                Ok(bytes) => bytes,
                Err(gap) => return search.fail(gap, 1),
            };
        }
        search.fail(Gap::Implausible("a map's buckets without end".into()), 0);
    }
}
