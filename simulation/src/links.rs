//! Connections that simulated targets have: each calls the next one of its file, the last one the first. What the linker makes
//! of them is known beforehand.

use std::collections::BTreeSet;

use stillframe_actors::linker::facts::{End, Process, Role, Socket};
use stillframe_actors::linker::{Found, Part, Place};

use crate::oracle::{File, TargetKey};

/// Ends of one part.
const PART_ENDS: usize = 2;

/// What a file with these targets says of its ends, from there on.
pub fn part(file: &File, from: Place) -> Part {
    let count = file.rows.len() as i64;
    match from {
        Place::Start => {
            let process = |(id, (node, target)): (i64, &TargetKey)| Process {
                id,
                name: format!("target {target} of {node}").into(),
                kernel: node.as_str().into(),
                frozen: None,
            };
            let processes = (0..).zip(file.rows.keys()).map(process).collect();
            Part { processes, next: Some(Place::Sockets(0)), ..Part::default() }
        }
        Place::Sockets(_) => {
            // Socket 2 n is that on which target n calls, 2 n + 1 that on which it is called.
            let address = |target: i64| format!("10.0.{}.{}:80", target / 256, target % 256);
            let socket = |id: i64| {
                let caller = if id % 2 == 0 { id / 2 } else { (id / 2 + count - 1) % count };
                let (client, server) = (format!("192.168.0.1:{caller}"), address((caller + 1) % count));
                let (local, remote) = if id % 2 == 0 { (client, server) } else { (server, client) };
                Socket {
                    id,
                    process: id / 2,
                    netns: id / 2,
                    inode: id,
                    cookie: None,
                    is_unix: false,
                    protocol: "tcp".into(),
                    local: local.into(),
                    remote: remote.into(),
                    listens: false,
                    receive_queue_bytes: None,
                    send_queue_bytes: None,
                    peer_inode: None,
                    // The private address of a caller is everybody's.
                    translated_local: (id % 2 == 0).then(|| format!("172.16.0.1:{caller}").into()),
                    translated_remote: None,
                    peer_description: None,
                }
            };
            let mut sockets: Vec<Socket> = (0..2 * count).map(socket).collect();
            for socket in sockets.iter_mut().filter(|socket| socket.id % 2 == 1) {
                socket.remote = socket.remote.replace("192.168", "172.16").into();
            }
            Part { sockets, next: Some(Place::Ends(-1)), ..Part::default() }
        }
        Place::Ends(after) => {
            let end = |id: i64| End {
                id,
                goroutine: id,
                process: id / 2,
                socket: Some(id),
                fd: None,
                role: if id % 2 == 0 { Role::Client } else { Role::Server },
                protocol: "http2".into(),
                stream: Some(1),
                method: None,
                trace: None,
                answered: None,
                buffered_bytes: None,
                writes: false,
            };
            let ends: Vec<End> = (after + 1..2 * count).take(PART_ENDS).map(end).collect();
            let next = ends.last().filter(|_| ends.len() == PART_ENDS).map(|end| Place::Ends(end.id));
            Part { ends, next, ..Part::default() }
        }
    }
}

/// Who calls whom, as the linker has found it.
pub fn keep(file: &mut File, found: &Found) {
    let pair = |link: &stillframe_actors::linker::facts::Link| {
        (link.client.goroutine / 2, link.server.map_or(-1, |server| server.goroutine / 2))
    };
    file.links.extend(found.links.iter().map(pair));
}

/// Who calls whom in a file with so many targets.
pub fn expected(targets: usize) -> BTreeSet<(i64, i64)> {
    let count = targets as i64;
    (0..count).map(|target| (target, (target + 1) % count)).collect()
}
