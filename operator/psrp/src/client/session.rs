//! A session: a remote shell with one runspace, in which commands run one after the other.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::answer::{is_tls, protocol};
use super::outcome::{Command, Outcome};
use super::wsman::{Failed, Shell};
use super::{Endpoint, Error};
use crate::codec::clixml::MAX_WEIGHT;
use crate::codec::command::{init_runspace_pool, session_capability};
use crate::codec::fragment::{Defragmenter, Fragmenter};
use crate::codec::message::{Destination, Message, MessageType};
use crate::codec::records::{ErrorCategory, ErrorRecord, PipelineState, PoolState, informational_message};
use crate::codec::soap::{SIGNAL_STOP, SIGNAL_TERMINATE};
use crate::codec::value::{Object, Value};

/// How long a command that passed its deadline is given to confirm that it was stopped.
pub const STOP_GRACE: Duration = Duration::from_secs(5);
/// Largest PSRP message that is read.
const MAX_MESSAGE: usize = 8 << 20;
/// Largest fragment that is sent: with base64 and header it fits the smallest MaxEnvelopeSize in use, 150 KiB.
const MAX_FRAGMENT: usize = 96 << 10;
/// How long the pool is asked for news while a command is silent.
const POOL_GLANCE: Duration = Duration::from_millis(500);

/// An open session. Close it when done: an abandoned one lives on at the far end until its idle time-out.
pub struct Session {
    shell: Shell,
    pool: Uuid,
    cutter: Fragmenter,
    pool_stream: Defragmenter,
    /// Set while a command runs; stays set when its end was not seen.
    unsettled: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({}, {:?})", self.shell.endpoint.url(), self.shell.endpoint.auth)
    }
}

