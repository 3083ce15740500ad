//! What the lab provides: cmdlets with typed parameters.

use futures::future::BoxFuture;
use pchat_psrp::{ErrorRecord, Value};
use tokio_util::sync::CancellationToken;

/// The cmdlets behind a server.
pub trait Cmdlets: Send + Sync + 'static {
    /// What is known of a cmdlet, whatever the case of its name. `None` makes the command a
    /// `CommandNotFoundException`. `configuration` is the session configuration it is called in.
    fn find(&self, name: &str, configuration: &str) -> Option<CmdletInfo>;

    /// Whether the session does not offer a command that there is: a role, or a capability, leaves it out. Also asked of
    /// `Get-Command`, which tells of the others.
    fn withholds(&self, _name: &str, _configuration: &str) -> bool {
        false
    }

    /// Runs a cmdlet whose parameters are bound. It runs to its end also when its caller has gone, unless it
    /// heeds [`Invocation::stop`].
    fn invoke(&self, call: Invocation) -> BoxFuture<'_, Response>;
}

/// A cmdlet as `Get-Command` would describe it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CmdletInfo {
    /// Its name, spelled as it should be.
    pub name: String,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Which of them go together; when empty, all do and none is mandatory.
    pub sets: Vec<ParameterSet>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Other names of it.
    pub aliases: Vec<String>,
    /// What it takes.
    pub kind: ParameterType,
    /// Its place among arguments without names.
    pub position: Option<u32>,
}

/// Parameters that may be given together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParameterSet {
    /// Its name.
    pub name: String,
    /// Names of its parameters.
    pub parameters: Vec<String>,
    /// Names of those that must be given.
    pub mandatory: Vec<String>,
}

/// What a parameter takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterType {
    /// A string, or what converts to one (identities and host names do).
    Text,
    /// Any number of strings.
    Texts,
    /// A switch.
    Switch,
    /// `$true` or `$false`.
    Bool,
    /// A whole number.
    Int,
    /// One of these names, whatever their case; the number of a name is its index.
    Enum(Vec<String>),
    /// A list, or a change of one (`PSListModifier`): `"a","b"`, `$null`, `@{Add="a"}`, `@{Replace=...}`.
    ListModifier,
    /// A hash table.
    Table,
    /// Any value.
    Any,
}

/// A value bound to a parameter, as its type wants it.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// Of [`ParameterType::Text`], and of `Enum` as the list spells it.
    Text(String),
    /// Of [`ParameterType::Texts`].
    Texts(Vec<String>),
    /// Of [`ParameterType::Switch`] and [`ParameterType::Bool`].
    Flag(bool),
    /// Of [`ParameterType::Int`].
    Int(i64),
    /// Of [`ParameterType::ListModifier`].
    List(ListChange),
    /// Of [`ParameterType::Table`].
    Table(Vec<(String, Value)>),
    /// Of [`ParameterType::Any`].
    Value(Value),
}

/// What is to become of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListChange {
    /// It becomes exactly this.
    Replace(Vec<String>),
    /// Some leave, then some join.
    Change {
        /// What joins.
        add: Vec<String>,
        /// What leaves.
        remove: Vec<String>,
    },
}

impl ListChange {
    /// The list after the change; what is there already (whatever its case) does not join twice.
    pub fn apply(&self, current: &[String]) -> Vec<String> {
        match self {
            Self::Replace(list) => list.clone(),
            Self::Change { add, remove } => {
                let within = |list: &[String], item: &str| list.iter().any(|i| i.eq_ignore_ascii_case(item));
                let mut after: Vec<String> =
                    current.iter().filter(|item| !within(remove, item)).cloned().collect();
                for item in add {
                    if !within(&after, item) {
                        after.push(item.clone());
                    }
                }
                after
            }
        }
    }
}

/// A call of a cmdlet.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// Who calls, as `DOMAIN\user`.
    pub user: String,
    /// The session configuration it is called in.
    pub configuration: String,
    /// The cmdlet, spelled as it should be.
    pub cmdlet: String,
    /// The parameter set that was resolved; empty when the cmdlet has none.
    pub set: String,
    /// Parameters by their full names. Common ones (`ErrorAction`, `Verbose`) are not among them.
    pub parameters: Vec<(String, Bound)>,
    /// What came down the pipeline.
    pub input: Vec<Value>,
    /// Fires when the caller asks to stop, or its session ends.
    pub stop: CancellationToken,
    /// Fires when the caller has begun to wait for what this writes.
    pub awaited: CancellationToken,
}

impl Invocation {
    /// A parameter by its full name.
    pub fn get(&self, name: &str) -> Option<&Bound> {
        self.parameters.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v)
    }

    /// The text of a parameter, when it was given and is one.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Bound::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// Whether a switch was given, and not as `$false`.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name) == Some(&Bound::Flag(true))
    }

    /// The change that a list parameter asks for.
    pub fn list(&self, name: &str) -> Option<&ListChange> {
        match self.get(name) {
            Some(Bound::List(change)) => Some(change),
            _ => None,
        }
    }
}

/// What a cmdlet wrote.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Response {
    /// Output objects.
    pub output: Vec<Value>,
    /// Errors that did not end it.
    pub errors: Vec<ErrorRecord>,
    /// Warnings.
    pub warnings: Vec<String>,
    /// Verbose messages; the caller sees them with `-Verbose`.
    pub verbose: Vec<String>,
    /// The error that ended it.
    pub terminating: Option<ErrorRecord>,
}

impl Response {
    /// Output and nothing else.
    pub fn output(values: impl IntoIterator<Item = Value>) -> Self {
        Self { output: values.into_iter().collect(), ..Self::default() }
    }

    /// An error that does not end the pipeline.
    pub fn error(record: ErrorRecord) -> Self {
        Self { errors: vec![record], ..Self::default() }
    }

    /// An error that ends the pipeline.
    pub fn terminate(record: ErrorRecord) -> Self {
        Self { terminating: Some(record), ..Self::default() }
    }
}
