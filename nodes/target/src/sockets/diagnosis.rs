//! What the kernel itself says of all sockets of a namespace: sock_diag(7). What comes back is parsed without a panic and in
//! bounded time, although it is the kernel's.

use super::{Ends, Entry, Kind, State, ends};
use netlink_packet_core::{
    DecodeError, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer, NetlinkHeader,
    NetlinkMessage, NetlinkPayload, ParseableParametrized,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags as InetStates,
};
use netlink_packet_sock_diag::unix::nlas::{Nla, UnixDiagName};
use netlink_packet_sock_diag::unix::{ShowFlags, StateFlags, UnixRequest, UnixResponse};
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{MsgFlags, NetlinkAddr, recvfrom, send};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;
use thiserror::Error;

/// The most that the kernel puts into one message of a dump is 32 KiB (net/netlink/af_netlink.c, `netlink_dump`).
const DATAGRAM_BYTES_MAX: usize = 64 << 10;

/// The tables of a namespace that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Tcp4,
    Tcp6,
    Udp4,
    Udp6,
    Unix,
}

pub(super) const TABLES: [Table; 5] = [Table::Tcp4, Table::Tcp6, Table::Udp4, Table::Udp6, Table::Unix];

#[derive(Debug, Error)]
pub(super) enum DiagnosisError {
    #[error("sock_diag: {0}")]
    System(#[from] Errno),
    #[error("sock_diag: an answer that is cut or not one ({0})")]
    Format(DecodeError),
    #[error("sock_diag: there is more than can be read in time")]
    Late,
}

impl Table {
    /// The name of the file that has the same, below `/proc/PID/net`.
    pub(super) fn file(self) -> &'static str {
        match self {
            Table::Tcp4 => "tcp",
            Table::Tcp6 => "tcp6",
            Table::Udp4 => "udp",
            Table::Udp6 => "udp6",
            Table::Unix => "unix",
        }
    }

    fn request(self) -> SockDiagMessage {
        let internet = |family: i32, protocol: i32, socket_id| {
            SockDiagMessage::InetRequest(InetRequest {
                family: family as u8,
                protocol: protocol as u8,
                extensions: ExtensionFlags::empty(),
                // Those are no process's, and may be very many.
                states: InetStates::all() - InetStates::TIME_WAIT,
                socket_id,
            })
        };
        match self {
            Table::Tcp4 => internet(libc::AF_INET, libc::IPPROTO_TCP, SocketId::new_v4()),
            Table::Tcp6 => internet(libc::AF_INET6, libc::IPPROTO_TCP, SocketId::new_v6()),
            Table::Udp4 => internet(libc::AF_INET, libc::IPPROTO_UDP, SocketId::new_v4()),
            Table::Udp6 => internet(libc::AF_INET6, libc::IPPROTO_UDP, SocketId::new_v6()),
            Table::Unix => SockDiagMessage::UnixRequest(UnixRequest {
                // Those without a connection, too: TCP_CLOSE, which the library has no name for.
                state_flags: StateFlags::from_bits_retain(u32::MAX),
                inode: 0,
                show_flags: ShowFlags::NAME | ShowFlags::PEER | ShowFlags::RQLEN,
                cookie: [0xff; 8],
            }),
        }
    }
}

/// All sockets of a table, in the namespace of the netlink socket.
pub(super) fn dump(
    socket: &OwnedFd,
    table: Table,
    until: Instant,
    each: &mut dyn FnMut(Entry),
) -> Result<(), DiagnosisError> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut request = NetlinkMessage::new(header, NetlinkPayload::from(table.request()));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    send(socket.as_raw_fd(), &bytes, MsgFlags::empty())?;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        if Instant::now() > until {
            return Err(DiagnosisError::Late);
        }
        let (length, sender) = match recvfrom::<NetlinkAddr>(socket.as_raw_fd(), &mut buffer) {
            Err(Errno::EINTR) => continue,
            Err(Errno::EAGAIN) => return Err(DiagnosisError::Late),
            received => received?,
        };
        // Any process may send to a netlink socket; the kernel is 0 (netlink(7)).
        if sender.is_some_and(|sender| sender.pid() != 0) {
            continue;
        }
        if answers(&buffer[..length], table, each)? {
            return Ok(());
        }
    }
}

