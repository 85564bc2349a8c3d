//! Swiss maps (internal/runtime/maps, Go 1.24 and later).

use crate::gap::Gap;
use crate::place::Place;
use crate::value::Reader;
use crate::value::buffer::View;
use crate::value::map::{Slot, SlotType, Slots, Wanted};

/// Entries of a group.
//
// @go const internal/abi.MapGroupSlots = none (..1.25), 8 (1.26..)
// @go const internal/abi.SwissMapGroupSlots = none (..1.23), 8 (1.24..1.25), none (1.26..)
const GROUP_SLOTS: u64 = 8;
/// Entries that a table has room for; with more, there are more tables.
//
// @go const internal/runtime/maps.maxTableCapacity = none (..1.23), 1024 (1.24..)
const TABLE_SLOTS_MAX: u64 = 1024;
/// Of a directory, that are looked at.
const TABLES_MAX: u64 = 8192;
/// Groups are read in runs of this size.
const RUN_BYTES: u64 = 16 << 10;
/// Tables that are asked for although others before them are not there yet.
const MISSING_TABLES_MAX: u64 = 8;

/// Where in a group things are. The compiler makes the group's type so (cmd/compile/internal/reflectdata/map.go,
/// `MapGroupType`; reflect/map.go, `groupAndSlotOf`): control word, then slots of a key and an element each, or all keys and
/// then all elements. A struct that ends in something of no bytes is longer by one (types/size.go, `CalcStructSize`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Group {
    size: u64,
    key: u64,
    key_stride: u64,
    element: u64,
    element_stride: u64,
}

impl Group {
    fn of(key: SlotType, element: SlotType, split: bool) -> Self {
        const CONTROL: u64 = 8;
        // What a struct's fields take together; `last` is the size of the last one.
        let finish = |size: u64, last: u64, alignment: u64| {
            let padding = u64::from(last == 0 && size > 0);
            (size + padding).next_multiple_of(alignment)
        };
        if split {
            let elements = (CONTROL + GROUP_SLOTS * key.size).next_multiple_of(element.alignment);
            let last = GROUP_SLOTS * element.size;
            let size = finish(elements + last, last, 8);
            return Group {
                size,
                key: CONTROL,
                key_stride: key.size,
                element: elements,
                element_stride: element.size,
            };
        }
        let at = key.size.next_multiple_of(element.alignment);
        let slot = finish(at + element.size, element.size, key.alignment.max(element.alignment));
        let size = finish(CONTROL + GROUP_SLOTS * slot, GROUP_SLOTS * slot, 8);
        Group { size, key: CONTROL, key_stride: slot, element: CONTROL + at, element_stride: slot }
    }
}

