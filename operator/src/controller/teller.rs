//! Tells how a run goes by the status of the object.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use pchat_planner::plan::{Next, StepId};
use pchat_planner::pool::{Mode, Pool};

use pchat_crds::status::PersistentChatPoolStatus;

use crate::far_end::{ActError, Progress};
use crate::reconcile::{Ending, Identity, Outcome};
use crate::report::status::{Answer, Moment, Object, readiness, status};
use crate::report::{Halt, Report, View};

/// Makes a status of the one before it.
pub type Make<'a> = &'a dyn Fn(&PersistentChatPoolStatus) -> PersistentChatPoolStatus;

/// Where a status goes.
pub trait Sink: Sync {
    /// Takes what `make` makes of the status before.
    fn put(&self, make: Make<'_>);
    /// The pool was observed and planned.
    fn passed(&self) {}
    /// An action has ended.
    fn acted(&self, _step: StepId, _confirmed: bool) {}
}

/// A run's voice.
pub struct Teller<'a> {
    sink: &'a dyn Sink,
    object: Object,
    /// The stop that the run stays at. It is kept while the run tries again, so that the status does not waver.
    halt: Mutex<Option<Halt>>,
}

impl<'a> Teller<'a> {
    /// For one run.
    pub fn new(sink: &'a dyn Sink, object: Object) -> Self {
        Teller { sink, object, halt: Mutex::new(None) }
    }

    fn put(&self, view: &View<'_>, readiness: Option<&Answer>) {
        let halt = self.halt.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.sink.put(&|before| {
            status(&Moment { view: *view, halt: halt.as_ref(), readiness, object: &self.object, before })
        });
    }

    fn halt(&self, halt: Option<Halt>) {
        *self.halt.lock().unwrap_or_else(PoisonError::into_inner) = halt;
    }

    /// The run is over: tells how it ended, and what a change of the field would meet.
    pub fn over(&self, pool: &Pool, outcome: &Outcome, now: Timestamp) {
        let Some((facts, plan)) = &outcome.last else { return };
        let mut identity = Identity::new(outcome.record.executor.clone(), Vec::new(), outcome.keeper.over());
        identity.learn(pool, facts);
        let answer = readiness(pool, facts, identity.run(), now);
        self.halt(match &outcome.ending {
            Ending::Halted(halt) => Some(halt.clone()),
            _ => None,
        });
        let view = View { pool, facts: Some(facts), plan: Some(plan), record: &outcome.record, now };
        self.put(&view, Some(&answer));
    }
}

impl Report for Teller<'_> {
    fn notice(&self, sentence: &str) {
        tracing::warn!("{sentence}");
    }

    fn planned(&self, view: &View<'_>) {
        self.sink.passed();
        let next = view.plan.map(|plan| &plan.next);
        // A stop is told with what it means for this run, which comes right behind.
        if matches!(next, Some(Next::Blocked(_))) && view.pool.mode == Mode::Enforce {
            return;
        }
        let step = match next {
            Some(Next::Run(step, _)) => Some(*step),
            Some(Next::Wait { step, .. }) => *step,
            _ => None,
        };
        let mut halt = self.halt.lock().unwrap_or_else(PoisonError::into_inner);
        if halt.as_ref().is_some_and(|halt| matches!(halt, Halt::Planned(_)) || halt.step() != step) {
            *halt = None;
        }
        drop(halt);
        self.put(view, None);
    }

    fn started(&self, step: StepId, view: &View<'_>) {
        tracing::info!(?step, "an action is sent");
        self.put(view, None);
    }

    fn progress(&self, step: StepId, progress: &Progress) {
        tracing::debug!(?step, ?progress, "under way");
    }

    fn confirmed(&self, step: StepId, view: &View<'_>) {
        tracing::info!(?step, "the far end has confirmed it");
        self.halt(None);
        self.sink.acted(step, true);
        self.put(view, None);
    }

    fn failed(&self, step: StepId, error: &ActError, _: &View<'_>) {
        tracing::warn!(?step, %error, "it did not end well; looked at again");
        self.sink.acted(step, false);
    }

    fn waiting(&self, _: &View<'_>) {}

    fn staying(&self, halt: &Halt, _: Timestamp, view: &View<'_>) {
        self.halt(Some(halt.clone()));
        self.put(view, None);
    }
}
