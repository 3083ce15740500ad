//! The command line: what can be asked for, and what the exit codes mean.
//!
//! Answers for arguments, files, signals and exit codes; what happens in between is the driver's.

mod load;
mod run;
mod serve;
mod signals;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::SignedDuration;
use pchat_crds::Encryption;

use crate::validate::Installation;

use crate::outside::{Log, is_hidden};

const LONG_ABOUT: &str = "\
Moves a Lync / Skype for Business Persistent Chat pool to its other data centre, or says what that would take.

It reads a PersistentChatPool manifest and the Secrets that it names, looks at the real state of the SQL Servers and of \
the management shell, works out what is still needed for spec.activeDatabase to be true, and does only that. It may be \
stopped and started again at any point: it always goes on from what it finds.

  observe    look, and say what is there
  plan       look, and say what would be done
  converge   do it, and stay until it is done or a person is needed
  run        do it in Kubernetes, for the PersistentChatPool objects of a cluster";

const AFTER: &str = "\
Example, at 3 a.m. with one data centre gone:

  1. In chat.yaml change `activeDatabase: primary` to `activeDatabase: backup`
  2. pchat-operator plan -f chat.yaml -f chat-secrets.yaml
  3. pchat-operator converge -f chat.yaml -f chat-secrets.yaml

If it stops, its last lines say why, what has been changed, and the command to go on with.

Exit codes:
  0  converged; for observe and plan: looked
  1  something inside this program went wrong
  2  bad input: manifest, Secrets or arguments; nothing was contacted
  3  stopped: a named stop, told with its remedy
  4  stopped: waits for an approval, told with its digest
  5  interrupted (Ctrl-C, SIGTERM), at a safe point unless interrupted twice

Nothing is changed by observe and plan, nor by converge while spec.mode is Observe or Plan. NO_COLOR turns colours off.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "pchat-operator", version, about = "Moves a Persistent Chat pool to its other data centre",
    long_about = LONG_ABOUT, after_help = AFTER, max_term_width = 110)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    OnePool(OnePool),
    /// Do the same for every PersistentChatPool object of a Kubernetes cluster, for as long as it runs.
    Run(serve::Serve),
}

/// The commands that take one manifest and need no cluster.
#[derive(Debug, Subcommand)]
enum OnePool {
    /// Look, and say what is there; changes nothing.
    Observe(Look),
    /// Look, and say what would be done; changes nothing.
    Plan(Plan),
    /// Do what is needed, until the pool is as declared or a person is needed.
    Converge(Converge),
}

#[derive(Debug, Args)]
struct Look {
    /// Manifest: a file, a folder, or - for standard input. May be given several times; one pool and its Secrets.
    #[arg(short = 'f', long = "filename", value_name = "FILE", required = true, num_args = 1..)]
    files: Vec<String>,

    /// What to print: human, json or yaml (one document at the end).
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    /// Addresses in the format of /etc/hosts, used before name resolution, for when the name servers are gone too.
    #[arg(long, value_name = "FILE")]
    hosts: Option<PathBuf>,

    #[command(flatten)]
    allowed: Allowed,

    /// Tell on standard error what goes on underneath.
    #[arg(short, long)]
    verbose: bool,
}

/// What whoever starts the operator allows and demands of a pool.
#[derive(Debug, Args)]
struct Allowed {
    /// The weakest encryption of a SQL Server connection that a manifest may ask for: Required, LoginOnly or Plaintext.
    #[arg(long, value_name = "LEVEL", default_value = "Required", value_parser = encryption)]
    least_encryption: Encryption,

    /// Use a Secret only for hosts that its annotation persistentchat.io/hosts names. One that has the annotation is used
    /// for no others in any case.
    #[arg(long)]
    demand_secret_hosts: bool,
}

impl Allowed {
    fn apply(&self, here: Installation) -> Installation {
        Installation {
            least_encryption: self.least_encryption,
            demands_hosts: self.demand_secret_hosts,
            ..here
        }
    }

    /// The words that give the same again.
    fn again(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.least_encryption != Encryption::Required {
            words.extend(["--least-encryption".into(), self.least_encryption.to_string()]);
        }
        if self.demand_secret_hosts {
            words.push("--demand-secret-hosts".into());
        }
        words
    }
}

fn encryption(text: &str) -> Result<Encryption, String> {
    text.parse().map_err(|_| "expected Required, LoginOnly or Plaintext".to_owned())
}

#[derive(Debug, Args)]
struct Plan {
    #[command(flatten)]
    look: Look,

    /// Plan as if this digest were approved. May be given several times.
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    approve: Vec<String>,
}

#[derive(Debug, Args)]
struct Converge {
    #[command(flatten)]
    look: Look,

    /// Accept exactly the hazards that a stop showed under this digest. May be given several times.
    #[arg(long, value_name = "DIGEST", value_parser = digest)]
    approve: Vec<String>,

    /// State file: a copy of the journal and the last report [default: NAME.state.yaml beside the manifest].
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// How long to stay at a stop before giving up, for example 10m; the run goes on by itself when the cause goes
    /// away.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    wait: Duration,

