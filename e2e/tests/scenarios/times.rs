//! Clocks and zones: those of the servers that make backups, and what a run believes of them.

use crate::common::{BACKUP, PRIMARY, PRIMARY_MIRROR, Trial, each, exit};
use pchat_e2e::verdict::Interval;
use std::time::Duration;

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

/// A side that is cut off and lives: it is seen by a backup that it begins while nobody reaches it, and what one run has seen the
/// next one knows, wherever it runs. The question is one while that side ships on.
#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_was_seen_to_live_is_asked_about_by_every_run_until_a_person_says_so() {
    let west = clocks("zoneMin: -60", "zoneMin: 0");
    let trial = Trial::start(&format!("{west}\nsilentFor: 5m")).await;
    trial.write(3).await;
    trial.order("backup-log").await;
    trial.order("cut client primary").await;
    trial.turn("backup");
    trial.order("mark").await;
    let mut child = trial.begin("converge", &["--executor", "first-run"]);
    trial.until("the silence is written down", |t| t.property("/silence").is_some()).await;
    // A backup counts from 15 s after the first silent look on.
    tokio::time::sleep(Duration::from_secs(17)).await;
    assert!(child.try_wait().unwrap().is_none(), "it waits");
    trial.order("backup-log").await;
    let first = trial.end(child).await;
    first
        .stopped("PrimaryMayBeAlive", exit::APPROVAL)
        .tells(&["after the other side fell silent", "kept in master"]);
    assert!(trial.property("/journal").is_none(), "nothing else was written: {}", trial.standing(BACKUP));

    // On another machine, and while that side ships on.
    trial.order("backup-log").await;
    let elsewhere = trial.stage.lab.dir().join("elsewhere.state.yaml");
    let state = elsewhere.to_str().unwrap();
    let again = trial.converge(&["--executor", "second-run", "--state", state]).await;
    again.stopped("PrimaryMayBeAlive", exit::APPROVAL);

    // Silence need not be waited for once the person has said what it is.
    trial.edit("silentFor: 5m", "silentFor: 1s");
    trial.order("backup-log").await;
    let digest = first.digest();
    let run = trial.converge(&["--executor", "second-run", "--state", state, "--approve", digest]).await;
    assert_eq!((run.code, run.document["outcome"].as_str()), (exit::DONE, Some("Converged")), "{run}");
    assert_eq!(trial.property("/silence"), None, "it is over with the side that was left");
}

/// What was seen of a silence ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_serves_again_ends_what_was_seen_of_its_silence() {
    let trial = Trial::start("silentFor: 5m").await;
    trial.write(2).await;
    trial.order("cut client primary").await;
    // Who may only plan writes nothing.
    trial.order("mark").await;
    trial.turn("backup");
    trial.edit("mode: Enforce", "mode: Plan");
    let run = trial.converge(&[]).await;
    assert_eq!(run.document["outcome"], "NotEnforced", "{run}");
    trial.untouched();
    assert_eq!(trial.property("/silence"), None);
    trial.edit("mode: Plan", "mode: Enforce");
    let child = trial.begin("converge", &[]);
    trial.until("the silence is written down", |t| t.property("/silence").is_some()).await;
    trial.order("join client primary").await;
    trial.end(child).await.stopped("PlannedSwitchoverNeeded", exit::BLOCKED);
    assert_eq!(trial.property("/silence"), None);
}
