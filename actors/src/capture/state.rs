//! From `prepare` to `committed`, for one target.
//!
//! Whatever holds the target is bounded by the freezer's own budget and never waits for anything here; these deadlines
//! bound how long a node remembers.

use std::time::Duration;

use stillframe_wire::facts::PauseWindow;
use stillframe_wire::message::{FailureClass, Refusal};

use crate::machine::Machine;
use crate::time::{Moment, Now, nanoseconds};

/// An order to freeze that comes so much too late is carried out at once; the pause windows tell that the cut is not
/// consistent.
pub const ARM_WITHIN: Duration = Duration::from_secs(60);
/// Freezing, decoding and spooling, for a million goroutines on a slow host.
pub const CAPTURE_WITHIN: Duration = Duration::from_secs(300);
/// A clock that was stepped may put the freeze far ahead; nobody waits longer for it.
pub const FREEZE_AHEAD_MAX: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Freeze when the node's wall clock says so.
    Arm {
        at_node_unix_ns: i64,
        /// Targets of the same order on this node.
        together: usize,
    },
    /// The target runs again.
    Resumed {
        pause: PauseWindow,
    },
    /// The result is whole, in the spool.
    Spooled {
        goroutines: u64,
        bytes: u64,
    },
    Failed(Refusal),
    Send,
    /// The stream is closed, whether or not all of it arrived: the coordinator says so by `committed`, or asks again.
    StreamClosed,
    /// Committed or cancelled, or the order's time is over.
    Forget,
    /// The node is registered again: what was reported may not have arrived.
    Repeat,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Get ready, freeze when the node's wall clock says so, read, resume, decode, spool.
    Capture {
        at_node_unix_ns: i64,
        together: usize,
    },
    /// Open a stream and send the spool.
    OpenStream,
    CloseStream,
    Report(Report),
    /// Delete the spool, give up what is under way. The last effect.
    End,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    Frozen { pause: PauseWindow },
    Captured { goroutines: u64, bytes: u64 },
    Failed(Refusal),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Ready { until: Moment },
    Capturing { until: Moment },
    Held { goroutines: u64, bytes: u64, sending: bool },
    Failed(Refusal),
    Ended,
}

#[derive(Clone, Debug)]
pub struct Capture {
    stage: Stage,
    pause: Option<PauseWindow>,
}

impl Capture {
    pub fn new(now: Now) -> Capture {
        Capture { stage: Stage::Ready { until: now.moment + ARM_WITHIN }, pause: None }
    }

    /// Its result waits to be fetched.
    pub fn is_held(&self) -> bool {
        matches!(self.stage, Stage::Held { .. })
    }

    pub fn has_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    fn fail(&mut self, failure: Refusal, effects: &mut Vec<Effect>) {
        self.stage = Stage::Failed(failure.clone());
        effects.push(Effect::Report(Report::Failed(failure)));
    }

    fn repeat(&self, effects: &mut Vec<Effect>) {
        effects.extend(self.pause.map(|pause| Effect::Report(Report::Frozen { pause })));
        let last = match &self.stage {
            Stage::Held { goroutines, bytes, .. } => {
                Report::Captured { goroutines: *goroutines, bytes: *bytes }
            }
            Stage::Failed(failure) => Report::Failed(failure.clone()),
            _ => return,
        };
        effects.push(Effect::Report(last));
    }
}

impl Machine for Capture {
    type Event = Event;
    type Effect = Effect;

    fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        match (&mut self.stage, event) {
            (Stage::Ended, _) => {}
            (_, Event::Forget) => {
                if let Stage::Held { sending: true, .. } = self.stage {
                    effects.push(Effect::CloseStream);
                }
                self.stage = Stage::Ended;
                effects.push(Effect::End);
            }
            (_, Event::Repeat) => self.repeat(effects),
            (Stage::Ready { .. }, Event::Arm { at_node_unix_ns, together }) => {
                let ahead_ns = u64::try_from(at_node_unix_ns.saturating_sub(now.unix_ns)).unwrap_or(0);
                let ahead = Duration::from_nanos(ahead_ns).min(FREEZE_AHEAD_MAX);
                let at_node_unix_ns = now.unix_ns.saturating_add(nanoseconds(ahead).cast_signed());
                self.stage = Stage::Capturing { until: now.moment + ahead + CAPTURE_WITHIN };
                effects.push(Effect::Capture { at_node_unix_ns, together });
            }
            (Stage::Capturing { .. }, Event::Resumed { pause }) => {
                self.pause = Some(pause);
                effects.push(Effect::Report(Report::Frozen { pause }));
            }
            (Stage::Capturing { .. }, Event::Spooled { goroutines, bytes }) => {
                self.stage = Stage::Held { goroutines, bytes, sending: false };
                effects.push(Effect::Report(Report::Captured { goroutines, bytes }));
            }
            (Stage::Capturing { .. }, Event::Failed(failure)) => self.fail(failure, effects),
            (Stage::Held { sending, .. }, Event::Send) => {
                // Asked again: the stream before is of no use to the coordinator.
                if std::mem::replace(sending, true) {
                    effects.push(Effect::CloseStream);
                }
                effects.push(Effect::OpenStream);
            }
            (Stage::Held { sending, .. }, Event::StreamClosed) => *sending = false,
            _ => {}
        }
    }

    fn wake_at(&self) -> Option<Moment> {
        match self.stage {
            Stage::Ready { until } | Stage::Capturing { until } => Some(until),
            Stage::Held { .. } | Stage::Failed(_) | Stage::Ended => None,
        }
    }

    fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let late = |what: &str, within: Duration| Refusal {
            class: FailureClass::Limit,
            reason: format!("{what} within {within:?}"),
        };
        match self.stage {
            Stage::Ready { until } if now.moment >= until => {
                self.fail(late("the order to freeze did not come", ARM_WITHIN), effects);
            }
            Stage::Capturing { until } if now.moment >= until => {
                self.fail(late("the capture was not done", CAPTURE_WITHIN), effects);
            }
            _ => {}
        }
    }
}
