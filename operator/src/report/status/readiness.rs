//! `FailoverReady`: could the pool be moved right now? The planner imagines it; the words are those of `observe` and `plan`.

use jiff::Timestamp;
use pchat_crds::status::ConditionStatus;
use pchat_planner::facts::Facts;
use pchat_planner::outlook;
use pchat_planner::pool::Pool;
use pchat_planner::run::Run;

use super::Answer;
use crate::report::journal;
use crate::report::outlook::{Told, told};

/// The answer to `FailoverReady`.
pub fn readiness(pool: &Pool, facts: &Facts, run: &Run, now: Timestamp) -> Answer {
    answer(told(pool, &outlook(pool, facts, run, now)))
}

/// The answer while the pool is being moved: that needs no planning.
pub fn open(pool: &Pool, facts: &Facts) -> Option<Answer> {
    let open = journal(facts)?.transition.as_ref().filter(|transition| transition.is_open())?;
    Some(answer(Told {
        known: true,
        ready: false,
        reason: "TransitionOpen".into(),
        message: format!("The pool is being moved to {} already.", pool.site(open.intent).name),
    }))
}

fn answer(told: Told) -> Answer {
    let status = match (told.known, told.ready) {
        (false, _) => ConditionStatus::Unknown,
        (true, true) => ConditionStatus::True,
        (true, false) => ConditionStatus::False,
    };
    Answer { kind: "FailoverReady", status, reason: told.reason, message: told.message }
}
