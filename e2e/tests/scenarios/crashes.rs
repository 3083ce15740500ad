//! `kill -9` before and after every single action, replies that are lost, and calls that come late.
//!
//! Each effect at each far end is met once in each way. The effect of a killed run may never come, may come behind its
//! back while the next run is already there, or may have come with nobody left to hear of it.

use crate::common::{BACKUP, Trial, each};
use std::time::Duration;
use tokio::sync::OnceCell;

/// What becomes of the effect at which a run is killed.
#[derive(Clone, Copy, Debug)]
enum Effect {
    /// It never comes.
    Never,
    /// It comes when the next run has begun.
    Late,
    /// It has come.
    Done,
}

/// A batch or cmdlet with effects: the far end, and which of its effects are this one's.
#[derive(Clone, Copy, Debug)]
pub struct Action {
    pub far_end: &'static str,
    pub first: usize,
    pub last: usize,
}

/// The actions of a failover in which nothing goes wrong.
pub async fn actions() -> Vec<Action> {
    static ACTIONS: OnceCell<Vec<Action>> = OnceCell::const_new();
    ACTIONS.get_or_init(observed_actions).await.clone()
}

async fn observed_actions() -> Vec<Action> {
    let trial = Trial::disaster("").await;
    trial.order("mark").await;
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
    let mut actions = Vec::new();
    let mut next = 0;
    for batch in trial.batches(BACKUP).await {
        let effects = batch["effects"].as_array().unwrap().len();
        if effects > 0 && batch["program"] == "pchat-operator" {
            actions.push(Action { far_end: BACKUP, first: next, last: next + effects - 1 });
            next += effects;
        }
    }
    assert!(actions.len() >= 7, "only {actions:?}");
    actions.extend((0..3).map(|n| Action { far_end: "shell", first: n, last: n }));
    actions
}

/// Kills a run at the `k`-th effect of a far end and lets the next one finish. False when a run has no such effect.
async fn killed_at(action: Action, effect: Effect) -> bool {
    let Action { far_end, first, last } = action;
    let k = if matches!(effect, Effect::Done) { last } else { first };
    let trial = Trial::disaster("").await;
    let order = match effect {
        Effect::Never | Effect::Late => "hold",
        Effect::Done => "hold-reply",
    };
    trial.order(&format!("{order} {far_end} {k}")).await;
    let mut child = trial.begin("converge", &["--executor", "killed"]);
    let Some(what) = trial.held(&mut child).await else {
        let run = trial.end(child).await;
        trial.delivered(&run).await;
        return false;
    };
    eprintln!("{far_end} {k} {effect:?}: {what}");
    trial.kill(child).await;
    if !matches!(effect, Effect::Late) {
        trial.order(if matches!(effect, Effect::Never) { "gate refuse" } else { "gate open" }).await;
    }
    let next = trial.begin("converge", &["--executor", "next"]);
    if matches!(effect, Effect::Late) {
        // The next run has looked, and may have tried.
        let before = trial.batches(BACKUP).await.len();
        while trial.batches(BACKUP).await.len() < before + 3 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        trial.order("gate open").await;
    }
    let run = trial.end(next).await;
    assert_eq!(run.code, 0, "killed at {far_end} {k} {effect:?} ({what}): {run}");
    match effect {
        Effect::Done => trial.delivered(&run).await,
        Effect::Never | Effect::Late => trial.served(&run).await,
    }
    true
}

async fn killed_at_each(effect: Effect) {
    let actions = actions().await;
    each(actions, |a| async move { assert!(killed_at(a, effect).await, "{a:?} was not met") }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_before_any_action_is_finished_by_the_next() {
    killed_at_each(Effect::Never).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_killed_after_any_action_is_finished_by_the_next() {
    killed_at_each(Effect::Done).await;
}

/// Safety rule 2: a request that comes behind its dead caller's back, while its successor is already there, does no harm.
/// The one that takes ownership late makes the successor wait until the dead owner's mark has lapsed.
#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_comes_when_its_run_is_long_dead_does_no_harm() {
    killed_at_each(Effect::Late).await;
}

/// Safety rules 7 and 8: an unknown outcome is read again, never assumed, and what is set twice is set once.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_to_any_action_is_looked_up_by_the_same_run() {
    let actions = actions().await;
    each(actions, |action| async move {
        let trial = Trial::disaster("").await;
        trial.order(&format!("lose-reply {} {}", action.far_end, action.last)).await;
        let run = trial.converge(&[]).await;
        assert_eq!(run.code, 0, "{action:?}: {run}");
        assert_ne!(run.document["run"]["failures"], serde_json::json!([]), "{action:?} was not met");
        trial.served(&run).await;
    })
    .await;
}

/// An error of the far end's own at any action: tried again, and told.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_at_any_action_is_tried_again_by_the_same_run() {
    let actions = actions().await;
    each(actions, |action| async move {
        let trial = Trial::disaster("").await;
        trial.order(&format!("fault {} 1205 {}", action.far_end, action.first)).await;
        let run = trial.converge(&[]).await;
        assert_eq!(run.code, 0, "{action:?}: {run}");
        assert_ne!(run.document["run"]["failures"], serde_json::json!([]), "{action:?} was not met");
        trial.served(&run).await;
    })
    .await;
}
