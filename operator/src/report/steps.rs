//! A line per step: ✔ done, ▶ under way, ■ stopped, · not its turn, – not needed.

use pchat_planner::plan::{Step, StepId, StepState};

use super::View;
use super::words::{Paint, bytes, count, took};

/// Columns of a step's name: the longest is `DisconnectSessions`, `QuiesceLogShipping`.
const NAME: usize = 18;
/// Columns of a step's time.
const TIME: usize = 12;

/// The mark in front of a step.
pub fn mark(view: &View<'_>, step: &Step, paint: Paint) -> String {
    match step.state {
        StepState::Done => paint.good("✔"),
        StepState::Blocked => paint.bad("■"),
        StepState::Skipped => paint.faint("–"),
        StepState::Next => paint.busy("▶"),
        StepState::Pending if under_way(view, step.id) => paint.busy("▶"),
        StepState::Pending => paint.faint("·"),
    }
}

/// Whether this run began the step and has not seen its effect.
pub fn under_way(view: &View<'_>, id: StepId) -> bool {
    view.record.steps.get(&id).is_some_and(|s| s.began.is_some() && s.ended.is_none())
}

/// The whole line, without its end.
pub fn line(view: &View<'_>, step: &Step, paint: Paint) -> String {
    let took = view.record.took(step.id, view.now).map(took).unwrap_or_default();
    let name = format!("{:NAME$}", step.id);
    let name = if matches!(step.state, StepState::Pending | StepState::Skipped) && took.is_empty() {
        paint.faint(&name)
    } else {
        name
    };
    let text = note(view, step);
    format!("  {} {name} {took:>TIME$}  {text}", mark(view, step, paint)).trim_end().to_owned()
}

/// What there is to say about a step in this state.
pub fn note(view: &View<'_>, step: &Step) -> String {
    let record = view.record.steps.get(&step.id);
    match step.state {
        StepState::Done => match record {
            Some(_) if step.id == StepId::ApplyLogs && !view.record.applied.is_empty() => applied(view),
            Some(record) if !record.note.is_empty() => record.note.clone(),
            _ => step.why.clone(),
        },
        StepState::Next | StepState::Blocked => match step.progress {
            Some((done, of)) if of > 0 => format!("{done} of {of}  {}", step.why).trim_end().to_owned(),
            _ => step.why.clone(),
        },
        StepState::Pending if under_way(view, step.id) => match step.progress {
            Some((done, of)) if of > 0 => format!("{done} of {of}"),
            _ => step.why.clone(),
        },
        StepState::Pending => String::new(),
        StepState::Skipped => step.why.clone(),
    }
}

fn applied(view: &View<'_>) -> String {
    let (files, size) = view.record.applied_total();
    let from_share = view.record.applied.iter().filter(|log| log.from_fallback).count() as u64;
    let mut text = format!("{}, {}", count(files, "log backup"), bytes(size));
    if from_share > 0 {
        text.push_str(&format!(" ({from_share} read from the share)"));
    }
    text
}