/// What is known of a command that is being run.
struct Running {
    id: Uuid,
    stream: Defragmenter,
    outcome: Outcome,
    /// Whether the final state has come.
    ended: bool,
    /// Whether the far end says that nothing more will come.
    over: bool,
    /// Bytes of memory that its output may still take.
    budget: usize,
}

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    /// Any [`Error`] but `OutcomeUnknown`.
    pub async fn open(endpoint: &Endpoint, deadline: Instant) -> Result<Self, Error> {
        let pool = Uuid::new_v4();
        let mut cutter = Fragmenter::default();
        let mut creation = Vec::new();
        for (kind, value) in [
            (MessageType::SessionCapability, session_capability()),
            (MessageType::InitRunspacePool, init_runspace_pool()),
        ] {
            let message = Message::new(Destination::Server, kind, pool, Uuid::nil(), &value);
            creation.extend(cutter.cut(&message.encode(), MAX_FRAGMENT).concat());
        }
        let shell = Shell::create(endpoint, &creation, deadline)
            .await
            .map_err(|failed| opening(endpoint, "open a session", failed))?;
        let pool_stream = Defragmenter::new(MAX_MESSAGE);
        let mut session = Self { shell, pool, cutter, pool_stream, unsettled: false };
        match session.wait_for_pool(deadline).await {
            Ok(()) => Ok(session),
            Err(error) => {
                // The shell exists; it must not stay behind. The error to tell is the first one.
                let grace = Instant::now() + STOP_GRACE;
                let _ = session.shell.delete(grace).await;
                Err(error)
            }
        }
    }

    async fn wait_for_pool(&mut self, deadline: Instant) -> Result<(), Error> {
        loop {
            if self.glance_at_pool(self.shell.hold, deadline).await? == Some(PoolState::Opened) {
                return Ok(());
            }
        }
    }

    /// Reads what the pool has to say. A pool that is gone is an error.
    async fn glance_at_pool(
        &mut self,
        hold: Duration,
        deadline: Instant,
    ) -> Result<Option<PoolState>, Error> {
        let endpoint = &*self.shell.endpoint.clone();
        let received = self.shell.receive(None, hold, deadline).await;
        let received = received.map_err(|failed| opening(endpoint, "wait for the session", failed))?;
        let mut last = None;
        for chunk in received.chunks {
            let messages = self.pool_stream.feed(&chunk).map_err(|e| protocol(endpoint, e))?;
            for bytes in messages {
                let message = Message::decode(&bytes).map_err(|e| protocol(endpoint, e))?;
                match message.kind {
                    MessageType::RunspacePoolState => {
                        let value = message.value().map_err(|e| protocol(endpoint, e))?;
                        let state = PoolState::read(&value)
                            .ok_or_else(|| protocol(endpoint, "a pool state without a state"))?;
                        last = Some(state);
                        let state = match state {
                            PoolState::Broken => "broken",
                            PoolState::Closed => "closed",
                            PoolState::Opened | PoolState::Other(_) => continue,
                        };
                        let record = value.property("ExceptionAsErrorRecord").map(ErrorRecord::read);
                        let cause = record.map_or("no reason was given".to_owned(), |r| r.message);
                        let (host, configuration) = (endpoint.host.clone(), endpoint.configuration.clone());
                        return Err(Error::Pool { host, configuration, state, cause });
                    }
                    MessageType::RunspacePoolHostCall => {
                        let answer = MessageType::RunspacePoolHostResponse;
                        let sent = self.answer_host_call(None, answer, &message, deadline).await;
                        sent.map_err(|failed| opening(endpoint, "answer a question", failed))?;
                    }
                    // Capabilities and private data: nothing here depends on them.
                    _ => {}
                }
            }
        }
        Ok(last)
    }

    /// Runs a command to its end, or until the deadline; then it is stopped, which takes at most
    /// [`STOP_GRACE`] more.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`] when its end was not seen; any other error means that it did not run. That a
    /// command failed is not an error here but its [`Outcome`].
    pub async fn invoke(&mut self, command: &Command, deadline: Instant) -> Result<Outcome, Error> {
        let endpoint = self.shell.endpoint.clone();
        if std::mem::replace(&mut self.unsettled, true) {
            return Err(Error::Unusable { host: endpoint.host.clone() });
        }
        let id = Uuid::new_v4();
        let value = command.pipeline().write();
        let message = Message::new(Destination::Server, MessageType::CreatePipeline, self.pool, id, &value);
        let fragments = self.cutter.cut(&message.encode(), MAX_FRAGMENT);
        let mut running = Running {
            id,
            stream: Defragmenter::new(MAX_MESSAGE),
            outcome: Outcome::new(),
            ended: false,
            over: false,
            budget: MAX_WEIGHT,
        };
        let (first, rest) = fragments.split_first().ok_or_else(|| protocol(&endpoint, "nothing to send"))?;
        match self.shell.command(id, first, deadline).await {
            Ok(()) => {}
            Err(Failed::NotDone(error)) => {
                self.unsettled = false;
                return Err(error);
            }
            Err(Failed::Fault(fault)) => {
                self.unsettled = false;
                return Err(refused(&endpoint, format!("run {}", command.name), fault));
            }
            Err(Failed::Lost(cause)) => return Err(self.unknown(command, running, cause, false)),
            Err(Failed::Astray(error)) => {
                return Err(self.unknown(command, running, error.to_string(), false));
            }
            Err(Failed::Deadline) => {
                self.shell.forget_pending();
                return Err(self.stop(command, running).await);
            }
        }
        for fragment in rest {
            match self.shell.send(Some(id), fragment, deadline).await {
                Ok(()) => {}
                Err(Failed::Deadline) => {
                    self.shell.forget_pending();
                    return Err(self.stop(command, running).await);
                }
                Err(failed) => {
                    let cause = describe(failed);
                    return Err(self.unknown(command, running, cause, false));
                }
            }
        }
        match self.drain(&mut running, deadline).await {
            Ok(()) => {
                // The command is over; only its remains are cleared away, so a failure here changes nothing
                // but the number of further commands that the shell takes.
                let grace = Instant::now() + STOP_GRACE;
                if let Err(failed) = self.shell.signal(id, SIGNAL_TERMINATE, grace).await {
                    tracing::debug!(
                        host = endpoint.host,
                        cause = describe(failed),
                        "terminate signal failed"
                    );
                }
                self.unsettled = false;
                Ok(running.outcome)
            }
            Err(Failed::Deadline) => Err(self.stop(command, running).await),
            Err(failed) => {
                let cause = describe(failed);
                Err(self.unknown(command, running, cause, false))
            }
        }
    }

    /// Receives until the pipeline has ended.
    async fn drain(&mut self, running: &mut Running, deadline: Instant) -> Result<(), Failed> {
        while !running.ended {
            if Instant::now() >= deadline {
                return Err(Failed::Deadline);
            }
            let hold = self.shell.hold;
            let received = self.shell.receive(Some(running.id), hold, deadline).await?;
            if received.chunks.is_empty() && !received.done {
                // A session host that died says so on the pool's stream only.
                self.glance_at_pool(POOL_GLANCE, deadline).await.map_err(|error| match error {
                    Error::Silent { .. } => Failed::Deadline,
                    error => Failed::Lost(error.to_string()),
                })?;
            }
            for chunk in received.chunks {
                let messages = running.stream.feed(&chunk).map_err(|e| Failed::Lost(e.to_string()))?;
                for bytes in messages {
                    self.take(running, &bytes, deadline).await?;
                }
            }
            running.over |= received.done;
            if running.over && !running.ended {
                return Err(Failed::Lost("the command is over, but did not say how it ended".into()));
            }
        }
        Ok(())
    }

    /// Takes in one message of the pipeline.
    async fn take(&mut self, running: &mut Running, bytes: &[u8], deadline: Instant) -> Result<(), Failed> {
        let lost = |e: &dyn std::fmt::Display| Failed::Lost(e.to_string());
        let message = Message::decode(bytes).map_err(|e| lost(&e))?;
        if !matches!(
            message.kind,
            MessageType::PipelineOutput
                | MessageType::ErrorRecord
                | MessageType::WarningRecord
                | MessageType::PipelineState
                | MessageType::PipelineHostCall
        ) {
            return Ok(());
        }
        let (value, weight) = message.value_within(running.budget).map_err(|e| lost(&e))?;
        running.budget -= weight;
        match message.kind {
            MessageType::PipelineOutput => running.outcome.output.push(value),
            MessageType::ErrorRecord => running.outcome.errors.push(ErrorRecord::read(&value)),
            MessageType::WarningRecord => running.outcome.warnings.push(informational_message(&value)),
            MessageType::PipelineHostCall => {
                let answer = MessageType::PipelineHostResponse;
                self.answer_host_call(Some(running.id), answer, &message, deadline).await?;
            }
            _ => {
                let state = PipelineState::read(&value)
                    .ok_or_else(|| Failed::Lost("a pipeline state without a state".into()))?;
                running.outcome.state = state;
                running.outcome.terminating = value.property("ExceptionAsErrorRecord").map(ErrorRecord::read);
                running.ended = state != PipelineState::Running;
            }
        }
        Ok(())
    }

    /// Nobody is here to answer a prompt: a question gets an error, which ends the command that asked.
    async fn answer_host_call(
        &mut self,
        command: Option<Uuid>,
        kind: MessageType,
        call: &Message,
        deadline: Instant,
    ) -> Result<(), Failed> {
        let value = call.value().map_err(|e| Failed::Lost(e.to_string()))?;
        let method = value.property("mi").and_then(Value::as_i64).unwrap_or(0);
        if !wants_answer(method) {
            return Ok(());
        }
        let record = ErrorRecord {
            id: "HostFunctionNotSupported".into(),
            message: "The command asked a question, and nobody is there to answer it.".into(),
            exception_type: "System.Management.Automation.Host.HostException".into(),
            category: ErrorCategory::INVALID_OPERATION,
            reason: "HostException".into(),
            ..ErrorRecord::default()
        };
        let answer = Object::message([
            ("ci", value.property("ci").cloned().unwrap_or_default()),
            ("mi", value.property("mi").cloned().unwrap_or_default()),
            ("me", record.write()),
        ]);
        let pipeline = command.unwrap_or_default();
        let message = Message::new(Destination::Server, kind, self.pool, pipeline, &answer.into());
        for fragment in self.cutter.cut(&message.encode(), MAX_FRAGMENT) {
            self.shell.send(command, &fragment, deadline).await?;
        }
        Ok(())
    }

    /// Stops a command whose deadline passed. Whatever comes of it, its outcome is not known.
    async fn stop(&mut self, command: &Command, mut running: Running) -> Error {
        let grace = Instant::now() + STOP_GRACE;
        let mut stopped = false;
        if self.shell.signal(running.id, SIGNAL_STOP, grace).await.is_ok() {
            stopped = match self.drain(&mut running, grace).await {
                Ok(()) => true,
                // Some servers forget a stopped command at once.
                Err(Failed::Fault(fault)) => fault.subcode == "InvalidSelectors",
                Err(_) => running.over,
            };
            let _ = self.shell.signal(running.id, SIGNAL_TERMINATE, grace).await;
        }
        let cause = match (stopped, running.outcome.state) {
            (true, PipelineState::Completed) => "it ended only after its deadline had passed",
            (true, _) => "its deadline passed and it was stopped on the way",
            (false, _) => "its deadline passed, and the far end did not confirm that it stopped",
        };
        self.unknown(command, running, cause.to_owned(), stopped)
    }

    fn unknown(&self, command: &Command, running: Running, cause: String, stopped: bool) -> Error {
        Error::OutcomeUnknown {
            host: self.shell.endpoint.host.clone(),
            command: command.name.clone(),
            cause,
            stopped,
            partial: Box::new(running.outcome),
        }
    }

    /// Closes the session, also one that is no longer usable.
    ///
    /// # Errors
    /// Any [`Error`] but `OutcomeUnknown`. The far end then closes it when its idle time is over.
    pub async fn close(mut self, deadline: Instant) -> Result<(), Error> {
        let endpoint = self.shell.endpoint.clone();
        self.shell.forget_pending();
        match self.shell.delete(deadline).await {
            Ok(()) => Ok(()),
            // It is gone already.
            Err(Failed::Fault(fault)) if fault.subcode == "InvalidSelectors" => Ok(()),
            Err(failed) => Err(opening(&endpoint, "close the session", failed)),
        }
    }

    /// Closes the connection of a session that is not used for a while. The session stays at the far end, and the next command
    /// connects and logs in anew.
    pub fn hang_up(&mut self) {
        self.shell.hang_up();
    }

    /// How long the far end may hold a request that waits for output. Shorter notices a dead session host
    /// sooner and costs more requests.
    pub fn set_hold(&mut self, hold: Duration) {
        self.shell.hold = hold;
    }
}

