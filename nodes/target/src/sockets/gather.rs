//! All that is known of the sockets of a process.

use super::descriptors::Descriptors;
use super::diagnosis::{self, DiagnosisError, TABLES};
use super::elsewhere;
use super::namespace::Namespace;
use super::owners::Owners;
use super::shared::Shared;
use super::tracking::Tracking;
use super::{Ends, Entry, Kind, NAMESPACE_SOCKETS_MAX, Peer, Socket, Sockets, State, tables};
use crate::process::{Process, ProcessError};
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

/// For all tables of a namespace, for what it translates, and for the host. Together, and each once more for another target
/// whose turn it is, that is less than a freezer may take for an answer.
const NAMESPACE_MAX: Duration = Duration::from_secs(4);
const HOST_MAX: Duration = Duration::from_secs(2);

/// What is in other namespaces is looked at only if all of that went well.
const ELSEWHERE_WITHIN: Duration = Duration::from_secs(10);

/// Other processes that are named for one target.
const OWNERS_MAX: usize = 4_096;

/// All sockets of a network namespace.
#[derive(Debug, Default)]
pub(super) struct NamespaceSockets {
    pub(super) entries: Vec<Entry>,
    left_out: u64,
    /// There are others, of which nothing is known.
    is_cut: bool,
    problems: Vec<String>,
    /// Of the namespace; `None`: it is the host's.
    tracking: Option<Tracking>,
}

/// `before`: its descriptors before the stop. To be called when it runs again.
pub(crate) fn gather(
    process: &Process,
    before: &Descriptors,
    shared: &Shared,
) -> Result<Sockets, ProcessError> {
    let (pid, asked) = (process.pid, Instant::now());
    let (unchanged, changed) = before.unchanged(&Descriptors::of(pid)?);
    // Its number may be another process's by now.
    if !process.same() {
        return Err(ProcessError::NotFound { pid });
    }
    let mut found = Sockets { files: unchanged.files, changed, ..Sockets::default() };
    if unchanged.is_cut {
        found.problems.push(format!(
            "it has more descriptors than can be listed; those after {} are left out",
            unchanged.sockets.last().map_or(0, |(fd, _)| *fd)
        ));
    }
    if unchanged.sockets.is_empty() {
        return Ok(found);
    }
    let namespace = Namespace::of(pid).map_err(|error| ProcessError::on(pid, "ns/net", error))?;
    found.netns = namespace.inode;
    let latest = shared.namespace(namespace.inode);
    let all = latest.get(asked, || NamespaceSockets::read(pid, &namespace));
    found.problems.extend(all.problems.iter().cloned());

    let inodes: HashSet<u64> = unchanged.sockets.iter().map(|(_, inode)| *inode).collect();
    let entries = all.of(&inodes);
    for (fd, inode) in unchanged.sockets {
        match entries.get(&inode) {
            Some(entry) => found.sockets.push(Socket {
                fd,
                entry: (*entry).clone(),
                translated: None,
                peer: Peer::Unknown,
            }),
            None => found.unknown += 1,
        }
    }
    drop(entries);
    let host_tracking =
        shared.host_tracking.get(asked, || Tracking::of(pid, true, Instant::now() + HOST_MAX));
    found.translate(&[Some(&*host_tracking), all.tracking.as_ref()]);
    let mut others = all.other_ends(&mut found.sockets);
    if asked.elapsed() < ELSEWHERE_WITHIN {
        let (elsewhere, problem) =
            elsewhere::other_ends(&found.sockets, &others, namespace.inode, asked, shared);
        others.extend(elsewhere);
        found.problems.extend(problem);
    }
    // Nobody need be looked for who has both ends.
    others.retain(|other| {
        let is_own = inodes.contains(&other.inode);
        if is_own {
            found.sockets[other.socket].peer = Peer::Itself;
        }
        !is_own
    });
    if !others.is_empty() {
        let owners = shared.owners.get(asked, || Owners::look(Instant::now() + HOST_MAX));
        found.problems.extend(owners.problem.clone());
        found.name_peers(pid, &others, &owners);
    }
    Ok(found)
}

/// What the other end of a socket is, by the table of its namespace.
pub(super) struct OtherEnd {
    /// Which socket's.
    pub(super) socket: usize,
    pub(super) inode: u64,
    /// It is the one that listens there: the connection waits for being accepted.
    pub(super) is_listener: bool,
}

