//! Which socket is at the other end of which.
//!
//! An address means something only where it is used: every namespace has 127.0.0.1, and many have 10.0.0.2. Two sockets belong
//! together if each names the other's addresses, and nobody else in the snapshot could be meant:
//!
//! * of one kernel and namespace: always;
//! * with loopback addresses: of one kernel and namespace only;
//! * else each of both addresses has to be used in one namespace only of its kernel, and if another kernel uses it as well
//!   both sockets have to be of one kernel;
//! * what its node says is connected to a process of its own host has its other end on no other kernel.
//!
//! Of an address that is translated, what it is translated to has to be so.
//!
//! Unix sockets name the other end's inode, which is a number of their kernel's.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::facts::{Process, Socket};

/// Of one kernel, in one of its namespaces.
type Space = (u32, i64);
type Address = u32;
/// A local and a remote address, and whose they are: sorted, so that all of one connection stand together.
type Claim = (Address, Address, Space, u32);
/// In which namespace of each kernel an address is used; `None`: in several.
type Uses = BTreeMap<u32, Option<i64>>;

/// A socket of a kernel. Several processes may have it, each as a row.
pub(super) struct Known {
    pub(super) space: Space,
    inode: i64,
    is_unix: bool,
    pub(super) local: Address,
    pub(super) remote: Address,
    /// What the other end has: its remote address, its local one.
    seen_as: Address,
    meant: Address,
    is_translated: bool,
    peer_inode: Option<i64>,
    cookie: Option<i64>,
    /// Rows of its number that are of different sockets.
    is_several: bool,
    /// Its node has found a process of its own host at the other end.
    has_local_peer: bool,
    listens: bool,
    pub(super) receive_queue_bytes: Option<u32>,
    pub(super) send_queue_bytes: Option<u32>,
    pub(super) peer_description: Option<Box<str>>,
    /// Those that have it, in the order of its rows.
    pub(super) processes: Vec<i64>,
}

/// The other end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    One {
        index: u32,
        is_translated: bool,
    },
    Unknown,
    /// Several sockets could be it, or its addresses mean several things.
    Ambiguous,
    /// It is waiting to be accepted by a process of the snapshot.
    NotAccepted,
}

#[derive(Default)]
pub(super) struct Sockets {
    names: BTreeMap<Arc<str>, Address>,
    texts: Vec<Arc<str>>,
    kernels: BTreeMap<Box<str>, u32>,
    of_process: BTreeMap<i64, u32>,
    pub(super) known: Vec<Known>,
    by_inode: BTreeMap<(u32, i64), u32>,
    by_row: BTreeMap<i64, u32>,
}

impl Sockets {
    pub(super) fn process(&mut self, process: &Process) {
        let next = self.kernels.len() as u32;
        let kernel = *self.kernels.entry(process.kernel.clone()).or_insert(next);
        self.of_process.insert(process.id, kernel);
    }

    pub(super) fn is_same_kernel(&self, one: i64, other: i64) -> bool {
        let kernel = |process| self.of_process.get(&process);
        kernel(one).is_some() && kernel(one) == kernel(other)
    }

    fn name(&mut self, text: &str) -> Address {
        if let Some(address) = self.names.get(text) {
            return *address;
        }
        let text: Arc<str> = text.into();
        let address = self.texts.len() as Address;
        self.names.insert(Arc::clone(&text), address);
        self.texts.push(text);
        address
    }

    pub(super) fn text(&self, address: Address) -> Arc<str> {
        self.texts.get(address as usize).cloned().unwrap_or_else(|| "".into())
    }

    /// Keeps a row; one of a process that is not known is left out.
    pub(super) fn add(&mut self, socket: Socket) {
        let Some(&kernel) = self.of_process.get(&socket.process) else { return };
        let index = self.known.len() as u32;
        let index = *self.by_inode.entry((kernel, socket.inode)).or_insert(index);
        self.by_row.insert(socket.id, index);
        let (local, remote) = (self.name(&socket.local), self.name(&socket.remote));
        let has_local_peer = socket.peer_description.as_ref().is_some_and(|text| *text != socket.remote);
        let space = (kernel, socket.netns);
        if let Some(known) = self.known.get_mut(index as usize) {
            let differ = |one: Option<i64>, other: Option<i64>| one.zip(other).is_some_and(|(a, b)| a != b);
            known.is_several |= (known.space, known.local, known.remote) != (space, local, remote)
                || differ(known.cookie, socket.cookie)
                || differ(known.peer_inode, socket.peer_inode);
            known.cookie = known.cookie.or(socket.cookie);
            known.peer_inode = known.peer_inode.or(socket.peer_inode);
            let more = |one: Option<u32>, other: Option<u32>| Some(one?.max(other?));
            known.receive_queue_bytes = more(known.receive_queue_bytes, socket.receive_queue_bytes);
            known.send_queue_bytes = more(known.send_queue_bytes, socket.send_queue_bytes);
            if has_local_peer && !known.has_local_peer {
                (known.has_local_peer, known.peer_description) = (true, socket.peer_description);
            }
            // One process's rows stand together.
            if known.processes.last() != Some(&socket.process) {
                known.processes.push(socket.process);
            }
            return;
        }
        let is_translated = socket.translated_local.is_some() || socket.translated_remote.is_some();
        let seen_as = socket.translated_local.as_deref().map_or(local, |text| self.name(text));
        let meant = socket.translated_remote.as_deref().map_or(remote, |text| self.name(text));
        self.known.push(Known {
            space,
            inode: socket.inode,
            is_unix: socket.is_unix,
            local,
            remote,
            seen_as,
            meant,
            is_translated,
            peer_inode: socket.peer_inode,
            cookie: socket.cookie,
            is_several: false,
            has_local_peer,
            listens: socket.listens,
            receive_queue_bytes: socket.receive_queue_bytes,
            send_queue_bytes: socket.send_queue_bytes,
            peer_description: socket.peer_description,
            processes: vec![socket.process],
        });
    }

