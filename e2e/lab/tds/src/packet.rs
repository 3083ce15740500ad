//! TDS packets (MS-TDS 2.2.3): reassembles what a client sends into messages and cuts what a server answers into packets.
//!
//! Answers for framing and for its limits; it must never allocate by a length that a client merely claimed, nor look into a message.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Kinds of messages that clients send.
pub(crate) mod kind {
    /// SQL batch.
    pub const BATCH: u8 = 0x01;
    /// Remote procedure call.
    pub const RPC: u8 = 0x03;
    /// Tabular result, the only kind a server sends.
    pub const RESULT: u8 = 0x04;
    /// Attention, which cancels the running request.
    pub const ATTENTION: u8 = 0x06;
    /// Bulk load.
    pub const BULK: u8 = 0x07;
    /// Transaction manager request.
    pub const TRANSACTION: u8 = 0x0E;
    /// Login.
    pub const LOGIN: u8 = 0x10;
    /// PRELOGIN, and the TLS handshake wrapped in its packets.
    pub const PRELOGIN: u8 = 0x12;
}

/// Length of a packet's header.
pub(crate) const HEADER: usize = 8;
/// The packet size before one was negotiated.
pub(crate) const DEFAULT_SIZE: usize = 4096;

const STATUS_EOM: u8 = 0x01;
const STATUS_IGNORE: u8 = 0x02;
const STATUS_RESET: u8 = 0x08;
const STATUS_RESET_KEEP_TRANSACTION: u8 = 0x10;

/// A whole message of a client.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub kind: u8,
    pub body: Vec<u8>,
    /// The client asks to reset the session before this request (a pooled connection).
    pub reset: bool,
}

/// Reads the next message, at most `limit` bytes long; `None` when the client closed the connection between two messages.
pub(crate) async fn read<R: AsyncRead + Unpin>(from: &mut R, limit: usize) -> io::Result<Option<Incoming>> {
    loop {
        let mut message: Option<Incoming> = None;
        let ignored = loop {
            let mut header = [0u8; HEADER];
            if let Err(e) = from.read_exact(&mut header).await {
                let between = message.is_none() && e.kind() == io::ErrorKind::UnexpectedEof;
                return if between { Ok(None) } else { Err(e) };
            }
            let [kind, status, high, low, ..] = header;
            let length = usize::from(u16::from_be_bytes([high, low]));
            let Some(length) = length.checked_sub(HEADER) else {
                return Err(malformed(format!(
                    "a packet claims a length of {length} bytes, less than its header"
                )));
            };
            let whole = message.get_or_insert_with(|| Incoming { kind, body: Vec::new(), reset: false });
            if whole.kind != kind {
                return Err(malformed(format!(
                    "a packet of kind {kind:#04x} inside a message of kind {:#04x}",
                    whole.kind
                )));
            }
            if whole.body.len() + length > limit {
                return Err(malformed(format!("a message of more than {limit} bytes")));
            }
            whole.reset |= status & (STATUS_RESET | STATUS_RESET_KEEP_TRANSACTION) != 0;
            let start = whole.body.len();
            whole.body.resize(start + length, 0);
            from.read_exact(&mut whole.body[start..]).await?;
            if status & STATUS_EOM != 0 {
                break status & STATUS_IGNORE != 0;
            }
        };
        if !ignored {
            return Ok(message);
        }
    }
}

/// Cuts `data` into packets of a server's answer. Without `last` the message goes on: no packet bears the end mark.
pub(crate) fn cut(data: &[u8], spid: u16, id: &mut u8, size: usize, last: bool) -> Vec<u8> {
    let room = size - HEADER;
    let parts = data.len().div_ceil(room).max(usize::from(last));
    let mut out = Vec::with_capacity(data.len() + parts * HEADER);
    for part in 0..parts {
        let body = &data[part * room..data.len().min((part + 1) * room)];
        let end = last && part + 1 == parts;
        out.extend([kind::RESULT, u8::from(end)]);
        out.extend(((body.len() + HEADER) as u16).to_be_bytes());
        out.extend(spid.to_be_bytes());
        out.extend([*id, 0]);
        out.extend(body);
        *id = id.wrapping_add(1);
    }
    out
}

/// An I/O error that stands for a breach of the protocol.
pub(crate) fn malformed(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(kind: u8, status: u8, body: &[u8]) -> Vec<u8> {
        let mut p = vec![kind, status];
        p.extend(((body.len() + HEADER) as u16).to_be_bytes());
        p.extend([0, 0, 1, 0]);
        p.extend(body);
        p
    }

    #[tokio::test]
    async fn a_message_in_several_packets_is_put_together_and_its_reset_mark_kept() {
        let wire = [packet(1, 0x08, b"ab"), packet(1, 0, b"c"), packet(1, 1, b"d")].concat();
        let m = read(&mut wire.as_slice(), 100).await.unwrap().unwrap();
        assert_eq!((m.kind, m.body.as_slice(), m.reset), (1, b"abcd".as_slice(), true));
    }

    #[tokio::test]
    async fn a_message_beyond_the_limit_is_refused_before_it_is_read() {
        let wire = [packet(1, 0, &[0; 60]), packet(1, 0, &[0; 60])].concat();
        assert!(read(&mut wire.as_slice(), 100).await.unwrap_err().to_string().contains("more than 100"));
    }

    #[tokio::test]
    async fn a_length_below_the_header_is_refused() {
        let wire = [1u8, 1, 0, 7, 0, 0, 0, 0];
        assert!(read(&mut wire.as_slice(), 100).await.is_err());
    }

    #[tokio::test]
    async fn a_message_marked_to_be_ignored_is_skipped() {
        let wire = [packet(1, 3, b"no"), packet(1, 1, b"yes")].concat();
        assert_eq!(read(&mut wire.as_slice(), 100).await.unwrap().unwrap().body, b"yes");
        let mut wire: &[u8] = &[];
        assert!(read(&mut wire, 100).await.unwrap().is_none());
    }

    #[test]
    fn an_answer_is_cut_at_the_negotiated_size_and_only_its_last_packet_ends_it() {
        let mut id = 1;
        let out = cut(&[7; 1000], 51, &mut id, 512, true);
        assert_eq!(out.len(), 1000 + 2 * HEADER);
        assert_eq!((&out[..2], &out[512..514]), ([4, 0].as_slice(), [4, 1].as_slice()));
        assert_eq!(u16::from_be_bytes([out[2], out[3]]), 512);
        assert!(cut(&[], 51, &mut id, 512, false).is_empty());
        assert_eq!(cut(&[], 51, &mut id, 512, true).len(), HEADER);
    }
}
