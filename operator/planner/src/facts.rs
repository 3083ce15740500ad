//! What was observed, by whom and when.
//!
//! A fact is known, or it is unknown for a reason, or it is still being looked for. An unreachable server is not a missing database, and
//! an empty listing is not an empty folder.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use uuid::Uuid;

use crate::journal::{Journal, Phase, Transition};
use crate::lsn::{Fork, Lsn, Position};
use crate::pool::InstanceId;

/// A value with its source and time, or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fact<T> {
    /// It was read.
    Known {
        /// What was read.
        value: T,
        /// Where: host\instance and view, or cmdlet.
        source: String,
        /// When the reading began.
        at: Timestamp,
    },
    /// It could not be read.
    Unknown {
        /// A sentence with object, cause and, where there is one, the server's number.
        why: String,
        /// Where it was looked for.
        source: String,
        /// When the look began.
        at: Timestamp,
    },
    /// It was not looked at yet, or not since that was demanded; somebody is at it.
    Pending {
        /// What is being looked at.
        source: String,
        /// Since when.
        since: Timestamp,
    },
}

impl<T> Fact<T> {
    /// The value, if known.
    pub fn value(&self) -> Option<&T> {
        match self {
            Fact::Known { value, .. } => Some(value),
            Fact::Unknown { .. } | Fact::Pending { .. } => None,
        }
    }

    /// Why it is unknown, if it is.
    pub fn why(&self) -> Option<&str> {
        match self {
            Fact::Known { .. } | Fact::Pending { .. } => None,
            Fact::Unknown { why, .. } => Some(why),
        }
    }

    /// When the look began that this fact comes from. One that is under way has shown nothing yet: it is older than any demand.
    pub fn at(&self) -> Timestamp {
        match self {
            Fact::Known { at, .. } | Fact::Unknown { at, .. } => *at,
            Fact::Pending { .. } => Timestamp::MIN,
        }
    }

    /// What is being looked at and since when, if it was not seen yet.
    pub fn pending(&self) -> Option<(&str, Timestamp)> {
        match self {
            Fact::Pending { source, since } => Some((source, *since)),
            Fact::Known { .. } | Fact::Unknown { .. } => None,
        }
    }

    /// Whether it was not seen yet.
    pub fn is_pending(&self) -> bool {
        matches!(self, Fact::Pending { .. })
    }

    /// Where it was looked for.
    pub fn source(&self) -> &str {
        match self {
            Fact::Known { source, .. } | Fact::Unknown { source, .. } | Fact::Pending { source, .. } => {
                source
            }
        }
    }
}

/// Whether a server answers at all. The difference decides whether a failover may be forced.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Contact {
    /// Logged in and asked.
    Answers,
    /// Something is alive there, but it could not be asked: a refused connection or login, a failed TLS
    /// handshake, SQL Browser without the instance, a query that failed or hung.
    Unusable {
        /// A sentence with host, cause and remedy.
        detail: String,
    },
    /// Logged in, and the login may not see what it asked for. As alive as an unusable one.
    Denied {
        /// What was denied: the server's words with its number.
        detail: String,
    },
    /// Nothing came back at all.
    Silent {
        /// Start of the first look of an unbroken series of silent ones.
        since: Timestamp,
        /// End of the last look of that series: nothing is known of what came after it.
        until: Timestamp,
        /// Number of looks in the series.
        tries: u32,
        /// What was tried, for example `no answer from 10.1.1.11:1433 in 3 s`.
        detail: String,
    },
    /// It was not looked at yet, or not since that was demanded; it is being asked.
    Pending {
        /// Since when.
        since: Timestamp,
    },
}

/// One SQL Server instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstanceFacts {
    /// Whether it answers.
    pub contact: Contact,
    /// Start of the look that `contact` comes from.
    pub at: Timestamp,
    /// The login that it is asked with.
    pub login: String,
    /// Its state; unknown unless it answers.
    pub state: Fact<InstanceState>,
}

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
    /// The session that holds the pool's lock, if one does: an action is being carried out by it.
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

