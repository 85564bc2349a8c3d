//! Which socket is at the other end of which, and above all which is not.

use super::*;

#[test]
fn equal_addresses_of_two_hosts_are_two_things() {
    // The same loopback connection, as it were, on two kernels: the client of one, the server of the other.
    let mut made = Made::new();
    made.process(SERVER, "other", Some((150, 250)));
    let (client, server) = made.connection();
    made.stream(Client, client, 1, "GET /a");
    made.stream(Server, server, 1, "GET /a");
    made.join().is_none("peer not captured: 127.0.0.1");
    // In two namespaces of one kernel.
    let mut made = Made::new();
    let (client, server) = made.connection();
    made.part.sockets[1].netns = 2;
    made.stream(Client, client, 1, "GET /a");
    made.stream(Server, server, 1, "GET /a");
    made.join().is_none("peer not captured: 127.0.0.1");
}

#[test]
fn a_private_address_that_two_hosts_have_joins_only_within_one() {
    let pair = |client_kernel: &str, twin_kernel: &str, twin_space: i64| {
        let mut made = Made::new();
        made.process(CLIENT, client_kernel, Some((100, 200)));
        made.process(3, twin_kernel, Some((100, 200)));
        let client = made.socket(CLIENT, 1, "10.0.0.1:5000", "10.0.0.2:80");
        let server = made.socket(SERVER, 2, "10.0.0.2:80", "10.0.0.1:5000");
        // Somebody else has the server's address.
        made.socket(3, twin_space, "10.0.0.2:9", "10.0.0.7:1");
        made.stream(Client, client, 1, "GET /a");
        made.stream(Server, server, 1, "GET /a");
        made.join()
    };
    // Another kernel has it: the two ends are of one kernel, and that is not it.
    assert_eq!(pair("k", "other", 1).pairs(), [(1, Some(2), InFlight, Certain)]);
    pair("third", "other", 1).is_none("ambiguous address");
    // Another namespace of the same kernel.
    pair("k", "k", 3).is_none("ambiguous address");
    // The same namespace, in another process.
    assert_eq!(pair("k", "k", 2).pairs(), [(1, Some(2), InFlight, Certain)]);
}

/// Two hosts with the same private network: of each only one end was captured, and it is the other host's that seems to fit.
#[test]
fn what_is_connected_to_its_own_host_is_connected_to_no_other() {
    for who in 0..2 {
        for (kernel, is_joined) in [("k", true), ("other", false)] {
            let mut made = Made::new();
            made.process(SERVER, kernel, Some((150, 250)));
            let client = made.socket(CLIENT, 1, "10.0.0.1:5000", "10.0.0.2:80");
            let server = made.socket(SERVER, 2, "10.0.0.2:80", "10.0.0.1:5000");
            for (index, socket) in made.part.sockets.iter_mut().enumerate() {
                // Without a process the address is said.
                let said = if index == who { "nginx (pid 7)".into() } else { socket.remote.clone() };
                socket.peer_description = Some(said);
            }
            made.stream(Client, client, 1, "GET /a");
            made.stream(Server, server, 1, "GET /a");
            let result = made.join();
            assert_eq!(!result.links.is_empty(), is_joined, "{who} {kernel}: {result:?}");
            if !is_joined {
                result.is_none("peer not captured: nginx (pid 7)");
            }
        }
    }
}

#[test]
fn addresses_that_every_host_has_are_not_certain_between_hosts() {
    let pair = |one: &str, other: &str, kernel: &str| {
        let mut made = Made::new();
        made.process(SERVER, kernel, Some((150, 5_000)));
        made.process(CLIENT, "k", Some((100, 5_000)));
        let client = made.socket(CLIENT, 1, &format!("{one}:5000"), &format!("{other}:80"));
        let server = made.socket(SERVER, 2, &format!("{other}:80"), &format!("{one}:5000"));
        made.stream(Client, client, 1, "GET /a");
        made.stream(Server, server, 1, "GET /a");
        made.join().links[0].confidence
    };
    for (one, other, wanted) in [
        ("10.0.0.1", "10.0.0.2", Certain),
        ("203.0.113.1", "[2001:db8::1]", Certain),
        ("172.17.0.2", "172.17.0.3", Likely),
        ("10.0.0.1", "172.17.0.3", Likely),
        ("169.254.1.1", "10.0.0.1", Likely),
        ("[fe80::1%2]", "[fe80::2]", Likely),
    ] {
        assert_eq!(pair(one, other, "other"), wanted, "{one} {other}");
        assert_eq!(pair(one, other, "k"), Certain, "{one} {other}");
    }
}

#[test]
fn two_equal_connections_are_none() {
    let mut made = Made::new();
    let client = made.socket(CLIENT, 1, "10.0.0.1:5000", "10.0.0.2:80");
    let server = made.socket(SERVER, 2, "10.0.0.2:80", "10.0.0.1:5000");
    made.process(3, "other", Some((100, 200)));
    let twin = made.socket(3, 2, "10.0.0.2:80", "10.0.0.1:5000");
    made.stream(Client, client, 1, "GET /a");
    made.stream(Server, server, 1, "GET /a");
    made.stream(Server, twin, 1, "GET /a");
    made.join().is_none("ambiguous address");
}

#[test]
fn one_socket_of_two_processes_is_one() {
    let mut made = Made::new();
    let (client, server) = made.connection();
    made.process(3, "k", Some((100, 200)));
    let copy = made.socket(3, 1, "127.0.0.1:80", "127.0.0.1:40000");
    made.part.sockets[2].inode = made.part.sockets[1].inode;
    made.stream(Client, client, 1, "GET /a");
    made.stream(Server, server, 3, "GET /a");
    made.stream(Server, copy, 1, "GET /a");
    let result = made.join();
    assert_eq!(result.pairs(), [(1, Some(3), InFlight, Certain)], "{result:?}");
}

