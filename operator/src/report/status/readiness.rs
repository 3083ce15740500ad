//! Could the pool be switched right now? Answered by planning the other value, all the time.
//!
//! While the primary side serves, what a forced failover would meet is asked of the same planner, with the other side
//! imagined silent for as long as the declaration demands. Nothing here looks anywhere.

use jiff::{SignedDuration, Timestamp};
use pchat_crds::status::ConditionStatus;
use pchat_planner::facts::{Contact, Fact, Facts};
use pchat_planner::journal::Run;
use pchat_planner::plan::{Next, Plan, Reason};
use pchat_planner::pool::{Pool, Side};

use super::Answer;
use super::reasons::LOOKING;
use crate::report::journal;
use crate::report::words::{meaning, sentence};

/// The answer to `FailoverReady`.
pub fn readiness(pool: &Pool, facts: &Facts, run: &Run, now: Timestamp) -> Answer {
    let mut turned = pool.clone();
    turned.active = pool.active.other();
    let lost = &pool.site(pool.active).name;
    let taking = &pool.site(turned.active).name;
    if let Some(open) = open(pool, facts) {
        return open;
    }
    if turned.active == Side::Primary {
        let plan = pchat_planner::plan(&turned, facts, run, now);
        return match plan.next {
            Next::Converged => {
                answer(ConditionStatus::True, Reason::AsDeclared, "Nothing would have to be done.")
            }
            next => {
                let text = format!(
                    "Moving back to {taking} is a failback, which this version does not do by itself: follow the published \
                     procedure.{}",
                    obstacle(&next)
                );
                answer(ConditionStatus::False, Reason::FailbackNeeded, &text)
            }
        };
    }
    let (imagined, then) = without(pool, facts, pool.active, now);
    let plan = pchat_planner::plan(&turned, &imagined, run, then);
    match (&plan.next, plan.hazards.first()) {
        (Next::Blocked(stop), _) => {
            let text = format!(
                "If {lost} were lost now, a failover to {taking} would stop: {} {}",
                sentence(&stop.message),
                sentence(&stop.remedy)
            );
            answer(ConditionStatus::False, stop.reason, &text)
        }
        (Next::Wait { reason: Reason::Looking, message, .. }, _) => Answer {
            kind: "FailoverReady",
            status: ConditionStatus::Unknown,
            reason: LOOKING.to_owned(),
            message: format!("Not everything was looked at yet: {}", sentence(message)),
        },
        (_, Some(hazard)) => {
            let text = format!(
                "If {lost} were lost now, a failover to {taking} would wait for an approval: {}",
                sentence(&hazard.sentence)
            );
            answer(ConditionStatus::False, hazard.reason, &text)
        }
        _ => answer(ConditionStatus::True, Reason::AsDeclared, &ready(pool, &plan, lost, taking)),
    }
}

/// The answer while the pool is being moved: that needs no planning.
pub fn open(pool: &Pool, facts: &Facts) -> Option<Answer> {
    let open = journal(facts)?.transition.as_ref().filter(|transition| transition.is_open())?;
    Some(Answer {
        kind: "FailoverReady",
        status: ConditionStatus::False,
        reason: "TransitionOpen".into(),
        message: format!("The pool is being moved to {} already.", pool.site(open.intent).name),
    })
}

fn ready(pool: &Pool, plan: &Plan, lost: &str, taking: &str) -> String {
    let warnings = plan.warnings.iter().map(|(_, text)| format!(" {}", sentence(text))).collect::<String>();
    format!(
        "If {lost} were lost now, activeDatabase: {} would move the pool to {taking} with what log shipping has \
         brought there.{warnings}",
        pool.active.other()
    )
}

/// What else is in the way.
fn obstacle(next: &Next) -> String {
    match next {
        Next::Blocked(stop) if stop.reason != Reason::FailbackNeeded => {
            format!(" {} {}", sentence(&stop.message), sentence(&stop.remedy))
        }
        _ => String::new(),
    }
}

fn answer(status: ConditionStatus, reason: Reason, message: &str) -> Answer {
    let reason = if status == ConditionStatus::True { "Ready".to_owned() } else { format!("{reason:?}") };
    let message = if message.trim().is_empty() { meaning(Reason::AsDeclared) } else { message.trim() };
    Answer { kind: "FailoverReady", status, reason, message: message.to_owned() }
}

/// The facts as they would be, had `side` fallen silent now and stayed so; and the moment at which that is long enough.
fn without(pool: &Pool, facts: &Facts, side: Side, now: Timestamp) -> (Facts, Timestamp) {
    let mut imagined = facts.clone();
    let wait = pool.silent_for.saturating_add(SignedDuration::from_secs(60));
    let then = now.checked_add(wait).unwrap_or(Timestamp::MAX);
    for (_, seen) in imagined.instances.iter_mut().filter(|(id, _)| id.side == side) {
        let detail = "imagined".to_owned();
        seen.contact = Contact::Silent { since: now, until: then, tries: 3, detail: detail.clone() };
        seen.at = then;
        seen.state = Fact::Unknown { why: detail, source: String::new(), at: then };
    }
    (imagined, then)
}
