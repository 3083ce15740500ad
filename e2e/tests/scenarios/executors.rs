//! Two executors with state files of their own at one pool.

use crate::common::{BACKUP, Trial, exit, signal};
use std::process::Stdio;
use tokio::process::Command;

/// Safety rules 2 and 5: a run that slept through its displacement does nothing more, and says who owns the pool.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_executors_one_acts_and_the_other_says_who_owns_the_pool() {
    let trial = Trial::disaster("").await;
    trial.order(&format!("hold {BACKUP} 3")).await;
    let command =
        trial.stage.operator.command("converge", &["--executor", "laptop-1", "--state", "first.state.yaml"]);
    let mut first = Command::from(command)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    trial.held(&mut first).await.expect("an action");
    signal(&first, "-STOP");
    trial.order("gate open").await;
    let second = trial.begin("converge", &["--executor", "laptop-2", "--state", "second.state.yaml"]);
    trial.until("a new owner", |t| t.property("/owner").is_some_and(|o| o.contains("laptop-2"))).await;
    signal(&first, "-CONT");
    let (first, second) = tokio::join!(first.wait_with_output(), trial.end(second));
    let first = first.unwrap();
    let printed = String::from_utf8_lossy(&first.stdout);
    assert_eq!((first.status.code(), second.code), (Some(exit::DONE), exit::DONE), "{second}\n{printed}");
    assert!(printed.contains("OwnedByAnother") && printed.contains("laptop-2"), "{printed}");
    trial.delivered(&second).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executors_that_begin_together_converge_together() {
    let trial = Trial::disaster("").await;
    let begin = |n: usize| {
        let (executor, state) = (format!("laptop-{n}"), format!("{n}.state.yaml"));
        trial.begin("converge", &["--executor", &executor, "--state", &state])
    };
    let (a, b, c) = (begin(1), begin(2), begin(3));
    let (a, b, c) = tokio::join!(trial.end(a), trial.end(b), trial.end(c));
    for run in [&a, &b, &c] {
        assert_eq!(run.code, exit::DONE, "{run}");
        trial.truthful(run);
    }
    trial.delivered(&a).await;
}

/// Safety rule 5: the opposite intent of a live owner is a conflict for a person.
#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_wants_the_opposite_of_a_live_owner_asks_a_person() {
    let trial = Trial::disaster("").await;
    trial.order(&format!("hold {BACKUP} 4")).await;
    let mut first = trial.begin("converge", &["--executor", "laptop-1"]);
    trial.held(&mut first).await.expect("an action");
    let manifest = std::fs::read_to_string(trial.stage.manifest()).unwrap();
    let folder = trial.stage.lab.dir();
    std::fs::write(
        folder.join("other.yaml"),
        manifest.replace("activeDatabase: backup", "activeDatabase: primary"),
    )
    .unwrap();
    trial.order("mark").await;
    let arguments = [
        "pchat-operator",
        "converge",
        "-f",
        "other.yaml",
        "--hosts",
        "hosts",
        "-o",
        "json",
        "--executor",
        "laptop-2",
    ];
    let second = Command::new(&trial.stage.operator.binary)
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let second = trial.end(second).await;
    second.stopped("IntentConflict", exit::APPROVAL).tells(&["laptop-1"]);
    trial.untouched();
    trial.order("gate open").await;
    let first = trial.end(first).await;
    trial.delivered(&first).await;
}

/// Whoever acts holds the lock: it is seen, named and waited for, and no request is sent into it.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_executor_waits_for_a_held_lock_without_failed_tries() {
    let trial = Trial::disaster("").await;
    trial.order(&format!("hold {BACKUP} 4")).await;
    let mut first = trial.begin("converge", &["--executor", "laptop-1", "--state", "first.state.yaml"]);
    trial.held(&mut first).await.expect("an action");
    trial.order("mark").await;
    let second = trial.begin("converge", &["--executor", "laptop-2", "--state", "second.state.yaml"]);
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    trial.untouched();
    trial.order("gate open").await;
    let (first, second) = tokio::join!(trial.end(first), trial.end(second));
    for run in [&first, &second] {
        assert_eq!(run.code, exit::DONE, "{run}");
        let failures = run.document["run"]["failures"].to_string();
        assert!(!failures.contains("another executor is acting"), "{run}");
    }
    trial.delivered(&second).await;
}

