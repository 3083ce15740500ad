//! The figures, the targets that they are held against, and the table.

use crate::cluster::{AtRest, Reaction};
use crate::measure::{Measured, home, state_requests};
use crate::median;
use crate::scenario::{FAILOVER, SMALL_STEPS};
use serde_json::{Value, json};
use std::fmt::Write;
use std::time::Duration;

/// Wall time over the critical path.
const RATIO: f64 = 1.10;
/// Peak resident memory of the operator.
const PEAK_KIB: u64 = 32 * 1024;
/// How much steeper the second part of the growth may be than the first: what is not linear is far above it.
const STEEPER: f64 = 1.5;
/// Differences in overhead below this are noise, in seconds.
const NOISE_S: f64 = 0.5;
/// Differences in memory below this are noise, in KiB.
const NOISE_KIB: f64 = 1024.0;
/// Number of pools at rest for which the peak memory is a target.
const POOLS: usize = 100;
/// From the watch's being told to the first mutating statement.
const REACTION: Duration = Duration::from_millis(250);
/// The failover in the cluster over the one without.
const OVERHEAD: f64 = 1.05;

/// Everything that was measured.
#[derive(Default)]
pub struct Figures {
    pub failovers: Vec<Measured>,
    pub after_failover: Option<Measured>,
    pub growth: Vec<Measured>,
    pub look: Option<Measured>,
    pub as_declared: Option<Measured>,
    pub at_rest: Vec<AtRest>,
    pub reactions: Vec<Reaction>,
    /// Without the declared silence: alone, and in the cluster.
    pub overhead: Vec<(Duration, Duration)>,
}

/// One target.
pub struct Target {
    pub name: &'static str,
    pub wanted: String,
    pub found: String,
    pub met: bool,
}

impl Figures {
    fn failover(&self) -> Option<&Measured> {
        median(&self.failovers, Measured::ratio)
    }

    /// The targets that could be held against what was measured.
    pub fn targets(&self) -> Vec<Target> {
        let mut out = Vec::new();
        if let Some(run) = self.failover() {
            out.push(Target {
                name: "wall time over critical path",
                wanted: format!("at most {RATIO:.2}"),
                found: format!("{:.3}", run.ratio()),
                met: run.ratio() <= RATIO,
            });
        }
        if let Some(peak) = self.failovers.iter().map(|m| m.peak_rss_kib).max() {
            out.push(Target {
                name: "peak memory of the operator",
                wanted: format!("at most {} MiB", PEAK_KIB / 1024),
                found: format!("{:.1} MiB", mib(peak)),
                met: peak <= PEAK_KIB,
            });
        }
        if let Some(look) = &self.look {
            let counts: Vec<usize> = state_requests(look).into_iter().map(|(_, n)| n).collect();
            out.push(Target {
                name: "round trips for the state of each server",
                wanted: "1 each".into(),
                found: counts.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
                met: !counts.is_empty() && counts.iter().all(|n| *n == 1),
            });
        }
        if let [small, middle, large] = &self.growth[..] {
            out.push(linear(
                "growth of the overhead",
                "s",
                [small, middle, large],
                NOISE_S,
                Measured::overhead_s,
            ));
            let peak = |m: &Measured| m.peak_rss_kib as f64;
            out.push(linear("growth of the peak memory", "KiB", [small, middle, large], NOISE_KIB, peak));
        }
        for (name, run) in
            [("run with nothing to do", &self.as_declared), ("second run", &self.after_failover)]
        {
            if let Some(run) = run {
                out.push(Target {
                    name,
                    wanted: "changes nothing".into(),
                    found: format!("{} changes", run.mutations),
                    met: run.mutations == 0,
                });
            }
        }
        for rest in &self.at_rest {
            if rest.pools == POOLS {
                out.push(Target {
                    name: "peak memory with 100 pools at rest",
                    wanted: format!("at most {} MiB", PEAK_KIB / 1024),
                    found: format!("{:.1} MiB", mib(rest.peak_rss_kib)),
                    met: rest.peak_rss_kib <= PEAK_KIB,
                });
            }
            out.push(Target {
                name: "writes to the API server at rest",
                wanted: "none but the Lease's".into(),
                found: format!("{} at {} pools", rest.writes, rest.pools),
                met: rest.writes == 0,
            });
        }
        if let Some(reaction) = median(&self.reactions, |r| r.own().as_secs_f64()) {
            out.push(Target {
                name: "first change after the watch was told",
                wanted: format!("at most {} ms", REACTION.as_millis()),
                found: format!("{} ms", reaction.own().as_millis()),
                met: reaction.own() <= REACTION,
            });
        }
        if let Some(pair) = median(&self.overhead, ratio) {
            out.push(Target {
                name: "failover in the cluster over alone",
                wanted: format!("at most {OVERHEAD:.2}"),
                found: format!("{:.3}", ratio(pair)),
                met: ratio(pair) <= OVERHEAD,
            });
        }
        out
    }

