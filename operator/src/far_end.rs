//! The far ends as the driver sees them: somewhere to look and somewhere to act.
//!
//! The driver knows only this trait, so that the same loop runs against real servers, the lab over the
//! real protocols, and a world in memory. Nothing here decides: what is done was decided by the planner.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use pchat_planner::facts::Facts;
use pchat_planner::journal::{Epoch, Note};
use pchat_planner::lsn::Lsn;
use pchat_planner::plan::{Action, StepId};
use tokio::sync::OwnedSemaphorePermit;

use crate::sql::refusal::Refusal;

/// How new the looks must be that facts come from. `None`: the latest look will do, however old.
///
/// The backup instance's own state is always read in the pass itself and needs no demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Share, folder and headers: from a look that began at or after this time.
    pub backups: Option<Timestamp>,
    /// Everything that the management shell tells, likewise.
    pub shell: Option<Timestamp>,
    /// Only the pool's state, likewise. Each cmdlet takes its time.
    pub pool_state: Option<Timestamp>,
    /// Only the chat servers and what is replicated to them, likewise.
    pub servers: Option<Timestamp>,
    /// The backup instance's mirror, likewise.
    pub mirror: Option<Timestamp>,
    /// The instances of the other side, likewise. Asking a dead one takes seconds.
    pub others: Option<Timestamp>,
    /// Nothing is to be told before these looks are there: they are waited for as long as they take.
    pub patient: bool,
}

impl Freshness {
    /// The latest looks will do.
    pub const LATEST: Freshness = Freshness {
        backups: None,
        shell: None,
        pool_state: None,
        servers: None,
        mirror: None,
        others: None,
        patient: false,
    };

    /// Everything from looks that began at or after `at`.
    pub fn all_since(at: Timestamp) -> Self {
        let at = Some(at);
        Freshness { backups: at, shell: at, mirror: at, others: at, ..Freshness::LATEST }
    }

    /// The stricter of both.
    pub fn and(self, other: Freshness) -> Self {
        // `None` is less than any time.
        Freshness {
            backups: self.backups.max(other.backups),
            shell: self.shell.max(other.shell),
            pool_state: self.pool_state.max(other.pool_state),
            servers: self.servers.max(other.servers),
            mirror: self.mirror.max(other.mirror),
            others: self.others.max(other.others),
            patient: self.patient || other.patient,
        }
    }

    /// What an action can have changed must be looked at again; `ended` is when its answer came.
    pub fn after(action: &Action, ended: Timestamp) -> Self {
        let now = Some(ended);
        match action {
            Action::TakeOwnership { .. }
            | Action::QuiesceLogShipping { .. }
            | Action::ResumeLogShipping { .. }
            | Action::StartCopy { .. }
            | Action::DisconnectSessions
            | Action::ApplyLogs { .. }
            | Action::FindPosition { .. }
            | Action::LeaveStandby
            | Action::RecoverDatabase { .. }
            | Action::SetMultiUser
            | Action::RemoveLogShipping { .. }
            | Action::ReleaseOwnership { .. } => Freshness::LATEST,
            Action::SetPoolState { .. } => Freshness { pool_state: now, ..Freshness::LATEST },
            Action::SetActiveServers { .. } => Freshness { servers: now, ..Freshness::LATEST },
            Action::EstablishMirror { .. } => Freshness { mirror: now, ..Freshness::LATEST },
        }
    }
}

/// One thing to be done, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The step that it belongs to.
    pub step: StepId,
    /// What to do.
    pub action: &'a Action,
    /// The token that this run owns the pool by; for `TakeOwnership` the new one.
    pub epoch: &'a Epoch,
    /// Who is acting, for a person who reads the owner's mark.
    pub executor: &'a str,
}

/// A sign of life from a running action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A backup is being restored.
    Restoring {
        /// Files of this order already restored.
        done: u64,
        /// Files of this order.
        of: u64,
        /// Per cent of the running one, as the server tells.
        percent: Option<u8>,
    },
    /// Something else is going on, in words.
    Doing(String),
}

/// What an action did, as the far end confirmed it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// A sentence fragment for the step's line, for example `5 files, 120 MB`.
    pub note: String,
    /// Whether there was nothing to do any more: the far end was already as wanted.
    pub already: bool,
    /// Backups that were restored, in order.
    pub applied: Vec<Applied>,
}

