//! Accepts connections, brings each to its login, and hands it to a conversation.
//!
//! Answers for what a connection may do before it is let in, and for the limits that keep a hostile one from doing harm. What a login
//! or a request *means* is the [`Engine`]'s alone.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::debug;

use crate::conversation;
use crate::login::{self, Login, Refusal, TDS_7_2};
use crate::packet::{self, DEFAULT_SIZE, kind, malformed};
use crate::prelogin::{self, Agreed, Encryption};
use crate::request::Request;
use crate::respond::{Interruption, Responder, Tokens};
use crate::tls::Tls;

const PRELOGIN_LIMIT: usize = 4 * 1024;
/// MS-TDS 2.2.6.4: a LOGIN7 is at most 128 KiB - 1 long.
const LOGIN_LIMIT: usize = 128 * 1024;

/// A simulated server: decides over logins and makes their sessions.
pub trait Engine: Send + Sync + 'static {
    /// What stands for a session. Dropping it is how the engine learns that the session ended, for whatever reason.
    type Session: Session;

    /// Lets a login in, or says why not. Windows authentication never comes this far: it is refused with 18452.
    fn login(
        &self,
        login: &Login,
        connection: &Connection,
    ) -> impl Future<Output = Result<Admission<Self::Session>, Refusal>> + Send;

    /// What becomes of a running request on an interruption. As on a real server, an attention and KILL stop it, while one whose
    /// client is gone runs on until the session itself notices (by [`Responder::flush`] or [`Responder::interruption`]).
    fn reaction(&self, to: Interruption) -> Reaction {
        match to {
            Interruption::Attention | Interruption::Killed => Reaction::Stop,
            Interruption::ClientGone => Reaction::RunOn,
        }
    }
}

/// A session of a simulated server.
pub trait Session: Send + 'static {
    /// Carries out a request and writes its response, in order. An error of the request is part of the response.
    ///
    /// The future may be dropped at any await (see [`Engine::reaction`]); what must not stop halfway has to see to that itself.
    fn execute(&mut self, request: Request, response: &mut Responder) -> impl Future<Output = ()> + Send;

    /// Puts the session back to what it was after its login (`sp_reset_connection`), which a connection pool asks for.
    fn reset(&mut self) -> impl Future<Output = ()> + Send;
}

/// A login that was let in.
#[derive(Debug)]
pub struct Admission<S> {
    /// The session.
    pub session: S,
    /// Its number (`@@SPID`), which every packet to the client bears.
    pub spid: u16,
    /// The database it starts in.
    pub database: String,
}

/// Stop a running request, or let it come to its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// The request's future is dropped where it stands.
    Stop,
    /// It runs on; [`Responder::interruption`] tells it.
    RunOn,
}

/// The engine's hold on a connection.
#[derive(Debug, Clone)]
pub struct Connection {
    peer: SocketAddr,
    killed: Arc<watch::Sender<bool>>,
}

impl Connection {
    /// Whence the client came.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Ends the connection as KILL does: a running request is interrupted, and its client told 596 before the end.
    pub fn kill(&self) {
        self.killed.send_replace(true);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<bool> {
        self.killed.subscribe()
    }
}

/// How a server shows itself.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name in its messages (`host\instance`).
    pub name: String,
    /// Major and minor version and build, as 10.50.6000.
    pub version: (u8, u8, u16),
    /// What it offers and demands of encryption.
    pub encryption: Encryption,
    /// Its certificate; needed for everything but [`Encryption::NotSupported`].
    pub tls: Option<Tls>,
    /// How long a connection may take to its login.
    pub login_timeout: Duration,
    /// The longest request that is read, in bytes.
    pub max_request: usize,
    /// Connections at a time; more are closed at once, without a word, as a server does that is out of workers.
    pub max_connections: usize,
    /// An attention is acknowledged in a message of its own behind the interrupted response, as servers do since 2012, not at its end.
    pub attention_apart: bool,
}

impl Settings {
    /// A server without encryption and with the limits that suit a simulation.
    pub fn new(name: impl Into<String>, version: (u8, u8, u16)) -> Self {
        Self {
            name: name.into(),
            version,
            encryption: Encryption::NotSupported,
            tls: None,
            login_timeout: Duration::from_secs(15),
            max_request: 8 * 1024 * 1024,
            max_connections: 1024,
            attention_apart: true,
        }
    }

    /// The same with encryption.
    #[must_use]
    pub fn with_tls(self, encryption: Encryption, tls: Tls) -> Self {
        Self { encryption, tls: Some(tls), ..self }
    }
}

/// Settings that no server can be made from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Encryption without a certificate.
    #[error("server {0} offers encryption but has no certificate: give it one, or Encryption::NotSupported")]
    NoCertificate(String),
}

/// A TDS server over one engine.
#[derive(Debug)]
pub struct Server<E> {
    pub(crate) settings: Settings,
    pub(crate) engine: E,
}

impl<E: Engine> Server<E> {
    /// Makes a server; it serves whatever it is given by [`serve`](Self::serve) or [`converse`](Self::converse).
    ///
    /// # Errors
    /// [`SettingsError`] for settings that contradict each other.
    pub fn new(settings: Settings, engine: E) -> Result<Arc<Self>, SettingsError> {
        if settings.encryption != Encryption::NotSupported && settings.tls.is_none() {
            return Err(SettingsError::NoCertificate(settings.name));
        }
        Ok(Arc::new(Self { settings, engine }))
    }

