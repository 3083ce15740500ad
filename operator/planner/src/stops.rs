//! The words of stops, waits and warnings: what stopped it, what has and has not been changed, what to do.
//!
//! Sentences name host\instance, object, number and time. Nothing here decides anything.

use crate::facts::{Contact, Job, RunningRestore};
use crate::journal::{Owner, Transition};
use crate::next::{BACKUP, BACKUP_MIRROR};
use crate::plan::{Reason, Step, StepId, StepState, Stop};
use crate::policy::{Decision, Evidence, Row};
use crate::pool::InstanceId;
use crate::words::{count, duration, instance, list, time};

fn stop(reason: Reason, step: Option<StepId>, message: String, remedy: String) -> Stop {
    Stop { reason, step, message, remedy, digest: None }
}

pub(crate) fn backup_unreachable(here: &str, why: &str) -> Stop {
    stop(
        Reason::BackupUnreachable,
        None,
        format!("{here}, the side that the pool would live on, can't be asked: {why}."),
        format!(
            "Make {here} reachable and its login work; the run goes on by itself. Nothing was changed by this look."
        ),
    )
}

pub(crate) fn rights_missing(here: &str) -> Stop {
    stop(
        Reason::RightsMissing,
        None,
        format!("The login on {here} is not a member of sysadmin."),
        "Log shipping's procedures, jobs and RESTORE need it. On that instance: ALTER SERVER ROLE sysadmin ADD MEMBER [login] \
         (2008 R2: EXEC sp_addsrvrolemember 'login', 'sysadmin')."
            .into(),
    )
}

pub(crate) fn journal_damaged(here: &str, database: &str, damage: &str) -> Stop {
    stop(
        Reason::JournalDamaged,
        None,
        format!("The journal of {database} in master on {here} can't be understood: {damage}."),
        format!(
            "Look at it with SELECT name, value FROM master.sys.extended_properties WHERE name LIKE 'persistentchat.io/%'; if no \
             other operator works on {database}, remove the damaged property with sp_dropextendedproperty. The run goes on by itself."
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
    stop(
        Reason::DatabaseUnusable,
        Some(StepId::RecoverDatabase),
        format!("{} on {here} {why}.", e.db.name),
        format!(
            "Bring {} there back to RESTORING (or ONLINE, read-write, if it was recovered already); the run goes on by itself.",
            e.db.name
        ),
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
                time(owner.mark, e.now)
            ),
            format!("Stop that run, or make its manifest agree. To displace it, approve {}.", e.digest),
        )
    }
}

pub(crate) fn owned_by_another(e: &Evidence, owner: &Owner) -> String {
    format!(
        "{} carries out the same transition (last sign of life at {}); this run stands by and takes over when that lapses",
        owner.executor,
        time(owner.mark, e.now)
    )
}

pub(crate) fn shell(e: &Evidence, step: StepId) -> Stop {
    let s = &e.facts.shell;
    let why = match (&s.contact, s.pool_state.why(), s.servers.why()) {
        (Contact::Silent { detail, .. } | Contact::Unusable { detail }, ..) => detail.clone(),
        (Contact::Answers, Some(why), _) | (Contact::Answers, None, Some(why)) => why.to_owned(),
        _ => "it did not tell".into(),
    };
    let done = if e.copy.is_recovered() {
        format!(" {} is recovered and stays so.", e.db.name)
    } else {
        String::new()
    };
    stop(
        Reason::ManagementShellUnavailable,
        Some(step),
        format!("The management shell can't be asked about pool {}: {why}.{done}", e.pool.fqdn),
        format!(
            "Make it reachable, or point managementShell.uri at another Front End; the run goes on by itself. By hand, on a Front End: \
             Set-CsPersistentChatState -Identity \"service:{}\" -PoolState FailedOver",
            e.pool.fqdn
        ),
    )
}

