//! What kind of thing a goroutine waits for: by the reason that it was parked with, and by who has parked it.

use crate::waits::records::MINOR_WITH_PAIRS;

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

/// Of an operation on one channel.
pub(super) fn single(reason: &str) -> Option<Kind> {
    match plain(reason) {
        "chan receive" => Some(Kind::ChannelReceive),
        "chan send" => Some(Kind::ChannelSend),
        _ => None,
    }
}

/// Whether what it waits for can only be found on its stack.
pub(crate) fn needs_stack(reason: &str, minor: u32) -> bool {
    match Queue::of(reason) {
        Queue::Poller => true,
        Queue::Semaphore | Queue::Notified => minor < MINOR_WITH_PAIRS,
        Queue::Channels | Queue::Sleep | Queue::None => false,
    }
}

/// What the words of a semaphore belong to, and where in it they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) kind: Kind,
    /// From the beginning of what is waited for to the semaphore.
    pub(super) semaphore_at: u64,
}

// Offsets in structures of the package sync, the same in Go 1.21 to 1.27 (sync/mutex.go, since 1.24 internal/sync/mutex.go:
// `state`, `sema`; sync/rwmutex.go: `w`, `writerSem`, `readerSem`; sync/waitgroup.go: `state`, `sema`; sync/once.go: `done`,
// `m`). `tests/tests/waits.rs` holds them against programs of all these versions.
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
            // Whoever else was linked to the runtime's function may have a semaphore of any kind.
            if !callers.peek().is_some_and(locks) {
                return owner(Kind::Semaphore, 0);
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn owner_of(reason: &str, names: &[&str]) -> (Kind, u64) {
        let owner = owner(reason, names.iter().copied());
        (owner.kind, owner.semaphore_at)
    }

    #[test]
    fn who_has_parked_it_tells_what_a_semaphore_is_of() {
        let lock = ["runtime.gopark", "runtime.semacquire1", "internal/sync.runtime_SemacquireMutex"];
        let of_lock = |callers: &[&str]| {
            let names = [&lock[..], &["internal/sync.(*Mutex).lockSlow", "sync.(*Mutex).Lock"], callers];
            owner_of("sync.Mutex.Lock", &names.concat())
        };
        assert_eq!(of_lock(&["main.work"]), (Kind::Mutex, 4));
        assert_eq!(of_lock(&["sync.(*Once).doSlow", "sync.(*Once).Do", "main.work"]), (Kind::Once, 8));
        assert_eq!(of_lock(&["sync.(*RWMutex).Lock", "main.work"]), (Kind::WriteLock, 4));
        // It is not at the lock of the `Once` that it waits.
        assert_eq!(of_lock(&["main.open", "sync.(*Once).doSlow"]), (Kind::Mutex, 4));
        // Another package's own lock, linked to the runtime's function (go:linkname).
        let names = [&lock[..], &["example.com/sync.(*Mutex).Lock"]].concat();
        assert_eq!(owner_of("sync.Mutex.Lock", &names), (Kind::Semaphore, 0));
        let acquire = ["runtime.gopark", "sync.runtime_Semacquire", "sync.(*WaitGroup).Wait"];
        assert_eq!(owner_of("semacquire", &acquire), (Kind::WaitGroup, 8));
        let of_file =
            ["runtime.gopark", "internal/poll.runtime_Semacquire", "internal/poll.(*fdMutex).rwlock"];
        assert_eq!(owner_of("semacquire", &of_file), (Kind::Semaphore, 0));
        assert_eq!(owner_of("sync.WaitGroup.Wait", &[]), (Kind::WaitGroup, 8));
    }

    #[test]
    fn what_go_adds_in_parentheses_changes_no_kind() {
        assert_eq!(Queue::of("select (durable)"), Queue::Channels);
        assert_eq!(Queue::of("chan receive (synctest)"), Queue::Channels);
        assert_eq!(Queue::of("GC worker (idle)"), Queue::None);
        assert_eq!(of_reason("GC worker (idle)"), Kind::Collector);
        assert_eq!(of_reason("force gc (idle)"), Kind::Collector);
        assert_eq!(of_reason("finalizer wait"), Kind::Other);
    }

    #[test]
    fn who_has_parked_it_tells_what_a_file_is_waited_for() {
        let of = |writes, callers: &[&str]| {
            let poll = ["runtime.gopark", "runtime.netpollblock", "internal/poll.runtime_pollWait"];
            let names = [&poll[..], &["internal/poll.(*pollDesc).wait"], callers].concat();
            of_file(writes, names.into_iter())
        };
        assert_eq!(of(false, &["internal/poll.(*FD).Accept", "net.(*netFD).accept"]), Kind::NetAccept);
        assert_eq!(of(true, &["internal/poll.(*FD).WaitWrite", "net.(*netFD).connect"]), Kind::NetConnect);
        assert_eq!(of(true, &["internal/poll.(*FD).Write", "net.(*netFD).Write"]), Kind::NetWrite);
        assert_eq!(of(false, &["internal/poll.(*FD).Read", "os.(*File).Read"]), Kind::NetRead);
    }
}
