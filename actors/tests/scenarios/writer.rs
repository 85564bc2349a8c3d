//! One file in the making, and the linker beside it.

use std::sync::Arc;

use stillframe_actors::linker::state::{Event as LinkerEvent, Linker, Request};
use stillframe_actors::linker::{Part, Place};
use stillframe_actors::snapshot::{StreamId, TargetKey, WriterOrder};
use stillframe_actors::writer::state::{Done, Event, Writer};
use stillframe_wire::message::{FailureClass, TargetId};

use crate::script::Script;

pub fn key(target: u32) -> TargetKey {
    TargetKey { node: "a".to_owned(), target: TargetId(target) }
}

fn script() -> Script<Writer> {
    Script::new(Writer::default())
}

pub fn load(stream: u64) -> Event {
    Event::Order(WriterOrder::Load { stream: StreamId(stream), key: key(stream as u32) })
}

pub fn drop_stream(stream: u64) -> Event {
    Event::Order(WriterOrder::Drop { stream: StreamId(stream) })
}

pub fn lost(target: u32) -> Event {
    let (pid, program, reason) = (7, "shop".to_owned(), "gone".to_owned());
    Event::Order(WriterOrder::LostTarget { key: key(target), pid, program, reason })
}

pub fn full() -> Event {
    Event::Failed { class: FailureClass::Limit, reason: "no space left on device".to_owned() }
}

pub const FINISH: Event = Event::Order(WriterOrder::Finish);
pub const ABANDON: Event = Event::Order(WriterOrder::Abandon);
pub const LOADED: Event = Event::Done(Done::Loaded { goroutines: 5 });
pub const ROW: Event = Event::Done(Done::Row);
pub const FINISHED: Event = Event::Done(Done::Finished { complete: true, goroutines: 5, bytes: 9 });

#[test]
fn one_task_after_the_other() {
    let text = script()
        .at(0, load(1))
        .at(1, load(2))
        .at(2, lost(3))
        .at(3, Event::Order(WriterOrder::Finish))
        .at(4, LOADED)
        .at(5, Event::Broken { reason: "reset".to_owned() })
        .at(6, ROW)
        .at(7, FINISHED)
        .at(8, load(4))
        .at(9, lost(5))
        .text();
    insta::assert_snapshot!(text);
}

#[test]
fn dropped_while_waiting_at_hand_and_just_loaded() {
    let waiting = script().at(0, load(1)).at(1, load(2)).at(2, drop_stream(2)).at(3, LOADED).text();
    let at_hand = script()
        .at(0, load(1))
        .at(1, drop_stream(1))
        .at(2, lost(1))
        .at(3, Event::Broken { reason: "dropped".to_owned() })
        .text();
    let loaded =
        script().at(0, load(1)).at(1, drop_stream(1)).at(2, lost(1)).at(3, lost(2)).at(4, LOADED).text();
    insta::assert_snapshot!(format!("waiting\n{waiting}\nat hand\n{at_hand}\njust loaded\n{loaded}"));
}

#[test]
fn disk_full_while_loading_and_finishing() {
    let loading =
        script().at(0, load(1)).at(1, load(2)).at(2, full()).at(3, ABANDON).at(4, load(3)).at(5, ROW).text();
    let finishing = script().at(0, FINISH).at(1, full()).at(2, ABANDON).at(3, ROW).text();
    insta::assert_snapshot!(format!("loading\n{loading}\nfinishing\n{finishing}"));
}

#[test]
fn abandoned_in_each_phase() {
    let idle = script().at(0, ABANDON).at(1, ROW).text();
    let loading = script().at(0, load(1)).at(1, load(2)).at(2, ABANDON).at(3, LOADED).at(4, ROW).text();
    let finishing = script().at(0, FINISH).at(1, ABANDON).at(2, FINISHED).at(3, ROW).text();
    let finished = script().at(0, FINISH).at(1, FINISHED).at(2, ABANDON).at(3, ROW).text();
    insta::assert_snapshot!(format!(
        "idle\n{idle}\nloading\n{loading}\nfinishing\n{finishing}\nfinished\n{finished}"
    ));
}

#[test]
fn the_linker_has_everything_read_and_then_what_it_found_written() {
    let part = |next| LinkerEvent::Read(Arc::new(Part { next, ..Part::default() }));
    let text = Script::new(Linker::default())
        .at(0, LinkerEvent::Written { key: key(1) })
        .at(1, LinkerEvent::Join)
        .at(2, LinkerEvent::Join)
        .at(3, part(Some(Place::Sockets(0))))
        .at(4, part(None))
        .at(5, part(None))
        .at(6, LinkerEvent::Kept)
        .at(7, LinkerEvent::Kept)
        .text();
    insta::assert_snapshot!(text);
}

#[test]
fn the_writer_reads_and_writes_for_the_linker_in_its_turn() {
    let request = |request| Event::Linker(request);
    let text = Script::new(Writer::default())
        .at(0, request(Request::Read(Place::Start)))
        .at(1, request(Request::Keep(Arc::default())))
        .at(2, Event::Done(Done::Ends(Arc::default())))
        .at(3, Event::Done(Done::Row))
        .at(4, Event::Order(WriterOrder::Abandon))
        .at(5, request(Request::Read(Place::Start)))
        .text();
    insta::assert_snapshot!(text);
}