pub(crate) fn store_sentence(why: &str) -> String {
    format!(
        "The Central Management Store can't be written ({why}): the database is recovered, then the pool can't be told. Move it first: \
         Invoke-CsManagementServerFailover -BackupSqlServerFqdn <its backup> -Force"
    )
}

pub(crate) fn store(step: StepId, why: &str) -> Stop {
    stop(
        Reason::CentralManagementUnavailable,
        Some(step),
        format!("The Central Management Store can't be written: {why}. The database part is done."),
        "Move it: Invoke-CsManagementServerFailover -BackupSqlServerFqdn <its backup> -Force, on a Front End of the surviving site; \
         the run goes on by itself."
            .into(),
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
    stop(
        Reason::MirrorUnavailable,
        Some(StepId::EstablishMirror),
        format!("{} on {} serves, and is not mirrored: {why}.", e.db.name, instance(e.pool, BACKUP)),
        format!(
            "Bring {} back; a suspended session goes on with ALTER DATABASE {} SET PARTNER RESUME. The run goes on by itself.",
            instance(e.pool, BACKUP_MIRROR),
            bracketed(&e.db.name)
        ),
    )
}

fn bracketed(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

pub(crate) fn job_running(job: &Job) -> String {
    format!("job {} is still running; it is disabled and finishes in its own time", job.name)
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
    format!(
        "{0} on {1} is ONLINE again beside {0} on {2}, which the pool uses. Keep users away from it: disable its log backup job, and take it \
         out of service with ALTER DATABASE {3} SET OFFLINE WITH ROLLBACK IMMEDIATE (reversible).",
        e.db.name,
        instance(e.pool, id),
        instance(e.pool, BACKUP),
        bracketed(&e.db.name)
    )
}

pub(crate) fn servers_late(e: &Evidence, missing: &str) -> String {
    format!(
        "The active servers of pool {} are set, but {missing}. Check the Persistent Chat service on them, and \
         Get-CsManagementStoreReplicationStatus.",
        e.pool.fqdn
    )
}

pub(crate) fn servers_drifted(e: &Evidence, now: &str) -> String {
    format!(
        "The active servers of pool {} are not the declared ones since the failover was finished; active: {now}.",
        e.pool.fqdn
    )
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

/// The words of a row that waits.
pub(crate) fn row(e: &Evidence, row: &Row) -> String {
    if row.decision == Decision::Wait(Reason::SilenceTooShort) {
        let left = e.other.too_young(e.pool, e.now).map(|t| duration(t.duration_since(e.now)));
        return format!(
            "{}. A failover is forced after {} of silence; {} left",
            e.other.seen,
            duration(e.pool.silent_for),
            left.unwrap_or_else(|| "0 s".into())
        );
    }
    let torn = e.course().map(|c| list(c.torn.iter().map(|t| &t.name))).unwrap_or_default();
    format!("{torn} is torn; whether it is still being written shows in a moment")
}

/// The words of a row that stops.
pub(crate) fn of_row(e: &Evidence, row: &Row, reason: Reason, step: Option<StepId>) -> Stop {
    let here = instance(e.pool, BACKUP);
    let db = &e.db.name;
    let approvable = e.hazards.iter().any(|h| h.reason == reason);
    let mut message = match reason {
        Reason::PlannedSwitchoverNeeded => {
            format!("{}: nothing is lost that a failover would have to be forced for.", e.other.seen)
        }
        Reason::LogShippingSourceUnknown => format!(
            "Log shipping of {db} on {here} is gone, and neither the journal nor the manifest says where its files are."
        ),
        _ => {
            let same: Vec<&str> =
                e.hazards.iter().filter(|h| h.reason == reason).map(|h| h.sentence.as_str()).collect();
            format!("{}.", same.join(". "))
        }
    };
    let nothing = match e.open {
        _ if e.copy.is_online() => format!(" The pool does not use {db} on {here} yet."),
        Some(_) => format!(" {db} on {here} was not recovered; log shipping is quiesced."),
        None => " Nothing was changed.".into(),
    };
    message.push_str(&nothing);
    let mut remedy = match reason {
        Reason::PlannedSwitchoverNeeded => {
            "Moving a pool whose side serves is a planned switchover, which this version does not carry out: set activeDatabase back to \
             primary, or stop the other side for good first."
                .into()
        }
        Reason::MirrorHoldsCommits => {
            "Fail over to that mirror within its own site first (Invoke-CsDatabaseFailover): it loses nothing.".to_owned()
        }
        Reason::PrimaryDamaged => format!(
            "Save the end of its log there: BACKUP LOG {} TO DISK = '<share>\\tail.trn' WITH NO_TRUNCATE, NORECOVERY; the run applies it.",
            bracketed(db)
        ),
        Reason::PrimaryMayBeAlive => "Fix the access, so that its state can be read, or switch it off for good.".into(),
        Reason::StaleCopySuspected =>
            "If it is an old copy, take it away and initialise log shipping again. If log shipping was removed by hand, declare share and \
             folder under logShipping, so that the files can tell."
            .into(),
        Reason::BothSidesOnline => "Decide which side goes on, and take the other OFFLINE.".into(),
        Reason::LogChainGap => "If you can find the missing backup, put it on the share: the run goes on by itself.".into(),
        Reason::ForkAmbiguous => "Find out which of the old side's instances served last.".into(),
        Reason::BackupsUnknown => "Make share and folder readable for the SQL Server service account: the run goes on by itself.".into(),
        Reason::LogShippingSourceUnknown => "Declare logShipping.share and logShipping.folder; the run goes on by itself.".into(),
        Reason::LossAboveLimit => "Nothing brings back what was not shipped.".into(),
        _ => String::new(),
    };
    if approvable {
        let others: Vec<&str> =
            e.hazards.iter().filter(|h| h.reason != reason).map(|h| h.sentence.as_str()).collect();
        let with = match others.is_empty() {
            true => String::new(),
            false => format!(" together with: {}", others.join("; ")),
        };
        remedy.push_str(&format!(
            " {} To accept exactly that{with}, approve {}.",
            loss_words(e, e.chosen),
            e.digest
        ));
        for (i, (digest, _)) in e.digests.iter().enumerate().filter(|(i, _)| *i != e.chosen) {
            let fork = e
                .courses
                .get(i)
                .and_then(|c| c.choices.last())
                .map(|c| c.fork.to_string())
                .unwrap_or_default();
            remedy.push_str(&format!(
                " Or follow fork {fork}: {} For that, approve {digest}.",
                loss_words(e, i)
            ));
        }
    }
    debug_assert!(!row.evidence.is_empty());
    Stop { digest: approvable.then(|| e.digest.clone()), ..stop(reason, step, message, remedy) }
}

fn loss_words(e: &Evidence, i: usize) -> String {
    let Some((_, loss)) = e.digests.get(i) else { return String::new() };
    match (loss.safe_until, loss.at_most()) {
        (None, _) => "How much is lost is not known.".into(),
        (Some(from), Some(d)) => {
            format!("At most {} is lost: what was stored after {}.", duration(d), time(from, e.now))
        }
        (Some(from), None) => {
            format!(
                "Lost is what was stored after {} and did not get here; when that ended is unknown.",
                time(from, e.now)
            )
        }
    }
}

/// The steps of calling off.
pub(crate) fn call_off_steps(e: &Evidence, resume: bool) -> Vec<Step> {
    use crate::ownership::Ownership;
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
            if mine { "this run owns it".into() } else { "the open transition is not this run's".into() },
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
                    [&s.copy_job, &s.restore_job].iter().filter(|j| j.enabled).count(),
                    count(2, "job")
                ),
            },
        ),
        step(
            StepId::ReleaseOwnership,
            StepState::Pending,
            "log shipping runs again",
            "the transition is called off",
            format!("the transition is open; {}", e.other.seen),
        ),
    ]
}
