//! The operations of a remote shell: create, command, send, receive, signal, delete.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use super::answer::protocol;
use super::transport::{Connection, Failure};
use super::{Endpoint, Error};
use crate::codec::soap::{self, Envelope, Fault, Request, SHELL, TRANSFER, Target};
use crate::codec::xml::{Element, escape};

/// Largest answer that we ask for: WinRM's own limit by default.
const MAX_ENVELOPE: usize = 512_000;
/// How long the far end may hold a request.
const HOLD: Duration = Duration::from_secs(20);
/// How much longer than that we wait for its answer before the connection counts as lost.
const SLACK: Duration = Duration::from_secs(15);

/// Why an operation has no result.
#[derive(Debug)]
pub(super) enum Failed {
    /// It had no effect.
    NotDone(Error),
    /// The far end answered with a fault.
    Fault(Fault),
    /// It may have had an effect.
    Lost(String),
    /// It may have had an effect, and what answered is no endpoint of remote PowerShell.
    Astray(Error),
    /// The deadline passed while the far end had it.
    Deadline,
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotDone(error) => Self::NotDone(error),
            Failure::Lost(cause) => Self::Lost(cause),
            Failure::Astray(error) => Self::Astray(error),
        }
    }
}

/// What a Receive brought.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// Pieces of the stream, in order.
    pub chunks: Vec<Vec<u8>>,
    /// Whether the command has sent everything.
    pub done: bool,
}

/// A request on its way, with the connection it needs.
type Exchange = JoinHandle<(Connection, Result<Vec<u8>, Failure>)>;

/// A remote shell and the connection to it.
pub(super) struct Shell {
    pub(super) endpoint: Arc<Endpoint>,
    target: Target,
    connection: Option<Connection>,
    /// A Receive that the deadline cut short. The far end still holds it and would answer it first, so it is
    /// waited for before another one is sent.
    pending: Option<Exchange>,
    id: String,
    /// How long the far end may hold a Receive.
    pub(super) hold: Duration,
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.forget_pending();
    }
}

impl Shell {
    /// Creates a shell whose pool is opened by `creation`.
    pub(super) async fn create(
        endpoint: &Endpoint,
        creation: &[u8],
        deadline: Instant,
    ) -> Result<Self, Failed> {
        let target = Target {
            url: endpoint.url(),
            resource: endpoint.resource(),
            session: Uuid::new_v4(),
            max_envelope: MAX_ENVELOPE,
        };
        let id = Uuid::new_v4().to_string().to_ascii_uppercase();
        let endpoint = Arc::new(endpoint.clone());
        let mut shell = Self { endpoint, target, connection: None, pending: None, id, hold: HOLD };
        let body = format!(
            "<rsp:Shell ShellId=\"{}\"><rsp:InputStreams>stdin pr</rsp:InputStreams><rsp:OutputStreams>stdout\
             </rsp:OutputStreams><creationXml xmlns=\"{}\">{}</creationXml></rsp:Shell>",
            shell.id,
            soap::POWERSHELL,
            STANDARD.encode(creation),
        );
        let action = format!("{TRANSFER}/Create");
        let options = [("protocolversion", "2.3", true)];
        let request = Request { action: &action, shell: None, options: &options, body: &body, timeout_ms: 0 };
        let answer = shell.call(request, HOLD, deadline).await?;
        // Older servers choose the id themselves.
        let given =
            answer.body.path(&[(SHELL, "Shell"), (SHELL, "ShellId")]).map(|e| e.text.trim().to_owned());
        let selected = || {
            let reference = answer.body.path(&[
                (TRANSFER, "ResourceCreated"),
                (soap::ADDRESSING, "ReferenceParameters"),
                (soap::WSMAN, "SelectorSet"),
            ])?;
            let id = reference.children.iter().find(|s| s.attribute("Name") == Some("ShellId"))?;
            Some(id.text.trim().to_owned())
        };
        shell.id = given.or_else(selected).filter(|id| !id.is_empty()).ok_or_else(|| {
            Failed::NotDone(protocol(&shell.endpoint, "the answer to Create names no shell"))
        })?;
        Ok(shell)
    }

    /// Starts a command with the first fragment of its pipeline.
    pub(super) async fn command(
        &mut self,
        id: Uuid,
        fragment: &[u8],
        deadline: Instant,
    ) -> Result<(), Failed> {
        let body = format!(
            "<rsp:CommandLine CommandId=\"{}\"><rsp:Command/><rsp:Arguments>{}</rsp:Arguments></rsp:CommandLine>",
            command_id(id),
            STANDARD.encode(fragment),
        );
        let answer = self
            .shell_call("Command", &[("WINRS_SKIP_CMD_SHELL", "FALSE", false)], &body, HOLD, deadline)
            .await?;
        let given =
            answer.body.path(&[(SHELL, "CommandResponse"), (SHELL, "CommandId")]).map(|e| e.text.trim());
        match given {
            Some(given) if given.parse() == Ok(id) => Ok(()),
            _ => Err(Failed::Lost("the answer to Command names another command".into())),
        }
    }

    /// Sends a fragment to the pool, or to a command.
    pub(super) async fn send(
        &mut self,
        command: Option<Uuid>,
        fragment: &[u8],
        deadline: Instant,
    ) -> Result<(), Failed> {
        let body = format!(
            "<rsp:Send><rsp:Stream Name=\"stdin\"{}>{}</rsp:Stream></rsp:Send>",
            command_attribute(command),
            STANDARD.encode(fragment),
        );
        self.shell_call("Send", &[], &body, HOLD, deadline).await.map(drop)
    }

