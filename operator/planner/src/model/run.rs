//! What one run of an executor brings to the planner beside the facts.

use jiff::Timestamp;
use uuid::Uuid;

use crate::model::journal::Epoch;
use crate::model::plan::StepId;

/// What one run of an executor brings to the planner beside the facts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// Who is running, for a person.
    pub executor: String,
    /// The token that this run wrote itself, once it did. A token read from the far end is not one's own.
    pub epoch: Option<Epoch>,
    /// A token never used before, for the next time that this run takes over or writes an approval. It is kept until it was
    /// seen at the far end (the reply may be lost); then it becomes `epoch`, and a new one is made.
    pub next_epoch: Epoch,
    /// An id never used before, should this run have to open a transition.
    pub next_transition: Uuid,
    /// The owner's token as this run saw it at its first look (`None`: not looked yet; `Some(None)`: nobody's).
    pub first_look: Option<Option<Epoch>>,
    /// The token of an earlier run of the same person that is known to be over: whoever it names does nothing more.
    pub over: Option<Epoch>,
    /// Whose token stood there when the pool's lock was last seen held, and when, in the far end's clock: a sign of life that the
    /// mark does not tell.
    pub held: Option<(Epoch, Timestamp)>,
    /// Digests that a person accepted, latched when first seen.
    pub approvals: Vec<String>,
    /// Steps that this run carried out and had an answer to. The planner asks it only of steps whose effect does not last or
    /// takes time to show (copying, disconnecting, waiting for chat servers); it never takes it for an observation.
    pub asked: Vec<Asked>,
}

/// A step that a run carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// In which transition.
    pub transition: Uuid,
    /// Which step.
    pub step: StepId,
    /// When the far end answered, in the executor's clock.
    pub at: Timestamp,
}