/// An Agent job of log shipping.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    /// `job_id`.
    pub id: Uuid,
    /// Name, for a person.
    pub name: String,
    /// Whether its schedules count; `None`: the server does not tell.
    pub enabled: Option<bool>,
    /// Whether it runs now.
    pub running: bool,
    /// Since when, if it does and the server tells.
    pub since: Option<Timestamp>,
    /// Outcome of its last finished run, if any: when it ended, and the error if it failed.
    pub last_run: Option<(Timestamp, Result<(), String>)>,
}

/// Log shipping's secondary side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Secondary {
    /// Identity.
    pub id: Uuid,
    /// The primary that it names.
    pub primary_server: String,
    /// UNC path of the backups; empty: not told.
    pub share: String,
    /// Folder that they are copied to; empty: not told.
    pub folder: String,
    /// The monitor; dropping log shipping asks it.
    pub monitor_server: String,
    /// Copy job; `None`: msdb has no such job any more.
    pub copy_job: Option<Job>,
    /// Restore job, likewise.
    pub restore_job: Option<Job>,
    /// Last file copied, as msdb has it.
    pub last_copied: Option<String>,
    /// Last file restored, as msdb has it.
    pub last_restored: Option<String>,
    /// Whether these jobs serve another database too.
    pub shared: bool,
}

impl Secondary {
    /// Its jobs, as far as msdb has them: copy first.
    pub fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.copy_job.iter().chain(&self.restore_job)
    }

    /// Which of its jobs are gone, in words.
    pub fn jobs_gone(&self) -> Option<&'static str> {
        match (&self.copy_job, &self.restore_job) {
            (Some(_), Some(_)) => None,
            (None, Some(_)) => Some("copy job"),
            (Some(_), None) => Some("restore job"),
            (None, None) => Some("copy and restore jobs"),
        }
    }

    /// Where its files are, if it tells.
    pub fn source(&self) -> Option<crate::pool::LogSource> {
        let told = !self.share.is_empty() && !self.folder.is_empty();
        told.then(|| crate::pool::LogSource { share: self.share.clone(), folder: self.folder.clone() })
    }
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

/// Share and folder with the headers of what is in them, read through the backup instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Backups {
    /// The paths that were looked into.
    pub source: crate::pool::LogSource,
    /// Names on the share. Unknown unless the listing is proved: the directory exists and a file that must be there is.
    pub share: Fact<Vec<String>>,
    /// Names in the copy folder, by the same proof.
    pub folder: Fact<Vec<String>>,
    /// Every file that is or may be a backup, whatever its name.
    pub files: BTreeMap<String, BackupFile>,
    /// When their log was found, oldest first.
    pub grown: Arc<[Grown]>,
    /// Files that are not counted among the log backups, each with the reason. Their headers were asked for, too.
    pub aside: BTreeMap<String, String>,
    /// Since when each look has found a file that may still be being written.
    pub restless: Option<Timestamp>,
    /// Backup sets whose header can be read and whose body could not be restored.
    pub damaged: Vec<Damaged>,
}

/// How far the log that is in share and folder reached at a look, kept for each look at which it reached further.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grown {
    /// Start of the last look before this one at which the share's listing was proved; `None`: there was none.
    pub before: Option<Timestamp>,
    /// End of this look.
    pub seen: Timestamp,
    /// The highest LSN of each recovery fork.
    pub ends: Vec<(Fork, Lsn)>,
}

impl Grown {
    /// Whether log of this fork up to this LSN was there.
    pub fn holds(&self, fork: Fork, lsn: Lsn) -> bool {
        self.ends.iter().any(|(f, end)| *f == fork && lsn <= *end)
    }
}

/// A backup set that RESTORE could not read to its end at one path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Damaged {
    /// Where RESTORE read it.
    pub path: String,
    /// `Position` within the file.
    pub position: u16,
    /// `BackupSetGUID`.
    pub set: Uuid,
    /// The server's words, with its number.
    pub what: String,
}

/// A file by name, as found in one or both places. What the two hold need not be the same: names repeat when a clock is set
/// back, and a job may append to a file that was copied already.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BackupFile {
    /// As read on the share; `None`: not there.
    pub on_share: Option<Header>,
    /// As read in the copy folder; `None`: not there.
    pub in_folder: Option<Header>,
}

