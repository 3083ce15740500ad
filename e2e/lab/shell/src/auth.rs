//! Logging in: Negotiate (SPNEGO around NTLM, or NTLM as it is) and Basic.
//!
//! A context belongs to one connection. Whoever did not prove that they know the password is nobody: the
//! NTLM library vouches for the password only by the message integrity code, so one is demanded.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pchat_psrp::codec::sealed;
use sspi::ntlm::NtlmConfig;
use sspi::{
    AuthIdentity, BufferType, CredentialUse, DataRepresentation, EncryptionFlags, Negotiate, NegotiateConfig,
    Ntlm, SecurityBuffer, SecurityBufferRef, SecurityStatus, ServerRequestFlags, Sspi, SspiEx, SspiImpl,
    Username,
};

/// Length of an NTLM message signature (MS-NLMP 2.2.2.9).
const SIGNATURE: usize = 16;

/// Someone who may log in.
#[derive(Clone)]
pub struct Account {
    /// User name.
    pub user: String,
    /// NetBIOS name of the domain.
    pub domain: String,
    /// Password.
    pub password: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.full_name())
    }
}

impl Account {
    pub(crate) fn full_name(&self) -> String {
        format!("{}\\{}", self.domain, self.user)
    }

    /// Whether someone who calls themselves so means this account: `user`, `DOMAIN\user`, `user@domain.tld`.
    fn answers_to(&self, user: &str, domain: Option<&str>) -> bool {
        let domain_fits = domain.is_none_or(|d| {
            let first = d.split('.').next().unwrap_or(d);
            d.is_empty() || first.eq_ignore_ascii_case(&self.domain)
        });
        user.eq_ignore_ascii_case(&self.user) && domain_fits
    }
}

/// The account that a name means.
fn find<'a>(accounts: &'a [Account], name: &str) -> Option<&'a Account> {
    let (user, domain) = match (name.split_once('\\'), name.split_once('@')) {
        (Some((domain, user)), _) => (user, Some(domain)),
        (None, Some((user, domain))) => (user, Some(domain)),
        (None, None) => (name, None),
    };
    accounts.iter().find(|a| a.answers_to(user, domain))
}

/// Who a Basic header names, when the password is right.
pub(crate) fn basic<'a>(accounts: &'a [Account], blob: &str) -> Option<&'a Account> {
    let bytes = STANDARD.decode(blob.trim()).ok()?;
    // RFC 7617 leaves the encoding open, and clients differ: UTF-8 where it is that, Latin-1 otherwise.
    let text =
        String::from_utf8(bytes).unwrap_or_else(|e| e.as_bytes().iter().copied().map(char::from).collect());
    let (name, password) = text.split_once(':')?;
    find(accounts, name).filter(|a| a.password == password)
}

/// What a token led to.
pub(crate) enum Step {
    /// The client has to go on with this token.
    Continue(Vec<u8>),
    /// The client is this account; the token, when there is one, ends the exchange.
    Done(String, Option<Vec<u8>>),
}

/// A login in progress, then the context that seals.
pub(crate) struct Context {
    mechanism: Mechanism,
    /// Whether the login is complete.
    done: bool,
}

enum Mechanism {
    Raw(Box<Ntlm>),
    Spnego(Box<Negotiate>),
}

