//! The machine-readable document: one per run, printed at the end and kept in the state file.
//!
//! Its field names are a promise to scripts: fields are added, never renamed. An absent value means unknown or not
//! applicable, never zero.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pchat_planner::advice::Advice;
use pchat_planner::facts::{Contact, Fact, Facts};
use pchat_planner::journal::Journal;
use pchat_planner::plan::{Alternative, Direction, Hazard, Loss, Next, Step, StepId};
use pchat_planner::pool::{Pool, Side};
use serde::Serialize;

use super::outlook::OutlookDocument;
use super::words::{capital, millis, side_of};
use super::{Halt, Record, View, changed, header, journal, left, seen, stop};

/// The document.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Document {
    /// `observe`, `plan` or `converge`.
    pub command: &'static str,
    /// `Looked`, `Converged`, `Blocked`, `WaitingForApproval`, `Interrupted`.
    pub outcome: &'static str,
    /// Exit code of the process.
    pub exit_code: u8,
    /// Pool FQDN.
    pub pool: String,
    /// Chat database.
    pub database: String,
    /// The declared side.
    pub wanted: Side,
    /// The side that the management shell says is used, if it could be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<Side>,
    /// When this was written.
    pub at: Timestamp,
    /// What the plan moves, for example `ForcedFailover`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// The rule or row that decided what comes next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What comes next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextDocument>,
    /// The sentences at the top of the human report.
    pub summary: Vec<String>,
    /// What stopped the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<StopDocument>,
    /// Every step, in order.
    pub steps: Vec<StepDocument>,
    /// The loss interval.
    pub loss: LossDocument,
    /// All hazards of the plan.
    pub hazards: Vec<Hazard>,
    /// Digest of the plan's hazards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Warnings.
    pub warnings: Vec<Warning>,
    /// What the stop and the warnings say is to be typed, in order.
    pub advice: Vec<Advice>,
    /// What only a person can do.
    pub left_to_you: Vec<String>,
    /// What a loss of the side that serves would meet now; of `observe` and `plan`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failover_ready: Option<OutlookDocument>,
    /// What this run did.
    pub run: Record,
    /// A summary of what was seen last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<FactsDocument>,
}

/// The loss interval.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LossDocument {
    /// Everything stored before this is kept.
    pub safe_until: Option<Timestamp>,
    /// Where that comes from.
    pub safe_source: String,
    /// Nothing was stored on the other side after this; absent: unknown.
    pub at_most_until: Option<Timestamp>,
    /// The upper end is at least this.
    pub at_least_until: Option<Timestamp>,
    /// Where the upper end comes from.
    pub end_source: String,
    /// Length of the interval, if both ends are known.
    pub at_most_seconds: Option<i64>,
    /// Files that could not be read, whose log is given up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
}

/// What comes next.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum NextDocument {
    /// Nothing.
    Converged,
    /// An action of this step.
    Run {
        /// Which.
        step: StepId,
    },
    /// Looking again.
    Wait {
        /// What for.
        reason: String,
        /// In words.
        message: String,
    },
    /// A named stop.
    Blocked {
        /// Which.
        reason: String,
    },
}

/// What stopped a run.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StopDocument {
    /// The constant.
    pub name: String,
    /// The step that it stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// What stopped it.
    pub message: String,
    /// What has and has not been changed.
    pub changed: String,
    /// What to do.
    pub remedy: String,
    /// The digest to approve.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Where the log parts: what else could be followed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instead: Vec<AlternativeDocument>,
}

/// Another line of the log that could be followed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AlternativeDocument {
    /// The digest that chooses it.
    pub digest: String,
    /// Its fork; absent: the one that the database is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fork: Option<String>,
    /// What would be lost.
    pub loss: LossDocument,
    /// Every hazard that its digest accepts.
    pub hazards: Vec<Hazard>,
}

/// A step with its times.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepDocument {
    /// The plan's line.
    #[serde(flatten)]
    pub step: Step,
    /// Seconds that it took in this run, if this run worked on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// A warning.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// The constant.
    pub reason: String,
    /// A sentence with its remedy.
    pub message: String,
}

/// What was seen last.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FactsDocument {
    /// By `side/partner`.
    pub instances: BTreeMap<String, InstanceDocument>,
    /// Owner and transition, if they could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<Journal>,
    /// The management shell.
    pub shell: ShellDocument,
    /// Log backups listed on the share, if that could be listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_on_share: Option<usize>,
    /// Log backups listed in the copy folder, if that could be listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files_in_folder: Option<usize>,
    /// What was being looked at and had not answered yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub looking: Vec<LookingDocument>,
    /// Why the log backups are not known, if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backups_unknown: Option<String>,
}

/// A look that is under way.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LookingDocument {
    /// What is done.
    pub what: String,
    /// Since when.
    pub since: Timestamp,
}

/// One instance.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceDocument {
    /// Host\instance.
    pub name: String,
    /// `Answers`, `Unusable`, `Denied`, `Silent`, or `Pending` while it is being asked.
    pub contact: &'static str,
    /// Why it does not answer, or what is not known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Since when it is silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Timestamp>,
    /// The chat database in a few words; absent when unknown, `none` when it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Sessions on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sessions: Option<usize>,
    /// Start of the look.
    pub at: Timestamp,
}

/// The management shell.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ShellDocument {
    /// `Answers`, `Unusable`, `Silent`, or `Pending` while it is being asked.
    pub contact: &'static str,
    /// Why it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// `Normal` or `FailedOver`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool_state: Option<String>,
    /// Active servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_servers: Option<Vec<String>>,
    /// Whether the Central Management Store can be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_writable: Option<bool>,
}

