//! Which capabilities (capabilities(7)) a process keeps, and giving up all others.
//!
//! The kernel keeps capabilities by thread, and a new thread gets its maker's: a process gives them up while it has one
//! thread, or it has not given them up.

use caps::errors::CapsError;
use caps::{CapSet, Capability, CapsHashSet};
use nix::errno::Errno;
use thiserror::Error;

/// What a process of Stillframe does, and so what it keeps, if it has it at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Stops targets and reads them: [`FREEZER`].
    Freezer,
    /// Writes files where the user who called `sudo` wants them: [`OUTPUT`].
    Output,
    /// Needs nothing.
    Plain,
}

/// Of the freezer.
///
/// * CAP_SYS_PTRACE: to stop and to read processes of other users and those that changed their credentials (ptrace(2),
///   "Ptrace access mode checking"), whatever Yama says below 3.
/// * CAP_DAC_READ_SEARCH: to open what only its owner may read: an executable of mode 0700, and `auxv` and `mem` of
///   other users' processes (proc_pid_auxv(5), proc_pid_mem(5)).
/// * CAP_SYS_ADMIN: to enter a target's network namespace (setns(2)), where alone the kernel says all of its sockets. It may
///   do far more, so that it is in force only in the threads that do this and end ([`use_for_this_thread`]).
pub const FREEZER: &[Capability] =
    &[Capability::CAP_SYS_PTRACE, Capability::CAP_DAC_READ_SEARCH, Capability::CAP_SYS_ADMIN];

/// What is kept and not in force.
const NOT_IN_FORCE: Capability = Capability::CAP_SYS_ADMIN;

/// Of a command line that writes a file under `sudo`: into a folder of somebody else (CAP_DAC_OVERRIDE), over a file of
/// theirs in a sticky folder (CAP_FOWNER), and giving it to them (CAP_CHOWN).
pub const OUTPUT: &[Capability] =
    &[Capability::CAP_DAC_OVERRIDE, Capability::CAP_FOWNER, Capability::CAP_CHOWN];

/// The process has more than it should have, and must not go on.
#[derive(Debug, Error)]
pub enum PrivilegeError {
    #[error("giving up capabilities: {0}; report this as a bug")]
    Capabilities(#[from] CapsError),
    #[error("giving up what an exec could give (no_new_privs): {0}; is this Linux 3.5 or later?")]
    NoNewPrivileges(Errno),
}

impl Role {
    fn kept(self) -> &'static [Capability] {
        match self {
            Role::Freezer => FREEZER,
            Role::Output => OUTPUT,
            Role::Plain => &[],
        }
    }

    /// Gives up everything else for good: in the calling thread, in those that it makes from now on, and in what those
    /// execute. Nothing is gained: who has none keeps none.
    pub fn keep_only(self) -> Result<(), PrivilegeError> {
        let kept: CapsHashSet = self.kept().iter().copied().collect();
        let permitted = caps::read(None, CapSet::Permitted)?;
        // Kernels before 4.3 have no ambient set, and cannot be asked for it.
        if caps::read(None, CapSet::Ambient).is_ok_and(|ambient| !ambient.is_empty()) {
            caps::clear(None, CapSet::Ambient)?;
        }
        if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP)? {
            for capability in caps::read(None, CapSet::Bounding)?.difference(&kept) {
                caps::drop(None, CapSet::Bounding, *capability)?;
            }
        }
        let left: CapsHashSet = permitted.intersection(&kept).copied().collect();
        let in_force = left.iter().copied().filter(|capability| *capability != NOT_IN_FORCE).collect();
        caps::set(None, CapSet::Effective, &in_force)?;
        caps::set(None, CapSet::Permitted, &left)?;
        caps::clear(None, CapSet::Inheritable)?;
        nix::sys::prctl::set_no_new_privs().map_err(PrivilegeError::NoNewPrivileges)
    }
}

/// Puts into force what the calling thread has kept. Whether it has: what needs it says so itself.
pub(crate) fn use_for_this_thread(capability: Capability) {
    // EPERM: it was not kept.
    let _ = caps::raise(None, CapSet::Effective, capability);
}

/// Whether the calling thread may trace the processes of all users.
pub(crate) fn may_trace_all() -> bool {
    caps::has_cap(None, CapSet::Effective, Capability::CAP_SYS_PTRACE).unwrap_or(false)
}

/// Whether it may read the files of all users.
pub(crate) fn may_read_all() -> bool {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    has(Capability::CAP_DAC_READ_SEARCH) || has(Capability::CAP_DAC_OVERRIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_what_its_role_has_and_gains_nothing() {
        let of = |role: Role| {
            let sets = move || {
                let before = caps::read(None, CapSet::Permitted).unwrap();
                role.keep_only().unwrap();
                let expected: CapsHashSet =
                    role.kept().iter().copied().filter(|c| before.contains(c)).collect();
                assert_eq!(caps::read(None, CapSet::Permitted).unwrap(), expected, "{role:?}");
                let mut in_force = expected.clone();
                in_force.remove(&NOT_IN_FORCE);
                assert_eq!(caps::read(None, CapSet::Effective).unwrap(), in_force, "{role:?}");
                assert!(caps::read(None, CapSet::Inheritable).unwrap().is_empty());
                assert!(nix::sys::prctl::get_no_new_privs().unwrap());
                assert_eq!(may_trace_all(), expected.contains(&Capability::CAP_SYS_PTRACE));
                // Less is always possible, more never.
                Role::Plain.keep_only().unwrap();
                Role::Freezer.keep_only().unwrap();
                assert!(caps::read(None, CapSet::Permitted).unwrap().is_empty());
            };
            std::thread::spawn(sets).join().unwrap();
        };
        [Role::Freezer, Role::Output, Role::Plain].into_iter().for_each(of);
    }
}
