//! What holds whatever comes, in whatever order.

use proptest::prelude::*;
use stillframe_actors::capture::state::{Capture, Event as CaptureEvent};
use stillframe_actors::machine::Machine;
use stillframe_actors::order::Outcome;
use stillframe_actors::session::state::{Event as SessionEvent, Session};
use stillframe_actors::snapshot::{Effect as SnapshotEffect, Event as SnapshotEvent};
use stillframe_actors::time::{Moment, Now};
use stillframe_actors::writer::state::{Effect as WriterEffect, Event as WriterEvent, Task, Writer};
use stillframe_wire::facts::PauseWindow;
use stillframe_wire::message::{FailureClass, Generation, Refusal, ToCoordinator};

use crate::script::now;
use crate::snapshot::{broken, captured, failed, from, member, ready, snapshot, stream, written};
use crate::writer::{ABANDON, FINISH, FINISHED, LOADED, ROW, drop_stream, full, load, lost};

/// The event comes; then time passes until `ms`. After each tick the machine wants to be woken in the future only.
fn step<M: Machine>(machine: &mut M, at: &mut u64, ms: u64, event: M::Event) -> Vec<M::Effect> {
    let mut effects = Vec::new();
    machine.handle(now(*at), event, &mut effects);
    pass(machine, at, ms, &mut effects);
    effects
}

fn pass<M: Machine>(machine: &mut M, at: &mut u64, ms: u64, effects: &mut Vec<M::Effect>) {
    let end = *at + ms;
    while let Some(wake) = machine.wake_at().filter(|wake| *wake <= now(end).moment) {
        let wall = Now { moment: wake.max(now(*at).moment), unix_ns: 0 };
        machine.tick(wall, effects);
        assert!(machine.wake_at().is_none_or(|next| next > wall.moment), "it wants to be woken for ever");
    }
    *at = end;
}

fn snapshot_event(kind: u8, target: u32, stream_id: u64, generation: u64) -> SnapshotEvent {
    let node = if target == 2 { "b" } else { "a" };
    match kind {
        0 | 1 => from(node, generation, ready(target)),
        2 | 3 => from(node, generation, captured(target)),
        4 => from(node, generation, failed(target)),
        5 | 6 => stream(stream_id, target, generation),
        7 => written(stream_id, target),
        8 => broken(stream_id, target),
        9 => SnapshotEvent::NodeGone { node: node.to_owned(), generation: Generation(generation) },
        10 => SnapshotEvent::NodeBack(member(node, generation + 1, stream_id % 2)),
        11 => SnapshotEvent::Linked,
        12 => SnapshotEvent::Committed { complete: true, goroutines: 1, bytes: 1 },
        13 => SnapshotEvent::WriteFailed { class: FailureClass::Other, reason: "disk".to_owned() },
        _ => SnapshotEvent::Start,
    }
}

fn capture_event(kind: u8) -> CaptureEvent {
    match kind {
        0 => CaptureEvent::Arm { at_node_unix_ns: 5_000_000, together: 1 },
        1 => CaptureEvent::Resumed { pause: PauseWindow::default() },
        2 => CaptureEvent::Spooled { goroutines: 1, bytes: 1 },
        3 => CaptureEvent::Failed(Refusal { class: FailureClass::Other, reason: String::new() }),
        4 => CaptureEvent::Send,
        5 => CaptureEvent::StreamClosed,
        6 => CaptureEvent::Forget,
        _ => CaptureEvent::Repeat,
    }
}

