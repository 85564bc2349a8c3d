//! The processes of this host: of every PID namespace that this `/proc` shows.

use crate::clock;
use crate::proc_files::{self, Stat, Status, TICKS_PER_SECOND};
use crate::remedy;
use std::borrow::Cow;
use std::io;
use std::time::Duration;
use thiserror::Error;

/// How much of a command line is kept, in bytes.
const COMMAND_LINE_BYTES_MAX: u64 = 64 << 10;

/// How long an exec or an exit that is under way is watched to tell which it is.
pub(crate) const CHANGE_NS_MAX: i64 = 1_000_000_000;

/// How often it is looked again for a process that is not there.
const LOOKS_AT_NOBODY: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_micros(500);

/// A process could not be looked at.
#[derive(Debug, Error)]
pub enum ProcessError {
    #[error("pid {pid}: there is no such process; list the processes again")]
    NotFound { pid: u32 },
    #[error("pid {pid}: it has exited and waits for its parent; list the processes again")]
    Exited { pid: u32 },
    #[error("pid {pid}: /proc/{pid}/{file}: permission denied; {remedy}")]
    Denied { pid: u32, file: Cow<'static, str>, remedy: String },
    #[error("pid {pid}: /proc/{pid}/{file}: {source}; is /proc mounted, and that of Linux 4.1 or later?")]
    Unreadable { pid: u32, file: Cow<'static, str>, source: io::Error },
    #[error("/proc: {0}; mount it to list processes")]
    NoProc(io::Error),
}

impl ProcessError {
    /// What an error on `/proc/PID/FILE` means.
    pub(crate) fn on(pid: u32, file: &'static str, source: io::Error) -> Self {
        if proc_files::is_gone(&source) {
            ProcessError::NotFound { pid }
        } else if source.kind() == io::ErrorKind::PermissionDenied {
            ProcessError::Denied { pid, file: file.into(), remedy: remedy::for_denied_file() }
        } else {
            ProcessError::Unreadable { pid, file: file.into(), source }
        }
    }
}

/// One process, as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// As this `/proc` counts.
    pub pid: u32,
    /// In its innermost PID namespace: what `getpid` returns there.
    pub ns_pid: u32,
    /// Whether there is more than one PID namespace between this `/proc` and the process, so that `ns_pid` and the
    /// thread ids differ from those seen here.
    pub in_pid_namespace: bool,
    /// Effective user.
    pub uid: u32,
    /// Wall time, good to 10 ms; it moves if the wall clock is stepped.
    pub started_unix_ns: i64,
    /// Since boot, in 1/100 s: with the pid, the identity of the process while this host is up.
    pub start_ticks: u64,
    /// Where the main stack began at the last exec, 0 if it may not be seen: tells one exec from the next.
    pub start_stack: u64,
    /// Where `/proc/PID/exe` points to, in the words of its mount namespace; ` (deleted)` at its end if that file was
    /// removed. `None`: a kernel thread.
    pub exe: Option<String>,
    /// At most 15 bytes; a process may change it.
    pub comm: String,
    /// A process may change it. Cut at 64 KiB.
    pub cmdline: Vec<String>,
    pub threads: u32,
    /// Of Docker, containerd, CRI-O or Podman: 64 hexadecimal digits.
    pub container_id: Option<String>,
    pub namespaces: Namespaces,
}

/// See [`Process::fate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is the same process, and runs the same program.
    Same,
    Execed,
    Gone,
}

/// The inode numbers of a process's namespaces: equal in two processes that share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespaces {
    pub mount: u64,
    pub network: u64,
    pub pid: u64,
    pub user: u64,
}

/// What [`list`] found.
#[derive(Debug, Default)]
pub struct Listing {
    /// By pid.
    pub processes: Vec<Process>,
    /// Processes that are there but may not be looked at.
    pub denied: Vec<ProcessError>,
}

/// All processes, kernel threads too. Those that vanish meanwhile, or have exited and wait for their parent, are left
/// out.
pub fn list() -> Result<Listing, ProcessError> {
    let mut listing = Listing::default();
    for entry in std::fs::read_dir("/proc").map_err(ProcessError::NoProc)? {
        let entry = entry.map_err(ProcessError::NoProc)?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        match find(pid) {
            Ok(process) => listing.processes.push(process),
            Err(ProcessError::NotFound { .. } | ProcessError::Exited { .. }) => {}
            Err(denied) => listing.denied.push(denied),
        }
    }
    listing.processes.sort_by_key(|p| p.pid);
    Ok(listing)
}