    /// Who is running, for others who look at the pool [default: host and process].
    #[arg(long, value_name = "NAME", value_parser = executor)]
    executor: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For a person.
    #[default]
    Human,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// How the process ends. The numbers are documented in `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Converged, or looked.
    Done = 0,
    /// Something inside went wrong.
    Internal = 1,
    /// Manifest, Secrets or arguments.
    BadInput = 2,
    /// A named stop.
    Blocked = 3,
    /// A stop that an approval resolves.
    Approval = 4,
    /// Ctrl-C or SIGTERM.
    Interrupted = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Runs the program with these arguments, the program's name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // To help and version that was asked for, clap gives 0; to mistakes 2, which is what is promised.
            let code = error.exit_code();
            let _ = error.print();
            return ExitCode::from(u8::try_from(code).unwrap_or(Exit::Internal as u8));
        }
    };
    match &cli.command {
        Command::Run(serve) => serve.log(),
        Command::OnePool(command) if command.look().verbose => {
            let filter = tracing_subscriber::EnvFilter::new("warn,pchat_operator=debug,pchat_psrp=debug");
            let log = tracing_subscriber::fmt().with_writer(Log { json: false }).with_ansi(false);
            log.with_env_filter(filter).init();
        }
        Command::OnePool(_) => {}
    }
    // Two threads: one for the loop and its looks, one so that none of them waits for another's parsing.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(async {
                match cli.command {
                    Command::Run(serve) => serve.run().await,
                    Command::OnePool(command) => run::run(command).await,
                }
            });
            // Looks that hang at a dead server must not keep the process.
            runtime.shutdown_background();
            exit.into()
        }
        Err(error) => {
            run::complain(&format!("This process can't start its threads: {error}."));
            Exit::Internal.into()
        }
    }
}

impl OnePool {
    fn look(&self) -> &Look {
        match self {
            OnePool::Observe(look) => look,
            OnePool::Plan(plan) => &plan.look,
            OnePool::Converge(converge) => &converge.look,
        }
    }

    /// The command line to be used again, without approvals and with what a shell would take apart quoted.
    fn again(&self) -> String {
        let mut words = vec!["pchat-operator".to_owned(), "converge".into()];
        let look = self.look();
        for file in &look.files {
            words.extend(["-f".into(), quoted(file)]);
        }
        words.extend(look.allowed.again());
        if let Some(hosts) = &look.hosts {
            words.extend(["--hosts".into(), quoted(&hosts.to_string_lossy())]);
        }
        if let OnePool::Converge(converge) = self {
            if let Some(state) = &converge.state {
                words.extend(["--state".into(), quoted(&state.to_string_lossy())]);
            }
            if let Some(executor) = &converge.executor {
                words.extend(["--executor".into(), quoted(executor)]);
            }
        }
        words.join(" ")
    }
}

/// For a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected a length of time such as 90s, 10m or 1h30m, found {text:?}");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed: SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(parsed).map_err(|_| wrong())
}

fn digest(text: &str) -> Result<String, String> {
    let good = text.len() == 9
        && text.char_indices().all(|(i, c)| if i == 4 { c == '-' } else { c.is_ascii_hexdigit() });
    if good {
        Ok(text.to_lowercase())
    } else {
        Err(format!("expected a digest as a stop prints it, such as 7f3a-9c21, found {text:?}"))
    }
}

/// It becomes part of an extended property at the far end, so it stays short.
fn executor(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if (1..=100).contains(&length) && !text.chars().any(is_hidden) {
        Ok(text.to_owned())
    } else {
        Err("expected a name of at most 100 characters, on one line".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_go_on_with_is_the_one_that_was_used_ready_to_be_pasted() {
        <Cli as clap::CommandFactory>::command().debug_assert();
        let cli = Cli::try_parse_from([
            "x",
            "converge",
            "-f",
            "chat.yaml",
            "-f",
            "my secrets.yaml",
            "--approve",
            "7F3A-9c21",
            "--state",
            "it's",
            "--wait",
            "10m",
        ])
        .expect("good arguments");
        let Command::OnePool(command) = cli.command else { panic!("another command") };
        assert_eq!(
            command.again(),
            "pchat-operator converge -f chat.yaml -f 'my secrets.yaml' --state 'it'\\''s'"
        );
        let OnePool::Converge(converge) = command else { panic!("another command") };
        assert_eq!((converge.approve, converge.wait), (vec!["7f3a-9c21".into()], Duration::from_secs(600)));
    }

    #[test]
    fn lengths_of_time_and_digests_are_checked_before_anything_else() {
        for good in ["0", "0s", "90s", "10m", "1h30m", "1h 30m"] {
            assert!(duration(good).is_ok(), "{good}");
        }
        for bad in ["", "10", "-5m", "soon", "5 parsecs"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        for bad in ["", "7f3a9c21", "7f3a-9c2", "7f3a-9c2g", "7f3a-9c21 "] {
            assert!(digest(bad).is_err(), "{bad}");
        }
    }
}
