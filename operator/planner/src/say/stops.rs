//! The words of stops, waits and warnings: what stopped it, and what to do.
//!
//! Sentences name host\instance, object, number and time. What a run has and has not changed is told by the report alone, from what was
//! observed. Nothing here decides anything.

use crate::judge::evidence::Evidence;
use crate::judge::ownership::sign_of_life;
use crate::model::advice::Advice;
use crate::model::facts::{Backups, Contact, Job, PoolState, RunningRestore, Session};
use crate::model::journal::{Owner, Transition};
use crate::model::plan::{Reason, StepId, Stop};
use crate::model::pool::InstanceId;
use crate::model::pool::{BACKUP, BACKUP_MIRROR};
use crate::say::advice::{self, remedy};
use crate::words::{holder, instance, time};

pub(crate) fn stop(reason: Reason, step: Option<StepId>, message: String, remedy: String) -> Stop {
    Stop { reason, step, message, remedy, digest: None, instead: Vec::new(), advice: Vec::new() }
}

/// A stop whose remedy is something to be typed: what to do, the lines, what follows.
fn advised(
    reason: Reason,
    step: Option<StepId>,
    message: String,
    (before, advice, after): (&str, Vec<Advice>, &str),
) -> Stop {
    let remedy = remedy(before, &advice, after);
    Stop { advice, ..stop(reason, step, message, remedy) }
}

pub(crate) fn backup_unreachable(here: &str, why: &str) -> Stop {
    stop(
        Reason::BackupUnreachable,
        None,
        format!(
            "{here}, the side that the pool would live on, can't be asked: {}.",
            why.trim_end_matches('.')
        ),
        format!("Make {here} reachable and its login work; the run goes on by itself."),
    )
}

/// `denied`: what the server did not let the login see; nothing, if only the role is missing.
pub(crate) fn rights_missing(here: &str, login: &str, denied: Option<&str>, grants: Vec<Advice>) -> Stop {
    let message = match denied {
        Some(what) => format!(
            "{here}, the side that the pool would live on, does not tell login {login} its state: {}.",
            what.trim_end_matches('.')
        ),
        None => format!(
            "Login {login} is not a member of sysadmin on {here}, the side that the pool would live on."
        ),
    };
    advised(
        Reason::RightsMissing,
        None,
        message,
        (
            "Log shipping's procedures, jobs and RESTORE need a member of sysadmin.",
            grants,
            "The run goes on by itself.",
        ),
    )
}

pub(crate) fn journal_damaged(here: &str, database: &str, damage: &str) -> Stop {
    advised(
        Reason::JournalDamaged,
        None,
        format!("The journal of {database} in master on {here} can't be understood: {damage}."),
        (
            &format!(
                "Look at it. If a newer version wrote it, go on with that one; if no other operator works on {database}, remove it."
            ),
            vec![advice::remove_journal(here, database, damage)],
            "The run goes on by itself.",
        ),
    )
}

pub(crate) fn database_missing(here: &str, database: &str) -> Stop {
    stop(
        Reason::DatabaseUnusable,
        None,
        format!("{here} has no database {database}."),
        format!(
            "Check instance and database name in the manifest; a failover needs the log-shipped copy of {database} there."
        ),
    )
}

pub(crate) fn database_unusable(e: &Evidence, why: &str) -> Stop {
    let here = instance(e.pool, BACKUP);
    let db = &e.db.name;
    let advice = advice::mend_copy(e);
    let before = match (advice.is_empty(), e.db.mirroring.is_some()) {
        (false, _) => format!("Bring {db} there back."),
        (true, true) => format!(
            "If {} serves, let it, and leave the session as it is: this version goes on only from {here}. If it does not, make it \
             answer first.",
            instance(e.pool, BACKUP_MIRROR)
        ),
        (true, false) => format!(
            "Bring {db} there back to RESTORING (or ONLINE, read-write, if it was recovered already); the error log of {here} says \
             what happened to it."
        ),
    };
    advised(
        Reason::DatabaseUnusable,
        Some(StepId::RecoverDatabase),
        format!("{db} on {here} {why}."),
        (&before, advice, "The run goes on by itself."),
    )
}

pub(crate) fn position_unknown(e: &Evidence) -> Stop {
    let here = instance(e.pool, BACKUP);
    stop(
        Reason::DatabaseUnusable,
        Some(StepId::ApplyLogs),
        format!(
            "Where {} on {here} stands in its log is {}; no backup can be judged without it.",
            e.db.name,
            e.position_text()
        ),
        format!(
            "Restore the next log backup of {} by hand WITH NORECOVERY; then the server tells, and the run goes on by itself.",
            e.db.name
        ),
    )
}

pub(crate) fn log_shipping_shared(e: &Evidence) -> Stop {
    let here = instance(e.pool, BACKUP);
    stop(
        Reason::LogShippingShared,
        Some(StepId::QuiesceLogShipping),
        format!(
            "Log shipping's jobs for {} on {here} serve another database too; disabling them would stop that one.",
            e.db.name
        ),
        format!(
            "Give {} jobs of its own, or disable the restore job and remove its log shipping by hand and declare share and folder.",
            e.db.name
        ),
    )
}