/// A number that was given again between two looks.
#[test]
fn rows_of_one_number_that_differ_are_no_socket() {
    type Change = fn(&mut Socket);
    let changes: [Change; 4] = [
        |socket| socket.netns = 7,
        |socket| socket.remote = "127.0.0.1:9".into(),
        |socket| socket.cookie = Some(2),
        |socket| socket.peer_inode = Some(2),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut made = Made::new();
        let (client, server) = made.connection();
        (made.last().cookie, made.last().peer_inode) = (Some(1), Some(1));
        made.process(3, "k", Some((100, 200)));
        made.socket(3, 1, "127.0.0.1:80", "127.0.0.1:40000");
        made.last().inode = made.part.sockets[1].inode;
        change(made.last());
        made.stream(Client, client, 1, "GET /a");
        made.stream(Server, server, 1, "GET /a");
        let result = made.join();
        assert_eq!(result.links, [], "{index}");
        result.is_none("ambiguous address");
    }
}

/// What lies in the queue of one socket is what any of its rows has seen there.
#[test]
fn the_queues_of_a_socket_are_those_of_all_its_rows() {
    for (queue, wanted) in [(Some(0), Certain), (Some(5), Likely), (None, Likely)] {
        let mut made = Made::new();
        let (client, server) = made.connection();
        made.process(3, "k", Some((100, 200)));
        made.socket(3, 1, "127.0.0.1:80", "127.0.0.1:40000");
        (made.last().inode, made.last().receive_queue_bytes) = (made.part.sockets[1].inode, queue);
        made.one(Client, client, "GET /a", Some(false));
        made.one(Server, server, "GET /a", Some(false));
        assert_eq!(made.join().pairs(), [(1, Some(2), InFlight, wanted)], "{queue:?}");
    }
}

#[test]
fn a_socket_is_not_its_own_other_end() {
    let mut made = Made::new();
    let client = made.socket(CLIENT, 1, "", "");
    (made.last().is_unix, made.last().peer_inode) = (true, Some(1001));
    made.stream(Client, client, 1, "GET /a");
    made.stream(Server, client, 1, "GET /a");
    made.join().is_none("ambiguous address");
}

#[test]
fn translated_addresses_are_followed_and_never_certain() {
    for is_on_client in [true, false] {
        let mut made = Made::new();
        made.process(SERVER, "other", Some((150, 250)));
        let client = made.socket(CLIENT, 1, "10.0.0.1:5000", "10.9.9.9:80");
        if is_on_client {
            made.last().translated_local = Some("192.168.0.1:6000".into());
            made.last().translated_remote = Some("10.0.0.2:8080".into());
        }
        let server = made.socket(SERVER, 2, "10.0.0.2:8080", "192.168.0.1:6000");
        if !is_on_client {
            made.last().translated_local = Some("10.9.9.9:80".into());
            made.last().translated_remote = Some("10.0.0.1:5000".into());
        }
        made.stream(Client, client, 1, "GET /a");
        made.stream(Server, server, 1, "GET /a");
        let result = made.join();
        assert_eq!(result.pairs(), [(1, Some(2), InFlight, Likely)], "{is_on_client}: {result:?}");
        assert!(result.links[0].evidence.is_translated);
    }
}

/// Containers of two hosts have the same private address, as they do; each host has one of its own.
#[test]
fn what_an_address_is_translated_to_has_to_be_one_host_s() {
    for (own, is_joined) in [("192.168.0.1", true), ("192.168.0.3", false)] {
        let mut made = Made::new();
        made.process(SERVER, "other", Some((150, 250)));
        made.process(3, "third", Some((100, 200)));
        made.socket(3, 7, "172.17.0.2:1", "10.0.0.9:1");
        made.socket(3, 8, "192.168.0.3:1", "10.0.0.9:1");
        let client = made.socket(CLIENT, 1, "172.17.0.2:5000", "10.0.0.2:80");
        made.last().translated_local = Some(format!("{own}:6000").into());
        let server = made.socket(SERVER, 2, "10.0.0.2:80", &format!("{own}:6000"));
        made.stream(Client, client, 1, "GET /a");
        made.stream(Server, server, 1, "GET /a");
        let result = made.join();
        assert_eq!(!result.links.is_empty(), is_joined, "{own}: {result:?}");
    }
}

#[test]
fn unix_sockets_are_joined_by_inode_within_a_kernel() {
    for (kernel, is_joined) in [("k", true), ("other", false)] {
        let mut made = Made::new();
        made.process(SERVER, kernel, Some((150, 250)));
        let client = made.socket(CLIENT, 1, "", "");
        (made.last().is_unix, made.last().peer_inode) = (true, Some(1002));
        let server = made.socket(SERVER, 1, "/run/s", "");
        (made.last().is_unix, made.last().peer_inode) = (true, Some(1001));
        made.stream(Client, client, 1, "GET /a");
        made.stream(Server, server, 1, "GET /a");
        let result = made.join();
        assert_eq!(!result.links.is_empty(), is_joined, "{kernel}: {result:?}");
    }
}

#[test]
fn a_connection_that_nobody_has_accepted_waits() {
    for at in ["127.0.0.1:80", "0.0.0.0:80", "[::]:80"] {
        let mut made = Made::new();
        let client = made.socket(CLIENT, 1, "127.0.0.1:5000", "127.0.0.1:80");
        made.socket(SERVER, 1, at, "");
        (made.last().listens, made.last().receive_queue_bytes) = (true, Some(1));
        made.one(Client, client, "GET /a", Some(false));
        made.join().is_none("waits to be accepted");
    }
}
