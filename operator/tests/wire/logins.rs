//! Refused logins, counted where they are refused.

use std::sync::Arc;
use std::time::Duration;

use pchat_operator::brake::{Brakes, Pace};
use pchat_operator::far_end::{FarEnd, Freshness};
use pchat_operator::sql::target::Secret;
use pchat_planner::facts::Contact;
use pchat_psrp::Auth;
use tokio::time::{Instant, sleep};

use crate::bench::{BACKUP, Bench, look, quiet};

const SHELL: &str = "fe-ks1.contoso.com";
const SERVERS: [&str; 5] =
    [BACKUP, "sql-ks2.contoso.com", "sql-tp1.contoso.com", "sql-tp2.contoso.com", SHELL];

/// A pool with a wrong password everywhere, and waits that a test can sit out.
async fn wrong_everywhere(pace: Pace) -> Bench {
    let mut bench = quiet("").await;
    let brakes = Brakes::new(pace, "A new run tries at once.");
    for target in bench.ends.targets.values_mut() {
        let target = Arc::make_mut(target);
        target.credentials.password = Secret::new("not this one");
        target.credentials.brake = brakes.of(&target.host, &target.credentials.user, b"not this one");
    }
    let Auth::Negotiate { user, .. } = &bench.ends.shell.auth else { panic!("another authentication") };
    bench.ends.shell.auth = Auth::Negotiate { user: user.clone(), password: "not this one".into() };
    bench.ends.shell.brake = brakes.of(SHELL, "", b"not this one");
    bench
}

async fn refused(bench: &Bench) -> [u64; 5] {
    let mut counts = [0; 5];
    for (count, host) in counts.iter_mut().zip(SERVERS) {
        *count = bench.lab.order(&format!("logins {host}")).await.unwrap()["refused"].as_u64().unwrap();
    }
    counts
}

#[tokio::test]
async fn whoever_looks_a_refused_login_is_tried_once_then_ever_later_and_at_once_when_a_person_wants_it() {
    let second = Duration::from_secs(1);
    let bench = wrong_everywhere(Pace { first: second * 8, most: second * 60 }).await;
    let far = bench.far();
    let begun = Instant::now();
    let facts = look(&far).await;
    for (id, seen) in &facts.instances {
        let Contact::Unusable { detail } = &seen.contact else { panic!("{id:?}: {:?}", seen.contact) };
        let told = ["18456", "the next try is at", " UTC", "A new run tries at once."];
        assert!(told.iter().all(|word| detail.contains(word)), "{detail}");
    }
    while begun.elapsed() < second * 4 {
        far.observe(Freshness::all_since(jiff::Timestamp::now())).await;
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(refused(&bench).await, [1; 5]);
    while begun.elapsed() < second * 14 {
        far.observe(Freshness::all_since(jiff::Timestamp::now())).await;
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(refused(&bench).await, [2; 5], "after eight seconds, and not yet after sixteen more");
    bench.ends.lift_brakes();
    look(&far).await;
    assert_eq!(refused(&bench).await, [3; 5]);
    // What refuses a login is alive; what is dead is seen to be, however long the login waits.
    bench.order("kill host sql-tp1").await;
    let facts = look(&far).await;
    let primary = &facts.instances[&crate::bench::PRIMARY].contact;
    assert!(matches!(primary, Contact::Silent { .. }), "{primary:?}");
    far.close().await;
}
