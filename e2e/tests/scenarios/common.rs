//! One scenario: a lab, the operator beside it, and what must hold whatever happened.
//!
//! Answers for starting and ending runs of the operator and for holding the truth of the lab against what they said.
//! What a scenario is about stands in the scenario.

use futures::StreamExt;
use pchat_e2e::stage::Stage;
use pchat_e2e::verdict::Interval;
use pchat_lab::Scenario;
use serde_json::Value;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A small pool whose far ends are quick: what takes long in a run is what the operator waits for.
pub const SMALL: &str = "
logShipping: {backups: 8, copied: 5, restored: 3, jobEveryS: 0, messagesPerBackup: 3}
messageEveryMs: 80
replicationDelayMs: 60
silentFor: 1s
serviceTimes: {restoreLogMs: 4, recoveryMs: 15, jobStartMs: 10, copyFileMs: 2, setCmdletMs: 5, readCmdletMs: 2,
               mirrorSeedingMs: 30, deadShareMs: 300}
";

/// The host on which everything happens.
pub const BACKUP: &str = "sql-ks1.contoso.com";
/// Its mirror.
pub const BACKUP_MIRROR: &str = "sql-ks2.contoso.com";
/// The old side.
pub const PRIMARY: &str = "sql-tp1.contoso.com";
/// Its mirror.
pub const PRIMARY_MIRROR: &str = "sql-tp2.contoso.com";

/// How long a run or a wait may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// How many labs run beside each other, in all scenarios together: what they do is mostly waiting, but not all of it.
static PLACES: Semaphore = Semaphore::const_new(5);

/// Plays a scenario for each of `cases`.
pub async fn each<T, F: Future<Output = ()>>(cases: impl IntoIterator<Item = T>, play: impl Fn(T) -> F) {
    futures::stream::iter(cases).for_each_concurrent(None, play).await;
}

/// Exit codes, as `--help` documents them.
pub mod exit {
    pub const DONE: i32 = 0;
    pub const BAD_INPUT: i32 = 2;
    pub const BLOCKED: i32 = 3;
    pub const APPROVAL: i32 = 4;
    pub const INTERRUPTED: i32 = 5;
}

/// Sends a signal to a run.
pub fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("it runs").to_string();
    assert!(std::process::Command::new("kill").args([name, &pid]).status().unwrap().success());
}

/// A run of the operator that is over.
pub struct Run {
    pub code: i32,
    /// Its document; null when it was killed.
    pub document: Value,
    pub errors: String,
}

impl Run {
    /// The named stop.
    pub fn stop(&self) -> &str {
        self.document["stop"]["name"].as_str().unwrap_or("")
    }

    /// The digest that an approval would name.
    pub fn digest(&self) -> &str {
        self.document["stop"]["digest"].as_str().unwrap_or_else(|| panic!("no digest in {self}"))
    }

