//! Opens a connection, and says what a failure to do so proves: that nothing is there, or only that it
//! can't be used. A forced failover may rest on the first and never on the second.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use socket2::{SockRef, TcpKeepalive};
use tiberius::error::Error as TdsError;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};
use tokio_util::compat::TokioAsyncWriteCompatExt;

use super::bounded::Bounded;
use super::browser::{self, Reply};
use super::connection::{Connection, LOGIN_BYTES, ServerError};
use super::explain::explain;
use super::target::{Deadlines, Encryption, Endpoint, Target};
use crate::outside;

/// Program name in `sys.dm_exec_sessions`.
pub const PROGRAM: &str = "pchat-operator";

/// Ports that a living SQL Server host is likely to answer on when its Browser does not: the default
/// instance's, and the usual port of the mirroring endpoint.
const SIGNS_OF_LIFE: [u16; 2] = [1433, 5022];

/// Whoever lives answers a SYN or one of its two repetitions (after 1 and 3 s) by then. A longer deadline
/// is for logging in; waiting longer here would only make the looks at a dead site rare.
pub const SILENCE: Duration = Duration::from_secs(4);

/// How long SQL Server Browser is asked alone before signs of life are looked for beside it.
const BROWSER_ALONE: Duration = Duration::from_secs(1);

/// Errors by which a server turns credentials down, each of which may count towards a lock-out: no login without Windows,
/// unknown or wrong, disabled, locked out, expired, to be changed. A database that can't be opened (4060) is none of them.
const REFUSED: [u32; 6] = [18452, 18456, 18470, 18486, 18487, 18488];

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Nothing came back at all.
    #[error("{0}")]
    Silent(String),
    /// Something is alive there, but this can't be used.
    #[error("{0}")]
    Unusable(String),
}

/// Opens a connection to `master`, each phase within its deadline.
pub async fn connect(target: &Target, deadlines: &Deadlines) -> Result<Connection, ConnectError> {
    let deadlines = &Deadlines { connect: deadlines.connect.min(SILENCE), ..*deadlines };
    let addresses = resolve(target, deadlines.connect).await?;
    let mut silent = None;
    let mut unusable = None;
    for address in addresses {
        match connect_to(target, address, deadlines).await {
            Ok(connection) => return Ok(connection),
            Err(ConnectError::Silent(why)) => silent = Some(why),
            Err(ConnectError::Unusable(why)) => unusable = Some(why),
        }
    }
    match (unusable, silent) {
        (Some(why), _) => Err(ConnectError::Unusable(why)),
        (None, Some(why)) => Err(ConnectError::Silent(why)),
        (None, None) => Err(ConnectError::Unusable(unresolved(target, "it has no address"))),
    }
}

/// A name that does not resolve proves nothing about the server: DNS may have died with the site, or the
/// manifest may have a typing error. Never silence.
async fn resolve(target: &Target, within: Duration) -> Result<Vec<IpAddr>, ConnectError> {
    if let Some(address) = target.address {
        return Ok(vec![address]);
    }
    match timeout(within, lookup_host((target.host.as_str(), 0))).await {
        Ok(Ok(found)) => {
            let mut addresses: Vec<IpAddr> = found.map(|a| a.ip()).collect();
            addresses.dedup();
            Ok(addresses)
        }
        Ok(Err(error)) => Err(ConnectError::Unusable(unresolved(target, &error.to_string()))),
        Err(_) => {
            Err(ConnectError::Unusable(unresolved(target, &format!("no answer in {}", seconds(within)))))
        }
    }
}

fn unresolved(target: &Target, why: &str) -> String {
    format!(
        "The name {} can't be resolved ({why}). Check it in the manifest; if name resolution is down, give the address in a hosts file (--hosts).",
        target.host
    )
}

