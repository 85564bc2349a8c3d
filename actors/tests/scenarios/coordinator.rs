//! The registry and the queue.

use std::time::Duration;

use stillframe_actors::coordinator::state::{Coordinator, Event, NodeMessage, SessionId};
use stillframe_actors::order::{Order, Outcome, Stop};
use stillframe_wire::message::{
    Held, Hello, InstanceId, OrderId, PROTOCOL_VERSION, Ready, Selector, TargetId, ToCoordinator, ToNode,
};

use crate::script::{Script, now};

fn script() -> Script<Coordinator> {
    Script::new(Coordinator::default())
}

fn hello(session: u64, name: &str, instance: u64, held: &[u128]) -> Event {
    let hello = Hello {
        version: PROTOCOL_VERSION,
        name: name.to_owned(),
        instance: InstanceId(instance),
        host: Default::default(),
        held: held.iter().map(|order| Held { order: OrderId(*order), target: TargetId(0) }).collect(),
    };
    Event::Hello { session: SessionId(session), hello }
}

fn closed(session: u64) -> Event {
    Event::Closed { session: SessionId(session) }
}

fn order(id: u128, host: &str) -> Event {
    Event::Order(Order {
        id: OrderId(id),
        selector: Selector { hosts: vec![host.to_owned()], ..Selector::default() },
        stop: Stop::default(),
        probes: "probes".into(),
        within: Duration::from_secs(30),
        label: None,
        requested_by: None,
    })
}

fn ready(session: u64, order: u128) -> Event {
    let message = ToCoordinator::Ready(Ready { order: OrderId(order), targets: Vec::new(), lead_ns: 0 });
    Event::Message { session: SessionId(session), message }
}

fn cancel(order: u128) -> Event {
    Event::Cancel { order: OrderId(order), reason: "cancelled".to_owned() }
}

fn ended(order: u128) -> Event {
    let outcome = Outcome::Committed { complete: true, goroutines: 1, bytes: 2 };
    Event::SnapshotEnded { order: OrderId(order), outcome }
}

#[test]
fn names_that_are_taken() {
    let text = script()
        .at(0, hello(1, "a", 1, &[]))
        .at(3_999, hello(2, "a", 2, &[]))
        .at(4_000, hello(3, "a", 2, &[]))
        .at(4_001, closed(1))
        .at(4_002, closed(2))
        .at(4_003, hello(4, "a", 2, &[]))
        .at(4_004, closed(3))
        .at(4_005, Event::Alive { session: SessionId(3), clock: None })
        .at(4_006, closed(4))
        .at(4_007, hello(5, "a", 9, &[]))
        .text();
    insta::assert_snapshot!(text);
}

#[test]
fn one_order_at_a_time() {
    let text = script()
        .at(0, order(1, "a"))
        .at(1, hello(1, "a", 1, &[]))
        .at(2, order(2, "b"))
        .at(3, order(3, "a"))
        .at(4, order(3, "a"))
        .at(5, order(4, "a"))
        .at(6, order(5, "b"))
        .at(7, order(6, "a"))
        .at(8, cancel(6))
        .at(9, cancel(77))
        .at(10, ended(77))
        .at(11, ended(3))
        .at(12, cancel(4))
        .at(13, ended(4))
        .at(14, ended(4))
        .text();
    insta::assert_snapshot!(text);
}

#[test]
fn the_queue_is_full() {
    let script = script().at(0, hello(1, "a", 1, &[]));
    let text = (1..=18).fold(script, |script, id| script.at(1, order(id, "a"))).text();
    insta::assert_snapshot!(text);
}

#[test]
fn messages_and_results_of_orders_that_nobody_waits_for() {
    let text = script()
        .at(0, hello(1, "a", 1, &[7, 7, 8]))
        .at(1, order(2, "a"))
        .at(2, ready(1, 2))
        .at(3, ready(1, 7))
        .at(4, ready(9, 2))
        .at(5, hello(2, "a", 1, &[2, 8]))
        .at(6, ready(1, 2))
        .at(7, Event::ToNode { node: "a".to_owned(), message: NodeMessage::Plain(ToNode::Ping { id: 1 }) })
        .at(8, Event::ToNode { node: "b".to_owned(), message: NodeMessage::Plain(ToNode::Ping { id: 1 }) })
        .at(9, closed(2))
        .text();
    insta::assert_snapshot!(text);
}

#[test]
fn after_a_restart_orders_wait_for_the_nodes_of_before() {
    let restarted = || {
        let known = ["a", "b"].map(str::to_owned).into();
        Script::new(Coordinator::restarted(now(0), known))
    };
    let all_back = restarted()
        .at(0, order(1, "*"))
        .at(10, hello(1, "a", 1, &[1]))
        .at(20, order(2, "*"))
        .at(30, hello(2, "b", 2, &[]))
        .at(40, ended(1))
        .text();
    let one_back = restarted().at(5, hello(1, "a", 1, &[])).at(10, order(1, "*")).until(13_000).text();
    let none_back =
        restarted().at(10, order(1, "*")).at(20, cancel(1)).at(30, order(2, "*")).until(13_000).text();
    insta::assert_snapshot!(format!("all\n{all_back}\none\n{one_back}\nnone\n{none_back}"));
}
