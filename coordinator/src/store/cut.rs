//! The instant that all processes of a snapshot share, if there is one.

use stillframe_wire::facts::PauseWindow;

use super::order::ClockBound;

/// The time that all processes share, on the coordinator's clock.
#[derive(Default)]
pub(super) struct Cut {
    pub(super) start_unix_ns: Option<i64>,
    end_unix_ns: Option<i64>,
    captured: usize,
    stopped: usize,
}

impl Cut {
    pub(super) fn add(&mut self, clock: ClockBound, window: Option<&PauseWindow>) {
        self.captured += 1;
        let Some(window) = window else { return };
        self.stopped += 1;
        let start = window.frozen_start_unix_ns.saturating_add(clock.offset_ns);
        let end = start.saturating_add(window.frozen_ns).saturating_sub(clock.error_ns);
        let start = start.saturating_add(clock.error_ns);
        self.start_unix_ns = Some(self.start_unix_ns.map_or(start, |known| known.max(start)));
        self.end_unix_ns = Some(self.end_unix_ns.map_or(end, |known| known.min(end)));
    }

    pub(super) fn overlap_ns(&self) -> Option<i64> {
        if self.stopped < self.captured {
            return None;
        }
        Some(self.end_unix_ns?.saturating_sub(self.start_unix_ns?))
    }

    /// One process alone is consistent with itself, stopped or dumped.
    pub(super) fn is_consistent(&self) -> bool {
        self.captured == 1 || self.overlap_ns().is_some_and(|overlap| overlap > 0)
    }
}
