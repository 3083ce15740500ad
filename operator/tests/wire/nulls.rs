//! Every column of every look, told as NULL: the fact is unknown, the look goes on, and nothing more dangerous is planned. And what an
//! action answers: NULL is no success.

use std::collections::BTreeSet;

use pchat_operator::far_end::{ActError, Done, FarEnd, Freshness};
use pchat_operator::observe::HOME;
use pchat_operator::sql::batches::Batch;
use pchat_operator::sql::batches::files::{headers, list};
use pchat_operator::sql::batches::state::{SETS, state};
use pchat_operator::sql::connect::connect;
use pchat_operator::sql::connection::Answer;
use pchat_planner::facts::{Contact, Header, PoolState};
use pchat_planner::plan::{Action, Next, StepId};

use crate::acting::take;
use crate::bench::{BACKUP, BACKUP_MIRROR, Bench, act, drive, home, look, plan, quiet, run, with};

/// Without its clock nothing can be said of a server.
const CLOCK: [&str; 2] = ["now_utc", "seconds_ahead"];
/// No restore or backup runs while these looks are made.
const NEVER_THERE: [&str; 1] = ["restoring_session"];
const PRIMARY: &str = "sql-tp1.contoso.com";
const PRIMARY_MIRROR: &str = "sql-tp2.contoso.com";

async fn asked(bench: &Bench, batch: &Batch) -> Answer {
    let deadlines = &bench.ends.deadlines;
    let mut connection = connect(bench.target(HOME), deadlines).await.unwrap();
    let answer = connection.ask(batch, deadlines.files).await.unwrap();
    assert!(answer.error.is_none(), "{:?}", answer.error);
    answer
}

/// Each column of the state's sets, with the first column of its set.
async fn columns(bench: &Bench) -> Vec<(String, String)> {
    let answer = asked(bench, &state("mgc")).await;
    assert_eq!(answer.sets.len(), SETS.len());
    let named = answer.sets.iter().zip(SETS);
    named.flat_map(|(set, first)| set.columns().iter().map(move |c| (first.to_owned(), c.clone()))).collect()
}

/// What was armed and met a row.
async fn told(bench: &Bench, host: &str) -> bool {
    let nulls = bench.lab.order(&format!("nulls {host}")).await.unwrap();
    nulls["nulls"].as_array().unwrap().iter().any(|n| n["told"] == true)
}

fn all_new() -> Freshness {
    let now = Some(jiff::Timestamp::now());
    Freshness { others: now, mirror: now, patient: true, ..Freshness::LATEST }
}

#[tokio::test]
async fn a_column_of_the_state_that_is_not_told_hides_nothing_else_and_allows_nothing_more() {
    let bench = quiet("silentFor: 1s").await;
    bench.order(&format!("hold-session {PRIMARY}")).await;
    let far = bench.far();
    look(&far).await;
    let columns = columns(&bench).await;
    assert!(columns.len() > 50, "{columns:?}");
    let mut met = BTreeSet::new();
    let mut run = run();
    let mut holder = connect(bench.target(HOME), &bench.ends.deadlines).await.unwrap();
    let hold = Batch::new("ByHand").then(
        "EXEC sys.sp_getapplock @Resource = N'persistentchat.io/mgc', @LockMode = N'Exclusive', \
         @LockOwner = N'Session', @LockTimeout = 0, @DbPrincipal = N'db_owner';",
    );
    assert_eq!(holder.ask(&hold, bench.ends.deadlines.look).await.unwrap().error, None);
    // While the other side serves nothing is begun, whatever any of the servers does not tell.
    let hosts = [BACKUP, BACKUP_MIRROR, PRIMARY, PRIMARY_MIRROR];
    for (set, column) in &columns {
        for host in hosts {
            bench.order(&format!("null {host} {set} {column}")).await;
        }
        let facts = far.observe(all_new()).await;
        let plan = plan_of(&bench, &facts, &mut run);
        if !CLOCK.contains(&column.as_str()) {
            for (id, seen) in &facts.instances {
                // Without it nobody knows whether a RESTORING copy without a session is the mirror of one.
                if column == "is_sysadmin" && matches!(seen.contact, Contact::Denied { .. }) {
                    continue;
                }
                assert_eq!(seen.contact, Contact::Answers, "{set}.{column} on {id:?}");
                assert!(seen.state.value().is_some(), "{set}.{column} on {id:?}: {:?}", seen.state);
            }
        }
        assert!(!matches!(plan, Next::Run(..)), "{set}.{column}: {plan:?}");
        for host in hosts {
            if told(&bench, host).await {
                met.insert((set.clone(), column.clone()));
            }
            bench.order(&format!("clear-nulls {host}")).await;
        }
    }
    drop(holder);
    // On the way through a failover the copy is recovered by none of them before its turn.
    bench.order("kill site primary").await;
    let begun = drive(&bench, &far, &mut run, Some(StepId::ApplyLogs)).await;
    assert!(matches!(begun, Some(Action::ApplyLogs { .. })), "{begun:?}");
    for (set, column) in &columns {
        bench.order(&format!("null {BACKUP} {set} {column}")).await;
        let facts = far.observe(Freshness::LATEST).await;
        let plan = plan_of(&bench, &facts, &mut run);
        assert!(!matches!(plan, Next::Run(StepId::RecoverDatabase, _)), "{set}.{column}: {plan:?}");
        if told(&bench, BACKUP).await {
            met.insert((set.clone(), column.clone()));
        }
        bench.order(&format!("clear-nulls {BACKUP}")).await;
    }
    let missed: Vec<_> =
        columns.iter().filter(|c| !met.contains(*c) && !NEVER_THERE.contains(&c.0.as_str())).collect();
    assert!(missed.is_empty(), "no row was there to miss it: {missed:?}");
    far.close().await;
}