async fn connect_to(
    target: &Target,
    address: IpAddr,
    deadlines: &Deadlines,
) -> Result<Connection, ConnectError> {
    let port = match &target.endpoint {
        Endpoint::Port(port) => *port,
        Endpoint::Instance(name) => find_port(target, address, name, deadlines.connect).await?,
    };
    let stream = open(target, SocketAddr::new(address, port), deadlines.connect).await?;
    let brake = &target.credentials.brake;
    let leave = match timeout(deadlines.login, brake.leave()).await {
        Ok(leave) => leave.map_err(ConnectError::Unusable)?,
        Err(_) => return Err(ConnectError::Unusable(hung(target, address, port, deadlines))),
    };
    let (stream, allowance) = Bounded::new(stream, LOGIN_BYTES);
    // The driver must not be able to end the program, whatever a server sends.
    let login = AssertUnwindSafe(Client::connect(config(target, port), stream.compat_write())).catch_unwind();
    match timeout(deadlines.login, login).await {
        Ok(Ok(Ok(client))) => {
            leave.accepted();
            Ok(Connection::new(client, allowance, &target.display))
        }
        Ok(Err(_)) => Err(ConnectError::Unusable(format!(
            "{} ({address}:{port}) sends what SQL Server never sends. Check what listens there.",
            target.display
        ))),
        Ok(Ok(Err(error))) => {
            let why = outside::words(&login_failure(target, address, port, &error));
            let refused = matches!(&error, TdsError::Server(token) if REFUSED.contains(&token.code()));
            Err(ConnectError::Unusable(if refused { leave.refused(&why) } else { why }))
        }
        Err(_) => Err(ConnectError::Unusable(hung(target, address, port, deadlines))),
    }
}

fn hung(target: &Target, address: IpAddr, port: u16, deadlines: &Deadlines) -> String {
    format!(
        "{} accepts connections on {address}:{port} but did not finish the login in {}. Check that SQL Server there is not hung and that nothing between intercepts the connection.",
        target.display,
        seconds(deadlines.login)
    )
}

async fn open(target: &Target, to: SocketAddr, within: Duration) -> Result<TcpStream, ConnectError> {
    match timeout(within, TcpStream::connect(to)).await {
        Ok(Ok(stream)) => {
            // A peer that vanishes during a long RESTORE is noticed in about 25 s.
            let keepalive = TcpKeepalive::new()
                .with_time(Duration::from_secs(10))
                .with_interval(Duration::from_secs(5))
                .with_retries(3);
            let tuned =
                stream.set_nodelay(true).and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&keepalive));
            tuned.map_err(|error| {
                ConnectError::Unusable(format!("{}: the connection to {to} broke ({error}).", target.display))
            })?;
            Ok(stream)
        }
        Ok(Err(error)) => Err(tcp_failure(target, to, &error)),
        Err(_) => Err(ConnectError::Silent(format!("no answer from {to} in {}", seconds(within)))),
    }
}

fn tcp_failure(target: &Target, to: SocketAddr, error: &io::Error) -> ConnectError {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::TimedOut => ConnectError::Silent(format!("no answer from {to}")),
        Kind::HostUnreachable => ConnectError::Silent(format!("no route to {to}")),
        Kind::NetworkUnreachable | Kind::NetworkDown => {
            ConnectError::Silent(format!("the network of {to} is unreachable"))
        }
        Kind::ConnectionRefused => ConnectError::Unusable(format!(
            "{} refuses connections on {to}: the host is alive, SQL Server does not listen there. Start it, or declare the right port.",
            target.display
        )),
        _ => ConnectError::Unusable(format!(
            "{}: the connection to {to} failed ({error}). Check the network between here and there.",
            target.display
        )),
    }
}

async fn find_port(
    target: &Target,
    address: IpAddr,
    instance: &str,
    within: Duration,
) -> Result<u16, ConnectError> {
    let host = &target.host;
    let browser = format!("SQL Server Browser of {host} ({address}, UDP {})", browser::BROWSER_PORT);
    let mut alive = None;
    let reply = {
        let mut asking = pin!(browser::ask(address, instance, within));
        let mut probing = pin!(async {
            sleep(BROWSER_ALONE.min(within)).await;
            is_alive(target, address, within).await
        });
        let reply = loop {
            tokio::select! {
                reply = &mut asking => break reply,
                found = &mut probing, if alive.is_none() => alive = Some(found),
            }
        };
        if matches!(reply, Ok(Reply::Silence)) && alive.is_none() {
            alive = Some(probing.await);
        }
        reply
    };
    match reply {
        Ok(Reply::Port(port)) => Ok(port),
        Ok(Reply::NoPort) => Err(ConnectError::Unusable(format!(
            "{browser} knows no TCP port of instance {instance}. Check the name, start the instance, enable TCP, or declare its port."
        ))),
        Ok(Reply::Refused) => Err(ConnectError::Unusable(format!(
            "{browser} is not running, the host is alive. Start it, or declare the port of {instance}."
        ))),
        Ok(Reply::Silence) if alive == Some(true) => Err(ConnectError::Unusable(format!(
            "{browser} does not answer, but the host is alive. Start it, or declare the port of {instance}."
        ))),
        Ok(Reply::Silence) => Err(ConnectError::Silent(format!(
            "no answer from {address} in {}: UDP {}, TCP {} and {}",
            seconds(within),
            browser::BROWSER_PORT,
            SIGNS_OF_LIFE[0],
            SIGNS_OF_LIFE[1]
        ))),
        Err(error)
            if matches!(error.kind(), io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) =>
        {
            Err(ConnectError::Silent(format!("no route to {address} ({error})")))
        }
        Err(error) => Err(ConnectError::Unusable(format!("{browser} could not be asked ({error})."))),
    }
}

