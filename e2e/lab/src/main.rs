//! `pchat-lab`: runs a lab, and gives orders to one that runs.

use clap::{Parser, Subcommand};
use pchat_lab::{Lab, Scenario};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::io::{AsyncBufReadExt, BufReader};

/// Two simulated data centres of a Persistent Chat pool.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run a lab until its standard input says `quit` or it gets a signal; orders are read from standard input too.
    Run {
        /// Scenario in YAML; without it the default pool.
        #[arg(long)]
        scenario: Option<PathBuf>,
        /// Folder for the lab's files: pool.yaml, hosts, ca.pem, lab.json, control.sock and its world.
        #[arg(long)]
        dir: PathBuf,
        /// Go on when standard input ends.
        #[arg(long)]
        detach: bool,
    },
    /// Give an order to the lab that runs in a folder and print its answer.
    #[command(after_help = pchat_lab::HELP)]
    Do {
        /// The lab's folder.
        dir: PathBuf,
        /// The order.
        #[arg(required = true, trailing_var_arg = true)]
        order: Vec<String>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| "warn,tiberius=error".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    let done = match Arguments::parse().command {
        Command::Run { scenario, dir, detach } => run(scenario, &dir, detach).await,
        Command::Do { dir, order } => give(&dir, &order.join(" ")).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pchat-lab: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn give(dir: &Path, order: &str) -> Result<(), String> {
    let sent = pchat_lab::send(dir, order).await;
    let answer = sent.map_err(|e| format!("no lab answers in {}: {e}", dir.display()))?;
    let value: serde_json::Value = serde_json::from_str(&answer).map_err(|e| e.to_string())?;
    match value.get("error").and_then(|e| e.as_str()) {
        Some(error) => Err(error.to_owned()),
        None => {
            let text = value.get("help").or(value.get("done")).and_then(|d| d.as_str()).map(str::to_owned);
            say(&text.unwrap_or_else(|| format!("{value:#}")))
        }
    }
}

/// Prints a line; a reader that is gone is no fault of ours.
fn say(text: &str) -> Result<(), String> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|e| e.to_string()),
    }
}

async fn run(scenario: Option<PathBuf>, dir: &Path, detach: bool) -> Result<(), String> {
    let text = match &scenario {
        Some(path) => std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?,
        None => String::new(),
    };
    let parsed = Scenario::from_yaml(&text);
    let named = |e: String| match &scenario {
        Some(path) => format!("{}: {e}", path.display()),
        None => e,
    };
    std::fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut lab = Lab::start(parsed.map_err(named)?, dir).await.map_err(|e| e.to_string())?;
    lab.listen().map_err(|e| format!("the control socket: {e}"))?;
    say(&format!("seed {}", lab.seed()))?;
    say(&format!("ready {}", dir.display()))?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line.map_err(|e| e.to_string())?,
            _ = &mut interrupted => return Ok(()),
        };
        match line.as_deref().map(str::trim) {
            None if detach => {
                // Signals still end the lab.
                return interrupted.await.map_err(|e| e.to_string());
            }
            None | Some("quit") => return Ok(()),
            Some("") => {}
            Some(order) => match lab.order(order).await {
                Ok(answer) => say(&answer.to_string())?,
                Err(error) => say(&serde_json::json!({ "error": error }).to_string())?,
            },
        }
    }
}