/// Methods of the host that return something (MS-PSRP 2.2.3.17); the others are told, not asked.
fn wants_answer(method: i64) -> bool {
    matches!(method, 1..=5 | 11 | 12 | 23..=27 | 29 | 31 | 33 | 35 | 37 | 39 | 41 | 43..=46 | 51 | 54..=56)
}

/// The error for an operation by which no command was run.
fn opening(endpoint: &Endpoint, doing: &'static str, failed: Failed) -> Error {
    match failed {
        Failed::NotDone(error) | Failed::Astray(error) => error,
        Failed::Fault(fault) => refused(endpoint, doing.to_owned(), fault),
        Failed::Lost(cause) if is_tls(&cause) => {
            Error::Tls { host: endpoint.host.clone(), addr: endpoint.addr, cause }
        }
        Failed::Lost(cause) => protocol(endpoint, cause),
        Failed::Deadline => {
            Error::Silent { host: endpoint.host.clone(), addr: endpoint.addr, doing: "it was to answer" }
        }
    }
}

fn refused(endpoint: &Endpoint, doing: String, fault: crate::codec::soap::Fault) -> Error {
    let (host, configuration) = (endpoint.host.clone(), endpoint.configuration.clone());
    Error::Fault { host, doing, configuration, fault: Box::new(fault) }
}

fn describe(failed: Failed) -> String {
    match failed {
        Failed::NotDone(error) | Failed::Astray(error) => error.to_string(),
        Failed::Fault(fault) => fault.to_string(),
        Failed::Lost(cause) => cause,
        Failed::Deadline => "the deadline passed".to_owned(),
    }
}
