//! Log backups in share and folder, with what their headers tell.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use uuid::Uuid;

use super::Fact;
use crate::model::lsn::{Fork, Lsn};

/// Share and folder with the headers of what is in them, read through the backup instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Backups {
    /// The paths that were looked into.
    pub source: crate::model::pool::LogSource,
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
