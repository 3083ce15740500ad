//! What can go wrong between us and a remote shell, told so that a person knows what to do.

use std::net::SocketAddr;

use super::Outcome;
use crate::codec::soap::Fault;

/// An error of the client. Only [`Error::OutcomeUnknown`] leaves open whether a command had an effect;
/// after every other one it had none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection could be made: no route, no answer, no such network.
    #[error(
        "{host} ({addr}) cannot be reached: {cause}. Check that the host is up, and firewalls on the way to its port"
    )]
    Unreachable {
        /// Host.
        host: String,
        /// Address that was tried.
        addr: SocketAddr,
        /// What the network said.
        cause: String,
    },
    /// The host answered, and nothing listens there.
    #[error(
        "{host} ({addr}) refused the connection: the host is up, but nothing listens on this port. Check the port \
        and that the WinRM service or web site runs"
    )]
    Refused {
        /// Host.
        host: String,
        /// Address that was tried.
        addr: SocketAddr,
    },
    /// The host took the connection and then kept silent until the deadline.
    #[error("{host} ({addr}) accepted the connection but did not answer in time while {doing}")]
    Silent {
        /// Host.
        host: String,
        /// Address.
        addr: SocketAddr,
        /// What we waited for.
        doing: &'static str,
    },
    /// No secure connection, mostly because of a certificate.
    #[error(
        "no TLS connection with {host} ({addr}): {}. Check that its certificate is valid, names {host}, and was \
        issued by a trusted authority (a private one must be given)",
        super::tls::tls_words(cause)
    )]
    Tls {
        /// Host.
        host: String,
        /// Address.
        addr: SocketAddr,
        /// What TLS said.
        cause: String,
    },
    /// A certificate, key or authority that we were given is unusable.
    #[error("the {what} for {host} cannot be used: {cause}")]
    Certificate {
        /// Host.
        host: String,
        /// Which one.
        what: &'static str,
        /// Why not.
        cause: String,
    },
    /// The way of authentication would betray a secret on this connection, or is not possible on it.
    #[error("{method} authentication with {host} is not possible over {scheme}: {cause}")]
    Unsuitable {
        /// Host.
        host: String,
        /// Way of authentication.
        method: &'static str,
        /// `http` or `https`.
        scheme: &'static str,
        /// Why not, and what instead.
        cause: &'static str,
    },
    /// The far end does not accept who we are.
    #[error("{host} refused {user} ({method}): {cause}")]
    Authentication {
        /// Host.
        host: String,
        /// Account.
        user: String,
        /// Way of authentication.
        method: &'static str,
        /// What it said, or what is likely.
        cause: String,
        /// Whether it turned the credentials down, which may count towards a lock-out of the account; otherwise they were not
        /// even sent.
        turned_down: bool,
    },
    /// The far end answered with a fault: no such configuration, access denied, quota.
    #[error("{host} refused to {doing} on the session configuration {configuration}: {fault}")]
    Fault {
        /// Host.
        host: String,
        /// What was asked.
        doing: String,
        /// Name of the session configuration.
        configuration: String,
        /// The fault.
        fault: Box<Fault>,
    },
    /// The runspace pool did not open, or broke.
    #[error("the session on {host} (configuration {configuration}) is {state}: {cause}")]
    Pool {
        /// Host.
        host: String,
        /// Name of the session configuration.
        configuration: String,
        /// What it is now.
        state: &'static str,
        /// What the far end said about it.
        cause: String,
    },
    /// A web server, proxy or load balancer answered with something of its own.
    #[error("{host} answered HTTP {status} for {path}: {cause}")]
    Http {
        /// Host.
        host: String,
        /// URL path.
        path: String,
        /// HTTP status.
        status: u16,
        /// What that mostly means, and what to do about it.
        cause: String,
    },
    /// What came is not WS-Management or PSRP, or goes beyond what we hold.
    #[error("{host} does not speak PowerShell Remoting as expected: {cause}")]
    Protocol {
        /// Host.
        host: String,
        /// What was wrong.
        cause: String,
    },
    /// The request went out and its end was not seen. It may have had its effect, now or later.
    #[error("it is not known whether {command} on {host} took effect: {cause}")]
    OutcomeUnknown {
        /// Host.
        host: String,
        /// Name of the command.
        command: String,
        /// What happened.
        cause: String,
        /// Whether the far end confirmed that the command was stopped.
        stopped: bool,
        /// What had come back by then.
        partial: Box<Outcome>,
    },
    /// The session was left in the middle of something; open a new one.
    #[error("the session with {host} is no longer usable; a new one is needed")]
    Unusable {
        /// Host.
        host: String,
    },
}

impl Error {
    /// Whether the host gave any sign of life: false only when no connection was made at all.
    pub fn host_is_alive(&self) -> bool {
        !matches!(self, Self::Unreachable { .. })
    }
}
