//! The folder of finished snapshots: each is one file, named by its id.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::api::{Content, SnapshotEntry, SnapshotList};
use crate::store::reader::Snapshot;

/// Snapshots in one list.
pub const LISTED_MAX: usize = 1_000;

/// All of it blocks.
#[derive(Clone, Debug)]
pub struct Archive {
    folder: PathBuf,
}

impl Archive {
    pub fn new(folder: PathBuf) -> Archive {
        Archive { folder }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where a snapshot is, or is to be. An id is no text: it cannot name anything else.
    pub fn path(&self, id: Uuid) -> PathBuf {
        self.folder.join(format!("{id}.db"))
    }

    /// The newest first. What is no snapshot's name is not listed; what cannot be read is, with the reason.
    pub fn list(&self, limit: usize) -> io::Result<SnapshotList> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".db"));
            ids.extend(id.and_then(|id| Uuid::try_parse(id).ok()));
        }
        // The time is the first part of a UUIDv7.
        ids.sort_unstable_by(|one, other| other.cmp(one));
        let omitted = ids.len().saturating_sub(limit);
        ids.truncate(limit);
        let snapshots =
            ids.into_iter().filter_map(|id| self.entry(id).transpose()).collect::<io::Result<_>>()?;
        Ok(SnapshotList { snapshots, omitted })
    }

    /// `None`: there is no such snapshot.
    pub fn entry(&self, id: Uuid) -> io::Result<Option<SnapshotEntry>> {
        let path = self.path(id);
        let bytes = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let content = match Snapshot::open(&path).and_then(|snapshot| snapshot.summary()) {
            Ok(summary) => Content::Whole {
                label: summary.label,
                taken_at_unix_ns: summary.taken_at_unix_ns,
                complete: summary.complete,
                goroutines: summary.goroutines,
                processes: summary.processes,
            },
            Err(error) => Content::Damaged { damaged: error.to_string() },
        };
        Ok(Some(SnapshotEntry { id, bytes, content }))
    }

    /// `false`: there was none.
    pub fn delete(&self, id: Uuid) -> io::Result<bool> {
        match fs::remove_file(self.path(id)) {
            Ok(()) => {
                fs::File::open(&self.folder)?.sync_all()?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_what_is_there_and_says_what_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::new(folder.path().to_owned());
        let ids: Vec<Uuid> = (1..=3).map(|n| Uuid::from_u128(n << 80)).collect();
        for id in &ids {
            fs::write(archive.path(*id), "no database").unwrap();
        }
        fs::write(folder.path().join("lock"), "").unwrap();
        fs::write(folder.path().join(".stillframe-x.partial"), "").unwrap();
        let list = archive.list(2).unwrap();
        assert_eq!(list.omitted, 1);
        assert_eq!(list.snapshots.iter().map(|s| s.id).collect::<Vec<_>>(), [ids[2], ids[1]]);
        let damaged = |s: &SnapshotEntry| matches!(&s.content, Content::Damaged { damaged } if damaged.contains("not a snapshot"));
        assert!(list.snapshots.iter().all(damaged), "{list:?}");
        assert!(archive.delete(ids[2]).unwrap());
        assert!(!archive.delete(ids[2]).unwrap());
        assert_eq!(archive.entry(ids[2]).unwrap(), None);
        assert_eq!(archive.list(9).unwrap().snapshots.len(), 2);
    }
}
