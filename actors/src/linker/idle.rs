//! Connections on which nobody calls anybody: both ends wait for bytes.

use super::calls::{Ends, Pair, reversed};
use super::facts::{Confidence, Evidence, Found, Link, Role, State};
use super::join::side;

impl Pair<'_> {
    pub(super) fn bytes(&self, found: &mut Found) {
        let reading = |ends: &Ends<'_>| ends.ends.iter().filter(|end| !end.writes).count();
        let is_quiet = |ends: &Ends<'_>| ends.receive_queue_bytes.unwrap_or(0) == 0 && ends.ends.len() == 1;
        let is_idle = [&self.near, &self.far].into_iter().all(|ends| is_quiet(ends) && reading(ends) == 1);
        if is_idle && let ([one], [other]) = (&self.near.ends[..], &self.far.ends[..]) {
            let (client, server, evidence) = match (one.role, other.role) {
                (Role::Client, Role::Server) => (one, other, self.evidence.clone()),
                (Role::Server, Role::Client) => (other, one, reversed(&self.evidence)),
                // Of a unix socket pair, or one whose listener is closed: which is which has no meaning while it is idle.
                _ if one.id < other.id => (one, other, self.evidence.clone()),
                _ => (other, one, reversed(&self.evidence)),
            };
            let evidence = Evidence {
                unread_bytes: self.far.receive_queue_bytes,
                overlap_ns: (self.overlap_ns)(one.process, other.process),
                ..evidence
            };
            found.links.push(Link {
                client: side(client),
                server: Some(side(server)),
                protocol: client.protocol.clone(),
                state: State::Idle,
                confidence: Confidence::Likely,
                evidence,
            });
            return;
        }
        for (own, other) in [(&self.near, &self.far), (&self.far, &self.near)] {
            for end in &own.ends {
                let reason = match (end.writes, own.receive_queue_bytes) {
                    (true, _) => format!("not yet read: {} has not read what it writes", other.name),
                    (false, Some(1..)) => "bytes for it have come".to_owned(),
                    (false, _) if other.ends.is_empty() => {
                        format!("no goroutine of {} waits at the other end", other.name)
                    }
                    (false, _) => "several goroutines wait at one end of its connection".to_owned(),
                };
                found.unmatched.push((end.id, reason.into()));
            }
        }
    }
}
