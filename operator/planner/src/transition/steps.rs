//! The steps of a forced failover, each with what it needs, what it brings about, and what was observed of it.
//!
//! Tells which steps are done; never which action comes next (that is `next`) and never whether a failover may be
//! forced (that is `table`). Once the copy is recovered the steps before it are closed by outcome: live users have sessions
//! and a returning primary writes files, and neither re-opens anything.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::judge::chain::{self, Course, Unread};
use crate::judge::copy::Copy;
use crate::judge::evidence::Evidence;
use crate::judge::ownership::Ownership;
use crate::judge::service::{Mirror, Servers};
use crate::model::facts::{BackupSet, Job, PoolState, Secondary, UserAccess};
use crate::model::lsn::Lsn;
use crate::model::plan::{Step, StepId, StepState};
use crate::model::pool::{BACKUP, BACKUP_MIRROR};
use crate::words::{count, few, instance, time};

impl Evidence<'_> {
    /// Whether everything up to and with RecoverDatabase is closed by outcome.
    pub fn closed(&self) -> bool {
        match &self.copy {
            Copy::Vouched | Copy::Delivered | Copy::Proved => true,
            Copy::Unproved(_) => self.accepted.is_some(),
            Copy::Restoring | Copy::Recovering | Copy::Unusable(_) | Copy::Unjudged => false,
        }
    }

    /// When this run was last answered for `step` in the open transition.
    pub fn asked(&self, step: StepId) -> Option<Timestamp> {
        let id = self.open?.id;
        self.run.asked.iter().filter(|a| a.transition == id && a.step == step).map(|a| a.at).max()
    }

    /// Log shipping still has to be quiesced: jobs enabled, or the evidence is not written.
    pub fn unquiesced(&self) -> Option<&Secondary> {
        let s = self.state.secondary.as_ref()?;
        let written = self.open.and_then(|t| t.evidence.as_ref()).is_some_and(|e| e.secondary_id == s.id);
        // What is not known to be disabled counts as enabled.
        (!written || s.jobs().any(|j| j.enabled != Some(false))).then_some(s)
    }

    /// Files that are needed and not whole in the copy folder.
    pub fn uncopied(&self) -> usize {
        let Some(course) = self.course() else { return 0 };
        course.links.iter().filter(|l| !l.in_folder).count()
            + course.unknown.iter().filter(|(name, _)| !name.contains('\\')).count()
    }

    /// Starting the copy job would help: it exists, is idle, was not asked already, did not run since the transition was opened, and
    /// there is something to copy. What it leaves is read on the share; a share that it can't reach must not make it loop.
    pub fn copy_helps(&self) -> Option<&Job> {
        let job = self.state.secondary.as_ref()?.copy_job.as_ref()?;
        let opened = self.open?.opened;
        let ran = job.last_run.as_ref().is_some_and(|(ended, _)| *ended >= opened);
        let share_known = self.facts.backups.value().is_some_and(|b| b.share.value().is_some());
        (share_known
            && self.uncopied() > 0
            && !job.running
            && !ran
            && self.asked(StepId::CopyBackups).is_none())
        .then_some(job)
    }
}

struct Line {
    id: StepId,
    target: String,
    precondition: &'static str,
    effect: String,
    state: StepState,
    why: String,
    progress: Option<(u64, u64)>,
}

impl From<Line> for Step {
    fn from(l: Line) -> Step {
        Step {
            id: l.id,
            state: l.state,
            target: l.target,
            precondition: l.precondition.to_owned(),
            effect: l.effect,
            why: l.why,
            progress: l.progress,
        }
    }
}

use StepState::{Done, Pending, Skipped};

/// Why a step waits for a look.
const NOT_YET: &str = "not looked at yet";

