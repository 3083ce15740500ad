//! SQL Server Browser: tells which port an instance of a host has (MC-SQLR).
//!
//! Answers for the datagrams; a host that is dead or has no Browser says nothing at all, which is [`super::host`]'s to arrange.

use std::io;
use std::net::SocketAddr;

use tokio::net::UdpSocket;

/// The Browser's port.
pub const PORT: u16 = 1434;

/// What the Browser tells of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// NetBIOS name of the host.
    pub host: String,
    /// Instance name, `MSSQLSERVER` for the default instance.
    pub name: String,
    /// Version as `11.0.7001.0`.
    pub version: String,
    /// Port of its TCP listener.
    pub port: u16,
}

const BROADCAST: u8 = 0x02;
const ALL: u8 = 0x03;
const ONE: u8 = 0x04;
const ANSWER: u8 = 0x05;

/// The answer to a datagram; `None` where a Browser is silent: unknown instances and whatever it does not understand.
fn answer(request: &[u8], instances: &[Instance]) -> Option<Vec<u8>> {
    let (kind, rest) = request.split_first()?;
    let wanted: Vec<&Instance> = match *kind {
        BROADCAST | ALL => instances.iter().collect(),
        ONE => {
            let name = rest.split(|b| *b == 0).next()?;
            instances.iter().filter(|i| i.name.as_bytes().eq_ignore_ascii_case(name)).collect()
        }
        _ => return None,
    };
    if wanted.is_empty() {
        return None;
    }
    let text: String = wanted
        .iter()
        .map(|Instance { host, name, version, port }| {
            format!("ServerName;{host};InstanceName;{name};IsClustered;No;Version;{version};tcp;{port};;")
        })
        .collect();
    let mut datagram = vec![ANSWER];
    datagram.extend(u16::try_from(text.len()).ok()?.to_le_bytes());
    datagram.extend(text.as_bytes());
    Some(datagram)
}

/// Answers datagrams until the socket fails or the future is dropped. `silent` is asked for each one.
pub(super) async fn serve(
    socket: &UdpSocket,
    instances: &[Instance],
    silent: impl Fn() -> bool,
) -> io::Result<()> {
    let mut datagram = [0u8; 512];
    loop {
        let (length, from): (usize, SocketAddr) = socket.recv_from(&mut datagram).await?;
        let Some(reply) = answer(&datagram[..length], instances) else { continue };
        if !silent() {
            // A client that is gone again is no concern of the Browser's.
            let _gone = socket.send_to(&reply, from).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_is_found_whatever_its_case_and_an_unknown_one_gets_silence() {
        let here = [Instance {
            host: "SQL-TP1".into(),
            name: "PCHAT".into(),
            version: "11.0.7001.0".into(),
            port: 50_123,
        }];
        let reply = answer(b"\x04pchat\0", &here).unwrap();
        assert_eq!((reply[0], usize::from(u16::from_le_bytes([reply[1], reply[2]]))), (5, reply.len() - 3));
        assert!(String::from_utf8_lossy(&reply).ends_with("Version;11.0.7001.0;tcp;50123;;"));
        assert_eq!(answer(b"\x04other\0", &here), None);
        assert_eq!(answer(b"", &here), None);
        assert_eq!(answer(b"\x03", &here), Some(reply));
    }
}
