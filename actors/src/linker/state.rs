//! The linker of one snapshot. It is told of every process that was written, and asked to join them when no more is to come.
//!
//! No process says anything of its sockets yet, so there is nothing to join, and the answer comes at once.

use crate::machine::Machine;
use crate::snapshot::TargetKey;
use crate::time::{Moment, Now};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Written { key: TargetKey },
    Join,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Everything that was written is joined.
    Joined { processes: usize },
}

#[derive(Clone, Debug, Default)]
pub struct Linker {
    written: usize,
}

impl Machine for Linker {
    type Event = Event;
    type Effect = Effect;

    fn handle(&mut self, _: Now, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Written { .. } => self.written += 1,
            Event::Join => effects.push(Effect::Joined { processes: self.written }),
        }
    }

    fn wake_at(&self) -> Option<Moment> {
        None
    }

    fn tick(&mut self, _: Now, _: &mut Vec<Effect>) {}
}
