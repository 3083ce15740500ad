//! The benchmark: `cargo run --release --bin bench [-- -o json] [--runs N] [--only PART]`. The parts are `failover`, `growth`
//! and `idle`, and, only if asked for since they need Go, `cluster` or one of `rest`, `reaction` and `overhead`.
//!
//! Measures what a failover costs beyond the work of the far ends themselves. The lab gives every operation a fixed
//! time and accounts them; the operator runs as a process of its own, and what its run takes longer than those
//! operations in a row is its own. Ends with exit code 1 when a target is missed, and with 2 when it could not measure.

mod cluster;
mod measure;
mod process;
mod report;
mod scenario;

use measure::{Failure, Trial};
use report::Figures;
use scenario::{GROWTH, Size, failover};
use std::process::ExitCode;

/// What is to be measured, and how it is told.
struct Wanted {
    json: bool,
    runs: usize,
    only: Option<String>,
}

const USAGE: &str =
    "bench [-o human|json] [--runs N] [--only failover|growth|idle|cluster|rest|reaction|overhead]";

/// The parts that need no cluster.
const ALONE: [&str; 3] = ["failover", "growth", "idle"];
/// Those on a real API server.
const CLUSTER: [&str; 3] = ["rest", "reaction", "overhead"];

fn main() -> ExitCode {
    let wanted = match wanted(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(why) => {
            eprintln!("bench: {why}\nusage: {USAGE}");
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("bench: this process cannot start its threads: {error}");
            return ExitCode::from(2);
        }
    };
    let ended = runtime.block_on(bench(&wanted));
    runtime.shutdown_background();
    match ended {
        Ok(figures) => {
            if wanted.json {
                println!("{:#}", figures.json());
            } else {
                print!("{}", figures.table());
            }
            if figures.targets().iter().all(|target| target.met) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted { json: false, runs: 3, only: None };
    while let Some(word) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "-o" => match value()?.as_str() {
                "json" => wanted.json = true,
                "human" => wanted.json = false,
                other => return Err(format!("-o: expected human or json, found {other}")),
            },
            "--runs" => {
                let text = value()?;
                let runs = text.parse().ok().filter(|runs| *runs > 0);
                wanted.runs =
                    runs.ok_or_else(|| format!("--runs: expected a number above 0, found {text}"))?;
            }
            "--only" => match value()?.as_str() {
                part if part == "cluster" || ALONE.contains(&part) || CLUSTER.contains(&part) => {
                    wanted.only = Some(part.to_owned());
                }
                other => {
                    let parts = [&ALONE[..], &CLUSTER].concat().join(", ");
                    return Err(format!("--only: expected cluster or one of {parts}, found {other}"));
                }
            },
            other => return Err(format!("{other} is not known here")),
        }
    }
    Ok(wanted)
}

async fn bench(wanted: &Wanted) -> Result<Figures, Failure> {
    let part = |name: &str| match wanted.only.as_deref() {
        None => ALONE.contains(&name),
        Some("cluster") => CLUSTER.contains(&name),
        Some(only) => only == name,
    };
    let operator = process::operator()?;
    let mut figures = Figures::default();
    if part("failover") {
        for run in 1..=wanted.runs {
            eprintln!("bench: failover of {} log backups, run {run} of {}", scenario::BACKUPS, wanted.runs);
            let mut trial = Trial::start(&operator, failover(scenario::FAILOVER)).await?;
            trial.disaster(scenario::FAILOVER.silent_for_s).await?;
            figures.failovers.push(trial.converge().await?);
            if run == wanted.runs {
                figures.after_failover = Some(trial.converge().await?);
            }
        }
    }
    if part("growth") {
        for backups in GROWTH {
            eprintln!("bench: growth, failover of {backups} log backups");
            let mut trial =
                Trial::start(&operator, failover(Size { backups, ..scenario::SMALL_STEPS })).await?;
            trial.disaster(scenario::SMALL_STEPS.silent_for_s).await?;
            figures.growth.push(trial.converge().await?);
        }
    }
    if part("idle") {
        eprintln!("bench: looking at a pool that is as declared, and a run on it");
        let mut trial = Trial::start(&operator, failover(scenario::FAILOVER)).await?;
        figures.look = Some(trial.observe().await?);
        figures.as_declared = Some(trial.converge().await?);
    }
    if part("rest") {
        for pools in cluster::POOLS {
            eprintln!("bench: {pools} pools at rest");
            let rest = cluster::at_rest(&operator, pools).await?;
            eprintln!("bench: {}", rest.json());
            figures.at_rest.push(rest);
        }
    }
    if part("reaction") {
        for run in 1..=wanted.runs {
            eprintln!("bench: from kubectl apply to the first change, run {run} of {}", wanted.runs);
            figures.reactions.push(cluster::reaction(&operator).await?);
        }
    }
    if part("overhead") {
        for run in 1..=wanted.runs {
            eprintln!("bench: failover alone and in the cluster, run {run} of {}", wanted.runs);
            let mut trial = Trial::start(&operator, failover(scenario::FAILOVER)).await?;
            trial.disaster(scenario::FAILOVER.silent_for_s).await?;
            let alone = trial.converge().await?.net();
            figures.overhead.push((alone, cluster::whole(&operator).await?));
        }
    }
    Ok(figures)
}

/// The middle one of an odd number of runs, the better of the two middle ones otherwise.
fn median<T>(runs: &[T], by: impl Fn(&T) -> f64) -> Option<&T> {
    let mut order: Vec<&T> = runs.iter().collect();
    order.sort_by(|a, b| by(a).total_cmp(&by(b)));
    order.get(order.len().checked_sub(1)? / 2).copied()
}
