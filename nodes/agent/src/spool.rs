//! A result that waits for its coordinator: frames of batches in a file without a name, which the kernel deletes when
//! this process ends, however it ends.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use stillframe_actors::capture::actor::Spool;
use stillframe_actors::connection::Reading;
use stillframe_wire::batch::batches;
use stillframe_wire::codec::{self, CodecError};
use stillframe_wire::facts::ProcessFacts;
use stillframe_wire::limits::SPOOL_BYTES_MAX;
use thiserror::Error;

/// A result was not kept.
#[derive(Debug, Error)]
pub enum SpoolError {
    #[error(
        "{folder}: the result cannot be kept: {source}; make space there, or name another folder (TMPDIR, a node's --spool)"
    )]
    Io { folder: String, source: io::Error },
    #[error(
        "results of more than {limit} bytes wait for the coordinator already; wait until they were fetched, or capture less"
    )]
    Full { limit: u64 },
    #[error("the result cannot be encoded: {0}")]
    Codec(#[from] CodecError),
}

/// Where results are kept, and how many bytes of them there are.
#[derive(Clone, Debug)]
pub struct Folder {
    path: Arc<Path>,
    used: Arc<AtomicU64>,
}

/// One result.
#[derive(Debug)]
pub struct FileSpool {
    file: File,
    goroutines: u64,
    /// Given back when this is dropped.
    reserved: Reserved,
}

#[derive(Debug)]
struct Reserved {
    used: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Reserved {
    fn add(&mut self, bytes: u64) -> Result<(), SpoolError> {
        self.bytes += bytes;
        let used = self.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if used > SPOOL_BYTES_MAX { Err(SpoolError::Full { limit: SPOOL_BYTES_MAX }) } else { Ok(()) }
    }
}

impl Folder {
    pub fn new(path: &Path) -> Folder {
        Folder { path: path.into(), used: Arc::default() }
    }

    /// Writes a result, batch by batch.
    pub fn keep(&self, facts: ProcessFacts) -> Result<FileSpool, SpoolError> {
        let failed = |source| SpoolError::Io { folder: self.path.display().to_string(), source };
        let goroutines = facts.goroutines.len() as u64;
        let mut reserved = Reserved { used: Arc::clone(&self.used), bytes: 0 };
        let mut writer = BufWriter::new(tempfile::tempfile_in(&self.path).map_err(failed)?);
        for batch in batches(facts) {
            let frame = codec::encode_frame(&batch)?;
            reserved.add(frame.len() as u64)?;
            writer.write_all(&frame).map_err(failed)?;
        }
        let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
        Ok(FileSpool { file, goroutines, reserved })
    }
}

impl Spool for FileSpool {
    fn goroutines(&self) -> u64 {
        self.goroutines
    }

    fn bytes(&self) -> u64 {
        self.reserved.bytes
    }

    /// One reading at a time: they share the file's position.
    fn read(&self) -> io::Result<Reading> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Box::new(tokio::fs::File::from_std(file)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_given_back() {
        let folder = Folder::new(&std::env::temp_dir());
        let mut reserved = Reserved { used: Arc::clone(&folder.used), bytes: 0 };
        reserved.add(SPOOL_BYTES_MAX).unwrap();
        let mut other = Reserved { used: Arc::clone(&folder.used), bytes: 0 };
        assert!(matches!(other.add(1), Err(SpoolError::Full { .. })));
        drop(other);
        drop(reserved);
        assert_eq!(folder.used.load(Ordering::Relaxed), 0);
    }
}
