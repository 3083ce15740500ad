//! The benchmark: `cargo run --release --bin bench`; `--help` names its parts.
//!
//! The lab gives every operation a fixed time and accounts them; the operator runs as a process of its own, and what
//! its run takes longer than those operations in a row is its own.

mod cluster;
mod measure;
mod process;
mod report;
mod scenario;

use clap::{Parser, ValueEnum};
use measure::{Failure, Trial};
use report::Figures;
use scenario::{GROWTH, Size, failover};
use std::process::ExitCode;

/// Measures what a failover costs beyond the work of the far ends themselves.
///
/// Exit code 0: every target is met; 1: one is missed; 2: it could not be measured. Without --only, all parts that
/// need no cluster are measured.
#[derive(Parser)]
#[command(name = "bench")]
struct Wanted {
    /// How the figures are told
    #[arg(short, long, value_enum, default_value_t = Output::Human)]
    output: Output,
    /// How often failover, reaction and overhead are measured
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Measure this part only
    #[arg(long, value_enum, value_name = "PART")]
    only: Option<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A table, and each target
    Human,
    /// All raw figures
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// 200 log backups: wall time over critical path, peak memory, round trips
    Failover,
    /// 50, 500 and 2,000 log backups: overhead and peak memory
    Growth,
    /// A pool that is as declared: observe, and converge
    Idle,
    /// On a real API server, which Go builds first: 100 and 1,000 pools that nothing happens to
    Rest,
    /// On it: from the word's change to the first change at a far end
    Reaction,
    /// On it: the failover of 200 log backups, over that of converge
    Overhead,
    /// The last three
    Cluster,
}

impl Wanted {
    /// Whether this part is to be measured.
    fn is(&self, part: Part) -> bool {
        let on_a_cluster = matches!(part, Part::Rest | Part::Reaction | Part::Overhead);
        match self.only {
            None => !on_a_cluster,
            Some(Part::Cluster) => on_a_cluster,
            Some(only) => only == part,
        }
    }
}

fn main() -> ExitCode {
    let wanted = Wanted::parse();
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
            if wanted.output == Output::Json {
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

async fn bench(wanted: &Wanted) -> Result<Figures, Failure> {
    let operator = process::operator()?;
    let mut figures = Figures::default();
    if wanted.is(Part::Failover) {
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
    if wanted.is(Part::Growth) {
        for backups in GROWTH {
            eprintln!("bench: growth, failover of {backups} log backups");
            let mut trial =
                Trial::start(&operator, failover(Size { backups, ..scenario::SMALL_STEPS })).await?;
            trial.disaster(scenario::SMALL_STEPS.silent_for_s).await?;
            figures.growth.push(trial.converge().await?);
        }
    }
    if wanted.is(Part::Idle) {
        eprintln!("bench: looking at a pool that is as declared, and a run on it");
        let mut trial = Trial::start(&operator, failover(scenario::FAILOVER)).await?;
        figures.look = Some(trial.observe().await?);
        figures.as_declared = Some(trial.converge().await?);
    }
    if wanted.is(Part::Rest) {
        for pools in cluster::POOLS {
            eprintln!("bench: {pools} pools at rest");
            let rest = cluster::at_rest(&operator, pools).await?;
            eprintln!("bench: {}", rest.json());
            figures.at_rest.push(rest);
        }
    }
    if wanted.is(Part::Reaction) {
        for run in 1..=wanted.runs {
            eprintln!("bench: from kubectl apply to the first change, run {run} of {}", wanted.runs);
            figures.reactions.push(cluster::reaction(&operator).await?);
        }
    }
    if wanted.is(Part::Overhead) {
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