pub(crate) fn failback_open(e: &Evidence, open: &Transition) -> Stop {
    stop(
        Reason::FailbackNeeded,
        None,
        format!(
            "A transition to the primary side ({}) stands open on {}.",
            open.id,
            instance(e.pool, BACKUP)
        ),
        "This version does not carry out a failback: finish it with the one that began it.".into(),
    )
}

pub(crate) fn failback_needed(e: &Evidence) -> Stop {
    stop(
        Reason::FailbackNeeded,
        None,
        format!("activeDatabase is primary, and pool {} is FailedOver: it is used on {}.", e.pool.fqdn, instance(e.pool, BACKUP)),
        "Going back is a failback with its own gate, which this version does not carry out: follow the published failback \
         procedure, or set activeDatabase to backup again."
            .into(),
    )
}

pub(crate) fn intent_conflict(e: &Evidence, owner: &Owner) -> Stop {
    Stop {
        digest: Some(e.digest.clone()),
        ..stop(
            Reason::IntentConflict,
            Some(StepId::TakeOwnership),
            format!(
                "{} is moving the pool to the {} side; its last sign of life on {} was at {}.",
                owner.executor,
                e.pool.active.other(),
                instance(e.pool, BACKUP),
                time(sign_of_life(e.state, e.run, owner), e.now)
            ),
            "Stop that run, or make its manifest agree. An approval displaces it.".into(),
        )
    }
}

pub(crate) fn owned_by_another(e: &Evidence, owner: &Owner) -> String {
    let held = match &e.state.holder {
        Some(session) => format!("; {} holds the pool's lock", holder(session)),
        None => String::new(),
    };
    format!(
        "{} carries out the same transition (last sign of life at {}{held}); this run stands by and takes over when that lapses",
        owner.executor,
        time(sign_of_life(e.state, e.run, owner), e.now)
    )
}

/// A session holds the pool's lock: an executor acts, or what one has sent still runs.
pub(crate) fn locked(e: &Evidence, session: &Session) -> String {
    let owner = match &e.state.journal.owner {
        Some(owner) => format!("; the owner is {}", owner.executor),
        None => String::new(),
    };
    format!(
        "{} holds the pool's lock on {}: something is being done there, and nothing is begun beside it{owner}",
        holder(session),
        instance(e.pool, BACKUP)
    )
}

pub(crate) fn shell(e: &Evidence, step: StepId) -> Stop {
    let s = &e.facts.shell;
    let why = match (&s.contact, s.pool_state.why(), s.servers.why()) {
        (Contact::Silent { detail, .. } | Contact::Unusable { detail } | Contact::Denied { detail }, ..) => {
            detail.clone()
        }
        (Contact::Answers, Some(why), _) | (Contact::Answers, None, Some(why)) => why.to_owned(),
        _ => "it did not tell".into(),
    };
    let why = why.trim_end_matches('.');
    advised(
        Reason::ManagementShellUnavailable,
        Some(step),
        format!("The management shell can't be asked about pool {}: {why}.", e.pool.fqdn),
        (
            "Make it reachable, or point managementShell.uri at another Front End.",
            advice::set_pool_state(e),
            "The run goes on by itself.",
        ),
    )
}

pub(crate) const STORE_PLACE: &str = "STORE-BACKUP stands for the SQL Server of the store's backup, which only the topology names. Where that is a named instance, \
     -BackupSqlInstanceName is added, and where it is mirrored, -BackupMirrorSqlServerFqdn and -BackupMirrorSqlInstanceName.";

pub(crate) fn store_sentence(why: &str) -> String {
    remedy(
        &format!(
            "The Central Management Store can't be written ({why}): the database would be recovered, and then the pool could not be \
             told. Move it first."
        ),
        &[advice::move_management_store()],
        STORE_PLACE,
    )
}

pub(crate) fn store(step: StepId, why: &str) -> Stop {
    let why = why.trim_end_matches('.');
    advised(
        Reason::CentralManagementUnavailable,
        Some(step),
        format!("The Central Management Store can't be written: {why}."),
        (
            "Move it, from the surviving site; the run goes on by itself.",
            vec![advice::move_management_store()],
            STORE_PLACE,
        ),
    )
}

pub(crate) fn mirror_share_needed(e: &Evidence) -> Stop {
    stop(
        Reason::MirrorShareNeeded,
        Some(StepId::EstablishMirror),
        format!(
            "{} on {} serves, and has no mirror yet: seeding it needs a share in {} which the manifest does not declare.",
            e.db.name,
            instance(e.pool, BACKUP),
            e.pool.backup.name
        ),
        format!(
            "Declare mirroring.seedShare, a share that {} and {} can write and read; the run goes on by itself.",
            instance(e.pool, BACKUP),
            instance(e.pool, BACKUP_MIRROR)
        ),
    )
}

