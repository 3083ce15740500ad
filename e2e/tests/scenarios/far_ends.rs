//! Far ends with their bad manners: a store that cannot be written or replicates late, a dead monitor, strange names.

use crate::common::{BACKUP, Trial, each, exit};

#[tokio::test(flavor = "multi_thread")]
async fn an_unwritable_store_is_warned_of_and_stops_behind_the_database() {
    let trial = Trial::disaster("storeWritable: false").await;
    let run = trial.converge(&[]).await;
    run.stopped("CentralManagementUnavailable", exit::BLOCKED).tells(&["Invoke-CsManagementServerFailover"]);
    assert!(run.document["warnings"].to_string().contains("CentralManagementUnavailable"), "{run}");
    assert_eq!(trial.database(BACKUP), "online");
    trial.order("store writable").await;
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_replicates_late_is_waited_for() {
    let trial = Trial::disaster("replicationDelayMs: 3000").await;
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
}

/// Dropping log shipping can hang on its monitor, so it comes last, when users have their service.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_monitor_server_does_not_keep_users_from_their_service() {
    let trial = Trial::disaster(r"logShipping: {monitor: 'SQL-TP1\PCHAT'}").await;
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
}

/// Safety rule 9: no text is executed that came from outside.
#[tokio::test(flavor = "multi_thread")]
async fn names_with_brackets_quotes_spaces_and_letters_of_any_script_work() {
    each(["m]g'c", "chat; DROP TABLE x --", "Größe 聊天", "[mgc]"], |name| async move {
        let yaml = format!("database: {}", serde_json::to_string(name).unwrap());
        let trial = Trial::disaster(&yaml).await;
        let run = trial.converge(&[]).await;
        assert_eq!(run.code, exit::DONE, "{name}: {run}");
        trial.delivered(&run).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_of_sql_server_is_moved() {
    each(["10.50.6000", "12.0.6024", "13.0.5026", "15.0.2000"], |version| async move {
        let trial = Trial::disaster(&format!("version: {version}")).await;
        let run = trial.converge(&[]).await;
        assert_eq!(run.code, exit::DONE, "{version}: {run}");
        trial.delivered(&run).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_share_to_seed_the_mirror_from_users_get_their_service_all_the_same() {
    let trial = Trial::disaster("").await;
    trial.edit("  mirroring:\n    seedShare: '\\\\files\\pchat-seed'\n", "");
    let run = trial.converge(&[]).await;
    run.stopped("MirrorShareNeeded", exit::BLOCKED).tells(&["mirroring.seedShare", "serves"]);
    trial.write(2).await;
    trial.one_side_writes();
    trial.declare("mirroring: {seedShare: '\\\\files\\pchat-seed'}");
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
}
