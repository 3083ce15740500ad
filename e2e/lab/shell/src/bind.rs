//! The parameter binder: what PowerShell does with arguments before a cmdlet sees them
//! (about_Parameters, about_Parameter_Sets), with the error ids that it gives.

use pchat_psrp::{Content, ErrorCategory, ErrorRecord, Value};

use crate::cmdlets::{Bound, CmdletInfo, ListChange, Parameter, ParameterSet, ParameterType};

/// Arguments after binding.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Binding {
    pub set: String,
    pub parameters: Vec<(String, Bound)>,
    pub common: Common,
}

/// The common parameters that make a difference here (about_CommonParameters).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Common {
    pub on_error: OnError,
    pub verbose: bool,
}

/// What `-ErrorAction` asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum OnError {
    #[default]
    Continue,
    Stop,
    Silence,
}

const COMMON: [&str; 13] = [
    "Verbose",
    "Debug",
    "ErrorAction",
    "WarningAction",
    "InformationAction",
    "ErrorVariable",
    "WarningVariable",
    "InformationVariable",
    "OutVariable",
    "OutBuffer",
    "PipelineVariable",
    "ProgressAction",
    "UseTransaction",
];
/// Their aliases.
const SHORT: [(&str, &str); 9] = [
    ("vb", "Verbose"),
    ("db", "Debug"),
    ("ea", "ErrorAction"),
    ("wa", "WarningAction"),
    ("ev", "ErrorVariable"),
    ("wv", "WarningVariable"),
    ("ov", "OutVariable"),
    ("ob", "OutBuffer"),
    ("pv", "PipelineVariable"),
];

/// A name as it was found: of the cmdlet itself, or a common one.
enum Found<'a> {
    Own(&'a Parameter),
    Common(&'static str),
}

/// Binds arguments to the parameters of a cmdlet.
pub(crate) fn bind(
    info: &CmdletInfo,
    arguments: &[(Option<String>, Value)],
) -> Result<Binding, Box<ErrorRecord>> {
    let mut binding = Binding::default();
    let mut free: Vec<&Value> = Vec::new();
    let mut rest = arguments.iter().peekable();
    while let Some((name, value)) = rest.next() {
        let Some(name) = name.as_deref().filter(|n| !n.is_empty()) else {
            free.push(value);
            continue;
        };
        let found = resolve(info, name)?;
        let is_switch = match &found {
            Found::Own(p) => p.kind == ParameterType::Switch,
            Found::Common(c) => matches!(*c, "Verbose" | "Debug" | "UseTransaction"),
        };
        // `-Name` and its value as two arguments, the way a parsed command line arrives.
        let follows = name.starts_with('-') && !name.ends_with(':') && *value == Value::Null && !is_switch;
        let next = if follows { rest.next_if(|(n, _)| n.is_none()) } else { None };
        let value = match next {
            Some((_, value)) => value,
            None if follows => {
                let message = format!(
                    "Missing an argument for parameter '{}'. Specify a parameter and try again.",
                    name
                );
                return Err(binding_error(info, "MissingArgument", message));
            }
            None => value,
        };
        match found {
            Found::Common(name) => common(info, &mut binding.common, name, value)?,
            Found::Own(parameter) => put(info, &mut binding, parameter, value)?,
        }
    }
    let mut places: Vec<&Parameter> = info.parameters.iter().filter(|p| p.position.is_some()).collect();
    places.sort_by_key(|p| p.position);
    for value in free {
        let set = candidates(info, &binding.parameters);
        let open = |p: &&&Parameter| {
            !binding.parameters.iter().any(|(n, _)| *n == p.name)
                && (info.sets.is_empty() || set.iter().any(|s| s.parameters.contains(&p.name)))
        };
        let Some(parameter) = places.iter().find(open).copied() else {
            let message =
                format!("A positional parameter cannot be found that accepts argument '{}'.", value.text());
            return Err(binding_error(info, "PositionalParameterNotFound", message));
        };
        put(info, &mut binding, parameter, value)?;
    }
    binding.set = choose_set(info, &binding.parameters)?;
    Ok(binding)
}

fn resolve<'a>(info: &'a CmdletInfo, given: &str) -> Result<Found<'a>, Box<ErrorRecord>> {
    let name = given.trim_start_matches('-').trim_end_matches(':');
    let exact = |p: &&Parameter| {
        p.name.eq_ignore_ascii_case(name) || p.aliases.iter().any(|a| a.eq_ignore_ascii_case(name))
    };
    if let Some(parameter) = info.parameters.iter().find(exact) {
        return Ok(Found::Own(parameter));
    }
    let short = SHORT.iter().find(|(short, _)| short.eq_ignore_ascii_case(name)).map(|(_, long)| *long);
    if let Some(common) = short.or_else(|| COMMON.into_iter().find(|c| c.eq_ignore_ascii_case(name))) {
        return Ok(Found::Common(common));
    }
    let begins = |full: &str| full.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name));
    let own: Vec<&Parameter> = info.parameters.iter().filter(|p| begins(&p.name)).collect();
    let common: Vec<&'static str> = COMMON.into_iter().filter(|c| begins(c)).collect();
    match (own.as_slice(), common.as_slice()) {
        ([parameter], []) => Ok(Found::Own(parameter)),
        ([], [common]) => Ok(Found::Common(common)),
        ([], []) => {
            let message = format!("A parameter cannot be found that matches parameter name '{name}'.");
            Err(binding_error(info, "NamedParameterNotFound", message))
        }
        _ => {
            let all: Vec<String> =
                own.iter().map(|p| p.name.as_str()).chain(common).map(|n| format!("-{n}")).collect();
            let message = format!(
                "Parameter cannot be processed because the parameter name '{name}' is ambiguous. Possible matches \
                 include: {}.",
                all.join(" ")
            );
            Err(binding_error(info, "AmbiguousParameter", message))
        }
    }
}

