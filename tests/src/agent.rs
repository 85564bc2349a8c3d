//! A run of `stillframe snapshot` under way: the agent, and its child, the freezer.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::programs::{pause, poll};
use crate::stillframe::{self, RUN_MAX};

/// Killed, if it has not ended, when dropped; its freezer ends with it.
pub struct Agent {
    child: Child,
    said: File,
    began: Instant,
}

impl Agent {
    /// `stillframe snapshot --pid TARGET -o OUTPUT --force --max-pause BUDGET`.
    pub fn start(target: u32, output: &Path, budget: Duration) -> Agent {
        let said = tempfile::tempfile().expect("the folder for temporary files is writable");
        let file = || said.try_clone().expect("a file can be duplicated");
        let mut command = stillframe::command();
        command.args(["snapshot", "--force", "--pid", &target.to_string(), "--max-pause"]);
        command.arg(format!("{}us", budget.as_micros())).arg("-o").arg(output);
        command.stdin(Stdio::null()).stdout(file()).stderr(file());
        let began = Instant::now();
        let child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        Agent { child, said, began }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its freezer, if it has one by now (proc_pid_task_children: /proc/PID/task/TID/children).
    pub fn freezer(&self) -> Option<u32> {
        let pid = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_some()
    }

    pub fn signal(&self, signal: Signal) {
        send(self.pid(), signal);
    }

    /// Waits for its end: its exit code, `None` by a signal, and all that it said. Fails if it hangs.
    pub fn wait(mut self) -> (Option<i32>, String) {
        let ended = poll(RUN_MAX, || self.child.try_wait().expect("it is our child"));
        let mut said = String::new();
        self.said.rewind().and_then(|()| self.said.read_to_string(&mut said)).expect("it is readable");
        let status = ended.unwrap_or_else(|| panic!("the agent hangs; it has said: {said}"));
        (status.code(), said)
    }

    /// Waits until it holds `target`; false if it ended before that was seen.
    pub fn await_freeze(&mut self, target: u32) -> bool {
        while !is_traced(target) {
            if self.has_ended() {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    /// Stops it (SIGSTOP) while it holds `target`; false if it was too fast for that.
    pub fn stop_in_freeze(&mut self, target: u32) -> bool {
        if !self.await_freeze(target) {
            return false;
        }
        self.signal(Signal::SIGSTOP);
        pause(Duration::from_millis(20));
        is_traced(target)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// To a process that may have ended meanwhile.
pub fn send(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid as i32), signal);
}

/// A field of `/proc/PID/status`, or of a thread's (proc_pid_status(5)).
pub fn status_field(process: &str, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// Whether the leader of a process has a tracer.
pub fn is_traced(pid: u32) -> bool {
    status_field(&pid.to_string(), "TracerPid").is_some_and(|tracer| tracer != "0")
}

/// Whether a process has ended, be it waited for or not.
pub fn is_gone(pid: u32) -> bool {
    status_field(&pid.to_string(), "State").is_none_or(|state| state.starts_with(['Z', 'X']))
}
