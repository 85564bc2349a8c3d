//! The hosts of a snapshot, and what became of each.

use super::order::{ClockBound, HostSummary};

/// One row of `hosts` in the making.
pub(super) struct Host {
    pub(super) hostname: String,
    pub(super) clock: ClockBound,
    state: State,
    processes: u32,
    processes_incomplete: u32,
}

enum State {
    /// It depends on the host's processes.
    Open,
    Partial(String),
    Lost(String),
}

impl Host {
    pub(super) fn new(hostname: &str, clock: ClockBound) -> Self {
        let hostname = hostname.to_owned();
        Self { hostname, clock, state: State::Open, processes: 0, processes_incomplete: 0 }
    }

    pub(super) fn lost(hostname: &str, reason: &str) -> Self {
        Self { state: State::Lost(reason.to_owned()), ..Self::new(hostname, ClockBound::default()) }
    }

    /// The first reason stays.
    pub(super) fn set_partial(&mut self, reason: &str) {
        if matches!(self.state, State::Open) {
            self.state = State::Partial(reason.to_owned());
        }
    }

    pub(super) fn count(&mut self, is_complete: bool) {
        self.processes += 1;
        self.processes_incomplete += u32::from(!is_complete);
    }

    pub(super) fn is_complete(&self) -> bool {
        matches!(self.state, State::Open) && self.processes_incomplete == 0
    }

    pub(super) fn summary(&self) -> HostSummary {
        let (state, reason) = match &self.state {
            State::Lost(reason) => ("lost", Some(reason.clone())),
            State::Partial(reason) => ("partial", Some(reason.clone())),
            State::Open if self.is_complete() => ("complete", None),
            State::Open => {
                let reason =
                    format!("{} of {} processes are not complete", self.processes_incomplete, self.processes);
                ("partial", Some(reason))
            }
        };
        HostSummary { hostname: self.hostname.clone(), state, reason }
    }
}
