//! A pool at which nothing happens.

use std::time::Duration;

use super::{CHART, Site};

/// A calm pool costs the API server no write but the Lease's, and no read but the watches that it ends by itself.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn a_calm_pool_is_never_written() {
    let seconds = std::env::var("PCHAT_STEADY_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let (site, replica) = Site::calm("").await;
    // Its first status may still be followed by its first events.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mark = site.plane.mark();
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let user = format!("system:serviceaccount:{}:{CHART}", site.namespace);
    let all = site.plane.audit(mark).unwrap();
    let (lease, others): (Vec<_>, Vec<_>) = all
        .iter()
        .filter(|request| request.user() == user)
        .partition(|request| request.resource() == "leases");
    println!("in {seconds} s: {} requests for the Lease, {} others", lease.len(), others.len());
    let writes: Vec<_> = others.iter().filter(|request| request.writes()).collect();
    assert!(writes.is_empty(), "{writes:#?}");
    // Two watches, each begun anew after some minutes.
    let few = 2 + seconds / 60;
    assert!(u64::try_from(others.len()).unwrap() <= few, "{others:#?}");
    assert!(u64::try_from(lease.len()).unwrap() <= 4 + seconds / 2, "{lease:#?}");
    assert_eq!(replica.stop().await, 0);
}