/// The steps of a forced failover in order, with what was observed: done, skipped or pending.
pub(crate) fn forced(e: &Evidence) -> Vec<Step> {
    let here = instance(e.pool, BACKUP);
    let db = format!("{} on {here}", e.db.name);
    let by_outcome = || (Done, "closed by outcome: the copy is recovered".to_owned());
    let mut lines = Vec::new();
    let mut line =
        |id, target: &str, precondition, effect: String, (state, why): (StepState, String), progress| {
            lines.push(Step::from(Line {
                id,
                target: target.to_owned(),
                precondition,
                effect,
                state,
                why,
                progress,
            }));
        };

    line(
        StepId::TakeOwnership,
        &here,
        "no live owner with another intent",
        format!("{here} names this run as the owner"),
        match &e.ownership {
            Ownership::Mine(_) => (Done, "the transition is open and this run owns it".into()),
            Ownership::Free(_) => (Pending, "no transition is open".into()),
            Ownership::Takeable(_) => (Pending, "an open transition has no live owner".into()),
            Ownership::StandBy(o) | Ownership::Conflict(o) => (
                Pending,
                format!("{} owns the open transition, last sign of life {}", o.executor, time(o.mark, e.now)),
            ),
        },
        None,
    );
    line(
        StepId::QuiesceLogShipping,
        &format!("log shipping of {db}"),
        "this run owns the transition",
        "the evidence is written, both jobs are disabled, the restore job is idle".into(),
        if e.closed() { by_outcome() } else { quiesce(e) },
        None,
    );
    let (copied, progress) = if e.closed() { (by_outcome(), None) } else { copying(e) };
    line(
        StepId::CopyBackups,
        &e.source.as_ref().map_or_else(|| "the share".into(), |s| format!("{} to {}", s.share, s.folder)),
        "log shipping's copy job exists",
        "every applicable file is whole in the copy folder".into(),
        copied,
        progress,
    );
    let (applied, progress) = if e.closed() { (by_outcome(), None) } else { applying(e) };
    line(
        StepId::ApplyLogs,
        &db,
        "the restore job is disabled and idle",
        "nothing applicable is left, and that is known".into(),
        applied,
        progress,
    );
    line(
        StepId::DisconnectSessions,
        &db,
        "the copy is in STANDBY; a restore is never ended",
        "no reader is left".into(),
        match (e.closed(), e.db.in_standby(), e.state.sessions.len()) {
            (true, ..) => by_outcome(),
            (_, false, _) => (Done, "a RESTORING database has no sessions".into()),
            (_, true, 0) => (Done, "no session reads it".into()),
            (_, true, n) => match e.asked(StepId::DisconnectSessions) {
                Some(_) => (
                    Done,
                    format!("{} came back; the next restore ends them in its own batch", count(n, "reader")),
                ),
                None => (Pending, format!("{} on the STANDBY copy", count(n, "reader"))),
            },
        },
        None,
    );
    line(
        StepId::RecoverDatabase,
        &db,
        "neither partner of the other side serves, the chain's end is known, log shipping is quiesced",
        format!("{} is ONLINE, multi-user, and the journal vouches for it", e.db.name),
        recover(e),
        None,
    );
    line(
        StepId::SetPoolState,
        &format!("pool {}", e.pool.fqdn),
        "the database is recovered",
        "the pool is FailedOver".into(),
        match e.pool_state() {
            Some(PoolState::FailedOver) => (Done, "the pool is FailedOver".into()),
            Some(PoolState::Normal) => (Pending, "the pool is Normal".into()),
            None => (Pending, e.facts.shell.pool_state.why().unwrap_or(NOT_YET).to_owned()),
        },
        None,
    );
    line(
        StepId::SetActiveServers,
        &format!("pool {}", e.pool.fqdn),
        "the pool is FailedOver",
        format!("{} active, replicated, and connected", few(&e.pool.backup.active_servers)),
        match e.servers() {
            Servers::Done => (Done, "the list is as declared".into()),
            Servers::Late(m) => (Done, format!("the list is as declared, but {m}")),
            Servers::Waiting(m, _) => (Pending, format!("the list is set; {m}")),
            Servers::Differ(now) => (Pending, format!("active: {now}")),
            Servers::Unknown(why) => (Pending, why),
            Servers::Unseen => (Pending, NOT_YET.into()),
        },
        None,
    );
    line(
        StepId::EstablishMirror,
        &match e.pool.instance(BACKUP_MIRROR) {
            Some(m) => format!("{db} and {m}"),
            None => db.clone(),
        },
        "the database is recovered; a share for seeding",
        "both ends synchronise".into(),
        match e.mirror() {
            Mirror::NotDeclared => (Skipped, format!("{} has no mirror by declaration", e.pool.backup.name)),
            Mirror::Done => (Done, "the session synchronises".into()),
            Mirror::Absent => (Pending, "no mirroring session".into()),
            Mirror::Unseen => (Pending, NOT_YET.into()),
            Mirror::Seeding(why) | Mirror::Silent(why) | Mirror::Unhealthy(why) => (Pending, why),
        },
        None,
    );
    line(
        StepId::RemoveLogShipping,
        &format!("log shipping of {db}"),
        "the database is recovered; both jobs are idle",
        format!("msdb knows no secondary for {}", e.db.name),
        match &e.state.secondary {
            None => (Done, "msdb knows no secondary".into()),
            Some(s) => (Pending, format!("still receives from {}", s.primary_server)),
        },
        None,
    );
    line(
        StepId::ReleaseOwnership,
        &here,
        "every other step is done",
        "the transition is closed and nobody owns the pool".into(),
        match e.open {
            Some(_) => (Pending, "the transition is open".into()),
            None => (Done, "no transition is open".into()),
        },
        None,
    );
    lines
}

