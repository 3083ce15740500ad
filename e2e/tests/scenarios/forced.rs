//! The plain forced failover, and what a second run makes of it.

use crate::common::{BACKUP, BACKUP_MIRROR, Trial, exit};

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_failover_moves_the_pool_and_a_second_run_changes_nothing() {
    let trial = Trial::disaster("").await;
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
    let state = trial.stage.lab.state();
    assert_eq!(state["store"]["settings"]["state"], "FailedOver");
    assert_eq!(
        state["store"]["settings"]["active"],
        serde_json::json!(["pc-ks1.contoso.com", "pc-ks2.contoso.com"])
    );
    assert_eq!(trial.database(BACKUP_MIRROR), "restoring");
    assert!(trial.server(BACKUP)["agent"]["jobs"].as_array().is_none_or(Vec::is_empty), "jobs are left");
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_and_planning_change_nothing() {
    let trial = Trial::disaster("").await;
    trial.order("mark").await;
    for verb in ["observe", "plan"] {
        let child = trial.begin(verb, &[]);
        let run = trial.end(child).await;
        assert_eq!(run.code, exit::DONE, "{run}");
        trial.untouched();
    }
    trial.stage.edit("mode: Enforce", "mode: Plan").unwrap();
    let run = trial.converge(&[]).await;
    assert_eq!((run.code, run.document["outcome"].as_str()), (exit::BLOCKED, Some("NotEnforced")), "{run}");
    trial.untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_as_declared_is_left_alone() {
    let trial = Trial::start("").await;
    trial.write(4).await;
    trial.quiet().await;
    assert!(trial.shipping_runs());
}
