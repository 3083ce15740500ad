//! The simulated chat servers: while they are active they write messages into the database that the pool's state tells them.
//!
//! Answers for behaving as users of the database do, over TDS like everyone, and for saying of a message that it is stored only when the
//! database had said so. It must never touch a database's state in another way, nor count a message whose answer did not arrive.

mod server;
#[cfg(test)]
mod tests;
mod world;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::net::Network;

pub use world::WorldPool;

/// `program_name` of the chat servers' sessions.
pub const PROGRAM: &str = "Persistent Chat Server";

/// A database that a chat server may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Full name of the SQL Server's host.
    pub host: String,
    /// Port of the instance.
    pub port: u16,
    /// The instance's name, as the ledger shall call it.
    pub instance: String,
}

/// What a chat server has to do now, as far as it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Duty {
    /// It is off, or not among the active servers.
    None,
    /// It serves: from the first of these that lets it write.
    Serve(Vec<Place>),
}

/// How the chat servers log in.
#[derive(Debug, Clone)]
pub struct Access {
    /// SQL login.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The chat database.
    pub database: String,
    /// Whether the servers offer encryption, so that the login goes under TLS.
    pub encrypted: bool,
}

/// A message that a chat server was told is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The message.
    pub id: Uuid,
    /// The chat server.
    pub server: String,
    /// The instance that said so.
    pub instance: String,
    /// When it said so.
    pub at: Timestamp,
}

/// The pool as its chat servers know it.
pub trait Pool: Send + Sync + 'static {
    /// What this server has to do, by its own replica of the pool's settings.
    fn duty(&self, server: &str) -> Duty;
    /// A message was acknowledged.
    fn stored(&self, message: Stored);
}

/// How often the chat servers do what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Time between two messages of a server; zero for none.
    pub message: Duration,
    /// Time between two updates of `serverLastPingTime`.
    pub ping: Duration,
    /// How long a server waits for a connection or an answer before it tries the next database.
    pub patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            message: Duration::from_millis(100),
            ping: Duration::from_secs(1),
            patience: Duration::from_secs(2),
        }
    }
}

/// Running chat servers. Dropping it ends them.
#[derive(Debug)]
pub struct Chat {
    pace: watch::Sender<Pace>,
    _servers: JoinSet<()>,
}

impl Chat {
    /// Starts the servers of these names. Their numbers (`serverID`) follow the order of the names.
    pub fn start(
        net: &Arc<Network>,
        pool: Arc<dyn Pool>,
        access: &Access,
        servers: &[String],
        pace: Pace,
    ) -> Chat {
        let pace = watch::Sender::new(pace);
        let mut running = JoinSet::new();
        for (number, name) in (1..).zip(servers) {
            let server = server::ChatServer {
                net: net.clone(),
                pool: pool.clone(),
                access: access.clone(),
                name: name.clone(),
                number,
                pace: pace.subscribe(),
            };
            running.spawn(server.run());
        }
        Chat { pace, _servers: running }
    }

    /// Changes the pace from the next message on.
    pub fn set_pace(&self, pace: Pace) {
        self.pace.send_replace(pace);
    }
}