/// Takes one datagram apart. Whether it is the last one.
fn answers(datagram: &[u8], table: Table, each: &mut dyn FnMut(Entry)) -> Result<bool, DiagnosisError> {
    let mut rest = datagram;
    while !rest.is_empty() {
        let message = NetlinkBuffer::new_checked(rest).map_err(DiagnosisError::Format)?;
        let payload = message.payload();
        match message.message_type() {
            NLMSG_DONE | NLMSG_ERROR => return end(payload).map(|()| true),
            kind => {
                // One that cannot be understood is missing alone: its descriptor is counted as unknown.
                if let Ok(answer) = SockDiagMessage::parse_with_param(payload, kind)
                    && let Some(entry) = entry(answer, table)
                {
                    each(entry);
                }
            }
        }
        // Messages begin at multiples of 4 (NLMSG_ALIGN). None is shorter than its header: this ends.
        let length = (message.length() as usize).next_multiple_of(4).max(4);
        rest = rest.get(length..).unwrap_or_default();
    }
    Ok(false)
}

/// Of both: a number, which is negative for an error (netlink(7), NLMSG_ERROR).
fn end(payload: &[u8]) -> Result<(), DiagnosisError> {
    match payload.first_chunk().map(|bytes| i32::from_ne_bytes(*bytes)) {
        Some(number) if number < 0 => Err(Errno::from_raw(number.saturating_neg()).into()),
        _ => Ok(()),
    }
}

fn entry(answer: SockDiagMessage, table: Table) -> Option<Entry> {
    match (answer, table) {
        (SockDiagMessage::InetResponse(response), Table::Tcp4 | Table::Tcp6) => {
            Some(internet(&response, Kind::Tcp))
        }
        (SockDiagMessage::InetResponse(response), Table::Udp4 | Table::Udp6) => {
            Some(internet(&response, Kind::Udp))
        }
        (SockDiagMessage::UnixResponse(response), Table::Unix) => unix(&response),
        _ => None,
    }
}

fn internet(response: &InetResponse, kind: Kind) -> Entry {
    let header = &response.header;
    let id = &header.socket_id;
    Entry {
        inode: header.inode.into(),
        cookie: cookie(id.cookie),
        kind,
        ends: ends(
            SocketAddr::new(id.source_address, id.source_port),
            SocketAddr::new(id.destination_address, id.destination_port),
        ),
        state: State::of(header.state),
        receive_queue: Some(header.recv_queue),
        send_queue: Some(header.send_queue),
    }
}

fn unix(response: &UnixResponse) -> Option<Entry> {
    let header = &response.header;
    let kind = unix_kind(header.kind.into())?;
    let queues = response.nlas.iter().find_map(|nla| match nla {
        Nla::ReceiveQueueLength(receive, send) => Some((*receive, *send)),
        _ => None,
    });
    let name = match response.name() {
        Some(UnixDiagName::Pathname(path)) => path.as_encoded_bytes().to_vec(),
        Some(UnixDiagName::Abstract(name)) => [&[0], &name[..]].concat(),
        None => Vec::new(),
    };
    // 0: the other end was not accepted yet.
    let peer_inode = response.peer().filter(|inode| *inode != 0).map(u64::from);
    Some(Entry {
        inode: header.inode.into(),
        cookie: cookie(header.cookie),
        kind,
        ends: Ends::Unix { name, peer_name: Vec::new(), peer_inode },
        state: State::of(header.state),
        receive_queue: queues.map(|(receive, _)| receive),
        send_queue: queues.map(|(_, send)| send),
    })
}

/// SOCK_STREAM and so on, socket(2).
pub(super) fn unix_kind(number: i32) -> Option<Kind> {
    match number {
        libc::SOCK_STREAM => Some(Kind::UnixStream),
        libc::SOCK_DGRAM => Some(Kind::UnixDatagram),
        libc::SOCK_SEQPACKET => Some(Kind::UnixSequenced),
        _ => None,
    }
}