fn put(
    info: &CmdletInfo,
    binding: &mut Binding,
    p: &Parameter,
    value: &Value,
) -> Result<(), Box<ErrorRecord>> {
    if binding.parameters.iter().any(|(n, _)| *n == p.name) {
        let message = format!(
            "Cannot bind parameter because parameter '{}' is specified more than once. To provide multiple values to \
             parameters that can accept multiple values, use the array syntax.",
            p.name
        );
        return Err(binding_error(info, "ParameterAlreadyBound", message));
    }
    let bound = convert(&p.kind, value).map_err(|refusal| refused(info, &p.name, value, refusal))?;
    binding.parameters.push((p.name.clone(), bound));
    Ok(())
}

/// Why a value does not fit.
enum Refusal {
    Null,
    Type(String),
    NotAMember(Vec<String>),
}

fn convert(kind: &ParameterType, value: &Value) -> Result<Bound, Refusal> {
    let scalar = single(value);
    let wrong = |wanted: &str| Refusal::Type(wanted.to_owned());
    Ok(match kind {
        ParameterType::Any => Bound::Value(value.clone()),
        // A switch without a value is on; pypsrp and PowerShell send null for it.
        ParameterType::Switch if *value == Value::Null => Bound::Flag(true),
        ParameterType::ListModifier => Bound::List(list_change(value)?),
        _ if *value == Value::Null => return Err(Refusal::Null),
        ParameterType::Switch => {
            Bound::Flag(truth(scalar).ok_or_else(|| wrong("System.Management.Automation.SwitchParameter"))?)
        }
        ParameterType::Bool => Bound::Flag(truth(scalar).ok_or_else(|| wrong("System.Boolean"))?),
        ParameterType::Int => {
            let number = scalar.as_i64().or_else(|| scalar.as_str()?.trim().parse().ok());
            Bound::Int(number.ok_or_else(|| wrong("System.Int32"))?)
        }
        ParameterType::Text => Bound::Text(text(scalar).ok_or_else(|| wrong("System.String"))?),
        ParameterType::Texts => Bound::Texts(texts(value).ok_or_else(|| wrong("System.String[]"))?),
        ParameterType::Enum(names) => {
            let given = scalar.as_object().and_then(|o| o.to_string.clone()).or_else(|| text(scalar));
            let by_number = scalar.as_i64().and_then(|n| usize::try_from(n).ok()).and_then(|n| names.get(n));
            let by_name =
                given.as_deref().and_then(|g| names.iter().find(|n| n.eq_ignore_ascii_case(g.trim())));
            Bound::Text(by_name.or(by_number).ok_or_else(|| Refusal::NotAMember(names.clone()))?.clone())
        }
        ParameterType::Table => {
            let entries = value.entries().ok_or_else(|| wrong("System.Collections.Hashtable"))?;
            Bound::Table(entries.iter().map(|(k, v)| (k.text(), v.clone())).collect())
        }
    })
}

/// A list of one stands for its only member where one value is wanted.
fn single(value: &Value) -> &Value {
    match value.items() {
        Some([only]) => only,
        _ => value,
    }
}

fn truth(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| value.as_i64().map(|n| n != 0))
}

