//! What a command is, and what came of it.

use crate::codec::command::{WireCommand, WirePipeline};
use crate::codec::records::{ErrorRecord, PipelineState};
use crate::codec::value::Value;

/// A cmdlet with typed parameters. Names and values are data all the way: there is no text to inject into.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Name of the cmdlet or function.
    pub name: String,
    /// Parameters by name, without the dash. A switch takes [`Value::Bool`].
    pub parameters: Vec<(String, Value)>,
}

impl Command {
    /// A command without parameters.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), parameters: Vec::new() }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.parameters.push((name.into(), value.into()));
        self
    }

    pub(super) fn pipeline(&self) -> WirePipeline {
        let arguments = self.parameters.iter().map(|(n, v)| (Some(n.clone()), v.clone())).collect();
        let command = WireCommand { name: self.name.clone(), arguments, ..WireCommand::default() };
        WirePipeline { statements: vec![vec![command]], no_input: true }
    }
}

/// How a command ended and everything it wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How it ended. `Running` only in the partial outcome of an unknown end.
    pub state: PipelineState,
    /// Output objects in order, also those before a failure.
    pub output: Vec<Value>,
    /// Errors that did not end the command, in order.
    pub errors: Vec<ErrorRecord>,
    /// The error that ended it.
    pub terminating: Option<ErrorRecord>,
    /// Warnings in order.
    pub warnings: Vec<String>,
}

impl Outcome {
    pub(super) fn new() -> Self {
        Self {
            state: PipelineState::Running,
            output: Vec::new(),
            errors: Vec::new(),
            terminating: None,
            warnings: Vec::new(),
        }
    }

    /// Whether it ran to its end without writing an error.
    pub fn is_clean(&self) -> bool {
        self.state == PipelineState::Completed && self.errors.is_empty() && self.terminating.is_none()
    }

    /// Every error, the terminating one last.
    pub fn all_errors(&self) -> impl Iterator<Item = &ErrorRecord> {
        self.errors.iter().chain(&self.terminating)
    }
}
