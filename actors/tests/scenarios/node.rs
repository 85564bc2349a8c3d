//! A node: connecting, orders, captures.

use stillframe_actors::capture::state::Report;
use stillframe_actors::node::state::{Event, Identity, Node};
use stillframe_wire::facts::PauseWindow;
use stillframe_wire::message::{
    Generation, InstanceId, OrderId, PROTOCOL_VERSION, Prepare, ReadyTarget, Selector, TargetId, ToNode,
};

use crate::script::Script;

fn script() -> Script<Node> {
    let identity = Identity { name: "a".to_owned(), instance: InstanceId(1), host: Default::default() };
    Script::new(Node::new(identity, 1)).at(0, Event::Start)
}

fn registered() -> Script<Node> {
    script().at(1, Event::Connected).at(2, welcome())
}

fn hear(message: ToNode) -> Event {
    Event::FromCoordinator(message)
}

fn welcome() -> Event {
    hear(ToNode::Welcome { version: PROTOCOL_VERSION, generation: Generation(1) })
}

fn prepare(order: u128) -> Event {
    let selector = Selector { programs: vec!["shop".to_owned()], ..Selector::default() };
    hear(ToNode::Prepare(Prepare {
        order: OrderId(order),
        selector,
        max_pause_ns: None,
        hold_ns: 0,
        probes: "probes".into(),
        lifetime_ns: 30_000_000_000,
    }))
}

fn found(order: u128, targets: u32) -> Event {
    let target = |pid| ReadyTarget { pid, program: "shop".to_owned(), refusal: None };
    Event::Found { order: OrderId(order), targets: (0..targets).map(target).collect(), lead_ns: 5 }
}

fn captured(target: u32) -> Event {
    let report = Report::Captured { goroutines: 3, bytes: 9 };
    Event::Report { order: OrderId(1), target: TargetId(target), report }
}

fn frozen(target: u32) -> Event {
    let report = Report::Frozen { pause: PauseWindow::default() };
    Event::Report { order: OrderId(1), target: TargetId(target), report }
}

fn lost() -> Event {
    Event::ConnectionLost { reason: "reset".to_owned() }
}

fn cancel(order: u128) -> Event {
    hear(ToNode::Cancel { order: OrderId(order), reason: "cancelled".to_owned() })
}

#[test]
fn an_order_from_prepare_to_committed() {
    let text = registered()
        .at(10, prepare(1))
        .at(11, prepare(1))
        .at(20, found(1, 2))
        .at(21, prepare(1))
        .at(30, hear(ToNode::Arm { order: OrderId(1), at_node_unix_ns: 5 }))
        .at(31, frozen(0))
        .at(32, captured(0))
        .at(40, hear(ToNode::Send { order: OrderId(1), target: TargetId(0) }))
        .at(50, hear(ToNode::Ping { id: 4 }))
        .at(60, hear(ToNode::Committed { order: OrderId(1) }))
        .at(61, captured(1))
        .at(62, cancel(1))
        .text();
    insta::assert_snapshot!(text);
}

#[test]
fn connecting_and_its_deadlines() {
    let nobody = script().until(25_000).text();
    let failed = (1..8).fold(script(), |script, i| {
        script.at(i * 15_000, Event::ConnectFailed { reason: "refused".to_owned() })
    });
    let no_welcome = script().at(1, Event::Connected).until(12_000).text();
    let silent = registered().until(12_000).text();
    let failed = failed.text();
    insta::assert_snapshot!(format!(
        "nobody\n{nobody}\nfailed\n{failed}\nno welcome\n{no_welcome}\nsilent\n{silent}"
    ));
}

#[test]
fn refused_and_out_of_turn() {
    let taken = || hear(ToNode::Refused { reason: "the name is taken".to_owned() });
    let mut text = script().at(1, Event::Connected).at(2, taken()).at(3, welcome()).text();
    text += &registered().at(3, taken()).text();
    text += &registered().at(3, welcome()).text();
    text += &script().at(1, Event::Connected).at(2, prepare(1)).text();
    text += &script().at(1, welcome()).text();
    text += &registered().at(3, Event::Garbage { reason: "not a message".to_owned() }).text();
    let version = PROTOCOL_VERSION + 1;
    let newer = hear(ToNode::Welcome { version, generation: Generation(1) });
    text += &script().at(1, Event::Connected).at(2, newer).text();
    insta::assert_snapshot!(text);
}

/// What was reported while there was no connection is said again after the next greeting.
#[test]
fn reconnects_in_each_phase() {
    let steps = [prepare(1), found(1, 2), frozen(0), captured(0)];
    let mut text = String::new();
    for length in 0..=steps.len() {
        let mut script = registered();
        for step in &steps[..length] {
            script = script.at(10, step.clone());
        }
        script = script.at(20, lost());
        for step in &steps[length..] {
            // What came from the coordinator does not come without a connection.
            if !matches!(step, Event::FromCoordinator(_)) {
                script = script.at(21, step.clone());
            }
        }
        text +=
            &format!("lost after {length}\n{}\n", script.at(300, Event::Connected).at(301, welcome()).text());
    }
    insta::assert_snapshot!(text);
}

#[test]
fn cancelled_in_each_phase_and_asked_again() {
    let steps = [prepare(1), found(1, 1), frozen(0), captured(0)];
    let mut text = String::new();
    for length in 0..=steps.len() {
        let mut script = registered();
        for step in &steps[..length] {
            script = script.at(10, step.clone());
        }
        let script = script.at(20, cancel(1)).at(21, prepare(1)).at(22, found(1, 1)).at(23, found(1, 1));
        text += &format!("cancelled after {length}\n{}\n", script.text());
    }
    insta::assert_snapshot!(text);
}

/// The coordinator was restarted and has not armed it: what was frozen before is of another instant.
#[test]
fn prepared_again_after_it_was_armed() {
    let arm = || hear(ToNode::Arm { order: OrderId(1), at_node_unix_ns: 5 });
    let again = registered()
        .at(10, prepare(1))
        .at(11, found(1, 1))
        .at(12, arm())
        .at(13, captured(0))
        .at(14, lost())
        .at(300, Event::Connected)
        .at(301, welcome())
        .at(302, prepare(1))
        .at(303, found(1, 1))
        .text();
    let early = registered().at(10, prepare(1)).at(11, arm()).at(12, found(1, 1)).text();
    insta::assert_snapshot!(format!("again\n{again}\narmed before it was found\n{early}"));
}

#[test]
fn a_busy_node_refuses_and_forgets_in_time() {
    let mut script = registered();
    for order in 1..=9 {
        script = script.at(3, prepare(order));
    }
    // The coordinator pings on, so that the connection stays.
    for second in 1..=31 {
        script = script.at(second * 1_000, hear(ToNode::Ping { id: second }));
    }
    insta::assert_snapshot!(script.at(31_500, prepare(9)).text());
}
