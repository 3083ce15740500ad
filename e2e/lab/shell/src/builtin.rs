//! The few commands of PowerShell itself that clients put behind others, or around them.

use pchat_psrp::codec::command::WireCommand;
use pchat_psrp::{Content, ErrorCategory, ErrorRecord, Object, Value};

use crate::bind;
use crate::cmdlets::{Bound, CmdletInfo, Parameter, ParameterType};

/// The text that a command would run: a script, or the argument of `Invoke-Expression`, with which pypsrp's
/// `Client.execute_ps` wraps every script.
pub(crate) fn script_text(command: &WireCommand) -> Option<String> {
    if command.is_script {
        return Some(command.name.clone());
    }
    if !is(command, &["Invoke-Expression", "iex"]) {
        return None;
    }
    let (_, value) = command.arguments.first()?;
    value.as_str().map(str::to_owned)
}

/// Runs a command of PowerShell itself. `None` when it is none of those known here.
pub(crate) fn run(command: &WireCommand, input: &[Value]) -> Option<Result<Vec<Value>, Box<ErrorRecord>>> {
    if is(command, &["Out-String"]) {
        return Some(out_string(command, input));
    }
    if is(command, &["Out-Null"]) {
        return Some(Ok(Vec::new()));
    }
    if is(command, &["Out-Default"]) {
        return Some(Ok(input.to_vec()));
    }
    if is(command, &["Select-Object", "select"]) {
        return Some(select_object(command, input));
    }
    None
}

/// The modules of PowerShell itself.
const MODULES: [&str; 2] = ["Microsoft.PowerShell.Utility\\", "Microsoft.PowerShell.Core\\"];

pub(crate) fn is(command: &WireCommand, names: &[&str]) -> bool {
    let own = command.name.as_str();
    let within = |module: &str| {
        let named = own.get(..module.len()).is_some_and(|m| m.eq_ignore_ascii_case(module));
        named.then(|| &own[module.len()..])
    };
    let own = MODULES.iter().find_map(|module| within(module)).unwrap_or(own);
    !command.is_script && names.iter().any(|name| own.eq_ignore_ascii_case(name))
}

fn info(name: &str, parameters: &[(&str, ParameterType, Option<u32>)]) -> CmdletInfo {
    let parameter = |(name, kind, position): &(&str, ParameterType, Option<u32>)| Parameter {
        name: (*name).to_owned(),
        aliases: Vec::new(),
        kind: kind.clone(),
        position: *position,
    };
    CmdletInfo {
        name: name.to_owned(),
        parameters: parameters.iter().map(parameter).collect(),
        sets: Vec::new(),
    }
}

fn out_string(command: &WireCommand, input: &[Value]) -> Result<Vec<Value>, Box<ErrorRecord>> {
    let known =
        info("Out-String", &[("Stream", ParameterType::Switch, None), ("Width", ParameterType::Int, None)]);
    let binding = bind::bind(&known, &command.arguments)?;
    let stream = binding.parameters.iter().any(|p| *p == ("Stream".to_owned(), Bound::Flag(true)));
    let lines: Vec<String> = input.iter().flat_map(lines).collect();
    Ok(match stream {
        true => lines.into_iter().map(Value::String).collect(),
        false => vec![Value::String(lines.into_iter().map(|line| line + "\r\n").collect())],
    })
}

/// An object as a list of its properties, the way Format-List shows it; everything else as its text.
fn lines(value: &Value) -> Vec<String> {
    let Some(object) = value.as_object().filter(|o| !(o.adapted.is_empty() && o.extended.is_empty())) else {
        return vec![value.text()];
    };
    let properties = || object.adapted.iter().chain(&object.extended);
    let width = properties().map(|(n, _)| n.chars().count()).max().unwrap_or(0);
    let show = |value: &Value| match value.items() {
        Some(items) => format!("{{{}}}", items.iter().map(Value::text).collect::<Vec<_>>().join(", ")),
        None => value.text(),
    };
    let mut out = vec![String::new()];
    out.extend(properties().map(|(name, value)| format!("{name:width$} : {}", show(value))));
    out.push(String::new());
    out
}

