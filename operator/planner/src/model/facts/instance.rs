//! One SQL Server instance: what it is, what runs on it.

use jiff::Timestamp;

use super::{Database, Secondary};
use crate::model::journal::{Journal, Phase, Transition};

/// State of an instance, read in one round trip.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstanceState {
    /// `@@SERVERNAME`.
    pub server_name: String,
    /// `SERVERPROPERTY('ProductVersion')`.
    pub version: String,
    /// The far end's own clock (`SYSUTCDATETIME`); deadlines of batches are told in it.
    pub clock: Timestamp,
    /// Whether the login is a member of sysadmin.
    pub sysadmin: bool,
    /// The chat database; `None` is known absence.
    pub database: Option<Database>,
    /// Log shipping's secondary side for it.
    pub secondary: Option<Secondary>,
    /// Whether log shipping's primary side is configured for it here.
    pub ships_logs: bool,
    /// Sessions on the database, not counting a running restore.
    pub sessions: Vec<Session>,
    /// A restore or backup of the database that is running now.
    pub restore: Option<RunningRestore>,
    /// Whether SQL Server Agent runs.
    pub agent: Agent,
    /// The endpoint through which databases are mirrored.
    pub endpoint: Endpoint,
    /// Owner and transition.
    pub journal: Journal,
    /// What could not be read in the journal (foreign or damaged text), if anything.
    pub journal_damage: Option<String>,
    /// What it calls itself.
    pub names: ServerNames,
    /// The session that holds the pool's lock, if one does: an action is being carried out by it. Number 0: the server does not tell which.
    pub holder: Option<Session>,
}

impl InstanceState {
    /// The transition that was called off and says that it disabled log shipping's jobs, with those that are disabled now.
    pub fn disabled_by_us(&self) -> Option<(&Transition, Vec<&str>)> {
        let closed = self.journal.transition.as_ref().filter(|t| t.phase == Phase::CalledOff)?;
        let secondary = self.secondary.as_ref()?;
        closed.evidence.as_ref().filter(|evidence| evidence.secondary_id == secondary.id)?;
        let disabled = secondary.jobs().filter(|j| j.enabled == Some(false)).map(|j| j.name.as_str());
        Some((closed, disabled.collect()))
    }
}

/// What a server calls itself, each as far as it tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ServerNames {
    /// `@@SERVERNAME`: as it is registered in `sys.servers`. Old after a host was renamed, NULL where the entry is missing.
    pub configured: Option<String>,
    /// `SERVERPROPERTY('ServerName')`: machine and instance as they are now.
    pub current: Option<String>,
    /// `SERVERPROPERTY('MachineName')`: of a cluster instance the virtual name.
    pub machine: Option<String>,
    /// `SERVERPROPERTY('InstanceName')`; NULL for the default instance.
    pub instance: Option<String>,
    /// `SERVERPROPERTY('ComputerNamePhysicalNetBIOS')`.
    pub physical: Option<String>,
    /// When its service was started (`create_date` of tempdb), as it tells: of two servers of one name it is not the same.
    pub started: Option<String>,
}

/// SQL Server Agent, without which no job of log shipping runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Agent {
    /// It has sessions of its own.
    Runs,
    /// It has none.
    Stopped,
    /// An Express edition has none.
    NotOffered,
    /// The login may not see the sessions of others, or the server did not tell.
    Unknown,
}

/// `sys.database_mirroring_endpoints`: an instance has at most one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// It listens, for a partner.
    Started(String),
    /// It does not: its name, and its state as the server words it.
    NotStarted(String, String),
    /// It takes no partner, only the witness's part.
    WitnessOnly(String),
    /// There is none.
    Missing,
    /// The login may not see it, or the server did not tell.
    Unknown,
}

/// A session on the chat database.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    /// `spid`; 0: not told.
    pub id: i32,
    /// Client host, as it calls itself.
    pub host: String,
    /// Program, as it calls itself.
    pub program: String,
    /// Login.
    pub login: String,
}

/// A running RESTORE or BACKUP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RunningRestore {
    /// `session_id`; 0: not told.
    pub session: i32,
    /// `command`, for example `RESTORE LOG`.
    pub command: String,
    /// Whole per cent, as the server tells.
    pub percent: u8,
}
