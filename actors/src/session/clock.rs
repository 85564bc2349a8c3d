//! How far a node's wall clock is from the coordinator's, by round trips, as NTP does it (RFC 5905, section 8).
//!
//! A round trip gives an interval: the node's clock was read at some time between sending and receiving. The best of the
//! last ones counts; its error grows with its age by what two clocks may drift apart.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::{Moment, Now, nanoseconds};

/// Round trips that are remembered.
const SAMPLES_MAX: usize = 8;
/// What two undisciplined crystals may drift apart, in parts per million, with a margin (RFC 5905 assumes 15 for one).
const DRIFT_PPM: u64 = 100;
/// If the coordinator's own wall clock disagrees with its steady clock by more during a round trip, it was stepped.
const STEP_NS_MIN: u64 = 1_000_000;

/// The node's clock minus the coordinator's, and by how much that may be wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockEstimate {
    pub offset_ns: i64,
    pub error_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    offset_ns: i64,
    error_ns: u64,
    at: Moment,
}

/// The last round trips of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Clock {
    samples: VecDeque<Sample>,
}

impl Clock {
    /// A ping was sent and answered at these times of the coordinator; the node received it and answered at these times of
    /// its own. A round trip during which a clock jumped says nothing.
    pub(super) fn add(&mut self, sent: Now, received: Now, node_received_ns: i64, node_sent_ns: i64) {
        let round_trip_ns = nanoseconds(received.moment.since(sent.moment));
        let wall_ns = i128::from(received.unix_ns) - i128::from(sent.unix_ns);
        let at_node_ns = i128::from(node_sent_ns) - i128::from(node_received_ns);
        let stepped = wall_ns.abs_diff(i128::from(round_trip_ns)) > u128::from(STEP_NS_MIN);
        if stepped || !(0..=i128::from(round_trip_ns)).contains(&at_node_ns) {
            return;
        }
        let there = i128::from(node_received_ns) - i128::from(sent.unix_ns);
        let back = i128::from(node_sent_ns) - i128::from(received.unix_ns);
        let Ok(offset_ns) = i64::try_from((there + back) / 2) else { return };
        // Half of the way, rounded up, and what the halving of the offset lost.
        let error_ns = (round_trip_ns - at_node_ns as u64).div_ceil(2) + 1;
        let sample = Sample { offset_ns, error_ns, at: received.moment };
        // Where two intervals do not meet one clock was stepped in between: what was known is of no use.
        self.samples.retain(|old| {
            let error_ns = old.error_at(received.moment).saturating_add(error_ns);
            old.offset_ns.abs_diff(offset_ns) <= error_ns
        });
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    pub(super) fn estimate(&self, at: Moment) -> Option<ClockEstimate> {
        let best = self.samples.iter().min_by_key(|sample| sample.error_at(at))?;
        Some(ClockEstimate { offset_ns: best.offset_ns, error_ns: best.error_at(at) })
    }
}

impl Sample {
    fn error_at(&self, at: Moment) -> u64 {
        let age: Duration = at.since(self.at);
        self.error_ns.saturating_add(nanoseconds(age) / 1_000_000 * DRIFT_PPM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now(ns: u64) -> Now {
        Now { moment: Moment(ns), unix_ns: 1_800_000_000_000_000_000 + ns as i64 }
    }

    #[test]
    fn a_step_of_either_clock_makes_what_was_known_useless() {
        let mut clock = Clock::default();
        let there = |ns: u64, ahead: i64| now(ns).unix_ns + ahead;
        clock.add(now(0), now(1000), there(500, 7_000), there(500, 7_000));
        assert_eq!(clock.estimate(Moment(1000)).unwrap(), ClockEstimate { offset_ns: 7_000, error_ns: 501 });
        // The node's clock jumps.
        clock.add(now(10_000), now(20_000), there(15_000, -90_000), there(15_000, -90_000));
        assert_eq!(clock.estimate(Moment(20_000)).unwrap().offset_ns, -90_000);
        // The coordinator's clock jumps during a round trip.
        let jumped = Now { moment: Moment(40_000), unix_ns: now(40_000).unix_ns + 5_000_000 };
        clock.add(now(30_000), jumped, there(35_000, 0), there(35_000, 0));
        assert_eq!(clock.estimate(Moment(40_000)).unwrap().offset_ns, -90_000);
    }

    proptest! {
        #[test]
        fn the_true_offset_is_always_within_the_error(
            offset in -1_000_000_000_000i64..1_000_000_000_000,
            trips in proptest::collection::vec((0u64..50_000_000, 0u64..1_000_000, 0u64..50_000_000, 0u64..5_000_000_000), 1..20),
        ) {
            let mut clock = Clock::default();
            let mut at = 0u64;
            for (there, stay, back, pause) in trips {
                let (sent, received) = (now(at), now(at + there + stay + back));
                let node = |ns: u64| now(ns).unix_ns + offset;
                clock.add(sent, received, node(at + there), node(at + there + stay));
                at += there + stay + back + pause;
                let estimate = clock.estimate(Moment(at)).unwrap();
                prop_assert!(estimate.offset_ns.abs_diff(offset) <= estimate.error_ns);
            }
        }

        #[test]
        fn a_lying_node_breaks_nothing(times in proptest::collection::vec(any::<(i64, i64)>(), 0..20)) {
            let mut clock = Clock::default();
            for (i, (received, sent)) in times.into_iter().enumerate() {
                let at = i as u64 * 1_000_000;
                clock.add(now(at), now(at + 1000), received, sent);
                let _ = clock.estimate(Moment(at + 1000));
            }
        }
    }
}
