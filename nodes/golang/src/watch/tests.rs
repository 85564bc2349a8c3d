//! Bounds against what small models of the scheduler and of goroutines have noted themselves, in whatever order they and
//! the reader come.

use std::collections::HashMap;

use proptest::prelude::*;

use super::births::Births;
use super::goids::{Pass, Processor};
use super::parks::Parks;
use super::{Bounds, Look, Park, Version};

/// A processor in `newproc1`, step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Idle,
    Running,
    /// Has `goidgen`'s new value in a register.
    Taken(u64),
    /// `goidcache` is set, in code that is not optimized to its value in between.
    Half(u64),
    Begun,
    /// The new goroutine's record has its id.
    Named,
}

#[derive(Default)]
struct Scheduler {
    now: i64,
    taken: u64,
    processors: Vec<(At, Processor)>,
    /// By id: its record had the id then, and it could be run then.
    born: HashMap<u64, (i64, Option<i64>)>,
}

impl Scheduler {
    fn step(&mut self, choice: u16) {
        self.now += 1;
        let (choice, number) = (choice / 16, usize::from(choice % 16));
        if self.processors.is_empty() || choice % 97 == 0 && self.processors.len() < 12 {
            self.processors.push((At::Idle, Processor::default()));
        }
        if choice % 89 == 0 {
            // A thread of C.
            self.taken += 1;
            return;
        }
        let count = self.processors.len();
        let (at, p) = &mut self.processors[number % count];
        let stays = (*at == At::Named || *at == At::Begun) && choice % 7 == 0;
        *at = match *at {
            now if stays => now,
            At::Idle if choice % 3 == 0 => At::Running,
            At::Idle => At::Idle,
            At::Running if choice % 11 == 0 => At::Idle,
            At::Running if choice % 5 == 0 => {
                p.tick = p.tick.wrapping_add(1);
                At::Running
            }
            At::Running if p.next == p.end => {
                self.taken += 16;
                At::Taken(self.taken)
            }
            At::Running => At::Begun,
            At::Taken(taken) if choice % 2 == 0 => {
                p.next = taken;
                At::Half(taken)
            }
            At::Taken(taken) | At::Half(taken) if p.next != taken - 15 => {
                p.next = taken - 15;
                At::Taken(taken)
            }
            At::Taken(taken) | At::Half(taken) => {
                p.end = taken + 1;
                At::Begun
            }
            At::Begun => {
                self.born.insert(p.next, (self.now, None));
                At::Named
            }
            At::Named => {
                self.born.get_mut(&p.next).unwrap().1 = Some(self.now);
                p.next += 1;
                At::Running
            }
        };
        p.running = *at != At::Idle;
    }
}

/// Reads word by word, and lets the scheduler go on in between.
fn pass(scheduler: &mut Scheduler, choices: &mut impl Iterator<Item = u16>) -> Pass {
    let mut go_on = |scheduler: &mut Scheduler| {
        let steps = choices.next().unwrap_or(0) % 8;
        // Often none: what is read side by side is read at about the same time.
        (0..steps / 3 * steps).for_each(|_| scheduler.step(choices.next().unwrap_or(0)));
        scheduler.now += 1;
    };
    go_on(scheduler);
    let mut pass = Pass { taken: scheduler.taken, processors: Vec::new() };
    go_on(scheduler);
    for number in 0..scheduler.processors.len() {
        let running = scheduler.processors[number].1.running;
        go_on(scheduler);
        let tick = scheduler.processors[number].1.tick;
        let next = scheduler.processors[number].1.next;
        go_on(scheduler);
        let end = scheduler.processors[number].1.end;
        pass.processors.push(Processor { running, tick, next, end });
    }
    pass
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn births_are_within_their_bounds(choices in prop::collection::vec(any::<u16>(), 200..6_000)) {
        let mut choices = choices.into_iter();
        let (mut scheduler, mut births) = (Scheduler::default(), Births::default());
        while choices.len() > 0 {
            for _ in 0..choices.next().unwrap_or(0) % 200 {
                scheduler.step(choices.next().unwrap_or(0));
            }
            let began = scheduler.now;
            let first = pass(&mut scheduler, &mut choices);
            let second = pass(&mut scheduler, &mut choices);
            births.add(&first, &second, began, scheduler.now);
        }
        for goid in 1..=scheduler.taken + 20 {
            let Bounds { after, before } = births.bounds(goid);
            let (named, runs) = scheduler.born.get(&goid).copied().unzip();
            if let Some(before) = before {
                // One of C's threads has no birth, and nothing to compare with.
                prop_assert!(named.is_none_or(|named| named <= before), "{goid} named {named:?} before {before}");
                let is_left = scheduler.processors.iter().any(|(_, p)| p.next < goid && goid < p.end);
                prop_assert!(goid <= scheduler.taken && !is_left, "{goid} is not born");
                let is_taken = |at: At| matches!(at, At::Taken(t) | At::Half(t) if t - 15 <= goid && goid <= t);
                prop_assert!(!scheduler.processors.iter().any(|(at, _)| is_taken(*at)), "{goid} is being taken");
            }
            if let (Some(after), Some(Some(runs))) = (after, runs) {
                prop_assert!(after <= runs, "{goid} ran at {runs}, after {after}");
            }
            prop_assert!(after.zip(before).is_none_or(|(after, before)| after < before));
        }
    }
}

