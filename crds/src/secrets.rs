//! Secrets: logins, client certificates and certificate authorities, by the names that a pool gives them.
//!
//! What a Secret holds never leaves this module by a `Debug` or an error: those name the Secret and the key only.

use crate::access::{CaRef, SecretKeyRef};
use crate::audience::Audience;
use crate::text::ObjectName;
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroize;

/// A Secret: bytes by key, wiped when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The namespace that its manifest names.
    pub namespace: Option<String>,
    /// The annotation that names its hosts, as it is written.
    pub hosts: Option<String>,
    data: BTreeMap<String, Vec<u8>>,
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.data.values_mut().for_each(Zeroize::zeroize);
    }
}

impl Secret {
    /// A Secret of these keys.
    pub const fn new(namespace: Option<String>, data: BTreeMap<String, Vec<u8>>) -> Self {
        Self { namespace, hosts: None, data }
    }

    /// With the annotation that names its hosts.
    #[must_use]
    pub fn for_hosts(mut self, hosts: Option<String>) -> Self {
        self.hosts = hosts;
        self
    }

    /// What stands under `key`.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.data.get(key).map(Vec::as_slice)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("namespace", &self.namespace)
            .field("hosts", &self.hosts)
            .field("keys", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// User name and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user, with its domain where it has one.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A client certificate and its private key, both in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate and those that sign it.
    pub certificate: Vec<u8>,
    /// The private key.
    pub key: Vec<u8>,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

/// A Kerberos principal and its keytab.
#[derive(Clone, PartialEq, Eq)]
pub struct Keytab {
    /// The principal.
    pub username: String,
    /// The keytab file's content.
    pub keytab: Vec<u8>,
}

impl fmt::Debug for Keytab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keytab").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What is wrong with a Secret that a pool names.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is none of this name.
    #[error("there is no Secret {secret}: add its manifest to the files that are read")]
    Missing {
        /// The name that was looked for.
        secret: String,
    },
    /// It lacks a key.
    #[error("Secret {secret} has no key {key}: add it")]
    KeyMissing {
        /// The Secret.
        secret: String,
        /// The key that was looked for.
        key: String,
    },
    /// A value cannot be used.
    #[error("key {key} of Secret {secret} is not usable: {expected}")]
    Unusable {
        /// The Secret.
        secret: String,
        /// The key.
        key: String,
        /// What was expected.
        expected: &'static str,
    },
}

/// The Secrets of a pool's namespace, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<String, Secret>);

impl Secrets {
    /// Adds a Secret; the one that had this name before comes back.
    pub fn insert(&mut self, name: String, secret: Secret) -> Option<Secret> {
        self.0.insert(name, secret)
    }

    /// The Secret of this name.
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.0.get(name)
    }

    /// The hosts that this Secret is for, if it says so.
    ///
    /// # Errors
    /// What is wrong with its annotation.
    pub fn audience(&self, name: &ObjectName) -> Result<Option<Audience>, String> {
        let hosts = self.get(name.as_str()).and_then(|secret| secret.hosts.as_deref());
        hosts.map(Audience::parse).transpose()
    }

    /// User name and password, from the keys `username` and `password`.
    pub fn login(&self, name: &ObjectName) -> Result<Login, SecretError> {
        Ok(Login { username: self.text(name, "username")?, password: self.text(name, "password")? })
    }

    /// The client certificate, from the keys `tls.crt` and `tls.key`.
    pub fn client_certificate(&self, name: &ObjectName) -> Result<ClientCertificate, SecretError> {
        Ok(ClientCertificate {
            certificate: self.pem(name, "tls.crt", "CERTIFICATE-----")?,
            key: self.pem(name, "tls.key", "PRIVATE KEY-----")?,
        })
    }

    /// The Kerberos principal and keytab, from the keys `username` and `keytab`.
    pub fn keytab(&self, name: &ObjectName) -> Result<Keytab, SecretError> {
        Ok(Keytab { username: self.text(name, "username")?, keytab: self.bytes(name, "keytab")?.to_vec() })
    }