    /// All raw figures.
    pub fn json(&self) -> Value {
        let all = |runs: &[Measured]| runs.iter().map(Measured::json).collect::<Vec<_>>();
        let one = |run: &Option<Measured>| run.as_ref().map(Measured::json);
        json!({
            "loadAverage": load(),
            "processors": processors(),
            "optimised": !cfg!(debug_assertions),
            "failover": all(&self.failovers),
            "growth": all(&self.growth),
            "look": one(&self.look),
            "nothingToDo": {"asDeclared": one(&self.as_declared), "afterFailover": one(&self.after_failover)},
            "atRest": self.at_rest.iter().map(AtRest::json).collect::<Vec<_>>(),
            "reactionMs": self.reactions.iter().map(|r| json!({
                "watch": r.watch.as_secs_f64() * 1e3, "mutation": r.mutation.as_secs_f64() * 1e3,
            })).collect::<Vec<_>>(),
            "failoverMs": self.overhead.iter().map(|(alone, cluster)| json!({
                "alone": alone.as_millis(), "cluster": cluster.as_millis(),
            })).collect::<Vec<_>>(),
            "targets": self.targets().iter().map(|t| json!({
                "name": t.name, "wanted": t.wanted, "found": t.found, "met": t.met
            })).collect::<Vec<_>>(),
        })
    }

    /// A small table.
    pub fn table(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let build = if cfg!(debug_assertions) { "a debug build" } else { "a release build" };
        writeln!(out, "{build}, {} processors, load average {}", processors(), load())?;
        if let Some(m) = self.failover() {
            writeln!(
                out,
                "\nFailover, {} log backups of {} ms, 5 ms round trips, median of {}",
                m.applied,
                FAILOVER.restore_log_ms,
                self.failovers.len()
            )?;
            writeln!(out, "  wall time                 {:>9.2} s", m.wall.as_secs_f64())?;
            writeln!(out, "  without silentFor         {:>9.2} s", m.net().as_secs_f64())?;
            writeln!(
                out,
                "  critical path             {:>9.2} s   fixed times; the far ends took {:.2} s on this machine",
                m.critical.as_secs_f64(),
                m.critical_measured.as_secs_f64()
            )?;
            writeln!(
                out,
                "  wall over critical path   {:>9.3}     {:.3} over what they took",
                m.ratio(),
                m.ratio_measured()
            )?;
            writeln!(out, "  peak memory               {:>9.1} MiB", mib(m.peak_rss_kib))?;
            writeln!(out, "  processor time            {:>9.2} s", m.cpu.as_secs_f64())?;
            let here = home(m);
            writeln!(
                out,
                "  requests, backup instance {:>9}     and {} for listings and headers",
                here.others, here.files
            )?;
        }
        if !self.growth.is_empty() {
            writeln!(out, "\nGrowth, log backups of {} ms", SMALL_STEPS.restore_log_ms)?;
            writeln!(
                out,
                "  {:>8}  {:>9}  {:>9}  {:>13}  {:>9}  {:>9}",
                "backups", "net s", "overhead s", "ms a backup", "peak MiB", "cpu s"
            )?;
            for m in &self.growth {
                writeln!(
                    out,
                    "  {:>8}  {:>9.2}  {:>9.2}  {:>13.2}  {:>9.1}  {:>9.2}",
                    m.applied,
                    m.net().as_secs_f64(),
                    m.overhead_s(),
                    m.overhead_s() * 1000.0 / m.applied.max(1) as f64,
                    mib(m.peak_rss_kib),
                    m.cpu.as_secs_f64()
                )?;
            }
        }
        let idle = [
            ("observe, pool as declared", &self.look),
            ("converge, pool as declared", &self.as_declared),
            ("converge, after a failover", &self.after_failover),
        ];
        if idle.iter().any(|(_, run)| run.is_some()) {
            writeln!(out, "\nNothing to do")?;
            writeln!(
                out,
                "  {:<28}{:>8}  {:>9}  {:>6}  {:>15}  {:>13}",
                "", "wall s", "peak MiB", "cpu s", "state requests", "file requests"
            )?;
            for (name, m) in idle.iter().filter_map(|(name, run)| Some((name, run.as_ref()?))) {
                let files: usize = m.requests.values().map(|r| r.files).sum();
                let state: usize = m.requests.values().map(|r| r.others).sum();
                writeln!(
                    out,
                    "  {name:<28}{:>8.2}  {:>9.1}  {:>6.2}  {state:>15}  {files:>13}",
                    m.wall.as_secs_f64(),
                    mib(m.peak_rss_kib),
                    m.cpu.as_secs_f64()
                )?;
            }
        }
        self.write_cluster(out)?;
        writeln!(out, "\nTargets")?;
        for t in self.targets() {
            let mark = if t.met { "met   " } else { "MISSED" };
            writeln!(out, "  {mark}  {:<42}{:<28}{}", t.name, t.found, t.wanted)?;
        }
        Ok(())
    }
}

