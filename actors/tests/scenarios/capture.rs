//! One target of one order, on its node.

use stillframe_actors::capture::state::{Capture, Event};
use stillframe_wire::facts::PauseWindow;
use stillframe_wire::message::{FailureClass, Refusal};

use crate::script::{Script, UNIX_NS, now};

fn script() -> Script<Capture> {
    Script::new(Capture::new(now(0)))
}

fn arm(ms: i64) -> Event {
    Event::Arm { at_node_unix_ns: UNIX_NS + ms * 1_000_000, together: 2 }
}

fn resumed() -> Event {
    Event::Resumed { pause: PauseWindow { pause_ns: 7, ..PauseWindow::default() } }
}

fn spooled() -> Event {
    Event::Spooled { goroutines: 12, bytes: 3_000 }
}

fn failed() -> Event {
    Event::Failed(Refusal { class: FailureClass::Vanished, reason: "it exited".to_owned() })
}

#[test]
fn from_arm_to_committed() {
    let text = script()
        .at(10, arm(60))
        .at(70, resumed())
        .at(90, spooled())
        .at(100, Event::Send)
        .at(120, Event::StreamClosed)
        .at(130, Event::Forget)
        .at(140, Event::Send)
        .at(150, Event::Repeat)
        .text();
    insta::assert_snapshot!(text);
}

#[test]
fn deadlines() {
    let never_armed = script().until(200_000).at(200_001, arm(200_000)).at(200_002, Event::Repeat).text();
    let never_done = script()
        .at(0, arm(0))
        .at(5, resumed())
        .until(400_000)
        .at(400_001, spooled())
        .at(400_002, Event::Forget)
        .text();
    insta::assert_snapshot!(format!("never armed\n{never_armed}\nnever done\n{never_done}"));
}

#[test]
fn freezes_that_are_late_or_far_ahead() {
    let late = script().at(100, arm(20)).text();
    let far = script().at(0, arm(3_600_000)).until(20_000).text();
    let twice = script().at(0, arm(50)).at(10, arm(9_000)).until(100).at(110, arm(120)).text();
    insta::assert_snapshot!(format!("late\n{late}\nfar ahead\n{far}\ntwice\n{twice}"));
}

#[test]
fn asked_again() {
    let text = script()
        .at(0, arm(0))
        .at(1, Event::Send)
        .at(2, resumed())
        .at(3, spooled())
        .at(4, Event::Send)
        .at(5, Event::Send)
        .at(6, Event::Repeat)
        .at(7, Event::Forget)
        .text();
    insta::assert_snapshot!(text);
}

#[test]
fn failures_and_cancels_in_each_phase() {
    let mut text = String::new();
    let steps = [arm(50), arm(50), resumed(), spooled(), Event::Send];
    for end in [Event::Forget, failed(), Event::Repeat] {
        for length in 0..=steps.len() {
            let mut script = script();
            for (i, step) in steps[..length].iter().enumerate() {
                script = script.at(40 * i as u64, step.clone());
            }
            text += &format!(
                "{end:?} after {length}\n{}\n",
                script.at(300, end.clone()).at(301, Event::Repeat).text()
            );
        }
    }
    insta::assert_snapshot!(text);
}
