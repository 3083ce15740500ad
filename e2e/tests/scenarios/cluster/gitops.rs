//! A Git commit, brought by Flux.

use std::path::Path;
use std::time::{Duration, Instant};

use pchat_controlplane::Flux;
use serde_json::Value;

use super::approvals::digest;
use super::{PATIENCE, Replica, Site, condition, is, own};
use crate::common::BACKUP;

/// A commit of one changed word moves the pool. Flux is ready for that commit when the pool is moved and not before, and
/// leaves alone the annotations by which people give orders.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn a_commit_moves_the_pool_and_flux_is_ready_when_it_is_moved() {
    let (site, mut replica, flux) = in_git("flux").await;
    site.kubectl(&["annotate", "pchat", "chat", "persistentchat.io/reconcile-at=now"]);

    site.trial.order("kill site primary").await;
    site.trial.order(&format!("hold {BACKUP} 3")).await;
    site.trial.turn("backup");
    let second = commit(&site, &flux, "Fail over to Kaohsiung");
    site.trial.held(&mut replica.child).await.expect("an action");
    let under_way = kustomization(&site);
    assert!(
        !revision(&under_way).contains(&second),
        "Flux is ready while the pool is being moved: {under_way:#}"
    );
    site.trial.order("gate open").await;
    applied(&site, &second).await;
    assert!(is(&site.pool(), "Ready", "True"), "Flux is ready and the pool is not\n{}", site.describe());
    let pool = site.moved().await;
    let annotations = &pool["metadata"]["annotations"];
    assert_eq!(annotations["persistentchat.io/reconcile-at"], "now", "Flux has removed it: {annotations:#}");
    assert_eq!(replica.stop().await, 0);
}

/// Where the failover needs an approval, Flux reports that the commit is not carried out, and why can be read at the pool;
/// the approval by annotation lets it go on, and then Flux is ready.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn a_commit_that_waits_for_an_approval_is_reported_by_flux_until_it_is_given() {
    let (site, replica, flux) = in_git("flux-blocked").await;
    site.trial.order("remove last-2").await;
    site.trial.order("kill site primary").await;
    site.trial.turn("backup");
    let second = commit(&site, &flux, "Fail over to Kaohsiung");
    let asked = site.until("ApprovalRequired", |pool| is(pool, "ApprovalRequired", "True")).await;
    let begin = Instant::now();
    loop {
        let ready = condition(&kustomization(&site), "Ready");
        let message = ready["message"].to_string();
        if ready["status"] == "False" && message.contains("PersistentChatPool") {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "{ready:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    site.kubectl(&["annotate", "pchat", "chat", &format!("persistentchat.io/approve={}", digest(&asked))]);
    applied(&site, &second).await;
    assert!(is(&site.pool(), "Ready", "True"), "{}", site.describe());
    assert_eq!(site.trial.database(BACKUP), "online");
    assert_eq!(replica.stop().await, 0);
}

/// A calm pool that stands in Git, with Flux and the operator at work.
async fn in_git(name: &str) -> (Site, Replica, Flux) {
    let (site, replica) = Site::calm_on(own(name)).await;
    let flux = Flux::start(site.plane).unwrap();
    std::fs::create_dir(flux.work().join("pools")).unwrap();
    let first = commit(&site, &flux, "Declare the pool");
    site.admin(&["apply", "-f", "-"], &sync(&flux));
    applied(&site, &first).await;
    (site, replica, flux)
}

/// Commits the pool as it is declared now, without its Secrets, and gives the commit.
fn commit(site: &Site, flux: &Flux, message: &str) -> String {
    let manifest = site.manifest();
    let pool = manifest.split("\n---\n").find(|text| text.contains("kind: PersistentChatPool")).unwrap();
    let place = format!("namespace: {}", site.namespace);
    let merge = format!("{place}, annotations: {{kustomize.toolkit.fluxcd.io/ssa: Merge}}");
    assert_eq!(pool.matches(&place).count(), 1, "{pool}");
    std::fs::write(flux.work().join("pools/chat.yaml"), pool.replace(&place, &merge)).unwrap();
    flux.push(message).unwrap()
}

/// The example for Flux, for this repository and with less patience.
fn sync(flux: &Flux) -> String {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/gitops/flux/sync.yaml");
    let mut text = std::fs::read_to_string(example).unwrap();
    for (from, to) in [
        ("https://git.contoso.com/lync/pools.git", flux.repository().as_str()),
        ("interval: 1m ", "interval: 1s "),
        ("retryInterval: 15s", "retryInterval: 1s"),
        ("timeout: 2m", "timeout: 15s"),
    ] {
        assert!(text.contains(from), "the example lacks {from:?}");
        text = text.replace(from, to);
    }
    text
}

fn kustomization(site: &Site) -> Value {
    let text = site.admin(&["get", "kustomization", "pchat-pools", "-n", "flux-system", "-o", "json"], "");
    serde_json::from_str(&text).unwrap()
}

/// The commit of which Flux says that it is there in full.
fn revision(kustomization: &Value) -> String {
    let conditions = kustomization["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let ready = conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "True");
    let applied = kustomization["status"]["lastAppliedRevision"].as_str().unwrap_or_default();
    if ready { applied.to_owned() } else { String::new() }
}

async fn applied(site: &Site, commit: &str) {
    let begin = Instant::now();
    loop {
        let now = kustomization(site);
        if revision(&now).contains(commit) {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{now:#}\n{}", site.describe());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
