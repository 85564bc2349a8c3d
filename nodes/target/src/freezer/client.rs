//! The agent's side of the control socket, and the freezer as a child of the agent.

use super::error::FreezerError;
use super::message::{HostCommand, HostReply};
use super::socket::{DESCRIPTORS_MAX, Socket, SocketError};
use super::target::{End, Target};
use super::window::Window;
use crate::environment::Environment;
use crate::executable::Executable;
use crate::process::{Listing, ProcessError};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stillframe_wire::limits::FRAME_BYTES_MAX;

/// A freezer that has not answered by then (a program that has not said that it is a freezer, a stopped one) never will:
/// what it is asked for takes milliseconds. It is killed, so that the kernel lets its targets go.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(30);

/// How long the end of a process takes to be seen after its sockets have closed, at most; then it is told to end.
const END_MAX: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// The freezer, running. It ends when the last of these and of its targets is dropped, or this process ends.
///
/// Calls wait for their answers; one that comes while another is under way waits for that, too. Targets have
/// conversations of their own, and do not wait for each other.
#[derive(Clone, Debug)]
pub struct Freezer(Arc<Host>);

/// The process and the control socket.
#[derive(Debug)]
pub(super) struct Host {
    control: Mutex<Socket>,
    child: Mutex<Child>,
    pid: u32,
    may_trace_all: bool,
}

impl Freezer {
    /// Runs `command` as the freezer: a program that calls [`super::serve_inherited`], such as `/proc/self/exe` with the
    /// verb [`super::VERB`]. Its standard input and output are replaced.
    ///
    /// It has the privileges that this process has when this is called, or that its file gives it.
    pub fn spawn(command: &mut Command) -> Result<Freezer, FreezerError> {
        let (ours, theirs) = Socket::pair().map_err(FreezerError::Start)?;
        command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
        let spawned = command.spawn();
        // What it holds of the freezer's end would keep the freezer's death from being seen.
        command.stdin(Stdio::null());
        let mut host = Host {
            pid: 0,
            control: Mutex::new(ours),
            child: Mutex::new(spawned.map_err(FreezerError::Start)?),
            may_trace_all: false,
        };
        host.pid = lock(&host.child).id();
        host.may_trace_all = host.await_ready()?;
        Ok(Freezer(Arc::new(host)))
    }

    /// The process id of the freezer.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// How it ended, if it has: nothing can be captured any more. Does not wait.
    pub fn ended(&self) -> Option<String> {
        match lock(&self.0.child).try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(format!("pid {}, {}", self.pid(), text_of(status))),
            // ECHILD: this process lets the kernel bury its children.
            Err(_) => Some(format!("pid {}, and nobody knows how", self.pid())),
        }
    }

    /// Whether it has CAP_SYS_PTRACE, so that it may look into processes of all users (ptrace(2), "Ptrace access mode
    /// checking").
    pub fn may_trace_all(&self) -> bool {
        self.0.may_trace_all
    }

    /// All processes: see [`crate::process::list`].
    pub fn list(&self) -> Result<Listing, FreezerError> {
        let control = self.0.control();
        self.0.tell(&control, HostCommand::List)?;
        let mut listing = Listing::default();
        loop {
            match self.0.hear(&control)?.0 {
                HostReply::Listed(process) => listing.processes.push(process.into()),
                HostReply::Denied(failure) => listing.denied.push(failure.into()),
                HostReply::ListEnd(Ok(())) => return Ok(listing),
                HostReply::ListEnd(Err(failure)) => return Err(ProcessError::from(failure).into()),
                other => return Err(self.0.unexpected(&control, other)),
            }
        }
    }

    /// The executable that a process runs, opened by the freezer.
    pub fn executable(&self, pid: u32) -> Result<Executable, FreezerError> {
        let control = self.0.control();
        self.0.tell(&control, HostCommand::Executable { pid })?;
        match self.0.hear(&control)? {
            (HostReply::Executable(Ok(())), files) => executable(pid, files),
            (HostReply::Executable(Err(failure)), _) => Err(ProcessError::from(failure).into()),
            (other, _) => Err(self.0.unexpected(&control, other)),
        }
    }

    /// Looks a process up, and begins a conversation about it. Nothing is done to it.
    pub fn open(&self, pid: u32) -> Result<Target, FreezerError> {
        let control = self.0.control();
        self.0.tell(&control, HostCommand::Open { pid })?;
        match self.0.hear(&control)? {
            (HostReply::Opened(Ok(process)), files) => {
                let Ok([socket, window, other_socket, other_window]) =
                    <[OwnedFd; DESCRIPTORS_MAX]>::try_from(files)
                else {
                    return Err(no_descriptors());
                };
                let end = |socket, window: OwnedFd| {
                    let window = Window::open(&window).map_err(|error| FreezerError::Refused {
                        what: format!("the window of pid {pid} cannot be used: {error}"),
                    })?;
                    let socket = Socket::from(socket);
                    socket.set_patience(ANSWER_MAX).map_err(FreezerError::Start)?;
                    Ok::<End, FreezerError>(End { socket, window })
                };
                let ends = [end(socket, window)?, end(other_socket, other_window)?];
                Ok(Target::new(Arc::clone(&self.0), process.into(), ends))
            }
            (HostReply::Opened(Err(failure)), _) => Err(ProcessError::from(failure).into()),
            (other, _) => Err(self.0.unexpected(&control, other)),
        }
    }
}

