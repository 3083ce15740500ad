//! The whole story on one machine: `cargo run --bin demo [FOLDER]`.
//!
//! Two simulated data centres are started, chat servers write, the first data centre dies, one word of the manifest is
//! changed, and the operator moves the pool. Then the ledger of all that chat servers were told is stored is held against
//! what the operator said would be lost. The process fails if the pool is not moved or the report was not true. With a
//! FOLDER everything stays there to be looked at; without one it is gone afterwards.

use clap::Parser;
use jiff::Timestamp;
use pchat_e2e::operator::{Operator, as_operator};
use pchat_e2e::stage::Stage;
use pchat_lab::Scenario;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The whole story on one machine: two simulated data centres, the first one dies, and the operator moves the pool.
///
/// Exit code 0: the pool was moved, the operator's report was true, and its second run changed nothing.
#[derive(Parser)]
#[command(name = "demo")]
struct Wanted {
    /// Where everything stays to be looked at: manifest, Secrets, backups, ledger. Made if it is missing; without it,
    /// a temporary one that is gone afterwards
    folder: Option<PathBuf>,
}

type Failure = Box<dyn Error>;

/// How long the chat servers may take to write what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

const SCENARIO: &str = "
logShipping: {backups: 40, copied: 28, restored: 20, backupEveryS: 2, copyEveryS: 3600, restoreEveryS: 3600}
messageEveryMs: 50
serviceTimes: {restoreLogMs: 250, recoveryMs: 800, jobStartMs: 300, copyFileMs: 100, setCmdletMs: 400, mirrorSeedingMs: 2000}
";

fn main() -> ExitCode {
    if let Some(code) = as_operator() {
        return code;
    }
    let wanted = Wanted::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("demo: this process cannot start its threads: {error}");
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(demo(wanted));
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(wanted: Wanted) -> Result<(), Failure> {
    let scratch = tempfile::tempdir()?;
    let folder = wanted.folder.unwrap_or_else(|| scratch.path().to_owned());
    std::fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    let scenario = Scenario::from_yaml(SCENARIO)?;
    let survivor = scenario.backup.database.clone();
    let stage = Stage::start(scenario, &folder, &std::env::current_exe()?).await?;
    let survivor = server_name(&stage, &survivor)?;

    say(
        "Two data centres, Taipei and Kaohsiung, are up on this machine; chat servers in Taipei write messages.",
    );
    tell(&format!("seed {}, files in {}", stage.lab.seed(), folder.display()));
    let history = acknowledged(&stage);
    let before = written(&stage, history + 200).await?;
    tell(&format!("{before} messages are stored so far, {} of them in the last seconds", before - history));
    show(&stage, "observe").await?;

    say("Taipei is gone.");
    stage.order("kill-during-backup primary").await?;
    let now = Timestamp::now().strftime("%H:%M:%S");
    tell(&format!(
        "{now} UTC: no server there answers any more, and the last log backup was only half written"
    ));
    stage.edit("activeDatabase: primary", "activeDatabase: backup")?;
    tell("pool.yaml:  - activeDatabase: primary");
    tell("            + activeDatabase: backup");
    let code = show(&stage, "converge").await?;
    if code != 0 {
        return Err(format!("the operator ended with exit code {code}, not 0").into());
    }

    say("The ledger: what the chat servers were told is stored, against what the operator said.");
    let lost = stage.lost(&survivor)?;
    let interval = stage.interval()?;
    tell(&format!("lost by the ledger:     {lost}"));
    tell(&format!("lost by the operator:   at most what was stored {interval}"));
    interval.holds(&lost)?;
    if interval.safe_until.is_none() {
        return Err("the operator does not know from when on messages are lost".into());
    }
    let after = written(&stage, lost.acknowledged + 50).await?;
    tell(&format!("and the chat servers in Kaohsiung write: {after} messages by now"));

    say("Once more: there is nothing left to do.");
    stage.order("mark").await?;
    let code = show(&stage, "converge").await?;
    let mutations = stage.lab.mutations();
    if code != 0 || mutations != 0 {
        return Err(
            format!("the second run ended with exit code {code} and changed {mutations} things").into()
        );
    }
    say("Good: the pool was moved, the report was true, the second run changed nothing.");
    Ok(())
}

fn say(sentence: &str) {
    print(&format!("\n=== {sentence}"));
}

fn tell(detail: &str) {
    print(&format!("    {detail}"));
}

/// The story goes on when nobody reads it any more.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Runs the operator with its output on the terminal, while the lab goes on.
async fn show(stage: &Stage, verb: &'static str) -> Result<i32, Failure> {
    print(&format!("\n$ {}", Operator::line(verb)));
    let operator = stage.operator.clone();
    Ok(tokio::task::spawn_blocking(move || operator.show(verb, &[])).await??)
}

/// Waits until the chat servers were told that so many messages are stored.
async fn written(stage: &Stage, wanted: u64) -> Result<u64, Failure> {
    let begin = Instant::now();
    loop {
        let acknowledged = stage.lab.ledger()["acknowledged"].as_u64().unwrap_or(0);
        if acknowledged >= wanted {
            return Ok(acknowledged);
        }
        if begin.elapsed() > PATIENCE {
            return Err(format!(
                "the chat servers wrote {acknowledged} messages in all, {wanted} were expected"
            )
            .into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn acknowledged(stage: &Stage) -> u64 {
    stage.lab.ledger()["acknowledged"].as_u64().unwrap_or(0)
}

/// What a SQL Server calls itself.
fn server_name(stage: &Stage, host: &str) -> Result<String, Failure> {
    let state = stage.lab.state();
    let servers = state["servers"].as_array().map(Vec::as_slice).unwrap_or_default();
    let server = servers.iter().find(|server| server["host"] == host);
    let name = server.and_then(|server| server["name"].as_str());
    Ok(name.ok_or_else(|| format!("the lab has no SQL Server on {host}"))?.to_owned())
}
