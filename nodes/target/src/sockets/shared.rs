//! What targets of one order have in common is read once for all of them: each asks for what was read after its own stop.

use super::gather::NamespaceSockets;
use super::owners::Owners;
use super::tracking::Tracking;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Instant;

/// Namespaces that are remembered, each by a word.
const NAMESPACES_MAX: usize = 1_024;

/// By namespace, or for the host. Nothing of it is kept that nobody uses any more.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    namespaces: Mutex<HashMap<u64, Arc<Latest<NamespaceSockets>>>>,
    pub(super) host_tracking: Latest<Tracking>,
    pub(super) owners: Latest<Owners>,
}

/// What was made last, and when that began.
#[derive(Debug)]
pub(super) struct Latest<T>(Mutex<Option<(Instant, Weak<T>)>>);

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Latest(Mutex::new(None))
    }
}

impl<T> Latest<T> {
    /// One whose making began at `not_before` or later: that of somebody else, or a new one. Who asks meanwhile waits for it.
    pub(super) fn get(&self, not_before: Instant, make: impl FnOnce() -> T) -> Arc<T> {
        // Whoever panicked has made nothing.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((began, made)) = &*last
            && *began >= not_before
            && let Some(made) = made.upgrade()
        {
            return made;
        }
        let began = Instant::now();
        let made = Arc::new(make());
        *last = Some((began, Arc::downgrade(&made)));
        made
    }
}

impl Shared {
    pub(super) fn namespace(&self, inode: u64) -> Arc<Latest<NamespaceSockets>> {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if namespaces.len() >= NAMESPACES_MAX {
            namespaces.retain(|_, latest| Arc::strong_count(latest) > 1);
        }
        Arc::clone(namespaces.entry(inode).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_too_early_is_made_again_and_what_nobody_holds_is_gone() {
        let latest = Latest::default();
        let begin = Instant::now();
        let first = latest.get(begin, || 1);
        assert_eq!(*latest.get(begin, || 2), 1);
        assert_eq!(*latest.get(Instant::now(), || 3), 3);
        drop(first);
        assert_eq!(*latest.get(begin, || 4), 4);
    }
}
