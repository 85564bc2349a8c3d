//! A stream that is given up when nothing of it comes for some time. A slow one goes on: each byte counts.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep};

pub(super) struct Heard<R> {
    reading: R,
    silent_max: Duration,
    until: Pin<Box<Sleep>>,
}

impl<R: AsyncRead + Unpin> Heard<R> {
    pub(super) fn new(reading: R, silent_max: Duration) -> Heard<R> {
        Heard { reading, silent_max, until: Box::pin(tokio::time::sleep(silent_max)) }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Heard<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // What has come counts, however late it is asked for: the one who asks may have been busy.
        if let Poll::Ready(read) = Pin::new(&mut self.reading).poll_read(cx, buf) {
            let until = Instant::now() + self.silent_max;
            self.until.as_mut().reset(until);
            return Poll::Ready(read);
        }
        ready!(self.until.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::other(format!("nothing came for {:?}", self.silent_max))))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn slow_is_not_silent() {
        let (mut writing, reading) = duplex(16);
        let mut heard = Heard::new(reading, Duration::from_secs(5));
        tokio::spawn(async move {
            for byte in 0..9 {
                tokio::time::sleep(Duration::from_secs(4)).await;
                writing.write_all(&[byte]).await.unwrap();
            }
            // It stays open.
            std::future::pending::<()>().await;
        });
        let mut nine = [0; 9];
        heard.read_exact(&mut nine).await.unwrap();
        assert_eq!(nine, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let error = heard.read_u8().await.unwrap_err();
        assert_eq!(error.to_string(), "nothing came for 5s");
    }
}
