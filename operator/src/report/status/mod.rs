//! The status of a `PersistentChatPool`, made from plan, facts and record.
//!
//! Pure: what was written before goes in, what is to be written comes out. A text in it changes only when something has
//! changed, so that a pool at rest costs no write.

mod conditions;
mod events;
mod past;
mod question;
mod readiness;
mod reasons;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pchat_crds::Side;
use pchat_crds::status::{
    ApprovalStatus, Condition, JournalStatus, LossStatus, ObservedServer, PersistentChatPoolStatus,
    PlanStatus, StepState, StepStatus,
};
use pchat_planner::facts::{Contact, Fact};
use pchat_planner::plan::{self, Direction, Next, Reason};
use pchat_planner::{pool, times};

pub use self::conditions::{Answer, invalid};
pub use self::events::{Change, Kind, NOTE, changes};
pub use self::past::agreed;
pub use self::readiness::readiness;
pub use self::reasons::page as reasons;
use super::words::{millis, sentence, side_of};
use super::{Halt, View, header, journal, seen, steps};
use crate::observe::HOME;

/// How long an approval is waited for before the pool counts as stalled.
pub const APPROVAL_WAIT: Duration = Duration::from_secs(30 * 60);

/// A look that takes longer is told. Dead hosts are told to be dead sooner.
const LONG_LOOK: SignedDuration = SignedDuration::from_secs(20);

/// What a status is made from.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// What was seen and planned.
    pub view: View<'a>,
    /// Why the run stays where it is, if it does.
    pub halt: Option<&'a Halt>,
    /// What a change of `activeDatabase` would meet, where it was looked into.
    pub readiness: Option<&'a Answer>,
    /// The object that it is for.
    pub object: &'a Object,
    /// The status as it was written last.
    pub before: &'a PersistentChatPoolStatus,
}

/// What the status needs to know of its object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    /// Namespace, for commands.
    pub namespace: String,
    /// Name, for commands.
    pub name: String,
    /// `metadata.generation` of the spec that is worked on.
    pub generation: Option<i64>,
    /// Whether an annotation asks to change nothing.
    pub suspended: bool,
    /// The approval that was given.
    pub approval: Option<ApprovalStatus>,
}

/// The status at this moment.
pub fn status(moment: &Moment<'_>) -> PersistentChatPoolStatus {
    let Moment { view, object, before, .. } = *moment;
    let facts = view.facts;
    if let Some(told) = too_early(moment) {
        return told.clone();
    }
    let moving = view.plan.is_some_and(|plan| !matches!(plan.direction, Direction::Steady(_)));
    let question = question::question(moment);
    let mut status = PersistentChatPoolStatus {
        observed_generation: object.generation,
        active_database: facts
            .and_then(|facts| facts.shell.pool_state.value())
            .map(|(_, state)| side(side_of(*state))),
        step: view.plan.and_then(|_| step(&view)),
        last_log_backup: last_log_backup(&view),
        conditions: past::stamp(
            conditions::all(moment),
            question.as_ref(),
            before,
            object.generation,
            view.now,
        ),
        plan: moving.then(|| plan_status(moment)).flatten(),
        loss: view.plan.filter(|_| moving).map(|plan| loss(&plan.loss, view.now, done(&view))),
        question,
        approval: object.approval.clone(),
        journal: facts.and_then(journal).map(|journal| JournalStatus {
            epoch: journal.owner.as_ref().map(|owner| owner.epoch.0.clone()),
            executor: journal.owner.as_ref().map(|owner| clip(&owner.executor, 256)),
            transition: journal.transition.as_ref().and_then(|t| serde_json::to_string(t).ok()),
        }),
        observed: servers(&view, before),
        history: before.history.clone(),
    };
    past::remember(moment, &mut status);
    past::keep_lag(&mut status, before);
    status
}

/// A status that says only what is wrong with the declaration, beside what was seen before.
pub fn refused(
    answers: &[Answer],
    object: &Object,
    before: &PersistentChatPoolStatus,
    now: Timestamp,
) -> PersistentChatPoolStatus {
    let mut status = before.clone();
    status.observed_generation = object.generation;
    let kept = before.conditions.iter().filter(|c| answers.iter().all(|a| a.kind != c.type_)).cloned();
    let kept: Vec<Condition> = kept.collect();
    status.conditions =
        past::stamp(answers.to_vec(), before.question.as_ref(), before, object.generation, now);
    status.conditions.extend(kept);
    status
}

/// What was told before, while nothing else is known yet: a look that is under way is told when it takes long.
fn too_early<'a>(moment: &Moment<'a>) -> Option<&'a PersistentChatPoolStatus> {
    let Moment { view, object, before, halt, .. } = *moment;
    let plan = view.plan.filter(|plan| plan.rule == Reason::Looking && halt.is_none())?;
    debug_assert!(!matches!(plan.next, Next::Blocked(_)));
    let told = before.observed_generation == object.generation
        && before.conditions.iter().any(|condition| condition.type_ == "Ready");
    let looks = view.facts.map(|facts| pchat_planner::looking(view.pool, facts)).unwrap_or_default();
    let long = looks.iter().any(|look| view.now.duration_since(look.since) >= LONG_LOOK);
    (told && !long).then_some(before)
}

fn done(view: &View<'_>) -> bool {
    view.record.is_done(plan::StepId::RecoverDatabase)
}

