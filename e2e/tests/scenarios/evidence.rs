//! What decides about log backups: their LSNs, as headers and RESTORE tell them, wherever they lie; never a name or a time in it.

use std::time::Duration;

use crate::common::{BACKUP, Trial, each, exit};

/// Where every log backup but the last was copied, and `restored` of them restored.
fn copied(restored: u32) -> String {
    format!("logShipping: {{backups: 8, copied: 8, restored: {restored}}}")
}

/// Messages are written, saved, some more are written, and the primary side dies.
async fn dies(trial: &Trial) {
    trial.write(6).await;
    trial.order("backup-log").await;
    ends(trial).await;
}

/// Some messages that no backup has, and the end of the primary side.
async fn ends(trial: &Trial) {
    trial.write(4).await;
    trial.order("kill site primary").await;
    trial.turn("backup");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_from_a_clock_that_was_wrong_leaves_no_backup_unread() {
    let trial = Trial::start("").await;
    let ahead = "mgc_20991231235959.trn";
    let fourth = trial.files("share")[3].clone();
    trial.order(&format!("move both {fourth} {ahead}")).await;
    trial.order(&format!("restore-log {ahead}")).await;
    dies(&trial).await;
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
    let all: Vec<String> = trial.files("share").split_off(3).into_iter().filter(|n| n != ahead).collect();
    assert_eq!((run.applied(), all.len()), (all, 5), "{run}");
}

/// Principal and mirror write into one directory, and their clocks differ.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_not_be_read_is_asked_about_however_old_its_name_is() {
    let trial = Trial::start(&copied(3)).await;
    trial.write(6).await;
    trial.order("backup-log").await;
    trial.order("move share last mgc_20991231235959.trn").await;
    trial.order("promote-mirror primary").await;
    trial.write(6).await;
    let last = trial.order("backup-log").await;
    let last = last["done"].as_str().unwrap().split(' ').next().unwrap().to_owned();
    trial.order(&format!(r"deny {BACKUP} \\files\pchat-logs\{last}")).await;
    ends(&trial).await;
    let run = trial.converge(&[]).await;
    run.stopped("BackupsUnknown", exit::APPROVAL).tells(&[&last, "goes on by itself"]);
    assert_eq!(trial.database(BACKUP), "restoring");
    trial.order(&format!(r"allow {BACKUP} \\files\pchat-logs\{last}")).await;
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
    assert!(run.applied().contains(&last), "{run}");
}

