//! What the linker is given of a snapshot, and what it finds. Ids are those of the file's rows.

use std::sync::Arc;

/// Of one process: what its ends have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub id: i64,
    /// For people: `orders, pid 12 on web`.
    pub name: Box<str>,
    /// The kernel that numbers its sockets and namespaces: the host's boot id, or where that is unknown the host itself.
    pub kernel: Box<str>,
    /// In which it stood still, on the coordinator's clock; `None`: it did not, or it is not known.
    pub frozen: Option<Window>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub start_unix_ns: i64,
    pub end_unix_ns: i64,
    /// What was added to its kernel's clock to come to the coordinator's, and the bound of that one's error.
    pub offset_ns: i64,
    pub error_ns: i64,
}

/// A descriptor of a process that is a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    pub id: i64,
    pub process: i64,
    pub netns: i64,
    pub inode: i64,
    /// That its kernel never gives again.
    pub cookie: Option<i64>,
    pub is_unix: bool,
    pub protocol: Box<str>,
    pub local: Box<str>,
    /// Empty: it is not connected.
    pub remote: Box<str>,
    pub listens: bool,
    /// Just after the stop.
    pub receive_queue_bytes: Option<u32>,
    pub send_queue_bytes: Option<u32>,
    pub peer_inode: Option<i64>,
    pub translated_local: Option<Box<str>>,
    pub translated_remote: Option<Box<str>>,
    /// A process of the same host, if its node has found one; else the remote address.
    pub peer_description: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// A goroutine at one end of a connection: a call that it waits for or serves, or (`tcp`, `unix`) bytes that it waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub id: i64,
    pub goroutine: i64,
    pub process: i64,
    pub socket: Option<i64>,
    /// The descriptor that its process has of the connection.
    pub fd: Option<i64>,
    pub role: Role,
    pub protocol: Box<str>,
    pub stream: Option<i64>,
    pub method: Option<Box<str>>,
    /// Trace and span that the client has sent along, `trace span`: what a client's end has sent, what a server's end was sent.
    pub trace: Option<Box<str>>,
    /// The head of the answer was sent, or has come.
    pub answered: Option<bool>,
    /// Bytes that its process has read ahead from the connection.
    pub buffered_bytes: Option<u32>,
    /// Of bytes alone: it waits until it can write, not until something comes.
    pub writes: bool,
}

impl End {
    /// What bytes alone are called.
    pub(super) fn is_bytes(&self) -> bool {
        matches!(&*self.protocol, "tcp" | "unix")
    }
}

/// A part of what there is, in this order: processes, sockets, ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub processes: Vec<Process>,
    pub sockets: Vec<Socket>,
    pub ends: Vec<End>,
    /// Where the next part begins; `None`: this is the last one.
    pub next: Option<Place>,
}

/// Where a part begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// With the processes.
    #[default]
    Start,
    /// Behind this socket.
    Sockets(i64),
    /// Behind this end.
    Ends(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    InFlight,
    /// Sent, and not yet read.
    Unread,
    /// Nobody waits for the other.
    Idle,
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            State::InFlight => "in flight",
            State::Unread => "unread",
            State::Idle => "idle",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    Likely,
    Certain,
}

impl Confidence {
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Likely => "likely",
            Confidence::Certain => "certain",
        }
    }
}

/// Two goroutines that one connection, or one trace, joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    pub client: Side,
    /// `None`: nobody serves it yet.
    pub server: Option<Side>,
    pub protocol: Box<str>,
    pub state: State,
    pub confidence: Confidence,
    pub evidence: Evidence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    pub end: i64,
    pub goroutine: i64,
}

/// What a link rests on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The connection as the client's end has it, and as the server's has it.
    pub client_socket: Option<(Arc<str>, Arc<str>)>,
    pub server_socket: Option<(Arc<str>, Arc<str>)>,
    /// Addresses are translated between the two.
    pub is_translated: bool,
    pub stream: Option<i64>,
    /// Both ends say the same method and path.
    pub same_method: bool,
    pub trace: Option<Box<str>>,
    /// Of the server's socket, and what its process has read ahead.
    pub unread_bytes: Option<u32>,
    /// For how long both stood still at the same time; negative: the time between.
    pub overlap_ns: Option<i64>,
}

/// What was found, or a part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub links: Vec<Link>,
    /// Why an end has no link.
    pub unmatched: Vec<(i64, Arc<str>)>,
}