/// The names that `Get-Command` was asked for.
pub(crate) fn command_names(command: &WireCommand) -> Result<(Vec<String>, bind::Common), Box<ErrorRecord>> {
    let known = info("Get-Command", &[("Name", ParameterType::Texts, Some(0))]);
    let binding = bind::bind(&known, &command.arguments)?;
    match binding.parameters.into_iter().find(|(name, _)| name == "Name") {
        Some((_, Bound::Texts(names))) => Ok((names, binding.common)),
        _ => Err(Box::new(ErrorRecord {
            id: "LabListsCommandsByNameOnly".into(),
            message: "The lab lists commands by their names: Get-Command -Name.".into(),
            category: ErrorCategory::INVALID_ARGUMENT,
            activity: "Get-Command".into(),
            ..ErrorRecord::default()
        })),
    }
}

/// A cmdlet in the list of `Get-Command`.
pub(crate) fn command_info(info: &CmdletInfo) -> Value {
    let names = [
        "System.Management.Automation.CmdletInfo",
        "System.Management.Automation.CommandInfo",
        "System.Object",
    ];
    let kind = Value::enumeration("System.Management.Automation.CommandTypes", "Cmdlet", 8);
    let properties =
        [("Name", Value::from(info.name.as_str())), ("CommandType", kind), ("ModuleName", "Lync".into())];
    Value::Object(Box::new(Object::net(&names, &info.name, properties)))
}

fn select_object(command: &WireCommand, input: &[Value]) -> Result<Vec<Value>, Box<ErrorRecord>> {
    let known = info(
        "Select-Object",
        &[
            ("Property", ParameterType::Texts, Some(0)),
            ("ExpandProperty", ParameterType::Text, None),
            ("First", ParameterType::Int, None),
        ],
    );
    let binding = bind::bind(&known, &command.arguments)?;
    let get = |name: &str| binding.parameters.iter().find(|(n, _)| n == name).map(|(_, v)| v);
    let count = match get("First") {
        Some(Bound::Int(n)) => usize::try_from(*n).unwrap_or(0),
        _ => usize::MAX,
    };
    let mut out = Vec::new();
    for value in input.iter().take(count) {
        match (get("ExpandProperty"), get("Property")) {
            (Some(Bound::Text(name)), _) => match value.property(name) {
                Some(inner) => match inner.as_object().map(|o| &o.content) {
                    Some(Content::List(_, items)) => out.extend(items.iter().cloned()),
                    _ => out.push(inner.clone()),
                },
                None => return Err(Box::new(no_property(name))),
            },
            (_, Some(Bound::Texts(names))) => out.push(selected(value, names)),
            _ => out.push(value.clone()),
        }
    }
    Ok(out)
}

fn selected(value: &Value, names: &[String]) -> Value {
    let kind = value.as_object().and_then(|o| o.type_names.first()).map_or("", String::as_str);
    Object {
        type_names: vec![
            format!("Selected.{kind}"),
            "System.Management.Automation.PSCustomObject".to_owned(),
            "System.Object".to_owned(),
        ],
        extended: names.iter().map(|n| (n.clone(), value.property(n).cloned().unwrap_or_default())).collect(),
        ..Object::default()
    }
    .into()
}

fn no_property(name: &str) -> ErrorRecord {
    ErrorRecord {
        id: "ExpandPropertyNotFound,Microsoft.PowerShell.Commands.SelectObjectCommand".into(),
        message: format!("Property \"{name}\" cannot be found."),
        exception_type: "System.Management.Automation.PSArgumentException".into(),
        category: ErrorCategory::INVALID_ARGUMENT,
        activity: "Select-Object".into(),
        reason: "PSArgumentException".into(),
        ..ErrorRecord::default()
    }
}