    pub(super) fn of_row(&self, row: i64) -> Option<u32> {
        self.by_row.get(&row).copied()
    }

    /// The other end of each.
    pub(super) fn peers(&self) -> Vec<Peer> {
        let (claims, uses) = (self.claims(), self.uses());
        let mut peers: Vec<Peer> = self
            .known
            .iter()
            .enumerate()
            .map(|(index, socket)| match socket.is_unix {
                _ if socket.is_several => Peer::Ambiguous,
                true => self.unix(index as u32, socket),
                false => self.internet(index as u32, socket, &claims, &uses),
            })
            .collect();
        // One whose own host does not know of the translation is found by the other.
        for index in 0..peers.len() {
            let Peer::One { index: other, is_translated: true } = peers[index] else { continue };
            let back = Peer::One { index: index as u32, is_translated: true };
            match &mut peers[other as usize] {
                unknown @ Peer::Unknown => *unknown = back,
                found if *found == back => {}
                found => *found = Peer::Ambiguous,
            }
        }
        // Whoever is meant has to mean the same.
        let meant = peers.clone();
        for (index, peer) in peers.iter_mut().enumerate() {
            if let Peer::One { index: other, .. } = *peer
                && !matches!(meant.get(other as usize), Some(Peer::One { index: back, .. }) if *back as usize == index)
            {
                *peer = Peer::Ambiguous;
            }
        }
        let listeners = self.listeners();
        for (peer, socket) in peers.iter_mut().zip(&self.known) {
            if *peer == Peer::Unknown && self.is_awaited(socket, &listeners) {
                *peer = Peer::NotAccepted;
            }
        }
        peers
    }

    /// Those at which connections wait, by what they listen at.
    fn listeners(&self) -> BTreeSet<(Space, bool, Arc<str>)> {
        let waited_at =
            self.known.iter().filter(|known| known.listens && known.receive_queue_bytes > Some(0));
        let key = |listener: &Known| {
            let own = self.text(listener.local);
            let is_wild = !listener.is_unix && matches!(host(&own), "0.0.0.0" | "[::]" | "*");
            (listener.space, listener.is_unix, if is_wild { port(&own).into() } else { own })
        };
        waited_at.map(key).collect()
    }

    fn is_awaited(&self, socket: &Known, listeners: &BTreeSet<(Space, bool, Arc<str>)>) -> bool {
        let at = self.text(socket.meant);
        if listeners.is_empty() || at.is_empty() {
            return false;
        }
        let wild = || listeners.contains(&(socket.space, false, port(&at).into()));
        listeners.contains(&(socket.space, socket.is_unix, Arc::clone(&at))) || (!socket.is_unix && wild())
    }

    fn claims(&self) -> Claims {
        let all = self.known.iter().zip(0..).filter(|(socket, _)| !socket.is_unix && !socket.listens);
        let claim = |(socket, index): (&Known, u32)| (socket.local, socket.remote, socket.space, index);
        let mut claims = Claims {
            all: all.clone().map(claim).collect(),
            open: all.filter(|(s, _)| !s.has_local_peer).map(claim).collect(),
        };
        claims.all.sort_unstable();
        claims.open.sort_unstable();
        claims
    }

    /// Where each local address is used.
    fn uses(&self) -> BTreeMap<&str, Uses> {
        let mut found: BTreeMap<&str, Uses> = BTreeMap::new();
        for socket in self.known.iter().filter(|socket| !socket.is_unix) {
            let host = self.texts.get(socket.local as usize).map_or("", |text| host(text));
            let (kernel, netns) = socket.space;
            let one = found.entry(host).or_default().entry(kernel).or_insert(Some(netns));
            *one = one.filter(|one| *one == netns);
        }
        found
    }

