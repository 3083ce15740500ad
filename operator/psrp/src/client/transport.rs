//! One authenticated HTTP connection. One TCP connection is one security context, so requests are made
//! on it one after the other and never moved to another one.

use std::io;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::answer::{
    broken, challenge, http, offered, offers, page, protocol, reason, refusal, silent, soap, tls_error,
    turned_down,
};
use super::auth::NtlmContext;
use super::{Auth, Endpoint, Error, tls};
use crate::codec::sealed;

/// Most bytes of one HTTP answer. We ask for envelopes of half a megabyte; sealing adds a few hundred bytes.
const MAX_BODY: usize = 1 << 20;
/// Longest wait for the first sign of a host. It bounds how long a dead one holds up those that live.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest wait for TLS to be set up, and for the authentication behind it, which may have to ask a domain controller.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// Authorization header of a client certificate (MS-WSMV, as WinRM's own client sends it).
const CERTIFICATE_HEADER: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual";

/// Why there is no answer to a request.
#[derive(Debug)]
pub(super) enum Failure {
    /// The far end has not acted on it: it never went out, or was refused with certainty.
    NotDone(Error),
    /// It went out, and what became of it is not known.
    Lost(String),
    /// Something that is no endpoint of remote PowerShell answered it; whether it was passed on is not known.
    Astray(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::NotDone(error)
    }
}

/// How the requests of a connection are made acceptable.
enum Context {
    /// Nothing more to do: the connection itself is authenticated.
    Connection,
    /// Every request carries this header.
    Header(String),
    /// Every message is sealed.
    Sealed(Box<NtlmContext>),
}

/// Moves the bytes of a connection; its result is why the connection ended.
type Driver = tokio::task::JoinHandle<Result<(), hyper::Error>>;

pub(super) struct Connection {
    tx: SendRequest<Full<Bytes>>,
    driver: Driver,
    context: Context,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Connects and authenticates.
    pub(super) async fn open(endpoint: &Endpoint, deadline: Instant) -> Result<Self, Error> {
        refuse_unsuitable(endpoint)?;
        let tls = tls::connector(endpoint)?;
        let tcp = connect(endpoint, deadline).await?;
        let mut binding = None;
        let (tx, driver) = match &tls {
            None => handshake(endpoint, tcp).await?,
            Some(tls) => {
                let connector = tokio_native_tls::TlsConnector::from(tls.clone());
                let bound = deadline.min(Instant::now() + HANDSHAKE_TIMEOUT);
                let stream = timeout_at(bound, connector.connect(&endpoint.host, tcp))
                    .await
                    .map_err(|_| silent(endpoint, "setting up TLS"))?
                    .map_err(|e| tls_error(endpoint, &e))?;
                binding = stream.get_ref().tls_server_end_point().map_err(|e| tls_error(endpoint, &e))?;
                handshake(endpoint, stream).await?
            }
        };
        let mut connection = Self { tx, driver, context: Context::Connection };
        let authenticated = connection.authenticate(endpoint, tls.is_some(), binding.as_deref());
        let bound = deadline.min(Instant::now() + HANDSHAKE_TIMEOUT);
        timeout_at(bound, authenticated).await.map_err(|_| silent(endpoint, "authenticating"))??;
        Ok(connection)
    }

    /// Whether another request can be made on it, as far as is known here.
    pub(super) fn is_open(&self) -> bool {
        !self.tx.is_closed()
    }

    async fn authenticate(
        &mut self,
        endpoint: &Endpoint,
        tls: bool,
        binding: Option<&[u8]>,
    ) -> Result<(), Error> {
        let refused = |cause: String| refusal(endpoint, cause);
        match &endpoint.auth {
            Auth::Certificate { .. } => self.context = Context::Header(CERTIFICATE_HEADER.to_owned()),
            Auth::Basic { user, password } => {
                let header = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
                self.context = Context::Header(header);
            }
            Auth::Negotiate { user, password } => {
                let mut ntlm =
                    NtlmContext::new(user, password, &endpoint.host, binding, !tls).map_err(refused)?;
                let first = ntlm.step(&[]).map_err(refused)?;
                let Some(challenge) = self.exchange_token(endpoint, "Negotiate", &first).await? else {
                    return Err(refused("it took the first token of NTLM for the whole of it".into()));
                };
                let second = ntlm.step(&challenge).map_err(refused)?;
                if self.exchange_token(endpoint, "Negotiate", &second).await?.is_some() {
                    return Err(refused("it asked for more than NTLM has".into()));
                }
                if !tls {
                    self.context = Context::Sealed(Box::new(ntlm));
                }
            }
            #[cfg(feature = "kerberos")]
            Auth::Kerberos { principal } => {
                self.kerberos(endpoint, principal.clone(), binding.map(<[u8]>::to_vec)).await?;
            }
        }
        Ok(())
    }

