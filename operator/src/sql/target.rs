//! Where a server is and how to log in there.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::brake::Brake;

/// A secret that no `Debug`, log line or error message shows, and whose memory is wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(Zeroizing::new(text.into()))
    }

    /// The secret itself; only for handing it to the far end.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A SQL login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Login name.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// How sentences name the login: not everybody who reads them may read the Secret.
    pub shown: String,
    /// What holds for this login at this server after it was refused.
    pub brake: Brake,
}

impl Credentials {
    /// A text of the server with the login's name as sentences name it.
    pub fn hide(&self, text: &str) -> String {
        crate::brake::hide(text, &self.user, &self.shown)
    }
}

/// What of the conversation is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// Everything, with a certificate that is verified.
    Required,
    /// The login alone, with a certificate that is verified.
    LoginOnly,
    /// Nothing: only for servers whose TLS is too old to be spoken.
    Plaintext,
}

/// How the TCP port is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// It is declared.
    Port(u16),
    /// SQL Server Browser (UDP 1434) is asked for the instance.
    Instance(String),
}

/// One SQL Server instance to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `host\instance`, as every sentence names it.
    pub display: String,
    /// Fully qualified host name; the certificate must be made out to it.
    pub host: String,
    /// Address to be used instead of resolving `host`.
    pub address: Option<IpAddr>,
    /// How the port is found.
    pub endpoint: Endpoint,
    /// Who logs in.
    pub credentials: Credentials,
    /// What is encrypted.
    pub encryption: Encryption,
    /// Certificates (PEM) trusted beside the system's.
    pub ca_pem: Option<Vec<u8>>,
}

/// How long each phase may take before it counts as unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// Resolving a name, a TCP connection, an answer of SQL Server Browser.
    pub connect: Duration,
    /// TDS prelogin, TLS and login together.
    pub login: Duration,
    /// Reading the state of an instance.
    pub look: Duration,
    /// Listing a directory, or reading one round of backup headers.
    pub files: Duration,
    /// A mutating batch that restores nothing.
    pub batch: Duration,
    /// A round of RESTORE statements.
    pub restore: Duration,
    /// A management cmdlet.
    pub cmdlet: Duration,
    /// `Install-CsMirrorDatabase`, which backs up and restores the whole database.
    pub mirror: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines {
            connect: Duration::from_secs(3),
            login: Duration::from_secs(10),
            look: Duration::from_secs(15),
            files: Duration::from_secs(60),
            batch: Duration::from_secs(60),
            restore: Duration::from_secs(4 * 3600),
            cmdlet: Duration::from_secs(120),
            mirror: Duration::from_secs(4 * 3600),
        }
    }
}
