//! Running a pipeline: finding commands, binding, passing objects on, sorting what they write.

use std::sync::Arc;

use pchat_psrp::codec::command::{WireCommand, WirePipeline};
use pchat_psrp::codec::message::MessageType;
use pchat_psrp::codec::records::informational_record;
use pchat_psrp::{ErrorCategory, ErrorRecord, PipelineState, Value};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bind::{self, OnError};
use crate::cmdlets::{CmdletInfo, Cmdlets, Invocation, Response};
use crate::pool::Shell;
use crate::{builtin, script};

/// How a statement ended that did not reach its end.
pub(crate) enum Halt {
    /// A terminating error.
    Failed(Box<ErrorRecord>),
    /// The client asked.
    Stopped,
}

/// A pipeline at work.
pub(crate) struct Run {
    pub cmdlets: Arc<dyn Cmdlets>,
    pub shell: Arc<Shell>,
    pub id: Uuid,
    pub stop: CancellationToken,
    pub awaited: CancellationToken,
    /// Whether the configuration has a language: plain command lines are then read.
    pub language: bool,
}

impl Run {
    /// Runs the pipeline and sends its final state.
    pub(crate) async fn run(self, pipeline: WirePipeline) {
        let turn = tokio::select! {
            turn = self.shell.runspace.acquire() => turn,
            () = self.stop.cancelled() => return self.end(PipelineState::Stopped, None),
        };
        let ended = self.statements(pipeline.statements).await;
        drop(turn);
        match ended {
            Ok(()) => self.end(PipelineState::Completed, None),
            Err(Halt::Stopped) => self.end(PipelineState::Stopped, None),
            Err(Halt::Failed(record)) => self.end(PipelineState::Failed, Some(&record)),
        }
    }

    fn end(&self, state: PipelineState, error: Option<&ErrorRecord>) {
        self.shell.emit(self.id, MessageType::PipelineState, &state.write(error));
        self.shell.finish(self.id);
    }

    async fn statements(&self, statements: Vec<Vec<WireCommand>>) -> Result<(), Halt> {
        for statement in statements {
            for chain in self.expand(statement)? {
                self.chain(&chain).await?;
            }
        }
        Ok(())
    }

    /// Replaces script text by the commands in it. Text alone may hold several statements; text with commands
    /// behind it holds the first commands of one chain.
    fn expand(&self, statement: Vec<WireCommand>) -> Result<Vec<Vec<WireCommand>>, Halt> {
        let Some((first, rest)) = statement.split_first() else { return Ok(Vec::new()) };
        let text = match builtin::script_text(first) {
            Some(text) if self.language => text,
            Some(_) if first.is_script => return Err(Halt::Failed(script::not_allowed(&first.name))),
            _ => return Ok(vec![statement]),
        };
        if rest.iter().any(|c| c.is_script) {
            return Err(Halt::Failed(script::not_understood("a script behind another command")));
        }
        let mut chains = script::parse(&text).map_err(Halt::Failed)?;
        match chains.last_mut() {
            Some(last) => last.extend_from_slice(rest),
            None => return Ok(Vec::new()),
        }
        Ok(chains)
    }

    async fn chain(&self, chain: &[WireCommand]) -> Result<(), Halt> {
        let mut objects: Vec<Value> = Vec::new();
        for command in chain {
            if self.stop.is_cancelled() {
                return Err(Halt::Stopped);
            }
            objects = match builtin::run(command, &objects) {
                Some(done) => done.map_err(Halt::Failed)?,
                None if builtin::is(command, &["Get-Command"]) => self.get_command(command)?,
                None => self.cmdlet(command, objects).await?,
            };
        }
        for object in &objects {
            self.shell.emit(self.id, MessageType::PipelineOutput, object);
        }
        Ok(())
    }

