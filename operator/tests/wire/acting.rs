//! What is done, refused, unknown.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use pchat_operator::far_end::{ActError, Progress};
use pchat_operator::observe::HOME;
use pchat_operator::sql::batches::guard::Warrant;
use pchat_operator::sql::batches::{Batch, ownership, restore, sessions};
use pchat_operator::sql::connect::connect;
use pchat_operator::sql::refusal::{Refusal, RefusalCode};
use pchat_planner::facts::{DatabaseState, PoolState};
use pchat_planner::journal::Epoch;
use pchat_planner::lsn::{Fork, Lsn, Position};
use pchat_planner::plan::{Action, StepId};
use uuid::Uuid;

use crate::bench::{BACKUP, Bench, Heard, act, act_heard, drive, home, look, quiet, run, transition};

fn epoch() -> Epoch {
    Epoch(Uuid::new_v4().to_string())
}

pub async fn take(
    far: &pchat_operator::real::RealFarEnd,
    expected: Option<&Epoch>,
) -> Result<Epoch, ActError> {
    let epoch = epoch();
    let action =
        Action::TakeOwnership { expected: expected.cloned(), epoch: epoch.clone(), transition: transition() };
    act(far, &epoch, StepId::TakeOwnership, &action).await.map(|_| epoch)
}

fn refusal(error: ActError) -> RefusalCode {
    match error {
        ActError::Refused { refusal, .. } => refusal.code,
        other => panic!("{other:?}"),
    }
}

/// Sends a batch on a connection of its own.
async fn send(bench: &Bench, batch: &Batch) -> Result<(), Refusal> {
    let mut connection = connect(bench.target(HOME), &bench.ends.deadlines).await.unwrap();
    let answer = connection.ask(batch, Duration::from_secs(10)).await.unwrap();
    match answer.error {
        None => Ok(()),
        Some(error) => Err(error.refusal().unwrap_or_else(|| panic!("{error:?}"))),
    }
}

#[tokio::test]
async fn a_failover_over_the_wire_converges_and_a_second_run_changes_nothing() {
    let bench = quiet("primaryDead: true").await;
    let far = bench.far();
    drive(&bench, &far, &mut run(), None).await;
    let facts = look(&far).await;
    let state = home(&facts);
    assert!(state.database.as_ref().unwrap().serves() && state.secondary.is_none());
    assert!(state.journal.owner.is_none(), "nobody owns a pool without a transition");
    assert_eq!(facts.shell.pool_state.value().unwrap().1, PoolState::FailedOver);
    bench.order("mark").await;
    drive(&bench, &far, &mut run(), None).await;
    assert_eq!(bench.lab.mutations(), 0);
    far.close().await;
}

#[tokio::test]
async fn names_that_break_out_of_careless_quoting_work() {
    let bench = quiet("primaryDead: true\ndatabase: \"m]g'c ü; --\"").await;
    let far = bench.far();
    drive(&bench, &far, &mut run(), None).await;
    let facts = look(&far).await;
    assert_eq!(home(&facts).database.as_ref().unwrap().name, "m]g'c ü; --");
}

#[tokio::test]
async fn a_standby_copy_with_readers_is_recovered() {
    let yaml =
        "primaryDead: true\nlogShipping: {backups: 6, copied: 3, restored: 2, jobEveryS: 0, standby: true}";
    let bench = crate::bench::with(yaml).await;
    bench.order(&format!("hold-session {BACKUP}")).await;
    let far = bench.far();
    assert_eq!(home(&look(&far).await).sessions.len(), 1);
    drive(&bench, &far, &mut run(), None).await;
    assert!(home(&look(&far).await).database.as_ref().unwrap().serves());
}

#[tokio::test]
async fn ownership_is_taken_only_from_whom_it_was_seen_with() {
    let bench = quiet("").await;
    let far = bench.far();
    look(&far).await;
    let first = take(&far, None).await.unwrap();
    assert_eq!(refusal(take(&far, None).await.unwrap_err()), RefusalCode::Fenced);
    assert_eq!(refusal(take(&far, Some(&epoch())).await.unwrap_err()), RefusalCode::Fenced);
    let second = take(&far, Some(&first)).await.unwrap();
    let release = Action::ReleaseOwnership { transition: transition() };
    let zombie = act(&far, &first, StepId::ReleaseOwnership, &release).await.unwrap_err();
    assert_eq!(refusal(zombie), RefusalCode::Fenced);
    let owner = home(&look(&far).await).journal.owner.clone().unwrap();
    assert_eq!((owner.epoch, owner.executor.as_str()), (second, "a test"));
}

