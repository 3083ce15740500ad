//! The in-memory world: two sites, their files, the journal, and what happens to them.
//!
//! LSNs are seconds of the story: a message stored at second 317 stands at LSN 317 of its fork.

use jiff::Timestamp;
use pchat_planner::facts::PoolState;
use pchat_planner::journal::{Epoch, Journal};
use pchat_planner::plan::{Action, StepId};
use pchat_planner::pool::Side;
use pchat_planner::run::Asked;

/// Where the log of the dead side really ends: 50 seconds of messages were never shipped.
pub const WRITTEN: i64 = 450;

/// A partner of the primary side as it really is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// Principal, ONLINE, answers.
    Serves,
    /// Principal, ONLINE, cut off: chat servers write to it and nobody here sees it.
    CutOff,
    /// Gone.
    Dead,
    /// Answers as mirror.
    Mirror,
    /// Mirror, cut off.
    MirrorCutOff,
    /// Answers; its database is SUSPECT.
    Damaged,
    /// Refuses the login.
    Refuses,
}

impl Peer {
    pub fn silent(self) -> bool {
        matches!(self, Peer::CutOff | Peer::Dead | Peer::MirrorCutOff)
    }

    pub fn writes(self) -> bool {
        matches!(self, Peer::Serves | Peer::CutOff)
    }
}

/// A log backup in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Look {
    Absent,
    Whole,
    Torn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileAt {
    pub share: Look,
    pub folder: Look,
    /// Tick at which a late file appeared.
    pub born: Option<u16>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Copy {
    Restoring,
    Standby,
    Online,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Db {
    pub copy: Copy,
    /// Where it stands, or stood when it was recovered.
    pub lsn: u16,
    pub fork: u8,
    /// Last file restored; `None`: history does not tell.
    pub last: Option<u8>,
    /// Recovered by a batch of the operator.
    pub ours: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shipping {
    pub copy_enabled: bool,
    pub restore_enabled: bool,
    pub copy_running: bool,
    pub restore_running: bool,
    /// Tick at which the copy job last ended, and whether it succeeded.
    pub copied: Option<(u16, bool)>,
    pub last_restored: u8,
}

/// An executor with what it remembers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Exec {
    pub declared: Side,
    /// How often it was started.
    pub life: u8,
    /// How many tokens it has used.
    pub tokens: u8,
    pub epoch: Option<Epoch>,
    pub first_look: Option<Option<Epoch>>,
    /// Token of the life before this one, if that ended by itself.
    pub over: Option<Epoch>,
    /// Whose token stood there when the lock was last seen held, and when.
    pub held: Option<(Epoch, Timestamp)>,
    /// It was suspended in the last tick, and renewed nothing.
    pub slept: bool,
    pub approvals: Vec<String>,
    pub asked: Vec<Asked>,
    /// Tick of its start: silence counts from there.
    pub started: u16,
}

/// A request on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Msg {
    pub by: u8,
    pub epoch: Epoch,
    pub sent: u16,
    /// The other side as it was when this was planned.
    pub seen: [Peer; 2],
    pub silent: [u16; 2],
    pub step: StepId,
    pub action: Action,
    /// Whether the transition was being called off when this was planned.
    pub back: bool,
}

/// How often each misfortune may still happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    pub crashes: u8,
    pub ends: u8,
    pub lost: u8,
    pub delays: u8,
    pub ticks: u8,
    pub returns: u8,
    pub promotions: u8,
    pub cuts: u8,
    pub writes: u8,
    pub turns: u8,
    pub approvals: u8,
    pub readers: u8,
    pub late: u8,
    pub hand: u8,
    pub shares: u8,
    pub job_runs: u8,
    /// Actions that take their time, and hold the lock meanwhile.
    pub longs: u8,
    /// Ticks in which one executor is suspended.
    pub sleeps: u8,
    /// Looks into the middle of which a delayed request arrives.
    pub torn: u8,
    /// Log shipping's jobs are disabled by hand.
    pub disables: u8,
}

/// What must never happen, noticed when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Bad {
    /// Recovered while the other side was known to serve, or had long been back.
    TwoSides = 1,
    /// Recovered over a file that could have been applied, and nobody accepted that.
    OverApplicable = 2,
    /// A message outside the reported interval is lost.
    OutsideInterval = 4,
    /// An effect of a request whose sender does not own the open transition.
    Unfenced = 8,
    /// Recovered while the mirror answered, and nobody accepted that.
    MirrorGivenUp = 16,
    /// Recovered after too short a silence.
    TooSoon = 32,
    /// The pool was given a copy that lacks what was shipped, and nobody accepted that.
    StaleCopyUsed = 64,
    /// Log shipping was touched before its evidence was written.
    NoEvidence = 128,
    /// Live users were disconnected.
    UsersKilled = 256,
    /// Recovered though a run had seen the silent side live, and nobody accepted that.
    LifeForgotten = 512,
    /// An owner that lives was taken over from, by no new run and without an approval.
    Displaced = 1024,
    /// A failover was called off and nobody is left in charge, while log shipping's jobs are disabled.
    Unprotected = 2048,
    /// A request was sent though the lock was held.
    IntoTheLock = 4096,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub tick: u16,
    pub peers: [Peer; 2],
    /// Since when each is silent.
    pub silent: [u16; 2],
    /// Seconds after `WRITTEN` at which the other side last stored a message, if it did.
    pub last_write: Option<i64>,
    pub share_up: bool,
    pub files: Vec<FileAt>,
    pub db: Db,
    pub shipping: Option<Shipping>,
    pub journal: Journal,
    pub pool: PoolState,
    pub ours_active: bool,
    pub settled: bool,
    /// The chat servers never connect.
    pub deaf: bool,
    pub readers: bool,
    pub mirrored: bool,
    pub store_ok: bool,
    /// A run has seen the silent side live, and written that down.
    pub lived: bool,
    pub source_declared: bool,
    pub execs: Vec<Exec>,
    pub net: Vec<Msg>,
    /// The request that is being carried out, and holds the lock.
    pub running: Option<Msg>,
    pub left: Budget,
    pub bad: u16,
}

impl World {
    pub fn note(&mut self, bad: Bad) {
        self.bad |= bad as u16;
    }
}
