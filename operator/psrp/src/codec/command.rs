//! What a client asks of a pool: opening it, and pipelines of commands (MS-PSRP 2.2.2.1, 2.2.2.2, 2.2.2.10).

use super::value::{Content, ListKind, Object, Value};

/// One command of a pipeline as the wire carries it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WireCommand {
    /// Name of the command, or script text when `is_script`.
    pub name: String,
    /// Whether `name` is script text. Our client never sets it.
    pub is_script: bool,
    /// Arguments in order; without a name they are positional.
    pub arguments: Vec<(Option<String>, Value)>,
    /// Whether error records of this command join its output (`2>&1`).
    pub merge_errors: bool,
}

/// A pipeline to run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WirePipeline {
    /// Its statements, run one after the other. Each is a chain of commands, of which each gets the output of
    /// the one before it.
    pub statements: Vec<Vec<WireCommand>>,
    /// Whether no input objects will follow.
    pub no_input: bool,
}

/// Versions that we announce (MS-PSRP 2.2.2.1): protocol 2.3 is PowerShell 5.1's, and every older server
/// answers with its own.
pub fn session_capability() -> Value {
    Object::message([
        ("protocolversion", Value::Version("2.3".into())),
        ("PSVersion", Value::Version("2.0".into())),
        ("SerializationVersion", Value::Version("1.1.0.1".into())),
    ])
    .into()
}

/// Host information that says there is nobody at the client (MS-PSRP 2.2.3.14).
fn no_host() -> Value {
    Object::message([
        ("_isHostNull", Value::Bool(true)),
        ("_isHostUINull", Value::Bool(true)),
        ("_isHostRawUINull", Value::Bool(true)),
        ("_useRunspaceHost", Value::Bool(true)),
    ])
    .into()
}

fn apartment_state() -> Value {
    Value::enumeration("System.Threading.ApartmentState", "Unknown", 2)
}

/// Opens a pool of one runspace (MS-PSRP 2.2.2.2).
pub fn init_runspace_pool() -> Value {
    Object::message([
        ("MinRunspaces", Value::I32(1)),
        ("MaxRunspaces", Value::I32(1)),
        (
            "PSThreadOptions",
            Value::enumeration("System.Management.Automation.Runspaces.PSThreadOptions", "Default", 0),
        ),
        ("ApartmentState", apartment_state()),
        ("HostInfo", no_host()),
        ("ApplicationArguments", Value::Null),
    ])
    .into()
}

/// The type of the lists inside a pipeline: `List<PSObject>`.
const PS_LIST: &str = "System.Collections.Generic.List`1[[System.Management.Automation.PSObject, \
    System.Management.Automation, Version=1.0.0.0, Culture=neutral, PublicKeyToken=31bf3856ad364e35]]";

fn ps_list(items: Vec<Value>) -> Value {
    Object {
        type_names: vec![PS_LIST.to_owned(), "System.Object".to_owned()],
        content: Content::List(ListKind::List, items),
        ..Object::default()
    }
    .into()
}

/// The numbers of System.Management.Automation.Runspaces.PipelineResultTypes that are used here.
fn merge(name: &str, number: i32) -> Value {
    Value::enumeration("System.Management.Automation.Runspaces.PipelineResultTypes", name, number)
}

impl WirePipeline {
    /// The value of a `CreatePipeline` message.
    pub fn write(&self) -> Value {
        Object::message([
            ("NoInput", Value::Bool(self.no_input)),
            ("ApartmentState", apartment_state()),
            // Invocation info is large, and nothing here reads it.
            (
                "RemoteStreamOptions",
                Value::enumeration("System.Management.Automation.RemoteStreamOptions", "0", 0),
            ),
            ("AddToHistory", Value::Bool(false)),
            ("HostInfo", no_host()),
            (
                "PowerShell",
                Object::message([
                    ("Cmds", self.statements.first().map_or(Value::Null, |s| commands(s))),
                    // Not in MS-PSRP: how PowerShell 3 and later send more than one statement.
                    ("ExtraCmds", if self.statements.len() > 1 { self.extra() } else { Value::Null }),
                    ("IsNested", Value::Bool(false)),
                    ("History", Value::Null),
                    ("RedirectShellErrorOutputPipe", Value::Bool(false)),
                ])
                .into(),
            ),
            ("IsNested", Value::Bool(false)),
        ])
        .into()
    }

