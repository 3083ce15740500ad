//! The operator on a real API server, with the simulated data centres at its far ends.
//!
//! Answers for a namespace with its lab, for replicas of the operator as processes with the service account's token, and
//! for what `kubectl` says. They need Go to build the control plane: `cargo test -p pchat-e2e --test scenarios -- --ignored`.

mod approvals;
mod failover;
mod faults;
mod fences;
mod gitops;
mod rights;
mod specs;
mod steady;
mod told;
mod without_cluster;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pchat_controlplane::ControlPlane;
use pchat_e2e::verdict::Interval;
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::common::{BACKUP, Trial};

/// The release's name, and the service account's.
const CHART: &str = "pchat-operator";

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// The control plane that all scenarios share; those that stop it have one of their own.
pub fn shared() -> &'static ControlPlane {
    static SHARED: OnceLock<ControlPlane> = OnceLock::new();
    SHARED.get_or_init(|| own("shared"))
}

/// A control plane of one's own, with the resource installed.
pub fn own(name: &str) -> ControlPlane {
    let plane = ControlPlane::start(&folder(name)).unwrap_or_else(|error| panic!("{error}"));
    let crd = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/persistentchatpools.yaml");
    plane.kubectl(&["create", "-f", &crd.to_string_lossy()], "").unwrap_or_else(|error| panic!("{error}"));
    let established = ["wait", "--for=condition=Established", "crd/persistentchatpools.persistentchat.io"];
    plane.kubectl(&established, "").unwrap_or_else(|error| panic!("{error}"));
    plane
}

/// A folder for it; those of test runs that are over are removed.
fn folder(name: &str) -> PathBuf {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("controlplanes");
    for old in std::fs::read_dir(&all).into_iter().flatten().flatten() {
        let alive = old.file_name().to_str().is_some_and(|pid| Path::new("/proc").join(pid).exists());
        if !alive {
            let _ = std::fs::remove_dir_all(old.path());
        }
    }
    all.join(std::process::id().to_string()).join(name)
}

/// A namespace with a pool whose far ends are a lab.
pub struct Site {
    pub trial: Arc<Trial>,
    pub plane: &'static ControlPlane,
    pub namespace: String,
}

/// A replica of the operator.
pub struct Replica {
    pub child: Child,
    pub name: String,
    log: PathBuf,
}

impl Site {
    /// A lab that differs by these lines from the usual one, and a namespace with the operator's service account.
    pub async fn start(more: &str) -> Site {
        Site::with(Arc::new(Trial::start(more).await), shared())
    }

    /// A namespace of this control plane for this lab.
    pub fn with(trial: Arc<Trial>, plane: &'static ControlPlane) -> Site {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let namespace = format!("lync-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let site = Site { trial, plane, namespace };
        site.admin(&["create", "namespace", &site.namespace], "");
        let watched = format!("watchNamespace={}", site.namespace);
        site.install(&["--set", &watched]);
        site
    }

    /// Installs the chart in this namespace, for the rights that it gives: nothing here runs its pods.
    pub fn install(&self, values: &[&str]) {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/pchat-operator");
        let chart = chart.to_string_lossy();
        let place = [
            "upgrade",
            "--install",
            CHART,
            &chart,
            "-n",
            &self.namespace,
            "--set",
            "crds.install=false,userRoles.install=false",
        ];
        self.plane.helm(&[&place, values].concat()).unwrap_or_else(|error| panic!("{error}"));
    }