fn one(next: u64, end: u64, running: bool, tick: u32) -> Processor {
    Processor { running, tick, next, end }
}

fn add(births: &mut Births, taken: u64, processors: &[Processor], at: i64) -> bool {
    let pass = Pass { taken, processors: processors.to_vec() };
    births.add(&pass, &pass, at, at + 1)
}

fn bounds(after: impl Into<Option<i64>>, before: impl Into<Option<i64>>) -> Bounds {
    Bounds { after: after.into(), before: before.into() }
}

#[test]
fn ids_that_a_processor_has_left_are_unborn() {
    let mut births = Births::default();
    assert_eq!(births.bounds(7), bounds(None, None));
    assert!(add(&mut births, 32, &[one(5, 17, true, 0), one(17, 33, false, 0)], 100));
    assert!(add(&mut births, 48, &[one(17, 17, false, 0), one(18, 33, true, 0), one(40, 49, false, 0)], 200));
    assert_eq!(births.bounds(4), bounds(None, 101));
    assert_eq!(births.bounds(5), bounds(100, 201));
    assert_eq!(births.bounds(17), bounds(100, 201));
    assert_eq!(births.bounds(18), bounds(200, None));
    assert_eq!(births.bounds(33), bounds(100, 201));
    assert_eq!(births.bounds(40), bounds(200, None));
    assert_eq!(births.bounds(49), bounds(200, None));
}

#[test]
fn ids_that_may_just_be_taken_are_not_born() {
    let mut births = Births::default();
    // 17 to 32 are gone, and the processor has none: it has used them, or is taking them.
    assert!(add(&mut births, 32, &[one(17, 17, true, 5)], 100));
    assert_eq!(births.bounds(20), bounds(None, None));
    // It still stands there.
    assert!(add(&mut births, 64, &[one(17, 17, true, 5), one(60, 65, true, 1)], 200));
    assert_eq!(births.bounds(20), bounds(None, None));
    assert_eq!((births.bounds(59), births.bounds(40)), (bounds(100, 201), bounds(100, None)));
    // It has been at another goroutine since: what was gone at the last reading was used.
    assert!(add(&mut births, 80, &[one(17, 17, true, 6), one(60, 65, true, 1)], 300));
    assert_eq!(births.bounds(20), bounds(None, 301));
    assert_eq!((births.bounds(40), births.bounds(70)), (bounds(100, 301), bounds(200, None)));
    assert!(add(&mut births, 80, &[one(17, 17, false, 6), one(60, 65, true, 1)], 400));
    assert_eq!(births.bounds(70), bounds(200, 401));
}

#[test]
fn what_contradicts_itself_is_not_believed() {
    let mut births = Births::default();
    assert!(add(&mut births, 64, &[one(50, 65, true, 0)], 100));
    assert!(!add(&mut births, 63, &[one(50, 65, true, 0)], 200), "ids are not given back");
    assert!(!add(&mut births, 64, &[one(50, 65, true, 0)], 50), "time does not go back");
    assert!(!add(&mut births, 64, &[one(40, 65, true, 0)], 200), "no processor has so many");
    assert!(!add(&mut births, 64, &[one(50, 65, true, 0), one(64, 70, true, 0)], 200), "an id is one's own");
    let before = Pass { taken: 64, processors: vec![one(60, 65, true, 0)] };
    let now = Pass { taken: 64, processors: vec![one(59, 65, true, 0)] };
    assert!(!births.add(&before, &now, 200, 201), "read while it changed");
    assert_eq!(births.len(), 1);
}

#[test]
fn a_long_history_is_short_and_wide() {
    let mut births = Births::default();
    for second in 0..100_000u64 {
        let next = 16 * second + 5;
        assert!(add(&mut births, 16 * second + 16, &[one(next, 16 * second + 17, true, 0)], second as i64));
    }
    assert!(births.len() <= 1024, "{}", births.len());
    for second in (1_000..100_000u64).step_by(977) {
        let Bounds { after, before } = births.bounds(16 * second + 5);
        let (after, before) = (after.unwrap(), before.unwrap());
        assert!(after <= second as i64 && (second as i64) < before);
        // As a share of its age, and a few seconds.
        let age = 100_000 - second as i64;
        assert!(before - after <= 4 + age / 20, "{second}: {after} to {before}");
    }
    // Nothing happens: that takes no room.
    let mut births = Births::default();
    (0..10_000).for_each(|at| assert!(add(&mut births, 16, &[one(3, 17, false, 0)], 10 * at)));
    assert_eq!(births.len(), 2);
    assert_eq!((births.bounds(2), births.bounds(3)), (bounds(None, 1), bounds(99_990, None)));
}

fn park(address: u64, goid: u32, tracking_seq: u8, print: u64, wait_since: u64) -> Park {
    Park { address, version: Version { goid, tracking_seq }, print, wait_since }
}

