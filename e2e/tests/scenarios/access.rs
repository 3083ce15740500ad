//! Access that is missing or wrong: each a sentence with host, object, cause and remedy, and nothing changed.

use crate::common::{BACKUP, Trial, each, exit};

/// A run stops before anything is changed and tells all of `words`.
async fn refused(trial: &Trial, stop: &str, words: &[&str]) {
    trial.order("mark").await;
    let run = trial.converge(&[]).await;
    run.stopped(stop, exit::BLOCKED).tells(words);
    trial.untouched();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_instance_that_cannot_be_used_is_told_with_cause_and_remedy() {
    each(
        ["password", "certificate", "host", "browser", "dead", "refused", "right", "database"],
        |what| async move {
            let trial = Trial::disaster("").await;
            let host = "sql-ks1.contoso.com";
            match what {
                "password" => {
                    trial.edit("password: 'Sql-Pa55w.rd'", "password: 'not this one'");
                    refused(&trial, "BackupUnreachable", &[host, "18456", "pchat_operator"]).await;
                }
                "certificate" => {
                    let indented = |pem: &str| pem.lines().map(|l| format!("    {l}\n")).collect::<String>();
                    let own = std::fs::read_to_string(trial.stage.lab.dir().join("ca.pem")).unwrap();
                    let other = pchat_lab::net::Authority::new("Another CA").unwrap();
                    trial.edit(&indented(&own), &indented(other.pem()));
                    refused(&trial, "BackupUnreachable", &[host, "certificate"]).await;
                }
                "host" => {
                    let hosts = trial.stage.lab.dir().join("hosts");
                    let text = std::fs::read_to_string(&hosts).unwrap();
                    let left: String =
                        text.lines().filter(|l| !l.contains("sql-ks1")).map(|l| format!("{l}\n")).collect();
                    std::fs::write(&hosts, left).unwrap();
                    refused(&trial, "BackupUnreachable", &[host, "resolved", "--hosts"]).await;
                }
                "browser" => {
                    trial.order(&format!("browser {BACKUP} off")).await;
                    refused(&trial, "BackupUnreachable", &[host, "SQL Server Browser"]).await;
                }
                "dead" => {
                    trial.order(&format!("kill host {BACKUP}")).await;
                    refused(&trial, "BackupUnreachable", &[host, "no answer"]).await;
                }
                "refused" => {
                    trial.order(&format!("stop host {BACKUP}")).await;
                    refused(&trial, "BackupUnreachable", &[host]).await;
                }
                "right" => {
                    trial.edit("username: 'pchat_operator'", "username: 'pchat_service'");
                    trial.edit("password: 'Sql-Pa55w.rd'", "password: 'Chat-Pa55w.rd'");
                    let grant = "EXEC sp_addsrvrolemember N'pchat_service', N'sysadmin';";
                    let words = [
                        r"sql-ks1.contoso.com\PCHAT",
                        "login pchat_service",
                        "229",
                        grant,
                        "This run has changed nothing",
                    ];
                    refused(&trial, "RightsMissing", &words).await;
                }
                _ => {
                    trial.declare("databaseName: mgc2");
                    refused(&trial, "DatabaseUnusable", &[host, "mgc2"]).await;
                }
            }
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_manifest_is_told_by_line_and_nobody_is_contacted() {
    let trial = Trial::disaster("").await;
    trial.edit("mode: Enforce", "mood: Enforce");
    trial.edit("silentFor: 1s", "silentFor: soon");
    trial.order("mark").await;
    let run = trial.converge(&[]).await;
    assert_eq!(run.code, exit::BAD_INPUT, "{run}");
    let problems = run.document["problems"].to_string();
    for word in ["pool.yaml", "mood", "mode", "silentFor", "soon"] {
        assert!(problems.contains(word), "{word}: {problems}");
    }
    trial.untouched();
    assert!(trial.batches(BACKUP).await.iter().all(|b| b["program"] != "pchat-operator"));
}

/// The database part does not wait for the shell; what is left is told with the command to do it by hand.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_management_shell_the_database_is_recovered_and_the_rest_waits() {
    each(["password", "dead", "refused"], |what| async move {
        let trial = Trial::disaster("").await;
        match what {
            "password" => trial.edit("password: 'Shell-Pa55w.rd'", "password: 'not this one'"),
            "dead" => drop(trial.order("kill host fe-ks1").await),
            _ => drop(trial.order("stop host fe-ks1").await),
        }
        let run = trial.converge(&[]).await;
        run.stopped("ManagementShellUnavailable", exit::BLOCKED)
            .tells(&["fe-ks1.contoso.com", "Set-CsPersistentChatState"]);
        assert_eq!(trial.database(BACKUP), "online", "{what}");
        match what {
            "password" => trial.edit("password: 'not this one'", "password: 'Shell-Pa55w.rd'"),
            _ => drop(trial.order("revive host fe-ks1").await),
        }
        let run = trial.converge(&[]).await;
        trial.delivered(&run).await;
    })
    .await;
}
