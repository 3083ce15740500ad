//! Security contexts: NTLM by way of Negotiate, and Kerberos when it is built in.
//!
//! A context belongs to one TCP connection. It must never be taken to another one, and what it is to
//! seal must never leave unsealed.

use sspi::{
    AuthIdentity, BufferType, ClientRequestFlags, CredentialUse, DataRepresentation, EncryptionFlags, Ntlm,
    SecurityBuffer, SecurityBufferRef, SecurityStatus, Sspi, SspiImpl, Username,
};

use crate::codec::sealed;

/// Length of an NTLM message signature (MS-NLMP 2.2.2.9).
const SIGNATURE: usize = 16;
/// NTLMSSP flags without which sealing would be weak or absent (MS-NLMP 2.2.2.5): SIGN, SEAL, extended
/// session security, 128 bits, key exchange.
const STRONG: u32 = 0x10 | 0x20 | 0x8_0000 | 0x2000_0000 | 0x4000_0000;

/// An NTLM context, of the client.
pub(super) struct NtlmContext {
    ntlm: Ntlm,
    credentials: <Ntlm as SspiImpl>::CredentialsHandle,
    target: String,
    /// Whether messages will be sealed, so that a weak offer must be refused.
    sealing: bool,
}

impl NtlmContext {
    /// `binding` is the hash of the server's certificate (RFC 5929, tls-server-end-point), absent over http.
    pub(super) fn new(
        user: &str,
        password: &str,
        host: &str,
        binding: Option<&[u8]>,
        sealing: bool,
    ) -> Result<Self, String> {
        let username =
            Username::parse(user).map_err(|e| format!("the user name {user:?} is not usable: {e}"))?;
        let identity = AuthIdentity { username, password: password.to_owned().into() };
        let mut ntlm = Ntlm::new();
        if let Some(hash) = binding {
            ntlm.set_channel_bindings(&[b"tls-server-end-point:", hash].concat());
        }
        let credentials = ntlm
            .acquire_credentials_handle()
            .with_credential_use(CredentialUse::Outbound)
            .with_auth_data(&identity)
            .execute(&mut ntlm)
            .map_err(|e| e.to_string())?
            .credentials_handle;
        Ok(Self { ntlm, credentials, target: format!("HTTP/{host}"), sealing })
    }

    /// The next token for the far end, given what it answered (nothing at first).
    pub(super) fn step(&mut self, answer: &[u8]) -> Result<Vec<u8>, String> {
        if self.sealing && !answer.is_empty() && !offers_strong_sealing(answer) {
            return Err("it does not offer 128-bit sealing; without TLS messages would not be secret".into());
        }
        let mut input = [SecurityBuffer::new(answer.to_vec(), BufferType::Token)];
        let mut output = [SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let result = {
            let mut builder = self
                .ntlm
                .initialize_security_context()
                .with_credentials_handle(&mut self.credentials)
                .with_context_requirements(
                    ClientRequestFlags::CONFIDENTIALITY | ClientRequestFlags::INTEGRITY,
                )
                .with_target_data_representation(DataRepresentation::Native)
                .with_target_name(&self.target)
                .with_input(&mut input)
                .with_output(&mut output);
            self.ntlm
                .initialize_security_context_impl(&mut builder)
                .and_then(|mut step| step.resolve_to_result())
                .map_err(|e| e.to_string())?
        };
        if matches!(result.status, SecurityStatus::CompleteNeeded | SecurityStatus::CompleteAndContinue) {
            self.ntlm.complete_auth_token(&mut output).map_err(|e| e.to_string())?;
        }
        let [token] = output;
        Ok(token.buffer)
    }

    /// Seals a message into an HTTP body.
    pub(super) fn seal(&mut self, mut clear: Vec<u8>) -> Result<Vec<u8>, String> {
        let length = clear.len();
        let mut token = vec![0; SIGNATURE];
        let mut buffers = [SecurityBufferRef::token_buf(&mut token), SecurityBufferRef::data_buf(&mut clear)];
        self.ntlm.encrypt_message(EncryptionFlags::empty(), &mut buffers).map_err(|e| e.to_string())?;
        Ok(sealed::write(sealed::SPNEGO, length, &token, &clear))
    }

    /// Opens a sealed HTTP body.
    pub(super) fn unseal(&mut self, body: &[u8]) -> Result<Vec<u8>, String> {
        let frame = sealed::read(body).map_err(|e| e.to_string())?;
        if frame.token.len() != SIGNATURE {
            return Err("the signature of a sealed message has the wrong length".into());
        }
        let (mut token, mut data) = (frame.token.to_vec(), frame.data.to_vec());
        let mut buffers = [SecurityBufferRef::token_buf(&mut token), SecurityBufferRef::data_buf(&mut data)];
        self.ntlm.decrypt_message(&mut buffers).map_err(|e| format!("a sealed message was altered: {e}"))?;
        if data.len() != frame.clear_length {
            return Err("a sealed message has another length than announced".into());
        }
        Ok(data)
    }
}

/// Whether a CHALLENGE message (MS-NLMP 2.2.1.2) offers what sealing needs.
fn offers_strong_sealing(challenge: &[u8]) -> bool {
    let Some(flags) = challenge.get(20..).and_then(|rest| rest.first_chunk::<4>()) else { return false };
    challenge.starts_with(b"NTLMSSP\0\x02\0\0\0") && u32::from_le_bytes(*flags) & STRONG == STRONG
}

/// A Kerberos context, of the client. Used over TLS only, so it seals nothing.
#[cfg(feature = "kerberos")]
pub(super) mod kerberos {
    use cross_krb5::{ClientCtx, InitiateFlags, PendingClientCtx, Step};

