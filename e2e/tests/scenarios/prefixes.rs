//! Every prefix of the printed runbook done by hand before the operator comes.

use crate::common::{BACKUP, Trial, each, exit};

const DECLARED: &str = r"logShipping: {share: '\\files\pchat-logs', folder: 'D:\LogShip'}";

/// Safety rule 3 and the table's row for a lost source: with log shipping dropped and its source neither recorded nor
/// declared, an empty folder proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn without_its_source_a_dropped_log_shipping_is_a_named_stop_until_it_is_declared() {
    each([1, 3], undeclared).await;
}

async fn undeclared(prefix: u8) {
    let trial = Trial::disaster("").await;
    for step in 1..=prefix {
        trial.order(&format!("runbook {step}")).await;
    }
    trial.order("mark").await;
    let run = trial.converge(&[]).await;
    run.stopped("LogShippingSourceUnknown", exit::BLOCKED).tells(&["mgc", "logShipping.share"]);
    trial.untouched_but_for_the_silence();
    trial.declare(DECLARED);
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_prefix_of_the_printed_runbook_is_taken_over() {
    each(0..=7, taken_over).await;
}

async fn taken_over(prefix: u8) {
    let trial = Trial::disaster("").await;
    trial.declare(DECLARED);
    for step in 1..=prefix {
        trial.order(&format!("runbook {step}")).await;
    }
    let run = trial.converge(&[]).await;
    assert_eq!(run.code, exit::DONE, "after {prefix} steps by hand: {run}");
    trial.delivered(&run).await;
    assert_eq!(trial.database(BACKUP), "online");
}
