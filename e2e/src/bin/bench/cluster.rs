//! The operator in Kubernetes, measured: pools at rest, from `kubectl apply` to the first change, and a whole failover.
//!
//! The API server is a real one with its audit log, the operator runs with the chart's service account and role, and the
//! far ends are one lab: the objects at rest all declare the same pool, which is as they declare it.

use crate::measure::Failure;
use crate::process;
use crate::scenario::{FAILOVER, Size, calm, failover};
use pchat_controlplane::{ControlPlane, Request};
use pchat_e2e::stage::Stage;
use pchat_lab::Scenario;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Numbers of pools that are left at rest.
pub const POOLS: [usize; 2] = [100, 1_000];

/// How long pools at rest are watched.
const WATCHED: Duration = Duration::from_secs(60);

/// How long the operator has to come to rest before that.
const SETTLED: Duration = Duration::from_secs(45);

/// After that the operator has seen for as long as declared that a side is silent: a pool at rest is not looked at all the time.
const SEEN_DEAD: Duration = Duration::from_secs(45);

/// Longest time for anything else.
const PATIENCE: Duration = Duration::from_secs(600);

const NAMESPACE: &str = "bench";
const CHART: &str = "pchat-operator";

/// A failover of few and quick steps, for the time until it begins.
const QUICK: Size = Size { backups: 4, restore_log_ms: 5, silent_for_s: 2 };

/// Pools at rest.
#[derive(Clone, Debug)]
pub struct AtRest {
    pub pools: usize,
    /// From the start of the operator until all were Ready.
    pub ready: Duration,
    /// Peak resident memory in KiB, the start included.
    pub peak_rss_kib: u64,
    /// Resident memory in KiB at rest.
    pub rss_kib: u64,
    /// Processor time a pool and minute.
    pub cpu: Duration,
    /// Requests to the API server a pool and minute, without the Lease's.
    pub requests: f64,
    /// Requests to the API server that change something, without the Lease's.
    pub writes: usize,
    /// Requests for the Lease a minute.
    pub lease: f64,
    /// Batches that the SQL Servers were sent a pool and minute.
    pub batches: f64,
}

/// From the change of the word to the first change at a far end.
#[derive(Clone, Copy, Debug)]
pub struct Reaction {
    /// Until a watch beside the operator's was told.
    pub watch: Duration,
    /// Until the first mutating statement.
    pub mutation: Duration,
}

impl Reaction {
    /// What the operator adds to the watch.
    pub fn own(&self) -> Duration {
        self.mutation.saturating_sub(self.watch)
    }
}

impl AtRest {
    pub fn json(&self) -> Value {
        json!({
            "pools": self.pools,
            "readyMs": self.ready.as_millis(),
            "peakRssKib": self.peak_rss_kib,
            "rssKib": self.rss_kib,
            "cpuMsPerPoolMinute": self.cpu.as_secs_f64() * 1e3,
            "requestsPerPoolMinute": self.requests,
            "writes": self.writes,
            "leaseRequestsPerMinute": self.lease,
            "batchesPerPoolMinute": self.batches,
        })
    }
}

/// A control plane, a lab, and the operator between them.
struct Cluster {
    plane: ControlPlane,
    stage: Stage,
    binary: PathBuf,
    operator: Option<Child>,
    _folder: tempfile::TempDir,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(operator) = &mut self.operator {
            let _ = operator.kill();
            let _ = operator.wait();
        }
    }
}

