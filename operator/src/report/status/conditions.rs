//! One condition for each question that somebody who runs the pool asks, each with its answer in one sentence.
//!
//! `Ready`, `Reconciling` and `Stalled` follow kstatus, so that `kubectl wait` and GitOps engines judge the pool rightly.

use jiff::SignedDuration;
use pchat_crds::status::ConditionStatus::{self, False, True, Unknown};
use pchat_planner::facts::{Contact, Fact, Facts, InstanceFacts, MirroringState, PoolState, Secondary};
use pchat_planner::plan::{Direction, Next, Reason, StepId};
use pchat_planner::pool::{InstanceId, Mode, Partner, Side};
use pchat_planner::times;

use super::past::{self, same_answer};
use super::reasons::LOOKING;
use super::{APPROVAL_WAIT, Moment, question, readiness};
use crate::observe::HOME;
use crate::report::words::{count, list, meaning, opening, sentence};
use crate::report::{Halt, View, changed, header, stop};

/// The log shipping of a healthy pool is not further behind than this: log shipping's own default threshold.
const FRESH: SignedDuration = SignedDuration::from_mins(45);

/// An answer that has no times yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The condition's type.
    pub kind: &'static str,
    /// Yes, no, or it can't be told.
    pub status: ConditionStatus,
    /// In one word.
    pub reason: String,
    /// In one sentence.
    pub message: String,
}

fn answer(
    kind: &'static str,
    status: ConditionStatus,
    reason: impl Into<String>,
    text: impl Into<String>,
) -> Answer {
    Answer { kind, status, reason: reason.into(), message: text.into() }
}

/// All of them, in the order in which `kubectl describe` shows them.
pub(super) fn all(moment: &Moment<'_>) -> Vec<Answer> {
    let mut answers = vec![ready(moment), reconciling(moment), stalled(moment)];
    let before = |kind: &'static str| {
        let old = moment.before.conditions.iter().find(|c| c.type_ == kind)?;
        Some(answer(kind, old.status, old.reason.clone(), old.message.clone()))
    };
    let moved = || moment.view.facts.and_then(|facts| readiness::open(moment.view.pool, facts));
    // An answer that is still being looked for does not take the place of one that was given.
    let known = moment.readiness.filter(|answer| answer.reason != LOOKING);
    let answer = known.cloned().or_else(moved).or_else(|| before("FailoverReady"));
    answers.extend(answer.or_else(|| moment.readiness.cloned()));
    if let Some(facts) = moment.view.facts {
        answers.extend([protected(moment, facts), mirrored(moment, facts), split_brain(moment, facts)]);
        answers.extend([approval(moment), compliance(moment, facts), conflict(moment)]);
    }
    answers.push(encrypted(moment));
    answers
}

/// The answers for a declaration that can't be worked with.
pub fn invalid(problems: &[String]) -> Vec<Answer> {
    let text = format!("{} No server is contacted and nothing is changed until then.", problems.join(" "));
    vec![
        answer("Ready", False, "InvalidDeclaration", text.clone()),
        answer("Reconciling", False, "InvalidDeclaration", "What is declared can't be worked with."),
        answer("Stalled", True, "InvalidDeclaration", text),
    ]
}

/// What holds the run, or would.
enum Standing<'a> {
    NotSeen,
    Converged,
    Suspended,
    NotEnforced,
    Halted(&'a Halt),
    Blocked(&'a pchat_planner::plan::Stop),
    Going(Reason, String),
}

fn course<'a>(moment: &Moment<'a>) -> Standing<'a> {
    let Some(plan) = moment.view.plan else { return Standing::NotSeen };
    if let Some(halt) = moment.halt {
        return Standing::Halted(halt);
    }
    match &plan.next {
        Next::Converged => Standing::Converged,
        Next::Blocked(stop) => Standing::Blocked(stop),
        _ if moment.object.suspended => Standing::Suspended,
        _ if moment.view.pool.mode != Mode::Enforce => Standing::NotEnforced,
        Next::Run(step, _) => Standing::Going(Reason::FailoverRunning, under_way(moment, *step)),
        Next::Wait { reason, message, .. } => Standing::Going(*reason, sentence(message)),
    }
}

fn under_way(moment: &Moment<'_>, id: StepId) -> String {
    let step = moment.view.record.listing.iter().find(|step| step.id == id);
    let note = step.map(|step| super::note(&moment.view, step)).unwrap_or_default();
    if note.is_empty() { format!("{id} is under way.") } else { format!("{id}: {}", sentence(&note)) }
}

