//! One run of the operator, measured from outside: how long, how large, how much it asked, and what the lab did for it.

use crate::process::{self, Process};
use jiff::{SignedDuration, Timestamp};
use pchat_e2e::stage::Stage;
use pchat_lab::Scenario;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub type Failure = Box<dyn Error + Send + Sync>;

/// The program name by which the operator is told from others in a server's statement log.
const PROGRAM: &str = "pchat-operator";

/// The backup instance, where everything happens.
const HOME: &str = "sql-ks1.contoso.com";

/// Longest pauses between far-end operations that are told.
const PAUSES: usize = 8;

/// What one run took.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Log backups restored.
    pub applied: usize,
    /// From the start of the process to its end.
    pub wall: Duration,
    /// The part of it that the manifest declares: how long both partners must be silent.
    pub silent_for: Duration,
    /// The operations that nothing can go on beside, by their fixed times.
    pub critical: Duration,
    /// The same as they really took on this machine.
    pub critical_measured: Duration,
    /// Peak resident memory in KiB.
    pub peak_rss_kib: u64,
    /// Processor time of the process.
    pub cpu: Duration,
    /// Requests by SQL Server.
    pub requests: BTreeMap<String, Requests>,
    /// Mutating statements and cmdlets.
    pub mutations: u64,
    /// Seconds of each step, as the operator tells them.
    pub steps: Vec<(String, f64)>,
    /// The longest times between two operations of the critical path: ms, the one before, the one behind.
    pub pauses: Vec<(f64, String, String)>,
}

/// Batches that one server was sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requests {
    /// Listings and headers.
    pub files: usize,
    /// Everything else.
    pub others: usize,
}

impl Measured {
    /// Wall time without the declared silence.
    pub fn net(&self) -> Duration {
        self.wall.saturating_sub(self.silent_for)
    }

    /// Over the fixed service times.
    pub fn ratio(&self) -> f64 {
        self.net().as_secs_f64() / self.critical.as_secs_f64().max(f64::EPSILON)
    }

    /// Over what the far ends really took.
    pub fn ratio_measured(&self) -> f64 {
        self.net().as_secs_f64() / self.critical_measured.as_secs_f64().max(f64::EPSILON)
    }

    /// What the far ends do not answer for, in seconds.
    pub fn overhead_s(&self) -> f64 {
        self.net().as_secs_f64() - self.critical_measured.as_secs_f64()
    }

    /// Everything, raw.
    pub fn json(&self) -> Value {
        let ms = |d: Duration| (d.as_secs_f64() * 1e5).round() / 100.0;
        json!({
            "applied": self.applied,
            "wallMs": ms(self.wall),
            "silentForMs": ms(self.silent_for),
            "netMs": ms(self.net()),
            "criticalPathMs": ms(self.critical),
            "criticalPathMeasuredMs": ms(self.critical_measured),
            "peakRssKib": self.peak_rss_kib,
            "cpuMs": ms(self.cpu),
            "requests": self.requests.iter().map(|(host, r)| {
                (host.clone(), json!({"files": r.files, "others": r.others}))
            }).collect::<serde_json::Map<_, _>>(),
            "mutations": self.mutations,
            "stepSeconds": self.steps.iter().map(|(id, s)| json!({"step": id, "seconds": s})).collect::<Vec<_>>(),
            "pauses": self.pauses.iter().map(|(ms, a, b)| json!({"ms": ms, "after": a, "before": b})).collect::<Vec<_>>(),
        })
    }
}

/// A lab with the operator beside it.
pub struct Trial {
    stage: Stage,
    hosts: Vec<String>,
    silent_for: Duration,
    operator: PathBuf,
    _folder: tempfile::TempDir,
}

impl Trial {
    /// Starts the lab; `operator` is the program to be measured.
    pub async fn start(operator: &Path, scenario: Result<Scenario, String>) -> Result<Self, Failure> {
        let scenario = scenario?;
        let hosts = scenario.sql_hosts().into_iter().map(|(host, _)| host).collect();
        let folder = tempfile::tempdir()?;
        let stage = Stage::start(scenario, folder.path(), operator).await?;
        let operator = operator.to_owned();
        Ok(Self { stage, hosts, silent_for: Duration::ZERO, operator, _folder: folder })
    }

    /// The primary side dies, and the field is changed.
    pub async fn disaster(&mut self, silent_for_s: u64) -> Result<(), Failure> {
        self.stage.order("kill site primary").await?;
        self.stage.edit("activeDatabase: primary", "activeDatabase: backup")?;
        self.silent_for = Duration::from_secs(silent_for_s);
        Ok(())
    }

    pub async fn observe(&self) -> Result<Measured, Failure> {
        self.run("observe").await
    }

