//! What is printed as a remedy, typed as it stands in the state in which it is printed: it works, and leads to what was promised.

use crate::calm_remedies;
use crate::common::{BACKUP, PRIMARY, PRIMARY_MIRROR, Trial, each, exit};
use crate::typist::{printed, query, type_all};
use pchat_planner::advice::{AdviceKind, STORE_BACKUP};

const DECLARED: &str = r"logShipping: {share: '\\files\pchat-logs', folder: 'D:\LogShip'}";

/// Each kind has its own scenario: one that has none does not compile.
#[tokio::test(flavor = "multi_thread")]
async fn every_statement_and_cmdlet_that_is_advised_works_and_leads_to_what_is_promised() {
    let playing = AdviceKind::ALL.map(|kind| (kind, tokio::spawn(play(kind))));
    let mut failed = Vec::new();
    for (kind, played) in playing {
        if played.await.is_err() {
            failed.push(kind);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

async fn play(kind: AdviceKind) {
    let name = format!("{kind:?}");
    match kind {
        AdviceKind::GrantSysadmin => grant_sysadmin(&name).await,
        AdviceKind::RemoveJournal => {
            each(["owner", "journal", "silence"], |what| remove_journal(&name, what)).await;
        }
        AdviceKind::SaveTail => {
            each(["suspect", "recovery-pending", "not mirrored any more"], |how| save_tail(&name, how)).await;
        }
        AdviceKind::FailOverWithinSite => fail_over_within_site(&name).await,
        AdviceKind::FenceOldPrimary => fence_old_primary(&name).await,
        AdviceKind::SetOnline => set_online(&name).await,
        AdviceKind::LeaveStandby => leave_standby(&name).await,
        AdviceKind::RemoveMirroring => remove_mirroring(&name).await,
        AdviceKind::ResumeMirroring => resume_mirroring(&name).await,
        AdviceKind::MoveManagementStore => {
            move_management_store(&name).await;
            calm_remedies::play(kind).await;
        }
        AdviceKind::SetPoolState => set_pool_state(&name).await,
        AdviceKind::ShowReplication => show_replication(&name).await,
        AdviceKind::StopJob
        | AdviceKind::EnableJob
        | AdviceKind::DropLeftover
        | AdviceKind::CreateEndpoint
        | AdviceKind::StartEndpoint
        | AdviceKind::OpenEndpointToPartners
        | AdviceKind::RegisterServerName => calm_remedies::play(kind).await,
    }
}

async fn grant_sysadmin(kind: &str) {
    let trial = Trial::disaster("").await;
    trial.edit("username: 'pchat_operator'", "username: 'pchat_service'");
    trial.edit("password: 'Sql-Pa55w.rd'", "password: 'Chat-Pa55w.rd'");
    let run = trial.converge(&[]).await;
    type_all(printed(run.stopped("RightsMissing", exit::BLOCKED), kind), &trial, &[]).await;
    let run = trial.converge(&[]).await;
    trial.served(&run).await;
}

/// Only what is damaged is taken away.
async fn remove_journal(kind: &str, what: &str) {
    let trial = Trial::disaster("").await;
    let damage = format!(
        "EXEC master.sys.sp_addextendedproperty @name = N'persistentchat.io/mgc/{what}', @value = N'not ours';"
    );
    assert_eq!(query(&trial, BACKUP, &damage).await, None);
    let run = trial.converge(&[]).await;
    let advice = printed(run.stopped("JournalDamaged", exit::BLOCKED), kind);
    assert_eq!(advice[0].lines.len(), 2, "it is shown, and taken away: {run}");
    type_all(advice, &trial, &[]).await;
    let run = trial.converge(&[]).await;
    trial.served(&run).await;
}

/// The end of the log goes to the real share, the run finds it, and nothing is asked again: nothing is lost.
async fn save_tail(kind: &str, how: &str) {
    let trial = Trial::start("").await;
    trial.write(6).await;
    trial.order("backup-log").await;
    trial.write(4).await;
    let ended = how == "not mirrored any more";
    if ended {
        assert_eq!(query(&trial, PRIMARY, "ALTER DATABASE mgc SET PARTNER OFF").await, None);
    }
    trial.order(&format!("kill host {PRIMARY_MIRROR}")).await;
    trial.order(&format!("damage {PRIMARY} {}", if ended { "suspect" } else { how })).await;
    trial.turn("backup");
    let run = trial.converge(&[]).await;
    run.stopped("PrimaryDamaged", exit::APPROVAL).tells(&["1416"]);
    type_all(printed(&run, kind), &trial, if ended { &[1416] } else { &[] }).await;
    assert_eq!(trial.database(PRIMARY), "restoring", "it is fenced");
    let run = trial.converge(&[]).await;
    trial.served(&run).await;
    let lost = trial.stage.lost(r"SQL-KS1\PCHAT").unwrap();
    assert_eq!(lost.count, 0, "{how}: {lost}\n{run}");
    assert_eq!(run.document["hazards"].as_array().map(Vec::len), Some(0), "{run}");
}

/// The mirror serves with all that it holds, and the pool stays where it was.
async fn fail_over_within_site(kind: &str) {
    let trial = Trial::start("").await;
    trial.write(6).await;
    trial.order(&format!("kill host {PRIMARY}")).await;
    trial.turn("backup");
    let run = trial.converge(&[]).await;
    type_all(printed(run.stopped("MirrorHoldsCommits", exit::APPROVAL), kind), &trial, &[]).await;
    assert_eq!(trial.database(PRIMARY_MIRROR), "online");
    trial.converge(&[]).await.stopped("PlannedSwitchoverNeeded", exit::BLOCKED);
    trial.turn("primary");
    let run = trial.converge(&[]).await;
    assert_eq!(run.code, exit::DONE, "{run}");
    trial.write(4).await;
    let lost = trial.stage.lost(r"SQL-TP2\PCHAT").unwrap();
    assert_eq!(lost.count, 0, "{lost}");
}

/// What came back is out of service, writes no more backups, and is not warned of any more.
async fn fence_old_primary(kind: &str) {
    let trial = Trial::disaster("").await;
    let run = trial.converge(&[]).await;
    trial.served(&run).await;
    for host in [PRIMARY, PRIMARY_MIRROR] {
        trial.order(&format!("revive host {host}")).await;
    }
    assert_eq!(trial.database(PRIMARY), "online");
    let run = trial.converge(&[]).await;
    assert_eq!(run.code, exit::DONE, "{run}");
    let advice = printed(&run, kind);
    let hosts: Vec<&str> = advice.iter().map(|a| a.host.as_str()).collect();
    assert_eq!(hosts, [r"sql-tp1.contoso.com\PCHAT"]);
    type_all(advice, &trial, &[]).await;
    assert_eq!(trial.database(PRIMARY), "offline");
    let jobs = trial.server(PRIMARY)["agent"]["jobs"].to_string();
    assert!(!jobs.contains(r#""enabled":true"#), "{jobs}");
    let run = trial.converge(&[]).await;
    assert_eq!(run.code, exit::DONE, "{run}");
    assert_eq!(run.document["warnings"].as_array().map(Vec::len), Some(0), "{run}");
    trial.write(4).await;
}

async fn set_online(kind: &str) {
    let trial = Trial::disaster("").await;
    trial.declare(DECLARED);
    for step in 1..=4 {
        trial.order(&format!("runbook {step}")).await;
    }
    assert_eq!(query(&trial, BACKUP, "ALTER DATABASE mgc SET OFFLINE").await, None);
    let run = trial.converge(&[]).await;
    type_all(printed(run.stopped("DatabaseUnusable", exit::BLOCKED), kind), &trial, &[]).await;
    let run = trial.converge(&[]).await;
    trial.served(&run).await;
}

/// msdb has lost the copy's history, and no log backup is left that would tell where it stands: nobody is asked any more.
async fn leave_standby(kind: &str) {
    let trial = Trial::start("logShipping: {backups: 8, copied: 8, restored: 8, standby: true}").await;
    trial.order(&format!("forget-history {BACKUP}")).await;
    trial.write(4).await;
    trial.order("kill site primary").await;
    trial.turn("backup");
    let run = trial.converge(&[]).await;
    type_all(printed(run.stopped("DatabaseUnusable", exit::APPROVAL), kind), &trial, &[]).await;
    assert_eq!(trial.database(BACKUP), "restoring");
    let run = trial.converge(&[]).await;
    assert_eq!((run.code, trial.database(BACKUP).as_str()), (exit::DONE, "online"), "{run}");
    trial.one_side_writes();
}

async fn remove_mirroring(kind: &str) {
    let trial = Trial::disaster("").await;
    let waits = "ALTER DATABASE mgc SET PARTNER = 'TCP://sql-ks2.contoso.com:5022'";
    assert_eq!(query(&trial, BACKUP, waits).await, None);
    let run = trial.converge(&[]).await;
    type_all(printed(run.stopped("DatabaseUnusable", exit::BLOCKED), kind), &trial, &[]).await;
    let run = trial.converge(&[]).await;
    trial.served(&run).await;
}

async fn resume_mirroring(kind: &str) {
    let trial = Trial::disaster("").await;
    trial.declare(DECLARED);
    for step in 1..=6 {
        trial.order(&format!("runbook {step}")).await;
    }
    assert_eq!(query(&trial, BACKUP, "ALTER DATABASE mgc SET PARTNER SUSPEND").await, None);
    let run = trial.converge(&[]).await;
    type_all(printed(run.stopped("MirrorUnavailable", exit::BLOCKED), kind), &trial, &[]).await;
    let run = trial.converge(&[]).await;
    trial.served(&run).await;
}

async fn move_management_store(kind: &str) {
    let trial = Trial::disaster("").await;
    trial.order("store unwritable").await;
    let run = trial.converge(&[]).await;
    let advice = printed(run.stopped("CentralManagementUnavailable", exit::BLOCKED), kind);
    run.tells(&[STORE_BACKUP, "stands for"]);
    let filled = advice.into_iter().map(|a| a.filled(STORE_BACKUP, "sql-cms2.contoso.com"));
    type_all(filled.collect(), &trial, &[]).await;
    let run = trial.converge(&[]).await;
    trial.served(&run).await;
}

async fn set_pool_state(kind: &str) {
    let trial = Trial::disaster("").await;
    trial.edit("password: 'Shell-Pa55w.rd'", "password: 'not this one'");
    let run = trial.converge(&[]).await;
    let advice = printed(run.stopped("ManagementShellUnavailable", exit::BLOCKED), kind);
    type_all(advice, &trial, &[]).await;
    trial.edit("password: 'not this one'", "password: 'Shell-Pa55w.rd'");
    let run = trial.converge(&[]).await;
    trial.served(&run).await;
    assert!(run.document["run"]["steps"]["SetPoolState"].is_null(), "it was done by hand: {run}");
}

/// What is late stays a warning for as long as the transition is open: here it waits for a share to seed the mirror through.
async fn show_replication(kind: &str) {
    let trial = Trial::disaster("replicationDelayMs: 600000").await;
    trial.edit("deadlines: {connect: 12s}", "deadlines: {connect: 12s, replication: 5s}");
    trial.edit("  mirroring:\n    seedShare: '\\\\files\\pchat-seed'\n", "");
    let run = trial.converge(&[]).await;
    type_all(printed(run.stopped("MirrorShareNeeded", exit::BLOCKED), kind), &trial, &[]).await;
    trial.order("replicate").await;
    trial.write(2).await;
}
