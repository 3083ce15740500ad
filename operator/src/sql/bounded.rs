//! A stream that gives up when more comes than was allowed.
//!
//! The driver holds whatever a server sends; a broken or hostile one must not fill the memory.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How much may still be read, shared between the stream and who allows.
#[derive(Clone, Debug)]
pub struct Allowance(Arc<AtomicU64>);

impl Allowance {
    /// Allows `bytes` from now on.
    pub fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

/// The stream.
#[derive(Debug)]
pub struct Bounded<S> {
    inner: S,
    left: Allowance,
}

impl<S> Bounded<S> {
    /// Allows `bytes` to be read.
    pub fn new(inner: S, bytes: u64) -> (Self, Allowance) {
        let left = Allowance(Arc::new(AtomicU64::new(bytes)));
        (Bounded { inner, left: left.clone() }, left)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let read = (buf.filled().len() - before) as u64;
        let left = self.left.0.load(Ordering::Relaxed).checked_sub(read);
        match left {
            Some(left) => {
                self.left.0.store(left, Ordering::Relaxed);
                Poll::Ready(Ok(()))
            }
            None => Poll::Ready(Err(io::Error::other("more came than an answer may hold"))),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn an_endless_answer_ends_at_the_allowance_and_a_new_one_begins_anew() {
        let (mut stream, allowance) = Bounded::new(tokio::io::repeat(7), 1000);
        let mut buffer = [0; 600];
        assert!(stream.read_exact(&mut buffer).await.is_ok());
        allowance.set(700);
        assert!(stream.read_exact(&mut buffer).await.is_ok());
        assert!(stream.read_exact(&mut buffer).await.is_err());
    }
}
