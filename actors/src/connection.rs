//! One connection between a node and the coordinator, over whatever carries it: a control stream, and data streams.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use stillframe_wire::bincode::{Decode, Encode};
use stillframe_wire::codec::{self, CodecError, LENGTH_BYTES};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

pub type Reading = Box<dyn AsyncRead + Send + Unpin>;
pub type Writing = Box<dyn AsyncWrite + Send + Unpin>;
pub type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Either end. The node dials, opens data streams, and asks; the coordinator accepts.
pub struct Connection {
    pub control: (Reading, Writing),
    pub streams: Arc<dyn Streams>,
    /// For the log: where the peer is.
    pub peer: String,
}

/// The data streams of a connection, and its end.
pub trait Streams: Send + Sync {
    fn open(&self) -> Later<io::Result<Writing>>;
    fn accept(&self) -> Later<io::Result<Reading>>;
    /// A stream both ways, for a question of the node's and its answer.
    fn ask(&self) -> Later<io::Result<(Reading, Writing)>>;
    fn asked(&self) -> Later<io::Result<(Reading, Writing)>>;
    fn close(&self, reason: &str);
    /// Why the connection ended, once it has.
    fn closed(&self) -> Later<String>;
}

/// How a node reaches its coordinator.
pub trait Dial: Send + Sync {
    fn dial(&self) -> Later<Result<Connection, String>>;
}

/// A frame that did not come.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It ended between two frames.
    #[error("the stream ended")]
    End,
    #[error(transparent)]
    Io(io::Error),
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// The next frame, of at most `limit` bytes, and how many bytes it had.
pub async fn read_frame<T: Decode<()>>(
    reader: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<(T, usize), ReadError> {
    let mut head = [0; LENGTH_BYTES];
    match reader.read(&mut head).await.map_err(ReadError::Io)? {
        0 => return Err(ReadError::End),
        read => reader.read_exact(&mut head[read..]).await.map_err(ReadError::Io)?,
    };
    let length = codec::frame_length(head, limit)?;
    // As the bytes come: a peer that announces much and sends nothing costs nothing.
    let mut body = Vec::new();
    let read = reader.take(length as u64).read_to_end(&mut body).await.map_err(ReadError::Io)?;
    if read < length {
        return Err(ReadError::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok((codec::decode(&body)?, LENGTH_BYTES + length))
}

pub async fn write_frame<T: Encode>(writer: &mut (impl AsyncWrite + Unpin), value: &T) -> io::Result<()> {
    let frame = codec::encode_frame(value).map_err(io::Error::other)?;
    writer.write_all(&frame).await
}
