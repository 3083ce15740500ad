//! The chat database on an instance, and its mirroring session.

use jiff::civil::DateTime;
use jiff::tz::Offset;
use uuid::Uuid;

use crate::model::lsn::{Fork, Lsn, Position};

/// `sys.databases.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatabaseState {
    /// 0
    Online,
    /// 1
    Restoring,
    /// 2
    Recovering,
    /// 3
    RecoveryPending,
    /// 4
    Suspect,
    /// 5
    Emergency,
    /// 6
    Offline,
    /// NULL, or a number that the documentation does not have.
    Unknown,
}

/// `sys.databases.user_access`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UserAccess {
    /// 0
    Multi,
    /// 1
    Single,
    /// 2
    Restricted,
    /// NULL, or a number that the documentation does not have.
    Unknown,
}

/// The chat database on one instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Database {
    /// Name as the server spells it.
    pub name: String,
    /// State.
    pub state: DatabaseState,
    /// `is_in_standby`: ONLINE and read-only between two restores; `None`: the server does not tell.
    pub standby: Option<bool>,
    /// `is_read_only`; `None`: the server does not tell.
    pub read_only: Option<bool>,
    /// Who may connect.
    pub user_access: UserAccess,
    /// Next log record needed; `Err` says why it is not known. NULL is unknown, never "nothing to apply".
    pub position: Result<Position, String>,
    /// What its own log says of its last recovery; only while it is ONLINE and not standby.
    pub recovered: Option<Recovered>,
    /// Its mirroring session.
    pub mirroring: Option<Mirroring>,
    /// The last backup restored into it, from msdb.
    pub last_restored: Option<RestoredBackup>,
}

impl Database {
    /// ONLINE for users: not known to be between two restores.
    pub fn serves(&self) -> bool {
        self.state == DatabaseState::Online && !self.in_standby()
    }

    /// RESTORING, OFFLINE or in STANDBY: nobody writes to it, and without a session it comes to serve by no doing of its own.
    pub fn takes_no_writes(&self) -> bool {
        matches!(self.state, DatabaseState::Restoring | DatabaseState::Offline) || self.in_standby()
    }

    /// Known to be between two restores, and readable.
    pub fn in_standby(&self) -> bool {
        self.standby == Some(true)
    }
}

/// `sys.database_recovery_status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Recovered {
    /// Fork that the database is on now.
    pub fork: Fork,
    /// Fork that it came from (`first_recovery_fork_guid`).
    pub from_fork: Option<Fork>,
    /// Where it left that fork (`fork_point_lsn`).
    pub fork_point: Option<Lsn>,
}

/// `sys.database_mirroring.mirroring_role`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// 1
    Principal,
    /// 2
    Mirror,
    /// NULL, or a number that the documentation does not have.
    Unknown,
}

/// `sys.database_mirroring.mirroring_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::Display)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum MirroringState {
    /// 0
    Suspended,
    /// 1
    Disconnected,
    /// 2
    Synchronizing,
    /// 3
    PendingFailover,
    /// 4
    Synchronized,
    /// 5
    Unsynchronized,
    /// Another number.
    #[strum(to_string = "in state {0}")]
    Other(u8),
    /// NULL.
    #[strum(to_string = "not told")]
    Unknown,
}

impl MirroringState {
    /// Both ends are up and talk to each other.
    pub fn is_connected(self) -> bool {
        matches!(self, Self::Synchronizing | Self::PendingFailover | Self::Synchronized)
    }

    /// Both ends are up and talk to each other, or that is not known.
    pub fn may_be_connected(self) -> bool {
        self.is_connected() || matches!(self, Self::Other(_) | Self::Unknown)
    }
}

/// A mirroring session, seen from one end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mirroring {
    /// Identity of the session.
    pub guid: Uuid,
    /// Role of this end.
    pub role: Role,
    /// State as this end sees it.
    pub state: MirroringState,
    /// The other end's instance, as the server names it.
    pub partner_instance: Option<String>,
    /// Its endpoint, `TCP://host:port`.
    pub partner_address: Option<String>,
}

/// A backup that msdb remembers having restored.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RestoredBackup {
    /// Path that it was restored from.
    pub file: String,
    /// End of its log (exclusive).
    pub last_lsn: Lsn,
    /// Fork at its end.
    pub fork: Fork,
    /// When the backup began, by the wall clock of the server that made it.
    pub started: DateTime,
    /// The offset of that clock, if msdb tells it.
    pub zone: Option<Offset>,
}
