//! A session's conversation after its login: request, response, and what may come between.
//!
//! Answers for when a request is interrupted and for what the client hears then. One task reads and one writes, so that an attention is
//! heard while a statement runs and while the client does not read; a response is only ever interrupted between whole tokens.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::decode::Malformed;
use crate::packet::{self, Incoming, kind, malformed};
use crate::request::{self, Request};
use crate::respond::{Interruption, Piece, Responder, Tokens};
use crate::server::{Connection, Engine, Reaction, Server, Session, Stream};
use crate::types::Message;

/// How long a client may take to read the end of a conversation that the server closes.
const FAREWELL: Duration = Duration::from_secs(5);

struct Wire {
    from_client: mpsc::Receiver<io::Result<Incoming>>,
    to_client: mpsc::Sender<Piece>,
    killed: watch::Receiver<bool>,
    /// A request that came while the one before was running.
    next: Option<Incoming>,
}

/// How a request ended.
enum End {
    /// By itself; with an attention that came too late to stop it, or none.
    Finished { attention: bool },
    /// By an attention.
    Cancelled,
    /// By KILL.
    Killed,
    /// With its client, who breached the protocol or is gone.
    Lost(io::Result<()>),
}

/// Serves a session until its client leaves, it is killed, or an error ends it.
pub(crate) async fn run<E: Engine>(
    server: &Arc<Server<E>>,
    stream: Box<dyn Stream>,
    mut session: E::Session,
    connection: &Connection,
    spid: u16,
    packet_size: usize,
) -> io::Result<()> {
    let (reading, writing) = tokio::io::split(stream);
    let (heard, from_client) = mpsc::channel(1);
    let (to_client, spoken) = mpsc::channel(2);
    let mut tasks = JoinSet::new();
    tasks.spawn(read_all(reading, heard, server.settings.max_request));
    let writer = tasks.spawn(write_all(writing, spoken, spid, packet_size));
    let mut wire = Wire { from_client, to_client, killed: connection.watch(), next: None };
    let ended = converse(server, &mut session, &mut wire).await;
    // The session ends now, not when its client has read the last of it.
    drop(session);
    drop(wire);
    let id = writer.id();
    let farewell = async {
        while let Some(done) = tasks.join_next_with_id().await {
            if done.map_or_else(|e| e.id(), |(task, ())| task) == id {
                break;
            }
        }
    };
    let _unread = tokio::time::timeout(FAREWELL, farewell).await;
    ended
}

async fn converse<E: Engine>(
    server: &Arc<Server<E>>,
    session: &mut E::Session,
    wire: &mut Wire,
) -> io::Result<()> {
    while let Some(message) = wire.next_message().await? {
        let mut tokens = Tokens::new(&server.settings.name);
        if message.reset {
            session.reset().await;
            tokens.reset_done();
        }
        let (request, rpc) = match message.kind {
            kind::BATCH => (request::batch(&message.body), false),
            kind::RPC => (request::rpc(&message.body), true),
            kind::ATTENTION => {
                tokens.attention_done();
                wire.send(tokens.take(), true).await?;
                continue;
            }
            kind::TRANSACTION | kind::BULK => {
                let what =
                    if message.kind == kind::BULK { "Bulk load" } else { "A transaction manager request" };
                tokens.message(&Message::error(
                    40_000,
                    format!("{what} is not served here; use T-SQL statements."),
                ));
                tokens.plain_done(true);
                wire.send(tokens.take(), true).await?;
                continue;
            }
            other => return Err(malformed(format!("a message of kind {other:#04x} in a session"))),
        };
        match request {
            Ok(request) => {
                if !answer(server, session, wire, request, rpc, tokens).await? {
                    return Ok(());
                }
            }
            Err(reason) => return refuse(wire, tokens, rpc, &reason).await,
        }
    }
    Ok(())
}

