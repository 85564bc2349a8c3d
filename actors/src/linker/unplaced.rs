//! Servers of which it is not known what they serve: no descriptor of theirs was captured, or no stream. Where there is one, a
//! call that nobody seems to serve may be its.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::End;
use super::method::Said;

/// By process.
#[derive(Default)]
pub(super) struct Unplaced {
    of: BTreeMap<i64, Saying>,
}

#[derive(Default)]
struct Saying {
    /// One of them says nothing of its call.
    nothing: bool,
    calls: BTreeSet<Said>,
}

impl Unplaced {
    pub(super) fn add(&mut self, server: &End) {
        let saying = self.of.entry(server.process).or_default();
        match Said::of(server) {
            Some(said) => drop(saying.calls.insert(said)),
            None => saying.nothing = true,
        }
    }

    /// Whether one of these processes may serve it so.
    pub(super) fn may_serve(&self, client: &End, processes: &[i64]) -> bool {
        if self.of.is_empty() {
            return false;
        }
        let said = Said::of(client);
        let may =
            |saying: &Saying| saying.nothing || said.as_ref().is_none_or(|said| saying.calls.contains(said));
        processes.iter().any(|process| self.of.get(process).is_some_and(may))
    }
}
