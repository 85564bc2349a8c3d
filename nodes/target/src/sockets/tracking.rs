//! Which connections this host translates (NAT): `/proc/net/nf_conntrack` of a namespace.
//!
//! A line has the connection as who began it sees it, and then as who answers does (net/netfilter/nf_conntrack_standalone.c,
//! `ct_seq_show`):
//!
//! ```text
//! ipv4 2 tcp 6 431999 ESTABLISHED src=10.0.0.2 dst=10.9.9.9 sport=40000 dport=80
//!                                 src=10.0.1.3 dst=10.0.0.2 sport=8080 dport=40000 [ASSURED] mark=0 use=2
//! ```

use super::Kind;
use super::tables::lines;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

/// Connections that are translated; more are left out.
const TRANSLATED_MAX: usize = 1 << 18;
const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";

/// A connection as one end sees it: its protocol, the local address and the remote one.
type Seen = (Kind, SocketAddr, SocketAddr);

#[derive(Debug, Default)]
pub(super) struct Tracking {
    /// What the other end has as its remote and as its local address. `None`: two lines differ.
    translated: HashMap<Seen, Option<(SocketAddr, SocketAddr)>>,
    pub(super) problem: Option<String>,
}

impl Tracking {
    /// Of the namespace of a process; `own`: it is this process's own, and this thread's.
    pub(super) fn of(pid: u32, own: bool, until: Instant) -> Tracking {
        let path = if own {
            "/proc/thread-self/net/nf_conntrack".to_owned()
        } else {
            format!("/proc/{pid}/net/nf_conntrack")
        };
        let mut tracking = Tracking::default();
        let mut is_there = false;
        let read = lines(&path, until, &mut |line| {
            is_there = true;
            tracking.add(line);
        });
        tracking.problem = match read {
            Err(error) => Some(format!("{path}: {error}; which addresses this host translates is not known")),
            Ok(()) if own && !is_there => unread(),
            Ok(()) if tracking.translated.len() >= TRANSLATED_MAX => Some(format!(
                "{path}: more than {TRANSLATED_MAX} ends of translated connections; the rest is left out"
            )),
            Ok(()) => None,
        };
        tracking
    }