#[tokio::test]
async fn what_comes_late_from_a_zombie_or_beside_another_changes_nothing() {
    let bench = quiet("").await;
    let far = bench.far();
    let clock = home(&look(&far).await).clock;
    let epoch = take(&far, None).await.unwrap();
    let position = home(&look(&far).await).database.as_ref().unwrap().position.clone().unwrap();
    let warrant = |not_after: Timestamp, epoch: &Epoch| Warrant {
        database: "mgc".into(),
        epoch: epoch.clone(),
        executor: "a test".into(),
        not_after,
    };
    let in_time = warrant(clock + Duration::from_secs(300), &epoch);
    bench.order("mark").await;

    let late = warrant(clock - Duration::from_secs(1), &epoch);
    assert_eq!(send(&bench, &sessions::disconnect(&late)).await.unwrap_err().code, RefusalCode::Expired);
    let zombie = warrant(in_time.not_after, &self::epoch());
    assert_eq!(send(&bench, &sessions::disconnect(&zombie)).await.unwrap_err().code, RefusalCode::Fenced);
    let elsewhere = Position { lsn: Lsn(1), ..position };
    let apply = restore::apply(&in_time, elsewhere, &[(r"D:\LogShip\x.trn", 1)]);
    assert_eq!(send(&bench, &apply).await.unwrap_err().code, RefusalCode::Position);
    let other_fork = Position { fork: Fork(Uuid::new_v4()), ..position };
    let apply = restore::apply(&in_time, other_fork, &[(r"D:\LogShip\x.trn", 1)]);
    assert_eq!(send(&bench, &apply).await.unwrap_err().code, RefusalCode::Fork);
    let nowhere = Warrant { database: "nowhere".into(), ..in_time.clone() };
    assert_eq!(
        send(&bench, &sessions::disconnect(&nowhere)).await.unwrap_err().code,
        RefusalCode::NoDatabase
    );
    assert_eq!(bench.lab.mutations(), 0, "a refusal changes nothing");

    let mut holder = connect(bench.target(HOME), &bench.ends.deadlines).await.unwrap();
    let held = holder.ask(&ownership::hold(&in_time), Duration::from_secs(10)).await.unwrap();
    assert_eq!(held.error, None);
    assert_eq!(send(&bench, &sessions::disconnect(&in_time)).await.unwrap_err().code, RefusalCode::Locked);
}

#[tokio::test]
async fn a_lost_reply_is_unknown_and_the_next_look_sees_the_effect() {
    let bench = quiet("").await;
    let far = bench.far();
    look(&far).await;
    bench.order(&format!("lose-reply {BACKUP} 1")).await;
    let error = take(&far, None).await.unwrap_err();
    assert!(matches!(error, ActError::OutcomeUnknown { .. }), "{error:?}");
    assert!(home(&look(&far).await).journal.transition.is_some());
}

#[tokio::test]
async fn a_dropped_call_leaves_no_lock_behind() {
    let bench = quiet("").await;
    let far = bench.far();
    look(&far).await;
    bench.order(&format!("drop-call {BACKUP} 0")).await;
    let error = take(&far, None).await.unwrap_err();
    assert!(matches!(error, ActError::OutcomeUnknown { .. }), "{error:?}");
    take(&far, None).await.unwrap();
}

#[tokio::test]
async fn a_copy_that_can_not_be_read_is_taken_from_the_share() {
    let bench = quiet("primaryDead: true").await;
    let far = bench.far();
    let mut run = run();
    let Some(Action::ApplyLogs { from, mut files }) =
        drive(&bench, &far, &mut run, Some(StepId::ApplyLogs)).await
    else {
        panic!("files to apply")
    };
    let share = home(&look(&far).await).secondary.as_ref().unwrap().share.clone();
    files[1].path = format!(r"D:\LogShip\gone_{}", files[1].name);
    files[1].fallback = Some(format!(r"{share}\{}", files[1].name));
    let action = Action::ApplyLogs { from, files: files.clone() };
    let done = act(&far, run.epoch.as_ref().unwrap(), StepId::ApplyLogs, &action).await.unwrap();
    let by: Vec<bool> = done.applied.iter().map(|a| a.from_fallback).collect();
    assert_eq!(by.len(), files.len());
    assert!(by.iter().enumerate().all(|(k, fallback)| *fallback == (k == 1)), "{by:?}");
    let at = home(&look(&far).await).database.as_ref().unwrap().position.clone().unwrap();
    assert_eq!(at.lsn, files.last().unwrap().last_lsn);
}

