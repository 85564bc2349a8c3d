//! The folder in which a coordinator keeps everything: snapshots, keys, and the lock that keeps a second one out.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, PersistError};

#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}: another coordinator uses this folder", path.display())]
    InUse { path: PathBuf },
}

impl FolderError {
    pub fn of(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
        let path = path.to_owned();
        |source| FolderError::Io { path, source }
    }

    pub fn remedy(&self) -> &'static str {
        match self {
            FolderError::Io { .. } => "give a folder with --data that you may write to",
            FolderError::InUse { .. } => "stop the other one, or give each a folder of its own with --data",
        }
    }
}

/// An open data folder; nobody else has it while this lives.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// The kernel unlocks it when this process ends, however it ends.
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if it is not there, locks it, and deletes what a crash has left half done.
    pub fn open(path: &Path) -> Result<DataFolder, FolderError> {
        make_private(path)?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(FolderError::of(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FolderError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(FolderError::Io { path: lock_path, source }),
        }
        let folder = DataFolder { path: path.to_owned(), _lock: lock };
        make_private(&folder.snapshots())?;
        delete_partial(path)?;
        delete_partial(&folder.snapshots())?;
        Ok(folder)
    }

    pub fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// What users push; made when it is opened.
    pub fn symbols(&self) -> PathBuf {
        self.path.join("symbols")
    }

    /// Those that users push.
    pub fn probe_sets(&self) -> PathBuf {
        self.path.join("probe_sets")
    }

    pub fn known_nodes(&self) -> PathBuf {
        self.path.join("known_nodes.json")
    }

    pub fn pki(&self) -> PathBuf {
        self.path.join("pki")
    }
}

fn make_private(path: &Path) -> Result<(), FolderError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(FolderError::of(path))
}

/// Whatever is being made is called `.stillframe-*.partial` until it is whole.
fn delete_partial(folder: &Path) -> Result<(), FolderError> {
    for entry in fs::read_dir(folder).map_err(FolderError::of(folder))? {
        let path = entry.map_err(FolderError::of(folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !(name.starts_with(".stillframe-") && name.ends_with(".partial")) {
            continue;
        }
        tracing::info!(file = %path.display(), "deleting what a crash has left");
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
            .map_err(FolderError::of(&path))?;
    }
    Ok(())
}

/// A folder of files that only the owner may read, which is there whole or not at all. It must not be there yet.
pub fn write_folder(path: &Path, files: &[(&str, &[u8])]) -> Result<(), FolderError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new()
        .prefix(".stillframe-")
        .suffix(".partial")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)
        .map_err(FolderError::of(parent))?;
    for (name, content) in files {
        let file = temporary.path().join(name);
        write_new(&file, content).map_err(FolderError::of(&file))?;
    }
    let sync = |folder: &Path| File::open(folder).and_then(|opened| opened.sync_all());
    sync(temporary.path()).map_err(FolderError::of(path))?;
    fs::rename(temporary.path(), path).map_err(FolderError::of(path))?;
    // What is renamed needs not be deleted.
    let _ = temporary.keep();
    sync(parent).map_err(FolderError::of(parent))
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A file that only the owner may read, which is there whole or not at all. One that is there already stays as it is.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    publish_private(path, content, |file| file.persist_noclobber(path))
}

/// The same, in the place of one that is there.
pub fn replace_private(path: &Path, content: &[u8]) -> io::Result<()> {
    publish_private(path, content, |file| file.persist(path))
}

fn publish_private(
    path: &Path,
    content: &[u8],
    persist: impl FnOnce(NamedTempFile) -> Result<File, PersistError>,
) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".stillframe-").suffix(".partial").tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    persist(file).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_locked_private_and_cleared_of_what_is_half_done() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/data");
        let folder = DataFolder::open(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&folder.snapshots())), (0o700, 0o700));
        assert!(matches!(DataFolder::open(&path), Err(FolderError::InUse { .. })));
        fs::write(folder.snapshots().join(".stillframe-x.partial"), "half").unwrap();
        fs::write(folder.snapshots().join("whole.db"), "whole").unwrap();
        fs::create_dir(path.join(".stillframe-y.partial")).unwrap();
        drop(folder);
        let folder = DataFolder::open(&path).unwrap();
        let names = |path: &Path| {
            let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&folder.snapshots()), ["whole.db"]);
        assert_eq!(names(&path), ["lock", "snapshots"]);
    }

    #[test]
    fn what_is_there_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pki");
        write_folder(&path, &[("a", b"1"), ("b", b"2")]).unwrap();
        assert!(write_folder(&path, &[("a", b"3")]).is_err());
        assert_eq!(fs::read(path.join("a")).unwrap(), b"1");
        let file = folder.path().join("node.pem");
        write_private(&file, b"first").unwrap();
        assert_eq!(write_private(&file, b"second").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&file).unwrap(), b"first");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