fn ready(moment: &Moment<'_>) -> Answer {
    let view = &moment.view;
    let (status, reason, text) = match course(moment) {
        Standing::NotSeen => {
            (Unknown, LOOKING.to_owned(), "The pool was not seen yet by this operator.".to_owned())
        }
        Standing::Converged => {
            let split =
                view.facts.map(|facts| split_brain(moment, facts)).filter(|split| split.status == True);
            match (split, not_serving(view)) {
                (Some(split), _) => (False, "SplitBrainSuspected".into(), split.message),
                (None, Some(text)) => (False, "NotServing".into(), text),
                (None, None) => {
                    let text = view.facts.map(|facts| header::active(view.pool, facts)).unwrap_or_default();
                    (True, "AsDeclared".into(), text)
                }
            }
        }
        Standing::Suspended => (False, "Suspended".into(), suspended(moment)),
        Standing::NotEnforced => (False, "NotEnforced".into(), not_enforced(moment)),
        Standing::Halted(halt) => (False, halt.name(), halted(moment, halt)),
        Standing::Blocked(stop) => (False, stop.reason.to_string(), stopped(stop)),
        Standing::Going(Reason::Looking, text) => (Unknown, LOOKING.to_owned(), text),
        Standing::Going(reason, text) => (False, reason.to_string(), text),
    };
    answer("Ready", status, reason, text)
}

/// A look that is missed once is no outage.
const OUTAGE: SignedDuration = SignedDuration::from_secs(30);

/// What was seen of a primary side that is wanted and does not serve, whatever the pool's state says. Turning the field is for a
/// person to decide; that there is something to decide is not.
fn not_serving(view: &View<'_>) -> Option<String> {
    let (plan, facts) = (view.plan?, view.facts?);
    let steady = plan.direction == Direction::Steady(Side::Primary);
    let (_, seen) =
        plan.warnings.iter().find(|(reason, _)| steady && *reason == Reason::PrimaryMayBeAlive)?;
    let primary = facts.instances.iter().filter(|(id, _)| id.side == Side::Primary);
    let brief = |contact: &Contact| matches!(contact, Contact::Silent { since, .. } if view.now.duration_since(*since) < OUTAGE);
    let site = &view.pool.primary.name;
    (!primary.map(|(_, seen)| &seen.contact).any(brief)).then(|| {
        format!(
            "{} If {site} is lost, set spec.activeDatabase to backup; until then nothing is changed.",
            sentence(seen)
        )
    })
}

fn suspended(moment: &Moment<'_>) -> String {
    format!(
        "The annotation persistentchat.io/suspend stands on the object: the operator looks and changes nothing. {}",
        next(moment)
    )
}

fn not_enforced(moment: &Moment<'_>) -> String {
    format!(
        "spec.mode is {}: the operator looks and changes nothing. {}",
        moment.view.pool.mode,
        next(moment)
    )
}

fn next(moment: &Moment<'_>) -> String {
    match moment.view.plan.map(|plan| &plan.next) {
        Some(Next::Run(step, _)) => format!("{step} would come next."),
        Some(Next::Wait { message, .. }) => format!("It would wait: {}", sentence(message)),
        _ => String::new(),
    }
}

fn stopped(stop: &pchat_planner::plan::Stop) -> String {
    format!("{} {}", sentence(&stop.message), sentence(&stop.remedy))
}

fn halted(moment: &Moment<'_>, halt: &Halt) -> String {
    let view = &moment.view;
    let parts = [stop::message(view, halt), changed(view), stop::remedy(halt)];
    let first = view.plan.map_or(&[][..], |plan| &plan.hazards);
    let listed = question::instead(first, halt.instead(), view.now);
    let others = halt.instead().iter().enumerate().map(|(n, other)| {
        let digest = listed.get(n).and_then(|listed| listed.digest.as_deref());
        let many = count(other.hazards.len() as u64, "hazard");
        let how = match digest {
            Some(digest) => format!(
                "To accept exactly what status.question lists for it ({many}): persistentchat.io/approve={digest}."
            ),
            None => format!("Its {many} are more than a status can hold: only converge --approve accepts them."),
        };
        format!("{} {how}", stop::instead(other, view.now))
    });
    let text = parts.into_iter().chain(others).collect::<Vec<_>>().join(" ");
    match halt.digest() {
        // A message is cut at its end: what it costs and the command stand in front of what may be long.
        Some(digest) => format!("{} {}\n{}", lost(moment), accept(moment, digest), text.trim()),
        None => text.trim().to_owned(),
    }
}

fn lost(moment: &Moment<'_>) -> String {
    let view = &moment.view;
    view.plan.map(|plan| header::loss(&plan.loss, view.now, false)).unwrap_or_default()
}