#[tokio::test]
async fn without_agent_the_backups_are_read_on_the_share() {
    let bench = quiet("primaryDead: true").await;
    bench.order(&format!("agent {BACKUP} off")).await;
    let far = bench.far();
    let mut run = run();
    let Some(Action::StartCopy { job }) = drive(&bench, &far, &mut run, Some(StepId::CopyBackups)).await
    else {
        panic!("the job that copies")
    };
    let action = Action::StartCopy { job };
    let done = act(&far, run.epoch.as_ref().unwrap(), StepId::CopyBackups, &action).await.unwrap();
    assert!(done.note.contains("22022"), "{done:?}");
}

#[tokio::test]
async fn a_dead_monitor_server_does_not_keep_log_shipping_from_being_dropped() {
    let yaml = "primaryDead: true\nlogShipping: {backups: 4, copied: 2, restored: 2, jobEveryS: 0, monitor: 'SQL-TP1\\PCHAT'}";
    let bench = crate::bench::with(yaml).await;
    let far = bench.far();
    drive(&bench, &far, &mut run(), None).await;
    assert!(home(&look(&far).await).secondary.is_none());
}

#[tokio::test]
async fn a_restore_past_its_deadline_is_ended_and_what_it_did_is_unknown() {
    let mut bench = quiet("primaryDead: true\nserviceTimes: {restoreLogMs: 20000}").await;
    bench.ends.deadlines.restore = Duration::from_millis(400);
    let far = bench.far();
    let mut run = run();
    let action = drive(&bench, &far, &mut run, Some(StepId::ApplyLogs)).await.unwrap();
    let begun = Instant::now();
    let error = act(&far, run.epoch.as_ref().unwrap(), StepId::ApplyLogs, &action).await.unwrap_err();
    assert!(
        matches!(&error, ActError::OutcomeUnknown { detail, .. } if detail.contains("was told to end")),
        "{error}"
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
    let facts = look(&far).await;
    assert_eq!(home(&facts).restore, None, "the session was ended");
    assert_eq!(home(&facts).database.as_ref().unwrap().state, DatabaseState::Restoring);
}

#[tokio::test]
async fn progress_of_a_long_restore_is_told() {
    let bench = quiet("primaryDead: true\nserviceTimes: {restoreLogMs: 900}").await;
    let far = bench.far();
    let mut run = run();
    let action = drive(&bench, &far, &mut run, Some(StepId::ApplyLogs)).await.unwrap();
    let heard = Heard::default();
    act_heard(&far, run.epoch.as_ref().unwrap(), StepId::ApplyLogs, &action, &heard).await.unwrap();
    let heard = heard.0.lock().unwrap().clone();
    let done: Vec<u64> = heard
        .iter()
        .filter_map(|p| match p {
            Progress::Restoring { done, percent: Some(_), .. } => Some(*done),
            _ => None,
        })
        .collect();
    assert!(done.len() >= 2 && done.is_sorted() && done.last() > Some(&0), "{heard:?}");
}

#[tokio::test]
async fn a_cmdlet_runs_only_under_the_lock_of_the_pool() {
    let bench = quiet("").await;
    let far = bench.far();
    let facts = look(&far).await;
    let (identity, _) = facts.shell.pool_state.value().unwrap().clone();
    let epoch = take(&far, None).await.unwrap();
    let action = Action::SetPoolState { identity, state: PoolState::FailedOver };
    let stranger = act(&far, &self::epoch(), StepId::SetPoolState, &action).await.unwrap_err();
    assert_eq!(refusal(stranger), RefusalCode::Fenced);
    assert_eq!(look(&far).await.shell.pool_state.value().unwrap().1, PoolState::Normal);
    act(&far, &epoch, StepId::SetPoolState, &action).await.unwrap();
    assert_eq!(look(&far).await.shell.pool_state.value().unwrap().1, PoolState::FailedOver);
    far.close().await;
}

#[tokio::test]
async fn a_cmdlet_that_fails_is_told_with_its_error_id_and_a_remedy() {
    let bench = quiet("").await;
    let far = bench.far();
    look(&far).await;
    let epoch = take(&far, None).await.unwrap();
    let action = Action::SetPoolState {
        identity: "PersistentChatServer:nowhere".into(),
        state: PoolState::FailedOver,
    };
    match act(&far, &epoch, StepId::SetPoolState, &action).await.unwrap_err() {
        ActError::Failed { code, what, remedy, .. } => {
            assert!(!code.is_empty() && what.contains("Set-CsPersistentChatState") && !remedy.is_empty());
        }
        other => panic!("{other:?}"),
    }
    bench.order("store unwritable").await;
    let writable = look(&far).await.shell.store_writable;
    assert!(matches!(writable.value(), Some(Err(_))), "{writable:?}");
}

#[tokio::test]
async fn a_backup_that_turns_up_after_the_plan_keeps_the_database_from_being_recovered() {
    let bench = quiet("primaryDead: true").await;
    let far = bench.far();
    let mut run = run();
    bench.order("hide last-1").await;
    bench.order("hide last").await;
    let Some(recover) = drive(&bench, &far, &mut run, Some(StepId::RecoverDatabase)).await else {
        panic!("a recovery")
    };
    bench.order("show").await;
    bench.order("mark").await;
    let epoch = run.epoch.clone().unwrap();
    let refused = act(&far, &epoch, StepId::RecoverDatabase, &recover).await.unwrap_err();
    assert_eq!(refusal(refused), RefusalCode::NotLast);
    bench.order(r"deny sql-ks1.contoso.com \\files\pchat-logs").await;
    let refused = act(&far, &epoch, StepId::RecoverDatabase, &recover).await.unwrap_err();
    assert_eq!(refusal(refused), RefusalCode::NotLast, "an empty listing proves nothing");
    assert_eq!(bench.lab.mutations(), 0);
    bench.order(r"allow sql-ks1.contoso.com \\files\pchat-logs").await;
    drive(&bench, &far, &mut run, None).await;
    let backups = look(&far).await;
    let last = home(&backups).database.as_ref().unwrap().last_restored.clone().unwrap();
    let newest = backups.backups.value().and_then(|b| b.files.keys().max().cloned());
    assert!(newest.is_none_or(|newest| last.file.ends_with(&newest)), "what turned up was applied");
}

#[tokio::test]
async fn a_late_disconnect_never_ends_the_users_of_a_recovered_database() {
    let bench = quiet("primaryDead: true").await;
    let far = bench.far();
    drive(&bench, &far, &mut run(), None).await;
    bench.order(&format!("hold-session {BACKUP}")).await;
    let users = home(&look(&far).await).sessions.len();
    assert!(users > 0);
    let epoch = take(&far, None).await.unwrap();
    let late = act(&far, &epoch, StepId::DisconnectSessions, &Action::DisconnectSessions).await.unwrap_err();
    assert_eq!(refusal(late), RefusalCode::State);
    assert!(home(&look(&far).await).sessions.len() >= users);
}

/// A cmdlet has no guard at its far end. What it did while the lock or the pool was another's is read again, not assumed.
#[tokio::test]
async fn a_cmdlet_that_lost_the_lock_or_the_pool_meanwhile_proves_nothing() {
    let steal = "DECLARE @kill nvarchar(100); SELECT @kill = N'KILL ' + CONVERT(nvarchar(11), l.request_session_id) \
                 FROM sys.dm_tran_locks AS l WHERE l.resource_type = N'APPLICATION'; EXEC (@kill);";
    let displace =
        "EXEC master.sys.sp_updateextendedproperty @name = N'persistentchat.io/mgc/owner', @value = N'{}';";
    for by_hand in [steal, displace] {
        let bench = quiet("").await;
        let far = bench.far();
        let facts = look(&far).await;
        let (identity, _) = facts.shell.pool_state.value().unwrap().clone();
        let epoch = take(&far, None).await.unwrap();
        bench.order("hold shell").await;
        let action = Action::SetPoolState { identity, state: PoolState::FailedOver };
        let meanwhile = async {
            while bench.lab.order("gate").await.unwrap()["waiting"] == serde_json::json!([]) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let mut hand = connect(bench.target(HOME), &bench.ends.deadlines).await.unwrap();
            let typed = hand.ask(&Batch::new("ByHand").then(by_hand), Duration::from_secs(10)).await.unwrap();
            assert_eq!(typed.error, None);
            bench.order("gate open").await;
        };
        let (done, ()) = tokio::join!(act(&far, &epoch, StepId::SetPoolState, &action), meanwhile);
        let error = done.unwrap_err();
        assert!(
            matches!(&error, ActError::OutcomeUnknown { detail, .. } if detail.contains("lock was lost")),
            "{error:?}"
        );
        far.close().await;
    }
}
