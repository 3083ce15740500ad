//! The rights that the chart gives.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{CHART, Site, condition, is};
use crate::common::BACKUP;

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

/// Who may edit is refused the annotation, whichever way he writes it; who may approve is not.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn only_who_may_approve_writes_the_annotation_that_accepts_a_loss() {
    let site = Site::start("").await;
    let watched = format!("watchNamespace={},approvals.restrict=true,userRoles.install=true", site.namespace);
    site.install(&["--set", &watched]);
    site.apply();
    for (user, role) in [("vera", "view"), ("edith", "edit"), ("arno", "approve")] {
        let (role, user) = (format!("--clusterrole=persistentchatpools-{role}"), format!("--user={user}"));
        site.kubectl(&["create", "rolebinding", &user[7..], &role, &user]);
    }
    let run = |user: &str, arguments: &[&str]| {
        let place = ["-n", site.namespace.as_str(), "--as", user];
        site.plane.kubectl(&[&place[..], arguments].concat(), "").map_err(|error| error.to_string())
    };
    let annotate = |user: &str, what: &str| run(user, &["annotate", "pchat", "chat", "--overwrite", what]);
    let approve = |user: &str, digest: &str| annotate(user, &format!("persistentchat.io/approve={digest}"));

    // A policy takes a moment to be known.
    let begin = std::time::Instant::now();
    let mut told = approve("edith", "1111-1111");
    while told.is_ok() && begin.elapsed() < super::PATIENCE {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        annotate("edith", "persistentchat.io/approve-").unwrap();
        told = approve("edith", "1111-1111");
    }
    let told = told.expect_err("who may edit can approve");
    for word in ["edith", "may not approve", "persistentchatpools-approve"] {
        assert!(told.contains(word), "{told}");
    }
    annotate("edith", "persistentchat.io/suspend=true").expect("another annotation");
    run("edith", &["patch", "pchat", "chat", "--type=merge", "-p", r#"{"spec":{"silentFor":"2m"}}"#])
        .expect("the spec");
    let whole = site
        .manifest()
        .replace("{name: chat,", "{name: other, annotations: {persistentchat.io/approve: 1111-1111},");
    let place = ["-n", site.namespace.as_str(), "--as", "edith", "create", "-f", "-"];
    let pool = whole.split("\n---").next().unwrap();
    let told = site.plane.kubectl(&place, pool).expect_err("a new pool that is approved already").to_string();
    assert!(told.contains("may not approve"), "{told}");

    approve("arno", "2222-2222").expect("who may approve");
    annotate("edith", "persistentchat.io/suspend-").expect("what was approved by another stays");
    let told = approve("edith", "3333-3333").expect_err("another digest");
    assert!(told.contains("may not approve"), "{told}");
    annotate("edith", "persistentchat.io/approve-").expect("taking it away is safe");

    run("vera", &["get", "pchat", "chat"]).expect("who may view");
    annotate("vera", "persistentchat.io/suspend=true").expect_err("and no more");
    assert!(run("vera", &["get", "secret", "pchat-sql"]).is_err());
}

/// Who may edit a pool points it at a host of his own: nobody logs in there, and nothing out of the Secret is told.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Go"]
async fn a_pool_that_is_pointed_elsewhere_does_not_carry_the_password_there() {
    let (site, replica) = Site::calm("").await;
    let logins =
        async |host: &str| site.trial.order(&format!("logins {host}")).await["refused"].as_u64().unwrap();
    let patch = |json: &str| site.kubectl(&["patch", "pchat", "chat", "--type=merge", "-p", json]);
    // The lab's own shell stands for a host that the SQL Secret does not name.
    patch(r#"{"spec":{"backup":{"database":{"host":"fe-ks1.contoso.com"}}}}"#);
    let pool = site.until("the refusal", |pool| is(pool, "Ready", "False")).await;
    let ready = condition(&pool, "Ready");
    assert_eq!(ready["reason"], "InvalidDeclaration", "{pool:#}");
    let message = ready["message"].as_str().unwrap();
    for word in ["spec.backup.database.host", "pchat-sql", "fe-ks1.contoso.com", "persistentchat.io/hosts"] {
        assert!(message.contains(word), "{message}");
    }
    patch(&format!(
        r#"{{"spec":{{"backup":{{"database":{{"host":"{BACKUP}","encryption":"Plaintext"}}}}}}}}"#
    ));
    let weak = |pool: &Value| {
        condition(pool, "Ready")["message"].to_string().contains("--least-encryption Plaintext")
    };
    let pool = site.until("the refusal of clear text", weak).await;
    let all = format!("{:#} {}", pool["status"], site.kubectl(&["get", "events", "-o", "json"]));
    assert!(!all.contains("pchat_operator") && !all.contains("Pa55w.rd"), "{all}");
    site.admin(&["annotate", "secret", "pchat-sql", "-n", &site.namespace, "persistentchat.io/hosts-"], "");
    patch(r#"{"spec":{"backup":{"database":{"encryption":"Required"}}}}"#);
    let demanded =
        |pool: &Value| condition(pool, "Ready")["message"].to_string().contains("--demand-secret-hosts");
    site.until("the demand", demanded).await;
    site.apply();
    site.until("Ready", |pool| is(pool, "Ready", "True")).await;
    assert_eq!(logins(BACKUP).await, 0);
    assert_eq!(replica.stop().await, 0);
}