/// The command that accepts what `status.question` lists, or that there is none because the list is not whole. It ends a line, so
/// that it can be copied.
fn accept(moment: &Moment<'_>, digest: &str) -> String {
    let object = moment.object;
    let hazards = moment.view.plan.map_or(&[][..], |plan| &plan.hazards);
    if !question::is_whole(hazards) {
        return format!(
            "The {} in question are more than a status can hold, so they can't be accepted here: pchat-operator plan -o json lists \
             them all, and converge --approve accepts them.",
            count(hazards.len() as u64, "hazard")
        );
    }
    format!(
        "To accept exactly what status.question lists ({}): kubectl annotate pchat {} -n {} --overwrite \
         persistentchat.io/approve={digest}",
        count(hazards.len() as u64, "hazard"),
        object.name,
        object.namespace
    )
}

fn reconciling(moment: &Moment<'_>) -> Answer {
    let (status, reason, text) = match course(moment) {
        Standing::NotSeen => (True, LOOKING.into(), "The operator looks at the pool.".into()),
        Standing::Converged => (False, "AsDeclared".into(), "There is nothing to do.".into()),
        Standing::Suspended => (False, "Suspended".into(), suspended(moment)),
        Standing::NotEnforced => (False, "NotEnforced".into(), not_enforced(moment)),
        Standing::Halted(halt) if waits_for_approval(moment, halt) => {
            (True, halt.name(), "The run waits for an approval.".into())
        }
        Standing::Halted(halt) => (False, halt.name(), "The run is stopped.".into()),
        Standing::Blocked(stop) => (False, stop.reason.to_string(), "The run is stopped.".into()),
        Standing::Going(reason, text) => (True, reason.to_string(), text),
    };
    answer("Reconciling", status, reason, text)
}

fn stalled(moment: &Moment<'_>) -> Answer {
    match course(moment) {
        Standing::Halted(halt) if !waits_for_approval(moment, halt) => {
            answer("Stalled", True, halt.name(), halted(moment, halt))
        }
        Standing::Blocked(stop) => answer("Stalled", True, stop.reason.to_string(), stopped(stop)),
        _ => answer("Stalled", False, "NotStalled", "Nothing holds the operator up."),
    }
}

/// Within its time an approval is something to wait for; after it, a stop like others.
fn waits_for_approval(moment: &Moment<'_>, halt: &Halt) -> bool {
    let Some(digest) = halt.digest() else { return false };
    let another = past::digest(moment.before.question.as_ref()).is_some_and(|before| before != digest);
    let mut before = moment.before.conditions.iter();
    let asked = before.find(|old| same_answer(old, "ApprovalRequired", True, another));
    let waited = asked.map(|asked| moment.view.now.duration_since(asked.last_transition_time));
    let limit = SignedDuration::try_from(APPROVAL_WAIT).unwrap_or(SignedDuration::MAX);
    waited.is_none_or(|waited| waited < limit)
}

fn approval(moment: &Moment<'_>) -> Answer {
    let Some((halt, digest)) = moment.halt.and_then(|halt| Some((halt, halt.digest()?))) else {
        if let Some(asked) = still_asked(moment) {
            return asked;
        }
        return answer("ApprovalRequired", False, "NothingToApprove", "Nothing waits for an approval.");
    };
    let view = &moment.view;
    let hazards = view.plan.map_or(&[][..], |plan| &plan.hazards);
    let hazards: Vec<String> = hazards.iter().map(|hazard| sentence(&hazard.sentence)).collect();
    let given = match &moment.object.approval {
        Some(given) if given.digest != digest => {
            format!("What was approved ({}) does not cover this. ", given.digest)
        }
        _ => String::new(),
    };
    let hazards = opening(&hazards.join(" "), &[&view.pool.database]);
    // Cut at its end, where it is too long: the list is whole in `status.question`.
    let text = format!("{given}{} {}\nIt accepts: {hazards}", lost(moment), accept(moment, digest));
    answer("ApprovalRequired", True, halt.name(), text)
}

/// A new run comes to the same question only after some steps; it has been asked all the while.
pub(super) fn still_asked(moment: &Moment<'_>) -> Option<Answer> {
    let plan = moment.view.plan.filter(|plan| !plan.hazards.is_empty() && !plan.digest.is_empty())?;
    let old = moment.before.conditions.iter().find(|c| c.type_ == "ApprovalRequired" && c.status == True)?;
    let given = moment.object.approval.as_ref().is_some_and(|given| given.digest == plan.digest);
    let same = past::digest(moment.before.question.as_ref()) == Some(&plan.digest) && !given;
    same.then(|| answer("ApprovalRequired", True, old.reason.clone(), old.message.clone()))
}

