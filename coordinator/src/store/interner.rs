//! Numbers for things that shall stand once in the file.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};

/// Hands out ids from 1, the same for equal keys.
///
/// Keys are remembered by 128 bits of hash, so memory is bounded by their number and not by their size. The hash's
/// keys are random: a hostile target cannot prepare two stacks that collide.
#[derive(Default)]
pub struct Interner {
    hashers: [RandomState; 2],
    ids: HashMap<(u64, u64), i64>,
}

/// Whether the key was there.
pub enum Interned {
    Known(i64),
    New(i64),
}

impl Interner {
    /// The key's id; a new key gets `id`, or the next number.
    pub fn intern(&mut self, key: &impl Hash, id: Option<i64>) -> Interned {
        let hash = (self.hashers[0].hash_one(key), self.hashers[1].hash_one(key));
        let next = id.unwrap_or(self.ids.len() as i64 + 1);
        match self.ids.entry(hash) {
            std::collections::hash_map::Entry::Occupied(entry) => Interned::Known(*entry.get()),
            std::collections::hash_map::Entry::Vacant(entry) => Interned::New(*entry.insert(next)),
        }
    }

    /// Forgets the keys whose ids are above `last`.
    pub fn cut(&mut self, last: i64) {
        self.ids.retain(|_, id| *id <= last);
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }
}
