//! Who is talked to: identity is what a server says, not where it was reached.

use crate::common::{BACKUP, PRIMARY, Trial, each, exit};

const OLD: &str = "{host: 'sql-tp1.contoso.com', instance: 'PCHAT'}";
/// The survivor by its short name: no two names in the manifest are alike.
const SURVIVOR: &str = "{host: 'sql-ks1', instance: 'PCHAT'}";

/// The dead server's name leads to the survivor, and the Secret is for that name, too.
fn pointed_astray(trial: &Trial) {
    trial.edit(OLD, SURVIVOR);
    trial.edit(
        "persistentchat.io/hosts: 'sql-tp1.contoso.com",
        "persistentchat.io/hosts: 'sql-ks1, sql-tp1.contoso.com",
    );
}

/// Everything that a verb prints, for a person.
fn printed(trial: &Trial, verb: &str) -> String {
    let output = trial.stage.operator.run(verb, &[]).unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A dead server's name that was pointed at the survivor: whatever it answers would count for both.
#[tokio::test(flavor = "multi_thread")]
async fn a_declared_end_that_is_the_survivor_stops_everything_before_anything_is_touched() {
    each([true, false], |mirrored| async move {
        let trial = Trial::disaster("").await;
        pointed_astray(&trial);
        if !mirrored {
            trial.edit("mirror: {host: 'sql-ks2.contoso.com', instance: 'PCHAT'}", "mirror: {none: true}");
        }
        trial.order("mark").await;
        for verb in ["observe", "plan"] {
            let text = printed(&trial, verb);
            assert!(text.contains("SameServer") && text.contains(r"SQL-KS1\PCHAT"), "{verb}: {text}");
        }
        let run = trial.converge(&[]).await;
        run.stopped("SameServer", exit::BLOCKED).tells(&[r"SQL-KS1\PCHAT", "primary.database"]);
        trial.untouched();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_advice_takes_the_serving_database_away_under_another_name() {
    let trial = Trial::disaster("").await;
    let run = trial.converge(&[]).await;
    trial.served(&run).await;
    pointed_astray(&trial);
    trial.order("mark").await;
    for verb in ["converge", "observe", "plan"] {
        let text = printed(&trial, verb);
        assert!(text.contains("SameServer"), "{verb}: {text}");
        assert!(!text.contains("SET OFFLINE"), "{verb}: {text}");
    }
    trial.untouched();
}

/// Renamed hosts and missing entries are told, and hold up no failover.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_old_or_missing_do_not_hold_a_failover_up() {
    each(["null", r"OLD-NAME\PCHAT"], |name| async move {
        let trial = Trial::start("").await;
        for host in [PRIMARY, BACKUP] {
            trial.order(&format!("server-name {host} {name}")).await;
        }
        trial.write(4).await;
        let told = printed(&trial, "observe");
        let words = if name == "null" { "@@SERVERNAME is NULL" } else { "@@SERVERNAME still says OLD-NAME" };
        assert!(told.contains(words), "{told}");
        trial.order("backup-log").await;
        trial.order("kill site primary").await;
        trial.turn("backup");
        let run = trial.converge(&[]).await;
        trial.delivered(&run).await;
    })
    .await;
}
