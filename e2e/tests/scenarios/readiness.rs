//! What can be seen in a calm week is told then, and before the point of no return.

use crate::common::{BACKUP, BACKUP_MIRROR, PRIMARY, Trial, exit};
use serde_json::Value;

/// The checks of a document, by name: the answer, and all that is told.
fn check<'a>(document: &'a Value, name: &str) -> (&'a str, String) {
    let checks =
        document["failoverReady"]["checks"].as_array().unwrap_or_else(|| panic!("no checks: {document:#}"));
    let check = checks.iter().find(|check| check["name"] == name);
    let check = check.unwrap_or_else(|| panic!("no check {name} in {checks:#?}"));
    (check["answer"].as_str().unwrap(), check.to_string())
}

async fn look(trial: &Trial, verb: &str) -> Value {
    let run = trial.end(trial.begin(verb, &[])).await;
    assert_eq!(run.code, exit::DONE, "{run}");
    run.document
}

fn printed(trial: &Trial, verb: &str) -> String {
    let output = trial.stage.operator.run(verb, &[]).unwrap();
    String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_pool_passes_every_check_by_looking_alone() {
    let trial = Trial::start("").await;
    trial.order("mark").await;
    for verb in ["observe", "plan"] {
        let document = look(&trial, verb).await;
        assert_eq!(document["failoverReady"]["ready"], true, "{verb}: {:#}", document["failoverReady"]);
        for check in document["failoverReady"]["checks"].as_array().unwrap() {
            assert_eq!(check["answer"], "Passed", "{verb}: {check:#}");
        }
    }
    trial.untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_can_be_seen_in_a_calm_week_is_told_then() {
    let trial = Trial::start("").await;
    for order in [
        &format!("hang-job {BACKUP} restore 60"),
        &format!("agent {PRIMARY} off"),
        &format!("leftover {BACKUP_MIRROR}"),
        &format!("endpoint {BACKUP} missing"),
        &format!("endpoint {BACKUP_MIRROR} stopped"),
        "withhold Install-CsMirrorDatabase",
    ] {
        trial.order(order).await;
    }
    trial.edit("  mirroring:\n    seedShare: '\\\\files\\pchat-seed'\n", "");
    trial.order("mark").await;
    let expected: [(&str, &[&str]); 6] = [
        ("Log shipping", &["LSRestore", BACKUP, "sp_stop_job"]),
        ("SQL Server Agent", &[PRIMARY, "no log backup is made"]),
        ("Mirror", &[BACKUP_MIRROR, "mgc", "ONLINE", "DROP DATABASE [mgc]"]),
        ("Mirroring endpoints", &[BACKUP, BACKUP_MIRROR, "STOPPED"]),
        ("Cmdlets", &["Install-CsMirrorDatabase"]),
        ("Share for seeding", &["mirroring.seedShare"]),
    ];
    for verb in ["observe", "plan"] {
        let document = look(&trial, verb).await;
        for (name, words) in expected {
            let (answer, told) = check(&document, name);
            assert_eq!(answer, "Warned", "{verb}: {told}");
            for word in words {
                let word = word.replace('\\', "\\\\");
                assert!(told.contains(&word), "{verb}: {word:?} is not told in {told}");
            }
        }
        // None of this keeps users from their service.
        let ready = &document["failoverReady"];
        assert_eq!(
            (&ready["ready"], &ready["reason"]),
            (&true.into(), &"ReadyWithWarnings".into()),
            "{ready:#}"
        );
        let page = printed(&trial, verb);
        for (name, _) in expected {
            assert!(page.contains(&format!("✗ {name}")), "{verb}: {name} in {page}");
        }
        assert!(page.contains("✔ Chat servers"), "{page}");
    }
    trial.untouched();

    trial.order(&format!("agent {BACKUP} off")).await;
    let document = look(&trial, "observe").await;
    let (answer, told) = check(&document, "SQL Server Agent");
    assert!(answer == "Warned" && told.contains(BACKUP) && told.contains("SQLAgent$PCHAT"), "{told}");
    trial.order(&format!("express {BACKUP}")).await;
    let document = look(&trial, "observe").await;
    assert!(check(&document, "SQL Server Agent").1.contains("Express edition"), "{document:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_server_that_the_topology_does_not_know_stops_before_the_database_is_recovered() {
    let trial = Trial::start("").await;
    trial.edit("'pc-ks2.contoso.com'", "'pc-ks9.contoso.com'");
    for verb in ["observe", "plan"] {
        let document = look(&trial, verb).await;
        let (answer, told) = check(&document, "Chat servers");
        assert!(answer == "Held" && told.contains("pc-ks9.contoso.com"), "{told}");
        let ready = &document["failoverReady"];
        assert_eq!(
            (&ready["ready"], &ready["reason"]),
            (&false.into(), &"ChatServersUnknown".into()),
            "{ready:#}"
        );
    }
    trial.write(3).await;
    trial.order("backup-log").await;
    trial.order("kill site primary").await;
    trial.turn("backup");
    let run = trial.converge(&[]).await;
    run.stopped("ChatServersUnknown", exit::APPROVAL).tells(&[
        "pc-ks9.contoso.com",
        "pc-ks1.contoso.com",
        "is not recovered",
        "backup.chatServers",
    ]);
    assert_eq!(trial.database(BACKUP), "restoring");
    let digest = run.digest().to_owned();
    trial.edit("'pc-ks9.contoso.com'", "'pc-ks2.contoso.com'");
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
    assert_ne!(digest, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_recover_the_database_although_the_servers_are_not_known() {
    let trial = Trial::disaster("").await;
    trial.edit("'pc-ks2.contoso.com'", "'pc-ks9.contoso.com'");
    let run = trial.converge(&[]).await;
    run.stopped("ChatServersUnknown", exit::APPROVAL);
    let run = trial.converge(&["--approve", run.digest()]).await;
    assert_eq!((run.code, trial.database(BACKUP)), (exit::BLOCKED, "online".to_owned()), "{run}");
    run.tells(&["pc-ks9.contoso.com"]);
    trial.edit("'pc-ks9.contoso.com'", "'pc-ks2.contoso.com'");
    let run = trial.converge(&[]).await;
    trial.delivered(&run).await;
}

/// Also where the session does not tell what it offers.
#[tokio::test(flavor = "multi_thread")]
async fn a_cmdlet_that_is_not_offered_stops_before_the_database_is_recovered_and_offered_lets_it_go_on() {
    let trial = Trial::start("").await;
    trial.order("withhold Get-Command").await;
    trial.order("withhold Set-CsPersistentChatActiveServer").await;
    trial.order("mark").await;
    let document = look(&trial, "observe").await;
    assert!(check(&document, "Cmdlets").1.contains("Set-CsPersistentChatActiveServer"), "{document:#}");
    trial.untouched();
    trial.order("offer Set-CsPersistentChatActiveServer").await;
    trial.order("withhold Set-CsPersistentChatState").await;
    trial.write(3).await;
    trial.order("backup-log").await;
    trial.order("kill site primary").await;
    trial.turn("backup");
    let run = trial.converge(&[]).await;
    run.stopped("CmdletMissing", exit::APPROVAL).tells(&[
        "Set-CsPersistentChatState",
        "role",
        "goes on by itself",
    ]);
    let warnings = run.document["warnings"].to_string();
    assert!(!warnings.contains("CentralManagementUnavailable"), "the store is not what is wrong: {warnings}");
    assert_eq!(trial.database(BACKUP), "restoring");
    let child = trial.begin("converge", &["--wait", "5m"]);
    trial.until("log shipping at rest", |t| !t.shipping_runs()).await;
    trial.order("offer Set-CsPersistentChatState").await;
    let run = trial.end(child).await;
    trial.delivered(&run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_the_shell_does_not_know_stops_before_the_database_is_recovered() {
    let trial = Trial::disaster("").await;
    trial.edit("pool: {fqdn: 'chat.contoso.com'}", "pool: {fqdn: 'chat9.contoso.com'}");
    let run = trial.converge(&[]).await;
    run.stopped("PoolUnknown", exit::APPROVAL).tells(&["chat9.contoso.com", "chat.contoso.com", "pool.fqdn"]);
    assert_eq!(trial.database(BACKUP), "restoring");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_keeps_the_mirror_away_is_told_before_and_users_get_their_service() {
    let trial = Trial::start("").await;
    trial.order(&format!("leftover {BACKUP_MIRROR}")).await;
    trial.order(&format!("endpoint {BACKUP} stopped")).await;
    trial.write(3).await;
    trial.order("backup-log").await;
    trial.order("kill site primary").await;
    trial.turn("backup");
    let document = look(&trial, "plan").await;
    for reason in ["MirrorLeftover", "MirrorEndpointUnusable"] {
        let warnings = document["warnings"].to_string();
        assert!(warnings.contains(reason), "{reason} is not told: {warnings}");
    }
    let run = trial.converge(&[]).await;
    assert_eq!(run.document["stop"]["step"], "EstablishMirror", "{run}");
    trial.write(2).await;
    trial.one_side_writes();
}