    /// A kubeconfig of the service account that the chart has made.
    pub fn service_account(&self) -> PathBuf {
        self.plane.service_account(&self.namespace, CHART).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The pool runs in the first data centre, has been written to and shipped, and is declared; the operator is ready.
    pub async fn calm(more: &str) -> (Site, Replica) {
        Site::start(more).await.attended().await
    }

    /// The same on a control plane of its own.
    pub async fn calm_on(plane: ControlPlane) -> (Site, Replica) {
        Site::with(Arc::new(Trial::start("").await), Box::leak(Box::new(plane))).attended().await
    }

    pub async fn attended(self) -> (Site, Replica) {
        let site = self;
        site.trial.write(6).await;
        site.trial.order("backup-log").await;
        site.trial.write(4).await;
        site.apply();
        let replica = site.operator("operator-0", &[]);
        site.until("Ready", |pool| is(pool, "Ready", "True")).await;
        (site, replica)
    }

    /// Runs kubectl as administrator, anywhere.
    pub fn admin(&self, arguments: &[&str], input: &str) -> String {
        self.plane.kubectl(arguments, input).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs kubectl as administrator in this namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.admin(&[&["-n", &self.namespace], arguments].concat(), "")
    }

    /// The lab's manifest as it stands, for this namespace.
    pub fn manifest(&self) -> String {
        let text = std::fs::read_to_string(self.trial.stage.manifest()).unwrap();
        text.replace("namespace: lync", &format!("namespace: {}", self.namespace))
    }

    /// `kubectl apply` of the lab's manifest with its Secrets.
    pub fn apply(&self) {
        self.admin(&["apply", "-f", "-"], &self.manifest());
    }

    /// Declares the active side, as a user does who edits the file and applies it.
    pub fn turn(&self, side: &str) {
        self.trial.turn(side);
        self.apply();
    }

    /// Starts a replica of the operator that leads or waits.
    pub fn operator(&self, name: &str, more: &[&str]) -> Replica {
        self.operator_as(&self.service_account(), name, more)
    }

    /// The same with this kubeconfig.
    pub fn operator_as(&self, kubeconfig: &Path, name: &str, more: &[&str]) -> Replica {
        self.spawn(kubeconfig, name, &[&["--namespace", self.namespace.as_str()], more].concat())
    }

    /// The same for the pools of all namespaces.
    pub fn operator_everywhere(&self, kubeconfig: &Path, name: &str) -> Replica {
        self.spawn(kubeconfig, name, &[])
    }

    fn spawn(&self, kubeconfig: &Path, name: &str, more: &[&str]) -> Replica {
        let stage = &self.trial.stage.operator;
        let log = stage.folder.join(format!("{name}.log"));
        let place = ["run", "--pod-namespace", &self.namespace];
        let this = [
            "--pod-name",
            name,
            "--listen",
            "127.0.0.1:0",
            "--hosts",
            "hosts",
            "--demand-secret-hosts",
            "-v",
        ];
        let mut command = Command::new(&stage.binary);
        command.arg(pchat_e2e::operator::WORD).args(place).args(this).args(more);
        command.current_dir(&stage.folder).env("KUBECONFIG", kubeconfig).kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log).unwrap());
        Replica { child: command.spawn().unwrap(), name: name.to_owned(), log }
    }

    /// The pool as the API server has it.
    pub fn pool(&self) -> Value {
        serde_json::from_str(&self.kubectl(&["get", "pchat", "chat", "-o", "json"])).unwrap()
    }

    /// Waits until `ready` is true of the pool.
    #[track_caller]
    pub fn until(&self, what: &str, ready: impl Fn(&Value) -> bool) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            let begin = Instant::now();
            loop {
                let pool = self.pool();
                if ready(&pool) {
                    return pool;
                }
                if begin.elapsed() > PATIENCE {
                    panic!("{caller}: {what} did not come\n{}", self.describe());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    /// The primary side dies in a calm pool, and the word is changed.
    pub async fn disaster(&self) {
        self.trial.order("kill site primary").await;
        self.turn("backup");
    }

    /// The pool gets Ready on the backup side, what it says of the loss is true, and only that side was ever written to.
    #[track_caller]
    pub fn moved(&self) -> impl Future<Output = Value> {
        let ready = self.until("Ready", |pool| is(pool, "Ready", "True"));
        async move {
            let pool = ready.await;
            let told = format!("{pool:#}");
            assert_eq!(pool["status"]["activeDatabase"], "backup", "{told}");
            assert_eq!(self.trial.database(BACKUP), "online");
            let loss = &pool["status"]["history"][0]["loss"];
            let time = |field: &str| loss[field].as_str().map(|text| text.parse().unwrap());
            let interval = Interval { safe_until: time("safeUntil"), at_most_until: time("atMostUntil") };
            self.trial.lies_in(interval, &told);
            self.trial.one_side_writes();
            self.trial.write(4).await;
            self.trial.one_side_writes();
            pool
        }
    }

    /// `kubectl describe` of the pool, and what the operators logged last.
    pub fn describe(&self) -> String {
        let mut text = self.kubectl(&["describe", "pchat", "chat"]);
        for entry in std::fs::read_dir(&self.trial.stage.operator.folder).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|end| end == "log") {
                let log = std::fs::read_to_string(entry.path()).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(30).collect();
                text.push_str(&format!("\n== {}\n", entry.path().display()));
                last.iter().rev().for_each(|line| text.push_str(&format!("{line}\n")));
            }
        }
        text
    }
}

impl Replica {
    /// Ends it as `kill -9` does.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks it to stop, as Kubernetes does, and gives its exit code.
    pub async fn stop(mut self) -> i32 {
        crate::common::signal(&self.child, "-TERM");
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{} does not stop\n{}", self.name, self.log()));
        ended.unwrap().code().unwrap_or(-1)
    }
}

/// Whether a condition has this answer, and for the pool's present generation.
pub fn is(pool: &Value, kind: &str, answer: &str) -> bool {
    let condition = condition(pool, kind);
    condition["status"] == answer && condition["observedGeneration"] == pool["metadata"]["generation"]
}

/// A condition of the pool; null when it is not there.
pub fn condition(pool: &Value, kind: &str) -> Value {
    let conditions = pool["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions.iter().find(|c| c["type"] == kind).cloned().unwrap_or_default()
}
