//! Carries the bytes of one connection, as fast or as slowly as the way between its ends allows.
//!
//! Answers for latency, for a cut way (nothing is lost, nothing moves), and for the ends that a [`Link`] was told to come to. It never
//! looks at the bytes.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::link::{Fate, Fault, Link, lock};

/// The way between a client and a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Way {
    /// Nothing gets through, in either direction.
    pub cut: bool,
    /// How long everything takes, each way.
    pub latency: Duration,
}

/// A client's end of a connection.
pub(super) trait End: AsyncRead + AsyncWrite + Unpin + Send {
    /// Ends it the hard way.
    fn reset(self);
    /// Sends small pieces at once.
    fn hurry(&self) -> io::Result<()>;
}

impl End for TcpStream {
    fn reset(self) {
        // Closing with a linger time of zero sends RST; where that fails the client gets FIN.
        let _fin = SockRef::from(&self).set_linger(Some(Duration::ZERO));
    }

    fn hurry(&self) -> io::Result<()> {
        self.set_nodelay(true)
    }
}

impl End for DuplexStream {
    fn reset(self) {}

    fn hurry(&self) -> io::Result<()> {
        Ok(())
    }
}

const CHUNK: usize = 16 * 1024;
/// Chunks under way in one direction; more wait at their sender.
const UNDER_WAY: usize = 64;

/// How long a client's pause is that ends a request, where one is to be held back whole.
const PAUSE: Duration = Duration::from_millis(20);

/// A request that is delivered when its client is gone, and when.
type Held = Mutex<Option<(Vec<u8>, Duration)>>;

/// Relays a connection to its end.
pub(super) async fn run<C: End>(
    mut client: C,
    mut server: TcpStream,
    link: &Link,
    way: watch::Receiver<Way>,
) {
    let mut fate = link.fate();
    // A handshake takes a round trip, of which nothing is seen on loopback.
    let begun = Instant::now() + way.borrow().latency * 2;
    let held = Held::default();
    {
        let (from_client, to_client) = tokio::io::split(&mut client);
        let (from_server, to_server) = server.split();
        let there = flow(from_client, to_server, way.clone(), begun, Some((link, &held)));
        let back = flow(from_server, to_client, way, begun, None);
        tokio::select! {
            // A fate goes first: who cuts a client off and then answers must not be faster than the cut.
            biased;
            () = leaves(&mut fate, Fate::Alive) => {}
            // An end that was closed in order may still be answered; one that broke takes the other along, as a server learns by it that
            // its client is gone.
            _ends = async { tokio::try_join!(there, back) } => {}
        }
    }
    let ending = *fate.borrow();
    match ending {
        Fate::Alive => {}
        Fate::Reset => {
            client.reset();
            server.reset();
        }
        Fate::ClientCut => {
            client.reset();
            let request = lock(&held).take();
            if let Some((bytes, delay)) = request {
                tokio::time::sleep(delay).await;
                if server.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            drain(server, &mut fate).await;
        }
        Fate::Silenced => {
            // The host's end is gone with the host; the client's stays open and silent until the host is back and knows nothing of it.
            server.reset();
            leaves(&mut fate, Fate::Silenced).await;
            client.reset();
        }
    }
}

/// Reads what a server says to nobody, until it is done or dead.
async fn drain(mut server: TcpStream, fate: &mut watch::Receiver<Fate>) {
    let mut sink = tokio::io::sink();
    tokio::select! {
        _ = tokio::io::copy(&mut server, &mut sink) => {}
        () = leaves(fate, Fate::ClientCut) => server.reset(),
    }
}

/// Waits until the fate is another one.
async fn leaves(fate: &mut watch::Receiver<Fate>, from: Fate) {
    let _or_over = fate.wait_for(|f| *f != from).await.map(drop);
}

/// Sleeps exactly. The runtime's timer counts whole milliseconds, too coarse for latencies of a few.
async fn sleep_until(due: Instant) {
    let left = due.saturating_duration_since(Instant::now());
    if left >= Duration::from_millis(50) {
        tokio::time::sleep(left).await;
    } else if !left.is_zero() {
        let _done = tokio::task::spawn_blocking(move || std::thread::sleep(left)).await;
    }
}

/// One direction. With a link it is the client's, on whose requests faults are worked.
async fn flow<R, W>(
    mut from: R,
    mut to: W,
    mut way: watch::Receiver<Way>,
    begun: Instant,
    requests: Option<(&Link, &Held)>,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut timer: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
    let mut buffer = vec![0u8; CHUNK];
    let mut ended = false;
    loop {
        let now = Instant::now();
        let due = under_way.front().map(|(due, _)| *due);
        if due.is_some_and(|due| due <= now) {
            // Open, or opened again; a way whose network is gone stays as it was.
            let _or_gone = way.wait_for(|w| !w.cut).await.map(drop);
            if let Some((_, bytes)) = under_way.pop_front() {
                to.write_all(&bytes).await?;
            }
            continue;
        }
        if ended && due.is_none() {
            return to.shutdown().await;
        }
        let count = tokio::select! {
            () = async {
                match due {
                    Some(due) => timer.get_or_insert_with(|| Box::pin(sleep_until(due))).await,
                    None => std::future::pending().await,
                }
            } => {
                timer = None;
                continue;
            }
            count = from.read(&mut buffer), if !ended && under_way.len() < UNDER_WAY => count?,
        };
        let bytes = &buffer[..count];
        ended = count == 0;
        if let Some((link, held)) = requests
            && !ended
            && let Some(fault) = link.take_fault()
        {
            let mut request: Vec<u8> = under_way.drain(..).flat_map(|(_, earlier)| earlier).collect();
            request.extend_from_slice(bytes);
            while let Ok(Ok(count @ 1..)) = tokio::time::timeout(PAUSE, from.read(&mut buffer)).await {
                request.extend_from_slice(&buffer[..count]);
            }
            let delay = match fault {
                Fault::LoseReply => Duration::ZERO,
                Fault::Delay(by) => by,
            };
            *lock(held) = Some((request, delay));
            link.cut_client();
            return Ok(());
        }
        if !ended {
            under_way.push_back((Instant::now().max(begun) + way.borrow().latency, bytes.to_vec()));
        }
    }
}
