//! The `PersistentChatPool` resource: what an administrator declares.
//!
//! The rules between fields stand beside the fields, as CEL with a sentence each. Nothing dangerous has a default:
//! the active side and the mode must be written out, and what has a default is the careful choice.

use crate::access::{CaRef, Encryption, ManagementShell, SqlServerDefaults};
use crate::site::{Site, SqlServer, apart};
use crate::span::{Deadlines, Span};
use crate::status::PersistentChatPoolStatus;
use crate::text::{DatabaseName, FolderPath, Fqdn, ObjectName, UncPath};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

const DISTINCT: &str =
    "expected four different SQL Server instances: this one stands on the primary side, too";
const OWN_OR_NEAR: &str = "expected servers out of this side's chatServers; those of the other site can be active here only when lowLatencyBetweenSites is true";

/// One of the two sides of the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Side {
    /// The side that serves the pool in normal times.
    Primary,
    /// The side that log shipping keeps ready.
    Backup,
}

impl Side {
    /// The side across.
    pub const fn other(self) -> Self {
        match self {
            Self::Primary => Self::Backup,
            Self::Backup => Self::Primary,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary",
            Self::Backup => "backup",
        })
    }
}

/// How far the operator goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum Mode {
    /// Looks and reports; plans nothing.
    Observe,
    /// Looks, and says what it would do.
    Plan,
    /// Does it.
    Enforce,
}

/// A Persistent Chat pool of Lync Server 2013 or Skype for Business Server 2015, stretched over two data centres.
///
/// Change activeDatabase to move the pool to the other data centre; everything else describes where things are.
#[allow(clippy::duplicated_attributes, reason = "each printer column has a name and a type")]
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[kube(
    group = "persistentchat.io",
    version = "v1alpha1",
    kind = "PersistentChatPool",
    plural = "persistentchatpools",
    singular = "persistentchatpool",
    shortname = "pchat",
    category = "all",
    category = "lync",
    namespaced,
    status = "PersistentChatPoolStatus",
    doc = "A Persistent Chat pool stretched over two data centres: which side's database is active, and where everything is.",
    cel,
    derive = "PartialEq",
    printcolumn(
        name = "Wanted",
        type_ = "string",
        json_path = ".spec.activeDatabase",
        description = "The side declared active."
    ),
    printcolumn(
        name = "Active",
        type_ = "string",
        json_path = ".status.activeDatabase",
        description = "The side seen serving the pool."
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "Whether the pool is as declared."
    ),
    printcolumn(
        name = "Step",
        type_ = "string",
        json_path = ".status.step",
        description = "The step of the running transition."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#,
        description = "Why the pool is ready or not."
    ),
    printcolumn(
        name = "Lag",
        type_ = "date",
        json_path = ".status.lastLogBackup",
        description = "How long ago the last log backup began that the copy holds."
    ),
    printcolumn(
        name = "Mode",
        type_ = "string",
        json_path = ".spec.mode",
        description = "How far the operator goes.",
        priority = 1
    ),
    printcolumn(
        name = "Pool",
        type_ = "string",
        json_path = ".spec.pool.fqdn",
        description = "The pool as Lync knows it.",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self.primary.site.lowerAscii() != self.backup.site.lowerAscii()")
        .message("expected two different data centres: this one is the primary side's, too").field_path(".backup.site"),
    validation = Rule::new(apart("self.primary.database", "self.backup.database", "true"))
        .message(DISTINCT).field_path(".backup.database"),
    validation = Rule::new(apart("self.primary.mirror", "self.backup.database", "has(self.primary.mirror.host)"))
        .message(DISTINCT).field_path(".backup.database"),
    validation = Rule::new(apart("self.primary.database", "self.backup.mirror", "has(self.backup.mirror.host)"))
        .message(DISTINCT).field_path(".backup.mirror"),
    validation = Rule::new(apart("self.primary.mirror", "self.backup.mirror", "has(self.primary.mirror.host) && has(self.backup.mirror.host)"))
        .message(DISTINCT).field_path(".backup.mirror"),
    validation = Rule::new("self.backup.chatServers.all(b, !self.primary.chatServers.exists(p, p.lowerAscii() == b.lowerAscii()))")
        .message("expected each chat server in one site only: one of these stands on the primary side, too").field_path(".backup.chatServers"),
    validation = Rule::new(own_or_near("primary", "backup")).message(OWN_OR_NEAR).field_path(".primary.activeServers"),
    validation = Rule::new(own_or_near("backup", "primary")).message(OWN_OR_NEAR).field_path(".backup.activeServers"),
)]
pub struct PersistentChatPoolSpec {
    /// The side whose database serves the pool: primary or backup. A failover changes this word and nothing else.
    pub active_database: Side,
    /// How far the operator goes. Observe: it looks and reports. Plan: it also says what it would do. Enforce: it
    /// does it. There is no default.
    pub mode: Mode,
    /// The pool as Lync knows it.
    pub pool: PoolIdentity,
    /// The name of the chat database.
    #[serde(default = "default_database")]
    pub database_name: DatabaseName,
    /// The data centre that serves the pool in normal times.
    pub primary: Site,
    /// The data centre that takes over.
    pub backup: Site,
    /// True when the link between the data centres has low latency and high bandwidth, so that chat servers of one
    /// may work with the database of the other. Then activeServers may name servers of both.
    #[serde(default)]
    pub low_latency_between_sites: bool,
    /// Where log shipping had its files. Only for when log shipping can no longer be asked, because somebody has
    /// dropped it already and nothing has recorded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_shipping: Option<LogShippingSource>,
    /// What is needed to mirror the database again in the site that takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirroring: Option<Mirroring>,
    /// How the SQL Servers are reached.
    pub sql_server: SqlServerDefaults,
    /// How the Lync Server Management Shell is reached.
    pub management_shell: ManagementShell,
    /// How long both partners of the other side must have been silent before a failover is forced over them. The
    /// default outlasts a restart of SQL Server and most restarts of Windows: a side that only restarts comes back
    /// before its last messages are given up. Shorten it only if you know that a silent side is a dead one.
    #[serde(default = "default_silent_for")]
    pub silent_for: Span,
    /// The largest loss of messages, in minutes, that a forced failover accepts without asking. A larger or an
    /// unknown loss waits for an approval. Without it no loss asks for its size alone; other hazards do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 525600))]
    pub max_data_loss_minutes: Option<u32>,
    /// How long each kind of operation may take before its outcome counts as unknown and is looked up.
    #[serde(default)]
    pub deadlines: Deadlines,
}

/// The pool as Lync knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PoolIdentity {
    /// The fully qualified domain name of the Persistent Chat pool.
    pub fqdn: Fqdn,
}

