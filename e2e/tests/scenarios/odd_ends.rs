//! Far ends that lack something, answer slowly, or take a connection and never answer.

use crate::common::{BACKUP, Trial, each};

/// What the jobs would have brought is read on the share.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_log_shipping_that_were_deleted_do_not_keep_a_pool_from_its_failover() {
    each([vec!["copy"], vec!["restore"], vec!["copy", "restore"]], |gone| async move {
        let trial = Trial::disaster("").await;
        for job in &gone {
            trial.order(&format!("delete-job {BACKUP} {job}")).await;
        }
        let planned = trial.end(trial.begin("plan", &[])).await;
        let warned = planned.document["warnings"].to_string();
        assert!(warned.contains("LogShippingIncomplete") && warned.contains(gone[0]), "{planned}");
        let run = trial.converge(&[]).await;
        trial.delivered(&run).await;
    })
    .await;
}
