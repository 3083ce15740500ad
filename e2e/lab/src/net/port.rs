//! A public port of a host: open, refusing, or silent.
//!
//! Answers for what a client's SYN meets. A dead host must not refuse (that is a sign of life): its ports stay bound with an accept queue
//! that is full, so that the kernel drops every SYN, as if nobody were there.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Accepted connections that wait for the relay.
const BACKLOG: i32 = 128;
/// A SYN that is not answered on loopback in this time is not answered at all.
const NO_ANSWER: Duration = Duration::from_millis(20);

/// What a SYN meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// An acceptor, or RST where the port has no service.
    Open,
    /// RST.
    Refusing,
    /// Nothing.
    Silent,
}

/// What is done with an accepted connection.
pub(super) type Accept = Arc<dyn Fn(TcpStream, SocketAddr) + Send + Sync>;

/// A public port.
pub(super) struct Port {
    address: SocketAddr,
    /// `None`: no service; open, it refuses as a live host without that service does.
    accept: Option<Accept>,
    listener: Option<Arc<TcpListener>>,
    accepting: Option<JoinHandle<()>>,
    /// Own connections that fill the queue of a silent port.
    fillers: Vec<TcpStream>,
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Port({})", self.address)
    }
}

impl Port {
    /// A port with a service (any free one for number 0), open from now on, or one without, closed.
    pub async fn new(address: Ipv4Addr, number: u16, accept: Option<Accept>) -> io::Result<Port> {
        let mut port = Port {
            address: (address, number).into(),
            accept,
            listener: None,
            accepting: None,
            fillers: Vec::new(),
        };
        port.set(Door::Open).await?;
        Ok(port)
    }

    pub fn number(&self) -> u16 {
        self.address.port()
    }

    /// Opens or closes it. When this returns, the next SYN meets the new state.
    pub async fn set(&mut self, door: Door) -> io::Result<()> {
        match (door, &self.accept) {
            (Door::Open, Some(accept)) => {
                let accept = accept.clone();
                let listener = self.listen().await?;
                SockRef::from(&*listener).listen(BACKLOG)?;
                // Their other ends are in the queue and turn out closed when accepted.
                self.fillers.clear();
                if self.accepting.is_none() {
                    self.accepting = Some(tokio::spawn(accept_all(listener, accept)));
                }
                Ok(())
            }
            (Door::Refusing, _) | (Door::Open, None) => {
                self.stop_accepting().await;
                self.fillers.clear();
                self.listener = None;
                Ok(())
            }
            (Door::Silent, _) => self.fall_silent().await,
        }
    }

    async fn listen(&mut self) -> io::Result<Arc<TcpListener>> {
        if let Some(listener) = &self.listener {
            return Ok(listener.clone());
        }
        let listener = Arc::new(TcpListener::bind(self.address).await.map_err(|e| {
            io::Error::new(e.kind(), format!("the lab cannot listen on {}: {e}", self.address))
        })?);
        self.address = listener.local_addr()?;
        self.listener = Some(listener.clone());
        Ok(listener)
    }

    async fn stop_accepting(&mut self) {
        if let Some(task) = self.accepting.take() {
            task.abort();
            // Only when it is gone does nobody take from the queue any more.
            let _cancelled = task.await;
        }
    }

    async fn fall_silent(&mut self) -> io::Result<()> {
        self.stop_accepting().await;
        let listener = self.listen().await?;
        SockRef::from(&*listener).listen(0)?;
        // A second listen() shortens the queue of a listening socket; what waits in it, and one connection more, fill it.
        for _ in 0..BACKLOG + 2 {
            match tokio::time::timeout(NO_ANSWER, TcpStream::connect(self.address)).await {
                Err(_) => return Ok(()),
                Ok(connection) => self.fillers.push(connection?),
            }
        }
        Err(io::Error::other(format!("{} still answers with a full accept queue", self.address)))
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        if let Some(task) = &self.accepting {
            task.abort();
        }
    }
}

async fn accept_all(listener: Arc<TcpListener>, accept: Accept) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => accept(stream, from),
            Err(error) => {
                // Out of descriptors: wait for some to be given back.
                tracing::warn!(%error, "accepting");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
