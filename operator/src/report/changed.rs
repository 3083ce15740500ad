//! What has and what has not been changed: what this run did, by its record, and how things stand, by what was seen last.
//!
//! The only place that says so. Nothing is concluded from what a run was about to do, and nothing is said that was not seen.

use pchat_planner::facts::{Database, DatabaseState, InstanceState, Job, PoolState};
use pchat_planner::journal::{Note, Phase, Transition};
use pchat_planner::plan::{Direction, StepId, StepState};

use super::words::{count, list, time};
use super::{View, journal};
use crate::observe::HOME;

/// The sentences.
pub fn changed(view: &View<'_>) -> String {
    let mut parts = vec![by_this_run(view)];
    parts.extend(sent_and_not_confirmed(view));
    if !matches!(direction(view), None | Some(Direction::Steady(_))) {
        parts.extend(as_it_stands(view));
    }
    parts.join(" ")
}

fn direction(view: &View<'_>) -> Option<Direction> {
    view.record.direction.or(view.plan.map(|plan| plan.direction))
}

fn open<'a>(view: &View<'a>) -> Option<&'a Transition> {
    view.facts.and_then(journal).and_then(|j| j.transition.as_ref()).filter(|t| t.is_open())
}

fn by_this_run(view: &View<'_>) -> String {
    let record = view.record;
    if !record.acted() {
        return match open(view).filter(|t| t.opened < record.started) {
            Some(t) => format!(
                "This run has changed nothing itself; what it goes on with was begun at {}.",
                time(t.opened, view.now)
            ),
            None if keeps_silence(view) => format!(
                "This run has changed nothing; what is seen of the silence is kept in master on {}.",
                view.pool.backup.database
            ),
            None => "This run has changed nothing.".to_owned(),
        };
    }
    let done: Vec<String> = record
        .listing
        .iter()
        .filter(|s| s.state == StepState::Done && s.id != StepId::TakeOwnership)
        .filter(|s| record.steps.contains_key(&s.id))
        .map(|s| s.id.to_string())
        .collect();
    let mut text = match done.is_empty() {
        true => "This run has finished no step.".to_owned(),
        false => format!("This run has done {}.", list(&done)),
    };
    let (files, _) = record.applied_total();
    if files > 0 && !record.is_done(StepId::ApplyLogs) {
        text.push_str(&format!(" It has applied {}.", count(files, "log backup")));
    }
    text
}

/// A request that nobody answered may have taken effect, or may do so yet.
fn sent_and_not_confirmed(view: &View<'_>) -> Option<String> {
    let record = view.record;
    let steps: Vec<String> =
        record.unconfirmed.iter().filter(|id| !record.is_done(**id)).map(|id| id.to_string()).collect();
    (!steps.is_empty()).then(|| {
        format!("An action of {} was sent and not confirmed: it may have taken effect.", list(&steps))
    })
}

/// The copy and its log shipping, whoever brought them there.
fn as_it_stands(view: &View<'_>) -> Option<String> {
    let (database, target) = (&view.pool.database, &view.pool.backup.database);
    let home = view.facts.and_then(|f| f.instances.get(&HOME));
    let Some(state) = home.and_then(|f| f.state.value()) else {
        let matters = view.record.acted();
        return matters.then(|| format!("How {database} on {target} stands now was not seen."));
    };
    let db = state.database.as_ref()?;
    let copy = format!("{database} on {target}");
    match (db.state, db.in_standby()) {
        (DatabaseState::Online, false) => Some(online(view, &copy)),
        (DatabaseState::Restoring, _) | (DatabaseState::Online, true) => {
            Some(format!("{} {}", waiting(view, state, db, &copy), shipping(view, state)))
        }
        _ => None,
    }
}

fn online(view: &View<'_>, copy: &str) -> String {
    let pool = view.facts.and_then(|f| f.shell.pool_state.value()).map(|(_, state)| *state);
    let ours = open(view).is_some_and(|t| t.phase == Phase::Recovering)
        && view.record.is_done(StepId::RecoverDatabase);
    match (ours, pool) {
        (true, _) => format!("{copy} is recovered: from here it only goes forward."),
        (false, Some(PoolState::FailedOver)) => format!("{copy} is recovered, and the pool uses it."),
        (false, Some(PoolState::Normal)) => format!("{copy} is ONLINE, and the pool does not use it yet."),
        (false, None) => format!("{copy} is ONLINE; whether the pool uses it is not known."),
    }
}

fn waiting(view: &View<'_>, state: &InstanceState, db: &Database, copy: &str) -> String {
    let word = if db.in_standby() { "STANDBY" } else { "RESTORING" };
    match open(view).map(|t| t.phase) {
        Some(Phase::Recovering) => format!("Recovery of {copy} was begun, and it is still {word}."),
        Some(_) => format!("{copy} is not recovered."),
        None if called_off(view) && left_disabled(state).is_none() => {
            format!("The failover that was begun was called off: {copy} is not recovered.")
        }
        None => format!("{copy} is not recovered."),
    }
}

/// A transition that was called off, and the jobs that its record says it disabled and that are disabled still.
fn left_disabled(state: &InstanceState) -> Option<(&Transition, Vec<&str>)> {
    state.disabled_by_us().filter(|(_, disabled)| !disabled.is_empty())
}

fn called_off(view: &View<'_>) -> bool {
    let last = view.facts.and_then(journal).and_then(|j| j.transition.as_ref());
    last.is_some_and(|t| t.phase == Phase::CalledOff)
}

fn shipping(view: &View<'_>, state: &InstanceState) -> String {
    let Some(secondary) = &state.secondary else { return "Log shipping to it is gone.".into() };
    if let Some((closed, disabled)) = left_disabled(state) {
        let jobs = match disabled.as_slice() {
            [one] => format!("Job {one} is"),
            more => format!("Jobs {} are", list(more)),
        };
        return format!(
            "{jobs} still disabled by transition {}, which was called off: with activeDatabase at primary the next run enables what it \
             disabled.",
            closed.id
        );
    }
    let word = |job: &Option<Job>| match job.as_ref().map(|job| job.enabled) {
        None => "gone",
        Some(None) => "there",
        Some(Some(true)) => "enabled",
        Some(Some(false)) => "disabled",
    };
    match (word(&secondary.copy_job), word(&secondary.restore_job)) {
        ("disabled", "disabled") if let Some(open) = open(view) => match direction(view) {
            // The field is turned back already: turned once more, it would force the failover.
            Some(Direction::CallOff) => "Log shipping's jobs stay disabled until the failover is called off, which this run was doing.".into(),
            _ => format!(
                "Log shipping's jobs stay disabled until this goes on, or is called off by turning activeDatabase back to {}.",
                open.intent.other()
            ),
        },
        (copy, restore) if copy == restore => format!("Log shipping's jobs are {copy}."),
        (copy, restore) => format!("Log shipping's copy job is {copy}, its restore job is {restore}."),
    }
}

/// Whether what is seen of a silent side stands at the far end, or is written before the run waits or ends.
fn keeps_silence(view: &View<'_>) -> bool {
    match view.plan.and_then(|plan| plan.note.as_ref()) {
        Some(note) => matches!(note, Note::Keep { .. }),
        None => view.facts.and_then(journal).is_some_and(|j| j.silence.is_some()),
    }
}
