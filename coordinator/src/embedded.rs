//! A coordinator and one node in this process, for one order into one file: the same actors and the same messages as
//! across a network, through memory.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use stillframe_actors::capture::actor::Host;
use stillframe_actors::clock::Clock;
use stillframe_actors::coordinator::actor::Stores;
use stillframe_actors::coordinator::state::Event;
use stillframe_actors::node::actor::Status;
use stillframe_actors::node::state::Identity;
use stillframe_actors::order::{Order, Outcome, Progress};
use stillframe_actors::session::ClockEstimate;
use stillframe_actors::snapshot::Member;
use stillframe_actors::writer::actor::{Answer, Store, StoreTask};
use stillframe_actors::{coordinator, local, node};
use stillframe_wire::message::FailureClass;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::server::store_thread::{FileOrder, Notice, StoreThread};
use crate::store::order::{Summary, WriteError};

/// Captures that were given up may end in this time; their targets run again at once in any case.
const GIVEN_UP_WITHIN: Duration = Duration::from_secs(2);

/// What is wanted, of which host.
pub struct Job {
    pub identity: Identity,
    pub host: Arc<dyn Host>,
    pub order: Order,
    pub file: FileOrder,
    pub clock: Clock,
}

/// What is heard of a job while it runs.
pub enum News {
    /// This file is to be deleted if this process ends before the job.
    Temporary(PathBuf),
    Progress(Progress),
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    #[error(transparent)]
    Write(WriteError),
    #[error("{reason}")]
    Order { class: FailureClass, reason: String },
    #[error("{0}; this is a defect of Stillframe: report it with its version")]
    Defect(&'static str),
}

/// Runs a job to its end. The runtime ends with it.
pub fn run(runtime: Runtime, job: Job, news: impl FnMut(News)) -> Result<Summary, Failed> {
    let (said, notices) = unbounded_channel();
    let stores = Arc::new(OneFile {
        file: job.file.clone(),
        clock: job.clock.clone(),
        said,
        thread: Mutex::default(),
    });
    let ended = runtime.block_on(follow(job, stores.clone(), notices, news));
    // With the actors ends the thread that writes, which deletes what is not finished.
    runtime.shutdown_timeout(GIVEN_UP_WITHIN);
    let thread = stores.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
    if thread.is_some_and(|thread| thread.join().is_err()) {
        return Err(Failed::Defect("the thread that writes the file failed"));
    }
    ended
}

async fn follow(
    job: Job,
    stores: Arc<dyn Stores>,
    mut notices: UnboundedReceiver<Notice>,
    mut news: impl FnMut(News),
) -> Result<Summary, Failed> {
    let mut progress = order(job, stores).await?;
    let mut written = None;
    loop {
        // What the store says of its file comes before what the actors make of it.
        tokio::select! {
            biased;
            Some(notice) = notices.recv() => match notice {
                Notice::Temporary(path) => news(News::Temporary(path)),
                Notice::Finished(summary) => written = Some(Ok(summary)),
                Notice::Failed(error) => written = Some(Err(Failed::Write(error))),
            },
            heard = progress.recv() => match (heard, written.take()) {
                (Some((_, Progress::Ended(Outcome::Failed { class, reason }))), written) => {
                    return written.unwrap_or(Err(Failed::Order { class, reason }));
                }
                (Some((_, Progress::Ended(Outcome::Committed { .. }))), Some(written)) => return written,
                (Some((_, Progress::Ended(Outcome::Committed { .. }))), None) => {
                    return Err(Failed::Defect("the order was committed without a file"));
                }
                (Some((_, progress)), so_far) => {
                    written = so_far;
                    news(News::Progress(progress));
                }
                (None, _) => return Err(Failed::Defect("the coordinator's actor ended")),
            },
        }
    }
}

/// Starts both, and gives the order once the node is registered.
async fn order(
    job: Job,
    stores: Arc<dyn Stores>,
) -> Result<UnboundedReceiver<(stillframe_wire::message::OrderId, Progress)>, Failed> {
    let (dial, mut connections) = local::pair();
    let (said, heard) = unbounded_channel();
    let coordinator = coordinator::actor::start(Default::default(), stores, said, job.clock.clone());
    let accepting = coordinator.clone();
    tokio::spawn(async move {
        while let Some(connection) = connections.recv().await {
            accepting.connected(connection);
        }
    });
    // The seed is for the jitter of dialing again, for which there is no need here.
    let (_node, mut status) = node::actor::start(job.identity, Arc::new(dial), job.host, 0, job.clock);
    let registered = status.wait_for(|status| matches!(status, Status::Registered(_) | Status::Refused(_)));
    match registered.await.as_deref() {
        Ok(Status::Registered(_)) => {}
        _ => return Err(Failed::Defect("the embedded node was not registered")),
    }
    coordinator.mailbox.tell(Event::Order(job.order));
    Ok(heard)
}

/// Makes the store of the one order.
struct OneFile {
    file: FileOrder,
    clock: Clock,
    said: UnboundedSender<Notice>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Stores for OneFile {
    fn store(&self, _: &Order) -> Box<dyn Store> {
        let said = self.said.clone();
        let notify = move |notice| {
            // Who listened has its end already.
            let _ = said.send(notice);
        };
        let (store, thread) = StoreThread::start(self.file.clone(), self.clock.clone(), Box::new(notify));
        *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Box::new(OnOneClock(store))
    }
}

/// Node and coordinator are one process: nothing about its clock need be estimated.
struct OnOneClock(StoreThread);

impl Store for OnOneClock {
    fn run(&mut self, task: StoreTask, answer: Answer) {
        let task = match task {
            StoreTask::Host { member } => {
                let clock = Some(ClockEstimate { offset_ns: 0, error_ns: 0 });
                StoreTask::Host { member: Member { clock, ..member } }
            }
            task => task,
        };
        self.0.run(task, answer);
    }
}