/// A server that dies leaves one torn file behind; so many have another reason.
#[tokio::test(flavor = "multi_thread")]
async fn several_torn_files_are_a_question_and_all_are_told_as_given_up() {
    let trial = Trial::disaster("").await;
    let mut torn = trial.files("share").split_off(5);
    assert_eq!(torn.len(), 4);
    for name in &torn {
        trial.order(&format!("tear {name} garbage")).await;
    }
    let run = trial.converge(&[]).await;
    run.stopped("BackupsUnknown", exit::APPROVAL).tells(&torn.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(trial.database(BACKUP), "restoring");
    torn.sort();
    assert_eq!(run.unread(), torn, "{run}");
    let run = trial.converge(&["--approve", run.digest()]).await;
    trial.delivered(&run).await;
    assert_eq!(run.unread(), torn, "also at the end: {run}");
}

/// Names repeat when a clock is set back, and jobs append.
#[tokio::test(flavor = "multi_thread")]
async fn share_and_folder_never_hide_what_the_other_holds_under_the_same_name() {
    each(["move share last last-1", "append share last last-1"], |order| async move {
        let trial = Trial::start(&copied(3)).await;
        trial.write(6).await;
        trial.order("backup-log").await;
        let name = trial.files("share")[7].clone();
        trial.order(order).await;
        ends(&trial).await;
        let run = trial.converge(&[]).await;
        trial.delivered(&run).await;
        assert_eq!(run.applied().iter().filter(|n| **n == name).count(), 2, "{order}: {run}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_grows_while_the_run_is_at_work_is_read_to_its_end() {
    let trial = Trial::start(&copied(3)).await;
    trial.write(6).await;
    trial.order("backup-log").await;
    let late = std::fs::read(trial.share().join(trial.files("share").pop().unwrap())).unwrap();
    trial.order("hide last").await;
    ends(&trial).await;
    trial.order(&format!("hold {BACKUP}")).await;
    let mut child = trial.begin("converge", &[]);
    trial.held(&mut child).await.expect("an action");
    let name = trial.files("share").pop().unwrap();
    let mut grown = std::fs::read(trial.share().join(&name)).unwrap();
    let media = late.iter().position(|b| *b == b'\n').unwrap() + 1;
    grown.extend_from_slice(&late[media..]);
    std::fs::write(trial.share().join(&name), grown).unwrap();
    trial.order("gate open").await;
    let run = trial.end(child).await;
    trial.delivered(&run).await;
    assert_eq!(run.applied().iter().filter(|n| **n == name).count(), 2, "{run}");
}

/// A header that was read before it was replaced leads to 4305: it is read anew, and what is missing is asked about.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_replaced_while_the_run_is_at_work_is_read_anew() {
    let trial = Trial::start(&copied(3)).await;
    dies(&trial).await;
    // The taking, both jobs, and the first batch of restores.
    trial.order(&format!("hold {BACKUP} 3")).await;
    let mut child = trial.begin("converge", &[]);
    trial.held(&mut child).await.expect("an action");
    let names = trial.files("share");
    for folder in [trial.share(), trial.copy_folder()] {
        std::fs::copy(trial.share().join(&names[7]), folder.join(&names[5])).unwrap();
    }
    trial.order("gate open").await;
    let run = trial.end(child).await;
    run.stopped("LogChainGap", exit::APPROVAL);
    assert_eq!(run.applied().last(), Some(&names[4]), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_backup_is_applied_whatever_its_name_is() {
    each(["mgc_tail.bak", "MGC_TAIL.TRN", "tail", "mgc.log", "ends.txt"], |name| async move {
        let trial = Trial::start("").await;
        trial.write(6).await;
        trial.order("backup-log").await;
        trial.order(&format!("move share last {name}")).await;
        ends(&trial).await;
        let run = trial.converge(&[]).await;
        trial.served(&run).await;
        assert!(run.applied().iter().any(|n| n == name), "{name} was passed over: {run}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_backup_is_named_and_holds_nothing_up() {
    let trial = Trial::disaster("").await;
    trial.order("litter readme.txt").await;
    trial.order("litter desktop.ini").await;
    let told = trial.end(trial.begin("plan", &[])).await;
    let warnings = told.document["warnings"].to_string();
    assert!(warnings.contains("readme.txt") && warnings.contains("desktop.ini"), "{warnings}");
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
}

/// The header tells that a backup is there; only RESTORE finds that its body is damaged.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_body_behind_a_whole_header_is_a_stop_that_names_the_file() {
    let trial = Trial::disaster("").await;
    let names = trial.files("share");
    let whole = std::fs::read(trial.share().join(&names[7])).unwrap();
    trial.order(&format!("corrupt share {}", names[7])).await;
    let run = trial.converge(&[]).await;
    run.stopped("BackupDamaged", exit::APPROVAL).tells(&[
        &names[7],
        "3189",
        &names[8],
        "ends before it, at LSN",
        &names[6],
    ]);
    assert_eq!(run.applied().last(), Some(&names[6]), "{run}");
    assert_eq!(trial.database(BACKUP), "restoring");
    // Replaced by the same set, whole: nothing in its header tells.
    let child = trial.begin("converge", &["--wait", "5m"]);
    trial.looked_at(BACKUP, trial.batches(BACKUP).await.len() + 12).await;
    std::fs::write(trial.share().join(&names[7]), whole).unwrap();
    let run = trial.end(child).await;
    trial.delivered(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_body_is_read_in_the_other_place_and_given_up_only_by_approval() {
    let trial = Trial::start(&copied(3)).await;
    dies(&trial).await;
    let names = trial.files("share");
    trial.order(&format!("corrupt folder {}", names[6])).await;
    trial.order(&format!("corrupt both {}", names[8])).await;
    let run = trial.converge(&[]).await;
    run.stopped("BackupDamaged", exit::APPROVAL).tells(&[&names[8]]);
    assert_eq!(run.applied().last(), Some(&names[7]), "{run}");
    let run = trial.converge(&["--approve", run.digest()]).await;
    trial.delivered(&run).await;
    assert_eq!(run.unread(), [names[8].clone()], "{run}");
}

/// msdb's clean-up took the history of a STANDBY copy: the server still refuses what does not fit.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_copy_without_history_is_told_by_the_server_where_it_stands() {
    each(
        [
            "{backups: 8, copied: 5, restored: 3, standby: true}",
            "{backups: 8, copied: 8, restored: 8, standby: true}",
        ],
        |shipped| async move {
            let trial = Trial::start(&format!("logShipping: {shipped}")).await;
            trial.order(&format!("forget-history {BACKUP}")).await;
            dies(&trial).await;
            trial.order(&format!("hold-session {BACKUP}")).await;
            let run = trial.converge(&[]).await;
            trial.delivered(&run).await;
            assert_eq!(run.applied().last(), trial.files("share").last(), "{run}");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_copy_without_history_or_a_next_file_is_a_question_and_no_dead_end() {
    let trial = Trial::start("logShipping: {backups: 8, copied: 8, restored: 8, standby: true}").await;
    trial.order(&format!("forget-history {BACKUP}")).await;
    ends(&trial).await;
    let run = trial.converge(&[]).await;
    run.stopped("DatabaseUnusable", exit::APPROVAL).tells(&["msdb remembers no restore", "WITH NORECOVERY"]);
    assert_eq!(trial.database(BACKUP), "online standby");
    let run = trial.converge(&["--approve", run.digest()]).await;
    assert_eq!(run.code, exit::DONE, "{run}");
    trial.one_side_writes();
    assert_eq!(trial.database(BACKUP), "online");
    trial.quiet().await;
}

/// Each torn file is judged by its own two looks: one that turns up later starts no clock anew, and an approval holds for the
/// next ones.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_never_stops_leaving_garbage_is_a_question_within_a_minute() {
    let trial = Trial::disaster("").await;
    let litter = async |run: tokio::process::Child| {
        let end = trial.end(run);
        tokio::pin!(end);
        for n in 0.. {
            tokio::select! {
                run = &mut end => return run,
                () = tokio::time::sleep(Duration::from_millis(1500)) => {}
            }
            trial.order(&format!("litter mgc_2026112223{n:04}.trn")).await;
        }
        unreachable!()
    };
    let begun = std::time::Instant::now();
    let run = litter(trial.begin("converge", &[])).await;
    run.stopped("BackupsUnknown", exit::APPROVAL);
    assert!(begun.elapsed() < Duration::from_secs(50), "it took {:?}", begun.elapsed());
    let run = litter(trial.begin("converge", &["--approve", run.digest()])).await;
    assert_eq!(run.code, exit::DONE, "{run}");
    trial.truthful(&run);
}