    /// The stop's sentences: what stopped it, what was changed, what to do.
    pub fn told(&self) -> String {
        let stop = &self.document["stop"];
        ["message", "changed", "remedy"]
            .iter()
            .filter_map(|f| stop[*f].as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Names of the files that it restored.
    pub fn applied(&self) -> Vec<String> {
        let applied = self.document["run"]["applied"].as_array().cloned().unwrap_or_default();
        applied.iter().map(|f| f["name"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Files that it told to be given up unread.
    pub fn unread(&self) -> Vec<String> {
        let unread = self.document["loss"]["unread"].as_array().cloned().unwrap_or_default();
        unread.iter().map(|name| name.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// It ended at this stop, with this exit code.
    #[track_caller]
    pub fn stopped(&self, name: &str, code: i32) -> &Self {
        assert_eq!((self.stop(), self.code), (name, code), "{self}");
        self
    }

    /// Every one of `words` is told.
    #[track_caller]
    pub fn tells(&self, words: &[&str]) -> &Self {
        let told = self.told();
        for word in words {
            assert!(told.contains(word), "{word:?} is not told in: {told}");
        }
        self
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let d = &self.document;
        writeln!(f, "exit code {}, {} {}", self.code, d["outcome"], d["reason"])?;
        writeln!(f, "stop {:#}\nnext {}", d["stop"], d["next"])?;
        for step in d["steps"].as_array().into_iter().flatten() {
            writeln!(f, "  {} {} {}", step["id"], step["state"], step["why"])?;
        }
        writeln!(f, "failures {:#}", d["run"]["failures"])?;
        write!(f, "{}", self.errors)
    }
}

/// A lab with the operator beside it.
pub struct Trial {
    pub stage: Stage,
    /// What the surviving SQL Server calls itself.
    survivor: String,
    _folder: tempfile::TempDir,
    _place: SemaphorePermit<'static>,
}

impl Trial {
    /// Starts a scenario that differs from [`SMALL`] by these lines.
    pub async fn start(more: &str) -> Trial {
        let mut base: serde_yaml::Mapping = serde_yaml::from_str(SMALL).unwrap();
        let more: Option<serde_yaml::Mapping> = serde_yaml::from_str(more).unwrap();
        for (key, value) in more.into_iter().flatten() {
            match (base.get_mut(&key), value) {
                (Some(serde_yaml::Value::Mapping(old)), serde_yaml::Value::Mapping(new)) => old.extend(new),
                (_, value) => drop(base.insert(key, value)),
            }
        }
        let scenario = Scenario::from_yaml(&serde_yaml::to_string(&base).unwrap()).unwrap();
        let backup = scenario.backup.database.clone();
        let place = PLACES.acquire().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_demo"));
        let stage = Stage::start(scenario, folder.path(), binary).await.unwrap();
        stage.edit("\n  silentFor:", "\n  deadlines: {connect: 12s}\n  silentFor:").unwrap();
        eprintln!("seed {}", stage.lab.seed());
        let state = stage.lab.state();
        let server = state["servers"].as_array().unwrap().iter().find(|s| s["host"] == backup).unwrap();
        let survivor = server["name"].as_str().unwrap().to_owned();
        Trial { stage, survivor, _folder: folder, _place: place }
    }

    /// The usual beginning: messages are written and shipped, some more are written, the primary side dies, and the field
    /// is turned.
    pub async fn disaster(more: &str) -> Trial {
        let trial = Trial::start(more).await;
        trial.write(6).await;
        trial.order("backup-log").await;
        trial.write(4).await;
        trial.order("kill site primary").await;
        trial.turn("backup");
        trial
    }

    /// Gives an order that must be carried out.
    pub async fn order(&self, line: &str) -> Value {
        self.stage.order(line).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Declares the active side.
    pub fn turn(&self, side: &str) {
        let other = if side == "backup" { "primary" } else { "backup" };
        self.stage.edit(&format!("activeDatabase: {other}"), &format!("activeDatabase: {side}")).unwrap();
    }

    /// Adds a line to the manifest's spec.
    pub fn declare(&self, line: &str) {
        self.stage.edit("\n  silentFor:", &format!("\n  {line}\n  silentFor:")).unwrap();
    }

    /// Begins a run whose document is kept.
    pub fn begin(&self, verb: &str, more: &[&str]) -> Child {
        let command = self.stage.operator.command(verb, &[&["-o", "json"], more].concat());
        let mut command = Command::from(command);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command.spawn().unwrap()
    }

    /// Ends a run as `kill -9` does.
    pub async fn kill(&self, mut child: Child) {
        child.kill().await.unwrap();
    }

    /// Waits until something waits at the gate, and says what; nothing when the run ends before.
    pub async fn held(&self, child: &mut Child) -> Option<String> {
        let begin = Instant::now();
        loop {
            let gate = self.order("gate").await;
            if let Some(what) = gate["waiting"][0].as_str() {
                return Some(what.to_owned());
            }
            if child.try_wait().unwrap().is_some() {
                return None;
            }
            assert!(begin.elapsed() < PATIENCE, "nothing was held and the run did not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits for the end of a run.
    pub async fn end(&self, child: Child) -> Run {
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        let output = output.unwrap_or_else(|_| panic!("the run did not end\n{}", self.standing(BACKUP)));
        let output = output.unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        Run {
            code: output.status.code().unwrap_or(-1),
            document: serde_json::from_str(&text).unwrap_or(Value::Null),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// A whole run.
    pub async fn converge(&self, more: &[&str]) -> Run {
        let begin = Instant::now();
        let child = self.begin("converge", more);
        let run = self.end(child).await;
        eprintln!("converge {more:?}: exit code {}, {:.1} s", run.code, begin.elapsed().as_secs_f64());
        run
    }

    /// Waits until `ready` is true of the lab.
    pub async fn until(&self, what: &str, ready: impl Fn(&Trial) -> bool) {
        let begin = Instant::now();
        while !ready(self) {
            assert!(begin.elapsed() < PATIENCE, "{what} did not happen\n{}", self.standing(BACKUP));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Messages that chat servers were told are stored.
    pub fn acknowledged(&self) -> u64 {
        self.stage.lab.ledger()["acknowledged"].as_u64().unwrap()
    }

    /// Waits until so many more messages are stored.
    pub async fn write(&self, more: u64) {
        let wanted = self.acknowledged() + more;
        self.until("more messages", |t| t.acknowledged() >= wanted).await;
    }

    /// One server of the lab's state.
    pub fn server(&self, host: &str) -> Value {
        let state = self.stage.lab.state();
        let servers = state["servers"].as_array().unwrap();
        servers.iter().find(|s| s["host"] == host).unwrap_or_else(|| panic!("no {host}")).clone()
    }

    /// The chat database on a host: its state in lower case, with `standby` where it is.
    pub fn database(&self, host: &str) -> String {
        let server = self.server(host);
        let Some(d) = server["databases"].as_array().unwrap().first().cloned() else { return "none".into() };
        let state = d["state"].as_str().unwrap_or("?").to_lowercase();
        if d["standby"].is_null() { state } else { format!("{state} standby") }
    }

    /// The batches that a server was asked, in order.
    pub async fn batches(&self, host: &str) -> Vec<Value> {
        let log = self.order(&format!("statements {host}")).await;
        log["statements"].as_array().unwrap().clone()
    }

    /// Waits until a server was asked more than `before` batches.
    pub async fn looked_at(&self, host: &str, before: usize) {
        let begin = Instant::now();
        while self.batches(host).await.len() <= before {
            assert!(begin.elapsed() < PATIENCE, "{host} was not asked anything\n{}", self.standing(host));
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Where a server stands, for a person who reads a failed test.
    pub fn standing(&self, host: &str) -> String {
        let server = self.server(host);
        let mut out = String::new();
        for part in ["databases", "agent", "sessions", "locks", "properties"] {
            let _ = writeln!(out, "{part} {}", server[part]);
        }
        out
    }

    /// Log shipping runs: both jobs are there and enabled.
    pub fn shipping_runs(&self) -> bool {
        let jobs = self.server(BACKUP)["agent"]["jobs"].clone();
        let jobs: Vec<Value> = match jobs {
            Value::Array(jobs) => jobs,
            Value::Object(jobs) => jobs.into_iter().map(|(_, job)| job).collect(),
            other => panic!("jobs: {other}"),
        };
        jobs.len() >= 2 && jobs.iter().all(|j| j["enabled"] == true)
    }

    /// Edits the manifest.
    pub fn edit(&self, from: &str, to: &str) {
        self.stage.edit(from, to).unwrap();
    }

    /// The real folder behind the copy folder.
    pub fn copy_folder(&self) -> PathBuf {
        self.stage.lab.dir().join("world/hosts").join(BACKUP).join("D/LogShip")
    }

    /// The real folder behind the share.
    pub fn share(&self) -> PathBuf {
        self.stage.lab.dir().join("world/shares/files/pchat-logs")
    }

    /// The names of the log backups that a folder's listing in the state has (`share` or `folder`).
    pub fn files(&self, place: &str) -> Vec<String> {
        let state = self.stage.lab.state();
        let names = state["files"][place].as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned());
        names.filter(|n| n.ends_with(".trn")).collect()
    }

    /// An extended property of `master` on the backup instance, by the end of its name.
    pub fn property(&self, end: &str) -> Option<String> {
        let properties = self.server(BACKUP)["properties"].as_array().unwrap().clone();
        let found = properties.iter().find(|p| p["name"].as_str().is_some_and(|n| n.ends_with(end)));
        found.map(|p| p["value"].as_str().unwrap_or_default().to_owned())
    }

    /// Nothing was changed since the last `mark`.
    #[track_caller]
    pub fn untouched(&self) {
        assert_eq!(self.stage.lab.mutations(), 0, "something was changed");
    }

    /// Nothing was changed since the last `mark` but for what is kept of a silence, which has been written since then alone.
    #[track_caller]
    pub fn untouched_but_for_the_silence(&self) {
        let kept: Value =
            self.property("/silence").and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        let written = kept["rev"].as_u64().map_or(0, |rev| rev + 1);
        assert_eq!(self.stage.lab.mutations(), written, "something else was changed: {kept}");
    }

    /// The run converged, its report was true, the pool serves from the backup side alone, and another run changes nothing.
    pub async fn delivered(&self, run: &Run) {
        self.served(run).await;
        self.quiet().await;
    }

    /// The same without another run, for scenarios that are many and differ only in how they came here.
    pub async fn served(&self, run: &Run) {
        assert_eq!(run.code, exit::DONE, "{run}");
        assert_eq!(run.document["outcome"], "Converged", "{run}");
        self.truthful(run);
        self.one_side_writes();
        assert_eq!(self.database(BACKUP), "online");
        self.write(4).await;
        self.one_side_writes();
    }

    /// Another run converges without changing anything.
    pub async fn quiet(&self) {
        self.order("mark").await;
        let again = self.converge(&["--executor", "second-run"]).await;
        assert_eq!(again.code, exit::DONE, "the second run: {again}");
        assert_eq!(self.stage.lab.mutations(), 0, "the second run changed something: {again}");
    }

    /// What was lost lies in the interval that the run reported.
    #[track_caller]
    pub fn truthful(&self, run: &Run) {
        let interval = Interval::of(&run.document).unwrap_or_else(|e| panic!("{e}\n{run}"));
        self.lies_in(interval, run);
    }

    /// What was lost lies in this interval.
    #[track_caller]
    pub fn lies_in(&self, interval: Interval, told: &dyn std::fmt::Display) {
        assert!(interval.safe_until.is_some(), "a loss without a beginning: {told}");
        let lost = self.stage.lost(&self.survivor).unwrap();
        if let Err(untrue) = interval.holds(&lost) {
            panic!("{untrue}\nlost {lost}\n{interval:?}\n{told}");
        }
    }

    /// No message was stored by one side after the other side had begun to store them.
    #[track_caller]
    pub fn one_side_writes(&self) {
        let ledger = self.stage.lab.ledger();
        let by = ledger["by_instance"].as_object().unwrap();
        let time = |v: &Value| v.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let old = by
            .iter()
            .filter(|(n, _)| n.contains("-TP") || n.contains("-tp"))
            .map(|(_, a)| time(&a["last"]))
            .max();
        let new = by
            .iter()
            .filter(|(n, _)| n.contains("-KS") || n.contains("-ks"))
            .map(|(_, a)| time(&a["first"]))
            .min();
        if let (Some(old), Some(new)) = (old, new) {
            assert!(old < new, "both sides stored messages: {ledger}");
        }
    }
}