/// What RESTORE HEADERONLY made of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Header {
    /// Its backup sets.
    Read(Arc<[BackupSet]>),
    /// Whole backup sets, and behind them one that is not.
    Partly {
        /// The whole ones.
        sets: Arc<[BackupSet]>,
        /// What is wrong behind them.
        what: String,
        /// Since when it has been found unchanged.
        since: Timestamp,
    },
    /// Torn or malformed, or unfinished (`*** INCOMPLETE ***`, NULL LSNs).
    Torn {
        /// The server's words, with its number.
        what: String,
        /// Since when it has been found unchanged.
        since: Timestamp,
    },
    /// In use: somebody is writing it.
    InUse,
    /// The server could not tell (unreachable, denied, another error).
    Unknown(String),
}

impl Header {
    /// The whole backup sets that it tells of.
    pub fn sets(&self) -> &[BackupSet] {
        match self {
            Header::Read(sets) | Header::Partly { sets, .. } => sets,
            Header::Torn { .. } | Header::InUse | Header::Unknown(_) => &[],
        }
    }
}

/// Kind of a backup set (`BackupType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BackupKind {
    /// 2
    Log,
    /// 1
    Full,
    /// Any other number.
    Other(u8),
}

/// One row of RESTORE HEADERONLY.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BackupSet {
    /// `BackupSetGUID`.
    pub id: Uuid,
    /// `Position` within the file.
    pub position: u16,
    /// Kind.
    pub kind: BackupKind,
    /// `DatabaseName`.
    pub database: String,
    /// `FamilyGUID`.
    pub family: Uuid,
    /// `FirstLSN`.
    pub first_lsn: Lsn,
    /// `LastLSN`: LSN of the next record after the set.
    pub last_lsn: Lsn,
    /// `FirstRecoveryForkID`.
    pub first_fork: Fork,
    /// `RecoveryForkID`.
    pub fork: Fork,
    /// `ForkPointLSN`, if the set crosses a fork.
    pub fork_point: Option<Lsn>,
    /// `BackupStartDate`: the wall clock of the server that made it, in a zone that no header tells.
    pub started: DateTime,
    /// `BackupFinishDate`, likewise.
    pub finished: DateTime,
    /// `ServerName`.
    pub server: String,
    /// `BackupSize`, bytes.
    pub size: u64,
}

/// `Get-CsPersistentChatState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::Display)]
pub enum PoolState {
    /// The primary side's database is used.
    Normal,
    /// The backup side's database is used.
    FailedOver,
}

/// The pool's entry in the topology (`Get-CsService -PersistentChatServer`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Servers {
    /// Identity to be used in Set cmdlets, verbatim.
    pub identity: String,
    /// Active servers, lower case.
    pub active: Vec<String>,
    /// Inactive ones, lower case.
    pub inactive: Vec<String>,
}

/// What the Lync Management Shell tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ShellFacts {
    /// Whether its host answers.
    pub contact: Contact,
    /// Identity and state of the pool.
    pub pool_state: Fact<(String, PoolState)>,
    /// Active and inactive servers.
    pub servers: Fact<Servers>,
    /// For each declared chat server, lower case: whether the store has been replicated to it.
    pub replicated: Fact<BTreeMap<String, bool>>,
    /// Whether the Central Management Store can be written; `Err` says why not.
    pub store_writable: Fact<Result<(), String>>,
    /// Whether the endpoint offers a cmdlet; one that is not in it was not asked about, or the answer proved nothing.
    pub cmdlets: BTreeMap<String, bool>,
    /// The pools that the shell knows, if it was asked and the declared one is not among them.
    pub other_pools: Option<Vec<String>>,
}

/// Everything observed in one pass.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Facts {
    /// Each declared instance.
    pub instances: BTreeMap<InstanceId, InstanceFacts>,
    /// Files and headers; unknown while there is nowhere to look, or nobody to ask.
    pub backups: Fact<Backups>,
    /// The management shell.
    pub shell: ShellFacts,
}
