//! The sockets of a process, as wire types: addresses as text, and the other ends in words.

use std::collections::HashMap;
use std::net::SocketAddr;

use stillframe_target::sockets::{Ends, Kind, Owner, Peer, Sockets, State};
use stillframe_wire::facts::{Gap, Socket};
use stillframe_wire::limits::{SOCKET_TEXT_BYTES_MAX, TEXT_BYTES_MAX};

use crate::scrub;

/// What is known of a process's descriptors.
#[derive(Debug, Default)]
pub(crate) struct Converted {
    pub(crate) sockets: Vec<Socket>,
    /// What descriptors name that are no sockets.
    pub(crate) files: HashMap<u32, String>,
    pub(crate) gap: Option<Gap>,
}

/// `found`: or why nothing is known.
pub(crate) fn convert(found: Result<Sockets, String>) -> Converted {
    let mut found = match found {
        Ok(found) => found,
        Err(why) => return Converted { gap: Some(gap(why)), ..Converted::default() },
    };
    let mut missing = Vec::new();
    if found.changed > 0 {
        missing.push(format!(
            "{} descriptors of sockets were opened or closed meanwhile, and are left out",
            found.changed
        ));
    }
    if found.unknown > 0 {
        missing.push(format!(
            "{} sockets are in no table of network namespace {}: of another one, of a kind that is not looked at (netlink, \
             packet, raw), or neither bound nor connected",
            found.unknown, found.netns
        ));
    }
    missing.append(&mut found.problems);
    let Sockets { netns, sockets, owners, files, .. } = found;
    let described: Vec<String> = owners.iter().map(describe).collect();
    let sockets = sockets.into_iter().map(|socket| convert_one(socket, netns, &described)).collect();
    let gap = (!missing.is_empty()).then(|| gap(missing.join("; ")));
    Converted { sockets, files: files.into_iter().collect(), gap }
}

fn gap(mut reason: String) -> Gap {
    reason.truncate(reason.floor_char_boundary(TEXT_BYTES_MAX));
    Gap { goid: None, what: "sockets".to_owned(), reason }
}

fn convert_one(socket: stillframe_target::sockets::Socket, netns: u64, owners: &[String]) -> Socket {
    let entry = socket.entry;
    let text = |address: SocketAddr| address.to_string();
    let (family, local, remote, peer_inode) = match entry.ends {
        Ends::Internet { local, remote } => {
            let family = if local.is_ipv4() { "ipv4" } else { "ipv6" };
            (family, text(local), remote.map(text).unwrap_or_default(), None)
        }
        Ends::Unix { name, peer_name, peer_inode } => {
            ("unix", unix_name(&name), unix_name(&peer_name), peer_inode)
        }
    };
    let owner = |at: u32| owners.get(at as usize);
    let address = || (!remote.is_empty()).then(|| remote.clone());
    let peer_description = match socket.peer {
        Peer::Unknown => address(),
        Peer::Itself => None,
        Peer::Owner(at) => owner(at).cloned().or_else(address),
        Peer::Accepting(at) => owner(at).map(|owner| format!("not accepted yet by {owner}")).or_else(address),
    };
    let (translated_local, translated_remote) = socket.translated.unzip();
    Socket {
        fd: socket.fd,
        inode: entry.inode,
        netns,
        cookie: entry.cookie,
        family: family.to_owned(),
        protocol: protocol(entry.kind).to_owned(),
        local,
        remote,
        state: state(entry.kind, entry.state),
        receive_queue_bytes: entry.receive_queue,
        send_queue_bytes: entry.send_queue,
        peer_inode,
        translated_local: translated_local.map(text),
        translated_remote: translated_remote.map(text),
        peer_description,
    }
}

fn protocol(kind: Kind) -> &'static str {
    match kind {
        Kind::Tcp => "tcp",
        Kind::Udp => "udp",
        Kind::UnixStream => "stream",
        Kind::UnixDatagram => "datagram",
        Kind::UnixSequenced => "seqpacket",
    }
}

/// Only a TCP connection is ever closed in the sense of its protocol.
fn state(kind: Kind, state: State) -> String {
    match (kind, state) {
        (Kind::Tcp, state) => state.name(),
        (_, State::Close) => "unconnected".to_owned(),
        (_, state) => state.name(),
    }
}

/// A zero byte is shown as @, as all tools do.
fn unix_name(name: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(name).replace('\0', "@");
    text.truncate(text.floor_char_boundary(SOCKET_TEXT_BYTES_MAX));
    text
}

/// `redis-server (pid 77)`; of one that writes a title of its own that: `postgres: shop orders 10.0.0.2(40000) idle (pid 78)`.
fn describe(owner: &Owner) -> String {
    let Owner { pid, program, cmdline } = owner;
    let title = match cmdline.as_slice() {
        [title] if title.starts_with(&format!("{program}: ")) => Some(scrub::command_line(cmdline)),
        _ => None,
    };
    let of = format!(" (pid {pid})");
    let mut text = title.unwrap_or_else(|| program.clone());
    text.truncate(text.floor_char_boundary(SOCKET_TEXT_BYTES_MAX / 2));
    text + &of
}

