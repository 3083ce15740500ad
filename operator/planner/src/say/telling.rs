//! The words of the decision table's rows, and of calling off: one question with every hazard, and what accepting it loses.
//!
//! Decides nothing.

use crate::judge::evidence::Evidence;
use crate::judge::looking;
use crate::judge::other_side::least_looks;
use crate::judge::ownership::Ownership;
use crate::judge::readiness;
use crate::model::advice::Advice;
use crate::model::facts::{Contact, DatabaseState};
use crate::model::plan::{Alternative, Reason, Step, StepId, StepState, Stop};
use crate::model::pool::BACKUP;
use crate::model::pool::{InstanceId, Partner, Side};
use crate::say::advice;
use crate::say::stops::stop;
use crate::transition::table::{Decision, Row};
use crate::words::{base_name, count, duration, few, instance};

/// The words of a row that waits.
pub(crate) fn row(e: &Evidence, row: &Row) -> String {
    if row.decision == Decision::Wait(Reason::SilenceTooShort) {
        let left = e.other.too_young(e.pool, e.now).map(|t| duration(t.duration_since(e.now)));
        let looks = match least_looks(e.pool.silent_for) {
            1 => String::new(),
            least => format!(" in at least {}", count(least as usize, "look")),
        };
        return format!(
            "{}. A failover is forced after {} of silence{looks}; {} left",
            e.other.seen,
            duration(e.pool.silent_for),
            left.unwrap_or_else(|| "0 s".into())
        );
    }
    if row.decision == Decision::Wait(Reason::Looking) {
        return looking::words(e.pool, e.facts, e.now);
    }
    let open = e.course().map(|c| few(c.torn.iter().map(|t| &t.name).chain(&c.in_use))).unwrap_or_default();
    format!("{open} can't be read to the end; whether it is still being written shows in a moment")
}

/// The words of a row that stops.
pub(crate) fn of_row(e: &Evidence, row: &Row, reason: Reason, step: Option<StepId>) -> Stop {
    let here = instance(e.pool, BACKUP);
    let db = &e.db.name;
    let approvable = e.hazards.iter().any(|h| h.reason == reason);
    let mut message = match reason {
        Reason::PlannedSwitchoverNeeded => {
            format!("A failover is not forced while the other side serves: {}.", e.other.seen)
        }
        Reason::LogShippingSourceUnknown if e.state.secondary.is_some() => format!(
            "Log shipping of {db} on {here} does not tell its share and folder, and neither the journal nor the manifest does."
        ),
        Reason::LogShippingSourceUnknown => format!(
            "Log shipping of {db} on {here} is gone, and neither the journal nor the manifest says where its files are."
        ),
        _ => {
            let same: Vec<String> =
                e.hazards.iter().filter(|h| h.reason == reason).map(|h| capital(&h.sentence)).collect();
            format!("{}.", same.join(". "))
        }
    };
    if reason == Reason::BackupDamaged
        && let (Some(last), Ok(at)) = (&e.db.last_restored, &e.db.position)
        && last.last_lsn == at.lsn
    {
        message.push_str(&format!(" Everything up to and with {} was applied.", base_name(&last.file)));
    }
    if e.copy.is_online() {
        message.push_str(&format!(" The pool does not use {db} on {here} yet."));
    }
    let (before, advice, after) = what_to_do(e, reason);
    let remedy = advice::remedy(&before, &advice, &after);
    let instead = if approvable { alternatives(e) } else { Vec::new() };
    debug_assert!(!row.evidence.is_empty());
    Stop {
        digest: approvable.then(|| e.digest.clone()),
        instead,
        advice,
        ..stop(reason, step, message, remedy)
    }
}

