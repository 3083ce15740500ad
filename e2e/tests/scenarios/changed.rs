//! What a run says is changed and not changed, held against what is: steps done by hand in every number, and a stop behind them.

use crate::common::{BACKUP, Run, Trial, each, exit};
use serde_json::Value;

const DECLARED: &str = r"logShipping: {share: '\\files\pchat-logs', folder: 'D:\LogShip'}";

/// Every claim that the sentences make about the copy and its log shipping is true of the lab, and none contradicts another.
#[track_caller]
fn true_of(trial: &Trial, run: &Run, what: &str) {
    let changed = run.document["stop"]["changed"].as_str().unwrap_or_else(|| panic!("{what}: {run}"));
    let told = run.told();
    let state = trial.database(BACKUP);
    let recovered = ["is recovered", "is ONLINE"].iter().any(|words| changed.contains(words));
    let waiting =
        ["is not recovered", "is still RESTORING", "is still STANDBY"].iter().any(|w| changed.contains(w));
    assert_eq!((recovered, waiting), (state == "online", state != "online"), "{what}, {state}: {changed}");
    let jobs = trial.server(BACKUP)["agent"]["jobs"].clone();
    let jobs: Vec<Value> = match jobs {
        Value::Array(jobs) => jobs,
        Value::Object(jobs) => jobs.into_iter().map(|(_, job)| job).collect(),
        other => panic!("jobs: {other}"),
    };
    let enabled = jobs.iter().filter(|job| job["enabled"] == true).count();
    if changed.contains("jobs stay disabled") || changed.contains("jobs are disabled") {
        assert_eq!((jobs.len(), enabled), (2, 0), "{what}: {changed}");
    }
    if changed.contains("jobs are enabled") {
        assert_eq!((jobs.len(), enabled), (2, 2), "{what}: {changed}");
    }
    if changed.contains("is gone") {
        assert_eq!(jobs.len(), 0, "{what}: {changed}");
    }
    // What is changed is told there and nowhere else.
    let elsewhere = told.replace(changed, "");
    for words in
        ["Nothing was changed", "was not recovered", "Nothing was recovered", "database part is done"]
    {
        assert!(!elsewhere.contains(words), "{what}: {words:?} in {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_told_as_changed_is_what_is_whoever_did_it_and_wherever_it_stops() {
    let by_hand: [u8; 5] = [0, 1, 3, 4, 6];
    let cases = [
        ("store unwritable", "CentralManagementUnavailable", &by_hand[..]),
        ("kill host fe-ks1", "ManagementShellUnavailable", &by_hand[..]),
        // What was applied by hand is not missed any more.
        ("hide last-1", "LogChainGap", &by_hand[..2]),
    ];
    let cases =
        cases.into_iter().flat_map(|(order, stop, steps)| steps.iter().map(move |n| (order, stop, *n)));
    each(cases, |(order, stop, steps)| async move {
        let trial = Trial::disaster("").await;
        trial.declare(DECLARED);
        for step in 1..=steps {
            trial.order(&format!("runbook {step}")).await;
        }
        trial.order(order).await;
        let run = trial.converge(&[]).await;
        // An ONLINE copy that nobody vouches for needs the shell first, and a pool that is FailedOver needs no store but for its list.
        assert_eq!(run.stop(), stop, "{order} after {steps} steps by hand: {run}");
        assert_ne!(run.code, exit::DONE, "{run}");
        true_of(&trial, &run, &format!("{order} after {steps} steps by hand"));
    })
    .await;
}
