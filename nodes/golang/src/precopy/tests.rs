//! The copy where something is missing: time, memory, a check.

use super::model::world::{Action, World};
use super::*;
use crate::memory::{Image, Segment};

fn image(world: &World) -> Image {
    Image::from_segments([Segment { address: 0, bytes: world.bytes.clone() }])
}

fn addresses(world: &World) -> Vec<u64> {
    world.goroutines.iter().map(|g| g.address).collect()
}

const ALWAYS: &dyn Fn() -> bool = &|| true;
const NEVER: &dyn Fn() -> bool = &|| false;

/// Copied, checked twice and verified over these memories; the goroutines whose stacks are reused.
fn reused(
    world: &World,
    copy_from: &dyn Memory,
    freeze: &dyn Memory,
    times: [&dyn Fn() -> bool; 3],
) -> Vec<u64> {
    let reasons = World::reasons();
    let parked = Parked::new(world.outline(&reasons), Rules::ALL);
    let mut copy = Precopy::of(parked, copy_from, times[0]).unwrap();
    copy.check(copy_from, times[1]);
    copy.check(copy_from, ALWAYS);
    let mut gatherer = Gatherer::new(freeze, times[2]);
    let known = copy.verify(&addresses(world), &mut gatherer);
    assert_eq!(known, world.goroutines.len());
    assert_eq!(gatherer.cut, !times[2]());
    let reused: Vec<u64> = copy.reused().map(|(address, _)| address).collect();
    // Each record is there, be its stack reused or not.
    let records = copy.records(true).chain(copy.records(false)).count();
    assert_eq!(records, if times[2]() { world.goroutines.len() } else { 0 });
    let whole = |round: Round| round.whole.iter().filter(|whole| **whole).count();
    let stacks: usize = copy.into_rounds().skip(1).map(whole).sum();
    assert_eq!(stacks, reused.len());
    reused
}

#[test]
fn parked_goroutines_are_reused() {
    let world = World::new(27, 3, 0x400, true);
    let memory = image(&world);
    assert_eq!(reused(&world, &memory, &memory, [ALWAYS; 3]), addresses(&world));
}

#[test]
fn without_time_nothing_is_reused() {
    let world = World::new(27, 3, 0x400, false);
    let memory = image(&world);
    for times in [[NEVER, ALWAYS, ALWAYS], [ALWAYS, NEVER, ALWAYS], [ALWAYS, ALWAYS, NEVER]] {
        assert!(reused(&world, &memory, &memory, times).is_empty());
    }
}

#[test]
fn who_ran_is_not_reused() {
    let mut world = World::new(27, 3, 0x400, false);
    let before = image(&world);
    for action in [Action::Wake, Action::Park { receives: false, deep: false }] {
        world.begin(1, action);
        world.finish(1);
    }
    let all = addresses(&world);
    assert_eq!(reused(&world, &before, &image(&world), [ALWAYS; 3]), [all[0], all[2]]);
}

#[test]
fn a_record_that_cannot_be_read_once_is_not_reused() {
    let world = World::new(27, 3, 0x400, false);
    let whole = image(&world);
    let hole = world.goroutines[1].address as usize;
    let parts = [0..hole, hole + 1..world.bytes.len()];
    let segment = |part: std::ops::Range<usize>| Segment {
        address: part.start as u64,
        bytes: world.bytes[part].to_vec(),
    };
    let holed = Image::from_segments(parts.map(segment));
    let all = addresses(&world);
    let reasons = World::reasons();
    for (first, later) in [(&whole, &holed), (&holed, &whole)] {
        let parked = Parked::new(world.outline(&reasons), Rules::ALL);
        let mut copy = Precopy::of(parked, first, ALWAYS).unwrap();
        copy.check(later, ALWAYS);
        copy.check(&whole, ALWAYS);
        copy.verify(&all, &mut Gatherer::new(&whole, ALWAYS));
        assert_eq!(copy.reused().map(|(address, _)| address).collect::<Vec<_>>(), [all[0], all[2]]);
    }
}

#[test]
fn a_copy_of_others_or_without_checks_is_not_used() {
    let world = World::new(27, 3, 0x400, false);
    let memory = image(&world);
    let reasons = World::reasons();
    let all = addresses(&world);
    for (checks, list) in [(1, &all[..]), (2, &all[1..]), (2, &[all[0], all[2], all[1]]), (2, &[])] {
        let parked = Parked::new(world.outline(&reasons), Rules::ALL);
        let mut copy = Precopy::of(parked, &memory, ALWAYS).unwrap();
        (0..checks).for_each(|_| copy.check(&memory, ALWAYS));
        assert_eq!(copy.verify(list, &mut Gatherer::new(&memory, ALWAYS)), 0);
        assert_eq!((copy.reused().count(), copy.records(false).count()), (0, 0));
        assert_eq!(copy.into_rounds().count(), 0);
    }
}

#[test]
fn a_list_that_has_grown_begins_with_what_is_known() {
    let world = World::new(27, 3, 0x400, false);
    let memory = image(&world);
    let reasons = World::reasons();
    let parked = Parked::new(world.outline(&reasons), Rules::ALL);
    let mut copy = Precopy::of(parked, &memory, ALWAYS).unwrap();
    copy.check(&memory, ALWAYS);
    copy.check(&memory, ALWAYS);
    let mut grown = addresses(&world);
    grown.push(0x1234);
    assert_eq!(copy.verify(&grown, &mut Gatherer::new(&memory, ALWAYS)), 3);
}

#[test]
fn small_stacks_come_first() {
    let range = |length| Range { address: 0, length };
    let mut stacks = vec![(0, range(70)), (1, range(10)), (2, range(usize::MAX)), (3, range(20))];
    keep_small(&mut stacks, 100);
    assert_eq!(stacks, [(1, range(10)), (3, range(20)), (0, range(70))]);
    keep_small(&mut stacks, 99);
    assert_eq!(stacks, [(1, range(10)), (3, range(20))]);
}
