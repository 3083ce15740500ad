//! What a server answers: the token stream of a response (MS-TDS 2.2.7).
//!
//! Answers for the order and the flags of tokens, above all those of DONE; it never decides what a statement's outcome is.

use tokio::sync::{mpsc, watch};

use crate::encode::{self, COLLATION, EncodeError};
use crate::types::{Column, Message, Type, Value};

const DONE: u8 = 0xFD;
const DONE_PROC: u8 = 0xFE;
const DONE_IN_PROC: u8 = 0xFF;

const MORE: u16 = 0x01;
const ERROR: u16 = 0x02;
const COUNT: u16 = 0x10;
const ATTENTION: u16 = 0x20;

/// Beyond this many bytes a response is sent on without being asked to.
const FULL: usize = 32 * 1024;

/// Tokens in the making.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    bytes: Vec<u8>,
    server: String,
}

impl Tokens {
    pub fn new(server: &str) -> Self {
        Self { bytes: Vec::new(), server: server.to_owned() }
    }

    pub fn append(&mut self, other: &mut Self) {
        self.bytes.append(&mut other.bytes);
    }

    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    fn sized(&mut self, token: u8, body: &[u8]) {
        self.bytes.push(token);
        self.bytes.extend((body.len() as u16).to_le_bytes());
        self.bytes.extend(body);
    }

    pub fn message(&mut self, m: &Message) {
        let mut body = m.number.to_le_bytes().to_vec();
        body.extend([m.state, m.class]);
        encode::long_text(&mut body, &m.text);
        encode::short_text(&mut body, &self.server);
        encode::short_text(&mut body, &m.procedure);
        body.extend(m.line.to_le_bytes());
        self.sized(if m.is_error() { 0xAA } else { 0xAB }, &body);
    }

    pub fn env_change(&mut self, what: u8, new: &str, old: &str) {
        let mut body = vec![what];
        encode::short_text(&mut body, new);
        encode::short_text(&mut body, old);
        self.sized(0xE3, &body);
    }

    pub fn collation(&mut self) {
        let body = [[7, 5].as_slice(), &COLLATION, &[0]].concat();
        self.sized(0xE3, &body);
    }

    /// The acknowledgement of a reset session, ENVCHANGE 18.
    pub fn reset_done(&mut self) {
        self.sized(0xE3, &[18, 0, 0]);
    }

    pub fn database_changed(&mut self, old: &str, new: &str) {
        self.env_change(1, new, old);
        let text = format!("Changed database context to '{new}'.");
        self.message(&Message { state: 2, ..Message::info(5701, text) });
    }

    pub fn login_ack(&mut self, tds: u32, program: &str, (major, minor, build): (u8, u8, u16)) {
        let mut body = vec![1];
        body.extend(tds.to_be_bytes());
        encode::short_text(&mut body, program);
        body.extend([major, minor]);
        body.extend(build.to_be_bytes());
        self.sized(0xAD, &body);
    }

    pub fn done(&mut self, token: u8, status: u16, command: u16, rows: u64) {
        self.bytes.push(token);
        self.bytes.extend(status.to_le_bytes());
        self.bytes.extend(command.to_le_bytes());
        self.bytes.extend(rows.to_le_bytes());
    }

    /// The end of a response that is nothing but its end.
    pub fn plain_done(&mut self, error: bool) {
        self.done(DONE, if error { ERROR } else { 0 }, 0, 0);
    }

    /// The acknowledgement of an attention.
    pub fn attention_done(&mut self) {
        self.done(DONE, ATTENTION, 0, 0);
    }
}

/// Why a running request should end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// The client sent an attention: it wants no more of this request.
    Attention,
    /// The connection broke.
    ClientGone,
    /// The session was killed.
    Killed,
}

/// The client is gone: nothing that is written from now on reaches anyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the client of this session is gone")]
pub struct Gone;

/// Piece of a response on its way to the client.
#[derive(Debug)]
pub(crate) struct Piece {
    pub bytes: Vec<u8>,
    pub last: bool,
}

