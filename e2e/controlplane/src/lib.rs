//! A real Kubernetes control plane on loopback: etcd, kube-apiserver, kube-controller-manager, kubectl, helm, Flux.
//!
//! Answers for building them (`build`, once, cached outside the tree), for starting and ending them, and for what the API
//! server's audit log says of who asked what. No pod ever runs: who would run in one is a process with the token of the
//! service account. Everything ends with this process, even when it is killed.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

mod flux;

pub use flux::Flux;

/// What went wrong with the control plane itself.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// The programs could not be built.
    #[error("e2e/controlplane/build has failed ({0}); it needs Go and the module proxy")]
    Build(String),
    /// A part could not be started or spoken to.
    #[error("{part}: {cause}")]
    Part {
        /// Which.
        part: String,
        /// Why.
        cause: String,
    },
    /// A command has failed.
    #[error("{line}\n{output}")]
    Command {
        /// As it was called.
        line: String,
        /// What it printed.
        output: String,
    },
}

/// What etcd, the API server and the controllers of Kubernetes say of themselves, in the control plane's folder.
const LOG: &str = "controlplane.log";

/// How much of it is told when the control plane has ended.
const LAST_WORDS: usize = 2_000;

fn part(part: &str, cause: impl ToString) -> ControlPlaneError {
    ControlPlaneError::Part { part: part.to_owned(), cause: cause.to_string() }
}

/// The folder of the programs; builds them if they are not there yet.
pub fn programs() -> Result<PathBuf, ControlPlaneError> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("build");
    let output = Command::new(&script)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| ControlPlaneError::Build(format!("{}: {error}", script.display())))?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() || folder.is_empty() {
        return Err(ControlPlaneError::Build(output.status.to_string()));
    }
    Ok(folder.into())
}

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    programs: PathBuf,
    folder: PathBuf,
    process: Mutex<Process>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
    log: PathBuf,
}

impl ControlPlane {
    /// Starts one with its data, certificates and logs in `folder`. Two to three seconds on a free machine.
    pub fn start(folder: &Path) -> Result<Self, ControlPlaneError> {
        let programs = programs()?;
        let log = folder.join(LOG);
        let file = std::fs::create_dir_all(folder).and_then(|()| File::create(&log));
        let mut child = Command::new(programs.join("controlplane"))
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file.map_err(|error| part(LOG, error))?)
            .spawn()
            .map_err(|error| part("controlplane", error))?;
        let answers =
            child.stdout.take().map(BufReader::new).ok_or_else(|| part("controlplane", "no output"))?;
        let mut process = Process { child, answers, log };
        process.answer("ready")?;
        Ok(Self { programs, folder: folder.to_owned(), process: Mutex::new(process) })
    }

    /// Kills the API server; its data stay.
    pub fn stop_api_server(&self) -> Result<(), ControlPlaneError> {
        self.order("stop", "stopped")
    }

    /// Starts it again at the same address.
    pub fn start_api_server(&self) -> Result<(), ControlPlaneError> {
        self.order("start", "ready")
    }

    fn order(&self, order: &str, answer: &str) -> Result<(), ControlPlaneError> {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        let input = process.child.stdin.as_mut().ok_or_else(|| part("controlplane", "no input"))?;
        writeln!(input, "{order}").map_err(|error| part("controlplane", error))?;
        process.answer(answer)
    }

    /// The folder of the programs.
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// The folder of this control plane.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A kubeconfig of one who may do everything.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    /// A kubeconfig of a service account, with a token of the API server.
    pub fn service_account(&self, namespace: &str, name: &str) -> Result<PathBuf, ControlPlaneError> {
        let token = self.kubectl(&["create", "token", name, "-n", namespace, "--duration", "12h"], "")?;
        let text =
            std::fs::read_to_string(self.kubeconfig()).map_err(|error| part("admin.kubeconfig", error))?;
        let path = self.folder.join(format!("{namespace}.{name}.kubeconfig"));
        let lines = text.lines().map(|line| match line.starts_with("users:") {
            true => format!("users: [{{name: admin, user: {{token: {}}}}}]\n", token.trim()),
            false => format!("{line}\n"),
        });
        std::fs::write(&path, lines.collect::<String>()).map_err(|error| part("kubeconfig", error))?;
        Ok(path)
    }

    /// A program of this control plane, ready to be given arguments, with the administrator's kubeconfig.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        // Nothing of the person's own configuration may play a part.
        command.env("KUBECONFIG", self.kubeconfig()).env("HOME", &self.folder);
        command.stdin(Stdio::null());
        command
    }

    /// Runs kubectl with this input, and gives what it printed.
    pub fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String, ControlPlaneError> {
        let mut command = self.command("kubectl");
        run(command.args(arguments), input)
    }

    /// Runs helm, and gives what it printed.
    pub fn helm(&self, arguments: &[&str]) -> Result<String, ControlPlaneError> {
        let mut command = self.command("helm");
        run(command.args(arguments), "")
    }

    /// Every request that the API server has answered since the mark, the oldest first.
    pub fn audit(&self, since: Mark) -> Result<Vec<Request>, ControlPlaneError> {
        let log = std::fs::read(self.folder.join("audit.log")).map_err(|error| part("audit.log", error))?;
        let new = log.get(since.0..).unwrap_or_default();
        let lines = new.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        lines
            .map(|line| serde_json::from_slice(line).map(Request).map_err(|error| part("audit.log", error)))
            .collect()
    }

    /// The present end of the audit log.
    pub fn mark(&self) -> Mark {
        let length = std::fs::metadata(self.folder.join("audit.log")).map_or(0, |about| about.len());
        Mark(usize::try_from(length).unwrap_or(usize::MAX))
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(process.child.stdin.take());
        let _ = process.child.wait();
    }
}

