//! In which order things happen at the far ends, and where a run may be stopped.

use crate::common::{BACKUP, Trial, exit, signal};
use std::time::Duration;

/// Where among the effects of an undisturbed failover at the backup instance the first of these words stands.
async fn place_of(word: &str) -> usize {
    let trial = Trial::disaster("").await;
    let run = trial.converge(&[]).await;
    assert_eq!(run.code, exit::DONE, "{run}");
    let batches = trial.batches(BACKUP).await;
    let own = batches.iter().filter(|b| b["program"] == "pchat-operator");
    let effects: Vec<&str> =
        own.flat_map(|b| b["effects"].as_array().unwrap()).map(|e| e.as_str().unwrap()).collect();
    effects.iter().position(|e| e.starts_with(word)).unwrap_or_else(|| panic!("no {word} in {effects:#?}"))
}

/// Kills a run that is about to do what begins with `word`, and looks at what the journal holds by then. Then whatever the
/// run kept beside its manifest is wiped, and another executor finishes.
async fn journaled_before(word: &str, evidence: &[&str]) {
    let place = place_of(word).await;
    let trial = Trial::disaster("").await;
    trial.order(&format!("hold {BACKUP} {place}")).await;
    let mut child = trial.begin("converge", &[]);
    let held = trial.held(&mut child).await.expect("an action");
    assert!(held.starts_with(word), "{held} instead of {word}");
    let transition = trial.property("/journal").expect("a transition");
    for part in evidence {
        assert!(transition.contains(part), "{part} is not in {transition}");
    }
    trial.kill(child).await;
    trial.order("gate refuse").await;
    std::fs::remove_file(trial.stage.manifest().with_extension("state.yaml")).unwrap();
    let run = trial.converge(&["--executor", "another"]).await;
    trial.delivered(&run).await;
}

/// Safety rule 1: evidence before destruction, at the far end.
#[tokio::test(flavor = "multi_thread")]
async fn share_and_folder_stand_at_the_far_end_before_log_shipping_is_dropped() {
    let evidence = [r"\\\\files\\pchat-logs", r"D:\\LogShip", "lastRestored"];
    journaled_before("EXEC sp_delete_log_shipping_secondary_database", &evidence).await;
}

/// Safety rule 1, and the record by which rule 4 knows the copy again.
#[tokio::test(flavor = "multi_thread")]
async fn the_recovery_point_stands_at_the_far_end_before_the_database_is_recovered() {
    journaled_before("RESTORE DATABASE", &["recovery", "41000000", "fork", "Recovering"]).await;
}

/// Safety rule 6: pool state after database, servers after pool state.
#[tokio::test(flavor = "multi_thread")]
async fn the_pool_is_told_after_the_database_and_the_servers_after_the_pool() {
    let trial = Trial::disaster("").await;
    trial.order("hold shell 0").await;
    trial.order("hold shell 1").await;
    let mut child = trial.begin("converge", &[]);
    assert_eq!(trial.held(&mut child).await.as_deref(), Some("Set-CsPersistentChatState"));
    assert_eq!(trial.database(BACKUP), "online");
    trial.order("gate open").await;
    assert_eq!(trial.held(&mut child).await.as_deref(), Some("Set-CsPersistentChatActiveServer"));
    assert_eq!(trial.stage.lab.state()["store"]["settings"]["state"], "FailedOver");
    trial.order("gate open").await;
    let run = trial.end(child).await;
    trial.delivered(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_interrupted_finishes_its_action_and_stops_before_the_next() {
    let place = place_of("RESTORE LOG").await;
    let trial = Trial::disaster("").await;
    trial.order(&format!("hold {BACKUP} {place}")).await;
    let mut child = trial.begin("converge", &[]);
    trial.held(&mut child).await.expect("an action");
    signal(&child, "-INT");
    // The signal is heard while the action still runs.
    tokio::time::sleep(Duration::from_millis(300)).await;
    trial.order("gate open").await;
    let run = trial.end(child).await;
    assert_eq!(
        (run.code, run.document["outcome"].as_str()),
        (exit::INTERRUPTED, Some("Interrupted")),
        "{run}"
    );
    assert_eq!(trial.database(BACKUP), "restoring");
    assert!(!run.document["run"]["applied"].as_array().unwrap().is_empty(), "{run}");
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
}
