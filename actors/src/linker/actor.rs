//! The linker's actor.

use super::state::{Effect, Event, Linker};
use crate::actor::{Carrier, Mailbox};
use crate::clock::Clock;
use crate::snapshot::Event as SnapshotEvent;

struct Carrying {
    snapshot: Mailbox<SnapshotEvent>,
}

pub(crate) fn start(snapshot: Mailbox<SnapshotEvent>, clock: Clock) -> Mailbox<Event> {
    let supervisor = snapshot.cell();
    crate::actor::start(Linker::default(), Carrying { snapshot }, clock, Some(supervisor))
}

impl Carrier<Linker> for Carrying {
    fn carry(&mut self, _: &Mailbox<Event>, effect: Effect) {
        match effect {
            Effect::Joined { .. } => self.snapshot.tell(SnapshotEvent::Linked),
        }
    }
}