    /// The commands of these names that the session offers; each other name is an error that does not end it.
    fn get_command(&self, command: &WireCommand) -> Result<Vec<Value>, Halt> {
        if self.cmdlets.withholds("Get-Command", &self.shell.configuration) {
            return Err(failed(not_found(&command.name)));
        }
        let (names, common) = builtin::command_names(command).map_err(Halt::Failed)?;
        let mut response = Response::default();
        for name in names {
            match self.find(&name) {
                Some(info) => response.output.push(builtin::command_info(&info)),
                None => response.errors.push(ErrorRecord {
                    id: "CommandNotFoundException,Microsoft.PowerShell.Commands.GetCommandCommand".into(),
                    activity: "Get-Command".into(),
                    ..not_found(&name)
                }),
            }
        }
        self.sort(response, command, common)
    }

    fn find(&self, name: &str) -> Option<CmdletInfo> {
        let configuration = &self.shell.configuration;
        let info = self.cmdlets.find(name, configuration)?;
        (!self.cmdlets.withholds(&info.name, configuration)).then_some(info)
    }

    async fn cmdlet(&self, command: &WireCommand, input: Vec<Value>) -> Result<Vec<Value>, Halt> {
        if command.is_script {
            return Err(Halt::Failed(script::not_understood("a script behind another command")));
        }
        // `Module\Name` names the module as well.
        let name = command.name.rsplit('\\').next().unwrap_or(&command.name);
        let Some(info) = self.find(name) else {
            return Err(failed(not_found(&command.name)));
        };
        let binding = bind::bind(&info, &command.arguments).map_err(Halt::Failed)?;
        let common = binding.common;
        let response = self
            .cmdlets
            .invoke(Invocation {
                user: self.shell.owner.clone(),
                configuration: self.shell.configuration.clone(),
                cmdlet: info.name,
                set: binding.set,
                parameters: binding.parameters,
                input,
                stop: self.stop.clone(),
                awaited: self.awaited.clone(),
            })
            .await;
        self.sort(response, command, common)
    }

    /// Sends what does not go down the pipeline; returns what does.
    fn sort(
        &self,
        response: Response,
        command: &WireCommand,
        common: bind::Common,
    ) -> Result<Vec<Value>, Halt> {
        let Response { mut output, errors, warnings, verbose, terminating } = response;
        for warning in &warnings {
            self.shell.emit(self.id, MessageType::WarningRecord, &informational_record(warning));
        }
        for message in verbose.iter().filter(|_| common.verbose) {
            self.shell.emit(self.id, MessageType::VerboseRecord, &informational_record(message));
        }
        let halts = terminating.is_some() || (common.on_error == OnError::Stop && !errors.is_empty());
        if halts {
            // What was written before the end is not lost by it.
            for object in output.drain(..) {
                self.shell.emit(self.id, MessageType::PipelineOutput, &object);
            }
        }
        for record in errors {
            match common.on_error {
                OnError::Silence => {}
                OnError::Stop => return Err(failed(record)),
                OnError::Continue if command.merge_errors => output.push(record.write()),
                OnError::Continue => {
                    self.shell.emit(self.id, MessageType::ErrorRecord, &record.write());
                }
            }
        }
        match terminating {
            Some(record) => Err(failed(record)),
            None if self.stop.is_cancelled() => Err(Halt::Stopped),
            None => Ok(output),
        }
    }
}

fn failed(record: ErrorRecord) -> Halt {
    Halt::Failed(Box::new(record))
}

fn not_found(name: &str) -> ErrorRecord {
    ErrorRecord {
        id: "CommandNotFoundException".into(),
        message: format!(
            "The term '{name}' is not recognized as the name of a cmdlet, function, script file, or operable program. \
             Check the spelling of the name, or if a path was included, verify that the path is correct and try again."
        ),
        exception_type: "System.Management.Automation.CommandNotFoundException".into(),
        category: ErrorCategory::OBJECT_NOT_FOUND,
        reason: "CommandNotFoundException".into(),
        target_name: name.to_owned(),
        target_type: "String".into(),
        target: name.into(),
        ..ErrorRecord::default()
    }
}
