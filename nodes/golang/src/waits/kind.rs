//! What kind of thing a goroutine waits for: by the reason that it was parked with, and by who has parked it.

/// As the snapshot file names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    ChannelReceive,
    ChannelSend,
    Select,
    Mutex,
    ReadLock,
    WriteLock,
    WaitGroup,
    Condition,
    Once,
    Semaphore,
    Sleep,
    NetRead,
    NetWrite,
    NetAccept,
    NetConnect,
    SystemCall,
    Collector,
    Other,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::ChannelReceive => "chan receive",
            Kind::ChannelSend => "chan send",
            Kind::Select => "select",
            Kind::Mutex => "mutex",
            Kind::ReadLock => "rwmutex read",
            Kind::WriteLock => "rwmutex write",
            Kind::WaitGroup => "waitgroup",
            Kind::Condition => "cond",
            Kind::Once => "once",
            Kind::Semaphore => "semaphore",
            Kind::Sleep => "sleep",
            Kind::NetRead => "net read",
            Kind::NetWrite => "net write",
            Kind::NetAccept => "net accept",
            Kind::NetConnect => "net connect",
            Kind::SystemCall => "syscall",
            Kind::Collector => "gc",
            Kind::Other => "other",
        }
    }
}

/// How the runtime keeps what a goroutine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// `g.waiting` leads to it.
    Channels,
    /// `semaRoot`: the address is that of a word.
    Semaphore,
    /// `notifyList`.
    Notified,
    /// `pollDesc`.
    Poller,
    Sleep,
    /// It is not queued.
    None,
}

/// Go says in parentheses what else it knows: `select (no cases)`, `chan receive (durable)` (runtime/runtime2.go).
fn plain(reason: &str) -> &str {
    reason.split_once(" (").map_or(reason, |(plain, _)| plain)
}

impl Queue {
    // @go source runtime.{semacquire1,notifyListWait,netpollblock,timeSleep}
    pub(super) fn of(reason: &str) -> Self {
        match plain(reason) {
            "chan receive" | "chan send" | "select" => Queue::Channels,
            "semacquire"
            | "sync.Mutex.Lock"
            | "sync.RWMutex.RLock"
            | "sync.RWMutex.Lock"
            | "sync.WaitGroup.Wait" => Queue::Semaphore,
            "sync.Cond.Wait" => Queue::Notified,
            "IO wait" => Queue::Poller,
            "sleep" => Queue::Sleep,
            _ => Queue::None,
        }
    }
}

/// What the words of a semaphore belong to, and where in it they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) kind: Kind,
    /// From the beginning of what is waited for to the semaphore.
    pub(super) semaphore_at: u64,
}

// @go size sync.Mutex = 8
// @go offset sync.Once.m = 4
// @go offset sync.WaitGroup.sema = 8
// @go offset sync.RWMutex.w = 0
// @go offset sync.RWMutex.writerSem = 8
// @go offset sync.RWMutex.readerSem = 12
pub(super) const MUTEX_SEMAPHORE: u64 = 4;
pub(super) const WRITER_SEMAPHORE: u64 = 8;
pub(super) const READER_SEMAPHORE: u64 = 12;
pub(super) const WAIT_GROUP_SEMAPHORE: u64 = 8;
pub(super) const ONCE_MUTEX: u64 = 4;

/// The functions below the runtime's own: what is in between only hands the call on.
fn callers<'a>(names: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    let hands_on = |name: &&str| {
        name.starts_with("runtime.")
            || name.starts_with("sync.runtime_")
            || name.starts_with("internal/sync.runtime_")
            || name.starts_with("internal/poll.runtime_")
            || name.starts_with("internal/poll.(*pollDesc).")
    };
    names.skip_while(move |name| hands_on(name))
}

/// `names`: of the functions on its stack, innermost first.
pub(super) fn owner<'a>(reason: &str, names: impl Iterator<Item = &'a str>) -> Owner {
    let owner = |kind, semaphore_at| Owner { kind, semaphore_at };
    let mut callers = callers(names).peekable();
    match plain(reason) {
        "sync.Mutex.Lock" => {
            let locks = |name: &&str| {
                matches!(
                    *name,
                    "sync.(*Mutex).Lock"
                        | "sync.(*Mutex).lockSlow"
                        | "internal/sync.(*Mutex).Lock"
                        | "internal/sync.(*Mutex).lockSlow"
                )
            };
            match callers.find(|name| !locks(name)) {
                Some("sync.(*Once).doSlow") => owner(Kind::Once, ONCE_MUTEX + MUTEX_SEMAPHORE),
                // Writers queue up at `rw.w`.
                Some("sync.(*RWMutex).Lock") => owner(Kind::WriteLock, MUTEX_SEMAPHORE),
                _ => owner(Kind::Mutex, MUTEX_SEMAPHORE),
            }
        }
        "sync.RWMutex.RLock" => owner(Kind::ReadLock, READER_SEMAPHORE),
        "sync.RWMutex.Lock" => owner(Kind::WriteLock, WRITER_SEMAPHORE),
        "sync.WaitGroup.Wait" => owner(Kind::WaitGroup, WAIT_GROUP_SEMAPHORE),
        _ => match callers.peek() {
            Some(&"sync.(*WaitGroup).Wait") => owner(Kind::WaitGroup, WAIT_GROUP_SEMAPHORE),
            _ => owner(Kind::Semaphore, 0),
        },
    }
}

/// Of one that waits for a file. `writes`: until that can be written to.
pub(super) fn of_file<'a>(writes: bool, names: impl Iterator<Item = &'a str>) -> Kind {
    for name in callers(names) {
        match name {
            "internal/poll.(*FD).Accept" => return Kind::NetAccept,
            "net.(*netFD).connect" => return Kind::NetConnect,
            _ if name.starts_with("internal/poll.") => {}
            _ => break,
        }
    }
    if writes { Kind::NetWrite } else { Kind::NetRead }
}

/// Of one that is not queued anywhere.
pub(super) fn of_reason(reason: &str) -> Kind {
    let plain = plain(reason);
    let collects = plain.starts_with("GC ")
        || plain.starts_with("garbage collection")
        || matches!(plain, "wait for GC cycle" | "force gc");
    if collects { Kind::Collector } else { Kind::Other }
}
