//! Debug information from the coordinator to a node that asks for it: no actor's business, but a stream of its own a
//! question. A file is large, comes rarely, and nothing waits for it but who asked.

use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use stillframe_wire::message::{Generation, PROTOCOL_VERSION};
use stillframe_wire::symbols::{SYMBOLS_ASKED_MAX, SYMBOLS_FRAME_BYTES_MAX, SymbolsAnswer, SymbolsRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use crate::connection::{Later, Reading, Streams, Writing, read_frame, write_frame};

/// A question comes within this time after its stream, and the beginning of an answer after the question.
const QUESTION_WITHIN: Duration = Duration::from_secs(10);
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// One file goes to one node within this time.
const FILE_WITHIN: Duration = Duration::from_secs(1_800);
/// Answers under way over all nodes; the others wait.
const ANSWERS_MAX: usize = 8;
/// Bytes of one read from the disk.
const CHUNK_BYTES: usize = 256 << 10;

/// Where the coordinator has debug information.
pub trait Library: Send + Sync {
    /// The file of a build and its length; `None`: there is none. The id may be any text.
    fn symbols(&self, build_id: String) -> Later<io::Result<Option<(u64, Reading)>>>;
}

/// A library that many sessions answer from.
#[derive(Clone)]
pub struct Shelf {
    library: Arc<dyn Library>,
    answers: Arc<Semaphore>,
}

impl Shelf {
    pub fn new(library: Arc<dyn Library>) -> Shelf {
        Shelf { library, answers: Arc::new(Semaphore::new(ANSWERS_MAX)) }
    }
}

/// The coordinator's end: answers the questions of one connection, until it ends. `shelf`: `None` has nothing.
pub(crate) async fn answer(
    streams: Arc<dyn Streams>,
    admitted: Arc<OnceLock<(String, Generation)>>,
    shelf: Option<Shelf>,
) {
    let of_node = Arc::new(Semaphore::new(SYMBOLS_ASKED_MAX));
    while let Ok((reading, writing)) = streams.asked().await {
        // The semaphore is never closed. A peer that opens more streams than it may waits.
        let Ok(permit) = Arc::clone(&of_node).acquire_owned().await else { return };
        let (admitted, shelf) = (Arc::clone(&admitted), shelf.clone());
        tokio::spawn(async move {
            let answered =
                tokio::time::timeout(FILE_WITHIN, answer_one(reading, writing, &admitted, shelf)).await;
            let node = admitted.get().map(|(node, _)| node);
            match answered {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => tracing::warn!(node, reason, "debug information was not sent"),
                Err(_) => tracing::warn!(node, "debug information was not sent within {FILE_WITHIN:?}"),
            }
            drop(permit);
        });
    }
}

async fn answer_one(
    mut reading: Reading,
    mut writing: Writing,
    admitted: &OnceLock<(String, Generation)>,
    shelf: Option<Shelf>,
) -> Result<(), String> {
    let question = read_frame::<SymbolsRequest>(&mut reading, SYMBOLS_FRAME_BYTES_MAX);
    let question = tokio::time::timeout(QUESTION_WITHIN, question).await;
    let question = question.map_err(|_| format!("the question did not come within {QUESTION_WITHIN:?}"))?;
    let (question, _) = question.map_err(|error| error.to_string())?;
    if question.version != PROTOCOL_VERSION {
        return Err(format!("the question is of version {} of the protocol", question.version));
    }
    question.check().map_err(|error| error.to_string())?;
    if admitted.get().is_none() {
        return Err("the node is not registered".to_owned());
    }
    let build_id = question.build_id;
    let failed = |error: io::Error| format!("{build_id}: {error}");
    let Some(shelf) = shelf else {
        return say(&mut writing, &SymbolsAnswer::Absent).await.map_err(failed);
    };
    // The semaphore is never closed.
    let _permit = shelf.answers.acquire().await;
    match shelf.library.symbols(build_id.clone()).await {
        Ok(None) => say(&mut writing, &SymbolsAnswer::Absent).await.map_err(failed),
        Ok(Some((bytes, file))) => {
            write_frame(&mut writing, &SymbolsAnswer::File { bytes }).await.map_err(failed)?;
            let mut file = tokio::io::BufReader::with_capacity(CHUNK_BYTES, file.take(bytes));
            let sent = tokio::io::copy_buf(&mut file, &mut writing).await.map_err(failed)?;
            if sent < bytes {
                return Err(format!("{build_id}: its file became shorter"));
            }
            writing.shutdown().await.map_err(failed)?;
            tracing::info!(
                build_id,
                bytes,
                node = admitted.get().map(|(node, _)| node),
                "debug information was sent"
            );
            Ok(())
        }
        Err(error) => {
            let reason = "the coordinator cannot read what it has".to_owned();
            say(&mut writing, &SymbolsAnswer::Refused { reason }).await.map_err(failed)?;
            Err(failed(error))
        }
    }
}

async fn say(writing: &mut Writing, answer: &SymbolsAnswer) -> io::Result<()> {
    write_frame(writing, answer).await?;
    writing.shutdown().await
}

/// The node's end: asks for a build. The reader gives as many bytes as it says, or an error.
pub async fn ask(streams: &dyn Streams, build_id: &str) -> Result<Option<(u64, Reading)>, String> {
    let asking = async {
        let (mut reading, mut writing) = streams.ask().await?;
        let question = SymbolsRequest { version: PROTOCOL_VERSION, build_id: build_id.to_owned() };
        write_frame(&mut writing, &question).await?;
        writing.shutdown().await?;
        let answer = read_frame::<SymbolsAnswer>(&mut reading, SYMBOLS_FRAME_BYTES_MAX).await;
        Ok((answer.map_err(io::Error::other)?.0, reading))
    };
    let answer = tokio::time::timeout(ANSWER_WITHIN, asking).await;
    let answer = answer.map_err(|_| format!("the coordinator did not answer within {ANSWER_WITHIN:?}"))?;
    let (answer, reading) =
        answer.map_err(|error: io::Error| format!("the coordinator does not answer: {error}"))?;
    match answer {
        SymbolsAnswer::File { bytes } => Ok(Some((bytes, reading))),
        SymbolsAnswer::Absent => Ok(None),
        SymbolsAnswer::Refused { reason } => Err(reason),
    }
}
