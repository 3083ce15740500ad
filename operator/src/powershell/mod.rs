//! The Lync Management Shell: what is asked of it and what it is told to do.
//!
//! Cmdlets travel as commands with typed parameters, never as script text, so that a no-language endpoint
//! takes them and nothing can be injected. Identities are used as `Get` gave them. A cmdlet has no guard:
//! its callers hold the pool's lock, and read again afterwards.

pub mod cmdlets;
pub mod look;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pchat_psrp::{Auth, Command, Endpoint, Error, ErrorRecord, Outcome, Security, Session};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use crate::brake::{Brake, hide};
use crate::outside;
use crate::sql::connect::SILENCE;

/// Windows disconnects an idle session after about two minutes; well before that a new one is opened.
pub const IDLE: Duration = Duration::from_secs(20);

/// For so long a session may take to open. A Lync Server loads its module in seconds to tens of seconds; one that takes the
/// connection and says nothing is told sooner, by the deadlines of the handshakes and of the first answer.
pub const OPENING: Duration = Duration::from_secs(60);

/// For so long a cmdlet of a look may take.
pub const READING: Duration = Duration::from_secs(60);

/// Where the management shell is and how to get in.
#[derive(Clone, Debug)]
pub struct Shell {
    /// Name of the host, as its certificate has it.
    pub host: String,
    /// Port of the URL.
    pub port: u16,
    /// Address to be used instead of resolving `host`.
    pub address: Option<IpAddr>,
    /// URL path, for example `/OcsPowerShell`.
    pub path: String,
    /// Session configuration, `Microsoft.PowerShell` by default.
    pub configuration: String,
    /// Encryption and trusted authorities.
    pub security: Security,
    /// Who logs in.
    pub auth: Auth,
    /// How sentences name the account: not everybody who reads them may read the Secret.
    pub shown: String,
    /// What holds for this account on this host after it was refused.
    pub brake: Brake,
}

/// Why a command was not run, or what is not known of it.
#[derive(Debug)]
pub enum Trouble {
    /// Nothing came back at all; nothing was run.
    Silent(String),
    /// Something is alive there that can't be used; nothing was run.
    Unusable(String),
    /// The command was sent, and its end was not seen.
    Unknown(String),
}

impl Trouble {
    /// The sentence.
    pub fn detail(&self) -> &str {
        match self {
            Trouble::Silent(detail) | Trouble::Unusable(detail) | Trouble::Unknown(detail) => detail,
        }
    }
}

impl Shell {
    /// `host:port`, as sentences name it.
    pub fn display(&self) -> String {
        format!("the management shell on {}", self.host)
    }

    /// Opens a session. Each address of the host is tried; `within` is for all of it.
    pub async fn open(&self, connect: Duration, within: Duration) -> Result<Session, Trouble> {
        let deadline = Instant::now() + within.min(OPENING);
        let mut last = None;
        for addr in self.resolve(connect).await? {
            // A dead host is told by a bare connection: opening a session may rightly take much longer.
            if let Some(silent) = self.is_silent(addr, connect.min(SILENCE)).await {
                last = Some(Trouble::Silent(silent));
                continue;
            }
            let endpoint = Endpoint {
                host: self.host.clone(),
                port: self.port,
                addr,
                path: self.path.clone(),
                configuration: self.configuration.clone(),
                security: self.security.clone(),
                auth: self.auth.clone(),
            };
            let leave = match timeout_at(deadline, self.brake.leave()).await {
                Ok(leave) => leave.map_err(Trouble::Unusable)?,
                Err(_) => {
                    return Err(Trouble::Unusable(format!("{} lets nobody in in time.", self.display())));
                }
            };
            match Session::open(&endpoint, deadline).await {
                Ok(session) => {
                    leave.accepted();
                    return Ok(session);
                }
                Err(error) => last = Some(self.trouble(&error)),
            }
        }
        Err(last.unwrap_or_else(|| Trouble::Unusable(self.unresolved("it has no address"))))
    }

    /// Runs one command in an open session. What it wrote is let in as [`outside`] says.
    pub async fn run(
        &self,
        session: &mut Session,
        command: &Command,
        within: Duration,
    ) -> Result<Outcome, Trouble> {
        let ran = session.invoke(command, Instant::now() + within).await;
        // A session makes new connections, and each of them logs in.
        ran.map(outside::outcome).map_err(|error| self.trouble(&error))
    }

