//! The side that is to be left: serving, half alive, silent, back again.

use crate::common::{BACKUP, PRIMARY, PRIMARY_MIRROR, Run, Trial, each, exit};
use std::time::{Duration, Instant};

/// Log shipping runs again, nobody owns the pool, and the copy was not recovered.
#[track_caller]
fn called_off(trial: &Trial) {
    assert!(trial.shipping_runs(), "log shipping does not run: {}", trial.standing(BACKUP));
    assert_eq!(trial.database(BACKUP), "restoring");
    let transition = trial.property("/journal").expect("a transition was recorded");
    assert!(transition.contains("CalledOff") || transition.contains("called"), "{transition}");
}

/// The old side's mirror takes over; one that had not caught up when its principal died can only be forced.
async fn promote(trial: &Trial) {
    if trial.stage.order("promote-mirror primary").await.is_err() {
        trial.order("force-service primary").await;
    }
}

/// A failover that stands at a gap, with log shipping at rest.
async fn half_way() -> (Trial, Run) {
    let trial = Trial::disaster("").await;
    trial.order("hide last-2").await;
    let run = trial.converge(&["--executor", "first-run"]).await;
    run.stopped("LogChainGap", exit::APPROVAL);
    assert!(!trial.shipping_runs());
    (trial, run)
}

