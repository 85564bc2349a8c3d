//! The files of `/proc/PID` that are read during a freeze, opened before it. They stay bound to the process they were
//! opened on: if the pid is used again, reading them fails.

use crate::proc_files::{Stat, is_gone};
use crate::process::ProcessError;
use nix::errno::Errno;
use nix::libc;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

/// Room for the names of about 1,300 threads a call.
const DIRECTORY_BYTES: usize = 32 << 10;

/// `/proc/PID/task` and `/proc/PID/stat`.
#[derive(Debug)]
pub(super) struct Tasks {
    directory: File,
    stat: File,
    buffer: Vec<u8>,
}

impl Tasks {
    pub(super) fn open(pid: u32) -> Result<Tasks, ProcessError> {
        let open =
            |file| File::open(format!("/proc/{pid}/{file}")).map_err(|e| ProcessError::on(pid, file, e));
        Ok(Tasks { directory: open("task")?, stat: open("stat")?, buffer: vec![0; DIRECTORY_BYTES] })
    }

    /// The thread ids, into `tids`, whose capacity is used. Nothing is allocated if it suffices.
    pub(super) fn list(&mut self, tids: &mut Vec<i32>) -> io::Result<()> {
        tids.clear();
        self.directory.seek(SeekFrom::Start(0))?;
        loop {
            // SAFETY: getdents64 writes at most as many bytes as `buffer` is long into it, and it is borrowed mutably.
            let read = unsafe {
                libc::syscall(
                    libc::SYS_getdents64,
                    self.directory.as_raw_fd(),
                    self.buffer.as_mut_ptr(),
                    self.buffer.len(),
                )
            };
            match Errno::result(read)? {
                0 => return Ok(()),
                read => thread_ids(&self.buffer[..read as usize], tids),
            }
        }
    }

    /// `/proc/PID/stat`, now.
    pub(super) fn stat(&self) -> io::Result<Stat> {
        let mut bytes = [0; 2048];
        let read = self.stat.read_at(&mut bytes, 0)?;
        Stat::parse(&bytes[..read]).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }

    /// Whether an error of these means that the process is no more.
    pub(super) fn gone(error: &io::Error) -> bool {
        is_gone(error)
    }
}

/// `struct linux_dirent64` (getdents(2)): inode 8 bytes, offset 8, record length 2, type 1, name up to a zero byte.
fn thread_ids(mut records: &[u8], tids: &mut Vec<i32>) {
    while let Some(length) = records.get(16..18) {
        let length = usize::from(u16::from_ne_bytes([length[0], length[1]]));
        let Some((record, rest)) = records.split_at_checked(length).filter(|_| length > 19) else { return };
        let name = record[19..].split(|b| *b == 0).next().unwrap_or_default();
        tids.extend(std::str::from_utf8(name).ok().and_then(|name| name.parse::<i32>().ok()));
        records = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threads_of_this_process_are_listed_and_counted() {
        let mut tasks = Tasks::open(std::process::id()).unwrap();
        let mut tids = Vec::new();
        tasks.list(&mut tids).unwrap();
        assert!(tids.contains(&(std::process::id() as i32)));
        tasks.list(&mut tids).unwrap();
        assert!(tids.contains(&nix::unistd::gettid().as_raw()));
        assert!(tasks.stat().unwrap().threads >= 1);
    }

    #[test]
    fn cut_records_are_left_out() {
        let mut record = vec![0; 24];
        record[16] = 24;
        record[19..21].copy_from_slice(b"42");
        let mut tids = Vec::new();
        for length in 0..24 {
            thread_ids(&record[..length], &mut tids);
        }
        assert!(tids.is_empty());
        thread_ids(&record, &mut tids);
        assert_eq!(tids, [42]);
        thread_ids(&[0; 64], &mut tids);
        assert_eq!(tids, [42]);
    }
}
