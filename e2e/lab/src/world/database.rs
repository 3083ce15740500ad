//! One copy of a database: its state, its place in the log, its rows.
//!
//! Answers for what a copy holds and on which recovery fork. Every change goes through [`Database::commit`],
//! so that the log that is backed up is exactly what made the rows. It must never let a copy that is not
//! ONLINE and writable take a change.

use super::lsn::Lsn;
use super::mirroring::Mirroring;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A value of a user table, in the form in which it is logged and backed up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Cell {
    #[serde(rename = "null")]
    Null,
    #[serde(rename = "i")]
    Int(i64),
    #[serde(rename = "f")]
    Float(f64),
    #[serde(rename = "t")]
    Text(String),
    /// UTC instant of a datetime or datetime2 value.
    #[serde(rename = "d")]
    Time(Timestamp),
    #[serde(rename = "g")]
    Guid(Uuid),
    #[serde(rename = "b")]
    Bytes(Vec<u8>),
}

/// A row of a user table: table name, row number, cells in column order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row(pub String, pub u64, pub Vec<Cell>);

/// One log record: the change that a commit made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub lsn: Lsn,
    pub at: Timestamp,
    pub change: Change,
}

/// What a record changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// A row inserted, or replaced by its new form.
    Put(Row),
    /// A row deleted: table and row number.
    Delete(String, u64),
}

/// `sys.databases.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    Online = 0,
    Restoring = 1,
    Recovering = 2,
    RecoveryPending = 3,
    Suspect = 4,
    Offline = 6,
}

impl State {
    /// The text of `state_desc`.
    pub fn name(self) -> &'static str {
        match self {
            State::Online => "ONLINE",
            State::Restoring => "RESTORING",
            State::Recovering => "RECOVERING",
            State::RecoveryPending => "RECOVERY_PENDING",
            State::Suspect => "SUSPECT",
            State::Offline => "OFFLINE",
        }
    }
}

/// `sys.databases.user_access`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Access {
    #[serde(rename = "MULTI_USER")]
    Multi = 0,
    #[serde(rename = "SINGLE_USER")]
    Single = 1,
    #[serde(rename = "RESTRICTED_USER")]
    Restricted = 2,
}

/// `sys.databases.recovery_model`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RecoveryModel {
    Full = 1,
    BulkLogged = 2,
    Simple = 3,
}

impl RecoveryModel {
    /// The text of `recovery_model_desc`, with an underscore as in `sys.databases`.
    pub fn name(self) -> &'static str {
        match self {
            RecoveryModel::Full => "FULL",
            RecoveryModel::BulkLogged => "BULK_LOGGED",
            RecoveryModel::Simple => "SIMPLE",
        }
    }
}

/// A change of recovery fork: at `lsn` the log of `from` ends and that of `to` begins.
#[derive(Clone, Debug, Serialize)]
pub struct Fork {
    pub lsn: Lsn,
    pub from: Uuid,
    pub to: Uuid,
}

/// A column of a user table: name and declared type in T-SQL.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub ty: &'static str,
    pub nullable: bool,
}

const fn column(name: &'static str, ty: &'static str) -> Column {
    Column { name, ty, nullable: false }
}

/// The user tables of the chat database that the lab's chat servers and people use. `tblServerIdentity`
/// is the real product's; the message table is the lab's own, the real schema is not documented.
pub const CHAT_TABLES: &[(&str, &[Column])] = &[
    (
        "tblChat",
        &[
            column("messageId", "uniqueidentifier"),
            column("serverAddress", "nvarchar(256)"),
            column("room", "nvarchar(256)"),
            column("body", "nvarchar(4000)"),
            column("sentUtc", "datetime2(3)"),
        ],
    ),
    (
        "tblServerIdentity",
        &[
            column("serverID", "int"),
            column("serverAddress", "nvarchar(256)"),
            column("serverLastPingTime", "datetime"),
        ],
    ),
    ("tblConfig", &[column("configPoolID", "uniqueidentifier")]),
];

/// One copy of a database on one instance.
#[derive(Clone, Debug)]
pub struct Database {
    pub id: i32,
    pub name: String,
    pub created: Timestamp,
    pub state: State,
    /// The undo file, when the copy is in warm standby.
    pub standby: Option<String>,
    pub read_only: bool,
    pub access: Access,
    pub model: RecoveryModel,
    /// Equal for all copies that stem from one database.
    pub family: Uuid,
    /// This copy's own identity (`database_guid`).
    pub guid: Uuid,
    /// ONLINE: the next LSN to be written. RESTORING: where the roll forward goes on.
    pub next: Lsn,
    /// The recovery fork on which `next` lies.
    pub fork: Uuid,
    /// Fork changes in this copy's history, oldest first.
    pub forks: Vec<Fork>,
    /// First LSN that is in no log backup yet.
    pub backed_up_to: Lsn,
    /// `DatabaseBackupLSN`: the last full backup, without which there is no log backup (4214).
    pub base: Option<Lsn>,
    /// Committed records from `backed_up_to` on (and earlier ones while a mirror lacks them).
    pub log: Vec<Record>,
    pub tables: BTreeMap<String, BTreeMap<u64, Vec<Cell>>>,
    pub next_row: u64,
    pub mirroring: Option<Mirroring>,
    /// The session whose RESTORE, BACKUP or ALTER holds the copy exclusively.
    pub held_by: Option<i32>,
    /// The last committed change (UTC).
    pub last_commit: Option<Timestamp>,
}

