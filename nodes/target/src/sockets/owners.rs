//! Which processes have the sockets at the other ends: one pass over the descriptors of all processes of this host.

use super::Owner;
use super::descriptors::socket_inode;
use crate::proc_files::{self, Stat};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

/// Sockets of a host that are noted.
const SOCKETS_MAX: usize = 1 << 20;
/// Of a process that shares a socket, that are looked at again.
const SHARED_DESCRIPTORS_MAX: usize = 16_384;
/// Bytes of a command line, and arguments: PostgreSQL's says user, database, client and what it does in far less.
const CMDLINE_BYTES_MAX: u64 = 4_096;
const ARGUMENTS_MAX: usize = 256;

/// By the inode of the socket: the processes that have it, the first and the last of them by their pids.
#[derive(Debug, Default)]
pub(super) struct Owners {
    pids: HashMap<u64, (u32, u32)>,
    /// When each of these was started, in clock ticks since boot: a number may be another process's later.
    started: HashMap<u32, u64>,
    pub(super) problem: Option<String>,
}

impl Owners {
    /// Processes that were not looked at by then have no names.
    pub(super) fn look(until: Instant) -> Owners {
        let mut owners = Owners::default();
        let Ok(processes) = fs::read_dir("/proc") else {
            return Owners { problem: Some("/proc cannot be listed".to_owned()), ..owners };
        };
        for process in processes.flatten() {
            let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let Ok(stat) = Stat::read(&format!("/proc/{pid}/stat")) else { continue };
            owners.started.insert(pid, stat.start_ticks);
            // Of other users', without the permission: their sockets have no names.
            let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
            for descriptor in descriptors.flatten() {
                if Instant::now() > until || owners.pids.len() >= SOCKETS_MAX {
                    let why = "processes at the other ends of sockets: there are too many descriptors to look at all";
                    owners.problem = Some(why.to_owned());
                    return owners;
                }
                let Ok(link) = fs::read_link(descriptor.path()) else { continue };
                if let Some(inode) = socket_inode(link.as_os_str().as_bytes()) {
                    owners.note(inode, pid);
                }
            }
        }
        owners
    }

    fn note(&mut self, inode: u64, pid: u32) {
        let (first, last) = self.pids.entry(inode).or_insert((pid, pid));
        (*first, *last) = (pid.min(*first), pid.max(*last));
    }

    /// Of several processes that share a socket the one that was started last, as far as pids tell: a server's child, not the
    /// server or the manager of services that has handed the socket on. But one that was about to exec has it no more.
    pub(super) fn pid(&self, inode: u64) -> Option<u32> {
        let (first, last) = *self.pids.get(&inode)?;
        Some(if first == last || has(last, inode) { last } else { first })
    }

    /// Which of these have an owner.
    pub(super) fn of(&self, inodes: &HashSet<u64>) -> HashMap<u64, u32> {
        inodes.iter().filter_map(|inode| Some((*inode, self.pid(*inode)?))).collect()
    }
}

impl Owners {
    /// What one of them is; `None`: it is gone.
    pub(super) fn owner(&self, pid: u32) -> Option<Owner> {
        let owner = read(pid)?;
        let now = Stat::read(&format!("/proc/{pid}/stat")).ok()?;
        (self.started.get(&pid) == Some(&now.start_ticks)).then_some(owner)
    }
}

/// Whether a descriptor of the process names the socket.
fn has(pid: u32, inode: u64) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut inodes = descriptors
        .take(SHARED_DESCRIPTORS_MAX)
        .filter_map(|descriptor| socket_inode(fs::read_link(descriptor.path()).ok()?.as_os_str().as_bytes()));
    inodes.any(|of| of == inode)
}

fn read(pid: u32) -> Option<Owner> {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).ok();
    let name = exe.as_deref().and_then(|exe| exe.file_name()).map(|name| name.to_string_lossy().into_owned());
    let program = match name {
        Some(name) => name.strip_suffix(" (deleted)").unwrap_or(&name).to_owned(),
        None => Stat::read(&format!("/proc/{pid}/stat")).ok()?.comm,
    };
    let bytes = proc_files::read_at_most(&format!("/proc/{pid}/cmdline"), CMDLINE_BYTES_MAX).ok()?;
    let arguments = bytes.split(|byte| *byte == 0).take(ARGUMENTS_MAX);
    // A title that was written over the arguments (`setproctitle`) is followed by zero bytes.
    let cmdline: Vec<String> =
        arguments.map(|argument| String::from_utf8_lossy(argument).trim_end().to_owned()).collect();
    let end = cmdline.iter().rposition(|argument| !argument.is_empty()).map_or(0, |last| last + 1);
    Some(Owner { pid, program, cmdline: cmdline.into_iter().take(end).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_socket_of_this_process_leads_to_it() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let link = fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        let inode = socket_inode(link.as_os_str().as_bytes()).unwrap();
        let owners = Owners::look(Instant::now() + std::time::Duration::from_secs(9));
        // Another test may have forked with this socket open, for a moment.
        assert!(owners.pid(inode).is_some_and(|pid| pid >= std::process::id()), "{:?}", owners.problem);
        let itself = owners.owner(std::process::id()).unwrap();
        assert!(itself.program.starts_with("stillframe_target"), "{itself:?}");
        assert_eq!(itself.cmdline.len(), std::env::args().count());
        assert_eq!(owners.owner(u32::MAX), None);
        let other = Owners { started: HashMap::from([(std::process::id(), 0)]), ..Owners::default() };
        assert_eq!(other.owner(std::process::id()), None, "it was another process");
    }
}
