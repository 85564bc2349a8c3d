//! What `/proc/PID/net` says of all sockets of a namespace (proc_pid_net(5), Documentation/networking/proc_net_tcp.rst of
//! the kernel): less than sock_diag, but nobody has to enter the namespace.

use super::diagnosis::{Table, unix_kind};
use super::{Ends, Entry, Kind, State, ends};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

/// The longest line is that of a unix socket with a path of 108 bytes.
const LINE_BYTES_MAX: u64 = 4_096;

/// `__SO_ACCEPTCON` (include/uapi/linux/net.h): it listens.
const LISTENS: u32 = 1 << 16;
/// `SS_CONNECTED` (the same).
const CONNECTED: u32 = 3;

/// All sockets of a table. One that the kernel does not have is empty.
pub(super) fn read(pid: u32, table: Table, until: Instant, each: &mut dyn FnMut(Entry)) -> io::Result<()> {
    lines(&format!("/proc/{pid}/net/{}", table.file()), until, &mut |line| {
        if let Some(entry) = entry(line, table) {
            each(entry);
        }
    })
}

/// Every line of a file, the long ones cut; an error if it takes too long.
pub(super) fn lines(path: &str, until: Instant, each: &mut dyn FnMut(&str)) -> io::Result<()> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let (mut reader, mut line) = (BufReader::with_capacity(64 << 10, file), Vec::new());
    loop {
        line.clear();
        if reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        each(String::from_utf8_lossy(&line).trim_end_matches('\n'));
        if Instant::now() > until {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "there is more than can be read in time"));
        }
    }
}

fn entry(line: &str, table: Table) -> Option<Entry> {
    match table {
        Table::Tcp4 | Table::Tcp6 => internet(line, Kind::Tcp),
        Table::Udp4 | Table::Udp6 => internet(line, Kind::Udp),
        Table::Unix => unix(line),
    }
}

/// `0: 0100007F:1F90 0100007F:C350 01 00000000:00000005 00:00000000 00000000 1000 0 4711 ...`
fn internet(line: &str, kind: Kind) -> Option<Entry> {
    let mut words = line.split_ascii_whitespace();
    let (local, remote) = (address(words.nth(1)?)?, address(words.next()?)?);
    let state = State::of(u8::from_str_radix(words.next()?, 16).ok()?);
    let (send, receive) = words.next()?.split_once(':')?;
    let queue = |text| u32::from_str_radix(text, 16).ok();
    let inode = words.nth(4)?.parse().ok()?;
    Some(Entry {
        inode,
        cookie: None,
        kind,
        ends: ends(local, remote),
        state,
        receive_queue: queue(receive),
        // How many may wait to be accepted is not said here.
        send_queue: if state == State::Listen { None } else { queue(send) },
    })
}

