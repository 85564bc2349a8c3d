//! A target's sockets, over a conversation: they come in parts, as they may be many.

use super::client::lock;
use super::error::FreezerError;
use super::message::{
    FILES_PER_FRAME, OWNERS_PER_FRAME, SOCKETS_PER_FRAME, SocketsPart, SocketsRecord, TargetCommand,
    TargetReply,
};
use super::socket::{Socket, SocketError};
use super::target::Target;
use crate::process::ProcessError;
use crate::sockets::Sockets;

impl Target {
    /// Lists its descriptors: of those [`Target::sockets`] speaks. Not while it stands still.
    pub fn list_descriptors(&self) -> Result<(), FreezerError> {
        match self.line().exchange(TargetCommand::Descriptors)?.0 {
            TargetReply::Descriptors(Ok(())) => Ok(()),
            TargetReply::Descriptors(Err(failure)) => Err(ProcessError::from(failure).into()),
            other => Err(self.line().unexpected(other)),
        }
    }

    /// Its sockets, those whose descriptors are the same as they were when they were listed. Not while it stands still.
    pub fn sockets(&self) -> Result<Sockets, FreezerError> {
        let line = self.line();
        let ends = lock(&line.ends);
        let socket = &ends[0].socket;
        line.tell(socket, TargetCommand::Sockets)?;
        let record = match line.hear_at_length(socket)?.0 {
            TargetReply::Sockets(Ok(record)) => record,
            TargetReply::Sockets(Err(failure)) => return Err(ProcessError::from(failure).into()),
            other => return Err(line.unexpected_on(socket, other)),
        };
        let SocketsRecord { netns, changed, unknown, problems, .. } = record;
        let mut found = Sockets { netns, changed, unknown, problems, ..Sockets::default() };
        let left = |found: &Sockets| {
            (found.sockets.len() as u64) < record.sockets.into()
                || (found.owners.len() as u64) < record.owners.into()
                || (found.files.len() as u64) < record.files.into()
        };
        while left(&found) {
            match line.hear_at_length(socket)?.0 {
                // One that brings nothing could go on for ever.
                TargetReply::SocketsPart(part) if !part.is_empty() => {
                    found.sockets.extend(part.sockets);
                    found.owners.extend(part.owners);
                    found.files.extend(part.files);
                }
                other => return Err(line.unexpected_on(socket, other)),
            }
        }
        Ok(found)
    }
}

impl SocketsPart {
    fn is_empty(&self) -> bool {
        self.sockets.is_empty() && self.owners.is_empty() && self.files.is_empty()
    }
}

/// The privileged side of it.
pub(super) fn send_sockets(socket: &Socket, found: Result<Sockets, ProcessError>) -> Result<(), SocketError> {
    let Sockets { netns, sockets, owners, files, changed, unknown, problems } = match found {
        Ok(found) => found,
        Err(error) => return socket.send(&TargetReply::Sockets(Err(error.into())), &[]),
    };
    // None has more than its limit, which fits.
    let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let record = SocketsRecord {
        netns,
        changed,
        unknown,
        problems,
        sockets: count(sockets.len()),
        owners: count(owners.len()),
        files: count(files.len()),
    };
    socket.send(&TargetReply::Sockets(Ok(record)), &[])?;
    let (mut sockets, mut owners, mut files) = (sockets.into_iter(), owners.into_iter(), files.into_iter());
    loop {
        let part = SocketsPart {
            sockets: sockets.by_ref().take(SOCKETS_PER_FRAME).collect(),
            owners: owners.by_ref().take(OWNERS_PER_FRAME).collect(),
            files: files.by_ref().take(FILES_PER_FRAME).collect(),
        };
        if part.is_empty() {
            return Ok(());
        }
        socket.send(&TargetReply::SocketsPart(part), &[])?;
    }
}
