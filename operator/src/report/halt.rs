//! Why a run stopped before it had converged: a named stop of the planner, or one of the driver's own.

use jiff::Timestamp;
use pchat_planner::plan::{Alternative, Reason, StepId, Stop};

use crate::far_end::ActError;

/// Something that a person, or time, has to resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Halt {
    /// A row of the decision table, or another named stop of the planner.
    Planned(Stop),
    /// The same action failed in the same way again and again.
    Failing {
        /// Of which step.
        step: StepId,
        /// How often in a row.
        tries: u32,
        /// The last failure.
        error: ActError,
    },
    /// The same action was confirmed again and again, and what it should bring about is not seen.
    WithoutEffect {
        /// Of which step.
        step: StepId,
        /// How often in a row.
        tries: u32,
        /// What should have been seen.
        effect: String,
    },
    /// Nothing at the far ends has moved for a long time.
    Stalled {
        /// What was waited for.
        reason: Reason,
        /// By which step.
        step: Option<StepId>,
        /// In words.
        message: String,
        /// Since when nothing has moved.
        since: Timestamp,
    },
}

impl Halt {
    /// The constant that names it everywhere.
    pub fn name(&self) -> String {
        match self {
            Halt::Planned(stop) => stop.reason.to_string(),
            Halt::Failing { .. } => "ActionFailing".into(),
            Halt::WithoutEffect { .. } => "ActionWithoutEffect".into(),
            Halt::Stalled { .. } => "Stalled".into(),
        }
    }

    /// The step that it stops.
    pub fn step(&self) -> Option<StepId> {
        match self {
            Halt::Planned(stop) => stop.step,
            Halt::Failing { step, .. } | Halt::WithoutEffect { step, .. } => Some(*step),
            Halt::Stalled { step, .. } => *step,
        }
    }

    /// Where the log parts: what else could be followed.
    pub fn instead(&self) -> &[Alternative] {
        match self {
            Halt::Planned(stop) => &stop.instead,
            _ => &[],
        }
    }

    /// The digest to approve, where an approval resolves it.
    pub fn digest(&self) -> Option<&str> {
        match self {
            Halt::Planned(stop) => stop.digest.as_deref(),
            _ => None,
        }
    }
}
