//! One connection: sends a batch, reads its answer to the very end.
//!
//! A connection that missed a deadline, broke, or was dropped in the middle is never used again: the
//! driver would answer the next question with the rest of the last answer.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use futures::{FutureExt, TryStreamExt};
use tiberius::error::{Error as TdsError, TokenError};
use tiberius::{Client, QueryItem, ToSql};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::compat::Compat;

use super::batches::{Batch, Param};
use super::bounded::{Allowance, Bounded, Count, too_many_bytes};
use super::refusal::Refusal;
use super::rows::Set;
use crate::outside;

/// Most bytes of a login.
pub(super) const LOGIN_BYTES: u64 = 1 << 20;

/// The driver on a stream that can't flood us.
pub(super) type Driver = Client<Compat<Bounded<TcpStream>>>;

/// An error that the server reported: the first of the response, which for RESTORE is the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    /// Number, as in `sys.messages`.
    pub number: u32,
    /// State.
    pub state: u8,
    /// Severity.
    pub class: u8,
    /// The server's words, as they may be shown.
    pub message: String,
}

impl From<&TokenError> for ServerError {
    fn from(token: &TokenError) -> Self {
        ServerError {
            number: token.code(),
            state: token.state(),
            class: token.class(),
            message: outside::words(token.message()),
        }
    }
}

impl ServerError {
    /// Reads it as a refusal of our own guard.
    pub fn refusal(&self) -> Option<Refusal> {
        Refusal::read(self.number, self.state, &self.message)
    }
}

/// A whole answer. With an error, the sets are what came before and after it.
#[derive(Debug, Default)]
pub struct Answer {
    /// Result sets in order, empty ones included.
    pub sets: Vec<Set>,
    /// The first error of the response.
    pub error: Option<ServerError>,
}

/// There is no answer: what the batch did is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The deadline passed.
    #[error("no answer in {0:?}")]
    NoAnswer(Duration),
    /// The connection broke.
    #[error("the connection broke ({0})")]
    Broken(String),
    /// What came back is not an answer.
    #[error("the answer could not be read ({0})")]
    Garbled(String),
    /// The answer holds more than any honest one. The rest was not read, and the connection ended there.
    #[error("the answer to {batch} was refused, because it has {what}")]
    TooMuch {
        /// What was asked.
        batch: &'static str,
        /// The bound that it broke.
        what: String,
    },
}

/// A connection to `master` of one instance.
#[derive(Debug)]
pub struct Connection {
    client: Driver,
    allowance: Allowance,
    display: String,
    opened: Instant,
    clean: bool,
}

impl Connection {
    pub(super) fn new(client: Driver, allowance: Allowance, display: &str) -> Self {
        Connection { client, allowance, display: display.to_owned(), opened: Instant::now(), clean: true }
    }

    /// `host\instance` of the other end.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Whether every answer so far came whole, so that it may be used again.
    pub fn is_clean(&self) -> bool {
        self.clean
    }

    /// How long ago it was opened.
    pub fn age(&self) -> Duration {
        self.opened.elapsed()
    }

    /// Sends a batch and reads the answer to its end, within `within`.
    pub async fn ask(&mut self, batch: &Batch, within: Duration) -> Result<Answer, Lost> {
        if !self.clean {
            return Err(Lost::Broken("it was given up after an earlier failure".into()));
        }
        // Until the end of the answer has been seen the connection is not clean, also if this future is dropped.
        self.clean = false;
        let bytes = batch.bounds().bytes;
        self.allowance.set(bytes);
        // The driver must not be able to end the program, whatever a server sends.
        let exchange = AssertUnwindSafe(exchange(&mut self.client, batch)).catch_unwind();
        let answer = match timeout(within, exchange).await {
            Ok(Ok(Err(_))) if self.allowance.is_spent() => {
                return Err(Lost::TooMuch { batch: batch.name(), what: too_many_bytes(bytes) });
            }
            Ok(Ok(answer)) => answer?,
            Ok(Err(_)) => return Err(Lost::Garbled("the driver could not take it".into())),
            Err(_) => return Err(Lost::NoAnswer(within)),
        };
        // Severity 20 and above ends the session at the far end.
        self.clean = answer.error.as_ref().is_none_or(|e| e.class < 20);
        Ok(answer)
    }
}

async fn exchange(client: &mut Driver, batch: &Batch) -> Result<Answer, Lost> {
    let params: Vec<&dyn ToSql> = batch.params().iter().map(Param::as_sql).collect();
    let mut answer = Answer::default();
    let mut count = Count::new(batch.bounds());
    let too_much = |what| Lost::TooMuch { batch: batch.name(), what };
    let mut stream = match client.query(batch.text(), &params).await {
        Ok(stream) => stream,
        Err(error) => return finish(answer, error),
    };
    loop {
        match stream.try_next().await {
            Ok(Some(QueryItem::Metadata(metadata))) => {
                count.set(metadata.columns().len()).map_err(too_much)?;
                answer.sets.push(Set::new(metadata.columns().iter().map(|c| c.name().to_owned())));
            }
            Ok(Some(QueryItem::Row(row))) => {
                count.row().map_err(too_much)?;
                match answer.sets.last_mut() {
                    Some(set) => set.push(row),
                    None => return Err(Lost::Garbled("a row without columns".into())),
                }
            }
            Ok(None) => return Ok(answer),
            Err(error) => return finish(answer, error),
        }
    }
}

/// The driver hands out a server's error when the response has been read to its end.
fn finish(mut answer: Answer, error: TdsError) -> Result<Answer, Lost> {
    match error {
        TdsError::Server(token) => {
            answer.error = Some(ServerError::from(&token));
            Ok(answer)
        }
        TdsError::Io { message, .. } => {
            // The driver wraps its own words around the system's.
            let words = message.rsplit("performing I/O: ").next().unwrap_or_default();
            Err(Lost::Broken(outside::words(words)))
        }
        other => Err(Lost::Garbled(outside::words(&other.to_string()))),
    }
}
