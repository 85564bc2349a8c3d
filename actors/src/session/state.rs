//! One connection: the greeting, pings, the clock, and what is passed on in both directions.

use std::collections::VecDeque;
use std::time::Duration;

use stillframe_wire::message::{Generation, Hello, OrderId, PROTOCOL_VERSION, ToCoordinator, ToNode};

use super::clock::{Clock, ClockEstimate};
use crate::machine::Machine;
use crate::time::{Moment, Now, earlier};

/// A peer that has not said who it is by then is sent away.
pub const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// The coordinator pings a new node so often, this many times, then every [`PING_EVERY`].
const FIRST_PING_EVERY: Duration = Duration::from_millis(100);
const FIRST_PINGS: u64 = 5;
const PING_EVERY: Duration = Duration::from_secs(1);
/// A node that answers no ping for so long is gone, whatever its connection says.
pub const SILENT_MAX: Duration = Duration::from_secs(6);
/// Pings without an answer that are remembered.
const PINGS_MAX: usize = 8;

/// Between the session and the coordinator actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    Hello(Hello),
    /// A ping was answered.
    Alive {
        clock: Option<ClockEstimate>,
    },
    Message(ToCoordinator),
    /// The last report.
    Closed {
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    FromNode(ToCoordinator),
    /// What came was no message, or none that may come.
    Garbage {
        reason: String,
    },
    ConnectionLost {
        reason: String,
    },
    /// The coordinator's answer to the greeting.
    Admitted {
        generation: Generation,
    },
    Rejected {
        reason: String,
    },
    Send(ToNode),
    /// Freeze when the *coordinator's* clock says so.
    Arm {
        order: OrderId,
        at_unix_ns: i64,
    },
    /// The coordinator has no use for this connection any more.
    Close {
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    ToNode(ToNode),
    Report(Report),
    /// Send what is pending, then close.
    Close {
        reason: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    AwaitHello,
    AwaitAdmission,
    Registered,
    Closed,
}

#[derive(Clone, Copy, Debug)]
struct Ping {
    id: u64,
    sent: Now,
}

#[derive(Clone, Debug)]
pub struct Session {
    phase: Phase,
    clock: Clock,
    pings: VecDeque<Ping>,
    pings_sent: u64,
    next_ping: Option<Moment>,
    /// When the peer is given up if it stays silent.
    silent_until: Moment,
    /// Orders to freeze that wait until the node's clock is known: a wrong moment is worse than a late one. The
    /// coordinator runs one order at a time.
    to_arm: Option<(OrderId, i64)>,
}

impl Session {
    pub fn new(now: Now) -> Session {
        Session {
            phase: Phase::AwaitHello,
            clock: Clock::default(),
            pings: VecDeque::new(),
            pings_sent: 0,
            next_ping: None,
            silent_until: now.moment + HELLO_WITHIN,
            to_arm: None,
        }
    }

    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    fn close(&mut self, reason: String, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Closed {
            return;
        }
        if self.phase != Phase::AwaitHello {
            effects.push(Effect::Report(Report::Closed { reason: reason.clone() }));
        }
        self.phase = Phase::Closed;
        effects.push(Effect::Close { reason });
    }

    fn refuse(&mut self, reason: String, effects: &mut Vec<Effect>) {
        effects.push(Effect::ToNode(ToNode::Refused { reason: reason.clone() }));
        self.close(reason, effects);
    }

    fn hear(&mut self, now: Now, message: ToCoordinator, effects: &mut Vec<Effect>) {
        if let Err(error) = message.check() {
            return self.refuse(error.to_string(), effects);
        }
        match (self.phase, message) {
            (Phase::AwaitHello, ToCoordinator::Hello(hello)) => {
                if hello.version != PROTOCOL_VERSION {
                    let reason = format!(
                        "the node speaks version {} of the protocol, this coordinator version {PROTOCOL_VERSION}; \
                         install the same release on both",
                        hello.version
                    );
                    return self.refuse(reason, effects);
                }
                if hello.name.is_empty() {
                    return self.refuse("the node has no name".to_owned(), effects);
                }
                self.phase = Phase::AwaitAdmission;
                effects.push(Effect::Report(Report::Hello(hello)));
            }
            (Phase::Registered, ToCoordinator::Pong { id, received_unix_ns, sent_unix_ns }) => {
                let Some(at) = self.pings.iter().position(|ping| ping.id == id) else { return };
                let ping = self.pings[at];
                self.pings.drain(..=at);
                self.silent_until = now.moment + SILENT_MAX;
                self.clock.add(ping.sent, now, received_unix_ns, sent_unix_ns);
                effects.push(Effect::Report(Report::Alive { clock: self.clock.estimate(now.moment) }));
                self.arm(now, effects);
            }
            (Phase::Registered, ToCoordinator::Hello(_)) | (Phase::AwaitHello | Phase::AwaitAdmission, _) => {
                self.refuse("a message out of turn".to_owned(), effects);
            }
            (Phase::Registered, message) => effects.push(Effect::Report(Report::Message(message))),
            (Phase::Closed, _) => {}
        }
    }

    fn arm(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if let Some(clock) = self.clock.estimate(now.moment)
            && let Some((order, at_unix_ns)) = self.to_arm.take()
        {
            let at_node_unix_ns = at_unix_ns.saturating_add(clock.offset_ns);
            effects.push(Effect::ToNode(ToNode::Arm { order, at_node_unix_ns }));
        }
    }

    fn ping(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let id = self.pings_sent;
        self.pings_sent += 1;
        if self.pings.len() == PINGS_MAX {
            self.pings.pop_front();
        }
        self.pings.push_back(Ping { id, sent: now });
        let pause = if self.pings_sent < FIRST_PINGS { FIRST_PING_EVERY } else { PING_EVERY };
        self.next_ping = Some(now.moment + pause);
        effects.push(Effect::ToNode(ToNode::Ping { id }));
    }
}

impl Machine for Session {
    type Event = Event;
    type Effect = Effect;

    fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Closed {
            return;
        }
        match event {
            Event::FromNode(message) => self.hear(now, message, effects),
            Event::Garbage { reason } => self.refuse(reason, effects),
            Event::ConnectionLost { reason } | Event::Close { reason } => self.close(reason, effects),
            Event::Admitted { generation } if self.phase == Phase::AwaitAdmission => {
                self.phase = Phase::Registered;
                self.silent_until = now.moment + SILENT_MAX;
                effects.push(Effect::ToNode(ToNode::Welcome { version: PROTOCOL_VERSION, generation }));
                self.ping(now, effects);
            }
            Event::Rejected { reason } => self.refuse(reason, effects),
            Event::Send(message) if self.phase == Phase::Registered => effects.push(Effect::ToNode(message)),
            Event::Arm { order, at_unix_ns } if self.phase == Phase::Registered => {
                self.to_arm = Some((order, at_unix_ns));
                self.arm(now, effects);
            }
            Event::Admitted { .. } | Event::Send(_) | Event::Arm { .. } => {}
        }
    }

    fn wake_at(&self) -> Option<Moment> {
        match self.phase {
            Phase::Closed => None,
            _ => earlier(Some(self.silent_until), self.next_ping),
        }
    }

    fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Closed {
            return;
        }
        if now.moment >= self.silent_until {
            let reason = match self.phase {
                Phase::AwaitHello => format!("it did not say who it is within {HELLO_WITHIN:?}"),
                _ => format!("it answered no ping for {SILENT_MAX:?}"),
            };
            return self.close(reason, effects);
        }
        if self.next_ping.is_some_and(|at| now.moment >= at) {
            self.ping(now, effects);
        }
    }
}
