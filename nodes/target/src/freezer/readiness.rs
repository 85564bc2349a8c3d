//! What keeps the freezer from waiting while a target waits for it: its memory is not taken away, and it is given a
//! processor before others while one stands still. Each is done as far as this process may; a loaded host costs the target more without it.

use nix::libc;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

/// The first among ordinary threads (setpriority(2)). Not a real-time one: those can starve others.
const NICENESS: libc::c_int = -20;

/// Of whatever nobody stands still for: it is to be no more in the way of the host's work than any other process.
const NICENESS_OF_OTHERS: libc::c_int = 0;

/// What allows a niceness of -20 (getrlimit(2), RLIMIT_NICE: 20 less the niceness).
const NICENESS_LIMIT: u64 = 40;

/// How urgent a thread is: first among others while a target stands still for it, and like any other one at all other
/// times.
#[derive(Debug, Default)]
pub(super) struct Urgency {
    is_high: bool,
}

impl Urgency {
    pub(super) fn set(&mut self, is_high: bool) {
        if is_high != self.is_high {
            self.is_high = is_high;
            let niceness = if is_high { NICENESS } else { NICENESS_OF_OTHERS };
            // SAFETY: setpriority reads its three numbers. 0 is the calling thread. EACCES: not permitted, and it stays as it is.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, niceness) };
        }
    }
}

/// To be called before the privileges that it takes (CAP_SYS_RESOURCE, CAP_IPC_LOCK) are given up, and before there is a
/// second thread.
pub(super) fn prepare() {
    // With the limit a thread may become urgent again and again, without a privilege. Refused: it never will.
    let _ = setrlimit(Resource::RLIMIT_NICE, NICENESS_LIMIT, NICENESS_LIMIT);
    // The limit outlives the privilege to raise it. With a limit, memory locked in the future could be refused in the
    // middle of a freeze, so that without it nothing is locked.
    if setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY).is_ok() {
        // What is there, all of it, now: the program is on a disk that may be slow. EAGAIN, ENOMEM: it may be evicted.
        let present = mlockall(MlockAllFlags::MCL_CURRENT);
        // And what comes, once it is touched: stacks are large, and hardly used.
        let future = MlockAllFlags::from_bits_retain(libc::MCL_FUTURE | libc::MCL_ONFAULT);
        if present.is_ok() {
            let _ = mlockall(future);
        }
    }
}
