//! The TLS handshake inside PRELOGIN packets, and the way back to the naked stream (MS-TDS 3.2.5.1, 2.2.6.5).
//!
//! Answers for which bytes are wrapped and which are not; never for what they mean.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::packet::{HEADER, kind, malformed};

/// A server's certificate and key, ready for handshakes.
#[derive(Clone)]
pub struct Tls(tokio_native_tls::TlsAcceptor);

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Takes a certificate chain (the server's own first) and its PKCS#8 key, both PEM.
    ///
    /// TLS 1.2 at most: in TLS 1.3 the server speaks last, and TDS 7 has no place for that flight.
    ///
    /// # Errors
    /// What the TLS library says of a certificate or key that it cannot use.
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, native_tls::Error> {
        let identity = native_tls::Identity::from_pkcs8(chain.as_bytes(), key.as_bytes())?;
        let acceptor = native_tls::TlsAcceptor::builder(identity)
            .max_protocol_version(Some(native_tls::Protocol::Tlsv12))
            .build()?;
        Ok(Self(acceptor.into()))
    }

    /// Performs the handshake. The second half of the answer gives back the naked stream, for logins that alone are encrypted.
    pub(crate) async fn accept<S>(
        &self,
        stream: S,
    ) -> io::Result<(tokio_native_tls::TlsStream<Wrapped<S>>, Inner<S>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let inner = Arc::new(Mutex::new(State {
            stream: Some(stream),
            raw: false,
            header: Vec::with_capacity(HEADER),
            left: 0,
            flight: Vec::new(),
            sent: 0,
            framed: false,
        }));
        let tls = self.0.accept(Wrapped(inner.clone())).await.map_err(io::Error::other)?;
        lock(&inner).raw = true;
        Ok((tls, Inner(inner)))
    }
}

/// The stream beneath a TLS stream.
pub(crate) struct Inner<S>(Arc<Mutex<State<S>>>);

impl<S> Inner<S> {
    /// Takes the naked stream out; whatever is done to the TLS stream afterwards fails.
    pub fn take(self) -> io::Result<S> {
        lock(&self.0).stream.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))
    }
}

/// The stream that the TLS library sees.
pub(crate) struct Wrapped<S>(Arc<Mutex<State<S>>>);

pub(crate) struct State<S> {
    stream: Option<S>,
    /// The handshake is over, the bytes go as they are.
    raw: bool,
    /// The header of a packet that is being read.
    header: Vec<u8>,
    /// Bytes left of the packet behind it.
    left: usize,
    /// A flight of the handshake that is being gathered, then sent.
    flight: Vec<u8>,
    /// How much of it was sent.
    sent: usize,
    /// The flight has its header.
    framed: bool,
}

fn lock<S>(state: &Mutex<State<S>>) -> MutexGuard<'_, State<S>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: AsyncRead + AsyncWrite + Unpin> State<S> {
    fn stream(&mut self) -> io::Result<Pin<&mut S>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))
    }

    /// Sends what was gathered as one packet.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.flight.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if !self.framed {
            let length = u16::try_from(self.flight.len() + HEADER)
                .map_err(|_| malformed("a handshake flight beyond 64 KiB"))?;
            let [high, low] = length.to_be_bytes();
            self.flight.splice(0..0, [kind::PRELOGIN, 1, high, low, 0, 0, 0, 0]);
            self.framed = true;
        }
        while self.sent < self.flight.len() {
            let State { stream, flight, sent, .. } = self;
            let stream = stream.as_mut().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected))?;
            match ready!(Pin::new(stream).poll_write(cx, &flight[*sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => *sent += count,
            }
        }
        self.flight.clear();
        (self.sent, self.framed) = (0, false);
        Poll::Ready(Ok(()))
    }

    /// Reads packet headers until one has content; `false` at the end of the stream.
    fn poll_header(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.left == 0 {
            let mut bytes = [0u8; HEADER];
            let mut buffer = ReadBuf::new(&mut bytes[self.header.len()..]);
            ready!(self.stream()?.poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(false));
            }
            self.header.extend_from_slice(buffer.filled());
            if let [packet, _, high, low, ..] = self.header[..]
                && self.header.len() == HEADER
            {
                if packet != kind::PRELOGIN {
                    return Poll::Ready(Err(malformed(format!(
                        "a packet of kind {packet:#04x} inside the TLS handshake"
                    ))));
                }
                self.left = usize::from(u16::from_be_bytes([high, low])).saturating_sub(HEADER);
                self.header.clear();
            }
        }
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wrapped<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut state = lock(&self.0);
        ready!(state.poll_send(cx))?;
        if state.raw {
            return state.stream()?.poll_read(cx, out);
        }
        if !ready!(state.poll_header(cx))? {
            return Poll::Ready(Ok(()));
        }
        let want = state.left.min(out.remaining());
        let mut part = ReadBuf::new(out.initialize_unfilled_to(want));
        ready!(state.stream()?.poll_read(cx, &mut part))?;
        let got = part.filled().len();
        state.left -= got;
        out.advance(got);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Wrapped<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut state = lock(&self.0);
        if state.raw || state.framed {
            ready!(state.poll_send(cx))?;
        }
        if state.raw {
            return state.stream()?.poll_write(cx, bytes);
        }
        state.flight.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = lock(&self.0);
        ready!(state.poll_send(cx))?;
        state.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = lock(&self.0);
        ready!(state.poll_send(cx))?;
        state.stream()?.poll_shutdown(cx)
    }
}