    /// Waiting for the far end's token, or done.
    pub(in crate::client) enum KerberosContext {
        Pending(PendingClientCtx),
        Done,
    }

    impl KerberosContext {
        /// The context and its first token. Asks the KDC, so it blocks.
        pub(in crate::client) fn new(
            principal: Option<&str>,
            host: &str,
            binding: Option<&[u8]>,
        ) -> Result<(Self, Vec<u8>), String> {
            let binding = binding.map(|hash| [b"tls-server-end-point:", hash].concat());
            let target = format!("HTTP/{host}");
            let (context, token) =
                ClientCtx::new(InitiateFlags::empty(), principal, &target, binding.as_deref())
                    .map_err(|e| e.to_string())?;
            Ok((Self::Pending(context), token.to_vec()))
        }

        /// Takes the far end's token, which proves who it is; returns ours when there is one more.
        pub(in crate::client) fn step(self, answer: &[u8]) -> Result<(Self, Option<Vec<u8>>), String> {
            let Self::Pending(context) = self else { return Err("a token came after the last".into()) };
            Ok(match context.step(answer).map_err(|e| e.to_string())? {
                Step::Finished((_, token)) => (Self::Done, token.map(|t| t.to_vec())),
                Step::Continue((context, token)) => (Self::Pending(context), Some(token.to_vec())),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_without_sealing_is_refused_where_messages_must_be_sealed() {
        let mut challenge = b"NTLMSSP\0\x02\0\0\0".to_vec();
        challenge.extend([0; 8]);
        challenge.extend(STRONG.to_le_bytes());
        assert!(offers_strong_sealing(&challenge));
        challenge[20] &= !0x20;
        assert!(!offers_strong_sealing(&challenge));
        assert!(!offers_strong_sealing(b"NTLMSSP\0\x02\0\0\0"));
        let mut context = NtlmContext::new("D\\u", "p", "h", None, true).unwrap();
        assert!(!context.step(&[]).unwrap().is_empty());
        assert!(context.step(&challenge).unwrap_err().contains("sealing"));
    }

    #[test]
    fn a_hostile_challenge_is_an_error_and_never_a_panic() {
        for length in [0, 8, 12, 24, 31, 32, 40, 48, 55, 56, 64] {
            let mut challenge = b"NTLMSSP\0\x02\0\0\0".to_vec();
            challenge.resize(length.max(12), 0xff);
            challenge.truncate(length.max(1));
            let mut context = NtlmContext::new("u@d", "p", "h", Some(&[1; 32]), false).unwrap();
            context.step(&[]).unwrap();
            assert!(context.step(&challenge).is_err(), "{length}");
        }
    }

    /// A challenge as an honest server makes it.
    fn honest_challenge(negotiate: Vec<u8>) -> Vec<u8> {
        let mut server = Ntlm::new();
        let mut credentials = server
            .acquire_credentials_handle()
            .with_credential_use(CredentialUse::Inbound)
            .execute(&mut server)
            .unwrap()
            .credentials_handle;
        let mut input = [SecurityBuffer::new(negotiate, BufferType::Token)];
        let mut output = [SecurityBuffer::new(Vec::new(), BufferType::Token)];
        let builder = server
            .accept_security_context()
            .with_credentials_handle(&mut credentials)
            .with_context_requirements(sspi::ServerRequestFlags::ALLOCATE_MEMORY)
            .with_target_data_representation(DataRepresentation::Native)
            .with_input(&mut input)
            .with_output(&mut output);
        server.accept_security_context_impl(builder).unwrap().resolve_to_result().unwrap();
        let [token] = output;
        token.buffer
    }

    #[test]
    fn a_challenge_bent_at_random_and_the_messages_after_it_never_panic() {
        let seed = std::env::var("PSRP_SEED")
            .ok()
            .and_then(|s| s.parse().ok())
            .unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
        println!("PSRP_SEED={seed}");
        let mut state = seed | 1;
        let mut next = |n: usize| {
            // xorshift64, as in the codec's test.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % n as u64) as usize
        };
        let mut passed = 0;
        for round in 0..1_000 {
            let mut context = NtlmContext::new("D\\u", "p", "h", Some(&[1; 32]), round % 2 == 0).unwrap();
            let mut challenge = honest_challenge(context.step(&[]).unwrap());
            for _ in 0..next(4) {
                let at = next(challenge.len());
                match next(4) {
                    0 => challenge.truncate(at.max(1)),
                    1 => challenge.push(next(256) as u8),
                    _ => challenge[at] = [0, 1, 0x7f, 0x80, 0xff, next(256) as u8][next(6)],
                }
            }
            if context.step(&challenge).is_err() {
                continue;
            }
            passed += 1;
            let _ = context.seal(vec![7; next(100)]);
            let noise: Vec<u8> = (0..next(100)).map(|_| next(256) as u8).collect();
            let body = sealed::write(sealed::SPNEGO, noise.len(), &[1; SIGNATURE], &noise);
            assert!(context.unseal(&body).is_err());
        }
        assert!(passed > 100, "only {passed} challenges were taken");
    }
}