impl Process {
    fn answer(&mut self, wanted: &str) -> Result<(), ControlPlaneError> {
        let mut line = String::new();
        self.answers.read_line(&mut line).map_err(|error| part("controlplane", error))?;
        match line.trim() {
            line if line == wanted => Ok(()),
            "" => {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                let from = log.char_indices().rev().nth(LAST_WORDS).map_or(0, |(at, _)| at);
                Err(part("controlplane", format!("it has ended; its last words:\n{}", &log[from..])))
            }
            other => Err(part("controlplane", format!("it answers {other:?} instead of {wanted:?}"))),
        }
    }
}

/// A place in the audit log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mark(usize);

/// A request that the API server has answered.
#[derive(Clone, Debug)]
pub struct Request(Value);

impl Request {
    fn text(&self, path: &str) -> &str {
        self.0.pointer(path).and_then(Value::as_str).unwrap_or_default()
    }

    /// `get`, `list`, `watch`, `create`, `patch`, ...
    pub fn verb(&self) -> &str {
        self.text("/verb")
    }

    /// Who asked, such as `system:serviceaccount:NAMESPACE:NAME`.
    pub fn user(&self) -> &str {
        self.text("/user/username")
    }

    /// The resource, with its subresource behind a slash.
    pub fn resource(&self) -> String {
        match (self.text("/objectRef/resource"), self.text("/objectRef/subresource")) {
            (resource, "") => resource.to_owned(),
            (resource, sub) => format!("{resource}/{sub}"),
        }
    }

    /// The object's name, where there is one.
    pub fn name(&self) -> &str {
        self.text("/objectRef/name")
    }

    /// The object's namespace.
    pub fn namespace(&self) -> &str {
        self.text("/objectRef/namespace")
    }

    /// The status code of the answer.
    pub fn code(&self) -> u64 {
        self.0.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default()
    }

    /// Whether something was to be changed.
    pub fn writes(&self) -> bool {
        !matches!(self.verb(), "get" | "list" | "watch")
    }
}

/// Runs a command to its end with this input, and gives its standard output.
fn run(command: &mut Command, input: &str) -> Result<String, ControlPlaneError> {
    let line = format!("{command:?}");
    let failed = |output: String| ControlPlaneError::Command { line: line.clone(), output };
    let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = pipes.spawn().map_err(|error| failed(error.to_string()))?;
    if let Some(mut pipe) = child.stdin.take() {
        // One that does not read its input says why itself.
        let _ = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(text),
        false => Err(failed(format!("{text}{}", String::from_utf8_lossy(&output.stderr)))),
    }
}
