//! How the far ends are reached: encryption, credentials, certificate authorities, the management shell.
//!
//! Only names of Secrets stand here, never what they hold. Whatever weakens a connection has to be written out; the
//! default is always the strictest.

use crate::text::{ConfigurationName, ObjectName, SecretKey, ShellUri};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a connection to SQL Server is protected.
///
/// Required: everything is encrypted and the certificate is verified. LoginOnly: only the login is encrypted, data
/// travels in clear. Plaintext: nothing is encrypted, not even the password; only for servers whose TLS is too old
/// to be used, on a network that is trusted.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::Display,
    strum::EnumString,
)]
#[schemars(inline)]
#[strum(ascii_case_insensitive)]
pub enum Encryption {
    /// Everything is encrypted and the certificate is verified.
    #[default]
    Required,
    /// Only the login is encrypted; data travels in clear.
    LoginOnly,
    /// Nothing is encrypted, not even the password.
    Plaintext,
}

/// How the operator proves who it is to the management shell.
///
/// Negotiate: NTLM with user name and password. Kerberos: from a keytab or the ticket cache of the process.
/// Certificate: a client certificate, over https. Basic: user name and password, over https.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Authentication {
    /// NTLM with user name and password.
    Negotiate,
    /// A keytab or the ticket cache of the process.
    Kerberos,
    /// A client certificate, over https.
    Certificate,
    /// User name and password, over https.
    Basic,
}

/// Where credentials are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Credentials {
    /// The Secret that holds them, in the namespace of the pool.
    pub secret_ref: SecretRef,
}

/// A Secret in the namespace of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The name of the Secret.
    pub name: ObjectName,
}

/// Where the certificate authority of a server is kept, in PEM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct CaRef {
    /// The Secret that holds it, in the namespace of the pool.
    pub secret_ref: SecretKeyRef,
}

/// One key of a Secret in the namespace of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The name of the Secret.
    pub name: ObjectName,
    /// The key in it.
    #[serde(default = "SecretKeyRef::default_key")]
    pub key: SecretKey,
}

impl SecretKeyRef {
    /// The key under which a certificate authority is looked for when none is named.
    pub const CA: &str = "ca.crt";

    fn default_key() -> SecretKey {
        SecretKey::from(Self::CA)
    }
}

/// How all SQL Servers are reached, unless a server says otherwise for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.ca) || self.encryption != 'Plaintext'")
    .message("a certificate authority has no use with encryption Plaintext: leave ca out, or choose Required")
    .field_path(".ca"))]
pub struct SqlServerDefaults {
    /// The SQL Server login: a Secret with the keys username and password, and optionally ca.crt.
    pub credentials: Credentials,
    /// How the connections are protected: Required, LoginOnly or Plaintext.
    #[serde(default)]
    pub encryption: Encryption,
    /// The certificate authority that signed the servers' certificates. Without it: the key ca.crt of the
    /// credentials' Secret, and without that the system's authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaRef>,
}

/// The Lync Server or Skype for Business Management Shell, reached by PowerShell Remoting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(self.authentication in ['Basic', 'Certificate']) || self.uri.lowerAscii().startsWith('https://')")
        .message("authentication Basic and Certificate are used over https only: expected a uri that begins with https://")
        .field_path(".uri"),
    validation = Rule::new("self.authentication == 'Kerberos' || has(self.credentials)")
        .message("expected credentials with the Secret for this authentication; only Kerberos can do without, with the ticket cache of the process"),
    validation = Rule::new("!has(self.ca) || self.uri.lowerAscii().startsWith('https://')")
        .message("a certificate authority has no use over http: leave ca out, or use https")
        .field_path(".ca"),
)]
pub struct ManagementShell {
    /// The address of the endpoint: /OcsPowerShell of a Front End Server, or /wsman of an administration host.
    /// It should stand in the site that survives.
    pub uri: ShellUri,
    /// How the operator proves who it is: Negotiate, Kerberos, Certificate or Basic.
    pub authentication: Authentication,
    /// The session configuration, for a constrained (JEA) endpoint.
    #[serde(default = "ManagementShell::default_configuration")]
    pub configuration_name: ConfigurationName,
    /// The account. Negotiate and Basic: a Secret with the keys username and password. Certificate: tls.crt and
    /// tls.key. Kerberos: username and keytab, or nothing to use the ticket cache of the process. Optionally ca.crt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// The certificate authority that signed the endpoint's certificate. Without it: the key ca.crt of the
    /// credentials' Secret, and without that the system's authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaRef>,
}

impl ManagementShell {
    fn default_configuration() -> ConfigurationName {
        ConfigurationName::from("Microsoft.PowerShell")
    }
}