/// `3/8 ApplyLogs`: which of the steps that this transition needs.
fn step(view: &View<'_>) -> Option<String> {
    let plan = view.plan?;
    let id = match &plan.next {
        Next::Run(step, _) => Some(*step),
        Next::Wait { step, .. } => *step,
        Next::Blocked(stop) => stop.step,
        Next::Converged => None,
    }?;
    let needed: Vec<_> = plan.steps.iter().filter(|s| s.state != plan::StepState::Skipped).collect();
    let place = needed.iter().position(|s| s.id == id)? + 1;
    Some(format!("{place}/{} {id}", needed.len()))
}

fn plan_status(moment: &Moment<'_>) -> Option<PlanStatus> {
    let view = &moment.view;
    let plan = view.plan?;
    let digest = moment.halt.and_then(Halt::digest).filter(|_| question::is_whole(&plan.hazards));
    let digest = digest.map(str::to_owned);
    let listed = view.record.listing.iter().map(|step| StepStatus {
        name: step.id.to_string(),
        state: match step.state {
            plan::StepState::Done | plan::StepState::Skipped => StepState::Done,
            plan::StepState::Next => StepState::Next,
            plan::StepState::Pending => StepState::Pending,
            plan::StepState::Blocked => StepState::Blocked,
        },
        target: Some(clip(&step.target, 512)).filter(|target| !target.is_empty()),
        message: Some(clip(&note(view, step), 2048)).filter(|note| !note.is_empty()),
    });
    Some(PlanStatus { transition: plan.direction.to_string(), digest, steps: listed.collect() })
}

/// What there is to say of a step, without the columns of the terminal.
fn note(view: &View<'_>, step: &plan::Step) -> String {
    steps::note(view, step).replace("  ", ", ")
}

fn loss(loss: &plan::Loss, now: Timestamp, past: bool) -> LossStatus {
    LossStatus {
        safe_until: loss.safe_until.map(millis),
        at_most_until: loss.at_most_until.map(millis),
        explanation: clip(&header::loss(loss, now, past), 2048),
    }
}

/// Start of the last log backup that the copy on the backup instance holds, while it is a copy.
fn last_log_backup(view: &View<'_>) -> Option<Timestamp> {
    let database = view.facts?.instances.get(&HOME)?.state.value()?.database.as_ref()?;
    if database.serves() {
        return None;
    }
    times::last_restored(view.facts?.backups.value(), database).map(millis)
}

/// The line of a server that has not answered yet.
const BEING_ASKED: &str = "is being asked and has not answered yet";

/// One line a server; `since` is kept while the line is the same.
fn servers(view: &View<'_>, before: &PersistentChatPoolStatus) -> Vec<ObservedServer> {
    let Some(facts) = view.facts else { return before.observed.clone() };
    let instances = view.pool.instances().filter_map(|id| {
        let seen = facts.instances.get(&id)?;
        let state = match (&seen.contact, &seen.state) {
            (Contact::Pending { .. }, _) | (_, Fact::Pending { .. }) => BEING_ASKED.to_owned(),
            (Contact::Silent { .. }, _) => "does not answer".to_owned(),
            (Contact::Unusable { detail }, _) => {
                format!("may be alive and can't be asked: {}", sentence(detail))
            }
            (Contact::Denied { detail }, _) => {
                format!("answers, and denies login {} its state: {}", seen.login, sentence(detail))
            }
            (Contact::Answers, Fact::Unknown { why, .. }) => {
                format!("answers; its state is not known: {}", sentence(why))
            }
            (Contact::Answers, Fact::Known { value, .. }) => match &value.database {
                None => {
                    format!("{}: there is no database {}", seen::version(&value.version), view.pool.database)
                }
                Some(database) => {
                    format!("{}: {}", seen::version(&value.version), seen::state_of(database))
                }
            },
        };
        let silent_since = match &seen.contact {
            Contact::Silent { since, .. } => Some(*since),
            _ => None,
        };
        Some((view.pool.instance(id)?.to_string(), state, silent_since))
    });
    let shell = match &facts.shell.contact {
        Contact::Pending { since } => (BEING_ASKED.to_owned(), Some(*since)),
        Contact::Silent { since, .. } => ("does not answer".to_owned(), Some(*since)),
        Contact::Unusable { detail } | Contact::Denied { detail } => {
            (format!("can't be asked: {}", sentence(detail)), None)
        }
        Contact::Answers => match facts.shell.pool_state.value() {
            Some((_, state)) => (format!("the pool's state is {state}"), None),
            None => ("answers; the pool's state is not known".into(), None),
        },
    };
    let all = instances.chain([("Management shell".to_owned(), shell.0, shell.1)]);
    all.map(|(server, state, since)| {
        let state = clip(&state, 1024);
        let old = before.observed.iter().find(|old| old.server == server && old.state == state);
        let since = old.map_or(millis(since.unwrap_or(view.now)), |old| old.since);
        ObservedServer { server: clip(&server, 300), state, since }
    })
    .collect()
}

fn side(side: pool::Side) -> Side {
    match side {
        pool::Side::Primary => Side::Primary,
        pool::Side::Backup => Side::Backup,
    }
}

/// At most `most` characters, as the schema allows.
fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most - 1).collect();
    short.push('…');
    short
}
