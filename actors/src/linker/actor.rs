//! The linker's actor.

use std::sync::{Arc, OnceLock};

use super::state::{Effect, Event, Linker};
use crate::actor::{Carrier, Mailbox};
use crate::clock::Clock;
use crate::snapshot::Event as SnapshotEvent;
use crate::writer;

/// The writer is started after the linker, which it tells of what it has written.
pub(crate) type Writer = Arc<OnceLock<Mailbox<writer::state::Event>>>;

struct Carrying {
    snapshot: Mailbox<SnapshotEvent>,
    writer: Writer,
}

pub(crate) fn start(snapshot: Mailbox<SnapshotEvent>, writer: Writer, clock: Clock) -> Mailbox<Event> {
    let supervisor = snapshot.cell();
    crate::actor::start(Linker::default(), Carrying { snapshot, writer }, clock, Some(supervisor))
}

impl Carrier<Linker> for Carrying {
    fn carry(&mut self, _: &Mailbox<Event>, effect: Effect) {
        match effect {
            Effect::Joined { .. } => self.snapshot.tell(SnapshotEvent::Linked),
            Effect::Writer(request) => {
                // It is asked by a snapshot that has started both.
                if let Some(writer) = self.writer.get() {
                    writer.tell(writer::state::Event::Linker(request));
                }
            }
        }
    }
}
