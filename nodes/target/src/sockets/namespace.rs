//! A netlink socket in the network namespace of a process (network_namespaces(7)).

use crate::privilege;
use caps::Capability;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The kernel answers at once, or never will.
const ANSWER_S_MAX: i64 = 1;

/// A network namespace, held open.
#[derive(Debug)]
pub(super) struct Namespace {
    file: File,
    pub(super) inode: u64,
    /// It is that of this process.
    pub(super) is_own: bool,
}

impl Namespace {
    pub(super) fn of(pid: u32) -> io::Result<Namespace> {
        let file = File::open(format!("/proc/{pid}/ns/net"))?;
        let inode = file.metadata()?.ino();
        // Threads may be in different ones.
        let own = std::fs::metadata("/proc/thread-self/ns/net")?.ino();
        Ok(Namespace { file, inode, is_own: inode == own })
    }

    /// A socket belongs for good to the namespace in which it was made. The thread that enters another one ends there: it does
    /// nothing else, and nothing else sees that namespace.
    pub(super) fn netlink(&self) -> io::Result<OwnedFd> {
        if self.is_own {
            return netlink().map_err(Into::into);
        }
        let entered = || {
            privilege::use_for_this_thread(Capability::CAP_SYS_ADMIN);
            setns(&self.file, CloneFlags::CLONE_NEWNET).and_then(|()| netlink())
        };
        let made = std::thread::scope(|scope| {
            let thread =
                std::thread::Builder::new().name("namespace".to_owned()).spawn_scoped(scope, entered)?;
            thread.join().map_err(|_| io::Error::other("the thread that enters it has panicked"))
        })?;
        made.map_err(Into::into)
    }
}

/// `net:[4026531840]`, of a link in `/proc/PID/ns`.
pub(super) fn inode(link: &Path) -> Option<u64> {
    let link = std::fs::read_link(link).ok()?;
    link.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

fn netlink() -> Result<OwnedFd, Errno> {
    let kind = SockType::Datagram;
    let protocol = SockProtocol::NetlinkSockDiag;
    let socket = socket(AddressFamily::Netlink, kind, SockFlag::SOCK_CLOEXEC, protocol)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(ANSWER_S_MAX))?;
    Ok(socket)
}