/// Two words, the lower one first (net/core/sock_diag.c, `sock_diag_save_cookie`); all ones: INET_DIAG_NOCOOKIE.
fn cookie(bytes: [u8; 8]) -> Option<u64> {
    let word =
        |at: usize| u64::from(u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
    let cookie = word(4) << 32 | word(0);
    (cookie != u64::MAX && cookie != 0).then_some(cookie)
}

#[cfg(test)]
mod tests {
    use super::super::namespace::Namespace;
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::io::Write;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
    use std::time::Duration;

    fn inode(socket: &impl AsRawFd) -> u64 {
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap();
        super::super::descriptors::socket_inode(link.as_os_str().as_encoded_bytes()).unwrap()
    }

    fn all() -> HashMap<u64, Entry> {
        let namespace = Namespace::of(std::process::id()).unwrap();
        assert!(namespace.is_own);
        let socket = namespace.netlink().unwrap();
        let mut found = HashMap::new();
        for table in TABLES {
            let until = Instant::now() + Duration::from_secs(9);
            dump(&socket, table, until, &mut |entry| drop(found.insert(entry.inode, entry))).unwrap();
        }
        found
    }

    #[test]
    fn the_kernel_knows_the_sockets_of_this_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let waiting = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        client.write_all(b"hello").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let name = format!("stillframe-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let unix = UnixListener::bind_addr(&address).unwrap();
        let mut one = UnixStream::connect_addr(&address).unwrap();
        let (other, _) = unix.accept().unwrap();
        one.write_all(b"12").unwrap();
        let unbound = UnixDatagram::unbound().unwrap();
        // Loopback hands bytes over in the same call or soon after.
        std::thread::sleep(Duration::from_millis(20));
        let all = all();

        let of = |socket: &dyn AsRawFd| all[&inode(&socket.as_raw_fd())].clone();
        let (local, remote) = (client.local_addr().unwrap(), client.peer_addr().unwrap());
        let client_entry = of(&client);
        assert_eq!(client_entry.connection(), Some((local, remote)));
        assert_eq!(client_entry.state, State::Established);
        let server_entry = of(&server);
        assert_eq!(server_entry.connection(), Some((remote, local)));
        assert_eq!((server_entry.receive_queue, server_entry.kind), (Some(5), Kind::Tcp));
        assert!(server_entry.cookie.is_some() && server_entry.cookie != client_entry.cookie);
        let listening = of(&listener);
        assert_eq!(
            (listening.state, listening.receive_queue, listening.connection()),
            (State::Listen, Some(1), None)
        );
        drop(waiting);
        assert_eq!((of(&udp).kind, of(&udp).local()), (Kind::Udp, Some(udp.local_addr().unwrap())));
        let peer = |entry: &Entry| match &entry.ends {
            Ends::Unix { name, peer_inode, .. } => (name.clone(), *peer_inode),
            Ends::Internet { .. } => panic!("{entry:?}"),
        };
        let name = [b"\0", name.as_bytes()].concat();
        assert_eq!(peer(&of(&one)), (Vec::new(), Some(inode(&other))));
        assert_eq!(peer(&of(&other)), (name.clone(), Some(inode(&one))));
        assert_eq!(of(&other).receive_queue, Some(2));
        assert_eq!((peer(&of(&unix)), of(&unix).state), ((name, None), State::Listen));
        assert_eq!((of(&unbound).kind, of(&unbound).state), (Kind::UnixDatagram, State::Close));
    }

    #[test]
    fn an_error_of_the_kernel_is_one() {
        // NLMSG_ERROR with -ENOENT: a table that this kernel does not have.
        let mut datagram = vec![20, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        datagram.extend((-2i32).to_ne_bytes());
        let error = answers(&datagram, Table::Unix, &mut |_| panic!("no socket")).unwrap_err();
        assert!(matches!(error, DiagnosisError::System(Errno::ENOENT)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_sockets_or_an_error(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
            length in 0..300u32,
            kind in prop_oneof![Just(20u16), Just(2), Just(3), any::<u16>()],
            family in prop_oneof![Just(1u8), Just(2), Just(10), any::<u8>()],
        ) {
            if bytes.len() > 16 {
                bytes[..4].copy_from_slice(&length.to_ne_bytes());
                bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
                bytes[16] = family;
            }
            for table in TABLES {
                let _ = answers(&bytes, table, &mut |_| {});
            }
        }
    }
}
