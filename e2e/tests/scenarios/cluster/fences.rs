//! Who may act: the Lease among the replicas of a cluster, the far end's fence behind it.

use std::sync::Arc;

use serde_json::Value;

use super::{Site, condition, is, own, shared};
use crate::common::{BACKUP, Trial};

/// A replica that has lost its Lease sees the running action to its end and starts nothing more.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn a_replica_that_has_lost_its_lease_ends_what_runs_and_starts_nothing() {
    let (site, mut replica) = Site::calm("").await;
    site.trial.order("mark").await;
    site.trial.order(&format!("hold {BACKUP} 2")).await;
    site.disaster().await;
    site.trial.held(&mut replica.child).await.expect("an action");
    // Renewed by whoever holds it now; nobody is behind that name.
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ");
    let spec = format!(
        r#"{{"spec":{{"holderIdentity":"another","leaseDurationSeconds":3600,"renewTime":"{now}","acquireTime":"{now}"}}}}"#
    );
    site.kubectl(&["patch", "lease", "pchat-operator", "--type=merge", "-p", &spec]);
    wait_for_log(&replica, "the Lease is lost").await;
    site.trial.order("gate open").await;
    wait_for_log(&replica, "leads no more").await;
    let then = site.trial.stage.lab.mutations();
    // Standing by as long as the Lease is another's: several rounds of its election.
    tokio::time::sleep(std::time::Duration::from_secs(8)).await;
    assert_eq!(site.trial.stage.lab.mutations(), then, "it started something without the Lease");
    assert_ne!(site.trial.database(BACKUP), "online", "the scenario is over too early");
    site.kubectl(&["delete", "lease", "pchat-operator"]);
    site.moved().await;
    assert_eq!(replica.stop().await, 0);
}

async fn wait_for_log(replica: &super::Replica, words: &str) {
    let begin = std::time::Instant::now();
    while !replica.log().contains(words) {
        assert!(begin.elapsed() < super::PATIENCE, "{words:?} is not in\n{}", replica.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// A leader that stops gives the Lease back: the other replica need not wait for its end.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn the_second_replica_takes_over_from_one_that_stops_and_from_one_that_is_killed() {
    let (site, first) = Site::calm("").await;
    let second = site.operator("operator-1", &[]);
    assert_eq!(first.stop().await, 0);
    wait_for_log(&second, "leads").await;
    let third = site.operator("operator-2", &[]);
    second.kill().await;
    wait_for_log(&third, "leads").await;
    site.disaster().await;
    site.moved().await;
    assert_eq!(third.stop().await, 0);
}

/// Safety rule 2: with the election broken, two replicas are still fenced by the far end.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn two_replicas_without_a_lease_move_the_pool_once() {
    let (site, first) = Site::calm("").await;
    assert_eq!(first.stop().await, 0);
    let replicas = ["a", "b"].map(|name| site.operator(name, &["--no-leader-election"]));
    site.disaster().await;
    let mut pool = site.moved().await;
    // They come to say the same, and then write no more.
    let begin = std::time::Instant::now();
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        let before = std::mem::replace(&mut pool, site.pool());
        if before["metadata"]["resourceVersion"] == pool["metadata"]["resourceVersion"] {
            break;
        }
        assert!(begin.elapsed() < super::PATIENCE, "they write in turns\n{before:#}\n{pool:#}");
    }
    assert_eq!(pool["status"]["history"].as_array().map(Vec::len), Some(1), "{pool:#}");
    for replica in replicas {
        assert_eq!(replica.stop().await, 0);
    }
}

/// Safety rule 5: two clusters that want the opposite. The one that has not begun says so and harms nobody.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn of_two_clusters_with_opposite_intents_one_acts_and_the_other_asks_a_person() {
    let (here, mut mover) = Site::calm("").await;
    let there = Site::with(Arc::clone(&here.trial), Box::leak(Box::new(own("opposite"))));
    // It sees a calm pool, as declared, and stays with that declaration.
    there.apply();
    let keeper = there.operator("keeper", &[]);
    there.until("Ready", |pool| is(pool, "Ready", "True")).await;
    here.trial.order(&format!("hold {BACKUP} 3")).await;
    here.disaster().await;
    here.trial.held(&mut mover.child).await.expect("an action");
    let told = there.until("IntentConflict", |pool| is(pool, "IntentConflict", "True")).await;
    assert_eq!(condition(&told, "Ready")["reason"], "IntentConflict", "{told:#}");
    here.trial.order("gate open").await;
    here.moved().await;
    // What it declares was overtaken: going back is a failback, with its own gate.
    let told = there.until("the other side", |pool| pool["status"]["activeDatabase"] == "backup").await;
    assert!(!is(&told, "Ready", "True"), "{told:#}");
    assert_eq!(mover.stop().await, 0);
    assert_eq!(keeper.stop().await, 0);
}

/// Safety rule 5: an object that has no history takes the pool as it is, whichever side it names.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn a_new_object_changes_nothing_at_a_pool_that_is_failed_over() {
    let trial = Trial::disaster("").await;
    let run = trial.converge(&[]).await;
    trial.served(&run).await;
    let site = Site::with(Arc::new(trial), shared());
    site.trial.order("mark").await;
    site.apply();
    let replica = site.operator("operator-0", &[]);
    let ready = site.until("Ready", |pool| is(pool, "Ready", "True")).await;
    assert_eq!(ready["status"]["activeDatabase"], "backup", "{ready:#}");
    site.kubectl(&["delete", "pchat", "chat"]);
    site.turn("primary");
    let told = site.until("a named stop", |pool| is(pool, "Stalled", "True")).await;
    assert_eq!(condition(&told, "Stalled")["reason"], "FailbackNeeded", "{told:#}");
    assert_eq!(told["status"]["activeDatabase"], Value::from("backup"), "{told:#}");
    site.trial.untouched();
    assert_eq!(replica.stop().await, 0);
}
