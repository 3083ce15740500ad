//! How much an answer may hold, and a stream that gives up when more bytes come than that.
//!
//! A broken or hostile server must not fill the memory. Bytes alone are no measure: a row of a thousand NULLs is 130 bytes
//! on the wire and some fifty thousand in memory. So every batch says how many sets, columns, rows and cells it expects;
//! they are counted while the answer is read, and the connection ends with the first one too many.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most of everything that the answer to one batch may hold. The first thing beyond it refuses the answer as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Result sets.
    pub sets: usize,
    /// Columns of one set.
    pub columns: usize,
    /// Rows of all sets together.
    pub rows: usize,
    /// Values of all rows together.
    pub cells: usize,
    /// Bytes on the wire, messages of the server included.
    pub bytes: u64,
}

impl Bounds {
    /// What a batch gets that says nothing else: one set for each of the 64 files of a restore, and a few short rows. A
    /// server has at most 32,767 sessions, and ending them lists them.
    pub const FEW: Bounds = Bounds { sets: 80, columns: 32, rows: 33_000, cells: 66_000, bytes: 4 << 20 };
    /// The state of an instance: sessions, jobs and two properties of at most 3,750 characters.
    pub const STATE: Bounds = Bounds { sets: 32, columns: 48, rows: 40_000, cells: 200_000, bytes: 16 << 20 };
    /// The names in one directory. A log backup every five minutes, kept for half a year, is 52,000.
    pub const LISTING: Bounds = Bounds { sets: 2, columns: 4, rows: 60_000, cells: 60_001, bytes: 32 << 20 };
    /// The headers of 32 files, which have 57 columns in SQL Server 2019: some 8,000 backup sets.
    pub const HEADERS: Bounds =
        Bounds { sets: 96, columns: 96, rows: 10_000, cells: 500_000, bytes: 32 << 20 };
}

/// Counts an answer while it is read.
#[derive(Debug)]
pub(super) struct Count {
    bounds: Bounds,
    sets: usize,
    columns: usize,
    rows: usize,
    cells: usize,
}

impl Count {
    pub(super) fn new(bounds: Bounds) -> Self {
        Count { bounds, sets: 0, columns: 0, rows: 0, cells: 0 }
    }

    /// One more set with so many columns. The error names the bound.
    pub(super) fn set(&mut self, columns: usize) -> Result<(), String> {
        self.sets += 1;
        self.columns = columns;
        within(self.sets, self.bounds.sets, "result sets")?;
        within(columns, self.bounds.columns, "columns in one result set")
    }

    /// One more row of the last set. The error names the bound.
    pub(super) fn row(&mut self) -> Result<(), String> {
        self.rows += 1;
        self.cells += self.columns;
        within(self.rows, self.bounds.rows, "rows")?;
        within(self.cells, self.bounds.cells, "values")
    }
}

fn within(count: usize, most: usize, what: &str) -> Result<(), String> {
    if count > most { Err(format!("more than {} {what}", thousands(most as u64))) } else { Ok(()) }
}

/// What the stream says when its allowance is used up.
pub(super) fn too_many_bytes(bytes: u64) -> String {
    format!("more than {} bytes", thousands(bytes))
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// How much may still be read, shared between the stream and who allows.
#[derive(Clone, Debug)]
pub struct Allowance {
    left: Arc<AtomicU64>,
    spent: Arc<AtomicBool>,
}

impl Allowance {
    /// Allows `bytes` from now on.
    pub fn set(&self, bytes: u64) {
        self.left.store(bytes, Ordering::Relaxed);
    }

    /// Whether more came than that. The stream gives nothing more then.
    pub fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
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
        let left = Allowance { left: Arc::new(AtomicU64::new(bytes)), spent: Arc::default() };
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
        match self.left.left.load(Ordering::Relaxed).checked_sub(read) {
            Some(left) => {
                self.left.set(left);
                Poll::Ready(Ok(()))
            }
            None => {
                self.left.spent.store(true, Ordering::Relaxed);
                Poll::Ready(Err(io::Error::other("more came than an answer may hold")))
            }
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
        assert!(!allowance.is_spent());
        assert!(stream.read_exact(&mut buffer).await.is_err());
        assert!(allowance.is_spent());
    }

    #[test]
    fn sets_columns_rows_and_values_are_each_counted_to_the_bound_and_no_further() {
        let bounds = Bounds { sets: 2, columns: 3, rows: 1_500, cells: 3_000, bytes: 0 };
        let mut count = Count::new(bounds);
        assert_eq!(count.set(4).unwrap_err(), "more than 3 columns in one result set");
        assert!(count.set(1).is_ok());
        assert_eq!(count.set(1).unwrap_err(), "more than 2 result sets");
        assert!((0..1_500).all(|_| count.row().is_ok()));
        assert_eq!(count.row().unwrap_err(), "more than 1,500 rows");
        let mut wide = Count::new(bounds);
        assert!(wide.set(3).is_ok() && (0..1_000).all(|_| wide.row().is_ok()));
        assert_eq!(wide.row().unwrap_err(), "more than 3,000 values");
    }
}