    fn unix(&self, index: u32, socket: &Known) -> Peer {
        let other = socket.peer_inode.and_then(|inode| self.by_inode.get(&(socket.space.0, inode)));
        match other.and_then(|&index| Some((index, self.known.get(index as usize)?))) {
            None => Peer::Unknown,
            Some((other, _)) if other == index => Peer::Ambiguous,
            Some((_, found)) if found.peer_inode.is_some_and(|inode| inode != socket.inode) => {
                Peer::Ambiguous
            }
            Some((index, _)) => Peer::One { index, is_translated: false },
        }
    }

    fn internet(&self, index: u32, socket: &Known, claims: &Claims, uses: &BTreeMap<&str, Uses>) -> Peer {
        let (local, remote, kernel) = (socket.meant, socket.seen_as, socket.space.0);
        let one = |candidates: &[u32]| match candidates {
            [] => Peer::Unknown,
            [index] => Peer::One { index: *index, is_translated: socket.is_translated },
            _ => Peer::Ambiguous,
        };
        // Two are as good as many.
        let two = |of: &[Claim]| -> Vec<u32> {
            of.iter().map(|claim| claim.3).filter(|other| *other != index).take(2).collect()
        };
        let near =
            two(range(&claims.all, |claim| (claim.0, claim.1, claim.2).cmp(&(local, remote, socket.space))));
        if !near.is_empty() {
            return one(&near);
        }
        let text = |address: Address| self.texts.get(address as usize).map_or("", |text| &**text);
        if is_loopback(text(socket.local)) || is_loopback(text(socket.remote)) {
            return Peer::Unknown;
        }
        let mut all =
            two(range(&claims.all, |claim| (claim.0, claim.1, claim.2.0).cmp(&(local, remote, kernel))));
        if !socket.has_local_peer {
            let open = range(&claims.open, |claim| (claim.0, claim.1).cmp(&(local, remote)));
            let before = open.partition_point(|claim| claim.2.0 < kernel);
            let behind = open.partition_point(|claim| claim.2.0 <= kernel);
            all.extend(two(&open[..before]));
            all.extend(two(&open[behind..]));
        }
        let &[other] = &all[..] else { return one(&all) };
        let Some(other) = self.known.get(other as usize) else { return Peer::Unknown };
        let used = |address| uses.get(host(text(address)));
        let is_of_one =
            |address, kernel: u32| used(address).is_none_or(|uses| uses.keys().all(|of| *of == kernel));
        // An address that nobody but its own host has ever seen says nothing: what it is translated to does.
        let is_hidden = socket.seen_as != socket.local;
        let is_only = |of: &Known| {
            let is_once = used(of.local).is_none_or(|uses| uses.get(&of.space.0) != Some(&None));
            is_once && (kernel == other.space.0 || is_of_one(of.local, of.space.0))
        };
        let is_sound = is_only(other)
            && match is_hidden {
                true => is_of_one(socket.seen_as, kernel),
                false => is_only(socket),
            };
        if is_sound { one(&all) } else { Peer::Ambiguous }
    }

    /// Whether these may be two connections that look like one: of two kernels, at addresses that every host gives out again.
    pub(super) fn may_be_both(&self, one: &Known, other: &Known) -> bool {
        let is_common = |address: Address| is_given_by_every_host(&self.text(address));
        one.space.0 != other.space.0 && [one.seen_as, one.meant].into_iter().any(is_common)
    }
}

struct Claims {
    all: Vec<Claim>,
    /// Those whose other end may be on another kernel.
    open: Vec<Claim>,
}

/// What compares as equal, of what is sorted so.
fn range(claims: &[Claim], order: impl Fn(&Claim) -> Ordering) -> &[Claim] {
    let rest = &claims[claims.partition_point(|claim| order(claim).is_lt())..];
    &rest[..rest.partition_point(|claim| order(claim).is_le())]
}

/// `10.0.0.1` of `10.0.0.1:80`, `[::1]` of `[::1]:80`.
fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

fn port(address: &str) -> &str {
    address.rsplit_once(':').map_or("", |(_, port)| port)
}

/// RFC 6890: 127.0.0.0/8, ::1.
fn is_loopback(address: &str) -> bool {
    let host = host(address);
    host.starts_with("127.") || host == "[::1]"
}

/// What hosts use for themselves unless they are told otherwise: link-local addresses (RFC 6890), and the networks of Docker's,
/// Podman's and libvirt's default bridges (172.17.0.0/16, 10.88.0.0/16, 192.168.122.0/24).
fn is_given_by_every_host(address: &str) -> bool {
    let host = host(address).trim_matches(['[', ']']);
    match host.split('%').next().unwrap_or(host).parse() {
        Ok(IpAddr::V4(address)) => {
            matches!(address.octets(), [169, 254, ..] | [172, 17, ..] | [10, 88, ..] | [192, 168, 122, _])
        }
        Ok(IpAddr::V6(address)) => address.is_unicast_link_local(),
        Err(_) => false,
    }
}