/// Stands for as long as the declaration does.
fn encrypted(moment: &Moment<'_>) -> Answer {
    match &moment.view.pool.weakened {
        Some(what) => answer("Encrypted", False, Reason::EncryptionWeakened.to_string(), sentence(what)),
        None => answer(
            "Encrypted",
            True,
            "AllEncrypted",
            "All that is sent to SQL Server is encrypted, and its certificate is verified.",
        ),
    }
}

fn conflict(moment: &Moment<'_>) -> Answer {
    let rule = moment.view.plan.map(|plan| plan.rule);
    match rule {
        Some(rule @ (Reason::IntentConflict | Reason::OwnedByAnother)) => {
            let status = if rule == Reason::IntentConflict { True } else { False };
            answer("IntentConflict", status, rule.to_string(), sentence(meaning(rule)))
        }
        _ => answer("IntentConflict", False, "OneIntent", "Nobody else is moving the pool."),
    }
}

/// The side that serves: by the shell, or by a database that was recovered by an open or closed transition of ours.
fn serving(moment: &Moment<'_>, facts: &Facts) -> Option<Side> {
    if moment.view.record.is_done(StepId::RecoverDatabase) {
        return Some(Side::Backup);
    }
    facts.shell.pool_state.value().map(|(_, state)| match state {
        PoolState::Normal => Side::Primary,
        PoolState::FailedOver => Side::Backup,
    })
}

fn protected(moment: &Moment<'_>, facts: &Facts) -> Answer {
    let say = |status, reason: &str, text: String| answer("Protected", status, reason, text);
    let pool = moment.view.pool;
    if serving(moment, facts) == Some(Side::Backup) {
        let text = format!(
            "{} serves, and nothing ships its log to {}.",
            pool.site(Side::Backup).name,
            pool.site(Side::Primary).name
        );
        return say(False, "NoLogShipping", text);
    }
    if facts.instances.get(&HOME).is_some_and(|seen| seen.state.is_pending()) {
        return say(Unknown, LOOKING, format!("{} is being asked.", pool.backup.database));
    }
    let Some(state) = facts.instances.get(&HOME).and_then(|seen| seen.state.value()) else {
        let text = format!("{} could not be asked.", pool.backup.database);
        return say(Unknown, "BackupUnreachable", text);
    };
    let Some(secondary) = &state.secondary else {
        let text = format!("{} has no log shipping for {}.", pool.backup.database, pool.database);
        return say(False, "NoLogShipping", text);
    };
    let troubles = troubles(secondary);
    if !troubles.is_empty() {
        let text = format!("On {}: {}.", pool.backup.database, list(&troubles));
        return say(False, "LogShippingUnhealthy", text);
    }
    let Some(database) = state.database.as_ref().filter(|database| database.last_restored.is_some()) else {
        return say(Unknown, "NeverRestored", "No log backup was restored yet that msdb remembers.".into());
    };
    let began = times::last_restored(facts.backups.value(), database);
    match began.map(|began| state.clock.duration_since(began)) {
        None => {
            let text = format!(
                "When the last log backup began that {} has restored is not known: nothing tells the time zone of the server that made it.",
                pool.backup.database
            );
            say(Unknown, "LogShippingLagUnknown", text)
        }
        Some(age) if age > FRESH => {
            let text = format!(
                "The last log backup that {} has restored began more than 45 min ago.",
                pool.backup.database
            );
            say(False, "LogShippingLate", text)
        }
        Some(_) => {
            let text = format!("Log shipping brings {} to {}.", pool.database, pool.backup.database);
            say(True, "LogShippingHealthy", text)
        }
    }
}

fn troubles(secondary: &Secondary) -> Vec<String> {
    let jobs = [("copy job", &secondary.copy_job), ("restore job", &secondary.restore_job)];
    jobs.into_iter()
        .filter_map(|(kind, job)| match job.as_ref().map(|job| (&job.name, &job.last_run, job.enabled)) {
            None => Some(format!("the {kind} is gone")),
            Some((name, _, Some(false))) => Some(format!("the {kind} {name} is disabled")),
            Some((name, Some((_, Err(error))), _)) => Some(format!("the {kind} {name} failed ({error})")),
            Some((name, _, None)) => Some(format!("whether the {kind} {name} is enabled is not known")),
            _ => None,
        })
        .collect()
}

