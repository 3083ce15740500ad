//! What happens to log backups: torn, missing, foreign, late, out of reach.

use crate::common::{BACKUP, PRIMARY_MIRROR, Trial, each, exit};

const SHARE: &str = r"\\files\pchat-logs";

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_last_file_is_the_end_of_the_chain() {
    each(["empty", "header", "body", "garbage"], |how| async move {
        let trial = Trial::disaster("").await;
        trial.order(&format!("tear last {how}")).await;
        let torn = trial.files("share").pop().unwrap();
        let run = trial.converge(&[]).await;
        assert_eq!(run.code, exit::DONE, "{how}: {run}");
        assert!(!run.applied().contains(&torn), "{how}: {torn} was applied");
        assert!(
            run.document.to_string().contains(&torn),
            "{how}: {torn} is not told: {}",
            run.document["loss"]
        );
        trial.delivered(&run).await;
    })
    .await;
}

/// Safety rule 3, the table's row for a gap.
#[tokio::test(flavor = "multi_thread")]
async fn a_gap_stops_the_run_and_the_file_put_back_lets_it_go_on() {
    let trial = Trial::disaster("").await;
    trial.order("hide last-2").await;
    let run = trial.converge(&[]).await;
    run.stopped("LogChainGap", exit::APPROVAL).tells(&["41000000", "put it on the share"]);
    assert_eq!(trial.database(BACKUP), "restoring");
    assert!(run.errors.is_empty(), "{run}");
    trial.order("show").await;
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_stays_at_a_gap_goes_on_by_itself_when_the_file_turns_up() {
    let trial = Trial::disaster("").await;
    trial.order("hide last-2").await;
    let child = trial.begin("converge", &["--wait", "5m"]);
    trial.until("the transition", |t| t.property("/journal").is_some()).await;
    trial.until("log shipping at rest", |t| !t.shipping_runs()).await;
    trial.order("show").await;
    let run = trial.end(child).await;
    trial.delivered(&run).await;
}

/// An approval covers the hazards that it names, and no others.
#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_accepted_by_its_own_digest_and_by_no_other() {
    let trial = Trial::disaster("").await;
    trial.order("remove last-2").await;
    let first = trial.converge(&[]).await;
    first.stopped("LogChainGap", exit::APPROVAL);
    let wrong = if first.digest() == "0000-0000" { "0000-0001" } else { "0000-0000" };
    let run = trial.converge(&["--approve", wrong]).await;
    run.stopped("LogChainGap", exit::APPROVAL);
    assert_eq!(run.digest(), first.digest());
    let run = trial.converge(&["--approve", first.digest()]).await;
    trial.delivered(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_hazard_beside_what_was_approved_is_asked_about_again() {
    let trial = Trial::disaster("").await;
    trial.order("remove last-2").await;
    let first = trial.converge(&[]).await;
    first.stopped("LogChainGap", exit::APPROVAL);
    trial.order(&format!("revive host {PRIMARY_MIRROR}")).await;
    let second = trial.converge(&["--approve", first.digest()]).await;
    second.stopped("MirrorHoldsCommits", exit::APPROVAL);
    assert_ne!(second.digest(), first.digest());
    assert_eq!(trial.database(BACKUP), "restoring");
    let run = trial.converge(&["--approve", second.digest()]).await;
    trial.delivered(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_successors_on_two_forks_are_a_choice_for_a_person() {
    let trial = Trial::disaster("").await;
    trial.order("foreign-fork").await;
    let run = trial.converge(&[]).await;
    run.stopped("ForkAmbiguous", exit::APPROVAL);
    let [other] = run.document["stop"]["instead"].as_array().map_or(&[][..], Vec::as_slice) else {
        panic!("{run}");
    };
    assert!(other["fork"].is_string() && other["digest"] != run.digest(), "{other}");
    assert_eq!(trial.database(BACKUP), "restoring");
    let run = trial.converge(&["--approve", run.digest()]).await;
    assert_eq!(run.code, exit::DONE, "{run}");
    trial.truthful(&run);
    trial.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_turns_up_while_the_run_is_at_work_is_applied() {
    let trial = Trial::disaster("").await;
    trial.order("hide last").await;
    trial.order(&format!("hold {BACKUP}")).await;
    let mut child = trial.begin("converge", &[]);
    trial.held(&mut child).await.expect("an action");
    trial.order("show").await;
    let last = trial.files("share").pop().unwrap();
    trial.order("gate open").await;
    let run = trial.end(child).await;
    assert!(run.applied().contains(&last), "{last} was not applied: {run}");
    trial.delivered(&run).await;
}

/// Safety rule 3: the recovering batch lists once more, and refuses over a file that was not judged.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_turns_up_behind_the_last_look_is_not_recovered_over() {
    let trial = Trial::disaster("logShipping: {backups: 8, copied: 8, restored: 8}").await;
    trial.order("hide last").await;
    // Slow listings: the recovering batch is at its own for long enough to be overtaken.
    trial.order(&format!("hang {BACKUP} 1500")).await;
    let child = trial.begin("converge", &[]);
    trial.until("log shipping at rest", |t| !t.shipping_runs()).await;
    trial
        .until("the recovering batch", |t| {
            t.server(BACKUP)["locks"].as_array().is_some_and(|l| !l.is_empty())
                && t.server(BACKUP)["databases"][0]["state"] != "online"
        })
        .await;
    trial.order("show").await;
    let last = trial.files("share").pop().unwrap();
    trial.order(&format!("hang {BACKUP} 0")).await;
    let run = trial.end(child).await;
    assert!(run.applied().contains(&last), "{last} was recovered over: {run}");
    trial.delivered(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_gone_from_the_folder_is_read_from_the_share() {
    let trial = Trial::disaster("").await;
    let copied = trial.files("folder");
    for name in copied.iter().rev().take(2) {
        std::fs::remove_file(trial.copy_folder().join(name)).unwrap();
    }
    // The copy job takes a file once: it does not bring these again.
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
}

/// Safety rule 3: an empty listing is unknown, never an end.
#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_cannot_be_read_is_unknown_and_not_empty() {
    each([true, false], |denied| async move {
        let trial = Trial::disaster("").await;
        let (off, on) = if denied {
            (format!("deny {BACKUP} {SHARE}"), format!("allow {BACKUP} {SHARE}"))
        } else {
            ("kill host files".into(), "revive host files".into())
        };
        trial.order(&off).await;
        let run = trial.converge(&[]).await;
        run.stopped("BackupsUnknown", exit::APPROVAL).tells(&[SHARE, "goes on by itself"]);
        assert_eq!(trial.database(BACKUP), "restoring");
        trial.order(&on).await;
        let run = trial.converge(&[]).await;
        trial.delivered(&run).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_unreadable_share_holds_is_given_up_only_by_approval() {
    let trial = Trial::disaster("").await;
    trial.order("kill host files").await;
    let run = trial.converge(&[]).await;
    run.stopped("BackupsUnknown", exit::APPROVAL);
    let digest = run.digest().to_owned();
    // The share stays dead, and with it the place from which a mirror would be seeded.
    trial.edit("mirror: {host: 'sql-ks2.contoso.com', instance: 'PCHAT'}", "mirror: {none: true}");
    let run = trial.converge(&["--approve", &digest]).await;
    trial.delivered(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_of_a_standby_copy_are_disconnected_and_the_rest_is_applied() {
    let trial = Trial::disaster("logShipping: {standby: true}").await;
    assert_eq!(trial.database(BACKUP), "online standby");
    trial.order(&format!("hold-session {BACKUP}")).await;
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_that_is_not_known_to_be_within_the_limit_is_asked_about() {
    let trial = Trial::disaster("").await;
    trial.declare("maxDataLossMinutes: 1");
    let run = trial.converge(&[]).await;
    run.stopped("LossAboveLimit", exit::APPROVAL).tells(&["1 min"]);
    assert_eq!(trial.database(BACKUP), "restoring");
    let run = trial.converge(&["--approve", run.digest()]).await;
    trial.delivered(&run).await;
}