impl Cluster {
    async fn start(binary: &Path, scenario: Result<Scenario, String>) -> Result<Self, Failure> {
        let scenario = scenario?;
        let folder = tempfile::tempdir()?;
        let plane = ControlPlane::start(&folder.path().join("controlplane"))?;
        let stage = Stage::start(scenario, &folder.path().join("lab"), binary).await?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let path = |relative: &str| root.join(relative).to_string_lossy().into_owned();
        plane.kubectl(&["create", "-f", &path("crds/persistentchatpools.yaml")], "")?;
        let crd = "crd/persistentchatpools.persistentchat.io";
        plane.kubectl(&["wait", "--for=condition=Established", crd], "")?;
        plane.kubectl(&["create", "namespace", NAMESPACE], "")?;
        let (chart, watched) = (path("charts/pchat-operator"), format!("watchNamespace={NAMESPACE}"));
        let place = ["install", CHART, &chart, "-n", NAMESPACE, "--set", "crds.install=false"];
        plane.helm(&[&place[..], &["--set", &watched]].concat())?;
        Ok(Cluster { plane, stage, binary: binary.to_owned(), operator: None, _folder: folder })
    }

    fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, Failure> {
        Ok(self.plane.kubectl(&[&["-n", NAMESPACE], arguments].concat(), input)?)
    }

    /// `kubectl apply` of the manifest as it stands.
    fn apply(&self) -> Result<(), Failure> {
        let manifest = std::fs::read_to_string(self.stage.manifest())?;
        self.kubectl(&["apply", "-f", "-"], &manifest.replace("namespace: lync", "namespace: bench"))?;
        Ok(())
    }

    /// The manifest's Secrets, and so many pools that differ by their names.
    fn create(&self, pools: usize) -> Result<(), Failure> {
        let manifest = std::fs::read_to_string(self.stage.manifest())?;
        let manifest = manifest.replace("namespace: lync", "namespace: bench");
        let (pool, secrets) = manifest.split_once("---\n").ok_or("the manifest has no Secrets")?;
        self.kubectl(&["create", "-f", "-"], secrets)?;
        let named = (0..pools).map(|n| pool.replace("name: chat,", &format!("name: chat-{n:04},")));
        self.kubectl(&["create", "-f", "-"], &named.collect::<Vec<_>>().join("---\n"))?;
        Ok(())
    }

    fn run(&mut self) -> Result<(), Failure> {
        let folder = &self.stage.operator.folder;
        let mut command = Command::new(&self.binary);
        command.args([
            "run",
            "--namespace",
            NAMESPACE,
            "--pod-namespace",
            NAMESPACE,
            "--pod-name",
            "bench-0",
        ]);
        command.args(["--listen", "127.0.0.1:0", "--hosts", "hosts"]).current_dir(folder);
        // As in the image, which has the authorities that the world knows one by one instead of in one file, and one heap.
        command.env("SSL_CERT_FILE", "/dev/null").env("MALLOC_ARENA_MAX", "1");
        command.env("KUBECONFIG", self.plane.service_account(NAMESPACE, CHART)?);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(folder.join("operator.log"))?);
        self.operator = Some(command.spawn()?);
        Ok(())
    }

    /// Waits until all pools of the namespace are Ready for what they declare now.
    fn ready(&self) -> Result<(), Failure> {
        let timeout = format!("--timeout={}s", PATIENCE.as_secs());
        let told = self.kubectl(&["wait", "--for=condition=Ready", "pchat", "--all", &timeout], "");
        told.map(drop).map_err(|error| {
            let log = std::fs::read_to_string(self.stage.operator.folder.join("operator.log"));
            format!("{error}\n{}", log.unwrap_or_default()).into()
        })
    }

    fn process(&self) -> Result<process::Used, Failure> {
        let operator = self.operator.as_ref().ok_or("the operator does not run")?;
        process::used_by(operator).ok_or_else(|| "the operator has ended, or there is no /proc".into())
    }

    async fn batches(&self) -> Result<usize, Failure> {
        let mut count = 0;
        for (host, _) in Scenario::default().sql_hosts() {
            let log = self.stage.order(&format!("statements {host}")).await?;
            count += log["statements"].as_array().map_or(0, Vec::len);
            count += log["forgotten"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        }
        Ok(count)
    }
}

