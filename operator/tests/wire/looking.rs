//! What is seen, and what is said when it can't be seen.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pchat_operator::far_end::{FarEnd, Freshness};
use pchat_operator::observe::HOME;
use pchat_operator::sql::target::Secret;
use pchat_planner::facts::{Contact, DatabaseState, Header, Role};

use crate::bench::{BACKUP, BACKUP_MIRROR, PRIMARY, PRIMARY_MIRROR, home, instance, look, quiet};

fn unusable(contact: &Contact) -> &str {
    match contact {
        Contact::Unusable { detail } => detail,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_living_pool_is_seen_whole_and_nothing_is_changed_by_looking() {
    let bench = quiet("").await;
    let far = bench.far();
    let facts = look(&far).await;

    let primary = instance(&facts, PRIMARY).state.value().unwrap().clone();
    let database = primary.database.as_ref().unwrap();
    assert!(database.serves() && primary.ships_logs && primary.sysadmin);
    assert_eq!(database.mirroring.as_ref().unwrap().role, Role::Principal);
    let mirror = instance(&facts, PRIMARY_MIRROR).state.value().unwrap();
    assert_eq!(mirror.database.as_ref().unwrap().mirroring.as_ref().unwrap().role, Role::Mirror);

    let backup = home(&facts);
    let database = backup.database.as_ref().unwrap();
    assert_eq!(database.state, DatabaseState::Restoring);
    let position = database.position.clone().unwrap();
    assert_eq!(database.last_restored.as_ref().unwrap().last_lsn, position.lsn);
    let secondary = backup.secondary.as_ref().unwrap();
    assert_eq!(secondary.jobs().filter(|job| job.enabled == Some(true)).count(), 2);
    assert!(!secondary.shared);
    assert!(backup.journal.owner.is_none() && backup.journal_damage.is_none());

    let backups = facts.backups.value().unwrap();
    assert_eq!(backups.share.value().unwrap().iter().filter(|n| n.ends_with(".trn")).count(), 8);
    assert_eq!(backups.folder.value().unwrap().iter().filter(|n| n.ends_with(".trn")).count(), 4);
    assert!(backups.files.values().all(|f| matches!(f.on_share, Some(Header::Read(_)))));

    let (identity, _) = facts.shell.pool_state.value().unwrap_or_else(|| panic!("{:?}", facts.shell)).clone();
    assert!(identity.contains("chat.contoso.com"));
    assert_eq!(facts.shell.store_writable.value(), Some(&Ok(())));
    assert_eq!(facts.shell.servers.value().unwrap().active.len(), 2);
    assert!(facts.shell.replicated.value().unwrap().values().all(|up_to_date| *up_to_date));
    assert_eq!(bench.lab.mutations(), 0, "looking changes nothing");
    far.close().await;
}

#[tokio::test]
async fn only_the_backup_instance_is_asked_when_the_latest_looks_will_do_and_in_one_round_trip() {
    let bench = quiet("").await;
    let far = bench.far();
    look(&far).await;
    let before = bench.looks(BACKUP).await;
    for _ in 0..5 {
        far.observe(Freshness::LATEST).await;
    }
    assert_eq!(bench.looks(BACKUP).await, before + 5);
}

#[tokio::test]
async fn every_state_of_the_database_is_told() {
    let bench = quiet("").await;
    let far = bench.far();
    for (order, state) in [
        ("suspect", DatabaseState::Suspect),
        ("recovery-pending", DatabaseState::RecoveryPending),
        ("offline", DatabaseState::Offline),
        ("online", DatabaseState::Online),
    ] {
        bench.order(&format!("damage sql-tp1.contoso.com {order}")).await;
        let facts = look(&far).await;
        let told = instance(&facts, PRIMARY).state.value().unwrap_or_else(|| panic!("{order}"));
        assert_eq!(told.database.as_ref().unwrap().state, state);
        assert!(told.database.as_ref().unwrap().position.is_err() || state != DatabaseState::Online);
    }
    let mirror = look(&far).await;
    let mirror = instance(
        &mirror,
        pchat_planner::pool::InstanceId { partner: pchat_planner::pool::Partner::Mirror, ..HOME },
    );
    assert_eq!(mirror.state.value().unwrap().database, None, "known absence on {BACKUP_MIRROR}");
}

#[tokio::test]
async fn silence_is_told_from_life_that_can_not_be_used() {
    let bench = quiet("").await;
    bench.order("kill host sql-tp2.contoso.com").await;
    bench.order("stop host sql-tp1.contoso.com").await;
    let far = bench.far();
    let facts = look(&far).await;
    let first = match &instance(&facts, PRIMARY_MIRROR).contact {
        Contact::Silent { since, tries: 1, .. } => *since,
        other => panic!("{other:?}"),
    };
    unusable(&instance(&facts, PRIMARY).contact);
    let facts = look(&far).await;
    match &instance(&facts, PRIMARY_MIRROR).contact {
        Contact::Silent { since, tries, .. } => assert!(*since == first && *tries > 1, "one unbroken series"),
        other => panic!("{other:?}"),
    }
    bench.order("revive host sql-tp2.contoso.com").await;
    assert_eq!(instance(&look(&far).await, PRIMARY_MIRROR).contact, Contact::Answers);
}

#[tokio::test]
async fn a_silent_browser_on_a_living_host_is_not_silence() {
    let bench = quiet("").await;
    bench.order("browser sql-tp1.contoso.com off").await;
    let told = look(&bench.far()).await;
    let told = unusable(&instance(&told, PRIMARY).contact).to_owned();
    assert!(told.contains("Browser") && told.contains("declare the port"), "{told}");
}

#[tokio::test]
async fn a_refused_login_and_an_untrusted_certificate_are_sentences_with_a_remedy() {
    let mut bench = quiet("").await;
    let primary = Arc::make_mut(bench.ends.targets.get_mut(&PRIMARY).unwrap());
    primary.credentials.password = Secret::new("n0t-th1s-0ne");
    let mirror = Arc::make_mut(bench.ends.targets.get_mut(&PRIMARY_MIRROR).unwrap());
    mirror.ca_pem = None;
    let facts = look(&bench.far()).await;
    let login = unusable(&instance(&facts, PRIMARY).contact);
    assert!(
        login.contains("18456") && login.contains("pchat_operator") && login.contains("Secret"),
        "{login}"
    );
    assert!(!login.contains("n0t-th1s-0ne"), "no password in {login}");
    let tls = unusable(&instance(&facts, PRIMARY_MIRROR).contact);
    assert!(tls.contains("certificate") && tls.contains("sql-tp2.contoso.com"), "{tls}");
}

#[tokio::test]
async fn a_login_without_rights_is_told_which_right_and_where() {
    let mut bench = quiet("").await;
    let backup = Arc::make_mut(bench.ends.targets.get_mut(&HOME).unwrap());
    backup.credentials.user = "pchat_service".into();
    backup.credentials.shown = "pchat_service".into();
    backup.credentials.password = Secret::new("Chat-Pa55w.rd");
    let facts = look(&bench.far()).await;
    let backup = instance(&facts, HOME);
    assert_eq!(backup.login, "pchat_service");
    match &backup.contact {
        Contact::Denied { detail } => assert!(detail.contains("lacks a right (error 229"), "{detail}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_denied_or_hanging_share_is_unknown_and_holds_nothing_else_up() {
    let mut bench = quiet("").await;
    bench.ends.deadlines.files = Duration::from_millis(700);
    bench.order(r"deny sql-ks1.contoso.com \\files\pchat-logs").await;
    let far = bench.far();
    let facts = look(&far).await;
    let backups = facts.backups.value().unwrap();
    assert!(backups.share.value().is_none(), "{:?}", backups.share);
    assert!(backups.folder.value().is_some(), "{:?}", backups.folder);

    bench.order(r"allow sql-ks1.contoso.com \\files\pchat-logs").await;
    assert!(look(&far).await.backups.value().unwrap().share.value().is_some());

    bench.order("hang sql-ks1.contoso.com 30000").await;
    let facts = look(&far).await;
    let why = facts.backups.value().unwrap().share.why().unwrap().to_owned();
    assert!(why.contains(r"\\files\pchat-logs"), "{why}");
    let begun = Instant::now();
    assert!(instance(&far.observe(Freshness::LATEST).await, HOME).state.value().is_some());
    assert!(begun.elapsed() < Duration::from_millis(500), "the state does not wait for the share");
}

#[tokio::test]
async fn torn_backups_are_torn_since_they_were_first_seen_and_the_others_are_read() {
    let bench = quiet("").await;
    for (file, how) in [("last", "empty"), ("last-1", "header"), ("last-2", "body"), ("last-3", "garbage")] {
        bench.order(&format!("tear {file} {how}")).await;
    }
    let far = bench.far();
    let first = look(&far).await;
    let torn = |facts: &pchat_planner::facts::Facts| -> Vec<(String, jiff::Timestamp)> {
        let backups = facts.backups.value().unwrap();
        backups
            .files
            .iter()
            .filter_map(|(name, file)| match &file.on_share {
                Some(Header::Torn { what, since }) => {
                    assert!(!what.is_empty());
                    Some((name.clone(), *since))
                }
                Some(Header::Read(_)) => None,
                other => panic!("{name}: {other:?}"),
            })
            .collect()
    };
    // What is torn behind a whole header shows only when it is restored.
    let found = torn(&first);
    assert!(found.len() >= 3, "{found:?}");
    assert_eq!(torn(&look(&far).await), found, "since the first look");
}

#[tokio::test]
async fn whatever_else_listens_there_is_alive_and_unusable_and_harms_nobody() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut bench = quiet("").await;
    bench.ends.deadlines.login = Duration::from_secs(2);
    // Nothing, a web server, an endless stream, and TDS packets with nonsense in them.
    let manners: [&[u8]; 4] = [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        &[0xff; 4096],
        &[4, 1, 0, 16, 0, 0, 1, 0, 0xff, 0x81, 0xff, 0xff, 9, 9, 9, 9],
    ];
    for bytes in manners {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut heard = [0; 512];
                    while stream.read(&mut heard).await.is_ok_and(|n| n > 0) {
                        for _ in 0..if bytes.len() > 1000 { 20_000 } else { 1 } {
                            if stream.write_all(bytes).await.is_err() {
                                return;
                            }
                        }
                        if bytes.is_empty() {
                            return;
                        }
                    }
                });
            }
        });
        let mut target = bench.target(PRIMARY).clone();
        target.address = Some([127, 0, 0, 1].into());
        target.endpoint = pchat_operator::sql::target::Endpoint::Port(port);
        let refused =
            pchat_operator::sql::connect::connect(&target, &bench.ends.deadlines).await.unwrap_err();
        match refused {
            pchat_operator::sql::connect::ConnectError::Unusable(told) => {
                assert!(told.contains("sql-tp1.contoso.com"), "{told}");
            }
            silent => panic!("{silent:?}"),
        }
        server.abort();
    }
}

#[tokio::test]
async fn a_host_that_dies_while_its_connection_is_kept_is_silent_within_seconds() {
    let bench = quiet("").await;
    let far = bench.far();
    look(&far).await;
    bench.order("kill host sql-tp1.contoso.com").await;
    let begun = Instant::now();
    assert!(matches!(instance(&look(&far).await, PRIMARY).contact, Contact::Silent { .. }));
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