/// What a person does about a row that stops: first, the lines to be typed, and what follows.
fn what_to_do(e: &Evidence, reason: Reason) -> (String, Vec<Advice>, String) {
    let plain = |text: &str| (text.to_owned(), Vec::new(), String::new());
    match reason {
        Reason::PlannedSwitchoverNeeded => plain(
            "Moving a pool whose side serves is a planned switchover, which this version does not carry out: set activeDatabase back to \
             primary, or stop the other side for good first.",
        ),
        Reason::MirrorHoldsCommits => (
            "Let that mirror take over within its own site: it keeps everything that it holds.".into(),
            advice::fail_over_within_site(e),
            "When it serves, set activeDatabase back to primary.".into(),
        ),
        Reason::PrimaryDamaged => save_tail(e),
        Reason::PrimaryMayBeAlive => (reach(e), Vec::new(), String::new()),
        Reason::StaleCopySuspected => plain(
            "If it is an old copy, take it away and initialise log shipping again. If log shipping was removed by hand, declare share and \
             folder under logShipping, so that the files can tell.",
        ),
        Reason::BothSidesOnline => {
            let there = e.other.serves.map(|id| instance(e.pool, id)).unwrap_or_default();
            (
                format!(
                    "The pool's state is Normal: {there} is the side that it uses. If that is to stay so, set activeDatabase back to \
                     primary and initialise log shipping again. If not, take its chat servers and {there} out of service first."
                ),
                Vec::new(),
                String::new(),
            )
        }
        Reason::LogChainGap => {
            plain("If you can find the missing backup, put it on the share: the run goes on by itself.")
        }
        Reason::ForkAmbiguous => plain("Find out which of the old side's instances served last."),
        Reason::BackupDamaged => plain(
            "If there is another copy of that file, put it in its place on the share: the run goes on by itself.",
        ),
        Reason::DatabaseUnusable => (
            "If you know of a log backup that is missing, put it on the share: it is tried. If not, the same can be done by hand that an \
             approval does."
                .into(),
            advice::leave_standby(e),
            "Then the server tells where it stands, and the run goes on by itself.".into(),
        ),
        Reason::BackupsUnknown => plain(&unread_remedy(e)),
        Reason::LogShippingSourceUnknown => {
            plain("Declare logShipping.share and logShipping.folder; the run goes on by itself.")
        }
        Reason::LossAboveLimit => plain("Nothing brings back what was not shipped."),
        _ => (readiness::remedy(e.pool, reason).unwrap_or_default(), Vec::new(), String::new()),
    }
}

fn save_tail(e: &Evidence) -> (String, Vec<Advice>, String) {
    let advice = advice::save_tail(e);
    let unasked = advice::unasked(e).map(|(id, silent)| (instance(e.pool, id), silent));
    if let Some((name, false)) = unasked {
        let text = format!(
            "Make {name} answer first: if it is the mirror it may hold everything, and takes over within its own site. Until then leave the \
             session as it is."
        );
        return (text, advice, String::new());
    }
    if advice.is_empty() {
        let text = "Save the end of its log: bring the database out of EMERGENCY, in which no backup is allowed, and declare share and folder \
                    under logShipping if log shipping is gone.";
        return (text.into(), advice, String::new());
    }
    let mirrored = advice.iter().any(|a| a.lines.len() > 1);
    let unmirrored = if mirrored { " Error 1416 only says that it is not mirrored any more." } else { "" };
    let after = format!(
        "That fences it too; the run finds the file on the share, applies it and goes on by itself.{unmirrored}"
    );
    let before = match unasked {
        Some((name, _)) => format!(
            "If {name} can be made to answer, do that first: if it is the mirror it may hold everything, and takes over within its own \
             site. If it is gone for good, save the end of the log."
        ),
        None => "Save the end of its log.".into(),
    };
    (before, advice, after)
}