proptest! {
    /// It ends by its deadlines, once, with an outcome, and does nothing after that.
    #[test]
    fn a_snapshot_ends(events in proptest::collection::vec((0u8..15, 0u32..4, 0u64..4, 1u64..3, 0u64..9_000), 0..60)) {
        let mut machine = snapshot(&["a", "b"]);
        let (mut at, mut ended) = (0, 0);
        let mut count = |effects: Vec<SnapshotEffect>| {
            for effect in effects {
                assert!(ended == 0, "{effect:?} after the end");
                ended += u32::from(matches!(effect, SnapshotEffect::Ended(_)));
            }

        };
        count(step(&mut machine, &mut at, 0, SnapshotEvent::Start));
        for (kind, target, stream, generation, ms) in events {
            count(step(&mut machine, &mut at, ms, snapshot_event(kind, target, stream, generation)));
        }
        let mut effects = Vec::new();
        pass(&mut machine, &mut at, 661_000, &mut effects);
        if let Some(SnapshotEffect::Ended(Outcome::Failed { reason, .. })) = effects.last() {
            prop_assert!(!reason.is_empty());
        }
        count(effects);
        prop_assert!(machine.has_ended());
        prop_assert_eq!(ended, 1);
        prop_assert_eq!(machine.wake_at(), None::<Moment>);
    }

    #[test]
    fn a_capture_ends_when_it_is_told(events in proptest::collection::vec((0u8..8, 0u64..200_000), 0..40)) {
        let mut machine = Capture::new(now(0));
        let mut at = 0;
        for (kind, ms) in events {
            let had_ended = machine.has_ended();
            let effects = step(&mut machine, &mut at, ms, capture_event(kind));
            prop_assert!(!had_ended || effects.is_empty());
        }
        step(&mut machine, &mut at, 0, CaptureEvent::Forget);
        prop_assert!(machine.has_ended() && machine.wake_at().is_none());
    }

    #[test]
    fn a_session_never_spins(events in proptest::collection::vec((0u8..5, 0u64..3_000), 0..40)) {
        let mut machine = Session::new(now(0));
        let mut at = 0;
        for (kind, ms) in events {
            let event = match kind {
                0 => SessionEvent::Admitted { generation: Generation(1) },
                1 => SessionEvent::FromNode(ready(1)),
                2 => SessionEvent::FromNode(ToCoordinator::Pong { id: ms % 9, received_unix_ns: 1, sent_unix_ns: 2 }),
                3 => SessionEvent::Close { reason: "enough".to_owned() },
                _ => SessionEvent::Arm { order: stillframe_wire::message::OrderId(1), at_unix_ns: i64::MAX },
            };
            let was_closed = machine.is_closed();
            let effects = step(&mut machine, &mut at, ms, event);
            prop_assert!(!was_closed || effects.is_empty());
        }
        step(&mut machine, &mut at, 10_000, SessionEvent::Close { reason: "the end".to_owned() });
        prop_assert!(machine.is_closed() && machine.wake_at().is_none());
    }

    /// Tasks come one at a time, and each load that was ordered is loaded, broken or dropped.
    #[test]
    fn a_writer_does_one_thing_at_a_time(events in proptest::collection::vec((0u8..6, any::<bool>()), 0..60)) {
        let mut machine = Writer::default();
        let mut at_hand: Option<Task> = None;
        let mut open = std::collections::BTreeSet::new();
        let mut at = 0;
        let orders = events.into_iter().enumerate().chain((0..200).map(|i| (1_000 + i, (9, true))));
        for (i, (kind, breaks)) in orders {
            let event = match (kind, &at_hand) {
                (0, _) => load(i as u64),
                (1, _) => lost(i as u32),
                (2, _) => drop_stream(i as u64 / 2),
                (3, _) if i % 7 == 0 => FINISH,
                (4, _) if i % 9 == 0 => ABANDON,
                (_, Some(Task::Load { .. })) if breaks && i < 1_000 => {
                    WriterEvent::Broken { reason: "reset".to_owned() }
                }
                (_, Some(_)) if i % 23 == 0 => full(),
                (_, Some(Task::Load { .. })) => LOADED,
                (_, Some(Task::Finish)) => FINISHED,
                (_, Some(_)) => ROW,
                (_, None) => continue,
            };
            if matches!(event, WriterEvent::Done(_) | WriterEvent::Broken { .. } | WriterEvent::Failed { .. }) {
                at_hand = None;
            }
            if kind == 0 {
                open.insert(i as u64);
            }
            for effect in step(&mut machine, &mut at, 1, event) {
                match effect {
                    WriterEffect::Task(task) => {
                        prop_assert!(at_hand.is_none(), "{task:?} beside {at_hand:?}");
                        at_hand = Some(task);
                    }
                    WriterEffect::DropStream { stream } => drop(open.remove(&stream.0)),
                    WriterEffect::ToSnapshot(SnapshotEvent::Written { stream, .. } | SnapshotEvent::Broken { stream, .. }) => {
                        open.remove(&stream.0);
                    }
                    WriterEffect::ToSnapshot(_) | WriterEffect::ToLinker(_) => {}
                }
            }
        }
        prop_assert!(at_hand.is_none(), "{at_hand:?} is left");
        prop_assert!(open.is_empty(), "nobody answered for {open:?}");
    }
}