fn mirrored(moment: &Moment<'_>, facts: &Facts) -> Answer {
    let say = |status, reason: &str, text: String| answer("Mirrored", status, reason, text);
    let pool = moment.view.pool;
    let Some(side) = serving(moment, facts) else {
        return say(Unknown, unseen(facts), "Which side serves is not known.".into());
    };
    if pool.site(side).mirror.is_none() {
        let text = format!("{} has no mirror, by declaration.", pool.site(side).name);
        return say(False, "NoMirrorDeclared", text);
    }
    let ends: Vec<(String, &InstanceFacts)> = [Partner::Database, Partner::Mirror]
        .into_iter()
        .filter_map(|partner| {
            let id = InstanceId::new(side, partner);
            Some((pool.instance(id)?.to_string(), facts.instances.get(&id)?))
        })
        .collect();
    if let Some((name, _)) = ends.iter().find(|(_, seen)| seen.state.is_pending()) {
        return say(Unknown, LOOKING, format!("{name} is being asked."));
    }
    let mut unknown = Vec::new();
    for (name, seen) in &ends {
        let Fact::Known { value: state, .. } = &seen.state else {
            unknown.push(name.clone());
            continue;
        };
        let mirroring = state.database.as_ref().and_then(|database| database.mirroring.as_ref());
        match mirroring.map(|mirroring| mirroring.state) {
            Some(MirroringState::Synchronized | MirroringState::Synchronizing) => {}
            Some(other) => {
                return say(False, "MirrorNotSynchronized", format!("{name} sees its session as {other}."));
            }
            None => {
                return say(False, "NotMirrored", format!("{} is not mirrored on {name}.", pool.database));
            }
        }
    }
    if unknown.is_empty() {
        say(True, "MirrorSynchronized", format!("{} is mirrored in {}.", pool.database, pool.site(side).name))
    } else {
        say(Unknown, "MirrorUnreachable", format!("{} could not be asked.", list(&unknown)))
    }
}

/// Whether the side that should not serve could be writable, too.
fn split_brain(moment: &Moment<'_>, facts: &Facts) -> Answer {
    let say = |status, reason: &str, text: String| answer("SplitBrainSuspected", status, reason, text);
    let pool = moment.view.pool;
    let Some(side) = serving(moment, facts) else {
        return say(Unknown, unseen(facts), "Which side serves is not known.".into());
    };
    let other = side.other();
    let (mut alive, mut unseen, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    for partner in [Partner::Database, Partner::Mirror] {
        let id = InstanceId::new(other, partner);
        let Some(name) = pool.instance(id).map(ToString::to_string) else { continue };
        match facts.instances.get(&id).map(|seen| (&seen.contact, &seen.state)) {
            Some((Contact::Answers, Fact::Known { value: state, .. })) => {
                let writable = |d: &&pchat_planner::facts::Database| d.serves() && d.read_only != Some(true);
                if state.database.as_ref().filter(writable).is_some() {
                    alive.push(format!("{} is ONLINE on {name}", pool.database));
                }
            }
            Some((Contact::Pending { .. }, _)) | None => asked.push(name),
            // A copy that waits for log backups is no danger while its instance can't be asked.
            Some((Contact::Unusable { .. } | Contact::Denied { .. }, _)) if other == Side::Primary => {
                alive.push(format!("{name} may be alive and can't be asked"));
            }
            _ => unseen.push(name),
        }
    }
    let serves = &pool.site(side).name;
    match (alive.is_empty(), unseen.is_empty()) {
        (false, _) => say(True, "OtherSideAlive", format!("{serves} serves; beside it, {}.", list(&alive))),
        (true, _) if !asked.is_empty() => {
            say(Unknown, LOOKING, format!("{serves} serves; {} is being asked.", list(&asked)))
        }
        (true, false) => {
            let text = format!("{serves} serves; {} could not be seen.", list(&unseen));
            say(Unknown, "OtherSideUnseen", text)
        }
        (true, true) => {
            let text = format!("{} is not writable, so only {serves} can be.", pool.site(other).name);
            say(False, "OneWritableSide", text)
        }
    }
}

/// Why it is not known which side serves.
fn unseen(facts: &Facts) -> &'static str {
    if facts.shell.pool_state.is_pending() { LOOKING } else { "NotSeen" }
}

fn compliance(moment: &Moment<'_>, facts: &Facts) -> Answer {
    let say = |status, reason: &str, text: &str| answer("ComplianceAtRisk", status, reason, text);
    if serving(moment, facts) == Some(Side::Backup) {
        let text = "mgccomp is never failed over: where compliance is used, keep the adapter's output of the lost side \
                    and see that the adapter works on this one.";
        say(True, "FailedOver", text)
    } else {
        say(False, "NotFailedOver", "The pool runs where its compliance data is.")
    }
}