/// One restored backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Base name.
    pub name: String,
    /// Where the database stands afterwards.
    pub last_lsn: Lsn,
    /// Whether it was read from the fallback path (the share) because the first could not be.
    pub from_fallback: bool,
}

/// Why an action did not succeed. What has changed is always read again, never concluded from this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActError {
    /// The guard refused: the statement behind it did not run.
    #[error("{target} refused: {refusal}")]
    Refused {
        /// `mgc on host\instance`.
        target: String,
        /// What it said.
        refusal: Refusal,
    },
    /// The far end reported an error of its own.
    #[error("{target}: {what} {remedy}")]
    Failed {
        /// `mgc on host\instance`, or the shell's host.
        target: String,
        /// Error number of SQL Server, or fully qualified error id of a cmdlet.
        code: String,
        /// A sentence with the server's words, its number, and the cause.
        what: String,
        /// A sentence that says what to do.
        remedy: String,
    },
    /// It was never sent: there was no connection to send it on.
    #[error("{target} could not be asked: {detail}")]
    NotSent {
        /// Host\instance, or the shell's host.
        target: String,
        /// A sentence with cause and remedy.
        detail: String,
    },
    /// It was sent, and no answer came: it may or may not have taken effect, now or later.
    #[error("{target} did not confirm it: {detail}")]
    OutcomeUnknown {
        /// Host\instance, or the shell's host.
        target: String,
        /// What happened to the answer.
        detail: String,
    },
}

impl ActError {
    /// A short key by which the same failure is recognised when it repeats.
    pub fn key(&self) -> String {
        match self {
            ActError::Refused { refusal, .. } => format!("refused {}", refusal.code.word()),
            ActError::Failed { code, .. } => format!("failed {code}"),
            ActError::NotSent { .. } => "not sent".into(),
            ActError::OutcomeUnknown { .. } => "outcome unknown".into(),
        }
    }

    /// Whether it is certain that this order changed nothing.
    pub fn changed_nothing(&self) -> bool {
        matches!(self, ActError::Refused { .. } | ActError::NotSent { .. })
    }
}

/// The turn of a pool to act, where not all may at the same time. Held for as long as the action runs.
#[derive(Debug, Default)]
pub struct Turn {
    /// Others had to end first: what was planned before that is to be planned again.
    pub waited: bool,
    /// What makes the others wait.
    pub permit: Option<OwnedSemaphorePermit>,
}

/// What an owner says of itself between its actions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It waits, or stands at a stop, and lives.
    Lives,
    /// Its run is over before its transition is: nobody need wait for it.
    Ended,
}

/// Somewhere to look and somewhere to act.
pub trait FarEnd: Send + Sync {
    /// Reads the facts: the backup instance in this pass, the rest from the latest looks. Never fails: what can't be read is
    /// unknown, with the reason; what is not as new as was demanded, now or earlier, and does not come in a moment, is pending.
    fn observe(&self, freshness: Freshness) -> impl Future<Output = Facts> + Send;

    /// Returns when this pool may act. Taken before [`FarEnd::act`], not within it: what is waited for there would be done
    /// on a plan of any age.
    fn turn(&self) -> impl Future<Output = Turn> + Send {
        std::future::ready(Turn::default())
    }

    /// Carries out one action. `progress` is called from time to time while it runs.
    ///
    /// Dropping the future does not undo anything; the outcome is then unknown.
    fn act(
        &self,
        order: Order<'_>,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> impl Future<Output = Result<Done, ActError>> + Send;

    /// Writes a sign beside the owner's token, under the same guard as an action. Where it can't be written nothing is lost:
    /// the owner's mark lapses.
    fn sign(
        &self,
        _sign: Sign,
        _epoch: &Epoch,
        _executor: &str,
    ) -> impl Future<Output = Result<(), ActError>> + Send {
        std::future::ready(Ok(()))
    }

    /// Writes down what was seen of a silent side. An error is a sentence; nothing depends on it but what the next run knows.
    fn note(&self, note: &Note, executor: &str) -> impl Future<Output = Result<(), String>> + Send {
        let _ = (note, executor);
        std::future::ready(Ok(()))
    }

    /// Returns when a look in the background has brought something new, or after `at_most`: the moment
    /// at which observing again is worth it while the plan waits.
    fn news(&self, at_most: Duration) -> impl Future<Output = ()> + Send;

    /// Leaves a pool at rest that needs nothing: until something is done or waited for, it is looked at only when observed.
    fn rest(&self) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}
