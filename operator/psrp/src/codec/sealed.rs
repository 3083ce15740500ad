//! The envelope around a sealed message over plain HTTP: `multipart/encrypted` as WinRM writes it
//! (MS-WSMV 2.2.9.1). Framing only; sealing is the security context's.

/// Content type of a body sealed by SPNEGO or NTLM.
pub const SPNEGO: &str = "application/HTTP-SPNEGO-session-encrypted";
/// Content type of a body sealed by Kerberos.
pub const KERBEROS: &str = "application/HTTP-Kerberos-session-encrypted";

const NAME: &[u8] = b"Encrypted Boundary";
const CLEAR_TYPE: &str = "type=application/soap+xml;charset=UTF-8;Length=";

/// Why a body is not a sealed message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the sealed body is malformed: {0}")]
pub struct SealedError(&'static str);

/// A sealed message out of its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// How long the clear text must be.
    pub clear_length: usize,
    /// The signature or token in front of the data.
    pub token: &'a [u8],
    /// The sealed data.
    pub data: &'a [u8],
}

/// Value of the `Content-Type` header for a body sealed by `protocol`.
pub fn content_type(protocol: &str) -> String {
    format!("multipart/encrypted;protocol=\"{protocol}\";boundary=\"Encrypted Boundary\"")
}

/// Whether a `Content-Type` header announces a sealed body.
pub fn is_sealed(content_type: &str) -> bool {
    content_type.trim_start().to_ascii_lowercase().starts_with("multipart/encrypted")
}

/// Frames a sealed message. `padding` is what the mechanism added to the clear text.
pub fn write(protocol: &str, clear_length: usize, token: &[u8], data: &[u8]) -> Vec<u8> {
    let mut out = format!(
        "--Encrypted Boundary\r\n\tContent-Type: {protocol}\r\n\tOriginalContent: {CLEAR_TYPE}{clear_length}\r\n\
         --Encrypted Boundary\r\n\tContent-Type: application/octet-stream\r\n"
    )
    .into_bytes();
    // A token is tens of bytes; both mechanisms bound it.
    out.extend((token.len() as u32).to_le_bytes());
    out.extend(token);
    out.extend(data);
    out.extend(b"--Encrypted Boundary--\r\n");
    out
}

/// Reads the frame of one sealed message.
///
/// # Errors
/// [`SealedError`] on anything but exactly one well-framed message.
pub fn read(body: &[u8]) -> Result<Sealed<'_>, SealedError> {
    let (first, mut rest) = line(body)?;
    if !is_boundary(first) {
        return Err(SealedError("it does not begin with the boundary"));
    }
    let mut clear_length = None;
    loop {
        let (header, tail) = line(rest)?;
        rest = tail;
        if is_boundary(header) {
            break;
        }
        let header = std::str::from_utf8(header).map_err(|_| SealedError("a header is not text"))?;
        if let Some((name, value)) = header.split_once(':')
            && name.trim().eq_ignore_ascii_case("OriginalContent")
        {
            let length = value.split(';').find_map(|part| part.trim().strip_prefix("Length="));
            clear_length = length.and_then(|n| n.trim().parse().ok());
        }
    }
    let clear_length = clear_length.ok_or(SealedError("the length of the clear text is missing"))?;
    let (header, rest) = line(rest)?;
    if !header.trim_ascii().to_ascii_lowercase().ends_with(b"application/octet-stream") {
        return Err(SealedError("the second part is not application/octet-stream"));
    }
    // The data may hold anything, so its end is counted from the end of the body.
    let rest = rest
        .strip_suffix(b"\r\n")
        .unwrap_or(rest)
        .strip_suffix(b"--")
        .and_then(|r| r.strip_suffix(NAME))
        .and_then(|r| r.strip_suffix(b" ").unwrap_or(r).strip_suffix(b"--"))
        .ok_or(SealedError("it does not end with the boundary"))?;
    let (size, rest) = rest.split_first_chunk::<4>().ok_or(SealedError("the token is missing"))?;
    let size = u32::from_le_bytes(*size) as usize;
    if size > rest.len() {
        return Err(SealedError("the token is longer than the body"));
    }
    let (token, data) = rest.split_at(size);
    Ok(Sealed { clear_length, token, data })
}

/// Endpoints hosted by IIS put a space between the dashes and the name.
fn is_boundary(line: &[u8]) -> bool {
    line.strip_prefix(b"--").is_some_and(|name| name.trim_ascii_start() == NAME)
}

fn line(rest: &[u8]) -> Result<(&[u8], &[u8]), SealedError> {
    let at = rest.windows(2).position(|w| w == b"\r\n").ok_or(SealedError("a header has no end"))?;
    Ok((&rest[..at], &rest[at + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framed_message_reads_back_even_when_its_data_looks_like_a_boundary() {
        let data = b"\r\n--Encrypted Boundary--\r\n--Encrypted Boundary\r\n";
        let body = write(SPNEGO, 12, &[1; 16], data);
        assert_eq!(read(&body), Ok(Sealed { clear_length: 12, token: &[1; 16], data }));
    }

    #[test]
    fn a_space_after_the_dashes_of_a_boundary_is_read_too() {
        let body = write(SPNEGO, 5, &[1; 16], &[b'x'; 5]);
        let spaced = String::from_utf8(body).unwrap().replace("--Encrypted", "-- Encrypted");
        assert_eq!(read(spaced.as_bytes()).unwrap().data, b"xxxxx");
    }

    #[test]
    fn a_frame_cut_or_bent_anywhere_is_refused_or_shorter_but_never_a_panic() {
        let body = write(SPNEGO, 5, &[1; 16], b"hello");
        for end in 0..body.len() - 2 {
            assert!(read(&body[..end]).is_err(), "cut at {end}");
        }
        for at in 0..body.len() {
            let mut bent = body.clone();
            bent[at] ^= 0xff;
            let _ = read(&bent);
        }
    }
}
