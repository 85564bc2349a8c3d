//! A node and its coordinator in one process: the same messages, through memory.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::duplex;
use tokio::sync::{Mutex as AsyncMutex, mpsc, watch};

use crate::connection::{Connection, Dial, Later, Reading, Streams, Writing};

/// Bytes that wait in one stream.
const BUFFER_BYTES: usize = 1 << 20;
/// Streams that wait to be accepted.
const STREAMS_WAITING: usize = 16;

/// The dialing end; the accepting ends come out of the channel.
pub struct Local {
    accept: mpsc::Sender<Connection>,
}

/// A pair of ends that know each other.
pub fn pair() -> (Local, mpsc::Receiver<Connection>) {
    let (accept, accepted) = mpsc::channel(1);
    (Local { accept }, accepted)
}

struct LocalStreams {
    opened: mpsc::Sender<Reading>,
    accepted: Arc<AsyncMutex<mpsc::Receiver<Reading>>>,
    asks: mpsc::Sender<(Reading, Writing)>,
    asked: Arc<AsyncMutex<mpsc::Receiver<(Reading, Writing)>>>,
    end: Arc<End>,
}

struct End {
    reason: watch::Sender<Option<String>>,
    /// Keeps the channel alive: the reason must be there for those who ask later.
    _kept: Mutex<watch::Receiver<Option<String>>>,
}

impl End {
    fn new() -> Arc<End> {
        let (reason, kept) = watch::channel(None);
        Arc::new(End { reason, _kept: Mutex::new(kept) })
    }
}

impl Streams for LocalStreams {
    fn open(&self) -> Later<io::Result<Writing>> {
        let opened = self.opened.clone();
        Box::pin(async move {
            let (writing, reading) = duplex(BUFFER_BYTES);
            let gone = |_| io::Error::from(io::ErrorKind::ConnectionReset);
            opened.send(Box::new(reading)).await.map_err(gone)?;
            Ok(Box::new(writing) as Writing)
        })
    }

    fn accept(&self) -> Later<io::Result<Reading>> {
        let accepted = Arc::clone(&self.accepted);
        Box::pin(async move {
            let mut accepted = accepted.lock().await;
            accepted.recv().await.ok_or_else(|| io::ErrorKind::ConnectionReset.into())
        })
    }

    fn ask(&self) -> Later<io::Result<(Reading, Writing)>> {
        let asks = self.asks.clone();
        Box::pin(async move {
            let (here, there) = duplex(BUFFER_BYTES);
            let both = |end| {
                let (reading, writing) = tokio::io::split(end);
                (Box::new(reading) as Reading, Box::new(writing) as Writing)
            };
            let gone = |_| io::Error::from(io::ErrorKind::ConnectionReset);
            asks.send(both(there)).await.map_err(gone)?;
            Ok(both(here))
        })
    }

    fn asked(&self) -> Later<io::Result<(Reading, Writing)>> {
        let asked = Arc::clone(&self.asked);
        Box::pin(async move {
            let mut asked = asked.lock().await;
            asked.recv().await.ok_or_else(|| io::ErrorKind::ConnectionReset.into())
        })
    }

    fn close(&self, reason: &str) {
        self.end.reason.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert_with(|| reason.to_owned());
            is_first
        });
    }

    fn closed(&self) -> Later<String> {
        let mut reason = self.end.reason.subscribe();
        Box::pin(async move {
            // The sender lives as long as either end.
            match reason.wait_for(Option::is_some).await {
                Ok(reason) => reason.clone().unwrap_or_default(),
                Err(_) => "the other end is gone".to_owned(),
            }
        })
    }
}

impl Dial for Local {
    fn dial(&self) -> Later<Result<Connection, String>> {
        let accept = self.accept.clone();
        Box::pin(async move {
            let (here, there) = duplex(BUFFER_BYTES);
            let (opened, accepted) = mpsc::channel(STREAMS_WAITING);
            let accepted = Arc::new(AsyncMutex::new(accepted));
            let (asks, asked) = mpsc::channel(STREAMS_WAITING);
            let asked = Arc::new(AsyncMutex::new(asked));
            let end = End::new();
            let connection = |control| {
                let (reading, writing) = tokio::io::split(control);
                let streams = LocalStreams {
                    opened: opened.clone(),
                    accepted: Arc::clone(&accepted),
                    asks: asks.clone(),
                    asked: Arc::clone(&asked),
                    end: Arc::clone(&end),
                };
                Connection {
                    control: (Box::new(reading), Box::new(writing)),
                    streams: Arc::new(streams),
                    peer: "this process".to_owned(),
                }
            };
            accept.send(connection(there)).await.map_err(|_| "the coordinator has ended".to_owned())?;
            Ok(connection(here))
        })
    }
}
