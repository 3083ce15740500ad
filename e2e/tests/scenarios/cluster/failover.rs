//! `kubectl apply` of one changed word.

use std::process::Stdio;

use tokio::process::Command;

use super::{Site, is};
use crate::common::BACKUP;

/// The pool is moved by the manifest alone, and `kubectl wait` returns when it is and not before.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn an_applied_word_moves_the_pool_and_wait_returns_when_it_is_moved() {
    let (site, replica) = Site::calm("").await;
    site.trial.order("kill site primary").await;
    site.turn("backup");
    // Started at once, while the old conditions still stand: they are of another generation.
    let program = site.plane.programs().join("kubectl");
    let mut wait = Command::new(program);
    wait.args(["wait", "--for=condition=Ready", "--timeout=170s", "pchat/chat", "-n", &site.namespace]);
    wait.env("KUBECONFIG", site.plane.kubeconfig()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let waited = wait.output().await.unwrap();
    assert!(waited.status.success(), "{}{}", String::from_utf8_lossy(&waited.stderr), site.describe());
    let pool = site.pool();
    assert!(is(&pool, "Ready", "True"), "{pool:#}");
    assert_eq!(pool["status"]["activeDatabase"], "backup", "{pool:#}");
    assert_eq!(site.trial.database(BACKUP), "online");
    println!("{}", site.describe());
    assert_eq!(replica.stop().await, 0);
}
