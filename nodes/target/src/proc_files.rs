//! Reading `/proc`: bounded, and parsed without a panic. The formats are those of proc_pid_stat(5) and
//! proc_pid_status(5).

use nix::errno::Errno;
use std::fs::File;
use std::io::{self, Read};

/// The longest file of `/proc` that is read, in bytes: the maps of a process with the default maximum of 65,530
/// mappings (`vm.max_map_count`), each with a long path.
pub(crate) const FILE_BYTES_MAX: u64 = 64 << 20;

/// The whole file, or its first [`FILE_BYTES_MAX`] bytes.
pub(crate) fn read(path: &str) -> io::Result<Vec<u8>> {
    read_at_most(path, FILE_BYTES_MAX)
}

/// The first `length_max` bytes of a file.
pub(crate) fn read_at_most(path: &str, length_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(length_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether an error on a file of `/proc/PID` says that the process is no more: no such file, or ESRCH from a file that
/// was opened before it died.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(Errno::ESRCH as i32)
}

/// What is used of `/proc/PID/stat` (also of `/proc/PID/task/TID/stat`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub comm: String,
    /// `R`, `S`, `D`, `T`, `t`, `Z`, `X`, ...
    pub state: u8,
    /// The kernel's `PF_*`.
    pub flags: u32,
    pub threads: u32,
    /// Since boot, in units of 1/[`TICKS_PER_SECOND`] s.
    pub start_ticks: u64,
    /// Where the main stack began at exec: random, so it tells one exec from the next; 0 if it may not be seen.
    pub start_stack: u64,
}

/// `USER_HZ`, a constant of the kernel's interface on amd64 and arm64 (include/asm-generic/param.h).
pub(crate) const TICKS_PER_SECOND: u64 = 100;

/// `PF_IO_WORKER`, `PF_USER_WORKER`, `PF_KTHREAD` (include/linux/sched.h): threads that never run user code. The first
/// two show up among the threads of the process that they work for (io_uring, vhost) and cannot be traced.
const KERNEL_FLAGS: u32 = 0x10 | 0x4000 | 0x20_0000;

impl Stat {
    pub(crate) fn read(path: &str) -> io::Result<Stat> {
        Stat::parse(&read_at_most(path, 4096)?)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not the format of proc_pid_stat(5)"))
    }

    /// The command's name stands in parentheses and may hold anything, parentheses and newlines too: it ends at the
    /// last one.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Stat> {
        let open = bytes.iter().position(|b| *b == b'(')?;
        let close = bytes.iter().rposition(|b| *b == b')')?;
        let comm = String::from_utf8_lossy(bytes.get(open + 1..close)?).into_owned();
        let rest = std::str::from_utf8(&bytes[close + 1..]).ok()?;
        // The first of these is field 3 of the manual page.
        let field = |number: usize| rest.split_ascii_whitespace().nth(number - 3);
        Some(Stat {
            comm,
            state: *field(3)?.as_bytes().first()?,
            flags: field(9)?.parse().ok()?,
            threads: field(20)?.parse().ok()?,
            start_ticks: field(22)?.parse().ok()?,
            start_stack: field(28)?.parse().ok()?,
        })
    }

    pub(crate) fn is_kernel_thread(&self) -> bool {
        self.flags & KERNEL_FLAGS != 0
    }

    /// This thread is about to end.
    pub(crate) fn is_exiting(&self) -> bool {
        const PF_EXITING: u32 = 0x4;
        self.flags & PF_EXITING != 0
    }

    /// In the `stat` of a process: all of it is dead. A leader may die before other threads: by `pthread_exit`, or for a
    /// moment when another thread execs and takes its place. No threads at all: it was let go of while this was read
    /// (fs/proc/array.c, `do_task_stat`: no `sighand` any more). That may be the leader whose place was taken, so it says
    /// nothing of the process; of one that is gone the next read fails.
    pub(crate) fn process_has_exited(&self) -> bool {
        self.has_exited() && self.threads == 1
    }

    /// Dead, though perhaps not yet waited for.
    pub(crate) fn has_exited(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

/// What is used of `/proc/PID/status` (also of `/proc/PID/task/TID/status`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// The process of this thread.
    pub tgid: u32,
    /// Effective.
    pub uid: u32,
    pub tracer_pid: u32,
    /// The id in each PID namespace, from that of this `/proc` to the innermost.
    pub ns_pids: Vec<u32>,
}

impl Status {
    pub(crate) fn read(path: &str) -> io::Result<Status> {
        Status::parse(&read_at_most(path, 1 << 20)?)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not the format of proc_pid_status(5)"))
    }

    pub(crate) fn parse(bytes: &[u8]) -> Option<Status> {
        let text = String::from_utf8_lossy(bytes);
        let line = |key: &str| {
            text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':')).map(str::split_ascii_whitespace)
        };
        Some(Status {
            tgid: line("Tgid")?.next()?.parse().ok()?,
            uid: line("Uid")?.nth(1)?.parse().ok()?,
            tracer_pid: line("TracerPid")?.next()?.parse().ok()?,
            ns_pids: line("NSpid")?.map(str::parse).collect::<Result<_, _>>().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_may_hold_parentheses_and_spaces() {
        let mut line = b"4711 (a) S (b\nc) S 1 4711".to_vec();
        line.extend(b" 0 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 13 0 987654 1 2 3 4 5 140722000 0");
        let stat = Stat::parse(&line).unwrap();
        assert_eq!(stat.comm, "a) S (b\nc");
        assert_eq!((stat.state, stat.threads, stat.start_ticks), (b'S', 13, 987_654));
        assert_eq!(stat.start_stack, 140_722_000);
        assert!(!stat.is_kernel_thread() && !stat.has_exited());
    }

    #[test]
    fn this_process_has_a_stat_and_a_status() {
        let stat = Stat::read("/proc/self/stat").unwrap();
        assert!(stat.threads >= 1 && stat.start_ticks > 0 && stat.start_stack > 0);
        let status = Status::read("/proc/self/status").unwrap();
        assert_eq!(status.ns_pids.first(), Some(&std::process::id()));
    }

    #[test]
    fn kthreadd_is_a_kernel_thread() {
        if let Ok(stat) = Stat::read("/proc/2/stat")
            && stat.comm == "kthreadd"
        {
            assert!(stat.is_kernel_thread());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Stat::parse(&bytes), Status::parse(&bytes));
        }
    }
}
