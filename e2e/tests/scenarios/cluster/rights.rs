//! The rights that the chart gives.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{CHART, Site};

/// The operator is refused nothing that it asks for, and asks for everything that it is given: no right is there in vain.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn the_chart_gives_the_rights_that_a_failover_needs_and_no_more() {
    let site = Site::start("").await;
    let mark = site.plane.mark();
    let (site, replica) = site.attended().await;
    site.disaster().await;
    site.moved().await;
    assert_eq!(replica.stop().await, 0);
    let user = format!("system:serviceaccount:{}:{CHART}", site.namespace);
    let requests = site.plane.audit(mark).unwrap();
    let mut used = BTreeSet::new();
    for request in requests.iter().filter(|request| request.user() == user && !request.resource().is_empty())
    {
        assert!(request.code() < 400 || request.code() == 404, "{request:?}");
        assert_eq!(request.namespace(), site.namespace, "{request:?}");
        used.insert((request.resource(), request.verb().to_owned()));
    }
    let mut given = BTreeSet::new();
    for name in [CHART.to_owned(), format!("{CHART}-lease")] {
        let role: Value = serde_json::from_str(&site.kubectl(&["get", "role", &name, "-o", "json"])).unwrap();
        for rule in role["rules"].as_array().unwrap() {
            let words = |field: &str| -> Vec<String> { serde_json::from_value(rule[field].clone()).unwrap() };
            for resource in words("resources") {
                given.extend(words("verbs").into_iter().map(|verb| (resource.clone(), verb)));
            }
        }
    }
    // An event that comes again is counted up by a patch, which need not happen here.
    given.remove(&("events".into(), "patch".into()));
    used.remove(&("events".into(), "patch".into()));
    assert_eq!(used, given);
}
