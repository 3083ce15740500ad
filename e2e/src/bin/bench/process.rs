//! The operator's program: where it is, and what a run of it takes, seen from outside.

use crate::measure::Failure;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a running process is looked at. Its peak is kept by the kernel, so only what grew since the last look is missed.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A process that is over.
pub struct Process {
    pub status: ExitStatus,
    pub output: Vec<u8>,
    pub errors: Vec<u8>,
    /// From its start to its end.
    pub wall: Duration,
    /// Peak resident memory in KiB.
    pub peak_rss_kib: u64,
    /// Processor time.
    pub cpu: Duration,
}

/// The program beside this one. Under `cargo run` it is built first, so that what is measured is what the sources say.
pub fn operator() -> Result<PathBuf, Failure> {
    let this = std::env::current_exe()?;
    let folder = this.parent().ok_or("this program is in no folder")?;
    let operator = folder.join("pchat-operator").with_extension(std::env::consts::EXE_EXTENSION);
    if let (Some(cargo), Some(target)) = (std::env::var_os("CARGO"), folder.parent()) {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../operator/Cargo.toml");
        let mut command = Command::new(cargo);
        command.args(["build", "--quiet", "--bin", "pchat-operator"]);
        command.arg("--manifest-path").arg(manifest).arg("--target-dir").arg(target);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        let status = command.status()?;
        if !status.success() {
            return Err(format!("building the operator ended with {status}").into());
        }
    }
    if !operator.exists() {
        return Err(format!(
            "{} is missing: build it with the same profile (cargo build --release -p pchat-operator)",
            operator.display()
        )
        .into());
    }
    Ok(operator)
}

/// Runs a command to its end.
pub fn watch(mut command: Command) -> Result<Process, Failure> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let begin = Instant::now();
    let mut child = command.spawn()?;
    let (output, errors) = (drain(child.stdout.take()), drain(child.stderr.take()));
    let (mut peak_rss_kib, mut cpu) = (0, Duration::ZERO);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Some(used) = used_by(&child) {
            (peak_rss_kib, cpu) = (used.peak_rss_kib, used.cpu);
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let wall = begin.elapsed();
    let whole = |reader: JoinHandle<Vec<u8>>| reader.join().map_err(|_| "a reader of its output died");
    let (output, errors) = (whole(output)?, whole(errors)?);
    if peak_rss_kib == 0 {
        return Err("this system does not tell the memory of a process (no /proc)".into());
    }
    Ok(Process { status, output, errors, wall, peak_rss_kib, cpu })
}

/// Reads a pipe to its end beside the process, which would stand still before a full one.
fn drain(pipe: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        if let Some(mut pipe) = pipe {
            // What can't be read is missing in the document, which is noticed.
            let _ = pipe.read_to_end(&mut all);
        }
        all
    })
}

/// What a running process has used.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Peak resident memory in KiB.
    pub peak_rss_kib: u64,
    /// Resident memory in KiB.
    pub rss_kib: u64,
    /// Processor time.
    pub cpu: Duration,
}

/// What it has used so far, unless it has ended.
pub fn used_by(child: &Child) -> Option<Used> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let kib = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        line.split_whitespace().next()?.parse().ok()
    };
    // proc(5): utime and stime are the 14th and 15th field; the second, in parentheses, may hold spaces.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let ticks: Vec<u64> = rest.split_whitespace().skip(11).take(2).filter_map(|n| n.parse().ok()).collect();
    let [user, system] = ticks[..] else { return None };
    Some(Used {
        peak_rss_kib: kib("VmHWM:")?,
        rss_kib: kib("VmRSS:")?,
        // Linux counts them in hundredths of a second on every architecture that this runs on.
        cpu: Duration::from_millis((user + system) * 10),
    })
}
