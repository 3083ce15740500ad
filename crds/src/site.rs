//! One data centre: its SQL Servers and its chat servers.
//!
//! What can be discovered at the servers is not asked for here; what is asked for cannot be discovered once the site
//! is gone.

use crate::access::{CaRef, Credentials, Encryption};
use crate::text::{Fqdn, HostName, InstanceName, SiteName};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

const INSTANCE_XOR_PORT: &str = "expected either instance or port, not both: the port of a named instance is asked from SQL Server Browser; leave one of them out";
const CA_WITHOUT_TLS: &str =
    "a certificate authority has no use with encryption Plaintext: leave ca out, or choose Required";

/// One of the two data centres of the stretched pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.activeServers) || size(self.chatServers) <= 4")
        .message("at most four chat servers can be active at a time: name the ones that shall be in activeServers")
        .field_path(".chatServers"),
    validation = Rule::new(apart("self.database", "self.mirror", "has(self.mirror.host)"))
        .message("expected a SQL Server instance other than that of database: a mirror on the same instance protects from nothing")
        .field_path(".mirror"),
)]
pub struct Site {
    /// The name of the data centre, as people call it. It appears in messages only.
    pub site: SiteName,
    /// The SQL Server instance that holds this side's copy of the chat database.
    pub database: SqlServer,
    /// The SQL Server instance that mirrors it, or none: true where there is no mirror.
    pub mirror: Mirror,
    /// The Persistent Chat servers that stand in this data centre, as Lync knows them.
    #[schemars(length(min = 1, max = 16))]
    #[x_kube(validation = ("self.all(a, self.exists_one(b, b.lowerAscii() == a.lowerAscii()))",
        "expected each chat server once"))]
    pub chat_servers: Vec<Fqdn>,
    /// The servers that are active while this side's database serves the pool, at most four. Without it, all of
    /// chatServers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4))]
    #[x_kube(validation = ("self.all(a, self.exists_one(b, b.lowerAscii() == a.lowerAscii()))",
        "expected each active server once"))]
    pub active_servers: Option<Vec<Fqdn>>,
}

impl Site {
    /// The servers that are active while this side's database serves the pool, in the order of the manifest.
    pub fn declared_active_servers(&self) -> &[Fqdn] {
        self.active_servers.as_deref().unwrap_or(&self.chat_servers)
    }
}

/// A SQL Server instance, and what differs for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!(has(self.instance) && has(self.port))").message(INSTANCE_XOR_PORT).field_path(".port"),
    validation = Rule::new("!has(self.ca) || !has(self.encryption) || self.encryption != 'Plaintext'")
        .message(CA_WITHOUT_TLS).field_path(".ca"),
)]
pub struct SqlServer {
    /// The host, without instance and port.
    pub host: HostName,
    /// The name of the instance; leave it out for the default instance. Its port is asked from SQL Server Browser
    /// (UDP 1434 on the host).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceName>,
    /// The TCP port, where SQL Server Browser is not to be asked. Without instance and port: 1433.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// How connections to this server are protected, instead of what sqlServer.encryption says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// The login for this server, instead of sqlServer.credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// The certificate authority of this server, instead of sqlServer.ca.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaRef>,
}

/// The mirror of a side: a SQL Server instance, or `none: true`, so that a forgotten mirror is not taken for none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.host) != (has(self.none) && self.none)")
        .message("expected either the host of the mirror or none: true, so that a forgotten mirror is not taken for none"),
    validation = Rule::new("has(self.host) || !(has(self.instance) || has(self.port) || has(self.encryption) || has(self.credentials) || has(self.ca))")
        .message("expected host beside these fields: they describe a mirror and there is none"),
    validation = Rule::new("!(has(self.instance) && has(self.port))").message(INSTANCE_XOR_PORT).field_path(".port"),
    validation = Rule::new("!has(self.ca) || !has(self.encryption) || self.encryption != 'Plaintext'")
        .message(CA_WITHOUT_TLS).field_path(".ca"),
)]
pub struct Mirror {
    /// True says that this side has no mirror.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none: Option<bool>,
    /// The host, without instance and port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostName>,
    /// The name of the instance; leave it out for the default instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceName>,
    /// The TCP port, where SQL Server Browser is not to be asked. Without instance and port: 1433.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// How connections to this server are protected, instead of what sqlServer.encryption says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Encryption>,
    /// The login for this server, instead of sqlServer.credentials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Credentials>,
    /// The certificate authority of this server, instead of sqlServer.ca.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<CaRef>,
}

impl Mirror {
    /// The mirror's instance, or `None` where the manifest says that there is none.
    pub fn server(&self) -> Option<SqlServer> {
        Some(SqlServer {
            host: self.host.clone()?,
            instance: self.instance.clone(),
            port: self.port,
            encryption: self.encryption,
            credentials: self.credentials.clone(),
            ca: self.ca.clone(),
        })
    }
}

/// CEL: true unless `given` holds and `a` and `b` are the same instance. Host and instance names do not tell upper
/// from lower case, and the default instance is the one on port 1433.
pub(crate) fn apart(a: &str, b: &str, given: &str) -> String {
    let host = format!("{a}.host.lowerAscii() == {b}.host.lowerAscii()");
    let instance = format!(
        "(has({a}.instance) ? {a}.instance.lowerAscii() : '') == (has({b}.instance) ? {b}.instance.lowerAscii() : '')"
    );
    let port = format!("(has({a}.port) ? {a}.port : 1433) == (has({b}.port) ? {b}.port : 1433)");
    format!("!({given} && {host} && {instance} && {port})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_that_is_none_has_no_server() {
        let none: Mirror = serde_json::from_value(serde_json::json!({"none": true})).unwrap();
        assert_eq!(none.server(), None);
        let some: Mirror = serde_json::from_value(serde_json::json!({"host": "sql2", "port": 1500})).unwrap();
        assert_eq!(some.server().map(|server| server.port), Some(Some(1500)));
    }
}
