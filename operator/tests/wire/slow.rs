//! Far ends that hang: what they hold up, for how long, and what is said of them.

use std::time::{Duration, Instant};

use pchat_operator::far_end::{FarEnd, Freshness};
use pchat_operator::observe::HOME;
use pchat_operator::real::RealFarEnd;
use pchat_planner::facts::{Contact, Facts};

use crate::bench::{BACKUP, PRIMARY, instance, look, quiet};

/// A pass, and how long it took.
async fn pass(far: &RealFarEnd, demand: Freshness) -> (Facts, Duration) {
    let begun = Instant::now();
    (far.observe(demand).await, begun.elapsed())
}

/// Looks until `there` holds.
async fn until(far: &RealFarEnd, within: Duration, there: impl Fn(&Facts) -> bool) -> Facts {
    let begun = Instant::now();
    loop {
        let facts = far.observe(Freshness::LATEST).await;
        if there(&facts) {
            return facts;
        }
        assert!(begun.elapsed() < within, "{:?}", facts.shell);
        far.news(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn a_share_that_hangs_holds_up_neither_the_copy_folder_nor_a_server_nor_the_first_pass() {
    let bench = quiet("").await;
    bench.order(&format!(r"hang {BACKUP} 6000 \\files\pchat-logs")).await;
    let far = bench.far();
    let (facts, took) = pass(&far, Freshness::all_since(jiff::Timestamp::now())).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    let backups = facts.backups.value().expect("where to look is known");
    assert!(backups.share.is_pending(), "{:?}", backups.share);
    assert_eq!(
        backups.folder.value().map(|names| names.iter().filter(|n| n.ends_with(".trn")).count()),
        Some(4)
    );
    assert!(backups.files.values().all(|file| file.on_share.is_none() && file.in_folder.is_some()));
    assert!(instance(&facts, HOME).state.value().is_some());
    assert!(instance(&facts, PRIMARY).state.value().is_some());
    let said = pchat_planner::looking(&bench.ends.pool, &facts);
    assert!(said.iter().any(|look| look.what == r"share \\files\pchat-logs is being listed"), "{said:?}");
    // A pass after the first waits for nothing.
    let (_, took) = pass(&far, Freshness::LATEST).await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    let listed = |f: &Facts| f.backups.value().is_some_and(|b| b.share.value().is_some());
    until(&far, Duration::from_secs(60), listed).await;
    far.close().await;
}

#[tokio::test]
async fn a_shell_that_takes_the_connection_and_says_nothing_is_told_as_that_within_seconds() {
    let bench = quiet("").await;
    let shell = bench.ends.shell.host.clone();
    bench.order(&format!("mute host {shell}")).await;
    let far = bench.far();
    let (facts, took) = pass(&far, Freshness::all_since(jiff::Timestamp::now())).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(matches!(facts.shell.contact, Contact::Pending { .. }), "{:?}", facts.shell);
    assert!(instance(&facts, HOME).state.value().is_some());
    assert!(facts.backups.value().is_some_and(|b| b.share.value().is_some() && b.folder.value().is_some()));
    let told = |f: &Facts| !matches!(f.shell.contact, Contact::Pending { .. });
    let begun = Instant::now();
    let facts = until(&far, Duration::from_secs(60), told).await;
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    match &facts.shell.contact {
        Contact::Unusable { detail } => {
            assert!(detail.contains("accepted the connection but did not answer"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_cmdlet_that_hangs_hides_nothing_of_what_was_told_before_it() {
    let bench = quiet("").await;
    bench.order("hang shell 8000 Get-CsManagementStoreReplicationStatus").await;
    let far = bench.far();
    let known = |f: &Facts| f.shell.pool_state.value().is_some() && f.shell.servers.value().is_some();
    let facts = until(&far, Duration::from_secs(7), known).await;
    assert!(
        facts.shell.replicated.is_pending() && facts.shell.store_writable.is_pending(),
        "{:?}",
        facts.shell
    );
    assert_eq!(facts.shell.contact, Contact::Answers);
    let whole = |f: &Facts| f.shell.store_writable.value().is_some();
    until(&far, Duration::from_secs(60), whole).await;
    far.close().await;
}

#[tokio::test]
async fn a_fact_that_is_older_than_it_must_be_is_not_there_and_comes_by_itself() {
    let bench = quiet("").await;
    let far = bench.far();
    let facts = look(&far).await;
    assert!(facts.shell.pool_state.value().is_some());
    bench.order("hang shell 4000").await;
    let now = Some(jiff::Timestamp::now());
    let (facts, _) = pass(&far, Freshness { pool_state: now, ..Freshness::LATEST }).await;
    assert!(facts.shell.pool_state.is_pending(), "{:?}", facts.shell.pool_state);
    assert!(facts.shell.servers.value().is_some(), "only what was demanded: {:?}", facts.shell.servers);
    // The demand stands until it is met.
    let (facts, took) = pass(&far, Freshness::LATEST).await;
    assert!(facts.shell.pool_state.is_pending() && took < Duration::from_secs(3), "{took:?}");
    let new = |f: &Facts| f.shell.pool_state.value().is_some();
    let facts = until(&far, Duration::from_secs(60), new).await;
    assert!(Some(facts.shell.pool_state.at()) >= now);
    far.close().await;
}
