//! Clocks and zones: those of the servers that make backups, and what a run believes of them.

use crate::common::{BACKUP, PRIMARY, PRIMARY_MIRROR, Trial, each, exit};
use pchat_e2e::verdict::Interval;

/// The clocks of both servers of the primary site, and of the backup's.
fn clocks(primary: &str, backup: &str) -> String {
    format!("clocks: {{{PRIMARY}: {{{primary}}}, {PRIMARY_MIRROR}: {{{primary}}}, {BACKUP}: {{{backup}}}}}")
}

/// The dead side's zone is not the backup instance's: nothing that was begun before the disaster looks younger for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_primary_in_another_zone_is_failed_over_and_the_loss_is_told_truly() {
    let zones =
        [("zoneMin: 60", "zoneMin: 0"), ("zoneMin: -300", "zoneMin: 480"), ("zoneMin: 345", "zoneMin: -210")];
    each(zones, |(primary, backup)| async move {
        let trial = Trial::disaster(&clocks(primary, backup)).await;
        let run = trial.converge(&[]).await;
        trial.served(&run).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_whose_clock_was_ahead_is_failed_over_and_no_time_is_told_that_cannot_be_true() {
    let trial = Trial::disaster(&clocks("aheadS: 60, zoneMin: 60", "zoneMin: 60")).await;
    let run = trial.converge(&[]).await;
    assert_eq!((run.code, run.document["outcome"].as_str()), (exit::DONE, Some("Converged")), "{run}");
    trial.one_side_writes();
    let interval = Interval::of(&run.document).unwrap_or_else(|e| panic!("{e}\n{run}"));
    assert_eq!(interval.safe_until, None, "it began after it was found: {run}");
}
