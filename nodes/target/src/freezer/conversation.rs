//! The privileged side of one target: a thread that does what its peer says, as far as it makes sense.
//!
//! It holds the freeze. Whatever ends the conversation (the peer closes its end, says something malformed, or this
//! thread panics) drops that, and the target runs. The budget is kept by the freeze's own tracing thread.

use super::message::{
    COMMAND_BYTES_MAX, FrozenRecord, THREADS_PER_FRAME, TargetCommand, TargetReply, ThreadRecord,
};
use super::reader::{Held, Reader, Refusal};
use super::socket::{Socket, SocketError};
use super::sockets::send_sockets;
use crate::auxiliary;
use crate::environment::Environment;
use crate::executable::Executable;
use crate::freeze::{FreezeError, freeze_or_give_up};
use crate::process::Process;
use crate::sockets::{self, Descriptors, Shared};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// How a process ends that could let a target go in no other way (sysexits.h, EX_SOFTWARE).
const EXIT_TO_LET_GO: i32 = 70;

/// One target and its peer.
pub(super) struct Conversation {
    pub(super) process: Process,
    pub(super) reader: Reader,
    /// Shared with all readers of this target.
    pub(super) held: Arc<Held>,
    /// The process on the other end, which is not frozen for itself.
    pub(super) peer: u32,
    /// Its descriptors, when the peer had them listed.
    pub(super) descriptors: Descriptors,
    /// What all conversations have in common.
    pub(super) shared: Arc<Shared>,
}

/// Other readers know of the freeze as well, so it does not end with the last of them.
impl Drop for Conversation {
    fn drop(&mut self) {
        drop(self.held.take());
    }
}

impl Conversation {
    /// Until the peer closes its end, or says what makes no sense.
    pub(super) fn run(mut self, socket: &Socket) {
        // What fails on the way to the peer cannot be told to it.
        let _ = self.converse(socket);
        // Before the peer learns of the end: then its target runs.
        drop(self);
        socket.close();
    }

    fn converse(&mut self, socket: &Socket) -> Result<(), SocketError> {
        loop {
            let command = match socket.receive::<TargetCommand>(COMMAND_BYTES_MAX) {
                Ok((command, _)) => command,
                Err(SocketError::Codec(error)) => {
                    drop(self.held.take());
                    return socket.send(&TargetReply::Refused(error.to_string()), &[]);
                }
                Err(error) => return Err(error),
            };
            match self.obey(command, socket) {
                Ok(sent) => sent?,
                Err(Refusal(what)) => {
                    drop(self.held.take());
                    return socket.send(&TargetReply::Refused(what.to_owned()), &[]);
                }
            }
        }
    }

    /// Does it and says so.
    fn obey(&mut self, command: TargetCommand, socket: &Socket) -> Result<Result<(), SocketError>, Refusal> {
        let pid = self.process.pid;
        Ok(match command {
            TargetCommand::Executable => {
                let opened = Executable::open(pid).map(Executable::into_file);
                send_opened(socket, opened.map(OwnedFd::from), TargetReply::Executable)
            }
            TargetCommand::Environment => {
                let opened = Environment::open(pid).map(Environment::into_file);
                send_opened(socket, opened.map(OwnedFd::from), TargetReply::Environment)
            }
            TargetCommand::Auxiliary => {
                let entries = auxiliary::of_process(pid).map(|auxiliary| auxiliary.entries);
                socket.send(&TargetReply::Auxiliary(entries.map_err(Into::into)), &[])
            }
            TargetCommand::Descriptors => {
                self.must_run()?;
                let listed = Descriptors::of(pid).map(|listed| self.descriptors = listed);
                socket.send(&TargetReply::Descriptors(listed.map_err(Into::into)), &[])
            }
            TargetCommand::Sockets => {
                self.must_run()?;
                let before = std::mem::take(&mut self.descriptors);
                send_sockets(socket, sockets::gather(&self.process, &before, &self.shared))
            }
            TargetCommand::Fate => socket.send(&TargetReply::Fate(self.process.fate().into()), &[]),
            TargetCommand::Read { slot, ranges } => {
                let read = self.reader.read(slot, ranges)?;
                socket.send(&TargetReply::Read(read), &[])
            }
            TargetCommand::Freeze { budget_ns } => {
                let replies = self.freeze(Duration::from_nanos(budget_ns))?;
                replies.iter().try_for_each(|reply| socket.send(reply, &[]))
            }
            TargetCommand::Resume => {
                let frozen = self.held.take().ok_or(Refusal("a resume of what is not frozen"))?;
                let resumed = frozen.resume();
                self.reader.be_urgent(false);
                socket.send(&TargetReply::Resumed(resumed.into()), &[])
            }
        })
    }

    /// It would stand longer for what can be done before and after.
    fn must_run(&self) -> Result<(), Refusal> {
        if self.held.is_held() { Err(Refusal("sockets of what is frozen")) } else { Ok(()) }
    }

    /// The replies, in their order.
    fn freeze(&mut self, budget: Duration) -> Result<Vec<TargetReply>, Refusal> {
        if self.held.is_held() {
            return Err(Refusal("a freeze of what is frozen"));
        }
        let pid = self.process.pid;
        if pid == self.peer {
            return Ok(vec![TargetReply::Frozen(Err(FreezeError::Itself { pid }.into()))]);
        }
        // The tracing thread that is made now inherits it.
        self.reader.be_urgent(true);
        // The end of this process makes the kernel let go of everything.
        let give_up = || std::process::exit(EXIT_TO_LET_GO);
        let frozen = match freeze_or_give_up(&self.process, budget, &give_up) {
            Ok(frozen) => frozen,
            Err(error) => {
                self.reader.be_urgent(false);
                return Ok(vec![TargetReply::Frozen(Err(error.into()))]);
            }
        };
        let mut threads: Vec<ThreadRecord> = frozen.threads().iter().cloned().map(Into::into).collect();
        let mut rest = threads.split_off(threads.len().min(THREADS_PER_FRAME));
        let record = FrozenRecord {
            threads,
            more: !rest.is_empty(),
            unstopped: frozen.unstopped().iter().copied().map(Into::into).collect(),
            frozen_start_ns: frozen.frozen_start_ns(),
            frozen_monotonic_ns: frozen.frozen_monotonic_ns(),
        };
        let mut replies = vec![TargetReply::Frozen(Ok(record))];
        while !rest.is_empty() {
            let after = rest.split_off(rest.len().min(THREADS_PER_FRAME));
            replies.push(TargetReply::Threads { threads: rest, more: !after.is_empty() });
            rest = after;
        }
        self.held.hold(frozen);
        Ok(replies)
    }
}

/// Sends an open file, or why it is not open.
pub(super) fn send_opened<E, F: From<E>, T: bincode::Encode>(
    socket: &Socket,
    opened: Result<OwnedFd, E>,
    reply: impl FnOnce(Result<(), F>) -> T,
) -> Result<(), SocketError> {
    match opened {
        Ok(file) => socket.send(&reply(Ok(())), &[file.as_fd()]),
        Err(error) => socket.send(&reply(Err(error.into())), &[]),
    }
}
