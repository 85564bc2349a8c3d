//! How much of a value is read, and what was used of that.

use std::cell::Cell;

use crate::gap::Gap;

/// Bounds of what is read. What they cut says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one string or byte slice.
    pub string_bytes: u64,
    /// Elements of one slice, array, map or channel.
    pub elements: u64,
    /// Structs, lists and maps one within another; pointers and interfaces do not count.
    pub depth: u32,
    /// Pointers that are followed, of one frame.
    pub pointers: u32,
    /// Values, those within others too, of one frame.
    pub values: u32,
    /// Bytes that are read, of one goroutine.
    pub goroutine_bytes: u64,
    /// Bytes of a map that is searched for one key.
    pub lookup_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            string_bytes: 4 << 10,
            elements: 64,
            depth: 5,
            pointers: 1000,
            values: 10_000,
            goroutine_bytes: 256 << 10,
            lookup_bytes: 1 << 20,
        }
    }
}

/// What was used.
#[derive(Debug, Default)]
pub(super) struct Used {
    pointers: Cell<u32>,
    values: Cell<u32>,
    bytes: Cell<u64>,
}

impl Used {
    pub(super) fn next_frame(&self) {
        self.pointers.set(0);
        self.values.set(0);
    }

    pub(super) fn next_goroutine(&self) {
        self.next_frame();
        self.bytes.set(0);
    }

    /// One more pointer is followed.
    pub(super) fn pointer(&self, limits: &Limits) -> Result<(), Gap> {
        let used = self.pointers.get();
        if used >= limits.pointers {
            return Err(Gap::Pointers);
        }
        self.pointers.set(used + 1);
        Ok(())
    }

    /// One more value is decoded.
    pub(super) fn value(&self, limits: &Limits) -> Result<(), Gap> {
        let used = self.values.get();
        if used >= limits.values {
            return Err(Gap::Size);
        }
        self.values.set(used + 1);
        Ok(())
    }

    /// `length` more bytes are read. Bytes that turn out to be missing count as well: so that one who reads what was
    /// missing, and decodes again, has a bound.
    pub(super) fn bytes(&self, length: usize, limits: &Limits) -> Result<(), Gap> {
        let used = self.bytes.get().saturating_add(length as u64);
        if used > limits.goroutine_bytes {
            return Err(Gap::Size);
        }
        self.bytes.set(used);
        Ok(())
    }

    /// Nothing more will be decoded.
    pub(super) fn is_spent(&self, limits: &Limits) -> bool {
        self.values.get() >= limits.values || self.bytes.get() >= limits.goroutine_bytes
    }
}