/// A DONE that waits to learn whether something follows it.
#[derive(Debug, Clone, Copy)]
struct Held {
    token: u8,
    status: u16,
    command: u16,
    rows: u64,
}

/// Where a session writes the response to one request.
///
/// Everything written is kept until [`flush`](Self::flush), the end of the request, or (in [`flush_if_full`](Self::flush_if_full))
/// some 32 KiB are there. Which DONE is the last is found out here: a session only says where statements end.
#[derive(Debug)]
pub struct Responder {
    tokens: Tokens,
    to_client: mpsc::Sender<Piece>,
    interruption: watch::Receiver<Option<Interruption>>,
    rpc: bool,
    columns: Vec<Column>,
    rows: u64,
    held: Option<Held>,
    failed: bool,
    last_error: i32,
    worst: u8,
    status: Option<i32>,
    returned: Vec<u8>,
    severed: bool,
}

impl Responder {
    pub(crate) fn new(
        server: &str,
        rpc: bool,
        to_client: mpsc::Sender<Piece>,
        interruption: watch::Receiver<Option<Interruption>>,
    ) -> Self {
        Self {
            tokens: Tokens::new(server),
            to_client,
            interruption,
            rpc,
            columns: Vec::new(),
            rows: 0,
            held: None,
            failed: false,
            last_error: 0,
            worst: 0,
            status: None,
            returned: Vec::new(),
            severed: false,
        }
    }

    pub(crate) fn tokens(&mut self) -> &mut Tokens {
        self.release();
        &mut self.tokens
    }

    /// Something follows: the DONE held back is not the last.
    fn release(&mut self) {
        if let Some(Held { token, status, command, rows }) = self.held.take() {
            self.tokens.done(token, status | MORE, command, rows);
        }
    }

    /// Begins a result set.
    pub fn columns(&mut self, columns: &[Column]) {
        self.release();
        self.rows = 0;
        self.columns = columns.to_vec();
        let out = &mut self.tokens.bytes;
        out.push(0x81);
        out.extend((columns.len() as u16).to_le_bytes());
        for column in columns {
            encode::type_info(out, column.ty, column.nullable);
            encode::short_text(out, &column.name);
        }
    }