/// The plan, also where the backup instance's state is not known.
fn plan_of(bench: &Bench, facts: &pchat_planner::facts::Facts, run: &mut pchat_planner::run::Run) -> Next {
    match facts.instances[&HOME].state.value() {
        Some(_) => plan(bench, facts, run).next,
        None => pchat_planner::plan(&bench.ends.pool, facts, run, jiff::Timestamp::now()).next,
    }
}

#[tokio::test]
async fn a_column_of_a_header_that_is_not_told_makes_no_file_torn() {
    let bench = quiet("silentFor: 1s").await;
    let facts = look(&bench.far()).await;
    let backups = facts.backups.value().unwrap();
    let (name, _) = backups.files.first_key_value().unwrap();
    let path = format!(r"{}\{name}", backups.source.share);
    let answer = asked(&bench, &headers(&[&path])).await;
    let columns = answer.sets[1].columns().to_vec();
    assert!(columns.len() > 50, "{columns:?}");
    // What the operator reads, one by one; the rest at once, for it must not matter.
    let read = [
        "BackupName",
        "BackupType",
        "Position",
        "ServerName",
        "DatabaseName",
        "BackupSize",
        "FirstLSN",
        "LastLSN",
        "BackupStartDate",
        "BackupFinishDate",
        "FamilyGUID",
        "FirstRecoveryForkID",
        "RecoveryForkID",
        "ForkPointLSN",
        "BackupSetGUID",
    ];
    assert!(read.iter().all(|r| columns.iter().any(|c| c == r)), "{columns:?}");
    let rest: Vec<&str> = columns.iter().map(String::as_str).filter(|c| !read.contains(c)).collect();
    for group in read.iter().map(|c| vec![*c]).chain([rest]) {
        for column in &group {
            bench.order(&format!("null {BACKUP} BackupName {column}")).await;
        }
        let far = bench.far();
        let seen = look(&far).await;
        let files = &seen.backups.value().unwrap_or_else(|| panic!("{group:?}: {:?}", seen.backups)).files;
        assert_eq!(files.len(), backups.files.len(), "{group:?}");
        let headers = || files.values().flat_map(|f| [&f.on_share, &f.in_folder]).flatten();
        assert!(!headers().any(|h| matches!(h, Header::Torn { .. })), "{group:?}");
        // All but the sign of an unfinished backup, the numbers and the names can be missed.
        let needless = group.len() > 1
            || ["BackupName", "ServerName", "BackupSize", "ForkPointLSN", "BackupSetGUID"]
                .contains(&group[0]);
        let whole = headers().all(|h| matches!(h, Header::Read(_)));
        assert_eq!(whole, needless, "{group:?}");
        assert!(told(&bench, BACKUP).await, "{group:?}");
        bench.order(&format!("clear-nulls {BACKUP}")).await;
        far.close().await;
    }
}

#[tokio::test]
async fn a_listing_that_does_not_tell_a_name_or_a_directory_is_unknown_and_never_empty() {
    let bench = quiet("").await;
    let listed = asked(&bench, &list(r"\\files\pchat-logs")).await;
    for set in &listed.sets {
        for column in set.columns() {
            bench.order(&format!("null {BACKUP} {column} {column}")).await;
            let far = bench.far();
            let facts = look(&far).await;
            let backups = facts.backups.value().unwrap();
            assert!(backups.share.why().is_some() && backups.folder.why().is_some(), "{column}: {backups:?}");
            assert!(facts.instances[&HOME].state.value().is_some());
            bench.order(&format!("clear-nulls {BACKUP}")).await;
            far.close().await;
        }
    }
}

#[tokio::test]
async fn a_property_that_a_cmdlet_does_not_give_makes_its_own_fact_unknown() {
    let bench = quiet("").await;
    for (cmdlet, property, unknown) in [
        ("Get-CsPersistentChatState", "Identity", "state store"),
        ("Get-CsPersistentChatState", "PoolState", "state store"),
        ("Get-CsService", "Identity", "servers"),
        ("Get-CsService", "ActiveServers", ""),
        ("Get-CsService", "InactiveServers", ""),
        ("Get-CsManagementStoreReplicationStatus", "ReplicaFqdn", ""),
        ("Get-CsManagementStoreReplicationStatus", "UpToDate", "replicated"),
    ] {
        bench.order(&format!("null shell {cmdlet} {property}")).await;
        let far = bench.far();
        let shell = look(&far).await.shell;
        assert_eq!(shell.contact, Contact::Answers, "{cmdlet} {property}");
        for (fact, known) in [
            ("state", shell.pool_state.value().is_some()),
            ("servers", shell.servers.value().is_some()),
            ("replicated", shell.replicated.value().is_some()),
            ("store", shell.store_writable.value().is_some()),
        ] {
            assert_eq!(known, !unknown.contains(fact), "{fact} without {property} of {cmdlet}: {shell:?}");
        }
        assert!(told(&bench, "shell").await, "{cmdlet} {property}");
        bench.order("clear-nulls shell").await;
        far.close().await;
    }
}

