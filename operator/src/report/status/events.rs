//! What is worth an event: a step that has moved, a condition that has another answer.
//!
//! One event for each change. Reasons are the names of steps and conditions with their outcome, from the same words as
//! plan and status.

use pchat_crds::status::{Condition, ConditionStatus, PersistentChatPoolStatus, StepState};

use super::past::{another_question, same_answer};

/// How loud it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes as it should.
    Normal,
    /// Somebody should look.
    Warning,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// How loud.
    pub kind: Kind,
    /// In one word.
    pub reason: String,
    /// What it is about: a step or a condition.
    pub action: String,
    /// In a sentence.
    pub note: String,
}

/// The events between two statuses, in order.
pub fn changes(before: &PersistentChatPoolStatus, now: &PersistentChatPoolStatus) -> Vec<Change> {
    let mut changes = steps(before, now);
    let another = another_question(before, now.question.as_ref());
    for condition in &now.conditions {
        let old = before.conditions.iter().find(|old| old.type_ == condition.type_);
        // A step under way changes the reason of these all the time; their answer is what counts.
        if matches!(condition.type_.as_str(), "Reconciling" | "Stalled") {
            continue;
        }
        let same = old.is_some_and(|old| {
            same_answer(old, &condition.type_, condition.status, another)
                && (old.reason == condition.reason || !is_stop(condition))
        });
        // What was never asked before is no news while all is well.
        if same || old.is_none() && !is_bad(&condition.type_, condition.status) {
            continue;
        }
        let bad = is_bad(&condition.type_, condition.status) && is_stop(condition);
        changes.push(Change {
            kind: if bad { Kind::Warning } else { Kind::Normal },
            reason: condition.reason.clone(),
            action: condition.type_.clone(),
            note: note(condition, now),
        });
    }
    changes
}

/// The longest note that the API server takes in an event, in bytes.
pub const NOTE: usize = 1024;

/// An event that can't hold the whole question holds no digest either: it says where the question stands.
fn note(condition: &Condition, now: &PersistentChatPoolStatus) -> String {
    let asks =
        now.question.as_ref().filter(|_| is_bad(&condition.type_, condition.status) && is_stop(condition));
    match asks {
        Some(question) if condition.message.len() > NOTE => format!(
            "{} What is asked, and the command that accepts it, stand in status.question and in the condition {}.",
            question.loss, condition.type_
        ),
        _ => condition.message.clone(),
    }
}

/// Whether a condition tells of something that holds the pool up, not of work under way.
fn is_stop(condition: &Condition) -> bool {
    !matches!(
        condition.reason.as_str(),
        "FailoverRunning" | "TransitionOpen" | "WaitingForFarEnd" | "SilenceTooShort"
    )
}

fn is_bad(kind: &str, status: ConditionStatus) -> bool {
    let good = matches!(kind, "Ready" | "FailoverReady" | "Protected" | "Mirrored" | "Encrypted");
    status == if good { ConditionStatus::False } else { ConditionStatus::True }
}

fn steps(before: &PersistentChatPoolStatus, now: &PersistentChatPoolStatus) -> Vec<Change> {
    let Some(plan) = &now.plan else { return Vec::new() };
    let old = |name: &str| {
        let plan = before.plan.as_ref()?;
        plan.steps.iter().find(|step| step.name == name).map(|step| step.state)
    };
    plan.steps
        .iter()
        .filter_map(|step| {
            let (was, is) = (old(&step.name), step.state);
            let word = match is {
                StepState::Done if was.is_some_and(|was| was != StepState::Done) => "Done",
                StepState::Next if was != Some(StepState::Next) => "Started",
                _ => return None,
            };
            let about = step.message.as_deref().or(step.target.as_deref()).unwrap_or_default();
            Some(Change {
                kind: Kind::Normal,
                reason: format!("{}{word}", step.name),
                action: step.name.clone(),
                note: if about.is_empty() { format!("{} is {word}.", step.name) } else { about.to_owned() },
            })
        })
        .collect()
}
