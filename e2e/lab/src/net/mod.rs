//! The lab's network: hosts with addresses of their own on loopback, and everything that can go wrong between them and their clients.
//!
//! Answers for reachability, latency and cut connections as clients see them, for names and for certificates. It must never know what is
//! said over a connection, and it keeps no state of the servers behind it: killing a host here silences it, and no more.
//!
//! A kernel still acknowledges what a client sends into a connection that fell silent; only a real network lets such data run into
//! retransmissions. Clients see the same from above: no answer.

mod block;
mod browser;
mod certificates;
mod host;
mod link;
mod port;
mod relay;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex as Lock;

use tokio::io::DuplexStream;
use tokio::sync::{Mutex, watch};

pub use browser::Instance;
pub use certificates::{Authority, Certificate};
pub use host::Presence;
pub use link::{Client, Fault, Link};
pub use relay::Way;

use block::Block;
use host::Host;
use link::{Links, lock};

/// Ports that a prober of SQL Server hosts may try: closed on a live host unless opened, silent on a dead one.
pub const PROBED: [u16; 2] = [1433, 5022];

/// Bytes between a host of the lab and the relay that carries its connection.
const PIPE: usize = 64 * 1024;

/// Ways between hosts, by client and host.
type Ways = BTreeMap<(Client, String), watch::Sender<Way>>;

/// A lab's network. Dropping it closes every port.
#[derive(Debug)]
pub struct Network {
    block: Block,
    hosts: Mutex<BTreeMap<String, Host>>,
    addresses: Lock<BTreeMap<String, Ipv4Addr>>,
    ways: Lock<Ways>,
    links: Links,
}

fn unknown(host: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("the lab has no host {host}"))
}

impl Network {
    /// A network without hosts. The seed says which block of addresses is tried first.
    ///
    /// # Errors
    /// When no block is free.
    pub fn new(seed: u64) -> io::Result<Network> {
        Ok(Network {
            block: Block::reserve(seed)?,
            hosts: Mutex::default(),
            addresses: Lock::default(),
            ways: Lock::default(),
            links: Links::default(),
        })
    }

    /// The network's block of addresses, for people to read.
    pub fn block(&self) -> String {
        self.block.to_string()
    }

