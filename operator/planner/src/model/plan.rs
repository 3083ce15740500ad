//! The plan: data that says what is needed, in which order, why, and what comes next.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use crate::model::advice::Advice;
use crate::model::facts::PoolState;
use crate::model::journal::{Epoch, Note, Transition};
use crate::model::lsn::{Fork, Lsn, Position};
use crate::model::pool::{InstanceId, Side};

/// A step of a transition. The names are used everywhere: plan, status, events, metrics, documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::Display)]
pub enum StepId {
    /// Opens the transition at the far end.
    TakeOwnership,
    /// Disables log shipping's copy and restore jobs.
    QuiesceLogShipping,
    /// Lets log shipping's own copy job bring what is on the share.
    CopyBackups,
    /// Restores each applicable log backup in LSN order.
    ApplyLogs,
    /// Ends reader sessions of a STANDBY copy.
    DisconnectSessions,
    /// The point of no return.
    RecoverDatabase,
    /// Tells the pool which database to use.
    SetPoolState,
    /// Tells the pool which chat servers to use.
    SetActiveServers,
    /// Gives the database a mirror again.
    EstablishMirror,
    /// Drops log shipping.
    RemoveLogShipping,
    /// Closes the transition: nobody owns the pool any more.
    ReleaseOwnership,
    /// Enables log shipping's jobs again when a failover is called off.
    ResumeLogShipping,
}

/// What an executor is to do at the far end. Built by the planner alone; carries its precondition along. A transition in it is
/// written only over the one whose `rev` is one less (or over another transition's, if `rev` is 0).
#[derive(Clone, Debug, PartialEq, Eq, Hash, strum::AsRefStr)]
pub enum Action {
    /// Compare-and-swap the owner; write the transition (already open, or this new one). Issued again by the owner itself
    /// to write an approval beside the transition that it is for.
    TakeOwnership {
        /// The owner's token that this run saw at its first look, or whose mark has lapsed.
        expected: Option<Epoch>,
        /// The new token.
        epoch: Epoch,
        /// The transition as it is to stand.
        transition: Transition,
    },
    /// Write the evidence, then disable both jobs.
    QuiesceLogShipping {
        /// The log shipping that was planned against.
        secondary: Uuid,
        /// The transition with its evidence.
        transition: Transition,
    },
    /// Enable both jobs again.
    ResumeLogShipping {
        /// The log shipping that was planned against.
        secondary: Uuid,
        /// The transition as it stands: it stays open until `ReleaseOwnership`, or a crash between writing it and
        /// enabling the jobs would leave the pool unprotected with nobody in charge.
        transition: Transition,
    },
    /// Start log shipping's copy job.
    StartCopy {
        /// The job.
        job: Uuid,
    },
    /// Restore these backups, in this order. In STANDBY the readers are ended in the same batch, as in `RecoverDatabase`:
    /// between two batches they come back.
    ApplyLogs {
        /// Where the database stands.
        from: Position,
        /// Files with the position at which each is expected to be applied.
        files: Vec<LogFile>,
    },
    /// Let RESTORE itself tell where a STANDBY copy stands whose history msdb has lost: what is too early or too late for it is
    /// refused (4326, 4305) and changes nothing, and what fits is applied WITH NORECOVERY.
    FindPosition {
        /// Files to try, in the order of their log.
        files: Vec<LogFile>,
    },
    /// Restore a STANDBY copy WITH NORECOVERY and without a file: then the server tells where it stands.
    LeaveStandby,
    /// End the reader sessions of a STANDBY copy.
    DisconnectSessions,
    /// List once more, journal the recovery point, recover.
    RecoverDatabase {
        /// Where the plan ends.
        at: Position,
        /// Share and folder to be listed in the batch; `None`: the approved hazard is that there is none.
        source: Option<crate::model::pool::LogSource>,
        /// Every name that was judged.
        known: Vec<String>,
        /// The file on the share that proves that its listing works; `None` only when the approved hazard is that it can't be read.
        must: Option<String>,
        /// The transition with its recovery record.
        transition: Transition,
    },
    /// The option SINGLE_USER or RESTRICTED_USER came along in the log.
    SetMultiUser,
    /// `Set-CsPersistentChatState`.
    SetPoolState {
        /// Identity, verbatim from Get.
        identity: String,
        /// The state.
        state: PoolState,
    },
    /// `Set-CsPersistentChatActiveServer`, the full list.
    SetActiveServers {
        /// Identity, verbatim from Get.
        identity: String,
        /// The servers.
        servers: Vec<String>,
    },
    /// `Install-CsMirrorDatabase`.
    EstablishMirror {
        /// The instance that is principal.
        principal: InstanceId,
        /// Share for seeding.
        share: String,
    },
    /// Write the evidence, then drop log shipping.
    RemoveLogShipping {
        /// The log shipping that was planned against.
        secondary: Uuid,
        /// `last_restored_file` as it was read.
        last_restored: Option<String>,
        /// The transition with its evidence.
        transition: Transition,
    },
    /// Write the transition as closed, then remove the owner: without it no delayed batch of this run passes
    /// the epoch check any more.
    ReleaseOwnership {
        /// The transition, closed or called off.
        transition: Transition,
    },
}

