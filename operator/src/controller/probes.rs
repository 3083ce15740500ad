//! `/healthz`, `/readyz` and `/metrics` over plain http.
//!
//! Whoever reaches this port may ask; nobody may hold it: a connection has one moment for its request and one for all of it,
//! there are only so many at a time, and who comes when no descriptor is left waits a little.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::ControllerError;
use super::metrics::Metrics;

/// Prometheus 3 refuses what does not say what it is.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Connections at a time. A kubelet and two collectors need three.
const AT_A_TIME: usize = 64;

/// How long a request may take to arrive.
const REQUEST: Duration = Duration::from_secs(5);

/// How long a connection lasts, whatever is done on it. Who asks again connects again.
const WHOLE: Duration = Duration::from_secs(30);

/// How long is waited when a connection could not be accepted: out of descriptors, most likely.
const PAUSE: Duration = Duration::from_millis(200);

/// Most bytes of a request.
const HEAD: usize = 16 << 10;

/// Begins to serve.
pub async fn serve(address: SocketAddr, metrics: Arc<Metrics>) -> Result<JoinHandle<()>, ControllerError> {
    let listen = |cause| ControllerError::Listen { address, cause };
    let listener = match bind(address) {
        // A host without version 6 has all addresses all the same.
        Err(_) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
            bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        bound => bound,
    };
    let listener = listener.map_err(listen)?;
    tracing::info!(address = %listener.local_addr().map_err(listen)?, "serves probes and metrics");
    Ok(tokio::spawn(accept(listener, metrics)))
}

/// All addresses of version 6 take those of version 4 in as well.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(128)?;
    TcpListener::from_std(socket.into())
}

async fn accept(listener: TcpListener, metrics: Arc<Metrics>) {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    // Ended with this future.
    let mut served = JoinSet::new();
    loop {
        while served.try_join_next().is_some() {}
        // Who comes when all places are taken waits in the system's queue. The semaphore is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection to probes and metrics can't be accepted; tried again");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let metrics = Arc::clone(&metrics);
        served.spawn(async move {
            let _place = place;
            let answer = service_fn(move |request| {
                let response = answer(&request, &metrics);
                async { Ok::<_, Infallible>(response) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(REQUEST)
                .max_buf_size(HEAD)
                .serve_connection(TokioIo::new(stream), answer);
            // A client that goes away in the middle is no concern of ours.
            let _ = timeout(WHOLE, connection).await;
        });
    }
}

fn answer(request: &Request<Incoming>, metrics: &Metrics) -> Response<Full<Bytes>> {
    let path = request.uri().path();
    let (status, body) = match path {
        "/healthz" => (StatusCode::OK, "ok\n".to_owned()),
        "/readyz" if metrics.is_ready() => (StatusCode::OK, "ok\n".into()),
        "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, "waits for the API server\n".into()),
        "/metrics" => (StatusCode::OK, metrics.text()),
        _ => (StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics\n".into()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = if path == "/metrics" { OPENMETRICS } else { "text/plain; charset=utf-8" };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::Instant;

    async fn serving(ip: IpAddr) -> SocketAddr {
        let listener = bind(SocketAddr::new(ip, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept(listener, Arc::new(Metrics::default())));
        address
    }

    async fn ask(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn all_addresses_are_those_of_both_versions() {
        let address = serving(Ipv6Addr::UNSPECIFIED.into()).await;
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            assert!(ask(SocketAddr::new(ip, address.port())).await.starts_with("HTTP/1.1 200"), "{ip}");
        }
    }

    #[tokio::test]
    async fn those_who_connect_and_say_nothing_keep_nobody_out_for_longer_than_a_request_may_take() {
        let address = serving(Ipv4Addr::LOCALHOST.into()).await;
        let mut silent = Vec::new();
        for n in 0..AT_A_TIME + 8 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // Half of them begin a request.
            if n % 2 == 0 {
                stream.write_all(b"GET /").await.unwrap();
            }
            silent.push(stream);
        }
        let begun = Instant::now();
        let answer = timeout(3 * REQUEST, ask(address)).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(begun.elapsed() > REQUEST / 2, "there are no more places than {AT_A_TIME}");
        for stream in &mut silent {
            let mut rest = Vec::new();
            let ended = timeout(3 * REQUEST, stream.read_to_end(&mut rest)).await;
            assert!(ended.is_ok(), "a silent connection was kept");
        }
    }

    #[tokio::test]
    async fn a_request_without_end_is_cut_off() {
        let address = serving(Ipv4Addr::LOCALHOST.into()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
        let flood = async {
            let piece = [b'x'; 4096];
            let mut sent = 0;
            while stream.write_all(&piece).await.is_ok() {
                sent += piece.len();
            }
            sent
        };
        let sent = timeout(REQUEST, flood).await.expect("it is cut off before its time is over");
        assert!(sent < 16 << 20, "{sent}");
    }
}