/// Why no file was judged.
fn unlisted(e: &Evidence) -> &'static str {
    if e.listing_since().is_some() { NOT_YET } else { "the log backups are not known" }
}

fn quiesce(e: &Evidence) -> (StepState, String) {
    let Some(s) = &e.state.secondary else {
        return match &e.source {
            Some(source) => {
                (Skipped, format!("log shipping is gone already; its files are in {}", source.share))
            }
            None => (Skipped, "log shipping is gone already".into()),
        };
    };
    if e.unquiesced().is_some() {
        let enabled: Vec<&String> = s.jobs().filter(|j| j.enabled != Some(false)).map(|j| &j.name).collect();
        return match enabled.is_empty() {
            true => (Pending, format!("{}, but the evidence is not written", quiet_jobs(s))),
            false => (Pending, format!("enabled: {}", few(enabled))),
        };
    }
    if let Some(job) = s.restore_job.as_ref().filter(|j| j.running) {
        return (Pending, format!("{} is still running; it is disabled, not stopped", job.name));
    }
    (
        Done,
        match s.jobs_gone() {
            None => "both jobs are disabled and the restore job is idle".into(),
            Some(_) => quiet_jobs(s),
        },
    )
}

/// Jobs of which none is enabled.
fn quiet_jobs(s: &Secondary) -> String {
    match (&s.copy_job, &s.restore_job) {
        (Some(_), Some(_)) => "both jobs are disabled".into(),
        (None, None) => "both jobs are gone".into(),
        (Some(job), None) => format!("{} is disabled, the restore job is gone", job.name),
        (None, Some(job)) => format!("{} is disabled, the copy job is gone", job.name),
    }
}

fn copying(e: &Evidence) -> ((StepState, String), Option<(u64, u64)>) {
    let Some(course) = e.course() else {
        return ((Pending, unlisted(e).into()), None);
    };
    let (total, missing) = (course.links.len().max(e.uncopied()), e.uncopied());
    let progress = Some(((total - missing) as u64, total as u64));
    let what = format!("{missing} of {} not in the copy folder", count(total, "file"));
    let line = match &e.state.secondary {
        _ if course.unseen => (Pending, "not everything is listed yet".into()),
        _ if missing == 0 => (Done, "every applicable file is whole in the copy folder".into()),
        None => (Skipped, format!("{what}; the copy job is gone, they are read on the share")),
        Some(s) => match &s.copy_job {
            None => (Skipped, format!("{what}; the copy job is gone, they are read on the share")),
            Some(job) if job.running => (Pending, format!("{what}; {} is running", job.name)),
            Some(_) if e.copy_helps().is_some() => (Pending, what),
            Some(job) => match job.last_run.as_ref().map(|(_, r)| r) {
                Some(Err(why)) => {
                    (Skipped, format!("{what}; {} failed ({why}), they are read on the share", job.name))
                }
                _ => (Skipped, format!("{what}; they are read on the share")),
            },
        },
    };
    (line, progress)
}

