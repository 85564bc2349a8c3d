//! A stream of frames between the two processes (unix(7)), which carries descriptors (SCM_RIGHTS) too.

use super::reader::READERS;
use bincode::{Decode, Encode};
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, recv, recvmsg, send, sendmsg, shutdown,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use stillframe_wire::codec::{self, CodecError, LENGTH_BYTES};
use thiserror::Error;

/// The most descriptors of one frame; the kernel closes what comes beyond.
pub(super) const DESCRIPTORS_MAX: usize = 2 * READERS;

/// A frame was not sent or not received.
#[derive(Debug, Error)]
pub(super) enum SocketError {
    #[error("the other end is closed")]
    Closed,
    #[error("no answer in time")]
    Late,
    #[error("its socket: {0}")]
    System(Errno),
    #[error("its socket: {0}")]
    Codec(#[from] CodecError),
}

impl From<Errno> for SocketError {
    fn from(error: Errno) -> Self {
        match error {
            Errno::EPIPE | Errno::ECONNRESET => SocketError::Closed,
            // SO_RCVTIMEO and SO_SNDTIMEO, socket(7).
            Errno::EAGAIN => SocketError::Late,
            error => SocketError::System(error),
        }
    }
}

/// One end. Sending to an end that is closed is an error, and raises no SIGPIPE.
#[derive(Debug)]
pub(super) struct Socket(UnixStream);

impl Socket {
    /// Both ends are closed on exec.
    pub(super) fn pair() -> io::Result<(Socket, Socket)> {
        UnixStream::pair().map(|(a, b)| (Socket(a), Socket(b)))
    }

    /// The same end.
    pub(super) fn another(&self) -> io::Result<Socket> {
        self.0.try_clone().map(Socket)
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.0
    }

    /// How long to wait for the other end, in sending and in receiving; without it there is no limit.
    pub(super) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(patience))?;
        self.0.set_write_timeout(Some(patience))
    }

    pub(super) fn send<T: Encode>(
        &self,
        message: &T,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), SocketError> {
        let frame = codec::encode_frame(message)?;
        let raw: Vec<RawFd> = descriptors.iter().map(|d| d.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&raw)];
        let rights = if raw.is_empty() { &[][..] } else { &rights[..] };
        let socket = self.0.as_raw_fd();
        let mut sent =
            retry(|| sendmsg::<()>(socket, &[IoSlice::new(&frame)], rights, MsgFlags::MSG_NOSIGNAL, None))?;
        while sent < frame.len() {
            sent += retry(|| send(socket, &frame[sent..], MsgFlags::MSG_NOSIGNAL))?;
        }
        Ok(())
    }

    /// The next message, of at most `body_bytes_max`, and the descriptors that came with it.
    pub(super) fn receive<T: Decode<()>>(
        &self,
        body_bytes_max: usize,
    ) -> Result<(T, Vec<OwnedFd>), SocketError> {
        let mut descriptors = Vec::new();
        let mut head = [0; LENGTH_BYTES];
        let mut came = 0;
        while came < head.len() {
            came += self.receive_with_descriptors(&mut head[came..], &mut descriptors)?;
        }
        let mut body = vec![0; codec::frame_length(head, body_bytes_max)?];
        let mut came = 0;
        while came < body.len() {
            match retry(|| recv(self.0.as_raw_fd(), &mut body[came..], MsgFlags::MSG_WAITALL))? {
                0 => return Err(SocketError::Closed),
                more => came += more,
            }
        }
        Ok((codec::decode(&body)?, descriptors))
    }

    fn receive_with_descriptors(
        &self,
        buffer: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
    ) -> Result<usize, SocketError> {
        let mut space = nix::cmsg_space!([RawFd; DESCRIPTORS_MAX]);
        let mut buffers = [IoSliceMut::new(buffer)];
        let received = loop {
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            match recvmsg::<()>(self.0.as_raw_fd(), &mut buffers, Some(&mut space), flags) {
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
                // Of the message only this is needed, and it borrows the buffers.
                Ok(message) => {
                    // A control message that was cut ends the list: its descriptors were closed by the kernel.
                    for control in message.cmsgs().into_iter().flatten() {
                        let ControlMessageOwned::ScmRights(all) = control else { continue };
                        // SAFETY: the kernel made these descriptors for this process in this call; nobody else knows
                        // them.
                        descriptors.extend(all.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
                    }
                    break message.bytes;
                }
            }
        };
        match received {
            0 => Err(SocketError::Closed),
            received => Ok(received),
        }
    }

    /// No more is said on it: both ends learn that.
    pub(super) fn close(&self) {
        // ENOTCONN: it is closed.
        let _ = shutdown(self.0.as_raw_fd(), Shutdown::Both);
    }
}

impl From<OwnedFd> for Socket {
    fn from(descriptor: OwnedFd) -> Self {
        Socket(descriptor.into())
    }
}

impl From<Socket> for OwnedFd {
    fn from(socket: Socket) -> Self {
        socket.0.into()
    }
}

fn retry(mut call: impl FnMut() -> Result<usize, Errno>) -> Result<usize, Errno> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn frames_and_descriptors_arrive_in_order() {
        let (a, b) = Socket::pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        let long = vec![7u8; 1 << 20];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                a.send(&1u64, &[]).unwrap();
                a.send(&2u64, &[file.as_fd(), a.0.as_fd()]).unwrap();
                a.send(&long, &[]).unwrap();
            });
            let (number, descriptors) = b.receive::<u64>(64).unwrap();
            assert_eq!((number, descriptors.len()), (1, 0));
            let (number, descriptors) = b.receive::<u64>(64).unwrap();
            assert_eq!((number, descriptors.len()), (2, 2));
            assert_eq!(b.receive::<Vec<u8>>(2 << 20).unwrap().0, long);
        });
        drop(a);
        assert!(matches!(b.receive::<u64>(64), Err(SocketError::Closed)));
        assert!(matches!(b.send(&1u64, &[]), Err(SocketError::Closed)));
    }

    #[test]
    fn more_descriptors_than_are_taken_are_closed() {
        let (a, b) = Socket::pair().unwrap();
        let (_kept, probe) = std::io::pipe().unwrap();
        a.send(&1u64, &[probe.as_fd(); 5]).unwrap();
        let (_, descriptors) = b.receive::<u64>(64).unwrap();
        assert!(descriptors.len() <= DESCRIPTORS_MAX, "{descriptors:?}");
    }

    #[test]
    fn what_is_too_long_or_cut_is_refused() {
        let (a, b) = Socket::pair().unwrap();
        (&a.0).write_all(&[9, 0, 0, 0, 1]).unwrap();
        assert!(matches!(b.receive::<u64>(8), Err(SocketError::Codec(CodecError::TooLong { .. }))));
        let (a, b) = Socket::pair().unwrap();
        (&a.0).write_all(&[9, 0, 0, 0, 1]).unwrap();
        drop(a);
        assert!(matches!(b.receive::<u64>(64), Err(SocketError::Closed)));
    }
}
