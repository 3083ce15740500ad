//! One HTTP connection: who is on it, and whether what it carries is sealed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use hyper::{HeaderMap, Request, Response, StatusCode};
use pchat_psrp::codec::sealed;
use tokio::sync::Mutex;

use crate::auth::{self, Context, Step};
use crate::wsman::Shells;

/// Largest request; a little more than the largest envelope.
const MAX_BODY: usize = 600_000;
type Reply = Response<Full<Bytes>>;

/// A connection and its login.
pub(crate) struct Connection {
    shells: Arc<Shells>,
    /// Hash of our certificate, when this connection has TLS.
    binding: Option<Vec<u8>>,
    tls: bool,
    /// Requests come one after the other, but a handler may be dropped in the middle.
    login: Mutex<Login>,
}

#[derive(Default)]
struct Login {
    context: Option<Context>,
    user: Option<String>,
}

/// What the header of a request makes of its sender.
enum Sender {
    User(String),
    /// Answer this instead.
    Challenge(Reply),
}

impl Connection {
    pub(crate) fn new(shells: Arc<Shells>, tls: bool, binding: Option<Vec<u8>>) -> Self {
        Self { shells, binding, tls, login: Mutex::new(Login::default()) }
    }

    /// Answers one request.
    pub(crate) async fn handle(&self, request: Request<Incoming>) -> Reply {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let body = body.to_bytes();
        let path = parts.uri.path().trim_end_matches('/');
        let known = |p: &String| p.trim_end_matches('/').eq_ignore_ascii_case(path);
        if !self.shells.options.paths.iter().any(known) {
            return plain(StatusCode::NOT_FOUND);
        }
        if parts.method != hyper::Method::POST {
            return plain(StatusCode::METHOD_NOT_ALLOWED);
        }
        let mut extra = None;
        let user = match self.sender(&parts.headers, &mut extra).await {
            Sender::User(user) => user,
            Sender::Challenge(reply) => return reply,
        };
        let mut reply = match body.is_empty() {
            // The end of a login without a message.
            true => plain(StatusCode::OK),
            false => self.message(&parts.headers, &body, &user).await,
        };
        if let Some(value) = extra.and_then(|token| token.parse().ok()) {
            reply.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        reply
    }

    async fn message(&self, headers: &HeaderMap, body: &[u8], user: &str) -> Reply {
        let of = headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if !sealed::is_sealed(of) {
            if !self.tls {
                // AllowUnencrypted is false, as WinRM comes.
                *self.login.lock().await = Login::default();
                return self.unauthorized(None);
            }
            let (status, xml) = self.shells.answer(body, user).await;
            return soap(status, "application/soap+xml;charset=UTF-8", xml.into_bytes());
        }
        let clear = match self.login.lock().await.context.as_mut().map(|c| c.unseal(body)) {
            Some(Ok(clear)) => clear,
            _ => return plain(StatusCode::BAD_REQUEST),
        };
        // The lock is free meanwhile: a Receive may wait long.
        let (status, xml) = self.shells.answer(&clear, user).await;
        match self.login.lock().await.context.as_mut().map(|c| c.seal(xml.into_bytes())) {
            Some(Ok(body)) => soap(status, &sealed::content_type(sealed::SPNEGO), body),
            _ => plain(StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    async fn sender(&self, headers: &HeaderMap, extra: &mut Option<String>) -> Sender {
        let mut login = self.login.lock().await;
        let header = headers.get(AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let (scheme, blob) = header.split_once(' ').unwrap_or((header, ""));
        let options = &self.shells.options;
        match scheme.to_ascii_lowercase().as_str() {
            "" => match &login.user {
                Some(user) => Sender::User(user.clone()),
                None => Sender::Challenge(self.unauthorized(None)),
            },
            // Over http a password would travel in clear.
            "basic" if options.basic && self.tls => match auth::basic(&options.accounts, blob) {
                Some(account) => Sender::User(account.full_name()),
                None => {
                    self.shells.refused.fetch_add(1, Ordering::Relaxed);
                    Sender::Challenge(self.unauthorized(None))
                }
            },
            "negotiate" => match self.step(&mut login, blob) {
                Ok(Step::Continue(token)) => {
                    let challenge = format!("Negotiate {}", STANDARD.encode(token));
                    Sender::Challenge(self.unauthorized(Some(challenge)))
                }
                Ok(Step::Done(user, token)) => {
                    *extra = token.map(|t| format!("Negotiate {}", STANDARD.encode(t)));
                    login.user = Some(user.clone());
                    Sender::User(user)
                }
                Err(reason) => {
                    tracing::debug!(reason, "login refused");
                    self.shells.refused.fetch_add(1, Ordering::Relaxed);
                    *login = Login::default();
                    Sender::Challenge(self.unauthorized(None))
                }
            },
            _ => Sender::Challenge(self.unauthorized(None)),
        }
    }

    fn step(&self, login: &mut Login, blob: &str) -> Result<Step, String> {
        let token = STANDARD.decode(blob.trim()).map_err(|e| e.to_string())?;
        let options = &self.shells.options;
        // A token after the last begins anew.
        let mut context = match login.context.take().filter(|c| !c.is_done()) {
            Some(context) => context,
            None => {
                login.user = None;
                Context::new(&token, &options.accounts)?
            }
        };
        let binding = self.binding.as_deref();
        let step = context.step(token, &options.accounts, binding, options.require_binding)?;
        login.context = Some(context);
        Ok(step)
    }

    fn unauthorized(&self, challenge: Option<String>) -> Reply {
        let mut reply = plain(StatusCode::UNAUTHORIZED);
        let mut offer = |value: &str| {
            if let Ok(value) = value.parse() {
                reply.headers_mut().append(WWW_AUTHENTICATE, value);
            }
        };
        match challenge {
            Some(challenge) => offer(&challenge),
            None => {
                offer("Negotiate");
                if self.shells.options.basic && self.tls {
                    offer("Basic realm=\"WSMAN\"");
                }
            }
        }
        reply
    }
}

fn plain(status: StatusCode) -> Reply {
    let mut reply = Reply::default();
    *reply.status_mut() = status;
    reply
}

fn soap(status: u16, content_type: &str, body: Vec<u8>) -> Reply {
    let mut reply = Reply::new(body.into());
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if let Ok(value) = content_type.parse() {
        reply.headers_mut().insert(CONTENT_TYPE, value);
    }
    reply
}
