//! LOGIN7 (MS-TDS 2.2.6.4) and the tokens that answer it.
//!
//! Answers for reading a login and telling its outcome; whether a login is good is the engine's to say.

use std::fmt;

use crate::decode::{Cursor, Malformed, utf16};
use crate::packet::DEFAULT_SIZE;
use crate::respond::Tokens;
use crate::types::Message;

/// TDS 7.2, the oldest version whose tokens this server writes.
pub(crate) const TDS_7_2: u32 = 0x7209_0002;
/// TDS 7.4, the newest it speaks.
const TDS_7_4: u32 = 0x7400_0004;

/// A login as the client sent it.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The SQL Server login.
    pub user: String,
    /// Its password in clear.
    pub password: String,
    /// The client's workstation.
    pub host: String,
    /// The client's program (`program_name` of a session).
    pub program: String,
    /// The client's driver.
    pub driver: String,
    /// The server's name as the client knows it.
    pub server: String,
    /// The database asked for; empty for the login's default.
    pub database: String,
    /// Windows authentication was asked for, so that there is neither user nor password.
    pub integrated: bool,
    pub(crate) tds: u32,
    pub(crate) packet_size: usize,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, host, program, database, integrated, tds, .. } = self;
        write!(f, "Login {{ user: {user:?}, host: {host:?}, program: {program:?}, database: {database:?}, ")?;
        write!(f, "integrated: {integrated}, tds: {tds:#010x} }}")
    }
}

/// A login that the engine turned away, with what the client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(pub Vec<Message>);

impl Refusal {
    /// Wrong user, wrong password, disabled login: SQL Server tells a client nothing of which (18456, state 1, class 14).
    pub fn bad_login(user: &str) -> Self {
        Self(vec![Message::error(18456, format!("Login failed for user '{user}'.")).with_class(14)])
    }

    /// The database asked for does not exist or the login may not use it (4060, then 18456).
    pub fn no_database(user: &str, database: &str) -> Self {
        let text = format!("Cannot open database \"{database}\" requested by the login. The login failed.");
        let Self(login) = Self::bad_login(user);
        Self([vec![Message::error(4060, text).with_class(11)], login].concat())
    }

    /// Windows authentication by a client whom no domain of this server vouches for.
    pub fn untrusted_domain() -> Self {
        let text = "Login failed. The login is from an untrusted domain and cannot be used with Integrated authentication.";
        Self(vec![Message::error(18452, text).with_class(14)])
    }
}

/// Offset and length of a text field, by its place in the message.
fn field(body: &[u8], at: usize) -> Result<&[u8], Malformed> {
    let mut place = Cursor::new(body.get(at..).ok_or(Malformed::Short("LOGIN7"))?);
    let (offset, units) = (usize::from(place.u16("LOGIN7")?), usize::from(place.u16("LOGIN7")?));
    if units == 0 {
        return Ok(&[]);
    }
    body.get(offset..offset + units * 2).ok_or(Malformed::Value("a text of LOGIN7"))
}

/// Reads a LOGIN7 message.
pub(crate) fn parse(body: &[u8]) -> Result<Login, Malformed> {
    let mut head = Cursor::new(body);
    let length = head.u32("LOGIN7")? as usize;
    if length > body.len() {
        return Err(Malformed::Value("the length of LOGIN7"));
    }
    let tds = head.u32("LOGIN7")?;
    let packet_size = head.u32("LOGIN7")? as usize;
    let flags2 = *body.get(25).ok_or(Malformed::Short("LOGIN7"))?;
    // A password is hidden, not encrypted: XOR 0xA5 after its nibbles were swapped.
    let password: Vec<u8> = field(body, 44)?.iter().map(|b| (b ^ 0xA5).rotate_left(4)).collect();
    let text = |at| field(body, at).map(utf16);
    Ok(Login {
        host: text(36)?,
        user: text(40)?,
        password: utf16(&password),
        program: text(48)?,
        server: text(52)?,
        driver: text(60)?,
        database: text(68)?,
        integrated: flags2 & 0x80 != 0,
        tds: tds.min(TDS_7_4),
        packet_size: if packet_size == 0 { DEFAULT_SIZE } else { packet_size.clamp(512, 32_767) },
    })
}

/// Writes the answer to a good login.
pub(crate) fn welcome(out: &mut Tokens, login: &Login, database: &str, version: (u8, u8, u16)) {
    out.database_changed("master", database);
    out.collation();
    out.env_change(2, "us_english", "");
    out.message(&Message { state: 1, ..Message::info(5703, "Changed language setting to us_english.") });
    out.login_ack(login.tds, "Microsoft SQL Server", version);
    out.env_change(4, &login.packet_size.to_string(), &DEFAULT_SIZE.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login7(texts: &[(usize, &[u8])]) -> Vec<u8> {
        let mut body = vec![0u8; 94];
        body[4..8].copy_from_slice(&0x7400_0004u32.to_le_bytes());
        for (at, text) in texts {
            let offset = body.len() as u16;
            body[*at..at + 2].copy_from_slice(&offset.to_le_bytes());
            body[at + 2..at + 4].copy_from_slice(&((text.len() / 2) as u16).to_le_bytes());
            body.extend(*text);
        }
        let length = (body.len() as u32).to_le_bytes();
        body[..4].copy_from_slice(&length);
        body
    }

    #[test]
    fn a_password_is_read_and_never_printed() {
        // "pw" as MS-TDS 2.2.6.4 hides it: nibbles swapped, then XOR 0xA5.
        let hidden: Vec<u8> = [0x70u8, 0, 0x77, 0].iter().map(|b| b.rotate_left(4) ^ 0xA5).collect();
        let login = parse(&login7(&[(40, &[b's', 0, b'a', 0]), (44, &hidden)])).unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("sa", "pw"));
        assert!(!format!("{login:?}").contains("pw"));
    }

    #[test]
    fn a_field_outside_the_message_is_refused() {
        let mut body = login7(&[(40, &[b's', 0])]);
        body[42..44].copy_from_slice(&9999u16.to_le_bytes());
        assert!(parse(&body).is_err());
        assert!(parse(&body[..20]).is_err());
    }
}