/// Where log shipping had its files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogShippingSource {
    /// The share on which the log backups of the primary side stand.
    pub share: UncPath,
    /// The folder into which log shipping copied them, as the backup SQL Server sees it.
    pub folder: FolderPath,
}

/// What is needed to mirror the database again in the site that takes over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Mirroring {
    /// The share through which Install-CsMirrorDatabase copies the database. It must stand in the site that
    /// survives, and the accounts of both SQL Servers must be able to write to it.
    pub seed_share: UncPath,
}

/// How one SQL Server is reached, with what the server says for itself and what holds for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlAccess {
    /// How the connection is protected.
    pub encryption: Encryption,
    /// The Secret that holds the login.
    pub credentials: ObjectName,
    /// The certificate authority, where one is declared.
    pub ca: Option<CaRef>,
}

impl PersistentChatPoolSpec {
    /// The declaration of a side.
    pub const fn site(&self, side: Side) -> &Site {
        match side {
            Side::Primary => &self.primary,
            Side::Backup => &self.backup,
        }
    }

    /// How a server is reached: its own declaration first, what holds for all servers otherwise. A server that is
    /// reached in plain text has no use for the common certificate authority.
    pub fn sql_access(&self, server: &SqlServer) -> SqlAccess {
        let encryption = server.encryption.unwrap_or(self.sql_server.encryption);
        let credentials = server.credentials.as_ref().unwrap_or(&self.sql_server.credentials);
        let ca = server.ca.as_ref().or(self.sql_server.ca.as_ref());
        SqlAccess {
            encryption,
            credentials: credentials.secret_ref.name.clone(),
            ca: ca.filter(|_| encryption != Encryption::Plaintext).cloned(),
        }
    }
}

fn default_database() -> DatabaseName {
    DatabaseName::from("mgc")
}

const fn default_silent_for() -> Span {
    Span::from_secs(5 * 60)
}

/// CEL: the active servers of `side` are its own, or of `far` as well where the link allows it.
fn own_or_near(side: &str, far: &str) -> String {
    format!(
        "!has(self.{side}.activeServers) || self.{side}.activeServers.all(a, \
         self.{side}.chatServers.exists(s, s.lowerAscii() == a.lowerAscii()) || (self.lowLatencyBetweenSites && \
         self.{far}.chatServers.exists(s, s.lowerAscii() == a.lowerAscii())))"
    )
}