/// A run that ended at a question says so at the far end: nobody waits two minutes for it, whatever is wanted next.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_run_that_ended_at_a_question() {
    let trial = Trial::disaster("").await;
    trial.order("hide last-2").await;
    let first = trial.converge(&["--executor", "laptop-1", "--state", "first.state.yaml"]).await;
    first.stopped("LogChainGap", exit::APPROVAL);
    let owner = trial.property("/owner").expect("an open transition has an owner");
    assert!(owner.contains("laptop-1") && owner.contains(r#""ended":true"#), "{owner}");
    trial.turn("primary");
    let begun = std::time::Instant::now();
    let second = trial.converge(&["--executor", "laptop-2", "--state", "second.state.yaml"]).await;
    assert_eq!(second.code, exit::DONE, "{second}");
    assert!(begun.elapsed() < std::time::Duration::from_secs(90), "it waited for the mark to lapse");
    assert!(trial.shipping_runs(), "{}", trial.standing(BACKUP));
}

/// An owner that stays at a stop lives, and whoever comes next sees it.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_at_a_stop_renews_its_mark() {
    let trial = Trial::disaster("").await;
    trial.order("hide last-2").await;
    let mut first = trial.begin("converge", &["--executor", "laptop-1", "--wait", "10m"]);
    trial.until("an owner", |t| t.property("/owner").is_some()).await;
    trial.until("jobs at rest", |t| !t.shipping_runs()).await;
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let mark = trial.property("/owner").expect("an owner");
    trial.order(&format!("clock {BACKUP} 30")).await;
    let begun = std::time::Instant::now();
    trial.until("a newer mark", |t| t.property("/owner").is_some_and(|o| o != mark)).await;
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    let owner = trial.property("/owner").expect("an owner");
    assert!(owner.contains("laptop-1") && !owner.contains("ended"), "{owner}");
    assert!(first.try_wait().unwrap().is_none());
    trial.kill(first).await;
}

/// A request of ours that is late past the end of the failover that it belonged to.
#[tokio::test(flavor = "multi_thread")]
async fn log_shipping_runs_again_after_a_call_off_whatever_was_late() {
    let trial = Trial::disaster("").await;
    trial.order(&format!("delay-call {BACKUP} 4000 4")).await;
    let run = trial.begin("converge", &[]);
    trial.until("a transition", |t| t.property("/journal").is_some()).await;
    trial.order("revive site primary").await;
    let run = trial.end(run).await;
    run.stopped("PlannedSwitchoverNeeded", exit::BLOCKED);
    assert!(!run.told().contains("Nothing was changed"), "{}", run.told());
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(trial.shipping_runs(), "log shipping does not run: {}", trial.standing(BACKUP));
    trial.turn("primary");
    let run = trial.converge(&[]).await;
    assert_eq!(run.code, exit::DONE, "{run}");
    assert!(trial.shipping_runs());
}

/// Two runs that stay at one question: the second takes over from the owner of its first look, and after that the owner is alive for
/// as long as it stays, however late it gets at the far end.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_runs_at_one_gap_the_owner_stays_the_owner() {
    let trial = Trial::disaster("").await;
    trial.order("hide last-2").await;
    let stays = |n: u32| {
        let (executor, state) = (format!("laptop-{n}"), format!("{n}.state.yaml"));
        trial.begin("converge", &["--executor", &executor, "--state", &state, "--wait", "10m"])
    };
    let first = stays(1);
    trial.until("jobs at rest", |t| !t.shipping_runs()).await;
    let second = stays(2);
    trial
        .until("the owner that came last", |t| t.property("/owner").is_some_and(|o| o.contains("laptop-2")))
        .await;
    let epoch = |t: &Trial| {
        let owner: serde_json::Value = serde_json::from_str(&t.property("/owner")?).ok()?;
        Some((owner["epoch"].to_string(), owner["mark"].as_str()?.to_owned()))
    };
    let (owner, mut mark) = epoch(&trial).expect("an owner");
    // Five minutes at the far end, which is more than twice the lapse.
    for ahead in (30..=300).step_by(30) {
        trial.order(&format!("clock {BACKUP} {ahead}")).await;
        trial.until("a newer mark", |t| epoch(t).is_some_and(|(_, now)| now > mark)).await;
        let (now, newer) = epoch(&trial).expect("an owner");
        assert_eq!(now, owner, "the pool changed hands after {ahead} s: {:?}", trial.property("/owner"));
        mark = newer;
    }
    trial.order("show").await;
    let (first, second) = tokio::join!(trial.end(first), trial.end(second));
    for run in [&first, &second] {
        assert_eq!(run.code, exit::DONE, "{run}");
    }
    trial.delivered(&first).await;
}
