//! What keeps the freezer from waiting while a target waits for it: its memory is not taken away, and it is given a
//! processor before others. Each is done as far as this process may; a loaded host costs the target more without it.

use nix::libc;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

/// The first among ordinary threads (setpriority(2)). Not a real-time one: those can starve others.
const NICENESS: libc::c_int = -20;

/// To be called before the privileges that it takes (CAP_SYS_RESOURCE, CAP_IPC_LOCK, CAP_SYS_NICE) are given up, and before
/// there is a second thread: threads inherit the priority from their maker.
pub(super) fn prepare() {
    // SAFETY: setpriority reads its three numbers. 0 is the calling thread. EACCES: not permitted, and it stays as it is.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS) };
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
