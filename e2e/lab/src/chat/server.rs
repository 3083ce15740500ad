//! One chat server: finds its database, writes, pings, and looks elsewhere when it gets no answer.
//!
//! Answers for a server's session; an answer that did not come in time counts as none, and its connection is not used again.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};
use uuid::Uuid;

use super::{Access, Duty, PROGRAM, Pace, Place, Pool, Stored};
use crate::net::Network;

/// How soon an idle server looks at its duty again.
const LOOK: std::time::Duration = std::time::Duration::from_millis(50);

const STORE: &str = "INSERT INTO dbo.tblChat (messageId, serverAddress, room, body, sentUtc) \
                     VALUES (@P1, @P2, @P3, @P4, SYSUTCDATETIME())";
const PING: &str =
    "UPDATE dbo.tblServerIdentity SET serverLastPingTime = GETUTCDATE() WHERE serverAddress = @P1";
const FIRST_PING: &str = "INSERT INTO dbo.tblServerIdentity (serverID, serverAddress, serverLastPingTime) \
                          VALUES (@P1, @P2, GETUTCDATE())";

pub(super) struct ChatServer {
    pub net: Arc<Network>,
    pub pool: Arc<dyn Pool>,
    pub access: Access,
    pub name: String,
    pub number: i32,
    pub pace: watch::Receiver<Pace>,
}

/// A session on the chat database.
struct Session {
    sql: Client<Compat<DuplexStream>>,
    place: Place,
    pinged: Option<Instant>,
}

/// Why a session is given up.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("no answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("{0}")]
    Network(#[from] io::Error),
    #[error("{0}")]
    Database(#[from] tiberius::error::Error),
}

impl ChatServer {
    pub async fn run(self) {
        let mut session: Option<Session> = None;
        let mut attempts = 0usize;
        let mut sent = 0u64;
        loop {
            let begun = Instant::now();
            let Duty::Serve(places) = self.pool.duty(&self.name) else {
                session = None;
                tokio::time::sleep(LOOK).await;
                continue;
            };
            if session.as_ref().is_some_and(|s| !places.contains(&s.place)) {
                session = None;
            }
            let mut current = match session.take() {
                Some(session) => session,
                None => match self.connect(&places, attempts).await {
                    Ok(session) => session,
                    Err(trouble) => {
                        tracing::debug!(server = self.name, %trouble, "no chat database");
                        attempts += 1;
                        tokio::time::sleep(LOOK).await;
                        continue;
                    }
                },
            };
            match self.work(&mut current, &mut sent).await {
                Ok(()) => session = Some(current),
                Err(trouble) => {
                    tracing::debug!(server = self.name, instance = current.place.instance, %trouble, "lost the chat database");
                    attempts += 1;
                }
            }
            let message = self.pace.borrow().message;
            let rest = if message.is_zero() { LOOK } else { message }.saturating_sub(begun.elapsed());
            tokio::time::sleep(rest).await;
        }
    }

    /// Tries one of the places, the next one at each attempt.
    async fn connect(&self, places: &[Place], attempt: usize) -> Result<Session, Trouble> {
        let Some(place) = places.get(attempt % places.len().max(1)) else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "the pool has no database").into());
        };
        let patience = self.pace.borrow().patience;
        let connecting = async {
            let stream = self.net.dial(&self.name, &place.host, place.port).await?;
            Ok::<_, Trouble>(Client::connect(self.config(place), stream.compat()).await?)
        };
        let sql = tokio::time::timeout(patience, connecting).await??;
        Ok(Session { sql, place: place.clone(), pinged: None })
    }

    fn config(&self, place: &Place) -> Config {
        let mut config = Config::new();
        config.host(&place.host);
        config.port(place.port);
        config.authentication(AuthMethod::sql_server(&self.access.user, &self.access.password));
        config.database(&self.access.database);
        config.application_name(PROGRAM);
        config.client_name(self.name.split('.').next().unwrap_or(&self.name));
        if self.access.encrypted {
            // As an ordinary application: the login under TLS, whatever the certificate.
            config.encryption(EncryptionLevel::Off);
            config.trust_cert();
        } else {
            config.encryption(EncryptionLevel::NotSupported);
        }
        config
    }

    /// One round: a ping when one is due, and a message.
    async fn work(&self, session: &mut Session, sent: &mut u64) -> Result<(), Trouble> {
        let Pace { message, ping, patience } = *self.pace.borrow();
        let Session { sql, place, pinged } = session;
        if pinged.is_none_or(|last| last.elapsed() >= ping) {
            let done = tokio::time::timeout(patience, sql.execute(PING, &[&self.name])).await??;
            if done.total() == 0 {
                tokio::time::timeout(patience, sql.execute(FIRST_PING, &[&self.number, &self.name]))
                    .await??;
            }
            *pinged = Some(Instant::now());
        }
        if message.is_zero() {
            return Ok(());
        }
        *sent += 1;
        let id = Uuid::new_v4();
        let body = format!("Message {sent} of {}: naïve café ☕", self.name);
        let values: [&dyn tiberius::ToSql; 4] = [&id, &self.name, &"Operations", &body];
        if tokio::time::timeout(patience, sql.execute(STORE, &values)).await??.total() == 1 {
            let (server, instance) = (self.name.clone(), place.instance.clone());
            self.pool.stored(Stored { id, server, instance, at: Timestamp::now() });
        }
        Ok(())
    }
}
