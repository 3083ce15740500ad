//! What the far end's headers say, and the errors made of it.

use hyper::header::{CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use hyper::{HeaderMap, StatusCode};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Auth, Endpoint, Error};

/// Whether the answer offers a scheme at all.
pub(super) fn offers(headers: &HeaderMap, scheme: &str) -> bool {
    schemes(headers).any(|(name, _)| name.eq_ignore_ascii_case(scheme))
}

pub(super) fn schemes(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|v| v.to_str().ok());
    values.map(|v| v.trim().split_once(' ').unwrap_or((v.trim(), "")))
}

pub(super) fn offered(headers: &HeaderMap) -> String {
    let names: Vec<&str> = schemes(headers).map(|(name, _)| name).take(8).collect();
    if names.is_empty() {
        "no way of authentication that we know".to_owned()
    } else {
        format!("only {}", names.join(", "))
    }
}

/// The token that the far end sent for this scheme.
pub(super) fn challenge(headers: &HeaderMap, scheme: &str) -> Option<Vec<u8>> {
    let (_, token) = schemes(headers).find(|(n, t)| n.eq_ignore_ascii_case(scheme) && !t.is_empty())?;
    STANDARD.decode(token.trim()).ok()
}

pub(super) fn soap(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.to_ascii_lowercase().starts_with("application/soap+xml"))
}

fn likely_cause(endpoint: &Endpoint) -> String {
    match &endpoint.auth {
        Auth::Negotiate { .. } => {
            "check user name and password, and that the account is not locked or expired; over \
            https also that nothing on the way replaces the certificate"
                .into()
        }
        Auth::Basic { .. } => "check user name and password".into(),
        Auth::Certificate { .. } => "check that the certificate is mapped to an account there".into(),
        #[cfg(feature = "kerberos")]
        Auth::Kerberos { .. } => "check the principal and the clocks".into(),
    }
}

/// It saw the credentials and turned them down.
pub(super) fn turned_down(endpoint: &Endpoint) -> Error {
    authentication(endpoint, likely_cause(endpoint), true)
}

/// There was no way to show it the credentials.
pub(super) fn refusal(endpoint: &Endpoint, cause: String) -> Error {
    authentication(endpoint, cause, false)
}

pub(super) fn authentication(endpoint: &Endpoint, cause: String, turned_down: bool) -> Error {
    Error::Authentication {
        host: endpoint.host.clone(),
        user: endpoint.auth.user().to_owned(),
        method: endpoint.auth.method(),
        cause,
        turned_down,
    }
}

pub(super) fn silent(endpoint: &Endpoint, doing: &'static str) -> Error {
    Error::Silent { host: endpoint.host.clone(), addr: endpoint.addr, doing }
}

pub(super) fn protocol(endpoint: &Endpoint, cause: impl ToString) -> Error {
    Error::Protocol { host: endpoint.host.clone(), cause: cause.to_string() }
}

/// Whether the answer is a page for a person.
pub(super) fn page(headers: &HeaderMap) -> bool {
    let kind =
        headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    kind.starts_with("text/html") || kind.starts_with("application/xhtml")
}

/// An answer that is no envelope, told as what it is.
pub(super) fn http(endpoint: &Endpoint, status: StatusCode, headers: &HeaderMap) -> Error {
    let cause = match status.as_u16() {
        300..=399 => format!(
            "it sends on to {}, so a login page, load balancer or reverse proxy stands in front; give the name of a Front End itself, \
             with https",
            location(headers)
        ),
        status => words(status, page(headers)).to_owned(),
    };
    let (host, path) = (endpoint.host.clone(), endpoint.absolute_path());
    Error::Http { host, path, status: status.as_u16(), cause }
}

fn words(status: u16, page: bool) -> &'static str {
    match status {
        200..=299 if page => {
            "a web page came instead of an answer, so a login page or load balancer stands in front; give the name of a Front End itself"
        }
        200..=299 => "what came is no answer of remote PowerShell; check host, port and path",
        400 => {
            "the web server could not read the request: mostly http on an https port, a name that it does not know, or an account in too \
             many groups; check scheme, port and name"
        }
        403 => {
            "the account may not use this endpoint, or it takes https only; check the account's role and the scheme"
        }
        404 => {
            "there is no remote PowerShell under this path; check it (/OcsPowerShell on a Front End, /wsman for WinRM)"
        }
        405 => "this path takes no remote PowerShell; check it",
        407 => "a proxy on the way wants a login; connect without it",
        408 | 502 | 504 => {
            "a proxy or load balancer got no answer from the server behind it; look at that one, or give its own name"
        }
        411 | 413 => {
            "the web server takes no request of this size; raise uploadReadAheadSize and maxAllowedContentLength of that site in IIS"
        }
        429 => "the web server turns requests away because there are too many; look at what else uses it",
        500 => {
            "the web application failed; the event log and IIS's log of that host say why, recycle its application pool"
        }
        503 => {
            "the web application is stopped or overloaded; start its application pool in IIS, or the WinRM service"
        }
        _ if (400..500).contains(&status) => {
            "the web server refuses the request; IIS's log of that host says why"
        }
        _ => "the web server failed; the event log and IIS's log of that host say why",
    }
}

/// Where a redirect leads, without its parameters, which may hold a secret.
fn location(headers: &HeaderMap) -> String {
    let target = headers.get(LOCATION).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let shown: String = target.split(['?', '#']).next().unwrap_or_default().chars().take(100).collect();
    let plain = shown.chars().all(|c| c.is_ascii_graphic());
    if shown.is_empty() || !plain { "another address".into() } else { shown }
}

pub(super) fn tls_error(endpoint: &Endpoint, error: &native_tls::Error) -> Error {
    Error::Tls { host: endpoint.host.clone(), addr: endpoint.addr, cause: reason(error) }
}

/// A connection that broke before a request was on it.
pub(super) fn broken(endpoint: &Endpoint, error: &hyper::Error) -> Error {
    let cause = reason(error);
    if is_tls(&cause) {
        return Error::Tls { host: endpoint.host.clone(), addr: endpoint.addr, cause };
    }
    protocol(endpoint, format!("it accepted the connection and closed it ({cause})"))
}

/// Whether it was TLS that broke a connection: in TLS 1.3 a refused client certificate shows up only at
/// the first read. OpenSSL says so in its text alone.
pub(super) fn is_tls(cause: &str) -> bool {
    cause.contains("SSL routines")
}

/// An error with its causes, each said once.
pub(super) fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        source = cause.source();
    }
    text
}
