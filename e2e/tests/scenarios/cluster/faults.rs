//! The operator is killed, the API server goes, what was written is lost: no harm, and it converges.

use super::{Site, condition, is, own};
use crate::common::{BACKUP, each};
use crate::crashes::actions;

/// Safety rules 2 and 7: killed at any action, the next replica finishes what was begun.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn a_replica_that_is_killed_at_any_action_is_followed_by_one_that_finishes() {
    let actions = actions().await;
    each(actions, |action| async move {
        let (site, mut first) = Site::calm("").await;
        site.trial.order(&format!("hold {} {}", action.far_end, action.first)).await;
        site.disaster().await;
        let what = site.trial.held(&mut first.child).await;
        let what = what.unwrap_or_else(|| panic!("{action:?} was not met\n{}", site.describe()));
        eprintln!("killed at {what}");
        first.kill().await;
        site.trial.order("gate refuse").await;
        // Its Lease has not lapsed yet; the far end's own fence is what is tried here.
        let next = site.operator("next", &["--no-leader-election"]);
        site.moved().await;
        assert_eq!(next.stop().await, 0);
    })
    .await;
}

/// The cluster is no part of the failover: without an API server the pool is moved all the same, and the status follows.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn an_api_server_that_dies_in_mid_failover_is_told_of_it_when_it_is_back() {
    let (site, mut replica) = Site::calm_on(own("dying")).await;
    site.trial.order(&format!("hold {BACKUP} 3")).await;
    site.disaster().await;
    site.trial.held(&mut replica.child).await.expect("an action");
    site.plane.stop_api_server().unwrap();
    site.trial.order("gate open").await;
    site.trial.until("a pool that serves", |trial| trial.database(BACKUP) == "online").await;
    site.plane.start_api_server().unwrap();
    site.moved().await;
    assert_eq!(replica.stop().await, 0);
}

/// Safety rule 5: who can't hear whether he still has the Lease, or whether the field was turned back, begins nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn a_failover_is_not_begun_while_the_api_server_does_not_answer() {
    let (site, replica) = Site::calm_on(own("deaf")).await;
    site.trial.edit("silentFor: 1s", "silentFor: 25s");
    site.trial.order("mark").await;
    site.disaster().await;
    site.until("the wait for silence", |pool| condition(pool, "Ready")["reason"] == "SilenceTooShort").await;
    site.plane.stop_api_server().unwrap();
    // The silence is long enough before this is over, and the Lease in doubt for long.
    tokio::time::sleep(std::time::Duration::from_secs(35)).await;
    site.trial.untouched_but_for_the_silence();
    assert!(replica.log().contains("has not confirmed the Lease"), "{}", replica.log());
    site.plane.start_api_server().unwrap();
    site.moved().await;
    assert_eq!(replica.stop().await, 0);
}

/// The journal at the far end is what counts: a status that is wiped in mid-failover is written again and changes nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn a_status_that_is_wiped_is_written_again() {
    let (site, mut replica) = Site::calm("").await;
    let wipe = ["patch", "pchat", "chat", "--subresource=status", "--type=merge", "-p", r#"{"status":null}"#];
    site.kubectl(&wipe);
    site.until("the status of a calm pool", |pool| is(pool, "Ready", "True")).await;
    site.trial.order(&format!("hold {BACKUP} 3")).await;
    site.disaster().await;
    site.trial.held(&mut replica.child).await.expect("an action");
    site.kubectl(&wipe);
    site.until("the status of a moving pool", |pool| {
        pool["status"]["plan"]["transition"] == "ForcedFailover"
    })
    .await;
    site.trial.order("gate open").await;
    site.moved().await;
    assert_eq!(replica.stop().await, 0);
}

/// A Secret that is missing is named; when it comes, nothing needs to be restarted. The same for a password that changes.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn secrets_are_taken_up_when_they_come_and_when_they_change() {
    let site = Site::start("").await;
    site.trial.write(3).await;
    site.apply();
    site.kubectl(&["delete", "secret", "pchat-sql"]);
    let replica = site.operator("operator-0", &[]);
    let told = site.until("word of the Secret", |pool| is(pool, "Stalled", "True")).await;
    let stalled = condition(&told, "Stalled");
    assert_eq!(stalled["reason"], "InvalidDeclaration", "{stalled:#}");
    assert!(stalled["message"].as_str().unwrap().contains("pchat-sql"), "{stalled:#}");
    site.apply();
    site.until("Ready", |pool| is(pool, "Ready", "True")).await;
    let wrong = ["patch", "secret", "pchat-sql", "-p", r#"{"stringData":{"password":"not-it-Pa55w.rd"}}"#];
    site.kubectl(&wrong);
    let told = site.until("word of the login", |pool| !is(pool, "Ready", "True")).await;
    let text = told.to_string();
    assert!(text.contains("18456"), "{told:#}");
    site.apply();
    site.until("Ready", |pool| is(pool, "Ready", "True")).await;
    let everything = format!("{}{}", site.describe(), replica.log());
    assert!(!everything.contains("not-it-Pa55w.rd"), "a password was told");
    assert_eq!(replica.stop().await, 0);
}

/// An object that was stored before a rule existed is told as bad input, and harms neither itself nor its neighbours.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn an_object_of_an_older_schema_is_refused_by_name_and_its_neighbour_is_served() {
    let plane = own("older");
    let lax = r#"[{"op":"replace","path":"/spec/versions/0/schema/openAPIV3Schema",
                   "value":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}]"#;
    let kind = "persistentchatpools.persistentchat.io";
    plane.kubectl(&["patch", "crd", kind, "--type=json", "-p", lax], "").unwrap();
    let (site, replica) = {
        let old = r#"{"apiVersion":"persistentchat.io/v1alpha1","kind":"PersistentChatPool",
                      "metadata":{"name":"old","namespace":"default"},
                      "spec":{"activeDatabase":"backup","poolFqdn":"chat.contoso.com"}}"#;
        // The schema is taken over some moments after it is stored.
        let begin = std::time::Instant::now();
        while let Err(error) = plane.kubectl(&["create", "-f", "-"], old) {
            assert!(begin.elapsed() < super::PATIENCE, "{error}");
        }
        let crd = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/persistentchatpools.yaml");
        plane.kubectl(&["replace", "-f", &crd.to_string_lossy()], "").unwrap();
        Site::calm_on(plane).await
    };
    // The one that watches every namespace meets both.
    site.install(&["--set", "watchNamespace="]);
    let kubeconfig = site.service_account();
    assert_eq!(replica.stop().await, 0);
    let all = site.operator_everywhere(&kubeconfig, "everywhere");
    // The API server takes no status for an object that breaks its rules; it takes events.
    let begin = std::time::Instant::now();
    loop {
        let events = site.admin(&["events", "-n", "default", "--for", "pchat/old"], "");
        if events.contains("InvalidDeclaration") && events.contains("spec.backup") {
            break;
        }
        assert!(begin.elapsed() < super::PATIENCE, "{events}\n{}", site.describe());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    site.disaster().await;
    site.moved().await;
    assert_eq!(all.stop().await, 0);
}
