//! The runtime's records of who waits where: `sudog`, `hchan`, `notifyList`, `pollDesc`.
//!
//! A `sudog` is taken from a pool and given back to it, with its `elem` and `c` nil, but with `g` as it was
//! (`releaseSudog`, runtime/proc.go): one that has an `elem` and names a parked goroutine is the one that it waits with. That of
//! a condition never has an `elem` up to Go 1.25; it counts if the condition's list has it.
//
// @go source runtime.{acquireSudog,releaseSudog}
// @go source runtime.(*semaRoot).{queue,dequeue}
// @go source runtime.{notifyListWait,notifyListNotifyAll,notifyListNotifyOne}
// @go source runtime.{netpollblock,netpollblockcommit,netpollunblock}
// @go size runtime.sudog.{g,next,waitlink} = 8
// @go size runtime.notifyList.head = 8
// @go size runtime.pollDesc.{fd,rg,wg,rd,wd,self} = 8
// @go size runtime.timer.when = 8

use crate::bytes::{u32_at, u64_at};
use crate::layout::Layouts;

/// Go 1.26 made `elem` and `c` pairs of which the second word is always there (`maybeTraceablePtr`, runtime2.go), and
/// has `g.waiting` lead to the `sudog`s of semaphores and conditions, too.
//
// @go offset runtime.maybeTraceablePtr.vu = none (..1.25), 8 (1.26..)
pub(super) const MINOR_WITH_PAIRS: u32 = 26;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sudog {
    pub(super) g: u64,
    /// In the queue of a channel, or the list of a condition.
    pub(super) next: u64,
    /// Of a channel operation: the slot. Of a semaphore: its word. Of a condition, from Go 1.26 on: its list.
    pub(super) elem: u64,
    /// The goroutine's next one, of a select.
    pub(super) link: u64,
    pub(super) channel: u64,
}

