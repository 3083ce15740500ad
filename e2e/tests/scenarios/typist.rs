//! A person at the far ends, who types what a run printed, as it stands there.
//!
//! Answers for a query window on each SQL Server, as a member of sysadmin that is not the operator, and for the management shell on the
//! Front End. Takes lines out of a run's document; makes none up.

use crate::common::{Run, Trial};
use pchat_lab::Scenario;
use pchat_operator::brake::Brake;
use pchat_operator::sql::batches::Batch;
use pchat_operator::sql::connect::connect;
use pchat_operator::sql::connection::ServerError;
use pchat_operator::sql::target::{Credentials, Deadlines, Encryption, Endpoint, Secret, Target};
use pchat_psrp::{Auth, Command, Endpoint as ShellEndpoint, Security, Session, Value as Typed};
use serde_json::Value;
use std::time::Duration;

/// The Front End.
const SHELL: &str = "fe-ks1.contoso.com";

/// Long enough on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A piece of advice, out of a run's document.
pub struct Printed {
    pub kind: String,
    pub tool: String,
    pub host: String,
    pub lines: Vec<String>,
}

/// What a run printed of this kind, host by host: because of its stop and its warnings, and of what a failover would meet.
#[track_caller]
pub fn printed(run: &Run, kind: &str) -> Vec<Printed> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let checks = list(&run.document["failoverReady"]["checks"]);
    let troubles: Vec<Value> = checks.iter().flat_map(|check| list(&check["troubles"])).collect();
    let warnings = list(&run.document["warnings"]);
    let sentences = warnings.iter().map(|w| &w["message"]).chain(troubles.iter().map(|t| &t["remedy"]));
    let said: Vec<&str> = sentences.filter_map(Value::as_str).collect();
    let said = format!("{} {}", run.told(), said.join(" "));
    let mut all = list(&run.document["advice"]);
    all.extend(troubles.iter().flat_map(|trouble| list(&trouble["advice"])));
    let found: Vec<Printed> = all.iter().filter(|a| a["kind"] == kind).map(|one| read(&said, one)).collect();
    assert!(!found.is_empty(), "{all:?} has no {kind}: {run}");
    found
}

/// Each line stands in the run's sentences as well, on a line of its own.
#[track_caller]
fn read(said: &str, one: &Value) -> Printed {
    let text = |field: &str| one[field].as_str().unwrap().to_owned();
    let lines: Vec<String> =
        one["lines"].as_array().unwrap().iter().map(|l| l.as_str().unwrap().to_owned()).collect();
    for line in &lines {
        let alone = said.lines().any(|l| l.strip_prefix('\t') == Some(line));
        assert!(alone, "{line:?} is not printed in: {said}");
    }
    Printed { kind: text("kind"), tool: text("tool"), host: text("host"), lines }
}

impl Printed {
    /// The same with a name filled in that only the topology knows.
    pub fn filled(mut self, place: &str, name: &str) -> Self {
        for line in &mut self.lines {
            *line = line.replace(place, name);
        }
        self
    }

    /// Types every line; an error that is not in `but` fails the test.
    async fn typed(&self, trial: &Trial, but: &[u32]) {
        match self.tool.as_str() {
            "QueryWindow" => {
                for line in &self.lines {
                    if let Some(error) = query(trial, &self.host, line).await {
                        assert!(
                            but.contains(&error.number),
                            "{} on {}: {line}\n{error:?}",
                            self.kind,
                            self.host
                        );
                    }
                }
            }
            "ManagementShell" => {
                for line in &self.lines {
                    cmdlet(trial, line).await;
                }
            }
            other => panic!("{}: nobody knows where to type at {other}", self.kind),
        }
    }
}

/// Types everything, in the order in which it was printed. An error that the text announces (`but`) is passed over.
pub async fn type_all(all: Vec<Printed>, trial: &Trial, but: &[u32]) {
    for one in all {
        one.typed(trial, but).await;
    }
}

/// Types a statement into a query window on `host` (or host\instance); gives the first error.
pub async fn query(trial: &Trial, host: &str, line: &str) -> Option<ServerError> {
    let (host, instance) = host.split_once('\\').unwrap_or((host, ""));
    let endpoint = match instance {
        "" => Endpoint::Instance(trial.server(host)["instance"].as_str().unwrap_or("PCHAT").to_owned()),
        name => Endpoint::Instance(name.to_owned()),
    };
    let lab = &trial.stage.lab;
    let target = Target {
        display: host.to_owned(),
        host: host.to_owned(),
        address: Some(lab.address(host).unwrap_or_else(|| panic!("{host} is no host of the lab")).into()),
        endpoint,
        credentials: Credentials {
            user: "sa".into(),
            password: Secret::new(Scenario::default().sql_login.password),
            shown: "sa".into(),
            brake: Brake::default(),
        },
        encryption: Encryption::Required,
        ca_pem: Some(std::fs::read(lab.dir().join("ca.pem")).unwrap()),
    };
    let patient = Deadlines { connect: PATIENCE, login: PATIENCE, ..Deadlines::default() };
    let mut window = connect(&target, &patient).await.unwrap_or_else(|error| panic!("{error}"));
    let answer = window.ask(&Batch::new("typed").then(line), PATIENCE).await;
    answer.unwrap_or_else(|lost| panic!("{host}: {line}\n{lost}")).error
}

/// Types a cmdlet into the management shell; it must not fail.
pub async fn cmdlet(trial: &Trial, line: &str) {
    let lab = &trial.stage.lab;
    let shell = Scenario::default().shell;
    let endpoint = ShellEndpoint {
        host: SHELL.into(),
        port: 443,
        addr: (lab.address(SHELL).unwrap(), 443).into(),
        path: "/OcsPowerShell".into(),
        configuration: "Microsoft.PowerShell".into(),
        security: Security::Https { ca: Some(std::fs::read(lab.dir().join("ca.pem")).unwrap()) },
        auth: Auth::Negotiate { user: shell.user, password: shell.password },
    };
    let within = tokio::time::Instant::now() + PATIENCE;
    let mut session = Session::open(&endpoint, within).await.unwrap_or_else(|error| panic!("{error}"));
    let outcome =
        session.invoke(&command(line), within).await.unwrap_or_else(|error| panic!("{line}: {error}"));
    let errors: Vec<String> = outcome.all_errors().map(|e| format!("{}: {}", e.id, e.message)).collect();
    assert!(outcome.is_clean(), "{line}\n{errors:?}");
}

/// A command line with named parameters, as PowerShell reads it: a word that begins with `-` names a parameter; one that no value
/// follows is a switch; quotes hold a value together.
fn command(line: &str) -> Command {
    assert_eq!(line.matches('"').count() % 2, 0, "{line}: a quotation mark is missing");
    let words = line.split('"').enumerate().flat_map(|(n, part)| match n % 2 {
        0 => part.split_whitespace().collect(),
        _ => vec![part],
    });
    let mut words = words.peekable();
    let mut command = Command::new(words.next().expect("a cmdlet"));
    while let Some(word) = words.next() {
        let name = word.strip_prefix('-').unwrap_or_else(|| panic!("{line}: {word} is no parameter"));
        let value = match words.peek() {
            Some(next) if !next.starts_with('-') => Typed::from(words.next().unwrap()),
            _ => Typed::Bool(true),
        };
        command = command.with(name, value);
    }
    command
}
