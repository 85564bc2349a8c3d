//! A folder of files that can be made again: bounded in total, safe to delete at any time.
//!
//! A file is written under another name and renamed when it is whole, and never written to again. What was not used for
//! longest goes first: using a file touches it.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::futimens;
use nix::sys::time::TimeSpec;
use nix::unistd::Uid;
use tempfile::NamedTempFile;

/// Whatever is being made is called like this until it is whole.
const PARTIAL_PREFIX: &str = ".stillframe-";
const PARTIAL_SUFFIX: &str = ".partial";
/// What was being made and was not written to for so long was left by a crash.
const PARTIAL_ABANDONED_S: i64 = 3_600;
/// Others than the owner may write to it.
const OTHERS_WRITE: u32 = 0o022;

/// One file of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub bytes: u64,
    pub used_unix_s: i64,
}

#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
    bytes_max: u64,
}

impl Folder {
    /// Makes the folder if it is not there. One that others may write to is refused: what they put there would be believed.
    pub fn open(path: &Path, bytes_max: u64) -> io::Result<Folder> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let metadata = fs::metadata(path)?;
        if metadata.uid() != Uid::effective().as_raw() || metadata.mode() & OTHERS_WRITE != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "others than this user may write to it; give a folder of your own, with mode 0700",
            ));
        }
        let folder = Folder { path: path.to_owned(), bytes_max };
        folder.delete_abandoned()?;
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    fn delete_abandoned(&self) -> io::Result<()> {
        let now_s = stillframe_target::clock::realtime_ns() / 1_000_000_000;
        for entry in fs::read_dir(&self.path)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_partial = name.starts_with(PARTIAL_PREFIX) && name.ends_with(PARTIAL_SUFFIX);
            let is_old = |m: fs::Metadata| m.mtime() < now_s.saturating_sub(PARTIAL_ABANDONED_S);
            if is_partial && fs::symlink_metadata(&path).is_ok_and(is_old) {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// `None`: it is not there. It counts as used.
    pub fn file(&self, name: &str) -> io::Result<Option<File>> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(self.path.join(name));
        match opened {
            Ok(file) => {
                // That it counts as old is no failure.
                let _ = futimens(&file, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW);
                Ok(Some(file))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A file without a name of its own; only its owner may read it.
    pub fn begin(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new()
            .prefix(PARTIAL_PREFIX)
            .suffix(PARTIAL_SUFFIX)
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(&self.path)
    }

    /// Makes room, and gives a file its name, in the place of one that is there.
    pub fn finish(&self, file: NamedTempFile, name: &str) -> io::Result<File> {
        let bytes = file.as_file().metadata()?.len();
        if bytes > self.bytes_max {
            let reason = format!("{bytes} bytes are more than the {} of this folder", self.bytes_max);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, reason));
        }
        // After a crash of the host a file is whole or not there.
        file.as_file().sync_data()?;
        self.make_room(bytes)?;
        file.persist(self.path.join(name)).map_err(|error| error.error)
    }

    /// Until `bytes` more fit.
    fn make_room(&self, bytes: u64) -> io::Result<()> {
        let mut entries = self.entries()?;
        entries.sort_by_key(|entry| entry.used_unix_s);
        let mut sum: u64 = entries.iter().map(|entry| entry.bytes).sum();
        for entry in entries {
            if sum.saturating_add(bytes) <= self.bytes_max {
                break;
            }
            remove(&self.path.join(&entry.name))?;
            tracing::info!(file = entry.name, folder = %self.path.display(), "deleted, to make room");
            sum -= entry.bytes;
        }
        Ok(())
    }

    /// All whole files, in no order.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Another process deleted it.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if metadata.is_file() && !name.starts_with('.') {
                entries.push(Entry { name, bytes: metadata.len(), used_unix_s: metadata.mtime() });
            }
        }
        Ok(entries)
    }

    /// `false`: there was none.
    pub fn delete(&self, name: &str) -> io::Result<bool> {
        let path = self.path.join(name);
        let is_there = fs::symlink_metadata(&path).is_ok();
        remove(&path)?;
        Ok(is_there)
    }

    /// As if a file had been used at that time.
    #[cfg(test)]
    pub(super) fn set_used(&self, name: &str, unix_s: i64) {
        set_used(&self.path.join(name), unix_s);
    }
}

#[cfg(test)]
pub(super) fn set_used(path: &Path, unix_s: i64) {
    let time = TimeSpec::new(unix_s, 0);
    futimens(File::open(path).unwrap(), &time, &time).unwrap();
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn put(folder: &Folder, name: &str, bytes: usize) {
        let mut file = folder.begin().unwrap();
        file.write_all(&vec![0; bytes]).unwrap();
        folder.finish(file, name).unwrap();
    }

    fn names(folder: &Folder) -> Vec<String> {
        let mut names: Vec<_> = folder.entries().unwrap().into_iter().map(|e| e.name).collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(&parent.path().join("a/b"), 100).unwrap();
        for (name, age) in [("one", 10), ("two", 20), ("three", 30)] {
            put(&folder, name, 30);
            folder.set_used(name, age);
        }
        assert!(folder.file("one").unwrap().is_some());
        put(&folder, "four", 60);
        assert_eq!(names(&folder), ["four", "one"]);
        put(&folder, "four", 100);
        assert_eq!(names(&folder), ["four"]);
        let mut large = folder.begin().unwrap();
        large.write_all(&[0; 101]).unwrap();
        assert_eq!(folder.finish(large, "large").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(names(&folder), ["four"]);
        assert!(folder.file("large").unwrap().is_none());
        assert!(folder.delete("four").unwrap());
        assert!(!folder.delete("four").unwrap());
    }

    #[test]
    fn what_a_crash_left_is_deleted_and_what_is_being_made_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(parent.path(), 100).unwrap();
        let made = folder.begin().unwrap();
        let abandoned = parent.path().join(".stillframe-x.partial");
        fs::write(&abandoned, "half").unwrap();
        set_used(&abandoned, 1_000);
        Folder::open(parent.path(), 100).unwrap();
        assert!(made.path().exists());
        assert!(!abandoned.exists());
        assert_eq!(names(&folder), [""; 0]);
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), Permissions::from_mode(0o777)).unwrap();
        let refused = Folder::open(parent.path(), 100).unwrap_err();
        assert!(refused.to_string().contains("0700"), "{refused}");
    }

    #[test]
    fn a_link_is_not_followed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(parent.path(), 100).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", parent.path().join("link")).unwrap();
        assert!(folder.file("link").is_err());
    }
}