    /// Closes a session. What does not close the far end ends by itself later: nothing depends on it.
    pub async fn close(&self, session: Session, within: Duration) {
        if let Err(error) = session.close(Instant::now() + within).await {
            self.trouble(&error);
        }
    }

    /// What an error means here. One that turns the account down is remembered.
    fn trouble(&self, error: &Error) -> Trouble {
        let words = outside::words(&format!("{error}."));
        match error {
            Error::Authentication { host, method, cause, turned_down, .. } => {
                let cause = outside::words(cause);
                let why = format!("{host} refused {} ({method}): {cause}.", self.shown);
                Trouble::Unusable(if *turned_down { self.brake.refused(&why) } else { why })
            }
            Error::OutcomeUnknown { .. } => Trouble::Unknown(self.hide(&words)),
            Error::Unreachable { .. } => Trouble::Silent(words),
            _ => Trouble::Unusable(self.hide(&words)),
        }
    }

    /// The errors of an outcome as one sentence with error ids, if it has any.
    pub fn failure(&self, command: &str, outcome: &Outcome) -> Option<(String, String)> {
        failure(command, outcome).map(|(id, what)| (id, self.hide(&what)))
    }

    /// A text of the far end with the account as sentences name it.
    fn hide(&self, text: &str) -> String {
        hide(text, self.auth.user(), &self.shown)
    }

    async fn is_silent(&self, addr: SocketAddr, within: Duration) -> Option<String> {
        let unreachable = [ErrorKind::TimedOut, ErrorKind::HostUnreachable, ErrorKind::NetworkUnreachable];
        match timeout(within, TcpStream::connect(addr)).await {
            Err(_) => Some(format!("no answer from {} ({addr}) in {} s.", self.host, within.as_secs_f64())),
            Ok(Err(error)) if unreachable.contains(&error.kind()) => {
                Some(format!("no route to {} ({addr}; {error}).", self.host))
            }
            Ok(_) => None,
        }
    }

    async fn resolve(&self, within: Duration) -> Result<Vec<SocketAddr>, Trouble> {
        if let Some(address) = self.address {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        match timeout(within, lookup_host((self.host.as_str(), self.port))).await {
            Ok(Ok(found)) => Ok(found.collect()),
            Ok(Err(error)) => Err(Trouble::Unusable(self.unresolved(&error.to_string()))),
            Err(_) => Err(Trouble::Unusable(self.unresolved("no answer"))),
        }
    }

    fn unresolved(&self, why: &str) -> String {
        format!(
            "The name {} can't be resolved ({why}). Check it in the manifest; if name resolution is down, give the address in a hosts file (--hosts).",
            self.host
        )
    }
}

fn failure(command: &str, outcome: &Outcome) -> Option<(String, String)> {
    if outcome.is_clean() {
        return None;
    }
    let records: Vec<&ErrorRecord> = outcome.all_errors().collect();
    let id = records.last().map_or("", |r| r.id.as_str());
    let id = if id.is_empty() { "no error id" } else { id };
    let told: Vec<&str> = records.iter().map(|r| r.message.trim().trim_end_matches('.')).collect();
    let told = if told.is_empty() { "it gave no reason".to_owned() } else { told.join("; ") };
    Some((id.to_owned(), format!("{command} failed ({id}): {told}.")))
}

/// What to do about a failed cmdlet, from its error id and words.
pub fn remedy(id: &str, words: &str) -> &'static str {
    let both = format!("{id} {words}").to_lowercase();
    let has = |w: &[&str]| w.iter().any(|w| both.contains(w));
    if has(&["commandnotfound"]) {
        "Give the account a role (or the session configuration a capability) that offers this cmdlet."
    } else if has(&["unauthorized", "accessdenied", "access is denied", "permission", "not authorized"]) {
        "Give the account the RBAC role listed in docs/rights.md, and the rights it needs beyond the shell."
    } else if has(&["central management", "managementstore", "read-only", "writable"]) {
        "Make the Central Management Store available in the surviving site; the next look tells how."
    } else if has(&["notfound", "cannot find"]) {
        "Check the pool's FQDN in the manifest against Get-CsPersistentChatState."
    } else if has(&["parameterbinding", "parameterargument", "namedparameternotfound"]) {
        "Check that this is the Lync Server 2013 or Skype for Business Server 2015 module."
    } else {
        "Run the same cmdlet by hand in the management shell to see more."
    }
}
