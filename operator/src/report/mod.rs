//! What a run tells: while it goes on, when it stops, when it is done; to a person or to a machine.
//!
//! Everything here is made from the plan, the facts and the record; nothing here looks at a far end or decides
//! anything. A sentence names host\instance, object, number and time (UTC); what is not known is said to be unknown.

mod changed;
mod document;
mod end;
mod halt;
mod header;
mod human;
mod left;
mod live;
pub mod outlook;
mod record;
mod seen;
pub mod status;
mod steps;
mod stop;
mod table;
pub mod words;

use jiff::Timestamp;
use pchat_planner::facts::Facts;
use pchat_planner::journal::Journal;
use pchat_planner::plan::{Plan, StepId};
use pchat_planner::pool::Pool;

pub use self::changed::changed;
pub use self::document::{Document, document};
pub use self::end::end;
pub use self::halt::Halt;
pub use self::human::Lines;
pub use self::live::Live;
pub use self::record::{AppliedLog, Record, StepRecord};
pub use self::seen::{observed, planned};
pub use self::stop::{interrupted, not_enforced, still_running, stop};
pub use self::table::decision_table;
pub use self::words::Paint;
use crate::far_end::{ActError, Progress};
use crate::observe::HOME;

/// What there is to tell from, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// As declared.
    pub pool: &'a Pool,
    /// What was seen last, once something was.
    pub facts: Option<&'a Facts>,
    /// The plan made from it.
    pub plan: Option<&'a Plan>,
    /// What this run saw and did so far.
    pub record: &'a Record,
    /// The moment.
    pub now: Timestamp,
}

/// How a user calls this program again.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// The command line of this run without approvals, ready to be pasted.
    pub again: String,
    /// Where the state file is.
    pub state_file: Option<String>,
    /// Digests that were accepted for this run.
    pub approved: Vec<String>,
}

/// The journal at the far end, if it was read.
pub fn journal(facts: &Facts) -> Option<&Journal> {
    let state = facts.instances.get(&HOME)?.state.value()?;
    state.journal_damage.is_none().then_some(&state.journal)
}

/// Somebody who is told how a run goes.
///
/// Called from the driver's loop and from a running action; must not block for long.
pub trait Report: Sync {
    /// A sentence that stands by itself.
    fn notice(&self, sentence: &str);
    /// Looked and planned again.
    fn planned(&self, view: &View<'_>);
    /// An action of `step` is being sent.
    fn started(&self, step: StepId, view: &View<'_>);
    /// A running action gives a sign of life.
    fn progress(&self, step: StepId, progress: &Progress);
    /// The far end confirmed an action of `step`.
    fn confirmed(&self, step: StepId, view: &View<'_>);
    /// An action of `step` did not end well; it will be looked at again.
    fn failed(&self, step: StepId, error: &ActError, view: &View<'_>);
    /// The plan waits for something.
    fn waiting(&self, view: &View<'_>);
    /// The run stays at a stop, until then at the longest.
    fn staying(&self, halt: &Halt, until: Timestamp, view: &View<'_>);
}

/// Nobody is told: machine-readable output is one document at the end.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Report for Silent {
    fn notice(&self, _: &str) {}
    fn planned(&self, _: &View<'_>) {}
    fn started(&self, _: StepId, _: &View<'_>) {}
    fn progress(&self, _: StepId, _: &Progress) {}
    fn confirmed(&self, _: StepId, _: &View<'_>) {}
    fn failed(&self, _: StepId, _: &ActError, _: &View<'_>) {}
    fn waiting(&self, _: &View<'_>) {}
    fn staying(&self, _: &Halt, _: Timestamp, _: &View<'_>) {}
}