impl NamespaceSockets {
    pub(super) fn read(pid: u32, namespace: &Namespace) -> NamespaceSockets {
        let until = Instant::now() + NAMESPACE_MAX;
        let mut all = NamespaceSockets::default();
        let mut netlink = namespace.netlink().map_err(|error| error.to_string());
        let mut refused = None;
        for table in TABLES {
            let begin = all.entries.len();
            let asked = match &netlink {
                Ok(socket) => match diagnosis::dump(socket, table, until, &mut |entry| all.keep(entry)) {
                    // No other way is faster. What has come is true, and not all.
                    Err(error @ DiagnosisError::Late) => {
                        all.is_cut = true;
                        all.problems.push(format!("network namespace {}: {error}", namespace.inode));
                        break;
                    }
                    asked => asked.map_err(|error| error.to_string()),
                },
                Err(error) => Err(error.clone()),
            };
            let Err(error) = asked else { continue };
            // What is still to come of this answer would be taken for that of the next question.
            netlink = namespace.netlink().map_err(|error| error.to_string());
            all.entries.truncate(begin);
            if let Err(error) = tables::read(pid, table, until, &mut |entry| all.keep(entry)) {
                all.problems.push(format!("/proc/{pid}/net/{}: {error}", table.file()));
            }
            refused = Some(error);
        }
        if let Some(error) = refused {
            all.problems.push(format!(
                "network namespace {}: {error}; read from /proc/{pid}/net instead: without cookies, and without peers and \
                 queues of unix sockets{}",
                namespace.inode,
                if namespace.is_own { "" } else { "; grant CAP_SYS_ADMIN to have them" }
            ));
        }
        let left_out = all.left_out;
        if left_out > 0 {
            all.is_cut = true;
            all.problems.push(format!(
                "network namespace {}: {left_out} sockets above {NAMESPACE_SOCKETS_MAX} are left out",
                namespace.inode
            ));
        }
        all.tracking = (!namespace.is_own).then(|| Tracking::of(pid, false, until));
        all
    }

    fn keep(&mut self, entry: Entry) {
        if self.entries.len() < NAMESPACE_SOCKETS_MAX {
            self.entries.push(entry);
        } else {
            self.left_out += 1;
        }
    }

    /// Those with these inodes.
    fn of(&self, inodes: &HashSet<u64>) -> HashMap<u64, &Entry> {
        let mut found = HashMap::with_capacity(inodes.len());
        for entry in self.entries.iter().filter(|entry| inodes.contains(&entry.inode)) {
            // Of MPTCP each path has a line with the socket's inode: the first one is as good as any.
            found.entry(entry.inode).or_insert(entry);
        }
        found
    }

    /// The other ends that are in this namespace, or are unix sockets, which have one anywhere; and their names.
    fn other_ends(&self, sockets: &mut [Socket]) -> Vec<OtherEnd> {
        let mut others = Vec::new();
        // By what the other end must have: its kind, its local and its remote address.
        let mut wanted: HashMap<(Kind, SocketAddr, SocketAddr), Vec<usize>> = HashMap::new();
        let mut unix: HashMap<u64, Vec<usize>> = HashMap::new();
        for (at, socket) in sockets.iter().enumerate() {
            if let Some(end) = socket.other_end() {
                wanted.entry(end).or_default().push(at);
            }
            if let Ends::Unix { peer_inode: Some(inode), .. } = socket.entry.ends {
                unix.entry(inode).or_default().push(at);
                others.push(OtherEnd { socket: at, inode, is_listener: false });
            }
        }
        let mut to_listeners = ToListeners::default();
        let mut found = HashSet::new();
        for entry in &self.entries {
            if let Some((local, remote)) = entry.connection()
                && let Some(ends) = wanted.get(&(entry.kind, local, remote))
            {
                found.extend(ends.iter().copied());
                match entry.inode {
                    0 if entry.state == State::Established || entry.state == State::CloseWait => {
                        ends.iter().for_each(|socket| to_listeners.add(*socket, entry.kind, local));
                    }
                    0 => {}
                    inode => others.extend(ends.iter().map(|socket| OtherEnd {
                        socket: *socket,
                        inode,
                        is_listener: false,
                    })),
                }
            }
            if let (Ends::Unix { name, .. }, Some(ends)) = (&entry.ends, unix.get(&entry.inode)) {
                for at in ends {
                    if let Ends::Unix { peer_name, .. } = &mut sockets[*at].entry.ends {
                        peer_name.clone_from(name);
                    }
                }
            }
        }
        for ((kind, local, _), ends) in wanted {
            // Only of loopback addresses is it known that they lead to this very namespace.
            if kind == Kind::Udp && local.ip().is_loopback() {
                let rest = ends.into_iter().filter(|at| !found.contains(at));
                rest.for_each(|socket| to_listeners.add(socket, kind, local));
            }
        }
        // Of a part it cannot be told whether one that listens is the only one.
        if !self.is_cut {
            self.entries.iter().for_each(|entry| to_listeners.look_at(entry));
            others.extend(to_listeners.found());
        }
        others
    }
}

