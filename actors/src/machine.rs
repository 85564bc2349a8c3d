//! What all state machines have in common.

use std::fmt::Debug;

use crate::time::{Moment, Now};

/// A pure state machine: the same events at the same times give the same effects. Whoever runs it (an actor, the
/// simulation, a test) carries the effects out in their order, and tells it the time when it asked to be woken.
pub trait Machine {
    type Event: Debug;
    type Effect: Debug;

    fn handle(&mut self, now: Now, event: Self::Event, effects: &mut Vec<Self::Effect>);

    /// When [`Machine::tick`] is due. It may be called earlier and later, and then again.
    fn wake_at(&self) -> Option<Moment>;

    /// Time has passed.
    fn tick(&mut self, now: Now, effects: &mut Vec<Self::Effect>);
}
