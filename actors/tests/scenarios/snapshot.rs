//! The life of one order.

use std::time::Duration;

use stillframe_actors::order::{Order, Stop};
use stillframe_actors::snapshot::state::Snapshot;
use stillframe_actors::snapshot::{Event, Member, StreamId};
use stillframe_wire::message::{
    FailureClass, Generation, InstanceId, OrderId, Ready, ReadyTarget, Refusal, Selector, TargetId,
    ToCoordinator,
};

use crate::script::Script;
use crate::writer::key;

pub fn member(name: &str, generation: u64, instance: u64) -> Member {
    Member {
        name: name.to_owned(),
        generation: Generation(generation),
        instance: InstanceId(instance),
        host: Default::default(),
        clock: None,
    }
}

pub fn snapshot(members: &[&str]) -> Snapshot {
    snapshot_within(Duration::from_secs(60), members)
}

fn snapshot_within(within: Duration, members: &[&str]) -> Snapshot {
    let order = Order {
        id: OrderId(1),
        selector: Selector::default(),
        stop: Stop::default(),
        probes: "probes".into(),
        within,
        label: None,
        requested_by: None,
    };
    Snapshot::new(order, members.iter().map(|name| member(name, 1, 1)).collect())
}

/// As text without what is the same in all of them.
fn script(members: &[&str]) -> Script<Snapshot> {
    Script::new(snapshot(members)).at(0, Event::Start)
}

pub fn from(node: &str, generation: u64, message: ToCoordinator) -> Event {
    Event::FromNode { node: node.to_owned(), generation: Generation(generation), message }
}

pub fn ready(targets: u32) -> ToCoordinator {
    let target = |pid| ReadyTarget { pid, program: "shop".to_owned(), refusal: None };
    ToCoordinator::Ready(Ready { order: OrderId(1), targets: (0..targets).map(target).collect(), lead_ns: 1 })
}

pub fn captured(target: u32) -> ToCoordinator {
    ToCoordinator::Captured { order: OrderId(1), target: TargetId(target), goroutines: 3, bytes: 9 }
}

pub fn failed(target: u32) -> ToCoordinator {
    let failure = Refusal { class: FailureClass::Vanished, reason: "it exited".to_owned() };
    ToCoordinator::Failed { order: OrderId(1), target: TargetId(target), failure }
}

pub fn stream(stream: u64, target: u32, generation: u64) -> Event {
    Event::Stream { stream: StreamId(stream), key: key(target), generation: Generation(generation) }
}

pub fn written(stream: u64, target: u32) -> Event {
    Event::Written { stream: StreamId(stream), key: key(target), goroutines: 3 }
}

pub fn broken(stream: u64, target: u32) -> Event {
    Event::Broken { stream: StreamId(stream), key: key(target), reason: "reset".to_owned() }
}

fn full() -> Event {
    Event::WriteFailed { class: FailureClass::Limit, reason: "no space left on device".to_owned() }
}

const COMMITTED: Event = Event::Committed { complete: true, goroutines: 3, bytes: 9 };

/// One node with one target, from prepare to committed.
fn steps() -> Vec<Event> {
    vec![
        from("a", 1, ready(1)),
        from("a", 1, captured(0)),
        stream(1, 0, 1),
        written(1, 0),
        Event::Linked,
        COMMITTED,
    ]
}

fn after(length: usize) -> Script<Snapshot> {
    steps()[..length].iter().fold(script(&["a"]), |script, step| script.at(10, step.clone()))
}

/// The same thing after each of the steps.
fn in_each_phase(events: &[Event]) -> String {
    let scenario = |length| {
        let script = events.iter().fold(after(length), |script, event| script.at(20, event.clone()));
        format!("after {length} steps\n{}\n", script.text())
    };
    (0..=steps().len()).map(scenario).collect()
}

#[test]
fn from_prepare_to_committed() {
    let text = after(6).at(30, written(1, 0)).at(31, COMMITTED).text();
    insta::assert_snapshot!(text);
}

