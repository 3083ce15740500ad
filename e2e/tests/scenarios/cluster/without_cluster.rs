//! The cluster itself is gone.

use super::{Site, is, own};
use crate::common::BACKUP;

/// The operator and its API server die in mid-failover; the command line finishes it with the same manifest. When the cluster is
/// back, its operator finds everything as declared and changes nothing.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn the_command_line_finishes_what_a_lost_cluster_has_begun() {
    let (site, mut replica) = Site::calm_on(own("lost")).await;
    site.trial.order(&format!("hold {BACKUP} 4")).await;
    site.disaster().await;
    site.trial.held(&mut replica.child).await.expect("an action");
    replica.kill().await;
    site.plane.stop_api_server().unwrap();
    site.trial.order("gate refuse").await;
    let run = site.trial.begin("converge", &["--executor", "laptop"]);
    let run = site.trial.end(run).await;
    site.trial.delivered(&run).await;
    site.plane.start_api_server().unwrap();
    site.trial.order("mark").await;
    let replica = site.operator("operator-1", &["--no-leader-election"]);
    let pool = site.until("Ready", |pool| is(pool, "Ready", "True")).await;
    assert_eq!(pool["status"]["activeDatabase"], "backup", "{pool:#}");
    assert_eq!(replica.stop().await, 0);
    site.trial.untouched();
}
