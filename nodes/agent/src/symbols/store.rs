//! Files with debug information that somebody gave or fetched, by build id: of a user, of a node, of a coordinator.
//!
//! What arrives is a stream of unknown length from anybody: it is bounded, checked when it is whole, and only then there.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use tempfile::NamedTempFile;
use thiserror::Error;

use super::build_id::BuildId;
use super::debug_file::{DEBUG_FILE_BYTES_MAX, DebugFile, DebugFileError};
use super::folder::Folder;
use super::places;

/// Bytes of all files together.
pub const STORE_BYTES_MAX: u64 = 16 << 30;

const SUFFIX: &str = ".debug";
/// A file without content: there was nothing to be fetched of this build when it was made.
const ABSENT_SUFFIX: &str = ".absent";

#[derive(Debug, Error)]
pub enum StoreError {
    #[error("it cannot be kept: {0}")]
    Io(#[from] io::Error),
    #[error("it has more than the {0} bytes that a file may have")]
    TooLong(u64),
    /// What it is, is not of use.
    #[error("{0}")]
    NotOfUse(String),
}

impl From<DebugFileError> for StoreError {
    fn from(error: DebugFileError) -> StoreError {
        match error {
            DebugFileError::Io(error) => StoreError::Io(error),
            error => StoreError::NotOfUse(error.to_string()),
        }
    }
}

/// What is kept of one build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub build_id: BuildId,
    pub bytes: u64,
    pub used_unix_s: i64,
}

#[derive(Clone, Debug)]
pub struct Store {
    folder: Folder,
}

impl Store {
    pub fn open(path: &Path, bytes_max: u64) -> io::Result<Store> {
        Ok(Store { folder: Folder::open(path, bytes_max)? })
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn bytes_max(&self) -> u64 {
        self.folder.bytes_max()
    }

    /// A file that is to be filled.
    pub fn receive(&self) -> io::Result<Receiving> {
        let limit = DEBUG_FILE_BYTES_MAX.min(self.folder.bytes_max());
        Ok(Receiving { file: self.folder.begin()?, bytes: 0, limit })
    }

    /// Checks a file, and keeps it. `expected`: of which build it is to be; `None`: of any.
    pub fn keep(&self, received: Receiving, expected: Option<&BuildId>) -> Result<Stored, StoreError> {
        let Receiving { file, bytes, .. } = received;
        let seen = DebugFile::read(file.as_file().try_clone()?)?;
        let Some(build_id) = seen.build_id.clone() else {
            let reason =
                "it has no build id; Go writes one (go tool buildid) unless it is built with -buildid=";
            return Err(StoreError::NotOfUse(reason.to_owned()));
        };
        places::is_of(&seen, Some(expected.unwrap_or(&build_id))).map_err(StoreError::NotOfUse)?;
        self.folder.finish(file, &format!("{}{SUFFIX}", build_id.file_name()))?;
        self.folder.delete(&format!("{}{ABSENT_SUFFIX}", build_id.file_name()))?;
        let used_unix_s = stillframe_target::clock::realtime_ns() / 1_000_000_000;
        Ok(Stored { build_id, bytes, used_unix_s })
    }

    /// As it was kept.
    pub fn file(&self, build: &BuildId) -> io::Result<Option<File>> {
        self.folder.file(&format!("{}{SUFFIX}", build.file_name()))
    }

    /// What was last used comes first.
    pub fn list(&self) -> io::Result<Vec<Stored>> {
        let stored = |entry: super::folder::Entry| {
            let build_id = BuildId::of_file_name(entry.name.strip_suffix(SUFFIX)?)?;
            Some(Stored { build_id, bytes: entry.bytes, used_unix_s: entry.used_unix_s })
        };
        let mut list: Vec<Stored> = self.folder.entries()?.into_iter().filter_map(stored).collect();
        list.sort_by(|a, b| (b.used_unix_s, &a.build_id).cmp(&(a.used_unix_s, &b.build_id)));
        Ok(list)
    }

    /// `false`: there was none.
    pub fn delete(&self, build: &BuildId) -> io::Result<bool> {
        self.folder.delete(&format!("{}{ABSENT_SUFFIX}", build.file_name()))?;
        self.folder.delete(&format!("{}{SUFFIX}", build.file_name()))
    }

    /// Notes that nobody has anything of this build now.
    pub fn set_absent(&self, build: &BuildId) -> io::Result<()> {
        self.folder.finish(self.folder.begin()?, &format!("{}{ABSENT_SUFFIX}", build.file_name()))?;
        Ok(())
    }

    /// Whether that was noted, less than `within` ago.
    pub fn is_absent(&self, build: &BuildId, within: Duration) -> bool {
        let path = self.folder.path().join(format!("{}{ABSENT_SUFFIX}", build.file_name()));
        is_recent(&path, within)
    }
}

/// Whether a file is there that was written to less than `within` ago.
pub(super) fn is_recent(path: &Path, within: Duration) -> bool {
    let now_s = stillframe_target::clock::realtime_ns() / 1_000_000_000;
    let within_s = i64::try_from(within.as_secs()).unwrap_or(i64::MAX);
    // One from the future was written before the clock was set back.
    std::fs::metadata(path).is_ok_and(|m| m.mtime() <= now_s && now_s - m.mtime() < within_s)
}

/// A file that is being filled. Dropping it deletes it.
#[derive(Debug)]
pub struct Receiving {
    file: NamedTempFile,
    bytes: u64,
    limit: u64,
}

impl Receiving {
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limit {
            return Err(StoreError::TooLong(self.limit));
        }
        Ok(self.file.write_all(bytes)?)
    }

    /// All of `from`.
    pub fn write_all_of(&mut self, from: &mut impl io::Read) -> Result<(), StoreError> {
        let mut buffer = vec![0; 256 << 10];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => self.write(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
