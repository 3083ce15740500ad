//! Who may act: rule 5, intent is accepted once.
//!
//! Nobody owns the pool without an open transition. A run takes one over only from the owner that it saw at its first
//! look, from one whose signs of life have lapsed in the far end's own clock, or from one that is known to be over; displaced by
//! the same intent it stands by. Signs of life are the mark, which its run renews while it waits, and the pool's lock, which its
//! session holds while it acts.

use jiff::{SignedDuration, Timestamp};

use crate::model::facts::InstanceState;
use crate::model::journal::{Epoch, Owner, Transition};
use crate::model::plan::{Hazard, Reason};
use crate::model::pool::Side;
use crate::model::run::Run;
use crate::words::after;

/// An owner without a sign of life for this long is taken for gone.
pub const LAPSE: SignedDuration = SignedDuration::from_mins(2);
/// A run that lives renews its mark when it is this old: twice before a third of the lapse and a slow answer are over.
pub const RENEW: SignedDuration = SignedDuration::from_secs(25);

/// What a run may do about ownership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// The open transition is this run's.
    Mine(Epoch),
    /// Nobody's: no transition is open. What the owner's property holds has to be named when taking over.
    Free(Option<Epoch>),
    /// Somebody else's, and this run may take it over.
    Takeable(Option<Epoch>),
    /// A live owner wants the same: stand by.
    StandBy(Owner),
    /// A live owner wants the opposite.
    Conflict(Owner),
}

/// The open transition, if there is one.
pub(crate) fn open(state: &InstanceState) -> Option<&Transition> {
    state.journal.transition.as_ref().filter(|t| t.is_open())
}

/// The latest sign of life of the owner: its mark, or the last time at which the lock was seen held under its token.
pub(crate) fn sign_of_life(state: &InstanceState, run: &Run, owner: &Owner) -> Timestamp {
    let held = run.held.as_ref().filter(|(epoch, _)| *epoch == owner.epoch).map(|(_, at)| *at);
    let now = state.holder.as_ref().map(|_| state.clock);
    [held, now].into_iter().flatten().fold(owner.mark, Timestamp::max)
}

/// Judges the owner at the far end for a run that wants the pool on `intent`.
pub(crate) fn judge(state: &InstanceState, run: &Run, intent: Side) -> Ownership {
    let owner = state.journal.owner.as_ref();
    let epoch = owner.map(|o| o.epoch.clone());
    let Some(transition) = open(state) else {
        return Ownership::Free(epoch);
    };
    let Some(owner) = owner else {
        // Open, with nobody's name on it: released by a hand, or a batch that died half-way.
        return Ownership::Takeable(None);
    };
    // The next token counts as well: the reply to the take-over may have been lost.
    if run.epoch.as_ref() == Some(&owner.epoch) || run.next_epoch == owner.epoch {
        return Ownership::Mine(owner.epoch.clone());
    }
    if after(sign_of_life(state, run, owner), LAPSE) <= state.clock {
        return Ownership::Takeable(epoch);
    }
    // Whatever it wanted, it wants nothing more. A batch of it that is still on its way is refused at the far end as soon
    // as the new token stands there.
    if owner.ended || run.over.as_ref() == Some(&owner.epoch) {
        return Ownership::Takeable(epoch);
    }
    if transition.intent != intent {
        return Ownership::Conflict(owner.clone());
    }
    if run.first_look.as_ref() == Some(&epoch) && run.epoch.is_none() {
        return Ownership::Takeable(epoch);
    }
    Ownership::StandBy(owner.clone())
}

/// The danger of taking over from a live owner with the opposite intent.
pub(crate) fn hazard(owner: &Owner, intent: Side) -> Hazard {
    Hazard {
        reason: Reason::IntentConflict,
        subject: owner.epoch.0.clone(),
        lsn: None,
        fork: None,
        sentence: format!(
            "{} is moving the pool to the other side right now; taking over displaces it and works towards {intent}",
            owner.executor
        ),
    }
}