impl Figures {
    fn write_cluster(&self, out: &mut String) -> std::fmt::Result {
        if !self.at_rest.is_empty() {
            writeln!(out, "\nPools at rest, on a real API server; a pool and minute")?;
            writeln!(
                out,
                "  {:>6}  {:>9}  {:>9}  {:>9}  {:>8}  {:>11}  {:>12}  {:>15}",
                "pools",
                "ready s",
                "peak MiB",
                "rest MiB",
                "cpu ms",
                "SQL batches",
                "API requests",
                "Lease, a minute"
            )?;
            for rest in &self.at_rest {
                writeln!(
                    out,
                    "  {:>6}  {:>9.1}  {:>9.1}  {:>9.1}  {:>8.1}  {:>11.1}  {:>12.3}  {:>15.1}",
                    rest.pools,
                    rest.ready.as_secs_f64(),
                    mib(rest.peak_rss_kib),
                    mib(rest.rss_kib),
                    rest.cpu.as_secs_f64() * 1e3,
                    rest.batches,
                    rest.requests,
                    rest.lease
                )?;
            }
        }
        if let Some(reaction) = median(&self.reactions, |r| r.own().as_secs_f64()) {
            writeln!(
                out,
                "\nFrom kubectl patch to the first mutating statement, median of {}",
                self.reactions.len()
            )?;
            writeln!(out, "  a watch beside was told   {:>9} ms", reaction.watch.as_millis())?;
            writeln!(out, "  first mutating statement  {:>9} ms", reaction.mutation.as_millis())?;
        }
        if let Some(pair @ (alone, cluster)) = median(&self.overhead, ratio) {
            writeln!(out, "\nFailover without silentFor, median of {}", self.overhead.len())?;
            writeln!(out, "  alone                     {:>9.2} s", alone.as_secs_f64())?;
            writeln!(
                out,
                "  in the cluster            {:>9.2} s   {:.3}",
                cluster.as_secs_f64(),
                ratio(pair)
            )?;
        }
        Ok(())
    }
}

/// In the cluster over alone.
fn ratio((alone, cluster): &(Duration, Duration)) -> f64 {
    cluster.as_secs_f64() / alone.as_secs_f64().max(f64::EPSILON)
}

/// Whether a figure grows no more steeply from the middle to the large size than from the small to the middle one.
fn linear(
    name: &'static str,
    unit: &str,
    [small, middle, large]: [&Measured; 3],
    noise: f64,
    of: impl Fn(&Measured) -> f64,
) -> Target {
    let steps = |a: &Measured, b: &Measured| (b.applied as f64 - a.applied as f64).max(1.0);
    let first = (of(middle) - of(small)).max(0.0) / steps(small, middle);
    let second = (of(large) - of(middle)) / steps(middle, large);
    let allowed = first * STEEPER + noise / steps(small, middle);
    Target {
        name,
        wanted: format!("at most {allowed:.4} {unit}"),
        found: format!("{first:.4}, then {second:.4} {unit}"),
        met: second <= allowed,
    }
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The load of this machine in the last minute: with more of it than processors, times are not the operator's alone.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|word| !word.is_empty()).unwrap_or("unknown").to_owned()
}