    /// Waits for output of the pool, or of a command; nothing within `hold` is an empty answer.
    pub(super) async fn receive(
        &mut self,
        command: Option<Uuid>,
        hold: Duration,
        deadline: Instant,
    ) -> Result<Received, Failed> {
        let body = format!(
            "<rsp:Receive><rsp:DesiredStream{}>stdout</rsp:DesiredStream></rsp:Receive>",
            command_attribute(command),
        );
        let options = [("WSMAN_CMDSHELL_OPTION_KEEPALIVE", "TRUE", false)];
        let answer = match self.pending.take() {
            Some(exchange) => self.finish(exchange, deadline, deadline).await,
            None => self.shell_call("Receive", &options, &body, hold, deadline).await,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(Failed::Fault(fault)) if fault.is_timed_out() => return Ok(Received::default()),
            Err(other) => return Err(other),
        };
        let Some(response) = answer.body.child_ns(SHELL, "ReceiveResponse") else {
            return Err(Failed::Lost("the answer to Receive is something else".into()));
        };
        let mut received = Received::default();
        for child in &response.children {
            match child.name.as_str() {
                "Stream" => received.chunks.push(decode(child)?),
                "CommandState" => received.done |= child.attribute("State") == Some(soap::COMMAND_DONE),
                _ => {}
            }
        }
        Ok(received)
    }

    /// Signals a command: stop it, or forget it.
    pub(super) async fn signal(
        &mut self,
        command: Uuid,
        code: &str,
        deadline: Instant,
    ) -> Result<(), Failed> {
        let body = format!(
            "<rsp:Signal CommandId=\"{}\"><rsp:Code>{}</rsp:Code></rsp:Signal>",
            command_id(command),
            escape(code),
        );
        self.shell_call("Signal", &[], &body, HOLD, deadline).await.map(drop)
    }

    /// Deletes the shell.
    pub(super) async fn delete(&mut self, deadline: Instant) -> Result<(), Failed> {
        let (action, id) = (format!("{TRANSFER}/Delete"), self.id.clone());
        let request = Request { action: &action, shell: Some(&id), ..Request::default() };
        self.call(request, HOLD, deadline).await.map(drop)
    }

    async fn shell_call(
        &mut self,
        operation: &str,
        options: &[(&str, &str, bool)],
        body: &str,
        hold: Duration,
        deadline: Instant,
    ) -> Result<Envelope, Failed> {
        let (action, id) = (format!("{SHELL}/{operation}"), self.id.clone());
        let request = Request { action: &action, shell: Some(&id), options, body, timeout_ms: 0 };
        self.call(request, hold, deadline).await
    }

    async fn call(
        &mut self,
        request: Request<'_>,
        hold: Duration,
        deadline: Instant,
    ) -> Result<Envelope, Failed> {
        let request = Request { timeout_ms: hold.as_millis(), ..request };
        let envelope = request.write(&self.target);
        let mut connection = match self.connection.take() {
            Some(connection) if connection.is_open() => connection,
            _ => Connection::open(&self.endpoint, deadline).await.map_err(Failed::NotDone)?,
        };
        let endpoint = self.endpoint.clone();
        let patience = Instant::now() + hold + SLACK;
        // Whoever called may be gone by then: what was sent is seen to its end, and not beyond this moment.
        let exchange = tokio::spawn(async move {
            let exchange = connection.exchange(&endpoint, envelope);
            let answer = timeout_at(patience, exchange).await;
            let answer = answer.unwrap_or_else(|_| Err(Failure::Lost("it does not answer any more".into())));
            (connection, answer)
        });
        self.finish(exchange, patience, deadline).await
    }

    /// Waits for the answer to a request: until `patience` before the connection counts as lost, and not
    /// beyond the deadline.
    async fn finish(
        &mut self,
        mut exchange: Exchange,
        patience: Instant,
        deadline: Instant,
    ) -> Result<Envelope, Failed> {
        let (connection, answer) = match timeout_at(deadline.min(patience), &mut exchange).await {
            Ok(joined) => joined.map_err(|e| Failed::Lost(e.to_string()))?,
            Err(_) if patience < deadline => {
                exchange.abort();
                return Err(Failed::Lost("it does not answer any more".into()));
            }
            Err(_) => {
                self.pending = Some(exchange);
                return Err(Failed::Deadline);
            }
        };
        let envelope = Envelope::read(&answer?).map_err(|e| Failed::Lost(e.to_string()))?;
        // Only after a whole answer is the connection fit for the next request.
        self.connection = Some(connection);
        match envelope.fault() {
            Some(fault) => Err(Failed::Fault(fault)),
            None => Ok(envelope),
        }
    }

    /// Closes the connection, unless a request is on its way. The shell stays, and the next request connects anew.
    pub(super) fn hang_up(&mut self) {
        self.connection = None;
    }

    /// Gives up a request that is still on its way: its answer is of no interest any more.
    pub(super) fn forget_pending(&mut self) {
        if let Some(pending) = self.pending.take() {
            pending.abort();
        }
    }
}

fn command_id(id: Uuid) -> String {
    id.to_string().to_ascii_uppercase()
}

fn command_attribute(command: Option<Uuid>) -> String {
    command.map(|id| format!(" CommandId=\"{}\"", command_id(id))).unwrap_or_default()
}

fn decode(stream: &Element) -> Result<Vec<u8>, Failed> {
    let compact: String = stream.text.split_ascii_whitespace().collect();
    STANDARD.decode(compact).map_err(|_| Failed::Lost("a piece of output is not base64".into()))
}