/// One process. While another of its threads execs, the leader is dead for a moment and shows no executable, and then
/// nobody has its number until that thread takes it (`de_thread`, fs/exec.c): that is waited for.
pub fn find(pid: u32) -> Result<Process, ProcessError> {
    let give_up_ns = clock::monotonic_ns() + CHANGE_NS_MAX;
    let mut looks_left = LOOKS_AT_NOBODY;
    loop {
        let found = look_at(pid);
        if !matches!(found, Err(ProcessError::NotFound { .. })) || clock::monotonic_ns() >= give_up_ns {
            return found;
        }
        match Stat::read(&format!("/proc/{pid}/stat")) {
            Ok(now) if now.process_has_exited() => return found,
            Ok(_) => std::thread::yield_now(),
            Err(_) if looks_left == 0 => return found,
            Err(_) => {
                looks_left -= 1;
                std::thread::sleep(BETWEEN_LOOKS);
            }
        }
    }
}

fn look_at(pid: u32) -> Result<Process, ProcessError> {
    let on = |file| move |error| ProcessError::on(pid, file, error);
    let stat = Stat::read(&format!("/proc/{pid}/stat")).map_err(on("stat"))?;
    if stat.process_has_exited() {
        return Err(ProcessError::Exited { pid });
    }
    let status = Status::read(&format!("/proc/{pid}/status")).map_err(on("status"))?;
    let exe = match std::fs::read_link(format!("/proc/{pid}/exe")) {
        Ok(path) => Some(path.to_string_lossy().into_owned()),
        Err(_) if stat.is_kernel_thread() => None,
        Err(error) => return Err(on("exe")(error)),
    };
    let cmdline = proc_files::read_at_most(&format!("/proc/{pid}/cmdline"), COMMAND_LINE_BYTES_MAX)
        .map_err(on("cmdline"))?;
    let cgroup = proc_files::read(&format!("/proc/{pid}/cgroup")).map_err(on("cgroup"))?;
    let namespace = |name: &str| {
        std::fs::read_link(format!("/proc/{pid}/ns/{name}"))
            .map_err(on("ns"))
            .map(|link| namespace_inode(&link.to_string_lossy()).unwrap_or(0))
    };
    let namespaces = Namespaces {
        mount: namespace("mnt")?,
        network: namespace("net")?,
        pid: namespace("pid")?,
        user: namespace("user")?,
    };
    Ok(Process {
        pid,
        ns_pid: status.ns_pids.last().copied().unwrap_or(pid),
        in_pid_namespace: status.ns_pids.len() > 1,
        uid: status.uid,
        started_unix_ns: started_unix_ns(stat.start_ticks),
        start_ticks: stat.start_ticks,
        start_stack: stat.start_stack,
        exe,
        comm: stat.comm,
        cmdline: arguments(&cmdline),
        threads: stat.threads,
        container_id: container_id(&String::from_utf8_lossy(&cgroup)),
        namespaces,
    })
}

impl Process {
    /// Whether this pid still is this process: pids are used again. It may have exec'd another program since; see
    /// [`Process::same_program`].
    pub fn same(&self) -> bool {
        self.stat_now().is_some_and(|now| now.start_ticks == self.start_ticks)
    }

    /// Whether this pid still is this process, and has not exec'd since.
    pub fn same_program(&self) -> bool {
        self.stat_now().is_some_and(|now| self.is_program_of(&now))
    }

    /// Whether a `stat` is of this process and of this exec. A stack whose start could not be seen says nothing. Where
    /// it cannot be seen any more an exec is under way: the new memory gets its stack last (fs/binfmt_elf.c).
    pub(crate) fn is_program_of(&self, now: &Stat) -> bool {
        now.start_ticks == self.start_ticks && (self.start_stack == 0 || now.start_stack == self.start_stack)
    }