/// So many pools at rest.
pub async fn at_rest(binary: &Path, pools: usize) -> Result<AtRest, Failure> {
    let mut cluster = Cluster::start(binary, calm()).await?;
    cluster.create(pools)?;
    let begun = Instant::now();
    cluster.run()?;
    tokio::task::block_in_place(|| cluster.ready())?;
    let ready = begun.elapsed();
    tokio::time::sleep(SETTLED).await;
    let (mark, before, batches) = (cluster.plane.mark(), cluster.process()?, cluster.batches().await?);
    let watched = Instant::now();
    tokio::time::sleep(WATCHED).await;
    let (after, minutes) = (cluster.process()?, watched.elapsed().as_secs_f64() / 60.0);
    let batches = cluster.batches().await? - batches;
    let user = format!("system:serviceaccount:{NAMESPACE}:{CHART}");
    let all = cluster.plane.audit(mark)?;
    let (lease, others): (Vec<&Request>, Vec<&Request>) =
        all.iter().filter(|r| r.user() == user).partition(|r| r.resource() == "leases");
    let pool_minutes = pools as f64 * minutes;
    Ok(AtRest {
        pools,
        ready,
        peak_rss_kib: after.peak_rss_kib,
        rss_kib: after.rss_kib,
        cpu: after.cpu.saturating_sub(before.cpu).div_f64(pool_minutes),
        requests: others.len() as f64 / pool_minutes,
        writes: others.iter().filter(|r| r.writes()).count(),
        lease: lease.len() as f64 / minutes,
        batches: batches as f64 / pool_minutes,
    })
}

/// From `kubectl apply` of the changed word to the first mutating statement, the other side having been silent for long enough.
pub async fn reaction(binary: &Path) -> Result<Reaction, Failure> {
    let mut cluster = Cluster::start(binary, failover(QUICK)).await?;
    cluster.apply()?;
    cluster.run()?;
    tokio::task::block_in_place(|| cluster.ready())?;
    cluster.stage.order("kill site primary").await?;
    tokio::time::sleep(SEEN_DEAD).await;
    cluster.stage.order("mark").await?;
    let mut watch = cluster.plane.command("kubectl");
    watch.args([
        "-n",
        NAMESPACE,
        "get",
        "pchat",
        "chat",
        "-w",
        "-o",
        "jsonpath={.spec.activeDatabase}{\"\\n\"}",
    ]);
    let mut watch = watch.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(watch.stdout.take().ok_or("no pipe")?).lines();
    lines.next().ok_or("the watch has ended")??;
    let heard = std::thread::spawn(move || {
        lines.map_while(Result::ok).find(|line| line == "backup").map(|_| Instant::now())
    });
    let patch = "{\"spec\":{\"activeDatabase\":\"backup\"}}";
    let mut command = cluster.plane.command("kubectl");
    command.args(["-n", NAMESPACE, "patch", "pchat", "chat", "--type=merge", "-p", patch]);
    let begun = Instant::now();
    let mut kubectl = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    while cluster.stage.lab.mutations() == 0 {
        if begun.elapsed() > PATIENCE {
            return Err("the failover does not begin".into());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mutation = begun.elapsed();
    kubectl.wait()?;
    let heard = heard.join().ok().flatten().ok_or("the watch was not told")?;
    watch.kill()?;
    watch.wait()?;
    Ok(Reaction { watch: heard.duration_since(begun), mutation })
}

/// The failover that the targets are about, from `kubectl apply` until `kubectl wait` returns, without the declared silence.
pub async fn whole(binary: &Path) -> Result<Duration, Failure> {
    let mut cluster = Cluster::start(binary, failover(FAILOVER)).await?;
    cluster.apply()?;
    cluster.run()?;
    tokio::task::block_in_place(|| cluster.ready())?;
    cluster.stage.order("kill site primary").await?;
    cluster.stage.edit("activeDatabase: primary", "activeDatabase: backup")?;
    let begun = Instant::now();
    cluster.apply()?;
    tokio::task::block_in_place(|| cluster.ready())?;
    Ok(begun.elapsed().saturating_sub(Duration::from_secs(FAILOVER.silent_for_s)))
}