/// Of 4 or 16 bytes, in words of the processor's byte order, and the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = address.get(8 * at..8 * at + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            Ipv6Addr::from(bytes).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// `ffff9a8b4c00: 00000002 00000000 00010000 0001 01 4711 /run/bus`; who is at the other end is not said.
fn unix(line: &str) -> Option<Entry> {
    let mut words = line.splitn(8, ' ').filter(|word| !word.is_empty());
    let mut number = |skip: usize| words.nth(skip).and_then(|word| u32::from_str_radix(word, 16).ok());
    let (flags, kind, state) = (number(3)?, number(0)?, number(0)?);
    // The inode is aligned to the right, and what follows is the path.
    let rest = line.split_ascii_whitespace().nth(6)?;
    let inode = rest.parse().ok()?;
    let path = line.split_once(&format!(" {rest}"))?.1.strip_prefix(' ').unwrap_or("");
    // A zero byte is shown as @ (net/unix/af_unix.c, `unix_seq_show`): of a path that begins so nobody knows which it is.
    let name = match path.strip_prefix('@') {
        Some(name) => [b"\0", name.as_bytes()].concat(),
        None => path.as_bytes().to_vec(),
    };
    let state = match state {
        _ if flags & LISTENS != 0 => State::Listen,
        CONNECTED => State::Established,
        _ => State::Close,
    };
    Some(Entry {
        inode,
        cookie: None,
        kind: unix_kind(i32::try_from(kind).ok()?)?,
        ends: Ends::Unix { name, peer_name: Vec::new(), peer_inode: None },
        state,
        receive_queue: None,
        send_queue: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::diagnosis::{TABLES, dump};
    use super::super::namespace::Namespace;
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::{UnixListener, UnixStream};

    /// The file and the kernel's own answer are of the same tables.
    #[test]
    fn it_says_what_the_kernel_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b");
        let listener = TcpListener::bind("[::]:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let four = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let six = TcpStream::connect(("::1", port)).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        udp.connect("127.0.0.1:9").unwrap();
        let unix = UnixListener::bind(&path).unwrap();
        let _held = (&four, &six, UnixStream::connect(&path).unwrap());
        let socket = Namespace::of(std::process::id()).unwrap().netlink().unwrap();
        let pid = std::process::id();
        let (mut told, mut read_too) = (HashMap::new(), HashMap::new());
        for table in TABLES {
            let until = Instant::now() + std::time::Duration::from_secs(9);
            dump(&socket, table, until, &mut |entry| drop(told.insert(entry.inode, entry))).unwrap();
            read(pid, table, until, &mut |entry| drop(read_too.insert(entry.inode, entry))).unwrap();
        }
        let ours = super::super::Descriptors::of(pid).unwrap().sockets;
        let mut compared = 0;
        for (_, inode) in ours {
            let (Some(told), Some(read)) = (told.get(&inode), read_too.get(&inode)) else { continue };
            assert_eq!(
                (told.kind, told.state, told.connection(), told.local()),
                (read.kind, read.state, read.connection(), read.local())
            );
            if let (Ends::Unix { name, .. }, Ends::Unix { name: other, .. }) = (&told.ends, &read.ends) {
                assert_eq!(name, other);
            }
            compared += 1;
        }
        assert!(compared >= 6, "{compared}");
        drop(unix);
    }

    #[test]
    fn lines_of_other_machines_are_read() {
        if cfg!(target_endian = "big") {
            return;
        }
        let line = "   1: 0100007F:1F90 0200000A:C350 08 0000000A:00000005 00:00000000 00000000  1000        0 4711 1 0000000000000000 20 4 30 10 -1";
        let entry = internet(line, Kind::Tcp).unwrap();
        assert_eq!(
            entry.connection(),
            Some(("127.0.0.1:8080".parse().unwrap(), "10.0.0.2:50000".parse().unwrap()))
        );
        assert_eq!((entry.state, entry.inode), (State::CloseWait, 4711));
        assert_eq!((entry.send_queue, entry.receive_queue), (Some(10), Some(5)));
        // IPv4 in a socket of IPv6.
        let line = "   0: 0000000000000000FFFF00000100007F:0050 0000000000000000FFFF00000100007F:9C40 01 00000000:00000000 00:00000000 00000000     0        0 9 2 0 0";
        let entry = internet(line, Kind::Tcp).unwrap();
        assert_eq!(entry.local(), Some("127.0.0.1:80".parse().unwrap()));
        let line = "ffff8881: 00000002 00000000 00010000 0005 01  4711 @bus/a b";
        let entry = unix(line).unwrap();
        assert_eq!((entry.kind, entry.state, entry.inode), (Kind::UnixSequenced, State::Listen, 4711));
        assert_eq!(
            entry.ends,
            Ends::Unix { name: b"\0bus/a b".to_vec(), peer_name: Vec::new(), peer_inode: None }
        );
        assert!(unix("Num       RefCount Protocol Flags    Type St Inode Path").is_none());
    }

    proptest! {
        #[test]
        fn any_line_is_a_socket_or_none(line in "[ -~ä]{0,120}", tail in "([0-9A-F]{1,40}:[0-9A-F]{0,6} ?){0,12}") {
            for line in [&line, &tail] {
                for table in TABLES {
                    let _ = entry(line, table);
                }
            }
        }
    }
}
