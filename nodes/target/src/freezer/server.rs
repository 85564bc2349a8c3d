//! The privileged process: it gives up what it does not need, then serves its one peer until that closes its end.

use super::VERB;
use super::conversation::{Conversation, send_opened};
use super::message::{COMMAND_BYTES_MAX, HostCommand, HostReply};
use super::reader::{Held, READERS, Reader};
use super::readiness;
use super::socket::{DESCRIPTORS_MAX, Socket, SocketError};
use super::window::Window;
use crate::executable::Executable;
use crate::memory::LiveMemory;
use crate::privilege::{self, PrivilegeError, Role};
use crate::process::{self, Listing, ProcessError};
use crate::sockets::{Descriptors, Shared};
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::socket::{getsockopt, sockopt};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use thiserror::Error;

/// Conversations at one time: as many targets as one order may have on a node.
const CONVERSATIONS_MAX: usize = stillframe_wire::limits::TARGETS_PER_NODE_MAX;

/// Why the freezer has ended before its peer did.
#[derive(Debug, Error)]
pub(super) enum ServeError {
    #[error("`{VERB}` is started by Stillframe itself, with a socket as its standard input ({0})")]
    NoSocket(Errno),
    #[error(transparent)]
    Privilege(#[from] PrivilegeError),
    #[error("preparing the freezer: {0}")]
    Prepare(io::Error),
    #[error("the freezer's control socket: {0}")]
    Socket(#[from] SocketError),
}

/// The whole of the hidden verb: serves the socket that is this process's standard input. To be called before there is a
/// second thread.
pub fn serve_inherited() -> ExitCode {
    match prepare().and_then(|socket| serve(&socket)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be left who reads it.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes this process what the freezer is.
fn prepare() -> Result<Socket, ServeError> {
    getsockopt(&io::stdin(), sockopt::PeerCredentials).map_err(ServeError::NoSocket)?;
    close_other_files();
    let socket = io::stdin().as_fd().try_clone_to_owned().map_err(ServeError::Prepare)?;
    readiness::prepare();
    Role::Freezer.keep_only()?;
    // A peer of the same user could read and change a process that may be dumped (prctl(2), PR_SET_DUMPABLE).
    let not_dumpable = nix::sys::prctl::set_dumpable(false);
    not_dumpable.map_err(|error| ServeError::Prepare(error.into()))?;
    // Only for those who look at a list of processes.
    let _ = nix::sys::prctl::set_name(c"freezer");
    // What a terminal tells its programs (Ctrl-C, Ctrl-Z) is meant for the peer: a freezer that is stopped keeps its
    // target stopped. EPERM: it leads a group already, so it is not of the terminal's.
    let _ = nix::unistd::setsid();
    block_signals().map_err(|error| ServeError::Prepare(error.into()))?;
    Ok(Socket::from(socket))
}

/// The freezer ends when its peer does, and not before: it is the peer that is told to end. SIGCHLD stays open, as in
/// every tracing thread (see `freeze/tracer.rs`); SIGKILL and SIGSTOP cannot be blocked.
fn block_signals() -> Result<(), Errno> {
    let mut signals = SigSet::all();
    signals.remove(Signal::SIGCHLD);
    signals.thread_block()
}

/// What the peer's own starter left open without close-on-exec: everything behind the three standard files.
fn close_other_files() {
    // SAFETY: this process has just begun and has opened nothing yet, so nothing in it owns one of these descriptors.
    // Kernels before 5.9 have no such call, and the files stay open.
    unsafe { libc::syscall(libc::SYS_close_range, libc::STDERR_FILENO + 1, libc::c_uint::MAX, 0) };
}

/// Serves a control socket until its other end is closed. Conversations end with the process.
pub(super) fn serve(socket: &Socket) -> Result<(), ServeError> {
    let credentials = getsockopt(socket.stream(), sockopt::PeerCredentials).map_err(ServeError::NoSocket)?;
    let peer = credentials.pid() as u32;
    let conversations = Arc::new(AtomicUsize::new(0));
    let shared = Arc::new(Shared::default());
    let answer = || -> Result<(), SocketError> {
        socket.send(&HostReply::Ready { may_trace_all: privilege::may_trace_all() }, &[])?;
        loop {
            match socket.receive::<HostCommand>(COMMAND_BYTES_MAX)?.0 {
                HostCommand::List => list(socket)?,
                HostCommand::Executable { pid } => {
                    let opened = Executable::open(pid).map(Executable::into_file);
                    send_opened(socket, opened.map(OwnedFd::from), HostReply::Executable)?;
                }
                HostCommand::Open { pid } => open(socket, pid, peer, &conversations, &shared)?,
            }
        }
    };
    match answer() {
        Ok(()) | Err(SocketError::Closed) => Ok(()),
        Err(error) => {
            // A malformed command: the last answer says so.
            let _ = socket.send(&HostReply::Refused(error.to_string()), &[]);
            Err(error.into())
        }
    }
}

fn list(socket: &Socket) -> Result<(), SocketError> {
    let result = match process::list() {
        Ok(Listing { processes, denied }) => {
            for process in processes {
                socket.send(&HostReply::Listed(process.into()), &[])?;
            }
            for error in denied {
                socket.send(&HostReply::Denied(error.into()), &[])?;
            }
            Ok(())
        }
        Err(error) => Err(error.into()),
    };
    socket.send(&HostReply::ListEnd(result), &[])
}

/// Begins a conversation about a process, or says why not.
fn open(
    socket: &Socket,
    pid: u32,
    peer: u32,
    conversations: &Arc<AtomicUsize>,
    shared: &Arc<Shared>,
) -> Result<(), SocketError> {
    let one = One::of(conversations);
    if conversations.load(Ordering::Relaxed) > CONVERSATIONS_MAX {
        return socket.send(&HostReply::Refused(format!("more than {CONVERSATIONS_MAX} targets")), &[]);
    }
    let found =
        process::find(pid).and_then(|process| Ok(([LiveMemory::new(pid)?, LiveMemory::new(pid)?], process)));
    let (memory, process) = match found {
        Ok(found) => found,
        Err(error) => return socket.send(&HostReply::Opened(Err(error.into())), &[]),
    };
    let began = begin(process.clone(), memory, peer, Arc::clone(shared), one);
    match began {
        Ok(ends) => {
            let reply = HostReply::Opened(Ok(process.into()));
            socket.send(&reply, &ends.each_ref().map(AsFd::as_fd))
        }
        Err(source) => {
            let error = ProcessError::Unreadable { pid, file: "a conversation about it".into(), source };
            socket.send(&HostReply::Opened(Err(error.into())), &[])
        }
    }
}

/// Of each reader, the conversation first: the peer's end and the window.
fn begin(
    process: process::Process,
    memory: [LiveMemory; READERS],
    peer: u32,
    shared: Arc<Shared>,
    one: One,
) -> io::Result<[OwnedFd; DESCRIPTORS_MAX]> {
    let pid = process.pid;
    let held = Arc::new(Held::default());
    let [memory, other_memory] = memory;
    let ((window, file), (other_window, other_file)) = (Window::create()?, Window::create()?);
    let ((ours, theirs), (other_ours, other_theirs)) = (Socket::pair()?, Socket::pair()?);
    // Neither goes on without the other.
    let (end_ours, end_other) = (ours.another()?, other_ours.another()?);
    let reader = Reader::new(memory, window, Arc::clone(&held));
    let other = Reader::new(other_memory, other_window, Arc::clone(&held));
    let descriptors = Descriptors::default();
    let conversation = Conversation { process, reader, held, peer, descriptors, shared };
    std::thread::Builder::new().name(format!("reader-{pid}")).spawn(move || {
        other.run(&other_ours);
        end_ours.close();
    })?;
    // If this fails both ends of the other one are closed, and it ends.
    std::thread::Builder::new().name(format!("target-{pid}")).spawn(move || {
        let _one = one;
        conversation.run(&ours);
        end_other.close();
    })?;
    Ok([theirs.into(), file, other_theirs.into(), other_file])
}

/// One conversation, counted while this lives.
struct One(Arc<AtomicUsize>);

impl One {
    fn of(all: &Arc<AtomicUsize>) -> One {
        all.fetch_add(1, Ordering::Relaxed);
        One(Arc::clone(all))
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