/// Connections whose other end no process has yet, and datagrams to a socket that is not connected itself: their other end
/// is the socket that listens at the address they go to.
#[derive(Default)]
struct ToListeners {
    /// By kind and port: the address, and which socket's it is.
    to: HashMap<(Kind, u16), Vec<(IpAddr, usize)>>,
    /// By socket: the inodes of those that listen at this very address, and at all addresses.
    found: HashMap<usize, [Candidate; 2]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Candidate {
    #[default]
    None,
    One(u64, Kind),
    /// Nobody knows which of them it will be (SO_REUSEPORT, socket(7)).
    Several,
}

impl ToListeners {
    fn add(&mut self, socket: usize, kind: Kind, to: SocketAddr) {
        self.to.entry((kind, to.port())).or_default().push((to.ip(), socket));
    }

    fn look_at(&mut self, entry: &Entry) {
        let is_open = match entry.kind {
            Kind::Tcp => entry.state == State::Listen,
            Kind::Udp => entry.connection().is_none(),
            Kind::UnixStream | Kind::UnixDatagram | Kind::UnixSequenced => false,
        };
        let Some(local) = entry.local().filter(|_| is_open && entry.inode != 0) else { return };
        for (to, socket) in self.to.get(&(entry.kind, local.port())).into_iter().flatten() {
            let takes_all = match local.ip() {
                IpAddr::V4(ip) => ip == Ipv4Addr::UNSPECIFIED && to.is_ipv4(),
                // Also what comes by IPv4, unless it was told not to (ipv6(7), IPV6_V6ONLY).
                IpAddr::V6(ip) => ip == Ipv6Addr::UNSPECIFIED,
            };
            if local.ip() != *to && !takes_all {
                continue;
            }
            let candidate = &mut self.found.entry(*socket).or_default()[usize::from(local.ip() != *to)];
            *candidate = match *candidate {
                Candidate::None => Candidate::One(entry.inode, entry.kind),
                _ => Candidate::Several,
            };
        }
    }

    fn found(self) -> impl Iterator<Item = OtherEnd> {
        self.found.into_iter().filter_map(|(socket, [exact, any])| {
            match if exact == Candidate::None { any } else { exact } {
                Candidate::One(inode, kind) => {
                    Some(OtherEnd { socket, inode, is_listener: kind == Kind::Tcp })
                }
                Candidate::None | Candidate::Several => None,
            }
        })
    }
}

impl Sockets {
    fn translate(&mut self, tables: &[Option<&Tracking>]) {
        for tracking in tables.iter().flatten() {
            self.problems.extend(tracking.problem.clone());
            for socket in &mut self.sockets {
                if let Some((local, remote)) = socket.entry.connection() {
                    socket.translated =
                        socket.translated.or_else(|| tracking.get(socket.entry.kind, local, remote));
                }
            }
        }
    }

    fn name_peers(&mut self, pid: u32, others: &[OtherEnd], owners: &Owners) {
        let pids = owners.of(&others.iter().map(|other| other.inode).collect());
        // By pid: where it stands; `None`: it is gone.
        let mut named: HashMap<u32, Option<u32>> = HashMap::new();
        for other in others {
            let Some(of) = pids.get(&other.inode) else { continue };
            if *of == pid {
                self.sockets[other.socket].peer = Peer::Itself;
                continue;
            }
            let at = *named.entry(*of).or_insert_with(|| {
                let owner = owners.owner(*of).filter(|_| self.owners.len() < OWNERS_MAX)?;
                self.owners.push(owner);
                u32::try_from(self.owners.len() - 1).ok()
            });
            let Some(at) = at else { continue };
            self.sockets[other.socket].peer =
                if other.is_listener { Peer::Accepting(at) } else { Peer::Owner(at) };
        }
    }
}
