//! Where nodes come in: each proves by its certificate that it may, in bounded time, and few at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stillframe_actors::coordinator::actor::Handle;
use stillframe_actors::quic::{self, Accepting, Endpoint};
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// From the first datagram until the node's control stream is open.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Handshakes under way; who comes then is turned away at once, and tries again.
const HANDSHAKES_MAX: usize = 64;
/// Lines about refused peers in the log: so many in so long.
const LINES_MAX: u64 = 10;
const LINES_WITHIN: Duration = Duration::from_secs(60);

/// Connections that did not come about, since the start.
#[derive(Debug, Default)]
pub struct Refused {
    pub handshake: AtomicU64,
    pub late: AtomicU64,
    pub busy: AtomicU64,
}

/// Lets nodes in until the endpoint is closed.
pub async fn admit(endpoint: Endpoint, coordinator: Handle, refused: Arc<Refused>) {
    let under_way = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    let lines = Arc::new(std::sync::Mutex::new(Lines::default()));
    let say = move |peer: &str, reason: &str| {
        let mut lines = lines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(unsaid) = lines.next(Instant::now()) {
            tracing::warn!(peer, reason, unsaid, "a connection was refused");
        }
    };
    while let Some(accepting) = quic::accept(&endpoint).await {
        let peer = accepting.peer().to_string();
        let Ok(permit) = Arc::clone(&under_way).try_acquire_owned() else {
            refused.busy.fetch_add(1, Ordering::Relaxed);
            say(&peer, "too many handshakes are under way");
            // Dropping it refuses it.
            continue;
        };
        let (coordinator, refused, say) = (coordinator.clone(), Arc::clone(&refused), say.clone());
        tokio::spawn(async move {
            let finished = finish(accepting, &coordinator).await;
            drop(permit);
            let reason = match finished {
                Ok(Ok(())) => return,
                Ok(Err(reason)) => {
                    refused.handshake.fetch_add(1, Ordering::Relaxed);
                    reason
                }
                Err(reason) => {
                    refused.late.fetch_add(1, Ordering::Relaxed);
                    reason
                }
            };
            say(&peer, &reason);
        });
    }
}

/// The outer error: it took too long.
async fn finish(accepting: Accepting, coordinator: &Handle) -> Result<Result<(), String>, String> {
    let finished = tokio::time::timeout(HANDSHAKE_WITHIN, accepting.finish()).await;
    let finished = finished.map_err(|_| format!("it was not done within {HANDSHAKE_WITHIN:?}"))?;
    Ok(finished.map(|connection| coordinator.connected(connection)))
}

/// Keeps a peer that tries again and again from filling the log.
#[derive(Debug, Default)]
struct Lines {
    since: Option<Instant>,
    said: u64,
    unsaid: u64,
}

impl Lines {
    /// Whether a line may be said now, and how many were not said before it.
    fn next(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.duration_since(since) >= LINES_WITHIN) {
            self.since = Some(now);
            self.said = 0;
        }
        if self.said == LINES_MAX {
            self.unsaid += 1;
            return None;
        }
        self.said += 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_not_filled_and_says_what_it_left_out() {
        let mut lines = Lines::default();
        let start = Instant::now();
        let said = (0..100).filter(|_| lines.next(start).is_some()).count();
        assert_eq!(said as u64, LINES_MAX);
        assert_eq!(lines.next(start + LINES_WITHIN), Some(90));
        assert_eq!(lines.next(start + LINES_WITHIN), Some(0));
    }
}