    pub(super) fn get(
        &self,
        kind: Kind,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Option<(SocketAddr, SocketAddr)> {
        self.translated.get(&(kind, local, remote)).copied().flatten()
    }

    fn add(&mut self, line: &str) {
        let Some((kind, [began, answered])) = connection(line) else { return };
        let reversed = (answered.1, answered.0);
        if began == reversed || self.translated.len() >= TRANSLATED_MAX {
            return;
        }
        // What one end sees, and what the other one has as its remote and as its local address.
        for (seen, other) in [(began, (answered.1, answered.0)), (answered, (began.1, began.0))] {
            match self.translated.entry((kind, seen.0, seen.1)) {
                Entry::Vacant(vacant) => drop(vacant.insert(Some(other))),
                // Zones may have the same addresses twice.
                Entry::Occupied(mut known) if *known.get() != Some(other) => drop(known.insert(None)),
                Entry::Occupied(_) => {}
            }
        }
    }
}

/// Nothing was read: because nothing is tracked, or because this kernel does not show it there.
fn unread() -> Option<String> {
    let count = std::fs::read_to_string(COUNT).ok()?;
    (count.trim() != "0" && !std::fs::exists("/proc/thread-self/net/nf_conntrack").unwrap_or(true)).then(|| {
        format!(
            "this kernel tracks {} connections and has no /proc/net/nf_conntrack (CONFIG_NF_CONNTRACK_PROCFS); which \
             addresses it translates is not known",
            count.trim()
        )
    })
}

/// The two pairs of source and destination.
fn connection(line: &str) -> Option<(Kind, [(SocketAddr, SocketAddr); 2])> {
    let mut words = line.split_ascii_whitespace();
    let kind = match words.nth(2)? {
        "tcp" => Kind::Tcp,
        "udp" => Kind::Udp,
        _ => return None,
    };
    let mut pair = || {
        let mut next = |key: &str| words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        let (source, destination): (IpAddr, IpAddr) =
            (next("src")?.parse().ok()?, next("dst")?.parse().ok()?);
        let (from, to) = (next("sport")?.parse().ok()?, next("dport")?.parse().ok()?);
        Some((SocketAddr::new(source, from), SocketAddr::new(destination, to)))
    };
    Some((kind, [pair()?, pair()?]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn of(lines: &[&str]) -> Tracking {
        let mut tracking = Tracking::default();
        lines.iter().for_each(|line| tracking.add(line));
        tracking
    }

    /// As a kernel 6.18 has written it, for a rule `dnat to 10.0.1.3:8080`.
    const TRANSLATED: &str = "ipv4     2 tcp      6 431999 ESTABLISHED src=10.0.0.2 dst=10.9.9.9 sport=40000 dport=80 src=10.0.1.3 dst=10.0.0.2 sport=8080 dport=40000 [ASSURED] mark=0 zone=0 use=2";

    #[test]
    fn each_end_learns_what_the_other_one_sees() {
        let tracking = of(&[TRANSLATED]);
        let (client, service, server) =
            (address("10.0.0.2:40000"), address("10.9.9.9:80"), address("10.0.1.3:8080"));
        // The other end of the client's has the client as its remote, and itself as its local one.
        assert_eq!(tracking.get(Kind::Tcp, client, service), Some((client, server)));
        assert_eq!(tracking.get(Kind::Tcp, server, client), Some((service, client)));
        assert_eq!(tracking.get(Kind::Udp, client, service), None);
        assert_eq!(tracking.get(Kind::Tcp, service, client), None);
    }

    #[test]
    fn source_translation_shows_at_the_server() {
        let tracking = of(&[
            "ipv4 2 tcp 6 300 ESTABLISHED src=192.168.0.5 dst=1.2.3.4 sport=5000 dport=443 src=1.2.3.4 dst=9.9.9.9 sport=443 dport=61000 [ASSURED] use=1",
        ]);
        let (inner, outer, server) =
            (address("192.168.0.5:5000"), address("9.9.9.9:61000"), address("1.2.3.4:443"));
        assert_eq!(tracking.get(Kind::Tcp, inner, server), Some((outer, server)));
        assert_eq!(tracking.get(Kind::Tcp, server, outer), Some((server, inner)));
    }

    #[test]
    fn what_is_not_translated_or_not_sure_is_not_there() {
        let plain = "ipv4 2 tcp 6 9 ESTABLISHED src=10.0.0.2 dst=10.0.0.3 sport=1 dport=2 src=10.0.0.3 dst=10.0.0.2 sport=2 dport=1 [ASSURED] use=1";
        assert!(of(&[plain]).translated.is_empty());
        let icmp = "ipv4 2 icmp 1 29 src=10.0.0.2 dst=10.0.0.3 type=8 code=0 id=7 src=10.0.0.3 dst=10.0.0.2 type=0 code=0 id=7 use=1";
        assert!(of(&[icmp, "", "ipv4 2 tcp"]).translated.is_empty());
        let other_zone = TRANSLATED.replace("10.0.1.3", "10.0.1.4").replace("zone=0", "zone=5");
        let tracking = of(&[TRANSLATED, &other_zone]);
        assert_eq!(tracking.get(Kind::Tcp, address("10.0.0.2:40000"), address("10.9.9.9:80")), None);
        let six = "ipv6     10 udp      17 29 src=fd00::2 dst=fd00::9 sport=5 dport=53 [UNREPLIED] src=fd00::3 dst=fd00::2 sport=53 dport=5 use=2";
        assert!(of(&[six]).get(Kind::Udp, address("[fd00::2]:5"), address("[fd00::9]:53")).is_some());
    }

    proptest! {
        #[test]
        fn any_line_is_a_connection_or_none(line in "(ipv[46] 2 (tcp|udp) 6 )?([a-z]{1,6}=[0-9a-f.:]{0,12} ?){0,10}") {
            of(&[&line]);
        }
    }
}