    /// One run to its end. Only the first one after a disaster has to wait for the silence.
    pub async fn converge(&mut self) -> Result<Measured, Failure> {
        let measured = self.run("converge").await?;
        self.silent_for = Duration::ZERO;
        Ok(measured)
    }

    async fn run(&self, verb: &'static str) -> Result<Measured, Failure> {
        self.stage.order("mark").await?;
        let mut before = BTreeMap::new();
        for host in &self.hosts {
            before.insert(host.clone(), self.statements(host).await?.len());
        }
        let mut command = Command::new(&self.operator);
        command.args([verb, "-f", "pool.yaml", "--hosts", "hosts", "-o", "json"]);
        command.current_dir(&self.stage.operator.folder);
        let started = Timestamp::now();
        let Process { status, output, errors, wall, peak_rss_kib, cpu } =
            tokio::task::spawn_blocking(move || process::watch(command)).await??;
        let ended = Timestamp::now();
        let document: Value = serde_json::from_slice(&output).unwrap_or_default();
        if !status.success() {
            let told = String::from_utf8_lossy(&errors);
            let (outcome, stop) = (&document["outcome"], &document["stop"]);
            return Err(format!("{verb} ended with {status}: {outcome} {stop:#}\n{told}").into());
        }
        let mut requests = BTreeMap::new();
        for host in &self.hosts {
            let all = self.statements(host).await?;
            let new = all.iter().skip(before.get(host).copied().unwrap_or(0));
            requests.insert(host.clone(), count(new));
        }
        let steps = document["steps"].as_array().into_iter().flatten();
        Ok(Measured {
            applied: document["run"]["applied"].as_array().map_or(0, Vec::len),
            wall,
            silent_for: self.silent_for,
            critical: self.stage.lab.critical_path(),
            critical_measured: self.stage.lab.critical_path_measured(),
            peak_rss_kib,
            cpu,
            requests,
            mutations: self.stage.lab.mutations(),
            steps: steps
                .filter_map(|s| Some((s["id"].as_str()?.to_owned(), s["seconds"].as_f64()?)))
                .collect(),
            pauses: pauses(&self.stage.order("timeline").await?, (started, ended)),
        })
    }

    async fn statements(&self, host: &str) -> Result<Vec<Value>, Failure> {
        let log = self.stage.order(&format!("statements {host}")).await?;
        let all = log["statements"].as_array().cloned().unwrap_or_default();
        Ok(all.into_iter().filter(|s| s["program"] == PROGRAM).collect())
    }
}

fn count<'a>(statements: impl Iterator<Item = &'a Value>) -> Requests {
    let mut requests = Requests::default();
    for statement in statements {
        let text = statement["text"].as_str().unwrap_or_default();
        let looks = !text.contains("sp_getapplock");
        if looks && (text.contains("xp_dirtree") || text.contains("HEADERONLY")) {
            requests.files += 1;
        } else {
            requests.others += 1;
        }
    }
    requests
}

/// The longest times in which no operation of the critical path ran, with those at the start and the end of the process.
fn pauses(timeline: &Value, (started, ended): (Timestamp, Timestamp)) -> Vec<(f64, String, String)> {
    const CRITICAL: [&str; 5] = ["restore-log", "restore-full", "recovery", "set-cmdlet", "mirror-seeding"];
    let mut spans: Vec<(Timestamp, Timestamp, String)> = timeline["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|e| e["by_client"] == true && e["operation"].as_str().is_some_and(|o| CRITICAL.contains(&o)))
        .filter_map(|e| {
            let begin: Timestamp = e["begin"].as_str()?.parse().ok()?;
            let took = SignedDuration::from_micros(i64::try_from(e["took_us"].as_u64()?).ok()?);
            let what = e["what"].as_str().unwrap_or_default().chars().take(60).collect();
            Some((begin, begin.checked_add(took).ok()?, what))
        })
        .collect();
    spans.push((started, started, "the start of the process".into()));
    spans.push((ended, ended, "its end".into()));
    spans.sort_by_key(|(begin, ..)| *begin);
    let mut pauses: Vec<(f64, String, String)> = spans
        .windows(2)
        .map(|w| (w[1].0.duration_since(w[0].1).as_secs_f64() * 1000.0, w[0].2.clone(), w[1].2.clone()))
        .collect();
    pauses.sort_by(|a, b| b.0.total_cmp(&a.0));
    pauses.truncate(PAUSES);
    pauses
}

/// Requests about the state of each server: all but those about files.
pub fn state_requests(measured: &Measured) -> Vec<(String, usize)> {
    measured.requests.iter().map(|(host, r)| (host.clone(), r.others)).collect()
}

/// Requests to the backup instance.
pub fn home(measured: &Measured) -> Requests {
    measured.requests.get(HOME).copied().unwrap_or_default()
}