    /// The certificate authority in PEM: the declared one; otherwise `ca.crt` in the Secret of the credentials, where
    /// it has that key; otherwise none, which means the system's authorities.
    pub fn authority(
        &self,
        declared: Option<&CaRef>,
        credentials: Option<&ObjectName>,
    ) -> Result<Option<Vec<u8>>, SecretError> {
        const BEGIN: &str = "CERTIFICATE-----";
        if let Some(CaRef { secret_ref: SecretKeyRef { name, key } }) = declared {
            return self.pem(name, key.as_str(), BEGIN).map(Some);
        }
        match credentials {
            Some(name)
                if self.get(name.as_str()).is_some_and(|secret| secret.get(SecretKeyRef::CA).is_some()) =>
            {
                self.pem(name, SecretKeyRef::CA, BEGIN).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn bytes(&self, name: &ObjectName, key: &str) -> Result<&[u8], SecretError> {
        let secret =
            self.get(name.as_str()).ok_or_else(|| SecretError::Missing { secret: name.to_string() })?;
        // What else it holds is not told: more people read a status than a Secret.
        let value = secret
            .get(key)
            .ok_or_else(|| SecretError::KeyMissing { secret: name.to_string(), key: key.to_owned() })?;
        if value.is_empty() {
            return Err(unusable(name, key, "it is empty"));
        }
        Ok(value)
    }

    fn text(&self, name: &ObjectName, key: &str) -> Result<String, SecretError> {
        let text = std::str::from_utf8(self.bytes(name, key)?)
            .map_err(|_| unusable(name, key, "expected text in UTF-8"))?;
        if text.contains(['\n', '\r']) {
            // The trap is `echo secret | base64`.
            return Err(unusable(
                name,
                key,
                "it holds a line break; encode it without one (printf, or echo -n)",
            ));
        }
        Ok(text.to_owned())
    }

    fn pem(&self, name: &ObjectName, key: &str, begin: &str) -> Result<Vec<u8>, SecretError> {
        let bytes = self.bytes(name, key)?;
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains("-----BEGIN ") && text.contains(begin) => Ok(bytes.to_vec()),
            _ => Err(unusable(name, key, "expected PEM, with its BEGIN line")),
        }
    }
}

fn unusable(name: &ObjectName, key: &str, expected: &'static str) -> SecretError {
    SecretError::Unusable { secret: name.to_string(), key: key.to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(keys: &[(&str, &str)]) -> Secrets {
        let data = keys.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
        let mut secrets = Secrets::default();
        secrets.insert("sql".to_owned(), Secret::new(None, data));
        secrets
    }

    #[test]
    fn what_a_secret_holds_is_never_printed() {
        let secrets = secrets(&[("username", "anna"), ("password", "hunter2\n")]);
        let error = secrets.login(&"sql".into()).unwrap_err();
        let printed = format!("{secrets:?} {error} {error:?}");
        assert!(printed.contains("line break") && !printed.contains("hunter2"), "{printed}");
        let login = Login { username: "anna".to_owned(), password: "hunter2".to_owned() };
        assert!(!format!("{login:?}").contains("hunter2"));
    }

    #[test]
    fn the_authority_beside_the_credentials_is_taken_only_when_none_is_declared() {
        let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let name = ObjectName::from("sql");
        assert_eq!(secrets(&[]).authority(None, Some(&name)), Ok(None));
        let beside = secrets(&[("ca.crt", pem)]);
        assert_eq!(beside.authority(None, Some(&name)), Ok(Some(pem.as_bytes().to_vec())));
        let declared = CaRef { secret_ref: SecretKeyRef { name: "sql".into(), key: "root.pem".into() } };
        assert!(matches!(
            beside.authority(Some(&declared), Some(&name)),
            Err(SecretError::KeyMissing { .. })
        ));
    }
}
