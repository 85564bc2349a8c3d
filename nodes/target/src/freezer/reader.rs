//! What reads a target's memory for a peer, by its own socket and window. A target has [`READERS`] of them, on as many
//! processors: its conversation is one, the others do nothing else.
//!
//! Reading needs the permission to trace and no attachment, so it may be done by any thread but the tracing one, which is to
//! be free at any time.

use super::message::{COMMAND_BYTES_MAX, ReadRecord, TargetCommand, TargetReply};
use super::readiness::Urgency;
use super::socket::{Socket, SocketError};
use super::window::{RANGES_MAX, Window};
use crate::freeze::Frozen;
use crate::memory::LiveMemory;
use std::sync::{Arc, PoisonError, RwLock};
use stillframe_golang::memory::Range;

/// Of one target. More would wait for the agent, which looks at all that they read: measured, that takes a third of the time
/// that one of them takes to read it.
pub(super) const READERS: usize = 2;

/// What is not done, and ends the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal(pub(super) &'static str);

/// The freeze that a conversation holds, if it does. A read holds it, too: a resume waits for those that are under way, but
/// the budget's end does not.
#[derive(Debug, Default)]
pub(super) struct Held(RwLock<Option<Frozen>>);

impl Held {
    pub(super) fn is_held(&self) -> bool {
        // Whoever panicked had no half-written freeze.
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(super) fn hold(&self, frozen: Frozen) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(frozen);
    }

    /// Dropped, the target runs.
    pub(super) fn take(&self) -> Option<Frozen> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// One of them.
#[derive(Debug)]
pub(super) struct Reader {
    memory: LiveMemory,
    window: Window,
    held: Arc<Held>,
    urgency: Urgency,
    /// Room for the ranges of one read: none is made while the target stands.
    ranges: Vec<Range>,
}

impl Reader {
    pub(super) fn new(memory: LiveMemory, window: Window, held: Arc<Held>) -> Reader {
        Reader { memory, window, held, urgency: Urgency::default(), ranges: Vec::with_capacity(RANGES_MAX) }
    }

    /// Until the peer closes its end, or says something else than what to read: then the target runs.
    pub(super) fn run(mut self, socket: &Socket) {
        // What fails on the way to the peer cannot be told to it.
        let _ = self.serve(socket);
        // Before the peer learns of the end.
        drop(self.held.take());
        socket.close();
    }

    fn serve(&mut self, socket: &Socket) -> Result<(), SocketError> {
        loop {
            let refused = match socket.receive::<TargetCommand>(COMMAND_BYTES_MAX) {
                Ok((TargetCommand::Read { slot, ranges }, _)) => match self.read(slot, ranges) {
                    Ok(read) => {
                        socket.send(&TargetReply::Read(read), &[])?;
                        continue;
                    }
                    Err(Refusal(what)) => what.to_owned(),
                },
                Ok(_) => "a reader does nothing else".to_owned(),
                Err(SocketError::Codec(error)) => error.to_string(),
                Err(error) => return Err(error),
            };
            drop(self.held.take());
            return socket.send(&TargetReply::Refused(refused), &[]);
        }
    }

    /// Of the calling thread.
    pub(super) fn be_urgent(&mut self, is_high: bool) {
        self.urgency.set(is_high);
    }

    /// First everything is read, then it is asked whether the target still stands.
    pub(super) fn read(&mut self, slot: u8, count: u32) -> Result<ReadRecord, Refusal> {
        let slot = self.window.slot(slot.into()).ok_or(Refusal("a slot that the window does not have"))?;
        let too_many = Refusal("more ranges or bytes than a slot holds");
        let total = slot.ranges(count, &mut self.ranges).ok_or(too_many)?;
        let held = self.held.0.read().unwrap_or_else(PoisonError::into_inner);
        self.urgency.set(held.is_some());
        let memory = held.as_ref().map_or(&self.memory, Frozen::memory);
        slot.fill(memory, &self.ranges, total);
        Ok(ReadRecord {
            errno: memory.last_error().map_or(0, |errno| errno as i32),
            frozen: held.as_ref().is_some_and(Frozen::is_frozen),
        })
    }
}
