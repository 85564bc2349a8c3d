//! How long targets take from the order to the freeze, which has to be told to the coordinator beforehand: learned by build
//! from earlier captures.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Of a build that was not captured yet, and the least of any.
const UNKNOWN: Duration = Duration::from_millis(30);
/// No order waits longer for a node to get ready.
const LEAD_MAX: Duration = Duration::from_secs(5);
const BUILDS_MAX: usize = 1_000;

/// By build id. Clones share what they know.
#[derive(Clone, Default)]
pub(crate) struct Preparations {
    known: Arc<Mutex<HashMap<String, Duration>>>,
}

impl Preparations {
    /// It took that long. What was longer before is forgotten by halves.
    pub(crate) fn learn(&self, build_id: &str, took: Duration) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() == BUILDS_MAX && !known.contains_key(build_id) {
            known.clear();
        }
        let before = known.get(build_id).copied().unwrap_or(took);
        known.insert(build_id.to_owned(), took.max((before + took) / 2));
    }

    /// A target of that build was looked at, and takes that long for one thing alone.
    pub(crate) fn expect(&self, build_id: &str, least: Duration) {
        if least > self.expected(build_id) {
            self.learn(build_id, least);
        }
    }

    pub(crate) fn expected(&self, build_id: &str) -> Duration {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(build_id).copied().unwrap_or(UNKNOWN).max(UNKNOWN)
    }
}

/// How long several targets take, which get ready side by side on so many processors.
pub(crate) fn lead(expected: &[Duration], processors: usize) -> Duration {
    let sum = expected.iter().sum::<Duration>() / u32::try_from(processors.max(1)).unwrap_or(u32::MAX);
    let longest = expected.iter().max().copied().unwrap_or_default();
    // Half of it more: what was expected was not that of this very moment.
    let lead = sum.max(longest);
    (lead + lead / 2).min(LEAD_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_expected_and_fades() {
        let preparations = Preparations::default();
        assert_eq!(preparations.expected("a"), UNKNOWN);
        preparations.learn("a", Duration::from_millis(800));
        assert_eq!(preparations.expected("a"), Duration::from_millis(800));
        preparations.learn("a", Duration::from_millis(100));
        assert_eq!(preparations.expected("a"), Duration::from_millis(450));
        preparations.learn("a", Duration::from_millis(900));
        assert_eq!(preparations.expected("a"), Duration::from_millis(900));
        assert_eq!(preparations.expected("b"), UNKNOWN);
        preparations.expect("a", Duration::from_millis(2));
        assert_eq!(preparations.expected("a"), Duration::from_millis(900));
        preparations.expect("b", UNKNOWN * 2);
        assert_eq!(preparations.expected("b"), UNKNOWN * 2);
    }

    #[test]
    fn targets_share_the_processors() {
        let ms = Duration::from_millis;
        assert_eq!(lead(&[], 2), Duration::ZERO);
        assert_eq!(lead(&[ms(10), ms(100)], 2), ms(150));
        assert_eq!(lead(&[ms(100); 4], 2), ms(300));
        assert_eq!(lead(&[ms(100_000); 4], 0), LEAD_MAX);
    }
}