    /// The engine.
    pub fn engine(&self) -> &E {
        &self.engine
    }

    /// Serves every connection that comes, until it is dropped: then all of them are cut and their sessions dropped at once, as when
    /// the server dies.
    ///
    /// # Errors
    /// The listener's, when it can accept no more.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            let (stream, peer) = tokio::select! {
                accepted = listener.accept() => accepted?,
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(server = self.settings.name, %error, "a session broke off");
                    }
                    continue;
                }
            };
            if connections.len() >= self.settings.max_connections {
                debug!(%peer, server = self.settings.name, "turned away: too many connections");
                continue;
            }
            if let Err(error) = stream.set_nodelay(true) {
                debug!(%peer, %error, "the connection was gone before it began");
                continue;
            }
            let server = self.clone();
            connections.spawn(async move {
                if let Err(error) = server.converse(stream, peer).await {
                    debug!(%peer, server = server.settings.name, %error, "connection ended");
                }
            });
        }
    }

    /// Serves one connection to its end. A dropped future cuts it.
    ///
    /// # Errors
    /// What broke the connection: an I/O error, a breach of the protocol, or a login that took too long.
    pub async fn converse<S>(self: &Arc<Self>, stream: S, peer: SocketAddr) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let connection = Connection { peer, killed: Arc::new(watch::Sender::new(false)) };
        let deadline = tokio::time::Instant::now() + self.settings.login_timeout;
        let Some((stream, login)) = within(deadline, self.greet(stream)).await? else { return Ok(()) };
        let mut stream = stream;
        let mut tokens = Tokens::new(&self.settings.name);
        let admitted = if login.integrated {
            Err(Refusal::untrusted_domain())
        } else {
            self.engine.login(&login, &connection).await
        };
        match admitted {
            Ok(Admission { session, spid, database }) => {
                login::welcome(&mut tokens, &login, &database, self.settings.version);
                tokens.plain_done(false);
                // The packet size just announced holds only from the next message on.
                let answer =
                    packet::cut(&tokens.take(), spid, &mut 1, DEFAULT_SIZE.min(login.packet_size), true);
                within(deadline, write(&mut stream, &answer)).await?;
                conversation::run(self, stream, session, &connection, spid, login.packet_size).await
            }
            Err(Refusal(messages)) => {
                for message in &messages {
                    tokens.message(message);
                }
                tokens.plain_done(true);
                within(deadline, write(&mut stream, &packet::cut(&tokens.take(), 0, &mut 1, 512, true)))
                    .await?;
                stream.shutdown().await
            }
        }
    }

    /// Prelogin, handshake, login; `None` when the client left after the prelogin, as one does that only looks.
    async fn greet<S>(&self, mut stream: S) -> io::Result<Option<(Box<dyn Stream>, Login)>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Some(hello) = packet::read(&mut stream, PRELOGIN_LIMIT).await? else { return Ok(None) };
        if hello.kind != kind::PRELOGIN {
            return Err(malformed(format!("a message of kind {:#04x} instead of PRELOGIN", hello.kind)));
        }
        let (agreed, byte) = prelogin::negotiate(&hello.body, self.settings.encryption);
        let answer = prelogin::reply(self.settings.version, byte);
        write(&mut stream, &packet::cut(&answer, 0, &mut 1, DEFAULT_SIZE, true)).await?;
        match (agreed, &self.settings.tls) {
            (Agreed::LoginOnly, Some(tls)) => {
                let (mut secret, naked) = tls.accept(stream).await?;
                let login = read_login(&mut secret).await?;
                // Dropped without a farewell: what follows in the stream is no TLS any more.
                drop(secret);
                let naked = naked.take()?;
                Ok(login.map(|login| (Box::new(naked) as Box<dyn Stream>, login)))
            }
            (Agreed::All, Some(tls)) => {
                let (mut secret, _) = tls.accept(stream).await?;
                let login = read_login(&mut secret).await?;
                Ok(login.map(|login| (Box::new(secret) as Box<dyn Stream>, login)))
            }
            (Agreed::Plain, _) => {
                let login = read_login(&mut stream).await?;
                Ok(login.map(|login| (Box::new(stream) as Box<dyn Stream>, login)))
            }
            (Agreed::Refused | Agreed::LoginOnly | Agreed::All, _) => {
                stream.shutdown().await?;
                Err(malformed("the client cannot do the encryption that is required"))
            }
        }
    }
}

/// What a conversation goes over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

async fn within<T>(
    deadline: tokio::time::Instant,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    tokio::time::timeout_at(deadline, work)
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the login took too long")))
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

async fn read_login(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Login>> {
    let Some(message) = packet::read(stream, LOGIN_LIMIT).await? else { return Ok(None) };
    if message.kind != kind::LOGIN {
        return Err(malformed(format!("a message of kind {:#04x} instead of LOGIN7", message.kind)));
    }
    let login = login::parse(&message.body).map_err(|e| malformed(e.to_string()))?;
    if login.tds < TDS_7_2 {
        return Err(malformed(format!("TDS version {:#010x} is older than 7.2", login.tds)));
    }
    Ok(Some(login))
}
