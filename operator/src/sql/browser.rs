//! Asks SQL Server Browser for the port of a named instance ([MS-SQLR] 2.2.3 CLNT_UCAST_INST).
//!
//! The answer is an unauthenticated datagram: nothing in it is believed beyond a port number, and the
//! login that follows proves who is there.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::timeout;

/// UDP port of SQL Server Browser.
pub const BROWSER_PORT: u16 = 1434;

const CLNT_UCAST_INST: u8 = 0x04;
const SVR_RESP: u8 = 0x05;

/// What came of asking.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// The instance listens on this TCP port.
    Port(u16),
    /// An answer came, but not one with a TCP port of this instance.
    NoPort,
    /// The host is alive and says that nothing listens there (ICMP port unreachable).
    Refused,
    /// Nothing came back.
    Silence,
}

/// Asks twice (a datagram may be lost), each time for at most half of `within`.
pub async fn ask(address: IpAddr, instance: &str, within: Duration) -> io::Result<Reply> {
    let local: SocketAddr = match address {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(local).await?;
    socket.connect((address, BROWSER_PORT)).await?;
    let mut request = vec![CLNT_UCAST_INST];
    request.extend_from_slice(instance.as_bytes());
    request.push(0);
    let mut buffer = [0u8; 2048];
    for _ in 0..2 {
        if let Err(error) = socket.send(&request).await {
            return refused_or(error);
        }
        match timeout(within / 2, socket.recv(&mut buffer)).await {
            Ok(Ok(length)) => return Ok(read(&buffer[..length], instance)),
            Ok(Err(error)) => return refused_or(error),
            Err(_) => {}
        }
    }
    Ok(Reply::Silence)
}

fn refused_or(error: io::Error) -> io::Result<Reply> {
    if error.kind() == io::ErrorKind::ConnectionRefused { Ok(Reply::Refused) } else { Err(error) }
}

fn read(datagram: &[u8], instance: &str) -> Reply {
    let [SVR_RESP, _, _, text @ ..] = datagram else { return Reply::NoPort };
    let text = String::from_utf8_lossy(text);
    let mut words = text.split(';');
    let mut ours = false;
    while let (Some(key), Some(value)) = (words.next(), words.next()) {
        match key {
            "InstanceName" => ours = value.eq_ignore_ascii_case(instance),
            "tcp" if ours => {
                return value.parse().ok().filter(|p| *p != 0).map_or(Reply::NoPort, Reply::Port);
            }
            _ => {}
        }
    }
    Reply::NoPort
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(text: &str) -> Vec<u8> {
        let mut out = vec![SVR_RESP];
        out.extend_from_slice(&(text.len() as u16).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
        out
    }

    #[test]
    fn only_the_port_of_the_asked_instance_is_taken() {
        let one = "ServerName;SQL-KS1;InstanceName;PCHAT;IsClustered;No;Version;10.50.1600.1;tcp;49172;;";
        assert_eq!(read(&datagram(one), "pchat"), Reply::Port(49172));
        assert_eq!(read(&datagram(one), "OTHER"), Reply::NoPort);
        assert_eq!(read(&datagram(&one.replace("49172", "banana")), "PCHAT"), Reply::NoPort);
        assert_eq!(read(&datagram(&one.replace(";tcp;49172", "")), "PCHAT"), Reply::NoPort);
        for length in 0..4 {
            assert_eq!(read(&datagram(one)[..length], "PCHAT"), Reply::NoPort);
        }
    }
}