pub(crate) fn mirror_unavailable(e: &Evidence, why: &str) -> Stop {
    let resume = advice::resume_mirroring(e);
    let grant = advice::grant_sysadmin(e.pool, e.facts);
    let mirror = instance(e.pool, BACKUP_MIRROR);
    let (before, advice) = match (resume.is_empty(), grant.is_empty()) {
        (false, _) => (format!("See why the session to {mirror} was suspended, then let it go on."), resume),
        (true, false) => (format!("Give the login its rights on {mirror}."), grant),
        (true, true) => (format!("Bring {mirror} back."), Vec::new()),
    };
    let why = why.trim_end_matches('.');
    advised(
        Reason::MirrorUnavailable,
        Some(StepId::EstablishMirror),
        format!("{} on {} serves, and is not mirrored: {why}.", e.db.name, instance(e.pool, BACKUP)),
        (&before, advice, "The run goes on by itself."),
    )
}

pub(crate) fn bracketed(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

pub(crate) fn quoted(text: &str) -> String {
    format!("N'{}'", text.replace('\'', "''"))
}

pub(crate) fn job_running(job: &Job) -> String {
    format!("job {} is still running; it is disabled and finishes in its own time", job.name)
}

pub(crate) fn jobs_gone(e: &Evidence, jobs: &str) -> String {
    format!(
        "Log shipping of {} on {} has no {jobs} any more. What is not copied is restored from the share; afterwards set log shipping \
         up anew.",
        e.db.name,
        instance(e.pool, BACKUP)
    )
}

pub(crate) fn restore_running(e: &Evidence, r: &RunningRestore) -> String {
    format!(
        "{} of {} runs in session {} on {}, at {} %",
        r.command,
        e.db.name,
        r.session,
        instance(e.pool, BACKUP),
        r.percent
    )
}

pub(crate) fn recovering(e: &Evidence) -> String {
    format!("{} on {} is being recovered or restored by the server", e.db.name, instance(e.pool, BACKUP))
}

pub(crate) fn old_primary_returned(e: &Evidence, id: InstanceId) -> String {
    let (db, there, here) = (&e.db.name, instance(e.pool, id), instance(e.pool, BACKUP));
    let advice = advice::fence_old_primary(e, id);
    let both = format!("{db} on {there} is ONLINE again beside {db} on {here}");
    match (advice.is_empty(), e.pool_state()) {
        (false, _) => remedy(
            &format!("{both}, which the pool uses. Keep users away from it and take it out of service."),
            &advice,
            "That is reversible.",
        ),
        (true, Some(PoolState::FailedOver)) => format!(
            "{both}, which the pool uses. Find out first whether {there} is the same server as {here} under another name."
        ),
        (true, Some(PoolState::Normal)) => format!(
            "{both}, and the pool's state is still Normal: its chat servers may use {there}. Leave it until the pool is FailedOver."
        ),
        (true, None) => format!(
            "{both}, and which of them the pool uses is not known. Leave both as they are until the management shell tells."
        ),
    }
}

pub(crate) fn servers_late(e: &Evidence, missing: &str) -> String {
    remedy(
        &format!(
            "The active servers of pool {} are set, but {missing}. Check the Persistent Chat service on them, and how far the store \
             is replicated.",
            e.pool.fqdn
        ),
        &[advice::show_replication()],
        "The pool's state and list stand.",
    )
}

pub(crate) fn servers_drifted(e: &Evidence, now: &str) -> String {
    format!(
        "The active servers of pool {} are not the declared ones since the failover was finished; active: {now}.",
        e.pool.fqdn
    )
}

/// Files that are not counted as log backups, but for the undo file of a STANDBY copy, which log shipping keeps there itself.
pub(crate) fn set_aside(backups: &Backups) -> Option<String> {
    const TOLD: usize = 6;
    let all: Vec<_> =
        backups.aside.iter().filter(|(name, _)| !name.to_lowercase().ends_with(".tuf")).collect();
    if all.is_empty() {
        return None;
    }
    let told: Vec<String> = all.iter().take(TOLD).map(|(name, why)| format!("{name} ({why})")).collect();
    let more = match all.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "Not counted as log backups: {}{more}. If one of them is a backup, give it a name that ends in .trn.",
        told.join(", ")
    ))
}

pub(crate) fn not_mirrored(e: &Evidence) -> String {
    format!(
        "{} on {} is not mirrored to {}.",
        e.db.name,
        instance(e.pool, BACKUP),
        instance(e.pool, BACKUP_MIRROR)
    )
}

pub(crate) fn primary_not_serving(e: &Evidence) -> String {
    format!("The declared side was not seen to serve: {}.", e.other.seen)
}

pub(crate) fn backup_copy_online(e: &Evidence) -> String {
    format!(
        "{} on {} is ONLINE, so log shipping can't go on: initialise it again before it is needed.",
        e.db.name,
        instance(e.pool, BACKUP)
    )
}