impl Database {
    /// An empty ONLINE database in the full recovery model; without `base` no log backup is possible.
    pub fn new(id: i32, name: &str, first: Lsn, created: Timestamp, ids: [Uuid; 3]) -> Database {
        let [family, guid, fork] = ids;
        Database {
            id,
            name: name.to_owned(),
            created,
            state: State::Online,
            standby: None,
            read_only: false,
            access: Access::Multi,
            model: RecoveryModel::Full,
            family,
            guid,
            next: first,
            fork,
            forks: vec![],
            backed_up_to: first,
            base: None,
            log: vec![],
            tables: BTreeMap::new(),
            next_row: 1,
            mirroring: None,
            held_by: None,
            last_commit: None,
        }
    }

    /// ONLINE, not a standby and not read-only: commits are possible.
    pub fn writable(&self) -> bool {
        self.state == State::Online && self.standby.is_none() && !self.read_only
    }

    /// Rows can be read: ONLINE, be it in standby.
    pub fn readable(&self) -> bool {
        self.state == State::Online
    }

    /// Commits one change and returns its record; the caller has seen that the copy is writable.
    pub fn commit(&mut self, change: Change, at: Timestamp) -> Record {
        let record = Record { lsn: self.next, at, change };
        self.next = self.next.plus(1);
        self.last_commit = Some(at);
        self.apply(&record.change);
        self.log.push(record.clone());
        record
    }

    /// Replays one record from a backup or from the principal.
    pub fn replay(&mut self, record: &Record) {
        self.apply(&record.change);
        self.last_commit = Some(record.at);
        self.log.push(record.clone());
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Put(Row(table, id, cells)) => {
                self.next_row = self.next_row.max(id + 1);
                self.tables.entry(table.clone()).or_default().insert(*id, cells.clone());
            }
            Change::Delete(table, id) => {
                if let Some(rows) = self.tables.get_mut(table) {
                    rows.remove(id);
                }
            }
        }
    }

    /// Brings the copy ONLINE on a new recovery fork (RESTORE WITH RECOVERY, FORCE_SERVICE).
    pub fn recover(&mut self, new_fork: Uuid) {
        self.forks.push(Fork { lsn: self.next, from: self.fork, to: new_fork });
        self.fork = new_fork;
        self.state = State::Online;
        self.standby = None;
        // Recovery writes its own records: the first commit stands a little after the fork point.
        self.next = self.next.plus(2);
    }

    /// The fork on which `lsn` lies in this copy's history.
    pub fn fork_at(&self, lsn: Lsn) -> Uuid {
        self.forks.iter().find(|f| lsn <= f.lsn).map_or(self.fork, |f| f.from)
    }

    /// All rows, for a full backup.
    pub fn rows(&self) -> Vec<Row> {
        let of = |(t, rows): (&String, &BTreeMap<u64, Vec<Cell>>)| {
            rows.iter().map(|(id, cells)| Row(t.clone(), *id, cells.clone())).collect::<Vec<_>>()
        };
        self.tables.iter().flat_map(of).collect()
    }

    /// Forgets log that is backed up and that no mirror needs any more.
    pub fn truncate_log(&mut self, keep_from: Lsn) {
        let keep = keep_from.min(self.backed_up_to);
        self.log.retain(|r| r.lsn >= keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_starts_a_fork_and_the_history_still_names_the_old_one() {
        let (old, new) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut db = Database::new(5, "mgc", Lsn::new(41, 1), Timestamp::UNIX_EPOCH, [old; 3]);
        let row = || Row("tblConfig".into(), 1, vec![Cell::Guid(old)]);
        let before = db.commit(Change::Put(row()), Timestamp::UNIX_EPOCH);
        let point = db.next;
        db.recover(new);
        assert_eq!(db.fork_at(before.lsn), old);
        assert_eq!(db.fork_at(point), old, "the fork point itself still belongs to the old fork");
        assert_eq!(db.fork_at(db.next), new);
    }

    #[test]
    fn replayed_records_make_the_same_rows() {
        let id = [Uuid::nil(); 3];
        let mut a = Database::new(5, "mgc", Lsn::new(41, 1), Timestamp::UNIX_EPOCH, id);
        let mut b = a.clone();
        for n in 1..=3 {
            let r = a.commit(Change::Put(Row("t".into(), n, vec![Cell::Int(7)])), Timestamp::UNIX_EPOCH);
            b.replay(&r);
        }
        let r = a.commit(Change::Delete("t".into(), 2), Timestamp::UNIX_EPOCH);
        b.replay(&r);
        assert_eq!(a.tables, b.tables);
        assert_eq!(b.next_row, 4);
    }
}
