//! Since when: what was seen while a process was watched and what this snapshot has seen itself, put together.

use stillframe_golang::decode::Goroutine;
use stillframe_golang::watch::Bounds;
use stillframe_wire::facts::{Gap, Since, SinceSource};

use crate::waits::Clocks;
use crate::watch::Seen;

/// What is known beside the goroutines themselves.
#[derive(Default)]
pub(crate) struct Ages<'a> {
    /// `None`: nobody watches.
    pub(crate) watched: Option<&'a Seen>,
    /// When the records had been copied before the freeze.
    pub(crate) copied_monotonic_ns: Option<i64>,
}

impl Ages<'_> {
    /// Since when a goroutine is blocked, and when it was started.
    pub(crate) fn of(&self, goroutine: &Goroutine, clocks: Clocks) -> (Option<Since>, Option<Since>) {
        let born = self.born(goroutine, clocks);
        let blocked = self.blocked(goroutine, born);
        let since = |bounds: Bounds, source| {
            let unix = |time| clocks.unix_ns(time);
            let (after_unix_ns, before_unix_ns) = (unix(bounds.after), unix(bounds.before));
            let is_known = after_unix_ns.is_some() || before_unix_ns.is_some();
            is_known.then_some(Since { after_unix_ns, before_unix_ns, source })
        };
        (blocked.and_then(|(bounds, source)| since(bounds, source)), since(born, SinceSource::Ids))
    }

    fn born(&self, goroutine: &Goroutine, clocks: Clocks) -> Bounds {
        let Some(seen) = self.watched.filter(|_| goroutine.has_id_of_its_own) else {
            return Bounds::default();
        };
        let mut born = seen.births.bounds(goroutine.goid);
        if born.after.is_some() && born.before.is_none() {
            // It is there.
            born.before = clocks.stopped_monotonic_ns();
        }
        born
    }

    /// Its present park. `None`: it is in none that can be told from others.
    fn blocked(&self, goroutine: &Goroutine, born: Bounds) -> Option<(Bounds, SinceSource)> {
        let park = goroutine.park.as_ref()?;
        let seen = self.watched.map(|seen| seen.parks.bounds(park)).unwrap_or_default();
        let copied = self.copied_monotonic_ns.filter(|_| goroutine.reused);
        let after = seen.after.max(born.after);
        // What was likely is not so where it contradicts what is sure.
        let watched = seen.before.filter(|before| after.is_none_or(|after| after <= *before));
        let (before, source) = match (watched, copied) {
            (Some(before), _) => (Some(before), SinceSource::Watched),
            (None, Some(before)) if after.is_some() => (Some(before), SinceSource::WatchedAndCopied),
            (None, Some(before)) => (Some(before), SinceSource::Copied),
            (None, None) => (None, SinceSource::Watched),
        };
        Some((Bounds { after, before }, source))
    }

    /// Why no births are known, where they were to be.
    pub(crate) fn gap(&self) -> Option<Gap> {
        let why = self.watched?.no_births?;
        Some(Gap { goid: None, what: "births".to_owned(), reason: why.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ages(watched: Option<&Seen>, copied_monotonic_ns: Option<i64>) -> Ages<'_> {
        Ages { watched, copied_monotonic_ns }
    }

    #[test]
    fn who_watches_nothing_has_no_gap() {
        assert_eq!(ages(None, Some(5)).gap(), None);
        let seen = Seen::default();
        assert_eq!(ages(Some(&seen), None).gap(), None);
        let seen = Seen { no_births: Some("it has none"), ..Seen::default() };
        let gap = ages(Some(&seen), None).gap().unwrap();
        assert_eq!((gap.goid, &gap.what[..], &gap.reason[..]), (None, "births", "it has none"));
    }
}
