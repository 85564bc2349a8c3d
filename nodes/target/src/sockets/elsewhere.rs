//! Other ends of connections that are in another network namespace of this host: other containers, the host itself.

use super::gather::{NamespaceSockets, OtherEnd};
use super::namespace::{self, Namespace};
use super::shared::Shared;
use super::{Kind, Socket};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// For all namespaces; what was not looked at then has an address and no name.
const LOOKING_MAX: Duration = Duration::from_secs(2);
const NAMESPACES_MAX: usize = 512;

/// Of those sockets that have none yet. `own`: the namespace that they are in.
pub(super) fn other_ends(
    sockets: &[Socket],
    known: &[OtherEnd],
    own: u64,
    asked: Instant,
    shared: &Shared,
) -> (Vec<OtherEnd>, Option<String>) {
    let known: HashSet<usize> = known.iter().map(|end| end.socket).collect();
    let mut wanted: HashMap<(Kind, SocketAddr, SocketAddr), Vec<usize>> = HashMap::new();
    for (at, socket) in sockets.iter().enumerate().filter(|(at, _)| !known.contains(at)) {
        // A loopback address leads to no other namespace.
        if let Some(end) = socket.other_end().filter(|(_, local, _)| !local.ip().is_loopback()) {
            wanted.entry(end).or_default().push(at);
        }
    }
    if wanted.is_empty() {
        return (Vec::new(), None);
    }
    // By socket: the other end's inode; `None`: several namespaces have such a connection, and nobody knows which it is.
    let mut found: HashMap<usize, Option<u64>> = HashMap::new();
    let until = Instant::now() + LOOKING_MAX;
    let all: Vec<(u64, u32)> = namespaces().into_iter().filter(|(inode, _)| *inode != own).collect();
    let mut looked_at = 0;
    for &(inode, pid) in all.iter().take(NAMESPACES_MAX) {
        if Instant::now() > until {
            break;
        }
        looked_at += 1;
        // It may be gone, with its process.
        let Ok(namespace) = Namespace::of(pid) else { continue };
        if namespace.inode != inode {
            continue;
        }
        let all = shared.namespace(inode).get(asked, || NamespaceSockets::read(pid, &namespace));
        for entry in all.entries.iter().filter(|entry| entry.inode != 0) {
            let Some((local, remote)) = entry.connection() else { continue };
            for socket in wanted.get(&(entry.kind, local, remote)).into_iter().flatten() {
                let end = found.entry(*socket).or_insert(Some(entry.inode));
                *end = end.filter(|known| *known == entry.inode);
            }
        }
    }
    let end =
        |(socket, inode): (usize, Option<u64>)| Some(OtherEnd { socket, inode: inode?, is_listener: false });
    let problem = (looked_at < all.len()).then(|| {
        let all = all.len();
        format!("other ends were looked for in {looked_at} of {all} other network namespaces of this host: those found may not be the only ones, and have no names")
    });
    // One that was found may not be the only one.
    let found = if problem.is_some() { HashMap::new() } else { found };
    (found.into_iter().filter_map(end).collect(), problem)
}

/// The network namespaces of this host that have a process, and one of their processes.
fn namespaces() -> BTreeMap<u64, u32> {
    let mut found = BTreeMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = process.file_name().to_str().and_then(|name| name.parse().ok());
        // Those of other users', without the permission, are not seen.
        let inode = namespace::inode(&process.path().join("ns/net"));
        if let (Some(pid), Some(inode)) = (pid, inode) {
            found.insert(inode, pid);
        }
    }
    found
}