/// One file to be restored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct LogFile {
    /// Base name, for a person.
    pub name: String,
    /// Where RESTORE is to read it.
    pub path: String,
    /// Where RESTORE is to read it if that fails (copy folder first, share second).
    pub fallback: Option<String>,
    /// Position of the set in the file.
    pub set: u16,
    /// The set's first LSN.
    pub first_lsn: Lsn,
    /// The set's last LSN: where the database stands afterwards.
    pub last_lsn: Lsn,
    /// Size in bytes.
    pub size: u64,
}

/// State of a step.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum StepState {
    /// Its effect was observed, or it is closed by outcome.
    Done,
    /// It comes next.
    Next,
    /// Later.
    Pending,
    /// It can't go on, see [`Plan::next`].
    Blocked,
    /// Not needed for this pool or this transition.
    Skipped,
}

/// One line of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Step {
    /// Which.
    pub id: StepId,
    /// Its state.
    pub state: StepState,
    /// What it acts on: `mgc on sql-ks1.contoso.com\PCHAT`.
    pub target: String,
    /// What must hold before it, in words.
    pub precondition: String,
    /// What will be observed after it, in words.
    pub effect: String,
    /// Why it is in this state: the observation, in words.
    pub why: String,
    /// How far it is, where that can be counted: done, of.
    pub progress: Option<(u64, u64)>,
}

/// Named reasons: of stops, waits and warnings. Constants with a sentence each, used everywhere.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, strum::Display, strum::VariantArray,
)]
pub enum Reason {
    /// The other side serves: a planned switchover is what is wanted.
    PlannedSwitchoverNeeded,
    /// The mirror of the other side answers as mirror and may hold what was not shipped.
    MirrorHoldsCommits,
    /// The instance answers but its database is damaged; its log may be saved.
    PrimaryDamaged,
    /// Something is alive there but can't be asked.
    PrimaryMayBeAlive,
    /// Silence is too young.
    SilenceTooShort,
    /// A file is missing or unreadable with readable ones behind it.
    LogChainGap,
    /// The next file changes the recovery fork.
    ForkAmbiguous,
    /// An ONLINE copy whose provenance is not proved.
    StaleCopySuspected,
    /// Both sides are ONLINE.
    BothSidesOnline,
    /// Listing or headers could not be read.
    BackupsUnknown,
    /// Log shipping is gone and nothing says where its files are.
    LogShippingSourceUnknown,
    /// More would be lost than the manifest allows.
    LossAboveLimit,
    /// The Central Management Store can't be written.
    CentralManagementUnavailable,
    /// A live owner has the opposite intent.
    IntentConflict,
    /// A live owner has the same intent: this run stands by.
    OwnedByAnother,
    /// The surviving side itself can't be asked.
    BackupUnreachable,
    /// The login lacks a right.
    RightsMissing,
    /// The database is in a state that no step of the transition can go on from.
    DatabaseUnusable,
    /// A transition is under way and its next action is known.
    FailoverRunning,
    /// Something was started and is not finished: a job, a restore, replication, sessions to come.
    WaitingForFarEnd,
    /// The field was turned back after the point of no return: a failback, which has its own gate.
    FailbackNeeded,
    /// Nothing to do.
    AsDeclared,
    /// `mode` does not allow acting.
    NotEnforced,
    /// The management shell can't be asked.
    ManagementShellUnavailable,
    /// The text of the journal at the far end is damaged or not ours.
    JournalDamaged,
    /// Log shipping's jobs serve another database too.
    LogShippingShared,
    /// No share is declared through which the mirror could be seeded.
    MirrorShareNeeded,
    /// The new mirror does not answer, or its session does not synchronise.
    MirrorUnavailable,
    /// A job of log shipping was deleted: what it would have brought is read on the share.
    LogShippingIncomplete,
    /// Servers are reached without full encryption.
    EncryptionWeakened,
    /// Something that it depends on was not looked at yet.
    Looking,
    /// The management shell knows no such pool.
    PoolUnknown,
    /// The management shell does not offer a cmdlet that a failover needs.
    CmdletMissing,
    /// A declared chat server is not in the topology.
    ChatServersUnknown,
    /// SQL Server Agent does not run where log shipping needs it.
    AgentStopped,
    /// A job of log shipping is disabled, has failed or hangs; or there is none.
    LogShippingUnhealthy,
    /// A database of that name stands where the mirror is to be.
    MirrorLeftover,
    /// An instance has no endpoint for mirroring that is started.
    MirrorEndpointUnusable,
    /// The header of the next log backup can be read, its body can't.
    BackupDamaged,
    /// Two declared ends are one server.
    SameServer,
    /// A declared end is not the server that log shipping or mirroring knows.
    WrongServer,
    /// A server's names mislead: told, and no stop.
    ServerNames,
}

