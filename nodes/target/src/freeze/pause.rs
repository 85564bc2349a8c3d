//! How long a target was stopped.

use std::time::Duration;

/// The two windows of one freeze. Wall times are read once, at the start of the pause; everything else is counted from
/// there on `CLOCK_MONOTONIC`, so that a step of the wall clock during the freeze does not bend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Wall time just before the first thread was seized.
    pub pause_start_ns: i64,
    /// Outer window: from there until the last thread was resumed. What the target felt.
    pub pause: Duration,
    /// Wall time when the last thread had stopped.
    pub frozen_start_ns: i64,
    /// Inner window: from there until the first thread was resumed. Everything read meanwhile is of one instant.
    pub frozen: Duration,
    /// `CLOCK_MONOTONIC` at `frozen_start_ns`: what Go's `nanotime` said to the target then.
    pub frozen_monotonic_ns: i64,
    pub ended: Ended,
}

/// Why a freeze ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The caller resumed, or dropped the freeze.
    Asked,
    /// The budget was spent.
    Budget,
    /// The target was killed while it was frozen.
    Died,
    /// The tracing thread failed.
    Failed,
}