    /// Adds a row to the result set that was begun last.
    ///
    /// # Errors
    /// A value that its column cannot hold, or another number of values than columns; nothing of the row is sent then.
    pub fn row(&mut self, values: &[Value]) -> Result<(), EncodeError> {
        if values.len() != self.columns.len() {
            return Err(EncodeError::Width { values: values.len(), columns: self.columns.len() });
        }
        let out = &mut self.tokens.bytes;
        let before = out.len();
        out.push(0xD1);
        for (column, value) in self.columns.iter().zip(values) {
            if let Err(e) = encode::value(out, column, value) {
                out.truncate(before);
                return Err(e);
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// Adds a row of nothing but NULL in the compressed form (NBCROW, MS-TDS 2.2.7.16): a bit for each column.
    pub fn null_row(&mut self) {
        let out = &mut self.tokens.bytes;
        out.push(0xD2);
        out.resize(out.len() + self.columns.len().div_ceil(8), 0xFF);
        self.rows += 1;
    }

    /// Rows written to the result set that was begun last.
    pub fn rows_written(&self) -> u64 {
        self.rows
    }

    /// Tells the client an error or an information.
    pub fn message(&mut self, message: &Message) {
        self.release();
        self.worst = self.worst.max(message.class);
        if message.is_error() {
            self.failed = true;
            self.last_error = message.number;
        }
        self.tokens.message(message);
    }

    /// Tells the client that the session's database changed, as USE does (with message 5701).
    pub fn database_changed(&mut self, old: &str, new: &str) {
        self.release();
        self.tokens.database_changed(old, new);
    }

    /// A statement of the batch ended; with the number of its rows, unless it has none to tell (SET, or NOCOUNT ON).
    pub fn done(&mut self, rows: Option<u64>) {
        let token = if self.rpc { DONE_IN_PROC } else { DONE };
        self.hold(token, rows, 0xC1);
    }

    /// A statement inside a procedure that the batch called ended.
    pub fn done_in_procedure(&mut self, rows: Option<u64>) {
        self.hold(DONE_IN_PROC, rows, 0xC1);
    }

    /// A procedure that the batch called ended with this return value.
    pub fn procedure_done(&mut self, status: i32) {
        self.release();
        self.return_status_token(status);
        self.hold(DONE_PROC, None, 0xE0);
    }

    fn hold(&mut self, token: u8, rows: Option<u64>, command: u16) {
        self.release();
        let error = if std::mem::take(&mut self.failed) { ERROR } else { 0 };
        let count = if rows.is_some() { COUNT } else { 0 };
        self.held = Some(Held { token, status: error | count, command, rows: rows.unwrap_or(0) });
    }

    fn return_status_token(&mut self, status: i32) {
        self.tokens.bytes.push(0x79);
        self.tokens.bytes.extend(status.to_le_bytes());
    }

    /// The return value of the remote procedure call that is being answered. Without it, the number of the last error or 0 is sent,
    /// as sp_executesql does.
    pub fn return_status(&mut self, status: i32) {
        self.status = Some(status);
    }

    /// An OUTPUT parameter of the remote procedure call; `ordinal` is its place among the parameters, from 0.
    ///
    /// # Errors
    /// A value that the type cannot hold.
    pub fn return_value(
        &mut self,
        ordinal: u16,
        name: &str,
        ty: Type,
        value: &Value,
    ) -> Result<(), EncodeError> {
        let mut token = vec![0xAC];
        token.extend(ordinal.to_le_bytes());
        encode::short_text(&mut token, name);
        token.push(1);
        encode::type_info(&mut token, ty, true);
        encode::value(&mut token, &Column::new(name, ty), value)?;
        self.returned.extend(token);
        Ok(())
    }

    /// Sends what was written so far, while the statement goes on. Waits while the client does not read.
    ///
    /// # Errors
    /// [`Gone`] when there is no client any more. What to do then is the session's affair.
    pub async fn flush(&mut self) -> Result<(), Gone> {
        let bytes = self.tokens.take();
        if self.severed || self.to_client.is_closed() {
            self.severed = true;
            return Err(Gone);
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = self.to_client.send(Piece { bytes, last: false }).await;
        sent.map_err(|_| {
            self.severed = true;
            Gone
        })
    }

    /// [`flush`](Self::flush) if much is waiting.
    ///
    /// # Errors
    /// [`Gone`] when there is no client any more.
    pub async fn flush_if_full(&mut self) -> Result<(), Gone> {
        if self.tokens.bytes.len() >= FULL { self.flush().await } else { Ok(()) }
    }

    /// Why this request should end early, if it should.
    pub fn interruption(&self) -> Option<Interruption> {
        *self.interruption.borrow()
    }

    /// Waits until this request should end early; for ever, if that never happens.
    pub async fn interrupted(&self) -> Interruption {
        let mut watch = self.interruption.clone();
        let seen = watch.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
        match seen {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    /// An error of severity 20 or more was told: the connection ends with this response.
    pub(crate) fn is_fatal(&self) -> bool {
        self.worst >= 20
    }

    /// Ends the response and gives back what of it was not sent yet.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.rpc {
            self.release();
            let status = self.status.unwrap_or(self.last_error);
            self.return_status_token(status);
            let returned = std::mem::take(&mut self.returned);
            self.tokens.bytes.extend(returned);
            let error = if self.failed { ERROR } else { 0 };
            self.tokens.done(DONE_PROC, error, 0xE0, 0);
        } else {
            match self.held.take() {
                Some(Held { token, status, command, rows }) if token != DONE_IN_PROC => {
                    self.tokens.done(token, status, command, rows);
                }
                inside => {
                    self.held = inside;
                    self.release();
                    self.tokens.plain_done(self.failed);
                }
            }
        }
        self.tokens.take()
    }
}