    /// Adds a host by its full name. The ports of [`PROBED`] refuse until they are opened.
    ///
    /// # Errors
    /// A name that is there already, or no address left.
    pub async fn add_host(&self, name: &str) -> io::Result<Ipv4Addr> {
        let mut hosts = self.hosts.lock().await;
        if hosts.contains_key(name) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("the lab has a host {name} already"),
            ));
        }
        let address = self
            .block
            .host(hosts.len() + 1)
            .ok_or_else(|| io::Error::other("the lab's block of addresses is full"))?;
        let host = Host::new(name, address, &PROBED).await?;
        lock(&self.addresses).insert(name.to_owned(), address);
        hosts.insert(name.to_owned(), host);
        Ok(address)
    }

    /// A host's address.
    pub fn address(&self, host: &str) -> Option<Ipv4Addr> {
        lock(&self.addresses).get(host).copied()
    }

    /// Opens a port of a host for a service that listens at `target`; any free port for number 0. Gives the port's number.
    ///
    /// # Errors
    /// An unknown host, or a port that cannot be bound.
    pub async fn open(&self, host: &str, number: u16, target: SocketAddr) -> io::Result<u16> {
        let mut hosts = self.hosts.lock().await;
        hosts.get_mut(host).ok_or_else(|| unknown(host))?.open(number, target, &self.links).await
    }

    /// Gives a host a SQL Server Browser that tells of these instances.
    ///
    /// # Errors
    /// An unknown host, or a socket that cannot be bound.
    pub async fn browse(&self, host: &str, instances: Vec<Instance>) -> io::Result<()> {
        let mut hosts = self.hosts.lock().await;
        hosts.get_mut(host).ok_or_else(|| unknown(host))?.browse(Some(instances), true).await
    }

    /// Starts or stops a host's SQL Server Browser.
    ///
    /// # Errors
    /// An unknown host, or a socket that cannot be bound.
    pub async fn set_browser(&self, host: &str, running: bool) -> io::Result<()> {
        let mut hosts = self.hosts.lock().await;
        hosts.get_mut(host).ok_or_else(|| unknown(host))?.browse(None, running).await
    }

    /// Kills or revives a host, or stops its services, for everyone. When this returns, no connection finds it otherwise.
    ///
    /// # Errors
    /// An unknown host, or a port that did not change.
    pub async fn set_presence(&self, host: &str, presence: Presence) -> io::Result<()> {
        let mut hosts = self.hosts.lock().await;
        let found = hosts.get_mut(host).ok_or_else(|| unknown(host))?;
        found.presence.send_replace(presence);
        found.settle(&self.links).await
    }

    /// Whether a host is there.
    pub async fn presence(&self, host: &str) -> Option<Presence> {
        self.hosts.lock().await.get(host).map(|h| *h.presence.borrow())
    }

    /// Changes the way from a client to a host: cut, slow, or open again. Connections over a cut way stand still and go on when it is
    /// open again; new ones from outside get no answer.
    ///
    /// # Errors
    /// An unknown host, or a port that did not change.
    pub async fn set_way(&self, client: &Client, host: &str, way: Way) -> io::Result<()> {
        let mut hosts = self.hosts.lock().await;
        let found = hosts.get_mut(host).ok_or_else(|| unknown(host))?;
        match client {
            Client::Outside => {
                found.outside.send_replace(way);
                found.settle(&self.links).await
            }
            Client::Host(_) => {
                self.way(client, host).send_replace(way);
                Ok(())
            }
        }
    }

    fn way(&self, client: &Client, host: &str) -> watch::Sender<Way> {
        let key = (client.clone(), host.to_owned());
        lock(&self.ways).entry(key).or_default().clone()
    }

    /// Connects a host of the lab to a port of another. A dead host or a cut way never answers: the caller needs a deadline of its own.
    ///
    /// # Errors
    /// A refused connection, or an unknown host.
    pub async fn dial(&self, from: &str, host: &str, port: u16) -> io::Result<DuplexStream> {
        let client = Client::Host(from.to_owned());
        let (target, presence) = {
            let hosts = self.hosts.lock().await;
            let found = hosts.get(host).ok_or_else(|| unknown(host))?;
            (found.target(port), found.presence.subscribe())
        };
        let way = self.way(&client, host).subscribe();
        let now = *presence.borrow();
        if matches!(now, Presence::Dead | Presence::Mute) || way.borrow().cut {
            return std::future::pending().await;
        }
        let target = target.filter(|_| now == Presence::Up).ok_or(io::ErrorKind::ConnectionRefused)?;
        let (near, far) = tokio::io::duplex(PIPE);
        let (links, host) = (self.links.clone(), host.to_owned());
        tokio::spawn(async move {
            let place = host::Place { host: &host, port, target, presence };
            host::carry(far, client, place, way, &links).await;
        });
        Ok(near)
    }

    /// The connection that a server sees come from `peer`; the handle for faults on it.
    pub fn link(&self, peer: SocketAddr) -> Option<Link> {
        self.links.find(peer)
    }

    /// All living connections to a host.
    pub fn links_to(&self, host: &str) -> Vec<Link> {
        self.links.of(|l| l.host() == host)
    }

    /// Lines for a hosts file: address, full name, short name.
    pub fn hosts_file(&self) -> String {
        let addresses = lock(&self.addresses);
        addresses
            .iter()
            .map(|(name, address)| match name.split_once('.') {
                Some((short, _)) => format!("{address} {name} {short}\n"),
                None => format!("{address} {name}\n"),
            })
            .collect()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for link in self.links.of(|_| true) {
            link.reset();
        }
    }
}