/// The one descriptor that came is that of the executable of `pid`.
pub(super) fn executable(pid: u32, files: Vec<OwnedFd>) -> Result<Executable, FreezerError> {
    let [file] = <[OwnedFd; 1]>::try_from(files).map_err(|_| no_descriptors())?;
    Executable::of(pid, File::from(file)).map_err(|error| ProcessError::on(pid, "exe", error).into())
}

/// The same for what it was started with.
pub(super) fn environment(pid: u32, files: Vec<OwnedFd>) -> Result<Environment, FreezerError> {
    let [file] = <[OwnedFd; 1]>::try_from(files).map_err(|_| no_descriptors())?;
    Ok(Environment::of(pid, File::from(file)))
}

/// EMFILE on this side looks like that: the kernel drops what finds no room (unix(7), SCM_RIGHTS).
fn no_descriptors() -> FreezerError {
    FreezerError::Refused { what: "its open files did not arrive; are too many files open here?".to_owned() }
}

impl Host {
    fn control(&self) -> MutexGuard<'_, Socket> {
        lock(&self.control)
    }

    fn await_ready(&self) -> Result<bool, FreezerError> {
        let control = self.control();
        control.set_patience(ANSWER_MAX).map_err(FreezerError::Start)?;
        let (reply, _) = self.hear(&control)?;
        match reply {
            HostReply::Ready { may_trace_all } => Ok(may_trace_all),
            other => Err(self.unexpected(&control, other)),
        }
    }

    fn tell(&self, control: &Socket, command: HostCommand) -> Result<(), FreezerError> {
        control.send(&command, &[]).map_err(|error| self.lost(control, &error))
    }

    fn hear(&self, control: &Socket) -> Result<(HostReply, Vec<OwnedFd>), FreezerError> {
        control.receive(FRAME_BYTES_MAX).map_err(|error| self.lost(control, &error))
    }

    /// What was said is no answer to what was asked.
    fn unexpected(&self, control: &Socket, reply: HostReply) -> FreezerError {
        match reply {
            HostReply::Refused(what) => FreezerError::Refused { what },
            other => {
                control.close();
                FreezerError::Ended { how: format!("it answered something else: {other:?}") }
            }
        }
    }

    /// A socket failed. It is not used again: nobody knows what would come next.
    pub(super) fn lost(&self, socket: &Socket, error: &SocketError) -> FreezerError {
        self.lost_in(socket, error, false)
    }

    /// `may_be_long`: what it was asked for may take long, and nobody stands still: it goes on with all other targets.
    pub(super) fn lost_in(&self, socket: &Socket, error: &SocketError, may_be_long: bool) -> FreezerError {
        socket.close();
        let how = match error {
            SocketError::Closed => match self.exit_status() {
                Some(status) => format!("pid {}, {}", self.pid, text_of(status)),
                None => format!("pid {} closed a conversation", self.pid),
            },
            SocketError::Late if !may_be_long => {
                self.kill();
                format!("pid {} did not answer in time and was killed", self.pid)
            }
            SocketError::Late => {
                return FreezerError::Refused { what: "that took it too long".to_owned() };
            }
            error => format!("pid {}, {error}", self.pid),
        };
        FreezerError::Ended { how }
    }

    /// A stopped process dies of it as well (signal(7), SIGKILL).
    fn kill(&self) {
        let mut child = lock(&self.child);
        // It may have ended just now.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// How it ended, if it has, or does within a moment.
    fn exit_status(&self) -> Option<ExitStatus> {
        let mut child = lock(&self.child);
        for _ in 0..END_MAX.as_millis() / LOOK_EVERY.as_millis() {
            match child.try_wait() {
                Ok(None) => std::thread::sleep(LOOK_EVERY),
                Ok(status) => return status,
                // ECHILD: this process lets the kernel bury its children.
                Err(_) => return None,
            }
        }
        None
    }
}

impl Drop for Host {
    /// It ends by itself when its sockets are closed; nothing of it is left behind.
    fn drop(&mut self) {
        self.control().close();
        if self.exit_status().is_none() {
            self.kill();
        }
    }
}

fn text_of(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("killed by signal {signal}"),
        None => status.to_string(),
    }
}

/// What a panicking thread held is whole: sockets and children have no state in between.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