impl Reader<'_> {
    // @go source internal/runtime/maps.(*Map).getWithKeySmall (1.24..)
    // @go offset internal/runtime/maps.Map.used = none (..1.23), 0 (1.24..)
    // @go offset internal/runtime/maps.Map.dirPtr = none (..1.23), 16 (1.24..)
    // @go offset internal/runtime/maps.Map.dirLen = none (..1.23), 24 (1.24..)
    // @go offset internal/runtime/maps.Map.writing = none (..1.23), 34 (1.24..)
    pub(super) fn swiss_slots(
        &self,
        map: u64,
        key: SlotType,
        element: SlotType,
        split: bool,
        wanted: Wanted,
    ) -> Result<Slots, Gap> {
        let header = self.read_uncounted(map, 40)?;
        let header = header.view();
        let (used, directory, tables) = (header.word(0)?, header.word(16)?, header.word(24)?);
        // Toggled by whoever writes (`writing ^= 1`).
        if header.uint(34, 1)? != 0 {
            return Err(Gap::BeingWritten);
        }
        let group = Group::of(key, element, split);
        let mut slots = Slots::default();
        if used == 0 {
            return Ok(slots);
        }
        let mut left = wanted.bytes;
        if tables == 0 {
            if used > GROUP_SLOTS {
                return Err(Gap::Implausible(format!("a map of one group that holds {used} entries")));
            }
            self.groups(directory, 1, group, used, wanted, &mut left, &mut slots);
            return Ok(slots);
        }
        if !tables.is_power_of_two() || tables > 1 << 40 {
            return Err(Gap::Implausible(format!("a map of {tables} tables")));
        }
        let looked_at = tables.min(TABLES_MAX);
        let directory = self.read_uncounted(directory, 8 * looked_at)?;
        let (mut last, mut missing, mut missing_tables) = (0, 0, 0);
        for i in 0..looked_at {
            let table = directory.view().word(8 * i)?;
            // A table that has not been split as often as others stands there several times, in a row
            // (`(*Map).directoryIndex`).
            if table == last {
                continue;
            }
            last = table;
            if slots.is_enough(missing, wanted) || left == 0 || missing_tables >= MISSING_TABLES_MAX {
                slots.is_cut = true;
                return Ok(slots);
            }
            match self.table(table, group, wanted, &mut left, &mut slots) {
                Ok(missing_slots) => missing += missing_slots,
                Err(gap) => {
                    missing_tables += 1;
                    slots.gap = slots.gap.take().or(Some(gap));
                }
            }
        }
        slots.is_cut |= looked_at < tables;
        Ok(slots)
    }

    /// How many entries lie where nothing could be read.
    //
    // @go offset internal/runtime/maps.table.used = none (..1.23), 0 (1.24..)
    // @go offset internal/runtime/maps.table.capacity = none (..1.23), 2 (1.24..)
    // @go offset internal/runtime/maps.table.groups = none (..1.23), 16 (1.24..)
    // @go offset internal/runtime/maps.groupsReference.data = none (..1.23), 0 (1.24..)
    // @go offset internal/runtime/maps.groupsReference.lengthMask = none (..1.23), 8 (1.24..)
    fn table(
        &self,
        table: u64,
        group: Group,
        wanted: Wanted,
        left: &mut u64,
        slots: &mut Slots,
    ) -> Result<u64, Gap> {
        let header = self.read_uncounted(table, 32)?;
        let header = header.view();
        let (used, capacity) = (header.uint(0, 2)?, header.uint(2, 2)?);
        let (groups, mask) = (header.word(16)?, header.word(24)?);
        let count = mask.checked_add(1).filter(|count| {
            count.is_power_of_two()
                && GROUP_SLOTS.checked_mul(*count) == Some(capacity)
                && capacity <= TABLE_SLOTS_MAX
                && used <= capacity
        });
        let Some(count) = count else {
            return Err(Gap::Implausible(format!("a map's table of {used} entries, room for {capacity}")));
        };
        Ok(self.groups(groups, count, group, used, wanted, left, slots))
    }

    /// The entries of groups that lie side by side. How many lie where nothing could be read.
    #[expect(clippy::too_many_arguments, reason = "two of them are what the loops around it go on with")]
    fn groups(
        &self,
        groups: u64,
        count: u64,
        group: Group,
        used: u64,
        wanted: Wanted,
        left: &mut u64,
        slots: &mut Slots,
    ) -> u64 {
        let run = (RUN_BYTES / group.size).max(1);
        let (mut at, mut missing) = (0, 0);
        while at < count {
            if slots.is_enough(missing, wanted) || *left == 0 {
                slots.is_cut = true;
                break;
            }
            let here = run.min(count - at);
            let address = groups.wrapping_add(at * group.size);
            *left = left.saturating_sub(here * group.size);
            let read = self.read_uncounted(address, here * group.size).and_then(|buffer| {
                (0..here).try_for_each(|i| {
                    let view = buffer.view().part(i * group.size, group.size)?;
                    entries(view, address.wrapping_add(i * group.size), group, slots)
                })
            });
            if let Err(gap) = read {
                missing += (used * here).div_ceil(count);
                slots.gap = slots.gap.take().or(Some(gap));
            }
            at += here;
        }
        missing
    }

    /// Bytes of a structure of the runtime; not counted: the caller has a bound of its own.
    pub(super) fn read_uncounted(
        &self,
        address: u64,
        length: u64,
    ) -> Result<crate::value::buffer::Buffer, Gap> {
        crate::value::reader::check_address(address)?;
        let length = usize::try_from(length).map_err(|_| Gap::Implausible("a huge structure".into()))?;
        crate::value::buffer::Buffer::read(self.memory, &Place::At(address), length)
    }
}

/// The entries of a group.
//
// @go source internal/runtime/maps.ctrlGroupMatchFull (1.24..)
// @go const internal/runtime/maps.ctrlEmpty = none (..1.23), 128 (1.24..)
// @go const internal/runtime/maps.ctrlDeleted = none (..1.23), 254 (1.24..)
fn entries(view: View<'_>, address: u64, group: Group, slots: &mut Slots) -> Result<(), Gap> {
    let control = view.word(0)?.to_le_bytes();
    if let Some(odd) = control.iter().find(|&&c| c & 0x80 != 0 && c != 0x80 && c != 0xfe) {
        return Err(Gap::Implausible(format!("a map's control byte of {odd:#x}")));
    }
    let full = (0..GROUP_SLOTS).zip(control).filter(|(_, control)| control & 0x80 == 0);
    slots.found.extend(full.map(|(i, _)| Slot {
        key: address.wrapping_add(group.key + i * group.key_stride),
        element: address.wrapping_add(group.element + i * group.element_stride),
    }));
    Ok(())
}
