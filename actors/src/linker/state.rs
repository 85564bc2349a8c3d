//! The linker of one snapshot. It is told of every process that was written, and asked to join them when no more is to come:
//! then it has what the file knows of their sockets read, part by part, joins it, and has what it found written, part by part.
//! One part is under way at a time, so that neither its mailbox nor the writer's grows.

use std::sync::Arc;

use super::facts::{Found, Part, Place};
use super::join::Join;
use crate::machine::Machine;
use crate::snapshot::TargetKey;
use crate::time::{Moment, Now};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Written {
        key: TargetKey,
    },
    Join,
    /// What was to be read.
    Read(Arc<Part>),
    /// What was to be written is written.
    Kept,
}

/// What the writer is to do for the linker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    Read(Place),
    Keep(Arc<Found>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Writer(Request),
    /// Everything that was written is joined.
    Joined {
        processes: usize,
    },
}

#[derive(Default)]
enum Phase {
    #[default]
    Waiting,
    Reading,
    Keeping,
    Joined,
}

#[derive(Default)]
pub struct Linker {
    written: usize,
    phase: Phase,
    join: Join,
}

impl Linker {
    fn keep_next(&mut self, effects: &mut Vec<Effect>) {
        match self.join.found() {
            Some(found) => {
                self.phase = Phase::Keeping;
                effects.push(Effect::Writer(Request::Keep(Arc::new(found))));
            }
            None => {
                self.phase = Phase::Joined;
                self.join = Join::default();
                effects.push(Effect::Joined { processes: self.written });
            }
        }
    }
}

impl Machine for Linker {
    type Event = Event;
    type Effect = Effect;

    fn handle(&mut self, _: Now, event: Event, effects: &mut Vec<Effect>) {
        match (event, &self.phase) {
            (Event::Written { .. }, _) => self.written += 1,
            (Event::Join, Phase::Waiting) => {
                self.phase = Phase::Reading;
                effects.push(Effect::Writer(Request::Read(Place::Start)));
            }
            (Event::Read(part), Phase::Reading) => {
                let part = Arc::try_unwrap(part).unwrap_or_else(|part| (*part).clone());
                let next = part.next;
                self.join.add(part);
                match next {
                    Some(place) => effects.push(Effect::Writer(Request::Read(place))),
                    None => self.keep_next(effects),
                }
            }
            (Event::Kept, Phase::Keeping) => self.keep_next(effects),
            (Event::Join | Event::Read(_) | Event::Kept, _) => {}
        }
    }

    fn wake_at(&self) -> Option<Moment> {
        None
    }

    fn tick(&mut self, _: Now, _: &mut Vec<Effect>) {}
}
