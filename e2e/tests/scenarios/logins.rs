//! Refused logins are few, told with the time of the next try, and never taken for silence.

use crate::common::{BACKUP, PRIMARY, Trial, each, exit};

const SHELL: &str = "fe-ks1.contoso.com";

async fn refused(trial: &Trial, host: &str) -> u64 {
    trial.order(&format!("logins {host}")).await["refused"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_stays_at_a_wrong_password_has_sent_it_once_to_each_server() {
    each(["18456", "18486", "18487", "18488", "18452", "18470"], |error| async move {
        let trial = Trial::disaster("").await;
        match error {
            "18456" => trial.edit("password: 'Sql-Pa55w.rd'", "password: 'not this one'"),
            _ => drop(trial.order(&format!("refuse-login {BACKUP} {error}")).await),
        }
        let run = trial.converge(&["--wait", "8s"]).await;
        run.stopped("BackupUnreachable", exit::BLOCKED).tells(&[
            BACKUP,
            error,
            "the next try is at",
            "A new run tries at once.",
            "This run has changed nothing",
        ]);
        assert_eq!(refused(&trial, BACKUP).await, 1, "{error}");
        trial.converge(&[]).await.stopped("BackupUnreachable", exit::BLOCKED);
        assert_eq!(refused(&trial, BACKUP).await, 2, "a new run is a person's wish");
    })
    .await;
}

/// The other side is alive, however seldom it is asked who we are.
#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_refuses_the_login_is_alive_and_is_asked_once() {
    let trial = Trial::start("").await;
    trial.write(4).await;
    trial.order(&format!("refuse-login {PRIMARY} 18486")).await;
    trial.order("kill host sql-tp2").await;
    trial.turn("backup");
    let run = trial.converge(&["--wait", "8s"]).await;
    run.stopped("PrimaryMayBeAlive", exit::APPROVAL).tells(&[PRIMARY, "18486", "the next try is at"]);
    assert_eq!(refused(&trial, PRIMARY).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_management_shell_is_shown_a_wrong_password_once() {
    let trial = Trial::disaster("").await;
    trial.edit("password: 'Shell-Pa55w.rd'", "password: 'not this one'");
    let run = trial.converge(&["--wait", "8s"]).await;
    run.stopped("ManagementShellUnavailable", exit::BLOCKED).tells(&[SHELL, "the next try is at"]);
    assert_eq!(trial.database(BACKUP), "online");
    assert_eq!(refused(&trial, SHELL).await, 1);
}