/// Whether a host shows any sign of life on the ports of [`SIGNS_OF_LIFE`].
async fn is_alive(target: &Target, address: IpAddr, within: Duration) -> bool {
    let probes = SIGNS_OF_LIFE.map(|port| open(target, SocketAddr::new(address, port), within));
    join_all(probes).await.into_iter().any(|p| !matches!(p, Err(ConnectError::Silent(_))))
}

fn config(target: &Target, port: u16) -> Config {
    let mut config = Config::new();
    config.host(&target.host);
    config.port(port);
    // A login whose default database is the chat database can't log in while that is RESTORING (4060).
    config.database("master");
    config.application_name(PROGRAM);
    config.authentication(AuthMethod::sql_server(
        &target.credentials.user,
        target.credentials.password.reveal(),
    ));
    config.encryption(match target.encryption {
        Encryption::Required => EncryptionLevel::Required,
        Encryption::LoginOnly => EncryptionLevel::Off,
        Encryption::Plaintext => EncryptionLevel::NotSupported,
    });
    if let Some(pem) = &target.ca_pem {
        config.trust_cert_ca_bundle(pem.clone());
    }
    // Each wait has a deadline of our own; the driver's would poison a connection in a long RESTORE.
    config.handshake_timeout(None);
    config.command_timeout(None);
    config.lossy_utf16_decoding(true);
    config
}

fn login_failure(target: &Target, address: IpAddr, port: u16, error: &TdsError) -> String {
    let Target { display, host, credentials, .. } = target;
    match error {
        TdsError::Server(token) => {
            let mut error = ServerError::from(token);
            error.message = credentials.hide(&error.message);
            let told = explain(&error);
            format!("{display} refuses the login {}: {} {}", credentials.shown, told.what, told.remedy)
        }
        TdsError::Tls(why) => {
            let lower = why.to_lowercase();
            let remedy = if lower.contains("certificate") || lower.contains("verify") {
                format!(
                    "Its certificate must be issued for {host} by an authority that is trusted here: put that authority's certificate into the Secret."
                )
            } else {
                "If that server speaks nothing newer than TLS 1.0, update it; a private, plaintext network is the last resort.".to_owned()
            };
            let why = pchat_psrp::tls_words(why);
            format!("{display} ({address}:{port}): the TLS handshake failed ({why}). {remedy}")
        }
        TdsError::Io { kind, message }
            if *kind == io::ErrorKind::UnexpectedEof || *kind == io::ErrorKind::ConnectionReset =>
        {
            format!(
                "{display} ({address}:{port}) closed the connection during the login ({message}). Check that it is SQL Server that listens there, and its encryption settings."
            )
        }
        other => format!(
            "{display} ({address}:{port}) did not complete the login ({other}). Check that it is SQL Server that listens there, and the encryption declared for it."
        ),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_lets_out_what_is_asked_for_a_sign_of_life() {
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/pchat-operator/values.yaml");
        let values = std::fs::read_to_string(chart).expect("the chart's values");
        let values: serde_yaml::Value = serde_yaml::from_str(&values).expect("YAML");
        let ports = values["networkPolicy"]["sqlServer"]["ports"].as_sequence().expect("ports");
        for port in SIGNS_OF_LIFE {
            assert!(ports.contains(&port.into()), "{port} is not in {ports:?}");
        }
    }
}
