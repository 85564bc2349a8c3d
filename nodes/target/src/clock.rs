//! The three clocks, in nanoseconds.

use nix::time::{ClockId, clock_gettime};

/// Wall time (`CLOCK_REALTIME`): for showing, it may step.
pub fn realtime_ns() -> i64 {
    read(ClockId::CLOCK_REALTIME)
}

/// `CLOCK_MONOTONIC`, which is also what Go's `nanotime` reads: for durations.
pub fn monotonic_ns() -> i64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// `CLOCK_BOOTTIME`: what `/proc/PID/stat` counts start times by (proc_pid_stat(5), field 22).
pub(crate) fn boottime_ns() -> i64 {
    read(ClockId::CLOCK_BOOTTIME)
}

/// These clocks exist on every Linux since 2.6.39, so `clock_gettime` has no way to fail (clock_gettime(2)); 0 if it
/// did.
fn read(clock: ClockId) -> i64 {
    clock_gettime(clock).map_or(0, |t| t.tv_sec() * 1_000_000_000 + t.tv_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_run() {
        let before = monotonic_ns();
        assert!(before > 0 && monotonic_ns() >= before);
        assert!(realtime_ns() > 1_600_000_000_000_000_000);
        assert!(boottime_ns() > 0);
    }
}
