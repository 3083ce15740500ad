//! What this run saw and did, in order: the material of the report.
//!
//! A record is never asked what to do next. It is written beside the plan, and a run that has lost it does
//! the same things.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use pchat_planner::lsn::Lsn;
use pchat_planner::plan::{Action, Direction, Loss, Plan, Step, StepId, StepState};
use serde::Serialize;
use uuid::Uuid;

use super::words::millis;
use crate::far_end::{ActError, Done};

/// Failures kept; older ones are dropped.
const FAILURES: usize = 20;

/// One run, from its first look on.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// When it began.
    pub started: Timestamp,
    /// When it ended, once it did.
    pub ended: Option<Timestamp>,
    /// Who ran.
    pub executor: String,
    /// Actions that the far ends confirmed and that changed something.
    pub actions: u32,
    /// The transition that it worked on or found, if any.
    pub transition: Option<Uuid>,
    /// What it moved; that of the last plan with something to move.
    #[serde(skip)]
    pub direction: Option<Direction>,
    /// The steps of the last plan with something to move.
    #[serde(skip)]
    pub listing: Vec<Step>,
    /// The loss, as it was last known.
    #[serde(skip)]
    pub loss: Loss,
    /// Each step that this run saw under way.
    pub steps: BTreeMap<StepId, StepRecord>,
    /// Log backups that this run restored, in order.
    pub applied: Vec<AppliedLog>,
    /// Steps of which an action was sent whose outcome nobody told.
    #[serde(skip)]
    pub unconfirmed: BTreeSet<StepId>,
    /// The last failures of actions; each was followed by another look.
    pub failures: Vec<FailedTry>,
}

/// One step in this run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepRecord {
    /// When its first action was sent.
    pub began: Option<Timestamp>,
    /// When its effect was observed.
    pub ended: Option<Timestamp>,
    /// Actions confirmed.
    pub actions: u32,
    /// What the last of them said.
    pub note: String,
}

/// One restored log backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedLog {
    /// Base name.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// Where the database stood afterwards.
    pub last_lsn: Lsn,
    /// Read from the share, because the copy was missing or could not be read.
    pub from_fallback: bool,
}

/// An action that did not end well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedTry {
    /// When.
    pub at: Timestamp,
    /// Of which step.
    pub step: StepId,
    /// Why, as a sentence.
    pub message: String,
}

impl Record {
    /// A run that begins now.
    pub fn new(executor: String, now: Timestamp) -> Self {
        Record {
            started: millis(now),
            ended: None,
            executor,
            actions: 0,
            transition: None,
            direction: None,
            listing: Vec::new(),
            loss: Loss::default(),
            steps: BTreeMap::new(),
            applied: Vec::new(),
            unconfirmed: BTreeSet::new(),
            failures: Vec::new(),
        }
    }

    /// Takes in a plan: which steps are done by now.
    pub fn see(&mut self, plan: &Plan, transition: Option<Uuid>, now: Timestamp) {
        let moving = !matches!(plan.direction, Direction::Steady(_));
        if moving || self.listing.is_empty() {
            self.direction = Some(plan.direction);
            let before = std::mem::replace(&mut self.listing, plan.steps.clone());
            if moving {
                last_is_last(&mut self.listing);
            }
            keep_reasons(&before, &mut self.listing);
        } else {
            // The transition is over: what this run began has had its effect.
            for step in self.listing.iter_mut().filter(|step| step.state != StepState::Done) {
                match self.steps.get(&step.id) {
                    Some(record) if record.actions > 0 => step.why.clone_from(&step.effect),
                    _ if step.state == StepState::Skipped => continue,
                    _ => step.why = "another executor did it".into(),
                }
                step.state = StepState::Done;
            }
        }
        if plan.loss.safe_until.is_some()
            || plan.loss.at_least_until.is_some()
            || self.loss == Loss::default()
        {
            let before = std::mem::replace(&mut self.loss, plan.loss.clone());
            // The journal has room for some names only; what this run saw itself is told whole.
            if !self.loss.unread.is_empty() && before.unread.len() > self.loss.unread.len() {
                self.loss.unread = before.unread;
            }
        }
        self.transition = transition.or(self.transition);
        for step in &self.listing {
            let Some(record) = self.steps.get_mut(&step.id) else { continue };
            match step.state {
                StepState::Done => record.ended = record.ended.or(Some(millis(now))),
                _ => record.ended = None,
            }
        }
    }

    /// An action of `step` is about to be sent.
    pub fn begin(&mut self, step: StepId, now: Timestamp) {
        let record = self.steps.entry(step).or_default();
        record.began = record.began.or(Some(millis(now)));
    }

    /// The far end confirmed it.
    pub fn confirm(&mut self, step: StepId, action: &Action, done: &Done) {
        if !done.already {
            self.actions += 1;
        }
        if let Action::ApplyLogs { files, .. } | Action::FindPosition { files } = action {
            self.applied.extend(done.applied.iter().map(|applied| AppliedLog {
                name: applied.name.clone(),
                size: files.iter().find(|file| file.name == applied.name).map_or(0, |file| file.size),
                last_lsn: applied.last_lsn,
                from_fallback: applied.from_fallback,
            }));
        }
        let record = self.steps.entry(step).or_default();
        record.actions += 1;
        record.note.clone_from(&done.note);
    }

    /// It did not end well.
    pub fn fail(&mut self, step: StepId, error: &ActError, now: Timestamp) {
        if !error.changed_nothing() {
            self.unconfirmed.insert(step);
        }
        if self.failures.len() == FAILURES {
            self.failures.remove(0);
        }
        self.failures.push(FailedTry { at: millis(now), step, message: error.to_string() });
    }

    /// Whether this run may have changed anything: an action was confirmed that did, or was sent and not confirmed.
    pub fn acted(&self) -> bool {
        self.actions > 0 || !self.unconfirmed.is_empty()
    }

    /// How long `step` took, or has taken until `now`; `None` if this run had nothing to do for it.
    pub fn took(&self, step: StepId, now: Timestamp) -> Option<SignedDuration> {
        let record = self.steps.get(&step)?;
        if record.ended.is_some() && record.actions == 0 {
            return None;
        }
        Some(record.ended.unwrap_or(now).duration_since(record.began?))
    }

    /// Number and bytes of the log backups that this run restored.
    pub fn applied_total(&self) -> (u64, u64) {
        (self.applied.len() as u64, self.applied.iter().map(|log| log.size).sum())
    }

    /// Whether `step` was seen done, by this run or before it.
    pub fn is_done(&self, step: StepId) -> bool {
        self.listing.iter().any(|s| s.id == step && s.state == StepState::Done)
    }
}

/// A transition that is not opened yet has nothing to close; that is no reason to call its last step done.
fn last_is_last(listing: &mut [Step]) {
    let done = |step: &Step| matches!(step.state, StepState::Done | StepState::Skipped);
    if let Some((last, before)) = listing.split_last_mut()
        && last.id == StepId::ReleaseOwnership
        && done(last)
        && !before.iter().all(done)
    {
        last.state = StepState::Pending;
        last.why.clear();
    }
}

/// What made a step done stays told, though later it is closed by what came after it.
fn keep_reasons(before: &[Step], listing: &mut [Step]) {
    for step in listing.iter_mut().filter(|step| step.state == StepState::Done) {
        if let Some(before) = before.iter().find(|b| b.id == step.id && b.state == StepState::Done) {
            step.why.clone_from(&before.why);
        }
    }
}