impl Sudog {
    pub(super) fn parse(bytes: &[u8], layouts: &Layouts, minor: u32) -> Option<Self> {
        let (sudog, second) = (&layouts.sudog, if minor >= MINOR_WITH_PAIRS { 8 } else { 0 });
        Some(Sudog {
            g: u64_at(bytes, sudog.g)?,
            next: u64_at(bytes, sudog.next)?,
            elem: u64_at(bytes, sudog.elem + second)?,
            link: u64_at(bytes, sudog.waitlink)?,
            channel: u64_at(bytes, sudog.c + second)?,
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChannelRecord {
    pub(super) length: u64,
    pub(super) capacity: u64,
    /// First of the `sudog`s that receive.
    pub(super) receiving: u64,
    /// First of those that send.
    pub(super) sending: u64,
    /// 0: it is of no timer, or that is not known.
    pub(super) timer: u64,
}

impl ChannelRecord {
    pub(super) fn parse(bytes: &[u8], layouts: &Layouts) -> Option<Self> {
        let channel = &layouts.channel;
        let record = ChannelRecord {
            length: u64_at(bytes, channel.qcount)?,
            capacity: u64_at(bytes, channel.dataqsiz)?,
            receiving: u64_at(bytes, channel.recvq)?,
            sending: u64_at(bytes, channel.sendq)?,
            timer: channel.timer.map_or(Some(0), |at| u64_at(bytes, at))?,
        };
        (record.length <= record.capacity).then_some(record)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PollRecord {
    pub(super) descriptor: u64,
    pub(super) reader: u64,
    pub(super) writer: u64,
    /// In nanoseconds of CLOCK_MONOTONIC; 0: none, negative: it has passed.
    pub(super) read_deadline: i64,
    pub(super) write_deadline: i64,
}

impl PollRecord {
    /// `None`: there is none at `address`.
    pub(super) fn parse(address: u64, bytes: &[u8], layouts: &Layouts) -> Option<Self> {
        let poll = &layouts.poll_desc;
        let word = |at| u64_at(bytes, at);
        (word(poll.this)? == address).then_some(())?;
        Some(PollRecord {
            descriptor: word(poll.fd)?,
            reader: word(poll.rg)?,
            writer: word(poll.wg)?,
            read_deadline: word(poll.rd)?.cast_signed(),
            write_deadline: word(poll.wd)?.cast_signed(),
        })
    }
}

/// `sync.Mutex`; up to Go 1.23 the constants stand in sync/mutex.go.
//
// @go const internal/sync.mutexLocked = none (..1.23), 1 (1.24..)
// @go const internal/sync.mutexStarving = none (..1.23), 4 (1.24..)
// @go const internal/sync.mutexWaiterShift = none (..1.23), 3 (1.24..)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MutexState(pub(super) u32);

impl MutexState {
    pub(super) fn is_locked(self) -> bool {
        self.0 & 1 != 0
    }

    pub(super) fn is_starving(self) -> bool {
        self.0 & 4 != 0
    }

    pub(super) fn waiters(self) -> u32 {
        self.0 >> 3
    }
}

/// `sync.RWMutex`, of which `readerCount` is at 16 and `readerWait` at 20 (sync/rwmutex.go, Go 1.21 to 1.27).
pub(super) const RWMUTEX_BYTES: usize = 24;

/// Readers that hold it, and whether a writer holds it or waits for it. `rwmutexMaxReaders`: sync/rwmutex.go.
pub(super) fn readers(bytes: &[u8]) -> Option<(i64, bool)> {
    const MAX_READERS: i64 = 1 << 30;
    let signed = |at| u32_at(bytes, at).map(|word| i64::from(word.cast_signed()));
    let (count, leaving) = (signed(16)?, signed(20)?);
    // With a writer there, `readerCount` counts those that wait behind it as well, `readerWait` those that it waits for.
    let found = if count < 0 { (leaving, true) } else { (count, false) };
    (found.0 >= 0 && count > -2 * MAX_READERS).then_some(found)
}

/// `sync.WaitGroup`, which begins with its `state` (sync/waitgroup.go, Go 1.21 to 1.27).
pub(super) const WAIT_GROUP_BYTES: usize = 16;

/// Its counter, and how many goroutines wait.
pub(super) fn counts(bytes: &[u8]) -> Option<(i32, u32)> {
    let state = u64_at(bytes, 0)?;
    // From Go 1.25 on the uppermost bit of the waiters says that it is of a bubble (testing/synctest).
    Some((((state >> 32) as u32).cast_signed(), state as u32 & 0x7fff_ffff))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: [i32; 6]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn readers_are_those_that_hold_the_lock() {
        const MAX: i32 = 1 << 30;
        assert_eq!(readers(&words([0, 0, 0, 0, 3, 0])), Some((3, false)));
        // Two hold it, a writer waits for them, and a third reader waits behind that.
        assert_eq!(readers(&words([1, 0, 0, 0, 3 - MAX, 2])), Some((2, true)));
        // A writer holds it.
        assert_eq!(readers(&words([1, 0, 0, 0, 1 - MAX, 0])), Some((0, true)));
        // No lock at all.
        assert_eq!(readers(&words([0, 0, 0, 0, 0, 0])[..20]), None);
        assert_eq!(readers(&words([0, 0, 0, 0, i32::MIN, 0])), None);
        assert_eq!(readers(&words([0, 0, 0, 0, -MAX, -1])), None);
    }

    #[test]
    fn a_wait_group_has_a_counter_and_waiters() {
        let state = (7u64 << 32 | 0x8000_0002).to_le_bytes();
        assert_eq!(counts(&state), Some((7, 2)));
        assert_eq!(counts(&state[..7]), None);
    }

    #[test]
    fn a_mutex_is_one_word() {
        let state = MutexState(17);
        assert_eq!((state.is_locked(), state.is_starving(), state.waiters()), (true, false, 2));
    }
}
