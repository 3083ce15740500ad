//! Flux: source-controller and kustomize-controller as plain processes, and a Git repository that they fetch from.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{ControlPlane, ControlPlaneError, part, run};

/// Flux beside a control plane, with one bare repository, `pools.git`.
#[derive(Debug)]
pub struct Flux {
    processes: Vec<Child>,
    work: PathBuf,
    address: String,
}

impl Flux {
    /// Installs Flux's resources and starts its controllers.
    pub fn start(plane: &ControlPlane) -> Result<Self, ControlPlaneError> {
        let folder = plane.folder().join("flux");
        let served = folder.join("git");
        std::fs::create_dir_all(&served).map_err(|error| part("flux", error))?;
        let crds = plane.programs().join("crds");
        plane.kubectl(&["apply", "--server-side", "-f", &crds.to_string_lossy()], "")?;
        plane.kubectl(&["create", "namespace", "flux-system"], "")?;
        let bare = served.join("pools.git");
        git(&folder, &["init", "--quiet", "--bare", "--initial-branch=main", &bare.to_string_lossy()])?;
        git(&folder, &["clone", "--quiet", &bare.to_string_lossy(), "work"])?;
        let mut flux = Self { processes: Vec::new(), work: folder.join("work"), address: String::new() };
        flux.serve(plane, &served)?;
        let storage = format!("127.0.0.1:{}", free_port()?);
        let path = folder.join("artifacts");
        std::fs::create_dir_all(&path).map_err(|error| part("flux", error))?;
        let path = path.to_string_lossy().into_owned();
        flux.control(
            plane,
            "source-controller",
            &["--storage-path", &path, "--storage-addr", &storage, "--storage-adv-addr", &storage],
        )?;
        flux.control(plane, "kustomize-controller", &[])?;
        Ok(flux)
    }

    /// The checked-out repository; what is committed there is fetched after [`Flux::push`].
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// The repository's address.
    pub fn repository(&self) -> String {
        format!("{}/pools.git", self.address)
    }

    /// Commits all that has changed, pushes it, and gives the commit's hash.
    pub fn push(&self, message: &str) -> Result<String, ControlPlaneError> {
        git(&self.work, &["add", "--all"])?;
        let who = ["-c", "user.name=admin", "-c", "user.email=admin@contoso.com"];
        git(&self.work, &[&who[..], &["commit", "--quiet", "-m", message]].concat())?;
        git(&self.work, &["push", "--quiet", "origin", "HEAD:main"])?;
        git(&self.work, &["rev-parse", "HEAD"]).map(|hash| hash.trim().to_owned())
    }

    fn serve(&mut self, plane: &ControlPlane, served: &Path) -> Result<(), ControlPlaneError> {
        let mut command = plane.command("controlplane");
        command.arg("git").arg(served).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| part("git", error))?;
        let answers = child.stdout.take().ok_or_else(|| part("git", "no output"))?;
        self.processes.push(child);
        let mut line = String::new();
        BufReader::new(answers).read_line(&mut line).map_err(|error| part("git", error))?;
        line.trim().clone_into(&mut self.address);
        match self.address.starts_with("http://") {
            true => Ok(()),
            false => Err(part("git", format!("it answers {line:?} instead of its address"))),
        }
    }

    fn control(&mut self, plane: &ControlPlane, name: &str, more: &[&str]) -> Result<(), ControlPlaneError> {
        let log =
            File::create(plane.folder().join(format!("{name}.log"))).map_err(|error| part(name, error))?;
        let mut command = plane.command("controlplane");
        let addresses =
            ["--metrics-addr", "127.0.0.1:0", "--health-addr", "127.0.0.1:0", "--events-addr", ""];
        command.arg("tie").arg(plane.programs().join(name)).args(addresses).args(more);
        command.env("RUNTIME_NAMESPACE", "flux-system").env("TMPDIR", plane.folder());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        self.processes.push(command.spawn().map_err(|error| part(name, error))?);
        Ok(())
    }
}

impl Drop for Flux {
    fn drop(&mut self) {
        for process in &mut self.processes {
            drop(process.stdin.take());
            let _ = process.wait();
        }
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<String, ControlPlaneError> {
    let mut command = Command::new("git");
    run(command.args(arguments).current_dir(folder), "")
}

fn free_port() -> Result<u16, ControlPlaneError> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| part("a free port", error))
}