    #[cfg(feature = "kerberos")]
    async fn kerberos(
        &mut self,
        endpoint: &Endpoint,
        principal: Option<String>,
        binding: Option<Vec<u8>>,
    ) -> Result<(), Error> {
        use super::answer::authentication;
        use super::auth::kerberos::KerberosContext;
        // A key that the KDC does not take counts there.
        let refused = |cause: String| authentication(endpoint, cause, true);
        let host = endpoint.host.clone();
        let first = tokio::task::spawn_blocking(move || {
            KerberosContext::new(principal.as_deref(), &host, binding.as_deref())
        });
        let (mut context, mut token) = first.await.map_err(|e| refused(e.to_string()))?.map_err(refused)?;
        loop {
            let (answer, accepted) = self.send_token(endpoint, "Kerberos", &token).await?;
            let Some(answer) = answer else {
                return if accepted { Ok(()) } else { Err(refused("no ticket was accepted".into())) };
            };
            let (next, more) = context.step(&answer).map_err(refused)?;
            match more {
                Some(more) if !accepted => (context, token) = (next, more),
                _ => return Ok(()),
            }
        }
    }

    /// Sends one token; returns the far end's, or `None` when it is satisfied.
    async fn exchange_token(
        &mut self,
        endpoint: &Endpoint,
        scheme: &str,
        token: &[u8],
    ) -> Result<Option<Vec<u8>>, Error> {
        match self.send_token(endpoint, scheme, token).await? {
            (_, true) => Ok(None),
            (Some(answer), false) => Ok(Some(answer)),
            (None, false) => Err(turned_down(endpoint)),
        }
    }

    /// Sends one token on a request without a body: no message leaves before the context stands.
    async fn send_token(
        &mut self,
        endpoint: &Endpoint,
        scheme: &str,
        token: &[u8],
    ) -> Result<(Option<Vec<u8>>, bool), Error> {
        let request = post(endpoint)
            .header(AUTHORIZATION, format!("{scheme} {}", STANDARD.encode(token)))
            .header(CONTENT_LENGTH, 0)
            .body(Full::default())
            .map_err(|e| protocol(endpoint, e))?;
        let response = match self.send(request).await {
            Ok(response) => response,
            Err(e) => return Err(self.broken(endpoint, e).await),
        };
        let (status, headers) = (response.status(), response.headers().clone());
        body(response).await.map_err(|cause| protocol(endpoint, cause))?;
        let answer = challenge(&headers, scheme);
        match status {
            StatusCode::UNAUTHORIZED if answer.is_none() && !offers(&headers, scheme) => {
                Err(refusal(endpoint, format!("it offers {}", offered(&headers))))
            }
            StatusCode::UNAUTHORIZED => Ok((answer, false)),
            status if turned_away(status) => Err(http(endpoint, status, &headers)),
            // A last token proves that the login came to its end, and an envelope that remote PowerShell answers, whatever the status.
            status if answer.is_some() || soap(&headers) || (status.is_success() && !page(&headers)) => {
                Ok((answer, true))
            }
            status => Err(http(endpoint, status, &headers)),
        }
    }

