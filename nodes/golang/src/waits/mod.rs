//! What a parked goroutine waits for, from the runtime's own records: channels, locks and the like, sleep, files.
//!
//! `g.waiting` leads to the records of channel operations, and since Go 1.26 to those of semaphores and conditions. What
//! the runtime keeps no way to is found on the goroutine's own stack, in the frame of the function that has parked it: the
//! record that it queues (`sudog`), or the word of the poller's descriptor that it waits at. Such a word is believed only if
//! what it points to names this very goroutine (`records.rs`).

mod find;
mod kind;
mod read;
mod records;
mod settled;
mod words;

pub use kind::Kind;

pub(crate) use find::Waits;
pub(crate) use kind::needs_stack;
pub(crate) use read::{Waiting, read};
pub(crate) use settled::Settled;
pub(crate) use words::WINDOW_BYTES;

/// One thing that a goroutine waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    pub kind: Kind,
    /// It goes on when any one of several comes true, of which this is one.
    pub any: bool,
    /// Of the channel, the lock and so on; `None` where that is not known, or where there is none.
    pub address: Option<u64>,
    pub detail: Detail,
}

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    Nothing,
    Channel(Channel),
    Mutex {
        locked: bool,
        starving: bool,
        /// Goroutines that wait for it; one that was woken and has not run yet is not among them.
        waiters: u32,
    },
    ReadWriteMutex {
        /// That hold it, those that a waiting writer waits for among them.
        readers: i64,
        /// One holds it or waits for it.
        writer: bool,
    },
    WaitGroup {
        counter: i32,
        waiters: u32,
    },
    /// Nanoseconds of CLOCK_MONOTONIC; `None` where time is not real (testing/synctest), and of the runtime's own goroutines.
    Sleep {
        until_ns: Option<i64>,
    },
    File {
        descriptor: u64,
        /// Nanoseconds of CLOCK_MONOTONIC.
        deadline_ns: Option<i64>,
    },
    SystemCall {
        number: i64,
        arguments: [u64; 6],
    },
    /// As Go names it.
    Reason(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// `None`: its case in a select could not be found among the channel's queues.
    pub sends: Option<bool>,
    pub length: u64,
    pub capacity: u64,
    /// Of a timer or a ticker: when it fires, in nanoseconds of CLOCK_MONOTONIC.
    pub fires_ns: Option<i64>,
}