impl Reason {
    /// Every reason, in the order of the declaration.
    pub const ALL: &'static [Reason] = <Reason as strum::VariantArray>::VARIANTS;
}

/// What a stop or wait is about, for a tired person.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Stop {
    /// Which row of the table or which rule.
    pub reason: Reason,
    /// The step that it stops.
    pub step: Option<StepId>,
    /// What stopped it: host, object, number, time.
    pub message: String,
    /// What to do.
    pub remedy: String,
    /// The digest to approve, where an approval resolves it. It accepts the plan's hazards and its loss.
    pub digest: Option<String>,
    /// Where the log parts: the other lines that could be followed.
    pub instead: Vec<Alternative>,
    /// What the remedy says is to be typed.
    pub advice: Vec<Advice>,
}

/// Another line of the log that could be followed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Alternative {
    /// The digest that chooses it.
    pub digest: String,
    /// Its fork; `None`: the one that the database is on.
    pub fork: Option<Fork>,
    /// What would be lost.
    pub loss: Loss,
    /// Every hazard that its digest accepts: other lines of the log have other dangers.
    pub hazards: Vec<Hazard>,
}

/// Exactly one thing comes next.
// One value a pass: boxing the action would buy nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Next {
    /// The far end is as declared.
    Converged,
    /// Carry this out, then observe again.
    Run(StepId, Action),
    /// Observe again, at the latest at this time.
    Wait {
        /// What for.
        reason: Reason,
        /// In words.
        message: String,
        /// The step that waits.
        step: Option<StepId>,
        /// When looking again is certainly worth it; `None`: poll with back-off.
        until: Option<Timestamp>,
    },
    /// A named stop.
    Blocked(Stop),
}

/// A danger that only a person may accept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Hazard {
    /// Kind: always one that a row of the table names as resolved by approval.
    pub reason: Reason,
    /// What it is about: file, owner's epoch, instance. Never a time or a count.
    pub subject: String,
    /// LSN at which it stands.
    pub lsn: Option<Lsn>,
    /// Fork at which it stands.
    pub fork: Option<crate::model::lsn::Fork>,
    /// What accepting it means, in words (not part of the digest).
    pub sentence: String,
}

/// What will be lost, as an interval. Unknown is said as unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Loss {
    /// Everything stored before this is kept.
    pub safe_until: Option<Timestamp>,
    /// Where that comes from.
    pub safe_source: String,
    /// Nothing was stored on the other side after this; `None`: unknown.
    pub at_most_until: Option<Timestamp>,
    /// The upper end is at least this: the first observed silence.
    pub at_least_until: Option<Timestamp>,
    /// Where the upper end comes from.
    pub end_source: String,
    /// Files that could not be read: what they hold, if they hold any of it, is given up, too.
    pub unread: Vec<String>,
}

impl Loss {
    /// Length of the interval, when both ends are known.
    pub fn at_most(&self) -> Option<SignedDuration> {
        Some(self.at_most_until?.duration_since(self.safe_until?).max(SignedDuration::ZERO))
    }
}

/// The transition that a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, strum::Display)]
pub enum Direction {
    /// The pool is on the declared side.
    Steady(Side),
    /// The other side is gone: move without it.
    ForcedFailover,
    /// A failover was begun and is no longer wanted or allowed.
    CallOff,
    /// Both sides are there: not built yet, named so that it can be said.
    PlannedSwitchover,
    /// Back to the primary side: not built yet, named so that it can be said.
    Failback,
}

/// The whole answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// What it moves.
    pub direction: Direction,
    /// Every step, in order.
    pub steps: Vec<Step>,
    /// What comes next.
    pub next: Next,
    /// What will be lost, or was.
    pub loss: Loss,
    /// All hazards, computed before anything is asked.
    pub hazards: Vec<Hazard>,
    /// Digest over pool, transition, direction, recovery point and hazards, for example `7f3a-9c21`.
    pub digest: String,
    /// What is to be written of a silent side before this run waits or ends.
    pub note: Option<Note>,
    /// Rules that do not stop but must be told: reason, sentence with remedy.
    pub warnings: Vec<(Reason, String)>,
    /// What `next` and the warnings say is to be typed.
    pub advice: Vec<Advice>,
    /// The rule or row that decided `next`.
    pub rule: Reason,
}
