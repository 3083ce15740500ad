//! The pool as declared: what the planner needs of a validated `PersistentChatPool`.

use std::fmt;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

/// One of the two data centres, by the role that it was built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Where the pool runs in normal times.
    Primary,
    /// Where log shipping sends the database.
    Backup,
}

impl Side {
    /// The side across.
    pub fn other(self) -> Side {
        match self {
            Side::Primary => Side::Backup,
            Side::Backup => Side::Primary,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Primary => "primary",
            Side::Backup => "backup",
        })
    }
}

/// One of the two SQL Server instances of a side.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, strum::Display,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Partner {
    /// The instance that was installed to hold the database.
    Database,
    /// The instance that was installed to mirror it.
    Mirror,
}

/// Names one of the pool's up to four SQL Server instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceId {
    /// The data centre.
    pub side: Side,
    /// Which of its two instances.
    pub partner: Partner,
}

impl InstanceId {
    /// Shorthand for the four instances of a pool.
    pub const fn new(side: Side, partner: Partner) -> Self {
        InstanceId { side, partner }
    }
}

/// The instance that everything happens on, and where the journal stands.
pub const BACKUP: InstanceId = InstanceId::new(Side::Backup, Partner::Database);
/// Its own mirror.
pub const BACKUP_MIRROR: InstanceId = InstanceId::new(Side::Backup, Partner::Mirror);
/// The instance that is moved away from.
pub const PRIMARY: InstanceId = InstanceId::new(Side::Primary, Partner::Database);
/// Its own mirror.
pub const PRIMARY_MIRROR: InstanceId = InstanceId::new(Side::Primary, Partner::Mirror);

/// What the operator may do with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::Display)]
pub enum Mode {
    /// Look, and report what is.
    Observe,
    /// Look, and report what would be done.
    Plan,
    /// Carry the plan out.
    Enforce,
}

/// A SQL Server instance as declared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// Fully qualified host name.
    pub host: String,
    /// Instance name; `None` is the default instance, or one found by port.
    pub instance: Option<String>,
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.instance {
            Some(name) => write!(f, "{}\\{name}", self.host),
            None => f.write_str(&self.host),
        }
    }
}

/// One data centre of the pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// Its name in sentences, for example `Kaohsiung`.
    pub name: String,
    /// The instance that holds the database.
    pub database: Instance,
    /// Its mirror; `None` only when the manifest says that there is none.
    pub mirror: Option<Instance>,
    /// Chat servers to be active while this side is, as declared.
    pub active_servers: Vec<String>,
}

/// Where log backups are, when log shipping can no longer tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogSource {
    /// UNC path that the primary writes its log backups to.
    pub share: String,
    /// Folder on the backup instance's host that log shipping copies them to.
    pub folder: String,
}

/// A validated pool.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pool {
    /// Pool FQDN in the topology.
    pub fqdn: String,
    /// Name of the chat database, usually `mgc`.
    pub database: String,
    /// The declared side: `spec.activeDatabase`.
    pub active: Side,
    /// What may be done.
    pub mode: Mode,
    /// The data centre of normal times.
    pub primary: Site,
    /// The other one.
    pub backup: Site,
    /// Share and folder as declared, used only where they are neither discovered nor recorded.
    pub log_source: Option<LogSource>,
    /// Share through which the mirror of the surviving side is seeded.
    pub seed_share: Option<String>,
    /// How long both partners must have been silent before a failover is forced.
    pub silent_for: SignedDuration,
    /// Largest loss that needs no approval; `None` accepts any that is known and told.
    pub max_data_loss: Option<SignedDuration>,
    /// A sentence that names the servers that are reached without full encryption, if any.
    pub weakened: Option<String>,
    /// How long chat servers may take to get a new list and to connect before it is a warning.
    pub replication: SignedDuration,
}

impl Pool {
    /// The data centre on `side`.
    pub fn site(&self, side: Side) -> &Site {
        match side {
            Side::Primary => &self.primary,
            Side::Backup => &self.backup,
        }
    }

    /// The declared instance, if the pool has it.
    pub fn instance(&self, id: InstanceId) -> Option<&Instance> {
        let site = self.site(id.side);
        match id.partner {
            Partner::Database => Some(&site.database),
            Partner::Mirror => site.mirror.as_ref(),
        }
    }

    /// Ids of the declared instances, primary side first.
    pub fn instances(&self) -> impl Iterator<Item = InstanceId> + '_ {
        [Side::Primary, Side::Backup]
            .into_iter()
            .flat_map(|side| [Partner::Database, Partner::Mirror].map(|partner| InstanceId { side, partner }))
            .filter(|id| self.instance(*id).is_some())
    }
}