/// Text of what converts to a string. Lists and tables do not where one string is wanted.
fn text(value: &Value) -> Option<String> {
    match value.as_object() {
        Some(o) if matches!(o.content, Content::List(..) | Content::Dict(..)) => None,
        _ if *value == Value::Null => None,
        _ => Some(value.text()),
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    match value.items() {
        Some(items) => items.iter().map(text).collect(),
        None => Some(vec![text(value)?]),
    }
}

/// System.Management.Automation.PSListModifier: a list replaces, a table of Add, Remove, Replace changes.
fn list_change(value: &Value) -> Result<ListChange, Refusal> {
    let wrong = || Refusal::Type("System.Management.Automation.PSListModifier".to_owned());
    let list = |v: &Value| if *v == Value::Null { Some(Vec::new()) } else { texts(v) };
    let Some(entries) = value.entries() else {
        return Ok(ListChange::Replace(list(value).ok_or_else(wrong)?));
    };
    let (mut add, mut remove, mut replace) = (Vec::new(), Vec::new(), None);
    for (key, value) in entries {
        let values = list(value).ok_or_else(wrong)?;
        match key.text().to_ascii_lowercase().as_str() {
            "add" => add = values,
            "remove" => remove = values,
            "replace" => replace = Some(values),
            _ => return Err(wrong()),
        }
    }
    match replace {
        Some(list) if add.is_empty() && remove.is_empty() => Ok(ListChange::Replace(list)),
        // Replace goes with neither of the others.
        Some(_) => Err(wrong()),
        None => Ok(ListChange::Change { add, remove }),
    }
}

fn common(info: &CmdletInfo, common: &mut Common, name: &str, value: &Value) -> Result<(), Box<ErrorRecord>> {
    match name {
        "Verbose" => common.verbose = *value == Value::Null || truth(value).unwrap_or(false),
        "ErrorAction" => {
            // System.Management.Automation.ActionPreference
            let names =
                ["SilentlyContinue", "Stop", "Continue", "Inquire", "Ignore", "Suspend"].map(str::to_owned);
            let kind = ParameterType::Enum(names.to_vec());
            let bound = convert(&kind, value).map_err(|refusal| refused(info, name, value, refusal))?;
            common.on_error = match bound {
                Bound::Text(t) if t == "Stop" => OnError::Stop,
                Bound::Text(t) if t == "SilentlyContinue" || t == "Ignore" => OnError::Silence,
                _ => OnError::Continue,
            };
        }
        // They set variables, which nothing here could read, or make no difference.
        _ => {}
    }
    Ok(())
}

/// The sets that have all of the parameters given.
fn candidates<'a>(info: &'a CmdletInfo, given: &[(String, Bound)]) -> Vec<&'a ParameterSet> {
    info.sets.iter().filter(|s| given.iter().all(|(n, _)| s.parameters.contains(n))).collect()
}

fn choose_set(info: &CmdletInfo, given: &[(String, Bound)]) -> Result<String, Box<ErrorRecord>> {
    let candidates = candidates(info, given);
    if candidates.is_empty() && !info.sets.is_empty() {
        let message = "Parameter set cannot be resolved using the specified named parameters.".to_owned();
        return Err(binding_error(info, "AmbiguousParameterSet", message));
    }
    let missing = |set: &&ParameterSet| -> Vec<String> {
        set.mandatory.iter().filter(|m| !given.iter().any(|(n, _)| n == *m)).cloned().collect()
    };
    let Some(first) = candidates.first() else { return Ok(String::new()) };
    match candidates.iter().find(|s| missing(s).is_empty()) {
        Some(set) => Ok(set.name.clone()),
        // A person would be asked for them; nobody is there to be asked.
        None => {
            let names = missing(first).join(" ");
            let message = format!(
                "Cannot process command because of one or more missing mandatory parameters: {names}."
            );
            Err(binding_error(info, "MissingMandatoryParameter", message))
        }
    }
}

fn refused(info: &CmdletInfo, parameter: &str, value: &Value, refusal: Refusal) -> Box<ErrorRecord> {
    match refusal {
        Refusal::Null => {
            let message = format!("Cannot bind argument to parameter '{parameter}' because it is null.");
            binding_error(info, "ParameterArgumentValidationErrorNullNotAllowed", message)
        }
        Refusal::Type(wanted) => {
            let message = format!(
                "Cannot bind parameter '{parameter}'. Cannot convert value \"{}\" to type \"{wanted}\".",
                value.text()
            );
            binding_error(info, "CannotConvertArgumentNoMessage", message)
        }
        Refusal::NotAMember(names) => {
            let message = format!(
                "Cannot bind parameter '{parameter}'. Cannot convert value \"{}\" due to enumeration values that are not \
                 valid. Specify one of the following enumeration values and try again. The possible enumeration values \
                 are \"{}\".",
                value.text(),
                names.join(",")
            );
            binding_error(info, "CannotConvertArgumentNoMessage", message)
        }
    }
}

fn binding_error(info: &CmdletInfo, id: &str, message: String) -> Box<ErrorRecord> {
    Box::new(ErrorRecord {
        id: format!("{id},{}", info.name),
        message,
        exception_type: "System.Management.Automation.ParameterBindingException".into(),
        category: ErrorCategory::INVALID_ARGUMENT,
        activity: info.name.clone(),
        reason: "ParameterBindingException".into(),
        ..ErrorRecord::default()
    })
}

#[cfg(test)]
#[path = "bind_tests.rs"]
mod tests;
