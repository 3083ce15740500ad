//! The client: one session is one remote shell with one runspace, for a few commands, one at a time.
//!
//! The caller resolves names and sets deadlines. Nothing here retries a command, and nothing here
//! guesses: a command whose end was not seen is [`Error::OutcomeUnknown`].

mod answer;
mod auth;
mod error;
mod outcome;
mod session;
mod tls;
mod transport;
mod wsman;

use std::fmt;
use std::net::SocketAddr;

use zeroize::Zeroize;

pub use error::Error;
pub use outcome::{Command, Outcome};
pub use session::{STOP_GRACE, Session};
pub use tls::tls_words;

use crate::codec::soap::CONFIGURATION_PREFIX;

/// Where a session configuration is, and how to get in.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Name of the host as its certificate and its service principal know it.
    pub host: String,
    /// Port in the URL: 5985 for WinRM over http, 5986 over https, 443 for a web site such as `/OcsPowerShell`.
    pub port: u16,
    /// Where to connect, which may be another address and port than the name would give.
    pub addr: SocketAddr,
    /// URL path, `/wsman` for WinRM.
    pub path: String,
    /// Name of the session configuration, `Microsoft.PowerShell` for the default one.
    pub configuration: String,
    /// Whether and how the connection is encrypted.
    pub security: Security,
    /// Who we are.
    pub auth: Auth,
}

/// How the connection is encrypted.
#[derive(Debug, Clone)]
pub enum Security {
    /// TLS. With `ca`, one or more PEM certificates, only those authorities are trusted; without it those of the
    /// system are.
    Https {
        /// PEM certificates of the authorities.
        ca: Option<Vec<u8>>,
    },
    /// No TLS: every message is sealed by the security context, so only Negotiate will do.
    Http,
}

impl Security {
    fn scheme(&self) -> &'static str {
        match self {
            Self::Https { .. } => "https",
            Self::Http => "http",
        }
    }
}

/// Who we are, and how we prove it.
#[derive(Clone)]
#[non_exhaustive]
pub enum Auth {
    /// NTLM by way of Negotiate: bound to the TLS channel over https, sealing every message over http.
    Negotiate {
        /// `DOMAIN\user` or `user@domain`.
        user: String,
        /// Password.
        password: String,
    },
    /// User name and password in every request. Over https only.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
    /// A client certificate. Over https only.
    Certificate {
        /// PEM certificate, followed by its chain.
        certificate: Vec<u8>,
        /// PEM private key (PKCS #8).
        key: Vec<u8>,
    },
    /// Kerberos with the ticket cache or keytab of the process (`KRB5CCNAME`, `KRB5_CLIENT_KTNAME`). Over https only.
    #[cfg(feature = "kerberos")]
    Kerberos {
        /// Principal to use; the default one of the cache when absent.
        principal: Option<String>,
    },
}

impl Drop for Auth {
    /// Nothing that opens a door stays in memory that is given back.
    fn drop(&mut self) {
        match self {
            Self::Negotiate { password, .. } | Self::Basic { password, .. } => password.zeroize(),
            Self::Certificate { key, .. } => key.zeroize(),
            #[cfg(feature = "kerberos")]
            Self::Kerberos { .. } => {}
        }
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Passwords and keys never reach a log.
        write!(f, "{} as {}", self.method(), self.user())
    }
}

impl Auth {
    fn method(&self) -> &'static str {
        match self {
            Self::Negotiate { .. } => "Negotiate",
            Self::Basic { .. } => "Basic",
            Self::Certificate { .. } => "certificate",
            #[cfg(feature = "kerberos")]
            Self::Kerberos { .. } => "Kerberos",
        }
    }

    /// The account, as it is written.
    pub fn user(&self) -> &str {
        match self {
            Self::Negotiate { user, .. } | Self::Basic { user, .. } => user,
            Self::Certificate { .. } => "the client certificate",
            #[cfg(feature = "kerberos")]
            Self::Kerberos { principal } => principal.as_deref().unwrap_or("the default principal"),
        }
    }
}

impl Endpoint {
    /// `host:port` as the Host header and URLs want it.
    fn authority(&self) -> String {
        match self.host.contains(':') && !self.host.starts_with('[') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// The path with its leading slash.
    fn absolute_path(&self) -> String {
        format!("/{}", self.path.trim_start_matches('/'))
    }

    fn url(&self) -> String {
        format!("{}://{}{}", self.security.scheme(), self.authority(), self.absolute_path())
    }

    fn resource(&self) -> String {
        format!("{CONFIGURATION_PREFIX}{}", self.configuration)
    }
}