/// Safety rule 4: never two writable sides.
#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_serves_is_not_failed_over_by_force() {
    let trial = Trial::start("").await;
    trial.write(4).await;
    trial.turn("backup");
    trial.order("mark").await;
    let run = trial.converge(&[]).await;
    run.stopped("PlannedSwitchoverNeeded", exit::BLOCKED).tells(&["sql-tp1.contoso.com", "ONLINE"]);
    trial.untouched();
    // Nor when it is the mirror that serves.
    trial.order(&format!("kill host {PRIMARY}")).await;
    promote(&trial).await;
    trial.write(4).await;
    let run = trial.converge(&[]).await;
    run.stopped("PlannedSwitchoverNeeded", exit::BLOCKED).tells(&["sql-tp2.contoso.com"]);
    trial.untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_may_hold_commits_is_asked_about_first() {
    let trial = Trial::start("").await;
    trial.write(4).await;
    trial.order(&format!("kill host {PRIMARY}")).await;
    trial.turn("backup");
    trial.order("mark").await;
    let run = trial.converge(&[]).await;
    run.stopped("MirrorHoldsCommits", exit::APPROVAL)
        .tells(&["sql-tp2.contoso.com", "Invoke-CsDatabaseFailover"]);
    trial.untouched();
    let digest = run.digest().to_owned();
    let run = trial.converge(&["--approve", &digest]).await;
    trial.delivered(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_primary_is_asked_for_its_tail_first() {
    let trial = Trial::start("").await;
    trial.write(4).await;
    trial.order(&format!("kill host {PRIMARY_MIRROR}")).await;
    trial.order(&format!("damage {PRIMARY} suspect")).await;
    trial.turn("backup");
    trial.order("mark").await;
    let run = trial.converge(&[]).await;
    run.stopped("PrimaryDamaged", exit::APPROVAL).tells(&["sql-tp1.contoso.com", "SUSPECT", "NO_TRUNCATE"]);
    trial.untouched();
}

/// Alive but unusable is not dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_is_alive_and_cannot_be_asked_is_not_taken_for_dead() {
    each(["refused", "browser"], |how| async move {
        let trial = Trial::start("").await;
        trial.write(4).await;
        trial.turn("backup");
        for host in [PRIMARY, PRIMARY_MIRROR] {
            match how {
                "refused" => trial.order(&format!("stop host {host}")).await,
                _ => trial.order(&format!("browser {host} off")).await,
            };
        }
        trial.order("mark").await;
        let run = trial.converge(&[]).await;
        run.stopped("PrimaryMayBeAlive", exit::APPROVAL)
            .tells(&["sql-tp1.contoso.com", "sql-tp2.contoso.com"]);
        trial.untouched();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_returns_before_recovery_gets_its_log_shipping_back() {
    let (trial, _) = half_way().await;
    trial.order("revive site primary").await;
    trial.write(2).await;
    let run = trial.converge(&[]).await;
    run.stopped("PlannedSwitchoverNeeded", exit::BLOCKED);
    called_off(&trial);
    trial.order("mark").await;
    trial.converge(&[]).await.stopped("PlannedSwitchoverNeeded", exit::BLOCKED);
    trial.untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_promotes_itself_before_recovery_gets_log_shipping_back() {
    let (trial, _) = half_way().await;
    trial.order(&format!("revive host {PRIMARY_MIRROR}")).await;
    promote(&trial).await;
    let run = trial.converge(&[]).await;
    run.stopped("PlannedSwitchoverNeeded", exit::BLOCKED);
    called_off(&trial);
}

/// The run before has written into the state file that it is over: it is no live owner.
#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_turned_back_before_recovery_calls_the_failover_off() {
    let (trial, _) = half_way().await;
    trial.turn("primary");
    let run = trial.converge(&["--executor", "second-run"]).await;
    assert_eq!(run.code, exit::DONE, "{run}");
    called_off(&trial);
    trial.quiet().await;
}

/// Safety rule 5: an owner with the opposite intent that is not known to be over is displaced by a person's word only.
#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_is_turned_back_elsewhere_asks_a_person_first() {
    let trial = Trial::disaster("").await;
    trial.order("hide last-2").await;
    let first = trial.begin("converge", &["--executor", "first-run", "--wait", "10m"]);
    trial.until("log shipping at rest", |t| !t.shipping_runs()).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    // What was killed can't say that it is over.
    trial.kill(first).await;
    trial.turn("primary");
    let elsewhere = ["--executor", "second-run", "--state", "elsewhere.state.yaml"];
    let run = trial.converge(&elsewhere).await;
    run.stopped("IntentConflict", exit::APPROVAL).tells(&["first-run"]);
    assert!(!trial.shipping_runs());
    let digest = run.digest().to_owned();
    let run = trial.converge(&[&elsewhere[..], &["--approve", &digest]].concat()).await;
    assert_eq!(run.code, exit::DONE, "{run}");
    called_off(&trial);
    trial.quiet().await;
}

/// From the point of no return the plan only goes forward; an old primary that comes back is told of.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_returns_after_recovery_does_not_turn_the_run_back() {
    let trial = Trial::disaster("").await;
    trial.order("hold shell").await;
    let mut child = trial.begin("converge", &[]);
    trial.held(&mut child).await.expect("a cmdlet");
    assert_eq!(trial.database(BACKUP), "online");
    trial.order("messages 0").await;
    let before = trial.batches(PRIMARY).await.len();
    trial.order("revive site primary").await;
    // The run must have had a look at what it is to tell of.
    trial.looked_at(PRIMARY, before).await;
    trial.order("gate open").await;
    let run = trial.end(child).await;
    assert_eq!(run.code, exit::DONE, "{run}");
    let warned = run.document["warnings"].to_string();
    assert!(warned.contains("BothSidesOnline") && warned.contains("sql-tp1"), "{warned}");
}

/// Safety rule 4: ONLINE at the backup counts with provenance only.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_that_is_online_at_the_backup_is_not_taken_for_the_recovered_one() {
    let trial = Trial::start("").await;
    trial.write(4).await;
    trial.order("runbook 4").await;
    trial.order("backup-log").await;
    trial.write(4).await;
    trial.turn("backup");
    trial.order("mark").await;
    let run = trial.converge(&[]).await;
    run.stopped("BothSidesOnline", exit::APPROVAL).tells(&["sql-tp1.contoso.com", "sql-ks1.contoso.com"]);
    trial.untouched();
    trial.order("kill site primary").await;
    let run = trial.converge(&[]).await;
    run.stopped("StaleCopySuspected", exit::APPROVAL).tells(&["mgc", "beyond"]);
    trial.untouched_but_for_the_silence();
}

/// A side that is only cut off from here goes on writing; its next backup tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_begins_after_the_silence_is_a_sign_of_life() {
    let trial = Trial::start("").await;
    trial.write(4).await;
    trial.order("backup-log").await;
    trial.order("hide last-2").await;
    trial.order("cut client primary").await;
    trial.turn("backup");
    let child = trial.begin("converge", &["--wait", "40s"]);
    trial.until("log shipping at rest", |t| !t.shipping_runs()).await;
    // A backup that begins shortly after the first silent look is no sign of life: clocks differ.
    let silent = Instant::now();
    trial.until("silence", |_| silent.elapsed() > Duration::from_secs(17)).await;
    trial.order("backup-log").await;
    trial.order("show").await;
    let run = trial.end(child).await;
    run.stopped("PrimaryMayBeAlive", exit::APPROVAL).tells(&["SQL-TP1"]);
    assert_eq!(trial.database(BACKUP), "restoring");
    trial.order("join client primary").await;
    trial.converge(&[]).await.stopped("PlannedSwitchoverNeeded", exit::BLOCKED);
    called_off(&trial);
}