    /// What became of it since it was looked at. From the first sign of it an exec and an exit look alike: the memory
    /// goes. So this waits until it is dead or another program.
    pub fn fate(&self) -> Fate {
        let give_up_ns = clock::monotonic_ns() + CHANGE_NS_MAX;
        loop {
            match self.stat_now() {
                None => return Fate::Gone,
                Some(now) if now.start_ticks != self.start_ticks => return Fate::Gone,
                // It was looked at in the midst of an exec, before there was a stack, or its stack may not be seen.
                Some(now) if self.start_stack == 0 => match now.start_stack {
                    0 if clock::monotonic_ns() >= give_up_ns => return Fate::Same,
                    0 => std::thread::yield_now(),
                    _ => return Fate::Execed,
                },
                Some(now) if self.is_program_of(&now) => return Fate::Same,
                Some(now) if !now.is_exiting() || clock::monotonic_ns() >= give_up_ns => return Fate::Execed,
                Some(_) => std::thread::yield_now(),
            }
        }
    }

    fn stat_now(&self) -> Option<Stat> {
        let pid = self.pid;
        Stat::read(&format!("/proc/{pid}/stat")).ok().filter(|now| !now.process_has_exited())
    }
}

fn started_unix_ns(start_ticks: u64) -> i64 {
    let since_boot_ns = start_ticks.saturating_mul(1_000_000_000 / TICKS_PER_SECOND);
    (clock::realtime_ns() - clock::boottime_ns())
        .saturating_add(i64::try_from(since_boot_ns).unwrap_or(i64::MAX))
}

/// The arguments end in zero bytes. A process that wrote over them (`setproctitle`) may have left one string with
/// spaces: that stays one.
fn arguments(bytes: &[u8]) -> Vec<String> {
    let Some(bytes) = bytes.strip_suffix(&[0]).or((!bytes.is_empty()).then_some(bytes)) else {
        return Vec::new();
    };
    bytes.split(|b| *b == 0).map(|a| String::from_utf8_lossy(a).into_owned()).collect()
}

/// `net:[4026531840]`.
fn namespace_inode(link: &str) -> Option<u64> {
    link.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

/// The last run of exactly 64 hexadecimal digits of a cgroup's path, in any hierarchy: `/docker/ID`,
/// `/system.slice/docker-ID.scope`, `/kubepods.slice/.../cri-containerd-ID.scope`, `.../crio-ID.scope`,
/// `.../libpod-ID.scope/container`.
fn container_id(cgroup: &str) -> Option<String> {
    cgroup.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        path.rsplit(|c: char| !c.is_ascii_alphanumeric())
            .find(|word| word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit()))
            .map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_are_found_in_every_layout() {
        let id = "0123456789abcdef".repeat(4);
        for path in [
            format!("0::/docker/{id}"),
            format!("0::/system.slice/docker-{id}.scope"),
            format!("12:cpu:/kubepods/burstable/pod1/{id}\n0::/"),
            format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope"),
            format!("0::/kubepods.slice/crio-{id}.scope"),
            format!("0::/machine.slice/libpod-{id}.scope/container"),
        ] {
            assert_eq!(container_id(&path).as_deref(), Some(&*id), "{path}");
        }
        assert_eq!(container_id("0::/user.slice/session-1.scope"), None);
        assert_eq!(container_id(&format!("0::/{id}0")), None);
    }

    #[test]
    fn arguments_are_split_at_zero_bytes() {
        assert_eq!(arguments(b"a\0b c\0\0"), ["a", "b c", ""]);
        assert_eq!(arguments(b"rewritten title"), ["rewritten title"]);
        assert!(arguments(b"").is_empty());
    }

    #[test]
    fn this_process_is_in_the_list() {
        let me = find(std::process::id()).unwrap();
        let exe = std::env::current_exe().unwrap();
        assert_eq!(me.exe.as_deref(), exe.to_str());
        assert!(me.same() && me.same_program());
        assert!(me.namespaces.network > 0 && me.threads >= 1);
        let age_ns = clock::realtime_ns() - me.started_unix_ns;
        assert!((-20_000_000..600_000_000_000).contains(&age_ns), "{age_ns}");
        let listing = list().unwrap();
        assert!(listing.processes.iter().any(|p| p.pid == me.pid && p.start_ticks == me.start_ticks));
        assert!(!Process { start_ticks: me.start_ticks + 1, ..me.clone() }.same());
        assert!(!Process { start_stack: 1, ..me }.same_program());
    }

    #[test]
    fn a_pid_that_is_not_there_is_named() {
        let error = find(u32::MAX).unwrap_err();
        assert_eq!(error.to_string(), "pid 4294967295: there is no such process; list the processes again");
    }
}