/// What a step does whose answer lacks a column of the set that begins with `set`.
async fn done_untold(bench: &Bench, step: StepId, set: &str, column: &str) -> Result<Done, ActError> {
    let far = bench.far();
    let mut run = run();
    let action = drive(bench, &far, &mut run, Some(step)).await.expect("the step comes");
    bench.order(&format!("null {BACKUP} {set} {column}")).await;
    let done = act(&far, run.epoch.as_ref().unwrap(), step, &action).await;
    assert!(told(bench, BACKUP).await, "{column}");
    bench.order(&format!("clear-nulls {BACKUP}")).await;
    far.close().await;
    done
}

/// The server restored it, and nobody knows where the copy stands now: what is planned next must come from a look.
#[tokio::test]
async fn a_restore_that_does_not_tell_where_the_copy_stands_is_not_confirmed() {
    let standby =
        "primaryDead: true\nlogShipping: {backups: 6, copied: 3, restored: 2, jobEveryS: 0, standby: true}";
    for column in ["redo_start_lsn", "redo_start_lsn_max", "fork"] {
        let bench = quiet("primaryDead: true").await;
        let done = done_untold(&bench, StepId::ApplyLogs, "restored", column).await;
        assert!(matches!(done, Err(ActError::OutcomeUnknown { .. })), "ApplyLogs without {column}: {done:?}");
        let bench = with(standby).await;
        bench.order(&format!("forget-history {BACKUP}")).await;
        let done = done_untold(&bench, StepId::ApplyLogs, "restored", column).await;
        assert!(
            matches!(done, Err(ActError::OutcomeUnknown { .. })),
            "FindPosition without {column}: {done:?}"
        );
    }
}

#[tokio::test]
async fn a_lock_that_is_not_told_to_have_been_held_was_not_held() {
    for column in ["mode", "owned"] {
        let bench = quiet("").await;
        let far = bench.far();
        let identity = look(&far).await.shell.pool_state.value().unwrap().0.clone();
        let epoch = take(&far, None).await.unwrap();
        bench.order(&format!("null {BACKUP} mode {column}")).await;
        let action = Action::SetPoolState { identity, state: PoolState::FailedOver };
        let done = act(&far, &epoch, StepId::SetPoolState, &action).await;
        assert!(told(&bench, BACKUP).await, "{column}");
        assert!(
            matches!(&done, Err(ActError::OutcomeUnknown { detail, .. }) if detail.contains("lock was lost")),
            "{column}: {done:?}"
        );
        far.close().await;
    }
}

#[tokio::test]
async fn what_an_action_does_not_tell_is_neither_nothing_to_do_nor_nothing_left_behind() {
    let bench = quiet("").await;
    let far = bench.far();
    let state = home(&look(&far).await).clone();
    let epoch = take(&far, None).await.unwrap();
    bench.order(&format!("null {BACKUP} ended ended")).await;
    let done = act(&far, &epoch, StepId::DisconnectSessions, &Action::DisconnectSessions).await.unwrap();
    assert!(!done.already && done.note.contains("not told"), "{done:?}");
    assert!(told(&bench, BACKUP).await);
    bench.order(&format!("clear-nulls {BACKUP}")).await;
    let job = state.secondary.unwrap().copy_job.unwrap().id;
    bench.order(&format!("null {BACKUP} running_before running_before")).await;
    let done = act(&far, &epoch, StepId::CopyBackups, &Action::StartCopy { job }).await.unwrap();
    assert!(!done.already && told(&bench, BACKUP).await, "{done:?}");
    far.close().await;
    let bench = quiet("primaryDead: true").await;
    let done =
        done_untold(&bench, StepId::RemoveLogShipping, "monitor_server", "monitor_ignored").await.unwrap();
    assert!(done.note.contains("not told"), "{done:?}");
}

#[tokio::test]
async fn a_session_that_is_not_told_to_have_been_found_is_not_said_to_have_been_ended() {
    let mut bench = quiet("primaryDead: true\nserviceTimes: {restoreLogMs: 20000}").await;
    bench.ends.deadlines.restore = std::time::Duration::from_millis(400);
    let error = done_untold(&bench, StepId::ApplyLogs, "found", "found").await.unwrap_err();
    assert!(
        matches!(&error, ActError::OutcomeUnknown { detail, .. } if detail.contains("could not be ended")),
        "{error}"
    );
}