/// Makes the document. `outcome` and `exit_code` are the caller's.
pub fn document(
    command: &'static str,
    outcome: &'static str,
    exit_code: u8,
    view: &View<'_>,
    halt: Option<&Halt>,
) -> Document {
    let (pool, plan, record) = (view.pool, view.plan, view.record);
    let moving = plan.is_some_and(|plan| !matches!(plan.direction, Direction::Steady(_)));
    let loss = match plan {
        Some(plan) if moving => &plan.loss,
        _ => &record.loss,
    };
    Document {
        command,
        outcome,
        exit_code,
        pool: pool.fqdn.clone(),
        database: pool.database.clone(),
        wanted: pool.active,
        active: view.facts.and_then(|f| f.shell.pool_state.value()).map(|(_, state)| side_of(*state)),
        at: millis(view.now),
        direction: record
            .direction
            .or(plan.map(|plan| plan.direction))
            .map(|direction| direction.to_string()),
        reason: plan.map(|plan| plan.rule.to_string()),
        next: plan.map(|plan| match &plan.next {
            Next::Converged => NextDocument::Converged,
            Next::Run(step, _) => NextDocument::Run { step: *step },
            Next::Wait { reason, message, .. } => {
                NextDocument::Wait { reason: reason.to_string(), message: message.clone() }
            }
            Next::Blocked(stop) => NextDocument::Blocked { reason: stop.reason.to_string() },
        }),
        summary: header::header(view).into_iter().map(|line| capital(&line)).collect(),
        stop: halt.map(|halt| StopDocument {
            name: halt.name(),
            step: halt.step(),
            message: stop::message(view, halt),
            changed: changed::changed(view),
            remedy: stop::remedy(halt),
            digest: halt.digest().map(str::to_owned),
            instead: halt.instead().iter().map(alternative).collect(),
        }),
        steps: record
            .listing
            .iter()
            .map(|step| StepDocument {
                step: step.clone(),
                seconds: record.took(step.id, view.now).map(|took| took.as_millis() as f64 / 1_000.0),
            })
            .collect(),
        loss: lost(loss),
        hazards: plan.map(|plan| plan.hazards.clone()).unwrap_or_default(),
        digest: plan.map(|plan| plan.digest.clone()).filter(|digest| !digest.is_empty()),
        warnings: plan
            .map(|plan| plan.warnings.iter())
            .into_iter()
            .flatten()
            .map(|(reason, message)| Warning { reason: reason.to_string(), message: message.clone() })
            .collect(),
        advice: plan.map(|plan| plan.advice.clone()).unwrap_or_default(),
        left_to_you: left::left(view),
        failover_ready: None,
        run: record.clone(),
        facts: view.facts.map(|facts| summary(pool, facts)),
    }
}

fn alternative(other: &Alternative) -> AlternativeDocument {
    AlternativeDocument {
        digest: other.digest.clone(),
        fork: other.fork.map(|fork| fork.to_string()),
        loss: lost(&other.loss),
        hazards: other.hazards.clone(),
    }
}

fn lost(loss: &Loss) -> LossDocument {
    LossDocument {
        safe_until: loss.safe_until.map(millis),
        safe_source: loss.safe_source.clone(),
        at_most_until: loss.at_most_until.map(millis),
        at_least_until: loss.at_least_until.map(millis),
        end_source: loss.end_source.clone(),
        at_most_seconds: loss.at_most().map(|most| most.as_secs()),
        unread: loss.unread.clone(),
    }
}

fn summary(pool: &Pool, facts: &Facts) -> FactsDocument {
    let known = |listing: &Fact<Vec<String>>| listing.value().map(Vec::len);
    let backups = facts.backups.value();
    FactsDocument {
        instances: facts
            .instances
            .iter()
            .map(|(id, seen)| {
                let partner = id.partner;
                let (contact, detail, silent_since) = contact(&seen.contact);
                let state = seen.state.value();
                let document = InstanceDocument {
                    name: pool.instance(*id).map(ToString::to_string).unwrap_or_default(),
                    contact,
                    detail: detail.or_else(|| seen.state.why().map(str::to_owned)),
                    silent_since: silent_since.map(millis),
                    database: state
                        .map(|state| state.database.as_ref().map_or("none".into(), seen::describe)),
                    sessions: state.map(|state| state.sessions.len()),
                    at: millis(seen.at),
                };
                (format!("{}/{partner}", id.side), document)
            })
            .collect(),
        journal: journal(facts).cloned(),
        shell: {
            let (contact, detail, _) = contact(&facts.shell.contact);
            ShellDocument {
                contact,
                detail,
                pool_state: facts.shell.pool_state.value().map(|(_, state)| state.to_string()),
                active_servers: facts.shell.servers.value().map(|servers| servers.active.clone()),
                store_writable: facts.shell.store_writable.value().map(Result::is_ok),
            }
        },
        files_on_share: backups.and_then(|b| known(&b.share)),
        files_in_folder: backups.and_then(|b| known(&b.folder)),
        looking: pchat_planner::looking(pool, facts)
            .into_iter()
            .map(|look| LookingDocument { what: look.what, since: millis(look.since) })
            .collect(),
        backups_unknown: facts.backups.why().map(str::to_owned),
    }
}

fn contact(contact: &Contact) -> (&'static str, Option<String>, Option<Timestamp>) {
    match contact {
        Contact::Answers => ("Answers", None, None),
        Contact::Unusable { detail } => ("Unusable", Some(detail.clone()), None),
        Contact::Denied { detail } => ("Denied", Some(detail.clone()), None),
        Contact::Pending { .. } => ("Pending", None, None),
        Contact::Silent { since, detail, .. } => ("Silent", Some(detail.clone()), Some(*since)),
    }
}
