//! What the kernel says of a process.

use crate::programs::{PATIENCE, poll};

/// Of one thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadState {
    pub tid: u32,
    /// As in proc_pid_stat(5): `R`, `S`, `t`, ...
    pub state: char,
    pub tracer: u32,
}

/// All threads of a process; empty if there is no such process.
pub fn threads(pid: u32) -> Vec<ThreadState> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of = |task: std::io::Result<std::fs::DirEntry>| {
        let task = task.ok()?;
        let status = std::fs::read_to_string(task.path().join("status")).ok()?;
        let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
        Some(ThreadState {
            tid: task.file_name().to_str()?.parse().ok()?,
            state: field("State:")?.chars().next()?,
            tracer: field("TracerPid:")?.parse().ok()?,
        })
    };
    tasks.filter_map(of).collect()
}

/// Fails unless every thread of the process is untraced and not stopped. A process that has ended is free.
///
/// A moment is granted for the tracer's end to become visible; a thread that is left stopped stays so.
pub fn assert_free(pid: u32, what: &str) {
    let is_free = |t: &ThreadState| t.tracer == 0 && !matches!(t.state, 'T' | 't');
    let free = poll(PATIENCE / 60, || threads(pid).iter().all(is_free).then_some(()));
    assert!(free.is_some(), "{what}: pid {pid} is left traced or stopped: {:?}", threads(pid));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_free_and_no_process_has_no_threads() {
        let all = threads(std::process::id());
        assert!(all.iter().any(|t| t.tid == std::process::id()), "{all:?}");
        assert_free(std::process::id(), "this test");
        assert!(threads(u32::MAX).is_empty());
    }
}
