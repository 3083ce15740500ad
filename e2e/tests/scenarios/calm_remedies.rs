//! What `observe` and `plan` print as a remedy in a calm week, typed as it stands: the check passes, and a failover meets nothing of it.

use crate::common::{BACKUP, BACKUP_MIRROR, PRIMARY, Run, Trial, each, exit};
use crate::typist::{printed, query, type_all};
use pchat_planner::advice::{AdviceKind, STORE_BACKUP};
use serde_json::Value;

async fn look(trial: &Trial, verb: &str) -> Run {
    let run = trial.end(trial.begin(verb, &[])).await;
    assert_eq!(run.code, exit::DONE, "{run}");
    run
}

fn answer(run: &Run, name: &str) -> Value {
    let checks =
        run.document["failoverReady"]["checks"].as_array().unwrap_or_else(|| panic!("no checks: {run}"));
    let check = checks.iter().find(|check| check["name"] == name);
    check.unwrap_or_else(|| panic!("no check {name}: {run}"))["answer"].clone()
}

/// The other side is lost, and nothing holds the failover up or hurts a later step.
async fn goes(trial: &Trial) {
    trial.write(3).await;
    trial.order("backup-log").await;
    trial.order("kill site primary").await;
    trial.turn("backup");
    let run = trial.converge(&[]).await;
    trial.served(&run).await;
}

/// What is wrong in these ways is told by the check, and is typed away.
async fn mended(kind: &str, check: &str, wrong: &[String]) -> Trial {
    let trial = Trial::start("").await;
    for order in wrong {
        trial.order(order).await;
    }
    let run = look(&trial, "observe").await;
    assert_eq!(answer(&run, check), "Warned", "{run}");
    let advice = printed(&run, kind);
    assert_eq!(advice.len(), wrong.len(), "{run}");
    let filled = advice.into_iter().map(|a| a.filled(STORE_BACKUP, "sql-cms2.contoso.com"));
    type_all(filled.collect(), &trial, &[]).await;
    for verb in ["observe", "plan"] {
        let run = look(&trial, verb).await;
        assert_eq!(answer(&run, check), "Passed", "{verb}: {run}");
    }
    trial
}

pub async fn play(kind: AdviceKind) {
    let name = format!("{kind:?}");
    let endpoints = |how: &str| [BACKUP, BACKUP_MIRROR].map(|host| format!("endpoint {host} {how}"));
    let endpoint = "Mirroring endpoints";
    match kind {
        AdviceKind::MoveManagementStore => {
            goes(&mended(&name, "Central Management Store", &["store unwritable".into()]).await).await;
        }
        AdviceKind::StopJob => stop_job(&name).await,
        AdviceKind::EnableJob => enable_job(&name).await,
        AdviceKind::DropLeftover => {
            goes(&mended(&name, "Mirror", &[format!("leftover {BACKUP_MIRROR}")]).await).await;
        }
        AdviceKind::CreateEndpoint => goes(&mended(&name, endpoint, &endpoints("missing")).await).await,
        AdviceKind::StartEndpoint => goes(&mended(&name, endpoint, &endpoints("stopped")).await).await,
        AdviceKind::OpenEndpointToPartners => {
            goes(&mended(&name, endpoint, &endpoints("witness")).await).await;
        }
        AdviceKind::RegisterServerName => each(["null", r"OLD-NAME\PCHAT"], |old| register(&name, old)).await,
        other => panic!("{other:?} is printed by a stop"),
    }
}

/// Until it has run again, its last run is one that was ended.
async fn stop_job(kind: &str) {
    let trial = Trial::start("").await;
    trial.order(&format!("hang-job {BACKUP} restore 60")).await;
    let hangs = |run: &Run| run.document["failoverReady"].to_string().contains("has been running since");
    let run = look(&trial, "observe").await;
    assert!(hangs(&run), "{run}");
    type_all(printed(&run, kind), &trial, &[]).await;
    let stopped = |job: &Value| job["activity"]["started"].is_null() == job["activity"]["stopped"].is_null();
    let at_rest = |t: &Trial| t.server(BACKUP)["agent"]["jobs"].as_array().unwrap().iter().all(stopped);
    trial.until("every job at rest", at_rest).await;
    let run = look(&trial, "observe").await;
    assert!(!hangs(&run), "{run}");
    goes(&trial).await;
}

async fn enable_job(kind: &str) {
    let trial = Trial::start("").await;
    let disable = "DECLARE @job uniqueidentifier; SELECT @job = restore_job_id FROM msdb.dbo.log_shipping_secondary; \
                   EXEC msdb.dbo.sp_update_job @job_id = @job, @enabled = 0;";
    assert_eq!(query(&trial, BACKUP, disable).await, None);
    let run = look(&trial, "observe").await;
    assert_eq!(answer(&run, "Log shipping"), "Warned", "{run}");
    type_all(printed(&run, kind), &trial, &[]).await;
    let run = look(&trial, "observe").await;
    assert_eq!(answer(&run, "Log shipping"), "Passed", "{run}");
    goes(&trial).await;
}

/// The name is taken up when the service is started anew, as is told.
async fn register(kind: &str, old: &str) {
    let trial = Trial::start("").await;
    for host in [PRIMARY, BACKUP] {
        trial.order(&format!("server-name {host} {old}")).await;
    }
    let run = look(&trial, "plan").await;
    let advice = printed(&run, kind);
    // Of the server that users are served from nothing is printed: its service would have to be restarted.
    assert_eq!(advice.len(), 1, "{run}");
    type_all(advice, &trial, &[]).await;
    let misled = |run: &Run| {
        let warnings = run.document["warnings"].as_array().cloned().unwrap_or_default();
        let names = warnings.iter().filter(|w| w["reason"] == "ServerNames");
        let told: Vec<String> = names.map(|w| w["message"].to_string()).collect();
        assert!(told.iter().any(|text| text.contains(PRIMARY) && text.contains("To be mended")), "{told:?}");
        told.iter().any(|text| text.contains(BACKUP))
    };
    assert!(misled(&look(&trial, "plan").await), "the service was not restarted yet");
    trial.order(&format!("kill host {BACKUP}")).await;
    trial.order(&format!("revive host {BACKUP}")).await;
    let run = look(&trial, "plan").await;
    assert!(!misled(&run), "{run}");
}
