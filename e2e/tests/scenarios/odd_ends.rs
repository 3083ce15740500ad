//! Far ends that lack something, answer slowly, or take a connection and never answer.

use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::common::{BACKUP, Trial, each, exit};

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

/// The database part never waits for the shell.
#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_takes_the_connection_and_never_answers_does_not_hold_up_the_database() {
    let trial = Trial::disaster("").await;
    trial.order("mute host fe-ks1.contoso.com").await;
    let run = trial.converge(&[]).await;
    run.stopped("ManagementShellUnavailable", exit::BLOCKED).tells(&["accepted the connection", "recovered"]);
    assert_eq!(trial.database(BACKUP), "online");
    trial.order("revive host fe-ks1.contoso.com").await;
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
}

/// A person sees within seconds what is known: which of the far ends answers last is no reason to show nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_plan_is_shown_while_the_shell_is_mute_and_the_share_hangs() {
    let trial = Trial::disaster("").await;
    trial.order("mute host fe-ks1.contoso.com").await;
    trial.order(&format!(r"hang {BACKUP} 60000 \\files\pchat-logs")).await;
    let mut command = Command::from(trial.stage.operator.command("converge", &[]));
    command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut run = command.spawn().unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines();
    let shown = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("Forced failover") {
                return line;
            }
        }
        panic!("the run ended and has shown no plan");
    };
    // Far below the deadlines of the shell and of a listing, with room for a busy machine.
    let line = tokio::time::timeout(Duration::from_secs(15), shown).await.expect("a plan within seconds");
    assert!(line.contains("is being asked"), "{line}");
    trial.kill(run).await;
}

/// What was copied is restored; the recovery waits for the listing.
#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_hangs_holds_up_the_recovery_and_not_what_was_copied() {
    let trial = Trial::disaster("logShipping: {copied: 8, restored: 3}").await;
    trial.order(&format!(r"hang {BACKUP} 14000 \\files\pchat-logs")).await;
    let begun = Instant::now();
    let looked = trial.begin("plan", &[]);
    let run = trial.begin("converge", &[]);
    let applied = |batches: &[serde_json::Value]| {
        batches.iter().any(|batch| batch["effects"].to_string().contains("RESTORE LOG"))
    };
    while !applied(&trial.batches(BACKUP).await) {
        assert!(begun.elapsed() < Duration::from_secs(27), "nothing was restored while the share hung");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let looked = trial.end(looked).await;
    assert!(begun.elapsed() < Duration::from_secs(27), "the plan was shown after {:?}", begun.elapsed());
    let looking = looked.document["facts"]["looking"].to_string();
    assert!(looking.contains("is being listed"), "{looked} {looking}");
    assert_ne!(trial.database(BACKUP), "online", "the share was not listed yet");
    trial.order(&format!(r"hang {BACKUP} 0 \\files\pchat-logs")).await;
    let run = trial.end(run).await;
    trial.delivered(&run).await;
}