impl Context {
    /// A context for a client whose first token this is.
    pub(crate) fn new(first: &[u8], accounts: &[Account]) -> Result<Self, String> {
        let mechanism = if first.starts_with(b"NTLMSSP\0") {
            Mechanism::Raw(Box::new(Ntlm::new()))
        } else {
            let host = "LAB".to_owned();
            let config = NegotiateConfig::new(
                Box::new(NtlmConfig::new(host.clone())),
                Some("ntlm,!kerberos,!pku2u".to_owned()),
                host,
            );
            Mechanism::Spnego(Box::new(Negotiate::new_server(config, identities(accounts)).map_err(text)?))
        };
        Ok(Self { mechanism, done: false })
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Takes a token of the client. `binding` is the hash of our certificate; when `strict`, the client must
    /// have bound itself to it.
    pub(crate) fn step(
        &mut self,
        token: Vec<u8>,
        accounts: &[Account],
        binding: Option<&[u8]>,
        strict: bool,
    ) -> Result<Step, String> {
        let claims = Claims::find(&token);
        if let Some(claims) = &claims {
            if !claims.integrity {
                return Err(
                    "the login has no message integrity code, so its password cannot be verified".into()
                );
            }
            if strict && binding.is_some() && !claims.bound {
                return Err("the login is not bound to the TLS channel".into());
            }
        }
        let mut input = vec![SecurityBuffer::new(token, BufferType::Token)];
        if let Some(hash) = binding {
            input.push(SecurityBuffer::new(channel_bindings(hash), BufferType::ChannelBindings));
        }
        let mut output = vec![SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let status = match &mut self.mechanism {
            Mechanism::Raw(ntlm) => accept(&mut **ntlm, &mut input, &mut output)?,
            Mechanism::Spnego(negotiate) => accept(&mut **negotiate, &mut input, &mut output)?,
        };
        let answer = output.swap_remove(0).buffer;
        match status {
            SecurityStatus::ContinueNeeded => return Ok(Step::Continue(answer)),
            SecurityStatus::Ok | SecurityStatus::CompleteNeeded => {}
            other => return Err(format!("the login ended as {other:?}")),
        }
        if claims.is_none() {
            return Err("the login ended without naming anybody".into());
        }
        let names = match &mut self.mechanism {
            Mechanism::Raw(ntlm) => ntlm.query_context_names(),
            Mechanism::Spnego(negotiate) => negotiate.query_context_names(),
        };
        let username = names.map_err(text)?.username;
        let claimed = username.inner();
        let account = find(accounts, claimed).ok_or_else(|| format!("there is no account {claimed:?}"))?;
        let name = Username::new(&account.user, Some(&account.domain)).map_err(text)?;
        let identity = AuthIdentity { username: name, password: account.password.clone().into() };
        match &mut self.mechanism {
            Mechanism::Raw(ntlm) => {
                ntlm.custom_set_auth_identities(vec![identity]).map_err(text)?;
                ntlm.complete_auth_token(&mut []).map_err(text)?;
            }
            // It has compared the MIC of the mechanism list by now, for which it needed the password.
            Mechanism::Spnego(negotiate) => {
                negotiate.complete_auth_token(&mut []).map_err(text)?;
            }
        }
        self.done = true;
        Ok(Step::Done(account.full_name(), (!answer.is_empty()).then_some(answer)))
    }

    /// Seals an answer into an HTTP body.
    pub(crate) fn seal(&mut self, mut clear: Vec<u8>) -> Result<Vec<u8>, String> {
        let length = clear.len();
        let mut token = vec![0; SIGNATURE];
        let mut buffers = [SecurityBufferRef::token_buf(&mut token), SecurityBufferRef::data_buf(&mut clear)];
        match &mut self.mechanism {
            Mechanism::Raw(ntlm) => ntlm.encrypt_message(EncryptionFlags::empty(), &mut buffers),
            Mechanism::Spnego(negotiate) => negotiate.encrypt_message(EncryptionFlags::empty(), &mut buffers),
        }
        .map_err(text)?;
        Ok(sealed::write(sealed::SPNEGO, length, &token, &clear))
    }

    /// Opens a sealed request.
    pub(crate) fn unseal(&mut self, body: &[u8]) -> Result<Vec<u8>, String> {
        let frame = sealed::read(body).map_err(|e| e.to_string())?;
        if frame.token.len() != SIGNATURE {
            return Err("the signature of a sealed message has the wrong length".into());
        }
        let (mut token, mut data) = (frame.token.to_vec(), frame.data.to_vec());
        let mut buffers = [SecurityBufferRef::token_buf(&mut token), SecurityBufferRef::data_buf(&mut data)];
        match &mut self.mechanism {
            Mechanism::Raw(ntlm) => ntlm.decrypt_message(&mut buffers),
            Mechanism::Spnego(negotiate) => negotiate.decrypt_message(&mut buffers),
        }
        .map_err(text)?;
        if data.len() != frame.clear_length {
            return Err("a sealed message has another length than announced".into());
        }
        Ok(data)
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn accept<P>(
    package: &mut P,
    input: &mut [SecurityBuffer],
    output: &mut [SecurityBuffer],
) -> Result<SecurityStatus, String>
where
    P: SspiImpl + Sspi,
{
    let mut credentials = package
        .acquire_credentials_handle()
        .with_credential_use(CredentialUse::Inbound)
        .execute(package)
        .map_err(text)?
        .credentials_handle;
    let builder = package
        .accept_security_context()
        .with_credentials_handle(&mut credentials)
        .with_context_requirements(ServerRequestFlags::ALLOCATE_MEMORY)
        .with_target_data_representation(DataRepresentation::Native)
        .with_input(input)
        .with_output(output);
    let result = package.accept_security_context_impl(builder).map_err(text)?.resolve_to_result();
    Ok(result.map_err(text)?.status)
}

/// Every form of name by which the accounts may log in; the library compares names with their form.
fn identities(accounts: &[Account]) -> Vec<AuthIdentity> {
    let mut out = Vec::new();
    for a in accounts {
        let upn = format!("{}@{}", a.user, a.domain);
        let forms =
            [Username::new(&a.user, Some(&a.domain)), Username::new(&a.user, None), Username::parse(&upn)];
        for username in forms.into_iter().flatten() {
            out.push(AuthIdentity { username, password: a.password.clone().into() });
        }
    }
    out
}

/// SEC_CHANNEL_BINDINGS with nothing but application data (RFC 5929, tls-server-end-point).
fn channel_bindings(hash: &[u8]) -> Vec<u8> {
    let data = [b"tls-server-end-point:", hash].concat();
    let mut out = vec![0; 32];
    // The hash of a certificate is at most 64 bytes long.
    out[24..28].copy_from_slice(&(data.len() as u32).to_le_bytes());
    out[28..32].copy_from_slice(&32u32.to_le_bytes());
    out.extend(data);
    out
}

/// What an AUTHENTICATE message says about itself (MS-NLMP 2.2.1.3, 2.2.2.1, 2.2.2.7).
struct Claims {
    /// It has a message integrity code.
    integrity: bool,
    /// It names a channel.
    bound: bool,
}

impl Claims {
    /// Looks for an AUTHENTICATE message, which may be wrapped in SPNEGO.
    fn find(token: &[u8]) -> Option<Self> {
        const MARK: &[u8] = b"NTLMSSP\0\x03\0\0\0";
        let start = token.windows(MARK.len()).position(|w| w == MARK)?;
        Some(Self::read(&token[start..]).unwrap_or(Self { integrity: false, bound: false }))
    }

    fn read(message: &[u8]) -> Option<Self> {
        let word =
            |at: usize| Some(usize::from(u16::from_le_bytes([*message.get(at)?, *message.get(at + 1)?])));
        let (length, offset) = (word(20)?, word(24)?);
        // NTLMv2_RESPONSE: the proof (16), the fixed part of the client's challenge (28), then pairs.
        let mut pairs = message.get(offset..offset + length)?.get(44..)?;
        let mut claims = Self { integrity: false, bound: false };
        while let [a, b, c, d, rest @ ..] = pairs {
            let (id, size) = (u16::from_le_bytes([*a, *b]), usize::from(u16::from_le_bytes([*c, *d])));
            let value = rest.get(..size)?;
            match id {
                0 => break,
                6 => claims.integrity = value.first().is_some_and(|flags| flags & 2 != 0),
                10 => claims.bound = value.iter().any(|b| *b != 0),
                _ => {}
            }
            pairs = &rest[size..];
        }
        Some(claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Vec<Account> {
        vec![Account { user: "u".into(), domain: "D".into(), password: "p".into() }]
    }

    /// One leg of a client's login; `answer` is empty at first.
    fn client(ntlm: &mut Ntlm, answer: Vec<u8>) -> Vec<u8> {
        let username = Username::new("u", Some("D")).unwrap();
        let identity = AuthIdentity { username, password: "p".to_owned().into() };
        let mut credentials = ntlm
            .acquire_credentials_handle()
            .with_credential_use(CredentialUse::Outbound)
            .with_auth_data(&identity)
            .execute(ntlm)
            .unwrap()
            .credentials_handle;
        let mut input = [SecurityBuffer::new(answer, BufferType::Token)];
        let mut output = [SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let mut builder = ntlm
            .initialize_security_context()
            .with_credentials_handle(&mut credentials)
            .with_context_requirements(sspi::ClientRequestFlags::CONFIDENTIALITY)
            .with_target_data_representation(DataRepresentation::Native)
            .with_target_name("HTTP/h")
            .with_input(&mut input)
            .with_output(&mut output);
        ntlm.initialize_security_context_impl(&mut builder).unwrap().resolve_to_result().unwrap();
        let [token] = output;
        token.buffer
    }

    fn login(bound: bool, strict: bool, bend: impl Fn(&mut Vec<u8>)) -> Result<(), String> {
        let (hash, mut ntlm) = ([7; 32], Ntlm::new());
        if bound {
            ntlm.set_channel_bindings(&[b"tls-server-end-point:".as_slice(), &hash].concat());
        }
        let first = client(&mut ntlm, Vec::new());
        let mut context = Context::new(&first, &accounts()).unwrap();
        let Step::Continue(challenge) = context.step(first, &accounts(), Some(&hash), strict).unwrap() else {
            panic!("one token was enough");
        };
        let mut last = client(&mut ntlm, challenge);
        bend(&mut last);
        context.step(last, &accounts(), Some(&hash), strict).map(drop)
    }

    #[test]
    fn a_login_without_integrity_code_or_channel_is_refused() {
        assert_eq!(login(true, true, |_| ()), Ok(()));
        assert_eq!(login(false, false, |_| ()), Ok(()));
        assert!(login(false, true, |_| ()).unwrap_err().contains("not bound"));
        // The pair MsvAvFlags, of four bytes, with the bit of the integrity code.
        let flags = [6, 0, 4, 0, 2, 0, 0, 0];
        let without = |token: &mut Vec<u8>| {
            let at = token.windows(8).position(|w| w == flags).unwrap();
            token[at + 4] = 0;
        };
        assert!(login(true, true, without).unwrap_err().contains("integrity"));
        assert!(login(true, true, |token| *token.last_mut().unwrap() ^= 1).is_err());
    }
}
