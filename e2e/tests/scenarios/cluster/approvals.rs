//! Approvals are annotations: exactly what was shown, from whoever may write them, latched when first seen.

use super::{Site, condition, is};
use crate::common::BACKUP;

/// The digest that the condition shows in the command to type.
pub fn digest(pool: &serde_json::Value) -> String {
    let message = condition(pool, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    let digest = message.split("persistentchat.io/approve=").nth(1);
    let digest = digest.unwrap_or_else(|| panic!("no command in {message:?}"));
    digest.chars().take_while(|c| c.is_ascii_hexdigit() || *c == '-').collect()
}

/// Safety rule 3, and the rule of approvals: a gap is asked about; another digest changes nothing and is told of; the right
/// one goes on, even when the annotation is gone at once, as a GitOps engine would have it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn a_gap_is_accepted_by_the_annotation_with_its_digest_and_by_no_other() {
    let (site, replica) = Site::calm("").await;
    site.trial.order("remove last-2").await;
    site.trial.order("kill site primary").await;
    site.turn("backup");
    let asked = site.until("ApprovalRequired", |pool| is(pool, "ApprovalRequired", "True")).await;
    let ready = condition(&asked, "Ready");
    assert_eq!((&ready["status"], &ready["reason"]), (&"False".into(), &"LogChainGap".into()), "{ready:#}");
    assert!(is(&asked, "Reconciling", "True") && is(&asked, "Stalled", "False"), "{asked:#}");
    site.kubectl(&["annotate", "pchat", "chat", "persistentchat.io/approve=0000-0000"]);
    let told = site.until("word of the wrong approval", |pool| {
        let question = condition(pool, "ApprovalRequired")["message"].to_string();
        question.contains("0000-0000")
    });
    let told = told.await;
    assert!(is(&told, "ApprovalRequired", "True"), "{told:#}");
    // Another run begins, and owns the pool from then on; it does nothing to it.
    let log = replica.log();
    let since = log.find("LogChainGap").expect("the question is in the log");
    let sent: Vec<&str> = log[since..].lines().filter(|line| line.contains("an action is sent")).collect();
    assert!(sent.iter().all(|line| line.ends_with("step=TakeOwnership")), "{sent:#?}");
    let approve = format!("persistentchat.io/approve={}", digest(&asked));
    site.kubectl(&["annotate", "pchat", "chat", "--overwrite", &approve]);
    site.until("the approval in status", |pool| {
        pool["status"]["approval"]["digest"].as_str().is_some_and(|digest| approve.ends_with(digest))
    })
    .await;
    site.kubectl(&["annotate", "pchat", "chat", "persistentchat.io/approve-"]);
    let moved = site.until("Ready", |pool| is(pool, "Ready", "True")).await;
    assert_eq!(moved["status"]["activeDatabase"], "backup", "{moved:#}");
    assert_eq!(site.trial.database(BACKUP), "online");
    let history = &moved["status"]["history"][0];
    assert!(approve.ends_with(history["approval"].as_str().unwrap_or("none")), "{history:#}");
    assert_eq!(moved["status"]["approval"]["by"], "kubectl-annotate", "{moved:#}");
    assert_eq!(replica.stop().await, 0);
}

/// An approval covers what it was given for, and nothing that turned up later.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn a_new_hazard_makes_the_approval_of_the_older_plan_void() {
    let (site, replica) = Site::calm("").await;
    site.trial.order("remove last-2").await;
    site.trial.order("kill site primary").await;
    site.turn("backup");
    let asked = site.until("ApprovalRequired", |pool| is(pool, "ApprovalRequired", "True")).await;
    site.trial.order(&format!("revive host {}", crate::common::PRIMARY_MIRROR)).await;
    let other = site.until("another question", |pool| {
        is(pool, "ApprovalRequired", "True") && condition(pool, "Ready")["reason"] == "MirrorHoldsCommits"
    });
    let other = other.await;
    assert_ne!(digest(&asked), digest(&other));
    site.trial.order("mark").await;
    site.kubectl(&["annotate", "pchat", "chat", &format!("persistentchat.io/approve={}", digest(&asked))]);
    site.until("word of the void approval", |pool| {
        condition(pool, "ApprovalRequired")["message"].to_string().contains(&digest(&asked))
    })
    .await;
    site.trial.untouched();
    site.kubectl(&[
        "annotate",
        "pchat",
        "chat",
        "--overwrite",
        &format!("persistentchat.io/approve={}", digest(&other)),
    ]);
    site.until("Ready", |pool| {
        is(pool, "Ready", "True") || condition(pool, "SplitBrainSuspected")["status"] == "True"
    })
    .await;
    assert_eq!(site.trial.database(BACKUP), "online");
    assert_eq!(replica.stop().await, 0);
}
