//! What an end says of its call.

use super::facts::End;

/// A verb and a path, the same on both sides of a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Said {
    pub(super) verb: Box<str>,
    path: Box<str>,
}

impl Said {
    /// `None`: it says nothing. gRPC has no verb: over HTTP/2 its calls are POST (gRPC over HTTP2, "Requests").
    pub(super) fn of(end: &End) -> Option<Said> {
        let text = end.method.as_deref()?;
        let (verb, path) = text.split_once(' ').unwrap_or(("POST", text));
        // net/http sends the empty path as `/`, and an empty method as GET.
        let verb = if verb.is_empty() { "GET" } else { verb };
        let path = if path.is_empty() { "/" } else { path };
        Some(Said { verb: verb.into(), path: path.into() })
    }
}

/// Whether both ends say the same method and path; `None`: one of them says nothing.
pub(super) fn agree(client: &End, server: &End) -> Option<bool> {
    Some(Said::of(client)? == Said::of(server)?)
}
