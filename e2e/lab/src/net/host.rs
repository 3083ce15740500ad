//! A host of the lab as clients outside see it: an address, ports, a Browser, and whether it is there at all.
//!
//! Answers for all of a host's ports changing together; what runs on the host is not its business.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::browser;
use super::link::{Client, Link, Links};
use super::port::{Accept, Door, Port};
use super::relay::{self, End, Way};

/// Whether a host is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It runs.
    Up,
    /// It is dead: nothing answers, existing connections fall silent. When it comes back, they are reset.
    Dead,
    /// Its services hang: connections are taken, and nothing is ever said on them.
    Mute,
    /// It runs but its services do not: connections are refused, existing ones reset.
    Refusing,
}

/// A host.
#[derive(Debug)]
pub(super) struct Host {
    pub name: String,
    pub address: Ipv4Addr,
    pub presence: watch::Sender<Presence>,
    /// The way from clients outside.
    pub outside: watch::Sender<Way>,
    ports: Vec<Port>,
    /// Where the service of a port listens in truth.
    targets: Vec<(u16, SocketAddr)>,
    silent: Arc<AtomicBool>,
    browser: Option<JoinHandle<()>>,
    instances: Vec<browser::Instance>,
    browsing: bool,
}

impl Host {
    /// A host that runs, with ports that have no service; they are silent when it is dead.
    pub async fn new(name: &str, address: Ipv4Addr, closed: &[u16]) -> io::Result<Host> {
        let mut ports = Vec::new();
        for number in closed {
            ports.push(Port::new(address, *number, None).await?);
        }
        Ok(Host {
            name: name.to_owned(),
            address,
            presence: watch::Sender::new(Presence::Up),
            outside: watch::Sender::new(Way::default()),
            ports,
            targets: Vec::new(),
            silent: Arc::default(),
            browser: None,
            instances: Vec::new(),
            browsing: false,
        })
    }

    /// Opens a port whose service listens at `target`.
    pub async fn open(&mut self, number: u16, target: SocketAddr, links: &Links) -> io::Result<u16> {
        self.ports.retain(|p| p.number() != number || number == 0);
        let (way, links, name) = (self.outside.subscribe(), links.clone(), self.name.clone());
        let presence = self.presence.subscribe();
        let accept: Accept = Arc::new(move |stream, _from| {
            let (way, links, name) = (way.clone(), links.clone(), name.clone());
            let presence = presence.clone();
            tokio::spawn(async move {
                let port = stream.local_addr().map_or(number, |a| a.port());
                let place = Place { host: &name, port, target, presence };
                carry(stream, Client::Outside, place, way, &links).await;
            });
        });
        let mut port = Port::new(self.address, number, Some(accept)).await?;
        let number = port.number();
        port.set(self.door()).await?;
        self.ports.push(port);
        self.targets.push((number, target));
        Ok(number)
    }

    /// Where the service of a port listens in truth.
    pub fn target(&self, port: u16) -> Option<SocketAddr> {
        self.targets.iter().find(|(number, _)| *number == port).map(|(_, target)| *target)
    }

    fn door(&self) -> Door {
        match *self.presence.borrow() {
            Presence::Dead => Door::Silent,
            _ if self.outside.borrow().cut => Door::Silent,
            Presence::Up | Presence::Mute => Door::Open,
            Presence::Refusing => Door::Refusing,
        }
    }

    /// Brings ports, Browser and connections to what presence and way now say.
    pub async fn settle(&mut self, links: &Links) -> io::Result<()> {
        let door = self.door();
        self.silent.store(door == Door::Silent, Ordering::SeqCst);
        for port in &mut self.ports {
            port.set(door).await?;
        }
        self.settle_browser().await?;
        for link in links.of(|l| l.host() == self.name) {
            link.heed(*self.presence.borrow());
        }
        Ok(())
    }

    /// Says what the host's SQL Server Browser tells, and whether it runs.
    pub async fn browse(
        &mut self,
        instances: Option<Vec<browser::Instance>>,
        running: bool,
    ) -> io::Result<()> {
        if let Some(instances) = instances {
            self.instances = instances;
            self.stop_browser().await;
        }
        self.browsing = running;
        self.settle_browser().await
    }

    async fn stop_browser(&mut self) {
        if let Some(task) = self.browser.take() {
            task.abort();
            let _cancelled = task.await;
        }
    }

    /// Where no Browser runs, its port answers with ICMP's "unreachable"; a dead host keeps the socket, which then says nothing.
    async fn settle_browser(&mut self) -> io::Result<()> {
        let there = self.browsing || self.silent.load(Ordering::SeqCst);
        if !there || *self.presence.borrow() == Presence::Refusing {
            self.stop_browser().await;
        } else if self.browser.is_none() {
            let socket = UdpSocket::bind((self.address, browser::PORT)).await?;
            let (instances, silent, running) = (self.instances.clone(), self.silent.clone(), self.browsing);
            self.browser = Some(tokio::spawn(async move {
                let quiet = || silent.load(Ordering::SeqCst) || !running;
                if let Err(error) = browser::serve(&socket, &instances, quiet).await {
                    tracing::warn!(%error, "SQL Server Browser");
                }
            }));
        }
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(task) = &self.browser {
            task.abort();
        }
    }
}

/// A service, as the network finds it.
pub(super) struct Place<'a> {
    pub host: &'a str,
    pub port: u16,
    /// Where it listens in truth.
    pub target: SocketAddr,
    pub presence: watch::Receiver<Presence>,
}

/// Carries a client's connection to a service. A service that is not there resets it.
pub(super) async fn carry<C: End>(
    client: C,
    from: Client,
    to: Place<'_>,
    way: watch::Receiver<Way>,
    links: &Links,
) {
    let server = match TcpStream::connect(to.target).await {
        Ok(server) => server,
        Err(error) => {
            tracing::debug!(to.host, to.port, %error, "nothing listens behind the port");
            return client.reset();
        }
    };
    // Small answers must not wait for one another; without it they only come later.
    let _late = client.hurry().and_then(|()| server.set_nodelay(true));
    let Ok(seen_as) = server.local_addr() else { return client.reset() };
    let link = Link::new(from, to.host, to.port);
    let _listed = links.list(seen_as, &link);
    // The host may have changed since the connection was accepted.
    link.heed(*to.presence.borrow());
    relay::run(client, server, &link, way).await;
}
