//! What a scripted node finds on its host: processes that never ran, and captures that fail or hang where they are told to.

use std::io::{self, Cursor};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use stillframe_actors::capture::actor::{CaptureOrder, Host, Spool};
use stillframe_actors::connection::{Later, Reading};
use stillframe_actors::order::Stop;
use stillframe_wire::facts::PauseWindow;
use stillframe_wire::message::{FailureClass, ReadyTarget, Refusal, Selector};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::sync::watch;

use super::spooled;
use crate::{captured, synthetic};

/// Where a node stops doing anything, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangs {
    /// It does not say which processes fit.
    Preparing,
    /// It was told to freeze, and says nothing any more.
    Armed,
    /// The process runs again, and there is no result.
    Frozen,
    /// Half of the result is sent.
    Sending,
}

/// One process that can be captured, and others that cannot.
pub struct Scripted {
    pub pid: u32,
    goroutines: u64,
    hangs: Option<Hangs>,
    /// Processes that end while they are captured.
    ending: Vec<u32>,
    /// Why no process of this host can be captured.
    refused: Option<Refusal>,
    held: watch::Receiver<bool>,
}

impl Scripted {
    pub fn new(pid: u32, goroutines: u64) -> Scripted {
        let held = watch::channel(false).1;
        Scripted { pid, goroutines, hangs: None, ending: Vec::new(), refused: None, held }
    }

    pub fn hanging(self, hangs: Hangs) -> Scripted {
        Scripted { hangs: Some(hangs), ..self }
    }

    pub fn with_ending(self, pid: u32) -> Scripted {
        Scripted { ending: vec![pid], ..self }
    }

    pub fn refusing(self, class: FailureClass, reason: &str) -> Scripted {
        Scripted { refused: Some(Refusal { class, reason: reason.to_owned() }), ..self }
    }

    /// While the sender says `true` no capture ends.
    pub fn held(self) -> (watch::Sender<bool>, Scripted) {
        let (sender, held) = watch::channel(true);
        (sender, Scripted { held, ..self })
    }
}

impl Host for Scripted {
    fn find(&self, selector: Selector, _: Stop, _: Arc<str>) -> Later<(Vec<ReadyTarget>, Duration)> {
        let target = |pid, refusal| ReadyTarget { pid, program: "shop".into(), refusal };
        let mut targets = vec![target(self.pid, self.refused.clone())];
        targets.extend(self.ending.iter().map(|pid| target(*pid, None)));
        targets.retain(|target| selector.pids.is_empty() || selector.pids.contains(&target.pid));
        let hangs = self.hangs == Some(Hangs::Preparing);
        Box::pin(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            (targets, Duration::from_millis(1))
        })
    }

    fn capture(
        &self,
        CaptureOrder { pid, probes, .. }: CaptureOrder,
        resumed: Box<dyn FnOnce(PauseWindow) + Send>,
    ) -> Later<Result<Box<dyn Spool>, Refusal>> {
        let (hangs, ends) = (self.hangs, self.ending.contains(&pid));
        let (goroutines, mut held) = (self.goroutines, self.held.clone());
        Box::pin(async move {
            if ends {
                return Err(Refusal { class: FailureClass::Vanished, reason: "it ended".into() });
            }
            if hangs == Some(Hangs::Armed) {
                std::future::pending::<()>().await;
            }
            let mut facts = synthetic::process(pid, goroutines, 10);
            let tables = stillframe::probe_sets::tables(&probes).unwrap();
            let tables: Vec<_> = tables.into_iter().map(|table| (table.name, table.columns)).collect();
            captured::capture(&mut facts, &tables);
            resumed(facts.pause.unwrap());
            if hangs == Some(Hangs::Frozen) {
                std::future::pending::<()>().await;
            }
            // Whoever could hold it longer may have gone.
            let _ = held.wait_for(|held| !held).await;
            let spool = Memory {
                goroutines,
                bytes: spooled(facts).await.into(),
                hangs: hangs == Some(Hangs::Sending),
            };
            Ok(Box::new(spool) as Box<dyn Spool>)
        })
    }
}

struct Memory {
    goroutines: u64,
    bytes: Arc<[u8]>,
    hangs: bool,
}

impl Spool for Memory {
    fn goroutines(&self) -> u64 {
        self.goroutines
    }

    fn bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&self) -> io::Result<Reading> {
        if self.hangs {
            let half = Cursor::new(self.bytes[..self.bytes.len() / 2].to_vec());
            return Ok(Box::new(half.chain(Never)));
        }
        Ok(Box::new(Cursor::new(Arc::clone(&self.bytes))))
    }
}

/// Has nothing to read, and does not end.
struct Never;

impl AsyncRead for Never {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}
