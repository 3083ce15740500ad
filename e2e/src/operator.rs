//! The operator as a process.
//!
//! The demo's binary is the operator when its first argument says so ([`as_operator`]): then `cargo run --bin demo` and
//! the tests need no second binary to be built, and what runs is the operator's own `main`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Output, Stdio};

/// The first argument that makes a binary of this crate the operator.
pub const WORD: &str = "pchat-operator";

/// Runs the operator if the arguments of this process ask for it.
pub fn as_operator() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    (arguments.peek()? == WORD).then(|| pchat_operator::cli::main(arguments))
}

/// The operator with the files of a lab's folder.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The binary that calls [`as_operator`].
    pub binary: PathBuf,
    /// The folder with `pool.yaml` and `hosts`; the operator runs in it.
    pub folder: PathBuf,
}

impl Operator {
    /// A command line of the operator; manifest and hosts file are given along.
    pub fn command(&self, verb: &str, more: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.arg(WORD).args([verb, "-f", "pool.yaml", "--hosts", "hosts"]).args(more);
        command.current_dir(&self.folder).stdin(Stdio::null());
        command
    }

    /// Runs it with its output on this process's own, and gives its exit code (-1 when a signal ended it).
    pub fn show(&self, verb: &str, more: &[&str]) -> std::io::Result<i32> {
        Ok(self.command(verb, more).status()?.code().unwrap_or(-1))
    }

    /// Runs it and keeps what it printed.
    pub fn run(&self, verb: &str, more: &[&str]) -> std::io::Result<Output> {
        self.command(verb, more).output()
    }

    /// The command line as a person would type it.
    pub fn line(verb: &str) -> String {
        [
            OsString::from("pchat-operator"),
            verb.into(),
            "-f".into(),
            "pool.yaml".into(),
            "--hosts".into(),
            "hosts".into(),
        ]
        .map(|word| word.to_string_lossy().into_owned())
        .join(" ")
    }
}