#[test]
fn deadlines() {
    let text: String =
        (0..=5).map(|n| format!("after {n} steps\n{}\n", after(n).until(1_000_000).text())).collect();
    insta::assert_snapshot!(text);
}

/// Who hangs while it prepares leaves the others time to be captured.
#[test]
fn a_node_that_hangs_in_a_short_order() {
    let text = Script::new(snapshot_within(Duration::from_secs(4), &["a", "b"]))
        .at(0, Event::Start)
        .at(1, from("a", 1, ready(1)))
        .at(2_100, from("a", 1, captured(0)))
        .at(2_200, stream(1, 0, 1))
        .at(2_300, written(1, 0))
        .text();
    insta::assert_snapshot!(text);
}

#[test]
fn cancelled_in_each_phase() {
    insta::assert_snapshot!(in_each_phase(&[Event::Cancel { reason: "cancelled".to_owned() }]));
}

#[test]
fn disk_full_in_each_phase() {
    insta::assert_snapshot!(in_each_phase(&[full(), full()]));
}

#[test]
fn the_same_node_comes_back_in_each_phase() {
    let gone = Event::NodeGone { node: "a".to_owned(), generation: Generation(1) };
    insta::assert_snapshot!(in_each_phase(&[
        gone,
        Event::NodeBack(member("a", 2, 1)),
        from("a", 1, failed(0))
    ]));
}

#[test]
fn a_restarted_node_comes_back_in_each_phase() {
    insta::assert_snapshot!(in_each_phase(&[Event::NodeBack(member("a", 2, 2)), from("a", 2, ready(1))]));
}

#[test]
fn late_double_and_foreign_messages() {
    let text = script(&["a", "b"])
        .at(1, from("c", 1, ready(1)))
        .at(2, from("a", 9, ready(1)))
        .at(3, from("a", 1, ready(2)))
        .at(4, from("a", 1, ready(5)))
        .at(5, from("b", 1, ready(0)))
        .at(6, from("b", 1, captured(0)))
        .at(7, from("a", 1, captured(0)))
        .at(8, from("a", 1, captured(0)))
        .at(9, stream(1, 0, 9))
        .at(10, stream(2, 1, 1))
        .at(11, stream(3, 0, 1))
        .at(12, stream(4, 0, 1))
        .at(13, written(4, 0))
        .at(14, from("a", 1, failed(1)))
        .at(15, from("a", 1, failed(1)))
        .at(16, written(3, 0))
        .at(17, from("a", 1, failed(0)))
        .at(18, Event::Linked)
        .at(19, Event::Start)
        .text();
    insta::assert_snapshot!(text);
}

#[test]
fn a_stream_that_breaks_three_times() {
    let text = after(2)
        .at(20, stream(1, 0, 1))
        .at(21, broken(1, 0))
        .at(22, stream(2, 0, 1))
        .at(23, broken(1, 0))
        .at(24, broken(2, 0))
        .at(25, stream(3, 0, 1))
        .at(26, broken(3, 0))
        .text();
    insta::assert_snapshot!(text);
}

#[test]
fn senders_are_few_at_a_time() {
    let script = script(&["a"]).at(1, from("a", 1, ready(6)));
    let script = (0..6).fold(script, |script, target| script.at(2, from("a", 1, captured(target))));
    insta::assert_snapshot!(script.at(3, stream(1, 0, 1)).at(4, written(1, 0)).text());
}

#[test]
fn who_broke_off_waits_for_those_who_were_not_asked_yet() {
    let script = script(&["a"]).at(1, from("a", 1, ready(5)));
    let script = (0..5).fold(script, |script, target| script.at(2, from("a", 1, captured(target))));
    insta::assert_snapshot!(
        script.at(3, stream(1, 0, 1)).at(4, broken(1, 0)).at(5, stream(2, 1, 1)).at(6, written(2, 1)).text()
    );
}
