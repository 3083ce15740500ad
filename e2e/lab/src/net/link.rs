//! One relayed connection, and what can be done to it from outside.
//!
//! Answers for the handle by which faults are worked on a connection: a server that sees a statement it was told to spoil finds the
//! connection's [`Link`] by its peer address. It never looks at what is carried.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::host::Presence;

/// Who connects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Client {
    /// Whoever is not of the lab: the operator, a person at a terminal.
    Outside,
    /// A host of the lab.
    Host(String),
}

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It lives.
    Alive,
    /// The client's end was reset, the server's end stays open: the server learns nothing.
    ClientCut,
    /// The server's host died: the client hears nothing any more.
    Silenced,
    /// Both ends were reset.
    Reset,
}

/// A fault that a relay works on the next request of a client, whatever that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The request is delivered, its reply is lost and the client cut off.
    LoseReply,
    /// The client is cut off at once and the request delivered so much later.
    Delay(Duration),
}

/// The handle of a relayed connection.
#[derive(Debug, Clone)]
pub struct Link(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: Client,
    host: String,
    port: u16,
    fate: watch::Sender<Fate>,
    faults: Mutex<Vec<Fault>>,
}

impl Link {
    pub(super) fn new(client: Client, host: &str, port: u16) -> Link {
        let (fate, faults) = (watch::Sender::new(Fate::Alive), Mutex::default());
        Link(Arc::new(Inner { client, host: host.to_owned(), port, fate, faults }))
    }

    /// Who is at the client's end.
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    /// The host at the server's end.
    pub fn host(&self) -> &str {
        &self.0.host
    }

    /// The port on which the client came.
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Resets the client's end and leaves the server's open: what the server is doing goes on to its end, its reply goes nowhere. Called
    /// by a server before an effect, the effect comes behind its caller's back; called after it, only the reply is lost.
    pub fn cut_client(&self) {
        self.decide(Fate::ClientCut);
    }

    /// Ends a connection whose client was cut off, when the server has done what it was asked: its reply meets a
    /// reset, by which a server learns that its client is gone.
    pub fn settle(&self) {
        if *self.0.fate.borrow() == Fate::ClientCut {
            self.reset();
        }
    }

    /// Resets both ends.
    pub fn reset(&self) {
        self.decide(Fate::Reset);
    }

    /// Works a fault on the next request that comes over this connection.
    pub fn arm(&self, fault: Fault) {
        lock(&self.0.faults).push(fault);
    }

    /// Does what the state of the host demands: silent with a dead host, reset by one whose services are stopped, and also by one that
    /// came back and knows nothing of a connection that had fallen silent.
    pub(super) fn heed(&self, presence: Presence) {
        match presence {
            Presence::Dead | Presence::Mute => self.decide(Fate::Silenced),
            Presence::Refusing => self.decide(Fate::Reset),
            Presence::Up if *self.0.fate.borrow() == Fate::Silenced => self.decide(Fate::Reset),
            Presence::Up => {}
        }
    }

    /// The first decision stands, except that a reset ends everything.
    fn decide(&self, fate: Fate) {
        self.0.fate.send_if_modified(|now| {
            let changes = *now == Fate::Alive || (fate == Fate::Reset && *now != Fate::Reset);
            if changes {
                *now = fate;
            }
            changes
        });
    }

    pub(super) fn fate(&self) -> watch::Receiver<Fate> {
        self.0.fate.subscribe()
    }

    pub(super) fn take_fault(&self) -> Option<Fault> {
        lock(&self.0.faults).pop()
    }
}

/// All living connections, by the address under which the server sees them.
#[derive(Debug, Clone, Default)]
pub(super) struct Links(Arc<Mutex<HashMap<SocketAddr, Link>>>);

/// Takes a link off the list when its connection ends.
#[derive(Debug)]
pub(super) struct Listed(Links, SocketAddr);

impl Drop for Listed {
    fn drop(&mut self) {
        lock(&self.0.0).remove(&self.1);
    }
}

impl Links {
    pub fn list(&self, at: SocketAddr, link: &Link) -> Listed {
        lock(&self.0).insert(at, link.clone());
        Listed(self.clone(), at)
    }

    pub fn find(&self, at: SocketAddr) -> Option<Link> {
        lock(&self.0).get(&at).cloned()
    }

    pub fn of(&self, wanted: impl Fn(&Link) -> bool) -> Vec<Link> {
        lock(&self.0).values().filter(|l| wanted(l)).cloned().collect()
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
