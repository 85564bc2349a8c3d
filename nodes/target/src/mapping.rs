//! A file of Stillframe's own cache as memory that the kernel shares and can take back.
//!
//! Only of files that this process made, or that another one of its user made for it in a folder that nobody else may
//! write to: a mapped file that is truncated gives SIGBUS. Such files are written under another name, renamed, and never
//! written to again; deleting them leaves their mappings whole. Anything else is read (see [`crate::executable`]).

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use memmap2::{Mmap, MmapOptions};
use nix::unistd::Uid;

/// Others than the owner may write to it.
const OTHERS_WRITE: u32 = 0o022;

/// A whole file, read-only.
#[derive(Debug)]
pub struct Mapping(Mmap);

impl Mapping {
    /// Refuses a file that is another user's, or that others may write to.
    pub fn of(file: &File) -> io::Result<Mapping> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        if metadata.uid() != Uid::effective().as_raw() || metadata.mode() & OTHERS_WRITE != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "others than this user may write to it",
            ));
        }
        // SAFETY: the slice that this gives must not change while it lives. The file is one that only this user may write
        // to, which the check above has seen, and those of this user that write such files (see the top of this file)
        // write to them before they have their names, and never afterwards.
        let mapping = unsafe { MmapOptions::new().map(file)? };
        Ok(Mapping(mapping))
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_of_this_user_is_mapped_and_outlives_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "content").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let mapping = Mapping::of(&File::open(&path).unwrap()).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(mapping.as_ref(), b"content");
    }

    #[test]
    fn what_others_may_change_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "content").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o622)).unwrap();
        let refused = Mapping::of(&File::open(&path).unwrap()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert!(Mapping::of(&File::open(folder.path()).unwrap()).is_err());
    }
}
