//! The snapshot's actor: starts its linker and its writer, and passes on.

use std::sync::Arc;

use stillframe_wire::message::{FailureClass, OrderId};
use tokio::sync::mpsc;

use super::member::Member;
use super::message::{Effect, Event};
use super::state::Snapshot;
use crate::actor::{ActorId, Carrier, Mailbox};
use crate::clock::Clock;
use crate::coordinator::state::Event as CoordinatorEvent;
use crate::order::{Order, Outcome, Progress};
use crate::writer::actor::Store;
use crate::writer::streams::Streams;
use crate::{linker, writer};

pub(crate) struct Started {
    pub(crate) mailbox: Mailbox<Event>,
    pub(crate) streams: Streams,
}

struct Carrying {
    order: OrderId,
    coordinator: Mailbox<CoordinatorEvent>,
    listener: mpsc::UnboundedSender<(OrderId, Progress)>,
    /// Until its children are started.
    to_start: Option<(Box<dyn Store>, Clock)>,
    children: Option<Children>,
    streams: Streams,
    ended: bool,
}

struct Children {
    writer: Mailbox<writer::state::Event>,
    linker: Mailbox<linker::state::Event>,
}

pub(crate) fn start(
    order: Order,
    members: Vec<Member>,
    store: Box<dyn Store>,
    coordinator: Mailbox<CoordinatorEvent>,
    listener: mpsc::UnboundedSender<(OrderId, Progress)>,
    clock: Clock,
) -> Started {
    let streams = Streams::default();
    let supervisor = coordinator.cell();
    let carrying = Carrying {
        order: order.id,
        coordinator,
        listener,
        to_start: Some((store, clock.clone())),
        children: None,
        streams: streams.clone(),
        ended: false,
    };
    let mailbox = crate::actor::start(Snapshot::new(order, members), carrying, clock, Some(supervisor));
    Started { mailbox, streams }
}

impl Carrying {
    fn children(&mut self, me: &Mailbox<Event>) -> Option<&Children> {
        if let Some((store, clock)) = self.to_start.take() {
            let for_linker = linker::actor::Writer::default();
            let linker = linker::actor::start(me.clone(), Arc::clone(&for_linker), clock.clone());
            let writer = writer::actor::start(store, self.streams.clone(), me.clone(), linker.clone(), clock);
            let writer = for_linker.get_or_init(|| writer).clone();
            self.children = Some(Children { writer, linker });
        }
        self.children.as_ref()
    }
}

impl Carrier<Snapshot> for Carrying {
    fn carry(&mut self, me: &Mailbox<Event>, effect: Effect) {
        match effect {
            Effect::ToNode { node, message } => {
                self.coordinator.tell(CoordinatorEvent::ToNode { node, message });
            }
            Effect::Writer(order) => {
                if let Some(children) = self.children(me) {
                    children.writer.tell(writer::state::Event::Order(order));
                }
            }
            Effect::Link => {
                if let Some(children) = self.children(me) {
                    children.linker.tell(linker::state::Event::Join);
                }
            }
            Effect::Progress(progress) => {
                // Whoever listened may have gone.
                let _ = self.listener.send((self.order, progress));
            }
            Effect::Ended(outcome) => {
                self.ended = true;
                // A file that is to be deleted is deleted first: the writer ends then, and this actor after it.
                if let (Outcome::Committed { .. }, Some(children)) = (&outcome, &self.children) {
                    children.writer.stop();
                }
                self.coordinator.tell(CoordinatorEvent::SnapshotEnded { order: self.order, outcome });
            }
        }
    }

    fn child_ended(&mut self, me: &Mailbox<Event>, child: ActorId, failure: Option<String>) {
        let writer = self.children.as_ref().map(|children| children.writer.id());
        if self.ended {
            if writer == Some(child) {
                me.stop();
            }
        } else {
            let reason = failure.unwrap_or_else(|| "it has ended".to_owned());
            let reason = format!("the writer or the linker failed: {reason}");
            me.tell(Event::WriteFailed { class: FailureClass::Other, reason });
        }
    }
}
