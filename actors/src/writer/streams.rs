//! Data streams that were opened and are not read yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::connection::Reading;
use crate::snapshot::StreamId;

/// Of one order; shared by who accepts streams and who reads them.
#[derive(Clone, Default)]
pub struct Streams(Arc<Mutex<BTreeMap<StreamId, Reading>>>);

impl Streams {
    pub fn put(&self, stream: StreamId, reading: Reading) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(stream, reading);
    }

    /// To read it, or to close it by dropping it.
    pub fn take(&self, stream: StreamId) -> Option<Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&stream)
    }
}
