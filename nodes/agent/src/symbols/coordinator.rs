//! The coordinator as a source of debug information: what was pushed to it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use stillframe_actors::capture::actor::Link;
use stillframe_actors::symbols::ask;
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;

use super::build_id::BuildId;
use super::debug_file::DEBUG_FILE_BYTES_MAX;
use super::fetch::{Fetched, Remote};
use super::store::{Receiving, Store, StoreError};

/// Between two pieces of a file.
const SILENT_MAX: Duration = Duration::from_secs(30);
const CHUNK_BYTES: usize = 256 << 10;

/// How a node reaches its coordinator, once that is known.
#[derive(Clone, Default)]
pub struct Coordinator {
    link: Arc<OnceLock<(Link, Handle)>>,
}

impl Coordinator {
    /// Needs a running tokio, which carries the streams.
    pub fn linked(&self, link: Link) {
        // There is one coordinator.
        let _ = self.link.set((link, Handle::current()));
    }

    pub(super) fn into_remote(self, store: Store) -> Asking {
        Asking { coordinator: self, store }
    }
}

pub(super) struct Asking {
    coordinator: Coordinator,
    store: Store,
}

impl Asking {
    async fn receive(&self, link: &Link, build: &BuildId) -> Result<Option<Receiving>, String> {
        let streams = link.borrow().clone();
        let streams = streams.ok_or("there is no connection to the coordinator")?;
        let Some((bytes, mut reading)) = ask(&*streams, build.as_str()).await? else { return Ok(None) };
        if bytes > DEBUG_FILE_BYTES_MAX {
            return Err(format!(
                "the coordinator's file has {bytes} bytes, more than {DEBUG_FILE_BYTES_MAX}"
            ));
        }
        let mut receiving = self.store.receive().map_err(|error| error.to_string())?;
        let mut buffer = vec![0; CHUNK_BYTES];
        while receiving.bytes() < bytes {
            let room = CHUNK_BYTES.min(usize::try_from(bytes - receiving.bytes()).unwrap_or(CHUNK_BYTES));
            let read = tokio::time::timeout(SILENT_MAX, reading.read(&mut buffer[..room])).await;
            let read = read.map_err(|_| format!("the coordinator was silent for {SILENT_MAX:?}"))?;
            match read.map_err(|error| format!("the coordinator's file did not come whole: {error}"))? {
                0 => return Err("the coordinator's file did not come whole".to_owned()),
                read => receiving.write(&buffer[..read]).map_err(|error| error.to_string())?,
            }
        }
        Ok(Some(receiving))
    }
}

impl Remote for Asking {
    fn fetch(&self, build: &BuildId) -> Fetched {
        let Some((link, runtime)) = self.coordinator.link.get() else { return Fetched::Absent };
        let receiving = match runtime.block_on(self.receive(link, build)) {
            Ok(Some(receiving)) => receiving,
            Ok(None) => return Fetched::Absent,
            Err(reason) => return Fetched::Failed(reason),
        };
        let kept = self.store.keep(receiving, Some(build));
        match kept.and_then(|_| Ok(self.store.file(build)?)) {
            Ok(Some(file)) => Fetched::File(file),
            Ok(None) => Fetched::Failed("what the coordinator sent was deleted again".to_owned()),
            Err(StoreError::NotOfUse(reason)) => {
                Fetched::Failed(format!("what the coordinator sent: {reason}"))
            }
            Err(error) => Fetched::Failed(error.to_string()),
        }
    }
}
