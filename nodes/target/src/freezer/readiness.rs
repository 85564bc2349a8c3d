//! What keeps the freezer from waiting while a target waits for it: its memory is not taken away, and it is given a
//! processor before others. Each is done as far as this process may; a loaded host costs the target more without it.

use nix::libc;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};

/// The first among ordinary threads (setpriority(2)). Not a real-time one: those can starve others.
const NICENESS: libc::c_int = -20;

/// Of a thread whose work nobody stands still for.
const NICENESS_OF_OTHERS: libc::c_int = 0;

/// Does work that may be long beside other targets that stand still, and beside the target itself, as any other process would:
/// on a thread of its own, for a thread that has given up its priority does not get it back.
pub(super) fn unhurried<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    let unhurried = || {
        // SAFETY: setpriority reads its three numbers. 0 is the calling thread. To be less urgent is permitted to everybody.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICENESS_OF_OTHERS) };
        work()
    };
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("unhurried".to_owned()).spawn_scoped(scope, unhurried)?;
        thread.join().map_err(|_| std::io::Error::other("its thread has panicked"))
    })
}

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
