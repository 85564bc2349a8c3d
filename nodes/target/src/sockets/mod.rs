//! The sockets of a process: which of its descriptors name one, what the kernel says of it, and who is at the other end.
//!
//! Nothing of this is done while a target stands still. Its descriptors are listed before the stop and after it; what named
//! the same socket both times named it in the stop, too, as far as anybody can tell: a number that was closed and given to
//! another socket names another inode. What the kernel says is asked after the stop.
//!
//! * `descriptors`: `/proc/PID/fd`.
//! * `diagnosis`: sock_diag(7), in the network namespace of the process (`namespace`); `tables`: `/proc/PID/net`, where that is
//!   refused.
//! * `tracking`: addresses that this host translates, by `/proc/net/nf_conntrack`.
//! * `elsewhere`: other ends in other network namespaces of this host; `owners`: which process has the other end.
//! * `gather`: all of it put together; `shared`: once for all targets that ask at the same time.

mod descriptors;
mod diagnosis;
mod elsewhere;
mod gather;
mod namespace;
mod owners;
mod shared;
mod tables;
mod tracking;

pub(crate) use descriptors::Descriptors;
pub(crate) use gather::gather;
pub(crate) use shared::Shared;

use bincode::{Decode, Encode};
use std::net::SocketAddr;

/// Sockets of one network namespace that are looked at. More are left out, and `problems` says so.
const NAMESPACE_SOCKETS_MAX: usize = 1 << 20;

/// What its sockets are, as the freezer says it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    /// The inode of its network namespace; 0: not known.
    pub netns: u64,
    /// By descriptor.
    pub sockets: Vec<Socket>,
    /// Processes that [`Peer`] names by their index.
    pub owners: Vec<Owner>,
    /// Descriptors that name something else, by number: `pipe:[123]`, `/dev/pts/0`.
    pub files: Vec<(u32, String)>,
    /// Descriptors that did not name the same socket before the stop and after it.
    pub changed: u32,
    /// Sockets of which the kernel says nothing.
    pub unknown: u32,
    /// What is missing beside these, and why.
    pub problems: Vec<String>,
}

/// A descriptor's socket.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Socket {
    pub fd: u32,
    pub entry: Entry,
    /// What the other end has as its remote and as its local address, if this host translates them.
    pub translated: Option<(SocketAddr, SocketAddr)>,
    pub peer: Peer,
}

/// What the kernel says of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Entry {
    /// 0: no process has it (yet, or any more).
    pub inode: u64,
    pub cookie: Option<u64>,
    pub kind: Kind,
    pub ends: Ends,
    pub state: State,
    pub receive_queue: Option<u32>,
    pub send_queue: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Kind {
    Tcp,
    Udp,
    UnixStream,
    UnixDatagram,
    UnixSequenced,
}

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Ends {
    /// IPv4 that is written as IPv6 is IPv4 here.
    Internet { local: SocketAddr, remote: Option<SocketAddr> },
    /// A path, or a name behind a zero byte; empty: none.
    Unix { name: Vec<u8>, peer_name: Vec<u8>, peer_inode: Option<u64> },
}

/// States of TCP (include/net/tcp_states.h), which other sockets use as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum State {
    Established,
    SynSent,
    SynReceived,
    FinWait1,
    FinWait2,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
    /// One that this version does not know.
    Other(u8),
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Peer {
    /// It is connected to nothing, or nothing is known of it but its address.
    Unknown,
    /// The process itself.
    Itself,
    /// [`Sockets::owners`] has it.
    Owner(u32),
    /// It is connected, and waits for being accepted by that one.
    Accepting(u32),
}

/// A process that has the other end of a socket.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Owner {
    pub pid: u32,
    /// Its executable's file name; what it calls itself where that may not be seen.
    pub program: String,
    /// Not scrubbed, and cut.
    pub cmdline: Vec<String>,
}

impl State {
    pub fn of(number: u8) -> State {
        match number {
            1 => State::Established,
            2 => State::SynSent,
            // 12: TCP_NEW_SYN_RECV, the same before there is a socket.
            3 | 12 => State::SynReceived,
            4 => State::FinWait1,
            5 => State::FinWait2,
            6 => State::TimeWait,
            7 => State::Close,
            8 => State::CloseWait,
            9 => State::LastAck,
            10 => State::Listen,
            11 => State::Closing,
            other => State::Other(other),
        }
    }

    pub fn name(self) -> String {
        let name = match self {
            State::Established => "established",
            State::SynSent => "syn sent",
            State::SynReceived => "syn received",
            State::FinWait1 => "fin wait 1",
            State::FinWait2 => "fin wait 2",
            State::TimeWait => "time wait",
            State::Close => "close",
            State::CloseWait => "close wait",
            State::LastAck => "last ack",
            State::Listen => "listen",
            State::Closing => "closing",
            State::Other(number) => return format!("state {number}"),
        };
        name.to_owned()
    }
}

impl Socket {
    /// What the other end of a connection must have: its local and its remote address.
    fn other_end(&self) -> Option<(Kind, SocketAddr, SocketAddr)> {
        let (local, remote) = self.entry.connection()?;
        let (other_remote, other_local) = self.translated.unwrap_or((local, remote));
        Some((self.entry.kind, other_local, other_remote))
    }
}

impl Entry {
    /// Both addresses of one that is connected.
    fn connection(&self) -> Option<(SocketAddr, SocketAddr)> {
        match self.ends {
            Ends::Internet { local, remote: Some(remote) } => Some((local, remote)),
            _ => None,
        }
    }

    /// Its own address.
    fn local(&self) -> Option<SocketAddr> {
        match self.ends {
            Ends::Internet { local, .. } => Some(local),
            Ends::Unix { .. } => None,
        }
    }
}

/// As they are compared: IPv4 as IPv4, without flow and scope, which differ at the other end. No remote one: it is 0.
fn ends(local: SocketAddr, remote: SocketAddr) -> Ends {
    let plain = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (local, remote) = (plain(local), plain(remote));
    let is_connected = remote.port() != 0 || !remote.ip().is_unspecified();
    Ends::Internet { local, remote: is_connected.then_some(remote) }
}