#[cfg(test)]
mod tests {
    use super::*;
    use stillframe_target::sockets::{self, Entry};

    fn tcp(local: &str, remote: Option<&str>, peer: Peer) -> sockets::Socket {
        let entry = Entry {
            inode: 7,
            cookie: Some(1),
            kind: Kind::Tcp,
            ends: Ends::Internet {
                local: local.parse().unwrap(),
                remote: remote.map(|r| r.parse().unwrap()),
            },
            state: if remote.is_some() { State::CloseWait } else { State::Listen },
            receive_queue: Some(3),
            send_queue: None,
        };
        sockets::Socket { fd: 5, entry, translated: None, peer }
    }

    fn owner(program: &str, cmdline: &[&str]) -> Owner {
        Owner { pid: 77, program: program.into(), cmdline: cmdline.iter().map(|a| (*a).to_owned()).collect() }
    }

    #[test]
    fn addresses_and_states_are_text() {
        let mut translated = tcp("[::1]:80", Some("[::1]:5000"), Peer::Unknown);
        translated.translated = Some(("1.2.3.4:1".parse().unwrap(), "5.6.7.8:2".parse().unwrap()));
        let unix = sockets::Socket {
            entry: Entry {
                kind: Kind::UnixDatagram,
                state: State::Close,
                ends: Ends::Unix {
                    name: b"\0bus".to_vec(),
                    peer_name: b"/run/a".to_vec(),
                    peer_inode: Some(8),
                },
                ..tcp("0.0.0.0:0", None, Peer::Unknown).entry
            },
            ..tcp("0.0.0.0:0", None, Peer::Unknown)
        };
        let sockets = vec![tcp("0.0.0.0:80", None, Peer::Unknown), translated, unix];
        let converted = convert(Ok(Sockets { netns: 9, sockets, ..Sockets::default() }));
        let [listens, connected, unix] = <[Socket; 3]>::try_from(converted.sockets).unwrap();
        let of = |socket: &Socket| {
            let Socket { family, protocol, local, remote, state, .. } = socket.clone();
            [family, protocol, local, remote, state].join("|")
        };
        assert_eq!(of(&listens), "ipv4|tcp|0.0.0.0:80||listen");
        assert_eq!((listens.peer_description, listens.translated_local), (None, None));
        assert_eq!(of(&connected), "ipv6|tcp|[::1]:80|[::1]:5000|close wait");
        assert_eq!(connected.peer_description.as_deref(), Some("[::1]:5000"));
        assert_eq!(connected.translated_local.as_deref(), Some("1.2.3.4:1"));
        assert_eq!(connected.translated_remote.as_deref(), Some("5.6.7.8:2"));
        assert_eq!(of(&unix), "unix|datagram|@bus|/run/a|unconnected");
        assert_eq!((unix.peer_inode, unix.netns), (Some(8), 9));
        assert_eq!(converted.gap, None);
    }

    #[test]
    fn who_is_at_the_other_end_is_named_without_secrets() {
        assert_eq!(
            describe(&owner("redis-server", &["redis-server", "--requirepass", "x"])),
            "redis-server (pid 77)"
        );
        let title = "postgres: shop orders 127.0.0.1(40000) idle in transaction";
        assert_eq!(describe(&owner("postgres", &[title])), format!("{title} (pid 77)"));
        assert_eq!(describe(&owner("a", &["a: password=hunter2"])), "a: password=*** (pid 77)");
        assert_eq!(describe(&owner("a", &[])), "a (pid 77)");
        let sockets = [Peer::Owner(0), Peer::Accepting(0), Peer::Itself, Peer::Owner(9)]
            .map(|peer| tcp("127.0.0.1:1", Some("127.0.0.1:2"), peer));
        let owners = vec![owner("b", &[])];
        let converted = convert(Ok(Sockets { sockets: sockets.to_vec(), owners, ..Sockets::default() }));
        let said: Vec<_> = converted.sockets.into_iter().map(|socket| socket.peer_description).collect();
        let some = |text: &str| Some(text.to_owned());
        let expected =
            [some("b (pid 77)"), some("not accepted yet by b (pid 77)"), None, some("127.0.0.1:2")];
        assert_eq!(said, expected);
    }

    #[test]
    fn what_is_missing_is_one_gap() {
        let found = Sockets { changed: 3, unknown: 2, problems: vec!["why".into()], ..Sockets::default() };
        let reason = convert(Ok(found)).gap.unwrap().reason;
        assert!(
            reason.starts_with("3 descriptors")
                && reason.contains("; 2 sockets")
                && reason.ends_with("; why")
        );
        assert_eq!(convert(Err("denied".into())).gap.unwrap().reason, "denied");
    }
}
