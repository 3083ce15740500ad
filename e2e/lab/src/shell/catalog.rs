//! Which cmdlets there are and what they take: the documentation's syntax as data.
//!
//! Answers for `data/cmdlets.json`, a copy of the reference held against it by a test. A cmdlet that is not in it does
//! not exist here.

use pchat_lab_shell::{CmdletInfo, Parameter, ParameterSet, ParameterType};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::LazyLock;

const DATA: &str = include_str!("../../data/cmdlets.json");

#[derive(Deserialize)]
struct Documented {
    parameter_sets: Vec<Set>,
    parameters: BTreeMap<String, Argument>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    parameters: Vec<String>,
    required: Vec<String>,
}

#[derive(Deserialize)]
struct Argument {
    #[serde(rename = "type")]
    kind: String,
    aliases: Vec<String>,
    position: serde_json::Value,
    #[serde(default)]
    accepted_values: Vec<String>,
}

static CMDLETS: LazyLock<Vec<CmdletInfo>> = LazyLock::new(|| {
    let all: BTreeMap<String, Documented> = serde_json::from_str(DATA).unwrap_or_default();
    all.into_iter().map(|(name, d)| info(name, d)).collect()
});

/// A cmdlet, whatever the case of its name.
pub fn find(name: &str) -> Option<CmdletInfo> {
    CMDLETS.iter().find(|c| c.name.eq_ignore_ascii_case(name)).cloned()
}

fn info(name: String, d: Documented) -> CmdletInfo {
    let parameters = d
        .parameters
        .into_iter()
        .map(|(name, a)| Parameter {
            name,
            aliases: a.aliases,
            // The pages count positions from 1 or from 2; only their order means something.
            position: a.position.as_u64().and_then(|p| u32::try_from(p).ok()),
            kind: kind(&a.kind, a.accepted_values),
        })
        .collect();
    let sets = d
        .parameter_sets
        .into_iter()
        .map(|s| ParameterSet { name: s.name, parameters: s.parameters, mandatory: s.required })
        .collect();
    CmdletInfo { name, parameters, sets }
}

fn kind(documented: &str, accepted: Vec<String>) -> ParameterType {
    match documented {
        "SwitchParameter" => ParameterType::Switch,
        "String[]" => ParameterType::Texts,
        "Hashtable" => ParameterType::Table,
        "PSObject" | "NTService" => ParameterType::Any,
        k if k.starts_with("System.Management.Automation.PSListModifier") => ParameterType::ListModifier,
        _ if !accepted.is_empty() => ParameterType::Enum(accepted),
        _ => ParameterType::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failovers_cmdlets_take_what_their_pages_say() {
        let set = find("set-cspersistentchatactiveserver").expect("there");
        assert_eq!(set.sets.len(), 2);
        let active = set.parameters.iter().find(|p| p.name == "ActiveServers").expect("there");
        assert_eq!(active.kind, ParameterType::ListModifier);
        let state = find("Set-CsPersistentChatState").expect("there");
        let pool = state.parameters.iter().find(|p| p.name == "PoolState").expect("there");
        assert_eq!(pool.kind, ParameterType::Enum(vec!["Normal".into(), "FailedOver".into()]));
        assert!(find("Get-CsPersistentChatActiveServer").is_none(), "there is no such cmdlet");
    }

    #[test]
    #[ignore = "needs PCHAT_REFERENCE, the folder with cmdlets.json"]
    fn the_copy_is_the_reference() {
        let folder = std::env::var("PCHAT_REFERENCE").expect("PCHAT_REFERENCE is set");
        let path = std::path::Path::new(&folder).join("cmdlets.json");
        let text = std::fs::read_to_string(path).expect("cmdlets.json is there");
        let reference: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let own: serde_json::Value = serde_json::from_str(DATA).expect("JSON");
        for (name, cmdlet) in own.as_object().expect("an object") {
            for (n, set) in cmdlet["parameter_sets"].as_array().expect("sets").iter().enumerate() {
                for field in ["name", "parameters", "required"] {
                    assert_eq!(set[field], reference[name]["parameter_sets"][n][field], "{name} {field}");
                }
            }
            let documented = reference[name]["parameters"].as_object().expect("parameters");
            assert_eq!(documented.len(), cmdlet["parameters"].as_object().expect("parameters").len());
            for (p, own) in cmdlet["parameters"].as_object().expect("parameters") {
                for (field, value) in own.as_object().expect("fields") {
                    assert_eq!(*value, documented[p][field], "{name} -{p} {field}");
                }
            }
        }
    }
}
