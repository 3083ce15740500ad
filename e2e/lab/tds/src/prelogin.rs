//! PRELOGIN (MS-TDS 2.2.6.5): what is agreed before the login, above all the encryption.
//!
//! Answers for the choice of encryption; never for the handshake itself (see [`crate::tls`]).

/// What a server offers and demands of encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// No TLS at all, as an instance that has no certificate and does not make one (`ENCRYPT_NOT_SUP`).
    NotSupported,
    /// TLS for the login, and for everything where the client asks for it: the default of SQL Server (`ENCRYPT_OFF`).
    LoginOnly,
    /// TLS where the client can do it, and clients that cannot are still let in. (`ENCRYPT_ON`).
    On,
    /// TLS for everything, "Force Encryption"; clients that cannot do it are turned away (`ENCRYPT_REQ`).
    Required,
}

/// What was agreed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreed {
    /// Everything in clear.
    Plain,
    /// The login under TLS, the rest in clear.
    LoginOnly,
    /// Everything under TLS.
    All,
    /// No agreement: the client learns why from the answer, then the connection ends.
    Refused,
}

const OFF: u8 = 0;
const ON: u8 = 1;
const NOT_SUPPORTED: u8 = 2;
const REQUIRED: u8 = 3;

mod option {
    pub const VERSION: u8 = 0;
    pub const ENCRYPTION: u8 = 1;
    pub const INSTANCE: u8 = 2;
    pub const THREAD: u8 = 3;
    pub const MARS: u8 = 4;
    pub const END: u8 = 0xFF;
}

/// The value of an option in a client's PRELOGIN; `None` where it is absent or points outside the message.
fn find(body: &[u8], wanted: u8) -> Option<&[u8]> {
    for entry in body.chunks(5) {
        match *entry {
            [option::END, ..] => return None,
            [token, a, b, c, d] if token == wanted => {
                let start = usize::from(u16::from_be_bytes([a, b]));
                return body.get(start..start + usize::from(u16::from_be_bytes([c, d])));
            }
            _ => {}
        }
    }
    None
}

/// What the client and this server agree on, and the byte that tells the client so.
pub(crate) fn negotiate(client: &[u8], server: Encryption) -> (Agreed, u8) {
    // The high bits speak of client certificates, which this server does not use.
    let client = find(client, option::ENCRYPTION).and_then(|v| v.first()).map_or(NOT_SUPPORTED, |b| b & 0x0F);
    match (client, server) {
        (_, Encryption::NotSupported) => (Agreed::Plain, NOT_SUPPORTED),
        (NOT_SUPPORTED, Encryption::Required) => (Agreed::Refused, REQUIRED),
        (NOT_SUPPORTED, _) => (Agreed::Plain, NOT_SUPPORTED),
        (OFF, Encryption::LoginOnly) => (Agreed::LoginOnly, OFF),
        (OFF, _) => (Agreed::All, REQUIRED),
        _ => (Agreed::All, ON),
    }
}

/// This server's answer. `version` is major, minor and build.
pub(crate) fn reply(version: (u8, u8, u16), encryption: u8) -> Vec<u8> {
    let (major, minor, build) = version;
    let [high, low] = build.to_be_bytes();
    let options: [(u8, &[u8]); 5] = [
        (option::VERSION, &[major, minor, high, low, 0, 0]),
        (option::ENCRYPTION, &[encryption]),
        // 0: the instance that the client named is this one.
        (option::INSTANCE, &[0]),
        (option::THREAD, &[]),
        (option::MARS, &[0]),
    ];
    let (mut directory, mut values) = (Vec::<u8>::new(), Vec::<u8>::new());
    let start = options.len() * 5 + 1;
    for (token, value) in options {
        directory.push(token);
        directory.extend(((start + values.len()) as u16).to_be_bytes());
        directory.extend((value.len() as u16).to_be_bytes());
        values.extend(value);
    }
    directory.push(option::END);
    directory.extend(values);
    directory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_is_agreed_as_the_table_of_ms_tds_says() {
        let client = |byte| reply((15, 0, 0), byte);
        let cases = [
            (NOT_SUPPORTED, Encryption::LoginOnly, (Agreed::Plain, NOT_SUPPORTED)),
            (NOT_SUPPORTED, Encryption::Required, (Agreed::Refused, REQUIRED)),
            (OFF, Encryption::NotSupported, (Agreed::Plain, NOT_SUPPORTED)),
            (OFF, Encryption::LoginOnly, (Agreed::LoginOnly, OFF)),
            (OFF, Encryption::Required, (Agreed::All, REQUIRED)),
            (ON, Encryption::LoginOnly, (Agreed::All, ON)),
            (ON, Encryption::NotSupported, (Agreed::Plain, NOT_SUPPORTED)),
            (REQUIRED, Encryption::Required, (Agreed::All, ON)),
        ];
        for (byte, server, expected) in cases {
            assert_eq!(negotiate(&client(byte), server), expected, "client {byte}, server {server:?}");
        }
    }

    #[test]
    fn an_option_that_points_outside_the_message_is_as_good_as_absent() {
        assert_eq!(find(&[1, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], option::ENCRYPTION), None);
        assert_eq!(find(&[1, 0, 0], option::ENCRYPTION), None);
    }
}