/// Tells what is wrong with a request that cannot be read, then ends the connection: nothing behind it can be trusted.
async fn refuse(wire: &Wire, mut tokens: Tokens, rpc: bool, reason: &Malformed) -> io::Result<()> {
    // 8009 is the RPC family's number for a parameter of an unknown type, 4002 that of a broken stream.
    let text = format!(
        "The incoming tabular data stream (TDS) protocol stream is incorrect. {}.",
        capitalized(&reason.to_string())
    );
    tokens.message(&Message::error(if rpc { 8009 } else { 4002 }, text));
    tokens.plain_done(true);
    wire.send(tokens.take(), true).await?;
    Err(malformed(reason.to_string()))
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Runs one request; `false` when the connection ends with it.
async fn answer<E: Engine>(
    server: &Arc<Server<E>>,
    session: &mut E::Session,
    wire: &mut Wire,
    request: Request,
    rpc: bool,
    mut prefix: Tokens,
) -> io::Result<bool> {
    let (interrupt, interruption) = watch::channel(None);
    let mut response = Responder::new(&server.settings.name, rpc, wire.to_client.clone(), interruption);
    response.tokens().append(&mut prefix);
    let end = {
        let running = session.execute(request, &mut response);
        let mut running = std::pin::pin!(running);
        let (mut listening, mut attention) = (true, false);
        let mut killed = wire.killed.clone();
        let mut alive = true;
        loop {
            let stop = |reason| {
                interrupt.send_replace(Some(reason));
                server.engine.reaction(reason) == Reaction::Stop
            };
            tokio::select! {
                biased;
                _ = killed.wait_for(|k| *k), if alive => {
                    alive = false;
                    if stop(Interruption::Killed) {
                        break End::Killed;
                    }
                }
                message = wire.from_client.recv(), if listening => match message {
                    Some(Ok(m)) if m.kind == kind::ATTENTION => {
                        attention = true;
                        if stop(Interruption::Attention) {
                            break End::Cancelled;
                        }
                    }
                    Some(Ok(m)) if wire.next.is_none() => wire.next = Some(m),
                    lost => {
                        listening = false;
                        if stop(Interruption::ClientGone) {
                            let why = match lost {
                                Some(Err(e)) => Err(e),
                                Some(Ok(_)) => Err(malformed("more requests at a time than one session can have")),
                                None => Ok(()),
                            };
                            break End::Lost(why);
                        }
                    }
                },
                () = &mut running => break match (alive, listening) {
                    (false, _) => End::Killed,
                    (true, false) => End::Lost(Ok(())),
                    (true, true) => End::Finished { attention },
                },
            }
        }
    };
    let mut tokens = Tokens::new(&server.settings.name);
    match end {
        End::Finished { attention } => {
            let fatal = response.is_fatal();
            wire.send(response.finish(), true).await?;
            if attention {
                tokens.attention_done();
                wire.send(tokens.take(), true).await?;
            }
            Ok(!fatal)
        }
        End::Cancelled => {
            // What was not sent yet is dropped with the response. Servers since 2012 close it with a DONE that bears the error bit and
            // acknowledge in a message of its own.
            if server.settings.attention_apart {
                tokens.plain_done(true);
                wire.send(tokens.take(), true).await?;
            }
            tokens.attention_done();
            wire.send(tokens.take(), true).await?;
            Ok(true)
        }
        End::Killed => {
            let text = "Cannot continue the execution because the session is in the kill state.";
            tokens.message(&Message::error(596, text).with_class(21));
            tokens.plain_done(true);
            wire.say(tokens.take(), true).await?;
            Ok(false)
        }
        End::Lost(why) => why.map(|()| false),
    }
}

impl Wire {
    /// The next message; `None` when the client left or the session was killed.
    async fn next_message(&mut self) -> io::Result<Option<Incoming>> {
        if let Some(message) = self.next.take() {
            return Ok(Some(message));
        }
        tokio::select! {
            biased;
            _ = self.killed.wait_for(|k| *k) => Ok(None),
            message = self.from_client.recv() => message.transpose(),
        }
    }

    /// Sends a piece, unless the session is killed while the client does not read.
    async fn send(&self, bytes: Vec<u8>, last: bool) -> io::Result<()> {
        let mut killed = self.killed.clone();
        tokio::select! {
            biased;
            sent = self.say(bytes, last) => sent,
            _ = killed.wait_for(|k| *k) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the session was killed")),
        }
    }

    async fn say(&self, bytes: Vec<u8>, last: bool) -> io::Result<()> {
        let sent = self.to_client.send(Piece { bytes, last }).await;
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

async fn read_all<S: AsyncRead + Unpin>(
    mut stream: ReadHalf<S>,
    heard: mpsc::Sender<io::Result<Incoming>>,
    limit: usize,
) {
    loop {
        let message = packet::read(&mut stream, limit).await.transpose();
        let Some(message) = message else { return };
        let over = message.is_err();
        if heard.send(message).await.is_err() || over {
            return;
        }
    }
}

async fn write_all<S: AsyncWrite + Unpin>(
    mut stream: WriteHalf<S>,
    mut spoken: mpsc::Receiver<Piece>,
    spid: u16,
    size: usize,
) {
    let mut id = 1u8;
    while let Some(Piece { bytes, last }) = spoken.recv().await {
        let packets = packet::cut(&bytes, spid, &mut id, size, last);
        if last {
            id = 1;
        }
        if stream.write_all(&packets).await.is_err() || stream.flush().await.is_err() {
            return;
        }
    }
    // Nobody is left to hear of a failure here.
    let _gone = stream.shutdown().await;
}
