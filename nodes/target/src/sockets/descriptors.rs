//! What the descriptors of a process name, by `/proc/PID/fd` (proc_pid_fd(5)).

use crate::process::ProcessError;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};
use stillframe_wire::limits::SOCKETS_PER_PROCESS_MAX;

/// For as long they are listed; measured, 20,000 of them take a tenth of a second.
const LISTING_MAX: Duration = Duration::from_secs(5);
/// Descriptors of no socket that are kept, and bytes of what one names.
const FILES_MAX: usize = 16 << 10;
const FILE_BYTES_MAX: usize = 256;

/// At one time. By number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Descriptors {
    /// The descriptor, and the inode of its socket.
    pub(super) sockets: Vec<(u32, u64)>,
    pub(super) files: Vec<(u32, String)>,
    /// There are more.
    pub(super) is_cut: bool,
}

impl Descriptors {
    pub(crate) fn of(pid: u32) -> Result<Descriptors, ProcessError> {
        let began = Instant::now();
        let folder = format!("/proc/{pid}/fd");
        let on = |error| ProcessError::on(pid, "fd", error);
        let mut found = Descriptors::default();
        for entry in fs::read_dir(&folder).map_err(on)? {
            if found.sockets.len() as u64 >= SOCKETS_PER_PROCESS_MAX || began.elapsed() > LISTING_MAX {
                found.is_cut = true;
                break;
            }
            let entry = entry.map_err(on)?;
            let Some(fd) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            match fs::read_link(entry.path()) {
                Ok(link) => found.add(fd, link.as_os_str().as_bytes()),
                // It was closed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(on(error)),
            }
        }
        found.sockets.sort_unstable();
        found.files.sort_unstable();
        Ok(found)
    }

    /// The last descriptor of which it says what it names.
    fn end(&self) -> u32 {
        if self.is_cut { self.sockets.last().map_or(0, |(fd, _)| *fd) } else { u32::MAX }
    }

    fn add(&mut self, fd: u32, link: &[u8]) {
        match socket_inode(link) {
            Some(inode) => self.sockets.push((fd, inode)),
            None if self.files.len() < FILES_MAX => {
                let shown = &link[..link.len().min(FILE_BYTES_MAX)];
                self.files.push((fd, String::from_utf8_lossy(shown).into_owned()));
            }
            None => {}
        }
    }

    /// What named the same both times: of each descriptor what it named then and later. And how many named a socket then or
    /// later, but not the same one.
    pub(super) fn unchanged(&self, later: &Descriptors) -> (Descriptors, u32) {
        // They are listed in their order: of those behind the end of a list that is cut nothing is known.
        let end = self.end().min(later.end());
        let up_to_end = |all: &Descriptors| all.sockets.partition_point(|(fd, _)| *fd <= end);
        let (before, later_ones) = (&self.sockets[..up_to_end(self)], &later.sockets[..up_to_end(later)]);
        let sockets = common(before, later_ones);
        let other = |(fd, inode): &&(u32, u64)| {
            before.binary_search_by_key(fd, |(fd, _)| *fd).is_ok_and(|at| before[at].1 != *inode)
        };
        // A descriptor that named one then and another one later is one.
        let twice = later_ones.iter().filter(other).count();
        let changed = before.len() + later_ones.len() - 2 * sockets.len() - twice;
        let files = common(&self.files, &later.files);
        let is_cut = self.is_cut || later.is_cut;
        (Descriptors { sockets, files, is_cut }, u32::try_from(changed).unwrap_or(u32::MAX))
    }
}

/// What both lists have, which are sorted.
fn common<T: Ord + Clone>(one: &[T], other: &[T]) -> Vec<T> {
    one.iter().filter(|item| other.binary_search(item).is_ok()).cloned().collect()
}

/// `socket:[4711]`.
pub(super) fn socket_inode(link: &[u8]) -> Option<u64> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_socket_of_this_process_is_there_by_its_inode() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let fd = socket.as_raw_fd();
        let before = Descriptors::of(std::process::id()).unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
        let inode = socket_inode(link.as_os_str().as_bytes()).unwrap();
        assert!(before.sockets.contains(&(fd as u32, inode)), "{before:?}");
        assert!(before.files.iter().any(|(fd, _)| *fd == 0));
        let (same, _) = before.unchanged(&before);
        assert_eq!(same, before);
        assert!(matches!(Descriptors::of(u32::MAX), Err(ProcessError::NotFound { .. })));
    }

    #[test]
    fn a_number_that_was_given_again_is_left_out_and_counted_once() {
        let of = |sockets: &[(u32, u64)]| Descriptors {
            sockets: sockets.to_vec(),
            files: vec![(1, "pipe:[5]".into())],
            is_cut: false,
        };
        // 4 stays, 5 is another one, 6 was closed, 7 is new.
        let (same, changed) = of(&[(4, 1), (5, 2), (6, 3)]).unchanged(&of(&[(4, 1), (5, 9), (7, 4)]));
        assert_eq!((same.sockets, changed), (vec![(4, 1)], 3));
        assert_eq!(same.files, [(1, "pipe:[5]".to_owned())]);
        let cut = Descriptors { is_cut: true, ..of(&[(4, 1)]) };
        let (same, changed) = of(&[(4, 1), (5, 2), (6, 3)]).unchanged(&cut);
        assert_eq!((same.sockets, changed, same.is_cut), (vec![(4, 1)], 0, true));
    }

    #[test]
    fn only_links_of_sockets_are_sockets() {
        for link in ["pipe:[7]", "socket:[]", "socket:[-1]", "socket:[1", "socket:[99999999999999999999]", ""]
        {
            assert_eq!(socket_inode(link.as_bytes()), None, "{link}");
        }
        assert_eq!(socket_inode(b"socket:[4711]"), Some(4711));
    }
}
