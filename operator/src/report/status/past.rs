//! What a status keeps of the one before it: times of what still stands, and the transitions that are over.

use jiff::{SignedDuration, Timestamp};
use pchat_crds::status::{
    Condition, ConditionStatus, HISTORY_LIMIT, PersistentChatPoolStatus, QuestionStatus, TransitionStatus,
};
use pchat_planner::journal::{Phase, Transition};
use pchat_planner::plan::Direction;

use super::{Answer, Moment, clip, loss, reasons, side};
use crate::report::journal;
use crate::report::words::millis;

/// `status.lastLogBackup` alone is no reason to write, unless it is older than this.
const LAG_GRAIN: SignedDuration = SignedDuration::from_mins(15);

/// `ours` for an object on which `theirs` stands, whoever wrote that: what both say keeps its time, and no transition that one
/// of them has kept is lost. Two writers that see the same write the same.
pub fn agreed(
    ours: &PersistentChatPoolStatus,
    theirs: &PersistentChatPoolStatus,
) -> PersistentChatPoolStatus {
    let mut agreed = ours.clone();
    let another = another_question(theirs, ours.question.as_ref());
    for condition in &mut agreed.conditions {
        let same = |old: &&Condition| same_answer(old, &condition.type_, condition.status, another);
        if let Some(old) = theirs.conditions.iter().find(same) {
            condition.last_transition_time = old.last_transition_time;
        }
    }
    for server in &mut agreed.observed {
        let same =
            theirs.observed.iter().find(|old| old.server == server.server && old.state == server.state);
        if let Some(old) = same {
            server.since = old.since;
        }
    }
    let only_ours = ours.history.iter().filter(|own| theirs.history.iter().all(|other| other.id != own.id));
    agreed.history = theirs.history.iter().chain(only_ours).cloned().collect();
    agreed.history.sort_by_key(|entry| std::cmp::Reverse(entry.started_at));
    agreed.history.truncate(HISTORY_LIMIT);
    keep_lag(&mut agreed, theirs);
    agreed
}

/// A transition that has just been seen to be over goes into the history, whoever has finished it.
pub fn remember(moment: &Moment<'_>, status: &mut PersistentChatPoolStatus) {
    let Moment { view, before, .. } = moment;
    let Some(journaled) = view.facts.and_then(journal).and_then(|j| j.transition.as_ref()) else { return };
    let id = journaled.id.to_string();
    if journaled.is_open() || status.history.iter().any(|known| known.id == id) {
        return;
    }
    let direction = view.record.direction.filter(|direction| !matches!(direction, Direction::Steady(_)));
    let in_this_run = direction.is_some() && view.record.transition == Some(journaled.id);
    // When one ended that was never seen under way is not known.
    if !in_this_run && !was_open(before, journaled) {
        return;
    }
    let called_off = journaled.phase == Phase::CalledOff;
    let outcome = if called_off {
        "Called off before the point of no return; log shipping's jobs are enabled again.".to_owned()
    } else {
        format!(
            "{} serves. {} could not be fenced: this version never switches it off by itself.",
            view.pool.site(journaled.intent).name,
            view.pool.site(journaled.intent.other()).database
        )
    };
    let lost =
        if in_this_run { &view.record.loss } else { view.plan.map_or(&view.record.loss, |plan| &plan.loss) };
    let entry = TransitionStatus {
        id,
        transition: direction.unwrap_or(Direction::ForcedFailover).to_string(),
        to: side(journaled.intent),
        started_at: millis(journaled.opened),
        finished_at: millis(view.now),
        outcome,
        loss: (!called_off).then(|| loss(lost, view.now, true)),
        approval: journaled.approval.clone(),
    };
    status.history.insert(0, entry);
    status.history.truncate(HISTORY_LIMIT);
}

/// Whether the status before told of this transition as one that is open.
fn was_open(before: &PersistentChatPoolStatus, journaled: &Transition) -> bool {
    let told = before.journal.as_ref().and_then(|journal| journal.transition.as_deref());
    let told = told.and_then(|text| serde_json::from_str::<Transition>(text).ok());
    told.is_some_and(|told| told.id == journaled.id && told.is_open())
}

/// Backups go on arriving at a pool at rest; that alone is written only now and then.
pub fn keep_lag(status: &mut PersistentChatPoolStatus, before: &PersistentChatPoolStatus) {
    let (Some(new), Some(old)) = (status.last_log_backup, before.last_log_backup) else { return };
    if new != old && new.duration_since(old).abs() < LAG_GRAIN {
        let mut otherwise = status.clone();
        otherwise.last_log_backup = Some(old);
        if otherwise == *before {
            status.last_log_backup = Some(old);
        }
    }
}

/// Whether `old` gave this answer already. Another question is another answer, with a time of its own.
pub fn same_answer(old: &Condition, kind: &str, status: ConditionStatus, another_question: bool) -> bool {
    old.type_ == kind && old.status == status && !(kind == "ApprovalRequired" && another_question)
}

/// Whether `now` asks for an approval under another digest than `before` did.
pub fn another_question(before: &PersistentChatPoolStatus, now: Option<&QuestionStatus>) -> bool {
    digest(before.question.as_ref()).zip(digest(now)).is_some_and(|(then, now)| then != now)
}

/// Under which digest something is asked, if it can be accepted by way of the status.
pub fn digest(question: Option<&QuestionStatus>) -> Option<&str> {
    question?.digest.as_deref()
}

/// Times of change are those of before while the answer is the same.
pub fn stamp(
    answers: Vec<Answer>,
    question: Option<&QuestionStatus>,
    before: &PersistentChatPoolStatus,
    generation: Option<i64>,
    now: Timestamp,
) -> Vec<Condition> {
    let another = another_question(before, question);
    let stamped = answers.into_iter().map(|answer| {
        debug_assert!(reasons::listed(answer.kind, &answer.reason), "not listed: {answer:?}");
        let same = |old: &&Condition| same_answer(old, answer.kind, answer.status, another);
        let old = before.conditions.iter().find(same);
        Condition {
            type_: answer.kind.to_owned(),
            status: answer.status,
            reason: answer.reason,
            message: clip(&answer.message, 2048),
            observed_generation: generation,
            last_transition_time: old.map_or(millis(now), |old| old.last_transition_time),
        }
    });
    stamped.collect()
}
