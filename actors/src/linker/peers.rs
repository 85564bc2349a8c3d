//! Which socket is at the other end of which.
//!
//! An address means something only where it is used: every namespace has 127.0.0.1, and many have 10.0.0.2. Two sockets belong
//! together if each names the other's addresses, and nobody else in the snapshot could be meant:
//!
//! * of one kernel and namespace: always;
//! * with loopback addresses: of one kernel and namespace only;
//! * else each of both addresses has to be used in one namespace only of its kernel, and if another kernel uses it as well
//!   both sockets have to be of one kernel.
//!
//! Of an address that is translated, what it is translated to has to be so.
//!
//! Unix sockets name the other end's inode, which is a number of their kernel's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::facts::{Process, Socket};

/// Of one kernel, in one of its namespaces.
type Space = (u32, i64);
type Address = u32;

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
    listens: bool,
    pub(super) receive_queue_bytes: Option<u32>,
    pub(super) send_queue_bytes: Option<u32>,
    pub(super) peer_description: Option<Box<str>>,
    /// The process of its first row.
    pub(super) process: i64,
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
        if let Some(&index) = self.by_inode.get(&(kernel, socket.inode)) {
            self.by_row.insert(socket.id, index);
            return;
        }
        self.by_inode.insert((kernel, socket.inode), index);
        self.by_row.insert(socket.id, index);
        let (local, remote) = (self.name(&socket.local), self.name(&socket.remote));
        let is_translated = socket.translated_local.is_some() || socket.translated_remote.is_some();
        let seen_as = socket.translated_local.as_deref().map_or(local, |text| self.name(text));
        let meant = socket.translated_remote.as_deref().map_or(remote, |text| self.name(text));
        self.known.push(Known {
            space: (kernel, socket.netns),
            inode: socket.inode,
            is_unix: socket.is_unix,
            local,
            remote,
            seen_as,
            meant,
            is_translated,
            peer_inode: socket.peer_inode,
            listens: socket.listens,
            receive_queue_bytes: socket.receive_queue_bytes,
            send_queue_bytes: socket.send_queue_bytes,
            peer_description: socket.peer_description,
            process: socket.process,
        });
    }

    pub(super) fn of_row(&self, row: i64) -> Option<u32> {
        self.by_row.get(&row).copied()
    }

    /// The other end of each.
    pub(super) fn peers(&self) -> Vec<Peer> {
        let by_addresses = self.by_addresses();
        let spaces = self.spaces();
        let mut peers: Vec<Peer> = self
            .known
            .iter()
            .enumerate()
            .map(|(index, socket)| match socket.is_unix {
                true => self.unix(socket),
                false => self.internet(index, socket, &by_addresses, &spaces),
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

    fn by_addresses(&self) -> BTreeMap<(Address, Address), Vec<u32>> {
        let mut found: BTreeMap<_, Vec<u32>> = BTreeMap::new();
        for (index, socket) in self.known.iter().enumerate().filter(|(_, s)| !s.is_unix && !s.listens) {
            found.entry((socket.local, socket.remote)).or_default().push(index as u32);
        }
        found
    }

    /// Where each local address is used.
    fn spaces(&self) -> BTreeMap<&str, Vec<Space>> {
        let mut found: BTreeMap<&str, Vec<Space>> = BTreeMap::new();
        for socket in self.known.iter().filter(|socket| !socket.is_unix) {
            let host = self.texts.get(socket.local as usize).map_or("", |text| host(text));
            let spaces = found.entry(host).or_default();
            if !spaces.contains(&socket.space) {
                spaces.push(socket.space);
            }
        }
        found
    }

    fn unix(&self, socket: &Known) -> Peer {
        let other = socket.peer_inode.and_then(|inode| self.by_inode.get(&(socket.space.0, inode)));
        match other.and_then(|&index| Some((index, self.known.get(index as usize)?))) {
            None => Peer::Unknown,
            Some((_, found)) if found.peer_inode.is_some_and(|inode| inode != socket.inode) => {
                Peer::Ambiguous
            }
            Some((index, _)) => Peer::One { index, is_translated: false },
        }
    }

    fn internet(
        &self,
        index: usize,
        socket: &Known,
        by_addresses: &BTreeMap<(Address, Address), Vec<u32>>,
        spaces: &BTreeMap<&str, Vec<Space>>,
    ) -> Peer {
        let found = by_addresses.get(&(socket.meant, socket.seen_as)).map_or(&[][..], Vec::as_slice);
        let others = || {
            found
                .iter()
                .filter_map(|&i| Some((i, self.known.get(i as usize)?)))
                .filter(|(i, _)| *i as usize != index)
        };
        let one = |candidates: &[u32]| match candidates {
            [index] => Peer::One { index: *index, is_translated: socket.is_translated },
            _ => Peer::Ambiguous,
        };
        let near: Vec<u32> =
            others().filter(|(_, other)| other.space == socket.space).map(|(index, _)| index).collect();
        if !near.is_empty() {
            return one(&near);
        }
        let text = |address: Address| self.texts.get(address as usize).map_or("", |text| &**text);
        if is_loopback(text(socket.local)) || is_loopback(text(socket.remote)) {
            return Peer::Unknown;
        }
        let all: Vec<u32> = others().map(|(index, _)| index).collect();
        match &all[..] {
            [] => Peer::Unknown,
            [index] => {
                let Some(other) = self.known.get(*index as usize) else { return Peer::Unknown };
                let used = |address| spaces.get(host(text(address))).map_or(&[][..], Vec::as_slice);
                // An address that nobody but its own host has ever seen says nothing: what it is translated to does.
                let is_hidden = socket.seen_as != socket.local;
                let is_only = |of: &Known| {
                    let used = used(of.local);
                    let elsewhere = used.iter().any(|space| space.0 != of.space.0);
                    let twice = used.iter().any(|space| space.0 == of.space.0 && *space != of.space);
                    !twice && (!elsewhere || socket.space.0 == other.space.0)
                };
                let is_sound = is_only(other)
                    && match is_hidden {
                        true => used(socket.seen_as).iter().all(|space| space.0 == socket.space.0),
                        false => is_only(socket),
                    };
                if is_sound { one(&all) } else { Peer::Ambiguous }
            }
            _ => Peer::Ambiguous,
        }
    }
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