/// What ends the doubt about each instance that may be alive.
fn reach(e: &Evidence) -> String {
    let mut parts = Vec::new();
    for partner in [Partner::Database, Partner::Mirror] {
        let id = InstanceId::new(Side::Primary, partner);
        let (Some(_), Some(found)) = (e.pool.instance(id), e.facts.instances.get(&id)) else { continue };
        let name = instance(e.pool, id);
        let db = found.state.value().map(|s| s.database.as_ref());
        parts.push(match (&found.contact, db) {
            (Contact::Silent { .. } | Contact::Pending { .. }, _) => continue,
            (Contact::Answers, Some(Some(db))) if db.state == DatabaseState::Recovering => {
                format!("Wait until {name} has recovered {}, or switch it off for good.", db.name)
            }
            (Contact::Answers, Some(Some(db))) if db.mirroring.is_some() => {
                format!("Find the principal that {name} is connected to.")
            }
            (Contact::Answers, Some(Some(db))) if db.in_standby() => {
                format!("Take {} on {name} OFFLINE, or switch it off for good.", db.name)
            }
            (Contact::Answers, Some(Some(_))) => continue,
            (Contact::Answers, Some(None)) => {
                format!(
                    "Let the login see {} on {name}, if it is there, or switch it off for good.",
                    e.pool.database
                )
            }
            _ => {
                format!("Fix the access to {name}, so that its state can be read, or switch it off for good.")
            }
        });
    }
    if e.life_after_silence || parts.is_empty() {
        parts.push(
            "See that no SQL Server of the other side serves users any more: switch them off for good."
                .into(),
        );
    }
    parts.join(" ")
}

/// Torn files are not made readable by any right.
fn unread_remedy(e: &Evidence) -> String {
    let readable = "Make share and folder readable for the SQL Server service account";
    let of = |torn: bool| {
        e.hazards.iter().any(|h| h.reason == Reason::BackupsUnknown && (h.subject == "torn") == torn)
    };
    match (of(true), of(false)) {
        (true, true) => format!(
            "{readable}, put whole copies in the place of the torn files, or move them out of share and folder: the run goes on by itself."
        ),
        (true, false) => "Put whole copies in the place of these files, or move them out of share and folder if none of their log is \
                          needed: the run goes on by itself."
            .into(),
        _ => format!("{readable}: the run goes on by itself."),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        // A name at the head of a sentence stays as it is.
        Some(c)
            if text.starts_with("how ")
                || text.starts_with("where ")
                || text.starts_with("a ")
                || text.starts_with("up ")
                || text.starts_with("log ")
                || text.starts_with("the ")
                || text.starts_with("chat ") =>
        {
            c.to_uppercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}

fn alternatives(e: &Evidence) -> Vec<Alternative> {
    let others = e.digests.iter().enumerate().filter(|(i, _)| *i != e.chosen);
    let fork = |i: usize| e.courses.get(i).and_then(|course| course.choices.last()).map(|choice| choice.fork);
    others
        .map(|(i, (digest, loss, hazards))| Alternative {
            digest: digest.clone(),
            fork: fork(i),
            loss: loss.clone(),
            hazards: hazards.iter().cloned().collect(),
        })
        .collect()
}

/// The steps of calling off.
pub(crate) fn call_off_steps(e: &Evidence, resume: bool) -> Vec<Step> {
    let here = instance(e.pool, BACKUP);
    let mine = matches!(e.ownership, Ownership::Mine(_));
    let step = |id, state, precondition: &str, effect: &str, why: String| Step {
        id,
        state,
        target: here.clone(),
        precondition: precondition.into(),
        effect: effect.into(),
        why,
        progress: None,
    };
    let todo = |b| if b { StepState::Pending } else { StepState::Done };
    vec![
        step(
            StepId::TakeOwnership,
            todo(!mine),
            "no live owner with another intent",
            "this run owns the transition",
            match (e.open, mine) {
                (None, _) => "the transition that was called off left log shipping's jobs disabled".into(),
                (_, true) => "this run owns it".into(),
                (_, false) => "the open transition is not this run's".into(),
            },
        ),
        step(
            StepId::ResumeLogShipping,
            match (&e.state.secondary, resume) {
                (None, _) => StepState::Skipped,
                (Some(_), r) => todo(r),
            },
            "the copy is not recovered",
            "both jobs are enabled: the pool is protected again",
            match &e.state.secondary {
                None => "log shipping is gone: set it up again".into(),
                Some(s) => format!(
                    "{} enabled of {}",
                    s.jobs().filter(|j| j.enabled == Some(true)).count(),
                    count(s.jobs().count(), "job")
                ),
            },
        ),
        step(
            StepId::ReleaseOwnership,
            StepState::Pending,
            "log shipping runs again",
            "the transition is called off",
            match e.open {
                Some(_) => format!("the transition is open; {}", e.other.seen),
                None => "the transition is closed while what it disabled is not enabled".into(),
            },
        ),
    ]
}