    fn extra(&self) -> Value {
        let statement = |s: &Vec<WireCommand>| Object::message([("Cmds", commands(s))]).into();
        ps_list(self.statements.iter().map(statement).collect())
    }

    /// The pipeline in a `CreatePipeline` message. `None` when it is not one.
    pub fn read(value: &Value) -> Option<Self> {
        let chain = |holder: &Value| -> Option<Vec<WireCommand>> {
            holder.property("Cmds")?.items()?.iter().map(WireCommand::read).collect()
        };
        let powershell = value.property("PowerShell")?;
        let statements = match powershell.property("ExtraCmds").and_then(Value::items) {
            Some(extra) if !extra.is_empty() => extra.iter().map(chain).collect::<Option<_>>()?,
            _ => vec![chain(powershell)?],
        };
        Some(Self {
            statements,
            no_input: value.property("NoInput").and_then(Value::as_bool).unwrap_or(true),
        })
    }
}

fn commands(chain: &[WireCommand]) -> Value {
    ps_list(chain.iter().map(WireCommand::write).collect())
}

impl WireCommand {
    fn write(&self) -> Value {
        let argument = |(name, value): &(Option<String>, Value)| {
            let name = name.clone().map_or(Value::Null, Value::String);
            Object::message([("N", name), ("V", value.clone())]).into()
        };
        let error = if self.merge_errors { ("Error", 2, "Output", 1) } else { ("None", 0, "None", 0) };
        Object::message([
            ("Cmd", Value::from(self.name.as_str())),
            ("Args", ps_list(self.arguments.iter().map(argument).collect())),
            ("IsScript", Value::Bool(self.is_script)),
            ("UseLocalScope", Value::Null),
            ("MergeMyResult", merge(error.0, error.1)),
            ("MergeToResult", merge(error.2, error.3)),
            ("MergePreviousResults", merge("None", 0)),
            ("MergeError", merge(error.2, error.3)),
            ("MergeWarning", merge("None", 0)),
            ("MergeVerbose", merge("None", 0)),
            ("MergeDebug", merge("None", 0)),
            ("MergeInformation", merge("None", 0)),
        ])
        .into()
    }

    fn read(value: &Value) -> Option<Self> {
        let flag = |name: &str| value.property(name).and_then(Value::as_i64).unwrap_or(0);
        let arguments = value.property("Args").and_then(Value::items).unwrap_or_default();
        let argument = |a: &Value| {
            let name = a.property("N").and_then(Value::as_str).map(str::to_owned);
            (name, a.property("V").cloned().unwrap_or_default())
        };
        Some(Self {
            name: value.property("Cmd")?.as_str()?.to_owned(),
            is_script: value.property("IsScript").and_then(Value::as_bool).unwrap_or(false),
            arguments: arguments.iter().map(argument).collect(),
            merge_errors: flag("MergeError") == 1
                || (flag("MergeMyResult") == 2 && flag("MergeToResult") == 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::clixml;

    #[test]
    fn a_pipeline_survives_both_ways_with_its_typed_arguments() {
        let pipeline = WirePipeline {
            statements: vec![vec![
                WireCommand {
                    name: "Set-CsPersistentChatState".into(),
                    arguments: vec![
                        (Some("Identity".into()), "x; rm *".into()),
                        (None, Value::array(vec![Value::I64(1)])),
                        (Some("Force".into()), Value::Bool(true)),
                    ],
                    merge_errors: true,
                    ..WireCommand::default()
                },
                WireCommand { name: "Out-String".into(), ..WireCommand::default() },
            ]],
            no_input: true,
        };
        let xml = clixml::write(&pipeline.write());
        assert_eq!(WirePipeline::read(&clixml::read(&xml).unwrap()[0]), Some(pipeline.clone()));
        let twice = WirePipeline {
            statements: [pipeline.statements.clone(), pipeline.statements].concat(),
            no_input: false,
        };
        assert_eq!(WirePipeline::read(&twice.write()), Some(twice));
        assert_eq!(WirePipeline::read(&Value::Null), None);
    }
}
