//! The coordinator's end of one connection.

use stillframe_actors::session::state::{Event, Session};
use stillframe_wire::message::{
    Generation, Hello, InstanceId, OrderId, PROTOCOL_VERSION, Ready, ToCoordinator, ToNode,
};

use crate::script::{Script, UNIX_NS, now};

fn script() -> Script<Session> {
    Script::new(Session::new(now(0)))
}

fn hello(version: u32, name: &str) -> Event {
    Event::FromNode(ToCoordinator::Hello(Hello {
        version,
        name: name.to_owned(),
        instance: InstanceId(1),
        host: Default::default(),
        held: Vec::new(),
    }))
}

fn admitted() -> Event {
    Event::Admitted { generation: Generation(3) }
}

/// `at_ms`: on the node's clock.
fn pong(id: u64, at_ms: i64) -> Event {
    let at = UNIX_NS + at_ms * 1_000_000;
    Event::FromNode(ToCoordinator::Pong { id, received_unix_ns: at, sent_unix_ns: at })
}

fn ready() -> Event {
    Event::FromNode(ToCoordinator::Ready(Ready { order: OrderId(1), targets: Vec::new(), lead_ns: 0 }))
}

#[test]
fn greeting_pings_and_orders() {
    let text = script()
        .at(5, hello(PROTOCOL_VERSION, "a"))
        .at(6, admitted())
        .at(16, pong(0, 511))
        .at(50, ready())
        .at(60, Event::Send(ToNode::Committed { order: OrderId(1) }))
        .at(70, Event::Arm { order: OrderId(2), at_unix_ns: UNIX_NS + 90_000_000 })
        .at(80, Event::Close { reason: "the node has a newer connection".to_owned() })
        .at(90, ready())
        .at(91, Event::Send(ToNode::Ping { id: 9 }))
        .text();
    insta::assert_snapshot!(text);
}

#[test]
fn nobody_is_told_to_freeze_by_an_unknown_clock() {
    let text = script()
        .at(5, hello(PROTOCOL_VERSION, "a"))
        .at(6, admitted())
        .at(7, Event::Arm { order: OrderId(2), at_unix_ns: UNIX_NS + 90_000_000 })
        .at(16, pong(0, 511))
        .at(116, pong(1, 611))
        .text();
    insta::assert_snapshot!(text);
}

#[test]
fn deadlines() {
    let no_hello = script().until(20_000).text();
    let no_admission = script().at(1, hello(PROTOCOL_VERSION, "a")).until(20_000).text();
    let silent =
        script().at(1, hello(PROTOCOL_VERSION, "a")).at(2, admitted()).at(3, pong(0, 2)).until(20_000).text();
    insta::assert_snapshot!(format!("no hello\n{no_hello}\nno admission\n{no_admission}\nsilent\n{silent}"));
}

#[test]
fn refusals() {
    let lost = Event::ConnectionLost { reason: "reset".to_owned() };
    let mut text = script().at(1, hello(PROTOCOL_VERSION + 1, "a")).text();
    text += &script().at(1, hello(PROTOCOL_VERSION, "")).text();
    text += &script().at(1, hello(PROTOCOL_VERSION, &"n".repeat(254))).text();
    text += &script().at(1, ready()).text();
    text += &script().at(1, hello(PROTOCOL_VERSION, "a")).at(2, ready()).text();
    text += &script()
        .at(1, hello(PROTOCOL_VERSION, "a"))
        .at(2, admitted())
        .at(3, hello(PROTOCOL_VERSION, "a"))
        .text();
    text += &script()
        .at(1, hello(PROTOCOL_VERSION, "a"))
        .at(2, Event::Rejected { reason: "taken".to_owned() })
        .text();
    text += &script().at(1, Event::Garbage { reason: "not a message".to_owned() }).at(2, lost.clone()).text();
    text += &script().at(1, hello(PROTOCOL_VERSION, "a")).at(2, lost.clone()).at(3, admitted()).text();
    text += &script().at(1, lost).text();
    insta::assert_snapshot!(text.replace(&"n".repeat(254), "n*254"));
}

#[test]
fn pongs_that_are_late_double_or_unknown() {
    let text = script()
        .without(|effect| effect.contains("Ping"))
        .at(1, hello(PROTOCOL_VERSION, "a"))
        .at(2, admitted())
        .at(1_500, pong(1, 700))
        .at(1_501, pong(0, 700))
        .at(1_502, pong(1, 700))
        .at(1_503, pong(77, 700))
        .text();
    insta::assert_snapshot!(text);
}
