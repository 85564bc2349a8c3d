//! The executable of a process.
//!
//! It is read by `pread`, never mapped: a file that somebody truncates gives SIGBUS to those who mapped it. That an
//! executable in use cannot be written (ETXTBSY) is no protection: it ends with the process, network and FUSE file
//! systems do not keep it, and Linux 6.11 and 6.12 did without it. A copy is made of the parts that are asked for, so
//! a caller asks for sections, not for the file.

use crate::process::ProcessError;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use thiserror::Error;

/// An executable's content could not be read.
#[derive(Debug, Error)]
pub enum ExecutableError {
    #[error(
        "the executable of pid {pid}: {length} bytes at {offset} are more than the {length_max} that one read may have"
    )]
    TooLong { pid: u32, offset: u64, length: u64, length_max: u64 },
    #[error("the executable of pid {pid}: {length} bytes at {offset}: {source}; was it truncated?")]
    Read { pid: u32, offset: u64, length: u64, source: io::Error },
}

/// The most that one read may have, in bytes.
pub const READ_BYTES_MAX: u64 = 4 << 30;

/// Tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    pub device: u64,
    pub inode: u64,
    pub length: u64,
    pub modified_unix_ns: i64,
}

/// The executable that a process runs, open.
#[derive(Debug)]
pub struct Executable {
    pid: u32,
    file: File,
    identity: Identity,
}

impl Executable {
    /// Opens `/proc/PID/exe`, which leads to the file itself, whether or not it is deleted or in another mount
    /// namespace.
    pub fn open(pid: u32) -> Result<Executable, ProcessError> {
        let file = File::open(format!("/proc/{pid}/exe"));
        file.and_then(|file| Executable::of(pid, file)).map_err(|error| ProcessError::on(pid, "exe", error))
    }

    /// That of process `pid`, which somebody else opened.
    pub(crate) fn of(pid: u32, file: File) -> io::Result<Executable> {
        let metadata = file.metadata()?;
        let identity = Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified_unix_ns: metadata
                .mtime()
                .saturating_mul(1_000_000_000)
                .saturating_add(metadata.mtime_nsec()),
        };
        Ok(Executable { pid, file, identity })
    }

    /// As it was when it was opened.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// How long the file was when it was opened, in bytes.
    pub fn length(&self) -> u64 {
        self.identity.length
    }

    /// Fills `buffer` from `offset`.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ExecutableError> {
        let length = buffer.len() as u64;
        self.file.read_exact_at(buffer, offset).map_err(|source| ExecutableError::Read {
            pid: self.pid,
            offset,
            length,
            source,
        })
    }

    /// `length` bytes from `offset`. What lies behind the end of the file is refused before memory is spent on it.
    pub fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, ExecutableError> {
        let pid = self.pid;
        if length > READ_BYTES_MAX {
            return Err(ExecutableError::TooLong { pid, offset, length, length_max: READ_BYTES_MAX });
        }
        if offset.checked_add(length).is_none_or(|end| end > self.identity.length) {
            let source = io::Error::from(io::ErrorKind::UnexpectedEof);
            return Err(ExecutableError::Read { pid, offset, length, source });
        }
        let mut bytes = vec![0; length as usize];
        self.read_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// The open file, for `object::ReadCache` and its like; its position is nobody else's.
    pub fn into_file(self) -> File {
        self.file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_of_this_process_is_an_elf_file() {
        let executable = Executable::open(std::process::id()).unwrap();
        assert_eq!(executable.read(0, 4).unwrap(), b"\x7fELF");
        assert_eq!(executable.identity().length, std::fs::metadata("/proc/self/exe").unwrap().len());
    }

    #[test]
    fn a_read_behind_the_end_is_refused() {
        let executable = Executable::open(std::process::id()).unwrap();
        assert!(matches!(executable.read(executable.length() - 1, 2), Err(ExecutableError::Read { .. })));
        assert!(matches!(executable.read(0, u64::MAX), Err(ExecutableError::TooLong { .. })));
        assert!(matches!(executable.read(u64::MAX, 1), Err(ExecutableError::Read { .. })));
    }
}