    /// Why a connection broke under a request: the driver knows more than the sender.
    async fn broken(&mut self, endpoint: &Endpoint, error: hyper::Error) -> Error {
        let moment = Instant::now() + Duration::from_millis(100);
        match timeout_at(moment, &mut self.driver).await {
            Ok(Ok(Err(cause))) => broken(endpoint, &cause),
            _ => broken(endpoint, &error),
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, hyper::Error> {
        self.tx.ready().await?;
        self.tx.send_request(request).await
    }

    /// Sends an envelope and returns the one that answers it, whatever its HTTP status.
    pub(super) async fn exchange(
        &mut self,
        endpoint: &Endpoint,
        envelope: String,
    ) -> Result<Vec<u8>, Failure> {
        let mut request = post(endpoint);
        let mut payload = envelope.into_bytes();
        let sealing = matches!(self.context, Context::Sealed(_));
        match &mut self.context {
            Context::Connection => {}
            Context::Header(value) => request = request.header(AUTHORIZATION, value.as_str()),
            Context::Sealed(ntlm) => payload = ntlm.seal(payload).map_err(|e| protocol(endpoint, e))?,
        }
        let content_type = match sealing {
            true => sealed::content_type(sealed::SPNEGO),
            false => "application/soap+xml;charset=UTF-8".to_owned(),
        };
        let request = request
            .header(CONTENT_TYPE, content_type)
            .body(Full::from(payload))
            .map_err(|e| protocol(endpoint, e))?;
        if let Err(e) = self.tx.ready().await {
            return Err(self.broken(endpoint, e).await.into());
        }
        let response = match self.tx.try_send_request(request).await {
            Ok(response) => response,
            // hyper hands the request back only when none of it was written.
            Err(mut error) => {
                let unsent = error.take_message().is_some();
                let error = error.into_error();
                return Err(match unsent {
                    true => Failure::NotDone(self.broken(endpoint, error).await),
                    false => Failure::Lost(reason(&error)),
                });
            }
        };
        let status = response.status();
        let headers = response.headers().clone();
        let answer = body(response).await.map_err(Failure::Lost)?;
        if let Context::Sealed(ntlm) = &mut self.context {
            // What is not sealed may come from anybody, so it proves nothing.
            let of = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
            if !sealed::is_sealed(of) {
                return Err(match status.is_success() && !page(&headers) {
                    true => Failure::Lost(format!("the answer (HTTP {}) is not sealed", status.as_u16())),
                    false => Failure::Astray(http(endpoint, status, &headers)),
                });
            }
            return ntlm.unseal(&answer).map_err(Failure::Lost);
        }
        match status {
            StatusCode::UNAUTHORIZED if offers(&headers, endpoint.auth.method()) => {
                Err(turned_down(endpoint).into())
            }
            StatusCode::UNAUTHORIZED => {
                Err(refusal(endpoint, format!("it offers {}", offered(&headers))).into())
            }
            // Faults come with 500, some with 400.
            _ if soap(&headers) => Ok(answer.to_vec()),
            status if turned_away(status) => Err(http(endpoint, status, &headers).into()),
            status if status.is_success() && !page(&headers) => Ok(answer.to_vec()),
            status => Err(Failure::Astray(http(endpoint, status, &headers))),
        }
    }
}

/// Whether a web server that answers so has certainly not passed the request on.
fn turned_away(status: StatusCode) -> bool {
    status.is_redirection() || matches!(status.as_u16(), 403 | 404 | 405 | 407 | 411 | 413)
}

/// Reads a whole body, up to the limit.
async fn body(response: Response<Incoming>) -> Result<Bytes, String> {
    let mut incoming = http_body_util::Limited::new(response.into_body(), MAX_BODY);
    let mut out = Vec::new();
    while let Some(frame) = incoming.frame().await {
        let frame = frame.map_err(|e| match e.downcast_ref::<http_body_util::LengthLimitError>() {
            Some(_) => format!("an HTTP answer is larger than {MAX_BODY} bytes"),
            None => format!("the connection broke in the middle of an answer: {e}"),
        })?;
        if let Ok(data) = frame.into_data() {
            out.extend_from_slice(&data);
        }
    }
    Ok(out.into())
}

fn post(endpoint: &Endpoint) -> hyper::http::request::Builder {
    Request::post(endpoint.absolute_path())
        .header(HOST, endpoint.authority())
        .header(USER_AGENT, concat!("pchat-psrp/", env!("CARGO_PKG_VERSION")))
}

fn refuse_unsuitable(endpoint: &Endpoint) -> Result<(), Error> {
    if matches!(endpoint.security, super::Security::Https { .. }) {
        return Ok(());
    }
    let cause = match &endpoint.auth {
        Auth::Negotiate { .. } => return Ok(()),
        Auth::Basic { .. } => "the password and every message would travel in clear; use https, or Negotiate",
        Auth::Certificate { .. } => "a client certificate needs TLS; use https",
        #[cfg(feature = "kerberos")]
        Auth::Kerberos { .. } => "messages would travel in clear; use https",
    };
    let (host, method) = (endpoint.host.clone(), endpoint.auth.method());
    Err(Error::Unsuitable { host, method, scheme: "http", cause })
}

async fn connect(endpoint: &Endpoint, deadline: Instant) -> Result<TcpStream, Error> {
    let (host, addr) = (endpoint.host.clone(), endpoint.addr);
    let bound = deadline.min(Instant::now() + CONNECT_TIMEOUT);
    let tcp = match timeout_at(bound, TcpStream::connect(addr)).await {
        Err(_) => return Err(Error::Unreachable { host, addr, cause: "it does not answer".into() }),
        Ok(Err(e)) if e.kind() == io::ErrorKind::ConnectionRefused => {
            return Err(Error::Refused { host, addr });
        }
        Ok(Err(e)) => return Err(Error::Unreachable { host, addr, cause: e.to_string() }),
        Ok(Ok(tcp)) => tcp,
    };
    // A request is written in one piece; waiting to fill a packet only delays it.
    let _ = tcp.set_nodelay(true);
    Ok(tcp)
}

async fn handshake<S>(endpoint: &Endpoint, stream: S) -> Result<(SendRequest<Full<Bytes>>, Driver), Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (tx, connection) = http1::Builder::new()
        .max_buf_size(MAX_BODY)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|e| broken(endpoint, &e))?;
    Ok((tx, tokio::spawn(connection)))
}