fn looked(looks: &[Look]) -> Parks {
    let mut parks = Parks::default();
    parks.insert([8].into_iter());
    for (at, look) in looks.iter().enumerate() {
        parks.add([*look].into_iter(), 100 * at as i64, 100 * at as i64 + 1);
    }
    parks
}

#[test]
fn a_park_is_believed_when_it_was_seen_three_times() {
    let now = park(8, 1, 7, 3, 0);
    let same = Look::Parked(now);
    assert_eq!(looked(&[same, same]).bounds(&now), bounds(None, None));
    assert_eq!(looked(&[same, same, same]).bounds(&now), bounds(None, 1));
    assert_eq!(looked(&[Look::Elsewhere, same, same, same]).bounds(&now), bounds(0, 101));
    // It is another one now.
    assert_eq!(looked(&[same, same, same]).bounds(&park(8, 1, 8, 3, 0)), bounds(200, None));
    assert_eq!(looked(&[same, same, same]).bounds(&park(8, 2, 7, 3, 0)), bounds(200, None));
    // Its stack may have been moved.
    let moved = park(8, 1, 7, 4, 0);
    assert_eq!(looked(&[Look::Elsewhere, same, same, same]).bounds(&moved), bounds(0, None));
    // A look that saw nothing proves nothing.
    assert_eq!(looked(&[Look::Elsewhere, same, Look::Unknown, same]).bounds(&now), bounds(0, None));
    assert_eq!(looked(&[same, Look::Elsewhere, Look::Unknown, same]).bounds(&now), bounds(100, None));
}

#[test]
fn the_collector_may_meet_it_once() {
    let (before, now) = (park(8, 1, 7, 3, 0), park(8, 1, 7, 3, 9));
    let (one, other) = (Look::Parked(before), Look::Parked(now));
    assert_eq!(looked(&[one, other, other]).bounds(&now), bounds(None, 1));
    assert_eq!(looked(&[one, other, other]).bounds(&park(8, 1, 7, 3, 10)), bounds(None, None));
    // It ran 256 times: who runs is met anew.
    assert_eq!(looked(&[other, one, one]).bounds(&before), bounds(None, None));
}

#[test]
fn a_record_that_was_not_there_is_of_a_goroutine_that_was_not_there() {
    let mut parks = looked(&[Look::Elsewhere, Look::Elsewhere]);
    parks.insert([16].into_iter());
    let new = park(16, 5, 1, 1, 0);
    (2..5).for_each(|at| parks.add([Look::Elsewhere, Look::Parked(new)].into_iter(), 100 * at, 100 * at + 1));
    assert_eq!(parks.bounds(&new), bounds(100, 201));
}

proptest! {
    /// Goroutines that park at one of two places, run, end, and begin again in the same record; looked at in between.
    #[test]
    fn parks_are_within_their_bounds(choices in prop::collection::vec(any::<u16>(), 50..2_000)) {
        #[derive(Clone, Copy)]
        struct Goroutine { goid: u32, turn: u8, place: u64, parked: Option<i64>, met: u64 }
        let mut all = [Goroutine { goid: 1, turn: 0, place: 0, parked: None, met: 0 }; 6];
        let (mut now, mut goids, mut parks) = (0i64, 1, Parks::default());
        parks.insert(0..all.len() as u64);
        let look = |address: usize, g: &Goroutine| match g.parked {
            Some(_) => Look::Parked(park(address as u64, g.goid, g.turn, g.place, g.met)),
            None => Look::Elsewhere,
        };
        for choice in choices {
            now += 1;
            let (what, number) = (choice / 8, usize::from(choice % 8));
            match all.get_mut(number) {
                Some(g) if g.parked.is_some() && what % 4 == 0 => (g.parked, g.met) = (None, 0),
                Some(g) if g.parked.is_some() && what % 4 == 1 && g.met == 0 => g.met = now as u64,
                // Its stack is moved.
                Some(g) if g.parked.is_some() && what % 32 == 2 => g.place += 2,
                Some(g) if g.parked.is_none() && what % 16 == 5 => {
                    goids += 1;
                    (g.goid, g.turn) = (goids, what as u8);
                }
                Some(g) if g.parked.is_none() => {
                    (g.parked, g.place, g.turn) = (Some(now), u64::from(what % 2), g.turn.wrapping_add(1));
                }
                Some(_) => {}
                None => {
                    let mut looks = Vec::new();
                    let began = now;
                    for (address, g) in all.iter().enumerate() {
                        looks.push(if what % 13 == address as u16 { Look::Unknown } else { look(address, g) });
                        now += 1;
                    }
                    parks.add(looks.into_iter(), began, now);
                }
            }
            for (address, g) in all.iter().enumerate() {
                let Look::Parked(park) = look(address, g) else { continue };
                let (Bounds { after, before }, parked) = (parks.bounds(&park), g.parked.unwrap());
                prop_assert!(after.is_none_or(|after| after <= parked), "{parked}, after {after:?}");
                prop_assert!(before.is_none_or(|before| parked <= before), "{parked}, before {before:?}");
            }
        }
    }
}