fn applying(e: &Evidence) -> ((StepState, String), Option<(u64, u64)>) {
    let Some(course) = e.course() else {
        return ((Pending, unlisted(e).into()), None);
    };
    let left = course.links.len();
    let progress = e.facts.backups.value().map(|b| {
        // Sets beyond the point at which the transition found the copy; a run that has opened none begins where the copy stands.
        let began = e.open.and_then(|t| t.evidence.as_ref()).and_then(|v| v.redo);
        let began = began.or(e.db.position.as_ref().ok().map(|p| p.lsn));
        let sets = chain::sets(b, &e.db.name);
        let beyond = |s: &BackupSet| began.is_some_and(|b| s.last_lsn > b) && s.last_lsn <= course.end.lsn;
        let total: BTreeSet<Lsn> = sets.iter().filter(|(_, s)| beyond(s)).map(|(_, s)| s.last_lsn).collect();
        let total = total.len().max(left);
        ((total - left) as u64, total as u64)
    });
    if left > 0 {
        return (
            (Pending, format!("{} applicable, from LSN {}", count(left, "file"), e.position_text())),
            progress,
        );
    }
    let read = course.known_end() && course.unread(e.facts.backups.at()) == Unread::Settled;
    if read || (e.accepted.is_some() && !course.unseen) {
        let torn = match course.torn.len() {
            0 => String::new(),
            _ => format!("; {} torn and can't be applied", few(course.torn.iter().map(|t| &t.name))),
        };
        return ((Done, format!("nothing applicable is left behind LSN {}{torn}", course.end.lsn)), progress);
    }
    // How many there are in all is not known here.
    ((Pending, open_end(course)), None)
}

/// Why it is not known whether anything applicable is left.
fn open_end(course: &Course) -> String {
    let end = course.end.lsn;
    if course.unseen {
        return format!(
            "whether anything applies behind LSN {end} is not known: not everything is listed yet"
        );
    }
    let open = course.unknown.first().map(|(name, _)| name).or(course.in_use.first());
    if let Some(name) = open {
        return format!("whether anything applies behind LSN {end} is not known: {name} could not be read");
    }
    if let Some(broken) = &course.broken {
        return format!(
            "{} can't be restored to its end; nothing behind LSN {end} applies without it",
            broken.name
        );
    }
    if let Some(stray) = &course.gap {
        return format!(
            "a log backup is missing between LSN {end} and {}, which begins at LSN {}",
            stray.name, stray.first_lsn
        );
    }
    if !course.torn.is_empty() {
        let names = few(course.torn.iter().map(|t| &t.name));
        return format!("whether anything applies behind LSN {end} is not known: torn are {names}");
    }
    "there is more than one recovery fork, and a person chooses".into()
}

fn recover(e: &Evidence) -> (StepState, String) {
    match &e.copy {
        Copy::Restoring if e.db.in_standby() => (Pending, format!("STANDBY at LSN {}", e.position_text())),
        Copy::Restoring => (Pending, format!("RESTORING at LSN {}", e.position_text())),
        Copy::Recovering => (Pending, "RECOVERING".into()),
        Copy::Unusable(why) => (Pending, why.clone()),
        Copy::Unjudged => (Pending, format!("ONLINE; what tells where it comes from was {NOT_YET}")),
        Copy::Unproved(why) if !e.closed() => (Pending, format!("ONLINE, but {why}")),
        _ if e.db.user_access == UserAccess::Unknown => {
            (Pending, "ONLINE, but the server does not tell who may connect".into())
        }
        _ if e.db.user_access != UserAccess::Multi => (Pending, "ONLINE, but not multi-user".into()),
        _ if e.db.read_only.is_none() => {
            (Pending, "ONLINE, but the server does not tell whether read-only".into())
        }
        _ if e.db.read_only == Some(true) => (Pending, "ONLINE, but read-only".into()),
        Copy::Vouched => (Done, "ONLINE, and the journal vouches for it".into()),
        Copy::Delivered => (Done, "ONLINE, and the pool uses it".into()),
        Copy::Proved => (Done, "ONLINE, and a log backup ends where it was recovered".into()),
        Copy::Unproved(_) => (Done, "ONLINE, and accepted as it is".into()),
    }
}

impl Evidence<'_> {
    /// The copy's LSN, or that it is not known.
    pub fn position_text(&self) -> String {
        match &self.db.position {
            Ok(p) => p.lsn.to_string(),
            Err(why) => format!("unknown ({why})"),
        }
    }
}
